package judge

import (
	"slices"
	"strings"
	"testing"
)

var (
	theBug  = SeenReport{Fingerprint: "bug", Title: "KASAN: use-after-free in bug", Signature: true, Phase: 2}
	another = SeenReport{Fingerprint: "another", Title: "KASAN: use-after-free in another", Phase: 2}
)

// TestMaskedReports: a patch that removes the bug brings to light what pre's runs
// could not get to or print. That is no regression, and no fix either.
func TestMaskedReports(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pre    Observation
		want   Verdict
		reason string
	}{
		{"pre prints nothing else and goes on", Observation{Outcome: Reproduced, Reports: []SeenReport{theBug}, Reached: 4}, Regressed, "in 0 of 8"},
		{"pre dies in the phase", Observation{Outcome: Reproduced, Reports: []SeenReport{theBug}, Reached: 2, Broken: true}, Inconclusive, "none of its runs"},
		{"pre dies in the phase after", Observation{Outcome: Reproduced, Reports: []SeenReport{theBug}, Reached: 3, Broken: true}, Regressed, "in 0 of 8"},
		{"pre prints it after the bug", Observation{Outcome: Reproduced, Reports: []SeenReport{theBug}, FollowUps: []string{"another"}, Reached: 4}, Inconclusive, "after another failure only (in 8 runs)"},
		{"the bug's report is the last of its kind", Observation{Outcome: Reproduced, Reports: []SeenReport{theBug}, Silenced: []string{"another"}, Reached: 4}, Inconclusive, "none of its runs"},
		{"another report is silenced", Observation{Outcome: Reproduced, Reports: []SeenReport{theBug}, Silenced: []string{"bug"}, Reached: 4}, Regressed, "in 0 of 8"},
		{"pre is clean", Observation{Outcome: Clean, Reached: 4}, Regressed, "in 0 of 8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen []Observation
			for range 8 {
				pre, post := tt.pre, Observation{Side: Post, Outcome: OtherFailure, Reports: []SeenReport{another}, Reached: 4}
				pre.Side = Pre
				seen = append(seen, pre, post)
			}
			d := Final(Collect(seen), Rules{}, "the budget is used up")
			if text := d.Reason + strings.Join(d.Warnings, "\n"); d.Verdict != tt.want || !strings.Contains(text, tt.reason) {
				t.Errorf("%s: %s; want %s and %q", d.Verdict, text, tt.want, tt.reason)
			}
		})
	}
}

// TestMaskedReportKeepsFixedAway: also where other runs of post are clean.
func TestMaskedReportKeepsFixedAway(t *testing.T) {
	var seen []Observation
	for i := range 20 {
		post := Observation{Side: Post, Outcome: Clean, Reached: 4}
		if i == 0 {
			post.Outcome, post.Reports = OtherFailure, []SeenReport{another}
		}
		seen = append(seen, Observation{Side: Pre, Outcome: Reproduced, Reports: []SeenReport{theBug}, FollowUps: []string{"another"}, Reached: 4}, post)
	}
	if d := Judge(Collect(seen), Rules{}); d.Decided {
		t.Errorf("%s: %s", d.Verdict, d.Reason)
	}
	seen[2] = Observation{Side: Pre, Outcome: OtherFailure, Reports: []SeenReport{another}, Reached: 4}
	if d := Judge(Collect(seen), Rules{}); d.Verdict != Fixed {
		t.Errorf("pre has shown it by itself: %s: %s", d.Verdict, d.Reason)
	}
}

// TestNothingSettled: while the first run of either side is in flight, no run
// counts for a verdict that takes pairs, however many have ended.
func TestNothingSettled(t *testing.T) {
	for _, tt := range []struct {
		name      string
		pre, post Observation
	}{
		{"fixed", Observation{Outcome: Reproduced, Reports: []SeenReport{theBug}}, Observation{Outcome: Clean}},
		{"regressed by the signature", Observation{Outcome: Clean}, Observation{Outcome: Reproduced, Reports: []SeenReport{theBug}}},
		{"regressed by another report", Observation{Outcome: Clean}, Observation{Outcome: OtherFailure, Reports: []SeenReport{another}}},
	} {
		tt.pre.Side, tt.post.Side, tt.pre.Reached, tt.post.Reached = Pre, Post, 4, 4
		seen := []Observation{{Side: Pre}, {Side: Post}}
		for range 8 {
			seen = append(seen, tt.pre, tt.post)
		}
		if d := Judge(Collect(seen), Rules{}); d.Decided {
			t.Errorf("%s: decided with both sides' first runs in flight: %s: %s", tt.name, d.Verdict, d.Reason)
		}
		if d := Judge(Collect(slices.Clone(seen[2:])), Rules{}); !d.Decided {
			t.Errorf("%s: not decided by 8 pairs: %s", tt.name, d.Reason)
		}
	}
}
