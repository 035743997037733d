package results

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

const (
	// markdownReports bounds the reports whose text is shown, markdownLines the
	// lines of each.
	markdownReports = 8
	markdownLines   = 40
)

// Markdown writes a campaign for a merge request or a mail, in the dialect that
// GitLab and GitHub share, without HTML. Text from guests stands in code spans
// and code blocks, where it can neither be markup nor call anybody.
func Markdown(w io.Writer, r Recorded) error {
	var b strings.Builder
	switch {
	case r.Campaign.searches():
		return notForReporters(r.Campaign)
	case r.Campaign.Matrix != nil:
		markdownMatrix(&b, &r)
	case r.Campaign.Verifies():
		markdownVerify(&b, &r)
	default:
		markdownRuns(&b, &r)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownVerify(b *strings.Builder, r *Recorded) {
	s := Rejudge(r.Campaign, r.Runs)
	fmt.Fprintf(b, "## patchproof: %s\n\n%s %s\n\n", mdText(Headline(s.Decision)), Meaning(s.Decision.Verdict), mdText(sentence(s.Decision.Reason)))
	if r.Campaign.PatchTitle != "" {
		fmt.Fprintf(b, "Patch: %s\n\n", mdCode(r.Campaign.PatchTitle))
	}
	pre, post := s.Evidence.Pre, s.Evidence.Post
	mdTable(b, [][]string{
		{"", "pre-patch", "post-patch"},
		{"kernel", mdCode(KernelText(r.Campaign.Pre)), mdCode(KernelText(r.Campaign.Post))},
		{"reproduced", kOfN(pre.Reproduced, pre.Trials()), kOfN(post.Reproduced, post.Trials())},
		{fmt.Sprintf("rate (%.0f%% interval)", 100*judge.IntervalLevel), RateText(s.Decision.PreRate, pre.Trials()), RateText(s.Decision.PostRate, post.Trials())},
		{"other failure", fmt.Sprint(pre.OtherFailure), fmt.Sprint(post.OtherFailure)},
		{"invalid", fmt.Sprint(pre.Invalid), fmt.Sprint(post.Invalid)},
	})
	markdownReportsOf(b, s.Runs, func(g *ReportGroup) string {
		return fmt.Sprintf("%s, pre-patch %s, post-patch %s", mdText(groupMark(g)), inRuns(g.PreRuns, g.PreReports), inRuns(g.PostRuns, g.PostReports))
	})
	markdownEnd(b, r.Campaign, s.Warnings)
}

func markdownMatrix(b *strings.Builder, r *Recorded) {
	cells := Cells(r.Campaign, r.Runs)
	count := map[CellState]int{}
	for _, c := range cells {
		count[c.State]++
	}
	var parts []string
	for _, state := range CellStates() {
		if count[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[state], state))
		}
	}
	fmt.Fprintf(b, "## patchproof: matrix %s\n\n%s: %s.\n\n", mdText(r.Campaign.Matrix.Name), plural(len(cells), "cell"), strings.Join(parts, ", "))
	rows := [][]string{{"cell", "state", "reproduced", "rate", "what"}}
	for i := range cells {
		c := &cells[i]
		what := ""
		if len(c.Reports) > 0 {
			what = mdCode(c.Reports[0].Title)
		} else if c.Cell.Skipped != "" {
			what = mdText(c.Cell.Skipped)
		}
		rows = append(rows, []string{mdCode(c.Cell.Key), string(c.State), kOfN(c.Counts.Reproduced, c.Counts.Trials()), RateText(c.Rate, c.Counts.Trials()), what})
	}
	mdTable(b, rows)
	markdownReportsOf(b, r.Runs, func(g *ReportGroup) string {
		return cmp.Or(mdText(g.Signature), "other") + " in " + plural(g.PreRuns+g.PostRuns, "run")
	})
	markdownEnd(b, r.Campaign, r.Campaign.Warnings)
}

