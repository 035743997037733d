package judge

import (
	"slices"
	"strings"
	"testing"
)

func counts(reproduced, clean int) Counts { return Counts{Reproduced: reproduced, Clean: clean} }

// verdictCase is one state of a campaign. want is what Judge says, "" while it
// goes on; final is what Final says when the budget is over.
type verdictCase struct {
	name        string
	e           Evidence
	r           Rules
	want, final Verdict
	reason      string // part of Final's reason or one of its warnings
}

var newWarn = NewReport{Fingerprint: "f1", Title: "WARNING in ext4_foo", PostRuns: 1}

var verdictCases = []verdictCase{
	{name: "nothing yet", final: Inconclusive, reason: "no valid run yet"},
	{name: "5 to 5 at 0.99", e: Evidence{Pre: counts(5, 0), Post: counts(0, 5)}, want: Fixed, final: Fixed, reason: "0 of 5"},
	{name: "4 to 4 at 0.99", e: Evidence{Pre: counts(4, 0), Post: counts(0, 4)}, final: Inconclusive, reason: "1 more"},
	{name: "3 to 3 at 0.9", e: Evidence{Pre: counts(3, 0), Post: counts(0, 3)}, r: Rules{Confidence: 0.9}, want: Fixed, final: Fixed},
	{name: "runs without partner count against", e: Evidence{Pre: counts(5, 5), Post: counts(0, 5)}, final: Inconclusive},
	{name: "one match is enough at 0.99", e: Evidence{Pre: counts(1, 3), Post: counts(1, 0)}, want: NotFixed, final: NotFixed, reason: "1 of 1 run"},
	{name: "two matches at 0.999", e: Evidence{Pre: counts(1, 0), Post: counts(1, 0)}, r: Rules{Confidence: 0.999}, final: Inconclusive, reason: "look-alikes"},
	{name: "two matches at 0.999, there", e: Evidence{Pre: counts(2, 0), Post: counts(2, 0)}, r: Rules{Confidence: 0.999}, want: NotFixed, final: NotFixed},
	{name: "one match late", e: Evidence{Pre: counts(10, 5), Post: counts(1, 14)}, want: NotFixed, final: NotFixed, reason: "read the report"},
	{name: "swapped", e: Evidence{Pre: counts(0, 5), Post: counts(5, 0)}, want: Regressed, final: Regressed, reason: "matches the signature"},
	{name: "swapped, too early", e: Evidence{Pre: counts(0, 3), Post: counts(3, 0)}, final: Inconclusive, reason: "on the post-patch kernel only"},
	{name: "new report blocks fixed", e: Evidence{Pre: counts(9, 0), Post: counts(0, 9), NewOnPost: []NewReport{newWarn}}, final: Inconclusive, reason: "WARNING in ext4_foo"},
	{name: "report on both does not", e: Evidence{Pre: counts(9, 0), Post: counts(0, 9), NewOnPost: []NewReport{{Fingerprint: "f1", Title: "x", PostRuns: 3, PreRuns: 1}}}, want: Fixed, final: Fixed},
	{name: "new report in every run", e: Evidence{Pre: counts(5, 0), Post: Counts{OtherFailure: 5}, NewOnPost: []NewReport{{Title: "KASAN: x", PostRuns: 5}}}, want: Regressed, final: Regressed, reason: "KASAN: x"},
	{name: "ten kinds need more", e: Evidence{Pre: counts(5, 0), Post: Counts{OtherFailure: 5}, Distinct: 10, NewOnPost: []NewReport{{Title: "x", PostRuns: 5}}}, final: Inconclusive},
	{name: "new report, never reproduced", e: Evidence{Pre: counts(0, 9), Post: Counts{Clean: 8, OtherFailure: 1}, NewOnPost: []NewReport{newWarn}}, final: Inconclusive, reason: "WARNING in ext4_foo"},
	{name: "never reproduced", e: Evidence{Pre: counts(0, 20), Post: counts(0, 20)}, final: NotReproduced, reason: "above 21%"},
	{name: "never reproduced, limit", e: Evidence{Pre: counts(0, 20), Post: counts(0, 20)}, r: Rules{MaxRuns: 20}, want: NotReproduced, final: NotReproduced},
	{name: "limit with invalid runs", e: Evidence{Pre: Counts{Clean: 18, Invalid: 2}, Post: counts(0, 18)}, r: Rules{MaxRuns: 20}, want: NotReproduced, final: NotReproduced},
	{name: "limit, partner to come", e: Evidence{Pre: counts(0, 20), Post: counts(0, 19)}, r: Rules{MaxRuns: 20}, final: NotReproduced},
	{name: "3 invalid from the start", e: Evidence{Pre: Counts{Invalid: 3}, Post: counts(0, 2)}, want: Error, final: Error, reason: "first 3 runs"},
	{name: "2 invalid from the start", e: Evidence{Pre: Counts{Invalid: 2}, Post: counts(0, 2)}, final: Error, reason: "no run of the pre-patch kernel was valid"},
	{name: "more than half invalid", e: Evidence{Pre: counts(3, 0), Post: Counts{Clean: 3, Invalid: 4}}, want: Error, final: Error, reason: "4 of 7 runs"},
	{name: "half invalid", e: Evidence{Pre: counts(3, 0), Post: Counts{Clean: 3, Invalid: 3}}, final: Inconclusive},
	{name: "pre dies of something else", e: Evidence{Pre: Counts{OtherFailure: 4}, Post: counts(0, 4)}, final: Inconclusive, reason: "other failures"},
}

