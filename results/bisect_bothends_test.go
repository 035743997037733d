package results

import (
	"bytes"
	"strings"
	"testing"

	"patchproof/results/judge"
)

// TestBugBeforeTheRange: once it turns out that the bug is older than the range,
// no commit of it may be called good, in the log for git or in the table.
func TestBugBeforeTheRange(t *testing.T) {
	f := newFakeSearch(t, judge.FindCulprit, 5, 1)
	f.all(9) // into the search; by chance the first commits were clean
	tell := func(node int, reproduced bool, n int) {
		for range n {
			r := f.runOf(node, reproduced)
			f.Runs = append(f.Runs, r)
			f.apply(BisectEvent{Event: EventRun, Run: r.ID, Commit: r.Commit})
		}
	}
	tell(judge.OldEnd, true, 20)
	tell(2, true, 20)
	if a := f.Judge.Answer(); !a.Done || !strings.Contains(a.EndpointDoubt, "has the bug too") {
		t.Fatalf("done %v: %s, %s", a.Done, a.Reason, a.EndpointDoubt)
	}
	v := viewOf(f.Bisection)
	for _, node := range []int{judge.OldEnd, 2, 13} {
		if r := v.row(node); r.Changed < 0.99 || r.Changed > 1 {
			t.Errorf("node %d is bad with probability %v", node, r.Changed)
		}
	}
	var log bytes.Buffer
	if err := BisectGit(&log, f.Bisection); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Count(got, "git bisect good") != 1 || !strings.Contains(got, "git bisect bad "+fakeHash(2)) {
		t.Errorf("a commit that has the bug is called good:\n%s", got)
	}
}
