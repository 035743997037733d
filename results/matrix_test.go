package results

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"patchproof/results/judge"
)

// cellRun is a finished run of a cell.
func cellRun(cell string, number int, reports ...ReportRecord) Run {
	r := sampleRun(Single, number, number, reports...)
	r.Cell = cell
	return r
}

func invalidRun(cell string, number int) Run {
	r := cellRun(cell, number)
	r.HarnessReason = "no SSH server"
	r.classify()
	return r
}

func stoppedRun(cell string, number int) Run {
	r := cellRun(cell, number)
	r.Stopped, r.Complete, r.HarnessReason = true, false, "stopped before its end"
	r.classify()
	return r
}

func TestCellOf(t *testing.T) {
	const key = "kernel=a"
	other := cellRun("kernel=b", 9, btrfsReport())
	flying := cellRun(key, 8)
	flying.Outcome = ""
	for _, c := range []struct {
		name    string
		cell    CellRecord
		runs    []Run
		state   CellState
		missing int
		counts  judge.Counts
	}{
		{"nothing yet", CellRecord{Repeat: 3}, nil, CellPending, 3, judge.Counts{}},
		{"other cells, runs in flight and stopped ones do not count", CellRecord{Repeat: 3}, []Run{other, flying, stoppedRun(key, 1)}, CellPending, 3, judge.Counts{}},
		{"clean so far", CellRecord{Repeat: 3}, []Run{cellRun(key, 1)}, CellPassing, 2, judge.Counts{Clean: 1}},
		{"one of two reproduced", CellRecord{Repeat: 2}, []Run{cellRun(key, 1), cellRun(key, 2, btrfsReport())}, CellFailing, 0, judge.Counts{Clean: 1, Reproduced: 1}},
		{"reproduced weighs more than another failure", CellRecord{Repeat: 2}, []Run{cellRun(key, 1, otherReport()), cellRun(key, 2, btrfsReport())}, CellFailing, 0, judge.Counts{OtherFailure: 1, Reproduced: 1}},
		{"another failure", CellRecord{Repeat: 1}, []Run{cellRun(key, 1, otherReport())}, CellOther, 0, judge.Counts{OtherFailure: 1}},
		{"benign reports are none", CellRecord{Repeat: 1}, []Run{cellRun(key, 1, benignReport())}, CellPassing, 0, judge.Counts{Clean: 1}},
		{"the first failure is enough", CellRecord{Repeat: 9, StopFirst: true}, []Run{cellRun(key, 1), cellRun(key, 2, btrfsReport())}, CellFailing, 0, judge.Counts{Clean: 1, Reproduced: 1}},
		{"clean runs are not", CellRecord{Repeat: 9, StopFirst: true}, []Run{cellRun(key, 1)}, CellPassing, 8, judge.Counts{Clean: 1}},
		{"an invalid run is made up for", CellRecord{Repeat: 1, RetryLimit: 1}, []Run{invalidRun(key, 1)}, CellPending, 1, judge.Counts{Invalid: 1}},
		{"until the limit", CellRecord{Repeat: 1, RetryLimit: 1}, []Run{invalidRun(key, 1), invalidRun(key, 2)}, CellInvalid, 0, judge.Counts{Invalid: 2}},
		{"the limit ends a cell that has valid runs", CellRecord{Repeat: 3}, []Run{cellRun(key, 1), invalidRun(key, 2)}, CellPassing, 0, judge.Counts{Clean: 1, Invalid: 1}},
		{"skipped", CellRecord{Repeat: 3, Skipped: "kernel did not build"}, nil, CellSkipped, 3, judge.Counts{}},
		{"skipped after a run", CellRecord{Repeat: 3, Skipped: "no time"}, []Run{cellRun(key, 1)}, CellPassing, 2, judge.Counts{Clean: 1}},
	} {
		c.cell.Key = key
		got := CellOf(c.cell, c.runs)
		if got.State != c.state || got.Missing != c.missing || got.Counts != c.counts {
			t.Errorf("%s: %s, %d missing, %+v; want %s, %d, %+v", c.name, got.State, got.Missing, got.Counts, c.state, c.missing, c.counts)
		}
	}
}

