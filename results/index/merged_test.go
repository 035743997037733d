package index

import (
	"context"
	"path/filepath"
	"testing"

	"patchproof/results"
)

// TestMergedNights: the shards of a night lie beside the whole, whose start is
// that of the first shard. Their runs count once, and the night is not compared
// with itself.
func TestMergedNights(t *testing.T) {
	const (
		partA = "20261127T190000Z-nightly-part-a"
		partB = "20261127T190100Z-nightly-part-b"
		whole = "20261127T200000Z-nightly-whole"
		older = "a-folder-that-sorts-last"
	)
	dir := t.TempDir()
	a, b := map[string]string{"compress=none": "cc"}, map[string]string{"compress=zlib": "rcc"}
	both := map[string]string{"compress=none": "cc", "compress=zlib": "rcc"}
	for _, n := range []night{{id: older, days: 1, sha: "k1", cells: both}, {id: partA, days: 2, sha: "k2", cells: a},
		{id: partB, days: 2, sha: "k2", cells: b}, {id: whole, days: 2, sha: "k2", cells: both}} {
		writeNight(t, dir, n)
	}
	count := func(x *Index, wantRuns int, wantBefore string) {
		t.Helper()
		ctx := context.Background()
		runs, err := x.CellRuns(ctx, "nightly")
		if err != nil || len(runs) != wantRuns {
			t.Errorf("%d runs of cells, %v; want %d", len(runs), err, wantRuns)
		}
		flaky, err := x.Flaky(ctx, EventFilter{KernelSHA: "k2"})
		if err != nil || len(flaky) != 1 || wantRuns == 10 && flaky[0].Counts.Runs() != 3 {
			t.Errorf("flaky: %+v, %v", flaky, err)
		}
		prints, err := x.Fingerprints(ctx, EventFilter{})
		if err != nil || len(prints) != 1 || prints[0].Runs != wantRuns/5 {
			t.Errorf("reports: %+v, %v", prints, err)
		}
		last, _, err := x.LastMatrix(ctx, "nightly", whole)
		if err != nil || last.ID != wantBefore {
			t.Errorf("before %s came %s, %v; want %s", whole, last.ID, err, wantBefore)
		}
		if last, _, err := x.LastMatrix(ctx, "nightly", wantBefore); err != nil || last.ID == whole {
			t.Errorf("%s came before %s, %v", last.ID, wantBefore, err)
		}
	}
	x := openIndex(t, dir)
	count(x, 15, partB) // nothing says that they belong together
	c, err := results.LoadCampaign(filepath.Join(dir, whole))
	if err != nil {
		t.Fatal(err)
	}
	c.Matrix.Merged = []string{partA, partB}
	writeFile(t, filepath.Join(dir, whole, "campaign.json"), encode(t, c))
	settle(t, filepath.Join(dir, whole))
	refresh(t, x)
	count(x, 10, older)
}
