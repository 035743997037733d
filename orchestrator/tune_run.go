package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
)

// tuneTask is a run to do.
type tuneTask struct {
	trial *trial
	stage results.TuneStage
	// limit of processor time in seconds; 0 is none.
	limit float64
	// arm of the search, in its stage.
	arm int
}

// subject is the kernel of a task.
func (k tuneTask) subject() *subject {
	if k.stage == results.StagePost {
		return k.trial.post
	}
	return k.trial.pre
}

// room is what a task's guest takes from the host.
func (k tuneTask) room() room {
	g := k.trial.machine.guest
	return room{cpus: g.VCPUs + g.Load, memMiB: g.MemoryMiB(), diskMiB: g.DiskMiB(), guests: 1}
}

// queue gives out tasks. next is asked until it has none; a task that has been
// given out is begun only when there is room for it, and until then next gives
// the same again.
type queue interface {
	next() (tuneTask, bool)
	begun(tuneTask)
	ended(tuneTask, results.Run)
}

// work does a queue's tasks, as many at a time as the host has room for, until it
// has no more or ctx ends. Runs that ctx cut are recorded as stopped.
func (t *tuning) work(ctx context.Context, q queue) error {
	type done struct {
		task tuneTask
		run  results.Run
		err  error
	}
	ended := make(chan done)
	all, used := t.h.capacity(t.request.Jobs), room{}
	var failed error
	for {
		task, more := tuneTask{}, false
		if failed == nil && ctx.Err() == nil {
			task, more = q.next()
		}
		if more && all.fits(used, task.room()) {
			w, err := t.startRun(task)
			if err != nil {
				failed = err
				continue
			}
			q.begun(task)
			used = used.plus(task.room())
			go func() {
				m := *task.trial.machine
				m.cpuLimit = task.limit
				run, err := t.execute(ctx, w, &m, task.subject())
				ended <- done{task, run, err}
			}()
			continue
		}
		if used.guests == 0 {
			if more {
				failed = errors.New("there is no room for a guest: the disk that the results are on is full")
			}
			return failed
		}
		e := <-ended
		used = used.minus(e.task.room())
		t.runs = append(t.runs, e.run)
		if e.run.Stopped && !results.Counted(&e.run) && isSignal(ctx) {
			t.sitting().InFlight = append(t.sitting().InFlight, e.run.ID)
		}
		q.ended(e.task, e.run)
		if failed == nil {
			failed = e.err
		}
	}
}

func (t *tuning) startRun(k tuneTask) (*results.RunWriter, error) {
	m, s := k.trial.machine, k.subject()
	w, err := t.writer.StartRun(results.Run{Side: results.Single, Setting: k.trial.key, Stage: k.stage, Kernel: s.record,
		Accel: string(m.probe.Accel), Shape: m.shape(), Seed: m.perturb.runSeed(t.started), Started: t.now()})
	t.started++
	return w, err
}

// until ends ctx at a time, with the budget as the reason.
func until(ctx context.Context, end time.Time) (context.Context, context.CancelFunc) {
	return context.WithDeadlineCause(ctx, end, errBudget)
}

// isSignal says that a context ended, and not by its time.
func isSignal(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), errBudget)
}

// tuneStartRuns is how many runs of the start are enough.
const tuneStartRuns = 16

// startQueue measures the start.
type startQueue struct {
	t       *tuning
	end     time.Time
	longest time.Duration // that a run took
	count   int           // runs that have begun, but for invalid ones
	bad     int           // invalid ones
	reason  string        // of the last of them
}

func (q *startQueue) next() (tuneTask, bool) {
	left, result := q.end.Sub(q.t.now()), q.t.result()
	switch {
	case q.count >= tuneStartRuns, q.bad >= 2 && q.bad >= q.count, left <= 0:
		return tuneTask{}, false
	case q.longest > left:
		return tuneTask{}, false // it would be cut
	case !result.Worth():
		return tuneTask{}, false
	}
	return tuneTask{trial: q.t.start, stage: results.StageStart}, true
}

func (q *startQueue) begun(tuneTask) { q.count++ }

func (q *startQueue) ended(_ tuneTask, r results.Run) {
	q.longest = max(q.longest, time.Duration(r.ElapsedSeconds*float64(time.Second)))
	if r.Outcome == judge.Invalid && !r.Stopped {
		q.count, q.bad, q.reason = q.count-1, q.bad+1, r.InvalidReason
	}
}

// measureStart runs the start until its rate is known well enough, or until end,
// which cuts it.
func (t *tuning) measureStart(ctx context.Context, end time.Time) error {
	q := &startQueue{t: t, end: end}
	t.retell(q, func(r *results.Run) (tuneTask, bool) {
		return tuneTask{trial: t.start, stage: r.Stage}, r.Stage == results.StageStart
	})
	if len(t.record.Tune.Rungs) > 0 {
		return nil // the search has begun with what was measured by then
	}
	bounded, cancel := until(ctx, end)
	defer cancel()
	if err := t.work(bounded, q); err != nil {
		return err
	}
	if q.bad >= 2 && q.count == 0 {
		return fmt.Errorf("the start's own runs are invalid, so there is nothing to compare with: %s", q.reason)
	}
	t.h.note("start: " + t.rateLine(results.TuneStart))
	return nil
}

// rateLine is what is known of a setting's rate, for a display.
func (t *tuning) rateLine(key string) string {
	result := t.result()
	for i := range result.Rows {
		if row := &result.Rows[i]; row.Key == key {
			return results.TallyText(row.Tally())
		}
	}
	return ""
}

// searchQueue is a rung of the search.
type searchQueue struct {
	t *tuning
	s *judge.TuneSearch
	// trials are those of the rung's arms; nil for those that could not be made
	// ready.
	trials map[int]*trial
}

func (q *searchQueue) next() (tuneTask, bool) {
	arm, ok := q.s.Next()
	if !ok {
		return tuneTask{}, false
	}
	return tuneTask{trial: q.trials[arm], stage: results.StageSearch, limit: q.s.Limit(), arm: arm}, true
}

func (q *searchQueue) begun(k tuneTask) { q.s.Started(k.arm) }

func (q *searchQueue) ended(k tuneTask, r results.Run) { q.s.Observe(k.arm, results.TuneRunOf(&r)) }

// processors is how many of the host's are taken to work for guests before that
// has been measured.
func processors() float64 { return 0.75 * float64(runtime.NumCPU()) }
