package kernels

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// age sets the last use of a folder of the store.
func age(t *testing.T, dir string, d time.Duration) {
	t.Helper()
	when := time.Now().Add(-d)
	if err := os.Chtimes(filepath.Join(dir, usedFile), when, when); err != nil {
		t.Fatal(err)
	}
}

func gcFixture(t *testing.T) (f *fixture, stock, fixed *Image) {
	t.Helper()
	f = newFixture(t)
	stock = f.build(t, f.spec)
	fixed = f.build(t, f.with(f.replacePatch(t, "fix.patch", "fs/btrfs/inode.c", "int c;", "int fixed;")))
	age(t, stock.dir(), 10*24*time.Hour)
	age(t, fixed.Provenance.BuildDir, 10*24*time.Hour)
	age(t, fixed.Provenance.TreeDir, 10*24*time.Hour)
	return f, stock, fixed
}

func kinds(r GCResult) []string {
	var out []string
	for _, it := range r.Removed {
		out = append(out, it.Kind)
	}
	slices.Sort(out)
	return out
}

func gc(t *testing.T, f *fixture, opts GCOptions) GCResult {
	t.Helper()
	r, err := f.store.GC(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGCByAge(t *testing.T) {
	t.Parallel()
	f, stock, fixed := gcFixture(t)
	if r := gc(t, f, GCOptions{}); len(r.Removed) != 0 {
		t.Errorf("without limits it removes %v", r.Removed)
	}
	dry := gc(t, f, GCOptions{MaxAge: 24 * time.Hour, DryRun: true})
	// The tree stays: the image that stays reads its source lines there.
	if want := []string{GCBuild, GCImage}; !slices.Equal(kinds(dry), want) || dry.FreedBytes == 0 {
		t.Errorf("dry run: %v, %d bytes", kinds(dry), dry.FreedBytes)
	}
	if images, _ := f.store.List(); len(images) != 2 {
		t.Errorf("a dry run left %d images", len(images))
	}
	var source *SourceError
	for _, id := range []string{stock.ID[:8], "", "../" + stock.ID} {
		if _, err := f.store.GC(context.Background(), GCOptions{MaxAge: 24 * time.Hour, Keep: []string{id}}); !errors.As(err, &source) {
			t.Errorf("to keep %q: %v, want a SourceError: what was meant would be removed", id, err)
		}
	}
	if r := gc(t, f, GCOptions{MaxAge: 24 * time.Hour, Keep: []string{stock.ID}}); !slices.Equal(kinds(r), []string{GCBuild}) {
		t.Errorf("with a pinned image: %v", kinds(r))
	}
	if r := gc(t, f, GCOptions{MaxAge: 24 * time.Hour}); !slices.Equal(kinds(r), []string{GCImage}) {
		t.Errorf("removed %v", kinds(r))
	}
	images, err := f.store.List()
	if err != nil || len(images) != 1 || images[0].ID != fixed.ID {
		t.Errorf("left: %v, %v", images, err)
	}
	if lines, ok := images[0].SourceLine("fs/ext4/inode.c", 1); !ok || lines[0] != "int ext4_a;" {
		t.Error("the source lines are gone")
	}
	// Everything that was removed can be built again.
	if again := f.build(t, f.spec); again.SHA256 != stock.SHA256 {
		t.Error("the image differs after a garbage collection")
	}
	empty(t, f.store.path(tmpDir))
}

func TestGCBySize(t *testing.T) {
	t.Parallel()
	f, stock, _ := gcFixture(t)
	r := gc(t, f, GCOptions{MaxBytes: 1, Keep: []string{stock.ID}})
	if want := []string{GCBuild, GCImage}; !slices.Equal(kinds(r), want) {
		t.Errorf("removed %v, want %v", kinds(r), want)
	}
	images, _ := f.store.List()
	if len(images) != 1 || images[0].ID != stock.ID {
		t.Errorf("left: %v", images)
	}
	if r := gc(t, f, GCOptions{MaxBytes: 1}); !slices.Equal(kinds(r), []string{GCImage, GCTree}) {
		t.Errorf("then removed %v", kinds(r))
	}
	f.build(t, f.spec)
}

func TestGCLeavesWhatIsInUse(t *testing.T) {
	t.Parallel()
	f, _, fixed := gcFixture(t)
	held, err := lock(context.Background(), filepath.Join(fixed.Provenance.TreeDir, lockFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock(held)
	r := gc(t, f, GCOptions{MaxBytes: 1})
	if !slices.Equal(kinds(r), []string{GCImage, GCImage}) || len(r.Busy) != 2 {
		t.Errorf("removed %v, busy %v", kinds(r), r.Busy)
	}
}

func TestGCRemovesWhatACrashLeft(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.store.path(tmpDir, "image-123")
	put(t, filepath.Join(old, "bzImage"), "half")
	when := time.Now().Add(-2 * tempAge)
	if err := os.Chtimes(old, when, when); err != nil {
		t.Fatal(err)
	}
	put(t, f.store.path(tmpDir, "unpack-1", "x"), "in use")
	if r := gc(t, f, GCOptions{}); !slices.Equal(kinds(r), []string{GCTemp}) || r.Removed[0].Path != old {
		t.Errorf("%+v", r.Removed)
	}
}

// TestGCBesideABuild: what a build is using stays, or is not missed.
func TestGCBesideABuild(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var once sync.Once
	img, err := f.store.Build(context.Background(), f.spec, BuildOptions{Jobs: 2, Progress: func(p Progress) {
		if p.Stage == StageCompile {
			once.Do(func() { gc(t, f, GCOptions{MaxBytes: 1}) })
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Identify(img.Path); err != nil {
		t.Error(err)
	}
}