func TestVerdicts(t *testing.T) {
	for _, tt := range verdictCases {
		t.Run(tt.name, func(t *testing.T) {
			d := Judge(tt.e, tt.r)
			if d.Decided != (tt.want != "") || d.Decided && d.Verdict != tt.want {
				t.Errorf("Judge: decided %v, %s (%s), want %q", d.Decided, d.Verdict, d.Reason, tt.want)
			}
			if !d.Decided && d.Verdict != Inconclusive {
				t.Errorf("Judge: undecided, but %s", d.Verdict)
			}
			f := Final(tt.e, tt.r, "the budget of 20m is used up")
			if !f.Decided || f.Verdict != tt.final {
				t.Errorf("Final: %s (%s), want %s", f.Verdict, f.Reason, tt.final)
			}
			if text := f.Reason + strings.Join(f.Warnings, "\n"); !strings.Contains(text, tt.reason) {
				t.Errorf("Final says\n%s\nwithout %q", text, tt.reason)
			}
			if conf := tt.r.WithDefaults().Confidence; f.Confidence < 0 || f.Confidence > 1 ||
				slices.Contains([]Verdict{Fixed, NotFixed, Regressed}, f.Verdict) != (f.Confidence >= conf-1e-9) && f.Verdict != NotReproduced {
				t.Errorf("%s with confidence %g of %g", f.Verdict, f.Confidence, conf)
			}
		})
	}
}

func TestFailed(t *testing.T) {
	d := Failed(Evidence{Pre: counts(5, 0), Post: counts(0, 5)}, Rules{}, "no space left in /var/tmp")
	if d.Verdict != Error || !d.Decided || d.Reason != "no space left in /var/tmp" || d.PreRate.Low == 0 {
		t.Errorf("%+v", d)
	}
}

func TestRulesValidate(t *testing.T) {
	if err := (Rules{}).Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	for _, r := range []Rules{{Confidence: 1}, {Confidence: 0.3}, {Confidence: 99}, {MaxRuns: -1}, {LookAlike: -0.1}, {LookAlike: 0.9}} {
		if r.Validate() == nil {
			t.Errorf("%+v passes", r)
		}
	}
}

func TestNextSide(t *testing.T) {
	var started []Side
	text := ""
	for range 8 {
		s := NextSide(started)
		started = append(started, s)
		text += map[Side]string{Pre: "A", Post: "B"}[s]
	}
	if text != "ABBAABBA" {
		t.Errorf("order %s", text)
	}
	// A run lost as invalid is left out by the caller and comes again at once.
	if s := NextSide([]Side{Pre, Post, Pre}); s != Post {
		t.Errorf("after a lost post run: %s", s)
	}
}

