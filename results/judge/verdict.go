package judge

import (
	"fmt"
	"math"
)

// Judge draws a decision from the runs so far; call it after each run. When
// Decided is false, go on with the side that NextSide gives.
func Judge(e Evidence, r Rules) Decision {
	a := assess(e, r)
	if d, ok := a.decide(); ok {
		return d
	}
	if a.exhausted() {
		return a.final(fmt.Sprintf("the limit of %d runs a side is reached", a.rules.MaxRuns))
	}
	d := a.start()
	a.open(&d, "not decided yet: ")
	return d
}

// Final draws the decision when no more runs can be had; why says what is over,
// such as "the budget of 20m is used up".
func Final(e Evidence, r Rules, why string) Decision {
	a := assess(e, r)
	if d, ok := a.decide(); ok {
		return d
	}
	return a.final(why)
}

// Failed is the decision when the infrastructure broke off the campaign: no
// guest could be started, the disk is full. why says what and what to do.
func Failed(e Evidence, r Rules, why string) Decision {
	a := assess(e, r)
	d := a.start()
	d.Verdict, d.Decided, d.Reason = Error, true, why
	return d
}

// assessment is the evidence with what was worked out from it once.
type assessment struct {
	Evidence
	rules Rules
	// fixable says that pre has shown the signature and post has not; fix is
	// how the pairs then speak for a fix.
	fixable bool
	fix     contrast
	// unsettled lists the reports, the signature apart, that post has shown and
	// pre has not. Any of them stands in the way of fixed and not-reproduced.
	unsettled []NewReport
	// worse is the best supported regression.
	worse finding
}

func assess(e Evidence, r Rules) *assessment {
	a := &assessment{Evidence: e, rules: r.WithDefaults(), fix: contrast{Bound: 1, Tail: 1}}
	for _, n := range e.NewOnPost {
		if n.PostRuns > 0 && n.PreRuns == 0 && !n.Signature {
			a.unsettled = append(a.unsettled, n)
		}
	}
	if e.Pre.Reproduced > 0 && e.Post.Reproduced == 0 {
		s := sequenceOf(e.Signature, e.Pre.Reproduced, e.Pre.Trials(), 0, e.Post.Trials())
		a.fixable, a.fix = true, contrastOf(s.Pre, s.Post)
	}
	a.worse = a.regression()
	return a
}

// start returns a decision with what does not depend on the verdict.
func (a *assessment) start() Decision {
	_, greater := FisherExact(a.Pre.Reproduced, a.Pre.Trials(), a.Post.Reproduced, a.Post.Trials())
	d := Decision{
		PreRate:  Jeffreys(a.Pre.Reproduced, a.Pre.Trials(), IntervalLevel),
		PostRate: Jeffreys(a.Post.Reproduced, a.Post.Trials(), IntervalLevel),
		PValue:   greater,
	}
	d.Warnings = append(d.Warnings, a.countWarnings()...)
	return d
}

// open fills in a decision that leaves the verdict open.
func (a *assessment) open(d *Decision, prefix string) {
	d.Verdict = Inconclusive
	d.Confidence = 1 - a.nearest()
	d.NextNeed = a.need()
	d.Reason = prefix + a.missing()
	d.Warnings = append(d.Warnings, a.newReportWarnings()...)
}

// nearest is the bound on the chance of error that has been reached for the
// verdict nearest at hand; 1 when there is none.
func (a *assessment) nearest() float64 {
	if a.Pre.Reproduced > 0 && a.Post.Reproduced > 0 {
		return min(a.lookAlikes(), a.worse.bound)
	}
	if len(a.unsettled) > 0 {
		return a.worse.bound // however well the pairs speak for it, fixed is out of reach
	}
	return min(a.fix.Bound, a.worse.bound)
}

// decide returns the verdict that the evidence bears by itself, if any.
func (a *assessment) decide() (Decision, bool) {
	var d Decision
	switch why := a.invalidRuns(); {
	case why != "":
		d.Verdict, d.Reason = Error, why
	case a.Pre.Reproduced > 0 && a.Post.Reproduced >= a.rules.matchesNeeded():
		d.Verdict = NotFixed
		d.Confidence = 1 - a.lookAlikes()
		d.Reason = a.notFixedReason()
		d.Warnings = append(a.lookAlikeWarning(), a.newReportWarnings()...)
	case a.worse.bound <= a.rules.alpha():
		d.Verdict = Regressed
		d.Confidence = 1 - a.worse.bound
		d.Reason = a.worse.reason
	case a.fixable && a.fix.Bound <= a.rules.alpha() && len(a.unsettled) == 0:
		d.Verdict = Fixed
		d.Confidence = 1 - a.fix.Bound
		d.Reason = a.fixedReason()
	default:
		return Decision{}, false
	}
	out := a.start()
	out.Decided = true
	out.Verdict, out.Confidence, out.Reason = d.Verdict, d.Confidence, d.Reason
	out.Warnings = append(out.Warnings, d.Warnings...)
	return out, true
}

