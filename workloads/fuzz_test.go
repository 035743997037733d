package workloads

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// seed adds every file of an archive, and a few that are good.
func seed(f *testing.F, archive string) {
	a, err := txtar.ParseFile(archive)
	if err != nil || len(a.Files) == 0 {
		f.Fatalf("%s: %d files, %v", archive, len(a.Files), err)
	}
	for _, file := range a.Files {
		f.Add(file.Data)
	}
	f.Add([]byte(smallWorkload))
	f.Add([]byte("{name: p, workload: w, kernel: {tree: /l, perturb: {share: 1/8}}, fix: abc}"))
	f.Add([]byte("name: x\nphases: &a\n- mkfs: {fs: btrfs, features: [a, ^b]}\n- mount: {fs: btrfs, options: [compress]}\n"))
}

// checkPosition fails unless err is a *PositionError with a place in a file or
// none at all.
func checkPosition(t *testing.T, err error) {
	var at *PositionError
	if !errors.As(err, &at) {
		t.Fatalf("%T is no *PositionError: %v", err, err)
	}
	if at.Line < 0 || at.Line > 0 && at.Column < 1 || at.Message == "" {
		t.Fatalf("bad position: %+v", at)
	}
	if strings.ContainsFunc(err.Error(), func(r rune) bool { return isControl(r) && r != '\n' }) {
		t.Fatalf("control characters in a message: %q", err)
	}
}

func FuzzLoadWorkload(f *testing.F) {
	seed(f, "testdata/bad-workloads.txtar")
	o, _ := os.ReadFile("testdata/mkfs-btrfs-6.2-O.txt")
	r, _ := os.ReadFile("testdata/mkfs-btrfs-6.2-R.txt")
	tools := Tools{SysbenchVersion: "1.0.20", MkfsFeatures: string(o), MkfsRuntimeFeatures: string(r), KernelMajor: 3, KernelMinor: 14}
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := LoadWorkload("w.yaml", data)
		if err != nil {
			checkPosition(t, err)
			return
		}
		steps, err := Compile(w, tools)
		if err != nil {
			checkPosition(t, err)
			return
		}
		_ = Describe(steps)
		for _, s := range steps {
			if s.Command == "" || s.Timeout <= 0 || len(s.Checks) == 0 {
				t.Fatalf("incomplete step %+v", s)
			}
			_ = s.Check(Output{})
			_ = s.Check(Output{Status: 1, Stdout: string(data), Stderr: string(data)})
		}
		if _, err := w.WithVariables(nil); err != nil {
			t.Fatalf("does not decode a second time: %v", err)
		}
	})
}

func FuzzLoadPlan(f *testing.F) {
	seed(f, "testdata/bad-plans.txtar")
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := LoadPlan("p.yaml", data)
		if err != nil {
			checkPosition(t, err)
			return
		}
		pre, post, err := p.Expand()
		if err != nil {
			checkPosition(t, err)
			return
		}
		for _, k := range []KernelSpec{pre, post} {
			if k.Image == "" && k.Tarball == "" && (k.Tree == "" || k.Rev == "") {
				t.Fatalf("kernel without a source: %+v", k)
			}
		}
	})
}

// FuzzOutputs feeds guest output to everything that reads it.
func FuzzOutputs(f *testing.F) {
	for _, name := range []string{"sysbench-1.0.20-run.txt", "sysbench-0.4.12-run.txt", "mkfs-btrfs-6.2-O.txt"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("/dev/vda /mnt btrfs " + shown61 + " 0 0\n")
	f.Add(usageBefore + "\n" + df("1") + usageAfter + "\n" + df("2"))
	f.Fuzz(func(t *testing.T, text string) {
		if r := parseSysbench(text); r.events < 0 {
			t.Fatalf("negative events: %+v", r)
		}
		_, _ = dataGrowth(text)
		_ = checkMounted(parseMounts(text), "btrfs", "/mnt", []string{"compress=zlib"})
		for _, feature := range parseMkfsFeatures(text, "-O") {
			if feature.name == "" || strings.HasPrefix(feature.name, "-") {
				t.Fatalf("bad feature name %q", feature.name)
			}
		}
		_ = lastWords(Output{Stderr: text})
		_, _ = sysbenchDialect(text)
	})
}
