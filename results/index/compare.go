package index

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/results/judge"
)

// Compare loads the campaigns that refs name, see Find, and compares the last
// one with those before it. What other campaigns showed of the same kernel
// images counts for what is called flaky. A confidence of 0 is the default.
func (x *Index) Compare(ctx context.Context, refs []string, confidence float64) (results.Comparison, error) {
	if len(refs) < 2 {
		return results.Comparison{}, fmt.Errorf("name an earlier campaign and a later one, not %d", len(refs))
	}
	var loaded []results.Observed
	for _, ref := range refs {
		o, err := x.observed(ctx, ref)
		if err != nil {
			return results.Comparison{}, err
		}
		if slices.ContainsFunc(loaded, func(l results.Observed) bool { return l.Campaign.ID == o.Campaign.ID }) {
			return results.Comparison{}, &results.AskedError{Err: fmt.Errorf("%s is named twice: its runs would count twice", o.Campaign.ID)}
		}
		loaded = append(loaded, o)
	}
	before, after := loaded[:len(loaded)-1], loaded[len(loaded)-1]
	shown, err := x.Shown(ctx, after.Campaign.Workload)
	if err != nil {
		return results.Comparison{}, err
	}
	return results.Compare(before, after, results.CompareOptions{Confidence: confidence, Shown: shown})
}

// observed returns the campaign that ref names, with what its runs say.
func (x *Index) observed(ctx context.Context, ref string) (o results.Observed, err error) {
	c, err := x.Find(ctx, ref)
	if err != nil {
		return o, err
	}
	if o.Campaign, err = results.LoadCampaign(filepath.Join(x.dir, c.ID)); err != nil {
		return o, err
	}
	o.Campaign.ID = c.ID // the folder may have been renamed
	if o.Runs, err = x.SeenIn(ctx, c.ID); err != nil {
		return o, err
	}
	problems, err := x.Problems(ctx)
	for _, p := range problems {
		if p.Campaign == c.ID {
			o.Campaign.Warnings = append(o.Campaign.Warnings, fmt.Sprintf("run folder %s: %s", p.Path, p.Reason))
		}
	}
	return o, err
}

// SeenIn returns what the valid runs of a campaign say about their kernels.
func (x *Index) SeenIn(ctx context.Context, campaign string) ([]results.Seen, error) {
	runs, err := x.seen(ctx, "c.folder = ?", campaign)
	seen := make([]results.Seen, len(runs))
	for i := range runs {
		seen[i] = runs[i].Seen
	}
	return seen, err
}

// CellRun is a valid run of a cell of a matrix.
type CellRun struct {
	results.Seen
	Campaign string
	Started  time.Time // of the campaign
	Seconds  float64   // that the run took
}

// CellRuns returns the valid runs of all campaigns of a matrix, those of the
// campaign that began last first. Shards are left out where the whole is there.
func (x *Index) CellRuns(ctx context.Context, matrix string) ([]CellRun, error) {
	return x.seen(ctx, "c.kind = 'matrix' AND c.name = ? AND "+notInWhole, line(matrix))
}

// seen returns the valid runs of the campaigns that a condition chooses.
func (x *Index) seen(ctx context.Context, campaigns string, arg any) ([]CellRun, error) {
	type row struct {
		CellRun
		path, followUps, silent string
		report                  judge.SeenReport
		kind                    dmesg.Kind
	}
	rows, err := list(ctx, x, `SELECT r.folder, r.path, c.started, r.side, r.cell, r.guests, r.kernel_sha, r.outcome, r.passed, r.elapsed, r.follow_ups, r.silent,
		coalesce(e.fingerprint, ''), coalesce(e.title, ''), coalesce(e.signature, 0), coalesce(e.phase, 0), coalesce(e.kind, '')
		FROM campaigns c JOIN runs r ON r.folder = c.folder LEFT JOIN events e ON e.folder = r.folder AND e.path = r.path
		WHERE r.counted AND r.outcome <> 'invalid' AND `+campaigns+`
		ORDER BY c.started DESC, c.folder DESC, r.path`, []any{arg}, func(q *sql.Rows) (v row, err error) {
		var started int64
		err = q.Scan(&v.Campaign, &v.path, &started, &v.Side, &v.Cell, &v.Guests, &v.KernelSHA, &v.Outcome, &v.Reached, &v.Seconds, &v.followUps, &v.silent,
			&v.report.Fingerprint, &v.report.Title, &v.report.Signature, &v.report.Phase, &v.kind)
		v.Started, v.Cell = moment(started), cmp.Or(v.Cell, string(v.Side))
		return v, err
	})
	var out []CellRun
	for i, v := range rows {
		if i == 0 || v.path != rows[i-1].path || v.Campaign != rows[i-1].Campaign {
			v.Kinds = map[string]dmesg.Kind{}
			for print := range strings.Lines(v.followUps) {
				v.FollowUps = append(v.FollowUps, strings.TrimSpace(print))
			}
			for kind := range strings.Lines(v.silent) {
				v.SilentKinds = append(v.SilentKinds, dmesg.Kind(strings.TrimSpace(kind)))
			}
			out = append(out, v.CellRun)
		}
		if v.report.Fingerprint != "" {
			last := &out[len(out)-1]
			last.Reports = append(last.Reports, v.report)
			last.Kinds[v.report.Fingerprint] = v.kind
		}
	}
	return out, err
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

// Showed returns the campaigns of a matrix that have shown a failure, by its
// fingerprint.
func (x *Index) Showed(ctx context.Context, matrix string) (map[string]map[string]bool, error) {
	pairs, err := list(ctx, x, `SELECT DISTINCT e.fingerprint, c.folder FROM campaigns c JOIN events e ON e.folder = c.folder
		JOIN runs r ON r.folder = e.folder AND r.path = e.path WHERE c.kind = 'matrix' AND c.name = ? AND r.counted AND `+notInWhole, []any{line(matrix)}, func(row *sql.Rows) (p [2]string, err error) {
		err = row.Scan(&p[0], &p[1])
		return p, err
	})
	out := map[string]map[string]bool{}
	for _, p := range pairs {
		if out[p[0]] == nil {
			out[p[0]] = map[string]bool{}
		}
		out[p[0]][p[1]] = true
	}
	return out, err
}
