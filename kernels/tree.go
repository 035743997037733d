package kernels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"
)

// source is where the files of a tree come from before any patch: a tarball
// or a revision of a git repository.
type source interface {
	identity() string // of the exact content, for the image's address
	treeKey() string  // of the tree that it is unpacked in
	base() string     // commit for git, empty otherwise
	name() string     // for messages
	provenance() Source
	create(ctx context.Context, s *Store, dir string) error
}

// tree is a source tree of the store, locked for this build. It is shared by
// all variants; state.json says which variant it is in.
type tree struct {
	dir   string // trees/ID
	src   source
	lock  *os.File
	state treeState
}

// treeState is state.json. It is written before the first file of the tree is
// changed (with Dirty set) and after the last one, so that a tree that a crash
// has left in between is recognised and repaired.
type treeState struct {
	Base  string `json:"base,omitempty"`
	Dirty bool   `json:"dirty,omitempty"`
	// Changed lists the files that differ from the base, or may while Dirty.
	Changed []string `json:"changed,omitempty"`
	// Saved lists the files with an original under pristine/; the value true
	// means that the base has no such file.
	Saved map[string]bool `json:"saved,omitempty"`
	// Clock is the latest time seen, and Epoch counts how often the clock has
	// since been seen to go backwards. Build folders of another epoch are
	// worthless: make compares times.
	Clock time.Time `json:"clock"`
	Epoch int       `json:"epoch"`
}

const stateFile = "state.json"

// treeID is the name of a tree's folder.
func treeID(src source) string { return hashBytes([]byte(src.treeKey()))[:16] }

func (t *tree) sources() string { return filepath.Join(t.dir, "tree") }

func (t *tree) pristine(name string) string {
	return filepath.Join(t.dir, "pristine", filepath.FromSlash(name))
}

// openTree locks the tree of a source, creates it when needed, and repairs
// what a crash has left. The caller must close it.
func (s *Store) openTree(ctx context.Context, src source, report func(Progress)) (*tree, error) {
	dir := s.path(treesDir, treeID(src))
	var held *os.File
	for held == nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("kernel cache: %w", err)
		}
		f, err := lock(ctx, filepath.Join(dir, lockFile), func(holder string) {
			report(Progress{Stage: StageWait, Message: fmt.Sprintf("%s is in use by %s", src.name(), holder)})
		})
		// The folder may be removed by a garbage collection while we wait.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		held = f
	}
	t := &tree{dir: dir, src: src, lock: held}
	if err := t.prepare(ctx, s, report); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *tree) prepare(ctx context.Context, s *Store, report func(Progress)) error {
	touch(filepath.Join(t.dir, usedFile))
	if _, err := os.Stat(t.sources()); errors.Is(err, fs.ErrNotExist) {
		report(Progress{Stage: StageUnpack, Message: t.src.name()})
		t.state = treeState{Clock: time.Now()}
		// An old state must not be believed about new sources.
		if err := os.RemoveAll(filepath.Join(t.dir, "pristine")); err != nil {
			return err
		}
		if err := t.save(); err != nil {
			return err
		}
		if err := t.src.create(ctx, s, t.sources()); err != nil {
			return err
		}
	} else if err := t.loadState(); err != nil {
		return err
	}
	if err := t.checkClock(); err != nil {
		return err
	}
	if t.state.Dirty {
		return t.repair(ctx)
	}
	return nil
}

func (t *tree) loadState() error {
	state, err := readTreeState(t.dir)
	if err != nil {
		return fmt.Errorf("source tree %s: %w: remove the folder, it will be made again", t.dir, err)
	}
	t.state = state
	return nil
}

func readTreeState(dir string) (treeState, error) {
	var state treeState
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return state, err
	}
	err = json.Unmarshal(data, &state)
	return state, err
}

func (t *tree) save() error {
	sort.Strings(t.state.Changed)
	data, err := json.MarshalIndent(t.state, "", "  ")
	if err == nil {
		err = writeFileAtomic(filepath.Join(t.dir, stateFile), append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("source tree %s: %w", t.dir, err)
	}
	return nil
}

// checkClock notices a clock that went backwards since the last build.
func (t *tree) checkClock() error {
	now := time.Now()
	if now.Before(t.state.Clock) {
		t.state.Epoch++
	}
	t.state.Clock = now
	return t.save()
}

// close notes the time and lets others use the tree.
func (t *tree) close() error {
	var err error
	if now := time.Now(); now.After(t.state.Clock) {
		t.state.Clock = now
		err = t.save()
	}
	return errors.Join(err, unlock(t.lock))
}

// original is the content of a file in the tree's base.
func (t *tree) original(ctx context.Context, name string) (sourceFile, error) {
	if g, ok := t.src.(*gitSource); ok {
		return gitFile(ctx, t.sources(), g.commit, name)
	}
	if absent, ok := t.state.Saved[name]; ok {
		if absent {
			return sourceFile{absent: true}, nil
		}
		return getFile(filepath.Join(t.dir, "pristine"), name)
	}
	return getFile(t.sources(), name)
}

// repair brings a tree back to its base after a crash in the middle of a switch.
func (t *tree) repair(ctx context.Context) error {
	if g, ok := t.src.(*gitSource); ok {
		// Whatever the base was to be, the one that is wanted now will do.
		// Files that patches have created are unknown to git and go first.
		for _, name := range t.state.Changed {
			if f, err := gitFile(ctx, t.sources(), g.commit, name); err != nil || !f.absent {
				continue
			}
			if err := putFile(t.sources(), name, sourceFile{absent: true}, true); err != nil {
				return err
			}
		}
		if err := g.checkout(ctx, t.sources()); err != nil {
			return err
		}
		t.state.Base = g.commit
	} else {
		files := fileSet{}
		for _, name := range t.state.Changed {
			f, err := t.original(ctx, name)
			if err != nil {
				return err
			}
			files[name] = f
		}
		slices.SortFunc(t.state.Changed, files.absentFirst)
		for _, name := range t.state.Changed {
			if err := t.write(name, files[name]); err != nil {
				return err
			}
		}
	}
	t.state.Changed, t.state.Dirty = nil, false
	return t.save()
}

// write brings one file to the content wanted, unless it has it already. A
// file that is written gets the present time, so that make compiles it.
func (t *tree) write(name string, want sourceFile) error {
	have, err := getFile(t.sources(), name)
	if err != nil {
		return err
	}
	if have.equal(want) {
		return nil
	}
	return putFile(t.sources(), name, want, true)
}
