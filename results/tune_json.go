package results

import (
	"io"
	"math"

	"patchproof/results/judge"
)

// The document that TuneJSON writes. Names and meaning are documented in
// docs/tune.md and do not change; new ones may be added.
type (
	tuneDocument struct {
		Answer judge.Verdict `json:"answer"`
		Reason string        `json:"reason"`
		// Best is the key of the setting that the gain is of.
		Best     string           `json:"best,omitempty"`
		Gain     *judge.TuneGain  `json:"gain,omitempty"`
		AtMost   float64          `json:"at_most,omitempty"`
		Verdict  float64          `json:"verdict_cpu_seconds,omitempty"`
		MinGain  float64          `json:"min_gain"`
		PlanFile string           `json:"plan_file,omitempty"`
		Knobs    []AxisRecord     `json:"knobs"`
		Unturned []string         `json:"unturned"`
		Settings []tuneSettingDoc `json:"settings"`
		Runs     []tuneRunDoc     `json:"runs"`
		Warnings []string         `json:"warnings"`
		Elapsed  float64          `json:"elapsed_seconds"`
		Campaign campaignDocument `json:"campaign"`
	}
	tuneSettingDoc struct {
		TuneRow
		SearchRate  *rateDoc `json:"search_rate,omitempty"`
		ConfirmRate *rateDoc `json:"confirm_rate,omitempty"`
	}
	// rateDoc is of reproductions per CPU-second.
	rateDoc struct {
		Estimate float64 `json:"estimate"`
		judge.Interval
	}
	tuneRunDoc struct {
		Setting    string    `json:"setting"`
		Stage      TuneStage `json:"stage"`
		CPUSeconds float64   `json:"cpu_seconds"`
		runDocument
	}
)

// TuneJSON writes a tuning as one JSON document, followed by a newline.
func TuneJSON(w io.Writer, r Recorded) error {
	c := r.Campaign
	t := TuneOf(c, r.Runs)
	doc := tuneDocument{Answer: t.Answer, Reason: line(t.Reason), Verdict: t.VerdictSeconds, MinGain: c.Tune.MinGain, PlanFile: c.Tune.PlanFile,
		Knobs: append([]AxisRecord{}, c.Tune.Knobs...), Unturned: append([]string{}, c.Tune.Unturned...), Runs: []tuneRunDoc{},
		Warnings: append([]string{}, c.Warnings...), Elapsed: c.ElapsedSeconds, Campaign: campaignDoc(c)}
	if t.Best >= 0 {
		doc.Best, doc.Gain = t.Rows[t.Best].Key, &t.Gain
	}
	if most := t.AtMost(); !math.IsInf(most, 1) {
		doc.AtMost = most
	}
	for _, row := range t.Rows {
		for i := range row.Reports {
			row.Reports[i].Title = line(row.Reports[i].Title)
		}
		doc.Settings = append(doc.Settings, tuneSettingDoc{row, rateOf(row.Search), rateOf(row.Confirm)})
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		doc.Runs = append(doc.Runs, tuneRunDoc{run.Setting, run.Stage, TuneRunOf(run).CPU, runDoc(run, run.counts())})
	}
	return encodeJSON(w, doc)
}

func rateOf(t judge.TuneTally) *rateDoc {
	iv, ok := t.Interval()
	if !ok {
		return nil
	}
	return &rateDoc{t.Rate(), iv}
}
