package statecache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Item is a state as GC sees it.
type Item struct {
	Key   string    `json:"key"`
	Bytes uint64    `json:"bytes"` // on the disk
	Used  time.Time `json:"used"`
}

// GCOptions says what GC removes.
type GCOptions struct {
	// MaxAge removes what was not used for longer; 0 means no limit.
	MaxAge time.Duration
	// MaxBytes then removes what was used least lately until this is left; 0
	// means the cache's own limit.
	MaxBytes uint64
	// All removes everything, whatever the other fields say.
	All bool
	// Keys are states to be removed whatever their age.
	Keys []string
	// DryRun removes nothing and says what would be removed.
	DryRun bool
}

// GCResult says what GC has removed, or would.
type GCResult struct {
	Removed    []Item   `json:"removed"`
	Busy       []string `json:"busy,omitempty"` // keys of states in use
	FreedBytes uint64   `json:"freed_bytes"`
	KeptBytes  uint64   `json:"kept_bytes"`
}

// GC removes states; those that are in use stay.
func (c *Cache) GC(o GCOptions) (GCResult, error) {
	items, err := c.items()
	if err != nil {
		return GCResult{}, err
	}
	limit := c.limit
	if o.MaxBytes > 0 {
		limit = o.MaxBytes
	}
	if o.All {
		limit = 0
	}
	doomed := func(i Item) bool {
		return o.MaxAge > 0 && time.Since(i.Used) > o.MaxAge || slices.Contains(o.Keys, i.Key)
	}
	return c.remove(items, limit, doomed, o.DryRun)
}

// shrink makes room: it removes what was used least lately until limit bytes
// are left, or all that is left is in use.
func (c *Cache) shrink(limit uint64) (GCResult, error) {
	items, err := c.items()
	if err != nil {
		return GCResult{}, err
	}
	return c.remove(items, limit, func(Item) bool { return false }, false)
}

// items lists the states, the least lately used first.
func (c *Cache) items() ([]Item, error) {
	entries, err := os.ReadDir(c.path(statesDir))
	if err != nil {
		return nil, fmt.Errorf("cache of saved machines: %w", err)
	}
	var items []Item
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed just now by somebody else
		}
		if err != nil {
			return nil, fmt.Errorf("cache of saved machines: %w", err)
		}
		items = append(items, Item{Key: e.Name(), Bytes: diskUsage(c.path(statesDir, e.Name())), Used: info.ModTime()})
	}
	slices.SortFunc(items, func(a, b Item) int { return a.Used.Compare(b.Used) })
	return items, nil
}

func (c *Cache) remove(items []Item, limit uint64, doomed func(Item) bool, dry bool) (GCResult, error) {
	res := GCResult{Removed: []Item{}}
	for _, i := range items {
		res.KeptBytes += i.Bytes
	}
	for _, i := range items {
		if !doomed(i) && res.KeptBytes <= limit {
			continue
		}
		err := c.withLock(i.Key, func() error {
			if dry {
				return nil
			}
			return c.discard(c.path(statesDir, i.Key), i.Key)
		})
		switch {
		case errors.Is(err, errLocked):
			res.Busy = append(res.Busy, i.Key)
			continue
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return res, fmt.Errorf("removing saved machine %s: %w", i.Key, err)
		}
		res.Removed = append(res.Removed, i)
		res.FreedBytes += i.Bytes
		res.KeptBytes -= i.Bytes
	}
	return res, nil
}

// diskUsage is the space that a folder takes on the disk; sparse files take
// less than they are long. What vanishes meanwhile is not counted.
func diskUsage(dir string) uint64 {
	var sum uint64
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil && unix.Lstat(path, &st) == nil {
			sum += uint64(max(st.Blocks, 0)) * 512
		}
		return nil
	})
	return sum
}
