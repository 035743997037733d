package index

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"

	"patchproof/results"
)

// Compare loads the campaigns that refs name, see Find, and compares the last
// one with those before it. What other campaigns showed of the same kernel
// images counts for what is called flaky. A confidence of 0 is the default.
func (x *Index) Compare(ctx context.Context, refs []string, confidence float64) (results.Comparison, error) {
	if len(refs) < 2 {
		return results.Comparison{}, fmt.Errorf("name an earlier campaign and a later one, not %d", len(refs))
	}
	var loaded []results.Recorded
	for _, ref := range refs {
		c, err := x.Find(ctx, ref)
		if err != nil {
			return results.Comparison{}, err
		}
		campaign, runs, err := results.Load(filepath.Join(x.dir, c.ID))
		if err != nil {
			return results.Comparison{}, err
		}
		campaign.ID = c.ID // the folder may have been renamed
		loaded = append(loaded, results.Recorded{Campaign: campaign, Runs: runs})
	}
	before, after := loaded[:len(loaded)-1], loaded[len(loaded)-1]
	shown, err := x.Shown(ctx, after.Campaign.Workload)
	if err != nil {
		return results.Comparison{}, err
	}
	return results.Compare(before, after, results.CompareOptions{Confidence: confidence, Shown: shown})
}

// Shown returns what results.CompareOptions asks for: whether runs of a kernel
// image in a cell, or on a side, have ever shown a fingerprint with a workload.
func (x *Index) Shown(ctx context.Context, workload string) (func(cell, kernelSHA, fingerprint string) bool, error) {
	shown, err := x.shown(ctx, workload)
	return func(cell, sha, fingerprint string) bool { return shown[[3]string{cell, sha, fingerprint}] }, err
}

// shown returns all triples of cell, or side, kernel image and fingerprint that
// were ever seen together with a workload.
func (x *Index) shown(ctx context.Context, workload string) (map[[3]string]bool, error) {
	triples, err := list(ctx, x, `SELECT DISTINCT CASE r.cell WHEN '' THEN r.side ELSE r.cell END, r.kernel_sha, e.fingerprint
		FROM events e JOIN runs r ON r.folder = e.folder AND r.path = e.path JOIN campaigns c ON c.folder = r.folder
		WHERE c.workload = ? AND r.counted AND r.kernel_sha <> ''`, []any{line(workload)}, func(row *sql.Rows) (k [3]string, err error) {
		err = row.Scan(&k[0], &k[1], &k[2])
		return k, err
	})
	out := map[[3]string]bool{}
	for _, k := range triples {
		out[k] = true
	}
	return out, err
}
