package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"
)

// GCOptions says what may be removed. Without MaxAge and MaxBytes only what a
// crash has left is removed.
type GCOptions struct {
	MaxAge   time.Duration // remove what was not used for longer; 0 means no limit
	MaxBytes uint64        // then remove the least recently used until this is left; 0 means no limit
	Keep     []string      // IDs of images that stay in any case, with their sources
	DryRun   bool          // only say what would be removed
}

// Kinds of a GCItem.
const (
	GCImage = "image"
	GCTree  = "tree"
	GCBuild = "build"
	GCLog   = "log"
	GCTemp  = "temp"
)

// GCItem is one thing that was removed.
type GCItem struct {
	Kind   string    `json:"kind"`
	Path   string    `json:"path"`
	Bytes  uint64    `json:"bytes"` // on the disk
	Used   time.Time `json:"used"`
	Reason string    `json:"reason"` // "not used for 9 days"
}

// GCResult says what was removed, or would be.
type GCResult struct {
	Removed    []GCItem `json:"removed"`
	FreedBytes uint64   `json:"freed_bytes"`
	KeptBytes  uint64   `json:"kept_bytes"`
	Busy       []string `json:"busy,omitempty"` // folders that a build is using just now
}

// tempAge is how old something under tmp/ must be to be a crash's: no step
// that uses it takes that long.
const tempAge = 6 * time.Hour

// logAge is how long the log of a failed build is kept when no age is given.
const logAge = 30 * 24 * time.Hour

// GC removes images, build folders and source trees that were not used lately.
// Build folders go before images and trees, because they only save time; a
// tree stays as long as an image that stays was made from it, unless the space
// cannot be kept to otherwise.
func (s *Store) GC(ctx context.Context, opts GCOptions) (GCResult, error) {
	items, err := s.gcItems(ctx)
	if err != nil {
		return GCResult{}, err
	}
	pinned, err := s.pinned(opts.Keep)
	if err != nil {
		return GCResult{}, err
	}
	now := time.Now()
	var doomed, kept []GCItem
	for _, it := range items {
		age := now.Sub(it.Used)
		switch {
		case pinned[it.Path]:
			it.Reason = "pinned"
		case it.Kind == GCTemp && age > tempAge:
			it.Reason = "left by a crash"
		case it.Kind == GCLog && opts.MaxAge == 0 && age > logAge:
			it.Reason = "an old log"
		case it.Kind != GCTemp && opts.MaxAge > 0 && age > opts.MaxAge:
			it.Reason = fmt.Sprintf("not used for %s", roundAge(age))
		}
		if it.Reason != "" && it.Reason != "pinned" {
			doomed = append(doomed, it)
		} else {
			kept = append(kept, it)
		}
	}
	doomed, kept = s.spareTrees(doomed, kept)
	if opts.MaxBytes > 0 {
		doomed, kept = overSize(doomed, kept, opts.MaxBytes)
	}
	return s.remove(ctx, doomed, kept, opts.DryRun)
}

