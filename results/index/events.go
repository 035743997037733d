package index

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
)

// Run is what the index knows of a run.
type Run struct {
	Campaign       string        `json:"campaign"`
	Path           string        `json:"path"` // of its folder within the campaign's, "pre/001"
	ID             string        `json:"id"`
	Side           judge.Side    `json:"side"`
	Cell           string        `json:"cell,omitempty"`
	Commit         string        `json:"commit,omitempty"`
	Kernel         string        `json:"kernel"`
	KernelSHA      string        `json:"kernel_sha256,omitempty"`
	Started        time.Time     `json:"started"`
	ElapsedSeconds float64       `json:"elapsed_seconds"`
	Outcome        judge.Outcome `json:"outcome"`
	// Counted says that the run takes part in statistics.
	Counted bool   `json:"counted"`
	Reason  string `json:"reason,omitempty"`
}

// RunFilter chooses runs; its zero fields choose all.
type RunFilter struct {
	Campaign, Cell string
	Fingerprint    string // of a report that the run has shown
	Limit          int
}

// Runs returns runs, the newest first.
func (x *Index) Runs(ctx context.Context, f RunFilter) ([]Run, error) {
	var w where
	w.equal("r.folder", f.Campaign)
	w.equal("r.cell", f.Cell)
	if f.Fingerprint != "" {
		w.add("EXISTS (SELECT 1 FROM events e WHERE e.folder = r.folder AND e.path = r.path AND e.fingerprint = ?)", f.Fingerprint)
	}
	return list(ctx, x, `SELECT folder, path, id, side, cell, commit_id, kernel, kernel_sha, started, elapsed, outcome, counted, reason
		FROM runs r`+w.text()+` ORDER BY started DESC, folder DESC, path DESC LIMIT ?`, append(w.args, limitOf(f.Limit)), func(row *sql.Rows) (r Run, err error) {
		var started int64
		err = row.Scan(&r.Campaign, &r.Path, &r.ID, &r.Side, &r.Cell, &r.Commit, &r.Kernel, &r.KernelSHA, &started, &r.ElapsedSeconds, &r.Outcome, &r.Counted, &r.Reason)
		r.Started = moment(started)
		return r, err
	})
}

// EventFilter chooses runs by what they are runs of; its zero fields choose all.
type EventFilter struct {
	Fingerprint    string
	Name, Workload string // of the campaign
	Cell           string
	KernelSHA      string
	Since          time.Time // of the campaign's start
}

// partsOfWholes are the shards of matrices that the whole is there of: it has
// their runs, too, and they would count twice.
const partsOfWholes = "(SELECT part.value FROM campaigns whole, json_each(whole.merged) part)"

const notInWhole = "c.folder NOT IN " + partsOfWholes

// where returns the conditions, for runs r of campaigns c.
func (f EventFilter) where() where {
	var w where
	w.add(notInWhole)
	w.equal("c.name", f.Name)
	w.equal("c.workload", f.Workload)
	w.equal("r.cell", f.Cell)
	w.equal("r.kernel_sha", f.KernelSHA)
	w.since("c.started", f.Since)
	return w
}

// KnownFingerprint returns an error unless a run has shown the report: a
// *results.AskedError.
func (x *Index) KnownFingerprint(ctx context.Context, fingerprint string) error {
	runs, err := x.Runs(ctx, RunFilter{Fingerprint: fingerprint, Limit: 1})
	if err == nil && len(runs) == 0 {
		err = &results.AskedError{Err: fmt.Errorf("no run has shown a report with fingerprint %q: 'patchproof results reports' lists those that were seen", fingerprint)}
	}
	return err
}

// Sighting is one run that showed a report.
type Sighting struct {
	Campaign string    `json:"campaign"`
	Run      string    `json:"run"` // ID
	Cell     string    `json:"cell,omitempty"`
	Time     time.Time `json:"time"` // of the run's start
}

// Fingerprint is one kind of report, or of a guest's failure, over all campaigns.
type Fingerprint struct {
	Fingerprint string `json:"fingerprint"`
	Title       string `json:"title"` // of the last one
	Kind        string `json:"kind,omitempty"`
	Severity    string `json:"severity,omitempty"`
	// Signature says that it matched the signature of its campaign at least once.
	Signature bool     `json:"signature"`
	First     Sighting `json:"first_seen"`
	Last      Sighting `json:"last_seen"`
	Runs      int      `json:"runs"` // that showed it
	Campaigns int      `json:"campaigns"`
}