// final draws the decision when nothing is decided and no more runs can be had.
func (a *assessment) final(why string) Decision {
	d := a.start()
	d.Decided = true
	switch {
	case a.noValidRun(Pre) || a.noValidRun(Post):
		side := Pre
		if !a.noValidRun(Pre) {
			side = Post
		}
		d.Verdict = Error
		d.Reason = fmt.Sprintf("%s, and no run of the %s was valid: see why the runs were invalid and repair that first", why, kernelName(side))
	case a.Pre.Trials() > 0 && a.Pre.Reproduced == 0 && a.Post.Reproduced == 0 && len(a.unsettled) == 0:
		d.Verdict = NotReproduced
		d.Confidence = a.rules.Confidence
		d.Reason = a.notReproducedReason(why)
	default:
		a.open(&d, why+", and the verdict is still open: ")
	}
	return d
}

// Limits of the rule that ends a campaign whose runs do not count.
const (
	firstInvalid = 3 // as many from the start on, all of them invalid
	shareMinimum = 6 // from this many on, more than half of them invalid
)

// invalidRuns returns why too many runs are invalid, or "".
func (a *assessment) invalidRuns() string {
	for _, s := range []Side{Pre, Post} {
		c := *a.side(s)
		n := c.Runs()
		if n >= firstInvalid && c.Invalid == n {
			return fmt.Sprintf("all of the first %d runs of the %s were invalid: see why, and repair that first", n, kernelName(s))
		}
		if n >= shareMinimum && 2*c.Invalid > n {
			return fmt.Sprintf("%d of %d runs of the %s were invalid, more than half: see why, and repair that first", c.Invalid, n, kernelName(s))
		}
	}
	return ""
}

// matchesNeeded is the number of matching reports on post that look-alikes alone
// would produce with a chance of no more than alpha.
func (r Rules) matchesNeeded() int {
	return max(1, int(math.Ceil(math.Log(r.alpha())/math.Log(r.LookAlike)-1e-9)))
}

// lookAlikes is the chance that all matching runs of post are look-alikes.
func (a *assessment) lookAlikes() float64 {
	return math.Pow(a.rules.LookAlike, float64(a.Post.Reproduced))
}

// finding is a regression and how sure it is.
type finding struct {
	bound  float64 // chance of a false regression, corrected for the number of looks
	reason string
	pairs  contrast
	factor float64
}

// regression returns the best supported regression.
//
// The signature was named before any run, so it has half of alpha for itself.
// Other reports are picked out because they were seen; they share the other
// half, each with the same part (Bonferroni), whether or not they are new.
func (a *assessment) regression() finding {
	best := finding{bound: 1, pairs: contrast{Bound: 1}, factor: 2}
	consider := func(c contrast, factor float64, reason string) {
		if b := min(1, c.Bound*factor); b < best.bound {
			best = finding{bound: b, reason: reason, pairs: c, factor: factor}
		}
	}
	if a.Pre.Reproduced == 0 && a.Post.Reproduced > 0 {
		s := sequenceOf(a.Signature, 0, a.Pre.Trials(), a.Post.Reproduced, a.Post.Trials())
		consider(contrastOf(s.Post, s.Pre), 2, regressedReason("a report that matches the signature",
			a.Post.Reproduced, a.Post.Trials(), a.Pre.Trials()))
	}
	factor := 2 * float64(max(a.Distinct, len(a.unsettled)))
	for _, n := range a.unsettled {
		if n.PreFollowUps > 0 {
			continue // pre printed it, too
		}
		s := sequenceOf(n.Seen, 0, a.Pre.Valid(), n.PostRuns, a.Post.Valid())
		pre, post := len(s.Pre), len(s.Post)
		if !n.Seen.known() {
			pre, post = a.Pre.Valid(), a.Post.Valid()
		}
		consider(contrastOf(s.Post, s.Pre), factor, regressedReason(fmt.Sprintf("%q", n.Title), n.PostRuns, post, pre))
	}
	return best
}

// exhausted reports whether no further pair fits within the limit of runs.
func (a *assessment) exhausted() bool {
	pre, post := a.Pre.Runs() >= a.rules.MaxRuns, a.Post.Runs() >= a.rules.MaxRuns
	switch {
	case pre && post:
		return true
	case pre:
		return a.Post.Valid() >= a.Pre.Valid()
	case post:
		return a.Pre.Valid() >= a.Post.Valid()
	}
	return false
}

// noValidRun reports whether a side had runs, and none that counts.
func (a *assessment) noValidRun(s Side) bool {
	c := a.side(s)
	return c.Runs() > 0 && c.Valid() == 0
}
