package results

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// The document that JSON writes. Names and meaning are documented in
// docs/verdicts.md and do not change; new ones may be added.
type (
	document struct {
		Verdict        judge.Verdict      `json:"verdict"`
		Decided        bool               `json:"decided"`
		Confidence     float64            `json:"confidence"`
		ConfidenceGoal float64            `json:"confidence_goal"`
		Meaning        string             `json:"meaning"`
		Perturbed      bool               `json:"perturbed"`
		Reason         string             `json:"reason"`
		Pre            sideDocument       `json:"pre"`
		Post           sideDocument       `json:"post"`
		PValue         float64            `json:"p_value"`
		NextNeed       map[judge.Side]int `json:"next_need,omitempty"`
		Reports        []reportDocument   `json:"reports"`
		Runs           []runDocument      `json:"runs"`
		Warnings       []string           `json:"warnings"`
		ElapsedSeconds float64            `json:"elapsed_seconds"`
		Campaign       campaignDocument   `json:"campaign"`
		// Plain is the verdict on plain kernels that confirms this one.
		Plain *document `json:"plain,omitempty"`
	}
	sideDocument struct {
		Runs         int          `json:"runs"`
		Reproduced   int          `json:"reproduced"`
		Clean        int          `json:"clean"`
		OtherFailure int          `json:"other_failure"`
		Invalid      int          `json:"invalid"`
		RateLow      float64      `json:"rate_low"`
		RateHigh     float64      `json:"rate_high"`
		RateLevel    float64      `json:"rate_level"`
		Kernel       KernelRecord `json:"kernel"`
	}
	reportDocument struct {
		Fingerprint string         `json:"fingerprint"`
		Title       string         `json:"title"`
		Kind        dmesg.Kind     `json:"kind"`
		Severity    dmesg.Severity `json:"severity"`
		Condition   string         `json:"condition,omitempty"`
		Function    string         `json:"function,omitempty"`
		File        string         `json:"file,omitempty"`
		Line        int            `json:"line,omitempty"`
		Signature   string         `json:"signature,omitempty"`
		Benign      string         `json:"benign,omitempty"`
		NewOnPost   bool           `json:"new_on_post"`
		Phases      []string       `json:"phases"`
		PreRuns     int            `json:"pre_runs"`
		PostRuns    int            `json:"post_runs"`
		PreReports  int            `json:"pre_reports"`
		PostReports int            `json:"post_reports"`
		FirstRun    string         `json:"first_run"`
		Trace       []string       `json:"trace,omitempty"`
		Text        string         `json:"text,omitempty"`
	}
	runDocument struct {
		ID             string        `json:"id"`
		Side           judge.Side    `json:"side"`
		Outcome        judge.Outcome `json:"outcome"`
		Seed           uint64        `json:"seed,omitempty"`
		Perturb        *PerturbStats `json:"perturb,omitempty"`
		Counted        bool          `json:"counted"`
		Reason         string        `json:"reason,omitempty"`
		Started        time.Time     `json:"started"`
		ElapsedSeconds float64       `json:"elapsed_seconds"`
		Reports        int           `json:"reports"`
		Accel          string        `json:"accel"`
		Shape          string        `json:"shape"`
		Dir            string        `json:"dir,omitempty"`
	}
	campaignDocument struct {
		ID         string        `json:"id"`
		Dir        string        `json:"dir,omitempty"`
		Command    []string      `json:"command"`
		Version    string        `json:"version,omitempty"`
		Started    time.Time     `json:"started"`
		Workload   string        `json:"workload"`
		Shape      string        `json:"shape,omitempty"`
		PatchTitle string        `json:"patch_title,omitempty"`
		Host       Host          `json:"host"`
		Rules      judge.Rules   `json:"rules"`
		Perturb    *Perturbation `json:"perturb,omitempty"`
	}
)

