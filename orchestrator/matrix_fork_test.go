package orchestrator

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"patchproof/results"
)

// kinds counts the runs of each cell by how they began: f forked, b booted.
func kinds(r *MatrixResult) string {
	var out []string
	for _, c := range r.Cells {
		text := ""
		for _, run := range r.Runs {
			switch {
			case run.Cell != c.Cell.Key:
			case run.Forked != nil:
				text += "f"
			default:
				text += "b"
			}
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// TestMatrixFork: all runs of a cell go on from its machine or none does, and
// the record says which.
func TestMatrixFork(t *testing.T) {
	defer goleak.VerifyNone(t)
	l := newLab(t, testMatrix)
	l.h.Fork = ForkAuto
	f := l.fake()
	f.forks = func(cell string, look bool) error {
		if look {
			t.Errorf("%s has several runs and only looked", cell)
		}
		if strings.HasSuffix(cell, "mount=none") {
			return errors.New("no room")
		}
		return nil
	}
	r := l.run(t.Context(), MatrixRequest{}, f)
	if got := kinds(r); got != "ff bb ff bb" || states(r) != "passing/2 passing/2 passing/2 passing/2" {
		t.Errorf("runs %s, cells %s", got, states(r))
	}
	for i, c := range r.Cells {
		if strings.HasSuffix(c.Cell.Shape, ", forked") != (i%2 == 0) {
			t.Errorf("shape of %s: %s", c.Cell.Key, c.Cell.Shape)
		}
	}
	for _, run := range r.Runs {
		if strings.HasSuffix(run.Shape, ", forked") != (run.Forked != nil) {
			t.Errorf("run %s: shape %s", run.ID, run.Shape)
		}
	}
	if w := strings.Join(r.Campaign.Warnings, "\n"); strings.Count(w, "up to 5 from each") != 1 || strings.Count(w, "no room") != 2 {
		t.Errorf("warnings:\n%s", w)
	}
	if f.took != 2 {
		t.Errorf("%d cells have machines", f.took)
	}
	// Without --fork nobody asks.
	l.h.Fork = ForkOff
	f = l.fake()
	f.forks = func(cell string, _ bool) error { t.Errorf("%s wants a machine", cell); return nil }
	if got := kinds(l.run(t.Context(), MatrixRequest{}, f)); got != "bb bb bb bb" {
		t.Errorf("runs %s", got)
	}
}

// TestMatrixForkSingleRuns: for a single run a machine is taken and not made.
func TestMatrixForkSingleRuns(t *testing.T) {
	l := newLab(t, testMatrix)
	l.h.Fork = ForkAuto
	f := l.fake()
	f.forks = func(cell string, look bool) error {
		if !look {
			t.Errorf("%s has one run and would make a machine", cell)
		}
		if strings.HasPrefix(cell, "kernel=base") {
			return nil
		}
		return errNotSaved
	}
	r := l.run(t.Context(), MatrixRequest{Repeat: 1}, f)
	if got := kinds(r); got != "f f b b" || len(r.Campaign.Warnings) != 1 {
		t.Errorf("runs %s, warnings %q", got, r.Campaign.Warnings)
	}
}

// TestMatrixForkResumed: the runs that a cell has decide about those to come.
func TestMatrixForkResumed(t *testing.T) {
	l := newLab(t, testMatrix)
	l.h.Fork = ForkAuto
	f := l.fake()
	f.forks = func(cell string, _ bool) error {
		if strings.HasSuffix(cell, "mount=none") {
			return errors.New("no room")
		}
		return nil
	}
	r := l.run(t.Context(), MatrixRequest{MaxRuns: 4, Jobs: 1}, f)
	if got := kinds(r); got != "f b f b" {
		t.Fatalf("runs %s", got)
	}
	// Now machines can be had for one forked cell and one booted cell only.
	l.h.Fork = ForkOff
	f = l.fake()
	f.forks = func(cell string, look bool) error {
		if look || strings.HasSuffix(cell, "mount=none") {
			t.Errorf("%s: look %v", cell, look)
		}
		if strings.HasPrefix(cell, "kernel=fixed") {
			return errors.New("the disk is full")
		}
		return nil
	}
	r = l.resume(t.Context(), r.Campaign.Dir, f)
	if got := kinds(r); got != "ff bb f bb" {
		t.Errorf("resumed: runs %s", got)
	}
	if c := r.Cells[2]; !strings.Contains(c.Cell.Skipped, "the disk is full") || c.State != results.CellPassing || r.Verdict(FailOnAny) != MatrixBroken {
		t.Errorf("a cell that lost its machine: %+v, verdict %s", c, r.Verdict(FailOnAny))
	}
}
