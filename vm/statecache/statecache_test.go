package statecache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const key = "0123456789abcdef"

func open(t *testing.T, dir string, limit uint64) *Cache {
	t.Helper()
	c, err := Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fillWith writes a file of some KiB.
func fillWith(kib int) func(string) error {
	return func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "data"), make([]byte, kib<<10), 0o600)
	}
}

func intact(dir string) error {
	_, err := os.Stat(filepath.Join(dir, "data"))
	return err
}

func get(t *testing.T, c *Cache, key string, kib int) *State {
	t.Helper()
	s, err := c.Get(context.Background(), key, intact, fillWith(kib))
	if err != nil {
		t.Fatal(err)
	}
	if err := intact(s.Dir); err != nil {
		t.Fatal(err)
	}
	return s
}

func release(t *testing.T, s *State) {
	t.Helper()
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
}

// names lists a folder of the cache.
func names(t *testing.T, c *Cache, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(c.path(dir))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestGetMakesOnce(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	first := get(t, c, key, 1)
	second := get(t, c, key, 1) // two users at a time
	if first.Cached || !second.Cached || first.Dir != second.Dir {
		t.Errorf("first %+v, second %+v", first, second)
	}
	release(t, first)
	release(t, second)
	if left := names(t, c, tmpDir); len(left) > 0 {
		t.Errorf("left below tmp: %v", left)
	}
}

// TestGetAtOnce has several caches on one folder, as several processes have.
func TestGetAtOnce(t *testing.T) {
	dir := t.TempDir()
	var made atomic.Int32
	var group sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		c := open(t, dir, 0)
		group.Go(func() {
			s, err := c.Get(context.Background(), key, intact, func(d string) error {
				made.Add(1)
				time.Sleep(20 * time.Millisecond)
				return fillWith(1)(d)
			})
			if err == nil {
				err = errors.Join(intact(s.Dir), s.Release())
			}
			errs <- err
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
}

func TestGetFails(t *testing.T) {
	c := open(t, t.TempDir(), 64<<10)
	broken := errors.New("the guest panicked")
	for name, test := range map[string]struct {
		key  string
		fill func(string) error
		want error
	}{
		"fill fails": {key, func(dir string) error { return errors.Join(fillWith(4)(dir), broken) }, broken},
		"too large":  {key, fillWith(128), ErrTooLarge},
		"no key":     {"../escape", fillWith(1), nil},
		"no use":     {"fedcba98", func(string) error { return nil }, os.ErrNotExist},
	} {
		s, err := c.Get(context.Background(), test.key, intact, test.fill)
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	if tmp, states := names(t, c, tmpDir), names(t, c, statesDir); len(tmp)+len(states) > 0 {
		t.Errorf("left: %v %v", tmp, states)
	}
	release(t, get(t, c, key, 1)) // and the key can still be had
}

func TestGetWaitsAndGivesUp(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	l, err := tryAcquire(c.path(locksDir, key), exclusive)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := c.Get(ctx, key, intact, fillWith(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedStateIsMadeAgain(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	s := get(t, c, key, 1)
	release(t, s)
	if err := os.Remove(filepath.Join(s.Dir, "data")); err != nil {
		t.Fatal(err)
	}
	s = get(t, c, key, 1)
	defer release(t, s)
	if s.Cached {
		t.Error("a damaged state was taken")
	}
}

// TestLimit makes more states than there is room for: the least lately used one
// goes, unless it is in use.
func TestLimit(t *testing.T) {
	c := open(t, t.TempDir(), 100<<10)
	keys := []string{"aaaaaaaa", "bbbbbbbb", "cccccccc"}
	busy := get(t, c, keys[0], 40)
	for i, k := range keys[:2] {
		if i > 0 {
			release(t, get(t, c, k, 40))
		}
		old := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(c.path(statesDir, k), old, old); err != nil {
			t.Fatal(err)
		}
	}
	release(t, get(t, c, keys[2], 40))
	if got := names(t, c, statesDir); !slices.Equal(got, []string{keys[0], keys[2]}) {
		t.Errorf("left: %v", got)
	}
	release(t, busy)
}

func TestGC(t *testing.T) {
	c := open(t, t.TempDir(), 0)
	for i, age := range []time.Duration{90 * time.Hour, 72 * time.Hour, 48 * time.Hour, time.Hour} {
		k := fmt.Sprintf("%08d", i)
		release(t, get(t, c, k, 40))
		used := time.Now().Add(-age)
		if err := os.Chtimes(c.path(statesDir, k), used, used); err != nil {
			t.Fatal(err)
		}
	}
	busy := get(t, c, "99999999", 40)
	for _, test := range []struct {
		name string
		o    GCOptions
		want int
		left int
	}{
		{"nothing to do", GCOptions{MaxAge: 100 * time.Hour, Keys: []string{"77777777"}}, 0, 5},
		{"dry", GCOptions{All: true, DryRun: true}, 4, 5},
		{"by key", GCOptions{Keys: []string{"00000000"}}, 1, 4},
		{"by age", GCOptions{MaxAge: 60 * time.Hour}, 1, 3},
		{"by size", GCOptions{MaxBytes: 100 << 10}, 1, 2},
		{"all but what is in use", GCOptions{All: true}, 1, 1},
	} {
		res, err := c.GC(test.o)
		if err != nil || len(res.Removed) != test.want || len(names(t, c, statesDir)) != test.left || (res.FreedBytes > 0) != (test.want > 0) {
			t.Errorf("%s: %+v, %v", test.name, res, err)
		}
		if test.o.All && (len(res.Busy) != 1 || res.KeptBytes == 0) {
			t.Errorf("%s: busy %v", test.name, res.Busy)
		}
	}
	release(t, busy)
}

// TestSweep leaves what two makers would: one that was killed, and one at work.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, 0)
	for _, name := range []string{key + "-dead", "fedcba9876543210-alive"} {
		if err := os.MkdirAll(c.path(tmpDir, name, "base"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l, err := tryAcquire(c.path(locksDir, "fedcba9876543210"), exclusive)
	if err != nil {
		t.Fatal(err)
	}
	open(t, dir, 0)
	if got := names(t, c, tmpDir); !slices.Equal(got, []string{"fedcba9876543210-alive"}) {
		t.Errorf("left: %v", got)
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, 0)
	if got := names(t, c, tmpDir); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}

func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, 0); err == nil {
		t.Error("a file was opened as a cache")
	}
}
