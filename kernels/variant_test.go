package kernels

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// deleteFile is a patch that deletes a file and leaves the makefile that names it.
func (f *fixture) deleteFile(t *testing.T, file string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(read(t, filepath.Join(f.tree, file)), "\n"), "\n")
	path := filepath.Join(t.TempDir(), "delete.patch")
	put(t, path, fmt.Sprintf("--- a/%s\n+++ /dev/null\n@@ -1,%d +0,0 @@\n-%s\n", file, len(lines), strings.Join(lines, "\n-")))
	return path
}

// TestObjectOfADeletedFileIsNotLinked: make has no rule for an object without
// a source, and takes one that an earlier variant has left as it is.
func TestObjectOfADeletedFileIsNotLinked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	stock := f.build(t, f.spec)
	var be *BuildError
	if err := f.fail(t, f.with(f.deleteFile(t, "fs/btrfs/file.c"))); !errors.As(err, &be) {
		t.Errorf("%T %v, want a *BuildError", err, err)
	}
	if err := os.RemoveAll(stock.dir()); err != nil {
		t.Fatal(err)
	}
	again := f.build(t, f.spec)
	if again.SHA256 != stock.SHA256 || again.Provenance.Compiled != 1 {
		t.Errorf("with the file again: compiled %d files, sha256 %s, was %s", again.Provenance.Compiled, again.SHA256, stock.SHA256)
	}
}

// notesToFolder turns a file into a folder with a file.
const notesToFolder = `--- a/Documentation/notes
+++ /dev/null
@@ -1 +0,0 @@
-x
--- /dev/null
+++ b/Documentation/notes/a
@@ -0,0 +1 @@
+y
`

func TestPatchThatMakesAFolderOfAFile(t *testing.T) {
	t.Parallel()
	tarball, git := newFixture(t), gitFixture(t)
	for _, f := range []*fixture{tarball, git} {
		put(t, filepath.Join(f.tree, "Documentation/notes"), "x\n")
	}
	tarball.spec.Tarball = fakeTarball(t, tarball.tree, "notes.tar.gz")
	sh(t, git.tree, "git", "add", ".")
	sh(t, git.tree, "git", "commit", "-q", "-m", "notes")
	git.spec.Rev = "main"
	patch := filepath.Join(t.TempDir(), "folder.patch")
	put(t, patch, notesToFolder)
	for _, f := range []*fixture{tarball, git} {
		for _, step := range []struct {
			spec       Spec
			file, text string
		}{{f.with(patch), "notes/a", "y\n"}, {f.spec, "notes", "x\n"}, {f.with(patch), "notes/a", "y\n"}} {
			img := f.build(t, step.spec)
			if got := read(t, filepath.Join(img.Provenance.TreeDir, "tree/Documentation", step.file)); got != step.text {
				t.Errorf("%s: %q", step.file, got)
			}
			if err := os.RemoveAll(img.dir()); err != nil { // or the next step is not built
				t.Fatal(err)
			}
		}
	}
	git.build(t, git.at("v1")) // neither is there
}

// TestPatchBehindASymlink: the user's own files are only ever read.
func TestPatchBehindASymlink(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	mine := t.TempDir()
	put(t, filepath.Join(mine, "mine.c"), "int mine;\n")
	link := filepath.Join(f.tree, "fs/link")
	if err := os.Symlink(mine, link); err != nil {
		t.Fatal(err)
	}
	f.spec.Tarball = fakeTarball(t, f.tree, "link.tar.gz")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(link, "mine.c"), "int mine;\n")
	edit := f.replacePatch(t, "edit.patch", "fs/link/mine.c", "int mine;", "int yours;")
	add := makePatch(t, f.tree, "add.patch", func(dir string) { put(t, filepath.Join(dir, "fs/link/new.c"), "int new;\n") })
	for _, patch := range []string{edit, add} {
		var se *SourceError
		if err := f.fail(t, f.with(patch)); !errors.As(err, &se) || !strings.Contains(err.Error(), "behind the symlink") {
			t.Errorf("%T %v", err, err)
		}
	}
	if entries, err := os.ReadDir(mine); err != nil || len(entries) != 1 || read(t, filepath.Join(mine, "mine.c")) != "int mine;\n" {
		t.Errorf("the user's folder was written to: %v, %v", entries, err)
	}
}

func TestPatchWithWindowsLineEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	patch := f.replacePatch(t, "fix.patch", "fs/btrfs/inode.c", "int c;", "int fixed;")
	plain := f.build(t, f.with(patch))
	put(t, patch, strings.ReplaceAll(read(t, patch), "\n", "\r\n"))
	if img := f.build(t, f.with(patch)); img.SHA256 != plain.SHA256 {
		t.Error("the image differs")
	}
}

// TestNamesAreThoseAskedFor: an image that was built under other names is
// reported under those that it is asked for by.
func TestNamesAreThoseAskedFor(t *testing.T) {
	t.Parallel()
	f := gitFixture(t)
	first := f.replacePatchAt(t, "v1", "fs/btrfs/file.c", "int file_b;", "int patched;")
	second := filepath.Join(t.TempDir(), "second.patch")
	put(t, second, read(t, first))
	built := f.build(t, f.at("v2^", first))
	p := f.build(t, f.at("v1", second)).Provenance
	if p.Source.Rev != "v1" || p.Source.Commit != built.Provenance.Source.Commit || len(p.Patches) != 1 || p.Patches[0].Path != second {
		t.Errorf("source %+v, patches %+v", p.Source, p.Patches)
	}
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	for _, path := range []string{a, b} {
		put(t, path, read(t, built.Path))
		if img := f.build(t, Spec{Image: path}); img.Provenance.Source.Path != path {
			t.Errorf("image %s is called %s", path, img.Provenance.Source.Path)
		}
	}
}

func TestSameImageWithOtherModules(t *testing.T) {
	a := &Image{SHA256: "1", Modules: "/a", Provenance: Provenance{Source: Source{Kind: SourceImage}}}
	b := &Image{SHA256: "1", Modules: "/b", Provenance: Provenance{Source: Source{Kind: SourceImage}}}
	if err := SameImage(a, b); err == nil || !strings.Contains(err.Error(), "only their modules differ") {
		t.Error(err)
	}
	b.Modules = "/a"
	if err := SameImage(a, b); err == nil || !strings.Contains(err.Error(), "two different images") {
		t.Error(err)
	}
}
