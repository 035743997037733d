package results

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"patchproof/results/judge"
)

// CompareText writes a comparison for a terminal. Text from guests is stripped of
// what could steer it.
func CompareText(w io.Writer, c Comparison) error {
	var b strings.Builder
	before := line(strings.Join(c.Before, ", "))
	b.WriteString(wrap(before, "before: ", "        ", textWidth))
	b.WriteString("after:  " + line(c.After) + "\n")
	fmt.Fprintf(&b, "%s compared at confidence %s: %d new, %d fixed, %d still there, %d flaky, %d that cannot be told\n",
		plural(c.Cells, "cell"), judge.Percent(c.Confidence), c.Count(ChangeNew), c.Count(ChangeFixed), c.Count(ChangeStill), c.Count(ChangeFlaky), c.Count(ChangeUnknown))
	for _, f := range c.Failures() {
		b.WriteString("\n" + wrap(f.headline(), "", "  ", textWidth))
		findings := f.Findings
		if len(findings) == 2 && findings[0].Cell == "" {
			findings = findings[1:] // one cell is all cells together
		}
		var rows [][]string
		for i := range findings {
			rows = append(rows, findings[i].row())
		}
		columns(&b, rows)
	}
	if len(c.Apart) > 0 {
		b.WriteString("\nnot compared\n")
		for _, text := range c.Apart {
			b.WriteString(wrap(line(text), "  - ", "    ", textWidth))
		}
	}
	warnings(&b, c.Warnings)
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Failure) headline() string {
	text := fmt.Sprintf("%s: %s [%s]", f.Change.words(), f.Title, f.Fingerprint)
	if f.Signature {
		text += ", the bug looked for"
	}
	return text
}

func (f *Finding) row() []string {
	answer := f.Change.words()
	switch {
	case f.Rate != "":
		answer += ", " + f.Rate
	case f.Need > 0:
		answer += fmt.Sprintf(": it takes %s a side", plural(f.Need, "run"))
	case f.Need < 0:
		answer += ": no reasonable number of runs is enough at this rate"
	}
	if f.Note != "" {
		answer += " (" + f.Note + ")"
	}
	return []string{"  " + cmp.Or(line(f.Cell), "together"), "before " + kOfN(f.Before.Seen, f.Before.Able), "after " + kOfN(f.After.Seen, f.After.Able),
		fmt.Sprintf("p %.2g", f.P), answer}
}

func (c Change) words() string {
	if c == ChangeUnknown {
		return "cannot tell"
	}
	return string(c)
}

// CompareJSON writes a comparison as one JSON document, followed by a newline.
func CompareJSON(w io.Writer, c Comparison) error {
	counts := map[Change]int{}
	for _, change := range []Change{ChangeNew, ChangeFixed, ChangeStill, ChangeFlaky, ChangeUnknown} {
		counts[change] = c.Count(change)
	}
	warnings := []string{}
	for _, text := range c.Warnings {
		warnings = append(warnings, line(text))
	}
	c.Warnings = warnings
	return encodeJSON(w, struct {
		Comparison
		Failures map[Change]int `json:"failures"`
	}{c, counts})
}