// Fingerprints returns the reports seen, the last seen first. Benign ones, and
// consequences of an earlier failure in the same guest, are left out.
func (x *Index) Fingerprints(ctx context.Context, f EventFilter) ([]Fingerprint, error) {
	w := f.where()
	w.equal("e.fingerprint", f.Fingerprint)
	w.add("r.counted")
	sightings, err := list(ctx, x, `SELECT e.fingerprint, e.title, e.kind, e.severity, e.signature, r.folder, r.id, r.cell, r.started
		FROM events e JOIN runs r ON r.folder = e.folder AND r.path = e.path JOIN campaigns c ON c.folder = e.folder`+
		w.text()+` ORDER BY r.started DESC, r.folder DESC, r.path DESC`, w.args, func(row *sql.Rows) (p Fingerprint, err error) {
		var started int64
		err = row.Scan(&p.Fingerprint, &p.Title, &p.Kind, &p.Severity, &p.Signature, &p.Last.Campaign, &p.Last.Run, &p.Last.Cell, &started)
		p.Last.Time = moment(started)
		return p, err
	})
	return gather(sightings), err
}

// gather joins single sightings, the last first, by fingerprint.
func gather(sightings []Fingerprint) []Fingerprint {
	var out []Fingerprint
	at, campaigns := map[string]int{}, map[[2]string]bool{}
	for _, p := range sightings {
		i, ok := at[p.Fingerprint]
		if !ok {
			i = len(out)
			at[p.Fingerprint] = i
			out = append(out, p)
		}
		g := &out[i]
		g.First = p.Last
		g.Signature = g.Signature || p.Signature
		g.Kind, g.Severity = cmp.Or(g.Kind, p.Kind), cmp.Or(g.Severity, p.Severity)
		g.Runs++
		if key := [2]string{p.Fingerprint, p.Last.Campaign}; !campaigns[key] {
			campaigns[key] = true
			g.Campaigns++
		}
	}
	return out
}

// TrendPoint is the rate of one kind of report in one campaign.
type TrendPoint struct {
	Campaign string    `json:"campaign"`
	Started  time.Time `json:"started"`
	// Kernel and KernelSHA are empty when the runs were of several kernels.
	Kernel    string `json:"kernel,omitempty"`
	KernelSHA string `json:"kernel_sha256,omitempty"`
	// Able is the number of runs that could have shown the report, Seen of
	// those that did.
	Seen int `json:"seen"`
	Able int `json:"able"`
	// Rate is the interval of Clopper and Pearson at judge.IntervalLevel.
	Rate judge.Interval `json:"rate"`
}

// Trend returns the rate of a kind of report over time, a point a campaign, the
// oldest first. Without a name, a workload or a cell in the filter these are the
// campaigns whose name and workload have ever shown it.
//
// A run was able to show a report when it did, when it was clean, or when it
// got to the end of the first phase that the report ever came in; but not when
// what the kernel had printed before kept it from it, see results.Seen.
func (x *Index) Trend(ctx context.Context, fingerprint string, f EventFilter) ([]TrendPoint, error) {
	w := f.where()
	w.add("r.counted AND r.outcome <> 'invalid'")
	if f.Name == "" && f.Workload == "" && f.Cell == "" {
		w.add("(c.name, c.workload) IN (SELECT d.name, d.workload FROM events v JOIN campaigns d ON d.folder = v.folder WHERE v.fingerprint = ?)", fingerprint)
	}
	w.add("(e.fingerprint IS NOT NULL OR r.outcome = 'clean' OR r.passed >= (SELECT min(phase) FROM events WHERE fingerprint = ?))", fingerprint)
	w.add(`(e.fingerprint IS NOT NULL OR NOT instr(char(10) || r.follow_ups, char(10) || ? || char(10)) AND
		NOT instr(char(10) || r.silent, char(10) || coalesce((SELECT max(kind) FROM events WHERE fingerprint = ?), '') || char(10)))`, fingerprint, fingerprint)
	return list(ctx, x, `SELECT c.folder, c.started, count(e.fingerprint), count(*), min(r.kernel), min(r.kernel_sha), count(DISTINCT r.kernel_sha)
		FROM runs r JOIN campaigns c ON c.folder = r.folder
		LEFT JOIN events e ON e.folder = r.folder AND e.path = r.path AND e.fingerprint = ?`+
		w.text()+` GROUP BY c.folder ORDER BY c.started, c.folder`, append([]any{fingerprint}, w.args...), func(row *sql.Rows) (p TrendPoint, err error) {
		var started int64
		var kernels int
		err = row.Scan(&p.Campaign, &started, &p.Seen, &p.Able, &p.Kernel, &p.KernelSHA, &kernels)
		if kernels > 1 {
			p.Kernel, p.KernelSHA = "", ""
		}
		p.Started = moment(started)
		p.Rate = judge.ClopperPearson(p.Seen, p.Able, judge.IntervalLevel)
		return p, err
	})
}
