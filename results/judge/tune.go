package judge

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// PoissonJeffreys returns the equal-tailed interval of the posterior
// Gamma(k+1/2, exposure) for the rate of k events in a time of observation:
// Jeffreys' for counts (L. D. Brown, T. T. Cai, A. DasGupta, "Interval
// estimation in exponential families", Statistica Sinica 13, 2003). The rate is
// per unit of exposure. As in Jeffreys, the lower end is 0 without an event.
// exposure must be above 0.
func PoissonJeffreys(k int, exposure, level float64) Interval {
	tail := (1 - level) / 2
	g := distuv.Gamma{Alpha: float64(k) + 0.5, Beta: exposure}
	iv := Interval{High: g.Quantile(1 - tail), Level: level}
	if k > 0 {
		iv.Low = g.Quantile(tail)
	}
	return iv
}

// TuneRun is what one run with a setting showed and what it cost.
type TuneRun struct {
	Outcome Outcome
	// Cut says that the run was stopped before its end. Unless it had reproduced
	// by then it only says that a run with this setting needs more than CPU.
	Cut bool
	// CPU is the processor time that it took, in seconds.
	CPU float64
}

// ended says that the run came to an end of its own, or showed the bug.
func (r TuneRun) ended() bool {
	return r.Outcome == Reproduced || !r.Cut && r.Outcome != Invalid
}

// TuneTally sums up the runs with one setting.
type TuneTally struct {
	// Runs came to their end; Reproduced of them showed the bug.
	Runs       int `json:"runs"`
	Reproduced int `json:"reproduced"`
	// Cut runs were stopped before their end and count, see TallyTune; Invalid
	// ones say nothing.
	Cut     int `json:"cut"`
	Invalid int `json:"invalid"`
	// CPUSeconds is the processor time of the runs that came to their end.
	CPUSeconds float64 `json:"cpu_seconds"`
	// CutSeconds is that of the cut runs.
	CutSeconds float64 `json:"cut_cpu_seconds"`
	// Cheapest is the least that a run took to its end, LongestCut the most that
	// a cut one had taken; 0 when there is none.
	Cheapest   float64 `json:"cheapest_cpu_seconds"`
	LongestCut float64 `json:"longest_cut_cpu_seconds"`
}

// TallyTune sums runs up. A cut run counts as time without a reproduction when
// it had taken at least as long as some run to its end: cut earlier, by the end
// of the budget for example, it says nothing. Where no run came to its end, all
// cut ones count.
func TallyTune(runs []TuneRun) TuneTally {
	var t TuneTally
	for _, r := range runs {
		switch {
		case r.ended():
			t.Runs++
			t.CPUSeconds += r.CPU
			if t.Runs == 1 || r.CPU < t.Cheapest {
				t.Cheapest = r.CPU
			}
			if r.Outcome == Reproduced {
				t.Reproduced++
			}
		case !r.Cut:
			t.Invalid++
		}
	}
	for _, r := range runs {
		if r.Cut && !r.ended() && r.CPU >= t.Cheapest {
			t.Cut++
			t.CutSeconds += r.CPU
			t.LongestCut = max(t.LongestCut, r.CPU)
		}
	}
	return t
}

// Exposure is the processor time in which the reproductions were seen.
func (t TuneTally) Exposure() float64 { return t.CPUSeconds + t.CutSeconds }

// Rate is the estimate of reproductions per CPU-second; 0 when nothing counts.
func (t TuneTally) Rate() float64 {
	if t.Exposure() <= 0 {
		return 0
	}
	return float64(t.Reproduced) / t.Exposure()
}

