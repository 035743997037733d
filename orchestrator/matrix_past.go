package orchestrator

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"patchproof/results"
)

// past is what earlier campaigns of a matrix's name showed: for each cell, the
// last one that has valid runs of it.
type past map[string]pastCell

type pastCell struct {
	campaign string // ID of the one that has the runs
	result   results.CellResult
}

// seconds is how long a run of a cell took, on average; 0 is not known.
func (p past) seconds(key string) float64 {
	c, ok := p[key]
	if !ok || len(c.result.RunIDs) == 0 {
		return 0
	}
	return c.result.ElapsedSeconds / float64(len(c.result.RunIDs))
}

// pastNights bounds how many campaigns are read: what has not run in so many
// nights counts as new.
const pastNights = 30

// recall reads the past of the matrix and, with sinceLast, leaves out the cells
// in which nothing has changed.
func (m *matrix) recall(sinceLast bool) error {
	var err error
	if m.past, err = recall(m.h.ResultsDir, &m.record); err != nil || !sinceLast {
		return err
	}
	for i := range m.record.Matrix.Cells {
		c := &m.record.Matrix.Cells[i]
		p, known := m.past[c.Key]
		if known && p.result.Cell.Inputs == c.Inputs && p.result.Counts.Valid() >= c.Repeat {
			c.MeasuredIn, c.Kernel = p.campaign, p.result.Cell.Kernel
			c.Skipped = "unchanged since " + p.campaign
		}
	}
	return nil
}

// recall reads the campaigns of a matrix's name that began before it, the last
// one first, until every cell has been found. One that cannot be read is passed
// over.
func recall(resultsDir string, now *results.Campaign) (past, error) {
	found := past{}
	dirs, err := matrixFolders(resultsDir, now.Matrix.Name)
	if err != nil {
		return nil, err
	}
	nights := 0
	for _, dir := range dirs {
		if nights == pastNights || found.hasAll(now.Matrix.Cells) {
			break
		}
		c, err := results.LoadCampaign(dir)
		if err != nil || c.Matrix == nil || c.Matrix.Name != now.Matrix.Name || c.ID == now.ID ||
			!c.Started.Before(now.Started) || slices.Contains(now.Matrix.Merged, c.ID) {
			continue
		}
		nights++
		_, runs, err := results.Load(dir)
		if err != nil {
			continue
		}
		for _, cell := range results.Cells(c, runs) {
			if _, known := found[cell.Cell.Key]; !known && cell.Counts.Valid() > 0 {
				found[cell.Cell.Key] = pastCell{campaign: c.ID, result: cell}
			}
		}
	}
	return found, nil
}

func (p past) hasAll(cells []results.CellRecord) bool {
	for _, c := range cells {
		if _, ok := p[c.Key]; !ok {
			return false
		}
	}
	return true
}

// ownName matches the names that the store gives to campaigns: they tell when a
// campaign began and what of, without opening it.
var ownName = regexp.MustCompile(`^(\d{8}T\d{6}Z)-(.*)-[0-9a-f]{6}$`)

// matrixFolders lists the folders that may hold campaigns of a matrix, the one
// begun last first; of any matrix when the name is empty.
func matrixFolders(resultsDir, matrixName string) ([]string, error) {
	entries, err := os.ReadDir(resultsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("earlier campaigns: %w", err)
	}
	begun := map[string]string{}
	for _, e := range entries {
		dir := filepath.Join(resultsDir, e.Name())
		if own := ownName.FindStringSubmatch(e.Name()); own != nil {
			if strings.HasPrefix(matrixName, own[2]) || matrixName == "" {
				begun[dir] = own[1]
			}
		} else if c, err := results.LoadCampaign(dir); err == nil {
			begun[dir] = c.Started.UTC().Format("20060102T150405Z") // put there by merge
		}
	}
	dirs := slices.Collect(maps.Keys(begun))
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Or(cmp.Compare(begun[b], begun[a]), cmp.Compare(b, a)) })
	return dirs, nil
}

// LastMatrix finds the folder of the matrix campaign that began last, of the
// given name or of any when it is empty.
func (h *Harness) LastMatrix(name string) (string, error) {
	dirs, err := matrixFolders(h.ResultsDir, name)
	if err != nil {
		return "", err
	}
	for _, dir := range dirs {
		c, err := results.LoadCampaign(dir)
		if err == nil && c.Matrix != nil && (name == "" || c.Matrix.Name == name) {
			return dir, nil
		}
	}
	return "", inputError(fmt.Errorf("%s holds no matrix %s that could be resumed", h.ResultsDir, name))
}
