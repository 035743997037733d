package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Commit is one commit of a History, with what a reader wants to see of it.
type Commit struct {
	// Hash is the full object name.
	Hash string `json:"commit"`
	// Parents are those within the history; a commit whose parents all lie
	// outside has none.
	Parents []string `json:"parents,omitempty"`
	Subject string   `json:"subject"`
	Author  string   `json:"author"` // "Name <mail>"
	// Aside says that the commit does not descend from the old end of the
	// history: it lies on a branch that forked off before.
	Aside bool `json:"aside,omitempty"`
}

// History is the part of a git history that a bisection searches: all commits
// that New has and Old has not, merges included.
type History struct {
	Tree string
	// Old is an ancestor of New and not one of Commits; with paths, New need
	// not be one either.
	Old, New Commit
	// Commits has parents before their children.
	Commits []Commit
}

// HistoryOptions narrow a History.
type HistoryOptions struct {
	// Paths keeps the commits that change something below one of these paths,
	// simplified as git log and git bisect do it: where a merge has the content
	// of one of its parents, only that parent's side is followed.
	Paths []string
	// FirstParent follows the first parent of merges only: a branch is then one
	// step, its merge.
	FirstParent bool
}

// OrderError says that one revision is not an ancestor of the other.
type OrderError struct {
	Old, New string // as given
	// MergeBase is a common ancestor of both, empty when there is none, and New's
	// commit when New is the ancestor of Old.
	MergeBase string
	// Same and Reversed say that both are one commit, or that New is the older.
	Same, Reversed bool
}

// Error implements error.
func (e *OrderError) Error() string {
	switch {
	case e.Same:
		return fmt.Sprintf("%s and %s are the same commit: there is nothing to search", e.Old, e.New)
	case e.Reversed:
		return fmt.Sprintf("%s is older than %s", e.New, e.Old)
	case e.MergeBase == "":
		return fmt.Sprintf("%s and %s have no common history", e.Old, e.New)
	}
	return fmt.Sprintf("%s is not an ancestor of %s; their merge base is %.12s", e.Old, e.New, e.MergeBase)
}

// ReadHistory reads the commits between two revisions of a git tree, which is
// only read. A revision or a part of the history that is not there is a
// *SourceError, and an old revision that is no ancestor of the new one an
// *OrderError.
func ReadHistory(ctx context.Context, tree, old, new string, o HistoryOptions) (*History, error) {
	from, err := resolveGit(ctx, tree, old)
	if err != nil {
		return nil, err
	}
	to, err := resolveGit(ctx, tree, new)
	if err != nil {
		return nil, err
	}
	for _, p := range o.Paths {
		if !filepath.IsLocal(p) { // git would take some of these for the whole tree, or fail
			return nil, &SourceError{fmt.Errorf("path %q: give a path within the kernel tree, relative to its top, such as fs/btrfs", p)}
		}
	}
	if err := checkOrder(ctx, from, to); err != nil {
		return nil, err
	}
	if err := to.checkComplete(ctx, from, o.FirstParent); err != nil {
		return nil, err
	}
	ends, err := to.revList(ctx, "--no-walk=unsorted", from.commit, to.commit)
	var commits []Commit
	if err == nil {
		args := append([]string{"--topo-order", "--reverse"}, to.since(from, o.FirstParent)...)
		commits, err = to.revList(ctx, append(args, o.Paths...)...)
	}
	if err != nil {
		return nil, fmt.Errorf("history of %s between %s and %s: %w", from.tree, old, new, err)
	}
	if len(commits) == 0 {
		return nil, &SourceError{fmt.Errorf("no commit between %s and %s in %s touches %s: there is nothing to search", old, new, from.tree, strings.Join(o.Paths, " "))}
	}
	if err := to.markAside(ctx, from, commits); err != nil {
		return nil, fmt.Errorf("history of %s between %s and %s: %w", from.tree, old, new, err)
	}
	return &History{Tree: from.tree, Old: ends[0], New: ends[1], Commits: commits}, nil
}

// markAside finds the commits that do not descend from old.
func (g *gitSource) markAside(ctx context.Context, old *gitSource, commits []Commit) error {
	out, err := g.read(ctx, "rev-list", "--ancestry-path", g.commit, "^"+old.commit, "--")
	if err != nil {
		return err
	}
	descends := map[string]bool{}
	for _, commit := range strings.Fields(string(out)) {
		descends[commit] = true
	}
	for i := range commits {
		commits[i].Aside = !descends[commits[i].Hash]
	}
	return nil
}

// since are the arguments of git rev-list that choose what g has and old has not.
func (g *gitSource) since(old *gitSource, firstParent bool) []string {
	args := []string{g.commit, "^" + old.commit, "--"}
	if firstParent {
		args = append([]string{"--first-parent"}, args...)
	}
	return args
}

