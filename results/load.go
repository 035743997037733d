package results

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"patchproof/results/judge"
)

// maxRecord bounds a record that Load reads into memory, in bytes; a run's
// console log is not among them.
const maxRecord = 256 << 20

// Load reads a campaign's folder back, runs in the order of their start. Run
// folders that cannot be read are left alone, skipped, and named in the
// campaign's warnings. A run whose record has no end is returned as stopped.
// The error is about the campaign itself.
func Load(dir string) (*Campaign, []Run, error) {
	c, err := loadCampaign(dir)
	if err != nil {
		return nil, nil, err
	}
	var runs []Run
	for _, side := range allSides {
		found, warnings, err := loadSide(filepath.Join(dir, string(side)), side)
		if err != nil {
			return nil, nil, err
		}
		runs = append(runs, found...)
		c.Warnings = append(c.Warnings, warnings...)
	}
	slices.SortStableFunc(runs, func(a, b Run) int { return cmp.Compare(a.Index, b.Index) })
	return c, runs, nil
}

func loadCampaign(dir string) (*Campaign, error) {
	path := filepath.Join(dir, campaignFile)
	data, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not the folder of a campaign: it has no %s: %w", dir, campaignFile, err)
	}
	if err != nil {
		return nil, err
	}
	var c Campaign
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if c.Format > FormatVersion {
		return nil, fmt.Errorf("%s has format %d and this patchproof knows %d: use a newer patchproof", path, c.Format, FormatVersion)
	}
	c.Dir = dir
	c.Plan, err = readBounded(filepath.Join(dir, planFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Warnings = append(c.Warnings, err.Error())
	}
	return &c, nil
}

func loadSide(dir string, side judge.Side) (runs []Run, warnings []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the %s runs: %w", side, err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if !entry.IsDir() {
			continue
		}
		r, warning, err := loadRun(path)
		if err == nil && r.Side != side {
			err = fmt.Errorf("its record is of a run of side %q", r.Side)
		}
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("run folder %s skipped: %v", path, err))
			continue
		}
		if warning != "" {
			warnings = append(warnings, fmt.Sprintf("run folder %s: %s", path, warning))
		}
		runs = append(runs, r)
	}
	return runs, warnings, nil
}

// loadRun reads a run from its events, and from run.json when those are damaged.
// The outcome is drawn again in either case.
func loadRun(dir string) (r Run, warning string, err error) {
	data, err := readBounded(filepath.Join(dir, eventsFile))
	finished := false
	if err == nil {
		r, finished, err = decodeEvents(data)
	}
	if err != nil {
		final, finalErr := readBounded(filepath.Join(dir, runFile))
		if finalErr == nil {
			r = Run{}
			finalErr = json.Unmarshal(final, &r)
		}
		if finalErr != nil {
			return Run{}, "", fmt.Errorf("%s: %w", eventsFile, err)
		}
		warning, finished = fmt.Sprintf("%s is damaged (%v), %s was used", eventsFile, err, runFile), true
	}
	if !finished {
		r.Stopped = true
		r.HarnessReason = cmp.Or(r.HarnessReason, "the harness ended before the run did")
	}
	r.Dir = dir
	r.classify()
	return r, warning, nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if info.Size() > maxRecord {
		return nil, fmt.Errorf("%s has %d bytes, more than any record should", path, info.Size())
	}
	return os.ReadFile(path)
}
