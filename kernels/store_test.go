package kernels

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestBuildAndCache(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var stages []string
	opts := BuildOptions{Progress: func(p Progress) {
		if len(stages) == 0 || stages[len(stages)-1] != p.Stage {
			stages = append(stages, p.Stage)
		}
	}}
	img, err := f.store.Build(context.Background(), f.spec, opts)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{StageUnpack, StageConfigure, StageCompile}; !slices.Equal(stages, want) {
		t.Errorf("stages %v, want %v", stages, want)
	}
	if img.Release != "6.1.99" || img.Provenance.Compiled != 3 {
		t.Errorf("release %q, compiled %d files", img.Release, img.Provenance.Compiled)
	}
	if h, err := Identify(img.Path); err != nil || h.Release != "6.1.99" {
		t.Errorf("Identify: %+v, %v", h, err)
	}
	for _, p := range []string{img.Path, img.Vmlinux, img.Config, img.Provenance.BuildLog} {
		if !strings.HasPrefix(p, filepath.Join(f.store.Dir(), imagesDir, img.ID)+"/") {
			t.Errorf("%q is not in the image's folder", p)
		}
	}
	if v, known := img.Option("NR_CPUS"); v != "8" || !known {
		t.Errorf("NR_CPUS = %q, %v", v, known)
	}
	if v, known := img.Option("CONFIG_EXT4_FS"); v != "n" || !known {
		t.Errorf("EXT4_FS = %q, %v", v, known)
	}
	stages = nil
	before := snapshot(t, f.store.Dir())
	again, err := f.store.Build(context.Background(), f.spec, opts)
	if err != nil {
		t.Fatal(err)
	}
	if again.SHA256 != img.SHA256 || !slices.Equal(stages, []string{StageCached}) {
		t.Errorf("second build: stages %v", stages)
	}
	after := snapshot(t, f.store.Dir())
	for name, content := range after {
		if before[name] != content && filepath.Base(name) != usedFile && name != "hashes.json" {
			t.Errorf("a cached build wrote %s", name)
		}
	}
	empty(t, f.store.path(tmpDir))
	empty(t, f.store.path(logsDir))
}

func TestPairCompilesOnlyWhatThePatchTouches(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	base := f.replacePatch(t, "base.patch", "fs/btrfs/file.c", "int file_b;", "int file_race;")
	fix := f.replacePatch(t, "fix.patch", "fs/btrfs/inode.c", "int c;", "int fixed;")
	stock := f.build(t, f.spec)
	pre := f.build(t, f.with(base))
	if pre.Provenance.Compiled != 1 {
		t.Errorf("base compiled %d files, want 1:\n%s", pre.Provenance.Compiled, read(t, pre.Provenance.BuildLog))
	}
	post := f.build(t, f.with(base, fix))
	// file.c is the same in both and must not be touched on the way.
	if post.Provenance.Compiled != 1 {
		t.Errorf("fix compiled %d files, want 1:\n%s", post.Provenance.Compiled, read(t, post.Provenance.BuildLog))
	}
	if err := SameImage(pre, post); err != nil {
		t.Error(err)
	}
	if !strings.Contains(read(t, post.Vmlinux), "fixed") || strings.Contains(read(t, pre.Vmlinux), "fixed") {
		t.Error("the fix is not in exactly one of the images")
	}
	// Back to the base: the image must come out bit for bit as before.
	os.RemoveAll(f.store.path(imagesDir, stock.ID))
	again := f.build(t, f.spec)
	if again.SHA256 != stock.SHA256 {
		t.Error("stock was built again and differs")
	}
	if got := again.TouchedFiles(); len(got) != 0 {
		t.Errorf("stock touches %v", got)
	}
	if got := post.TouchedFiles(); !slices.Equal(got, []string{"fs/btrfs/file.c", "fs/btrfs/inode.c"}) {
		t.Errorf("post touches %v", got)
	}
}

func TestHeaderPatchRebuildsItsUsers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.build(t, f.spec)
	p := f.replacePatch(t, "h.patch", "include/linux/btrfs.h", "struct btrfs;", "struct btrfs2;")
	img := f.build(t, f.with(p))
	if img.Provenance.Compiled != 2 {
		t.Errorf("compiled %d files, want the 2 that include the header", img.Provenance.Compiled)
	}
	if tf := img.Provenance.Touched; len(tf) != 1 || !tf[0].Built {
		t.Errorf("touched: %+v, want the header, built", tf)
	}
}

func TestPatchThatAddsAndRemovesFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := makePatch(t, f.tree, "new.patch", func(dir string) {
		put(t, filepath.Join(dir, "fs/new/deep/new.c"), "int new_file;\n")
		if err := os.Remove(filepath.Join(dir, "fs/ext4/inode.c")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "fs/btrfs/file.c"), filepath.Join(dir, "fs/btrfs/renamed.c")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "fs/btrfs/file.c"), []byte("int file_new;\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	img := f.build(t, f.with(p))
	tree := filepath.Join(img.Provenance.TreeDir, "tree")
	if _, err := os.Stat(filepath.Join(tree, "fs/ext4/inode.c")); err == nil {
		t.Error("the removed file is still there")
	}
	if lines, ok := img.SourceLine("fs/new/deep/new.c", 1); !ok || lines[0] != "int new_file;" {
		t.Errorf("new file: %q, %v", lines, ok)
	}
	stock := f.build(t, f.spec)
	if _, err := os.Stat(filepath.Join(tree, "fs/new")); err == nil {
		t.Error("the folder that the patch made is still there")
	}
	if lines, ok := stock.SourceLine("fs/ext4/inode.c", 1); !ok || lines[0] != "int ext4_a;" {
		t.Errorf("the removed file did not come back: %q, %v", lines, ok)
	}
	if _, ok := stock.SourceLine("fs/new/deep/new.c", 1); ok {
		t.Error("the stock image has a line of a file that only the patch makes")
	}
}

func TestSameImageExplains(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	stock := f.build(t, f.spec)
	for _, tc := range []struct{ file, old, new, want string }{
		{"fs/ext4/inode.c", "int ext4_b;", "int x;", "the series touches fs/ext4/inode.c, which this config does not build"},
		{"fs/btrfs/inode.c", "// the inode code", "// code", "fs/btrfs/inode.c, which is built, but the compiled code is the same"},
	} {
		img := f.build(t, f.with(f.replacePatch(t, "p.patch", tc.file, tc.old, tc.new)))
		err := SameImage(stock, img)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.file, err, tc.want)
		}
	}
	if err := SameImage(stock, stock); err == nil || !strings.Contains(err.Error(), "both sides name the same") {
		t.Errorf("an image and itself: %v", err)
	}
}

func TestPatchThatDoesNotApply(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.build(t, f.spec)
	tree := f.store.path(treesDir)
	before := snapshot(t, tree)
	good := f.replacePatch(t, "good.patch", "fs/btrfs/file.c", "int file_b;", "int file_x;")
	bad := filepath.Join(t.TempDir(), "bad.patch")
	put(t, bad, strings.ReplaceAll(read(t, f.replacePatch(t, "p", "fs/btrfs/inode.c", "int c;", "int q;")), " int d;", " int elsewhere;"))
	gone := filepath.Join(t.TempDir(), "gone.patch")
	put(t, gone, strings.ReplaceAll(read(t, good), "fs/btrfs/file.c", "fs/btrfs/gone.c"))
	for _, tc := range []struct {
		name   string
		series []string
		want   []string
	}{
		{"context", []string{good, bad}, []string{bad, "linux-source-6.1.tar.gz", "after 1 earlier patch", "fs/btrfs/inode.c hunk 1 of 1", "@@ -2,7 +2,7 @@"}},
		{"missing file", []string{gone}, []string{gone, "fs/btrfs/gone.c", "no such file"}},
		{"twice", []string{good, good}, []string{"has this change already"}},
	} {
		err := f.fail(t, f.with(tc.series...))
		var pe *PatchError
		if !errors.As(err, &pe) {
			t.Errorf("%s: %T %v, want a *PatchError", tc.name, err, err)
			continue
		}
		for _, w := range tc.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q lacks %q", tc.name, err, w)
			}
		}
	}
	for name, content := range snapshot(t, tree) {
		if b := filepath.Base(name); before[name] != content && b != usedFile && b != stateFile && b != lockFile {
			t.Errorf("a patch that does not apply changed %s", name)
		}
	}
	empty(t, f.store.path(tmpDir))
}

func TestPatchAppliesAtAnOffset(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fix := f.replacePatch(t, "fix.patch", "fs/btrfs/inode.c", "int j;", "int fixed;")
	moved := f.replacePatch(t, "moved.patch", "fs/btrfs/inode.c", "#include", "int l1;\nint l2;\nint l3;\n#include")
	img := f.build(t, f.with(moved, fix))
	if !strings.Contains(read(t, img.Vmlinux), "fixed") {
		t.Error("the fix is not in the image")
	}
}

func TestBuildErrorIsTheCompilersFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.replacePatch(t, "broken.patch", "fs/btrfs/inode.c", "int c;", "#error 'struct btrfs_inode' has no member named 'x'")
	err := f.fail(t, f.with(p))
	var be *BuildError
	if !errors.As(err, &be) {
		t.Fatalf("%T %v, want a *BuildError", err, err)
	}
	if be.File != "fs/btrfs/inode.c" || be.Line != 5 || !strings.Contains(be.Message, "no member named") {
		t.Errorf("%+v", be)
	}
	if !strings.Contains(read(t, be.Log), "#error") && !strings.Contains(read(t, be.Log), "no member") {
		t.Error("the log does not have the error")
	}
	if images, err := f.store.List(); err != nil || len(images) != 0 {
		t.Errorf("%d images after a failed build, %v", len(images), err)
	}
	empty(t, f.store.path(tmpDir))
	// The folder is as good as before.
	if img := f.build(t, f.spec); img.Provenance.Compiled < 1 {
		t.Error("nothing compiled after the failure")
	}
}

func TestLinkAndKconfigErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tc := range []struct{ file, old, new, want string }{
		{"fs/btrfs/inode.c", "int c;", "UNDEFINED", "undefined reference to `missing_symbol'"},
		{"Kconfig", "# symbols", "# BROKEN KCONFIG", "configuring"},
	} {
		err := f.fail(t, f.with(f.replacePatch(t, "p.patch", tc.file, tc.old, tc.new)))
		if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %q", err, tc.want)
		}
	}
}

func TestMissingSymbols(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	frag := filepath.Join(t.TempDir(), "more.config")
	put(t, frag, "CONFIG_NEVER=y\nCONFIG_NOT_THERE=y\nCONFIG_ALSO_NOT=n\nCONFIG_NR_CPUS=16\nCONFIG_LOCALVERSION_AUTO=y\n")
	spec := f.spec
	spec.Fragments = append(slices.Clone(spec.Fragments), frag)
	want := []string{"CONFIG_NEVER=y (got n)", "CONFIG_NOT_THERE=y (unknown to this tree)", "CONFIG_LOCALVERSION_AUTO=y (got n)"}
	for _, base := range []string{"", DefConfig, f.frag} {
		spec.BaseConfig = base
		img := f.build(t, spec)
		if !slices.Equal(img.MissingSymbols, want) {
			t.Errorf("base %q: missing %q, want %q", base, img.MissingSymbols, want)
		}
		if v, _ := img.Option("NR_CPUS"); v != "16" {
			t.Errorf("base %q: the last fragment does not hold: NR_CPUS=%s", base, v)
		}
	}
}

func TestConcurrentBuildsShareTheTree(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fix := f.replacePatch(t, "fix.patch", "fs/btrfs/inode.c", "int c;", "int fixed;")
	specs := []Spec{f.spec, f.with(fix), f.spec, f.with(fix)}
	images := make([]*Image, len(specs))
	other, err := OpenStore(f.store.Dir()) // as another process has it
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, spec := range specs {
		wg.Go(func() {
			s := f.store
			if i >= 2 {
				s = other
			}
			img, err := s.Build(context.Background(), spec, BuildOptions{Jobs: 1})
			if err != nil {
				t.Error(err)
			}
			images[i] = img
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i, img := range images {
		if fixed := strings.Contains(read(t, img.Vmlinux), "fixed"); fixed != (i%2 == 1) {
			t.Errorf("build %d: fixed is %v", i, fixed)
		}
	}
	empty(t, f.store.path(tmpDir))
}

func TestCancelKillsTheGroup(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.build(t, f.spec)
	p := f.replacePatch(t, "wait.patch", "fs/btrfs/inode.c", "int c;", "#wait")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var once sync.Once
	_, err := f.store.Build(ctx, f.with(p), BuildOptions{Jobs: 2, Progress: func(p Progress) {
		if p.Stage == StageCompile && p.Done == 1 {
			once.Do(func() { time.AfterFunc(200*time.Millisecond, cancel) })
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v, want context.Canceled", err)
	}
	if left := processesNaming(t, f.store.Dir()); len(left) > 0 {
		t.Errorf("children of make still run: %q", left)
	}
	// A half-written object must not end up in the next kernel.
	q := f.replacePatch(t, "q.patch", "fs/btrfs/file.c", "int file_b;", "int q;")
	if img := f.build(t, f.with(q)); strings.Contains(read(t, img.Vmlinux), "half") {
		t.Error("the half-written object was linked")
	}
}

func TestDamagedImageIsBuiltAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := f.build(t, f.spec)
	put(t, img.Path, "damaged")
	again := f.build(t, f.spec)
	if _, err := Identify(again.Path); err != nil || again.SHA256 != img.SHA256 {
		t.Errorf("the damaged image was not replaced: %v", err)
	}
	// A new time alone is no damage.
	now := time.Now()
	if err := os.Chtimes(again.Path, now, now); err != nil {
		t.Fatal(err)
	}
	built := again.Provenance.Built
	if third := f.build(t, f.spec); !third.Provenance.Built.Equal(built) || third.SHA256 != img.SHA256 {
		t.Error("an image that was only touched was built again")
	}
}

func TestNoSpace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.store.free = func(string) (uint64, error) { return 1 << 10, nil }
	err := f.fail(t, f.spec)
	if !strings.Contains(err.Error(), "no space to unpack") || !strings.Contains(err.Error(), "kernel gc") {
		t.Error(err)
	}
	f.store.free = func(string) (uint64, error) { return 100 << 20, nil }
	if err := f.fail(t, f.spec); !strings.Contains(err.Error(), "no space to build") {
		t.Error(err)
	}
	empty(t, f.store.path(tmpDir))
	empty(t, f.store.path(imagesDir))
}

// processesNaming lists the command lines of running processes that name a path.
func processesNaming(t *testing.T, path string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("no /proc: %v", err)
	}
	var out []string
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil && strings.Contains(string(data), path) {
			out = append(out, strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	return out
}

func TestOpenStoreRefusesPathsThatMakeCannotUse(t *testing.T) {
	t.Parallel()
	if _, err := OpenStore(filepath.Join(t.TempDir(), "my cache")); err == nil || !strings.Contains(err.Error(), "choose another") {
		t.Error(err)
	}
}
