package judge

import (
	"math"
	"slices"
)

// Table holds, for two groups of runs, how many there were and how many of them
// showed an event.
type Table struct {
	Events1, Runs1 int
	Events2, Runs2 int
}

// possible reports whether the counts can be counts.
func (t Table) possible() bool {
	return t.Events1 >= 0 && t.Events2 >= 0 && t.Events1 <= t.Runs1 && t.Events2 <= t.Runs2
}

// StratifiedExact returns the two-sided p-value of the exact conditional test
// that both groups show an event at the same rate within each of several strata,
// whose rates may differ from one another. It is Fisher's exact test when there
// is one stratum, and the exact form of the test of Cochran (1954) and Mantel and
// Haenszel (1959) otherwise: given the margins of every table, the events of the
// first group are a sum of independent hypergeometric numbers, and the p-value is
// the chance of a sum that is no more likely than the one seen. Impossible tables
// give 1.
func StratifiedExact(tables []Table) float64 {
	sum, seen := []float64{1}, 0
	for _, t := range tables {
		if !t.possible() {
			return 1
		}
		// chances[x] is the chance of x+first events in the first group.
		chances, first := hypergeometric(t)
		sum = convolve(sum, chances)
		seen += t.Events1 - first
	}
	// Sums that are equally likely on paper differ in the last digits.
	limit := sum[seen] * (1 + 1e-7)
	p := 0.0
	for _, chance := range sum {
		if chance <= limit {
			p += chance
		}
	}
	return min(1, p)
}

// hypergeometric returns the chances of all numbers of events that the first
// group can have given the table's margins, and the first such number.
func hypergeometric(t Table) (chances []float64, first int) {
	k, n := t.Events1+t.Events2, t.Runs1+t.Runs2
	first = max(0, k-t.Runs2)
	total := logChoose(n, k)
	for x := first; x <= min(k, t.Runs1); x++ {
		chances = append(chances, math.Exp(logChoose(t.Runs1, x)+logChoose(t.Runs2, k-x)-total))
	}
	return chances, first
}

func convolve(a, b []float64) []float64 {
	out := make([]float64, len(a)+len(b)-1)
	for i, x := range a {
		for j, y := range b {
			out[i+j] += x * y
		}
	}
	return out
}

// Holm returns p-values adjusted for the number of tests after Holm (1979): to
// call a finding real when its adjusted value is at most alpha makes even one
// false finding among all of them no more likely than alpha, whether or not the
// tests depend on each other.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if p[a] < p[b] {
			return -1
		}
		if p[a] > p[b] {
			return 1
		}
		return 0
	})
	out := make([]float64, len(p))
	largest := 0.0
	for rank, i := range order {
		largest = max(largest, min(1, p[i]*float64(len(p)-rank)))
		out[i] = largest
	}
	return out
}

// RunsToTell returns how many runs each of two groups needs, in all, until
// Fisher's exact test tells them apart at level alpha, if the group that showed
// an event in the given number of runs goes on like that and the other one never
// shows it. The second result is false when no reasonable number is enough.
func RunsToTell(events, runs int, alpha float64) (int, bool) {
	const most = 1 << 14
	rate := (float64(events) + 0.5) / (float64(runs) + 1)
	enough := func(n int) bool {
		k := int(math.Floor(rate * float64(n)))
		return StratifiedExact([]Table{{Events1: k, Runs1: n, Runs2: n}}) <= alpha
	}
	// One run more can lower the rate that a whole number of events stands for,
	// so the search goes up to where it is enough, and then back only as far as
	// it still is.
	n := 1
	for !enough(n) {
		if n *= 2; n > most {
			return most, false
		}
	}
	low := n / 2
	for n-low > 1 {
		if mid := (n + low) / 2; enough(mid) {
			n = mid
		} else {
			low = mid
		}
	}
	return n, true
}