func TestCellReports(t *testing.T) {
	twice := cellRun("k", 1, btrfsReport(), btrfsReport())
	follow := otherReport()
	follow.FollowUp = true
	got := CellOf(CellRecord{Key: "k", Repeat: 3, Confidence: 0.95}, []Run{cellRun("k", 3, otherReport()), twice, cellRun("k", 2, btrfsReport(), follow)})
	want := []CellReport{
		{Fingerprint: btrfsReport().Fingerprint, Title: "WARNING in btrfs_destroy_inode", Condition: "WARN_ON(inode->csum_bytes)",
			Place: "btrfs_destroy_inode at fs/btrfs/inode.c:8028", Matches: true, Runs: 2},
		{Fingerprint: "KASAN|foo_bar", Title: "KASAN: use-after-free Read in foo_bar", Place: "foo_bar at fs/foo/bar.c:12", Runs: 1},
	}
	if !reflect.DeepEqual(got.Reports, want) {
		t.Errorf("got %+v", got.Reports)
	}
	if got.Rate != judge.ClopperPearson(2, 2, 0.95) || !slices.Equal(got.RunIDs, []string{"run-003", "run-001", "run-002"}) || got.ElapsedSeconds != 3*18.25 {
		t.Errorf("%+v", got)
	}
}

func nightlyMatrix() *MatrixRecord {
	m := &MatrixRecord{Name: "nightly", PlanFile: "/p/nightly.yaml", Axes: []AxisRecord{{Name: "kernel", Values: []string{"base", "fixed"}}, {Name: "workload", Values: []string{"focused"}}, {Name: "mount", Values: []string{"zlib", "none"}}}}
	for _, k := range m.Axes[0].Values {
		for _, o := range m.Axes[2].Values {
			m.Cells = append(m.Cells, CellRecord{Key: fmt.Sprintf("kernel=%s workload=focused mount=%s", k, o), Repeat: 2, Confidence: 0.95,
				Values: map[string]string{"kernel": k, "workload": "focused", "mount": o}})
		}
	}
	return m
}

func TestMatrixText(t *testing.T) {
	m := nightlyMatrix()
	m.Cells[2].Skipped = "kernel did not build: \x1b[31mfs/a.c:1: error"
	m.Cells[1].Retries = 1
	evil := otherReport()
	evil.Title = "BUG in \x1b[2J<script>"
	runs := []Run{cellRun(m.Cells[0].Key, 1, btrfsReport()), cellRun(m.Cells[0].Key, 2, btrfsReport(), evil), cellRun(m.Cells[1].Key, 3), cellRun(m.Cells[3].Key, 4, evil)}
	var b bytes.Buffer
	if err := MatrixText(&b, m, Cells(&Campaign{Matrix: m}, runs)); err != nil {
		t.Fatal(err)
	}
	golden(t, "matrix.txt", b.String())
	if strings.ContainsRune(b.String(), '\x1b') {
		t.Error("control characters reach the terminal")
	}
}

