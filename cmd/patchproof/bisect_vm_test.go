//go:build vm

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bisectJSON is what scripts rely on in bisect --json.
type bisectJSON struct {
	Found  bool `json:"found"`
	Answer *struct {
		Commit      string  `json:"commit"`
		Subject     string  `json:"subject"`
		Probability float64 `json:"probability"`
	} `json:"answer"`
	Candidates []struct {
		Commit      string  `json:"commit"`
		Probability float64 `json:"probability"`
	} `json:"candidates"`
	Old, New struct {
		Reproduced int `json:"reproduced"`
		Clean      int `json:"clean"`
	}
	Untestable []struct {
		Commit     string `json:"commit"`
		Untestable string `json:"untestable"`
	} `json:"untestable"`
	Commits int `json:"commits"`
	Builds  int `json:"builds"`
	Runs    []struct {
		ID      string `json:"id"`
		Commit  string `json:"commit"`
		Outcome string `json:"outcome"`
		Counted bool   `json:"counted"`
		Log     string `json:"log"`
	} `json:"runs"`
	Campaign struct {
		Dir string `json:"dir"`
	} `json:"campaign"`
}

// bisectProgram returns a command of the real program that keeps its records in
// the given folder.
func bisectProgram(t *testing.T, resultsDir string, args ...string) (cmd *exec.Cmd, stdout *bytes.Buffer) {
	t.Helper()
	bin := program(t)
	var errs bytes.Buffer
	stdout = &bytes.Buffer{}
	cmd = exec.Command(bin, append(args, "--results-dir", resultsDir)...)
	cmd.Stdout, cmd.Stderr = stdout, &errs
	t.Cleanup(func() { t.Logf("%s\n%s%s", strings.Join(cmd.Args, " "), &errs, stdout) })
	return cmd, stdout
}

// bisectArgs are the flags of a search on perturbed kernels, in which the race
// shows in nearly every run. The confidence is the default one: with 0.95 and a
// rate of 0.9 one search in 250 ends at another commit, as the judge's simulation
// and the experience of this test have it.
func bisectArgs(repo, find, bad, good string) []string {
	return []string{"bisect", "--json", "--tree", repo, "--find", find, "--bad", bad, "--good", good,
		"--perturb", "fs/btrfs/file.c,fs/btrfs/inode.c:1/8", "--vcpus", "1", "--var", "threads=64", "--var", "events=8000",
		"--workload", "btrfs-dio-race-focused"}
}

func decodeBisection(t *testing.T, stdout *bytes.Buffer) bisectJSON {
	t.Helper()
	var b bisectJSON
	if err := json.Unmarshal(stdout.Bytes(), &b); err != nil {
		t.Fatalf("bisect --json printed no JSON document: %v", err)
	}
	return b
}

// check compares an answer with the truth.
func (b bisectJSON) check(t *testing.T, want string, commit map[string]string) {
	t.Helper()
	if !b.Found || b.Answer == nil || b.Answer.Commit != want {
		t.Fatalf("answer %+v, want %s; candidates %+v", b.Answer, want, b.Candidates)
	}
	for _, u := range b.Untestable {
		if u.Commit != commit["unbuildable"] && u.Commit != commit["unbootable"] {
			t.Errorf("commit %s was untestable: %s", u.Commit, u.Untestable)
		}
	}
	for _, r := range b.Runs {
		if r.Commit == commit["unbuildable"] || r.Commit == commit["unbootable"] && r.Outcome == "clean" {
			t.Errorf("run %s at an untestable commit was %s", r.ID, r.Outcome)
		}
	}
}

// killAfter is the number of runs after which the program is killed: the ends
// are verified by then, and the search has begun.
const killAfter = 9

