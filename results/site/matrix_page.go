package site

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"

	"patchproof/results"
	"patchproof/results/judge"
)

// matrixBody is the page of a matrix.
type matrixBody struct {
	head
	News      *news
	Grid      grid
	Legend    []state
	Counts    []stateCount
	Cells     []cellRow
	Filter    filter
	Failures  []failure
	Rates     template.HTML
	RatesLeft int // cells that are not in it
	Trend     template.HTML
	Nights    []nightRow
	Shard     string
}

// filter holds the values that a page's filter offers.
type filter struct{ States, Kernels, Workloads []string }

type stateCount struct {
	State state
	N     int
}

// cellView is a cell of a matrix.
type cellView struct {
	Key, Href, Label string
	Values           string // JSON list of values, one for each axis
	values           []string
	Kernel, Workload string
	State            state
	Heat             int // 0 to 4: how often it fails
	Text             string
	New              bool
}

// cellRow is a line of the list of cells.
type cellRow struct {
	cellView
	Rate    string
	Failure string
	Elapsed float64
	Note    string
}

// failure is a kind of report over the cells of a matrix.
type failure struct {
	Title string
	// What the kernel asserted, and where.
	Condition, Place string
	State            state
	Cells            []link
	More             int // cells that are not listed
	Runs             int
	New              bool // this campaign is the first to show it, and not the first of all
	Since            link
	History          string
}

func (s *Site) matrixPage(ctx context.Context, c *campaign) (File, error) {
	cells := results.Cells(&c.Campaign, c.Runs)
	body := matrixBody{head: s.head(c), Shard: c.Matrix.Shard}
	body.Warnings = append(append(body.Warnings, c.Warnings...), c.Problems...)
	body.State, body.Headline = matrixState(c, cells)
	body.summary(c, cells)
	views := make([]cellView, len(cells))
	for i := range cells {
		views[i] = viewOfCell(c, &cells[i])
	}
	err := s.recall(ctx, cells, views)
	if err != nil {
		return File{}, err
	}
	if body.News, err = s.newsOf(ctx, c, "", "../"); err != nil {
		return File{}, err
	}
	if body.Grid, err = newGrid(c.Matrix.Axes, views); err != nil {
		return File{}, err
	}
	for i := range cells {
		body.Cells = append(body.Cells, rowOfCell(c, &cells[i], views[i]))
		body.Filter.States = addWord(body.Filter.States, views[i].State.Name)
		body.Filter.Kernels = addWord(body.Filter.Kernels, views[i].Kernel)
		body.Filter.Workloads = addWord(body.Filter.Workloads, views[i].Workload)
	}
	nights, err := s.nights(ctx, c, cells)
	if err != nil {
		return File{}, err
	}
	if body.Failures, err = s.failures(ctx, c, cells, nights); err != nil {
		return File{}, err
	}
	if body.Rates, body.RatesLeft, err = c.cellRates(cells); err != nil {
		return File{}, err
	}
	points, campaigns := nightPoints(nights)
	if body.Trend, err = trend(points, "Runs that failed"); err != nil {
		return File{}, err
	}
	body.Nights = s.nightsTable(c, points, campaigns, indexName)
	p := c.page(c.title())
	p.Body = body
	return s.render("matrix", p)
}

// matrixState is the worst of the cells' states, in words.
func matrixState(c *campaign, cells []results.CellResult) (state, string) {
	badCells, done := 0, 0
	for i := range cells {
		if cells[i].State.Bad() {
			badCells++
		}
		if cells[i].Missing == 0 || cells[i].State == results.CellSkipped {
			done++
		}
	}
	text := fmt.Sprintf("%d of %s failing", badCells, plural(len(cells), "cell"))
	switch {
	case c.Running:
		return stateOf("running"), text + fmt.Sprintf(" so far, %d done", done)
	case badCells > 0:
		return stateOf("failing"), text
	case c.ElapsedSeconds == 0:
		return stateOf("broken-off"), text + fmt.Sprintf(", %d done", done)
	case !slices.ContainsFunc(cells, func(r results.CellResult) bool { return r.State != results.CellPassing }):
		return stateOf("passing"), "all " + plural(len(cells), "cell") + " passing"
	}
	return stateOf(c.stateName()), text
}

func (b *matrixBody) summary(c *campaign, cells []results.CellResult) {
	for _, name := range results.CellStates() {
		n := 0
		for i := range cells {
			if cells[i].State == name {
				n++
			}
		}
		if n > 0 {
			b.Counts = append(b.Counts, stateCount{stateOf(string(name)), n})
		}
		b.Legend = append(b.Legend, stateOf(string(name)))
	}
	if b.Progress != nil {
		b.Progress.What, b.Progress.Done, b.Progress.Total = "cells", 0, len(cells)
		for i := range cells {
			if cells[i].Missing == 0 || cells[i].State == results.CellSkipped {
				b.Progress.Done++
			}
		}
	}
}

func viewOfCell(c *campaign, r *results.CellResult) cellView {
	values := make([]string, len(c.Matrix.Axes))
	for i, axis := range c.Matrix.Axes {
		values[i] = r.Cell.Values[axis.Name]
	}
	list, err := json.Marshal(values)
	if err != nil {
		list = []byte("[]") // strings always can be written
	}
	v := cellView{Key: r.Cell.Key, Href: cellFile(r.Cell.Key), Values: string(list), values: values, State: stateOf(string(r.State)),
		Kernel: kernelOfCell(c, r), Workload: cmp.Or(r.Cell.Values["workload"], r.Cell.Workload)}
	failed, valid := r.Counts.Reproduced+r.Counts.OtherFailure, r.Counts.Valid()
	v.Label = fmt.Sprintf("%s: %s", r.Cell.Key, r.State)
	if valid > 0 {
		v.Text = fmt.Sprintf("%d/%d", failed, valid)
		v.Label += fmt.Sprintf(", %d of %s failed", failed, plural(valid, "run"))
		v.Heat = (4*failed + valid - 1) / valid
	}
	return v
}

// recall puts in what an earlier campaign measured.
func (v *cellView) recall(n judge.Counts, campaign string) {
	if failed := n.Reproduced + n.OtherFailure; n.Valid() > 0 {
		v.Text = fmt.Sprintf("(%d/%d)", failed, n.Valid())
		v.Label += fmt.Sprintf("; %d of %s failed in %s", failed, plural(n.Valid(), "run"), campaign)
	}
}

// kernelOfCell is what the plan calls a cell's kernel.
func kernelOfCell(c *campaign, r *results.CellResult) string {
	return cmp.Or(r.Cell.Values[kernelAxis(c.Matrix.Axes)], results.KernelText(r.Cell.Kernel))
}

func rowOfCell(c *campaign, r *results.CellResult, v cellView) cellRow {
	row := cellRow{cellView: v, Elapsed: r.ElapsedSeconds, Note: r.Cell.Skipped}
	if n := r.Counts; n.Valid() > 0 {
		p := failedShare(n)
		row.Rate = results.RateText(p.Rate, p.N)
	}
	if len(r.Reports) > 0 {
		row.Failure = r.Reports[0].Title
		if more := len(r.Reports) - 1; more > 0 {
			row.Failure += fmt.Sprintf(" and %d more", more)
		}
	}
	return row
}
