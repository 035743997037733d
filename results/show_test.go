package results

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"patchproof/results/judge"
)

func TestShowGolden(t *testing.T) {
	for name, r := range map[string]Recorded{"show-matrix": recordedMatrix(), "show-run": sampleSingle()} {
		r.Campaign.Matrix.axesOf("compress")
		var text, doc bytes.Buffer
		if err := ShowText(&text, r, TextOptions{Verbose: true}); err != nil {
			t.Fatal(err)
		}
		if err := ShowJSON(&doc, r); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", text.String())
		golden(t, name+".json", doc.String())
		if strings.ContainsAny(text.String()+doc.String(), "\x1b\x00\u202e") || !json.Valid(doc.Bytes()) {
			t.Errorf("%s: control characters came through, or the document is no JSON", name)
		}
	}
}

// axesOf gives a matrix the axis that its cells have.
func (m *MatrixRecord) axesOf(name string) {
	if m != nil {
		m.Axes = []AxisRecord{{Name: name}}
	}
}

// A verification is shown as it always was.
func TestShowVerify(t *testing.T) {
	r := sampleVerify()
	var shown, want bytes.Buffer
	if err := ShowText(&shown, r, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := Text(&want, Rejudge(r.Campaign, r.Runs), TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if shown.String() != want.String() || !strings.Contains(want.String(), "verdict: fixed") {
		t.Errorf("%s\nwant\n%s", &shown, &want)
	}
}

func TestShowBisect(t *testing.T) {
	r := Recorded{Campaign: &Campaign{ID: "b", Dir: "/r/b", Kind: KindBisect}}
	var b bytes.Buffer
	if err := ShowText(&b, r, TextOptions{}); err != nil || !strings.Contains(b.String(), "patchproof bisect log /r/b") {
		t.Errorf("%q, %v", &b, err)
	}
	if err := ShowJSON(&b, r); err == nil {
		t.Error("a bisection as JSON: no error")
	}
}

func TestRecordedVerdict(t *testing.T) {
	matrix := func(cells map[string]string) Recorded { return nightOf("m", "k1", cells) }
	skipped := matrix(map[string]string{"x": "c"})
	skipped.Campaign.Matrix.Cells = append(skipped.Campaign.Matrix.Cells, CellRecord{Key: "y", Repeat: 2, MeasuredIn: "earlier", Skipped: "unchanged"})
	single := func(n int, more ...func(*Run)) Recorded {
		r := sampleSingle()
		r.Runs = r.Runs[:n:n]
		for i, change := range more {
			run := sampleRun(judge.Pre, n+i+1, n+i+1)
			change(&run)
			run.classify()
			r.Runs = append(r.Runs, run)
		}
		return r
	}
	for _, test := range []struct {
		name string
		r    Recorded
		want judge.Verdict
	}{
		{"verification", sampleVerify(), judge.Fixed},
		{"matrix with a bug", matrix(map[string]string{"x": "c", "y": "cb"}), Failing},
		{"matrix with another failure", matrix(map[string]string{"x": "f"}), Failing},
		{"clean matrix", matrix(map[string]string{"x": "c", "y": "ccc"}), Passing},
		{"invalid cell", matrix(map[string]string{"x": "c", "y": "ii"}), Incomplete},
		{"runs missing", matrix(map[string]string{"x": "c", "y": ""}), Incomplete},
		{"measured earlier, and that is gone", skipped, Incomplete},
		{"no runs", single(0), Incomplete},
		{"a clean run", single(1), Passing},
		{"a clean run and an invalid one", single(1, func(r *Run) { r.HarnessReason = "the host's disk is full" }), Incomplete},
		{"a clean run and a stopped one", single(1, func(r *Run) { r.HarnessReason, r.Stopped = "stopped", true }), Incomplete},
		{"a bad run", single(2), Failing},
	} {
		if got := test.r.Verdict(); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
