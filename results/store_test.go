package results

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"patchproof/results/judge"
)

// newCampaign makes a campaign on disk.
func newCampaign(t *testing.T) (*Campaign, *CampaignWriter) {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "results"))
	if err != nil {
		t.Fatal(err)
	}
	c := sampleCampaign()
	c.ID, c.Plan = "", []byte("workload: x\n")
	w, err := s.Create(&c)
	if err != nil {
		t.Fatal(err)
	}
	return &c, w
}

// record writes one run with the given reports.
func record(t *testing.T, w *CampaignWriter, side judge.Side, reports ...ReportRecord) Run {
	t.Helper()
	rw, err := w.StartRun(Run{Side: side, Accel: "tcg", Shape: "4 vCPUs"})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(rw.Command([]string{"qemu", "-x"}), rw.Phase(PhaseResult{Index: 4, Name: "umount"}))
	for _, r := range reports {
		err = errors.Join(err, rw.Report(r))
	}
	r, finishErr := rw.Finish(true, "")
	if err := errors.Join(err, finishErr); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStoreRoundTrip(t *testing.T) {
	c, w := newCampaign(t)
	for range 5 {
		if r := record(t, w, judge.Pre, btrfsReport()); r.Outcome != judge.Reproduced {
			t.Errorf("outcome %s", r.Outcome)
		}
		record(t, w, judge.Post)
	}
	s, err := Recompute(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if s.Decision.Verdict != judge.Fixed || len(s.Runs) != 10 || len(s.Warnings) != 0 {
		t.Errorf("%s, %d runs, %q", s.Decision.Verdict, len(s.Runs), s.Warnings)
	}
	c.Decision = &judge.Decision{Verdict: judge.NotFixed, Decided: true}
	if err := w.Update(c); err != nil {
		t.Fatal(err)
	}
	if s, err = Recompute(w.Dir()); err != nil || !strings.Contains(strings.Join(s.Warnings, " "), "record says not-fixed") {
		t.Errorf("%v %q", err, s.Warnings)
	}
	if string(s.Campaign.Plan) != "workload: x\n" || s.Campaign.ID != c.ID || !s.Campaign.Started.Equal(c.Started) {
		t.Errorf("%+v", s.Campaign)
	}
	r := s.Runs[0]
	if r.ID != "pre-001" || r.Index != 1 || r.Dir != filepath.Join(w.Dir(), "pre", "001") || len(r.Command) != 2 ||
		!reflect.DeepEqual(r.Reports, []ReportRecord{btrfsReport()}) {
		t.Errorf("%+v", r)
	}
}

func TestStoreConcurrent(t *testing.T) {
	_, w := newCampaign(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			rw, err := w.StartRun(Run{Side: []judge.Side{judge.Pre, judge.Post}[i%2]})
			if err != nil {
				t.Error(err)
				return
			}
			var inner sync.WaitGroup
			for range 10 {
				inner.Go(func() {
					if err := rw.Report(btrfsReport()); err != nil {
						t.Error(err)
					}
				})
			}
			inner.Wait()
			if _, err := rw.Finish(true, ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, runs, err := Load(w.Dir())
	if err != nil || len(runs) != 20 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for i, r := range runs {
		if r.Index != i+1 || len(r.Reports) != 10 {
			t.Errorf("run %s: index %d, %d reports", r.ID, r.Index, len(r.Reports))
		}
	}
}

// TestGoOnFrom: a run's machine may be known only after its start, and making it
// is no part of the run's time.
func TestGoOnFrom(t *testing.T) {
	_, w := newCampaign(t)
	rw, err := w.StartRun(Run{Side: judge.Pre, Forked: &ForkRecord{State: "first", After: "umount"}})
	if err != nil {
		t.Fatal(err)
	}
	rw.begin = rw.begin.Add(-time.Hour) // the machine took that long
	if err := rw.GoOnFrom(ForkRecord{State: "second", After: "umount"}); err != nil {
		t.Fatal(err)
	}
	if _, err := rw.Finish(true, ""); err != nil {
		t.Fatal(err)
	}
	_, runs, err := Load(w.Dir())
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	if r := runs[0]; r.Forked == nil || r.Forked.State != "second" || r.ElapsedSeconds >= 3600 {
		t.Errorf("forked %+v, %.0f s", r.Forked, r.ElapsedSeconds)
	}
}

func TestFinishTwice(t *testing.T) {
	_, w := newCampaign(t)
	rw, err := w.StartRun(Run{Side: judge.Pre})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rw.Finish(false, "phase run: 20 of 30 requests"); err != nil {
		t.Fatal(err)
	}
	if _, err := rw.Finish(true, ""); err == nil {
		t.Error("finished twice")
	}
	if err := rw.Report(btrfsReport()); err == nil {
		t.Error("a report after the outcome")
	}
	if rw.Run().Outcome != judge.Invalid {
		t.Errorf("%+v", rw.Run())
	}
}

// TestCrash cuts a record at every byte: what is left must load, and nothing
// before the last line may be lost.
func TestCrash(t *testing.T) {
	_, w := newCampaign(t)
	record(t, w, judge.Pre, btrfsReport(), otherReport())
	dir := filepath.Join(w.Dir(), "pre", "001")
	if err := os.Remove(filepath.Join(dir, runFile)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, eventsFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	firstLine := bytes.IndexByte(whole, '\n')
	for n := range len(whole) {
		r, finished, err := decodeEvents(whole[:n])
		switch {
		case n < firstLine:
			if err == nil {
				t.Errorf("cut at %d: a run out of nothing: %+v", n, r)
			}
		case err != nil:
			t.Errorf("cut at %d: %v", n, err)
		case len(r.Reports) < bytes.Count(whole[:n], []byte(`"event":"report"`))-1:
			t.Errorf("cut at %d: reports lost", n)
		case finished && n < len(whole)-1:
			t.Errorf("cut at %d: finished", n)
		}
	}
	// The whole path, cut in the outcome: a run that was stopped, but showed the bug.
	if err := os.WriteFile(path, whole[:len(whole)-5], 0o644); err != nil {
		t.Fatal(err)
	}
	_, runs, err := Load(w.Dir())
	if err != nil || len(runs) != 1 || !runs[0].Stopped || runs[0].Outcome != judge.Reproduced {
		t.Errorf("%v %+v", err, runs)
	}
}

func TestCorruptFolders(t *testing.T) {
	c, w := newCampaign(t)
	for range 5 {
		record(t, w, judge.Pre, btrfsReport())
		record(t, w, judge.Post)
	}
	dir := w.Dir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("pre/006/run.jsonl", "\x00\x00\x00")
	write("pre/007/run.jsonl", "")
	write("pre/008/console.log", "no record")
	write("pre/stray", "not a folder")
	write("post/006/run.jsonl", `{"event":"started","started":{"id":"pre-001","side":"pre"}}`+"\n")
	write("post/007/run.jsonl", `{"event":"started","started":{"id":"post-007","side":"post","index":99}}`+"\n{garbage\n"+`{"event":"outcome","outcome":{"complete":true}}`+"\n")
	write("pre/001/run.jsonl", "damaged\n") // run.json is left
	s, err := Recompute(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Decision.Verdict != judge.Fixed || len(s.Runs) != 10 {
		t.Errorf("%s: %s; %d runs", s.Decision.Verdict, s.Decision.Reason, len(s.Runs))
	}
	all := strings.Join(s.Warnings, "\n")
	for _, want := range []string{"pre/006 skipped", "pre/007 skipped", "pre/008 skipped", "post/006 skipped", "post/007 skipped", "pre/001: run.jsonl is damaged"} {
		if !strings.Contains(all, want) {
			t.Errorf("warnings\n%s\nwithout %q", all, want)
		}
	}
	for _, name := range []string{"pre/006/run.jsonl", "pre/008/console.log", "post/007/run.jsonl"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("deleted: %v", err)
		}
	}
	write(campaignFile, strings.Replace(mustJSON(t, c), `"format": 1`, `"format": 99`, 1))
	if _, _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "newer patchproof") {
		t.Errorf("a format from the future: %v", err)
	}
	if _, _, err := Load(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.json")
	if err := writeJSON(path, v); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestCreate(t *testing.T) {
	s, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 50 {
		c := Campaign{Started: began, Workload: "../a path/with: odd ones.yaml"}
		if _, err := s.Create(&c); err != nil {
			t.Fatal(err)
		}
		if seen[c.ID] || !strings.HasPrefix(c.ID, "20261125T190147Z-with-odd-ones.yaml-") {
			t.Errorf("id %q", c.ID)
		}
		seen[c.ID] = true
	}
	for _, id := range []string{"../x", ".", "a/b", "a b"} {
		if _, err := s.Create(&Campaign{ID: id}); err == nil {
			t.Errorf("id %q passes", id)
		}
	}
	if _, err := s.Create(&Campaign{ID: "same"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(&Campaign{ID: "same"}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the same id twice: %v", err)
	}
	if _, err := OpenStore(""); err == nil {
		t.Error("a store without a folder")
	}
	left, err := filepath.Glob(filepath.Join(s.Dir(), "*", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files left: %v %v", left, err)
	}
}

func FuzzDecodeEvents(f *testing.F) {
	f.Add([]byte(`{"event":"started","started":{"id":"pre-001","side":"pre"}}` + "\n" + `{"event":"report","report":{"kind":"WARNING","severity":"low","phase":1}}` + "\n" + `{"event":"outcome","outcome":{"complete":true}}` + "\n"))
	f.Add([]byte(`{"event":"started","started":{}}` + "\n" + `{"event":"phase","phase":{"ind`))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, finished, err := decodeEvents(data)
		if err != nil {
			return
		}
		r.classify()
		if !r.Outcome.Known() {
			t.Fatalf("outcome %q", r.Outcome)
		}
		// A torn line at the end changes nothing, unless the record was complete.
		if data[len(data)-1] == '\n' {
			again, _, err := decodeEvents(append(bytes.Clone(data), `{"event":"pha`...))
			if err != nil || !reflect.DeepEqual(stripTimes(r), func() Run { again.classify(); return stripTimes(again) }()) {
				t.Fatalf("a torn line changed the run (finished %v): %v\n%+v\n%+v", finished, err, r, again)
			}
		}
		EvidenceOf([]Run{r})
	})
}

func stripTimes(r Run) Run { r.Started = time.Time{}; return r }

func TestReopenContinuesNumbers(t *testing.T) {
	store, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := store.Create(&Campaign{Kind: KindBisect, Workload: "w"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.StartRun(Run{Side: Single, Commit: "c0ffee"}); err != nil {
			t.Fatal(err)
		}
	}
	// A folder whose record cannot be read keeps its number.
	if err := os.Mkdir(filepath.Join(w.Dir(), string(Single), "007"), 0o755); err != nil {
		t.Fatal(err)
	}
	again, c, runs, err := Reopen(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if c.Kind != KindBisect || len(runs) != 2 || len(c.Warnings) != 1 {
		t.Errorf("kind %q, %d runs, warnings %q", c.Kind, len(runs), c.Warnings)
	}
	r, err := again.StartRun(Run{Side: Single, Commit: "c0ffee"})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Run(); got.ID != "run-008" || got.Index != 3 || got.Commit != "c0ffee" {
		t.Errorf("got run %s, index %d, commit %q", got.ID, got.Index, got.Commit)
	}
}
