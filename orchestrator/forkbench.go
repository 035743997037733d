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
	// Machines are the runs by saved machine.
	Machines []MachineSample `json:"machines"`
	// PValue and MachinesPValue are those of judge.CompareBlocks for "the two
	// reproduce equally often" and for "they do so with every machine".
	PValue         float64 `json:"p_value"`
	MachinesPValue float64 `json:"machines_p_value"`
	// Folder has the records of the runs.
	Folder string `json:"folder"`
}

// MachineSample is the runs that went on from one saved machine, and those that
// booted in turn with them. Runs that are invalid are in neither.
type MachineSample struct {
	Forked judge.Share `json:"forked"`
	Booted judge.Share `json:"booted"`
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
	machines []judge.Share // the runs by the machine that they were done with or beside
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
	b.compare()
	return b, err
}

// compare draws from the samples what follows from both.
func (b *ForkBench) compare() {
	var blocks []judge.Block
	for i := range min(len(b.Forked.machines), len(b.Booted.machines)) {
		m := MachineSample{b.Forked.machines[i], b.Booted.machines[i]}
		b.Machines = append(b.Machines, m)
		blocks = append(blocks, judge.Block{First: m.Forked, Second: m.Booted})
	}
	b.PValue, b.MachinesPValue = judge.CompareBlocks(blocks)
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
			if err := c.sampleRun(ctx, side, i/runsPerMachine); err != nil {
				return err
			}
		}
	}
	return nil
}

// sampleRun does a run of one kind, by or beside the saved machine of a number.
func (c *campaign) sampleRun(ctx context.Context, side forkSide, machine int) error {
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
	side.sample.add(run, machine)
	return err
}

func (s *ForkSample) add(run results.Run, machine int) {
	for len(s.machines) <= machine {
		s.machines = append(s.machines, judge.Share{})
	}
	if run.Outcome == judge.Invalid {
		s.Invalid++
		return
	}
	s.Runs++
	s.machines[machine].Runs++
	if run.Outcome == judge.Reproduced {
		s.Reproduced++
		s.machines[machine].Events++
	}
	s.seconds = append(s.seconds, run.ElapsedSeconds)
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
