package results

import (
	"cmp"
	"slices"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// Change says what happened to a kind of failure between two sets of campaigns,
// the earlier ones and the later one.
type Change string

// The changes. docs/results.md has the rule.
const (
	// ChangeNew: only the later runs show it, and chance does not explain that.
	ChangeNew Change = "new"
	// ChangeFixed: only the earlier runs show it, and chance does not explain that.
	ChangeFixed Change = "fixed"
	// ChangeStill: both show it.
	ChangeStill Change = "still"
	// ChangeFlaky: only one shows it, which chance can explain, and the very
	// kernel image that did not show it here is known to have shown it.
	ChangeFlaky Change = "flaky"
	// ChangeUnknown: only one shows it, and the runs are too few to tell.
	ChangeUnknown Change = "cannot-tell"
)

// DefaultCompareConfidence is the confidence of a comparison when none is given.
const DefaultCompareConfidence = 0.99

// Recorded is a campaign with its runs, as Load returns them.
type Recorded struct {
	Campaign *Campaign
	Runs     []Run
}

// Seen is what a valid run says about its kernel, and where: all that Compare
// needs of it.
type Seen struct {
	judge.Observation
	// Cell is the key of the run's cell or, without a matrix, its side.
	Cell string
	// Guests is the shape of the guest and its accelerator.
	Guests string
	// KernelSHA is the digest of the kernel image, empty when it is not known.
	KernelSHA string
	// Kinds are the kinds of Reports by fingerprint; SilentKinds those of which
	// the kernel would have printed no more reports.
	Kinds       map[string]dmesg.Kind
	SilentKinds []dmesg.Kind
}

// Could says whether the run could have shown a failure that it did not show: it
// got to the end of the phase, nothing that the kernel had printed before kept it
// from printing that kind of report, and it did not come after another failure,
// whose consequence it may have been.
func (s *Seen) Could(fingerprint string, kind dmesg.Kind, phase int) bool {
	return s.Passed(phase) && !slices.Contains(s.FollowUps, fingerprint) && (kind == "" || !slices.Contains(s.SilentKinds, kind))
}

// SeenOf draws it from the run's record. Benign reports, and consequences of an
// earlier failure in the same guest, are not in it.
func SeenOf(r *Run) Seen {
	s := Seen{Observation: observe(r), Cell: cmp.Or(r.Cell, string(r.Side)), Guests: groupKey(r), KernelSHA: r.Kernel.SHA256,
		Kinds: map[string]dmesg.Kind{}, SilentKinds: silencedIn(r)}
	for i := range r.Reports {
		rep := &r.Reports[i]
		s.Kinds[fingerprintOf(rep)] = rep.Kind
	}
	return s
}

// Observed is a campaign with what its valid runs say.
type Observed struct {
	Campaign *Campaign
	Runs     []Seen
}

// CompareOptions changes how Compare judges.
type CompareOptions struct {
	// Confidence is one minus the chance that any of the comparison's new and
	// fixed is false; 0 means DefaultCompareConfidence.
	Confidence float64
	// Shown tells whether runs of a kernel image in a cell have shown a
	// fingerprint in any campaign; nil when nothing else is known.
	Shown func(cell, kernelSHA, fingerprint string) bool
}

// Share is how often a failure was seen, in runs that were able to show it.
type Share struct {
	Seen int            `json:"seen"`
	Able int            `json:"able"`
	Rate judge.Interval `json:"rate"` // Clopper-Pearson at judge.IntervalLevel
}

// Finding is what happened to one kind of failure in one cell, or in all cells
// taken together.
type Finding struct {
	Fingerprint string `json:"fingerprint"`
	Title       string `json:"title"`
	// Signature says that it matched the signature of its workload.
	Signature bool `json:"signature"`
	// Cell is the cell's key, or the side of a verification; empty for all cells
	// together.
	Cell   string `json:"cell,omitempty"`
	Change Change `json:"change"`
	Before Share  `json:"before"`
	After  Share  `json:"after"`
	// P is the chance of a difference like this were there none, adjusted for
	// the number of things that were looked at.
	P float64 `json:"p"`
	// Rate is "more often" or "less often" when it is still there and its rate
	// has changed, beyond chance.
	Rate string `json:"rate_change,omitempty"`
	// Need is the number of runs that each side needs in all until the answer is
	// new or fixed, if the side that shows it goes on as it did; 0 when the
	// answer is known, -1 when no reasonable number is enough.
	Need int `json:"need,omitempty"`
	// Note is a doubt.
	Note string `json:"note,omitempty"`
}

// Comparison is the answer of Compare.
type Comparison struct {
	Before     []string  `json:"before"` // IDs
	After      string    `json:"after"`
	Confidence float64   `json:"confidence"`
	Cells      int       `json:"cells"` // compared
	Findings   []Finding `json:"findings"`
	// Apart lists cells that were not compared, with the reason.
	Apart    []string `json:"not_compared"`
	Warnings []string `json:"warnings"`
}

// Failure is one kind of failure of a comparison, with all that was found of it.
type Failure struct {
	Fingerprint, Title string
	Signature          bool
	// Change is new when it is new in any cell, and otherwise what holds for all
	// cells together.
	Change Change
	// Findings are that for all cells together, if there are several, and those
	// of the cells.
	Findings []Finding
}

// Failures gathers the findings by kind of failure, new ones first.
func (c *Comparison) Failures() []Failure {
	var out []Failure
	for _, f := range c.Findings {
		i := slices.IndexFunc(out, func(k Failure) bool { return k.Fingerprint == f.Fingerprint })
		if i < 0 {
			i = len(out)
			out = append(out, Failure{Fingerprint: f.Fingerprint, Title: f.Title, Change: f.Change})
		}
		k := &out[i]
		k.Findings = append(k.Findings, f)
		k.Signature = k.Signature || f.Signature
		if f.Change == ChangeNew || f.Cell == "" && k.Change != ChangeNew {
			k.Change = f.Change
		}
	}
	for i := range out {
		slices.SortStableFunc(out[i].Findings, func(a, b Finding) int { return cmp.Compare(a.Cell, b.Cell) })
	}
	slices.SortStableFunc(out, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(a.Change.rank(), b.Change.rank()), truesFirst(a.Signature, b.Signature))
	})
	return out
}

