package results

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"patchproof/results/judge"
)

// BisectText writes the answer of a bisection for a terminal, or what is known
// when there is none yet. What came from guests and from git is stripped of
// anything that could steer the terminal.
func BisectText(w io.Writer, b *Bisection) error {
	v := viewOf(b)
	var s strings.Builder
	s.WriteString(v.headline())
	v.reasons(&s)
	if v.counts.Runs() > 0 {
		v.table(&s, v.shown(3))
	}
	v.ends(&s)
	v.failures(&s)
	warnings(&s, v.warnings())
	v.footer(&s)
	_, err := io.WriteString(w, s.String())
	return err
}

// BisectLog writes the state of a bisection: a bar a commit, every run, what
// comes next and an estimate of what is left.
func BisectLog(w io.Writer, b *Bisection) error {
	v := viewOf(b)
	var s strings.Builder
	s.WriteString(v.headline())
	v.reasons(&s)
	v.bars(&s)
	v.ends(&s)
	v.runList(&s)
	v.failures(&s)
	warnings(&s, v.warnings())
	v.nextText(&s)
	v.footer(&s)
	_, err := io.WriteString(w, s.String())
	return err
}

// noun is what is looked for.
func (v *bisectView) noun() string { return string(v.Record.Rules.Find) }

// headline is the answer in one line, and its commit in the next.
func (v *bisectView) headline() string {
	a := v.answer
	best := v.row(a.Ranked[0].Node)
	switch {
	case a.Found && len(a.Set) == 1:
		return fmt.Sprintf("%s: %s\n  %s\n  by %s\n  probability %s (asked for: %s), %s\n",
			v.noun(), best.Commit, best.Subject, best.Author, sureness(best.Probability), judge.Percent(v.Record.Rules.Confidence), v.confirmed())
	case a.Found:
		return fmt.Sprintf("%s: one of %d commits that untestable ones keep from being told apart\n  together %s (asked for: %s)\n",
			v.noun(), len(a.Set), sureness(a.SetProbability), judge.Percent(v.Record.Rules.Confidence))
	case v.counts.Runs() == 0:
		return v.noun() + ": not found yet, no run has ended\n"
	}
	text := v.noun() + ": not found"
	if !a.Done {
		text += " yet"
	}
	if !v.standsOut() {
		return text + "\n"
	}
	return fmt.Sprintf("%s; the most probable commit, at %s, is\n  %s %s\n", text, sureness(best.Probability), short(best.Commit), best.Subject)
}

// confirmed says whether fresh runs bore the answer out.
func (v *bisectView) confirmed() string {
	if len(v.answer.Unconfirmed) == 0 {
		return "confirmed by fresh runs"
	}
	var where []string
	for _, node := range v.answer.Unconfirmed {
		where = append(where, short(v.Commit(node).Commit))
	}
	return "not confirmed: fresh runs of " + strings.Join(where, ", ") + " say nothing of the bug"
}

// standsOut says whether one commit is so much more probable than the others
// that a headline may name it.
func (v *bisectView) standsOut() bool {
	ranked := v.answer.Ranked
	return ranked[0].Probability >= 0.1 && (len(ranked) == 1 || ranked[0].Probability >= 2*ranked[1].Probability)
}

// sureness rounds down, so that nothing is shown surer than it is.
func sureness(p float64) string { return judge.Percent(math.Floor(p*1e4) / 1e4) }

func short(commit string) string { return commit[:min(12, len(commit))] }

func (v *bisectView) reasons(s *strings.Builder) {
	c := v.Campaign
	for _, text := range []string{c.Failed, c.Stopped} {
		if text != "" {
			s.WriteString(wrap(sentence(line(text)), "Stopped: ", "  ", textWidth))
		}
	}
	if v.answer.Done && !v.answer.Found {
		s.WriteString(wrap(sentence(line(v.answer.Reason)), "Why: ", "  ", textWidth))
	}
	if d := v.answer.EndpointDoubt; d != "" && !(v.answer.Done && d == v.answer.Reason) {
		s.WriteString(wrap(sentence(line(d)), "In doubt: ", "  ", textWidth))
	}
	if v.answer.Found && len(v.answer.Set) > 1 {
		v.table(s, v.answer.Set)
	}
	if c.Perturb != nil {
		s.WriteString(wrap(strings.Replace(PerturbText(c.Perturb), "Both kernels were perturbed alike", "All kernels were perturbed alike", 1), "", "", textWidth))
	}
}

