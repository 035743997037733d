package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"patchproof/results/judge"
)

// TestBisectGolden fixes what the reporters print of searches that are done, in
// the middle, undecided, and not begun.
func TestBisectGolden(t *testing.T) {
	found := newFakeSearch(t, judge.FindCulprit, 5, 0.7)
	found.untestable = []int{9}
	fix := newFakeSearch(t, judge.FindFix, 8, 1)
	alike := newFakeSearch(t, judge.FindCulprit, 9, 1)
	alike.untestable = []int{9, 10}
	stopped := newFakeSearch(t, judge.FindCulprit, 5, 0.7)
	stopped.Campaign.Stopped = "the time budget of 10m0s is used up"
	silent := newFakeSearch(t, judge.FindCulprit, 5, 0)
	writers := map[string]func(io.Writer, *Bisection) error{"txt": BisectText, "log.txt": BisectLog, "json": BisectJSON, "git": BisectGit}
	for _, tt := range []struct {
		name    string
		search  *fakeSearch
		formats string
	}{
		{"found", found.all(1000), "txt git"},
		{"fix", fix.all(1000), "txt git"},
		{"alike", alike.all(1000), "txt"},
		{"stopped", stopped.all(9), "txt log.txt json"},
		{"not-begun", newFakeSearch(t, judge.FindCulprit, 5, 1), "txt"},
		{"silent", silent.all(1000), "txt"},
	} {
		for _, format := range strings.Fields(tt.formats) {
			var out bytes.Buffer
			if err := writers[format](&out, tt.search.Bisection); err != nil {
				t.Fatal(err)
			}
			golden(t, "bisect/"+tt.name+"."+format, out.String())
		}
	}
}

func TestBisectAnswers(t *testing.T) {
	for _, find := range []judge.Find{judge.FindCulprit, judge.FindFix} {
		for answer := range bisectParents {
			f := newFakeSearch(t, find, answer, 1).all(1000)
			if a := f.Judge.Answer(); !f.Found() || a.Set[0] != answer {
				t.Errorf("%s at %d: found %v, set %v, %s", find, answer, f.Found(), a.Set, a.Reason)
			}
		}
	}
	alike := newFakeSearch(t, judge.FindCulprit, 9, 1)
	alike.untestable = []int{9, 10}
	if a := alike.all(1000).Judge.Answer(); alike.Found() || !a.Found || len(a.Set) != 3 {
		t.Errorf("culprit in an untestable block: found %v, set %v, want three commits", alike.Found(), a.Set)
	}
}

// diskSearch carries a fake search out on disk.
type diskSearch struct {
	*BisectWriter
	model *fakeSearch
}

func newDiskSearch(t *testing.T) *diskSearch {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "results"))
	if err != nil {
		t.Fatal(err)
	}
	c, record := sampleBisection(judge.FindCulprit)
	w, err := s.CreateBisection(c, record)
	if err != nil {
		t.Fatal(err)
	}
	return &diskSearch{w, newFakeSearch(t, judge.FindCulprit, 5, 0.7)}
}

// run does a run; what keep lets through is told to the judge.
func (d *diskSearch) run(t *testing.T, node int, reproduced, tell bool) {
	t.Helper()
	w, err := d.StartRun(d.Commit(node).Commit, Run{Accel: "tcg", Shape: "1 vCPU"})
	if err != nil {
		t.Fatal(err)
	}
	if reproduced {
		err = w.Report(btrfsReport())
	}
	r, ferr := w.Finish(true, "")
	if err := errors.Join(err, ferr); err != nil {
		t.Fatal(err)
	}
	if tell {
		if err := d.AddRun(r); err != nil {
			t.Fatal(err)
		}
	}
}

func (d *diskSearch) steps(t *testing.T, most int) {
	t.Helper()
	for range most {
		step, ok := d.Judge.Next()
		if !ok {
			return
		}
		if !d.at(step.Node).built {
			if err := d.Add(BisectEvent{Event: EventBuild, Commit: d.Commit(step.Node).Commit, Cached: true}); err != nil {
				t.Fatal(err)
			}
		}
		d.run(t, step.Node, d.model.reproduces(step.Node), true)
	}
}

// TestBisectReplay: a folder that was left at any point is replayed to the state
// that was left.
func TestBisectReplay(t *testing.T) {
	d := newDiskSearch(t)
	if err := d.Add(BisectEvent{Event: EventUntestable, Commit: d.Commit(4).Commit, Reason: "skipped by hand"}); err != nil {
		t.Fatal(err)
	}
	for range 16 {
		d.steps(t, 5)
		b, err := LoadBisection(d.Dir())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := b.Judge.Answer(), d.Judge.Answer(); !reflect.DeepEqual(got, want) {
			t.Fatalf("after %d runs: replayed %+v, was %+v", len(d.Runs), got, want)
		}
		if b.Untestable(4) != "skipped by hand" || len(b.Runs) != len(d.Runs) {
			t.Fatalf("after %d runs: untestable %q, %d runs", len(d.Runs), b.Untestable(4), len(b.Runs))
		}
	}
	d.steps(t, 300)
	if !d.Found() {
		t.Errorf("not found: %+v", d.Judge.Answer())
	}
}

