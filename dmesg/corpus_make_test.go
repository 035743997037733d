//go:build corpus

package dmesg_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/u-root/u-root/pkg/cpio"

	"patchproof/vm"
	"patchproof/vm/guestimage"
)

// This file makes the logs of testdata/corpus: it boots the given kernel once
// for each scenario of corpus_scenarios_test.go and keeps the console. How to
// build the kernels stands in testdata/corpus/README.md.
var (
	corpusKernel = flag.String("kernel", "", "bzImage to boot")
	corpusName   = flag.String("name", "", "SERIES-CONFIG: the first part of the logs' names, such as 6.1-provoke")
	corpusOut    = flag.String("out", "testdata/corpus", "folder for the logs")
	corpusMods   = flag.String("modules", "", "modules to load first, separated by commas")
	corpusOnly   = flag.String("only", "", "regular expression of scenario names")
)

// TestMakeCorpus writes NAME-SCENARIO.log for each scenario that fits the
// kernel. It judges nothing: read what the parser says about a new log before
// its golden file is made.
func TestMakeCorpus(t *testing.T) {
	if *corpusKernel == "" || *corpusName == "" {
		t.Fatal("pass -args -kernel bzImage -name 6.1-provoke")
	}
	only := regexp.MustCompile(*corpusOnly)
	_, config, _ := strings.Cut(*corpusName, "-")
	base := baseImage(t)
	crash := filepath.Join(t.TempDir(), "crash")
	if out, err := exec.Command("gcc", "-static", "-O1", "-o", crash, "testdata/corpus/guest/crash.c").CombinedOutput(); err != nil {
		t.Fatalf("crash.c: %v: %s", err, out)
	}
	for _, s := range scenarios {
		if !s.fits(config) || !only.MatchString(s.name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			log := play(t, s, base, crash)
			name := *corpusName + "-" + s.name + ".log"
			if s.clean {
				name = "clean-" + name
			}
			if err := os.WriteFile(filepath.Join(*corpusOut, name), trim(log, s.clean), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func baseImage(t *testing.T) string {
	t.Helper()
	img, err := guestimage.Build(context.Background(), filepath.Join(os.TempDir(), "patchproof-corpus-image"), guestimage.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	return img.Path
}

// watcher closes found when the console shows the pattern after the scenario
// has begun: a guest on a busy host may stall while it boots.
type watcher struct {
	pattern *regexp.Regexp
	begun   bool
	tail    []byte
	found   chan struct{}
	closed  bool
}

func (w *watcher) Write(p []byte) (int, error) {
	const kept = 4096
	w.tail = append(w.tail, p...)
	if i := bytes.Index(w.tail, []byte("scenario: begin")); i >= 0 && !w.begun {
		w.begun = true
		w.tail = w.tail[i:]
	}
	if w.begun && !w.closed && w.pattern != nil && w.pattern.Match(w.tail) {
		w.closed = true
		close(w.found)
	}
	if n := len(w.tail) - kept; n > 0 {
		w.tail = append(w.tail[:0], w.tail[n:]...)
	}
	return len(p), nil
}

// play boots one guest and returns its console.
func play(t *testing.T, s scenario, base, crash string) []byte {
	t.Helper()
	const enough = 10 * time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	defer cancel()
	dir := t.TempDir()
	seen := &watcher{found: make(chan struct{})}
	if s.until != "" {
		seen.pattern = regexp.MustCompile(s.until)
	}
	spec := vm.Spec{Name: s.name, Kernel: *corpusKernel, Initrd: overlay(t, dir, base, crash, s.script),
		Append: strings.Fields(s.words), MemoryMiB: s.memory, VCPUs: s.vcpus, NoNetwork: true,
		Dir: filepath.Join(dir, "run"), Console: seen}
	if spec.VCPUs == 0 {
		spec.VCPUs = 2
	}
	if spec.MemoryMiB == 0 {
		spec.MemoryMiB = 512
	}
	if s.disk > 0 {
		spec.Disks = []vm.Disk{{SizeMiB: s.disk}}
	}
	g, err := vm.Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Kill()
	select {
	case <-g.Done():
	case <-seen.found:
		if s.monitor != "" {
			if _, err := g.QMP("human-monitor-command", map[string]string{"command-line": s.monitor}); err != nil {
				t.Error(err)
			}
		}
		select {
		case <-g.Done():
		case <-time.After(s.settle):
		}
	case <-ctx.Done():
		t.Errorf("%s: no end after %v", s.name, enough)
	}
	g.Kill()
	log, err := os.ReadFile(filepath.Join(spec.Dir, "console.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, []byte("Linux version")) {
		t.Fatalf("the kernel said nothing: %q", log)
	}
	return log
}

// overlay appends our init and the scenario to the base image: of a file that
// two archives have, the kernel keeps the later one.
func overlay(t *testing.T, dir, base, crash, script string) string {
	t.Helper()
	path := filepath.Join(dir, "initrd")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeOverlay(out, base, crash, script); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeOverlay(out *os.File, base, crash, script string) (err error) {
	defer func() { err = errors.Join(err, out.Close()) }()
	in, err := os.Open(base)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	var archive bytes.Buffer
	w := cpio.Newc.Writer(&archive)
	first, err := os.ReadFile("testdata/corpus/guest/init")
	if err != nil {
		return err
	}
	program, err := os.ReadFile(crash)
	if err != nil {
		return err
	}
	records := []cpio.Record{
		cpio.StaticFile("init", string(first), 0o755),
		cpio.StaticFile("scenario", script+"\n", 0o644),
		cpio.StaticFile("bin/crash", string(program), 0o755),
	}
	for _, path := range strings.FieldsFunc(*corpusMods, func(r rune) bool { return r == ',' }) {
		module, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		records = append(records, cpio.StaticFile("bin/"+filepath.Base(path), string(module), 0o644))
	}
	if err := cpio.WriteRecords(w, records); err != nil {
		return err
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return err
	}
	// The next archive has to begin at a multiple of 4.
	archive.Write(make([]byte, (512-archive.Len()%512)%512))
	_, err = out.Write(archive.Bytes())
	return err
}

// trim keeps the first lines of the boot, and all from shortly before the
// scenario on; of a boot that does not get there, the end. A clean log is kept
// as it is: every line of its boot is a line that must not be taken for more.
func trim(log []byte, clean bool) []byte {
	const (
		head, before, end = 12, 8, 80
		longest           = 96 << 10
	)
	lines := bytes.SplitAfter(log, []byte("\n"))
	from := max(len(lines)-end, 0)
	for i, line := range lines {
		if bytes.Contains(line, []byte("scenario: begin")) {
			from = i - before
			break
		}
	}
	if !clean && from > head {
		lines = append(lines[:head:head], lines[from:]...)
	}
	log = bytes.Join(lines, nil)
	return log[:min(len(log), longest)]
}

// TestScenarioNames finds a name that is used twice for one kernel.
func TestScenarioNames(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios {
		if seen[s.name] || s.script == "" {
			t.Errorf("scenario %q: empty or there twice", s.name)
		}
		seen[s.name] = true
	}
}
