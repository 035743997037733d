package results

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"patchproof/results/judge"
)

// The answers of a tuning, beside Incomplete.
const (
	Tuned        judge.Verdict = "tuned"          // a setting is better by as much as was asked for
	LittleToGain judge.Verdict = "little-to-gain" // the start cannot be made much better, or was not
	NothingFound judge.Verdict = "nothing-found"  // no setting can be taken
)

// TuneStage is what a run of a tuning was for.
type TuneStage string

// The stages, in their order.
const (
	StageStart   TuneStage = "start"   // the rate of the start, on the pre kernel
	StageSearch  TuneStage = "search"  // a rung of the search, on the pre kernel
	StageConfirm TuneStage = "confirm" // a setting that was chosen, on the pre kernel
	StagePost    TuneStage = "post"    // the same on the post kernel
)

// TuneRecord is what a campaign of KindTune tries. What the settings showed is in
// the campaign's runs, see TuneOf.
type TuneRecord struct {
	// Plan is the name of the plan that the tuned one is made from, and Knobs
	// are what was turned, with all values.
	Plan  string       `json:"plan"`
	Knobs []AxisRecord `json:"knobs"`
	// Unturned says which knobs were left alone, and why.
	Unturned []string `json:"unturned,omitempty"`
	// MinGain is how many times better a setting must be to be taken.
	MinGain       float64 `json:"min_gain"`
	BudgetSeconds float64 `json:"budget_seconds"`
	// Seed is what the settings were drawn with.
	Seed uint64 `json:"seed"`
	// Rungs are those of the search that have begun.
	Rungs []TuneRung `json:"search,omitempty"`
	// Settings are those that were drawn, in that order; the first is the start.
	Settings []TuneSetting `json:"settings"`
	// Answer and Reason are as TuneOf drew them at the end.
	Answer judge.Verdict `json:"answer,omitempty"`
	Reason string        `json:"reason,omitempty"`
	// PlanFile is the path of the tuned plan, once it is written.
	PlanFile string `json:"plan_file,omitempty"`

	// TuneProgress is what it takes to go on with a tuning that was broken off.
	TuneProgress
}

// TuneSetting is a value of each knob.
type TuneSetting struct {
	// Key names the setting by what it has other than the start: "threads=64
	// guest.vcpus=1"; that of the start is TuneStart.
	Key    string            `json:"key"`
	Values map[string]string `json:"values"`
	// Shape is what Campaign has for a verification.
	Shape string `json:"shape"`
	// Rung is the last one that it was in; 0 for the start.
	Rung int `json:"rung,omitempty"`
}

// TuneStart is the key of the start.
const TuneStart = "start"

// LeastPostRuns is how many clean runs on the post kernel a setting must have.
const LeastPostRuns = 3

// TuneRow is a setting with what its runs amount to.
type TuneRow struct {
	TuneSetting
	// Search is of the runs of the search or, for the start, of its own;
	// Confirm of those that were made after the setting had been chosen, which
	// the choice has not made look better than they are.
	Search  judge.TuneTally `json:"search"`
	Confirm judge.TuneTally `json:"confirm"`
	// Post counts the runs on the post kernel.
	Post judge.Counts `json:"post"`
	// Reports are the matching reports of the pre kernel, by fingerprint.
	Reports []CellReport `json:"reports,omitempty"`
	// Refused says why the setting cannot be taken; empty also when it was not
	// looked at closely enough to tell.
	Refused string `json:"refused,omitempty"`

	search, confirm []judge.TuneRun
	prints          [][]string // of each run that reproduced
}

// Tally is the one to judge the setting by.
func (r *TuneRow) Tally() judge.TuneTally {
	if r.Confirm.Runs > 0 {
		return r.Confirm
	}
	return r.Search
}

// TuneResult is a tuning with what its runs amount to.
type TuneResult struct {
	Answer judge.Verdict
	Reason string
	// Rows are the settings in the record's order; the first is the start.
	Rows []TuneRow
	// Best is the index of the setting that was taken or that came nearest to
	// it, -1 when none reproduced; Gain is its gain over the start.
	Best int
	Gain judge.TuneGain
	// FloorSeconds is the least processor time that a run took until its first
	// phase, which no setting can go below; 0 is not known.
	FloorSeconds float64
	// VerdictSeconds is about the processor time that a verification with the
	// start takes; 0 is not known.
	VerdictSeconds float64

	budget, minGain, confidence float64
}

// Start is the start's row.
func (t *TuneResult) Start() *TuneRow { return &t.Rows[0] }

