package results

import (
	"cmp"
	"fmt"
	"slices"

	"patchproof/results/judge"
)

// MatrixRecord is what a campaign of KindMatrix is made of: every combination
// of its axes that the plan asks for is a cell. What the cells showed is in the
// campaign's runs, see CellOf.
type MatrixRecord struct {
	// Name is the plan's. Campaigns of one name are the nights of one nightly.
	Name string       `json:"name"`
	Axes []AxisRecord `json:"axes"` // in the plan's order
	// Cells are in the order of the expansion; with Shard, only the shard's.
	Cells []CellRecord `json:"cells"`
	// Shard is "2/3" for the second of three parts, empty for the whole.
	Shard string `json:"shard,omitempty"`
	// PlanFile is the plan's path (absolute, or "shipped:plans/NAME.yaml"), and
	// Variables are what the command line said of its variables: with the
	// campaign's plan.yaml they give the plan again.
	PlanFile  string            `json:"plan_file,omitempty"`
	Variables map[string]string `json:"variables,omitempty"`
	// Merged lists the IDs of the campaigns that this one was put together from.
	Merged []string `json:"merged,omitempty"`
	// MissingShards are those, "2/3", whose cells are not among the merged ones.
	MissingShards []string `json:"missing_shards,omitempty"`
}

// AxisRecord is one axis of a matrix and its values, as the plan names them.
type AxisRecord struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// CellRecord is one cell: one kernel, one workload, one machine.
type CellRecord struct {
	// Key names the cell and stays the same over nights: "kernel=base
	// workload=focused compress=zlib guest.vcpus=2", axes in the plan's order.
	Key string `json:"key"`
	// Values has the cell's value of each axis.
	Values map[string]string `json:"values"`
	// Workload and Shape are what Campaign has for a verification.
	Workload string `json:"workload,omitempty"`
	Shape    string `json:"shape,omitempty"`
	// Kernel is as resolved; it is empty until the kernel is there.
	Kernel KernelRecord `json:"kernel"`
	// Ref is the moving ref that the plan names, such as "master", and Commit
	// the full object name of what it was when the campaign began.
	Ref    string `json:"ref,omitempty"`
	Commit string `json:"commit,omitempty"`
	// Perturb is set when the cell's kernel is perturbed.
	Perturb *Perturbation `json:"perturb,omitempty"`
	// Inputs is a digest of all that the cell's runs depend on (kernel image,
	// workload as filled in, machine): equal digests, equal runs but for chance.
	Inputs string `json:"inputs,omitempty"`

	// Repeat is how many valid runs the cell is to have, Confidence the
	// two-sided level of the interval of its rate.
	Repeat     int     `json:"repeat"`
	Confidence float64 `json:"confidence"`
	// StopFirst ends the cell with its first run that is not clean.
	StopFirst bool `json:"stop_first,omitempty"`
	// RetryLimit is how many invalid runs are made up for, Retries how many were.
	RetryLimit int `json:"retry_limit,omitempty"`
	Retries    int `json:"retries,omitempty"`

	// Skipped says why the cell was not run, or not to its end.
	Skipped string `json:"skipped,omitempty"`
	// MeasuredIn is the ID of the campaign that has the cell's runs, when this
	// one did not repeat them because nothing had changed since.
	MeasuredIn string `json:"measured_in,omitempty"`
}

// CellState is what a cell's runs amount to.
type CellState string

// The states of a cell. The first that fits holds.
const (
	// CellFailing: a run showed a report that matches the signature.
	CellFailing CellState = "failing"
	// CellOther: a run failed in another way.
	CellOther CellState = "other-failure"
	// CellPassing: there are clean runs and no others that count.
	CellPassing CellState = "passing"
	// CellSkipped: there is no valid run, for the reason in Skipped.
	CellSkipped CellState = "skipped"
	// CellInvalid: all runs were invalid, and the retries are used up.
	CellInvalid CellState = "invalid"
	// CellPending: there is no valid run yet.
	CellPending CellState = "pending"
)

// CellStates lists all states in the order in which they are shown.
func CellStates() []CellState {
	return []CellState{CellFailing, CellOther, CellPassing, CellInvalid, CellSkipped, CellPending}
}

// Bad says that the kernel of a cell in this state did something wrong.
func (s CellState) Bad() bool { return s == CellFailing || s == CellOther }

// CellReport is one kind of failure seen in a cell's runs. Benign reports, and
// what follows another failure in the same guest, are not among them.
type CellReport struct {
	Fingerprint string `json:"fingerprint"`
	Title       string `json:"title"`
	// Condition is what the kernel asserted, where its report says so, and Place
	// where; both are of the first report of this kind.
	Condition string `json:"condition,omitempty"`
	Place     string `json:"place,omitempty"`
	// Matches says that it matches the workload's signature.
	Matches bool `json:"matches"`
	// Runs is the number of runs that showed it.
	Runs int `json:"runs"`
}

