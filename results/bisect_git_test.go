package results

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"patchproof/results/judge"
)

// gitHistory makes a repository with the commits of bisectParents after a first
// one, and returns its folder and the object names, the first one's last.
func gitHistory(t *testing.T) (dir string, hashes []string) {
	t.Helper()
	dir = t.TempDir()
	var in bytes.Buffer
	commit := func(mark int, parents []int) {
		fmt.Fprintf(&in, "commit refs/heads/main\nmark :%d\ncommitter A <a@example.org> %d +0000\ndata 1\nx\n", mark, 1_700_000_000+mark)
		for i, p := range parents {
			fmt.Fprintf(&in, "%s :%d\n", []string{"from", "merge"}[min(i, 1)], p)
		}
		fmt.Fprintf(&in, "M 100644 inline f\ndata <<END\n%d\nEND\n\n", mark)
	}
	commit(100, nil)
	for i, parents := range bisectParents {
		marks := []int{100}
		if len(parents) > 0 {
			marks = nil
		}
		for _, p := range parents {
			marks = append(marks, p+1)
		}
		commit(i+1, marks)
	}
	runGit(t, dir, nil, "init", "--quiet", "-b", "main", ".")
	marks := filepath.Join(t.TempDir(), "marks")
	runGit(t, dir, &in, "fast-import", "--quiet", "--export-marks="+marks)
	data, err := os.ReadFile(marks)
	if err != nil {
		t.Fatal(err)
	}
	hashes = make([]string, len(bisectParents)+1)
	for line := range strings.Lines(string(data)) {
		var mark int
		var hash string
		if _, err := fmt.Sscanf(line, ":%d %s", &mark, &hash); err != nil {
			t.Fatal(err)
		}
		hashes[min(mark-1, len(bisectParents))] = hash
	}
	return dir, hashes
}

func runGit(t *testing.T, dir string, stdin *bytes.Buffer, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C")
	if stdin != nil {
		cmd.Stdin = stdin
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestBisectGitReplay gives the log to git bisect replay in a real repository.
func TestBisectGitReplay(t *testing.T) {
	for _, tt := range []struct {
		name        string
		find        judge.Find
		untestable  []int
		paths       []string
		firstParent bool
	}{
		{name: "a culprit", find: judge.FindCulprit},
		{name: "a culprit, with a commit skipped", find: judge.FindCulprit, untestable: []int{7}},
		{name: "a fix", find: judge.FindFix},
		{name: "a fix below a path", find: judge.FindFix, paths: []string{"f"}},
		{name: "a culprit among first parents", find: judge.FindCulprit, firstParent: true},
	} {
		dir, hashes := gitHistory(t)
		f := newFakeSearch(t, tt.find, 9, 1)
		f.Record.Paths, f.Record.FirstParent = tt.paths, tt.firstParent
		rename(f, hashes)
		f.untestable = tt.untestable
		f.all(1000)
		var log bytes.Buffer
		if err := BisectGit(&log, f.Bisection); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(file, log.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		_, word := (&bisectView{Bisection: f.Bisection}).sides()
		out := runGit(t, dir, nil, "bisect", "replay", file)
		if want := hashes[9] + " is the first " + word + " commit"; !strings.Contains(out, want) {
			t.Errorf("%s: git bisect replay did not say %q:\n%s\n%s", tt.name, want, out, &log)
		}
		// git's own log of it holds the same marks.
		own := runGit(t, dir, nil, "bisect", "log")
		for line := range strings.Lines(log.String()) {
			if strings.HasPrefix(line, "git bisect") && !strings.HasPrefix(line, "git bisect start") && !strings.Contains(own, line) {
				t.Errorf("%s: git's log lacks %q:\n%s", tt.name, line, own)
			}
		}
	}
}

// rename gives the commits of a fake search the names of a real repository.
func rename(f *fakeSearch, hashes []string) {
	f.nodes = map[string]int{hashes[len(hashes)-1]: judge.OldEnd}
	for i := range f.Record.Commits {
		f.Record.Commits[i].Commit = hashes[i]
		f.nodes[hashes[i]] = i
	}
	f.Record.Old.Commit, f.Record.New.Commit = hashes[len(hashes)-1], hashes[len(hashes)-2]
}
