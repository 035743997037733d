package results

import (
	"strings"
	"testing"

	"patchproof/results/judge"
)

// TestLimitCountsRuns: --max-runs is about runs. Commits that were skipped by hand
// or do not build have had none, and runs that fail in another way are some.
func TestLimitCountsRuns(t *testing.T) {
	limited := func(most int) *fakeSearch {
		c, record := sampleBisection(judge.FindCulprit)
		record.Rules.MaxRuns = most
		b, err := NewBisection(c, record)
		if err != nil {
			t.Fatal(err)
		}
		f := newFakeSearch(t, judge.FindCulprit, 5, 1)
		f.Bisection = b
		return f
	}
	f := limited(4)
	for _, node := range []int{8, 9, 10, 11} {
		f.apply(BisectEvent{Event: EventUntestable, Commit: fakeHash(node), Reason: "skipped by hand"})
	}
	if _, more := f.Judge.Next(); !more {
		t.Errorf("no run was made, and the search ends: %s", f.Judge.Answer().Reason)
	}
	f = limited(4)
	for range 4 {
		r := f.runOf(13, false)
		r.Reports = []ReportRecord{otherReport()}
		r.classify()
		f.Runs = append(f.Runs, r)
		f.apply(BisectEvent{Event: EventRun, Run: r.ID, Commit: r.Commit})
	}
	if _, more := f.Judge.Next(); more || !strings.Contains(f.Judge.Answer().Reason, "limit of 4 runs") {
		t.Errorf("4 of 4 runs were made, and the search goes on: %s", f.Judge.Answer().Reason)
	}
}