// TestOpenConfidence: what is reached for the nearest verdict that can still come.
func TestOpenConfidence(t *testing.T) {
	for _, tt := range []struct {
		e    Evidence
		r    Rules
		want float64
	}{
		{Evidence{Pre: counts(1, 0), Post: counts(1, 0)}, Rules{Confidence: 0.999}, 0.995},
		{Evidence{Pre: counts(9, 0), Post: counts(1, 8)}, Rules{Confidence: 0.9999}, 0.995},
		{Evidence{Pre: counts(2, 0)}, Rules{}, 0},
	} {
		d := Final(tt.e, tt.r, "the budget is used up")
		if d.Verdict != Inconclusive {
			t.Errorf("%+v: %s", tt.e, d.Verdict)
		}
		near(t, "confidence", d.Confidence, tt.want, 1e-12)
	}
}

// TestFixedStays: runs that were in flight when fixed was reached do not take it
// back, unless they show the bug on post.
func TestFixedStays(t *testing.T) {
	yes, no := slices.Repeat([]bool{true}, 5), slices.Repeat([]bool{false}, 8)
	e := Evidence{Pre: counts(5, 3), Post: counts(0, 8), Signature: Sequence{Pre: append(yes, false, false, false), Post: no}}
	if d := Judge(e, Rules{}); d.Verdict != Fixed {
		t.Errorf("%s: %s", d.Verdict, d.Reason)
	}
	e.Post.Reproduced, e.Signature.Post[7] = 1, true
	if d := Judge(e, Rules{}); d.Verdict != NotFixed {
		t.Errorf("%s: %s", d.Verdict, d.Reason)
	}
}

func TestCollect(t *testing.T) {
	warn := SeenReport{Fingerprint: "w", Title: "WARNING in w", Phase: 3}
	sig := SeenReport{Fingerprint: "s", Title: "WARNING in s", Signature: true, Phase: 1}
	runs := []Observation{
		{Side: Pre, Outcome: Reproduced, Reports: []SeenReport{sig, sig}, Reached: 1}, // died before phase 3
		{Side: Post, Outcome: OtherFailure, Reports: []SeenReport{warn, warn}, Reached: 4},
		{Side: Post, Outcome: Clean, Reached: 4},
		{Side: Pre, Outcome: Invalid, Reports: []SeenReport{warn}, Reached: 4},
		{Side: Pre, Outcome: Reproduced, Reports: []SeenReport{sig}, Reached: 4},
		{Side: Pre, Reached: 2},
		{Side: Pre, Outcome: Reproduced, Reports: []SeenReport{sig}, Reached: 4}, // started after one in flight
		{Side: Post, Outcome: Clean, Reached: 4},
	}
	e := Collect(runs)
	if e.Pre != (Counts{Reproduced: 3, Invalid: 1}) || e.Post != (Counts{Clean: 2, OtherFailure: 1}) {
		t.Errorf("counts %+v %+v", e.Pre, e.Post)
	}
	if !slices.Equal(e.Signature.Pre, []bool{true, true}) || !slices.Equal(e.Signature.Post, []bool{false, false}) {
		t.Errorf("sequence %+v", e.Signature)
	}
	if len(e.NewOnPost) != 1 || e.Distinct != 1 {
		t.Fatalf("new %+v of %d", e.NewOnPost, e.Distinct)
	}
	n := e.NewOnPost[0]
	if n.PostRuns != 1 || n.PreRuns != 0 || !slices.Equal(n.Seen.Pre, []bool{false}) || !slices.Equal(n.Seen.Post, []bool{true, false, false}) {
		t.Errorf("%+v", n)
	}
}

// TestNeedShrinks: the forecast falls as runs that agree with it come in.
func TestNeedShrinks(t *testing.T) {
	last := 1 << 30
	for n := 1; n < 5; n++ {
		d := Judge(Evidence{Pre: counts(n, 0), Post: counts(0, n)}, Rules{})
		if d.Decided || d.NextNeed[Pre] >= last || d.NextNeed[Pre] < 1 {
			t.Errorf("after %d pairs: %+v", n, d)
		}
		last = d.NextNeed[Pre]
	}
	d := Judge(Evidence{Pre: counts(0, 3), Post: counts(0, 3)}, Rules{MaxRuns: 10})
	if d.NextNeed[Pre] != 7 {
		t.Errorf("nothing to go by: %+v", d.NextNeed)
	}
}

func BenchmarkJudge(b *testing.B) {
	e := Evidence{Pre: counts(3, 27), Post: counts(0, 30)}
	for b.Loop() {
		Judge(e, Rules{MaxRuns: 100})
	}
}
