package index

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
)

// State says whether a campaign has come to its end.
type State string

// The states of a campaign.
const (
	// StateRunning: a process is writing to it.
	StateRunning State = "running"
	// StateEnded: it ended by itself, was stopped by a user, or failed.
	StateEnded State = "ended"
	// StateBroken: the harness was killed, or lost its machine.
	StateBroken State = "broken-off"
)

// Campaign is what the index knows of a campaign.
type Campaign struct {
	ID             string       `json:"id"` // the name of its folder
	Kind           results.Kind `json:"kind"`
	Name           string       `json:"name,omitempty"` // of a matrix
	Workload       string       `json:"workload"`
	Shape          string       `json:"shape,omitempty"`
	Accel          string       `json:"accel,omitempty"`
	Started        time.Time    `json:"started"`
	ElapsedSeconds float64      `json:"elapsed_seconds"`
	State          State        `json:"state"`
	// Verdict is the recorded verdict of a verification; of a matrix or of
	// single runs it is "failing", "passing" or, when neither is known, empty.
	Verdict    string  `json:"verdict"`
	Confidence float64 `json:"confidence,omitempty"`
	// Counts are of the runs that take part in statistics.
	Counts judge.Counts `json:"counts"`
	// Open is the number of runs whose record has no end.
	Open int `json:"open"`
	// Unreadable is the number of runs that the verdict may rest on and that
	// cannot be read.
	Unreadable int `json:"unreadable_runs,omitempty"`
	// Cells is the number of a matrix's cells; BadCells those with a run that
	// failed, GoodCells those with clean runs only.
	Cells     int `json:"cells,omitempty"`
	BadCells  int `json:"bad_cells,omitempty"`
	GoodCells int `json:"good_cells,omitempty"`
	// Pre and Post name the kernels, Post for a verification only.
	Pre       string `json:"pre,omitempty"`
	Post      string `json:"post,omitempty"`
	Stopped   string `json:"stopped,omitempty"`
	Failed    string `json:"failed,omitempty"`
	Perturbed bool   `json:"perturbed"`
}

// Filter chooses campaigns; its zero fields choose all.
type Filter struct {
	Kind           results.Kind
	Name, Workload string
	Verdict        string
	Since, Until   time.Time // of the start, Since included
	Limit, Offset  int       // Limit 0 is no limit
}

// Campaigns returns campaigns, the newest first.
func (x *Index) Campaigns(ctx context.Context, f Filter) ([]Campaign, error) {
	var w where
	w.equal("kind", string(f.Kind))
	w.equal("name", f.Name)
	w.equal("workload", f.Workload)
	w.equal("verdict", f.Verdict)
	w.since("started", f.Since)
	if !f.Until.IsZero() {
		w.add("started < ?", nanoseconds(f.Until))
	}
	return x.campaigns(ctx, w.text()+` ORDER BY started DESC, folder DESC LIMIT ? OFFSET ?`, append(w.args, limitOf(f.Limit), f.Offset)...)
}

func (x *Index) campaigns(ctx context.Context, tail string, args ...any) ([]Campaign, error) {
	return list(ctx, x, `SELECT folder, kind, name, workload, shape, accel, started, elapsed, ended, verdict, confidence,
		reproduced, clean, other_failure, invalid, open, cells, bad_cells, good_cells, pre, post, stopped, failed, perturbed,
		(SELECT count(*) FROM problems WHERE problems.folder = campaigns.folder AND path <> '') FROM campaigns `+tail, args, func(row *sql.Rows) (Campaign, error) {
		var c Campaign
		var started int64
		var ended bool
		err := row.Scan(&c.ID, &c.Kind, &c.Name, &c.Workload, &c.Shape, &c.Accel, &started, &c.ElapsedSeconds, &ended, &c.Verdict, &c.Confidence,
			&c.Counts.Reproduced, &c.Counts.Clean, &c.Counts.OtherFailure, &c.Counts.Invalid, &c.Open, &c.Cells, &c.BadCells, &c.GoodCells,
			&c.Pre, &c.Post, &c.Stopped, &c.Failed, &c.Perturbed, &c.Unreadable)
		c.Started = moment(started)
		c.State = x.stateOf(&c, ended)
		return c, err
	})
}

// stateOf looks at the lock of a campaign only when it could be running: an
// ended one can run again, and then it has runs in flight.
func (x *Index) stateOf(c *Campaign, ended bool) State {
	if (!ended || c.Open > 0) && results.Running(filepath.Join(x.dir, c.ID)) {
		return StateRunning
	}
	// Single runs have no record of their end.
	if ended || c.Kind == results.KindRun && c.Open == 0 && c.Counts.Runs() > 0 {
		return StateEnded
	}
	return StateBroken
}

