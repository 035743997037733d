//go:build vm

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchproof/orchestrator"
	"patchproof/results"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestVMBenchJobs measures one and two guests with a run or two each: too few to
// tell more than that they were run, that the answer is kept, and that doctor
// and the next campaign know it.
func TestVMBenchJobs(t *testing.T) {
	cache := t.TempDir()
	plan := writeFile(t, "plan.yaml", fmt.Sprintf("name: p\npre: {image: %s}\npost: {image: %s}\nworkload: %s\n",
		builtKernel(t), builtKernel(t, "harmless"), forkWorkload(t, "", "  - sync:\n")))
	status, stdout, _ := patchproof(t, "bench", "jobs", "--json", "--turns", "1", "--runs", "1", "--most", "2", "--cache-dir", cache, plan)
	var b orchestrator.JobsBench
	if err := json.Unmarshal([]byte(stdout), &b); err != nil {
		t.Fatal(err)
	}
	if status != 0 || b.Jobs < 1 || b.Jobs > 2 || len(b.Levels) != 2 || b.Levels[0].Runs != 1 || b.Levels[1].Runs != 2 || b.Levels[1].RunsPerHour <= 0 || b.VCPUs != 1 || b.MemoryMiB != 256 {
		t.Errorf("status %d, %+v", status, b)
	}
	_, stdout, _ = patchproof(t, "doctor", "--cache-dir", cache)
	if want := fmt.Sprintf("%d for guests of 1 vCPU, 256 MiB under %s", b.Jobs, b.Accel); !strings.Contains(stdout, want) {
		t.Errorf("doctor does not say %q", want)
	}
	store := filepath.Join(t.TempDir(), "results")
	patchproofIn(t, store, "verify", "--max-runs", "1", "--cache-dir", cache, plan)
	plans, _ := filepath.Glob(filepath.Join(store, "*", "plan.yaml"))
	if len(plans) != 1 {
		t.Fatalf("campaigns: %v", plans)
	}
	if text, err := os.ReadFile(plans[0]); err != nil || !strings.Contains(string(text), fmt.Sprintf("\njobs: %d\n", b.Jobs)) {
		t.Errorf("verify did not take %d guests: %v\n%s", b.Jobs, err, text)
	}
}

// TestVMMatrixFork: two cells that differ after the point where the machine is
// saved share one machine; all of their runs go on from it, and no two share a
// random number.
func TestVMMatrixFork(t *testing.T) {
	cache, store := t.TempDir(), filepath.Join(t.TempDir(), "results")
	plan := writeFile(t, "matrix.yaml", fmt.Sprintf("name: m\nkernels: [{name: stock, image: %s}]\nworkloads: [%s]\naxes: {word: [a, b]}\nrepeat: 2\n",
		builtKernel(t), forkWorkload(t, "variables: {word: none}\n", "  - shell: {run: \"echo ${word}; cat /proc/sys/kernel/random/uuid\"}\n")))
	status, stdout, _ := patchproofIn(t, store, "matrix", "--json", "--no-site", "--fork", "auto", "--cache-dir", cache, plan)
	var n orchestrator.Notice
	if err := json.Unmarshal([]byte(stdout), &n); err != nil || status != 0 {
		t.Fatalf("status %d, %v", status, err)
	}
	c, runs, err := results.Load(n.Folder)
	if err != nil || len(runs) != 4 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	seen, states := map[string]bool{}, map[string]bool{}
	for _, r := range runs {
		if r.Forked == nil || len(r.Phases) != 1 || !strings.HasSuffix(r.Shape, ", forked") {
			t.Fatalf("run %s: %+v", r.ID, r)
		}
		output := r.Phases[0].Stdout
		if !strings.HasPrefix(output, r.Cell[strings.LastIndex(r.Cell, "=")+1:]+"\n") || seen[output] {
			t.Errorf("run %s of %s printed %q, the others %v", r.ID, r.Cell, output, seen)
		}
		seen[output], states[r.Forked.State] = true, true
	}
	if len(states) != 1 || !strings.Contains(strings.Join(c.Warnings, "\n"), "up to 5 from each") {
		t.Errorf("%d saved machines, warnings %q", len(states), c.Warnings)
	}
	for _, cell := range results.Cells(c, runs) {
		if cell.State != results.CellPassing || !strings.HasSuffix(cell.Cell.Shape, ", forked") {
			t.Errorf("cell %+v", cell)
		}
	}
	if left, tmp := statesLeft(t, cache); len(left) != 1 || len(tmp) != 0 {
		t.Errorf("in the cache: %v, %v", left, tmp)
	}
}
