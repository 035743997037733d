package judge

import "fmt"

// Numbers of runs of the ends and of the confirmation.
const (
	// wantKnown and wantUnknown are the reproductions that the end that
	// reproduces needs at least: with an unknown rate they are what it is
	// learned from.
	wantKnown   = 1
	wantUnknown = 5
	// maxSilent is the number of clean runs at that end, without any
	// reproduction, that ends the search: the rate is below 3% at 95%. It also
	// is the largest number of runs that verify an end which showed what it has
	// to, but not clearly.
	maxSilent = 100
	// cleanDoubt is the chance that clean runs at an end or parent leave for the
	// bug to have missed all of them.
	cleanDoubt = 0.1
	// maxFailed is the number of untestable runs that ends the confirmation at
	// a commit.
	maxFailed = 3
	// tellDoubt is the probability of a wrong end from which on it is told.
	tellDoubt = 0.05
)

// reproducing and silent are the ends of the range that show the bug and that do
// not.
func (b *Bisection) reproducing() int {
	if b.rules.Find == FindFix {
		return OldEnd
	}
	return b.newEnd()
}

func (b *Bisection) silent() int {
	if b.rules.Find == FindFix {
		return b.newEnd()
	}
	return OldEnd
}

// newEnd is the node to run for the new end of the range.
func (b *Bisection) newEnd() int {
	if len(b.graph.tips) > 1 {
		return NewEnd
	}
	return b.graph.tips[0]
}

// Next returns what to do next. It is false when Answer is Done.
func (b *Bisection) Next() (Step, bool) {
	step, reason := b.decide()
	if reason != "" {
		return Step{}, false
	}
	if b.rules.MaxRuns > 0 {
		step.Runs = min(step.Runs, b.rules.MaxRuns-b.runs)
	}
	b.asked[step.Node] = b.cost(step.Node)
	return step, true
}

// decide returns the next step, or the reason why there is none. A limit ends a
// search that would go on, and not one whose last run gave the answer.
func (b *Bisection) decide() (Step, string) {
	step, reason := b.unlimited()
	switch {
	case reason != "":
	case b.rules.MaxRuns > 0 && b.runs >= b.rules.MaxRuns:
		reason = fmt.Sprintf("the limit of %d runs is reached", b.rules.MaxRuns)
	case b.rules.MaxCost > 0 && b.spent >= b.rules.MaxCost:
		reason = fmt.Sprintf("the cost limit of %g is reached", b.rules.MaxCost)
	}
	return step, reason
}

// unlimited is decide without the limits.
func (b *Bisection) unlimited() (Step, string) {
	v := b.look()
	if doubt, final := b.endDoubt(v); final {
		return Step{}, doubt
	}
	if step, ok := b.calibration(); ok {
		return step, ""
	}
	if b.claims(v) {
		open, _ := b.open(b.claim)
		sure := v.held >= b.rules.Confidence
		switch {
		case len(open) == 0 && sure:
			return Step{}, b.foundReason(v)
		case len(open) > 0 && (sure || b.bears(v, open)):
			return b.confirmation(open[0]), ""
		}
	}
	step, ok := b.bestStep()
	if !ok {
		return Step{}, "no commit is left whose runs would teach anything"
	}
	return step, ""
}

// calibration returns the next step of verifying the ends.
func (b *Bisection) calibration() (Step, bool) {
	if b.calibrated {
		return Step{}, false
	}
	step := Step{Node: b.silent(), Purpose: PurposeCalibrate}
	mean := b.rateMean()
	if !b.reproduced(b.look()) {
		step.Node = b.reproducing()
		step.Runs = min(CleanRunsNeeded(mean, 0.5), maxSilent)
	} else {
		step.Runs = max(1, CleanRunsNeeded(mean, cleanDoubt)-b.at(step.Node).good)
	}
	step.Cost = b.cost(step.Node) + b.rules.RunCost*float64(step.Runs)
	return step, true
}

// verified reports whether the ends have shown what they have to: either one so
// much that the chance of it not being what it is said to be fell to cleanDoubt
// of what it was. A look-alike at the silent end can put that off for very long,
// so that it is tried maxSilent times; what is in doubt then is for the search to
// find out, which goes on running the ends.
func (b *Bisection) verified(v *view) bool {
	silent := b.at(b.silent())
	return b.reproduced(v) &&
		(v.silentDoubt(b.rules.Find) <= cleanDoubt*endPrior || silent.bad+silent.good >= maxSilent)
}

// reproduced is verified for the end that shows the bug.
func (b *Bisection) reproduced(v *view) bool {
	r := b.at(b.reproducing())
	return r.bad >= b.wanted() &&
		(v.showDoubt(b.rules.Find) <= cleanDoubt*endPrior || r.bad+r.good >= maxSilent)
}

func (b *Bisection) wanted() int {
	if b.rules.KnownRate > 0 {
		return wantKnown
	}
	return wantUnknown
}

// endDoubt returns what speaks against the ends of the range, and whether the
// search cannot go on because of it.
func (b *Bisection) endDoubt(v *view) (text string, final bool) {
	for _, end := range []int{b.reproducing(), b.silent()} {
		if r := b.at(end); r.untestable > 0 && r.bad+r.good == 0 {
			return fmt.Sprintf("the %s end cannot be tested: choose another one", b.endName(end)), true
		}
	}
	reproducing, silent := b.at(b.reproducing()), b.at(b.silent())
	showDoubt, silentDoubt := v.showDoubt(b.rules.Find), v.silentDoubt(b.rules.Find)
	switch {
	case reproducing.bad == 0 && reproducing.good >= maxSilent, showDoubt >= b.rules.Confidence:
		return fmt.Sprintf("the %s end has reproduced in %d of %d runs: it does not show the bug, or not often enough",
			b.endName(b.reproducing()), reproducing.bad, reproducing.bad+reproducing.good), true
	case silentDoubt >= b.rules.Confidence:
		return fmt.Sprintf("the %s end has the bug too, with probability %.3g: it has reproduced in %d of %d runs there",
			b.endName(b.silent()), silentDoubt, silent.bad, silent.bad+silent.good), true
	case showDoubt > tellDoubt:
		return fmt.Sprintf("the %s end may not show the bug, probability %.2g", b.endName(b.reproducing()), showDoubt), false
	case silentDoubt > tellDoubt:
		return fmt.Sprintf("the %s end may have the bug too, probability %.2g", b.endName(b.silent()), silentDoubt), false
	}
	return "", false
}

// endName names an end of the range for messages.
func (b *Bisection) endName(end int) string {
	if end == OldEnd {
		return "old"
	}
	return "new"
}
