package orchestrator

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchproof/results"
	"patchproof/results/index"
	"patchproof/results/judge"
)

// nights are campaigns of a matrix of one cell, the oldest first: for each the
// letter of its kernel image, and what its runs showed: b the bug, o another
// failure, c nothing.
func pastOf(now *results.Campaign, nights ...string) past {
	var runs []index.CellRun
	for i := len(nights) - 1; i >= 0; i-- {
		image, shows, _ := strings.Cut(nights[i], ":")
		for _, letter := range shows {
			r := index.CellRun{Campaign: fmt.Sprint("night", i), Started: now.Started.AddDate(0, 0, i-len(nights)), Seconds: 4}
			r.Cell, r.KernelSHA, r.Outcome = "cell", image, judge.Clean
			switch letter {
			case 'b':
				r.Outcome, r.Reports = judge.Reproduced, []judge.SeenReport{{Fingerprint: "bug", Signature: true}}
			case 'o':
				r.Outcome, r.Reports = judge.OtherFailure, []judge.SeenReport{{Fingerprint: "other"}}
			}
			runs = append(runs, r)
		}
	}
	return newPast(runs, now)
}

func TestNewAgainstTheLastNights(t *testing.T) {
	now := &results.Campaign{ID: "now", Started: time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC), Matrix: &results.MatrixRecord{Name: "m"}}
	clean := strings.Split("k:c k:c k:c k:c k:c k:c", " ") // one less than what is looked at
	bug := results.CellReport{Fingerprint: "bug", Title: "BUG", Matches: true}
	other := results.CellReport{Fingerprint: "other", Title: "OTHER"}
	for _, test := range []struct {
		name   string
		nights []string
		state  results.CellState
		shows  []results.CellReport
		want   bool
	}{
		{"no past", nil, results.CellFailing, []results.CellReport{bug}, true},
		{"never seen, also with the kernel of last night", []string{"z:c"}, results.CellFailing, []results.CellReport{bug}, true},
		{"last night", []string{"k:b"}, results.CellFailing, []results.CellReport{bug}, false},
		{"seldom: in one run, seven nights ago", append([]string{"k:cbc"}, clean...), results.CellFailing, []results.CellReport{bug}, false},
		{"eight nights ago", append([]string{"k:b", "k:c"}, clean...), results.CellFailing, []results.CellReport{bug}, true},
		{"long ago, but the kernel is the same: flaky", append([]string{"z:b", "k:c"}, clean...), results.CellFailing, []results.CellReport{bug}, false},
		{"failed in another way", []string{"k:o"}, results.CellFailing, []results.CellReport{bug}, true},
		{"another failure beside the bug", []string{"k:b"}, results.CellFailing, []results.CellReport{bug, other}, true},
		{"that too was there", []string{"k:o", "k:b"}, results.CellFailing, []results.CellReport{bug, other}, false},
		{"another failure instead of the bug", []string{"k:b"}, results.CellOther, []results.CellReport{other}, true},
		{"passes", []string{"k:b"}, results.CellPassing, nil, false},
	} {
		cell := results.CellResult{Cell: results.CellRecord{Key: "cell", Kernel: results.KernelRecord{SHA256: "z"}}, State: test.state, Reports: test.shows}
		if _, got := pastOf(now, test.nights...).newIn(&cell); got != test.want {
			t.Errorf("%s: new is %v", test.name, got)
		}
	}
}

func TestPast(t *testing.T) {
	now := &results.Campaign{ID: "now", Started: time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC), Matrix: &results.MatrixRecord{Name: "m", Merged: []string{"night2"}}}
	p := pastOf(now, "k:b", "k:co", "k:bbb") // the last is a part of this one
	c := p.cells["cell"]
	if c.campaign != "night1" || c.state() != results.CellOther || c.last.Valid() != 2 || p.seconds("cell") != 4 || c.recent.Reproduced != 1 {
		t.Errorf("%+v", c)
	}
	if p.seconds("unknown") != 0 || p.cells["unknown"].state() != "" {
		t.Error("something is known of a cell that never ran")
	}
}

// TestMatrixBrokenIndex: the folders are the truth, and what is wrong with the
// index costs no night.
func TestMatrixBrokenIndex(t *testing.T) {
	l := newLab(t, testMatrix)
	f := l.fake()
	f.outcome = baseFails
	first := l.run(t.Context(), MatrixRequest{}, f)
	file := filepath.Join(l.h.ResultsDir, "index.db")
	for name, breakIt := range map[string]func() error{
		"missing": func() error { return os.RemoveAll(file) },
		"damaged": func() error { return os.WriteFile(file, []byte(strings.Repeat("no database ", 500)), 0o644) },
	} {
		if err := breakIt(); err != nil {
			t.Fatal(err)
		}
		r := l.run(t.Context(), MatrixRequest{SinceLast: true}, l.fake())
		if r.First || len(r.New) != 0 || r.Cells[0].Cell.MeasuredIn != first.Campaign.ID {
			t.Errorf("%s index: first %v, new %v, %+v", name, r.First, r.New, r.Cells[0])
		}
	}
}
