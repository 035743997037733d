package results

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchproof/results/judge"
)

// sittingSample is a tuning of two sittings, the second of which was killed in
// its third run.
func sittingSample() (*TuneRecord, []Run) {
	at := time.Date(2026, 11, 26, 5, 0, 0, 0, time.UTC)
	later := at.Add(time.Hour)
	record := &TuneRecord{TuneProgress: TuneProgress{Sittings: []TuneSitting{
		{Began: at, BudgetSeconds: 600, Seconds: 100, InFlight: []string{"run-002"}}, {Began: later, Seconds: 30}}},
		Rungs: []TuneRung{{After: 1}, {After: 3}}}
	run := func(index int, started time.Time, seconds float64, stopped bool) Run {
		r := sampleRun(Single, index, index)
		r.Started, r.ElapsedSeconds, r.Stopped = started, seconds, stopped
		r.classify()
		return r
	}
	return record, []Run{run(1, at, 90, false), run(2, at.Add(95*time.Second), 10, true),
		run(3, later.Add(5*time.Second), 60, false), run(4, later.Add(10*time.Second), 40, true), run(5, later.Add(61*time.Second), 0, true)}
}

func TestTuneSittings(t *testing.T) {
	record, runs := sittingSample()
	record.EndSitting(runs)
	used, spent, budget := record.Used()
	if used != 165*time.Second || spent != used || budget != 10*time.Minute {
		t.Errorf("used %v, spent %v of %v; want 165 s, all of 10 minutes", used, spent, budget)
	}
	record.Sittings = append(record.Sittings, TuneSitting{BudgetSeconds: 60, Seconds: 7})
	if used, spent, budget = record.Used(); used != 172*time.Second || spent != 7*time.Second || budget != time.Minute {
		t.Errorf("with a budget of its own: used %v, spent %v of %v", used, spent, budget)
	}
	(&TuneRecord{}).EndSitting(runs) // one of an earlier version
}

func TestTuneCounts(t *testing.T) {
	record, runs := sittingSample()
	var order []string
	for _, r := range record.InOrderOfEnd(runs) {
		order = append(order, r.ID)
	}
	if got := strings.Join(order, " "); got != "run-001 run-004 run-003" {
		t.Errorf("runs %s count, in this order", got)
	}
	record.Sittings = record.Sittings[:1]
	if !record.Counts(&runs[1]) {
		t.Error("what a signal ended is not shown before the tuning goes on")
	}
	for index, want := range map[int]int{1: 0, 2: 1, 3: 1, 4: 2, 9: 2} {
		if got := record.RungOf(index); got != want {
			t.Errorf("run %d belongs to rung %d, want %d", index, got, want)
		}
	}
}

func TestResumable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Campaign)
		budget time.Duration
		want   string // empty when it can go on
	}{
		{"broken off", func(c *Campaign) {}, 0, ""},
		{"stopped", func(c *Campaign) { c.Tune.Answer = Incomplete }, 0, ""},
		{"ended", func(c *Campaign) { c.Tune.Answer = NothingFound }, 0, "has ended (nothing-found): give it more time with --budget"},
		{"ended, with more time", func(c *Campaign) { c.Tune.Answer = LittleToGain }, time.Minute, ""},
		{"tuned", func(c *Campaign) { c.Tune.Answer, c.Tune.PlanFile = Tuned, "x.yaml" }, time.Minute, "its plan is x.yaml"},
		{"tuned, but the plan could not be written", func(c *Campaign) { c.Tune.Answer = Tuned }, 0, ""},
		{"of an earlier version", func(c *Campaign) { c.Tune.Request = nil }, 0, "start a new one"},
		{"a verification", func(c *Campaign) { c.Kind, c.Tune = "", nil }, 0, "is not the folder of a tuning"},
	} {
		c, _ := tuneSample()
		c.Tune.Request = []byte(`{}`)
		tt.change(&c)
		if err := Resumable(&c, tt.budget); tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestLastTuning(t *testing.T) {
	store, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LastTuning(store.Dir(), 0); err == nil || !strings.Contains(err.Error(), "name the folder") {
		t.Errorf("an empty store: %v", err)
	}
	for id, answer := range map[string]judge.Verdict{"1": Incomplete, "2": "", "3": NothingFound} {
		c, _ := tuneSample()
		c.ID, c.Tune.Answer, c.Tune.Request = id, answer, []byte(`{}`)
		w, err := store.Create(&c)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(store.Dir(), "9"), 0o755); err != nil {
		t.Fatal(err)
	}
	for budget, want := range map[time.Duration]string{0: "2", time.Minute: "3"} {
		if got, err := LastTuning(store.Dir(), budget); err != nil || filepath.Base(got) != want {
			t.Errorf("with a budget of %v: %s, %v; want %s", budget, got, err, want)
		}
	}
}

func TestTuneTextToGoOn(t *testing.T) {
	c, runs := tuneSample()
	c.Tune.Request, c.Dir, c.Stopped = []byte(`{}`), "/r/a b", "stopped by the user"
	for stage, want := range map[TuneStage]bool{StagePost: true, "": false} {
		var b strings.Builder
		if err := TuneText(&b, Recorded{Campaign: &c, Runs: slicesWithout(runs, func(r Run) bool { return r.Stage == stage })}, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "to go on: patchproof tune --resume '/r/a b'\n"); got != want {
			t.Errorf("without the runs of stage %q: %v, want %v:\n%s", stage, got, want, b.String())
		}
	}
}
