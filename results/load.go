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
)

// maxRecord bounds a record that Load reads into memory, in bytes; a run's
// console log is not among them.
const maxRecord = 256 << 20

// Load reads a campaign's folder back, runs in the order of their start. Run
// folders that cannot be read are left alone, skipped, and named in the
// campaign's warnings. A run whose record has no end is returned as stopped.
// The error is about the campaign itself.
func Load(dir string) (*Campaign, []Run, error) {
	c, err := LoadCampaign(dir)
	if err != nil {
		return nil, nil, err
	}
	paths, err := RunPaths(dir)
	if err != nil {
		return nil, nil, err
	}
	var runs []Run
	for _, path := range paths {
		folder := filepath.Join(dir, path)
		r, _, warning, err := ReadRun(dir, path)
		if err != nil {
			c.Warnings = append(c.Warnings, fmt.Sprintf("run folder %s skipped: %v", folder, err))
			continue
		}
		if warning != "" {
			c.Warnings = append(c.Warnings, fmt.Sprintf("run folder %s: %s", folder, warning))
		}
		runs = append(runs, r)
	}
	slices.SortStableFunc(runs, func(a, b Run) int { return cmp.Compare(a.Index, b.Index) })
	return c, runs, nil
}

// LoadCampaign reads what a campaign's folder says of the campaign, without its
// runs.
func LoadCampaign(dir string) (*Campaign, error) {
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
	if c.Format < 1 {
		return nil, fmt.Errorf("%s has format %d, which no patchproof reads: it is no campaign's record, or one from before format 1", path, c.Format)
	}
	c.Dir = dir
	c.Plan, err = readBounded(filepath.Join(dir, planFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Warnings = append(c.Warnings, err.Error())
	}
	return &c, nil
}

// lastCampaign returns the folder of the campaign that began last of those that
// are wanted, "" when there is none.
func lastCampaign(dir string, want func(*Campaign) bool) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look for the last campaign: %w", err)
	}
	// Names begin with the time of the start.
	for _, e := range slices.Backward(entries) {
		path := filepath.Join(dir, e.Name())
		if c, err := LoadCampaign(path); err == nil && want(c) {
			return path, nil
		}
	}
	return "", nil
}

// readRun reads a run's folder: its events, and run.json when those are damaged,
// which the warning then says. finished says whether the record has an end. The
// outcome is drawn again in either case.
func readRun(dir string) (r Run, finished bool, warning string, err error) {
	data, err := readBounded(filepath.Join(dir, eventsFile))
	if err == nil {
		r, finished, err = decodeEvents(data)
	}
	if err != nil || !finished {
		// run.json is written after the last event: events without an end
		// beside it have lost it.
		final, finalErr := readFinal(dir)
		switch {
		case finalErr == nil:
			why := cmp.Or(err, errNoEnd)
			r, finished, warning = final, true, fmt.Sprintf("%s is damaged (%v), %s was used", eventsFile, why, runFile)
		case err != nil:
			return Run{}, false, "", fmt.Errorf("%s: %w", eventsFile, err)
		}
	}
	if !finished {
		r.Stopped = true
		r.HarnessReason = cmp.Or(r.HarnessReason, "the harness ended before the run did")
	}
	r.Dir = dir
	r.classify()
	return r, finished, warning, nil
}

var errNoEnd = errors.New("it has no end")

// readFinal reads the record that was written when the run had ended.
func readFinal(dir string) (r Run, err error) {
	data, err := readBounded(filepath.Join(dir, runFile))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
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
