package site

import (
	"fmt"
	"strings"
	"testing"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/results/site/sitetest"
)

// A bisection of six commits, of which the fourth brought the bug.
func TestBisectionPage(t *testing.T) {
	const culprit = 3
	s := sitetest.New(t)
	store, err := results.OpenStore(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	commit := func(n int) results.BisectCommit {
		c := results.BisectCommit{Commit: fmt.Sprintf("%02x%038x", 0xa0+n, n), Subject: fmt.Sprintf("fs: change <%d>", n), Author: "A U Thor"}
		if n > 0 {
			c.Parents = []int{n - 1}
		}
		return c
	}
	record := &results.BisectRecord{Rules: judge.BisectRules{Find: judge.FindCulprit, Confidence: 0.99}.WithDefaults(), Tree: "/src/linux"}
	for n := range 6 {
		record.Commits = append(record.Commits, commit(n))
	}
	record.Old = results.BisectEnd{BisectCommit: results.BisectCommit{Commit: strings.Repeat("0", 40)}, Rev: "v6.1"}
	record.New = results.BisectEnd{BisectCommit: record.Commits[5], Rev: "v6.2"}
	c := &results.Campaign{Workload: "race", Command: []string{"patchproof", "bisect"}}
	w, err := store.CreateBisection(c, record)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		step, ok := w.Judge.Next()
		if !ok {
			break
		}
		r := sitetest.Run{Log: "quiet\n"}
		if step.Node == judge.NewEnd || step.Node >= culprit {
			r = sitetest.CellRun(&results.CellRecord{}, c.Started, "bug")
		}
		r.Run = results.Run{Side: results.Single, Commit: w.Commit(step.Node).Commit, Started: c.Started}
		rw := s.StartIn(func(run results.Run) (*results.RunWriter, error) { return w.StartRun(run.Commit, run) }, r)
		s.End(rw, r)
		if err := w.AddRun(rw.Run()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(""); err != nil {
		t.Fatal(err)
	}
	page := drawn(t, openSite(t, s, Options{}), "c/"+c.ID+"/"+indexName)
	contains(t, "bisection", words(page), "The culprit", "a30000000000 fs: change &lt;3&gt; A U Thor, 99", "6 commits, v6.1..v6.2 of /src/linux", "✕ reproduced", "✓ clean")
	if n := strings.Count(page, "<meter value"); n != 6 {
		t.Errorf("%d commits are ranked, want 6", n)
	}
}
