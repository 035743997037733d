package site

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"slices"

	"patchproof/results"
)

// cellBody is the page of one cell of a matrix.
type cellBody struct {
	Key      string
	State    state
	Headline string
	Facts    []fact
	Perturb  string
	Reports  []results.CellReport
	Runs     runTable
	Nights   []nightRow
	Trend    template.HTML
	Commands []command
	Kernel   kernelView
}

func (s *Site) cellPage(ctx context.Context, c *campaign, name string) (File, error) {
	if c.Matrix == nil {
		return File{}, notFound(name)
	}
	i := slices.IndexFunc(c.Matrix.Cells, func(cell results.CellRecord) bool { return cellFile(cell.Key) == name })
	if i < 0 {
		return File{}, notFound(name)
	}
	cell := c.Matrix.Cells[i]
	var runs []results.Run
	for _, r := range c.Runs {
		if r.Cell == cell.Key {
			runs = append(runs, r)
		}
	}
	result := results.CellOf(cell, runs)
	body := cellBody{Key: cell.Key, State: stateOf(string(result.State)), Headline: cellHeadline(&result), Reports: result.Reports,
		Runs: c.runTable(runs), Commands: append(c.cellCommand(cell.Key), c.commands()...), Kernel: s.kernel(cell.Kernel), Facts: s.cellFacts(c, &result)}
	body.Runs.Cells = false
	if cell.Perturb != nil {
		body.Perturb = results.PerturbText(cell.Perturb)
	}
	points, campaigns, err := s.cellPoints(ctx, c, cell.Key)
	if err != nil {
		return File{}, err
	}
	if body.Trend, err = trend(points, "Runs of the cell that failed"); err != nil {
		return File{}, err
	}
	body.Nights = s.nightsTable(c, points, campaigns, name)
	pg := c.page(cell.Key, link{c.title(), indexName})
	pg.Body = body
	return s.render("cell", pg)
}

func cellHeadline(r *results.CellResult) string {
	n := r.Counts
	text := fmt.Sprintf("bug seen in %d of %s", n.Reproduced, plural(n.Trials(), "run"))
	if n.Trials() > 0 {
		text += fmt.Sprintf(", rate %s (%.0f%% interval)", results.RateText(r.Rate, n.Trials()), 100*r.Rate.Level)
	}
	if n.OtherFailure > 0 {
		text += "; " + plural(n.OtherFailure, "other failure")
	}
	if n.Invalid > 0 {
		text += "; " + plural(n.Invalid, "invalid run")
	}
	return text
}

func (s *Site) cellFacts(c *campaign, r *results.CellResult) []fact {
	var facts []fact
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{name, value})
		}
	}
	for _, axis := range c.Matrix.Axes {
		add(axis.Name, r.Cell.Values[axis.Name])
	}
	add("Kernel", results.KernelText(r.Cell.Kernel))
	add("Ref", joined(" at ", r.Cell.Ref, shortCommit(r.Cell.Commit)))
	add("Workload", r.Cell.Workload)
	add("Guest", r.Cell.Shape)
	add("Runs asked for", fmt.Sprint(cmp.Or(r.Cell.Repeat, 1)))
	if r.Cell.Retries > 0 {
		add("Runs made up for", fmt.Sprint(r.Cell.Retries))
	}
	if r.ElapsedSeconds > 0 {
		add("Took", results.Duration(r.ElapsedSeconds))
	}
	add("Skipped", r.Cell.Skipped)
	if r.Cell.MeasuredIn != "" {
		facts = append(facts, fact{"Measured in", link{r.Cell.MeasuredIn, s.campaignHref(r.Cell.MeasuredIn, cellFile(r.Cell.Key))}})
	}
	return facts
}