// writeMatrix stores a campaign with the given cells of the sample matrix; each
// gets the runs that outcome makes.
func writeMatrix(t *testing.T, store *Store, shard string, cells []int, outcome func(cell, run int) []ReportRecord) string {
	t.Helper()
	m := nightlyMatrix()
	all := m.Cells
	m.Cells, m.Shard = nil, shard
	for _, i := range cells {
		m.Cells = append(m.Cells, all[i])
	}
	c := Campaign{Kind: KindMatrix, Workload: m.Name, Started: began, ElapsedSeconds: 60, Matrix: m, Plan: []byte("name: nightly\n"), Host: Host{Accel: "tcg"}}
	w, err := store.Create(&c)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		for _, i := range cells {
			rw, err := w.StartRun(Run{Side: Single, Cell: all[i].Key, Accel: "tcg"})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(rw.Dir(), "console.log"), []byte("\xff\x00log of "+all[i].Key), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, rep := range outcome(i, n) {
				if err := rw.Report(rep); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := rw.Finish(true, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c.Dir
}

func baseFails(cell, _ int) []ReportRecord {
	if cell == 0 {
		return []ReportRecord{btrfsReport()}
	}
	return nil
}

func openTestStore(t *testing.T) *Store {
	t.Helper()
	s, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMergeEqualsWhole: shards put together say what the whole says.
func TestMergeEqualsWhole(t *testing.T) {
	s := openTestStore(t)
	whole := writeMatrix(t, s, "", []int{0, 1, 2, 3}, baseFails)
	dirs := []string{writeMatrix(t, s, "3/3", []int{3}, baseFails), writeMatrix(t, s, "1/3", []int{0, 1}, baseFails), writeMatrix(t, s, "2/3", []int{2}, baseFails)}
	out := filepath.Join(s.Dir(), "merged")
	c, runs, err := s.Merge(dirs, out)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != "merged" || c.Matrix.Shard != "" || len(c.Matrix.Merged) != 3 || len(c.Warnings) != 0 || len(runs) != 8 {
		t.Fatalf("%+v, %d runs", c, len(runs))
	}
	want, wantRuns, err := Load(whole)
	if err != nil {
		t.Fatal(err)
	}
	a, b := Cells(want, wantRuns), Cells(c, runs)
	for i := range a {
		a[i].RunIDs, b[i].RunIDs, a[i].ElapsedSeconds, b[i].ElapsedSeconds = nil, nil, 0, 0
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("merged:\n%+v\nwhole:\n%+v", b, a)
	}
	for i, r := range runs {
		log, err := os.ReadFile(filepath.Join(r.Dir, "console.log"))
		if err != nil || string(log) != "\xff\x00log of "+r.Cell {
			t.Errorf("%s: log %q, %v", r.ID, log, err)
		}
		if r.Index != i+1 || r.ID != fmt.Sprintf("run-%03d", i+1) || filepath.Base(r.Dir) != fmt.Sprintf("%03d", i+1) {
			t.Errorf("run %d is %s with index %d in %s", i, r.ID, r.Index, r.Dir)
		}
	}
	if leftover, _ := filepath.Glob(filepath.Join(s.Dir(), ".merge-*")); len(leftover) != 0 {
		t.Errorf("left behind: %v", leftover)
	}
}

func TestMergeKeepsWhatIsDamaged(t *testing.T) {
	s := openTestStore(t)
	a, b := writeMatrix(t, s, "1/2", []int{0, 1}, baseFails), writeMatrix(t, s, "2/2", []int{2, 3}, baseFails)
	torn := filepath.Join(a, "run", "001", eventsFile)
	if err := os.WriteFile(torn, []byte("not JSON\n"), 0o644); err != nil { // run.json is there
		t.Fatal(err)
	}
	lost := filepath.Join(b, "run", "002", eventsFile)
	data, err := os.ReadFile(lost)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := bytes.Cut(data, []byte("\n"))
	if err := os.WriteFile(lost, append(first, '\n'), 0o644); err != nil { // killed in the run
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(b, "run", "002", runFile)); err != nil {
		t.Fatal(err)
	}
	c, runs, err := s.Merge([]string{a, b}, "")
	if err != nil {
		t.Fatal(err)
	}
	stopped := 0
	for _, r := range runs {
		if r.Stopped {
			stopped++
		}
	}
	if len(runs) != 8 || stopped != 1 || len(c.Warnings) == 0 {
		t.Errorf("%d runs, %d stopped, warnings %q", len(runs), stopped, c.Warnings)
	}
}

func TestMergeErrors(t *testing.T) {
	s := openTestStore(t)
	a := writeMatrix(t, s, "1/2", []int{0, 1}, baseFails)
	again := writeMatrix(t, s, "1/2", []int{1}, baseFails)
	b := writeMatrix(t, s, "2/2", []int{2, 3}, baseFails)
	other := writeMatrix(t, s, "2/2", []int{2, 3}, baseFails)
	if err := os.WriteFile(filepath.Join(other, planFile), []byte("name: nightly # another\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	verify := sampleCampaign()
	verify.ID = ""
	if _, err := s.Create(&verify); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		dirs []string
		out  string
		want string
	}{
		{"nothing", nil, "", "no campaigns to put together"},
		{"a cell twice", []string{a, again}, "", "is both in campaign"},
		{"another plan", []string{a, other}, "", "of different plans"},
		{"no matrix", []string{a, verify.Dir}, "", "holds no matrix"},
		{"no campaign", []string{a, t.TempDir()}, "", "is not the folder of a campaign"},
		{"a place that is taken", []string{a, b}, b, "choose another"},
		{"a name that is none", []string{a, b}, filepath.Join(s.Dir(), ".x"), "cannot be a campaign's folder"},
	} {
		if _, _, err := s.Merge(c.dirs, c.out); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	c, _, err := s.Merge([]string{b}, "")
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "shard 1/2 is missing") {
		t.Errorf("half: %v, %v", c, err)
	}
}
