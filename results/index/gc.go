package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"patchproof/results"
)

// quiet is how long nothing may have been written to a campaign without a record
// of its end before it is taken as broken off. The lock of a running campaign
// says so at once, but not on every file system, and not of old versions.
const quiet = time.Hour

// leaving is how the name of a folder begins that is being removed; what a crash
// leaves of one, the next GC removes.
const leaving = ".removing-"

// GCOptions says what may go. A campaign is removed when it is both older than
// KeepDays and not among the Keep last of its kind and name.
type GCOptions struct {
	KeepDays int
	// Keep is at least 1: the last one of each is what the next is compared with.
	Keep int
	// LogsOnly removes no folder, but in each run folder all files other than the
	// record itself: consoles, QEMU's log, what the workload left.
	LogsOnly bool
	DryRun   bool
	Now      time.Time // zero is the present
}

// GCItem is what was done to one campaign, or what would be.
type GCItem struct {
	Campaign string `json:"campaign"`
	// Bytes is what removing it frees.
	Bytes int64 `json:"bytes"`
	// Kept says why a campaign that is old enough was kept; empty when it was
	// removed.
	Kept string `json:"kept,omitempty"`
}

// GC removes old campaigns. It touches none that is running, none of which
// anything cannot be read, and none whose runs a kept campaign refers to.
func (x *Index) GC(ctx context.Context, o GCOptions) ([]GCItem, error) {
	if o.KeepDays < 0 || o.Keep < 0 || o.KeepDays == 0 && o.Keep == 0 {
		return nil, errors.New("say what to keep: a number of days, a number of campaigns, or both")
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	old, kept, err := x.oldCampaigns(ctx, o)
	if err != nil {
		return nil, err
	}
	reasons, err := x.reasonsToKeep(ctx, kept)
	if err != nil {
		return nil, err
	}
	if !o.DryRun {
		if err := x.removeLeft(); err != nil {
			return nil, err
		}
	}
	var items []GCItem
	for _, c := range old {
		if err := ctx.Err(); err != nil {
			return items, err
		}
		item := GCItem{Campaign: c.ID, Kept: reasons[c.ID]}
		if item.Kept == "" {
			item, err = x.collect(c, o)
		}
		if err != nil {
			return items, err
		}
		if item.Kept != "" || item.Bytes > 0 || !o.LogsOnly {
			items = append(items, item)
		}
	}
	if o.DryRun {
		return items, nil
	}
	return items, x.Refresh(ctx)
}

// oldCampaigns splits all campaigns into those that the options let go and the
// others, both with the newest first.
func (x *Index) oldCampaigns(ctx context.Context, o GCOptions) (old, kept []Campaign, err error) {
	all, err := x.Campaigns(ctx, Filter{})
	if err != nil {
		return nil, nil, err
	}
	before := o.Now.AddDate(0, 0, -o.KeepDays)
	number := map[[3]string]int{}
	for _, c := range all {
		key := [3]string{string(c.Kind), c.Name, c.Workload}
		number[key]++
		if number[key] > max(1, o.Keep) && c.Started.Before(before) {
			old = append(old, c)
		} else {
			kept = append(kept, c)
		}
	}
	return old, kept, nil
}

// reasonsToKeep returns, by campaign, why it must stay although it is old.
func (x *Index) reasonsToKeep(ctx context.Context, kept []Campaign) (map[string]string, error) {
	reasons := map[string]string{}
	for _, c := range kept {
		if c.Kind != results.KindMatrix {
			continue
		}
		record, err := results.LoadCampaign(filepath.Join(x.dir, c.ID))
		if err != nil {
			return nil, err
		}
		if record.Matrix == nil {
			continue
		}
		for _, cell := range record.Matrix.Cells {
			if cell.MeasuredIn != "" {
				reasons[cell.MeasuredIn] = c.ID + " refers to its runs"
			}
		}
	}
	problems, err := x.Problems(ctx)
	for _, p := range problems {
		reasons[p.Campaign] = "a part of it cannot be read: " + p.String()
	}
	return reasons, err
}

// collect removes one campaign, or its logs.
func (x *Index) collect(c Campaign, o GCOptions) (GCItem, error) {
	item := GCItem{Campaign: c.ID}
	dir := filepath.Join(x.dir, c.ID)
	release, err := results.TakeFolder(dir)
	if err != nil {
		item.Kept = err.Error()
		return item, nil
	}
	defer release()
	files, newest, err := filesOf(dir, o.LogsOnly)
	if err != nil {
		item.Kept = err.Error()
		return item, nil
	}
	if c.State != StateEnded && o.Now.Sub(newest) < quiet {
		item.Kept = "it has no end, and something was written to it a short time ago"
		return item, nil
	}
	for _, size := range files {
		item.Bytes += size
	}
	if o.DryRun {
		return item, nil
	}
	if o.LogsOnly {
		for path := range files {
			err = errors.Join(err, os.Remove(path))
		}
	} else {
		err = x.removeFolder(c.ID)
	}
	if err != nil {
		return item, fmt.Errorf("remove campaign %s: %w", c.ID, err)
	}
	return item, nil
}

// filesOf returns the files that would go, with their sizes, and when something
// was written to the campaign last.
func filesOf(dir string, logsOnly bool) (files map[string]int64, newest time.Time, err error) {
	files = map[string]int64{}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		if e.IsDir() {
			return nil
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		inRun := strings.Count(relative, string(filepath.Separator)) >= 2
		if !logsOnly || inRun && e.Name() != "run.jsonl" && e.Name() != "run.json" {
			files[path] = info.Size()
		}
		return nil
	})
	return files, newest, err
}

// removeFolder takes a campaign out of sight in one step before it is removed
// bit by bit, so that nobody ever sees a part of it.
func (x *Index) removeFolder(id string) error {
	hidden := filepath.Join(x.dir, leaving+id)
	if err := os.Rename(filepath.Join(x.dir, id), hidden); err != nil {
		return err
	}
	return os.RemoveAll(hidden)
}

// removeLeft removes what an earlier GC was not able to finish.
func (x *Index) removeLeft() error {
	entries, err := os.ReadDir(x.dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), leaving) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(x.dir, e.Name())))
		}
	}
	return err
}
