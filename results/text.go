package results

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"patchproof/results/judge"
)

// TextOptions changes what Text prints.
type TextOptions struct {
	// TestedBy is "Name <mail@example.org>"; with it, and a verdict of fixed, the
	// block to paste ends in a Tested-by line.
	TestedBy string
	// Verbose lists every run.
	Verbose bool
	// NoMail leaves the block to paste out.
	NoMail bool
}

const (
	textWidth   = 79 // of all but tables and traces
	traceFrames = 6  // frames of a call trace shown
)

// Text writes the summary for a terminal, without colour. What came from a guest
// is stripped of anything that could steer the terminal. The error is that of w
// or of a TestedBy that is no name and address.
func Text(w io.Writer, s Summary, o TextOptions) error {
	if err := CheckTestedBy(o.TestedBy); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("verdict: " + Headline(s.Decision) + "\n")
	b.WriteString(wrap(Meaning(s.Decision.Verdict), "", "", textWidth))
	if s.Decision.Reason != "" {
		b.WriteString(wrap("Why: "+sentence(line(s.Decision.Reason)), "", "", textWidth))
	}
	if s.Campaign.Perturb != nil {
		b.WriteString(wrap(PerturbText(s.Campaign.Perturb), "", "", textWidth))
	}
	sides(&b, &s)
	reports(&b, &s)
	if o.Verbose {
		runList(&b, &s)
	}
	badRuns(&b, &s)
	warnings(&b, s.Warnings)
	if s.Plain != nil {
		confirmation(&b, s.Plain)
	}
	repeat(&b, &s)
	if !o.NoMail {
		b.WriteString("\n" + mailBegin + "\n" + mailText(&s, o) + mailEnd + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// confirmation writes what plain kernels said of a verdict on perturbed ones.
func confirmation(b *strings.Builder, plain *Summary) {
	b.WriteString("\non plain kernels: " + Headline(plain.Decision) + "\n")
	if plain.Decision.Reason != "" {
		b.WriteString(wrap(sentence(line(plain.Decision.Reason)), "", "", textWidth))
	}
	sides(b, plain)
	badRuns(b, plain)
	warnings(b, plain.Warnings)
}

// sentence puts a capital first and a full stop last.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// columns writes rows of cells, aligned, two spaces apart.
func columns(b *strings.Builder, rows [][]string) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		io.WriteString(t, strings.TrimRight(strings.Join(row, "\t"), "\t")+"\n") // a Builder does not fail
	}
	t.Flush()
}

// sides writes the table of the two kernels.
func sides(b *strings.Builder, s *Summary) {
	pre, post := s.Evidence.Pre, s.Evidence.Post
	b.WriteString("\n")
	rows := [][]string{
		{"", "pre-patch", "post-patch"},
		{"  kernel", KernelText(s.Campaign.Pre), KernelText(s.Campaign.Post)},
		{"  reproduced", kOfN(pre.Reproduced, pre.Trials()), kOfN(post.Reproduced, post.Trials())},
		{fmt.Sprintf("  rate (%.0f%% interval)", 100*judge.IntervalLevel), RateText(s.Decision.PreRate, pre.Trials()), RateText(s.Decision.PostRate, post.Trials())},
		{"  clean", fmt.Sprint(pre.Clean), fmt.Sprint(post.Clean)},
		{"  other failure", fmt.Sprint(pre.OtherFailure), fmt.Sprint(post.OtherFailure)},
		{"  invalid", fmt.Sprint(pre.Invalid), fmt.Sprint(post.Invalid)},
	}
	columns(b, rows)
}

// reports writes the reports, one block a fingerprint.
func reports(b *strings.Builder, s *Summary) {
	groups := GroupReports(s.Runs)
	b.WriteString("\nkernel reports\n")
	if len(groups) == 0 {
		b.WriteString("  none\n")
	}
	for i := range groups {
		reportBlock(b, s, &groups[i])
	}
}

func reportBlock(b *strings.Builder, s *Summary, g *ReportGroup) {
	r := &g.First
	b.WriteString(wrap(line(r.Title)+" ["+groupMark(g)+"]", "  ", "    ", textWidth))
	if c := line(r.ConditionText()); c != "" {
		b.WriteString(wrap(c, "    ", "      ", textWidth))
	}
	where := Place(r)
	if where != "" {
		where += ", "
	}
	b.WriteString(wrap(where+"phase "+line(strings.Join(g.Phases, ", ")), "    ", "      ", textWidth))
	b.WriteString(wrap(fmt.Sprintf("pre-patch: %s of %s; post-patch: %s of %s",
		inRuns(g.PreRuns, g.PreReports), plural(s.Evidence.Pre.Runs(), "run"),
		inRuns(g.PostRuns, g.PostReports), plural(s.Evidence.Post.Runs(), "run")), "    ", "      ", textWidth))
	if len(r.Trace) > 0 {
		fmt.Fprintf(b, "    call trace in %s:\n", line(g.FirstRun))
	}
	shown := 0
	for _, f := range r.Trace {
		if f.Unreliable {
			continue
		}
		if shown == traceFrames {
			b.WriteString("      ...\n")
			break
		}
		b.WriteString(wrap(line(frameText(f.Function, f.Offset, f.Size, f.Module, f.Inlined)), "      ", "        ", textWidth))
		shown++
	}
}

func groupMark(g *ReportGroup) string {
	switch {
	case g.Signature != "" && g.Signature != "signature":
		return "the bug: " + line(g.Signature)
	case g.Signature != "":
		return "the bug"
	case g.Benign != "":
		return "benign: " + line(g.Benign)
	case g.NewOnPost():
		return "new on post-patch"
	}
	return "other"
}

// inRuns is "in 3", or "in 3 (12 reports)" when some runs had several.
func inRuns(runs, reports int) string {
	if reports > runs {
		return fmt.Sprintf("in %d (%d reports)", runs, reports)
	}
	return fmt.Sprintf("in %d", runs)
}

func frameText(function string, offset, size uint64, module string, inlined bool) string {
	text := function
	if !inlined && (offset != 0 || size != 0) {
		text += fmt.Sprintf("+%#x/%#x", offset, size)
	}
	if module != "" {
		text += " [" + module + "]"
	}
	if inlined {
		text += " (inlined)"
	}
	return text
}

func runList(b *strings.Builder, s *Summary) {
	b.WriteString("\nruns\n")
	var rows [][]string
	for i := range s.Runs {
		r := &s.Runs[i]
		rows = append(rows, []string{"  " + line(r.ID), cmp.Or(line(string(r.Outcome)), "in flight"), Duration(r.ElapsedSeconds),
			plural(len(r.Reports), "report"), line(cmp.Or(r.Reason, r.InvalidReason))})
	}
	columns(b, rows)
}

// badRuns lists the runs that say nothing about the bug, and why.
func badRuns(b *strings.Builder, s *Summary) {
	for _, part := range []struct {
		title   string
		outcome judge.Outcome
		stopped bool
	}{
		{"other failures", judge.OtherFailure, false},
		{"invalid runs", judge.Invalid, false},
		{"runs stopped before their end, not counted", judge.Invalid, true},
	} {
		title := part.title
		for i := range s.Runs {
			r := &s.Runs[i]
			if r.Outcome != part.outcome || !r.counts() != part.stopped {
				continue
			}
			if title != "" {
				b.WriteString("\n" + title + "\n")
				title = ""
			}
			b.WriteString(wrap(line(cmp.Or(r.Reason, r.InvalidReason)), "  "+line(r.ID)+"  ", "    ", textWidth))
		}
	}
}

func warnings(b *strings.Builder, list []string) {
	if len(list) == 0 {
		return
	}
	b.WriteString("\nwarnings\n")
	for _, text := range list {
		b.WriteString(wrap(line(text), "  - ", "    ", textWidth))
	}
}

func repeat(b *strings.Builder, s *Summary) {
	c := &s.Campaign
	b.WriteString("\nto repeat\n")
	if len(c.Command) > 0 {
		b.WriteString("  " + line(ShellQuote(c.Command)) + "\n")
	}
	if guests := guestText(c); guests != "" {
		b.WriteString(wrap("guests: "+guests, "  ", "    ", textWidth))
	}
	if c.Dir != "" {
		b.WriteString("  logs and records: " + line(c.Dir) + "\n")
	}
	if c.ElapsedSeconds > 0 {
		b.WriteString("  took " + Duration(c.ElapsedSeconds) + "\n")
	}
}
