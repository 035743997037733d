//go:build vm

package main

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const historySource = "/usr/src/linux-source-6.1.tar.xz"

// historyStep is one commit of the history that the bisection tests search.
type historyStep struct {
	name    string
	edit    func(h *historyWriter) error
	parents []string // names; none means the step before
	tag     string
}

// historySteps put a culprit and its fix into the stock tree, among commits that
// are harmless, one that does not build and one that does not boot, each put
// right by the next. The commits next to the culprit and to the fix are sound,
// so that both can be told from their neighbours.
func historySteps() []historyStep {
	return []historyStep{
		{name: "docs: say something", edit: text("Documentation/patchproof.txt")},
		{name: "lib: a step in bsearch", edit: code("lib/bsearch.c")},
		{name: "btrfs: a step in xattr", edit: code("fs/btrfs/xattr.c")},
		{name: "drm: a step that is not built", edit: code("drivers/gpu/drm/drm_mm.c"), tag: "fork"},
		{name: "ipc: a step on the branch", edit: code("ipc/sem.c"), parents: []string{"drm: a step that is not built"}},
		{name: "sound: an unbuilt step on the branch", edit: code("sound/core/hwdep.c"), tag: "branch"},
		{name: "net: a step beside the branch", edit: code("net/ipv4/protocol.c"), parents: []string{"drm: a step that is not built"}},
		{name: "btrfs: a step beside the branch", edit: code("fs/btrfs/export.c")},
		{name: "Merge the branch", edit: branchFiles("ipc/sem.c", "sound/core/hwdep.c"), parents: []string{"btrfs: a step beside the branch", "sound: an unbuilt step on the branch"}},
		{name: "btrfs: does not build", edit: appended("fs/btrfs/dir-item.c", "#error broken on purpose\n"), tag: "unbuildable"},
		{name: "btrfs: builds again", edit: restored("fs/btrfs/dir-item.c")},
		{name: "mm: a step in mincore", edit: code("mm/mincore.c")},
		{name: "btrfs: put the 2014 race of direct and buffered writes back", edit: patch("0001-base"), tag: "culprit"},
		{name: "btrfs: a step in root-tree", edit: code("fs/btrfs/root-tree.c")},
		{name: "lib: does not boot", edit: appended("lib/ctype.c", "#include <linux/init.h>\n#include <linux/kernel.h>\nstatic int __init patchproof_stop(void)\n{\n\tpanic(\"broken on purpose\");\n\treturn 0;\n}\nearly_initcall(patchproof_stop);\n"), tag: "unbootable"},
		{name: "lib: boots again", edit: restored("lib/ctype.c")},
		{name: "kernel: a step in utsname", edit: code("kernel/range.c")},
		{name: "docs: say something else", edit: text("Documentation/patchproof-2.txt")},
		{name: "btrfs: a step in acl", edit: code("fs/btrfs/acl.c"), tag: "broken"},
		{name: "net: a step that is not built", edit: code("net/ax25/ax25_timer.c")},
		{name: "lib: a step in sort", edit: code("lib/sort.c")},
		{name: "btrfs: a step in props", edit: code("fs/btrfs/props.c")},
		{name: "btrfs: hold the extent lock until the range is delalloc", edit: patch("0002-fix"), tag: "fix"},
		{name: "mm: a step in maccess", edit: code("mm/maccess.c")},
		{name: "sound: a step that is not built", edit: code("sound/core/jack.c")},
		{name: "btrfs: a step in uuid-tree", edit: code("fs/btrfs/uuid-tree.c")},
		{name: "docs: the end", edit: text("Documentation/patchproof-3.txt"), tag: "fixed"},
	}
}

// text makes a file that no build reads.
func text(name string) func(*historyWriter) error {
	return func(h *historyWriter) error { h.files[name] = []byte(name + "\n"); return nil }
}

// code adds a function that nobody calls to a C file.
func code(name string) func(*historyWriter) error {
	return func(h *historyWriter) error {
		id := strings.NewReplacer("/", "_", ".", "_", "-", "_").Replace(strings.TrimSuffix(name, ".c"))
		return appended(name, fmt.Sprintf("\nint patchproof_%s(int x);\nint patchproof_%s(int x)\n{\n\treturn 3 * x + %d;\n}\n", id, id, len(name)))(h)
	}
}

func appended(name, text string) func(*historyWriter) error {
	return func(h *historyWriter) error {
		if h.stock[name] == nil {
			return fmt.Errorf("%s is not in %s", name, historySource)
		}
		h.files[name] = append(append([]byte{}, h.stock[name]...), text...)
		return nil
	}
}

func restored(name string) func(*historyWriter) error {
	return func(h *historyWriter) error { h.files[name] = h.stock[name]; return nil }
}

// branchFiles takes files as a branch has left them into its merge.
func branchFiles(names ...string) func(*historyWriter) error {
	return func(h *historyWriter) error {
		for _, name := range names {
			if err := code(name)(h); err != nil {
				return err
			}
		}
		return nil
	}
}

// patch applies one of the shipped patches.
func patch(name string) func(*historyWriter) error {
	return func(h *historyWriter) error {
		file, err := filepath.Abs("../../configs/patches/btrfs-dio-race/" + name + ".patch")
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "patchproof-history-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		touched := []string{"fs/btrfs/file.c", "fs/btrfs/inode.c"}
		if err := os.MkdirAll(filepath.Join(dir, "fs/btrfs"), 0o755); err != nil {
			return err
		}
		for _, f := range touched {
			if err := os.WriteFile(filepath.Join(dir, f), h.current(f), 0o644); err != nil {
				return err
			}
		}
		cmd := exec.Command("git", "apply", "-p1", file)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, out)
		}
		for _, f := range touched {
			if h.files[f], err = os.ReadFile(filepath.Join(dir, f)); err != nil {
				return err
			}
		}
		return nil
	}
}

