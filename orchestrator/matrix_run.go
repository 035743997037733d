package orchestrator

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/workloads"
)

// matrix is a matrix campaign that is being carried out. One goroutine, the
// one in loop, owns all of it; builds and runs report to it through done.
type matrix struct {
	h       *Harness
	plan    *MatrixPlan
	runner  cellRunner
	began   time.Time
	seed    uint64          // what the seeds of perturbed runs are made from
	kernels []*matrixKernel // in the order of building
	// kernelOf and inputs are those of the plan's cells.
	kernelOf []*matrixKernel
	inputs   []string

	writer *results.CampaignWriter
	unlock func() // lets another process go on with the campaign
	record results.Campaign
	runs   []results.Run // those that have ended
	past   past

	budget        time.Duration
	maxRuns, jobs int

	cells    []*matrixCell // in the plan's order
	used     room
	begun    int    // runs of this process
	building int    // processors that the build under way takes; 0: there is none
	stop     string // why no more runs begin, or ""
	done     chan func()
	busy     int // builds and runs that have not reported yet
}

// cellRunner builds kernels and runs guests.
type cellRunner interface {
	build(ctx context.Context, k *matrixKernel, jobs int) (*kernels.Image, error)
	// ready makes a cell ready; an *InputError says that it can never run.
	ready(ctx context.Context, w *workloads.Workload, k *matrixKernel) (*machine, *subject, error)
	run(ctx context.Context, w *results.RunWriter, c *matrixCell) (results.Run, error)
	// fork lets the runs of a cell go on from a saved machine, which it makes
	// unless it is only to look for one. The error says why they have to boot.
	fork(ctx context.Context, c *matrixCell, look bool) error
}

// matrixCell is a cell with what the scheduler knows of it.
type matrixCell struct {
	record *results.CellRecord
	kernel *matrixKernel
	result results.CellResult
	runs   []results.Run // those that have ended
	flying int           // runs in flight
	need   room          // of a run
	fork   cellFork
	// machine and subject are nil until the first run.
	machine *machine
	subject *subject
}

// lacks is how many more runs can begin.
func (c *matrixCell) lacks() int {
	if c.record.Skipped != "" {
		return 0
	}
	return c.result.Missing - c.flying
}

// limit takes the limits from the request or the plan.
func (m *matrix) limit(r MatrixRequest) {
	p := m.plan.Plan
	m.budget = cmp.Or(r.Budget, time.Duration(p.Budget))
	m.maxRuns = cmp.Or(r.MaxRuns, p.MaxRuns)
	m.jobs = cmp.Or(r.Jobs, p.Jobs)
}

// carryOut runs what the cells lack and writes the campaign's end.
func (m *matrix) carryOut(ctx context.Context) (*MatrixResult, error) {
	defer m.unlock()
	m.count(ctx)
	if err := m.writer.Update(&m.record); err != nil {
		return nil, err
	}
	m.loop(ctx)
	return m.finish(ctx)
}

// count sorts the runs that there are into the cells, and says what a run of
// each takes from the host.
func (m *matrix) count(ctx context.Context) {
	byCell, needs := map[string][]results.Run{}, m.h.needs(ctx, m.jobs)
	for _, r := range m.runs {
		byCell[r.Cell] = append(byCell[r.Cell], r)
	}
	for i := range m.record.Matrix.Cells {
		c := &matrixCell{record: &m.record.Matrix.Cells[i], kernel: m.kernelOf[i], need: needs(m.plan.workloads[i].Defaults)}
		c.runs = byCell[c.record.Key]
		c.result = results.CellOf(*c.record, c.runs)
		m.cells = append(m.cells, c)
	}
}

// loop starts what fits and waits for something to end, until nothing runs and
// nothing more can be started.
func (m *matrix) loop(ctx context.Context) {
	m.done = make(chan func())
	var budget <-chan time.Time
	if m.budget > 0 {
		timer := time.NewTimer(m.budget)
		defer timer.Stop()
		budget = timer.C
	}
	buildCtx, stopBuilds := context.WithCancel(ctx)
	defer stopBuilds()
	end := ctx.Done()
	for {
		m.startBuild(buildCtx)
		for m.startRun(ctx) {
		}
		m.progress()
		if m.busy == 0 {
			return
		}
		select {
		case report := <-m.done:
			m.busy--
			report()
		case <-budget:
			m.halt(fmt.Sprintf("the time budget of %v is used up", m.budget))
			stopBuilds()
		case <-end:
			m.halt(stoppedByUser)
			end = nil // builds and runs end by themselves now
		}
	}
}

// halt makes the campaign start nothing more; the first reason stays.
func (m *matrix) halt(reason string) { m.stop = cmp.Or(m.stop, reason) }

// fail ends the campaign because of the infrastructure.
func (m *matrix) fail(err error) {
	m.record.Failed = cmp.Or(m.record.Failed, err.Error())
	m.halt(err.Error())
}

