package judge

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var (
	long  = flag.Bool("long", false, "run the long simulation of the error rates")
	table = flag.Bool("table", false, "print the tables of docs/verdicts.md")
)

// rates is the grid of rates that the claims are checked on.
func rates() []float64 {
	out := []float64{0.001, 0.003}
	for i := 1; i <= 100; i++ {
		out = append(out, float64(i)/100)
	}
	return out
}

// boundary returns for each number of pairs the smallest number of events that
// decides, with n+1 for none. It is the rule itself, evaluated once.
func boundary(pairs int, alpha float64) []int {
	guesses := guessTable()
	out := make([]int, pairs+1)
	for n := 1; n <= pairs; n++ {
		// A pair without an event never helps, so the boundary never falls.
		k := max(1, out[n-1]-1)
		for ; k <= n; k++ {
			if bound, _, _ := boundAt(&guesses, float64(k), float64(n)); bound <= alpha {
				break
			}
		}
		out[n] = k
	}
	return out
}

// walk follows the distribution of the number of events over the pairs exactly.
// It returns the chance of a decision, and the mean number of pairs until then
// (or until the last pair), when the clean side fails with chance q.
func walk(boundary []int, p, q float64) (decided, mean float64) {
	last := len(boundary) - 1
	now := make([]float64, last+2)
	now[0] = 1
	alive := 1.0
	for n := 1; n <= last; n++ {
		mean += alive
		alive = 0
		for k := n; k >= 0; k-- {
			now[k] *= (1 - p) * (1 - q)
			if k > 0 {
				now[k] += now[k-1] * p * (1 - q)
			}
		}
		for k := 0; k <= n; k++ {
			if k >= boundary[n] {
				decided += now[k]
				now[k] = 0
			}
			alive += now[k]
		}
	}
	return decided, mean
}

// TestFalseFixedExactly computes, without sampling error, how often two equal
// kernels are called fixed when one looks after every pair.
func TestFalseFixedExactly(t *testing.T) {
	pairs := 200
	if *long {
		pairs = 1000
	}
	for _, confidence := range []float64{0.9, 0.95, 0.99, 0.999} {
		alpha := Rules{Confidence: confidence}.alpha()
		b := boundary(pairs, alpha)
		worst, at := 0.0, 0.0
		for _, p := range rates() {
			if f, _ := walk(b, p, p); f > worst {
				worst, at = f, p
			}
		}
		t.Logf("confidence %g: at most %.5f, at rate %g", confidence, worst, at)
		if worst > alpha {
			t.Errorf("confidence %g: false fixed with chance %g at rate %g", confidence, worst, at)
		}
		// A test that compares must be able to fail: without any condition but
		// "pre has failed, post has not", equal kernels are often called fixed.
		for n := 1; n <= pairs; n++ {
			b[n] = 1
		}
		if f, _ := walk(b, 0.5, 0.5); f < 0.2 {
			t.Errorf("the check does not notice a rule that always says fixed: %g", f)
		}
	}
}

// kernel is what a simulated kernel does in one run.
type kernel struct {
	rate    func(i int) float64 // of the signature, in the i-th run of the campaign
	invalid float64
	other   float64
	reports []float64 // rates of other kinds of report
}

func steady(p float64) kernel { return kernel{rate: func(int) float64 { return p }} }

func (k kernel) run(side Side, i int, rng *rand.Rand) Observation {
	o := Observation{Side: side, Outcome: Clean}
	for j, p := range k.reports {
		if rng.Float64() < p {
			name := fmt.Sprintf("report-%d", j)
			o.Reports = append(o.Reports, SeenReport{Fingerprint: name, Title: name})
			o.Outcome = OtherFailure
		}
	}
	if rng.Float64() < k.other {
		o.Outcome = OtherFailure
	}
	if rng.Float64() < k.rate(i) {
		o.Outcome = Reproduced
		o.Reports = append(o.Reports, SeenReport{Fingerprint: "sig", Title: "sig", Signature: true})
	}
	if rng.Float64() < k.invalid {
		o.Outcome = Invalid
	}
	return o
}

// campaign runs Judge after every run, jobs guests at a time. Runs that
// reproduce end first when jobs is more than 1: the worst case of looking early.
func campaign(pre, post kernel, r Rules, jobs int, rng *rand.Rand) (Decision, Evidence) {
	var all []Observation
	var hidden []Outcome
	for {
		for inFlight(all) < jobs {
			side := NextSide(startedSides(all))
			k := pre
			if side == Post {
				k = post
			}
			o := k.run(side, len(all), rng)
			hidden = append(hidden, o.Outcome)
			o.Outcome = ""
			all = append(all, o)
		}
		finishOne(all, hidden)
		e := Collect(all)
		if d := Judge(e, r); d.Decided {
			return d, e
		}
	}
}

func inFlight(all []Observation) int {
	n := 0
	for _, o := range all {
		if o.Outcome == "" {
			n++
		}
	}
	return n
}

func startedSides(all []Observation) []Side {
	var out []Side
	for _, o := range all {
		if o.Outcome != Invalid {
			out = append(out, o.Side)
		}
	}
	return out
}

func finishOne(all []Observation, hidden []Outcome) {
	pick := -1
	for i, o := range all {
		if o.Outcome == "" && (pick < 0 || hidden[i] == Reproduced && hidden[pick] != Reproduced) {
			pick = i
		}
	}
	all[pick].Outcome = hidden[pick]
}

