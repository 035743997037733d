package judge

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAfterAgainstObservations compares what the posterior foresees with what it
// is once the runs have been seen.
func TestAfterAgainstObservations(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	for i := range 30 {
		g := randomGraph(t, 2+rng.IntN(10), 0.5, rng)
		r := BisectRules{Find: []Find{FindCulprit, FindFix}[i%2], KnownRate: []float64{0, 0.3}[i/2%2]}
		b := search(t, g, r)
		for node := NewEnd; node < g.Len(); node++ {
			b.Observe(node, []BisectOutcome{BisectBad, BisectGood}[rng.IntN(2)])
		}
		group := []int{rng.IntN(g.Len()), g.Len()}
		group[1] = (group[0] + 1) % g.Len()
		more := []runsAt{{node: rng.IntN(g.Len()), bad: 1, good: 3}, {node: OldEnd, good: 2}}
		got := b.post.after(group, more)
		for _, r := range more {
			for range r.bad {
				b.Observe(r.node, BisectBad)
			}
			for range r.good {
				b.Observe(r.node, BisectGood)
			}
		}
		near(t, "foreseen", got, b.post.probability(group[0])+b.post.probability(group[1]), 1e-9)
	}
}

// atRate lets a bug show in some of the runs.
func atRate(g *Graph, culprit int, rate float64, rng *rand.Rand) func(Step) BisectOutcome {
	bug := shows(g, culprit, FindCulprit)
	return func(s Step) BisectOutcome {
		if o := bug(s); o == BisectGood || rng.Float64() >= rate {
			return BisectGood
		}
		return BisectBad
	}
}

// TestClaimsBeforeTheConfidence: claims are made early, and the answer still is
// given at the confidence only, with the confirmation complete. While a
// confirmation goes worse than expected, the search goes on.
func TestClaimsBeforeTheConfidence(t *testing.T) {
	g := linear(t, 256)
	early, worse := 0, 0
	for culprit := 0; culprit < g.Len(); culprit += 4 {
		b := search(t, g, BisectRules{KnownRate: 0.2})
		run := atRate(g, culprit, 0.2, rand.New(rand.NewPCG(5, uint64(culprit))))
		claimed, searched := 0, 0
		drive(t, b, 2000, func(s Step) BisectOutcome {
			if v := b.look(); b.claims(v) && v.held < b.rules.Confidence {
				claimed = 1
				if s.Purpose == PurposeSearch {
					searched = 1
				}
			}
			return run(s)
		})
		early += claimed
		worse += searched
		a := b.Answer()
		if !a.Found || a.SetProbability < 0.99 {
			t.Fatalf("culprit %d: found %v with %g: %s", culprit, a.Found, a.SetProbability, a.Reason)
		}
		answer := a.Set[0]
		if b.claim.at(answer).bad == 0 {
			t.Errorf("culprit %d: no fresh reproduction at %d", culprit, answer)
		}
		want := CleanRunsNeeded(b.rateMean(), cleanDoubt)
		if at := b.claim.at(answer - 1); at.good < want {
			t.Errorf("culprit %d: %d fresh clean runs at the parent, want %d", culprit, at.good, want)
		}
	}
	if early < 32 || worse == 0 || worse >= early {
		t.Errorf("of 64 searches %d claimed early, and %d went on after that", early, worse)
	}
}

// TestConfirmationThatFallsShort: when nothing is left to confirm and the
// confidence is not reached, the search goes on.
func TestConfirmationThatFallsShort(t *testing.T) {
	b := search(t, linear(t, 16), BisectRules{KnownRate: 0.2})
	bug := shows(b.graph, 9, FindCulprit)
	short := 0
	drive(t, b, 2000, func(s Step) BisectOutcome {
		if v := b.look(); b.calibrated && v.held > 0.8 && v.held < 0.99 && v.group[0] > 0 {
			at := v.group[0]
			b.claim = claim{group: v.group, runs: map[int]*nodeRuns{at: {bad: 1}, at - 1: {good: 100}}}
			short++
			if step, ok := b.Next(); !ok || step.Purpose != PurposeSearch {
				t.Errorf("%v, %+v with %g held, want a search", ok, step, v.held)
			}
		}
		return bug(s)
	})
	if a := b.Answer(); short == 0 || !a.Found || !slices.Equal(a.Set, []int{9}) {
		t.Errorf("set %v: %s", a.Set, a.Reason)
	}
}

