package judge

import (
	"math"
	"slices"
)

// claim is the answer that is being confirmed, and the runs since it was first
// made.
type claim struct {
	group []int // nil if none
	runs  map[int]*nodeRuns
}

// claimDoubt is the part of the doubt the confidence allows that a confirmation
// has to leave, if it goes as expected, for a claim to be made before the
// confidence is reached. With all of it every other confirmation would end just
// short of the confidence.
const claimDoubt = 0.7

// demand is what the confirmation still wants to see at a commit: reproductions,
// or a number of clean runs.
type demand struct {
	node  int
	shows bool
	clean int
	seen  nodeRuns // since the claim
}

// follow moves the search from verifying the ends to searching, makes and drops
// claims, and keeps the runs that confirm one.
//
// A claim is made when a commit holds the confidence, or will once the
// confirmation has gone as expected: its runs have to be done anyway, and are
// evidence like others. It stands while the commit is the most probable one. A
// commit is claimed early only once, so that a search cannot go round between
// claims that their confirmations do not bear out.
func (b *Bisection) follow(node int, o BisectOutcome) {
	v := b.look()
	b.calibrated = b.calibrated || b.verified(v)
	if !b.calibrated {
		return
	}
	if b.claims(v) {
		count(b.claim.runs, node, o)
		return
	}
	b.claim = claim{}
	fresh := claim{group: v.group, runs: map[int]*nodeRuns{}}
	demands, _ := b.open(fresh)
	if v.held >= b.rules.Confidence || !b.claimed[v.group[0]] && b.bears(v, demands) {
		b.claim = fresh
		b.claimed[v.group[0]] = true
	}
}

// claims reports whether the most probable commit, or set, is claimed.
func (b *Bisection) claims(v *view) bool { return slices.Equal(b.claim.group, v.group) }

func (c claim) at(node int) nodeRuns {
	if r := c.runs[node]; r != nil {
		return *r
	}
	return nodeRuns{}
}

// open returns what the confirmation of a claim still wants: fresh runs of the
// commits around the change. The clean runs come first: what interrupts those
// speaks against the claim, while a reproduction may only be late. failed are the
// commits where it was given up, because fresh runs there say nothing.
func (b *Bisection) open(c claim) (out []demand, failed []int) {
	with, without := b.border(c.group)
	clean := CleanRunsNeeded(b.rateMean(), cleanDoubt)
	silent, showing := without, with
	if b.rules.Find == FindFix {
		silent, showing = with, without
	}
	for i, node := range slices.Concat(silent, showing) {
		seen := c.at(node)
		d := demand{node: node, shows: i >= len(silent), clean: clean - seen.good, seen: seen}
		switch {
		case d.shows && b.shown(seen), !d.shows && d.clean <= 0:
		case seen.untestable >= maxFailed:
			failed = append(failed, node)
		default:
			out = append(out, d)
		}
	}
	return out, failed
}

// shown reports whether runs have shown the bug: once and so soon that a look-alike
// as frequent as the model allows is less probable by cleanDoubt, or twice.
func (b *Bisection) shown(r nodeRuns) bool {
	if r.bad != 1 {
		return r.bad > 1
	}
	rate := min(b.rateMean(), almostSure)
	odds := math.Log(rate/MaxFalseRate) + float64(r.good)*math.Log((1-rate)/(1-MaxFalseRate))
	return odds >= -math.Log(cleanDoubt)
}

// expected returns the runs that a demand takes when all goes as expected: one
// reproduction in one over the rate runs.
func (b *Bisection) expected(d demand) runsAt {
	out := runsAt{node: d.node}
	if !d.shows {
		out.good = d.clean
		return out
	}
	between := int(1/b.rateMean()) - 1
	for !b.shown(nodeRuns{bad: d.seen.bad + out.bad, good: d.seen.good + out.good}) {
		out.bad++
		out.good += between
	}
	return out
}

// bears reports whether the most probable commit will leave no more than
// claimDoubt of the doubt allowed when what the confirmation still wants comes as
// expected. A commit that is rather not the answer is not worth confirming, and
// commits that were never run are left to the search.
func (b *Bisection) bears(v *view, open []demand) bool {
	if v.held < 0.5 {
		return false
	}
	runs := make([]runsAt, len(open))
	for i, d := range open {
		if d.node >= 0 && b.post.tested[d.node] == nil {
			return false
		}
		runs[i] = b.expected(d)
	}
	return 1-b.post.after(v.group, runs) <= claimDoubt*(1-b.rules.Confidence)
}

// confirmation returns the step that a demand asks for.
func (b *Bisection) confirmation(d demand) Step {
	runs := max(d.clean, 1)
	return Step{Node: d.node, Runs: runs, Purpose: PurposeConfirm,
		Cost: b.cost(d.node) + b.rules.RunCost*float64(runs)}
}