func markdownRuns(b *strings.Builder, r *Recorded) {
	fmt.Fprintf(b, "## patchproof: %s of %s\n\nKernel: %s\n\n", plural(len(r.Runs), "run"), mdCode(r.Campaign.Workload), mdCode(KernelText(r.Campaign.Pre)))
	rows := [][]string{{"run", "outcome", "took", "what"}}
	for i := range r.Runs {
		title, what := "", ""
		if title, _ = blame(&r.Runs[i]); title != "" {
			what = mdCode(title)
		}
		rows = append(rows, []string{mdText(r.Runs[i].ID), mdText(cmp.Or(string(r.Runs[i].Outcome), "in flight")), Duration(r.Runs[i].ElapsedSeconds), what})
	}
	mdTable(b, rows)
	markdownReportsOf(b, r.Runs, func(g *ReportGroup) string { return "in " + plural(g.PreRuns+g.PostRuns, "run") })
	markdownEnd(b, r.Campaign, r.Campaign.Warnings)
}

// markdownReportsOf writes what the kernels printed, one block a kind of report.
func markdownReportsOf(b *strings.Builder, runs []Run, mark func(*ReportGroup) string) {
	shown := 0
	groups := GroupReports(runs)
	for i := range groups {
		g := &groups[i]
		if g.Benign != "" && g.Signature == "" {
			continue
		}
		if shown == 0 {
			b.WriteString("\n### Kernel reports\n")
		}
		if shown++; shown > markdownReports {
			b.WriteString("\nThere are others.\n")
			return
		}
		fmt.Fprintf(b, "\n%s (%s)", mdCode(g.First.Title), mark(g))
		if p := Place(&g.First); p != "" {
			b.WriteString(" at " + mdCode(p))
		}
		fmt.Fprintf(b, ", first in %s:\n\n%s", mdText(g.FirstRun), mdBlock(cmp.Or(g.First.Text, g.First.Title)))
	}
}

func markdownEnd(b *strings.Builder, c *Campaign, warnings []string) {
	if len(warnings) > 0 {
		b.WriteString("\n### Warnings\n\n")
		for _, text := range warnings {
			b.WriteString("- " + mdText(text) + "\n")
		}
	}
	b.WriteString("\n### To repeat\n")
	if len(c.Command) > 0 {
		b.WriteString("\n" + mdBlock(line(ShellQuote(c.Command))))
	}
	if guests := guestText(c); guests != "" {
		fmt.Fprintf(b, "\nGuests: %s.\n", mdText(guests))
	}
	fmt.Fprintf(b, "\nCampaign: %s\n", mdCode(c.ID))
}

// mdTable writes rows, the first of which is the header.
func mdTable(b *strings.Builder, rows [][]string) {
	for i, row := range rows {
		for j := range row {
			row[j] = strings.ReplaceAll(row[j], "|", `\|`) // also in code spans
		}
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("| --- ", len(row)) + "|\n")
		}
	}
}

// mdText escapes text that stands among other text. What would call a person or
// an issue is broken with a word joiner, which is not seen.
func mdText(s string) string {
	var b strings.Builder
	for _, r := range line(s) {
		if strings.ContainsRune("\\`*_{}[]()<>#+!|~&:$^=", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		if strings.ContainsRune("@#!", r) {
			b.WriteRune('\u2060')
		}
	}
	return b.String()
}

// mdCode is a code span of text on one line.
func mdCode(s string) string {
	s = strings.TrimSpace(line(s))
	if s == "" {
		return ""
	}
	fence := strings.Repeat("`", longestRun(s)+1)
	pad := ""
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		pad = " "
	}
	return fence + pad + s + pad + fence
}

// mdBlock is a code block, shortened when it is long.
func mdBlock(s string) string {
	s = strings.TrimRight(dmesg.Sanitize(s), "\n")
	lines := strings.Split(s, "\n")
	if len(lines) > markdownLines {
		lines = append(lines[:markdownLines:markdownLines], fmt.Sprintf("[%d more lines]", len(lines)-markdownLines))
	}
	s = strings.Join(lines, "\n")
	fence := strings.Repeat("`", max(3, longestRun(s)+1))
	return fence + "text\n" + s + "\n" + fence + "\n"
}

// longestRun is the length of the longest run of backticks.
func longestRun(s string) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