// TuneOf draws a tuning's answer from its runs.
func TuneOf(c *Campaign, runs []Run) TuneResult {
	t := TuneResult{Best: -1, budget: c.Tune.BudgetSeconds, minGain: c.Tune.MinGain, confidence: c.Rules.WithDefaults().Confidence}
	at := map[string]int{}
	for i, s := range c.Tune.Settings {
		t.Rows = append(t.Rows, TuneRow{TuneSetting: s})
		at[s.Key] = i
	}
	if len(t.Rows) == 0 {
		t.Rows = []TuneRow{{TuneSetting: TuneSetting{Key: TuneStart}}}
	}
	for i := range runs {
		if row, ok := at[runs[i].Setting]; ok && c.Tune.Counts(&runs[i]) {
			t.add(&t.Rows[row], &runs[i])
		}
	}
	for i := range t.Rows {
		t.Rows[i].sum()
	}
	for i := range t.Rows[1:] {
		row := &t.Rows[i+1]
		row.Refused = row.refusal(t.Start())
	}
	t.forecast()
	t.choose()
	t.answer(c)
	return t
}

// TuneRunOf is what the judge needs to know of a run.
func TuneRunOf(r *Run) judge.TuneRun {
	out := judge.TuneRun{Outcome: r.Outcome, Cut: r.Stopped}
	if r.CPU != nil {
		out.CPU = r.CPU.Total
	}
	return out
}

func (t *TuneResult) add(row *TuneRow, r *Run) {
	if r.CPU != nil && r.CPU.Ready > 0 && (t.FloorSeconds == 0 || r.CPU.Ready < t.FloorSeconds) {
		t.FloorSeconds = r.CPU.Ready
	}
	switch r.Stage {
	case StagePost:
		if r.counts() {
			row.Post.Add(r.Outcome)
		}
		return
	case StageConfirm:
		row.confirm = append(row.confirm, TuneRunOf(r))
	default:
		row.search = append(row.search, TuneRunOf(r))
	}
	var prints []string
	for _, rep := range observe(r).Reports {
		if !rep.Signature || slices.Contains(prints, rep.Fingerprint) {
			continue
		}
		prints = append(prints, rep.Fingerprint)
		i := slices.IndexFunc(row.Reports, func(known CellReport) bool { return known.Fingerprint == rep.Fingerprint })
		if i < 0 {
			i = len(row.Reports)
			row.Reports = append(row.Reports, CellReport{Fingerprint: rep.Fingerprint, Title: rep.Title, Matches: true})
		}
		row.Reports[i].Runs++
	}
	if len(prints) > 0 {
		row.prints = append(row.prints, prints)
	}
}

func (r *TuneRow) sum() {
	r.Search, r.Confirm = judge.TallyTune(r.search), judge.TallyTune(r.confirm)
}

// refusal says why a setting cannot be taken, as far as its runs tell.
func (r *TuneRow) refusal(start *TuneRow) string {
	switch {
	case r.Search.Broken():
		return fmt.Sprintf("%s invalid", plural(r.Search.Invalid, "run"))
	case r.Post.Reproduced > 0:
		return fmt.Sprintf("the post kernel shows the bug too, in %s", kOfN(r.Post.Reproduced, r.Post.Valid()))
	case r.Post.OtherFailure > 0:
		return fmt.Sprintf("the post kernel is not clean: other failures in %s", kOfN(r.Post.OtherFailure, r.Post.Valid()))
	case len(start.Reports) > 0 && slices.ContainsFunc(r.prints, func(prints []string) bool { return !start.shows(prints) }):
		return "not the same bug: a run reproduced without any report that the start showed"
	case r.Confirm.Runs > 0 && r.Confirm.Reproduced == 0:
		return "it did not reproduce again"
	}
	return ""
}

// shows says that the row has a report with one of the fingerprints.
func (r *TuneRow) shows(prints []string) bool {
	return slices.ContainsFunc(r.Reports, func(rep CellReport) bool { return slices.Contains(prints, rep.Fingerprint) })
}

// Confirmed says that a setting can be taken if it is good enough.
func (r *TuneRow) Confirmed() bool {
	return r.Refused == "" && r.Confirm.Reproduced > 0 && r.Post.Clean >= LeastPostRuns
}

// forecast works out what a verification with the start takes.
func (t *TuneResult) forecast() {
	start := t.Start().Search
	if start.Reproduced == 0 {
		return
	}
	// As judge forecasts a verification that is under way.
	rate := (float64(start.Reproduced) + 0.5) / float64(start.Runs+1)
	if pairs, ok := judge.PairsFor(rate, t.confidence); ok {
		t.VerdictSeconds = 2 * float64(pairs) * start.CPUSeconds / float64(start.Runs)
	}
}

// startIsKnown is how many runs of the start are enough to see that there is
// little to gain.
const startIsKnown = 5