// Interval is that of the rate, of level IntervalLevel; ok is false when nothing
// is known of it.
//
// The lower end counts the cut runs' time, the upper end does not: what they
// would have shown is not known. A run reproduces at most once, so whatever the
// counts, the rate is at most one in the cost of a run: the cheapest that came to
// its end, or, when none did, the longest that was cut. The counts' interval
// takes runs for a Poisson process, which makes it wider than it need be where
// nearly every run reproduces.
func (t TuneTally) Interval() (iv Interval, ok bool) {
	switch {
	case t.Runs == 0 && t.LongestCut <= 0 || t.Runs > 0 && t.Cheapest <= 0:
		return Interval{Level: IntervalLevel}, false
	case t.Runs == 0:
		return Interval{High: 1 / t.LongestCut, Level: IntervalLevel}, true
	}
	iv = PoissonJeffreys(t.Reproduced, t.CPUSeconds, IntervalLevel)
	iv.Low = PoissonJeffreys(t.Reproduced, t.Exposure(), IntervalLevel).Low
	iv.High = min(iv.High, 1/t.Cheapest)
	iv.Low = min(iv.Low, iv.High)
	return iv, true
}

// Broken says that a setting's runs fail for reasons outside the kernel.
func (t TuneTally) Broken() bool { return t.Invalid >= 2 && t.Invalid >= t.Runs+t.Cut }

// TuneGain compares a setting with the start.
type TuneGain struct {
	// Ratio of the two estimates; 0 when the start never reproduced.
	Ratio float64 `json:"ratio,omitempty"`
	// Low is the setting's lower end over the start's upper one. Both are
	// one-sided 95% bounds, so by Bonferroni's inequality the true ratio is
	// below it with a chance of at most 10%.
	Low float64 `json:"low"`
	// High is the other way round; 0 when the start never reproduced.
	High float64 `json:"high,omitempty"`
}

// Gain compares the rate of t with that of the start. ok is false when nothing is
// known of one of them.
func (t TuneTally) Gain(start TuneTally) (g TuneGain, ok bool) {
	own, okOwn := t.Interval()
	other, okOther := start.Interval()
	if !okOwn || !okOther {
		return g, false
	}
	g.Low = own.Low / other.High
	if start.Reproduced > 0 {
		g.Ratio, g.High = t.Rate()/start.Rate(), own.High/other.Low
	}
	return g, true
}

// AtMost bounds what any setting can gain over the start, which t is, when no run
// can cost less than floor CPU-seconds and all reproduce: by what the start's runs
// cost, and by the lower end of the share of them that reproduce (Jeffreys, a
// one-sided 95% bound; where nearly all do, it is much closer than that of
// Interval). It is +Inf when the start never reproduced or nothing is known.
func (t TuneTally) AtMost(floor float64) float64 {
	if t.Reproduced == 0 || floor <= 0 {
		return math.Inf(1)
	}
	share := Jeffreys(t.Reproduced, t.Runs, IntervalLevel).Low
	return t.CPUSeconds / float64(t.Runs) / (floor * share)
}

// better orders tallies by estimate. Among those that never reproduced the one
// that has had less time goes first.
func better(a, b TuneTally) int {
	return cmp.Or(cmp.Compare(b.Rate(), a.Rate()), cmp.Compare(a.Exposure(), b.Exposure()))
}

// surer orders tallies by the lower end of their rates: one lucky run does not
// make a winner.
func surer(a, b TuneTally) int {
	lowA, _ := a.Interval()
	lowB, _ := b.Interval()
	return cmp.Or(cmp.Compare(lowB.Low, lowA.Low), better(a, b))
}

// RankTune orders settings by the lower end of their rates, best first; those
// that never reproduced are left out. The results are indexes.
func RankTune(tallies []TuneTally) []int {
	var out []int
	for i, t := range tallies {
		if t.Reproduced > 0 {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int { return surer(tallies[a], tallies[b]) })
	return out
}

// maxForecast bounds PairsFor.
const maxForecast = 4096

// PairsFor forecasts how many pairs of runs the verdict fixed takes when the
// pre-patch kernel shows the bug at the given rate and the post-patch kernel never
// does. ok is false when it is more than a campaign will do.
func PairsFor(rate, confidence float64) (pairs int, ok bool) {
	table := guessTable()
	alpha := Rules{Confidence: confidence}.alpha()
	for pairs = 1; pairs <= maxForecast; pairs++ {
		if bound, _, _ := boundAt(&table, rate*float64(pairs), float64(pairs)); bound <= alpha {
			return pairs, true
		}
	}
	return maxForecast, false
}
