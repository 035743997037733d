package results

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"patchproof/results/judge"
)

// ReadRecorded reads a campaign's folder for the reporters.
func ReadRecorded(dir string) (Recorded, error) {
	c, runs, err := Load(dir)
	return Recorded{Campaign: c, Runs: runs}, err
}

// AskedError says that what was asked for cannot be had: of this kind of
// campaign, of these two campaigns, or with this value.
type AskedError struct{ Err error }

func (e *AskedError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *AskedError) Unwrap() error { return e.Err }

func asked(format string, args ...any) error { return &AskedError{fmt.Errorf(format, args...)} }

// The verdicts of a campaign that is no verification.
const (
	Failing    judge.Verdict = "failing"    // a run failed
	Passing    judge.Verdict = "passing"    // all that was to run has run, and was clean
	Incomplete judge.Verdict = "incomplete" // there are too few runs to say so
)

// Answers are all verdicts that a campaign can have.
func Answers() []string {
	return []string{string(judge.Fixed), string(judge.NotFixed), string(judge.Regressed), string(judge.NotReproduced), string(judge.Inconclusive),
		string(judge.Error), string(Failing), string(Passing), string(Incomplete), string(Tuned), string(LittleToGain), string(NothingFound)}
}

// withEarlier returns the cells of a matrix, those that were not run because
// nothing had changed as the campaign that measured them has them, if it is there.
func (r Recorded) withEarlier() []CellResult {
	cells := Cells(r.Campaign, r.Runs)
	known := map[string][]CellResult{}
	for i, c := range cells {
		from := c.Cell.MeasuredIn
		if !validID(from) {
			continue
		}
		if _, isRead := known[from]; !isRead {
			known[from] = nil
			if then, runs, err := Load(filepath.Join(filepath.Dir(r.Campaign.Dir), from)); err == nil {
				known[from] = Cells(then, runs)
			}
		}
		for _, then := range known[from] {
			if then.Cell.Key == c.Cell.Key {
				cells[i] = then
			}
		}
	}
	return cells
}

// Verdict draws the verdict of a campaign that is no bisection from its runs.
func (r Recorded) Verdict() judge.Verdict {
	switch {
	case r.Campaign.Verifies():
		return Rejudge(r.Campaign, r.Runs).Decision.Verdict
	case r.Campaign.Tune != nil:
		return TuneOf(r.Campaign, r.Runs).Answer
	case r.Campaign.Matrix != nil:
		cells := r.withEarlier()
		if slices.ContainsFunc(cells, func(c CellResult) bool { return c.State.Bad() }) {
			return Failing
		}
		if len(r.Campaign.Matrix.MissingShards) > 0 || slices.ContainsFunc(cells, func(c CellResult) bool {
			return c.Missing > 0 || c.State == CellInvalid || c.Short()
		}) {
			return Incomplete
		}
		return Passing
	}
	var counts judge.Counts
	whole := true
	for i := range r.Runs {
		if Counted(&r.Runs[i]) {
			counts.Add(r.Runs[i].Outcome)
		} else {
			whole = false // in flight, or stopped
		}
	}
	switch {
	case counts.Reproduced+counts.OtherFailure > 0:
		return Failing
	case counts.Clean > 0 && counts.Invalid == 0 && whole:
		return Passing
	}
	return Incomplete
}

// ShowText writes any campaign for a terminal: a verification as Text does, a
// matrix as a table of its cells, single runs as a list. Of a bisection it only
// says who shows it.
func ShowText(w io.Writer, r Recorded, o TextOptions) error {
	switch {
	case r.Campaign.Kind == KindBisect:
		_, err := fmt.Fprintf(w, "%s is a bisection with %s: 'patchproof bisect log %s' shows it\n", line(r.Campaign.ID), plural(len(r.Runs), "run"), line(r.Campaign.Dir))
		return err
	case r.Campaign.Tune != nil:
		return TuneText(w, r, o)
	case r.Campaign.Verifies():
		return Text(w, Rejudge(r.Campaign, r.Runs), o)
	}
	var b strings.Builder
	s := Summary{Campaign: *r.Campaign, Runs: r.Runs}
	fmt.Fprintf(&b, "%s: %s\n\n", line(r.Campaign.ID), r.Verdict())
	if r.Campaign.Matrix != nil {
		if err := MatrixText(&b, r.Campaign.Matrix, Cells(r.Campaign, r.Runs)); err != nil {
			return err
		}
	}
	if r.Campaign.Matrix == nil || o.Verbose {
		runList(&b, &s)
	}
	badRuns(&b, &s)
	reportTitles(&b, r.Runs)
	warnings(&b, r.Campaign.Warnings)
	repeat(&b, &s)
	_, err := io.WriteString(w, b.String())
	return err
}