// JSON writes the summary as one JSON document, followed by a newline. Text from
// guests has passed dmesg.Sanitize.
func JSON(w io.Writer, s Summary) error {
	doc := documentOf(&s)
	if s.Plain != nil {
		plain := documentOf(s.Plain)
		doc.Plain = &plain
	}
	return encodeJSON(w, doc)
}

// encodeJSON writes one JSON document, indented and followed by a newline.
func encodeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write the JSON document: %w", err)
	}
	return nil
}

func documentOf(s *Summary) document {
	c, d := &s.Campaign, s.Decision
	rules := c.Rules.WithDefaults()
	doc := document{
		Verdict: d.Verdict, Decided: d.Decided, Confidence: floorTo(d.Confidence, 1e6), ConfidenceGoal: rules.Confidence,
		Meaning: Meaning(d.Verdict), Perturbed: c.Perturb != nil, Reason: line(d.Reason),
		Pre:    sideDoc(s.Evidence.Pre, d.PreRate, c.Pre),
		Post:   sideDoc(s.Evidence.Post, d.PostRate, c.Post),
		PValue: d.PValue, NextNeed: d.NextNeed,
		Reports: []reportDocument{}, Runs: []runDocument{}, Warnings: []string{},
		ElapsedSeconds: c.ElapsedSeconds,
		Campaign:       campaignDoc(c),
	}
	for _, g := range GroupReports(s.Runs) {
		doc.Reports = append(doc.Reports, reportDoc(&g))
	}
	for i := range s.Runs {
		doc.Runs = append(doc.Runs, runDoc(&s.Runs[i], s.Runs[i].counts()))
	}
	for i := range s.Excluded {
		doc.Runs = append(doc.Runs, runDoc(&s.Excluded[i], false))
	}
	for _, text := range s.Warnings {
		doc.Warnings = append(doc.Warnings, line(text))
	}
	return doc
}

func sideDoc(c judge.Counts, iv judge.Interval, k KernelRecord) sideDocument {
	return sideDocument{Runs: c.Runs(), Reproduced: c.Reproduced, Clean: c.Clean, OtherFailure: c.OtherFailure, Invalid: c.Invalid,
		RateLow: iv.Low, RateHigh: iv.High, RateLevel: iv.Level, Kernel: k}
}

func reportDoc(g *ReportGroup) reportDocument {
	r := &g.First
	doc := reportDocument{
		Fingerprint: line(g.Fingerprint), Title: line(r.Title), Kind: r.Kind, Severity: r.Severity,
		Condition: line(r.ConditionText()), Function: line(r.Function), File: line(r.File), Line: r.Line,
		Signature: line(g.Signature), Benign: line(g.Benign), NewOnPost: g.NewOnPost(), Phases: g.Phases,
		PreRuns: g.PreRuns, PostRuns: g.PostRuns, PreReports: g.PreReports, PostReports: g.PostReports,
		FirstRun: g.FirstRun, Text: dmesg.Sanitize(r.Text),
	}
	for _, f := range r.Trace {
		if !f.Unreliable {
			doc.Trace = append(doc.Trace, line(frameText(f.Function, f.Offset, f.Size, f.Module, f.Inlined)))
		}
	}
	return doc
}

func runDoc(r *Run, counted bool) runDocument {
	reason := r.Reason
	if r.Outcome == judge.Invalid {
		reason = r.InvalidReason
	}
	return runDocument{ID: r.ID, Side: r.Side, Outcome: r.Outcome, Seed: r.Seed, Perturb: r.Perturb, Counted: counted && r.Outcome != "", Reason: line(reason),
		Started: r.Started, ElapsedSeconds: r.ElapsedSeconds, Reports: len(r.Reports), Accel: r.Accel, Shape: r.Shape, Dir: r.Dir}
}

// floorTo rounds down, so that a confidence is never shown larger than it is.
func floorTo(v, steps float64) float64 { return math.Floor(v*steps) / steps }