// verdictShare is the part of the budget that a verification with the start may
// take, on one processor, for a search not to be worth it.
const verdictShare = 0.25

// Worth says whether a search is worth its time: whether some setting can be as
// much better as is asked for, and the start needs it. Who asks for anything that
// is better at all, with a least gain of 1 or less, wants it in any case.
func (t *TuneResult) Worth() bool {
	return t.minGain <= 1 || t.Start().Search.Runs < startIsKnown || t.AtMost() >= t.minGain && !t.isQuick()
}

func (t *TuneResult) isQuick() bool {
	return t.VerdictSeconds > 0 && t.VerdictSeconds <= verdictShare*t.budget
}

// choose finds the best setting: the surest of those that were confirmed or,
// without one, of those that were not refused.
func (t *TuneResult) choose() {
	for _, confirmed := range []bool{true, false} {
		tallies := make([]judge.TuneTally, len(t.Rows))
		for i := range t.Rows[1:] {
			if row := &t.Rows[i+1]; row.Refused == "" && (row.Confirmed() || !confirmed) {
				tallies[i+1] = row.Tally()
			}
		}
		if ranked := judge.RankTune(tallies); len(ranked) > 0 {
			t.Best = ranked[0]
			t.Gain, _ = tallies[t.Best].Gain(t.Start().Search)
			return
		}
	}
}

// Enough says that a gain is one: beyond chance, and by as much as was asked for.
// Over a start that never reproduced it has no estimate, and chance alone decides.
func Enough(g judge.TuneGain, minGain float64) bool {
	return g.Low > 1 && (g.Ratio == 0 || g.Ratio >= minGain)
}

// AtMost bounds how many times better than the start any setting can be, by what
// a run costs before its first phase; +Inf is not known.
func (t *TuneResult) AtMost() float64 { return t.Start().Search.AtMost(t.FloorSeconds) }

func (t *TuneResult) answer(c *Campaign) {
	start := t.Start().Search
	switch {
	case t.Best > 0 && t.Rows[t.Best].Confirmed() && Enough(t.Gain, c.Tune.MinGain):
		t.Answer, t.Reason = Tuned, t.gainText()
	case c.Stopped != "" || c.Failed != "" || c.ElapsedSeconds == 0:
		t.Answer, t.Reason = Incomplete, cmp.Or(c.Failed, c.Stopped, "broken off before its end")
	case !t.Worth():
		t.Answer, t.Reason = LittleToGain, t.littleText()
	case t.Best < 0 && start.Reproduced == 0:
		t.Answer, t.Reason = NothingFound, "no setting that can be taken reproduced the bug, nor did the start"
	case t.Best < 0:
		t.Answer, t.Reason = LittleToGain, "no other setting that can be taken reproduced the bug, and the start did"
	default:
		t.Answer, t.Reason = LittleToGain, t.gainText()+fmt.Sprintf("; at least %s times was asked for", times(c.Tune.MinGain))
	}
}

// littleText says why a search is not worth its time.
func (t *TuneResult) littleText() string {
	start := t.Start().Search
	text := fmt.Sprintf("the start reproduces in %s with %.1f CPU-seconds a run", kOfN(start.Reproduced, start.Runs), start.CPUSeconds/float64(start.Runs))
	if t.isQuick() {
		text += fmt.Sprintf("; a verification with it takes about %.0f CPU-seconds, less than a search", t.VerdictSeconds)
	}
	return text + fmt.Sprintf("; no setting can be more than %s times better, as a run takes %.1f CPU-seconds before its first phase", times(t.AtMost()), t.FloorSeconds)
}

// gainText says how much better the best setting is.
func (t *TuneResult) gainText() string {
	row := &t.Rows[t.Best]
	text := "the setting " + row.Key + " reproduces "
	if start := t.Start().Search; start.Runs == 0 {
		text += fmt.Sprintf("at least %s times as often per CPU-second as the start can: not one of its runs came to an end in %.0f CPU-seconds", times(t.Gain.Low), start.LongestCut)
	} else if t.Gain.Ratio == 0 {
		text += fmt.Sprintf("at least %s times as often per CPU-second as the start, which never did in %.0f", times(t.Gain.Low), start.CPUSeconds)
	} else {
		text += fmt.Sprintf("%s times as often per CPU-second as the start (%s to %s)", times(t.Gain.Ratio), times(t.Gain.Low), times(t.Gain.High))
	}
	if row.Confirm.Runs == 0 {
		text += ", by the runs that it was chosen by"
	}
	return text
}

// times is a factor for a reader.
func times(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "any number of"
	case f >= 20:
		return fmt.Sprintf("%.0f", f)
	case f >= 2:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}