// historyWriter writes a history for git fast-import: 80,000 files go into one
// pack, without a work tree and without a process for each.
type historyWriter struct {
	out   *bufio.Writer
	stock map[string][]byte // files of the stock tree that may be edited
	last  map[string][]byte // as edited by the steps so far
	files map[string][]byte // as edited by this step
	marks map[string]int
}

// editable are the files of the stock tree that are kept for the steps.
var editable = regexp.MustCompile(`^(fs/btrfs|lib|mm|kernel|ipc|net/ipv4|net/ax25|sound/core|drivers/gpu/drm)/[^/]*\.c$`)

func (h *historyWriter) current(name string) []byte {
	if data, ok := h.last[name]; ok {
		return data
	}
	return h.stock[name]
}

// historyRepo returns the repository, made once for all tests of this machine:
// kernels built from it are found in the cache again.
var historyRepo = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(historySource)
	if err != nil {
		return "", err
	}
	recipe, err := os.ReadFile("history_vm_test.go")
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(fmt.Appendf(recipe, "%d %v", info.Size(), info.ModTime()))
	dir := filepath.Join(cache, "patchproof", "test-history", fmt.Sprintf("%.6x.git", key))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	old, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*"))
	if err != nil {
		return "", err
	}
	for _, d := range old {
		if err := os.RemoveAll(d); err != nil {
			return "", err
		}
	}
	tmp := dir + ".tmp"
	if out, err := exec.Command("git", "init", "--quiet", "--bare", tmp).CombinedOutput(); err != nil {
		return "", fmt.Errorf("git init: %w\n%s", err, out)
	}
	if err := writeHistory(tmp); err != nil {
		return "", err
	}
	return dir, os.Rename(tmp, dir)
})

func writeHistory(repo string) error {
	cmd := exec.Command("git", "-C", repo, "-c", "core.fsync=none", "-c", "pack.compression=1", "fast-import", "--quiet", "--depth=0")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	h := &historyWriter{out: bufio.NewWriterSize(in, 1<<20), stock: map[string][]byte{}, last: map[string][]byte{}, marks: map[string]int{}}
	err = errors.Join(h.stockTree(), h.steps(), h.out.Flush(), in.Close())
	return errors.Join(err, cmd.Wait())
}

func (h *historyWriter) commit(name string, from []string) {
	mark := len(h.marks) + 1
	h.marks[name] = mark
	fmt.Fprintf(h.out, "commit refs/heads/main\nmark :%d\ncommitter A U Thor <author@example.org> %d +0000\ndata %d\n%s\n", mark, 1_700_000_000+60*mark, len(name), name)
	for i, parent := range from {
		word := "from"
		if i > 0 {
			word = "merge"
		}
		fmt.Fprintf(h.out, "%s :%d\n", word, h.marks[parent])
	}
}

func (h *historyWriter) file(mode, name string, data []byte) {
	fmt.Fprintf(h.out, "M %s inline %s\ndata %d\n", mode, name, len(data))
	h.out.Write(data) // Flush returns its error
	h.out.WriteString("\n")
}

func (h *historyWriter) tag(name string, mark int) {
	fmt.Fprintf(h.out, "reset refs/tags/%s\nfrom :%d\n\n", name, mark)
}

// stockTree makes the first commit from the tarball.
func (h *historyWriter) stockTree() error {
	unpack := exec.Command("xz", "-dc", historySource)
	unpack.Stderr = os.Stderr
	packed, err := unpack.StdoutPipe()
	if err != nil {
		return err
	}
	if err := unpack.Start(); err != nil {
		return err
	}
	h.commit("Linux, as released", nil)
	for files := tar.NewReader(packed); ; {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		_, name, _ := strings.Cut(header.Name, "/")
		switch {
		case header.Typeflag == tar.TypeSymlink:
			h.file("120000", name, []byte(header.Linkname))
		case header.Typeflag == tar.TypeReg:
			data, err := io.ReadAll(files)
			if err != nil {
				return err
			}
			mode := "100644"
			if header.Mode&0o111 != 0 {
				mode = "100755"
			}
			h.file(mode, name, data)
			if editable.MatchString(name) {
				h.stock[name] = data
			}
		}
	}
	h.tag("stock", 1)
	return unpack.Wait()
}

func (h *historyWriter) steps() error {
	previous := "Linux, as released"
	for _, step := range historySteps() {
		h.files = map[string][]byte{}
		if err := step.edit(h); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		parents := step.parents
		if parents == nil {
			parents = []string{previous}
		}
		h.commit(step.name, parents)
		for name, data := range h.files {
			h.last[name] = data
			h.file("100644", name, data)
		}
		if step.tag != "" {
			h.tag(step.tag, h.marks[step.name])
		}
		previous = step.name
	}
	return nil
}

// history returns the repository and the commits of its tags.
func history(t *testing.T) (repo string, commit map[string]string) {
	t.Helper()
	repo, err := historyRepo()
	if err != nil {
		t.Fatalf("making the history: %v", err)
	}
	out, err := exec.Command("git", "-C", repo, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/tags").Output()
	if err != nil {
		t.Fatal(err)
	}
	commit = map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, hash, _ := strings.Cut(strings.TrimSpace(line), " ")
		commit[name] = hash
	}
	return repo, commit
}