// runsText is "3 of 4 runs reproduced", or why there are none.
func (r *bisectRow) runsText() string {
	var parts []string
	if n := r.informative(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s reproduced", r.Reproduced, plural(n, "run")))
	}
	switch {
	case r.Untestable != "":
		parts = append(parts, "untestable")
	case r.OtherOutcome > 0:
		parts = append(parts, fmt.Sprintf("%d without a result", r.OtherOutcome))
	case len(parts) == 0:
		return "not run"
	}
	return strings.Join(parts, ", ")
}

// table lists commits with what is known of them.
func (v *bisectView) table(s *strings.Builder, nodes []int) {
	_, new := v.sides()
	rows := [][]string{{"  commit", "is the " + v.noun(), "is " + new, "runs", "subject"}}
	for _, node := range nodes {
		r := v.row(node)
		rows = append(rows, []string{"  " + short(r.Commit), chance(r.Probability), chance(r.Changed), r.runsText(), clipText(r.Subject, 50)})
	}
	s.WriteString("\n")
	columns(s, rows)
	if left := len(v.Record.Commits) - len(nodes); left > 0 {
		fmt.Fprintf(s, "  and %s, neither probable nor run\n", plural(left, "more commit"))
	}
}

// chance formats a probability for a table.
func chance(p float64) string {
	switch {
	case p < 0.0005:
		return "<0.1%"
	case p > 0.9995:
		return ">99.9%"
	}
	return fmt.Sprintf("%.1f%%", 100*p)
}

func clipText(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-3]) + "..."
	}
	return text
}

const barWidth = 30

// bars draws the posterior, newest commit first.
func (v *bisectView) bars(s *strings.Builder) {
	nodes := v.shown(12)
	fmt.Fprintf(s, "\nprobability of being the %s, newest commit first\n", v.noun())
	var rows [][]string
	previous := v.graph.Len()
	gap := func(n int) {
		if n > 0 {
			rows = append(rows, []string{"  ...", "", "", "", plural(n, "commit") + " not shown"})
		}
	}
	for _, node := range nodes {
		gap(previous - node - 1)
		previous = node
		r := v.row(node)
		bar := strings.Repeat("#", int(math.Round(barWidth*r.Probability)))
		rows = append(rows, []string{"  " + short(r.Commit), fmt.Sprintf("%-*s", barWidth, bar), chance(r.Probability), r.runsText(), clipText(r.Subject, 50)})
	}
	gap(previous)
	columns(s, rows)
}

// ends says what the ends of the range showed.
func (v *bisectView) ends(s *strings.Builder) {
	old, new := v.sides()
	s.WriteString("\nends of the range\n")
	rows := [][]string{}
	for _, end := range []struct {
		word string
		rev  BisectEnd
		node int
	}{{new, v.Record.New, v.newNode()}, {old, v.Record.Old, judge.OldEnd}} {
		r := v.row(end.node)
		where := line(end.rev.Rev)
		if r.Commit != end.rev.Commit {
			where += ", run as"
		}
		text := r.runsText()
		if r.Untestable != "" {
			text += ": " + r.Untestable
		}
		rows = append(rows, []string{"  " + end.word, where, short(r.Commit), text})
	}
	columns(s, rows)
	if v.counts.Reproduced > 0 {
		fmt.Fprintf(s, "  a %s kernel reproduces in %s of the runs (%.0f%% interval)\n", v.reproducing(), RateText(v.answer.Rate, v.counts.Runs()), 100*judge.IntervalLevel)
	}
}

// reproducing is the word for the commits that show the bug.
func (v *bisectView) reproducing() string {
	old, new := v.sides()
	if v.Record.Rules.Find == judge.FindFix {
		return old
	}
	return new
}

