package kernels

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// clockTick is longer than the granularity of modification times (a timer tick
// of the host kernel): within it, a file written after an object could have
// the same time as the object, and make would take the object for current.
const clockTick = 20 * time.Millisecond

// switchTo brings the tree to the variant that has want's files over the
// source's base. Only files whose content differs are written.
func (t *tree) switchTo(ctx context.Context, want fileSet) error {
	if d := clockTick - time.Since(t.state.Clock); d > 0 && d <= clockTick {
		time.Sleep(d)
	}
	if t.state.Base != t.src.base() {
		return t.rebase(ctx, want)
	}
	if err := isKernelTree(t.sources()); err != nil { // an earlier build may have found that, too
		return fmt.Errorf("%s: %w", t.src.name(), err)
	}
	return t.overlay(ctx, want)
}

// overlay writes the files in which want differs from the tree.
func (t *tree) overlay(ctx context.Context, want fileSet) error {
	full := fileSet{}
	for _, name := range t.state.Changed {
		f, err := t.original(ctx, name)
		if err != nil {
			return fmt.Errorf("restoring %s: %w", name, err)
		}
		full[name] = f
	}
	for name, f := range want {
		full[name] = f
	}
	var differ []string
	for name, f := range full {
		have, err := getFile(t.sources(), name)
		if err != nil {
			return err
		}
		if !have.equal(f) {
			differ = append(differ, name)
		}
	}
	final, err := t.changedBy(ctx, want)
	if err != nil {
		return err
	}
	if len(differ) == 0 && slices.Equal(final, t.state.Changed) {
		return nil
	}
	if err := t.saveOriginals(ctx, differ); err != nil {
		return err
	}
	union := append(slices.Clone(t.state.Changed), differ...)
	slices.Sort(union)
	t.state.Changed, t.state.Dirty = slices.Compact(union), true
	if err := t.save(); err != nil {
		return err
	}
	// What goes makes room: a file may become a folder, or the reverse.
	slices.SortFunc(differ, full.absentFirst)
	for _, name := range differ {
		if err := putFile(t.sources(), name, full[name], true); err != nil {
			return fmt.Errorf("writing %s in %s: %w", name, t.sources(), bareError(err))
		}
	}
	t.state.Changed, t.state.Dirty = final, false
	return t.save()
}

// changedBy lists the files in which want differs from the base.
func (t *tree) changedBy(ctx context.Context, want fileSet) ([]string, error) {
	var names []string
	for name, f := range want {
		base, err := t.original(ctx, name)
		if err != nil {
			return nil, err
		}
		if !base.equal(f) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// saveOriginals copies the originals of files that are about to be changed. A
// git tree needs none: git has them.
func (t *tree) saveOriginals(ctx context.Context, names []string) error {
	if t.src.base() != "" {
		return nil
	}
	for _, name := range names {
		if _, ok := t.state.Saved[name]; ok {
			continue
		}
		f, err := t.original(ctx, name)
		if err != nil {
			return err
		}
		if !f.absent {
			if err := os.MkdirAll(filepath.Dir(t.pristine(name)), 0o755); err != nil {
				return err
			}
			if err := writeFileAtomic(t.pristine(name), f.data, f.mode()); err != nil {
				return err
			}
		}
		if t.state.Saved == nil {
			t.state.Saved = map[string]bool{}
		}
		t.state.Saved[name] = f.absent
	}
	return nil
}

// rebase checks another commit out and applies want over it. A patched file
// whose content comes out as it was keeps its time, so that a bisection with a
// patch on every step does not compile the patched files for nothing.
func (t *tree) rebase(ctx context.Context, want fileSet) error {
	g, ok := t.src.(*gitSource)
	if !ok {
		return fmt.Errorf("source tree %s was made from another source: remove the folder, it will be made again", t.dir)
	}
	type known struct {
		file  sourceFile
		mtime time.Time
	}
	before := map[string]known{}
	for _, name := range t.state.Changed {
		f, err := getFile(t.sources(), name)
		if err != nil {
			return err
		}
		if info, err := os.Stat(filepath.Join(t.sources(), name)); err == nil {
			before[name] = known{f, info.ModTime()}
		}
	}
	t.state.Dirty = true
	if err := t.save(); err != nil {
		return err
	}
	if err := t.repair(ctx); err != nil {
		return err
	}
	if err := isKernelTree(t.sources()); err != nil {
		return fmt.Errorf("%s: %w", g.name(), err)
	}
	if err := t.overlay(ctx, want); err != nil {
		return err
	}
	for name, k := range before {
		if f, err := getFile(t.sources(), name); err == nil && f.equal(k.file) {
			os.Chtimes(filepath.Join(t.sources(), name), k.mtime, k.mtime)
		}
	}
	return nil
}
