package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Answer returns the state of the search.
func (b *Bisection) Answer() Answer {
	v := b.look()
	step, reason := b.decide()
	a := Answer{Done: reason != "", Reason: reason, Before: v.before, Ranked: make([]Candidate, b.graph.Len())}
	for node := range a.Ranked {
		a.Ranked[node] = Candidate{Node: node, Probability: b.post.probability(node)}
	}
	slices.SortStableFunc(a.Ranked, func(x, y Candidate) int { return cmp.Compare(y.Probability, x.Probability) })
	a.Found = a.Done && v.held >= b.rules.Confidence && reason == b.foundReason(v)
	if a.Found {
		_, a.Unconfirmed = b.open(b.claim)
	}
	a.set(b, v)
	a.RateMean, a.Rate = b.post.rates.summary(b.post.rateWeights(), IntervalLevel)
	a.EndpointDoubt, _ = b.endDoubt(v)
	if !a.Done {
		a.Reason = fmt.Sprintf("the most probable commit holds %.3g of %g", v.held, b.rules.Confidence)
		a.RunsLeft, a.BuildsLeft = b.estimate(step)
	}
	return a
}

// set fills in the smallest set that holds the confidence.
func (a *Answer) set(b *Bisection, v *view) {
	if v.held >= b.rules.Confidence {
		a.SetProbability = v.held
		a.Set = slices.Clone(v.group)
		slices.SortStableFunc(a.Set, func(x, y int) int {
			return cmp.Or(cmp.Compare(b.post.probability(y), b.post.probability(x)), x-y)
		})
		return
	}
	for _, c := range a.Ranked {
		if a.SetProbability >= b.rules.Confidence {
			return
		}
		a.Set = append(a.Set, c.Node)
		a.SetProbability += c.Probability
	}
}

func (b *Bisection) foundReason(v *view) string {
	if len(v.group) > 1 {
		return fmt.Sprintf("%d commits that untestable ones keep from being told apart hold %.4g", len(v.group), v.held)
	}
	return fmt.Sprintf("the commit holds %.4g", v.held)
}

// estimate extrapolates from the best step to the end of the search, as if every
// step took away its gain from what is unknown, and adds the present step if it
// belongs to the verification of the ends or to the confirmation.
func (b *Bisection) estimate(step Step) (runs, builds float64) {
	if step.Purpose != PurposeSearch {
		runs = float64(step.Runs)
	}
	best, ok := b.bestStep()
	if !ok || step.Purpose == PurposeConfirm {
		return runs, 0
	}
	bits := 0.0
	for v := range b.graph.Len() {
		if p := b.post.probability(v); p > 0 {
			bits -= p * math.Log2(p)
		}
	}
	steps := math.Max(1, bits/best.Gain)
	build := b.cost(best.Node)
	runs += steps * (best.Cost - build) / b.rules.RunCost
	if build > 0 {
		builds = steps
	}
	return runs, builds
}
