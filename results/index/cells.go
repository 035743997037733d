package index

import (
	"context"
	"database/sql"
	"time"

	"patchproof/results/judge"
)

// CellPoint is what one campaign's runs of one cell showed.
type CellPoint struct {
	Campaign string
	Started  time.Time // of the campaign
	Kernel   string
	Counts   judge.Counts
}

// CellHistory returns what the campaigns of a matrix showed in one cell, the
// oldest first. Campaigns without runs of the cell are left out.
func (x *Index) CellHistory(ctx context.Context, name, key string) ([]CellPoint, error) {
	w := EventFilter{Name: name, Cell: key}.where()
	w.add("r.counted")
	var points []CellPoint
	err := x.eachRun(ctx, w, `ORDER BY c.started, c.folder`, func(r *runOf) {
		if len(points) == 0 || points[len(points)-1].Campaign != r.folder {
			points = append(points, CellPoint{Campaign: r.folder, Started: r.campaignStarted, Kernel: r.kernel})
		}
		points[len(points)-1].Counts.Add(r.outcome)
	})
	return points, err
}

// Flaky is a cell, or a side of a verification, whose outcome changes although
// neither the kernel image nor the guests do: runs of one image both failed and
// were clean.
type Flaky struct {
	Name      string       `json:"name,omitempty"` // of the matrix
	Workload  string       `json:"workload"`
	Cell      string       `json:"cell,omitempty"`
	Kernel    string       `json:"kernel,omitempty"`
	KernelSHA string       `json:"kernel_sha256"`
	Guests    string       `json:"guests,omitempty"` // shape and accelerator
	Counts    judge.Counts `json:"counts"`
	Campaigns int          `json:"campaigns"`
	Last      time.Time    `json:"last"` // start of its last run
}

// Flaky returns what is flaky, the most evenly split first. Runs of different
// campaigns count together, but for those of tunings, each of which is with
// another setting. With a fingerprint in the filter, only what has shown it is
// looked at.
func (x *Index) Flaky(ctx context.Context, f EventFilter) ([]Flaky, error) {
	w := f.where()
	w.add("r.counted AND r.outcome <> 'invalid' AND r.kernel_sha <> '' AND c.kind <> 'tune'")
	if f.Fingerprint != "" {
		w.add(`(c.name, c.workload, r.cell, r.kernel_sha, r.guests) IN (SELECT d.name, d.workload, s.cell, s.kernel_sha, s.guests FROM events v
			JOIN runs s ON s.folder = v.folder AND s.path = v.path JOIN campaigns d ON d.folder = v.folder WHERE v.fingerprint = ?)`, f.Fingerprint)
	}
	return list(ctx, x, `SELECT c.name, c.workload, r.cell, max(r.kernel), r.kernel_sha, r.guests, count(*) FILTER (WHERE r.outcome = 'reproduced'),
		count(*) FILTER (WHERE r.outcome = 'clean') AS cleanly, count(*) FILTER (WHERE r.outcome = 'other-failure'),
		count(DISTINCT c.folder), max(r.started)
		FROM runs r JOIN campaigns c ON c.folder = r.folder`+w.text()+`
		GROUP BY c.name, c.workload, r.cell, r.kernel_sha, r.guests HAVING cleanly BETWEEN 1 AND count(*) - 1
		ORDER BY abs(count(*) - 2 * cleanly) * 1.0 / count(*), max(r.started) DESC`, w.args, func(row *sql.Rows) (p Flaky, err error) {
		var last int64
		err = row.Scan(&p.Name, &p.Workload, &p.Cell, &p.Kernel, &p.KernelSHA, &p.Guests, &p.Counts.Reproduced, &p.Counts.Clean, &p.Counts.OtherFailure, &p.Campaigns, &last)
		p.Last = moment(last)
		return p, err
	})
}

// DurationPoint says how long the runs of one campaign took that were clean or
// reproduced, in seconds.
type DurationPoint struct {
	Campaign string    `json:"campaign"`
	Started  time.Time `json:"started"`
	Runs     int       `json:"runs"`
	Low      float64   `json:"low"`
	Median   float64   `json:"median"`
	High     float64   `json:"high"`
}

// Durations returns how long runs took, a point a campaign, the oldest first.
func (x *Index) Durations(ctx context.Context, f EventFilter) ([]DurationPoint, error) {
	w := f.where()
	w.add("r.counted AND r.outcome IN ('clean', 'reproduced')")
	var out []DurationPoint
	var seconds []float64
	err := x.eachRun(ctx, w, `ORDER BY c.started, c.folder, r.elapsed`, func(r *runOf) {
		if len(out) == 0 || out[len(out)-1].Campaign != r.folder {
			out = append(out, DurationPoint{Campaign: r.folder, Started: r.campaignStarted, Low: r.elapsed})
			seconds = nil
		}
		seconds = append(seconds, r.elapsed)
		p := &out[len(out)-1]
		p.Runs, p.Median, p.High = len(seconds), median(seconds), r.elapsed
	})
	return out, err
}

// runOf is a run with its campaign, for the functions that group runs.
type runOf struct {
	folder, kernel  string
	campaignStarted time.Time
	elapsed         float64
	outcome         judge.Outcome
}

func (x *Index) eachRun(ctx context.Context, w where, order string, f func(*runOf)) error {
	all, err := list(ctx, x, `SELECT r.folder, r.kernel, c.started, r.elapsed, r.outcome
		FROM runs r JOIN campaigns c ON c.folder = r.folder`+w.text()+" "+order, w.args, func(row *sql.Rows) (r runOf, err error) {
		var started int64
		err = row.Scan(&r.folder, &r.kernel, &started, &r.elapsed, &r.outcome)
		r.campaignStarted = moment(started)
		return r, err
	})
	for i := range all {
		f(&all[i])
	}
	return err
}

// median is of values in rising order.
func median(sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
