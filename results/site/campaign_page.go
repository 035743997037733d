package site

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
)

// runRows bounds the runs that one page lists.
const runRows = 1000

// campaignBody is a verification, single runs, or a bisection.
type campaignBody struct {
	head
	Sides    []side
	Rates    template.HTML
	Groups   []reportGroup
	Runs     runTable
	Filter   filter
	Bisect   *bisectBody
	Tune     *tuneBody
	IsVerify bool
	Time     *timeSpent
}

// head is what the pages of all kinds of campaigns begin with.
type head struct {
	State    state
	Headline string
	Meaning  string
	Reason   string
	Perturb  string
	Facts    []fact
	Progress *progress
	Commands []command
	Warnings []string
	Kernels  []kernelView
	PlanHref string
}

// progress is what is under way in a campaign that runs.
type progress struct {
	Done, Total int
	What        string // "cells", "runs"
	Runs        []flight
}

// flight is a run that is under way.
type flight struct {
	ID, Href, What, Phase string
	Started               time.Time
}

// side is one kernel of a verification.
type side struct {
	Name, Kernel string
	Counts       judge.Counts
	Trials       int
	Rate         string
}

// reportGroup is a kind of report of a campaign.
type reportGroup struct {
	State     state
	Title     string
	Condition string
	Place     string
	Note      string // why it is benign, that it is new on post
	Seen      string
	First     link
}

// runTable lists runs.
type runTable struct {
	Rows  []runRow
	Left  int // runs that are not listed
	Cells bool
}

type runRow struct {
	ID, Href, Kernel, Cell, CellHref string
	State                            state
	Counted                          bool // in the statistics
	Started                          time.Time
	Elapsed                          float64 // seconds
	Why                              string
	Reports                          int
}

// campaignPage draws the page of a verification, of single runs or of a
// bisection.
func (s *Site) campaignPage(c *campaign) (File, error) {
	body := campaignBody{head: s.head(c), IsVerify: c.isVerify()}
	summary := results.Summarize(endedForm(c), c.Runs)
	body.Warnings = c.Warnings
	if body.IsVerify {
		body.Warnings = summary.Warnings
		body.verdict(c, &summary)
	}
	body.Warnings = slices.Concat(body.Warnings, c.Problems)
	body.sides(c, &summary)
	for _, g := range results.GroupReports(summary.Runs) {
		body.Groups = append(body.Groups, groupView(c, &g))
	}
	body.Runs = c.runTable(c.Runs)
	body.Filter = body.Runs.filter()
	var err error
	if body.Rates, err = body.ratesPlot(&summary); err != nil {
		return File{}, err
	}
	if body.Time, err = timeView(summary.Runs); err != nil {
		return File{}, err
	}
	if c.Kind == results.KindBisect {
		if body.Bisect, err = bisectView(c); err != nil {
			body.Warnings = append(body.Warnings, err.Error())
		} else if !c.Running {
			body.State = stateOf(body.Bisect.state())
		}
	}
	if c.Tune != nil {
		body.tuning(c)
	}
	p := c.page(c.title())
	p.Body = body
	return s.render("campaign", p)
}

func (c *campaign) isVerify() bool {
	return c.Kind == results.KindVerify || c.Kind == "" && (c.Post.SHA256 != "" || c.Post.Label != "" || c.Decision != nil)
}

func (c *campaign) kindText() string {
	switch {
	case c.isVerify():
		return "verification"
	case c.Kind == results.KindBisect:
		return "bisection"
	case c.Kind == results.KindMatrix:
		return "matrix"
	case c.Kind == results.KindTune:
		return "tuning"
	}
	return "single runs"
}

func (c *campaign) title() string {
	return fmt.Sprintf("%s, %s of %s", cmp.Or(c.Workload, c.ID), c.kindText(), c.Started.UTC().Format("2006-01-02 15:04"))
}

