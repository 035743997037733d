package results

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// MatrixText writes a table of cells: a column for each axis that has more than
// one value, the state, and the rate of reproduction with its interval.
func MatrixText(w io.Writer, m *MatrixRecord, cells []CellResult) error {
	axes := slices.DeleteFunc(axisNames(m), func(name string) bool { return !varies(cells, name) })
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, strings.ToUpper(strings.Join(append(axes, "state", "reproduced", "rate", "what"), "\t")))
	for _, c := range cells {
		for _, name := range axes {
			fmt.Fprintf(t, "%s\t", line(c.Cell.Values[name]))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.State, kOfN(c.Counts.Reproduced, c.Counts.Trials()), cellRate(&c), cellNote(&c))
	}
	return t.Flush()
}

func axisNames(m *MatrixRecord) []string {
	names := make([]string, len(m.Axes))
	for i, a := range m.Axes {
		names[i] = a.Name
	}
	return names
}

// varies says whether cells differ in an axis. The kernel is always shown.
func varies(cells []CellResult, axis string) bool {
	return axis == "kernel" || slices.ContainsFunc(cells, func(c CellResult) bool { return c.Cell.Values[axis] != cells[0].Cell.Values[axis] })
}

func cellRate(c *CellResult) string {
	if c.Counts.Trials() == 0 {
		return ""
	}
	return RateText(c.Rate, c.Counts.Trials())
}

// cellNote is what a reader wants to know beyond the state.
func cellNote(c *CellResult) string {
	var notes []string
	if len(c.Reports) > 0 {
		notes = append(notes, line(c.Reports[0].Title))
		if n := len(c.Reports) - 1; n > 0 {
			notes = append(notes, plural(n, "other"))
		}
	}
	if c.Cell.Skipped != "" {
		notes = append(notes, line(c.Cell.Skipped))
	}
	if c.Cell.Retries > 0 {
		notes = append(notes, plural(c.Cell.Retries, "invalid run")+" made up for")
	}
	if c.Short() {
		notes = append(notes, "only "+c.runsOf())
	}
	if c.Missing > 0 && c.Cell.Skipped == "" {
		notes = append(notes, plural(c.Missing, "run")+" missing")
	}
	return strings.Join(notes, "; ")
}
