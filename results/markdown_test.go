package results

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func markdownOf(t *testing.T, r Recorded) string {
	t.Helper()
	var b bytes.Buffer
	if err := Markdown(&b, r); err != nil {
		t.Fatal(err)
	}
	if faults := markdownFaults(b.String()); len(faults) > 0 {
		t.Errorf("%s:\n%s", r.Campaign.ID, strings.Join(faults, "\n"))
	}
	return b.String()
}

var fenceLine = regexp.MustCompile("^(`{3,})(text)?$")

// markdownFaults walks through the document as CommonMark does, as far as that
// is needed to see what is outside of code blocks and code spans: there, no
// character may stand that is markup of others, unless it is escaped.
func markdownFaults(text string) []string {
	var faults []string
	fence := ""
	for _, l := range strings.Split(text, "\n") {
		if m := fenceLine.FindStringSubmatch(l); m != nil && (fence == "" || len(m[1]) >= len(fence) && m[2] == "") {
			if fence == "" {
				fence = m[1]
			} else {
				fence = ""
			}
			continue
		}
		if fence != "" {
			continue
		}
		outside := outsideCode(l)
		outside = regexp.MustCompile(`^(#+ |- |\| |---)`).ReplaceAllString(outside, "")
		for _, bad := range []string{"<", "](", "![", "`", "@", "http://"} {
			if i := strings.Index(outside, bad); i >= 0 && (i == 0 || outside[i-1] != '\\') && !strings.HasPrefix(outside[i:], "@\u2060") {
				faults = append(faults, bad+" outside of code: "+l)
			}
		}
	}
	if fence != "" {
		faults = append(faults, "a code block is not closed")
	}
	return faults
}

// outsideCode removes the code spans of a line.
func outsideCode(l string) string {
	var out strings.Builder
	for i := 0; i < len(l); {
		if l[i] == '\\' && i+1 < len(l) {
			out.WriteString(l[i : i+2])
			i += 2
			continue
		}
		if l[i] != '`' {
			out.WriteByte(l[i])
			i++
			continue
		}
		n := len(l[i:]) - len(strings.TrimLeft(l[i:], "`"))
		end := closing(l[i+n:], n)
		if end < 0 {
			out.WriteString(l[i : i+n])
			i += n
			continue
		}
		i += n + end + n
	}
	return out.String()
}

// closing is where a run of exactly n backticks begins, or -1.
func closing(s string, n int) int {
	for i := 0; i < len(s); {
		if s[i] != '`' {
			i++
			continue
		}
		run := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		if run == n {
			return i
		}
		i += run
	}
	return -1
}

func TestMarkdownGolden(t *testing.T) {
	golden(t, "markdown-verify.md", markdownOf(t, sampleVerify()))
	golden(t, "markdown-matrix.md", markdownOf(t, recordedMatrix()))
	golden(t, "markdown-run.md", markdownOf(t, sampleSingle()))
}

func TestMarkdownCheck(t *testing.T) {
	for _, text := range []string{"<b>", "`", "[a](b)", "hello @someone", "```text\nopen", "`a` <b> `c`"} {
		if len(markdownFaults(text)) == 0 {
			t.Errorf("%q: not noticed", text)
		}
	}
	if faults := markdownFaults("## a\n\n`<b>` ``a`b`` \\<\n```text\n<b> `\n```\n"); len(faults) != 0 {
		t.Errorf("a good document: %q", faults)
	}
}

func TestMarkdownCutsLongReports(t *testing.T) {
	r := sampleSingle()
	r.Runs[1].Reports[0].Text = strings.Repeat("line\n", 500)
	if text := markdownOf(t, r); strings.Count(text, "line\n") > markdownLines+5 || !strings.Contains(text, "[460 more lines]") {
		t.Error("a long report was not cut")
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add(hostile, hostile)
	f.Add("````", "```\n````\n`````")
	f.Add("@all #1 !2", "\\`a")
	f.Fuzz(func(t *testing.T, title, text string) {
		r := sampleSingle()
		rep := &r.Runs[1].Reports[0]
		rep.Title, rep.Text, rep.Function, r.Campaign.Workload, r.Campaign.PatchTitle = title, text, text, title, text
		r.Runs[0].HarnessReason, r.Campaign.Warnings = title, []string{text}
		r.Runs[0].classify()
		markdownOf(t, r)
	})
}
