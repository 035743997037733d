package orchestrator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

// JobsBench is how much gets done with how many guests at a time.
type JobsBench struct {
	JobsKey
	Kernel   string `json:"kernel"`
	Workload string `json:"workload"`
	// Jobs is the number of guests that gets most done: the smallest one whose
	// runs an hour come within jobsSlack of the most.
	Jobs     int         `json:"jobs"`
	Levels   []JobsLevel `json:"levels"`
	Measured time.Time   `json:"measured"`
	// Folder has the records of the runs.
	Folder string `json:"folder,omitempty"`
}

// JobsLevel is one number of guests at a time.
type JobsLevel struct {
	Jobs int `json:"jobs"`
	// Runs are those that count; Reproduced of them showed the bug.
	Runs       int `json:"runs"`
	Reproduced int `json:"reproduced"`
	Invalid    int `json:"invalid"`
	// Seconds is the time that all of them took together.
	Seconds float64 `json:"seconds"`
	// RunsPerHour and ReproductionsPerHour need not have their most at the same
	// number of guests: more guests than processors change the rate of a race.
	RunsPerHour          float64 `json:"runs_per_hour"`
	ReproductionsPerHour float64 `json:"reproductions_per_hour"`
}

const (
	// jobsSlack is what fewer guests may do less, as a share: the gain must be
	// worth guests that get in each other's way.
	jobsSlack = 0.03
	// jobsFall is how much less than the best a number of guests must do, as a
	// share, for more guests not to be tried.
	jobsFall = 0.1
)

// JobsOptions bounds a measurement. Zero fields mean the defaults.
type JobsOptions struct {
	// Turns is how often every number of guests has its turn; default 3.
	Turns int
	// Runs is the least number of runs in a turn; default 4. As many as fill all
	// places to the end are done.
	Runs int
	// Most is the largest number of guests; default twice the processors, and no
	// more than have memory.
	Most int
}

func (o JobsOptions) check() error {
	if o.Turns < 0 || o.Runs < 0 || o.Most < 0 || o.Most > mostJobs {
		return inputError(fmt.Errorf("%d turns of %d runs with up to %d guests: none may be negative, and the guests at most %d", o.Turns, o.Runs, o.Most, mostJobs))
	}
	return nil
}

func (o JobsOptions) withDefaults(all room, g workloads.Guest) (JobsOptions, error) {
	memory := max(1, all.memMiB/max(1, g.MemoryMiB()))
	if o.Most > memory {
		return o, inputError(fmt.Errorf("%d guests of %d MiB do not fit into the host's memory: at most %d do", o.Most, g.MemoryMiB(), memory))
	}
	for _, d := range []struct {
		value *int
		usual int
	}{{&o.Turns, 3}, {&o.Runs, 4}, {&o.Most, min(memory, 2*all.cpus)}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	return o, nil
}

// BenchJobs measures how many guests at a time get most done on a plan's pre
// kernel, and keeps the answer for later campaigns.
func (h *Harness) BenchJobs(ctx context.Context, plan *workloads.Plan, o JobsOptions) (*JobsBench, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	c, err := h.prepare(ctx, plan)
	if err != nil {
		return nil, err
	}
	if o, err = o.withDefaults(h.capacity(0), c.machine.guest); err != nil {
		return nil, err
	}
	s := c.sides[judge.Pre]
	b := &JobsBench{JobsKey: thisHost(c.machine.probe.Accel, c.machine.guest), Kernel: s.record.Label, Workload: c.machine.workload.Name, Measured: time.Now()}
	c.record.Kind, c.record.Post = results.KindRun, results.KernelRecord{}
	if err := c.open(); err != nil {
		return nil, err
	}
	b.Folder = c.writer.Dir()
	err = b.measure(ctx, o, func(ctx context.Context, jobs, runs int) (JobsLevel, error) {
		return jobsTurn(ctx, jobs, runs, func() (func(context.Context) (results.Run, error), error) {
			w, err := c.start(judge.Pre)
			return func(ctx context.Context) (results.Run, error) { return h.execute(ctx, w, c.machine, s) }, err
		})
	})
	if err != nil {
		return b, err
	}
	c.record.ElapsedSeconds = time.Since(c.began).Seconds()
	return b, errors.Join(c.writer.Update(&c.record), h.keepJobs(b))
}

// measure lets one number of guests after the other have its turn: the first
// time 1, 2, 3, ... until it does clearly less, then those again, in the other
// direction every other time, so that the host's other load meets all alike.
func (b *JobsBench) measure(ctx context.Context, o JobsOptions, turn func(ctx context.Context, jobs, runs int) (JobsLevel, error)) error {
	take := func(i int) error {
		l := &b.Levels[i]
		got, err := turn(ctx, l.Jobs, (o.Runs+l.Jobs-1)/l.Jobs*l.Jobs)
		l.add(got)
		return err
	}
	best := 0.0
	for jobs := 1; jobs <= o.Most; jobs++ {
		b.Levels = append(b.Levels, JobsLevel{Jobs: jobs})
		if err := take(jobs - 1); err != nil {
			return err
		}
		rate := b.Levels[jobs-1].RunsPerHour
		if rate < (1-jobsFall)*best {
			break
		}
		best = max(best, rate)
	}
	for i := 1; i < o.Turns; i++ {
		order := make([]int, len(b.Levels))
		for k := range order {
			order[k] = k
		}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, k := range order {
			if err := take(k); err != nil {
				return err
			}
		}
	}
	return b.choose()
}

// choose names the best number of guests.
func (b *JobsBench) choose() error {
	most := slices.MaxFunc(b.Levels, func(x, y JobsLevel) int { return cmp.Compare(x.RunsPerHour, y.RunsPerHour) })
	if most.Runs == 0 {
		return fmt.Errorf("nothing was measured: no run counts; their records are in %s", b.Folder)
	}
	i := slices.IndexFunc(b.Levels, func(l JobsLevel) bool { return l.RunsPerHour >= (1-jobsSlack)*most.RunsPerHour })
	b.Jobs = b.Levels[i].Jobs
	return nil
}

func (l *JobsLevel) add(o JobsLevel) {
	l.Runs, l.Reproduced, l.Invalid = l.Runs+o.Runs, l.Reproduced+o.Reproduced, l.Invalid+o.Invalid
	l.Seconds += o.Seconds
	if l.Seconds > 0 {
		l.RunsPerHour = float64(l.Runs) * 3600 / l.Seconds
		l.ReproductionsPerHour = float64(l.Reproduced) * 3600 / l.Seconds
	}
}

// jobsTurn does a number of runs, jobs of them at a time.
func jobsTurn(ctx context.Context, jobs, runs int, start func() (func(context.Context) (results.Run, error), error)) (JobsLevel, error) {
	var level JobsLevel
	var mu sync.Mutex
	begin := time.Now()
	err := inParallel(ctx, runs, jobs, func(int) (func(context.Context) error, error) {
		do, err := start()
		return func(ctx context.Context) error {
			run, err := do(ctx)
			mu.Lock()
			defer mu.Unlock()
			level.count(run)
			return err
		}, err
	})
	level.Seconds = time.Since(begin).Seconds()
	return level, err
}

func (l *JobsLevel) count(run results.Run) {
	switch run.Outcome {
	case judge.Invalid:
		l.Invalid++
		return
	case judge.Reproduced:
		l.Reproduced++
	}
	l.Runs++
}
