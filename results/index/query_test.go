package index

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/results/judge"
)

const (
	first  = "20261125T190000Z-nightly-aaaaaa"
	second = "20261126T190000Z-nightly-bbbbbb"
	third  = "20261127T190000Z-nightly-cccccc"
)

func TestCampaigns(t *testing.T) {
	x := openIndex(t, threeNights(t))
	all, err := x.Campaigns(context.Background(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Campaign{
		{ID: third, Verdict: "passing", Counts: counts(0, 8, 0, 0), GoodCells: 2},
		{ID: second, Verdict: "failing", Counts: counts(3, 3, 1, 1), BadCells: 2},
		{ID: first, Verdict: "failing", Counts: counts(2, 6, 0, 0), BadCells: 1, GoodCells: 1},
	}
	for i := range want {
		want[i].Kind, want[i].Name, want[i].Workload, want[i].State = results.KindMatrix, "nightly", "nightly", StateEnded
		want[i].Started, want[i].ElapsedSeconds, want[i].Cells = began.AddDate(0, 0, 2-i), 100, 2
	}
	if !reflect.DeepEqual(all, want) {
		t.Errorf("campaigns:\n%+v\nwant\n%+v", all, want)
	}
	for _, test := range []struct {
		name string
		f    Filter
		want []string
	}{
		{"verdict", Filter{Verdict: "failing"}, []string{second, first}},
		{"kind", Filter{Kind: results.KindVerify}, nil},
		{"name", Filter{Name: "nightly"}, []string{third, second, first}},
		{"other name", Filter{Name: "weekly"}, nil},
		{"workload", Filter{Workload: "nightly", Limit: 1, Offset: 1}, []string{second}},
		{"since", Filter{Since: began.AddDate(0, 0, 1)}, []string{third, second}},
		{"until", Filter{Until: began.AddDate(0, 0, 1)}, []string{first}},
	} {
		list, err := x.Campaigns(context.Background(), test.f)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var ids []string
		for _, c := range list {
			ids = append(ids, c.ID)
		}
		if !reflect.DeepEqual(ids, test.want) {
			t.Errorf("%s: %v, want %v", test.name, ids, test.want)
		}
	}
}

func TestFind(t *testing.T) {
	x := openIndex(t, threeNights(t))
	for ref, want := range map[string]string{third: third, "20261126": second, "aaaaaa": first} {
		c, err := x.Find(context.Background(), ref)
		if err != nil || c.ID != want {
			t.Errorf("Find(%q) = %q, %v; want %q", ref, c.ID, err, want)
		}
	}
	for ref, matches := range map[string]int{"2026": 3, "%": 0, "": 0, "nothing": 0} {
		_, err := x.Find(context.Background(), ref)
		var e *RefError
		if !errors.As(err, &e) || len(e.Matches) != matches {
			t.Errorf("Find(%q): %v; want a RefError with %d matches", ref, err, matches)
		}
	}
}

func TestLastMatrix(t *testing.T) {
	dir := threeNights(t)
	writeNight(t, dir, night{id: "20261128T190000Z-nightly-dddddd", days: 3, open: true, cells: map[string]string{"compress=none": "c"}})
	x := openIndex(t, dir)
	for before, want := range map[string]string{"": third, third: second, first: "", "no such campaign": third} {
		c, ok, err := x.LastMatrix(context.Background(), "nightly", before)
		if err != nil || c.ID != want || ok != (want != "") {
			t.Errorf("before %q: %q, %v, %v; want %q", before, c.ID, ok, err, want)
		}
	}
}

func TestFingerprints(t *testing.T) {
	x := openIndex(t, threeNights(t))
	list, err := x.Fingerprints(context.Background(), EventFilter{Name: "nightly"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Fingerprint{
		{Fingerprint: "btrfs_destroy_inode", Title: "WARNING in btrfs_destroy_inode", Signature: true, Runs: 5, Campaigns: 2,
			First: Sighting{first, "run-006", "compress=zlib", began.Add(6 * time.Minute)},
			Last:  Sighting{second, "run-008", "compress=zlib", began.AddDate(0, 0, 1).Add(8 * time.Minute)}},
		{Fingerprint: "foo_bar", Title: "WARNING in foo_bar", Runs: 1, Campaigns: 1,
			First: Sighting{second, "run-002", "compress=none", began.AddDate(0, 0, 1).Add(2 * time.Minute)},
			Last:  Sighting{second, "run-002", "compress=none", began.AddDate(0, 0, 1).Add(2 * time.Minute)}},
	}
	for i := range want {
		want[i].Kind, want[i].Severity = "WARNING", "medium"
	}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("fingerprints:\n%+v\nwant\n%+v", list, want)
	}
	one, err := x.Fingerprints(context.Background(), EventFilter{Fingerprint: "foo_bar", Cell: "compress=zlib"})
	if err != nil || len(one) != 0 {
		t.Errorf("foo_bar in the wrong cell: %+v, %v", one, err)
	}
}

func TestTrend(t *testing.T) {
	x := openIndex(t, threeNights(t))
	points, err := x.Trend(context.Background(), "btrfs_destroy_inode", EventFilter{Cell: "compress=zlib"})
	if err != nil {
		t.Fatal(err)
	}
	want := []TrendPoint{{Campaign: first, Seen: 2, Able: 4, Kernel: "kernel k1", KernelSHA: "k1"},
		{Campaign: second, Seen: 3, Able: 4, Kernel: "kernel k1", KernelSHA: "k1"}, {Campaign: third, Able: 4, Kernel: "kernel k2", KernelSHA: "k2"}}
	for i := range want {
		want[i].Started, want[i].Rate = began.AddDate(0, 0, i), judge.ClopperPearson(want[i].Seen, want[i].Able, judge.IntervalLevel)
	}
	if !reflect.DeepEqual(points, want) {
		t.Errorf("trend:\n%+v\nwant\n%+v", points, want)
	}
	// Without a filter the other cell's runs count too, but not the invalid one.
	points, err = x.Trend(context.Background(), "btrfs_destroy_inode", EventFilter{})
	if err != nil || len(points) != 3 || points[1].Able != 7 || points[1].Seen != 3 {
		t.Errorf("trend of all cells: %+v, %v", points, err)
	}
}

// A run that ended before the phase of a report, or broke off in it, was not able
// to show it.
func TestTrendLeavesOutRunsThatEndedEarly(t *testing.T) {
	for name, tt := range map[string]struct{ phases, able int }{"before": {1, 4}, "in the phase": {3, 4}, "after": {4, 5}} {
		dir := threeNights(t)
		early := run('o')
		early.Phases = append(early.Phases, results.PhaseResult{Index: 3, Name: "umount"})[:tt.phases]
		early.Reports[0].Phase, early.Complete = tt.phases-1, false
		early.Side, early.Cell = results.Single, "compress=zlib"
		writeRun(t, dir+"/"+third, 99, early)
		settle(t, dir+"/"+third)
		x := openIndex(t, dir)
		points, err := x.Trend(context.Background(), "btrfs_destroy_inode", EventFilter{Cell: "compress=zlib"})
		if err != nil || len(points) != 3 || points[2].Able != tt.able {
			t.Errorf("%s: trend: %+v, %v; want %d able runs in the last campaign", name, points, err, tt.able)
		}
	}
}

// Runs that printed it after another failure, or whose kernel was silent by then,
// say nothing of it: neither for the rate nor for a comparison.
func TestSilencedRuns(t *testing.T) {
	for name, reports := range map[string]func() []results.ReportRecord{
		"after another failure": func() []results.ReportRecord {
			follows := report("late_bug", false)
			follows.FollowUp = true
			return []results.ReportRecord{report("foo_bar", false), follows}
		},
		"KASAN reports once": func() []results.ReportRecord {
			kasan := report("foo_bar", false)
			kasan.Kind = dmesg.KindKASAN
			return []results.ReportRecord{kasan}
		},
	} {
		dir := threeNights(t)
		bug := report("late_bug", true)
		if name != "after another failure" {
			bug.Kind = dmesg.KindKASAN
		}
		for i, night := range []string{first, third} {
			r := run('o')
			r.Reports, r.Side, r.Cell, r.Kernel.SHA256 = reports(), results.Single, "other", "k9"
			if i == 1 {
				r.Reports, r.Outcome = []results.ReportRecord{bug}, judge.Reproduced
			}
			for n := range 10 {
				writeRun(t, dir+"/"+night, 50+n, r)
			}
			settle(t, dir+"/"+night)
		}
		x := openIndex(t, dir)
		points, err := x.Trend(context.Background(), "late_bug", EventFilter{Cell: "other"})
		if err != nil || len(points) != 1 || points[0].Campaign != third || points[0].Able != 10 {
			t.Errorf("%s: trend: %+v, %v", name, points, err)
		}
		c, err := x.Compare(context.Background(), []string{first, third}, 0)
		if err != nil || c.Count(results.ChangeNew) != 0 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

func TestCells(t *testing.T) {
	x := openIndex(t, threeNights(t))
	points, err := x.CellHistory(context.Background(), "nightly", "compress=none")
	if err != nil {
		t.Fatal(err)
	}
	want := []CellPoint{
		{first, began, "kernel k1", counts(0, 4, 0, 0)},
		{second, began.AddDate(0, 0, 1), "kernel k1", counts(0, 2, 1, 1)},
		{third, began.AddDate(0, 0, 2), "kernel k2", counts(0, 4, 0, 0)},
	}
	if !reflect.DeepEqual(points, want) {
		t.Errorf("history:\n%+v\nwant\n%+v", points, want)
	}
}

func TestCellRuns(t *testing.T) {
	x := openIndex(t, threeNights(t))
	runs, err := x.CellRuns(context.Background(), "nightly")
	if err != nil || len(runs) != 23 { // one of 24 is invalid
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	if runs[0].Campaign != third || runs[22].Campaign != first {
		t.Errorf("from %s to %s: the last campaign is not first", runs[0].Campaign, runs[22].Campaign)
	}
	foo := run('o')
	foo.Cell, foo.Side, foo.Kernel.SHA256 = "compress=none", results.Single, "k1"
	want := CellRun{Seen: results.SeenOf(&foo), Campaign: second, Started: began.AddDate(0, 0, 1), Seconds: 12}
	want.Outcome = judge.OtherFailure
	if got := runs[9]; !reflect.DeepEqual(got, want) {
		t.Errorf("a run with another failure:\n%+v\nwant\n%+v", got, want)
	}
	if none, err := x.CellRuns(context.Background(), "weekly"); err != nil || len(none) != 0 {
		t.Errorf("another matrix: %+v, %v", none, err)
	}
	seen, err := x.SeenIn(context.Background(), second)
	if err != nil || len(seen) != 7 || !reflect.DeepEqual(seen[1], want.Seen) {
		t.Errorf("of one campaign: %+v, %v", seen, err)
	}
}

func TestShowed(t *testing.T) {
	x := openIndex(t, threeNights(t))
	showed, err := x.Showed(context.Background(), "nightly")
	want := map[string]map[string]bool{"btrfs_destroy_inode": {first: true, second: true}, "foo_bar": {second: true}}
	if err != nil || !reflect.DeepEqual(showed, want) {
		t.Errorf("%v, %v; want %v", showed, err, want)
	}
}

func TestFlaky(t *testing.T) {
	dir := threeNights(t)
	// What always fails is not flaky, and neither is what changes with the kernel.
	writeNight(t, dir, night{id: "always", days: 5, sha: "k5", cells: map[string]string{"x=1": "rrr", "x=2": "ccc"}})
	writeNight(t, dir, night{id: "never", days: 6, sha: "k6", cells: map[string]string{"x=1": "ccc"}})
	// Neither is what changes with the guests, or with a tuning's settings.
	for i, r := range []results.Run{run('r'), run('c')} {
		r.Side, r.Kernel.SHA256 = judge.Pre, "k7"
		for _, kind := range []results.Kind{results.KindRun, results.KindTune} {
			if kind == results.KindRun {
				r.Shape = []string{"1 vCPU", "4 vCPUs"}[i]
			} else {
				r.Shape, r.Side = "1 vCPU", results.Single
			}
			c := results.Campaign{Format: results.FormatVersion, ID: "guests-" + string(kind), Kind: kind, Workload: "w", Started: began}
			if kind == results.KindTune {
				c.Tune = &results.TuneRecord{}
			}
			writeFile(t, filepath.Join(dir, c.ID, "campaign.json"), encode(t, c))
			for n := range 5 {
				writeRun(t, filepath.Join(dir, c.ID), 10*i+n, r)
			}
			settle(t, filepath.Join(dir, c.ID))
		}
	}
	x := openIndex(t, dir)
	list, err := x.Flaky(context.Background(), EventFilter{})
	if err != nil {
		t.Fatal(err)
	}
	const guests = "tcg, 2 vCPUs, 512 MiB"
	want := []Flaky{
		{"nightly", "nightly", "compress=zlib", "kernel k1", "k1", guests, counts(5, 3, 0, 0), 2, began.AddDate(0, 0, 1).Add(8 * time.Minute)},
		{"nightly", "nightly", "compress=none", "kernel k1", "k1", guests, counts(0, 6, 1, 0), 2, began.AddDate(0, 0, 1).Add(3 * time.Minute)},
	}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("flaky:\n%+v\nwant\n%+v", list, want)
	}
	list, err = x.Flaky(context.Background(), EventFilter{Fingerprint: "foo_bar"})
	if err != nil || len(list) != 1 || list[0].Cell != "compress=none" {
		t.Errorf("flaky by foo_bar: %+v, %v", list, err)
	}
}

func TestDurations(t *testing.T) {
	x := openIndex(t, threeNights(t))
	points, err := x.Durations(context.Background(), EventFilter{Cell: "compress=none"})
	if err != nil || len(points) != 3 {
		t.Fatalf("durations: %+v, %v", points, err)
	}
	if want := (DurationPoint{second, began.AddDate(0, 0, 1), 2, 11, 12, 13}); points[1] != want {
		t.Errorf("second night: %+v, want %+v", points[1], want)
	}
}

func TestRuns(t *testing.T) {
	x := openIndex(t, threeNights(t))
	list, err := x.Runs(context.Background(), RunFilter{Campaign: second, Fingerprint: "foo_bar"})
	if err != nil || len(list) != 1 {
		t.Fatalf("runs: %+v, %v", list, err)
	}
	want := Run{Campaign: second, Path: "run/002", ID: "run-002", Side: results.Single, Cell: "compress=none", Kernel: "kernel k1", KernelSHA: "k1",
		Started: began.AddDate(0, 0, 1).Add(2 * time.Minute), ElapsedSeconds: 12, Outcome: judge.OtherFailure, Counted: true, Reason: "WARNING in foo_bar"}
	if list[0] != want {
		t.Errorf("run: %+v\nwant %+v", list[0], want)
	}
	if list, err = x.Runs(context.Background(), RunFilter{Cell: "compress=zlib", Limit: 5}); err != nil || len(list) != 5 || list[0].ID != "run-008" {
		t.Errorf("runs of a cell: %+v, %v", list, err)
	}
}

// TestSingleRuns: single runs pass when all of them were clean.
func TestSingleRuns(t *testing.T) {
	stopped := run('i')
	stopped.Stopped = true
	for _, tt := range []struct {
		name, verdict string
		runs          []results.Run
	}{
		{"all clean", "passing", []results.Run{run('c'), run('c')}},
		{"one invalid", "", []results.Run{run('c'), run('i')}},
		{"one stopped", "", []results.Run{run('c'), stopped}},
		{"one failing", "failing", []results.Run{run('r'), run('i'), stopped}},
	} {
		dir := t.TempDir()
		c := results.Campaign{Format: results.FormatVersion, ID: first, Kind: results.KindRun, Workload: "w", Started: began}
		writeFile(t, filepath.Join(dir, first, "campaign.json"), encode(t, c))
		for i, r := range tt.runs {
			r.Side = judge.Pre
			writeRun(t, filepath.Join(dir, first), i+1, r)
		}
		settle(t, filepath.Join(dir, first))
		all, err := openIndex(t, dir).Campaigns(context.Background(), Filter{})
		if err != nil || len(all) != 1 || string(all[0].Verdict) != tt.verdict {
			t.Errorf("%s: %+v, %v; want %q", tt.name, all, err, tt.verdict)
		}
	}
}

// TestMatrixPasses: a matrix passes when every cell has all the runs that it was
// to have, and not by the few that were clean before the night was over.
func TestMatrixPasses(t *testing.T) {
	for _, tt := range []struct {
		name, verdict string
		change        func(c *results.Campaign)
	}{
		{"whole", "passing", func(*results.Campaign) {}},
		{"runs are missing", "", func(c *results.Campaign) { c.Matrix.Cells[1].Repeat = 10 }},
		{"a shard is missing", "", func(c *results.Campaign) { c.Matrix.MissingShards = []string{"2/3"} }},
	} {
		dir := threeNights(t)
		c, err := results.LoadCampaign(filepath.Join(dir, third))
		if err != nil {
			t.Fatal(err)
		}
		tt.change(c)
		writeFile(t, filepath.Join(dir, third, "campaign.json"), encode(t, c))
		settle(t, filepath.Join(dir, third))
		all, err := openIndex(t, dir).Campaigns(context.Background(), Filter{Limit: 1})
		if err != nil || len(all) != 1 || string(all[0].Verdict) != tt.verdict {
			t.Errorf("%s: %+v, %v; want %q", tt.name, all, err, tt.verdict)
		}
	}
}
