package results

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"patchproof/results/judge"
)

// tuneSample is a tuning whose start was cut and whose best setting was checked.
func tuneSample() (Campaign, []Run) {
	c := sampleCampaign()
	c.Kind, c.Command, c.ElapsedSeconds = KindTune, []string{"patchproof", "tune", "my plan.yaml"}, 1187
	setting := func(key string, rung int) TuneSetting {
		return TuneSetting{Key: key, Values: map[string]string{"threads": "64"}, Shape: "1 vCPU, 1024 MiB", Rung: rung}
	}
	c.Tune = &TuneRecord{Plan: "rare", Knobs: []AxisRecord{{Name: "threads", Values: []string{"8", "64"}}}, MinGain: 5, BudgetSeconds: 1200, Rungs: make([]TuneRung, 2),
		Unturned: []string{"preempt: each model is a kernel of its own to build"},
		Settings: []TuneSetting{setting(TuneStart, 0), setting("threads=64", 2), setting("threads=2", 1), setting("files=8", 1)}}
	var runs []Run
	add := func(key string, stage TuneStage, cpu float64, change func(*Run), reports ...ReportRecord) {
		r := sampleRun(Single, len(runs)+1, len(runs)+1, reports...)
		r.Setting, r.Stage, r.CPU = key, stage, &CPUTime{Total: cpu, Ready: 2.5}
		if change != nil {
			change(&r)
			r.classify()
		}
		runs = append(runs, r)
	}
	cut := func(r *Run) {
		r.Complete, r.Stopped, r.HarnessReason = false, true, "stopped before its end: the time budget is used up"
	}
	broken := func(r *Run) { r.Complete, r.HarnessReason = false, "no SSH server" }
	add(TuneStart, StageStart, 420, cut)
	for range 2 {
		add("threads=64", StageSearch, 6, nil, btrfsReport())
		add("files=8", StageSearch, 5, broken)
	}
	add("threads=2", StageSearch, 12, nil)
	for range 8 {
		add("threads=64", StageConfirm, 6, nil, btrfsReport())
		add("threads=64", StagePost, 6, nil)
	}
	return c, runs
}

func TestTuneOf(t *testing.T) {
	c, runs := tuneSample()
	got := TuneOf(&c, runs)
	best := got.Rows[got.Best]
	if got.Answer != Tuned || best.Key != "threads=64" || best.Confirm.Reproduced != 8 || best.Search.Reproduced != 2 || best.Post.Clean != 8 || got.FloorSeconds != 2.5 {
		t.Errorf("%s: %s; best %+v", got.Answer, got.Reason, best)
	}
	// Eight in 48 CPU-seconds, of which the lower bound is 4.2 (half of a
	// chi-squared variable with 17 degrees of freedom at 5%, 8.67), against one in
	// 420 at most.
	if want := 8.672 / 2 / 48 * 420; got.Gain.Low < want*0.999 || got.Gain.Low > want*1.001 || got.Gain.Ratio != 0 {
		t.Errorf("gain %+v, want at least %.2f", got.Gain, want)
	}
	if r := got.Rows[3]; r.Refused != "2 runs invalid" {
		t.Errorf("a setting whose runs are invalid: %+v", r)
	}
}

// TestTuneAnswers: what changes in the runs changes the answer.
func TestTuneAnswers(t *testing.T) {
	other := btrfsReport()
	other.Fingerprint = "another"
	for _, tt := range []struct {
		name   string
		change func(c *Campaign, runs []Run) []Run
		answer judge.Verdict
		reason string
	}{
		{"without the runs on the post kernel", func(_ *Campaign, runs []Run) []Run {
			return slicesWithout(runs, func(r Run) bool { return r.Stage == StagePost })
		}, LittleToGain, "at least"},
		{"the post kernel shows it too", func(_ *Campaign, runs []Run) []Run {
			runs[len(runs)-1].Reports = []ReportRecord{btrfsReport()}
			return runs
		}, NothingFound, "no setting that can be taken"},
		{"the start shows another bug", func(_ *Campaign, runs []Run) []Run {
			runs[0].Reports = []ReportRecord{other}
			return runs
		}, LittleToGain, "no other setting that can be taken reproduced"},
		{"the start reproduces as well as that", func(_ *Campaign, runs []Run) []Run {
			for i := range 6 {
				r := runs[1]
				r.ID, r.Setting, r.Stage, r.CPU = "again"+strings.Repeat("x", i), TuneStart, StageStart, &CPUTime{Total: 6, Ready: 2.5}
				runs = append(runs, r)
			}
			return runs[1:]
		}, LittleToGain, "no setting can be more than"},
		{"stopped before the checks", func(c *Campaign, runs []Run) []Run {
			c.Stopped = "stopped by the user"
			return runs[:6]
		}, Incomplete, "stopped by the user"},
		{"killed", func(c *Campaign, runs []Run) []Run {
			c.ElapsedSeconds = 0
			return runs[:6]
		}, Incomplete, "broken off"},
		{"runs of settings that are not in the record", func(c *Campaign, runs []Run) []Run {
			c.Tune.Settings = nil
			return runs
		}, NothingFound, "nor did the start"},
	} {
		c, runs := tuneSample()
		runs = tt.change(&c, runs)
		for i := range runs {
			runs[i].classify()
		}
		if got := TuneOf(&c, runs); got.Answer != tt.answer || !strings.Contains(got.Reason, tt.reason) {
			t.Errorf("%s: %s: %s", tt.name, got.Answer, got.Reason)
		}
	}
}

