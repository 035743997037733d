//go:build vm

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"patchproof/results"
)

// tuningJSON is what tune --json prints, as far as this test cares.
type tuningJSON struct {
	Answer   string                `json:"answer"`
	Best     string                `json:"best"`
	Gain     struct{ Low float64 } `json:"gain"`
	PlanFile string                `json:"plan_file"`
	Settings []struct {
		Key     string
		Confirm struct{ Runs, Reproduced int }
		Post    struct{ Clean int }
		Search  struct {
			Runs, Cut  int
			CPUSeconds float64 `json:"cpu_seconds"`
		}
	}
	Runs []struct {
		Setting, Stage, Outcome string
		CPU                     float64 `json:"cpu_seconds"`
	}
}

// tuneArgs tune from a start that is too large to end in its part of the budget.
func tuneArgs(budget, out string) []string {
	return []string{"tune", "--json", "--budget", budget, "-o", out, "--vcpus", "1", "--var", "threads=8", "--var", "events=100000", "--var", "total_size=64MiB",
		"--knob", "block_size=", "--knob", "guest.vcpus=", "--knob", "icount=", "btrfs-dio-race-6.1"}
}

// TestVMTune: from a start that is too large to show the race in the test's time
// to settings that show it in seconds.
func TestVMTune(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir, busy := t.TempDir(), busyShells(t) // the host may have its own
	out, store := filepath.Join(dir, "fast.yaml"), filepath.Join(dir, "results")
	args := tuneArgs("210s", out)
	status, stdout, _ := patchproofIn(t, store, args...)
	var got tuningJSON
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("tune --json printed no JSON document: %v", err)
	}
	if status != statusOK || got.Answer != "tuned" || got.Gain.Low <= 1 || got.PlanFile != out {
		t.Fatalf("exit status %d, %s: %s is at least %.1f times better", status, got.Answer, got.Best, got.Gain.Low)
	}
	if s := got.Settings[0]; s.Key != results.TuneStart || s.Search.Runs != 0 || s.Search.Cut == 0 {
		t.Errorf("the start: %+v, want it to have been cut", s)
	}
	for _, s := range got.Settings {
		if s.Key == got.Best && (s.Confirm.Runs < results.LeastPostRuns || s.Confirm.Reproduced == 0 || s.Post.Clean < results.LeastPostRuns) {
			t.Errorf("the best: %+v", s)
		}
	}
	for _, r := range got.Runs {
		if r.CPU <= 0 || r.Setting == "" || r.Stage == "" {
			t.Errorf("run %+v", r)
		}
	}
	if status, stdout, _ = patchproof(t, "plan", "lint", out); status != statusOK || !strings.Contains(stdout, "plan for verify") {
		t.Errorf("the tuned plan: lint says %q", stdout)
	}
	if status, stdout, _ = patchproof(t, "verify", "--dry-run", out); status != statusOK || !strings.Contains(stdout, "sysbench") {
		t.Errorf("verify does not take the tuned plan: %q", stdout)
	}
	if status, _, stderr := patchproofIn(t, store, args...); status != statusUsage || !strings.Contains(stderr, "is there already") {
		t.Errorf("the plan would have been overwritten: exit status %d", status)
	}
	checkTuningRecord(t, store)
	if left := busyShells(t) - busy; left > 0 {
		t.Errorf("%d busy processes are left", left)
	}
}

// checkTuningRecord: the store tells the same.
func checkTuningRecord(t *testing.T, store string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(store, "2*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("campaigns %v, %v", found, err)
	}
	if status, stdout, _ := patchproofIn(t, store, "results", "show", found[0]); status != statusOK || !strings.HasPrefix(stdout, "tuning: tuned\n") {
		t.Errorf("results show: exit status %d, %q", status, stdout)
	}
	if status, stdout, _ := patchproofIn(t, store, "results", "list", "--kind", "tune", "--verdict", "tuned"); status != statusOK || !strings.Contains(stdout, filepath.Base(found[0])) {
		t.Errorf("results list: exit status %d, %q", status, stdout)
	}
}

// busyShells counts the processes of the host that look like those of
// vm.Spec.Load.
func busyShells(t *testing.T) (n int) {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if line, err := os.ReadFile(p); err == nil && strings.Contains(string(line), "while :; do :; done") {
			n++
		}
	}
	return n
}
