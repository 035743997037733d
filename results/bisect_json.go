package results

import (
	"io"
	"path/filepath"
	"time"

	"patchproof/results/judge"
)

// The document that BisectJSON writes. Names and meaning are documented in
// docs/bisect.md and do not change; new ones may be added.
type (
	bisectDocument struct {
		Find           judge.Find          `json:"find"`
		Found          bool                `json:"found"`
		Done           bool                `json:"done"`
		Answer         *bisectRow          `json:"answer,omitempty"`
		Candidates     []bisectRow         `json:"candidates"`
		Set            []string            `json:"set"`
		SetProbability float64             `json:"set_probability"`
		ConfidenceGoal float64             `json:"confidence_goal"`
		Reason         string              `json:"reason"`
		EndpointDoubt  string              `json:"endpoint_doubt,omitempty"`
		Stopped        string              `json:"stopped,omitempty"`
		Failed         string              `json:"failed,omitempty"`
		Old            endDocument         `json:"old"`
		New            endDocument         `json:"new"`
		Rate           judge.Interval      `json:"rate"`
		RateMean       float64             `json:"rate_mean"`
		Commits        int                 `json:"commits"`
		Untestable     []bisectRow         `json:"untestable"`
		Counts         judge.Counts        `json:"counts"`
		StoppedRuns    int                 `json:"stopped_runs"`
		Builds         int                 `json:"builds"`
		ElapsedSeconds float64             `json:"elapsed_seconds"`
		Next           *nextDocument       `json:"next,omitempty"`
		Runs           []bisectRunDocument `json:"runs"`
		Warnings       []string            `json:"warnings"`
		Campaign       campaignDocument    `json:"campaign"`
	}
	endDocument struct {
		Rev string `json:"rev"`
		bisectRow
	}
	nextDocument struct {
		Purpose     judge.Purpose `json:"purpose"`
		Commit      string        `json:"commit"`
		Runs        int           `json:"runs"`
		Gain        float64       `json:"gain"`
		RunsLeft    float64       `json:"runs_left"`
		BuildsLeft  float64       `json:"builds_left"`
		SecondsLeft float64       `json:"seconds_left"`
	}
	bisectRunDocument struct {
		ID             string        `json:"id"`
		Commit         string        `json:"commit"`
		Outcome        judge.Outcome `json:"outcome"`
		Counted        bool          `json:"counted"`
		Reason         string        `json:"reason,omitempty"`
		Seed           uint64        `json:"seed,omitempty"`
		Started        time.Time     `json:"started"`
		ElapsedSeconds float64       `json:"elapsed_seconds"`
		Log            string        `json:"log,omitempty"`
	}
)

// maxCandidates bounds the list of candidates in the document.
const maxCandidates = 20

// BisectJSON writes a bisection's state as one JSON document, followed by a
// newline.
func BisectJSON(w io.Writer, b *Bisection) error {
	return encodeJSON(w, viewOf(b).document())
}

func (v *bisectView) document() bisectDocument {
	a, c := v.answer, v.Campaign
	doc := bisectDocument{
		Find: v.Record.Rules.Find, Found: a.Found && len(a.Set) == 1, Done: a.Done,
		Candidates: []bisectRow{}, Set: []string{}, SetProbability: floorTo(a.SetProbability, 1e6), ConfidenceGoal: v.Record.Rules.Confidence,
		Reason: line(a.Reason), EndpointDoubt: line(a.EndpointDoubt), Stopped: line(c.Stopped), Failed: line(c.Failed),
		Old: endDocument{v.Record.Old.Rev, v.row(judge.OldEnd)}, New: endDocument{v.Record.New.Rev, v.row(v.newNode())},
		Rate: a.Rate, RateMean: a.RateMean, Commits: len(v.Record.Commits), Untestable: []bisectRow{},
		Counts: v.counts, StoppedRuns: v.stopped, Builds: v.builds.count, ElapsedSeconds: v.Seconds(),
		Runs: []bisectRunDocument{}, Warnings: v.warnings(),
		Campaign: campaignDoc(c),
	}
	doc.Campaign.Rules = judge.Rules{Confidence: v.Record.Rules.Confidence, MaxRuns: v.Record.Rules.MaxRuns}
	for i, candidate := range a.Ranked {
		if i == maxCandidates {
			break
		}
		doc.Candidates = append(doc.Candidates, v.row(candidate.Node))
	}
	if doc.Found {
		doc.Answer = &doc.Candidates[0]
	}
	for _, node := range a.Set {
		doc.Set = append(doc.Set, v.Commit(node).Commit)
	}
	for node := judge.OldEnd; node < len(v.Record.Commits); node++ {
		if h := v.history[node]; h != nil && h.untestable != "" {
			doc.Untestable = append(doc.Untestable, v.row(node))
		}
	}
	if v.more {
		doc.Next = &nextDocument{Purpose: v.next.Purpose, Commit: v.Commit(v.next.Node).Commit, Runs: v.next.Runs, Gain: v.next.Gain,
			RunsLeft: a.RunsLeft, BuildsLeft: a.BuildsLeft, SecondsLeft: v.secondsLeft(a.RunsLeft, a.BuildsLeft)}
	}
	for i := range v.Runs {
		doc.Runs = append(doc.Runs, bisectRunDoc(&v.Runs[i]))
	}
	return doc
}

func bisectRunDoc(r *Run) bisectRunDocument {
	d := runDoc(r, !r.Stopped)
	out := bisectRunDocument{ID: d.ID, Commit: r.Commit, Outcome: d.Outcome, Counted: d.Counted, Reason: d.Reason, Seed: d.Seed,
		Started: d.Started, ElapsedSeconds: d.ElapsedSeconds}
	if r.Dir != "" {
		out.Log = filepath.Join(r.Dir, "console.log")
	}
	return out
}