// TestVMBisectCulprit: the culprit is found in a history with merges and
// untestable commits, although the program is killed in the middle. What was
// measured by then is kept, and no run is done twice.
func TestVMBisectCulprit(t *testing.T) {
	repo, commit := history(t)
	dir := filepath.Join(t.TempDir(), "results")
	cmd, _ := bisectProgram(t, dir, bisectArgs(repo, "culprit", "broken", "stock")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pattern := filepath.Join(dir, "*", "run", "*", "run.json")
	finished := func() map[string][]byte {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		records := map[string][]byte{}
		for _, f := range files {
			if records[f], err = os.ReadFile(f); err != nil {
				t.Fatal(err)
			}
		}
		return records
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.After(20 * time.Minute)
	for len(finished()) < killAfter {
		select {
		case err := <-ended:
			t.Fatalf("the program ended by itself: %v", err)
		case <-deadline:
			t.Fatalf("no %d runs in time", killAfter)
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	before := finished()

	logCmd, stdout := bisectProgram(t, dir, "bisect", "log", "--json")
	if err := logCmd.Run(); err != nil {
		t.Fatalf("bisect log after kill -9: %v", err)
	}
	interrupted := decodeBisection(t, stdout)
	if interrupted.Found || len(interrupted.Runs) < killAfter {
		t.Errorf("after kill -9: found %v, %d runs", interrupted.Found, len(interrupted.Runs))
	}

	resume, stdout := bisectProgram(t, dir, "bisect", "--resume", "--json")
	if err := resume.Run(); err != nil {
		t.Errorf("bisect --resume: %v", err)
	}
	b := decodeBisection(t, stdout)
	b.check(t, commit["culprit"], commit)
	after := finished()
	for f, record := range before {
		if !bytes.Equal(record, after[f]) {
			t.Errorf("record %s changed when the bisection went on", f)
		}
	}
	checkJournal(t, b)
	checkReplay(t, repo, dir, commit["culprit"])
}

// checkJournal: every run that counts was told to the judge once, and the ends
// that had been verified before the kill were not verified again.
func checkJournal(t *testing.T, b bisectJSON) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.Campaign.Dir, "bisect.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	told, sittings := map[string]int{}, 0
	for line := range bytes.Lines(data) {
		var e struct{ Event, Run string }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		switch e.Event {
		case "run":
			told[e.Run]++
		case "sitting":
			sittings++
		}
	}
	if sittings != 2 {
		t.Errorf("%d sittings, want 2", sittings)
	}
	for _, r := range b.Runs {
		// A run that ended just before the kill may not be in the journal.
		if n := told[r.ID]; n > 1 || n == 1 != r.Counted && n != 0 {
			t.Errorf("run %s, counted %v, is in the journal %d times", r.ID, r.Counted, n)
		}
	}
	if b.New.Reproduced > 6 {
		t.Errorf("the bad end was run until it reproduced %d times", b.New.Reproduced)
	}
}

// checkReplay: git bisect takes the log and comes to the same commit.
func checkReplay(t *testing.T, repo, resultsDir, want string) {
	t.Helper()
	logCmd, stdout := bisectProgram(t, resultsDir, "bisect", "log", "--format", "git")
	if err := logCmd.Run(); err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(t.TempDir(), "clone.git")
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, stdout.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "clone", "--quiet", "--bare", "--shared", repo, clone).CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	// The repository was filled by fast-import, which leaves HEAD at a branch
	// that is not there, and git bisect needs to know where it is.
	if out, err := exec.Command("git", "-C", clone, "update-ref", "--no-deref", "HEAD", want).CombinedOutput(); err != nil {
		t.Fatalf("git update-ref: %v\n%s", err, out)
	}
	out, err := exec.Command("git", "-C", clone, "bisect", "replay", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), want+" is the first bad commit") {
		t.Errorf("git bisect replay: %v\n%s", err, out)
	}
}

// TestVMBisectFix: the commit that fixed the bug, in the part of the history
// that follows.
func TestVMBisectFix(t *testing.T) {
	repo, commit := history(t)
	cmd, stdout := bisectProgram(t, filepath.Join(t.TempDir(), "results"), bisectArgs(repo, "fix", "broken", "fixed")...)
	if err := cmd.Run(); err != nil {
		t.Errorf("bisect --find fix: %v", err)
	}
	b := decodeBisection(t, stdout)
	b.check(t, commit["fix"], commit)
	if b.Old.Reproduced == 0 || b.New.Reproduced != 0 || b.New.Clean == 0 {
		t.Errorf("old end %+v, new end %+v", b.Old, b.New)
	}
}

// TestVMTestCommit: the statuses that git bisect run goes by.
func TestVMTestCommit(t *testing.T) {
	repo, _ := history(t)
	for _, tt := range []struct {
		rev    string
		status int
	}{{"fixed", 0}, {"culprit", 1}, {"unbuildable", 125}, {"unbootable", 125}, {"no-such-revision", 129}} {
		args := append([]string{"test-commit", "--tree", repo, "--rev", tt.rev}, bisectArgs("", "", "", "")[10:]...)
		status, stdout, stderr := patchproof(t, args...)
		if status != tt.status {
			t.Errorf("test-commit %s: status %d, want %d\n%s%s", tt.rev, status, tt.status, stdout, stderr)
		}
	}
}
