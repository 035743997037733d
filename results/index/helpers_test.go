package index

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/results/judge"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // golden files hold times
	goleak.VerifyTestMain(m)
}

var began = time.Date(2026, 11, 25, 19, 0, 0, 0, time.UTC)

// night is a campaign to be written, n days after began.
type night struct {
	id    string
	days  int
	cells map[string]string // outcomes of the cell's runs, a letter each, see outcome
	sha   string            // of all its kernels
	open  bool              // no record of its end
}

// report makes the record of a report with the given fingerprint.
func report(fingerprint string, signature bool) results.ReportRecord {
	r := results.ReportRecord{Phase: 2, PhaseName: "run", Report: dmesg.Report{Kind: dmesg.KindWarning, Severity: dmesg.SeverityMedium,
		Title: "WARNING in " + fingerprint, Function: fingerprint, Fingerprint: fingerprint, Text: "WARNING: CPU: 1 PID: 1 at " + fingerprint + "\n"}}
	if signature {
		r.Signature = "bug"
	}
	return r
}

// run makes a run that shows what the letter says: r reproduced, c clean, o
// other failure, i invalid.
func run(letter rune) results.Run {
	r := results.Run{Accel: "tcg", Shape: "2 vCPUs, 512 MiB", ElapsedSeconds: 10, Complete: true,
		Phases: []results.PhaseResult{{Index: 0, Name: "mkfs"}, {Index: 1, Name: "mount"}, {Index: 2, Name: "run"}}}
	switch letter {
	case 'r':
		r.Reports = []results.ReportRecord{report("btrfs_destroy_inode", true)}
	case 'o':
		r.Reports = []results.ReportRecord{report("foo_bar", false)}
	case 'i':
		r.HarnessReason = "ssh did not come up"
	}
	return r
}

// writeNight writes a matrix campaign and the times of its files, a day back so
// that they count as settled.
func writeNight(t testing.TB, dir string, n night) {
	t.Helper()
	c := results.Campaign{Format: results.FormatVersion, ID: n.id, Kind: results.KindMatrix, Workload: "nightly", Started: began.AddDate(0, 0, n.days),
		Command: []string{"patchproof", "matrix", "nightly.yaml"}, Matrix: &results.MatrixRecord{Name: "nightly"}}
	if !n.open {
		c.ElapsedSeconds = 100
	}
	folder := filepath.Join(dir, n.id)
	number := 0
	for _, key := range slices.Sorted(maps.Keys(n.cells)) {
		c.Matrix.Cells = append(c.Matrix.Cells, results.CellRecord{Key: key, Workload: "focused", Repeat: len(n.cells[key])})
		for _, letter := range n.cells[key] {
			number++
			r := run(letter)
			r.Cell, r.Side, r.Kernel = key, results.Single, results.KernelRecord{SHA256: n.sha, Label: "kernel " + n.sha}
			r.Started = c.Started.Add(time.Duration(number) * time.Minute)
			r.ElapsedSeconds = float64(10 + number)
			writeRun(t, folder, number, r)
		}
	}
	writeFile(t, filepath.Join(folder, "campaign.json"), encode(t, c))
	settle(t, folder)
}

// writeRun writes a run's folder without the store, which syncs every file.
func writeRun(t testing.TB, folder string, number int, r results.Run) {
	t.Helper()
	r.ID, r.Index = fmt.Sprintf("%s-%03d", r.Side, number), number
	path := filepath.Join(folder, string(r.Side), fmt.Sprintf("%03d", number))
	start := r
	start.Phases, start.Reports = nil, nil
	lines := append(encode(t, map[string]any{"event": "started", "started": start}), '\n')
	for _, p := range r.Phases {
		lines = append(append(lines, encode(t, map[string]any{"event": "phase", "phase": p})...), '\n')
	}
	for _, rep := range r.Reports {
		lines = append(append(lines, encode(t, map[string]any{"event": "report", "report": rep})...), '\n')
	}
	lines = append(append(lines, encode(t, map[string]any{"event": "outcome", "outcome": map[string]any{"outcome": "as drawn then",
		"complete": r.Complete, "harness_reason": r.HarnessReason, "stopped": r.Stopped, "elapsed_seconds": r.ElapsedSeconds}})...), '\n')
	writeFile(t, filepath.Join(path, "run.jsonl"), lines)
	writeFile(t, filepath.Join(path, "run.json"), encode(t, r))
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// settle makes everything below folder old enough for stamps.
func settle(t testing.TB, folder string) {
	t.Helper()
	then := time.Now().Add(-24 * time.Hour)
	err := filepath.Walk(folder, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, then, then)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func openIndex(t testing.TB, dir string) *Index {
	t.Helper()
	x, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// three nights of one matrix: the bug is in the compressed cell, at first only
// in some runs; night 2 has another failure as well.
func threeNights(t testing.TB) string {
	dir := t.TempDir()
	writeNight(t, dir, night{id: "20261125T190000Z-nightly-aaaaaa", days: 0, sha: "k1", cells: map[string]string{"compress=none": "cccc", "compress=zlib": "crcr"}})
	writeNight(t, dir, night{id: "20261126T190000Z-nightly-bbbbbb", days: 1, sha: "k1", cells: map[string]string{"compress=none": "coci", "compress=zlib": "rrcr"}})
	writeNight(t, dir, night{id: "20261127T190000Z-nightly-cccccc", days: 2, sha: "k2", cells: map[string]string{"compress=none": "cccc", "compress=zlib": "cccc"}})
	return dir
}

func counts(reproduced, clean, other, invalid int) judge.Counts {
	return judge.Counts{Reproduced: reproduced, Clean: clean, OtherFailure: other, Invalid: invalid}
}