// Count returns the number of failures with that change.
func (c *Comparison) Count(change Change) int {
	n := 0
	for _, f := range c.Failures() {
		if f.Change == change {
			n++
		}
	}
	return n
}

// Emerging reports whether a failure that the earlier campaigns did not show came
// up and cannot be told from chance.
func (c *Comparison) Emerging() bool {
	return slices.ContainsFunc(c.Failures(), func(f Failure) bool {
		return f.Change == ChangeUnknown && slices.ContainsFunc(f.Findings, func(f Finding) bool { return f.After.Seen > 0 })
	})
}

func truesFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// rank puts first what somebody has to look at.
func (c Change) rank() int {
	return slices.Index([]Change{ChangeNew, ChangeUnknown, ChangeStill, ChangeFlaky, ChangeFixed}, c)
}

// Compare says what is new, fixed, still there and flaky in a later campaign
// against one or several earlier ones, whose runs are taken together. The
// campaigns have to be of one kind, and of one matrix or workload; otherwise the
// error is an *AskedError.
func Compare(before []Observed, after Observed, o CompareOptions) (Comparison, error) {
	c := Comparison{After: after.Campaign.ID, Confidence: cmp.Or(o.Confidence, DefaultCompareConfidence),
		Findings: []Finding{}, Apart: []string{}, Warnings: []string{}}
	if !(c.Confidence >= 0.5 && c.Confidence < 1) {
		return c, asked("confidence %g: give a number from 0.5 up to, but not including, 1, such as 0.99", c.Confidence)
	}
	if len(before) == 0 {
		return c, asked("nothing to compare with: name an earlier campaign")
	}
	for _, r := range before {
		if err := comparable(r.Campaign, after.Campaign); err != nil {
			return c, err
		}
		c.Before = append(c.Before, r.Campaign.ID)
	}
	if err := overlap(append(slices.Clone(before), after)); err != nil {
		return c, err
	}
	t := newTally(before, after)
	c.Apart = append(c.Apart, t.apart...)
	c.Cells = len(t.units)
	c.judge(t, o)
	for _, r := range append(slices.Clone(before), after) {
		for _, w := range r.Campaign.Warnings {
			c.Warnings = append(c.Warnings, r.Campaign.ID+": "+w)
		}
	}
	return c, nil
}

