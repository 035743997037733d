package dmesg

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files from what the parser says now")

// goldenReport is what a golden file keeps of a report: all but its text, and
// the trace in a form that people can read in a diff.
type goldenReport struct {
	Report
	Text  string   `json:"text,omitempty"`
	Trace []string `json:"trace,omitempty"`
}

func golden(reports []Report) []byte {
	out := []goldenReport{}
	for _, r := range reports {
		g := goldenReport{Report: r}
		for i, f := range r.Trace {
			if i == 6 {
				break
			}
			g.Trace = append(g.Trace, f.String())
		}
		out = append(out, g)
	}
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(data, '\n')
}

// TestGolden parses every log of testdata and of its corpus and compares with
// *.golden.json. Logs whose names start with "clean-" must have no report of
// more than low severity, whatever their golden file says.
func TestGolden(t *testing.T) {
	logs, err := filepath.Glob("testdata/*.log")
	if err != nil {
		t.Fatal(err)
	}
	corpus, err := filepath.Glob("testdata/corpus/*.log")
	if err != nil {
		t.Fatal(err)
	}
	if len(logs) == 0 || len(corpus) == 0 {
		t.Fatal("testdata or its corpus holds no logs")
	}
	logs = append(logs, corpus...)
	for _, path := range logs {
		name := strings.TrimSuffix(filepath.Base(path), ".log")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			reports, err := Parse(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			checkInvariants(t, data, reports)
			for _, r := range reports {
				if strings.HasPrefix(name, "clean-") && r.Severity > SeverityLow {
					t.Errorf("a report in a clean log: %s", r.Title)
				}
			}
			file := strings.TrimSuffix(path, ".log") + ".golden.json"
			got := golden(reports)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; run go test -args -update and read the new file", err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs from what the parser says; got:\n%s", file, got)
			}
		})
	}
}

// TestGoldenComparisonFails makes sure that a changed report would be noticed.
func TestGoldenComparisonFails(t *testing.T) {
	a := golden([]Report{{Title: "a"}})
	if bytes.Equal(a, golden([]Report{{Title: "b"}})) || bytes.Equal(a, golden(nil)) {
		t.Error("different reports have the same golden form")
	}
}

// checkInvariants checks what holds for every log: byte ranges are ordered and
// inside it, text is safe, and parsing from a report's start finds the report.
func checkInvariants(t *testing.T, log []byte, reports []Report) {
	t.Helper()
	last := int64(0)
	for i := range reports {
		r := &reports[i]
		if r.Start < last || r.Start >= r.End || r.End > int64(len(log)) {
			t.Fatalf("report %d (%s) has range %d-%d after %d in a log of %d bytes", i, r.Title, r.Start, r.End, last, len(log))
		}
		last = r.Start
		for _, s := range []string{r.Text, r.Title, r.Comm, r.File, r.Function, r.HeaderFunction, r.Condition, r.Taint, r.Release} {
			if Sanitize(s) != s || strings.ContainsAny(s, "\x00\x1b\r\x7f") {
				t.Fatalf("report %d (%s) holds text that is not safe: %q", i, r.Title, s)
			}
		}
		for _, f := range r.Trace {
			if s := f.String(); sanitizeLine(s) != s {
				t.Fatalf("report %d (%s) holds a frame that is not safe: %q", i, r.Title, s)
			}
		}
		again, err := Parse(bytes.NewReader(log[r.Start:]))
		if err != nil {
			t.Fatal(err)
		}
		if len(again) == 0 || again[0].Start != 0 || again[0].Kind != r.Kind {
			t.Fatalf("report %d (%s %s): parsing from its start at %d finds %+v", i, r.Kind, r.Title, r.Start, first(again))
		}
	}
}

func first(reports []Report) any {
	if len(reports) == 0 {
		return "nothing"
	}
	return reports[0]
}
