package judge

import "math"

// FisherExact returns the p-values of Fisher's exact test of k1 events in n1
// runs against k2 in n2: twoSided, the chance, given the margins and equal
// rates, of a table no more likely than this one; and greater, the chance of at
// least k1 of all events falling on the first side. Impossible tables give 1.
func FisherExact(k1, n1, k2, n2 int) (twoSided, greater float64) {
	if k1 < 0 || k2 < 0 || k1 > n1 || k2 > n2 || n1+n2 == 0 {
		return 1, 1
	}
	k, n := k1+k2, n1+n2
	first, last := max(0, k-n2), min(k, n1)
	total := logChoose(n, k)
	chance := func(x int) float64 {
		return math.Exp(logChoose(n1, x) + logChoose(n2, k-x) - total)
	}
	// Tables that are equally likely on paper differ in the last digits.
	limit := chance(k1) * (1 + 1e-7)
	for x := first; x <= last; x++ {
		p := chance(x)
		if p <= limit {
			twoSided += p
		}
		if x >= k1 {
			greater += p
		}
	}
	return min(1, twoSided), min(1, greater)
}

// logChoose returns the logarithm of n over k.
func logChoose(n, k int) float64 {
	return logFactorial(n) - logFactorial(k) - logFactorial(n-k)
}

func logFactorial(n int) float64 {
	v, _ := math.Lgamma(float64(n) + 1)
	return v
}