// TestClaimsDoNotLoop spoils the outcomes of confirmations, sixty times. Each
// commit may be claimed before the confidence only once, and the search must come
// to its end.
func TestClaimsDoNotLoop(t *testing.T) {
	g := linear(t, 64)
	for name, spoil := range map[string]func(o BisectOutcome, rng *rand.Rand) BisectOutcome{
		"turned round": func(o BisectOutcome, _ *rand.Rand) BisectOutcome {
			if o == BisectBad {
				return BisectGood
			}
			return BisectBad
		},
		"a coin": func(_ BisectOutcome, rng *rand.Rand) BisectOutcome {
			return []BisectOutcome{BisectBad, BisectGood}[rng.IntN(2)]
		},
		"clean": func(BisectOutcome, *rand.Rand) BisectOutcome { return BisectGood },
		"bad":   func(BisectOutcome, *rand.Rand) BisectOutcome { return BisectBad },
	} {
		t.Run(name, func(t *testing.T) {
			for trial := range uint64(10) {
				rng := rand.New(rand.NewPCG(6, trial))
				b := search(t, g, BisectRules{KnownRate: 0.3})
				run := atRate(g, int(trial)*6+1, 0.3, rng)
				claims := map[int]int{}
				var claimed []int
				spoiled := 0
				drive(t, b, 3000, func(s Step) BisectOutcome {
					v := b.look()
					if !slices.Equal(b.claim.group, claimed) {
						claimed = b.claim.group
						if claimed != nil && v.held < b.rules.Confidence {
							claims[claimed[0]]++
						}
					}
					if s.Purpose == PurposeConfirm && spoiled < 60 {
						spoiled++
						return spoil(run(s), rng)
					}
					return run(s)
				})
				if !b.Answer().Done {
					t.Errorf("trial %d is not done after 3000 runs: %s", trial, b.Answer().Reason)
				}
				if len(claims) == 0 {
					t.Errorf("trial %d: nothing was claimed early", trial)
				}
				for node, n := range claims {
					if n > 1 {
						t.Errorf("trial %d: commit %d was claimed %d times before the confidence", trial, node, n)
					}
				}
			}
		})
	}
}

func TestShown(t *testing.T) {
	for _, tt := range []struct {
		rate float64
		runs nodeRuns
		want bool
	}{
		{0.5, nodeRuns{}, false},
		{0.5, nodeRuns{good: 9}, false},
		{0.5, nodeRuns{bad: 1, good: 2}, true},
		{0.5, nodeRuns{bad: 1, good: 3}, false}, // 50 to 1 for one, and half that for each clean run
		{0.2, nodeRuns{bad: 1, good: 3}, true},
		{0.2, nodeRuns{bad: 1, good: 4}, false},
		{0.2, nodeRuns{bad: 2, good: 40}, true},
		{0.02, nodeRuns{bad: 1}, false},
		{1, nodeRuns{bad: 1}, true},
	} {
		b := search(t, linear(t, 4), BisectRules{KnownRate: tt.rate})
		if got := b.shown(tt.runs); got != tt.want {
			t.Errorf("rate %g, %+v: shown is %v", tt.rate, tt.runs, got)
		}
		// What is expected of the rest of the confirmation is enough for it.
		d := demand{shows: true, seen: tt.runs}
		more := b.expected(d)
		if all := (nodeRuns{bad: tt.runs.bad + more.bad, good: tt.runs.good + more.good}); !b.shown(all) {
			t.Errorf("rate %g, %+v: with %+v more the bug is not shown", tt.rate, tt.runs, more)
		}
	}
}
