package judge

import (
	"fmt"
	"math"
)

// Find says what a bisection looks for.
type Find string

// What can be looked for. Runs mean the same for both: bad is the signature
// seen, good a clean run.
const (
	// FindCulprit: the commit from which on the bug reproduces.
	FindCulprit Find = "culprit"
	// FindFix: the commit from which on it no longer does.
	FindFix Find = "fix"
)

// The ends of a range, as nodes.
const (
	// OldEnd is the commit before the range: good for FindCulprit, the one that
	// reproduces for FindFix.
	OldEnd = -1
	// NewEnd is the commit at the new end of the range. It is asked for only
	// when the graph has more than one tip; otherwise the tip itself is.
	NewEnd = -2
)

// BisectOutcome is what one run at a commit showed.
type BisectOutcome string

// The outcomes of a run.
const (
	BisectBad        BisectOutcome = "bad"        // the signature was seen
	BisectGood       BisectOutcome = "good"       // a clean run
	BisectUntestable BisectOutcome = "untestable" // does not build or boot, or the run does not count
)

// Defaults and limits of BisectRules.
const (
	DefaultFalseRate = 0.001
	MinFalseRate     = 0.001
	MaxFalseRate     = 0.01
)

// BisectRules says how sure the answer has to be and what may be spent. Zero
// fields mean the defaults.
type BisectRules struct {
	// Find is what is looked for, the culprit if empty.
	Find Find `json:"find"`
	// Confidence is the probability that ends the search, from 0.5 up to, but
	// not including, 1.
	Confidence float64 `json:"confidence"`
	// FalseRate is the least chance, a run, that a commit without the bug shows
	// the signature, from MinFalseRate to MaxFalseRate: never zero, because
	// another bug may look the same. Runs may teach that it is MaxFalseRate.
	FalseRate float64 `json:"false_rate"`
	// KnownRate is the chance, a run, that a commit with the bug shows it; 0 is
	// unknown, and learned.
	KnownRate float64 `json:"known_rate,omitempty"`
	// MaxRuns and MaxCost end the search undecided; 0 is no limit. The cost is
	// that of all runs, and of the builds that this Bisection's Next asked for: a
	// replay does not know what was built.
	MaxRuns int     `json:"max_runs,omitempty"`
	MaxCost float64 `json:"max_cost,omitempty"`
	// RunCost is the cost of a run in the unit of build costs, 1 if zero.
	RunCost float64 `json:"run_cost"`
	// Prior holds a weight for each node, relative to the others; nil is equal
	// weights.
	Prior []float64 `json:"prior,omitempty"`
}

// WithDefaults returns r with its zero fields set.
func (r BisectRules) WithDefaults() BisectRules {
	if r.Find == "" {
		r.Find = FindCulprit
	}
	if r.Confidence == 0 {
		r.Confidence = DefaultConfidence
	}
	if r.FalseRate == 0 {
		r.FalseRate = DefaultFalseRate
	}
	if r.RunCost == 0 {
		r.RunCost = 1
	}
	return r
}

// Validate reports the first field that makes no sense, and what would. nodes
// is the number of commits.
func (r BisectRules) Validate(nodes int) error {
	r = r.WithDefaults()
	switch {
	case r.Find != FindCulprit && r.Find != FindFix:
		return fmt.Errorf("find %q: expected culprit or fix", r.Find)
	case !(r.Confidence >= 0.5 && r.Confidence < 1):
		return fmt.Errorf("confidence %g: give a number from 0.5 up to, but not including, 1, such as 0.99", r.Confidence)
	case !(r.FalseRate >= MinFalseRate && r.FalseRate <= MaxFalseRate):
		return fmt.Errorf("false rate %g: give a chance per run from %g to %g", r.FalseRate, MinFalseRate, MaxFalseRate)
	case !(r.KnownRate >= 0 && r.KnownRate <= 1) || r.KnownRate != 0 && r.KnownRate <= r.FalseRate:
		return fmt.Errorf("known rate %g: give a chance per run above the false rate %g and at most 1", r.KnownRate, r.FalseRate)
	case r.MaxRuns < 0 || !(r.MaxCost >= 0):
		return fmt.Errorf("limits of %d runs and a cost of %g: give numbers that are not negative", r.MaxRuns, r.MaxCost)
	case !(r.RunCost > 0) || math.IsInf(r.RunCost, 0):
		return fmt.Errorf("run cost %g: give a number above 0", r.RunCost)
	case r.Prior != nil && len(r.Prior) != nodes:
		return fmt.Errorf("prior with %d weights for %d commits", len(r.Prior), nodes)
	}
	sum := 0.0
	for v, w := range r.Prior {
		if !(w >= 0) || math.IsInf(w, 0) {
			return fmt.Errorf("prior weight %g of node %d: give a number that is not negative", w, v)
		}
		sum += w
	}
	if r.Prior != nil && !(sum > 0) {
		return fmt.Errorf("prior without any weight")
	}
	return nil
}

// Purpose says why a step is taken.
type Purpose string

// The purposes of steps, in the order in which a search without surprises has
// them.
const (
	PurposeCalibrate Purpose = "calibrate" // verify the ends of the range and learn the rate
	PurposeSearch    Purpose = "search"
	PurposeConfirm   Purpose = "confirm" // run culprit and parents again
)

// Step is what to do next: run at Node up to Runs times, stopping at the first
// run that is not clean.
type Step struct {
	Node    int     `json:"node"` // or OldEnd, NewEnd
	Runs    int     `json:"runs"`
	Purpose Purpose `json:"purpose"`
	// Gain is the information about the answer expected from it, in bits; 0
	// for steps that are taken for another reason.
	Gain float64 `json:"gain"`
	// Cost is the cost expected, build and runs.
	Cost float64 `json:"cost"`
}

// Candidate is a commit and the probability that it is the answer.
type Candidate struct {
	Node        int     `json:"node"`
	Probability float64 `json:"probability"`
}

// Answer is the state of a search.
type Answer struct {
	// Done says that Next has no further step. Found says that Set holds the
	// confidence, and was confirmed.
	Done  bool `json:"done"`
	Found bool `json:"found"`
	// Reason says in a sentence why it is done, or what is missing.
	Reason string `json:"reason"`
	// Ranked holds all commits, the most probable first. What is missing from a
	// sum of 1 is the probability that an end of the range is not what it is
	// said to be.
	Ranked []Candidate `json:"ranked"`
	// Before is the probability that the change came before the range, so that
	// all of its commits and the old end have it.
	Before float64 `json:"before"`
	// Set is the smallest set that holds the confidence, most probable first.
	// When Found and it has several members, untestable commits keep them from
	// being told apart.
	Set []int `json:"set"`
	// Unconfirmed are the commits around the answer that were to be run again and
	// whose runs then said nothing, most often because of another failure.
	Unconfirmed []int `json:"unconfirmed,omitempty"`
	// SetProbability is the probability that Set holds the answer.
	SetProbability float64 `json:"set_probability"`
	// RateMean and Rate are the mean and the interval of the chance that a
	// commit with the bug shows it in a run.
	RateMean float64  `json:"rate_mean"`
	Rate     Interval `json:"rate"`
	// EndpointDoubt says which end of the range is in doubt and why; empty if
	// none is.
	EndpointDoubt string `json:"endpoint_doubt,omitempty"`
	// RunsLeft and BuildsLeft estimate what is left, if all goes on as it did.
	RunsLeft   float64 `json:"runs_left"`
	BuildsLeft float64 `json:"builds_left"`
}
