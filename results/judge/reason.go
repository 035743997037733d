package judge

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// kernelName is what messages call a side.
func kernelName(s Side) string {
	if s == Pre {
		return "pre-patch kernel"
	}
	return "post-patch kernel"
}

// percent formats a chance with the digits that it deserves: "100%", "62%",
// "0.31%", "0.0004%". Only 0 and 1 are shown as 0% and 100%.
func percent(p float64) string {
	switch {
	case p <= 0:
		return "0%"
	case p >= 1:
		return "100%"
	}
	digits := 0
	if small := min(p, 1-p); small < 0.1 {
		digits = max(0, int(math.Ceil(-math.Log10(small*100)))+1)
	}
	if digits > 6 {
		digits = 6
		p = min(max(p, 1e-8), 1-1e-8)
	}
	text := strconv.FormatFloat(100*p, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + "%"
}

// Percent formats a rate or chance for readers; it never rounds to 0% or 100%
// what is not.
func Percent(p float64) string { return percent(p) }

// reached formats a confidence that was reached; it rounds down, so that what
// falls short of 99% is not shown as 99%.
func reached(c float64) string {
	return percent(math.Floor(c*1e4) / 1e4)
}

func runs(n int) string {
	if n == 1 {
		return "1 run"
	}
	return strconv.Itoa(n) + " runs"
}

func (a *assessment) fixedReason() string {
	return fmt.Sprintf("the pre-patch kernel reproduced the bug in %d of %s, the post-patch kernel in 0 of %d; "+
		"were the patch without effect, the chance of ever seeing such a difference would be at most %s "+
		"(at %s a run, the lower bound of the pre-patch rate, %d clean runs have the chance %s)",
		a.Pre.Reproduced, runs(a.Pre.Trials()), a.Post.Trials(), percent(a.fix.Bound),
		percent(a.fix.Low), a.fix.AtPairs, percent(a.fix.Tail))
}

func (a *assessment) notFixedReason() string {
	return fmt.Sprintf("the post-patch kernel still reproduced the bug, in %d of %s (pre-patch kernel: %d of %d)",
		a.Post.Reproduced, runs(a.Post.Trials()), a.Pre.Reproduced, a.Pre.Trials())
}

func regressedReason(what string, k, n, pre int) string {
	return fmt.Sprintf("the post-patch kernel printed %s in %d of %s, the pre-patch kernel in 0 of %d", what, k, runs(n), pre)
}

func (a *assessment) notReproducedReason(why string) string {
	n := a.Pre.Trials()
	return fmt.Sprintf("%s, and the pre-patch kernel did not reproduce the bug in %s (post-patch: 0 of %d), so nothing is known about the patch; "+
		"a rate above %s a run is excluded on the pre-patch kernel with %s confidence",
		why, runs(n), a.Post.Trials(), percent(UpperBound(n, a.rules.Confidence)), percent(a.rules.Confidence))
}

// missing says what keeps an undecided campaign from its verdict, and what that
// would take.
func (a *assessment) missing() string {
	switch {
	case a.Pre.Reproduced > 0 && a.Post.Reproduced > 0:
		return fmt.Sprintf("the post-patch kernel printed a matching report in %s, and at %s confidence it takes %d to rule out look-alikes",
			runs(a.Post.Reproduced), percent(a.rules.Confidence), a.rules.matchesNeeded())
	case len(a.unsettled) > 0:
		return a.unsettledText(a.unsettled[0])
	case a.Pre.Trials() == 0 || a.Post.Trials() == 0:
		return a.noTrialsText()
	case a.Post.Reproduced > 0:
		return fmt.Sprintf("the post-patch kernel printed a report that matches the signature in %d of %s, the pre-patch kernel in none of %d, which is too little to call a regression%s",
			a.Post.Reproduced, runs(a.Post.Trials()), a.Pre.Trials(), a.needText())
	case a.Pre.Reproduced == 0:
		return fmt.Sprintf("the pre-patch kernel has not reproduced the bug in %s", runs(a.Pre.Trials()))
	}
	return fmt.Sprintf("the pre-patch kernel reproduced the bug in %d of %s and the post-patch kernel in 0 of %d, which is %s confidence of the %s asked for%s",
		a.Pre.Reproduced, runs(a.Pre.Trials()), a.Post.Trials(), reached(1-a.nearest()), percent(a.rules.Confidence), a.needText())
}

// unsettledText says why a report of post leaves the verdict open.
func (a *assessment) unsettledText(n NewReport) string {
	text := fmt.Sprintf("the post-patch kernel printed %q in %s and the pre-patch kernel ", n.Title, runs(n.PostRuns))
	switch {
	case n.PreFollowUps > 0:
		return text + fmt.Sprintf("after another failure only (in %s), where it can be a consequence: it may be an old failure or one that the patch lets through, so there is neither a regression nor a fix to call", runs(n.PreFollowUps))
	case n.Seen.known() && len(n.Seen.Pre) == 0 && a.Pre.Valid() > 0:
		return text + "got in none of its runs to where it could have printed it, which is too little to call a regression and too much to call the bug fixed"
	}
	return text + "did not, which is too little to call a regression and too much to call the bug fixed" + a.needText()
}

func (a *assessment) noTrialsText() string {
	for _, s := range []Side{Pre, Post} {
		c := *a.side(s)
		if c.Trials() > 0 {
			continue
		}
		if c.OtherFailure > 0 {
			return fmt.Sprintf("all valid runs of the %s (%d) ended in other failures, which tell nothing about the bug", kernelName(s), c.OtherFailure)
		}
		return fmt.Sprintf("the %s has no valid run yet", kernelName(s))
	}
	return ""
}

func (a *assessment) needText() string {
	n := a.need()
	if n[Pre] == 0 && n[Post] == 0 {
		return ""
	}
	return fmt.Sprintf("; if runs go on as so far, about %d more on the pre-patch and %d more on the post-patch kernel are needed (--max-runs, --budget)", n[Pre], n[Post])
}

// newReportWarnings names what post showed and pre did not.
func (a *assessment) newReportWarnings() []string {
	var out []string
	if a.Pre.Reproduced == 0 && a.Post.Reproduced > 0 {
		out = append(out, fmt.Sprintf("a report that matches the signature was seen on the post-patch kernel only (%d of %s)",
			a.Post.Reproduced, runs(a.Post.Trials())))
	}
	for _, n := range a.unsettled {
		where := fmt.Sprintf("only (in %s)", runs(n.PostRuns))
		if n.PreFollowUps > 0 {
			where = fmt.Sprintf("(in %s) and on the pre-patch kernel after another failure only (in %s)", runs(n.PostRuns), runs(n.PreFollowUps))
		}
		out = append(out, fmt.Sprintf("%q was seen on the post-patch kernel %s: look at it; if it is known and harmless, list it under benign", n.Title, where))
	}
	return out
}

// lookAlikeWarning says when a single match among many runs is weaker than the
// verdict's confidence, which is that of one run, sounds.
func (a *assessment) lookAlikeWarning() []string {
	k, n := a.Post.Reproduced, a.Post.Trials()
	chance := binomialTail(k, n, a.rules.LookAlike)
	if chance <= a.rules.alpha() {
		return nil
	}
	return []string{fmt.Sprintf("%d of %s of the post-patch kernel matched the signature; if another bug with the same look shows in %s of runs, "+
		"the chance of that is %s: read the report before you rely on the verdict", k, runs(n), percent(a.rules.LookAlike), percent(chance))}
}

// countWarnings are doubts that come from the counts alone.
func (a *assessment) countWarnings() []string {
	var out []string
	for _, s := range []Side{Pre, Post} {
		c := *a.side(s)
		if c.OtherFailure > 0 && 2*c.OtherFailure >= c.Valid() {
			out = append(out, fmt.Sprintf("%d of %d valid runs of the %s ended in other failures and count neither as clean nor as reproduced; reports that are known and harmless belong under benign",
				c.OtherFailure, c.Valid(), kernelName(s)))
		}
		if c.Invalid > 0 && 4*c.Invalid >= c.Runs() {
			out = append(out, fmt.Sprintf("%d of %s of the %s were invalid", c.Invalid, runs(c.Runs()), kernelName(s)))
		}
	}
	return out
}

// binomialTail is the chance of at least k events in n runs at rate p.
func binomialTail(k, n int, p float64) float64 {
	if k <= 0 {
		return 1
	}
	below := 0.0
	for i := range k {
		below += math.Exp(logChoose(n, i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return max(0, 1-below)
}
