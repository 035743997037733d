package results

import (
	"bytes"
	"strings"
	"testing"

	"patchproof/results/judge"
)

// TestNotConfirmed: an answer around which fresh runs say nothing is not called
// confirmed by them.
func TestNotConfirmed(t *testing.T) {
	for _, breaks := range []bool{false, true} {
		c, record := sampleBisection(judge.FindCulprit)
		record.Rules.KnownRate = 1
		b, err := NewBisection(c, record)
		if err != nil {
			t.Fatal(err)
		}
		f := newFakeSearch(t, judge.FindCulprit, 9, 1)
		f.Bisection = b
		failed := 0
		for range 200 {
			step, more := f.Judge.Next()
			if !more {
				break
			}
			if breaks && step.Node == 8 && step.Purpose == judge.PurposeConfirm {
				failed++
				f.apply(BisectEvent{Event: EventUntestable, Commit: fakeHash(8), Reason: "2 runs in a row say nothing of the bug"})
				continue
			}
			f.step()
		}
		var out bytes.Buffer
		if err := BisectText(&out, f.Bisection); err != nil {
			t.Fatal(err)
		}
		a, text := f.Judge.Answer(), out.String()
		if !f.Found() || a.Set[0] != 9 || breaks != (failed > 0) {
			t.Fatalf("found %v, set %v, %d failed runs: %s", a.Found, a.Set, failed, a.Reason)
		}
		if strings.Contains(text, ", confirmed by fresh runs") == breaks || strings.Contains(text, "not confirmed: fresh runs of 08abcdef0000 say nothing") != breaks {
			t.Errorf("runs break off: %v\n%s", breaks, text)
		}
	}
}
