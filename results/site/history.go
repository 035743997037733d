package site

import (
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
	failureCells = 12 // that one failure lists
)

// night is what a campaign of a matrix showed in all its cells together.
type night struct {
	Campaign string
	Started  time.Time
	Counts   judge.Counts
}

// nights returns what a matrix showed up to a campaign, the oldest first and the
// campaign itself last: its pages stay as they are when later ones come.
func (s *Site) nights(ctx context.Context, c *campaign, cells []results.CellResult) ([]night, error) {
	earlier, err := s.index.Campaigns(ctx, index.Filter{Kind: results.KindMatrix, Name: c.Matrix.Name, Until: c.Started})
	if err != nil {
		return nil, err
	}
	last := night{Campaign: c.ID, Started: c.Started}
	for i := range cells {
		last.Counts = sum(last.Counts, cells[i].Counts)
	}
	var out []night
	for _, row := range slices.Backward(earlier) {
		if row.Counts.Runs() > 0 && row.ID != c.ID {
			out = append(out, night{row.ID, row.Started, row.Counts})
		}
	}
	if last.Counts.Runs() > 0 {
		out = append(out, last)
	}
	return out, nil
}

// recall puts into the views of cells that were not run because nothing had
// changed what an earlier campaign measured.
func (s *Site) recall(ctx context.Context, cells []results.CellResult, views []cellView) error {
	known := map[string]map[string]judge.Counts{}
	for i := range cells {
		from := cells[i].Cell.MeasuredIn
		if from == "" {
			continue
		}
		if known[from] == nil {
			runs, err := s.index.SeenIn(ctx, from)
			if err != nil {
				return err
			}
			known[from] = map[string]judge.Counts{}
			for _, r := range runs {
				n := known[from][r.Cell]
				n.Add(r.Outcome)
				known[from][r.Cell] = n
			}
		}
		views[i].recall(known[from][cells[i].Cell.Key], from)
	}
	return nil
}

func sum(a, b judge.Counts) judge.Counts {
	return judge.Counts{Reproduced: a.Reproduced + b.Reproduced, Clean: a.Clean + b.Clean,
		OtherFailure: a.OtherFailure + b.OtherFailure, Invalid: a.Invalid + b.Invalid}
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
func nightPoints(nights []night) (points []ratePoint, campaigns []string) {
	for _, n := range nights[max(0, len(nights)-trendNights):] {
		pt := failedShare(n.Counts)
		pt.Time = n.Started
		points, campaigns = append(points, pt), append(campaigns, n.Campaign)
	}
	return points, campaigns
}

// cellPoints is the same for one cell up to a campaign, with the kernels as
// labels.
func (s *Site) cellPoints(ctx context.Context, c *campaign, key string) (points []ratePoint, campaigns []string, err error) {
	history, err := s.index.CellHistory(ctx, c.Matrix.Name, key)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range history {
		if n.Campaign != c.ID && !n.Started.Before(c.Started) {
			continue
		}
		pt := failedShare(n.Counts)
		pt.Time, pt.Label = n.Started, n.Kernel
		points, campaigns = append(points, pt), append(campaigns, n.Campaign)
	}
	first := max(0, len(points)-trendNights)
	return points[first:], campaigns[first:], nil
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
func (s *Site) failures(ctx context.Context, c *campaign, cells []results.CellResult, nights []night) ([]failure, error) {
	showed, err := s.index.Showed(ctx, c.Matrix.Name)
	if err != nil {
		return nil, err
	}
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
				f := failure{Title: rep.Title, Condition: rep.Condition, Place: rep.Place, State: stateOf("other-failure")}
				if rep.Matches {
					f.State = stateOf("reproduced")
				}
				s.since(&f, c.ID, nights, showed[rep.Fingerprint])
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
	return out, nil
}

// since says in which nights a failure came; showed holds the campaigns.
func (s *Site) since(f *failure, id string, nights []night, showed map[string]bool) {
	seen := 0
	for i, n := range nights {
		if n.Campaign != id && !showed[n.Campaign] {
			continue
		}
		if seen++; seen == 1 {
			f.Since = link{n.Started.UTC().Format("2006-01-02"), s.campaignHref(n.Campaign, indexName)}
			f.New = n.Campaign == id && i > 0
		}
	}
	f.History = fmt.Sprintf("in %d of %s", seen, plural(len(nights), "night"))
}
