package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// fixedMake are the variables that make equal sources give an equal image, bit
// for bit (Documentation/kbuild/reproducible-builds.rst). An empty LOCALVERSION
// keeps kbuild from adding a "+" for sources that git calls modified. A user
// who sets one of them gets their own value.
var fixedMake = []string{
	"KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 1970",
	"KBUILD_BUILD_USER=patchproof",
	"KBUILD_BUILD_HOST=patchproof",
	"KBUILD_BUILD_VERSION=1",
	"LOCALVERSION=",
}

// makeArgs is the command line of make for one call in a build folder.
func makeArgs(tree, out string, jobs int, vars []string, targets ...string) []string {
	args := []string{"-C", tree, "O=" + out, fmt.Sprintf("-j%d", jobs)}
	for _, fixed := range fixedMake {
		name, _, _ := strings.Cut(fixed, "=")
		if _, ok := (Spec{Make: vars}).makeValue(name); !ok {
			args = append(args, fixed)
		}
	}
	return append(append(args, vars...), targets...)
}

// defaultJobs is make's -j when none is given.
func defaultJobs(jobs int) int {
	if jobs > 0 {
		return jobs
	}
	return runtime.NumCPU()
}

// makeOutput receives make's output: it passes everything on to the log and
// looks at each line.
type makeOutput struct {
	mu     sync.Mutex
	logs   []io.Writer
	failed error // of writing to logs
	part   []byte
	finder *errorFinder
	onStep func(step, object string)
}

// maxLine bounds what is kept of one line of make's output.
const maxLine = 64 << 10

func (o *makeOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range o.logs {
		if _, err := w.Write(p); err != nil {
			o.failed = fmt.Errorf("writing the build log: %w", err)
			return 0, o.failed
		}
	}
	o.part = append(o.part, p...)
	for {
		i := bytes.IndexByte(o.part, '\n')
		if i < 0 {
			break
		}
		o.see(string(o.part[:i]))
		o.part = o.part[i+1:]
	}
	if len(o.part) > maxLine {
		o.part = o.part[:0]
	}
	return len(p), nil
}

// compileSteps are kbuild's short names of the steps that turn a source file
// of the tree into an object.
var compileSteps = []string{"CC", "AS", "CC [M]", "AS [M]"}

// see handles one line. kbuild's own have the form "  CC      fs/inode.o".
func (o *makeOutput) see(line string) {
	if step, object, ok := kbuildStep(line); ok {
		if o.onStep != nil {
			o.onStep(step, object)
		}
		return
	}
	o.finder.line(line)
}

func kbuildStep(line string) (step, object string, ok bool) {
	rest, ok := strings.CutPrefix(line, "  ")
	if !ok || len(rest) < 9 || rest[0] == ' ' {
		return "", "", false
	}
	step = strings.TrimSpace(rest[:8])
	object = strings.TrimSpace(rest[8:])
	if step == "" || object == "" || strings.ToUpper(step) != step || strings.Contains(object, " ") {
		return "", "", false
	}
	return step, object, true
}

// makeRun is one call of make.
type makeRun struct {
	kernel, stage string
	tree, out     string
	jobs          int
	vars          []string
	targets       []string
	env           []string
	log           io.Writer // the log file
	logPath       string
	tee           io.Writer // may be nil
	command       command   // hold only
	compiled      func(object string)
}

// run calls make. A failure is a *BuildError, unless ctx has ended or make
// cannot be started.
func (m makeRun) run(ctx context.Context) error {
	args := makeArgs(m.tree, m.out, m.jobs, m.vars, m.targets...)
	logs := []io.Writer{m.log}
	if m.tee != nil {
		logs = append(logs, m.tee)
	}
	out := &makeOutput{logs: logs, finder: newErrorFinder(), onStep: func(step, object string) {
		if m.compiled != nil && slices.Contains(compileSteps, step) {
			m.compiled(object)
		}
	}}
	if _, err := fmt.Fprintf(m.log, "$ make %s\n", quoteWords(args)); err != nil {
		return fmt.Errorf("writing the build log: %w", err)
	}
	c := m.command
	c.name, c.args, c.dir, c.env, c.stdout, c.stderr = "make", args, m.out, m.env, out, out
	err := c.run(ctx)
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.failed != nil && ctx.Err() == nil {
		return fmt.Errorf("%w (%w)", out.failed, err) // make has died of it
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if len(out.part) > 0 {
		out.see(string(out.part))
	}
	f := out.finder.result(m.tree)
	return &BuildError{Kernel: m.kernel, Stage: m.stage, File: f.file, Line: f.line, Message: f.message, Log: m.logPath, Host: f.rank == rankCause}
}

// quoteWords writes a command line that a shell reads as the same words.
func quoteWords(words []string) string {
	var out []string
	for _, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n\"'`$&|;<>()*?[]#~\\!{}") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}
