package results

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"patchproof/results/judge"
)

// bisectParents is a history of 14 commits: a branch of two beside 3 and 4,
// merged in 7.
var bisectParents = [][]int{nil, {0}, {1}, {2}, {3}, {2}, {5}, {4, 6}, {7}, {8}, {9}, {10}, {11}, {12}}

func fakeHash(n int) string { return fmt.Sprintf("%02xabcdef%032x", n, n) }

// sampleBisection is the record of a search in bisectParents.
func sampleBisection(find judge.Find) (*Campaign, *BisectRecord) {
	end := func(n int, rev string) BisectEnd {
		return BisectEnd{BisectCommit{Commit: fakeHash(n), Subject: "commit " + rev, Author: "A U Thor <author@example.org>"}, rev}
	}
	record := &BisectRecord{Rules: judge.BisectRules{Find: find, Confidence: 0.99}.WithDefaults(), Tree: "/src/linux", Old: end(99, "v1"), New: end(13, "v2")}
	for i, parents := range bisectParents {
		record.Commits = append(record.Commits, BisectCommit{Commit: fakeHash(i), Parents: parents,
			Subject: fmt.Sprintf("subsystem: change number %d", i), Author: "A U Thor <author@example.org>"})
	}
	record.New.Subject = record.Commits[13].Subject
	c := sampleCampaign()
	c.ID, c.Kind, c.Dir, c.Command = "20261125T190147Z-demo-1", KindBisect, "/results/20261125T190147Z-demo-1", []string{"patchproof", "bisect", "--good", "v1", "--bad", "v2"}
	return &c, record
}

// fakeSearch answers the steps of a bisection in memory.
type fakeSearch struct {
	*Bisection
	answer     int // node
	untestable []int
	rate       float64 // of reproducing where the bug is
	random     *rand.Rand
	now        time.Time
}

func newFakeSearch(t *testing.T, find judge.Find, answer int, rate float64) *fakeSearch {
	t.Helper()
	c, record := sampleBisection(find)
	b, err := NewBisection(c, record)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeSearch{Bisection: b, answer: answer, rate: rate, random: rand.New(rand.NewPCG(1, 2)), now: began}
	f.apply(BisectEvent{Event: EventSitting})
	return f
}

func (f *fakeSearch) apply(e BisectEvent) {
	e.Time = f.now
	f.Apply(e)
}

// reproduces draws what a run at a node shows.
func (f *fakeSearch) reproduces(node int) bool {
	changed := node == judge.NewEnd
	if node >= 0 {
		for a := range f.graph.Ancestors(node) {
			changed = changed || a == f.answer
		}
	}
	return changed == (f.Record.Rules.Find != judge.FindFix) && f.random.Float64() < f.rate
}

// runOf is the record of a run that reproduced or was clean.
func (f *fakeSearch) runOf(node int, reproduced bool) Run {
	r := Run{ID: fmt.Sprintf("run-%03d", len(f.Runs)+1), Side: Single, Index: len(f.Runs) + 1, Commit: f.Commit(node).Commit,
		Complete: true, ElapsedSeconds: 20, Started: f.now, Accel: "tcg", Shape: "1 vCPU", Dir: fmt.Sprintf("%s/run/%03d", f.Campaign.Dir, len(f.Runs)+1)}
	if reproduced {
		r.Reports = []ReportRecord{btrfsReport()}
	}
	r.classify()
	return r
}

// step takes one step of the judge; false when there is none.
func (f *fakeSearch) step() bool {
	step, ok := f.Judge.Next()
	if !ok {
		return false
	}
	commit := f.Commit(step.Node).Commit
	if slices.Contains(f.untestable, step.Node) {
		f.now = f.now.Add(10 * time.Second)
		f.apply(BisectEvent{Event: EventUntestable, Commit: commit, Reason: "does not build: fs/btrfs/inode.c:10: error: expected ';'", Log: "/cache/logs/x.log"})
		return true
	}
	if h := f.at(step.Node); !h.built {
		f.now = f.now.Add(60 * time.Second)
		f.apply(BisectEvent{Event: EventBuild, Commit: commit, Seconds: 60})
	}
	f.now = f.now.Add(20 * time.Second)
	r := f.runOf(step.Node, f.reproduces(step.Node))
	f.Runs = append(f.Runs, r)
	f.apply(BisectEvent{Event: EventRun, Run: r.ID, Commit: commit})
	return true
}

// all takes up to most steps.
func (f *fakeSearch) all(most int) *fakeSearch {
	for i := 0; i < most && f.step(); i++ {
	}
	return f
}
