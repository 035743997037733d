package site

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"image/color"
	"slices"
	"time"

	"patchproof/results"
	"patchproof/results/index"
	"patchproof/results/judge"
)

// How far back pages look.
const (
	trendNights  = 60 // of a trend
	rateRows     = 40 // of a plot of rates
	failureRows  = 100
	sinceRows    = 20 // of failures that tell since when they are there
	failureCells = 12 // that one failure lists
)

// night is what a campaign of a matrix showed in all its cells together.
type night struct {
	Campaign string
	Started  time.Time
	Counts   judge.Counts
}

// past is what is known of a matrix up to one campaign, so that the pages of a
// campaign stay as they are when later ones come.
type past struct {
	nights []night // oldest first, the campaign itself last
	cells  map[string][]index.CellPoint
}

// past returns the history of a matrix up to a campaign.
func (s *Site) past(ctx context.Context, c *campaign) (*past, error) {
	all, err := s.historyOf(ctx, c.Matrix.Name)
	if err != nil {
		return nil, err
	}
	p := &past{cells: map[string][]index.CellPoint{}}
	at := map[string]int{}
	for key, points := range all {
		for _, pt := range points {
			if pt.Campaign != c.ID && !pt.Started.Before(c.Started) {
				continue
			}
			p.cells[key] = append(p.cells[key], pt)
			i, ok := at[pt.Campaign]
			if !ok {
				i = len(p.nights)
				at[pt.Campaign] = i
				p.nights = append(p.nights, night{Campaign: pt.Campaign, Started: pt.Started})
			}
			p.nights[i].Counts = sum(p.nights[i].Counts, pt.Counts)
		}
	}
	slices.SortFunc(p.nights, func(a, b night) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Campaign, b.Campaign))
	})
	p.nights = p.nights[max(0, len(p.nights)-trendNights):]
	return p, nil
}

func sum(a, b judge.Counts) judge.Counts {
	return judge.Counts{Reproduced: a.Reproduced + b.Reproduced, Clean: a.Clean + b.Clean,
		OtherFailure: a.OtherFailure + b.OtherFailure, Invalid: a.Invalid + b.Invalid}
}

