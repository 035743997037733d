package site

import (
	"testing"

	"patchproof/results"
	"patchproof/results/site/sitetest"
)

// A cell that was not run because nothing had changed shows what was measured
// then.
func TestSkippedCellRecalls(t *testing.T) {
	s := sitetest.New(t)
	m := sitetest.Matrix(0, 1, 2, 1)
	first := s.Night(0, m, sitetest.Usual)
	again := sitetest.Matrix(0, 1, 2, 1)
	for i := range again.Cells {
		again.Cells[i].Skipped, again.Cells[i].MeasuredIn = "unchanged since "+first.ID, first.ID
	}
	w, c := s.Begin(1, again)
	s.Finish(w, c, 1)
	site := openSite(t, s, Options{})
	contains(t, "matrix", words(drawn(t, site, "c/"+c.ID+"/"+indexName)), "zlib – (3/3) – (0/3) – (0/3)", "unchanged since "+first.ID)
	cell := drawn(t, site, "c/"+c.ID+"/"+cellFile(again.Cells[1].Key))
	contains(t, "cell", cell, `<a href="../`+first.ID+`/`+cellFile(again.Cells[1].Key)+`">`)
	if state := results.CellOf(again.Cells[1], nil).State; state != results.CellSkipped {
		t.Errorf("the cell is %s", state)
	}
}
