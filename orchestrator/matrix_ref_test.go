package orchestrator

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// gitTree makes a repository with the miniature kernel tree of package kernels.
func gitTree(t *testing.T) (dir string, git func(args ...string) string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "linux")
	if err := os.CopyFS(dir, os.DirFS("../kernels/testdata/faketree")); err != nil {
		t.Fatal(err)
	}
	git = func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main")
	git("add", "-A")
	git("commit", "-q", "-m", "first")
	return dir, git
}

// TestMatrixMovingRef: what a ref was is recorded, a night without a new commit
// runs nothing, one with a new commit runs that kernel's cells, and a campaign
// that is resumed stays with the commit that it began with.
func TestMatrixMovingRef(t *testing.T) {
	tree, git := gitTree(t)
	l := newLab(t, `name: m
kernels: [{name: moving, tree: `+tree+`, ref: main}, {name: still, image: base}]
workloads:
  - workload: {name: w, phases: [{sync: }], signatures: [{function: f}]}
repeat: 1
`)
	first := git("rev-parse", "main")
	r := l.run(t.Context(), MatrixRequest{SinceLast: true}, l.fake())
	if c := r.Cells[0].Cell; c.Ref != "main" || c.Commit != first || !strings.Contains(c.Kernel.Label, "moving: ") {
		t.Errorf("ref %q at %s, kernel %q; want main at %s", c.Ref, c.Commit, c.Kernel.Label, first)
	}
	f := l.fake()
	if l.run(t.Context(), MatrixRequest{SinceLast: true}, f); len(f.n) != 0 {
		t.Errorf("nothing was committed, and %v ran", f.n)
	}

	git("commit", "-q", "--allow-empty", "-m", "second")
	second := git("rev-parse", "main")
	f = l.fake()
	r = l.run(t.Context(), MatrixRequest{SinceLast: true, MaxRuns: 1}, f)
	if c := r.Cells[0].Cell; c.Commit != second || len(f.n) != 1 || r.Cells[1].Cell.MeasuredIn == "" || r.Cells[1].Cell.Kernel.ID == "" {
		t.Errorf("commit %s, ran %v, the other cell %+v", c.Commit, f.n, r.Cells[1].Cell)
	}

	r = l.run(t.Context(), MatrixRequest{Repeat: 2, MaxRuns: 1}, l.fake())
	git("commit", "-q", "--allow-empty", "-m", "third")
	r = l.resume(t.Context(), r.Campaign.Dir, l.fake())
	if got := states(r); got != "passing/2 passing/2" || r.Cells[0].Cell.Commit != second {
		t.Errorf("resumed: %s at %s, want commit %s", got, r.Cells[0].Cell.Commit, second)
	}

	var input *InputError
	git("branch", "-m", "main", "other")
	if _, err := l.h.beginMatrix(t.Context(), MatrixRequest{PlanFile: l.plan}); !errors.As(err, &input) || !strings.Contains(err.Error(), "main") {
		t.Errorf("a ref that there is not: %v", err)
	}
}
