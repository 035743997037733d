package kernels

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// gitFixture is a fixture whose source is a git repository with two commits:
// v1, and v2, which changes fs/btrfs/inode.c.
func gitFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	sh(t, f.tree, "git", "init", "-q", "-b", "main")
	sh(t, f.tree, "git", "add", ".")
	sh(t, f.tree, "git", "commit", "-q", "-m", "first")
	sh(t, f.tree, "git", "tag", "v1")
	replace(t, filepath.Join(f.tree, "fs/btrfs/inode.c"), "int c;", "int fixed;")
	sh(t, f.tree, "git", "commit", "-q", "-a", "-m", "fix")
	sh(t, f.tree, "git", "tag", "v2")
	f.spec.Tarball, f.spec.Tree, f.spec.Rev = "", f.tree, "v1"
	return f
}

func (f *fixture) at(rev string, patches ...string) Spec {
	spec := f.with(patches...)
	spec.Rev = rev
	return spec
}

func TestGitPairLeavesTheUsersTreeAlone(t *testing.T) {
	t.Parallel()
	f := gitFixture(t)
	// Work of the user's in progress: staged, unstaged, stashed, untracked.
	replace(t, filepath.Join(f.tree, "fs/ext4/inode.c"), "int ext4_b;", "int stashed;")
	sh(t, f.tree, "git", "stash")
	replace(t, filepath.Join(f.tree, "fs/btrfs/file.c"), "int file_a;", "#error staged")
	sh(t, f.tree, "git", "add", "fs/btrfs/file.c")
	replace(t, filepath.Join(f.tree, "fs/btrfs/inode.c"), "int a;", "#error unstaged")
	put(t, filepath.Join(f.tree, "notes.txt"), "untracked")
	state := func() string {
		var b strings.Builder
		for _, args := range [][]string{{"status", "--porcelain"}, {"rev-parse", "HEAD"}, {"for-each-ref"}, {"worktree", "list"}, {"stash", "list"}, {"count-objects", "-v"}} {
			b.WriteString(sh(t, f.tree, "git", args...))
		}
		return b.String()
	}
	wantState, wantFiles := state(), snapshot(t, f.tree)

	pre := f.build(t, f.at("v2^"))
	post := f.build(t, f.at("v2"))
	if post.Provenance.Compiled != 1 {
		t.Errorf("the second revision compiled %d files, want 1", post.Provenance.Compiled)
	}
	if pre.Provenance.Source.Commit == post.Provenance.Source.Commit || pre.Provenance.Source.Rev != "v2^" {
		t.Errorf("sources: %+v and %+v", pre.Provenance.Source, post.Provenance.Source)
	}
	if err := SameImage(pre, post); err != nil {
		t.Error(err)
	}
	patch := f.replacePatchAt(t, "v1", "fs/btrfs/file.c", "int file_b;", "int patched;")
	patched := f.build(t, f.at("v1", patch))
	if !strings.Contains(read(t, patched.Vmlinux), "patched") || strings.Contains(read(t, patched.Vmlinux), "fixed") {
		t.Error("v1 with the patch is not what was built")
	}
	if got := state(); got != wantState {
		t.Errorf("the repository changed:\n%s\nwas:\n%s", got, wantState)
	}
	gotFiles := snapshot(t, f.tree)
	for name, content := range gotFiles {
		if wantFiles[name] != content {
			t.Errorf("%s was written", name)
		}
	}
	if len(gotFiles) != len(wantFiles) {
		t.Errorf("%d files, there were %d", len(gotFiles), len(wantFiles))
	}
}

// replacePatchAt makes a patch against a revision of the fixture's repository.
func (f *fixture) replacePatchAt(t *testing.T, rev, file, old, new string) string {
	t.Helper()
	dir := t.TempDir()
	text := sh(t, f.tree, "git", "show", rev+":"+file)
	for _, side := range []string{"a", "b"} {
		put(t, filepath.Join(dir, side, file), text)
	}
	replace(t, filepath.Join(dir, "b", file), old, new)
	return diffOf(t, dir)
}

func TestGitPatchedFileKeepsItsTimeAcrossRevisions(t *testing.T) {
	t.Parallel()
	f := gitFixture(t)
	patch := f.replacePatchAt(t, "v1", "fs/btrfs/file.c", "int file_b;", "int patched;")
	f.build(t, f.at("v1", patch))
	post := f.build(t, f.at("v2", patch))
	if post.Provenance.Compiled != 1 {
		t.Errorf("compiled %d files, want only the one that differs between the revisions", post.Provenance.Compiled)
	}
	if !strings.Contains(read(t, post.Vmlinux), "patched") || !strings.Contains(read(t, post.Vmlinux), "fixed") {
		t.Error("v2 with the patch is not what was built")
	}
}

