package orchestrator

import (
	"strings"
	"testing"

	"patchproof/results"
)

// TestMatrixTooFewValidRuns: a cell whose retries are used up does not pass, nor
// is it fixed, by the one run in two that was valid.
func TestMatrixTooFewValidRuns(t *testing.T) {
	l := newLab(t, testMatrix+"retries: 1\n")
	f := l.fake()
	cell := "kernel=base workload=w mount=none"
	f.outcome = func(c string, _ int) string {
		if c == cell {
			return "bug"
		}
		return "clean"
	}
	if r := l.run(t.Context(), MatrixRequest{}, f); r.Verdict(FailOnAny) != MatrixFailing {
		t.Fatalf("cells %s", states(r))
	}
	f = l.fake()
	f.outcome = func(c string, n int) string {
		if c == cell && n > 1 {
			return "invalid"
		}
		return "clean"
	}
	r := l.run(t.Context(), MatrixRequest{}, f)
	if v := r.Verdict(FailOnNew); v != MatrixBroken || len(r.Fixed) != 0 {
		t.Errorf("cells %s, verdict %s, fixed %q", states(r), v, r.Fixed)
	}
	recorded := results.Recorded{Campaign: &r.Campaign, Runs: r.Runs}
	if v := recorded.Verdict(); v != results.Incomplete {
		t.Errorf("drawn again: %s", v)
	}
	var xml strings.Builder
	if err := results.JUnit(&xml, recorded); err != nil || !strings.Contains(xml.String(), `errors="1"`) || !strings.Contains(xml.String(), "only 1 of 2 valid runs") {
		t.Errorf("%v\n%s", err, xml.String())
	}
}

// TestMergeWithoutAShard: cells that are not there have not passed.
func TestMergeWithoutAShard(t *testing.T) {
	l := newLab(t, testMatrix)
	f := l.fake()
	f.outcome = func(string, int) string { return "clean" }
	first := l.run(t.Context(), MatrixRequest{Shard: "1/2"}, f)
	second := l.run(t.Context(), MatrixRequest{Shard: "2/2"}, f)
	for _, tt := range []struct {
		dirs []string
		want MatrixVerdict
	}{
		{[]string{first.Campaign.Dir}, MatrixBroken},
		{[]string{first.Campaign.Dir, second.Campaign.Dir}, MatrixPassing},
	} {
		r, err := l.h.MergeMatrices(t.Context(), tt.dirs, "")
		if err != nil {
			t.Fatal(err)
		}
		if v := r.Verdict(FailOnNew); v != tt.want {
			t.Errorf("%d of 2 shards: %s, missing %q", len(tt.dirs), v, r.Campaign.Matrix.MissingShards)
		}
	}
}

// TestMatrixUnchangedAndUnknown: what --since-last left out counts as what it was,
// and where that cannot be seen it has not passed.
func TestMatrixUnchangedAndUnknown(t *testing.T) {
	l := newLab(t, testMatrix)
	f := l.fake()
	f.outcome = baseFails
	l.run(t.Context(), MatrixRequest{}, f)
	again := l.run(t.Context(), MatrixRequest{SinceLast: true}, l.fake())
	recorded, err := results.ReadRecorded(again.Campaign.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if v := recorded.Verdict(); v != results.Failing {
		t.Errorf("drawn again: %s, and the matrix said %s", v, again.Verdict(FailOnAny))
	}
	elsewhere := &Harness{ResultsDir: t.TempDir()}
	merged, err := elsewhere.MergeMatrices(t.Context(), []string{again.Campaign.Dir}, "")
	if err != nil {
		t.Fatal(err)
	}
	if v := merged.Verdict(FailOnAny); v != MatrixBroken {
		t.Errorf("where the earlier night is not: %s, cells %s", v, states(merged))
	}
}
