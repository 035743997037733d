package judge

import (
	"fmt"
	"math"
)

// Outcome says what one run showed.
type Outcome string

// The outcomes of a run. A run that has not ended has the empty Outcome.
const (
	// Reproduced: a report that matches the signature was seen.
	Reproduced Outcome = "reproduced"
	// Clean: the workload ran to its end and nothing but benign reports was seen.
	Clean Outcome = "clean"
	// OtherFailure: something else went wrong in the kernel; it says nothing
	// about the bug looked for.
	OtherFailure Outcome = "other-failure"
	// Invalid: the run does not count, for a reason outside the kernel.
	Invalid Outcome = "invalid"
)

// Known reports whether o is one of the four outcomes of a finished run.
func (o Outcome) Known() bool {
	switch o {
	case Reproduced, Clean, OtherFailure, Invalid:
		return true
	}
	return false
}

// Side is one of the two kernels of a campaign.
type Side string

// The sides: the kernel before and the kernel after the patch.
const (
	Pre  Side = "pre"
	Post Side = "post"
)

// Other returns the opposite side.
func (s Side) Other() Side {
	if s == Pre {
		return Post
	}
	return Pre
}

// Counts holds the number of finished runs of one side by outcome.
type Counts struct {
	Reproduced   int `json:"reproduced"`
	Clean        int `json:"clean"`
	OtherFailure int `json:"other_failure"`
	Invalid      int `json:"invalid"`
}

// Runs is the number of finished runs, whatever their outcome.
func (c Counts) Runs() int { return c.Valid() + c.Invalid }

// Valid is the number of runs that tell something about the kernel.
func (c Counts) Valid() int { return c.Trials() + c.OtherFailure }

// Trials is the number of runs that tell something about the signature:
// reproduced or clean.
func (c Counts) Trials() int { return c.Reproduced + c.Clean }

// Add counts one more run. An unknown or empty outcome is not counted.
func (c *Counts) Add(o Outcome) {
	switch o {
	case Reproduced:
		c.Reproduced++
	case Clean:
		c.Clean++
	case OtherFailure:
		c.OtherFailure++
	case Invalid:
		c.Invalid++
	}
}

// Verdict is the answer of a campaign.
type Verdict string

// The verdicts. docs/verdicts.md says what each one claims.
const (
	Fixed         Verdict = "fixed"
	NotFixed      Verdict = "not-fixed"
	NotReproduced Verdict = "not-reproduced"
	Regressed     Verdict = "regressed"
	Inconclusive  Verdict = "inconclusive"
	Error         Verdict = "error"
)

// Verdicts lists all verdicts in the order in which the documentation has them.
func Verdicts() []Verdict {
	return []Verdict{Fixed, NotFixed, Regressed, NotReproduced, Inconclusive, Error}
}

// Defaults of Rules.
const (
	DefaultConfidence = 0.99
	DefaultMaxRuns    = 30
	DefaultLookAlike  = 0.005
)

// boundLevel is the one-sided level of each end of the intervals shown and used
// by the clean-run condition. It is not what the confidence rests on (that is
// the test martingale), so it does not change with the confidence asked for.
const boundLevel = 0.95

// IntervalLevel is the two-sided level of Decision.PreRate and PostRate: each
// end is a one-sided 95% bound.
const IntervalLevel = 2*boundLevel - 1

// Rules says how sure the verdict has to be and how much may be spent on it.
// Zero fields mean the defaults.
type Rules struct {
	// Confidence of fixed, not-fixed and regressed; from 0.5 up to, but not
	// including, 1.
	Confidence float64 `json:"confidence"`
	// MaxRuns is the largest number of runs a side, invalid ones included.
	MaxRuns int `json:"max_runs"`
	// LookAlike is the largest chance, a run, that another bug prints a report
	// that matches the signature.
	LookAlike float64 `json:"look_alike"`
}

// WithDefaults returns r with its zero fields set.
func (r Rules) WithDefaults() Rules {
	if r.Confidence == 0 {
		r.Confidence = DefaultConfidence
	}
	if r.MaxRuns == 0 {
		r.MaxRuns = DefaultMaxRuns
	}
	if r.LookAlike == 0 {
		r.LookAlike = DefaultLookAlike
	}
	return r
}

