package index

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"patchproof/dmesg"
	"patchproof/results"
)

// runRow is one run as the index keeps it.
type runRow struct {
	Run
	ended  bool
	passed int // the last phase that it got to the end of
	guests string
	// followUps are fingerprints and silent kinds of report, see results.Seen,
	// one a line.
	followUps, silent string
	events            []event
}

// event is one kind of report in one run.
type event struct {
	fingerprint, title, kind, severity string
	signature                          bool
	phase                              int
}

func rowOf(r *results.Run, path string, ended bool) runRow {
	o := results.SeenOf(r)
	row := runRow{ended: ended, passed: o.Reached, guests: o.Guests, Run: Run{Path: path, ID: r.ID, Side: r.Side, Cell: r.Cell, Commit: r.Commit,
		Kernel: kernelText(r.Kernel), KernelSHA: r.Kernel.SHA256, Started: r.Started, ElapsedSeconds: r.ElapsedSeconds,
		Outcome: r.Outcome, Counted: results.Counted(r), Reason: line(cmp.Or(r.Reason, r.InvalidReason))}}
	if o.Broken {
		row.passed-- // the one before it
	}
	for _, print := range o.FollowUps {
		row.followUps += print + "\n"
	}
	for _, kind := range o.SilentKinds {
		row.silent += string(kind) + "\n"
	}
	at := map[string]int{}
	for _, seen := range o.Reports {
		if i, ok := at[seen.Fingerprint]; ok {
			row.events[i].signature = row.events[i].signature || seen.Signature
			row.events[i].phase = min(row.events[i].phase, seen.Phase)
			continue
		}
		at[seen.Fingerprint] = len(row.events)
		e := event{fingerprint: seen.Fingerprint, title: seen.Title, signature: seen.Signature, phase: seen.Phase}
		for i := range r.Reports {
			if rep := &r.Reports[i]; rep.Fingerprint == seen.Fingerprint {
				e.kind, e.severity = string(rep.Kind), rep.Severity.String()
			}
		}
		row.events = append(row.events, e)
	}
	return row
}

// kernelText is what a table calls a kernel.
func kernelText(k results.KernelRecord) string { return line(cmp.Or(k.Label, k.Release, k.ID)) }

// line makes text from a record fit for one line.
func line(s string) string { return strings.Join(strings.Fields(dmesg.Sanitize(s)), " ") }

// put writes a campaign with what was found of it.
func (f *found) put(ctx context.Context, tx *sql.Tx, folder string, c *results.Campaign, s *stamp) error {
	if err := f.dropOld(ctx, tx, folder); err != nil {
		return err
	}
	if err := putFolder(ctx, tx, folder, s.text(), f.open); err != nil {
		return err
	}
	for _, p := range f.problems {
		p.Campaign = folder
		if err := putProblem(ctx, tx, p); err != nil {
			return err
		}
	}
	for i := range f.runs {
		if err := f.runs[i].put(ctx, tx, folder); err != nil {
			return err
		}
	}
	return putCampaign(ctx, tx, folder, c, len(f.open))
}

