package kernels

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// historyRepo makes a repository with this history, oldest first:
//
//	start - a - b ------- merge - c - end
//	          \ side1 - side2 /
//	base of "other": start - other
//
// Commits touch a file of their own name in the folder x, b and side1 also y/f.
func historyRepo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	sh(t, dir, "git", "init", "-q", "-b", "main")
	commit := func(name string, files ...string) {
		for _, f := range append(files, "x/"+name) {
			path := filepath.Join(dir, f)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			put(t, path, name+"\n")
		}
		sh(t, dir, "git", "add", ".")
		sh(t, dir, "git", "commit", "-q", "-m", name)
		sh(t, dir, "git", "tag", name)
	}
	commit("start", "Makefile")
	sh(t, dir, "git", "checkout", "-q", "-b", "stray")
	commit("other")
	sh(t, dir, "git", "checkout", "-q", "main")
	commit("a")
	sh(t, dir, "git", "checkout", "-q", "-b", "topic")
	commit("side1", "y/f")
	commit("side2")
	sh(t, dir, "git", "checkout", "-q", "main")
	commit("b")
	sh(t, dir, "git", "merge", "-q", "--no-ff", "-m", "merge", "topic")
	sh(t, dir, "git", "tag", "merge")
	commit("c")
	commit("end", "z/f")
	return dir
}

// edges writes a history as "commit<parent,parent" by subject.
func edges(h *History) []string {
	subject := map[string]string{}
	var out []string
	for _, c := range h.Commits {
		subject[c.Hash] = c.Subject
		var parents []string
		for _, p := range c.Parents {
			parents = append(parents, subject[p])
		}
		slices.Sort(parents)
		out = append(out, c.Subject+"<"+strings.Join(parents, ","))
	}
	slices.Sort(out)
	return out
}

func TestReadHistory(t *testing.T) {
	t.Parallel()
	dir := historyRepo(t)
	before := snapshot(t, dir)
	for _, tt := range []struct {
		name, old, new string
		options        HistoryOptions
		want           string
	}{
		{"all", "start", "end", HistoryOptions{}, "a< b<a c<merge end<c merge<b,side2 side1<a side2<side1"},
		{"from the middle", "b", "c", HistoryOptions{}, "c<merge merge<side2 side1< side2<side1"},
		{"first parents", "start", "end", HistoryOptions{FirstParent: true}, "a< b<a c<merge end<c merge<b"},
		{"a path", "start", "end", HistoryOptions{Paths: []string{"y", "z"}}, "end<side1 side1<"},
		{"a path of both sides", "start", "end", HistoryOptions{Paths: []string{"x"}}, "a< b<a c<merge end<c merge<b,side2 side1<a side2<side1"},
	} {
		h, err := ReadHistory(context.Background(), dir, tt.old, tt.new, tt.options)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := strings.Join(edges(h), " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		for _, c := range h.Commits { // of the branch that "b" is not on
			if want := tt.old == "b" && (c.Subject == "side1" || c.Subject == "side2"); c.Aside != want {
				t.Errorf("%s: %s is aside: %v", tt.name, c.Subject, c.Aside)
			}
		}
		if h.Old.Subject != tt.old || h.New.Subject != tt.new || h.New.Author != "a <a@b>" {
			t.Errorf("%s: ends %+v and %+v", tt.name, h.Old, h.New)
		}
	}
	if after := snapshot(t, dir); len(after) != len(before) {
		t.Errorf("reading a history changed the repository")
	}
}

func TestReadHistoryErrors(t *testing.T) {
	t.Parallel()
	dir := historyRepo(t)
	sh(t, dir, "git", "checkout", "-q", "--orphan", "lone")
	sh(t, dir, "git", "commit", "-q", "-m", "lone")
	base := strings.TrimSpace(sh(t, dir, "git", "rev-parse", "start"))
	for _, tt := range []struct {
		old, new, text string
		order          *OrderError
	}{
		{"end", "end", "same commit", &OrderError{Same: true}},
		{"end", "start", "start is older than end", &OrderError{Reversed: true, MergeBase: base}},
		{"other", "end", "merge base is " + base[:12], &OrderError{MergeBase: base}},
		{"lone", "end", "no common history", &OrderError{}},
		{"nonsense", "end", "no revision nonsense", nil},
	} {
		_, err := ReadHistory(context.Background(), dir, tt.old, tt.new, HistoryOptions{})
		if err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s..%s: error %v, want %q", tt.old, tt.new, err, tt.text)
		}
		var order *OrderError
		if errors.As(err, &order) != (tt.order != nil) {
			t.Errorf("%s..%s: error %T", tt.old, tt.new, err)
			continue
		}
		if order != nil && (order.Same != tt.order.Same || order.Reversed != tt.order.Reversed || !tt.order.Same && order.MergeBase != tt.order.MergeBase) {
			t.Errorf("%s..%s: %+v", tt.old, tt.new, order)
		}
	}
	var source *SourceError
	if _, err := ReadHistory(context.Background(), dir, "start", "end", HistoryOptions{Paths: []string{"none"}}); !errors.As(err, &source) {
		t.Errorf("a path that no commit touches: %v", err)
	}
}

