package site

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"patchproof/results"
	"patchproof/results/index"
)

// How much news a page shows.
const (
	newsMatrices = 10 // on the index
	newsNights   = 4  // that a night is compared with, taken together
	newsItems    = 12 // in a list
	newsCells    = 4  // of an item
)

// news is what a night brought, against the nights before.
type news struct {
	Name     string
	State    state
	Campaign link
	Against  []link
	Lists    []newsList
	Quiet    string // said when there is nothing in the lists
}

// newsList is one kind of news.
type newsList struct {
	Title string
	Tone  string
	Items []newsItem
	Total int
	More  int // items that are not listed
}

type newsItem struct {
	Link   link
	Detail string
	Cells  []link
}

// news returns what is new in the last night of every matrix among campaigns.
func (s *Site) news(ctx context.Context, campaigns []index.Campaign) ([]news, error) {
	var out []news
	seen := map[string]bool{}
	for i := range campaigns {
		row := &campaigns[i]
		if row.Kind != results.KindMatrix || row.State == index.StateRunning || seen[row.Name] || len(out) == newsMatrices {
			continue
		}
		seen[row.Name] = true
		record, err := s.record(row.ID)
		if err != nil {
			continue // it is among the problems
		}
		c := &campaign{Campaign: *record, ID: row.ID}
		n, err := s.newsOf(ctx, c, "c/"+c.ID+"/", "c/")
		if err != nil {
			return nil, err
		}
		view := rowOf(row)
		n.Name, n.State = row.Name, view.State
		n.Campaign = link{row.Started.UTC().Format("2006-01-02 15:04") + " UTC, " + view.Detail, view.Href}
		out = append(out, *n)
	}
	return out, nil
}

// newsOf compares a campaign of a matrix with those before: few runs a night
// say more when there are several nights. base leads from the page to the
// campaign's folder, and up to the folder of all campaigns.
func (s *Site) newsOf(ctx context.Context, c *campaign, base, up string) (*news, error) {
	n := &news{}
	var before []results.Observed
	for id := c.ID; len(before) < newsNights; {
		last, ok, err := s.index.LastMatrix(ctx, c.Matrix.Name, id)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		id = last.ID
		record, err := s.record(last.ID)
		if err != nil {
			continue // it is among the problems
		}
		night, err := s.observed(ctx, record, id)
		if err != nil {
			return nil, err
		}
		before = append(before, night)
		n.Against = append(n.Against, link{last.Started.UTC().Format("2006-01-02 15:04"), ""})
		if s.shows(last.ID) {
			n.Against[len(n.Against)-1].Href = up + last.ID + "/" + indexName
		}
	}
	if len(before) == 0 {
		n.Quiet = "There is no earlier night to compare with."
		return n, nil
	}
	shown, err := s.index.Shown(ctx, c.Workload)
	if err != nil {
		return nil, err
	}
	after, err := s.observed(ctx, &c.Campaign, c.ID)
	if err != nil {
		return nil, err
	}
	compared, err := results.Compare(before, after, results.CompareOptions{Shown: shown})
	if err != nil {
		n.Quiet = err.Error()
		return n, nil
	}
	if compared.Cells == 0 {
		n.Quiet = "No cell has been run in these nights and in this one yet."
		return n, nil
	}
	n.lists(compared.Failures(), c, base)
	return n, nil
}

// observed is a campaign with what its runs say, as the index has it: reading
// the folders of several nights takes longer than all the rest of a page.
func (s *Site) observed(ctx context.Context, record *results.Campaign, id string) (results.Observed, error) {
	runs, err := s.index.SeenIn(ctx, id)
	return results.Observed{Campaign: record, Runs: runs}, err
}

// newsKinds are the lists, in the order in which somebody has to look at them.
var newsKinds = []struct {
	change      results.Change
	title, tone string
}{
	{results.ChangeNew, "New", "bad"},
	{results.ChangeUnknown, "Changed, too few runs to tell", "unsure"},
	{results.ChangeStill, "Still there", "bad"},
	{results.ChangeFlaky, "Flaky", "unsure"},
	{results.ChangeFixed, "Fixed", "good"},
}

func (n *news) lists(failures []results.Failure, c *campaign, base string) {
	for _, kind := range newsKinds {
		list := newsList{Title: kind.title, Tone: kind.tone}
		for i := range failures {
			item, ok := itemOf(&failures[i], kind.change, c, base)
			if !ok {
				continue
			}
			if list.Total++; list.Total > newsItems {
				list.More++
				continue
			}
			list.Items = append(list.Items, item)
		}
		if list.Total > 0 {
			n.Lists = append(n.Lists, list)
		}
	}
	if len(n.Lists) == 0 {
		n.Quiet = "Nothing failed, in these nights or in this one."
	}
}

// itemOf is what there is to say of a failure in the list of a change: all of
// it when that is the failure's own change, and else the cells in which the
// failure has changed otherwise than on the whole.
func itemOf(f *results.Failure, change results.Change, c *campaign, base string) (newsItem, bool) {
	item := newsItem{Link: link{f.Title, base + indexName + "#failed"}}
	var cells []results.Finding
	for _, found := range f.Findings {
		if found.Cell != "" && listOf(&found, f.Change) == change {
			cells = append(cells, found)
		}
	}
	if f.Change != change && len(cells) == 0 {
		return item, false
	}
	told := f.Findings[0] // of all cells together, when there are several
	if len(cells) > 0 && (f.Change != change || told.Change != change) {
		told = cells[0]
	}
	item.Detail = findingText(&told)
	if f.Change != change {
		item.Detail = "in single cells, such as " + item.Detail
	}
	for i, cell := range cells {
		if i == newsCells {
			item.Cells = append(item.Cells, link{Text: fmt.Sprintf("and %d more", len(cells)-i)})
			break
		}
		item.Cells = append(item.Cells, link{c.shortKey(cell.Cell), base + cellFile(cell.Cell)})
	}
	return item, true
}

// listOf is the list that a cell's finding goes to: its own, but what one cell
// is too small to tell and all of them together do tell is no news of its own.
func listOf(cell *results.Finding, whole results.Change) results.Change {
	same := whole == results.ChangeNew && cell.Before.Seen == 0 || whole == results.ChangeFixed && cell.After.Seen == 0
	if cell.Change == results.ChangeUnknown && same {
		return whole
	}
	return cell.Change
}

func findingText(f *results.Finding) string {
	text := fmt.Sprintf("in %d of %s, before in %d of %d", f.After.Seen, plural(f.After.Able, "run"), f.Before.Seen, f.Before.Able)
	for _, more := range []string{f.Rate, f.Note} {
		if more != "" {
			text += "; " + more
		}
	}
	if f.Need > 0 {
		text += fmt.Sprintf("; about %d runs each would tell", f.Need)
	}
	return text
}

// shortKey is a cell's key without the names of its axes and without the axes
// that have one value only.
func (c *campaign) shortKey(key string) string {
	i := slices.IndexFunc(c.Matrix.Cells, func(cell results.CellRecord) bool { return cell.Key == key })
	if i < 0 {
		return key
	}
	var words []string
	for _, axis := range c.Matrix.Axes {
		if len(axis.Values) > 1 {
			words = append(words, c.Matrix.Cells[i].Values[axis.Name])
		}
	}
	return cmp.Or(strings.Join(words, " "), key)
}
