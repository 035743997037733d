//go:build vm

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"patchproof/results"
)

// TestVMTuneResume kills a tuning in the first rung of its search and goes on:
// no record changes, the start is not measured again, the settings are the same,
// and what had been cut in the rung is not tried again there.
func TestVMTuneResume(t *testing.T) {
	dir := t.TempDir()
	c := &longCampaign{results: filepath.Join(dir, "results")}
	c.cmd = exec.Command(program(t), append(tuneArgs("60s", filepath.Join(dir, "fast.yaml")), "--results-dir", c.results)...)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	waitFor(t, "a run of the search to end, and another to begin", func() bool {
		n := 0
		for _, data := range runRecords(t, c.results) {
			if bytes.Contains(data, []byte(`"stage": "search"`)) {
				n++
			}
		}
		return n >= 2 && len(c.guests(t)) > 0
	})
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // its error is that it was killed
	waitFor(t, "the guests of the killed tuning to end", func() bool { return len(c.guests(t)) == 0 })
	before := runRecords(t, c.results)
	was, wasRuns := loadTuning(t, c.results)

	status, stdout, _ := patchproofIn(t, c.results, "tune", "--resume", "--json")
	var got tuningJSON
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("tune --json printed no JSON document: %v", err)
	}
	if status != statusOK && status != statusUndecided || got.Answer == "incomplete" || (status == statusOK) != (got.Answer == "tuned") {
		t.Errorf("exit status %d, %s", status, got.Answer)
	}
	after := runRecords(t, c.results)
	for file, data := range before {
		if !bytes.Equal(after[file], data) {
			t.Errorf("%s has changed", file)
		}
	}
	if len(after) <= len(before) {
		t.Errorf("%d runs have ended, as before", len(after))
	}
	now, runs := loadTuning(t, c.results)
	checkTakenUp(t, was.Tune, now.Tune, wasRuns, runs)
	if left := c.leftovers(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// checkTakenUp compares a tuning that was killed with what has become of it.
func checkTakenUp(t *testing.T, was, now *results.TuneRecord, wasRuns, runs []results.Run) {
	t.Helper()
	used, spent, _ := now.Used()
	if len(now.Sittings) != 2 || now.Sittings[1].BudgetSeconds != 0 || used != spent {
		t.Errorf("sittings %+v", now.Sittings)
	}
	for i, s := range was.Settings {
		if now.Settings[i].Key != s.Key {
			t.Errorf("setting %d is %s, and was %s", i, now.Settings[i].Key, s.Key)
		}
	}
	cut := map[string]bool{} // in the first rung, before the kill
	for i := range wasRuns {
		if r := &wasRuns[i]; r.Stage == results.StageSearch && r.Stopped && was.Counts(r) {
			cut[r.Setting] = true
		}
	}
	for _, r := range runs[len(wasRuns):] {
		if r.Stage == results.StageStart {
			t.Errorf("%s measures the start again", r.ID)
		}
		if r.Stage == results.StageSearch && now.RungOf(r.Index) == 1 && cut[r.Setting] {
			t.Errorf("%s tries %s again in the first rung", r.ID, r.Setting)
		}
	}
}

// runRecords reads the records of the runs that have ended, of all campaigns of a
// store.
func runRecords(t *testing.T, store string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(store, "*", "run", "*", "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		if out[f], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// loadTuning loads a store's only campaign.
func loadTuning(t *testing.T, store string) (*results.Campaign, []results.Run) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(store, "2*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("campaigns %v, %v", found, err)
	}
	c, runs, err := results.Load(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return c, runs
}
