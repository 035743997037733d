package orchestrator

import (
	"context"
	"errors"
	"slices"
)

// wantFork decides whether the runs of a search are to go on from saved
// machines. In a search that goes on, the runs so far decide: those that boot
// and those that do not need not have the same rate.
func (b *bisection) wantFork() {
	b.mayFork = b.h.Fork == ForkAuto
	if len(b.Runs) > 0 {
		b.mayFork = slices.ContainsFunc(b.Runs, isForked)
		b.forked = b.mayFork
	}
	b.machine.forked = b.forked
}

// forkCommit gets the kernel of a commit its saved machines. The first kernel
// decides for the whole search; a later one that no machine can be saved on is
// untestable, which ok = false says and the record too.
func (b *bisection) forkCommit(ctx context.Context, node int, s *subject) (ok bool, err error) {
	if !b.mayFork || s.forks != nil {
		return true, nil
	}
	taken := b.runsAt(b.Commit(node).Commit)
	err = b.fork(ctx, s, taken)
	var fault *baseFault
	if errors.As(err, &fault) && ctx.Err() == nil {
		err = b.fork(ctx, s, taken) // as one run without a result says nothing
	}
	b.machine.forked = b.forked || err == nil
	switch {
	case err == nil:
		if b.forked {
			return true, nil
		}
		b.forked = true
		b.Campaign.Shape = b.machine.shape()
		b.warn(forkWarning(s))
		return true, b.Update()
	case ctx.Err() != nil:
		return false, err
	case !b.forked:
		b.mayFork = false
		b.warn("every run boots: " + err.Error())
		return true, b.Update()
	case errors.As(err, &fault):
		return false, b.untestable(node, "no machine can be saved on it, and runs of other commits went on from one: "+err.Error(), "")
	}
	return false, err
}

// runsAt is how many runs a commit has had.
func (b *bisection) runsAt(commit string) (n int) {
	for _, r := range b.Runs {
		if r.Commit == commit {
			n++
		}
	}
	return n
}

func (b *bisection) warn(text string) {
	b.Campaign.Warnings = append(b.Campaign.Warnings, text)
	b.h.note(text)
}