// dropOld removes what the index has of runs that are gone or were read again.
func (f *found) dropOld(ctx context.Context, tx *sql.Tx, folder string) error {
	var old []string
	err := each(ctx, tx, `SELECT path FROM runs WHERE folder = ?1 UNION SELECT path FROM problems WHERE folder = ?1`, []any{folder}, func(row *sql.Rows) error {
		var path string
		err := row.Scan(&path)
		if !f.kept[path] {
			old = append(old, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, path := range old {
		for _, table := range []string{"runs", "events", "problems"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE folder = ? AND path = ?`, folder, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// forget removes all that is known of a folder.
func forget(ctx context.Context, tx *sql.Tx, folder string) error {
	for _, table := range []string{"events", "runs", "problems", "campaigns", "folders"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE folder = ?`, folder); err != nil {
			return err
		}
	}
	return nil
}

func putFolder(ctx context.Context, tx *sql.Tx, folder, stamp string, open []string) error {
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO folders (folder, stamp, open) VALUES (?, ?, ?)`, folder, stamp, strings.Join(open, "\n"))
	return err
}

func putProblem(ctx context.Context, tx *sql.Tx, p Problem) error {
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO problems (folder, path, reason) VALUES (?, ?, ?)`, p.Campaign, p.Path, line(p.Reason))
	return err
}

func (r *runRow) put(ctx context.Context, tx *sql.Tx, folder string) error {
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO runs
		(folder, path, id, side, cell, commit_id, kernel, kernel_sha, started, elapsed, outcome, counted, ended, passed, guests, reason, follow_ups, silent)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		folder, r.Path, r.ID, string(r.Side), r.Cell, r.Commit, r.Kernel, r.KernelSHA, nanoseconds(r.Started), r.ElapsedSeconds,
		string(r.Outcome), r.Counted, r.ended, r.passed, r.guests, r.Reason, r.followUps, r.silent)
	if err != nil {
		return err
	}
	for _, e := range r.events {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO events (folder, path, fingerprint, title, kind, severity, signature, phase)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, folder, r.Path, e.fingerprint, e.title, e.kind, e.severity, e.signature, e.phase)
		if err != nil {
			return err
		}
	}
	return nil
}

// putCampaign writes the campaign's own row, with sums over its runs.
func putCampaign(ctx context.Context, tx *sql.Tx, folder string, c *results.Campaign, open int) error {
	name, cells, merged := "", 0, []byte("[]")
	if c.Matrix != nil {
		name, cells = c.Matrix.Name, len(c.Matrix.Cells)
		if len(c.Matrix.Merged) > 0 {
			var err error
			if merged, err = json.Marshal(c.Matrix.Merged); err != nil {
				return err
			}
		}
	}
	verdict, confidence := "", 0.0
	if c.Decision != nil {
		verdict, confidence = string(c.Decision.Verdict), c.Decision.Confidence
	}
	if c.Tune != nil {
		verdict = string(c.Tune.Answer)
	}
	ended := c.ElapsedSeconds > 0 || c.Decision != nil || c.Stopped != "" || c.Failed != ""
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO campaigns
		(folder, kind, name, workload, shape, accel, pre, post, started, elapsed, ended, verdict, confidence, stopped, failed, perturbed, open, cells, merged)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		folder, string(kindOf(c)), line(name), line(c.Workload), line(c.Shape), line(c.Host.Accel), kernelText(c.Pre), kernelText(c.Post),
		nanoseconds(c.Started), c.ElapsedSeconds, ended, verdict, confidence, line(c.Stopped), line(c.Failed), c.Perturb != nil, open, cells, string(merged))
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE campaigns SET (reproduced, clean, other_failure, invalid, bad_cells, good_cells) = (
		SELECT count(*) FILTER (WHERE outcome = 'reproduced'), count(*) FILTER (WHERE outcome = 'clean'),
			count(*) FILTER (WHERE outcome = 'other-failure'), count(*) FILTER (WHERE outcome = 'invalid'),
			count(DISTINCT CASE WHEN outcome IN ('reproduced', 'other-failure') THEN nullif(cell, '') END),
			count(DISTINCT CASE WHEN outcome <> 'invalid' THEN nullif(cell, '') END)
		FROM runs WHERE runs.folder = campaigns.folder AND counted) WHERE folder = ?`, folder)
	if err != nil {
		return err
	}
	whole, err := wholeMatrix(ctx, tx, folder, c)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE campaigns SET good_cells = good_cells - bad_cells, verdict = CASE
		WHEN kind IN ('verify', 'bisect', 'tune') THEN verdict
		WHEN reproduced + other_failure > 0 THEN 'failing'
		WHEN kind = 'run' AND clean > 0 AND invalid = 0
			AND NOT EXISTS (SELECT * FROM runs WHERE runs.folder = campaigns.folder AND NOT counted) OR cells > 0 AND good_cells - bad_cells = cells AND ?2 THEN 'passing'
		ELSE '' END WHERE folder = ?1`, folder, whole)
	return err
}

// wholeMatrix says that every cell of a matrix has the runs that it was to have.
func wholeMatrix(ctx context.Context, tx *sql.Tx, folder string, c *results.Campaign) (bool, error) {
	if c.Matrix == nil || len(c.Matrix.MissingShards) > 0 {
		return false, nil
	}
	valid := map[string]int{}
	err := each(ctx, tx, `SELECT cell, count(*) FROM runs WHERE folder = ? AND counted AND outcome <> 'invalid' GROUP BY cell`, []any{folder}, func(row *sql.Rows) error {
		var cell string
		var n int
		err := row.Scan(&cell, &n)
		valid[cell] = n
		return err
	})
	short := func(cell results.CellRecord) bool { return valid[cell.Key] < max(1, cell.Repeat) }
	return !slices.ContainsFunc(c.Matrix.Cells, short), err
}

// kindOf fills in what campaigns of the first versions do not say: whether there
// is a post kernel tells a verification from single runs.
func kindOf(c *results.Campaign) results.Kind {
	switch {
	case c.Kind != "":
		return c.Kind
	case c.Decision != nil || c.Post.SHA256 != "":
		return results.KindVerify
	}
	return results.KindRun
}

// nanoseconds since 1970; times that these cannot express become the nearest
// that they can.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() < 1678:
		return math.MinInt64
	case t.Year() > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}

// inTx runs f in a transaction.
func (x *Index) inTx(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// list runs a query and returns what scan makes of its rows. scan must not use
// the index.
func list[T any](ctx context.Context, x *Index, query string, args []any, scan func(*sql.Rows) (T, error)) ([]T, error) {
	var out []T
	err := x.use(ctx, func(db *sql.DB) error {
		out = nil // use can come a second time
		return each(ctx, db, query, args, func(row *sql.Rows) error {
			v, err := scan(row)
			out = append(out, v)
			return err
		})
	})
	return out, err
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls scan for every row of a query. scan must not use q.
func each(ctx context.Context, q querier, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
