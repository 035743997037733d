package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// gammaDraw draws from Gamma(a, 1), after Marsaglia and Tsang, "A simple method
// for generating gamma variables" (2000).
func gammaDraw(a float64, rng *rand.Rand) float64 {
	if a < 1 {
		return gammaDraw(a+1, rng) * math.Pow(rng.Float64(), 1/a)
	}
	d := a - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := math.Pow(1+c*x, 3)
		if v > 0 && math.Log(rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// sharing is a kernel whose runs go on from saved machines, a number of them from
// each, in one campaign after another. Machines have drawn their rates from a Beta
// distribution; correlation is that of two runs from one machine.
func sharing(mean, correlation float64, runsEach int, seed uint64) kernel {
	rng := rand.New(rand.NewPCG(seed, 1))
	spread := 1/correlation - 1
	n, rate := 0, 0.0
	return kernel{rate: func(i int) float64 {
		if i < 2 { // the first run of either side
			n = 0
		}
		if n%runsEach == 0 {
			a, b := gammaDraw(mean*spread, rng), gammaDraw((1-mean)*spread, rng)
			rate = a / (a + b)
		}
		n++
		return rate
	}}
}

// falseFixed is how often kernels that are alike are called fixed at a confidence.
func falseFixed(trials int, confidence, correlation float64, runsEach int) float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	pre, post := sharing(0.4, correlation, runsEach, 1), sharing(0.4, correlation, runsEach, 2)
	n := 0
	for range trials {
		if d, _ := campaign(pre, post, Rules{Confidence: confidence}.WithDefaults(), 1, rng); d.Verdict == Fixed {
			n++
		}
	}
	return float64(n) / float64(trials)
}

// TestSharedMachines: five runs from a machine do no harm while they are nearly
// independent, and all runs from one machine do when they are not.
func TestSharedMachines(t *testing.T) {
	const trials, confidence = 400, 0.9
	few := falseFixed(trials, confidence, 0.1, 5)
	all := falseFixed(trials, confidence, 0.5, 1000)
	t.Logf("wrongly fixed: %.3f with five runs a machine and correlation 0.1, %.3f with one machine and 0.5", few, all)
	if binomialTail(int(few*trials), trials, 1-confidence) < 1e-4 {
		t.Errorf("five runs from each machine: %.1f%% wrongly fixed", 100*few)
	}
	if all < 0.15 {
		t.Errorf("the check does not notice runs that depend on each other: %.1f%% wrongly fixed", 100*all)
	}
}

// TestSharedMachinesTable prints what docs/fork.md quotes.
func TestSharedMachinesTable(t *testing.T) {
	if !*table {
		t.Skip("only with -table")
	}
	for _, correlation := range []float64{1e-6, 0.05, 0.1, 0.2, 0.3, 0.5} {
		fmt.Printf("| %.2f |", correlation)
		for _, runsEach := range []int{1, 3, 5, 10, 1000} {
			fmt.Printf(" %.1f%% |", 100*falseFixed(4000, 0.99, correlation, runsEach))
		}
		fmt.Println()
	}
}
