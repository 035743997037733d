package index

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
)

// table writes rows of cells, the first of which is the header.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.TrimRight(strings.Join(row, "\t"), "\t")) // Flush reports it
	}
	return t.Flush()
}

// ListText writes campaigns as a table.
func ListText(w io.Writer, list []Campaign) error {
	rows := [][]string{{"CAMPAIGN", "KIND", "STARTED", "TOOK", "RUNS", "FAILED", "ANSWER"}}
	for _, c := range list {
		took := ""
		if c.ElapsedSeconds > 0 {
			took = results.Duration(c.ElapsedSeconds)
		}
		rows = append(rows, []string{line(c.ID), line(string(c.Kind)), local(c.Started), took,
			fmt.Sprint(c.Counts.Valid()), fmt.Sprint(c.Counts.Reproduced + c.Counts.OtherFailure), c.answer()})
	}
	return table(w, rows)
}

// answer is the verdict, and what a reader has to know besides.
func (c *Campaign) answer() string {
	var parts []string
	if c.Verdict != "" {
		parts = append(parts, line(c.Verdict))
	}
	if c.Cells > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d cells fail", c.BadCells, c.Cells))
	}
	switch {
	case c.State == StateRunning:
		parts = append(parts, "running")
	case c.State == StateBroken:
		parts = append(parts, "broken off")
	case c.Failed != "":
		parts = append(parts, "failed: "+short(c.Failed))
	case c.Stopped != "":
		parts = append(parts, "stopped: "+short(c.Stopped))
	}
	// the verdict was drawn from runs that a reader has to know are gone
	if c.Unreadable > 0 {
		parts = append(parts, runs(c.Unreadable)+" cannot be read")
	}
	switch open := c.Open - c.Unreadable; { // what cannot be read has no end either
	case c.State == StateEnded && open > 0:
		parts = append(parts, runs(open)+" without an end")
	case c.Unreadable > 0:
	case c.Kind == results.KindVerify && c.State == StateEnded && c.Verdict != "" && c.Counts.Runs() == 0 && c.Failed == "":
		parts = append(parts, "its runs are gone")
	}
	return strings.Join(parts, ", ")
}

func runs(n int) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprintf("%d runs", n)
}

func short(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// FingerprintsText writes kinds of reports as a table.
func FingerprintsText(w io.Writer, list []Fingerprint) error {
	rows := [][]string{{"FINGERPRINT", "FIRST SEEN", "LAST SEEN", "RUNS", "CAMPAIGNS", "REPORT"}}
	for _, f := range list {
		title := line(f.Title)
		if f.Signature {
			title += " (the bug)"
		}
		rows = append(rows, []string{line(f.Fingerprint), local(f.First.Time), local(f.Last.Time), fmt.Sprint(f.Runs), fmt.Sprint(f.Campaigns), title})
	}
	return table(w, rows)
}

// TrendText writes the rate of a kind of report over time as a table.
func TrendText(w io.Writer, points []TrendPoint) error {
	rows := [][]string{{"CAMPAIGN", "STARTED", "SEEN", fmt.Sprintf("RATE (%.0f%% INTERVAL)", 100*judge.IntervalLevel), "KERNEL"}}
	for _, p := range points {
		rows = append(rows, []string{line(p.Campaign), local(p.Started), fmt.Sprintf("%d of %d", p.Seen, p.Able), results.RateText(p.Rate, p.Able), cmp.Or(line(p.Kernel), "several")})
	}
	return table(w, rows)
}

// FlakyText writes what is flaky as a table.
func FlakyText(w io.Writer, list []Flaky) error {
	rows := [][]string{{"WORKLOAD", "CELL", "FAILED", "RUNS", "CAMPAIGNS", "LAST RUN", "KERNEL", "GUESTS"}}
	for _, f := range list {
		rows = append(rows, []string{line(f.Workload), cmp.Or(line(f.Cell), "-"), fmt.Sprint(f.Counts.Reproduced + f.Counts.OtherFailure), fmt.Sprint(f.Counts.Valid()),
			fmt.Sprint(f.Campaigns), local(f.Last), line(f.Kernel), line(f.Guests)})
	}
	return table(w, rows)
}

// GCText writes what GC did, or would do.
func GCText(w io.Writer, items []GCItem, o GCOptions) error {
	var total int64
	done := map[bool]string{false: "removed", true: "would remove"}[o.DryRun]
	if o.LogsOnly {
		done += " logs of"
	}
	var b strings.Builder
	for _, item := range items {
		if item.Kept != "" {
			fmt.Fprintf(&b, "kept %s: %s\n", line(item.Campaign), line(item.Kept))
			continue
		}
		total += item.Bytes
		fmt.Fprintf(&b, "%s %s, %s\n", done, line(item.Campaign), sizeText(item.Bytes))
	}
	fmt.Fprintf(&b, "%s in all\n", sizeText(total))
	_, err := io.WriteString(w, b.String())
	return err
}

func sizeText(bytes int64) string {
	const mib = 1 << 20
	if bytes >= mib {
		return fmt.Sprintf("%.1f MiB", float64(bytes)/mib)
	}
	return fmt.Sprintf("%.1f KiB", float64(bytes)/1024)
}
