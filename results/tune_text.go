package results

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"patchproof/results/judge"
)

// TuneText writes a tuning for a terminal: the answer, each setting that was
// tried, what was checked of the best ones. What came from a guest is stripped of
// anything that could steer the terminal.
func TuneText(w io.Writer, r Recorded, o TextOptions) error {
	c := r.Campaign
	t := TuneOf(c, r.Runs)
	var b strings.Builder
	b.WriteString("tuning: " + string(t.Answer) + "\n")
	b.WriteString(wrap("Why: "+sentence(line(t.Reason)), "", "", textWidth))
	if t.Best >= 0 {
		sameBug(&b, &t)
	}
	if c.Tune.PlanFile != "" {
		b.WriteString("tuned plan: " + line(c.Tune.PlanFile) + "\n")
	}
	b.WriteString("\nsettings, on the pre kernel\n")
	table := TuneTable(&t)
	for i := range table {
		mark := "  "
		if i > 0 && t.Answer == Tuned && table[i][0] == line(t.Rows[t.Best].Key) {
			mark = "* "
		}
		table[i][0] = mark + table[i][0]
	}
	columns(&b, table)
	b.WriteString(wrap(fmt.Sprintf("An hour is one of processor time. Intervals are of %.0f%%. The best settings' second line is from runs made after they were chosen.", 100*judge.IntervalLevel), "  ", "  ", textWidth))
	confirmations(&b, &t)
	if o.Verbose {
		runList(&b, &Summary{Runs: r.Runs})
	}
	invalidRuns(&b, r.Runs)
	for _, text := range c.Tune.Unturned {
		b.WriteString(wrap("not turned: "+line(text), "", "  ", textWidth))
	}
	warnings(&b, c.Warnings)
	if t.Answer == Incomplete && Resumable(c, 0) == nil {
		b.WriteString("to go on: patchproof tune --resume " + line(ShellQuote([]string{c.Dir})) + "\n")
	}
	repeat(&b, &Summary{Campaign: *c})
	_, err := io.WriteString(w, b.String())
	return err
}

// sameBug says what ties the best setting's reports to the start's.
func sameBug(b *strings.Builder, t *TuneResult) {
	best := &t.Rows[t.Best]
	if len(t.Start().Reports) == 0 {
		b.WriteString(wrap("The start never showed the bug, so the signature is all that says that this is the same one.", "", "", textWidth))
	} else if best.Refused == "" {
		b.WriteString(wrap("Same bug: every run that reproduced printed a report that the start printed too.", "", "", textWidth))
	}
	var titles []string
	for _, rep := range best.Reports {
		if title := line(rep.Title); !slices.Contains(titles, title) {
			titles = append(titles, title)
			b.WriteString(wrap(fmt.Sprintf("%s in %s", title, plural(rep.Runs, "run")), "  ", "    ", textWidth))
		}
	}
}