// endedForm is the campaign as Summarize needs it to draw a final verdict of
// what was broken off.
func endedForm(c *campaign) results.Campaign {
	out := c.Campaign
	if out.Decision == nil && out.Stopped == "" && out.Failed == "" && !c.Running {
		out.Stopped = "the campaign was broken off"
	}
	return out
}

func (s *Site) head(c *campaign) head {
	h := head{State: stateOf(c.stateName()), Commands: c.commands()}
	if c.Perturb != nil {
		h.Perturb = results.PerturbText(c.Perturb)
	}
	if len(c.Plan) > 0 {
		h.PlanHref = planName
	}
	h.Facts = c.facts()
	h.Kernels = s.kernels(c)
	if c.Running {
		h.Progress = c.progress()
	}
	return h
}

// stateName is the state of a campaign that has no verdict of its own.
func (c *campaign) stateName() string {
	switch {
	case c.Running:
		return "running"
	case c.Failed != "":
		return "error"
	case c.Decision != nil:
		return string(c.Decision.Verdict)
	case c.Stopped != "":
		return "stopped"
	}
	var n judge.Counts
	for i := range c.Runs {
		if results.Counted(&c.Runs[i]) {
			n.Add(c.Runs[i].Outcome)
		}
	}
	switch {
	case n.Reproduced+n.OtherFailure > 0:
		return "failing"
	case n.Clean > 0:
		return "passing"
	}
	return "broken-off"
}

func (c *campaign) facts() []fact {
	facts := []fact{{"Started", c.Started}}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{name, value})
		}
	}
	if c.ElapsedSeconds > 0 {
		add("Took", results.Duration(c.ElapsedSeconds))
	}
	add("Workload", c.Workload)
	add("Patch", c.PatchTitle)
	add("Guests", joined(", ", c.Shape, c.Host.Accel))
	add("Host", joined(", ", kernelOf(c.Host), c.Host.QEMU))
	add("patchproof", c.Version)
	add("Stopped", c.Stopped)
	add("Failed", c.Failed)
	add("Folder", c.Dir)
	return facts
}

func kernelOf(h results.Host) string {
	text := h.Kernel
	if text != "" {
		text = "Linux " + text
	}
	if h.CPUs > 0 {
		text = joined(", ", text, plural(h.CPUs, "CPU"))
	}
	return text
}

func (c *campaign) progress() *progress {
	p := &progress{What: "runs"}
	for i := range c.Runs {
		r := &c.Runs[i]
		if !c.Open[r.ID] {
			p.Done++
			continue
		}
		p.Runs = append(p.Runs, flight{ID: r.ID, Href: r.ID + ".html", What: cmp.Or(r.Cell, results.KernelText(r.Kernel)), Phase: lastPhase(r), Started: r.Started})
	}
	return p
}

func lastPhase(r *results.Run) string {
	if len(r.Phases) == 0 {
		return "boot"
	}
	return "after " + r.Phases[len(r.Phases)-1].Name
}

// verdict fills in what a verification says.
func (b *campaignBody) verdict(c *campaign, s *results.Summary) {
	if c.Running && !s.Decision.Decided {
		b.Reason = s.Decision.Reason
		return
	}
	b.State = stateOf(string(s.Decision.Verdict))
	b.Headline = results.Headline(s.Decision)
	b.Meaning = results.Meaning(s.Decision.Verdict)
	b.Reason = s.Decision.Reason
}

func (b *campaignBody) sides(c *campaign, s *results.Summary) {
	add := func(name string, k results.KernelRecord, n judge.Counts, iv judge.Interval) {
		b.Sides = append(b.Sides, side{name, results.KernelText(k), n, n.Trials(), results.RateText(iv, n.Trials())})
	}
	switch {
	case b.IsVerify:
		add("before the patch", c.Pre, s.Evidence.Pre, s.Decision.PreRate)
		add("after the patch", c.Post, s.Evidence.Post, s.Decision.PostRate)
	case c.Kind != results.KindBisect && c.Kind != results.KindTune:
		add("the kernel", c.Pre, s.Evidence.Pre, s.Decision.PreRate)
	}
}