func roundAge(d time.Duration) string {
	if d > 48*time.Hour {
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	return d.Round(time.Minute).String()
}

// gcItems lists everything in the store with its size and last use.
func (s *Store) gcItems(ctx context.Context) ([]GCItem, error) {
	var items []GCItem
	for _, k := range []struct{ kind, dir string }{
		{GCImage, imagesDir}, {GCTree, treesDir}, {GCBuild, buildsDir}, {GCLog, logsDir}, {GCTemp, tmpDir},
	} {
		entries, err := os.ReadDir(s.path(k.dir))
		if err != nil {
			return nil, fmt.Errorf("kernel cache: %w", err)
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			p := s.path(k.dir, e.Name())
			items = append(items, GCItem{Kind: k.kind, Path: p, Bytes: diskUsage(p), Used: lastUsed(p)})
		}
	}
	sort.SliceStable(items, func(a, b int) bool { return items[a].Used.Before(items[b].Used) })
	return items, nil
}

// pinned are the paths that belong to images of the keep list. An image that is
// not there is a *SourceError: one that was meant could be removed.
func (s *Store) pinned(keep []string) (map[string]bool, error) {
	out := map[string]bool{}
	for _, id := range keep {
		if _, err := os.Stat(s.path(imagesDir, id)); err != nil || filepath.Base(id) != id {
			return nil, &SourceError{fmt.Errorf("no kernel to keep is called %q: patchproof kernel list shows which there are", id)}
		}
		out[s.path(imagesDir, id)] = true
		if img, err := s.load(id); err == nil && img.Provenance.TreeDir != "" {
			out[s.path(treesDir, filepath.Base(img.Provenance.TreeDir))] = true
		}
	}
	return out, nil
}

// spareTrees takes trees back that an image among the kept was made from: its
// source lines are read there.
func (s *Store) spareTrees(doomed, kept []GCItem) (d, k []GCItem) {
	needed := map[string]bool{}
	for _, it := range kept {
		if it.Kind != GCImage {
			continue
		}
		if img, err := s.load(filepath.Base(it.Path)); err == nil && img.Provenance.TreeDir != "" {
			needed[s.path(treesDir, filepath.Base(img.Provenance.TreeDir))] = true
		}
	}
	for _, it := range doomed {
		if it.Kind == GCTree && needed[it.Path] {
			it.Reason = ""
			kept = append(kept, it)
		} else {
			d = append(d, it)
		}
	}
	return d, kept
}

// overSize moves items from kept to doomed until what is left fits.
func overSize(doomed, kept []GCItem, limit uint64) (d, k []GCItem) {
	var total uint64
	for _, it := range kept {
		total += it.Bytes
	}
	for _, kinds := range [][]string{{GCLog, GCBuild}, {GCImage, GCTree}} {
		var rest []GCItem
		for _, it := range kept {
			if total <= limit || it.Reason == "pinned" || !slices.Contains(kinds, it.Kind) {
				rest = append(rest, it)
				continue
			}
			total -= it.Bytes
			it.Reason = "the cache is larger than " + formatBytes(limit)
			doomed = append(doomed, it)
		}
		kept = rest
	}
	return doomed, kept
}

// sweepTemp removes what a crash has left under tmp/, an unpacked tree for
// example. Errors are left to GC, which reports them.
func (s *Store) sweepTemp() {
	entries, _ := os.ReadDir(s.path(tmpDir))
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > tempAge {
			os.RemoveAll(s.path(tmpDir, e.Name()))
		}
	}
}

// remove deletes the doomed items that no build is using.
func (s *Store) remove(ctx context.Context, doomed, kept []GCItem, dry bool) (GCResult, error) {
	res := GCResult{Removed: []GCItem{}}
	for _, it := range kept {
		res.KeptBytes += it.Bytes
	}
	for _, it := range doomed {
		if err := ctx.Err(); err != nil {
			return res, err
		}
		err := s.removeItem(it, dry)
		if errors.Is(err, errLocked) {
			res.Busy = append(res.Busy, it.Path)
			res.KeptBytes += it.Bytes
			continue
		}
		if err != nil {
			return res, fmt.Errorf("removing %s: %w", it.Path, err)
		}
		res.Removed = append(res.Removed, it)
		res.FreedBytes += it.Bytes
	}
	return res, nil
}

// removeItem moves a folder aside and deletes it there, so that nobody finds
// half of one. Trees and build folders are locked meanwhile.
func (s *Store) removeItem(it GCItem, dry bool) error {
	guard := ""
	switch it.Kind {
	case GCTree:
		guard = it.Path
	case GCBuild:
		b := buildDir{dir: it.Path}
		if tree := b.treeOf(); tree != "" {
			guard = s.path(treesDir, tree)
		}
	}
	if guard != "" {
		if _, err := os.Stat(guard); err == nil {
			f, err := tryLock(filepath.Join(guard, lockFile))
			if err != nil {
				return err
			}
			defer unlock(f)
		}
	}
	if dry {
		return nil
	}
	if it.Kind == GCLog || it.Kind == GCTemp {
		return os.RemoveAll(it.Path)
	}
	aside, err := os.MkdirTemp(s.path(tmpDir), "gc-*")
	if err != nil {
		return err
	}
	if err := os.Rename(it.Path, filepath.Join(aside, "old")); err != nil {
		return err
	}
	return os.RemoveAll(aside)
}