// A shallow clone can lack the older part of a side branch: what is left of it
// would look like all of it, and its oldest commit like the culprit.
func TestReadHistoryOfShallowClone(t *testing.T) {
	t.Parallel()
	dir := historyRepo(t)
	clone := func(depth string) string {
		shallow := filepath.Join(t.TempDir(), "shallow")
		sh(t, "", "git", "clone", "-q", "--depth", depth, "--branch", "main", "file://"+dir, shallow)
		return shallow
	}
	for _, tt := range []struct {
		name, depth, old, new string
		options               HistoryOptions
		want                  string // the commits, or part of the error
		fails                 bool
	}{
		{"a side branch is cut", "4", "HEAD~3", "HEAD", HistoryOptions{}, "is cut off at ", true},
		{"a cut side branch, with a path", "4", "HEAD~3", "HEAD", HistoryOptions{Paths: []string{"z"}}, "is cut off at ", true},
		{"first parents only", "4", "HEAD~3", "HEAD", HistoryOptions{FirstParent: true}, "c<merge end<c merge<", false},
		{"after the merge", "4", "HEAD~2", "HEAD", HistoryOptions{}, "c< end<c", false},
		{"the whole branch", "6", "HEAD~3", "HEAD", HistoryOptions{}, "c<merge end<c merge<side2 side1< side2<side1", false},
	} {
		h, err := ReadHistory(context.Background(), clone(tt.depth), tt.old, tt.new, tt.options)
		var source *SourceError
		switch {
		case tt.fails:
			if !errors.As(err, &source) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "git fetch --unshallow") {
				t.Errorf("%s: %v", tt.name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		default:
			if got := strings.Join(edges(h), " "); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
		}
	}
	// Two ends that were fetched apart seem to have nothing in common.
	apart := clone("1")
	sh(t, apart, "git", "fetch", "-q", "--depth", "1", "origin", "tag", "start")
	var source *SourceError
	if _, err := ReadHistory(context.Background(), apart, "start", "HEAD", HistoryOptions{}); !errors.As(err, &source) || !strings.Contains(err.Error(), "shallow clone") {
		t.Errorf("ends fetched apart: %v", err)
	}
}

func TestReadHistoryPaths(t *testing.T) {
	t.Parallel()
	dir := historyRepo(t)
	for _, path := range []string{"", "../x", "/etc", dir} {
		var source *SourceError
		if _, err := ReadHistory(context.Background(), dir, "start", "end", HistoryOptions{Paths: []string{path}}); !errors.As(err, &source) || !strings.Contains(err.Error(), "within the kernel tree") {
			t.Errorf("path %q: %v", path, err)
		}
	}
}

func TestParseRevListErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"commit\n\n", "0123 4567\na\x00b\n", "commit 0123\nno separator\n", "commit 0123\n"} {
		if c, err := parseRevList([]byte(text)); err == nil {
			t.Errorf("%q: %v and no error", text, c)
		}
	}
}

func FuzzParseRevList(f *testing.F) {
	f.Add([]byte("commit a\nA <a@b>\x00one\ncommit b a x\nA <a@b>\x00two\n"))
	f.Add([]byte("commit b a a\n\x00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		commits, err := parseRevList(data)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, c := range commits {
			for _, p := range c.Parents {
				if !seen[p] {
					t.Fatalf("commit %q comes before its parent %q", c.Hash, p)
				}
			}
			seen[c.Hash] = true
		}
	})
}

func TestTreeVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sh(t, dir, "git", "init", "-q", "-b", "main")
	put(t, filepath.Join(dir, "Makefile"), "# SPDX\nVERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 9\nother: VERSION = 7\n")
	sh(t, dir, "git", "add", ".")
	sh(t, dir, "git", "commit", "-q", "-m", "v6.1")
	if v, err := TreeVersion(context.Background(), dir, "HEAD"); v != "6.1" || err != nil {
		t.Errorf("version %q, %v, want 6.1", v, err)
	}
	put(t, filepath.Join(dir, "Makefile"), "all:\n")
	sh(t, dir, "git", "commit", "-q", "-a", "-m", "none")
	if v, err := TreeVersion(context.Background(), dir, "HEAD"); err == nil {
		t.Errorf("a Makefile without a version: %q", v)
	}
}

func TestCachedCommits(t *testing.T) {
	t.Parallel()
	f := gitFixture(t)
	v1, v2 := strings.TrimSpace(sh(t, f.tree, "git", "rev-parse", "v1")), strings.TrimSpace(sh(t, f.tree, "git", "rev-parse", "v2"))
	if _, err := f.store.Build(context.Background(), f.at("v2"), BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := f.store.CachedCommits(context.Background(), f.at(""), []string{v1, v2})
	if err != nil || !slices.Equal(got, []bool{false, true}) {
		t.Errorf("cached: %v, %v, want only the second", got, err)
	}
}
