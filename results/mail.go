package results

import (
	"fmt"
	"net/mail"
	"strings"

	"patchproof/results/judge"
)

// The lines around the block that can be pasted into a mail.
const (
	mailBegin = "------------------------- for a mail to a list -------------------------"
	mailEnd   = "------------------------------------------------------------------------"
	mailWidth = 75
	// mailReports bounds the reports that the mail lists.
	mailReports = 8
)

// CheckTestedBy checks that the text is one name and address, or empty: the tags
// of a mail are read by programs.
func CheckTestedBy(text string) error {
	if text == "" {
		return nil
	}
	a, err := mail.ParseAddress(text)
	if err != nil || a.Name == "" || strings.ContainsAny(text, "\r\n") {
		return fmt.Errorf("%q is not a name and address for Tested-by: write it as \"Ada Smith <ada@example.org>\"", text)
	}
	return nil
}

// mailText returns the block for a mail, in plain text of at most mailWidth columns.
func mailText(s *Summary, o TextOptions) string {
	var b strings.Builder
	put := func(label, text string) {
		if text != "" {
			b.WriteString(wrap(text, label, strings.Repeat(" ", len(label)), mailWidth))
		}
	}
	c := &s.Campaign
	put("patchproof: ", Headline(s.Decision))
	put("", Meaning(s.Decision.Verdict))
	b.WriteString("\n")
	put("Patch:     ", line(c.PatchTitle))
	put("Pre:       ", KernelText(c.Pre))
	put("           ", sideText(s.Evidence.Pre, s.Decision.PreRate))
	put("Post:      ", KernelText(c.Post))
	put("           ", sideText(s.Evidence.Post, s.Decision.PostRate))
	put("Workload:  ", line(c.Workload))
	put("Guests:    ", guestText(c))
	if c.Perturb != nil {
		b.WriteString("\n")
		put("", PerturbText(c.Perturb))
	}
	mailReportList(&b, s)
	b.WriteString("\n")
	put("", sentence(line(s.Decision.Reason)))
	if o.TestedBy != "" {
		b.WriteString("\n")
		if s.Decision.Verdict == judge.Fixed {
			b.WriteString("Tested-by: " + line(o.TestedBy) + "\n") // a tag is never broken
		} else {
			put("", fmt.Sprintf("(No Tested-by line: the verdict is %s.)", s.Decision.Verdict))
		}
	}
	return b.String()
}

// sideText is "bug seen in 5 of 5 runs, rate 69% to 100%".
func sideText(c judge.Counts, iv judge.Interval) string {
	text := fmt.Sprintf("bug seen in %d of %s", c.Reproduced, plural(c.Trials(), "run"))
	if c.Trials() > 0 {
		text += fmt.Sprintf(", rate %s (%.0f%% interval)", RateText(iv, c.Trials()), 100*iv.Level)
	}
	if c.OtherFailure > 0 {
		text += "; " + plural(c.OtherFailure, "other failure")
	}
	return text
}

func mailReportList(b *strings.Builder, s *Summary) {
	groups := GroupReports(s.Runs)
	shown := 0
	for i := range groups {
		g := &groups[i]
		if g.Benign != "" && g.Signature == "" {
			continue
		}
		if shown == 0 {
			b.WriteString("\nKernel reports (runs that showed them, pre and post):\n")
		}
		if shown == mailReports {
			b.WriteString("  and others\n")
			return
		}
		shown++
		b.WriteString(wrap(fmt.Sprintf("%s [%d/%d]", line(g.First.Title), g.PreRuns, g.PostRuns), "  ", "    ", mailWidth))
		detail := Place(&g.First)
		if c := line(g.First.ConditionText()); c != "" {
			detail += ": " + c
		}
		if detail != "" {
			b.WriteString(wrap(detail, "    ", "      ", mailWidth))
		}
	}
}