// TestBisectCrash: what a crash leaves is understood, and the numbers go on.
func TestBisectCrash(t *testing.T) {
	d := newDiskSearch(t)
	d.steps(t, 5)
	// The crash came after a run's record and before its line in the journal,
	// another one in the middle of a run, and a third in the middle of a line.
	d.run(t, 13, true, false)
	if _, err := d.StartRun(d.Commit(13).Commit, Run{}); err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(d.Dir(), journalFile)
	data, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journal, append(data, `{"event":"untest`...), 0o644); err != nil {
		t.Fatal(err)
	}
	want := d.at(13).reproduced + 1
	if err := d.campaign.hold.Close(); err != nil { // the process is gone
		t.Fatal(err)
	}
	w, err := ReopenBisection(d.Dir(), func(r *BisectRecord) { r.Rules.Confidence = 0.9 })
	if err != nil {
		t.Fatal(err)
	}
	if h := w.at(13); h.reproduced != want {
		t.Errorf("the run without a line in the journal: %d reproduced, want %d", h.reproduced, want)
	}
	if w.RunsStarted() != 7 || w.Record.Rules.Confidence != 0.9 {
		t.Errorf("%d runs started, confidence %v, want 7, 0.9", w.RunsStarted(), w.Record.Rules.Confidence)
	}
	if err := w.Close("stopped by the user"); err != nil {
		t.Fatal(err)
	}
	b, err := LoadBisection(d.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if b.Record.Rules.Confidence != 0.9 || len(b.sittings) != 2 || b.Campaign.Stopped != "stopped by the user" || !reflect.DeepEqual(b.Judge.Answer(), w.Judge.Answer()) {
		t.Errorf("reopened: confidence %v, sittings %d, stopped %q", b.Record.Rules.Confidence, len(b.sittings), b.Campaign.Stopped)
	}
}

func TestBisectLoadErrors(t *testing.T) {
	d := newDiskSearch(t)
	if _, err := ReopenBisection(d.Dir(), nil); !errors.Is(err, ErrRunning) {
		t.Errorf("a bisection that is running: %v", err)
	}
	for _, tt := range []struct{ file, content, want string }{
		{journalFile, "{}\nnonsense\n", "line 2"},
		{bisectFile, "{", "bisect.json"},
		{bisectFile, `{"commits":[{"commit":"a","parents":[3]}]}`, "parent"},
		{campaignFile, `{"format":1,"kind":"run"}`, "folder of a run"},
	} {
		if err := os.WriteFile(filepath.Join(d.Dir(), tt.file), []byte(tt.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadBisection(d.Dir()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s with %q: error %v, want %q", tt.file, tt.content, err, tt.want)
		}
	}
}

func TestLastBisection(t *testing.T) {
	d := newDiskSearch(t)
	if got, err := LastBisection(filepath.Dir(d.Dir())); got != d.Dir() || err != nil {
		t.Errorf("last bisection: %s, %v, want %s", got, err, d.Dir())
	}
	if _, err := LastBisection(t.TempDir()); err == nil || !strings.Contains(err.Error(), "name the folder") {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestBisectStoppedRun: a run that was stopped is no evidence, even when it had
// shown the bug by then.
func TestBisectStoppedRun(t *testing.T) {
	f := newFakeSearch(t, judge.FindCulprit, 5, 1)
	before := f.Judge.Answer()
	r := f.runOf(13, true)
	r.Stopped = true
	f.Runs = append(f.Runs, r)
	f.apply(BisectEvent{Event: EventRun, Run: r.ID, Commit: r.Commit})
	if after := f.Judge.Answer(); !reflect.DeepEqual(before, after) {
		t.Errorf("a stopped run changed the answer from %+v to %+v", before, after)
	}
}

func TestBisectIdle(t *testing.T) {
	f := newFakeSearch(t, judge.FindCulprit, 5, 1)
	for i, outcome := range []judge.Outcome{judge.Invalid, judge.OtherFailure, judge.Clean, judge.Invalid} {
		r := f.runOf(7, false)
		r.Outcome = outcome
		f.Runs = append(f.Runs, r)
		f.apply(BisectEvent{Event: EventRun, Run: r.ID, Commit: r.Commit})
		idle, testable := f.Idle(7)
		if want := []int{1, 2, 0, 1}[i]; idle != want || testable != (i >= 2) {
			t.Errorf("after run %d: idle %d, testable %v, want %d, %v", i, idle, testable, want, i >= 2)
		}
	}
}

func TestBuildTimes(t *testing.T) {
	var b buildTimes
	b.build(200)
	b.run(20)
	if got := b.cost(); got != defaultBuildCost {
		t.Errorf("cost after the first build %v, want %v", got, float64(defaultBuildCost))
	}
	for _, s := range []float64{30, 10, 20} {
		b.build(s)
	}
	if got := b.cost(); got != 1 {
		t.Errorf("cost %v, want 1: the median of the later builds, 20 s, over the run's", got)
	}
}

func FuzzDecodeJournal(f *testing.F) {
	f.Add([]byte(`{"event":"run","run":"run-001"}` + "\n" + `{"event":"bui`))
	f.Add([]byte(`{"event":"untestable","commit":"` + fakeHash(3) + `","reason":"x"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, err := decodeJournal(data)
		if err != nil {
			return
		}
		c, record := sampleBisection(judge.FindCulprit)
		b, err := NewBisection(c, record)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			b.Apply(e)
		}
		var out bytes.Buffer
		if err := BisectJSON(&out, b); err != nil || !json.Valid(out.Bytes()) {
			t.Fatalf("no JSON document: %v", err)
		}
	})
}
