package judge

import (
	"math"
	"math/rand/v2"
	"testing"
)

// seenRun is one observation of a test.
type seenRun struct {
	node int
	bad  bool
}

// enumerate computes the posterior from its definition: every hypothesis with
// every pair of rates, and the chance of all that was seen. Nodes first, then
// before the range, then never.
func enumerate(g *Graph, r BisectRules, runs []seenRun) (hypotheses []float64, rateMean float64) {
	grid := newRateGrid(r)
	n := g.Len()
	prior := make([]float64, n+2)
	sum := 0.0
	for v := range n {
		prior[v] = 1
		if r.Prior != nil {
			prior[v] = r.Prior[v]
		}
		sum += prior[v]
	}
	for v := range n {
		prior[v] *= (1 - 2*endPrior) / sum
	}
	prior[n], prior[n+1] = endPrior, endPrior
	changed := func(node, hypothesis int) bool {
		switch {
		case hypothesis == n:
			return true
		case hypothesis == n+1 || node == OldEnd:
			return false
		case node == NewEnd:
			return true
		}
		return naiveAncestors(g, node)[hypothesis]
	}
	hypotheses = make([]float64, n+2)
	total := 0.0
	for h := range hypotheses {
		for j := range grid.p {
			chance := prior[h] * grid.prior[j]
			for _, run := range runs {
				shows := grid.looks[j]
				if changed(run.node, h) == (r.Find == FindCulprit) {
					shows = grid.p[j] + (1-grid.p[j])*grid.looks[j]
				}
				if !run.bad {
					shows = 1 - shows
				}
				chance *= shows
			}
			hypotheses[h] += chance
			rateMean += chance * grid.p[j]
			total += chance
		}
	}
	for h := range hypotheses {
		hypotheses[h] /= total
	}
	return hypotheses, rateMean / total
}

func TestPosteriorAgainstEnumeration(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for i := range 60 {
		g := randomGraph(t, 1+rng.IntN(12), 0.5, rng)
		r := BisectRules{Find: []Find{FindCulprit, FindFix}[i%2], KnownRate: []float64{0, 0.3, 1}[i%3]}.WithDefaults()
		if i%4 == 0 {
			r.Prior = make([]float64, g.Len())
			for v := range r.Prior {
				r.Prior[v] = 0.1 + rng.Float64()
			}
		}
		b, err := NewBisection(g, r, nil)
		if err != nil {
			t.Fatal(err)
		}
		var runs []seenRun
		for range 12 {
			run := seenRun{rng.IntN(g.Len()+2) - 2, rng.IntN(3) == 0}
			runs = append(runs, run)
			outcome := BisectGood
			if run.bad {
				outcome = BisectBad
			}
			b.Observe(run.node, outcome)
			b.Observe(run.node, BisectUntestable) // no evidence
		}
		want, mean := enumerate(g, r, runs)
		for v := range g.Len() {
			near(t, "posterior of a commit", b.post.probability(v), want[v], 1e-9)
		}
		near(t, "before the range", b.look().before, want[g.Len()], 1e-9)
		near(t, "never", b.look().never, want[g.Len()+1], 1e-9)
		near(t, "mean rate", b.Answer().RateMean, mean, 1e-9)
		if t.Failed() {
			t.Fatalf("graph %v, rules %+v, runs %v", g.Parents, r, runs)
		}
	}
}

// TestGainAgainstEnumeration compares the information that a step promises with
// the mutual information of "the batch reproduces" and the answer.
func TestGainAgainstEnumeration(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range 20 {
		g := randomGraph(t, 3+rng.IntN(8), 0.5, rng)
		r := BisectRules{Find: []Find{FindCulprit, FindFix}[i%2], KnownRate: []float64{0, 0.3}[i%2]}.WithDefaults()
		b, _ := NewBisection(g, r, nil)
		var runs []seenRun
		for range 4 {
			run := seenRun{rng.IntN(g.Len()), rng.IntN(2) == 0}
			runs = append(runs, run)
			b.Observe(run.node, map[bool]BisectOutcome{true: BisectBad, false: BisectGood}[run.bad])
		}
		step, ok := b.bestStep()
		if !ok {
			t.Fatalf("nothing to do after %v on %v", runs, g.Parents)
		}
		for range step.Runs {
			runs = append(runs, seenRun{step.Node, false})
		}
		before, _ := enumerate(g, r, runs[:4])
		clean, _ := enumerate(g, r, runs)
		quiet := cleanBatch(g, r, runs[:4], step)
		gain := entropy(before) - quiet*entropy(clean)
		shown := make([]float64, len(before))
		for h := range shown {
			shown[h] = (before[h] - quiet*clean[h]) / (1 - quiet)
		}
		gain -= (1 - quiet) * entropy(shown)
		near(t, "gain", step.Gain, gain, 1e-6)
	}
}

// cleanBatch is the chance that all runs of a step are clean.
func cleanBatch(g *Graph, r BisectRules, runs []seenRun, step Step) float64 {
	chance := 1.0
	for range step.Runs {
		before, _ := enumerate(g, r, runs)
		grid := newRateGrid(r)
		total := 0.0
		for h := range before {
			total += before[h] * cleanGiven(g, r, grid, runs, step.Node, h)
		}
		chance *= total
		runs = append(runs, seenRun{step.Node, false})
	}
	return chance
}

// cleanGiven is the chance of a clean run at node under one hypothesis, given
// what was seen.
func cleanGiven(g *Graph, r BisectRules, grid *rateGrid, runs []seenRun, node, hypothesis int) float64 {
	n := g.Len()
	has := func(node int) bool {
		in := hypothesis == n || hypothesis < n && node >= 0 && naiveAncestors(g, node)[hypothesis]
		return in == (r.Find == FindCulprit)
	}
	all, clean := 0.0, 0.0
	for j := range grid.p {
		chance := grid.prior[j]
		shows := func(node int) float64 {
			if has(node) {
				return grid.shows[j]
			}
			return grid.looks[j]
		}
		for _, run := range runs {
			if run.bad {
				chance *= shows(run.node)
			} else {
				chance *= 1 - shows(run.node)
			}
		}
		all += chance
		clean += chance * (1 - shows(node))
	}
	return clean / all
}

func entropy(p []float64) float64 {
	sum := 0.0
	for _, x := range p {
		if x > 0 {
			sum -= x * math.Log2(x)
		}
	}
	return sum
}

func TestRateGrid(t *testing.T) {
	for _, known := range []float64{0, 0.2, 1} {
		g := newRateGrid(BisectRules{KnownRate: known}.WithDefaults())
		sum := 0.0
		for j, w := range g.prior {
			sum += w
			if g.looks[j] < MinFalseRate || g.shows[j] <= g.looks[j] || g.shows[j] >= 1 {
				t.Errorf("known %g: point %d shows %g with the bug and %g without", known, j, g.shows[j], g.looks[j])
			}
		}
		near(t, "prior", sum, 1, 1e-12)
	}
	grid := newRateGrid(BisectRules{}.WithDefaults())
	mean, iv := grid.summary(grid.prior, 0.9)
	if mean < 0.2 || mean > 0.45 || iv.Low > 0.05 || iv.High < 0.9 {
		t.Errorf("prior of the rate: mean %.2f in %+v; it must expect low rates and exclude none", mean, iv)
	}
}