// failures lists what could not be tested and other failures, with their logs.
func (v *bisectView) failures(s *strings.Builder) {
	title := "\nuntestable commits and other failures\n"
	add := func(first, text string) {
		s.WriteString(title)
		title = ""
		s.WriteString(wrap(text, first, "    ", textWidth))
	}
	for node := len(v.Record.Commits) - 1; node >= judge.OldEnd; node-- {
		if h := v.history[node]; h == nil || h.untestable == "" {
			continue
		}
		r := v.row(node)
		text := r.Untestable
		if r.BuildLog != "" && !strings.Contains(text, r.BuildLog) {
			text += " (log: " + r.BuildLog + ")"
		}
		add("  "+short(r.Commit)+"  ", text)
	}
	for i := range v.Runs {
		r := &v.Runs[i]
		if !r.Stopped && (r.Outcome == judge.OtherFailure || r.Outcome == judge.Invalid) {
			add("  "+line(r.ID)+"  ", fmt.Sprintf("at %s: %s: %s", short(r.Commit), r.Outcome, line(cmp.Or(r.Reason, r.InvalidReason))))
		}
	}
}

func (v *bisectView) runList(s *strings.Builder) {
	s.WriteString("\nruns\n")
	var rows [][]string
	for i := range v.Runs {
		r := &v.Runs[i]
		outcome := string(r.Outcome)
		if r.Stopped {
			outcome = "stopped, not counted"
		}
		rows = append(rows, []string{"  " + line(r.ID), short(r.Commit), outcome, Duration(r.ElapsedSeconds), plural(len(r.Reports), "report")})
	}
	if len(rows) == 0 {
		s.WriteString("  none\n")
	}
	columns(s, rows)
}

// nextText says what comes next and what is left to do.
func (v *bisectView) nextText(s *strings.Builder) {
	s.WriteString("\nnext\n")
	if !v.more {
		s.WriteString(wrap("nothing: "+line(v.answer.Reason), "  ", "    ", textWidth))
		return
	}
	r := v.row(v.next.Node)
	text := fmt.Sprintf("%s: up to %s at %s %s", v.next.Purpose, plural(v.next.Runs, "run"), short(r.Commit), r.Subject)
	if v.next.Gain > 0 {
		text += fmt.Sprintf(" (%.2f bits expected)", v.next.Gain)
	}
	s.WriteString(wrap(text, "  ", "    ", textWidth))
	if v.answer.RunsLeft == 0 {
		return // nothing to go by yet
	}
	left := fmt.Sprintf("about %s and %s left", about(v.answer.RunsLeft, "run"), about(v.answer.BuildsLeft, "build"))
	if seconds := v.secondsLeft(v.answer.RunsLeft, v.answer.BuildsLeft); seconds > 0 {
		left += ", " + Duration(seconds)
	}
	s.WriteString("  " + left + "\n")
}

func about(n float64, noun string) string { return plural(int(math.Ceil(n)), noun) }

// footer says what was used, where to look, and how to go on.
func (v *bisectView) footer(s *strings.Builder) {
	fmt.Fprintf(s, "\nused: %s, %s, %s\n", plural(v.counts.Runs(), "run"), plural(v.builds.count, "build"), Duration(v.Seconds()))
	if guests := guestText(v.Campaign); guests != "" {
		s.WriteString("guests: " + guests + "\n")
	}
	dir := v.Campaign.Dir
	if dir == "" {
		return
	}
	if r := v.evidence(v.Commit(v.answer.Ranked[0].Node).Commit); r != nil {
		fmt.Fprintf(s, "a kernel log of %s: %s (%s)\n", short(r.Commit), line(filepath.Join(r.Dir, "console.log")), r.Outcome)
	}
	s.WriteString("records: " + line(dir) + "\n")
	if !v.answer.Done || v.Campaign.Failed != "" {
		s.WriteString("to go on: patchproof bisect --resume " + line(ShellQuote([]string{dir})) + "\n")
	}
}
