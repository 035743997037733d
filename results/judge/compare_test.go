package judge

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestStratifiedExactIsFisherInOneStratum(t *testing.T) {
	for n1 := range 7 {
		for n2 := range 7 {
			for k1 := range n1 + 1 {
				for k2 := range n2 + 1 {
					want, _ := FisherExact(k1, n1, k2, n2)
					if got := StratifiedExact([]Table{{k1, n1, k2, n2}}); math.Abs(got-want) > 1e-9 {
						t.Errorf("%d of %d against %d of %d: %v, Fisher %v", k1, n1, k2, n2, got, want)
					}
				}
			}
		}
	}
}

func TestStratifiedExact(t *testing.T) {
	for _, test := range []struct {
		name   string
		tables []Table
		want   float64
	}{
		// By hand: in each table the event is in the first group with chance 1/2.
		{"one coin", []Table{{1, 1, 0, 1}}, 1},
		{"two coins", []Table{{1, 1, 0, 1}, {1, 1, 0, 1}}, 0.5},
		{"five coins", []Table{{1, 1, 0, 1}, {1, 1, 0, 1}, {1, 1, 0, 1}, {1, 1, 0, 1}, {1, 1, 0, 1}}, 2.0 / 32},
		{"opposite coins", []Table{{1, 1, 0, 1}, {0, 1, 1, 1}}, 1},
		{"nothing", nil, 1},
		{"no events", []Table{{0, 5, 0, 5}}, 1},
		{"impossible", []Table{{6, 5, 0, 5}}, 1},
		// A stratum that only one group has runs in says nothing.
		{"no partner", []Table{{1, 1, 0, 1}, {1, 1, 0, 1}, {4, 5, 0, 0}}, 0.5},
	} {
		if got := StratifiedExact(test.tables); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// With equal rates, the share of p-values of at most alpha must not exceed it.
func TestStratifiedExactKeepsItsLevel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const trials, alpha = 4000, 0.05
	false1 := 0
	for range trials {
		var tables []Table
		for _, rate := range []float64{0.1, 0.5, 0.8} {
			table := Table{Runs1: 6, Runs2: 9}
			for range table.Runs1 {
				table.Events1 += event(random, rate)
			}
			for range table.Runs2 {
				table.Events2 += event(random, rate)
			}
			tables = append(tables, table)
		}
		if StratifiedExact(tables) <= alpha {
			false1++
		}
	}
	if limit := trials*alpha + 4*math.Sqrt(trials*alpha*(1-alpha)); float64(false1) > limit {
		t.Errorf("%d of %d at level %v", false1, trials, alpha)
	}
}

func event(r *rand.Rand, rate float64) int {
	if r.Float64() < rate {
		return 1
	}
	return 0
}

func TestHolm(t *testing.T) {
	got := Holm([]float64{0.01, 0.04, 0.03, 0.005})
	want := []float64{0.03, 0.06, 0.06, 0.02} // the example of R's p.adjust
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("Holm: %v, want %v", got, want)
			break
		}
	}
	if got := Holm(nil); len(got) != 0 {
		t.Errorf("Holm(nil) = %v", got)
	}
	if got := Holm([]float64{0.9, 0.8}); got[0] != 1 || got[1] != 1 {
		t.Errorf("adjusted values above 1: %v", got)
	}
}

func TestRunsToTell(t *testing.T) {
	for _, test := range []struct {
		events, runs int
		alpha        float64
	}{{3, 3, 0.01}, {1, 5, 0.01}, {5, 5, 0.001}, {1, 40, 0.05}} {
		n, ok := RunsToTell(test.events, test.runs, test.alpha)
		if !ok {
			t.Errorf("%+v: no number is enough", test)
			continue
		}
		rate := (float64(test.events) + 0.5) / (float64(test.runs) + 1)
		if p, _ := FisherExact(int(rate*float64(n)), n, 0, n); p > test.alpha {
			t.Errorf("%+v: %d runs give p = %v", test, n, p)
		}
		if p, _ := FisherExact(int(rate*float64(n-1)), n-1, 0, n-1); p <= test.alpha {
			t.Errorf("%+v: %d runs would have been enough", test, n-1)
		}
	}
	if n, ok := RunsToTell(0, 100000, 1e-9); ok {
		t.Errorf("a rate of about nothing is told in %d runs", n)
	}
}
