package results

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// TestPerfectFix: both kernels have an old failure that comes later in the same
// phase than the bug. Without the bug it is there to be seen; that is no regression.
func TestPerfectFix(t *testing.T) {
	old := otherReport()
	follows := old
	follows.FollowUp = true
	kasan := otherReport()
	kasan.Title, kasan.Fingerprint, kasan.Signature = "KASAN: the bug", "the bug", "the bug"
	warning := btrfsReport()
	warning.Phase, warning.PhaseName = 3, "run"
	for _, tt := range []struct {
		name string
		pre  func(r *Run)
	}{
		{"the bug ends the run before it comes", func(r *Run) {
			r.Reports, r.Phases, r.Complete = []ReportRecord{warning}, r.Phases[:4], false
			r.Failure = &GuestFailure{Kind: "panic", Kernel: true}
		}},
		{"the bug's phase fails", func(r *Run) {
			r.Reports, r.Phases, r.Complete = []ReportRecord{warning}, r.Phases[:4], false
			r.HarnessReason = "phase run: status 5"
		}},
		{"it comes after the bug", func(r *Run) { r.Reports = []ReportRecord{warning, follows} }},
		{"KASAN reports once", func(r *Run) { r.Reports = []ReportRecord{kasan} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs := sampleRuns(10, none, func(int) []ReportRecord { return []ReportRecord{old} })
			for i := range runs {
				if runs[i].Side == judge.Pre {
					tt.pre(&runs[i])
					runs[i].classify()
				}
			}
			c := sampleCampaign()
			c.Stopped = "the budget is used up"
			if s := Summarize(c, runs); s.Evidence.Pre.Reproduced != 10 || s.Decision.Verdict != judge.Inconclusive {
				t.Errorf("%s: %s", s.Decision.Verdict, s.Decision.Reason)
			}
		})
	}
}

// TestRegressedAllTheSame: pre's runs were able to show the new report.
func TestRegressedAllTheSame(t *testing.T) {
	fresh := otherReport() // in phase 3
	for _, tt := range []struct {
		name string
		pre  func(r *Run)
	}{
		{"pre is clean", func(*Run) {}},
		{"pre shows the bug and goes on", func(r *Run) { r.Reports = []ReportRecord{btrfsReport()} }},
		{"pre dies in the phase after", func(r *Run) {
			r.Reports, r.Complete = []ReportRecord{btrfsReport()}, false
			r.Failure = &GuestFailure{Kind: "panic", Kernel: true}
		}},
		{"lockdep is silent", func(r *Run) {
			rep := btrfsReport()
			rep.Kind = dmesg.KindBug
			r.Reports = []ReportRecord{rep}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs := sampleRuns(10, none, func(int) []ReportRecord { return []ReportRecord{fresh} })
			for i := range runs {
				if runs[i].Side == judge.Pre {
					tt.pre(&runs[i])
					runs[i].classify()
				}
			}
			if s := Summarize(sampleCampaign(), runs); s.Decision.Verdict != judge.Regressed {
				t.Errorf("%s: %s", s.Decision.Verdict, s.Decision.Reason)
			}
		})
	}
}

// TestRunsMissing: a campaign that has ended does not become undecided when runs
// of it are lost.
func TestRunsMissing(t *testing.T) {
	c := sampleCampaign()
	c.Decision = &judge.Decision{Verdict: judge.Fixed, Decided: true}
	s := Rejudge(&c, sampleRuns(3, bug, none))
	if d := s.Decision; !d.Decided || d.Verdict != judge.Inconclusive || !strings.Contains(d.Reason, "runs of it are missing") {
		t.Errorf("decided %v, %s: %s", d.Decided, d.Verdict, d.Reason)
	}
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "record says fixed") {
		t.Errorf("warnings %q", s.Warnings)
	}
}

// TestSourceOfOneKernelOnly: a warning that both kernels print is not new on post
// because the condition is known of one of them only.
func TestSourceOfOneKernelOnly(t *testing.T) {
	text := func(line int) string {
		return fmt.Sprintf("[    9.000001] WARNING: CPU: 1 PID: 7 at fs/foo/bar.c:%d foo_bar+0x1/0x20\n[    9.000002] CPU: 1 PID: 7 Comm: x Not tainted 6.1.0 #1\n[    9.000003] RIP: 0010:foo_bar+0x1/0x20\n[    9.000004] Call Trace:\n[    9.000005]  foo_write+0x1/0x2\n", line)
	}
	warning := func(line int, source dmesg.SourceLines) []ReportRecord {
		reports, err := dmesg.Parse(strings.NewReader(text(line)))
		if err != nil || len(reports) != 1 {
			t.Fatalf("%v, %d reports", err, len(reports))
		}
		dmesg.Annotate(reports, source)
		return []ReportRecord{{Report: reports[0], Phase: 3, PhaseName: "run"}}
	}
	for _, tt := range []struct {
		name      string
		pre, post dmesg.SourceLines
		want      judge.Verdict
	}{
		{"both unknown", nil, nil, judge.Inconclusive},
		{"both known", oneLine("WARN_ON(a);"), oneLine("WARN_ON(a);"), judge.Inconclusive},
		{"known on post", nil, oneLine("WARN_ON(a);"), judge.Inconclusive},
		{"known on pre", oneLine("WARN_ON(a);"), nil, judge.Inconclusive},
		{"another condition", oneLine("WARN_ON(a);"), oneLine("WARN_ON(b);"), judge.Regressed},
	} {
		runs := sampleRuns(10, func(int) []ReportRecord { return warning(10, tt.pre) }, func(int) []ReportRecord { return warning(12, tt.post) })
		c := sampleCampaign()
		c.Stopped = "the budget is used up"
		if s := Summarize(c, runs); s.Decision.Verdict != tt.want {
			t.Errorf("%s: %s: %s", tt.name, s.Decision.Verdict, s.Decision.Reason)
		}
	}
}