func slicesWithout(runs []Run, drop func(Run) bool) []Run {
	var out []Run
	for _, r := range runs {
		if !drop(r) {
			out = append(out, r)
		}
	}
	return out
}

func TestTuneText(t *testing.T) {
	c, runs := tuneSample()
	runs[1].Reports[0].Title = "WARNING in \x1b[31mred"
	c.Tune.PlanFile = "rare-tuned.yaml"
	r := Recorded{Campaign: &c, Runs: runs}
	var text bytes.Buffer
	if err := ShowText(&text, r, TextOptions{Verbose: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "\x1b") {
		t.Error("an escape sequence of a guest came through")
	}
	golden(t, "tune.txt", text.String())
	result := TuneOf(&c, runs)
	golden(t, "tune-header.txt", strings.Join(TuneHeader(&c, &result), "\n")+"\n")
}

func TestTuneJSON(t *testing.T) {
	c, runs := tuneSample()
	var b bytes.Buffer
	if err := ShowJSON(&b, Recorded{Campaign: &c, Runs: runs}); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Answer   string
		Best     string
		Gain     struct{ Low float64 }
		Settings []struct {
			Key         string
			SearchRate  *struct{ Estimate, Low, High float64 } `json:"search_rate"`
			ConfirmRate *struct{ Estimate, Low, High float64 } `json:"confirm_rate"`
		}
		Runs []struct {
			ID, Setting, Stage string
			CPU                float64 `json:"cpu_seconds"`
		}
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Answer != "tuned" || doc.Best != "threads=64" || doc.Gain.Low < 30 || len(doc.Settings) != 4 || len(doc.Runs) != len(runs) {
		t.Errorf("%+v", doc)
	}
	if s := doc.Settings[1]; s.ConfirmRate == nil || s.ConfirmRate.Estimate != 8./48 || doc.Settings[3].SearchRate != nil || doc.Runs[0].CPU != 420 || doc.Runs[0].Stage != "start" {
		t.Errorf("%+v", doc)
	}
}

// TestTuneReporters: reporters of cases have none for a tuning.
func TestTuneReporters(t *testing.T) {
	c, runs := tuneSample()
	r := Recorded{Campaign: &c, Runs: runs}
	var b bytes.Buffer
	for name, err := range map[string]error{"junit": JUnit(&b, r), "kcidb": KCIDB(&b, r, ""), "markdown": Markdown(&b, r)} {
		if err == nil || !strings.Contains(err.Error(), "is a tuning") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r.Verdict() != Tuned {
		t.Errorf("verdict %s", r.Verdict())
	}
}

func TestTallyText(t *testing.T) {
	for want, runs := range map[string][]judge.TuneRun{
		"no run that counts": nil,
		"no run came to its end in 400 CPU-seconds: at most 9.0 reproductions per CPU-hour": {{Outcome: judge.Invalid, Cut: true, CPU: 400}},
		"1 of 2 reproduced in 20 CPU-seconds, 1 cut: 21 to 360 per CPU-hour": {
			{Outcome: judge.Reproduced, CPU: 10}, {Outcome: judge.Clean, CPU: 10}, {Outcome: judge.Invalid, Cut: true, CPU: 10}},
	} {
		if got := TallyText(judge.TallyTune(runs)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
