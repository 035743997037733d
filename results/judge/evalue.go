package judge

import (
	"math"
	"slices"
)

// The heart of the package: how strongly do paired runs speak against "the
// kernel that stayed clean fails at least as often as the other one"?
//
// Take the i-th run of either side as pair i. Suppose that within a pair both
// kernels fail with the same chance p. For any guess t of the failing kernel's
// rate, bet on "the failing kernel fails with chance t, the clean one never":
// divide the chance of the pair's result under the guess by its chance when both
// fail with t/2. The result is
//
//	clean side fails          0
//	only the failing side     t / ((t/2)(1-t/2))  =  2/(1-t/2)
//	neither                   (1-t) / (1-t/2)^2
//
// Its expectation is at most 1 whatever p is (and if the clean side's chance is
// the larger one, all the more): it is an e-value in the sense of Turner, Ly and
// Gruenwald, "Generic E-variables for exact sequential k-sample tests that allow
// for optional stopping" (2024). p may differ from pair to pair, so a host that
// changes slowly does no harm. Products over pairs, and averages of products
// over guesses t, are then non-negative supermartingales that start at 1, and by
// Ville's inequality (1939) the chance that one EVER reaches 1/alpha is at most
// alpha. Looking after every run costs nothing.
//
// The guesses are spread as Jeffreys' prior Beta(1/2, 1/2), which is arcsine
// distributed: t = sin^2(pi u/2) for u uniform on (0, 1). Any weights are valid;
// these were the least wasteful of those tried over rates from 0.05 to 1.

// guesses is the number of points that stand for the prior.
const guesses = 128

// guess holds the logarithms of a pair's factor under one guess.
type guess struct{ event, none float64 }

// guessTable returns the factors of all guesses.
func guessTable() [guesses]guess {
	var table [guesses]guess
	for i := range table {
		s := math.Sin(math.Pi / 2 * (float64(i) + 0.5) / guesses)
		t := s * s
		table[i] = guess{
			event: math.Ln2 - math.Log1p(-t/2),
			none:  math.Log1p(-t) - 2*math.Log1p(-t/2),
		}
	}
	return table
}

// logE returns the logarithm of the martingale after the given number of pairs,
// in events of which only the failing side failed, and never the clean side.
// events may be a fraction, for forecasts.
func logE(table *[guesses]guess, events, pairs float64) float64 {
	var x [guesses]float64
	top := math.Inf(-1)
	for i, g := range table {
		x[i] = events*g.event + (pairs-events)*g.none
		top = max(top, x[i])
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum/guesses)
}

// contrast is what the pairs of an event that only one side shows amount to.
type contrast struct {
	Pairs  int
	Events int // pairs in which the failing side showed the event
	// Bound is a bound on the chance of seeing this, were the kernels alike.
	Bound float64
	// Low is the lower bound of the failing side's rate at the pair where Bound
	// was reached, and Tail the chance of that many clean runs at that rate.
	Low, Tail float64
	AtPairs   int
}

// contrastOf evaluates the pairs of failing and clean. It is only meaningful
// when clean holds no event at all; the caller sees to that.
//
// Two conditions are joined by taking the weaker: the martingale, which carries
// the guarantee, and the condition that people can check by hand: that a kernel
// which fails at the lower bound of the failing side's rate would hardly stay
// clean that often. Ville's inequality is about the largest value so far, so a
// verdict once reached is not lost when runs that were in flight come in.
func contrastOf(failing, clean []bool) contrast {
	c := contrast{Pairs: min(len(failing), len(clean)), Bound: 1, Tail: 1}
	if !slices.Contains(failing, true) {
		return c
	}
	table := guessTable()
	for i := range c.Pairs {
		if failing[i] {
			c.Events++
		}
		if c.Events == 0 {
			continue
		}
		k, n := float64(c.Events), float64(i+1)
		if math.Exp(-logE(&table, k, n)) >= c.Bound {
			continue // spare the quantile
		}
		if bound, low, tail := boundAt(&table, k, n); bound < c.Bound {
			c.Bound, c.Low, c.Tail, c.AtPairs = bound, low, tail, i+1
		}
	}
	return c
}

// boundAt returns the larger of the two chances that contrastOf joins.
func boundAt(table *[guesses]guess, events, pairs float64) (bound, low, tail float64) {
	low = betaQuantile(1-boundLevel, events+0.5, pairs-events+0.5)
	tail = math.Exp(pairs * math.Log1p(-low))
	return min(1, max(tail, math.Exp(-logE(table, events, pairs)))), low, tail
}

// pairsNeeded forecasts how many pairs in all it takes until the bound is at
// most alpha, if the failing side goes on at the rate that it has shown. The
// second result is false when that is more than any campaign will do.
func pairsNeeded(events, pairs int, alpha float64) (int, bool) {
	const most = 1 << 16
	table := guessTable()
	rate := (float64(events) + 0.5) / float64(pairs+1)
	enough := func(n int) bool {
		k := float64(events) + rate*float64(n-pairs)
		bound, _, _ := boundAt(&table, k, float64(n))
		return bound <= alpha
	}
	// Far ahead the bound falls steadily, so double and then halve.
	last, step := pairs, 1
	for !enough(last + step) {
		last += step
		step *= 2
		if last > most {
			return most, false
		}
	}
	first := last + step
	for first-last > 1 {
		if mid := (first + last) / 2; enough(mid) {
			first = mid
		} else {
			last = mid
		}
	}
	return first, true
}

// sequenceOf returns s, or when s is not known a sequence that agrees with the
// counts and favours no verdict: events on runs without a partner are taken to
// be as many as possible, and events within pairs to have come last.
func sequenceOf(s Sequence, preEvents, pre, postEvents, post int) Sequence {
	if s.known() {
		return s
	}
	pairs := min(pre, post)
	side := func(events, runs int) []bool {
		paired := min(pairs, max(0, events-(runs-pairs)))
		seen := make([]bool, pairs)
		for i := pairs - paired; i < pairs; i++ {
			seen[i] = true
		}
		return seen
	}
	return Sequence{Pre: side(preEvents, pre), Post: side(postEvents, post)}
}
