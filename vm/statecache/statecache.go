// Package statecache keeps saved machines on disk, each in a folder named after
// everything that it was made from.
//
// A state appears under its name when it is complete and on the disk. Folders
// that are being made are below tmp, under the lock of their key; the kernel
// drops that lock with its holder, so what a killed program has left is known
// by its free lock and goes with the next Open. A state that is in use holds the
// lock shared and is not removed.
package statecache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// DefaultLimit is how much a cache may take on the disk, in bytes.
const DefaultLimit = 8 << 30

// Names in the cache's folder.
const (
	statesDir = "states"
	locksDir  = "locks"
	tmpDir    = "tmp"
)

// ErrTooLarge says that a state alone is larger than the cache may be.
var ErrTooLarge = errors.New("the state is larger than the cache may be")

// Cache is a folder of states. It may be used by several goroutines and
// processes at once.
type Cache struct {
	dir   string
	limit uint64
}

// Open opens the cache in dir, which is made when it is not there, and removes
// what killed programs have left. limit bounds its size on the disk, in bytes; 0
// means DefaultLimit.
func Open(dir string, limit uint64) (*Cache, error) {
	if limit == 0 {
		limit = DefaultLimit
	}
	c := &Cache{dir: dir, limit: limit}
	for _, d := range []string{statesDir, locksDir, tmpDir} {
		// States hold keys to running guests: they are their owner's alone.
		if err := os.MkdirAll(c.path(d), 0o700); err != nil {
			return nil, fmt.Errorf("cache of saved machines: %w", err)
		}
	}
	if err := c.sweep(); err != nil {
		return nil, fmt.Errorf("cache of saved machines in %s: %w", dir, err)
	}
	return c, nil
}

func (c *Cache) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

// State is a state that is in use. Its folder must not be changed.
type State struct {
	// Dir is the folder that the state was made in.
	Dir string
	// Cached is set when it was made before.
	Cached bool
	lock   *lock
}

// Release ends the use of a state.
func (s *State) Release() error { return s.lock.release() }

var validKey = regexp.MustCompile(`^[0-9a-z]{8,64}$`)

// Get returns the state with a key. When there is none, or intact refuses the
// one that there is, it calls fill with an empty folder for it, while others who
// want the same state wait. The state may be removed only after Release.
func (c *Cache) Get(ctx context.Context, key string, intact, fill func(dir string) error) (*State, error) {
	if !validKey.MatchString(key) {
		return nil, fmt.Errorf("saved machine %q: not a key", key)
	}
	dir, lockFile := c.path(statesDir, key), c.path(locksDir, key)
	for made := false; ; made = true {
		l, err := acquire(ctx, lockFile, shared)
		if err != nil {
			return nil, fmt.Errorf("waiting for saved machine %s: %w", key, err)
		}
		if _, err := os.Stat(dir); err == nil && intact(dir) == nil {
			now := time.Now()
			if err := os.Chtimes(dir, now, now); err != nil { // GC goes by it
				return nil, errors.Join(err, l.release())
			}
			return &State{Dir: dir, Cached: !made, lock: l}, nil
		}
		if err := l.release(); err != nil {
			return nil, err
		}
		if l, err = acquire(ctx, lockFile, exclusive); err != nil {
			return nil, fmt.Errorf("waiting for saved machine %s: %w", key, err)
		}
		err = c.provide(dir, key, intact, fill)
		if err := errors.Join(err, l.release()); err != nil {
			return nil, err
		}
	}
}

// provide makes sure that the state is there. The caller has its lock.
func (c *Cache) provide(dir, key string, intact, fill func(dir string) error) error {
	_, err := os.Stat(dir)
	switch {
	case err == nil && intact(dir) == nil:
		return nil // made by somebody else meanwhile
	case err == nil:
		if err := c.discard(dir, key); err != nil {
			return fmt.Errorf("removing a damaged saved machine: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return c.make(dir, key, intact, fill)
}

func (c *Cache) make(dir, key string, intact, fill func(dir string) error) (err error) {
	tmp, err := os.MkdirTemp(c.path(tmpDir), key+"-")
	if err != nil {
		return fmt.Errorf("folder for a saved machine: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	if err := fill(tmp); err != nil {
		return err
	}
	if err := intact(tmp); err != nil {
		return fmt.Errorf("of no use as it was made: %w", err)
	}
	size := diskUsage(tmp)
	if size > c.limit {
		return fmt.Errorf("%w: %d MiB of %d MiB", ErrTooLarge, size>>20, c.limit>>20)
	}
	if _, err := c.shrink(c.limit - size); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("storing a saved machine: %w", err)
	}
	return nil
}

// discard removes a state whose lock the caller has: it loses its name first, so
// that nobody finds half of it.
func (c *Cache) discard(dir, key string) error {
	aside, err := os.MkdirTemp(c.path(tmpDir), key+"-")
	if err != nil {
		return err
	}
	return errors.Join(os.Rename(dir, filepath.Join(aside, "old")), os.RemoveAll(aside))
}

// sweep removes what is below tmp and has no living maker.
func (c *Cache) sweep() error {
	entries, err := os.ReadDir(c.path(tmpDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		key, _, _ := strings.Cut(e.Name(), "-")
		err := c.withLock(key, func() error { return os.RemoveAll(c.path(tmpDir, e.Name())) })
		if err != nil && !errors.Is(err, errLocked) {
			return err
		}
	}
	return nil
}

// withLock calls f with a key's lock; the error is errLocked when the key is in
// use.
func (c *Cache) withLock(key string, f func() error) error {
	l, err := tryAcquire(c.path(locksDir, key), exclusive)
	if err != nil {
		return err
	}
	return errors.Join(f(), l.release())
}
