package results

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// summaries returns a summary for each verdict, by name of the golden file.
func summaries() map[string]Summary {
	c := sampleCampaign()
	stopped := c
	stopped.Stopped = "the time budget of 20m0s is used up"
	failed := c
	failed.Failed = "no space left in /var/tmp: free 2 GiB"
	limited := c
	limited.Rules.MaxRuns = 8

	withBad := sampleRuns(5, bug, none)
	lost := sampleRun(judge.Post, 6, 11)
	lost.Complete, lost.Failure = false, &GuestFailure{Kind: "qemu-died", Detail: "signal: killed; was it the memory killer? see dmesg on the host"}
	lost.classify()
	cut := sampleRun(judge.Pre, 6, 12)
	cut.Complete, cut.Stopped, cut.HarnessReason = false, true, "stopped before its end: the verdict is decided"
	cut.classify()
	withBad = append(withBad, lost, cut)
	withBad[0].Reports = append(withBad[0].Reports, benignReport())

	hang := sampleRuns(7, bug, none)
	hang[13].Failure, hang[13].Complete = &GuestFailure{Kind: "hang", Detail: "no sign of life for 2m0s", Kernel: true}, false
	hang[13].classify()

	dead := sampleRuns(3, none, bug)
	for i := range dead {
		if dead[i].Side == judge.Pre {
			dead[i].HarnessReason = "phase prepare: the data was not compressed, so the race cannot happen"
			dead[i].classify()
		}
	}
	once := func(i int) []ReportRecord {
		if i == 2 {
			return []ReportRecord{otherReport()}
		}
		return nil
	}
	return map[string]Summary{
		"fixed":               Summarize(c, withBad),
		"not-fixed":           Summarize(c, sampleRuns(1, bug, bug)),
		"regressed":           Summarize(c, sampleRuns(5, none, bug)),
		"regressed-other":     Summarize(c, sampleRuns(6, bug, func(int) []ReportRecord { return []ReportRecord{otherReport()} })),
		"not-reproduced":      Summarize(limited, sampleRuns(8, none, none)),
		"inconclusive":        Summarize(stopped, sampleRuns(3, bug, none)),
		"inconclusive-report": Summarize(stopped, sampleRuns(9, bug, once)),
		"inconclusive-hang":   Summarize(stopped, hang),
		"error":               Summarize(c, dead),
		"error-failed":        Summarize(failed, sampleRuns(2, bug, none)),
	}
}

func TestReporters(t *testing.T) {
	for name, s := range summaries() {
		t.Run(name, func(t *testing.T) {
			if v := string(s.Decision.Verdict); !strings.HasPrefix(name, v) {
				t.Errorf("verdict %s: %s", v, s.Decision.Reason)
			}
			var text, doc bytes.Buffer
			if err := Text(&text, s, TextOptions{TestedBy: "Ada Smith <ada@example.org>", Verbose: name == "fixed"}); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.String())
			if err := JSON(&doc, s); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", doc.String())
			checkMail(t, text.String())
		})
	}
}

// checkMail holds what every block for a mail must keep to.
func checkMail(t *testing.T, text string) {
	t.Helper()
	_, block, ok := strings.Cut(text, mailBegin+"\n")
	block, _, ok2 := strings.Cut(block, mailEnd+"\n")
	if !ok || !ok2 {
		t.Fatal("no block for a mail")
	}
	for _, l := range strings.Split(block, "\n") {
		if len([]rune(l)) > mailWidth || strings.TrimRight(l, " ") != l {
			t.Errorf("line of %d columns or with spaces at its end: %q", len([]rune(l)), l)
		}
	}
	if strings.Contains(block, "\nTested-by: ") != strings.Contains(block, "patchproof: fixed,") {
		t.Errorf("Tested-by belongs to fixed, and to nothing else:\n%s", block)
	}
}