// historyOf returns the history of a matrix's cells, from memory when nothing
// has changed since it was asked for.
func (s *Site) historyOf(ctx context.Context, name string) (map[string][]index.CellPoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.history[name]; ok {
		return known, nil
	}
	cells, err := s.index.Cells(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	s.history[name] = cells
	return cells, nil
}

// failedShare is the failed ones of valid runs, as a point of a plot.
func failedShare(n judge.Counts) ratePoint {
	failed := n.Reproduced + n.OtherFailure
	return ratePoint{K: failed, N: n.Valid(), Rate: judge.ClopperPearson(failed, n.Valid(), judge.IntervalLevel), Color: toneColor(failed)}
}

func toneColor(failed int) color.Color {
	if failed > 0 {
		return bad
	}
	return good
}

// nightPoints is the rate of failing runs of a matrix, a point a night.
func (p *past) nightPoints() (points []ratePoint, campaigns []string) {
	for _, n := range p.nights {
		pt := failedShare(n.Counts)
		pt.Time = n.Started
		points, campaigns = append(points, pt), append(campaigns, n.Campaign)
	}
	return points, campaigns
}

// cellPoints is the same for one cell, with the kernels as labels.
func (p *past) cellPoints(key string) (points []ratePoint, campaigns []string) {
	all := p.cells[key]
	for _, n := range all[max(0, len(all)-trendNights):] {
		pt := failedShare(n.Counts)
		pt.Time, pt.Label = n.Started, n.Kernel
		points, campaigns = append(points, pt), append(campaigns, n.Campaign)
	}
	return points, campaigns
}

// nightsTable is a trend as a table, the newest first.
func (s *Site) nightsTable(c *campaign, points []ratePoint, campaigns []string, file string) []nightRow {
	rows := make([]nightRow, len(points))
	for i, p := range points {
		rows[len(rows)-1-i] = nightRow{Campaign: link{p.Time.UTC().Format("2006-01-02 15:04"), s.campaignHref(campaigns[i], file)}, Kernel: p.Label,
			Failed: p.K, Valid: p.N, Rate: results.RateText(p.Rate, p.N), State: nightState(p), This: campaigns[i] == c.ID}
	}
	return rows
}

func nightState(p ratePoint) state {
	switch {
	case p.K > 0:
		return stateOf("failing")
	case p.N > 0:
		return stateOf("passing")
	}
	return stateOf("invalid")
}

// nightRow is a line of such a table.
type nightRow struct {
	Campaign link
	Kernel   string
	Failed   int
	Valid    int
	Rate     string
	State    state
	This     bool
}

// trend draws rates over time, a point a night; of one night nothing.
func trend(points []ratePoint, what string) (template.HTML, error) {
	if len(points) < 2 {
		return "", nil
	}
	label := fmt.Sprintf("%s, over %d nights, with %.0f%% intervals.", what, len(points), 100*judge.IntervalLevel)
	for _, p := range points[max(0, len(points)-5):] {
		label += fmt.Sprintf(" %s: %d of %d.", p.Time.UTC().Format("2006-01-02"), p.K, p.N)
	}
	return trendPlot(points, label)
}

// cellRates are the rates of a matrix's cells; of many, those that fail.
func (c *campaign) cellRates(cells []results.CellResult) (template.HTML, int, error) {
	var points []ratePoint
	left := 0
	for i := range cells {
		n := cells[i].Counts
		if n.Valid() == 0 {
			continue
		}
		if len(points) == rateRows || len(cells) > rateRows && !cells[i].State.Bad() {
			left++
			continue
		}
		p := failedShare(n)
		p.Label = c.shortKey(cells[i].Cell.Key)
		points = append(points, p)
	}
	if len(points) == 0 {
		return "", left, nil
	}
	html, err := ratesPlot(points, fmt.Sprintf("How often cells fail, with %.0f%% intervals; the numbers are in the list of cells.", 100*judge.IntervalLevel))
	return html, left, err
}

// failures lists the kinds of failure of a matrix, with where they came and
// since when.
func (s *Site) failures(ctx context.Context, c *campaign, cells []results.CellResult) ([]failure, error) {
	var out []failure
	at := map[string]int{}
	for i := range cells {
		for _, rep := range cells[i].Reports {
			n, ok := at[rep.Fingerprint]
			if !ok && len(out) == failureRows {
				continue
			}
			if !ok {
				n = len(out)
				at[rep.Fingerprint] = n
				f := failure{Title: rep.Title, State: stateOf("other-failure")}
				if rep.Matches {
					f.State = stateOf("reproduced")
				}
				out = append(out, f)
			}
			f := &out[n]
			f.Runs += rep.Runs
			if len(f.Cells) == failureCells {
				f.More++
				continue
			}
			f.Cells = append(f.Cells, link{c.shortKey(cells[i].Cell.Key), cellFile(cells[i].Cell.Key)})
		}
	}
	for print, i := range at {
		if i >= sinceRows {
			continue
		}
		if err := s.since(ctx, c, print, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// since says when a failure came first in campaigns of the matrix.
func (s *Site) since(ctx context.Context, c *campaign, fingerprint string, f *failure) error {
	points, err := s.index.Trend(ctx, fingerprint, index.EventFilter{Name: c.Matrix.Name})
	if err != nil {
		return err
	}
	nights, seen := 0, 0
	for _, p := range points {
		if p.Campaign != c.ID && !p.Started.Before(c.Started) {
			continue
		}
		nights++
		if p.Seen == 0 {
			continue
		}
		if seen++; seen == 1 {
			f.Since = link{p.Started.UTC().Format("2006-01-02"), s.campaignHref(p.Campaign, indexName)}
			f.New = p.Campaign == c.ID && nights > 1
		}
	}
	f.History = fmt.Sprintf("in %d of %s", seen, plural(nights, "night"))
	return nil
}
