package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"patchproof/results"
)

// cellFork is how far a cell is with the machine that its runs go on from.
// Either all runs of a cell are forked or none is.
type cellFork int

const (
	forkOpen    cellFork = iota // nobody has looked yet
	forkSaving                  // a machine is being looked for or made
	forkDecided                 // runs can begin, the one way or the other
)

func isForked(r results.Run) bool { return r.Forked != nil }

// wantsFork says whether a cell needs a saved machine before its next run. In a
// campaign that goes on, the cell's runs so far decide.
func (m *matrix) wantsFork(c *matrixCell) bool {
	if c.fork == forkOpen && (m.h.Fork != ForkAuto || len(c.runs) > 0) && !slices.ContainsFunc(c.runs, isForked) {
		c.fork = forkDecided
	}
	return c.fork == forkOpen
}

// startSaving gets a cell its saved machine, in the place of a run. For a single
// run a machine that is there is good, and making one costs more than it gains.
func (m *matrix) startSaving(ctx context.Context, c *matrixCell) {
	look := c.record.Repeat <= 1 && len(c.runs) == 0
	c.fork = forkSaving
	m.used = m.used.plus(c.need)
	m.async(func() func() {
		err := m.runner.fork(ctx, c, look)
		return func() {
			m.used = m.used.minus(c.need)
			m.saved(ctx, c, err)
		}
	})
}

// saved takes over what the search for a machine has come to.
func (m *matrix) saved(ctx context.Context, c *matrixCell, err error) {
	c.fork = forkDecided
	switch {
	case err == nil:
		c.record.Shape = c.machine.shape()
		m.warn(forkWarning(c.subject))
	case ctx.Err() != nil:
		return
	case len(c.runs) > 0:
		c.record.Skipped = "earlier runs of the cell went on from a saved machine, which cannot be had now: " + firstLine(err.Error())
	case !errors.Is(err, errNotSaved):
		m.warn(fmt.Sprintf("runs of cell %s and of others like it boot: %v", c.record.Key, err))
	}
	m.update()
}

// warn adds a warning to the campaign unless it is there.
func (m *matrix) warn(text string) {
	if !slices.Contains(m.record.Warnings, text) {
		m.record.Warnings = append(m.record.Warnings, text)
		m.h.note(text)
	}
}
