package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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
}

func (s *savedState) close() error {
	return errors.Join(s.snapshot.Close(), s.held.Release())
}

// runsPerMachine is how many runs go on from a saved machine before another is
// made. What a boot draws by lot, all runs from one machine share; were one
// machine to serve them all, a verdict could rest on a single draw.
const runsPerMachine = 5

// forks hands out a kernel's saved machines, the next one after every
// runsPerMachine runs.
type forks struct {
	cache *statecache.Cache
	steps int // of the workload that the machines have behind them
	taken atomic.Int64
	first results.ForkRecord
}

// skip is how many steps a run of the subject finds done.
func (s *subject) skip() int {
	if s.state == nil {
		return 0
	}
	return s.forks.steps
}

// forked is what a run's record says of the machine that it goes on from: of its
// own, once it has that, and before, of the kernel's first.
func (s *subject) forked() *results.ForkRecord {
	switch {
	case s.state != nil:
		return &s.state.record
	case s.forks != nil:
		return &s.forks.first
	}
	return nil
}

// fork lets the runs of the subjects, which are all of a campaign, go on from
// saved machines, or those of none of them: runs that boot and runs that do not
// are never counted together. Why there is no machine is said in a note. The
// error is about ctx alone.
func (h *Harness) fork(ctx context.Context, m *machine, subjects ...*subject) error {
	if h.Fork != ForkAuto {
		return nil
	}
	err := h.forkAll(ctx, m, subjects, 0, false)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("saving machines for the runs: %w", context.Cause(ctx))
	}
	if err != nil {
		h.note("every run boots: " + err.Error())
	}
	return nil
}

// errNotSaved says that there is no saved machine yet and none was to be made.
var errNotSaved = errors.New("there is no saved machine yet")

// forkAll lets the runs of all subjects go on from saved machines, or of none.
// taken is how many runs they have had. With look it makes no machine, and the
// error is errNotSaved when one is missing.
func (h *Harness) forkAll(ctx context.Context, m *machine, subjects []*subject, taken int, look bool) error {
	steps := m.workload.SnapshotPhases()
	if steps < 0 {
		return errors.New("the workload says snapshot: " + workloads.SnapshotNone)
	}
	if m.probe.Accel != vm.AccelTCG {
		return fmt.Errorf("going on from a saved machine has been tried under %s only, and this is %s", vm.AccelTCG, m.probe.Accel)
	}
	cache, err := h.OpenStates()
	if err != nil {
		return err
	}
	all := make([]*forks, len(subjects))
	for i, s := range subjects {
		f := &forks{cache: cache, steps: steps}
		f.taken.Store(int64(taken))
		b := h.base(m, s, f, taken/runsPerMachine)
		state, err := b.saved(ctx, look)
		if err != nil {
			return err
		}
		f.first = state.record
		b.ended(state.origin())
		if err := state.close(); err != nil {
			return fmt.Errorf("closing a saved machine: %w", err)
		}
		all[i] = f
	}
	for i, s := range subjects {
		s.forks = all[i]
	}
	m.forked = true
	return nil
}

// origin says where the machine comes from.
func (s *savedState) origin() string {
	if s.held.Cached {
		return "found, after " + s.record.After
	}
	return "made after " + s.record.After
}

// take returns the subject of one run: a copy that goes on from a saved machine,
// or s itself when runs boot. Its state must be closed when the run is over.
func (h *Harness) take(ctx context.Context, m *machine, s *subject) (*subject, error) {
	if s.forks == nil {
		return s, nil
	}
	n := int(s.forks.taken.Add(1) - 1)
	b := h.base(m, s, s.forks, n/runsPerMachine)
	state, err := b.saved(ctx, false)
	if err != nil {
		return nil, err
	}
	if !state.held.Cached {
		b.ended(state.origin())
	}
	own := *s
	own.state = state
	return &own, nil
}

// describeFork puts into the campaign's record how its runs begin.
func (c *campaign) describeFork() {
	c.record.Shape = c.machine.shape()
	if !c.machine.forked {
		return
	}
	c.record.Warnings = append(c.record.Warnings, forkWarning(c.sides[judge.Pre]))
}

// forkWarning is what readers must know of forked runs.
func forkWarning(s *subject) string {
	return fmt.Sprintf("runs go on from machines that were saved after %s, up to %d from each: what happens up to there is not repeated in every run (--fork off does that)", s.forked().After, runsPerMachine)
}

// base describes the kernel's saved machine of a number, from 0.
func (h *Harness) base(m *machine, s *subject, f *forks, number int) *base {
	task := "saved machine"
	if s.name != "" {
		task = "saved " + s.name + " machine"
	}
	if number > 0 {
		task += fmt.Sprintf(" %d", number+1)
	}
	return &base{harness: h, machine: m, subject: s, forks: f, number: number, task: task, begin: time.Now()}
}

// saved finds the machine in the cache or, unless it is only to look, makes it.
func (b *base) saved(ctx context.Context, look bool) (_ *savedState, err error) {
	key := b.key()
	held, err := b.forks.cache.Get(ctx, key, checkState, func(dir string) error {
		if look {
			return errNotSaved
		}
		return b.make(ctx, dir)
	})
	if errors.Is(err, errNotSaved) {
		return nil, errNotSaved
	}
	if err != nil {
		b.ended("failed")
		return nil, fmt.Errorf("%s: %w", b.task, withoutLog(err))
	}
	out := &savedState{held: held}
	out.record, err = readState(held.Dir)
	if err == nil {
		out.snapshot, err = vm.OpenSnapshot(held.Dir)
	}
	if err != nil {
		return nil, errors.Join(err, held.Release())
	}
	out.record.State = key
	return out, nil
}

// withoutLog takes the name of a guest's log out of its failure: what is left of
// a machine that could not be saved has been removed. Whose fault it is stays.
func withoutLog(err error) error {
	var failure *vm.Failure
	if !errors.As(err, &failure) {
		return err
	}
	logless := *failure
	logless.Detail, _, _ = strings.Cut(failure.Detail, "; see ")
	var fault *baseFault
	if errors.As(err, &fault) {
		return &baseFault{&logless}
	}
	return &logless
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

// wake gets the run the machine that it goes on from, if it is to go on from one.
// It returns why the run cannot count, or "".
func (r *runner) wake(ctx context.Context) (invalid string) {
	own, err := r.harness.take(ctx, r.machine, r.subject)
	if err != nil {
		return r.failed(ctx, fmt.Errorf("no machine to go on from: %w", err))
	}
	r.subject, r.begin = own, time.Now()
	if own.state != nil {
		r.keep(r.record.GoOnFrom(own.state.record))
	}
	return ""
}

// release ends the run's use of its saved machine.
func (r *runner) release() {
	if s := r.subject.state; s != nil {
		r.keep(s.close())
	}
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
