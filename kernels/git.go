package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// privateGit is the environment for git in folders of our own: no settings of
// the user or the machine, which could bring hooks, filters or aliases.
func privateGit() []string {
	return []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0"}
}

// readOnlyGit is the environment for git in the user's repository: their
// settings hold (safe.directory among them), and nothing is refreshed on disk.
func readOnlyGit() []string {
	return []string{"GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1"}
}

// gitSource is a revision of the user's repository. Sources are checked out in
// a repository of our own that borrows the user's objects through git's
// alternates, so that nothing is ever written into theirs, not even the note
// that git worktree would leave there.
type gitSource struct {
	tree   string // as given
	rev    string
	common string // the user's git folder
	object string // its objects folder
	commit string
}

// resolveGit finds the commit that a revision means.
func resolveGit(ctx context.Context, tree, rev string) (*gitSource, error) {
	abs, err := filepath.Abs(tree)
	if err != nil {
		return nil, err
	}
	if err := checkTreeFolder(abs); err != nil {
		return nil, &SourceError{err}
	}
	out, err := command{name: "git", dir: abs, env: readOnlyGit(),
		args: []string{"rev-parse", "--path-format=absolute", "--git-common-dir", "--git-path", "objects"}}.output(ctx)
	if err != nil {
		var te *toolError
		if errors.As(err, &te) && strings.Contains(te.stderr, "not a git repository") {
			return nil, &SourceError{fmt.Errorf("kernel tree %s is not a git repository: use tarball for an archive, or name a clone", abs)}
		}
		return nil, fmt.Errorf("kernel tree %s: %w", abs, err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != 2 {
		return nil, fmt.Errorf("kernel tree %s: git rev-parse said %q", abs, out)
	}
	g := &gitSource{tree: abs, rev: rev, common: lines[0], object: lines[1]}
	out, err = command{name: "git", dir: abs, env: readOnlyGit(),
		args: []string{"rev-parse", "--verify", "--quiet", "--end-of-options", rev + "^{commit}"}}.output(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		hint := "run git fetch there, or check the name"
		if g.isShallow() {
			hint = "it is a shallow clone: run git fetch --unshallow there, or git fetch the revision"
		}
		return nil, &SourceError{fmt.Errorf("kernel tree %s has no revision %s: %s", abs, rev, hint)}
	}
	g.commit = strings.TrimSpace(string(out))
	return g, nil
}

// shallowFile lists the commits of a shallow clone whose parents it lacks.
func (g *gitSource) shallowFile() string { return filepath.Join(g.common, "shallow") }

func (g *gitSource) isShallow() bool {
	_, err := os.Stat(g.shallowFile())
	return err == nil
}

func (g *gitSource) identity() string { return "git " + g.commit }

// treeKey is the same for all revisions of one repository: going from one to
// the next by git checkout keeps what both have in common built.
func (g *gitSource) treeKey() string { return "git " + g.common }

func (g *gitSource) base() string { return g.commit }

func (g *gitSource) name() string { return g.tree + " at " + g.rev }

func (g *gitSource) provenance() Source {
	return Source{Kind: SourceGit, Path: g.tree, Rev: g.rev, Commit: g.commit}
}

// create makes our own repository, empty but for the borrowed objects.
func (g *gitSource) create(ctx context.Context, s *Store, dir string) error {
	if err := s.needSpace("check out "+g.name(), treeBytes); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(s.path(tmpDir), "clone-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	format := "--object-format=sha1"
	if len(g.commit) == 64 {
		format = "--object-format=sha256"
	}
	if _, err := (command{name: "git", dir: tmp, env: privateGit(), args: []string{"init", "--quiet", "--template=", format, "."}}).output(ctx); err != nil {
		return fmt.Errorf("creating a private clone of %s: %w", g.tree, err)
	}
	info := filepath.Join(tmp, ".git", "objects", "info")
	if err := os.MkdirAll(info, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(info, "alternates"), []byte(g.object+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

// checkout brings the work files of our clone to the source's commit. git
// writes only the files that differ.
func (g *gitSource) checkout(ctx context.Context, dir string) error {
	// A git that was killed leaves its lock; we hold the tree's own lock.
	os.Remove(filepath.Join(dir, ".git", "index.lock"))
	_, err := gitIn(ctx, dir, "checkout", "--quiet", "--force", "--detach", g.commit, "--")
	if err == nil || ctx.Err() != nil {
		return err
	}
	var te *toolError
	if errors.As(err, &te) && (strings.Contains(te.stderr, "unable to read") || strings.Contains(te.stderr, "not our ref") || strings.Contains(te.stderr, "lazy fetch")) {
		return fmt.Errorf("checking out %s: objects are missing in the repository; if it is a partial clone, run git fetch --refetch --no-filter there: %w", g.name(), err)
	}
	return fmt.Errorf("checking out %s: %w", g.name(), err)
}

// gitIn runs git in a repository of our own.
func gitIn(ctx context.Context, dir string, args ...string) ([]byte, error) {
	fixed := []string{"-C", dir, "-c", "core.fsync=none", "-c", "gc.auto=0", "-c", "core.autocrlf=false", "-c", "advice.detachedHead=false"}
	return command{name: "git", env: append(privateGit(), "GIT_DIR="+filepath.Join(dir, ".git"), "GIT_WORK_TREE="+dir),
		args: append(fixed, args...)}.output(ctx)
}

// gitFile reads a file of a commit from a repository of our own.
func gitFile(ctx context.Context, dir, commit, name string) (sourceFile, error) {
	out, err := gitIn(ctx, dir, "ls-tree", "-z", commit, "--", ":(literal)"+name)
	if err != nil {
		return sourceFile{}, err
	}
	meta, _, ok := bytes.Cut(out, []byte("\t"))
	fields := strings.Fields(string(meta))
	if !ok || len(fields) != 3 || fields[1] == "tree" {
		return sourceFile{absent: true}, nil // a folder is no file
	}
	if fields[1] != "blob" || fields[0] == "120000" {
		return sourceFile{}, fmt.Errorf("%s is not a regular file, and patches to such are not supported", name)
	}
	data, err := gitIn(ctx, dir, "cat-file", "blob", fields[2])
	return sourceFile{data: data, exec: fields[0] == "100755"}, err
}

// gitChanged lists the files that differ between two commits.
func gitChanged(ctx context.Context, dir, a, b string) ([]string, error) {
	out, err := gitIn(ctx, dir, "diff", "--name-only", "--no-renames", "-z", a, b, "--")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, n := range strings.Split(string(out), "\x00") {
		if n != "" {
			names = append(names, n)
		}
	}
	return names, nil
}

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
