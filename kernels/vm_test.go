//go:build vm

package kernels

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// realSpec is the plain 6.1 kernel with the shipped fragments.
func realSpec(t *testing.T) Spec {
	t.Helper()
	const tarball = "/usr/src/linux-source-6.1.tar.xz"
	if _, err := os.Stat(tarball); err != nil {
		t.Fatalf("%v: apt-get install linux-source-6.1", err)
	}
	return Spec{Tarball: tarball, Fragments: []string{"../configs/kernel/guest.config", "../configs/kernel/btrfs.config"}}
}

// realStore is the user's own store: the demo and the other tests build the
// same kernels.
func realStore(t *testing.T) *Store {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(filepath.Join(cache, "patchproof", "kernels"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func realBuild(t *testing.T, s *Store, spec Spec) *Image {
	t.Helper()
	start := time.Now()
	img, err := s.Build(context.Background(), spec, BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s %s in %v: built in %v, %d files compiled, missing %q", img.Release, img.ID, time.Since(start).Round(time.Millisecond),
		img.Provenance.Elapsed, img.Provenance.Compiled, img.MissingSymbols)
	return img
}

// realPatch is a diff against linux-source-6.1 that replaces one line.
func realPatch(t *testing.T, stock *Image, file, old, new string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	for _, side := range []string{"a", "b"} {
		data, ok := stock.sourceFile(file)
		if !ok {
			t.Fatalf("no source of %s", file)
		}
		put(t, filepath.Join(tree, side, file), string(data))
	}
	replace(t, filepath.Join(tree, "b", file), old, new)
	return diffOf(t, tree)
}

func TestVMRealPair(t *testing.T) {
	s := realStore(t)
	stock := realBuild(t, s, realSpec(t))
	if v, known := stock.Option("BTRFS_FS"); v != "y" || !known {
		t.Errorf("BTRFS_FS = %q", v)
	}
	h, err := Identify(stock.Path)
	if err != nil || h.Release != stock.Release {
		t.Errorf("%+v, %v", h, err)
	}
	spec := realSpec(t)
	spec.Patches = []string{realPatch(t, stock, "fs/btrfs/super.c", `btrfs_info(info, "disk space caching is enabled");`,
		`btrfs_info(info, "disk space caching is on");`)}
	changed := realBuild(t, s, spec)
	// The build folder may come from another variant of the pair, which
	// touches up to three files of btrfs.
	if n := changed.Provenance.Compiled; n < 1 || n > 4 {
		t.Errorf("one btrfs file changed and %d files were compiled", n)
	}
	if err := SameImage(stock, changed); err != nil {
		t.Error(err)
	}
	spec.Patches = []string{realPatch(t, stock, "fs/ext4/inode.c", "int ext4_inode_is_fast_symlink(", "int ext4_inode_is_fast_symlink_(")}
	unbuilt := realBuild(t, s, spec)
	if err := SameImage(stock, unbuilt); err == nil || !strings.Contains(err.Error(), "fs/ext4/inode.c, which this config does not build") {
		t.Errorf("a patch to an unbuilt file: %v", err)
	}
	checkReady(t, s, stock)
}

// checkReady takes a built image as a ready one, without its .config.
func checkReady(t *testing.T, s *Store, built *Image) {
	t.Helper()
	ready := realBuild(t, s, Spec{Image: built.Path, Vmlinux: built.Vmlinux})
	if v, known := ready.Option("BTRFS_FS"); v != "y" || !known {
		t.Errorf("the configuration in the image was not found: BTRFS_FS = %q, %v", v, known)
	}
	if ready.Release != built.Release {
		t.Errorf("release %q, want %q", ready.Release, built.Release)
	}
}