// Validate reports the first field that makes no sense, and what would.
func (r Rules) Validate() error {
	r = r.WithDefaults()
	switch {
	case math.IsNaN(r.Confidence) || r.Confidence < 0.5 || r.Confidence >= 1:
		return fmt.Errorf("confidence %g: give a number from 0.5 up to, but not including, 1, such as 0.99", r.Confidence)
	case r.MaxRuns < 1:
		return fmt.Errorf("max_runs %d: give at least 1 run a side", r.MaxRuns)
	case math.IsNaN(r.LookAlike) || r.LookAlike < 0 || r.LookAlike >= 0.5:
		return fmt.Errorf("look_alike %g: give a chance per run from 0 to 0.5, such as %g", r.LookAlike, DefaultLookAlike)
	}
	return nil
}

// alpha is the chance of a wrong verdict that the user accepts. Rounding of
// 1-0.99 must not decide a verdict, hence the nudge.
func (r Rules) alpha() float64 { return (1 - r.Confidence) * (1 + 1e-9) }

// Sequence holds, for each side in the order in which the runs were started,
// whether a run showed the event in question. Runs that say nothing about the
// event are left out.
type Sequence struct {
	Pre, Post []bool
}

// known says that the order is known, be it that there is no run in it.
func (s Sequence) known() bool { return s.Pre != nil || s.Post != nil }

// Pairs is the number of runs of one side that have a partner on the other.
func (s Sequence) Pairs() int { return min(len(s.Pre), len(s.Post)) }

// NewReport is a kind of report that the post kernel printed in at least one
// run and that is not benign.
type NewReport struct {
	Fingerprint string
	Title       string
	// PostRuns and PreRuns count the runs that showed it. One with PreRuns > 0
	// is not new and is ignored.
	PostRuns, PreRuns int
	// PreFollowUps counts the runs of pre that showed it after another failure
	// only. With PreRuns 0 that leaves open whether it is new: it is no
	// regression, and it stands in the way of fixed.
	PreFollowUps int
	// Signature marks a report that matches the signature; such reports are
	// judged together, as the signature, and not one by one.
	Signature bool
	// Seen is optional: the runs that were able to show it, in order. When it
	// is nil all valid runs are taken, and runs without a partner do not count
	// in favour of a regression.
	Seen Sequence
}

// Evidence is all that a verdict is drawn from. Collect makes it from runs.
type Evidence struct {
	Pre, Post Counts
	// NewOnPost lists the reports of the post kernel.
	NewOnPost []NewReport
	// Distinct is the number of kinds of report, other than the signature and
	// benign ones, that any run of either side showed: the number of chances of
	// a false regression. Less than the number of new reports is taken as that.
	Distinct int
	// Signature is optional: the order of the reproduced and clean runs. When
	// it is nil, runs without a partner do not count in favour of a verdict.
	Signature Sequence
}

// Decision is a verdict with its reasons.
type Decision struct {
	Verdict Verdict `json:"verdict"`
	// Decided says that more runs would not change anything worth their time.
	// While it is false, Verdict is inconclusive.
	Decided bool `json:"decided"`
	// Confidence is one minus a bound on the chance of being wrong; what it is
	// the confidence of depends on the verdict, see docs/verdicts.md.
	Confidence float64 `json:"confidence"`
	// Reason says in a sentence or two why.
	Reason string `json:"reason"`
	// Warnings are doubts that do not change the verdict.
	Warnings []string `json:"warnings,omitempty"`
	// NextNeed estimates the runs that each side still needs.
	NextNeed map[Side]int `json:"next_need,omitempty"`
	// PreRate and PostRate are intervals for the rate at which the signature
	// shows, of level IntervalLevel.
	PreRate  Interval `json:"pre_rate"`
	PostRate Interval `json:"post_rate"`
	// PValue is that of Fisher's exact test for "pre fails more often than
	// post". For information: it does not know how often one has looked, so no
	// verdict rests on it.
	PValue float64 `json:"p_value"`
}