func TestGitSourceLineIsOfTheImagesRevision(t *testing.T) {
	t.Parallel()
	f := gitFixture(t)
	patch := f.replacePatchAt(t, "v1", "fs/btrfs/file.c", "int file_b;", "int patched;")
	pre, post := f.build(t, f.at("v1", patch)), f.build(t, f.at("v2"))
	for _, tc := range []struct {
		img  *Image
		file string
		line int
		want string
	}{
		{pre, "fs/btrfs/inode.c", 5, "int c;"},
		{post, "fs/btrfs/inode.c", 5, "int fixed;"},
		{pre, "fs/btrfs/file.c", 3, "int patched;"},
		{post, "/build/linux/fs/btrfs/file.c", 3, "int file_b;"},
	} {
		if lines, ok := tc.img.SourceLine(tc.file, tc.line); !ok || lines[0] != tc.want {
			t.Errorf("%s of %s: %q, want %q", tc.file, tc.img.Provenance.Source.Rev, lines, tc.want)
		}
	}
}

func TestGitErrors(t *testing.T) {
	t.Parallel()
	f := gitFixture(t)
	shallow := filepath.Join(t.TempDir(), "shallow")
	sh(t, "", "git", "clone", "-q", "--depth=1", "file://"+f.tree, shallow)
	plain := t.TempDir()
	other := filepath.Join(t.TempDir(), "other")
	sh(t, "", "git", "init", "-q", other)
	put(t, filepath.Join(other, "a"), "a")
	sh(t, other, "git", "add", "a")
	sh(t, other, "git", "commit", "-q", "-m", "not a kernel")
	for _, tc := range []struct {
		name, tree, rev string
		want            []string
	}{
		{"no such revision", f.tree, "v9", []string{f.tree, "v9", "git fetch"}},
		{"an option as revision", f.tree, "--all", []string{"no revision --all"}},
		{"shallow", shallow, "HEAD^", []string{"HEAD^", "git fetch --unshallow"}},
		{"no repository", plain, "v1", []string{plain, "not a git repository"}},
		{"no kernel", other, "HEAD", []string{"not a kernel source tree", "Makefile"}},
		{"no kernel, and its tree is there from the last time", other, "HEAD", []string{"not a kernel source tree", "Makefile"}},
		{"no folder", filepath.Join(plain, "none"), "v1", []string{"no such file", "name a git repository"}},
	} {
		spec := f.spec
		spec.Tree, spec.Rev = tc.tree, tc.rev
		err := f.fail(t, spec)
		for _, w := range tc.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q lacks %q", tc.name, err, w)
			}
		}
	}
}

func TestGitCrashDuringCheckoutIsRepaired(t *testing.T) {
	t.Parallel()
	f := gitFixture(t)
	stock := f.build(t, f.at("v1"))
	dir := stock.Provenance.TreeDir
	// As a git that was killed in the middle leaves it: some files written, its
	// lock still there, a file of a patch left over.
	state, err := readTreeState(dir)
	if err != nil {
		t.Fatal(err)
	}
	state.Dirty, state.Changed = true, []string{"fs/new.c"}
	tr := &tree{dir: dir, state: state}
	if err := tr.save(); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "tree", ".git", "index.lock"), "")
	put(t, filepath.Join(dir, "tree", "fs/btrfs/inode.c"), "#error half written")
	put(t, filepath.Join(dir, "tree", "fs/new.c"), "int x;")
	if err := os.RemoveAll(stock.dir()); err != nil {
		t.Fatal(err)
	}
	again := f.build(t, f.at("v1"))
	if again.SHA256 != stock.SHA256 {
		t.Error("the image differs after the repair")
	}
	if _, err := os.Stat(filepath.Join(dir, "tree", "fs/new.c")); err == nil {
		t.Error("the left-over file is still there")
	}
}

func TestSameImageOfTwoRevisions(t *testing.T) {
	t.Parallel()
	f := gitFixture(t)
	sh(t, f.tree, "git", "checkout", "-q", "-b", "other", "v1")
	replace(t, filepath.Join(f.tree, "fs/ext4/inode.c"), "int ext4_a;", "int ext4_new;")
	sh(t, f.tree, "git", "commit", "-q", "-a", "-m", "ext4")
	err := SameImage(f.build(t, f.at("v1")), f.build(t, f.at("other")))
	if err == nil || !strings.Contains(err.Error(), "fs/ext4/inode.c, which this config does not build") {
		t.Error(err)
	}
}

func TestGitIgnoresTheCallersGitEnvironment(t *testing.T) {
	f := gitFixture(t)
	t.Setenv("GIT_DIR", "/nonexistent")
	t.Setenv("GIT_INDEX_FILE", "/nonexistent")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := resolveGit(ctx, f.tree, "v1"); err != nil {
		t.Error(err)
	}
}