// oneLine is a source that has the same text on every line.
type oneLine string

func (s oneLine) SourceLine(string, int) ([]string, bool) { return []string{string(s)}, true }

// TestLostEnd: a copy of a run's events that was cut short does not take the run
// out of the count while its final record is there.
func TestLostEnd(t *testing.T) {
	c, w := newCampaign(t)
	for range 6 {
		record(t, w, judge.Pre, btrfsReport())
		record(t, w, judge.Post)
	}
	last := record(t, w, judge.Post, btrfsReport())
	c.Decision = &judge.Decision{Verdict: judge.NotFixed, Decided: true}
	path := filepath.Join(last.Dir, eventsFile)
	data, err := os.ReadFile(path)
	if err := errors.Join(err, w.Update(c), os.WriteFile(path, data[:bytes.IndexByte(data, '\n')+1], 0o644)); err != nil {
		t.Fatal(err)
	}
	s, err := Recompute(w.Dir())
	if err != nil || s.Decision.Verdict != judge.NotFixed || !strings.Contains(s.Warnings[0], "run.jsonl is damaged (it has no end), run.json was used") {
		t.Errorf("%v, %s, %q", err, s.Decision.Verdict, s.Warnings)
	}
	if err := os.Remove(filepath.Join(last.Dir, runFile)); err != nil {
		t.Fatal(err)
	}
	if s, err = Recompute(w.Dir()); err != nil || s.Evidence.Post.Runs() != 6 {
		t.Errorf("%v, %+v: a run that was broken off counts", err, s.Evidence.Post)
	}
}

// TestEditedRules: rules that no campaign can have had give no verdict.
func TestEditedRules(t *testing.T) {
	for _, rules := range []judge.Rules{{Confidence: 0.01}, {Confidence: 2}, {MaxRuns: -1}} {
		c := sampleCampaign()
		c.Rules = rules
		if s := Rejudge(&c, sampleRuns(6, bug, none)); s.Decision.Verdict != judge.Error || !strings.Contains(s.Decision.Reason, "campaign.json: rules") {
			t.Errorf("%+v: %s: %s", rules, s.Decision.Verdict, s.Decision.Reason)
		}
	}
}

// TestPostDiesEarly: what a post kernel comes to that never does the workload's work.
func TestPostDiesEarly(t *testing.T) {
	boot := ReportRecord{Report: dmesg.Report{Kind: dmesg.KindPanic, Title: "kernel panic: no init", Fingerprint: "no init"}, Phase: -1, PhaseName: "boot"}
	died := func(kind string, kernel bool, reports ...ReportRecord) func(r *Run) {
		return func(r *Run) {
			r.Reports, r.Phases, r.Complete = reports, nil, false
			r.Failure, r.HarnessReason = &GuestFailure{Kind: kind, Kernel: kernel}, kind
		}
	}
	for _, tt := range []struct {
		name string
		post func(r *Run)
		want judge.Verdict
	}{
		{"panics with a report", died("panic", true, boot), judge.Regressed},
		{"panics without one", died("panic", true), judge.Regressed},
		{"resets", died("reboot", true), judge.Regressed},
		{"is silent", died("boot-timeout", false), judge.Error},
		{"fails its workload", func(r *Run) { r.Phases, r.Complete, r.HarnessReason = r.Phases[:1], false, "phase mkfs: status 1" }, judge.Error},
	} {
		for name, pre := range map[string]func(r *Run){
			"pre shows the bug":         func(r *Run) { r.Reports = []ReportRecord{btrfsReport()} },
			"pre is clean":              func(*Run) {},
			"pre dies of the bug later": func(r *Run) { r.Reports, r.Complete = []ReportRecord{btrfsReport()}, false },
		} {
			runs := sampleRuns(10, none, none)
			for i := range runs {
				if runs[i].Side == judge.Pre {
					pre(&runs[i])
				} else {
					tt.post(&runs[i])
				}
				runs[i].classify()
			}
			if s := Summarize(sampleCampaign(), runs); s.Decision.Verdict != tt.want {
				t.Errorf("post %s, %s: %s: %s; want %s", tt.name, name, s.Decision.Verdict, s.Decision.Reason, tt.want)
			}
		}
	}
}
