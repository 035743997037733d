package orchestrator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

// ForkBench compares runs that go on from saved machines with runs that boot, on
// one kernel, and the machines with each other.
type ForkBench struct {
	// Kernel and Workload are what was run; After is where the saved machines
	// stood.
	Kernel   string `json:"kernel"`
	Workload string `json:"workload"`
	After    string `json:"after"`
	// SaveSeconds is what it took to have the first saved machine.
	SaveSeconds float64    `json:"save_seconds"`
	Forked      ForkSample `json:"forked"`
	Booted      ForkSample `json:"booted"`
	// PValue is that of Fisher's exact test, two-sided, for "the two reproduce
	// equally often".
	PValue float64 `json:"p_value"`
	// Machines are the forked runs by the machine that they went on from, and
	// MachinesPValue that of judge.Alike for "all of them reproduce equally often".
	Machines       []judge.Share `json:"machines"`
	MachinesPValue float64       `json:"machines_p_value"`
	// Folder has the records of the runs.
	Folder string `json:"folder"`
}

// ForkSample is the runs of one kind.
type ForkSample struct {
	// Runs are those that count; Reproduced of them showed the bug.
	Runs       int `json:"runs"`
	Reproduced int `json:"reproduced"`
	Invalid    int `json:"invalid"`
	// MedianSeconds is the time of a run that counts.
	MedianSeconds float64 `json:"median_seconds"`
	// RunsPerHour counts one guest at a time, saving not included.
	RunsPerHour float64 `json:"runs_per_hour"`

	seconds  []float64
	machines []string // of each run
	seen     []bool   // the bug, in each run
}

// Differ says whether either test finds more than chance explains. Together they
// do so by chance once in 20 times at most.
func (b *ForkBench) Differ() bool { return min(b.PValue, b.MachinesPValue) < 0.05/2 }

// BenchFork does n forked and n booted runs of a plan's pre kernel, in turn, so
// that the host's other load meets both.
func (h *Harness) BenchFork(ctx context.Context, plan *workloads.Plan, n int) (*ForkBench, error) {
	if n < 1 || n > 10_000 {
		return nil, inputError(fmt.Errorf("%d runs of each kind: give 1 to 10000", n))
	}
	c, err := h.prepare(ctx, plan)
	if err != nil {
		return nil, err
	}
	booted := forkSide{c.machine, c.sides[judge.Pre], &ForkSample{}}
	m, s := *c.machine, *c.sides[judge.Pre]
	forked := forkSide{&m, &s, &ForkSample{}}
	begin := time.Now()
	if err := h.forkAll(ctx, forked.machine, []*subject{forked.subject}, 0, false); err != nil {
		return nil, fmt.Errorf("nothing to compare: no run can go on from a saved machine: %w", err)
	}
	b := &ForkBench{Kernel: s.record.Label, Workload: m.workload.Name, After: s.forked().After,
		SaveSeconds: time.Since(begin).Seconds()}
	c.record.Kind, c.record.Post = results.KindRun, results.KernelRecord{}
	if err := c.open(); err != nil {
		return nil, err
	}
	b.Folder = c.writer.Dir()
	err = c.compare(ctx, n, forked, booted)
	b.Forked, b.Booted = forked.sample.done(), booted.sample.done()
	b.PValue, _ = judge.FisherExact(b.Forked.Reproduced, b.Forked.Runs, b.Booted.Reproduced, b.Booted.Runs)
	b.Machines = forked.sample.shares()
	b.MachinesPValue = judge.Alike(b.Machines)
	return b, err
}

// forkSide is one of the two things compared.
type forkSide struct {
	machine *machine
	subject *subject
	sample  *ForkSample
}

// compare does the runs; which kind comes first alternates as well.
func (c *campaign) compare(ctx context.Context, n int, a, b forkSide) error {
	for i := range n {
		pair := []forkSide{a, b}
		if i%2 == 1 {
			slices.Reverse(pair)
		}
		for _, side := range pair {
			if err := c.sampleRun(ctx, side); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *campaign) sampleRun(ctx context.Context, side forkSide) error {
	m, s := side.machine, side.subject
	w, err := c.writer.StartRun(results.Run{Side: judge.Pre, Kernel: s.record, Accel: string(m.probe.Accel),
		Shape: m.shape(), Seed: m.perturb.runSeed(c.started), Forked: s.forked()})
	if err != nil {
		return err
	}
	c.started++
	run, err := c.h.execute(ctx, w, m, s)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	side.sample.add(run)
	return err
}

func (s *ForkSample) add(run results.Run) {
	if run.Outcome == judge.Invalid {
		s.Invalid++
		return
	}
	s.Runs++
	if run.Outcome == judge.Reproduced {
		s.Reproduced++
	}
	s.seconds = append(s.seconds, run.ElapsedSeconds)
	if run.Forked != nil {
		s.machines = append(s.machines, run.Forked.State)
		s.seen = append(s.seen, run.Outcome == judge.Reproduced)
	}
}

// shares counts the forked runs by machine, in the order of their first runs.
func (s *ForkSample) shares() []judge.Share {
	var out []judge.Share
	place := map[string]int{}
	for i, machine := range s.machines {
		at, ok := place[machine]
		if !ok {
			at = len(out)
			place[machine], out = at, append(out, judge.Share{})
		}
		out[at].Runs++
		if s.seen[i] {
			out[at].Events++
		}
	}
	return out
}

// done fills in what follows from all runs.
func (s *ForkSample) done() ForkSample {
	if len(s.seconds) == 0 {
		return *s
	}
	slices.Sort(s.seconds)
	sum := 0.0
	for _, v := range s.seconds {
		sum += v
	}
	n := len(s.seconds)
	s.MedianSeconds = (s.seconds[(n-1)/2] + s.seconds[n/2]) / 2
	s.RunsPerHour = 3600 * float64(n) / sum
	return *s
}