// reportTitles lists what the kernels printed, with the place in the source.
func reportTitles(b *strings.Builder, runs []Run) {
	groups := GroupReports(runs)
	if len(groups) == 0 {
		return
	}
	b.WriteString("\nkernel reports\n")
	for i := range groups {
		g := &groups[i]
		mark := "other"
		if g.Signature != "" || g.Benign != "" {
			mark = groupMark(g)
		}
		text := fmt.Sprintf("%s [%s] in %s", line(g.First.Title), mark, plural(g.PreRuns+g.PostRuns, "run"))
		if p := Place(&g.First); p != "" {
			text += ", " + p
		}
		b.WriteString(wrap(text, "  ", "    ", textWidth))
	}
}

// showDocument is what ShowJSON writes of a matrix and of single runs.
type showDocument struct {
	Verdict        judge.Verdict    `json:"verdict"`
	Kind           Kind             `json:"kind"`
	Campaign       campaignDocument `json:"campaign"`
	ElapsedSeconds float64          `json:"elapsed_seconds"`
	Stopped        string           `json:"stopped,omitempty"`
	Failed         string           `json:"failed,omitempty"`
	Cells          []CellResult     `json:"cells,omitempty"`
	Reports        []seenDocument   `json:"reports"`
	Runs           []runDocument    `json:"runs"`
	Warnings       []string         `json:"warnings"`
}

// seenDocument is a kind of report in runs that have no sides.
type seenDocument struct {
	Fingerprint string `json:"fingerprint"`
	Title       string `json:"title"`
	Signature   string `json:"signature,omitempty"`
	Benign      string `json:"benign,omitempty"`
	Place       string `json:"place,omitempty"`
	Runs        int    `json:"runs"`
	FirstRun    string `json:"first_run"`
}

// ShowJSON writes any campaign but a bisection as one JSON document: a
// verification as JSON does.
func ShowJSON(w io.Writer, r Recorded) error {
	c := r.Campaign
	switch {
	case c.Kind == KindBisect:
		return notForReporters(c)
	case c.Tune != nil:
		return TuneJSON(w, r)
	case c.Verifies():
		return JSON(w, Rejudge(c, r.Runs))
	}
	doc := showDocument{Verdict: r.Verdict(), Kind: c.Kind, Campaign: campaignDoc(c), ElapsedSeconds: c.ElapsedSeconds, Stopped: line(c.Stopped), Failed: line(c.Failed),
		Cells: Cells(c, r.Runs), Reports: []seenDocument{}, Runs: []runDocument{}, Warnings: []string{}}
	for _, g := range GroupReports(r.Runs) {
		doc.Reports = append(doc.Reports, seenDocument{Fingerprint: line(g.Fingerprint), Title: line(g.First.Title), Signature: line(g.Signature), Benign: line(g.Benign),
			Place: Place(&g.First), Runs: g.PreRuns + g.PostRuns, FirstRun: g.FirstRun})
	}
	for i := range r.Runs {
		doc.Runs = append(doc.Runs, runDoc(&r.Runs[i], r.Runs[i].counts()))
	}
	for _, text := range c.Warnings {
		doc.Warnings = append(doc.Warnings, line(text))
	}
	return encodeJSON(w, doc)
}

// campaignDoc is a campaign without its runs.
func campaignDoc(c *Campaign) campaignDocument {
	return campaignDocument{ID: c.ID, Dir: c.Dir, Command: append([]string{}, c.Command...), Version: c.Version, Started: c.Started,
		Workload: c.Workload, Shape: c.Shape, PatchTitle: line(c.PatchTitle), Host: c.Host, Rules: c.Rules.WithDefaults(), Perturb: c.Perturb}
}
