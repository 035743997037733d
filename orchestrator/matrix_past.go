package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"patchproof/results"
	"patchproof/results/index"
	"patchproof/results/judge"
)

// past is what earlier campaigns of a matrix's name showed.
type past struct {
	cells map[string]*pastCell // by key
	// known are the fingerprints of all failures of the last nights.
	known map[string]bool
}

// pastCell is the past of one cell.
type pastCell struct {
	campaign string       // ID of the last one that has valid runs of it
	last     judge.Counts // of the runs there
	seconds  float64      // that they took, all together
	// recent counts the runs of the last nights.
	recent judge.Counts
	// shown are the kernel images and the fingerprints that they have shown in
	// the cell, in whatever night.
	shown  map[[2]string]bool
	nights int
}

// recentNights is how many nights of a cell tell what is new in it: the last
// campaigns that have valid runs of it, whatever lies between them.
const recentNights = 7

// state is that of the cell's last runs.
func (c *pastCell) state() results.CellState {
	switch {
	case c == nil:
		return ""
	case c.last.Reproduced > 0:
		return results.CellFailing
	case c.last.OtherFailure > 0:
		return results.CellOther
	}
	return results.CellPassing
}

// seconds is how long a run of a cell took, on average; 0 is not known.
func (p past) seconds(key string) float64 {
	c := p.cells[key]
	if c == nil {
		return 0
	}
	return c.seconds / float64(c.last.Valid())
}

// recall reads the past of the matrix and, with sinceLast, leaves out the cells
// in which nothing has changed. A past that cannot be read costs no more than
// what it would have told.
func (m *matrix) recall(ctx context.Context, sinceLast bool) {
	var err error
	if m.past, err = recall(ctx, m.h.ResultsDir, &m.record); err != nil {
		m.record.Warnings = append(m.record.Warnings, pastUnknown(err))
	}
	if !sinceLast {
		return
	}
	records := map[string]map[string]results.CellRecord{}
	for i := range m.record.Matrix.Cells {
		c := &m.record.Matrix.Cells[i]
		p := m.past.cells[c.Key]
		if p == nil {
			continue
		}
		if records[p.campaign] == nil {
			records[p.campaign] = cellRecords(filepath.Join(m.h.ResultsDir, p.campaign))
		}
		then, ok := records[p.campaign][c.Key]
		if ok && then.Inputs == c.Inputs && p.last.Valid() >= c.Repeat {
			c.MeasuredIn, c.Kernel = p.campaign, then.Kernel
			c.Skipped = "unchanged since " + p.campaign
		}
	}
}

func pastUnknown(err error) string {
	return fmt.Sprintf("earlier campaigns could not be read, so that every failure counts as new: %v", err)
}

// cellRecords are a campaign's cells by key, none when it cannot be read.
func cellRecords(dir string) map[string]results.CellRecord {
	cells := map[string]results.CellRecord{}
	if c, err := results.LoadCampaign(dir); err == nil && c.Matrix != nil {
		for _, cell := range c.Matrix.Cells {
			cells[cell.Key] = cell
		}
	}
	return cells
}

// recall gathers the campaigns of a matrix's name that began before it. The
// index over the results folder has what their runs showed; it reads the
// folders itself when it is missing or broken.
func recall(ctx context.Context, resultsDir string, now *results.Campaign) (past, error) {
	var runs []index.CellRun
	err := withIndex(ctx, resultsDir, func(x *index.Index) (err error) {
		runs, err = x.CellRuns(ctx, now.Matrix.Name)
		return err
	})
	return newPast(runs, now), err
}

// newPast draws the past from runs, those of the last campaign first.
func newPast(runs []index.CellRun, now *results.Campaign) past {
	p := past{cells: map[string]*pastCell{}, known: map[string]bool{}}
	night := map[string]string{} // the one that is being gathered, by cell
	for i := range runs {
		r := &runs[i]
		if r.Campaign == now.ID || !r.Started.Before(now.Started) || slices.Contains(now.Matrix.Merged, r.Campaign) {
			continue
		}
		c := p.cells[r.Cell]
		if c == nil {
			c = &pastCell{campaign: r.Campaign, shown: map[[2]string]bool{}}
			p.cells[r.Cell] = c
		}
		if night[r.Cell] != r.Campaign {
			night[r.Cell] = r.Campaign
			c.nights++
		}
		p.add(c, r)
	}
	return p
}

// add takes in a run of a cell, those of later nights before those of earlier
// ones.
func (p past) add(c *pastCell, r *index.CellRun) {
	if r.Campaign == c.campaign {
		c.last.Add(r.Outcome)
		c.seconds += r.Seconds
	}
	recent := c.nights <= recentNights
	if recent {
		c.recent.Add(r.Outcome)
	}
	for _, rep := range r.Reports {
		c.shown[[2]string{r.KernelSHA, rep.Fingerprint}] = true
		p.known[rep.Fingerprint] = p.known[rep.Fingerprint] || recent
	}
}

// withIndex opens the index of a results folder, if there is such a folder.
func withIndex(ctx context.Context, resultsDir string, use func(*index.Index) error) error {
	x, err := index.Open(ctx, resultsDir)
	var none *index.FolderError
	if errors.As(err, &none) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(use(x), x.Close())
}

// LastMatrix finds the folder of the matrix campaign that began last, of the
// given name or of any when it is empty.
func (h *Harness) LastMatrix(ctx context.Context, name string) (string, error) {
	var last []index.Campaign
	err := withIndex(ctx, h.ResultsDir, func(x *index.Index) (err error) {
		last, err = x.Campaigns(ctx, index.Filter{Kind: results.KindMatrix, Name: name, Limit: 1})
		return err
	})
	if err != nil {
		return "", err
	}
	if len(last) == 0 {
		return "", inputError(fmt.Errorf("%s holds no matrix %s that could be resumed", h.ResultsDir, name))
	}
	return filepath.Join(h.ResultsDir, last[0].ID), nil
}