// async does something beside the loop; what it returns is called in the loop.
func (m *matrix) async(do func() func()) {
	m.busy++
	go func() { m.done <- do() }()
}

// progress shows how far the campaign is.
func (m *matrix) progress() {
	total, left := 0, 0
	for _, c := range m.cells {
		if c.record.Skipped == "" {
			total += c.result.Counts.Valid() + c.result.Missing
			left += c.result.Missing
		}
	}
	m.h.emit(Event{Task: "matrix", Stage: "runs", Done: total - left, Total: total})
}

// update writes the record of the campaign, for those who read it meanwhile.
func (m *matrix) update() {
	if err := m.writer.Update(&m.record); err != nil {
		m.fail(err)
	}
}

// startBuild starts the next kernel that a cell waits for, one at a time. It
// gets all processors while there is no guest to run, and half of them beside
// guests.
func (m *matrix) startBuild(ctx context.Context) {
	if m.building > 0 || m.stop != "" {
		return
	}
	for _, k := range m.kernels {
		if k.state != buildWaiting || !m.waitsFor(k) {
			continue
		}
		jobs := m.capacity().cpus
		if len(m.candidates()) > 0 {
			jobs = max(1, jobs/2)
		}
		k.state, m.building = buildRunning, jobs
		m.async(func() func() {
			image, err := m.runner.build(ctx, k, jobs)
			return func() { m.built(ctx, k, image, err) }
		})
		return
	}
}

// waitsFor says whether a cell cannot run before the kernel is built.
func (m *matrix) waitsFor(k *matrixKernel) bool {
	for _, c := range m.cells {
		if c.kernel == k && c.lacks() > 0 {
			return true
		}
	}
	return false
}

// built takes over what a build has come to. A kernel that cannot be built
// costs its own cells.
func (m *matrix) built(ctx context.Context, k *matrixKernel, image *kernels.Image, err error) {
	m.building = 0
	if err != nil && ctx.Err() != nil {
		k.state = buildWaiting // not the kernel's fault
		return
	}
	k.state, k.image = buildEnded, image
	record := results.KernelRecord{}
	if err == nil {
		record, err = k.describe()
	}
	for _, c := range m.cells {
		switch {
		case c.kernel != k:
		case err != nil:
			c.record.Skipped = "kernel did not build: " + firstLine(err.Error())
		default:
			c.record.Kernel = record
		}
	}
	m.update()
}

// candidates are the cells that a run could begin for.
func (m *matrix) candidates() []candidate {
	var out []candidate
	for i, c := range m.cells {
		if c.kernel.image == nil || c.lacks() <= 0 || c.fork == forkSaving {
			continue
		}
		out = append(out, candidate{cell: i, begun: len(c.runs) + c.flying, seconds: m.past.seconds(c.record.Key), need: c.need})
	}
	return out
}

// startRun starts the next run that fits; it says whether there was one.
func (m *matrix) startRun(ctx context.Context) bool {
	if m.maxRuns > 0 && m.begun >= m.maxRuns {
		m.halt(fmt.Sprintf("the limit of %d runs is reached", m.maxRuns))
	}
	if m.stop != "" || ctx.Err() != nil {
		return false
	}
	used := m.used
	used.cpus += m.building
	next, ok := choose(m.candidates(), m.capacity(), used)
	if !ok {
		if m.busy == 0 && len(m.candidates()) > 0 {
			m.fail(fmt.Errorf("no guest can be started: %d MiB are free in %s, make room", m.capacity().diskMiB, m.h.ResultsDir))
		}
		return false
	}
	c := m.cells[next.cell]
	if ok, err := m.prepare(ctx, next.cell); err != nil || !ok {
		if err != nil && ctx.Err() == nil {
			m.fail(err)
		}
		return err == nil // a cell that cannot run is skipped: try another
	}
	if m.wantsFork(c) {
		m.startSaving(ctx, c)
		return true
	}
	w, err := m.writer.StartRun(results.Run{Side: results.Single, Cell: c.record.Key, Kernel: c.record.Kernel, Forked: c.subject.forked(),
		Accel: string(c.machine.probe.Accel), Shape: c.record.Shape, Seed: c.machine.perturb.runSeed(len(m.runs) + m.used.guests)})
	if err != nil {
		m.fail(err)
		return false
	}
	c.flying++
	m.begun++
	m.used = m.used.plus(c.need)
	m.async(func() func() {
		run, err := m.runner.run(ctx, w, c)
		return func() { m.ran(c, run, err) }
	})
	return true
}

// ran takes over a run that has ended.
func (m *matrix) ran(c *matrixCell, run results.Run, err error) {
	c.flying--
	m.used = m.used.minus(c.need)
	m.runs = append(m.runs, run)
	c.runs = append(c.runs, run)
	c.result = results.CellOf(*c.record, c.runs)
	if retries := min(c.result.Counts.Invalid, c.record.RetryLimit); retries != c.record.Retries {
		c.record.Retries = retries
		m.update()
	}
	if err != nil {
		m.fail(err)
	}
}
