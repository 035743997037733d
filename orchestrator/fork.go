package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm"
	"patchproof/vm/statecache"
	"patchproof/workloads"
)

// savedState is a machine that has walked through a workload's first phases on
// one kernel. Runs go on from it instead of repeating them.
type savedState struct {
	held     *statecache.State
	snapshot *vm.Snapshot
	record   results.ForkRecord
	steps    int // of the workload that it has behind it
}

func (s *savedState) close() error {
	return errors.Join(s.snapshot.Close(), s.held.Release())
}

// skip is how many steps a run of the subject finds done.
func (s *subject) skip() int {
	if s.state == nil {
		return 0
	}
	return s.state.steps
}

// forked is what the run's record says of the machine that it went on from.
func (s *subject) forked() *results.ForkRecord {
	if s.state == nil {
		return nil
	}
	return &s.state.record
}

// fork gives the subjects, which are all of a campaign, a saved machine each to
// go on from, or none of them: runs that boot and runs that do not are never
// counted together. Why there is none is said in a note. The error is about ctx
// alone. unfork must be called when no run can follow.
func (h *Harness) fork(ctx context.Context, m *machine, subjects ...*subject) (unfork func(), err error) {
	if h.Fork != ForkAuto {
		return func() {}, nil
	}
	unfork, err = h.forkAll(ctx, m, subjects, false)
	if err == nil {
		return unfork, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("saving machines for the runs: %w", context.Cause(ctx))
	}
	h.note("every run boots: " + err.Error())
	return func() {}, nil
}

// errNotSaved says that there is no saved machine yet and none was to be made.
var errNotSaved = errors.New("there is no saved machine yet")

// forkAll gives the subjects a saved machine each, or none of them. With look it
// makes none, and the error is errNotSaved when one is missing.
func (h *Harness) forkAll(ctx context.Context, m *machine, subjects []*subject, look bool) (unfork func(), err error) {
	unfork = func() { h.unfork(m, subjects) }
	defer func() {
		if err != nil {
			unfork()
		}
	}()
	steps := m.workload.SnapshotPhases()
	if steps < 0 {
		return unfork, errors.New("the workload says snapshot: " + workloads.SnapshotNone)
	}
	if m.probe.Accel != vm.AccelTCG {
		return unfork, fmt.Errorf("going on from a saved machine has been tried under %s only, and this is %s", vm.AccelTCG, m.probe.Accel)
	}
	cache, err := h.OpenStates()
	if err != nil {
		return unfork, err
	}
	for _, s := range subjects {
		if s.state, err = h.saved(ctx, cache, m, s, steps, look); err != nil {
			return unfork, err
		}
	}
	m.forked = true
	return unfork, nil
}

func (h *Harness) unfork(m *machine, subjects []*subject) {
	m.forked = false
	for _, s := range subjects {
		if s.state == nil {
			continue
		}
		if err := s.state.close(); err != nil {
			h.note("closing a saved machine: " + err.Error())
		}
		s.state = nil
	}
}

// describeFork puts into the campaign's record how its runs begin.
func (c *campaign) describeFork() {
	c.record.Shape = c.machine.shape()
	if !c.machine.forked {
		return
	}
	c.record.Warnings = append(c.record.Warnings, seenOnce(c.sides[judge.Pre]))
}

// seenOnce is what readers must know of forked runs.
func seenOnce(s *subject) string {
	return fmt.Sprintf("runs go on from machines that were saved after %s: what happens up to there was seen once on each kernel (--fork off repeats it in every run)", s.state.record.After)
}

// saved finds the machine for one kernel in the cache or, unless it is only to
// look, makes it.
func (h *Harness) saved(ctx context.Context, cache *statecache.Cache, m *machine, s *subject, steps int, look bool) (_ *savedState, err error) {
	task := "saved machine"
	if name := s.name; name != "" {
		task = "saved " + name + " machine"
	}
	b := &base{harness: h, machine: m, subject: s, steps: steps, task: task}
	begin := time.Now()
	held, err := cache.Get(ctx, b.key(), checkState, func(dir string) error {
		if look {
			return errNotSaved
		}
		return b.make(ctx, dir)
	})
	if errors.Is(err, errNotSaved) {
		return nil, errNotSaved
	}
	if err != nil {
		h.emit(Event{Task: task, Finished: true, Elapsed: time.Since(begin), Message: "failed"})
		return nil, fmt.Errorf("%s: %w", task, withoutLog(err))
	}
	out := &savedState{held: held, steps: steps}
	out.record, err = readState(held.Dir)
	if err == nil {
		out.snapshot, err = vm.OpenSnapshot(held.Dir)
	}
	if err != nil {
		return nil, errors.Join(err, held.Release())
	}
	out.record.State = b.key()
	message := "made after " + out.record.After
	if held.Cached {
		message = "found, after " + out.record.After
	}
	h.emit(Event{Task: task, Finished: true, Elapsed: time.Since(begin), Message: message})
	return out, nil
}

// withoutLog takes the name of a guest's log out of its failure: what is left of
// a machine that could not be saved has been removed.
func withoutLog(err error) error {
	var failure *vm.Failure
	if !errors.As(err, &failure) {
		return err
	}
	detail, _, _ := strings.Cut(failure.Detail, "; see ")
	return fmt.Errorf("%s: %s", failure.Kind, detail)
}

// checkState says whether a state of the cache can be used.
func checkState(dir string) error {
	if _, err := readState(dir); err != nil {
		return err
	}
	s, err := vm.OpenSnapshot(dir)
	if err != nil {
		return err
	}
	return s.Close()
}

// beginning is what a display calls the start of a run.
func (r *runner) beginning() string {
	if r.subject.state != nil {
		return "fork"
	}
	return "boot"
}

// baseConsole is the name that a forked run's folder has for the console log of
// the machine that it went on from.
const baseConsole = "console-base.log"

// keepBaseConsole copies the log that comes before the run's own: the cache may
// lose it.
func (r *runner) keepBaseConsole() error {
	s := r.subject.state
	if s == nil {
		return nil
	}
	log, err := os.ReadFile(filepath.Join(s.held.Dir, baseDir, consoleFile))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.record.Dir(), baseConsole), log, 0o644)
}

// before is the phase that the kernel's reports belong to until the run's first
// phase begins.
func (s *subject) before() []window {
	if s.skip() == 0 {
		return nil
	}
	last := s.steps[s.skip()-1]
	return []window{{phase: last.Phase, name: last.Name, end: -1}}
}