// RefError says that a reference does not name one campaign.
type RefError struct {
	Ref string
	// Matches are the campaigns that it could mean, the newest first.
	Matches []string
}

func (e *RefError) Error() string {
	if len(e.Matches) == 0 {
		return fmt.Sprintf("no campaign is called %q: 'patchproof results list' shows which there are", e.Ref)
	}
	const shown = 4
	names, more := e.Matches, ""
	if len(names) > shown {
		names, more = names[:shown], ", ..."
	}
	return fmt.Sprintf("%q can mean %d campaigns (%s%s): give more of the name", e.Ref, len(e.Matches), strings.Join(names, ", "), more)
}

// Find returns the campaign that ref names: its ID, or a beginning or end of it
// that no other campaign has. Otherwise the error is a *RefError.
func (x *Index) Find(ctx context.Context, ref string) (Campaign, error) {
	if ref == "" {
		return Campaign{}, &RefError{}
	}
	list, err := x.campaigns(ctx, `WHERE folder = ?1 OR substr(folder, 1, length(?1)) = ?1 OR substr(folder, -length(?1)) = ?1
		ORDER BY folder = ?1 DESC, started DESC`, ref)
	if err != nil {
		return Campaign{}, err
	}
	if len(list) == 1 || len(list) > 0 && list[0].ID == ref {
		return list[0], nil
	}
	e := &RefError{Ref: ref}
	for _, c := range list {
		e.Matches = append(e.Matches, c.ID)
	}
	return Campaign{}, e
}

// LastMatrix returns the last ended campaign of the matrix of that name that was
// started before the campaign called before, or before now when that is empty.
// Shards are left out where the whole is there.
func (x *Index) LastMatrix(ctx context.Context, name, before string) (Campaign, bool, error) {
	list, err := x.campaigns(ctx, `WHERE kind = 'matrix' AND name = ?1 AND ended AND folder <> ?2 AND
		(started, folder) < (coalesce((SELECT started FROM campaigns WHERE folder = ?2), 9223372036854775807), coalesce(nullif(?2, ''), char(1114111)))
		AND folder NOT IN `+partsOfWholes+` ORDER BY started DESC, folder DESC LIMIT 1`, name, before)
	if err != nil || len(list) == 0 {
		return Campaign{}, false, err
	}
	return list[0], true, nil
}

// Problem is a folder that was skipped, or that was read in spite of damage.
type Problem struct {
	Campaign string `json:"campaign"`
	Path     string `json:"path,omitempty"` // of a run, "pre/001"; empty for the campaign itself
	Reason   string `json:"reason"`
}

// String is the problem on one line.
func (p Problem) String() string {
	if p.Path == "" {
		return p.Campaign + ": " + p.Reason
	}
	return p.Campaign + "/" + p.Path + ": " + p.Reason
}

// Stats says how much the index holds.
type Stats struct{ Campaigns, Runs, Problems int }

// Stats counts what the index holds.
func (x *Index) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := x.use(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM campaigns), (SELECT count(*) FROM runs), (SELECT count(*) FROM problems)`).
			Scan(&s.Campaigns, &s.Runs, &s.Problems)
	})
	return s, err
}

// Problems returns the folders that could not be read. Nothing is done to them.
func (x *Index) Problems(ctx context.Context) ([]Problem, error) {
	return list(ctx, x, `SELECT folder, path, reason FROM problems ORDER BY folder, path`, nil, func(row *sql.Rows) (p Problem, err error) {
		err = row.Scan(&p.Campaign, &p.Path, &p.Reason)
		return p, err
	})
}

// where collects conditions.
type where struct {
	terms []string
	args  []any
}

func (w *where) add(term string, args ...any) {
	w.terms = append(w.terms, term)
	w.args = append(w.args, args...)
}

// equal adds a condition unless value is empty.
func (w *where) equal(column, value string) {
	if value != "" {
		w.add(column+" = ?", value)
	}
}

func (w *where) since(column string, t time.Time) {
	if !t.IsZero() {
		w.add(column+" >= ?", nanoseconds(t))
	}
}

func (w *where) text() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

// limitOf is what SQLite takes for a limit, where 0 is none for callers.
func limitOf(n int) int {
	if n <= 0 {
		return -1
	}
	return n
}

// moment is the inverse of nanoseconds.
func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
