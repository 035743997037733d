package results

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"patchproof/results/judge"
)

// TestFixOnABranchWithoutTheBug: a branch that forked off before the bug came is
// clean without having fixed anything. Where a search for the fix ends there, it
// says what its runs leave open.
func TestFixOnABranchWithoutTheBug(t *testing.T) {
	// old - 0 - fix 1 ------ merge 9
	//   \ 2 - 3 - ... - 8 /    forked off before old
	parents := [][]int{nil, {0}, nil, {2}, {3}, {4}, {5}, {6}, {7}, {1, 8}}
	for _, tt := range []struct {
		name  string
		older bool // the bug is older than the branch, and 4 fixes it there
		want  int
		doubt bool
	}{
		{"the branch never had the bug", false, 2, true},
		{"the branch had it", true, 4, true},
	} {
		c, record := sampleBisection(judge.FindFix)
		record.Commits = nil
		for i, p := range parents {
			record.Commits = append(record.Commits, BisectCommit{Commit: fakeHash(i), Parents: p, Subject: fmt.Sprint(i), Aside: i >= 2 && i <= 8})
		}
		record.New.BisectCommit = record.Commits[9]
		b, err := NewBisection(c, record)
		if err != nil {
			t.Fatal(err)
		}
		shows := []int{judge.OldEnd, 0}
		if tt.older {
			shows = []int{judge.OldEnd, 0, 1, 2, 3}
		}
		f := &fakeSearch{Bisection: b, now: began}
		for range 200 {
			step, ok := f.Judge.Next()
			if !ok {
				break
			}
			r := f.runOf(step.Node, slices.Contains(shows, step.Node))
			f.Runs = append(f.Runs, r)
			f.apply(BisectEvent{Event: EventRun, Run: r.ID, Commit: r.Commit})
		}
		if a := b.Judge.Answer(); !b.Found() || a.Set[0] != tt.want {
			t.Fatalf("%s: found %v, %v: %s", tt.name, a.Found, a.Set, a.Reason)
		}
		var text, doc bytes.Buffer
		if err := BisectText(&text, b); err != nil {
			t.Fatal(err)
		}
		if err := BisectJSON(&doc, b); err != nil {
			t.Fatal(err)
		}
		for _, out := range []string{strings.Join(strings.Fields(text.String()), " "), doc.String()} {
			if strings.Contains(out, "is on a branch that forked off before v1") != tt.doubt {
				t.Errorf("%s: doubt %v in\n%s", tt.name, !tt.doubt, out)
			}
		}
	}
	if f := newFakeSearch(t, judge.FindFix, 8, 1).all(1000); !f.Found() || f.AnswerDoubt() != "" {
		t.Errorf("a fix after the old end: found %v, %q", f.Found(), f.AnswerDoubt())
	}
}
