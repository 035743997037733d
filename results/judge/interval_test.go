package judge

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s = %.9g, want %.9g", what, got, want)
	}
}

func TestClopperPearson(t *testing.T) {
	// Closed forms at the edges; the others as in the usual tables.
	for _, tt := range []struct {
		k, n      int
		low, high float64
	}{
		{0, 10, 0, 0.3084971},
		{10, 10, 0.6915029, 1},
		{5, 10, 0.1870860, 0.8129140},
		{1, 10, 0.002528579, 0.4450161},
		{0, 0, 0, 1},
	} {
		iv := ClopperPearson(tt.k, tt.n, 0.95)
		near(t, "low", iv.Low, tt.low, 1e-6)
		near(t, "high", iv.High, tt.high, 1e-6)
	}
}

func TestJeffreys(t *testing.T) {
	// Table 5 of Brown, Cai and DasGupta (2001), n = 10, three digits.
	for k, want := range map[int][2]float64{0: {0, 0.217}, 1: {0.011, 0.381}, 2: {0.044, 0.503}, 3: {0.093, 0.606}, 5: {0.224, 0.776}} {
		iv := Jeffreys(k, 10, 0.95)
		near(t, "low", iv.Low, want[0], 6e-4)
		near(t, "high", iv.High, want[1], 6e-4)
	}
	if iv := Jeffreys(0, 0, 0.9); iv.Low != 0 || iv.High != 1 {
		t.Errorf("no runs: %v", iv)
	}
}

func TestUpperBoundAndCleanRuns(t *testing.T) {
	near(t, "rule of three", UpperBound(100, 0.95), 0.0295, 1e-4)
	near(t, "no runs", UpperBound(0, 0.95), 1, 0)
	for _, tt := range []struct {
		rate, alpha float64
		want        int
	}{
		{1, 0.01, 1}, {0.5, 0.25, 2}, {0.5, 0.01, 7}, {0.1, 0.05, 29}, {0.001, 0.01, 4603},
		{0, 0.01, math.MaxInt}, {0.5, 0, math.MaxInt}, {0.5, 1, 0}, {1e-300, 1e-9, math.MaxInt},
	} {
		if got := CleanRunsNeeded(tt.rate, tt.alpha); got != tt.want {
			t.Errorf("CleanRunsNeeded(%g, %g) = %d, want %d", tt.rate, tt.alpha, got, tt.want)
		}
	}
}

func TestFisherExact(t *testing.T) {
	for _, tt := range []struct {
		name              string
		k1, n1, k2, n2    int
		twoSided, greater float64
	}{
		{"tea", 3, 4, 1, 4, 0.4857142857, 0.2428571429}, // Fisher (1935): 34/70 and 17/70
		{"studying", 1, 10, 11, 14, 0.002759456, 0.9999663},
		{"whales", 8, 10, 1, 6, 0.03496503, 0.02447552},
		{"all and none", 10, 10, 0, 10, 1.0825088e-05, 5.412544e-06}, // 2/184756 and 1/184756
		{"same", 5, 10, 5, 10, 1, 0.6718591},
		{"nothing", 0, 5, 0, 5, 1, 1},
		{"no runs", 0, 0, 0, 0, 1, 1},
		{"impossible", 6, 5, 0, 5, 1, 1},
	} {
		two, greater := FisherExact(tt.k1, tt.n1, tt.k2, tt.n2)
		near(t, tt.name+" two-sided", two, tt.twoSided, 1e-7)
		near(t, tt.name+" greater", greater, tt.greater, 1e-7)
	}
}

func TestPercent(t *testing.T) {
	for p, want := range map[float64]string{0: "0%", 1: "100%", 0.5: "50%", 0.625: "62%", 0.99: "99%", 0.995: "99.5%",
		0.0031: "0.31%", 0.000004: "0.0004%", 0.9999999: "99.99999%", 1e-12: "0.000001%", 0.05: "5%"} {
		if got := Percent(p); got != want {
			t.Errorf("Percent(%g) = %q, want %q", p, got, want)
		}
	}
}