// CellResult is a cell with what its runs amount to.
type CellResult struct {
	Cell   CellRecord   `json:"cell"`
	State  CellState    `json:"state"`
	Counts judge.Counts `json:"counts"`
	// Rate is that of reproduction, of all runs that were clean or reproduced.
	Rate judge.Interval `json:"rate"`
	// Reports are what went wrong, matching ones first, then by runs.
	Reports []CellReport `json:"reports,omitempty"`
	// RunIDs are the cell's runs that count, in the order of their start.
	RunIDs []string `json:"run_ids,omitempty"`
	// Missing is the number of valid runs that the cell still lacks; 0 once it
	// is done, also when its retries are used up.
	Missing int `json:"missing"`
	// ElapsedSeconds is the time that the cell's runs took, all together.
	ElapsedSeconds float64 `json:"elapsed_seconds"`
}

// CellOf draws a cell's result from the runs of its campaign; runs of other
// cells are passed over, and so are runs that were stopped from outside before
// they showed anything.
func CellOf(cell CellRecord, runs []Run) CellResult {
	c := CellResult{Cell: cell}
	for i := range runs {
		r := &runs[i]
		if r.Cell != cell.Key || r.Outcome == "" || !r.counts() {
			continue
		}
		c.Counts.Add(r.Outcome)
		c.RunIDs = append(c.RunIDs, r.ID)
		c.ElapsedSeconds += r.ElapsedSeconds
		c.addReports(r)
	}
	slices.SortStableFunc(c.Reports, func(a, b CellReport) int {
		return cmp.Or(compareBool(b.Matches, a.Matches), cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	c.Rate = judge.ClopperPearson(c.Counts.Reproduced, c.Counts.Trials(), cmp.Or(cell.Confidence, judge.IntervalLevel))
	c.Missing = c.missing()
	c.State = c.state()
	return c
}

func (c *CellResult) addReports(r *Run) {
	seen := map[string]bool{}
	for _, rep := range observe(r).Reports {
		if seen[rep.Fingerprint] {
			continue
		}
		seen[rep.Fingerprint] = true
		at := slices.IndexFunc(c.Reports, func(known CellReport) bool { return known.Fingerprint == rep.Fingerprint })
		if at < 0 {
			at = len(c.Reports)
			c.Reports = append(c.Reports, cellReport(r, rep))
		}
		c.Reports[at].Matches = c.Reports[at].Matches || rep.Signature
		c.Reports[at].Runs++
	}
}

// cellReport describes a kind of report by the first of a run.
func cellReport(r *Run, seen judge.SeenReport) CellReport {
	kind := CellReport{Fingerprint: seen.Fingerprint, Title: seen.Title}
	for i := range r.Reports {
		if rep := &r.Reports[i]; fingerprintOf(rep) == seen.Fingerprint {
			kind.Condition, kind.Place = line(rep.ConditionText()), Place(rep)
			break
		}
	}
	return kind
}

func (c *CellResult) missing() int {
	repeat := max(1, c.Cell.Repeat)
	failed := c.Counts.Reproduced + c.Counts.OtherFailure
	if c.Cell.StopFirst && failed > 0 || c.Counts.Invalid > c.Cell.RetryLimit {
		return 0
	}
	return max(0, repeat-c.Counts.Valid())
}

func (c *CellResult) state() CellState {
	switch {
	case c.Counts.Reproduced > 0:
		return CellFailing
	case c.Counts.OtherFailure > 0:
		return CellOther
	case c.Counts.Clean > 0:
		return CellPassing
	case c.Cell.Skipped != "":
		return CellSkipped
	case c.Missing == 0:
		return CellInvalid
	}
	return CellPending
}

// Short says that a cell passes with fewer valid runs than it was to have, and
// gets no more: too many were invalid.
func (c *CellResult) Short() bool {
	return c.State == CellPassing && c.Missing == 0 && c.Counts.Valid() < max(1, c.Cell.Repeat)
}

// runsOf is "2 of 10 valid runs".
func (c *CellResult) runsOf() string {
	return fmt.Sprintf("%d of %s", c.Counts.Valid(), plural(max(1, c.Cell.Repeat), "valid run"))
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Cells returns the results of all cells of a matrix campaign, in its order;
// nil for a campaign of another kind.
func Cells(c *Campaign, runs []Run) []CellResult {
	if c.Matrix == nil {
		return nil
	}
	byCell := map[string][]Run{}
	for _, r := range runs {
		byCell[r.Cell] = append(byCell[r.Cell], r)
	}
	out := make([]CellResult, len(c.Matrix.Cells))
	for i, cell := range c.Matrix.Cells {
		out[i] = CellOf(cell, byCell[cell.Key])
	}
	return out
}
