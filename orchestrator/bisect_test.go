package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

// kernelRepo is a repository that looks like a kernel's: tags v1 to v4 in line,
// each changing fs/fN.c, and v2 forking off "stray".
func kernelRepo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	commit := func(tag string, files map[string]string) {
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-q", "-m", "change "+tag)
		git(t, dir, "tag", tag)
	}
	commit("v1", map[string]string{"Makefile": "VERSION = 6\nPATCHLEVEL = 1\n", "Kconfig": "", "fs/f1.c": "1"})
	commit("v2", map[string]string{"fs/f2.c": "2"})
	commit("v3", map[string]string{"mm/f3.c": "3"})
	commit("v4", map[string]string{"fs/f4.c": "4", "fs/f4.h": "4"})
	git(t, dir, "checkout", "-q", "-b", "side", "v2")
	commit("stray", map[string]string{"fs/stray.c": "s"})
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestBisectHistory(t *testing.T) {
	repo := kernelRepo(t)
	for _, tt := range []struct {
		find        judge.Find
		good, bad   string
		paths       []string
		old, new    string
		subjects    string
		note, fails string
	}{
		{find: judge.FindCulprit, good: "v1", bad: "v4", old: "v1", new: "v4", subjects: "v2 v3 v4"},
		{find: judge.FindCulprit, good: "v1", bad: "v4", paths: []string{"mm"}, old: "v1", new: "v4", subjects: "v3"},
		{find: judge.FindFix, good: "v4", bad: "v2", old: "v2", new: "v4", subjects: "v3 v4"},
		{find: judge.FindFix, good: "v2", bad: "v4", old: "v2", new: "v4", subjects: "v3 v4", note: "taking it as the one that reproduces"},
		{find: judge.FindCulprit, good: "v4", bad: "v1", fails: "--find fix"},
		{find: judge.FindCulprit, good: "v1", bad: "v1", fails: "same commit"},
		{find: judge.FindCulprit, good: "stray", bad: "v4", fails: "merge base is " + git(t, repo, "rev-parse", "--short=12", "v2")},
		{find: judge.FindCulprit, good: "v1", bad: "v9", fails: "no revision v9"},
		{find: judge.FindCulprit, good: "v1", fails: "--good and --bad"},
		{find: judge.FindCulprit, good: "v1", bad: "v4", paths: []string{"net"}, fails: "touches net"},
	} {
		var notes []string
		h := &Harness{Events: func(e Event) { notes = append(notes, e.Message) }}
		record, err := h.history(context.Background(), repo, BisectRequest{Find: tt.find, Good: tt.good, Bad: tt.bad, Paths: tt.paths})
		name := fmt.Sprintf("%s %s..%s %v", tt.find, tt.good, tt.bad, tt.paths)
		if tt.fails != "" {
			var input *InputError
			if !errors.As(err, &input) || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("%s: error %v, want an input error with %q", name, err, tt.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var subjects []string
		for i, c := range record.Commits {
			subjects = append(subjects, strings.TrimPrefix(c.Subject, "change "))
			if want := []int{i - 1}; i > 0 && !slices.Equal(c.Parents, want) {
				t.Errorf("%s: commit %d has parents %v, want %v", name, i, c.Parents, want)
			}
		}
		if record.Old.Rev != tt.old || record.New.Rev != tt.new || strings.Join(subjects, " ") != tt.subjects || record.Rules.Find != tt.find {
			t.Errorf("%s: %s..%s, %v", name, record.Old.Rev, record.New.Rev, subjects)
		}
		if record.Old.Commit != git(t, repo, "rev-parse", tt.old) || record.New.Commit != git(t, repo, "rev-parse", tt.new) {
			t.Errorf("%s: ends %s and %s", name, record.Old.Commit, record.New.Commit)
		}
		if got := strings.Join(notes, "\n"); !strings.Contains(got, tt.note) || tt.note == "" && got != "" {
			t.Errorf("%s: notes %q, want %q", name, got, tt.note)
		}
	}
}

func TestBisectPlan(t *testing.T) {
	repo := kernelRepo(t)
	t.Chdir(filepath.Dir(repo))
	relative := filepath.Base(repo)
	write := func(name, text string) string {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	write("p.patch", "x")
	pair := write("pair.yaml", "name: pair\nkernel: {tree: "+relative+"}\nworkload: btrfs-dio-race-focused\nfix: v2\n")
	rev := write("rev.yaml", "name: rev\nkernel: {tree: "+relative+", rev: v2}\nworkload: btrfs-dio-race-focused\n")
	good := write("good.yaml", "name: good\nkernel: {tree: "+relative+", patches: p.patch}\nworkload: btrfs-dio-race-focused\nguest: {vcpus: 1, append: [a=b]}\nvariables: {threads: 5}\n")
	flags := Request{Workload: "btrfs-dio-race-focused", Kernel: KernelFlags{Tree: relative}}
	for _, tt := range []struct {
		name  string
		r     BisectRequest
		fails string
	}{
		{"flags", BisectRequest{Request: flags}, ""},
		{"a plan", BisectRequest{Request: Request{PlanFile: good}}, ""},
		{"nothing", BisectRequest{}, "give --tree"},
		{"no workload", BisectRequest{Request: Request{Kernel: KernelFlags{Tree: relative}}}, "no workload"},
		{"a plan for a pair", BisectRequest{Request: Request{PlanFile: pair}}, "compares two kernels"},
		{"a plan with a revision", BisectRequest{Request: Request{PlanFile: rev}}, "--good and --bad"},
		{"a shipped plan", BisectRequest{Request: Request{PlanFile: "btrfs-dio-race-6.1"}}, "compares two kernels"},
	} {
		tt.r.Patches = []string{"p.patch"}
		plan, err := tt.r.plan()
		if tt.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("%s: error %v, want %q", tt.name, err, tt.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for _, path := range append([]string{plan.Kernel.Tree}, plan.Kernel.Patches...) {
			if !filepath.IsAbs(path) {
				t.Errorf("%s: path %s is not absolute", tt.name, path)
			}
		}
		keepsPlan(t, tt.name, plan)
	}
}

// keepsPlan: what is kept in the campaign's folder means the same when it is
// read back from there.
func keepsPlan(t *testing.T, name string, plan *workloads.Plan) {
	t.Helper()
	w, err := plan.OpenWorkload(shipped())
	if err != nil {
		t.Fatal(err)
	}
	perturb := &perturbation{paths: []string{"fs/f2.c"}, share: 0.25, seed: 7}
	data, err := bisectPlan(plan, w, perturb, 3)
	if err != nil {
		t.Fatal(err)
	}
	again, err := workloads.LoadPlan(filepath.Join(t.TempDir(), "plan.yaml"), data)
	if err != nil {
		t.Fatalf("%s: %v in\n%s", name, err, data)
	}
	w2, err := again.OpenWorkload(shipped())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w2.Defaults.Over(workloads.FallbackGuest()), w.Defaults.Over(workloads.FallbackGuest()); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: guest %+v, want %+v", name, got, want)
	}
	if !reflect.DeepEqual(w2.Phases, w.Phases) || !reflect.DeepEqual(w2.Signatures, w.Signatures) || !reflect.DeepEqual(w2.Consequences, w.Consequences) {
		t.Errorf("%s: the workload changed:\n%s", name, data)
	}
	if again.Kernel.Tree != plan.Kernel.Tree || !slices.Equal(again.Kernel.Patches, plan.Kernel.Patches) || !slices.Equal(again.Kernel.Perturb.Paths, perturb.paths) || again.Jobs != 3 {
		t.Errorf("%s: kernel %+v", name, again.Kernel)
	}
}

func TestRangePaths(t *testing.T) {
	repo := kernelRepo(t)
	end := func(rev string) results.BisectEnd {
		return results.BisectEnd{BisectCommit: results.BisectCommit{Commit: git(t, repo, "rev-parse", rev)}, Rev: rev}
	}
	record := &results.BisectRecord{Tree: repo, Old: end("v1"), New: end("v4")}
	if got, err := rangePaths(context.Background(), record, nil); err != nil || !slices.Equal(got, []string{"fs/f2.c", "fs/f4.c", "mm/f3.c"}) {
		t.Errorf("all paths: %v, %v", got, err)
	}
	record.Paths = []string{"mm/"}
	if got, err := rangePaths(context.Background(), record, nil); err != nil || !slices.Equal(got, []string{"mm"}) {
		t.Errorf("below mm: %v, %v, want the folder of the only file", got, err)
	}
	record.Paths = nil
	for i := range maxAutoPaths {
		if err := os.WriteFile(filepath.Join(repo, "fs", fmt.Sprintf("m%d.c", i)), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, repo, "checkout", "-q", "main")
	git(t, repo, "add", ".")
	git(t, repo, "commit", "-q", "-m", "many")
	record.New = end("main")
	if got, err := rangePaths(context.Background(), record, nil); err == nil || !strings.Contains(err.Error(), "name the folders") {
		t.Errorf("many files: %v, %v", got, err)
	}
}

func TestCommitFault(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		reason string // empty: not the commit's fault
		log    string
	}{
		{"does not compile", &kernels.BuildError{File: "fs/a.c", Line: 3, Message: "error: x", Log: "/l"}, "does not build: fs/a.c:3: error: x", "/l"},
		{"does not link", &kernels.BuildError{Message: "linker: x"}, "does not build: linker: x", ""},
		{"disk full", &kernels.BuildError{Message: "no space left", Host: true}, "", ""},
		{"a patch does not apply", inputError(&kernels.PatchError{}), "patch does not apply", ""},
		{"a perturbed file is missing", inputError(&kernels.SourceError{Err: errors.New("no file fs/x.c")}), "no file fs/x.c", ""},
		{"a mistake in a fragment", inputError(&kernels.ConfigError{}), "", ""},
		{"cannot write", errors.New("read-only file system"), "", ""},
	} {
		wrapped := fmt.Errorf("kernel: %w", tt.err)
		err := commitFault(wrapped)
		var fault *commitError
		switch {
		case !errors.As(err, &fault):
			if tt.reason != "" || err != wrapped {
				t.Errorf("%s: error %v, want %q", tt.name, err, tt.reason)
			}
		case tt.reason == "" || !strings.Contains(fault.reason, tt.reason) || fault.log != tt.log:
			t.Errorf("%s: reason %q, log %q, want %q, %q", tt.name, fault.reason, fault.log, tt.reason, tt.log)
		}
	}
}

func TestCommitTestRun(t *testing.T) {
	run := func(o judge.Outcome) results.Run {
		return results.Run{Outcome: o, InvalidReason: "boot-timeout: no answer"}
	}
	host := results.Run{Outcome: judge.Invalid, Failure: &results.GuestFailure{Kind: "start"}}
	clean, bad, invalid, other := run(judge.Clean), run(judge.Reproduced), run(judge.Invalid), run(judge.OtherFailure)
	for _, tt := range []struct {
		name       string
		runs       []results.Run
		done       int // runs taken
		reproduced bool
		untestable bool
		fails      bool
	}{
		{name: "all clean", runs: []results.Run{clean, clean, clean}, done: 3},
		{name: "reproduced", runs: []results.Run{clean, bad, clean}, done: 2, reproduced: true},
		{name: "one invalid run", runs: []results.Run{invalid, clean, clean, clean}, done: 4},
		{name: "invalid, then reproduced", runs: []results.Run{invalid, bad}, done: 2, reproduced: true},
		{name: "two invalid runs", runs: []results.Run{clean, invalid, other, clean}, done: 3, untestable: true},
		{name: "the host", runs: []results.Run{host, host}, done: 2, fails: true},
	} {
		var c CommitTest
		err := c.run(context.Background(), 3, func(i int) (results.Run, error) {
			if i != len(c.Runs) || i >= len(tt.runs) {
				t.Fatalf("%s: run %d was asked for", tt.name, i)
			}
			return tt.runs[i], nil
		})
		if len(c.Runs) != tt.done || c.Reproduced != tt.reproduced || (c.Untestable != "") != tt.untestable || (err != nil) != tt.fails {
			t.Errorf("%s: %d runs, reproduced %v, untestable %q, error %v", tt.name, len(c.Runs), c.Reproduced, c.Untestable, err)
		}
		if good := !c.Reproduced && c.Untestable == "" && err == nil; good && c.Clean() != 3 {
			t.Errorf("%s: %d clean runs, want 3", tt.name, c.Clean())
		}
	}
}