// TuneTable is the table of settings, with its header: the start, then the others,
// those that came farthest first. The line after one that was chosen is of the
// runs that were made afterwards.
func TuneTable(t *TuneResult) [][]string {
	rows := [][]string{{"SETTING", "REPRODUCED", "CUT", "CPU-S", "AN HOUR", "INTERVAL", "RUNG"}}
	order := make([]int, len(t.Rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order[1:], func(a, b int) int {
		return cmp.Or(cmp.Compare(t.Rows[b].Rung, t.Rows[a].Rung), cmp.Compare(t.Rows[b].Search.Rate(), t.Rows[a].Search.Rate()))
	})
	for _, i := range order {
		row := &t.Rows[i]
		if i > 0 && row.Search == (judge.TuneTally{}) && row.Confirm == (judge.TuneTally{}) {
			continue // its turn never came
		}
		rung := fmt.Sprint(row.Rung)
		if i == 0 {
			rung = ""
		}
		rows = append(rows, tallyRow(line(row.Key), row.Search, rung))
		if row.Confirm.Runs+row.Confirm.Cut > 0 {
			rows = append(rows, tallyRow("  again", row.Confirm, ""))
		}
	}
	return rows
}

func tallyRow(name string, t judge.TuneTally, rung string) []string {
	row := []string{name, kOfN(t.Reproduced, t.Runs), "", fmt.Sprintf("%.0f", t.Exposure()), "", "", rung}
	if t.Cut > 0 {
		row[2] = fmt.Sprint(t.Cut)
	}
	if iv, ok := t.Interval(); ok {
		row[4], row[5] = perHour(t.Rate()), perHour(iv.Low)+" to "+perHour(iv.High)
		if t.Runs == 0 {
			row[4] = ""
		}
	} else if t.Invalid > 0 {
		row[5] = "invalid"
	}
	return row
}

// perHour is a rate per CPU-second as one per CPU-hour.
func perHour(rate float64) string {
	if rate *= 3600; rate > 0 && rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// confirmations say what became of the settings that were looked at closely.
func confirmations(b *strings.Builder, t *TuneResult) {
	title := "\nchecked\n"
	for i := range t.Rows[1:] {
		row := &t.Rows[i+1]
		if row.Confirm.Runs+row.Confirm.Cut+row.Post.Runs() == 0 && (row.Refused == "" || row.Search.Broken()) {
			continue
		}
		text := fmt.Sprintf("%s: post kernel clean in %s", row.Key, kOfN(row.Post.Clean, row.Post.Valid()))
		if row.Refused != "" {
			text += "; not taken: " + row.Refused
		}
		b.WriteString(title + wrap(line(text), "  ", "    ", textWidth))
		title = ""
	}
}

// invalidRuns lists the reasons why runs were invalid, each once.
func invalidRuns(b *strings.Builder, runs []Run) {
	title := "\ninvalid runs\n"
	seen := map[string]bool{}
	for i := range runs {
		r := &runs[i]
		key := r.Setting + "\n" + r.InvalidReason
		if r.Outcome != judge.Invalid || r.Stopped || seen[key] {
			continue
		}
		seen[key] = true
		b.WriteString(title + wrap(line(r.Setting+": "+r.InvalidReason), "  "+line(r.ID)+"  ", "    ", textWidth))
		title = ""
	}
}

// TuneHeader are the lines at the head of a tuned plan: what was measured, when
// and against what.
func TuneHeader(c *Campaign, t *TuneResult) []string {
	best := &t.Rows[t.Best]
	lines := []string{fmt.Sprintf("Made by patchproof tune from plan %s on %s, in %s.",
		line(c.Tune.Plan), c.Started.UTC().Format("2006-01-02 15:04 MST"), Duration(c.ElapsedSeconds))}
	for _, part := range []struct {
		name string
		t    judge.TuneTally
	}{{"start", t.Start().Search}, {"this plan", best.Confirm}} {
		iv, _ := part.t.Interval()
		lines = append(lines, fmt.Sprintf("%s: %s reproduced in %.0f CPU-seconds of the pre kernel, %s to %s per CPU-hour (%.0f%%)",
			part.name, kOfN(part.t.Reproduced, part.t.Runs), part.t.Exposure(), perHour(iv.Low), perHour(iv.High), 100*judge.IntervalLevel))
		if part.t.Runs == 0 {
			lines[len(lines)-1] = fmt.Sprintf("%s: not one run had come to its end after %.0f CPU-seconds, so at most %s reproductions per CPU-hour",
				part.name, part.t.LongestCut, perHour(iv.High))
		}
	}
	lines = append(lines, sentence(line(t.Reason)), fmt.Sprintf("The post kernel was clean in %s.", kOfN(best.Post.Clean, best.Post.Valid())),
		"Changed: "+line(best.Key))
	return append(lines, fmt.Sprintf("Host: %s, %s; records: %s", line(c.Host.Accel), plural(c.Host.CPUs, "processor"), line(c.ID)))
}

// TallyText is what is known of a setting in a line.
func TallyText(t judge.TuneTally) string {
	iv, ok := t.Interval()
	switch {
	case !ok:
		return "no run that counts"
	case t.Runs == 0:
		return fmt.Sprintf("no run came to its end in %.0f CPU-seconds: at most %s reproductions per CPU-hour", t.LongestCut, perHour(iv.High))
	}
	text := fmt.Sprintf("%s reproduced in %.0f CPU-seconds", kOfN(t.Reproduced, t.Runs), t.CPUSeconds)
	if t.Cut > 0 {
		text += fmt.Sprintf(", %d cut", t.Cut)
	}
	return text + fmt.Sprintf(": %s to %s per CPU-hour", perHour(iv.Low), perHour(iv.High))
}
