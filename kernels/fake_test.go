package kernels

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeHeader is the setup header of a minimal bzImage of boot protocol 2.07,
// which has no payload.
func fakeHeader(version string) []byte {
	b := make([]byte, 1024)
	b[offSetupSects] = 1
	le := binary.LittleEndian
	le.PutUint16(b[offBootFlag:], 0xaa55)
	copy(b[offMagic:], "HdrS")
	le.PutUint16(b[offProtocol:], 0x207)
	le.PutUint16(b[offKernelVersion:], 0x300-0x200)
	b[offLoadFlags] = 1
	copy(b[0x300:], version+"\x00")
	return b
}

// fakeTree copies the miniature kernel tree to a folder.
func fakeTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "linux-source-6.1")
	if err := os.CopyFS(dir, os.DirFS("testdata/faketree")); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "scripts/header.bin"), string(fakeHeader("6.1.99 (patchproof@patchproof) #1 SMP")))
	return dir
}

// fakeTarball packs a tree as Debian does: one folder at the top.
func fakeTarball(t *testing.T, tree, name string) string {
	t.Helper()
	tarball := filepath.Join(t.TempDir(), name)
	sh(t, "", "tar", "--create", "--auto-compress", "--file", tarball, "-C", filepath.Dir(tree), filepath.Base(tree))
	return tarball
}

// fakeCompiler are the make variables for the stand-in compiler, outside of any tree.
func fakeCompiler(t *testing.T) []string {
	t.Helper()
	cc := filepath.Join(t.TempDir(), "fakecc")
	data, err := os.ReadFile("testdata/faketree/scripts/fakecc")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cc, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{"CC=" + cc, "LD=" + cc}
}

type fixture struct {
	store *Store
	tree  string // the user's; packed as tarball
	spec  Spec
	frag  string
}

// newFixture is a store and a spec for the plain fake kernel from a tarball.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	tree := fakeTree(t)
	frag := filepath.Join(t.TempDir(), "guest.config")
	put(t, frag, "CONFIG_BTRFS_FS=y\nCONFIG_NR_CPUS=8\n")
	return &fixture{store: openStore(t), tree: tree, frag: frag,
		spec: Spec{Tarball: fakeTarball(t, tree, "linux-source-6.1.tar.gz"), Fragments: []string{frag}, Make: fakeCompiler(t)}}
}

func openStore(t *testing.T) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "kernels"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f *fixture) with(patches ...string) Spec {
	spec := f.spec
	spec.Patches = patches
	return spec
}

func (f *fixture) build(t *testing.T, spec Spec) *Image {
	t.Helper()
	img, err := f.store.Build(context.Background(), spec, BuildOptions{Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func (f *fixture) fail(t *testing.T, spec Spec) error {
	t.Helper()
	img, err := f.store.Build(context.Background(), spec, BuildOptions{Jobs: 2})
	if err == nil {
		t.Fatalf("built %s, want an error", img.ID)
	}
	return err
}

// makePatch makes a git diff of a tree against a copy in which edit has worked.
func makePatch(t *testing.T, tree, name string, edit func(dir string)) string {
	t.Helper()
	dir := t.TempDir()
	for _, side := range []string{"a", "b"} {
		if err := os.CopyFS(filepath.Join(dir, side), os.DirFS(tree)); err != nil {
			t.Fatal(err)
		}
	}
	edit(filepath.Join(dir, "b"))
	path := filepath.Join(dir, name)
	if err := os.Rename(diffOf(t, dir), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// diffOf makes a patch file of the difference between dir/a and dir/b.
func diffOf(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command("git", "diff", "--no-index", "--no-prefix", "a", "b")
	cmd.Dir = dir
	out, _ := cmd.Output() // status 1 means that there is a difference
	if len(out) == 0 {
		t.Fatal("the edit changed nothing")
	}
	path := filepath.Join(dir, "diff.patch")
	put(t, path, string(out))
	return path
}

// replace edits one file of a tree.
func replace(t *testing.T, file, old, new string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s has no %q", file, old)
	}
	put(t, file, strings.Replace(string(data), old, new, 1))
}

// replacePatch is a patch that replaces a text in one file.
func (f *fixture) replacePatch(t *testing.T, name, file, old, new string) string {
	t.Helper()
	return makePatch(t, f.tree, name, func(dir string) { replace(t, filepath.Join(dir, file), old, new) })
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func sh(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_OPTIONAL_LOCKS=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// snapshot reads all files below a folder, with their times.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.Walk(dir, func(p string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		out[rel] = info.ModTime().Format(time.RFC3339Nano) + "\n" + read(t, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// empty fails when a folder of the store has anything in it.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left behind: %s", filepath.Join(dir, e.Name()))
	}
}

// plainTree gives the originals of a folder.
type plainTree string

func (p plainTree) original(_ context.Context, name string) (sourceFile, error) {
	return getFile(string(p), name)
}
