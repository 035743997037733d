package orchestrator

import (
	"cmp"
	"fmt"
	"slices"

	"patchproof/results"
)

// MatrixResult is what a matrix campaign has come to, compared with what its
// cells showed the last time.
type MatrixResult struct {
	Campaign results.Campaign
	Runs     []results.Run
	// Cells are in the plan's order. A cell that was not run because nothing had
	// changed has its last result's state here.
	Cells []results.CellResult
	// New are the failures that the last nights did not have, see NewFailure.
	New []NewFailure
	// Fixed are the keys of the cells that failed the last time and pass now.
	Fixed []string
	// First says that there is no earlier campaign to compare with.
	First bool
}

// NewFailure is a failure of a cell that its last nights did not have, see
// recentNights: no run of the cell failed in them, or none showed the bug that
// it shows now, or it shows a report that no cell showed. What the same kernel
// image has shown in the cell before, in whatever night, is flaky and not new.
type NewFailure struct {
	Cell   string            `json:"cell"`
	State  results.CellState `json:"state"`
	Report string            `json:"report,omitempty"` // title
	// Last is the state of the cell the last time, empty when it is new itself.
	Last results.CellState `json:"last,omitempty"`
}

func newMatrixResult(c results.Campaign, runs []results.Run, before past) *MatrixResult {
	r := &MatrixResult{Campaign: c, Runs: runs, Cells: results.Cells(&c, runs), First: len(before.cells) == 0}
	for i := range r.Cells {
		cell := &r.Cells[i]
		then := before.cells[cell.Cell.Key]
		if then != nil && cell.Cell.MeasuredIn != "" {
			cell.State = then.state() // nothing new can be in it
			continue
		}
		if then.state().Bad() && cell.State == results.CellPassing && cell.Missing == 0 && !cell.Short() {
			r.Fixed = append(r.Fixed, cell.Cell.Key)
		}
		if fresh, ok := before.newIn(cell); ok {
			r.New = append(r.New, fresh)
		}
	}
	return r
}

// newIn says what is new in a cell. The reports of the bug that is looked for
// come and go with the race; those that are not are told apart by fingerprint.
func (p past) newIn(now *results.CellResult) (fresh NewFailure, ok bool) {
	then := p.cells[now.Cell.Key]
	if !now.State.Bad() || then.flaky(now) {
		return fresh, false
	}
	fresh = NewFailure{Cell: now.Cell.Key, State: now.State, Last: then.state()}
	if len(now.Reports) > 0 {
		fresh.Report = now.Reports[0].Title
	}
	switch {
	case then == nil, then.recent.Reproduced+then.recent.OtherFailure == 0:
		ok = true
	case now.State == results.CellFailing:
		ok = then.recent.Reproduced == 0
	}
	for _, rep := range now.Reports {
		if !rep.Matches && !p.known[rep.Fingerprint] {
			fresh.Report = rep.Title
			return fresh, true
		}
	}
	return fresh, ok
}

// flaky reports whether the kernel image has shown all of it in the cell before.
func (c *pastCell) flaky(now *results.CellResult) bool {
	sha := now.Cell.Kernel.SHA256
	return c != nil && sha != "" && len(now.Reports) > 0 && !slices.ContainsFunc(now.Reports, func(rep results.CellReport) bool {
		return !c.shown[[2]string{sha, rep.Fingerprint}]
	})
}

// FailOn says which failures make a matrix bad.
type FailOn string

// The values of FailOn.
const (
	FailOnAny  FailOn = "any"  // a failing cell
	FailOnNew  FailOn = "new"  // one that is new, see NewFailure
	FailOnNone FailOn = "none" // none
)

// MatrixVerdict is the answer of a matrix campaign in one word.
type MatrixVerdict string

// The verdicts of a matrix. The first that fits holds.
const (
	MatrixFailing    MatrixVerdict = "failing"    // cells fail, see FailOn
	MatrixBroken     MatrixVerdict = "broken"     // the infrastructure left cells without an answer
	MatrixIncomplete MatrixVerdict = "incomplete" // time, runs or the user left cells without an answer
	MatrixTolerated  MatrixVerdict = "tolerated"  // cells fail, none of which FailOn names
	MatrixPassing    MatrixVerdict = "passing"
)

// Verdict draws the verdict.
func (r *MatrixResult) Verdict(on FailOn) MatrixVerdict {
	bad := func(c results.CellResult) bool { return c.State.Bad() }
	switch {
	case on == FailOnAny && slices.ContainsFunc(r.Cells, bad), on == FailOnNew && len(r.New) > 0:
		return MatrixFailing
	case r.Campaign.Failed != "", len(r.Campaign.Matrix.MissingShards) > 0, slices.ContainsFunc(r.Cells, r.broken):
		return MatrixBroken
	case slices.ContainsFunc(r.Cells, unanswered):
		return MatrixIncomplete
	case slices.ContainsFunc(r.Cells, bad):
		return MatrixTolerated
	}
	return MatrixPassing
}

// unanswered says that a cell has not got the runs that it was to have, nor those
// of an earlier night that are known here.
func unanswered(c results.CellResult) bool {
	return c.Missing > 0 && (c.Cell.MeasuredIn == "" || c.State == results.CellSkipped)
}

// broken says that a cell has no answer although there was time for one.
func (r *MatrixResult) broken(c results.CellResult) bool {
	return c.State == results.CellInvalid || c.Short() || unanswered(c) && c.Cell.Skipped != "" && c.Cell.Skipped != r.Campaign.Stopped
}

// Line says in a few words what a matrix has come to.
func (r *MatrixResult) Line() string {
	count := map[results.CellState]int{}
	for _, c := range r.Cells {
		count[c.State]++
	}
	text := fmt.Sprintf("%d cells", len(r.Cells))
	for _, state := range results.CellStates() {
		if count[state] > 0 {
			text += fmt.Sprintf(", %d %s", count[state], state)
		}
	}
	switch {
	case r.First:
		text += "; there is no earlier campaign to compare with"
	default:
		text += fmt.Sprintf("; new failures: %d, fixed: %d", len(r.New), len(r.Fixed))
	}
	if why := cmp.Or(r.Campaign.Failed, r.Campaign.Stopped); why != "" {
		text += "; " + why
	}
	return text
}
