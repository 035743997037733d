package judge

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Interval holds the two ends of a confidence interval for a rate, and its
// two-sided level. With no runs at all it is [0, 1].
type Interval struct {
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Level float64 `json:"level"`
}

// ClopperPearson returns the interval of Clopper and Pearson (1934) for the rate
// behind k events in n runs: each end is the rate at which the count seen, or
// one more extreme, would have the chance (1-level)/2. It covers the true rate
// at least as often as it says, at any rate.
func ClopperPearson(k, n int, level float64) Interval {
	tail := (1 - level) / 2
	iv := Interval{Low: 0, High: 1, Level: level}
	if k > 0 && k <= n {
		iv.Low = betaQuantile(tail, float64(k), float64(n-k+1))
	}
	if k >= 0 && k < n {
		iv.High = betaQuantile(1-tail, float64(k+1), float64(n-k))
	}
	return iv
}

// Jeffreys returns the equal-tailed interval of the posterior Beta(k+1/2,
// n-k+1/2), which is narrower than ClopperPearson and covers the true rate as
// often as it says on average over rates, not at each one (Brown, Cai and
// DasGupta, 2001). By their convention an end that the count touches is 0 or 1.
func Jeffreys(k, n int, level float64) Interval {
	tail := (1 - level) / 2
	iv := Interval{Low: 0, High: 1, Level: level}
	a, b := float64(k)+0.5, float64(n-k)+0.5
	if k > 0 && k <= n {
		iv.Low = betaQuantile(tail, a, b)
	}
	if k >= 0 && k < n {
		iv.High = betaQuantile(1-tail, a, b)
	}
	return iv
}

func betaQuantile(q, a, b float64) float64 {
	return distuv.Beta{Alpha: a, Beta: b}.Quantile(q)
}

// UpperBound returns the largest rate that n runs without an event leave
// possible at the given one-sided confidence: the rate at which n such runs in a
// row have the chance 1-confidence. It is 1 without runs.
func UpperBound(n int, confidence float64) float64 {
	if n <= 0 {
		return 1
	}
	return -math.Expm1(math.Log1p(-confidence) / float64(n))
}

// CleanRunsNeeded returns how many clean runs in a row have at most the chance
// alpha when the event has the given rate: the smallest m with (1-rate)^m <=
// alpha. It is math.MaxInt when no number is enough, at rate 0 or alpha 0.
func CleanRunsNeeded(rate, alpha float64) int {
	switch {
	case alpha >= 1:
		return 0
	case math.IsNaN(rate) || math.IsNaN(alpha) || rate <= 0 || alpha <= 0:
		return math.MaxInt
	case rate >= 1:
		return 1
	}
	m := math.Log(alpha) / math.Log1p(-rate)
	if m >= math.MaxInt32 {
		return math.MaxInt
	}
	// log(0.25)/log(0.5) must give 2 and not 3.
	return max(1, int(math.Ceil(m-1e-9)))
}
