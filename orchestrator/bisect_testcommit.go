package orchestrator

import (
	"context"
	"errors"
	"fmt"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
)

// TestCommitRequest is one commit of a git tree for git bisect run; without a
// tree it is that of the current folder.
type TestCommitRequest struct {
	SingleRequest
	// Runs is the most runs; the first one that reproduces ends them.
	Runs int
}

// CommitTest is what the runs at one commit showed.
type CommitTest struct {
	Runs []results.Run
	Dir  string // of the records; empty when nothing was run
	// Reproduced says that a run showed the bug.
	Reproduced bool
	// Untestable is why the commit can be called neither good nor bad; empty if
	// it can.
	Untestable string
}

// Clean is the number of clean runs.
func (t *CommitTest) Clean() int {
	n := 0
	for i := range t.Runs {
		if t.Runs[i].Outcome == judge.Clean {
			n++
		}
	}
	return n
}

// TestCommit builds a commit and runs the workload until the bug shows or all
// runs were clean. The error is about the host or the request and never about
// the commit.
func (h *Harness) TestCommit(ctx context.Context, r TestCommitRequest) (*CommitTest, error) {
	if r.Kernel.Tree == "" {
		r.Kernel.Tree = "."
	}
	t := &CommitTest{}
	m, s, err := h.commit(ctx, r.SingleRequest)
	var fault *commitError
	if errors.As(err, &fault) && ctx.Err() == nil {
		t.Untestable = fault.reason
		if fault.log != "" {
			t.Untestable += " (log: " + fault.log + ")"
		}
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	store, err := h.OpenResults()
	if err != nil {
		return nil, err
	}
	record := h.singleRecord(m, s)
	writer, err := store.Create(&record)
	if err != nil {
		return nil, err
	}
	t.Dir = writer.Dir()
	return t, t.run(ctx, max(1, r.Runs), func(i int) (results.Run, error) {
		w, err := writer.StartRun(singleRun(m, s, i))
		if err != nil {
			return results.Run{}, err
		}
		return h.execute(ctx, w, m, s)
	})
}

// commit is single that tells a commit's faults from others, with the mistakes
// that can be found without a build before any of them.
func (h *Harness) commit(ctx context.Context, r SingleRequest) (*machine, *subject, error) {
	w, err := openSingle(r)
	if err != nil {
		return nil, nil, err
	}
	if len(w.Signatures) == 0 {
		return nil, nil, inputError(fmt.Errorf("workload %s has no signature, so nothing says what the bug looks like", w.Name))
	}
	spec, _, err := h.spec(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	if _, err := kernels.ResolveCommit(ctx, spec.Tree, spec.Rev); err != nil {
		return nil, nil, kernelError("kernel", err)
	}
	image, perturb, err := h.buildSingle(ctx, r)
	if err != nil {
		return nil, nil, commitFault(err)
	}
	m, err := h.newMachine(ctx, w, image.Path)
	if err != nil {
		return nil, nil, err
	}
	m.perturb = perturb
	s, err := commitSubject(m, image, image.Release)
	return m, s, err
}

// run does runs until the test is decided.
func (t *CommitTest) run(ctx context.Context, most int, one func(i int) (results.Run, error)) error {
	idle := 0
	for clean := 0; clean < most; {
		run, err := one(len(t.Runs))
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.Runs = append(t.Runs, run)
		switch run.Outcome {
		case judge.Reproduced:
			t.Reproduced = true
			return nil
		case judge.Clean:
			clean++
			idle = 0
			continue
		}
		if idle++; idle >= idleLimit {
			reason, err := whyIdle(idle, run)
			t.Untestable = reason
			return err
		}
	}
	return nil
}