// scenario is a pair of kernels and the verdict that would be wrong for it.
type scenario struct {
	name      string
	pre, post kernel
	jobs      int
	wrong     Verdict
}

func falseScenarios() []scenario {
	drift := kernel{rate: func(i int) float64 { return math.Max(0, 1-float64(i)/12) }}
	messy := func(p float64) kernel { k := steady(p); k.invalid, k.other = 0.15, 0.15; return k }
	noisy := steady(0)
	noisy.reports = []float64{0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1}
	one := steady(0)
	one.reports = []float64{0.4}
	out := []scenario{
		{"drift from 1 to 0", drift, drift, 1, Fixed},
		{"drift from 1 to 0, 4 jobs", drift, drift, 4, Fixed},
		{"messy 0.3", messy(0.3), messy(0.3), 1, Fixed},
		{"messy 0.3, 4 jobs", messy(0.3), messy(0.3), 4, Fixed},
		{"0.3, 8 jobs", steady(0.3), steady(0.3), 8, Fixed},
		{"post is worse", steady(0.2), steady(0.4), 1, Fixed},
		{"swapped", steady(0.35), steady(0.35), 1, Regressed},
		{"one other report", one, one, 1, Regressed},
		{"eight other reports", noisy, noisy, 1, Regressed},
	}
	for _, p := range []float64{0.001, 0.05, 0.1, 0.3, 0.5, 0.8, 1} {
		out = append(out, scenario{fmt.Sprintf("alike, rate %g", p), steady(p), steady(p), 1, Fixed})
	}
	return out
}

// TestFalseVerdicts runs the whole procedure on kernels that are alike.
func TestFalseVerdicts(t *testing.T) {
	trials, confidences := 200, []float64{0.9}
	if *long {
		trials, confidences = 4000, []float64{0.9, 0.95, 0.99}
	}
	for _, confidence := range confidences {
		for _, s := range falseScenarios() {
			t.Run(fmt.Sprintf("%g/%s", confidence, s.name), func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(1, 2))
				r := Rules{Confidence: confidence, MaxRuns: 30}
				wrong := 0
				for range trials {
					if d, _ := campaign(s.pre, s.post, r, s.jobs, rng); d.Verdict == s.wrong {
						wrong++
					}
				}
				t.Logf("%g, %s: %d of %d wrongly %s", confidence, s.name, wrong, trials, s.wrong)
				// More than alpha only if chance does not explain it.
				if binomialTail(wrong, trials, r.alpha()) < 1e-4 {
					t.Errorf("%d of %d campaigns wrongly %s, more than %g", wrong, trials, s.wrong, r.alpha())
				}
			})
		}
	}
}

// TestRunsNeeded holds what a fix costs.
func TestRunsNeeded(t *testing.T) {
	for _, tt := range []struct{ confidence, rate, most float64 }{
		{0.9, 1, 3}, {0.95, 1, 4}, {0.99, 1, 5}, {0.999, 1, 7}, {0.99, 0.9, 6.5}, {0.99, 0.5, 14.5}, {0.99, 0.1, 90},
	} {
		b := boundary(300, Rules{Confidence: tt.confidence}.alpha())
		decided, mean := walk(b, tt.rate, 0)
		if decided < 0.999 || mean > tt.most {
			t.Errorf("confidence %g, rate %g: %.1f runs a side (decided %.4f), want at most %g",
				tt.confidence, tt.rate, mean, decided, tt.most)
		}
	}
}

// TestSimulationAgrees checks Judge, run by run, against the exact walk.
func TestSimulationAgrees(t *testing.T) {
	const trials = 200
	rng := rand.New(rand.NewPCG(3, 4))
	r := Rules{Confidence: 0.95, MaxRuns: 60}
	sum := 0.0
	for range trials {
		d, e := campaign(steady(0.5), steady(0), r, 1, rng)
		if d.Verdict != Fixed {
			t.Fatalf("verdict %s: %s", d.Verdict, d.Reason)
		}
		sum += float64(e.Pre.Runs()+e.Post.Runs()) / 2
	}
	_, want := walk(boundary(60, r.alpha()), 0.5, 0)
	// The standard deviation of one campaign is about 3.5 runs.
	near(t, "mean runs a side", sum/trials, want, 1)
}

// TestTables prints what docs/verdicts.md quotes.
func TestTables(t *testing.T) {
	if !*table {
		t.Skip("only with -table")
	}
	confidences := []float64{0.9, 0.95, 0.99, 0.999}
	show := func(title, format string, rates []float64, cell func(c, p float64) []any) {
		fmt.Println(title)
		for _, p := range rates {
			fmt.Printf("| %g |", p)
			for _, c := range confidences {
				fmt.Printf(format, cell(c, p)...)
			}
			fmt.Println()
		}
	}
	show("runs a side until fixed:", " %.1f (%d) |", []float64{1, 0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05}, func(c, p float64) []any {
		_, mean := walk(boundary(800, Rules{Confidence: c}.alpha()), p, 0)
		return []any{mean, CleanRunsNeeded(p, 1-c)}
	})
	show("chance of a false fixed:", " %.3f%% |", []float64{0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1}, func(c, p float64) []any {
		wrong, _ := walk(boundary(1000, Rules{Confidence: c}.alpha()), p, p)
		return []any{100 * wrong}
	})
}
