package orchestrator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm"
)

// take builds the commit of a step and runs there, at most as often as the step
// says. It may do less: the judge is asked again after every batch.
func (b *bisection) take(ctx context.Context, step judge.Step) error {
	s, err := b.kernel(ctx, step.Node)
	if err != nil || s == nil {
		return err
	}
	if ok, err := b.forkCommit(ctx, step.Node, s); err != nil || !ok {
		return err
	}
	if err := b.batch(ctx, step, s); err != nil || ctx.Err() != nil {
		return err
	}
	return b.settle(step.Node)
}

// subject returns the kernel of a commit, or nil when the commit turned out to
// be untestable, and that is recorded.
func (b *bisection) subject(ctx context.Context, node int) (*subject, error) {
	if s := b.subjects[node]; s != nil {
		return s, nil
	}
	image, err := b.build(ctx, node)
	if err == nil {
		err = b.boots(ctx, image)
	}
	var s *subject
	if err == nil {
		s, err = commitSubject(b.machine, image, b.oldest)
	}
	var fault *commitError
	if errors.As(err, &fault) && ctx.Err() == nil {
		return nil, b.untestable(node, fault.reason, fault.log)
	}
	if err != nil {
		return nil, err
	}
	b.subjects[node] = s
	return s, nil
}

// commitSubject is newSubject for one commit of many: a kernel that the workload
// does not fit is that commit's fault.
func commitSubject(m *machine, image *kernels.Image, oldest string) (*subject, error) {
	s, err := newSubject(m, "", image, oldest)
	if err != nil {
		return nil, &commitError{reason: err.Error()}
	}
	return s, nil
}

// build returns the image of a commit and records what it took.
func (b *bisection) build(ctx context.Context, node int) (*kernels.Image, error) {
	commit := b.Commit(node).Commit
	spec := b.spec
	spec.Rev = commit
	cached, err := b.store.CachedCommits(ctx, spec, []string{commit})
	if err != nil {
		return nil, kernelError("kernel", err)
	}
	begin := time.Now()
	image, err := b.h.buildKernel(ctx, b.store, commit[:min(12, len(commit))], spec, 0)
	if err != nil {
		return nil, commitFault(err)
	}
	return image, b.Add(results.BisectEvent{Event: results.EventBuild, Commit: commit, Cached: cached[0], Seconds: time.Since(begin).Seconds()})
}

// boots makes the machine ready with the first image that there is.
func (b *bisection) boots(ctx context.Context, image *kernels.Image) error {
	if b.machine != nil {
		return nil
	}
	m, err := b.h.newMachine(ctx, b.workload, image.Path)
	if err != nil {
		return err
	}
	m.perturb = b.perturb
	b.machine = m
	b.wantFork()
	c := b.Campaign
	if accel := string(m.probe.Accel); c.Host.Accel != "" && (c.Host.Accel != accel || c.Shape != m.shape()) {
		return inputError(fmt.Errorf("the runs so far were made with %s, %s, and here it would be %s, %s: their rates cannot be put together, begin anew", c.Host.Accel, c.Shape, accel, m.shape()))
	}
	c.Host, c.Shape = m.host(), m.shape()
	return b.Update()
}

// commitError is a failure that is about one commit and leaves the others alone.
type commitError struct {
	reason string
	log    string // of a build; may be empty
}

// Error implements error.
func (e *commitError) Error() string { return e.reason }

// commitFault makes a commitError of what is about the commit and returns other
// errors as they are.
func commitFault(err error) error {
	var (
		build  *kernels.BuildError
		patch  *kernels.PatchError
		source *kernels.SourceError
	)
	switch {
	case errors.As(err, &build) && !build.Host:
		where := build.File
		if where != "" && build.Line > 0 {
			where += fmt.Sprintf(":%d", build.Line)
		}
		if where != "" {
			where += ": "
		}
		return &commitError{"does not build: " + where + build.Message, build.Log}
	case errors.As(err, &patch):
		return &commitError{reason: "patch does not apply: " + patch.Error()}
	case errors.As(err, &source):
		return &commitError{reason: "cannot be built: " + source.Error()}
	}
	return err
}

func (b *bisection) untestable(node int, reason, log string) error {
	c := b.Commit(node)
	b.h.note(fmt.Sprintf("%.12s is untestable: %s", c.Commit, reason))
	return b.Add(results.BisectEvent{Event: results.EventUntestable, Commit: c.Commit, Reason: reason, Log: log})
}

// batch does up to step.Runs runs of one image, several at a time when there is
// room. The first one that reproduces ends the others, but where the rate is
// learned: what they would have shown is no evidence, whichever way.
func (b *bisection) batch(ctx context.Context, step judge.Step, s *subject) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type ended struct {
		run results.Run
		err error
	}
	done := make(chan ended)
	var failed error
	started := 0
	for ; started < min(step.Runs, b.jobs); started++ {
		w, err := b.StartRun(b.Commit(step.Node).Commit, results.Run{Kernel: s.record, Accel: string(b.machine.probe.Accel),
			Shape: b.machine.shape(), Seed: b.perturb.runSeed(b.RunsStarted()), Forked: s.forked()})
		if err != nil {
			failed = err
			cancel(err)
			break
		}
		go func() {
			run, err := b.execute(ctx, w, s)
			done <- ended{run, err}
		}()
	}
	for range started {
		e := <-done
		failed = cmp.Or(failed, e.err)
		if err := b.AddRun(e.run); err != nil {
			failed = cmp.Or(failed, err)
		}
		if failed != nil {
			cancel(failed)
		} else if e.run.Outcome == judge.Reproduced && step.Purpose != judge.PurposeCalibrate {
			cancel(errDecided)
		}
	}
	return failed
}

// Runs at a commit that say nothing of the bug, one after another: idleLimit of
// them make the commit untestable; at a commit that could be tested before,
// brokenLimit of them mean that something else is wrong.
const (
	idleLimit   = 2
	brokenLimit = 6
)

// settle decides whether a commit that has just been run is untestable.
func (b *bisection) settle(node int) error {
	idle, testable := b.Idle(node)
	if idle < idleLimit {
		return nil
	}
	c := b.Commit(node)
	last := b.lastRun(c.Commit)
	if last == nil {
		return nil
	}
	reason, err := whyIdle(idle, *last)
	if err == nil && testable && idle >= brokenLimit {
		err = fmt.Errorf("commit %.12s could be tested before, and now %s; is the host overloaded?", c.Commit, reason)
	}
	if err != nil {
		return err
	}
	return b.untestable(node, reason, "")
}

// hostFailures are ends of a guest that no commit is to blame for.
var hostFailures = []vm.FailureKind{vm.FailureStart, vm.FailureDiskFull, vm.FailureQEMUDied}

// whyIdle says why a commit is untestable after runs that say nothing of the
// bug. It is an error when the host is to blame.
func whyIdle(idle int, last results.Run) (string, error) {
	reason := fmt.Sprintf("%d runs in a row say nothing of the bug, the last one (%s): %s: %s", idle, last.ID, last.Outcome, cmp.Or(last.Reason, last.InvalidReason))
	if f := last.Failure; f != nil && slices.Contains(hostFailures, vm.FailureKind(f.Kind)) {
		return "", fmt.Errorf("because of the host, %s", reason)
	}
	return reason, nil
}

// lastRun returns the last run at a commit that was not stopped from outside.
func (b *bisection) lastRun(commit string) *results.Run {
	for _, r := range slices.Backward(b.Runs) {
		if r.Commit == commit && !r.Stopped {
			return &r
		}
	}
	return nil
}