// TestHostileText feeds what a guest could print to steer a terminal.
func TestHostileText(t *testing.T) {
	evil := "a\x1b]0;owned\x07\x1b[2Jb\u202e\x9bc\r\nd\x00\xff" + strings.Repeat("x", 300)
	rep := ReportRecord{Report: dmesg.Report{Title: evil, Condition: evil, Macro: evil, Function: evil, File: evil, Fingerprint: evil, Text: evil,
		Trace: []dmesg.Frame{{Function: evil, Module: evil, Offset: 1}}}, PhaseName: evil}
	c := sampleCampaign()
	c.Stopped, c.Workload, c.PatchTitle, c.Shape, c.Warnings = evil, evil, evil, evil, []string{evil}
	c.Pre.Label, c.Post.Release, c.Command, c.Dir = evil, evil, []string{evil}, evil
	runs := sampleRuns(3, func(int) []ReportRecord { return nil }, func(int) []ReportRecord { return []ReportRecord{rep} })
	runs[0].HarnessReason, runs[1].Failure = evil, &GuestFailure{Kind: evil, Detail: evil, Kernel: true}
	runs[0].classify()
	s := Summarize(c, runs)
	var text, doc bytes.Buffer
	if err := Text(&text, s, TextOptions{Verbose: true}); err != nil {
		t.Fatal(err)
	}
	for i, r := range text.String() {
		if r != '\n' && (r != unicode.ReplacementChar && !unicode.IsPrint(r)) {
			t.Fatalf("%U reaches the terminal: %.60q", r, text.String()[max(0, i-20):])
		}
	}
	checkMail(t, text.String())
	if err := JSON(&doc, s); err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if err := json.Unmarshal(doc.Bytes(), &back); err != nil {
		t.Fatalf("not JSON: %v", err)
	}
}

// TestJSONNames holds the names that scripts rely on.
func TestJSONNames(t *testing.T) {
	var doc bytes.Buffer
	if err := JSON(&doc, summaries()["fixed"]); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Verdict    string  `json:"verdict"`
		Confidence float64 `json:"confidence"`
		Elapsed    float64 `json:"elapsed_seconds"`
		Reports    []map[string]any
		Pre, Post  struct {
			Runs, Reproduced, Clean, Invalid int
			RateLow                          float64 `json:"rate_low"`
			Kernel                           struct{ Release string }
		}
	}
	if err := json.Unmarshal(doc.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Verdict != "fixed" || got.Confidence < 0.99 || got.Confidence > 1 || got.Elapsed == 0 || len(got.Reports) != 2 ||
		got.Pre.Runs != 5 || got.Pre.Reproduced != 5 || got.Pre.RateLow < 0.5 || got.Post.Clean != 5 || got.Post.Invalid != 1 || got.Pre.Kernel.Release == "" {
		t.Errorf("%+v", got)
	}
}

func TestTestedBy(t *testing.T) {
	s := summaries()["fixed"]
	for _, bad := range []string{"Ada", "ada@example.org", "Ada <ada>", "Ada <a@b.c>\nBcc: x@y.z"} {
		if err := Text(&bytes.Buffer{}, s, TextOptions{TestedBy: bad}); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	var b bytes.Buffer
	if err := Text(&b, s, TextOptions{}); err != nil || strings.Contains(b.String(), "Tested-by") {
		t.Errorf("Tested-by unasked for (%v)", err)
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "> \n"},
		{"one two three", "> one two\n  three\n"},
		{"abcdefghijklmnop q", "> abcdefgh\n  ijklmnop\n  q\n"},
		{"a bcdefghi", "> a\n  bcdefghi\n"},
	} {
		if got := wrap(tt.text, "> ", "  ", 10); got != tt.want {
			t.Errorf("wrap(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	if got := ShellQuote([]string{"patchproof", "a b", "it's", "", "$x", "k=v"}); got != `patchproof 'a b' 'it'\''s' '' '$x' k=v` {
		t.Error(got)
	}
}
