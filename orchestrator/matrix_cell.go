package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/workloads"
)

// capacity is what the host has for guests and builds.
func (m *matrix) capacity() room { return m.h.capacity(m.jobs) }

// prepare makes a cell ready for its runs. ok is false when the cell can never
// run, which its record then says; the error is about the infrastructure.
func (m *matrix) prepare(ctx context.Context, cell int) (ok bool, err error) {
	c := m.cells[cell]
	if c.subject != nil {
		return true, nil
	}
	machine, subject, err := m.runner.ready(ctx, m.plan.workloads[cell], c.kernel)
	var input *InputError
	if errors.As(err, &input) {
		c.record.Skipped = firstLine(err.Error())
		m.update()
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c.machine, c.subject, m.record.Host = machine, subject, machine.host()
	return true, nil
}

// guestRunner is the cellRunner of real kernels and guests.
type guestRunner struct {
	h     *Harness
	store *kernels.Store
	// machines are by what their guest image is made from: that, and the answer
	// which accelerator works, are the same for many cells.
	machines map[string]*machine
}

func (g *guestRunner) build(ctx context.Context, k *matrixKernel, jobs int) (*kernels.Image, error) {
	return g.h.buildKernel(ctx, g.store, "kernel "+k.name, k.spec, jobs)
}

func (g *guestRunner) ready(ctx context.Context, w *workloads.Workload, k *matrixKernel) (*machine, *subject, error) {
	m, err := g.machine(ctx, w, k)
	if err != nil {
		return nil, nil, err
	}
	s, err := newSubject(m, k.name, k.image, k.image.Release)
	if err != nil {
		return nil, nil, err
	}
	return m, s, g.h.addModules(ctx, m, s)
}

func (g *guestRunner) machine(ctx context.Context, w *workloads.Workload, k *matrixKernel) (*machine, error) {
	key := w.Defaults.Accel + " " + strings.Join(w.HostTools(), " ")
	shared := g.machines[key]
	if shared == nil {
		var err error
		if shared, err = g.h.newMachine(ctx, w, k.image.Path); err != nil {
			return nil, err
		}
		g.machines[key] = shared
	}
	own := *shared
	own.workload, own.guest, own.perturb = w, w.Defaults, k.perturb
	var err error
	own.match, err = newMatcher(w.Signatures, w.Consequences, w.Benign)
	return &own, err
}

func (g *guestRunner) run(ctx context.Context, w *results.RunWriter, c *matrixCell) (results.Run, error) {
	return g.h.execute(ctx, w, c.machine, c.subject)
}

func (g *guestRunner) fork(ctx context.Context, c *matrixCell, look bool) error {
	return g.h.forkAll(ctx, c.machine, []*subject{c.subject}, len(c.runs), look)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// lockFile takes an advisory lock that ends with the process or the file.
func lockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// reopen forgets how a campaign ended, so that it can go on: cells that were
// left out for lack of time or because their kernel did not build are tried
// again.
func (m *matrix) reopen() {
	for i := range m.record.Matrix.Cells {
		if c := &m.record.Matrix.Cells[i]; c.MeasuredIn == "" {
			c.Skipped = ""
		}
	}
	m.record.Stopped, m.record.Failed = "", ""
	if m.record.ElapsedSeconds == 0 {
		// It was killed: its last run tells how long it went.
		for _, r := range m.runs {
			end := r.Started.Sub(m.record.Started).Seconds() + r.ElapsedSeconds
			m.record.ElapsedSeconds = max(m.record.ElapsedSeconds, end)
		}
	}
}

// finish writes the campaign's end.
func (m *matrix) finish(ctx context.Context) (*MatrixResult, error) {
	m.h.emit(Event{Task: "matrix", Finished: true, Elapsed: time.Since(m.began), Message: m.stop})
	missing := false
	for _, c := range m.cells {
		if c.lacks() > 0 {
			missing = true
			if m.stop != "" && ctx.Err() == nil && m.record.Failed == "" {
				c.record.Skipped = m.stop
			}
		}
	}
	if missing {
		m.record.Stopped = m.stop
	}
	m.record.ElapsedSeconds += time.Since(m.began).Seconds()
	if err := m.writer.Update(&m.record); err != nil {
		return nil, fmt.Errorf("recording the end of campaign %s: %w", m.record.ID, err)
	}
	return newMatrixResult(m.record, m.runs, m.past), nil
}