// overlap refuses campaigns that have runs in common: shards and their whole.
func overlap(all []Observed) error {
	from := map[string]string{}
	for _, r := range all {
		ids := []string{r.Campaign.ID}
		if m := r.Campaign.Matrix; m != nil {
			ids = append(ids, m.Merged...)
		}
		for _, id := range ids {
			if other := from[id]; other != "" {
				return asked("%s and %s have the runs of %s in common: they would count twice", other, r.Campaign.ID, id)
			}
			from[id] = r.Campaign.ID
		}
	}
	return nil
}

func comparable(a, b *Campaign) error {
	switch {
	case a.Kind == KindBisect || b.Kind == KindBisect:
		return asked("a bisection cannot be compared: its runs are of many commits")
	case a.Kind == KindTune || b.Kind == KindTune:
		return asked("a tuning cannot be compared: its runs are with many settings")
	case (a.Matrix == nil) != (b.Matrix == nil):
		return asked("%s and %s cannot be compared: one is a matrix and the other is not", a.ID, b.ID)
	case a.Matrix != nil && a.Matrix.Name != b.Matrix.Name:
		return asked("%s is of matrix %q and %s of %q: only campaigns of one matrix can be compared", a.ID, a.Matrix.Name, b.ID, b.Matrix.Name)
	case a.Workload != b.Workload:
		return asked("%s ran workload %q and %s %q: only runs of one workload can be compared", a.ID, a.Workload, b.ID, b.Workload)
	}
	return nil
}

// judge fills in the findings. All cells together are one family of tests and
// single cells another; each may err with half of the chance, so that the
// comparison as a whole keeps its confidence.
func (c *Comparison) judge(t *tally, o CompareOptions) {
	alpha := (1 - c.Confidence) * (1 + 1e-9) // 1-0.99 is not 0.01 in binary
	families := [][]*finding{t.cellFindings()}
	if len(t.units) > 1 {
		families = append([][]*finding{t.overallFindings(families[0])}, families...)
	}
	for _, family := range families {
		p := make([]float64, len(family))
		for i, f := range family {
			p[i] = f.exact()
		}
		for i, adjusted := range judge.Holm(p) {
			f := family[i]
			f.P = min(1, adjusted*float64(len(families)))
			f.judge(alpha, alpha/float64(len(families)*len(family)), o.Shown)
			c.Findings = append(c.Findings, f.Finding)
		}
	}
	slices.SortStableFunc(c.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Change.rank(), b.Change.rank()), truesFirst(a.Signature, b.Signature),
			cmp.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.Cell, b.Cell))
	})
}

// judge names the change. alpha is the chance of error of the whole comparison,
// share that of this finding alone, for the forecast.
func (f *finding) judge(alpha, share float64, shown func(cell, kernelSHA, fingerprint string) bool) {
	f.Before.Rate = judge.ClopperPearson(f.Before.Seen, f.Before.Able, judge.IntervalLevel)
	f.After.Rate = judge.ClopperPearson(f.After.Seen, f.After.Able, judge.IntervalLevel)
	real := f.P <= alpha
	switch {
	case f.Before.Seen > 0 && f.After.Seen > 0:
		f.Change = ChangeStill
		if real {
			f.Rate = "less often"
			if f.moreOften() {
				f.Rate = "more often"
			}
		}
		return
	case real && f.Before.Seen == 0:
		f.Change = ChangeNew
	case real:
		f.Change = ChangeFixed
	case f.flaky(shown):
		f.Change = ChangeFlaky
		return
	default:
		f.Change = ChangeUnknown
		f.Need = f.need(share)
	}
	if real && f.sameKernel() {
		f.Note = "the kernel image is the same before and after: something else has changed"
	}
}

// need is the forecast for a failure that only one side shows.
func (f *finding) need(share float64) int {
	shown := f.Before
	if f.After.Seen > 0 {
		shown = f.After
	}
	if n, ok := judge.RunsToTell(shown.Seen, shown.Able, share); ok {
		return n
	}
	return -1
}
