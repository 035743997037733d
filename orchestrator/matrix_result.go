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
	// New are the failures that the last campaign did not have.
	New []NewFailure
	// Fixed are the keys of the cells that failed the last time and pass now.
	Fixed []string
	// First says that there is no earlier campaign to compare with.
	First bool
}

// NewFailure is a failure of a cell that was not there the last time: the cell
// passed, or was not there, or now shows a report that no cell showed.
type NewFailure struct {
	Cell   string            `json:"cell"`
	State  results.CellState `json:"state"`
	Report string            `json:"report,omitempty"` // title
	// Last is the state of the cell the last time, empty when it is new itself.
	Last results.CellState `json:"last,omitempty"`
}

func newMatrixResult(c results.Campaign, runs []results.Run, before past) *MatrixResult {
	r := &MatrixResult{Campaign: c, Runs: runs, Cells: results.Cells(&c, runs), First: len(before) == 0}
	known := before.fingerprints()
	for i := range r.Cells {
		cell := &r.Cells[i]
		last, hasLast := before[cell.Cell.Key]
		if hasLast && cell.Cell.MeasuredIn != "" {
			cell.State = last.result.State // nothing new can be in it
			continue
		}
		r.compare(cell, last.result, known)
	}
	return r
}

// compare adds what is new in a cell and what is fixed. The reports of the bug
// that is looked for come and go with the race; those that are not are told
// apart by fingerprint.
func (r *MatrixResult) compare(now *results.CellResult, last results.CellResult, known map[string]bool) {
	if last.State.Bad() && now.State == results.CellPassing && now.Missing == 0 {
		r.Fixed = append(r.Fixed, now.Cell.Key)
	}
	if !now.State.Bad() {
		return
	}
	fresh := NewFailure{Cell: now.Cell.Key, State: now.State, Last: last.State}
	if len(now.Reports) > 0 {
		fresh.Report = now.Reports[0].Title
	}
	isNew := !last.State.Bad() || now.State == results.CellFailing && last.State != results.CellFailing
	for _, rep := range now.Reports {
		if !rep.Matches && !known[rep.Fingerprint] {
			isNew, fresh.Report = true, rep.Title
			break
		}
	}
	if isNew {
		r.New = append(r.New, fresh)
	}
}

// fingerprints are those of all failures of the past.
func (p past) fingerprints() map[string]bool {
	known := map[string]bool{}
	for _, c := range p {
		for _, rep := range c.result.Reports {
			known[rep.Fingerprint] = true
		}
	}
	return known
}

// FailOn says which failures make a matrix bad.
type FailOn string

// The values of FailOn.
const (
	FailOnAny  FailOn = "any"  // a failing cell
	FailOnNew  FailOn = "new"  // one that was not failing the last time
	FailOnNone FailOn = "none" // none
)

// MatrixVerdict is the answer of a matrix campaign in one word.
type MatrixVerdict string

// The verdicts of a matrix. The first that fits holds.
const (
	MatrixFailing    MatrixVerdict = "failing"    // cells fail, see FailOn
	MatrixBroken     MatrixVerdict = "broken"     // the infrastructure left cells without an answer
	MatrixIncomplete MatrixVerdict = "incomplete" // time, runs or the user left cells without an answer
	MatrixPassing    MatrixVerdict = "passing"
)

// Verdict draws the verdict.
func (r *MatrixResult) Verdict(on FailOn) MatrixVerdict {
	bad := func(c results.CellResult) bool { return c.State.Bad() }
	switch {
	case on == FailOnAny && slices.ContainsFunc(r.Cells, bad), on == FailOnNew && len(r.New) > 0:
		return MatrixFailing
	case r.Campaign.Failed != "", slices.ContainsFunc(r.Cells, r.broken):
		return MatrixBroken
	case slices.ContainsFunc(r.Cells, unanswered):
		return MatrixIncomplete
	}
	return MatrixPassing
}

// unanswered says that a cell has not got the runs that it was to have.
func unanswered(c results.CellResult) bool { return c.Missing > 0 && c.Cell.MeasuredIn == "" }

// broken says that a cell has no answer although there was time for one.
func (r *MatrixResult) broken(c results.CellResult) bool {
	return c.State == results.CellInvalid || unanswered(c) && c.Cell.Skipped != "" && c.Cell.Skipped != r.Campaign.Stopped
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