func (b *campaignBody) ratesPlot(s *results.Summary) (template.HTML, error) {
	var points []ratePoint
	intervals := []judge.Interval{s.Decision.PreRate, s.Decision.PostRate}
	for i, sd := range b.Sides {
		if sd.Trials > 0 {
			points = append(points, ratePoint{Label: sd.Name, K: sd.Counts.Reproduced, N: sd.Trials, Rate: intervals[i], Color: toneColor(sd.Counts.Reproduced)})
		}
	}
	if len(points) == 0 {
		return "", nil
	}
	label := fmt.Sprintf("How often the bug shows, with %.0f%% intervals:", 100*judge.IntervalLevel)
	for _, p := range points {
		label += fmt.Sprintf(" %s %d of %d.", p.Label, p.K, p.N)
	}
	return ratesPlot(points, label)
}

func groupView(c *campaign, g *results.ReportGroup) reportGroup {
	r := &g.First
	v := reportGroup{Title: r.Title, Condition: r.ConditionText(), Place: results.Place(r), State: stateOf("other-failure")}
	switch {
	case g.Signature != "":
		v.State, v.Note = stateOf("reproduced"), "the bug"
	case g.Benign != "":
		v.State, v.Note = state{"benign", "idle", "–"}, "benign: "+g.Benign
	case c.isVerify() && g.NewOnPost():
		v.Note = "new after the patch"
	case r.FollowUp:
		v.Note = "follows another failure"
	}
	if c.isVerify() {
		v.Seen = fmt.Sprintf("before: %s; after: %s", inRuns(g.PreRuns, g.PreReports), inRuns(g.PostRuns, g.PostReports))
	} else {
		v.Seen = inRuns(g.PreRuns+g.PostRuns, g.PreReports+g.PostReports)
	}
	v.First = link{g.FirstRun, g.FirstRun + ".html#reports"}
	return v
}

func inRuns(runs, reports int) string {
	text := "in " + plural(runs, "run")
	if reports > runs {
		text += fmt.Sprintf(" (%d reports)", reports)
	}
	return text
}

// runTable lists runs. When they are too many, those that went wrong come
// first, because they are what a reader looks for.
func (c *campaign) runTable(runs []results.Run) runTable {
	t := runTable{Cells: c.Matrix != nil}
	pick := func(wrong bool) {
		for i := range runs {
			r := &runs[i]
			if len(runs) > runRows && (r.Outcome == judge.Clean) == wrong {
				continue
			}
			if len(t.Rows) == runRows {
				t.Left++
				continue
			}
			t.Rows = append(t.Rows, c.runRow(r))
		}
	}
	pick(true)
	if len(runs) > runRows {
		pick(false)
	}
	return t
}

func (t *runTable) filter() (f filter) {
	for i := range t.Rows {
		f.States = addWord(f.States, t.Rows[i].State.Name)
		f.Kernels = addWord(f.Kernels, t.Rows[i].Kernel)
	}
	return f
}

func (c *campaign) runRow(r *results.Run) runRow {
	row := runRow{ID: r.ID, Href: r.ID + ".html", Kernel: results.KernelText(r.Kernel), Cell: r.Cell,
		State: c.runState(r), Counted: results.Counted(r), Started: r.Started, Elapsed: r.ElapsedSeconds,
		Why: cmp.Or(r.Reason, r.InvalidReason), Reports: len(r.Reports)}
	if r.Commit != "" {
		row.Kernel = shortCommit(r.Commit)
	}
	if r.Cell != "" && c.Matrix != nil {
		row.CellHref = cellFile(r.Cell)
	}
	if c.Open[r.ID] {
		row.Why = ""
	}
	return row
}

func (c *campaign) runState(r *results.Run) state {
	switch {
	case c.inFlight(r):
		return stateOf("running")
	case !results.Counted(r):
		return stateOf("stopped")
	}
	return stateOf(string(r.Outcome))
}

func shortCommit(commit string) string { return commit[:min(12, len(commit))] }
