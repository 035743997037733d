package judge

import (
	"math"
	"testing"
)

func closeTo(got, want float64) bool { return math.Abs(got-want) <= 1e-3*math.Abs(want) }

// TestPoissonJeffreys: with shape 1/2 the quantiles are those of a chi-squared
// variable with one degree of freedom (tables: 3.8415 at 95%), halved; with
// shape 3/2 those of one with three (0.3518 at 5%, 7.8147 at 95%).
func TestPoissonJeffreys(t *testing.T) {
	for _, tt := range []struct {
		k         int
		exposure  float64
		low, high float64
	}{
		{0, 1, 0, 3.8415 / 2},
		{0, 100, 0, 0.038415 / 2},
		{1, 1, 0.3518 / 2, 7.8147 / 2},
		{1, 10, 0.03518 / 2, 0.78147 / 2},
	} {
		iv := PoissonJeffreys(tt.k, tt.exposure, 0.9)
		if !closeTo(iv.Low, tt.low) || !closeTo(iv.High, tt.high) || iv.Level != 0.9 {
			t.Errorf("%d in %v: %+v, want %v to %v", tt.k, tt.exposure, iv, tt.low, tt.high)
		}
	}
}

func reproduced(cpu float64) TuneRun { return TuneRun{Outcome: Reproduced, CPU: cpu} }
func clean(cpu float64) TuneRun      { return TuneRun{Outcome: Clean, CPU: cpu} }
func cut(cpu float64) TuneRun        { return TuneRun{Outcome: Invalid, Cut: true, CPU: cpu} }
func invalid() TuneRun               { return TuneRun{Outcome: Invalid, CPU: 5} }

func TestTallyTune(t *testing.T) {
	for _, tt := range []struct {
		name string
		runs []TuneRun
		want TuneTally
	}{
		{"nothing", nil, TuneTally{}},
		{"runs that ended", []TuneRun{reproduced(8), clean(6), {Outcome: OtherFailure, CPU: 7}},
			TuneTally{Runs: 3, Reproduced: 1, CPUSeconds: 21, Cheapest: 6}},
		{"cut runs alone all count", []TuneRun{cut(30), cut(4)}, TuneTally{Cut: 2, CutSeconds: 34, LongestCut: 30}},
		{"one cut by the budget, one that was too long", []TuneRun{clean(10), cut(3), cut(15)},
			TuneTally{Runs: 1, CPUSeconds: 10, Cheapest: 10, Cut: 1, CutSeconds: 15, LongestCut: 15}},
		{"the bug came before the cut", []TuneRun{{Outcome: Reproduced, Cut: true, CPU: 9}}, TuneTally{Runs: 1, Reproduced: 1, CPUSeconds: 9, Cheapest: 9}},
		{"invalid ones", []TuneRun{invalid(), clean(5)}, TuneTally{Runs: 1, Invalid: 1, CPUSeconds: 5, Cheapest: 5}},
	} {
		if got := TallyTune(tt.runs); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestTuneInterval(t *testing.T) {
	for _, tt := range []struct {
		name      string
		runs      []TuneRun
		low, high float64
		ok        bool
	}{
		{"nothing", nil, 0, 0, false},
		{"invalid only", []TuneRun{invalid()}, 0, 0, false},
		{"cut only: one in its time at most", []TuneRun{cut(300), cut(100)}, 0, 1. / 300, true},
		{"one long clean run: one in its cost at most", []TuneRun{clean(500)}, 0, 1. / 500, true},
		{"many clean runs", many(clean(10), 50), 0, 3.8415 / 2 / 500, true},
		{"every run reproduces: not more than that", many(reproduced(10), 3), 0.3 * 2.1673 / 2 / 9, 0.1, true},
	} {
		iv, ok := TallyTune(tt.runs).Interval()
		if ok != tt.ok || ok && (!closeTo(iv.High, tt.high) || iv.Low > iv.High) || tt.low == 0 && iv.Low != 0 {
			t.Errorf("%s: %+v %v, want up to %v %v", tt.name, iv, ok, tt.high, tt.ok)
		}
	}
	with, without := TallyTune([]TuneRun{reproduced(10), cut(20)}), TallyTune([]TuneRun{reproduced(10)})
	a, _ := with.Interval()
	b, _ := without.Interval()
	if a.Low >= b.Low || a.High != b.High {
		t.Errorf("a cut run lowers the lower end alone: %+v, without it %+v", a, b)
	}
}

func many(r TuneRun, n int) []TuneRun {
	out := make([]TuneRun, n)
	for i := range out {
		out[i] = r
	}
	return out
}

func TestTuneGain(t *testing.T) {
	start := TallyTune([]TuneRun{cut(400)})
	winner := TallyTune(many(reproduced(10), 10))
	g, ok := winner.Gain(start)
	own, _ := winner.Interval()
	if !ok || g.Ratio != 0 || g.High != 0 || !closeTo(g.Low, own.Low*400) {
		t.Errorf("over a start that was cut: %+v, %v", g, ok)
	}
	g, _ = winner.Gain(winner)
	if !closeTo(g.Ratio, 1) || g.Low >= 1 || g.High <= 1 || !closeTo(g.Low*g.High, 1) {
		t.Errorf("over itself: %+v", g)
	}
	if _, ok := winner.Gain(TuneTally{}); ok {
		t.Error("a gain over nothing")
	}
	if got, want := winner.AtMost(5), 10/(5*Jeffreys(10, 10, 0.9).Low); !closeTo(got, want) || got < 2 {
		t.Errorf("at most %v, want %v", got, want)
	}
	if got := start.AtMost(5); !math.IsInf(got, 1) {
		t.Errorf("a start that never reproduced bounds the gain by %v", got)
	}
}

// TestPairsFor: the table of docs/verdicts.md has 5.0 pairs at a rate of 1, 14.1 at
// one half and 86.8 at a tenth, on average; what is expected is near that.
func TestPairsFor(t *testing.T) {
	for _, tt := range []struct {
		rate        float64
		least, most int
	}{{1, 5, 5}, {0.5, 11, 16}, {0.1, 60, 100}} {
		if got, ok := PairsFor(tt.rate, 0.99); !ok || got < tt.least || got > tt.most {
			t.Errorf("rate %v: %d pairs, %v; want %d to %d", tt.rate, got, ok, tt.least, tt.most)
		}
	}
	if got, ok := PairsFor(0, 0.99); ok {
		t.Errorf("%d pairs without the bug", got)
	}
}

func TestRankTune(t *testing.T) {
	tallies := []TuneTally{
		TallyTune([]TuneRun{reproduced(5)}),                 // lucky once
		TallyTune(many(clean(1), 3)),                        // never
		TallyTune(append(many(reproduced(6), 9), clean(6))), // nearly always
		TallyTune(many(reproduced(60), 9)),                  // always, and dear
	}
	got := RankTune(tallies)
	if len(got) != 3 || got[0] != 2 || got[1] != 0 || got[2] != 3 {
		t.Errorf("%v, want 2, 0, 3", got)
	}
}
