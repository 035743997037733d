package kernels

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSourceLineIsAsPatched(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fix := f.replacePatch(t, "fix.patch", "fs/btrfs/inode.c", "int c;", "int fixed;\nint more;")
	post := f.build(t, f.with(fix))
	stock := f.build(t, f.spec) // the tree is now stock
	again := f.build(t, f.with(f.replacePatch(t, "o.patch", "fs/btrfs/inode.c", "int c;", "int other;")))
	for _, tc := range []struct {
		name string
		img  *Image
		file string
		line int
		want string
	}{
		{"patched", post, "fs/btrfs/inode.c", 5, "int fixed;"},
		{"moved condition", post, "fs/btrfs/inode.c", 10, "WARN_ON(inode->csum_bytes);"},
		{"stock, while the tree is patched", stock, "fs/btrfs/inode.c", 5, "int c;"},
		{"the variant in the tree", again, "fs/btrfs/inode.c", 5, "int other;"},
		{"untouched", post, "fs/btrfs/file.c", 2, "int file_a;"},
		{"absolute", post, "/build/x/linux-6.1/fs/btrfs/inode.c", 5, "int fixed;"},
		{"relative", post, "../linux-source-6.1/fs/btrfs/inode.c", 5, "int fixed;"},
		{"dots", post, "./fs/ext4/../btrfs/inode.c", 5, "int fixed;"},
	} {
		lines, ok := tc.img.SourceLine(tc.file, tc.line)
		if !ok || lines[0] != tc.want {
			t.Errorf("%s: %q, %v, want %q", tc.name, lines, ok, tc.want)
		}
	}
	if lines, _ := stock.SourceLine("fs/btrfs/inode.c", 1); len(lines) != 1+sourceLineContext {
		t.Errorf("%d lines, want %d", len(lines), 1+sourceLineContext)
	}
	if lines, _ := stock.SourceLine("fs/btrfs/file.c", 4); !slices.Equal(lines, []string{"int file_c;"}) {
		t.Errorf("last line: %q", lines)
	}
	for _, tc := range []struct {
		file string
		line int
	}{{"fs/btrfs/inode.c", 0}, {"fs/btrfs/inode.c", 1000}, {"inode.c", 1}, {"", 1}, {"fs/none.c", 1}, {"../../../etc/passwd", 1}, {"fs/btrfs", 1}} {
		if lines, ok := stock.SourceLine(tc.file, tc.line); ok {
			t.Errorf("%s:%d gave %q", tc.file, tc.line, lines)
		}
	}
}

func TestSourceLineFollowsNoLinkOutOfTheTree(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := f.build(t, f.spec)
	secret := filepath.Join(t.TempDir(), "secret")
	put(t, secret, "secret")
	if err := os.Symlink(secret, filepath.Join(img.Provenance.TreeDir, "tree/fs/link.c")); err != nil {
		t.Fatal(err)
	}
	if lines, ok := img.SourceLine("fs/link.c", 1); ok {
		t.Errorf("%q", lines)
	}
}

func TestTarballForms(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"l.tar", "l.tar.gz", "l.tar.xz"} {
		f := newFixture(t)
		f.spec.Tarball = fakeTarball(t, f.tree, name)
		f.build(t, f.spec)
	}
	// One without a folder at the top.
	f := newFixture(t)
	flat := filepath.Join(t.TempDir(), "flat.tar")
	sh(t, f.tree, "tar", "--create", "--file", flat, ".")
	f.spec.Tarball = flat
	f.build(t, f.spec)
}

func TestBadTarballs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "other/README"), "no kernel")
	other := filepath.Join(dir, "other.tar")
	sh(t, dir, "tar", "--create", "--file", other, "other")
	garbage := filepath.Join(dir, "garbage.tar.xz")
	put(t, garbage, "not an archive")
	f := newFixture(t)
	whole := read(t, f.spec.Tarball)
	cut := filepath.Join(dir, "cut.tar.gz")
	put(t, cut, whole[:len(whole)/2])
	for path, want := range map[string]string{other: "not a kernel source tree", garbage: "damaged or no tar", cut: "damaged or no tar"} {
		spec := f.spec
		spec.Tarball = path
		err := f.fail(t, spec)
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	empty(t, f.store.path(tmpDir))
	trees, err := filepath.Glob(f.store.path(treesDir, "*", "tree"))
	if err != nil || len(trees) != 0 {
		t.Errorf("trees of damaged archives: %v, %v", trees, err)
	}
}
