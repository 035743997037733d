package site

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchproof/results"
	"patchproof/results/index"
)

// indexRows is how many campaigns a page of the index lists.
const indexRows = 200

// indexBody is the list of campaigns, newest first, a page of it. The first
// page begins with what the last nights brought.
type indexBody struct {
	News     []news
	Running  []campaignRow
	Rows     []campaignRow
	Filter   filter
	Problems []index.Problem
	Newer    string
	Older    string
}

// campaignRow is a campaign in the list.
type campaignRow struct {
	ID, Href, Kind, Name string
	Kernels              string
	Started              time.Time
	Elapsed              float64
	State                state
	Detail               string
	// Done of Total runs or cells, for a campaign that is running; Total is 0
	// when it is not known.
	Done, Total int
}

func (s *Site) indexPage(ctx context.Context, number int) (File, error) {
	campaigns, more, err := s.campaigns(ctx, number)
	if err != nil {
		return File{}, err
	}
	if number > 1 && len(campaigns) == 0 {
		return File{}, notFound(laterFile(number))
	}
	var body indexBody
	for i := range campaigns {
		row := rowOf(&campaigns[i])
		body.Rows = append(body.Rows, row)
		if campaigns[i].State == index.StateRunning {
			body.Running = append(body.Running, row)
		}
		body.Filter.States = addWord(body.Filter.States, row.State.Name)
		body.Filter.Kernels = addWord(body.Filter.Kernels, row.Kernels)
		body.Filter.Workloads = addWord(body.Filter.Workloads, row.Name)
	}
	if number > 1 {
		body.Newer = laterFile(number - 1)
	} else if body.News, err = s.news(ctx, campaigns); err != nil {
		return File{}, err
	}
	if more {
		body.Older = laterFile(number + 1)
	}
	if body.Problems, err = s.problems(ctx); err != nil {
		return File{}, err
	}
	title := "Campaigns"
	if number > 1 {
		title = fmt.Sprintf("Campaigns, page %d", number)
	}
	return s.render("index", page{Title: title, Poll: len(body.Running) > 0, Body: body})
}

func laterFile(number int) string {
	if number == 1 {
		return indexName
	}
	return fmt.Sprintf("campaigns-%d.html", number)
}

// campaigns returns a page of the site's campaigns, and whether there are more.
func (s *Site) campaigns(ctx context.Context, number int) (list []index.Campaign, more bool, err error) {
	skip := (number - 1) * indexRows
	if s.chosen == nil {
		list, err = s.index.Campaigns(ctx, index.Filter{Limit: indexRows + 1, Offset: skip})
	} else if list, err = s.index.Campaigns(ctx, index.Filter{}); err == nil {
		list = slices.DeleteFunc(list, func(c index.Campaign) bool { return !s.shows(c.ID) })
		list = list[min(skip, len(list)):]
	}
	if len(list) > indexRows {
		return list[:indexRows], true, err
	}
	return list, false, err
}

func (s *Site) problems(ctx context.Context) ([]index.Problem, error) {
	all, err := s.index.Problems(ctx)
	return slices.DeleteFunc(all, func(p index.Problem) bool { return !s.shows(p.Campaign) }), err
}

func rowOf(c *index.Campaign) campaignRow {
	row := campaignRow{ID: c.ID, Href: "c/" + c.ID + "/" + indexName, Kind: string(c.Kind), Name: cmp.Or(c.Name, c.Workload, c.ID),
		Kernels: joined(" → ", c.Pre, c.Post), Started: c.Started, Elapsed: c.ElapsedSeconds, State: campaignState(c)}
	n := c.Counts
	switch c.Kind {
	case results.KindMatrix:
		row.Done, row.Total = c.BadCells+c.GoodCells, c.Cells
		row.Detail = fmt.Sprintf("%d of %s failing, %d passing", c.BadCells, plural(c.Cells, "cell"), c.GoodCells)
	default:
		row.Done = n.Runs()
		row.Detail = fmt.Sprintf("%d of %s reproduced", n.Reproduced, plural(n.Runs(), "run"))
		if n.OtherFailure > 0 {
			row.Detail += ", " + plural(n.OtherFailure, "other failure")
		}
	}
	if n.Invalid > 0 {
		row.Detail += ", " + plural(n.Invalid, "invalid run")
	}
	return row
}

func campaignState(c *index.Campaign) state {
	if c.State == index.StateEnded || c.State == index.StateBroken && c.Verdict != "" {
		switch {
		case c.Verdict == "" && c.Failed != "":
			return stateOf("error")
		case c.Kind == results.KindBisect:
			return stateOf("ended") // its page says how
		}
		return stateOf(c.Verdict)
	}
	return stateOf(string(c.State))
}

func joined(between string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), between)
}

// addWord adds a word to a sorted list that does not have it.
func addWord(words []string, word string) []string {
	i, found := slices.BinarySearch(words, word)
	if found || word == "" {
		return words
	}
	return slices.Insert(words, i, word)
}