// checkComplete refuses a range that a shallow clone has only a part of: where
// the clone is cut off, a side branch would seem to begin, and a commit that is
// missing could never be found.
func (g *gitSource) checkComplete(ctx context.Context, old *gitSource, firstParent bool) error {
	cut, err := os.ReadFile(g.shallowFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var listed []byte
	if err == nil {
		listed, err = g.read(ctx, append([]string{"rev-list"}, g.since(old, firstParent)...)...)
	}
	if err != nil {
		return fmt.Errorf("history of %s between %s and %s: %w", g.tree, old.rev, g.rev, err)
	}
	missing := map[string]bool{}
	for _, commit := range strings.Fields(string(cut)) {
		missing[commit] = true
	}
	for _, commit := range strings.Fields(string(listed)) {
		if missing[commit] {
			return &SourceError{fmt.Errorf("the history between %s and %s is cut off at %.12s: %s is a shallow clone: run git fetch --unshallow there", old.rev, g.rev, commit, g.tree)}
		}
	}
	return nil
}

// revList lists commits with their parents, authors and subjects.
func (g *gitSource) revList(ctx context.Context, args ...string) ([]Commit, error) {
	out, err := g.read(ctx, append([]string{"rev-list", "--parents", "--format=%an <%ae>%x00%s"}, args...)...)
	if err != nil {
		return nil, err
	}
	return parseRevList(out)
}

// read runs git in the user's repository, from its top, where paths start.
func (g *gitSource) read(ctx context.Context, args ...string) ([]byte, error) {
	return command{name: "git", dir: g.common, env: readOnlyGit(), args: args}.output(ctx)
}

func checkOrder(ctx context.Context, old, new *gitSource) error {
	e := &OrderError{Old: old.rev, New: new.rev, Same: old.commit == new.commit}
	if e.Same {
		return e
	}
	out, err := old.read(ctx, "merge-base", old.commit, new.commit)
	var te *toolError
	if err != nil && !(errors.As(err, &te) && te.status == 1) {
		return fmt.Errorf("common history of %s and %s in %s: %w", old.rev, new.rev, old.tree, err)
	}
	e.MergeBase = strings.TrimSpace(string(out))
	if e.MergeBase == "" && new.isShallow() {
		return &SourceError{fmt.Errorf("%s and %s have no common history in %s, which is a shallow clone: run git fetch --unshallow there", old.rev, new.rev, new.tree)}
	}
	e.Reversed = e.MergeBase == new.commit
	if e.MergeBase == old.commit {
		return nil
	}
	return e
}

// parseRevList reads what git rev-list --parents prints with a format of "author
// NUL subject": a line "commit HASH PARENT...", then the format's. Parents that
// are not listed before their child are left out.
func parseRevList(out []byte) ([]Commit, error) {
	var commits []Commit
	listed := map[string]bool{}
	for len(out) > 0 {
		var head, text []byte
		head, out, _ = bytes.Cut(out, []byte("\n"))
		text, out, _ = bytes.Cut(out, []byte("\n"))
		words := strings.Fields(string(head))
		author, subject, ok := strings.Cut(string(text), "\x00")
		if len(words) < 2 || words[0] != "commit" || !ok {
			return nil, fmt.Errorf("git rev-list said %q, %q", head, text)
		}
		c := Commit{Hash: words[1], Subject: subject, Author: author}
		for _, p := range words[2:] {
			if listed[p] && !slices.Contains(c.Parents, p) {
				c.Parents = append(c.Parents, p)
			}
		}
		listed[c.Hash] = true
		commits = append(commits, c)
	}
	return commits, nil
}

// ResolveCommit returns the full object name of the commit that a revision of a
// git tree means; a revision that is not there is a *SourceError.
func ResolveCommit(ctx context.Context, tree, rev string) (string, error) {
	g, err := resolveGit(ctx, tree, rev)
	if err != nil {
		return "", err
	}
	return g.commit, nil
}

// TreeVersion reads the version that the top Makefile of a revision states, such
// as "6.1": it is known before anything is built.
func TreeVersion(ctx context.Context, tree, rev string) (string, error) {
	g, err := resolveGit(ctx, tree, rev)
	if err != nil {
		return "", err
	}
	out, err := g.read(ctx, "cat-file", "blob", g.commit+":Makefile")
	if err != nil {
		return "", &SourceError{fmt.Errorf("%s is not a kernel tree: it has no Makefile", g.name())}
	}
	values := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(line, "="); ok {
			name = strings.TrimSpace(name)
			if _, seen := values[name]; !seen {
				values[name] = strings.TrimSpace(value)
			}
		}
	}
	version := values["VERSION"] + "." + values["PATCHLEVEL"]
	if _, _, ok := Version(version); !ok {
		return "", &SourceError{fmt.Errorf("%s is not a kernel tree: its Makefile states no VERSION and PATCHLEVEL", g.name())}
	}
	return version, nil
}

// CachedCommits says for each commit whether the store has the image that spec
// has at that commit; a build would take no time. Everything but the commit is
// resolved once.
func (s *Store) CachedCommits(ctx context.Context, spec Spec, commits []string) ([]bool, error) {
	if len(commits) == 0 {
		return nil, nil
	}
	spec.Rev = commits[0]
	in, err := s.resolve(ctx, spec)
	if err != nil {
		return nil, err
	}
	g, ok := in.src.(*gitSource)
	if !ok {
		return nil, &SourceError{fmt.Errorf("%s is not a git tree", in.src.name())}
	}
	cached := make([]bool, len(commits))
	for i, c := range commits {
		g.commit = c
		cached[i] = s.has(in.imageID())
	}
	return cached, nil
}
