package site

import (
	"strings"
	"testing"

	"patchproof/results"
)

func TestNewsLists(t *testing.T) {
	share := func(seen, able int) results.Share { return results.Share{Seen: seen, Able: able} }
	finding := func(cell string, change results.Change, before, after results.Share) results.Finding {
		return results.Finding{Cell: cell, Change: change, Before: before, After: after}
	}
	failures := []results.Failure{
		{Title: "new on the whole", Change: results.ChangeNew, Findings: []results.Finding{
			finding("", results.ChangeNew, share(0, 40), share(6, 10)), finding("k=a v=1", results.ChangeUnknown, share(0, 20), share(3, 3)), finding("k=a v=2", results.ChangeFlaky, share(0, 20), share(3, 3))}},
		{Title: "new in a cell", Change: results.ChangeNew, Findings: []results.Finding{
			finding("", results.ChangeStill, share(9, 40), share(12, 40)), finding("k=b v=1", results.ChangeNew, share(0, 20), share(9, 9)), finding("k=b v=2", results.ChangeStill, share(9, 20), share(3, 31))}},
		{Title: "fixed", Change: results.ChangeFixed, Findings: []results.Finding{finding("pre", results.ChangeFixed, share(9, 9), share(0, 9))}},
	}
	c := &campaign{Campaign: results.Campaign{Matrix: &results.MatrixRecord{Axes: []results.AxisRecord{{Name: "k", Values: []string{"a", "b"}}, {Name: "v", Values: []string{"1", "2"}}},
		Cells: []results.CellRecord{{Key: "k=a v=1", Values: map[string]string{"k": "a", "v": "1"}}, {Key: "k=b v=1", Values: map[string]string{"k": "b", "v": "1"}}}}}}
	var n news
	n.lists(failures, c, "base/")
	var got []string
	for _, l := range n.Lists {
		for _, item := range l.Items {
			line := l.Title + ": " + item.Link.Text + " " + item.Detail
			for _, cell := range item.Cells {
				line += " [" + cell.Text + "]"
			}
			got = append(got, line)
		}
	}
	want := []string{
		"New: new on the whole in 6 of 10 runs, before in 0 of 40 [a 1]",
		"New: new in a cell in 9 of 9 runs, before in 0 of 20 [b 1]",
		"Still there: new in a cell in single cells, such as in 3 of 31 runs, before in 9 of 20 [k=b v=2]",
		"Flaky: new on the whole in single cells, such as in 3 of 3 runs, before in 0 of 20 [k=a v=2]",
		"Fixed: fixed in 0 of 9 runs, before in 9 of 9 [pre]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	n = news{}
	n.lists(nil, c, "")
	if n.Quiet == "" {
		t.Error("nothing is said when there is no news")
	}
}
