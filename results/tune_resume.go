package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// TuneProgress is how far a tuning has come, beside its runs: with it, one that
// was broken off can be taken up where it was.
type TuneProgress struct {
	// Request is what was asked for, as JSON, with the text of the plan; results
	// does not look inside.
	Request json.RawMessage `json:"request,omitempty"`
	// Sittings are the times that the tuning was worked on.
	Sittings []TuneSitting `json:"sittings,omitempty"`
	// Checked are the settings that were looked at closely, in that order; the
	// last one perhaps not to the end.
	Checked []string `json:"checked,omitempty"`
	// LeftOut are settings whose kernel does not build, with the rung in which
	// that was found; 0 is before and after the search.
	LeftOut map[string]int `json:"left_out,omitempty"`
}

// TuneRung is a rung of the search, as judge.TuneSearch.Begin was told of it.
type TuneRung struct {
	// Seconds is the processor time for the rung, and Rest that for it and all
	// after it.
	Seconds float64 `json:"seconds"`
	Rest    float64 `json:"rest"`
	// Again says that it begins another round, see judge.TuneSearch.Again.
	Again bool `json:"again,omitempty"`
	// After is the index of the last run that began before the rung.
	After int `json:"after"`
}

// TuneSitting is a time that a tuning was worked on, without a break.
type TuneSitting struct {
	Began time.Time `json:"began"`
	// BudgetSeconds is set where the sitting got a budget; without one it goes on
	// with what the earlier ones have left over.
	BudgetSeconds float64 `json:"budget_seconds,omitempty"`
	// Seconds is what it used of the budget, as of the last update while it goes
	// on. Runs that were in flight at its end do not count.
	Seconds float64 `json:"seconds"`
	// InFlight are the runs that a signal ended. They are done again when the
	// tuning goes on, and then count no more.
	InFlight []string `json:"in_flight,omitempty"`
}

// brokenOff says that the harness ended before the run did: nothing is known of
// it but that it began.
func brokenOff(r *Run) bool { return r.Stopped && r.ElapsedSeconds == 0 }

// Counts reports whether a run of the tuning is evidence, or was cut for reasons
// that are the tuning's own. What was in flight when a sitting was broken off is
// done again.
func (t *TuneRecord) Counts(r *Run) bool {
	if r.Outcome == "" || brokenOff(r) {
		return false
	}
	for _, s := range t.Sittings[:max(0, len(t.Sittings)-1)] {
		if slices.Contains(s.InFlight, r.ID) {
			return false
		}
	}
	return true
}

// EndSitting works out what the last sitting used: the time to the end of its
// last run that counts, or to the last update. It is for one that was broken off.
func (t *TuneRecord) EndSitting(runs []Run) {
	if len(t.Sittings) == 0 {
		return
	}
	s := &t.Sittings[len(t.Sittings)-1]
	for i := range runs {
		if r := &runs[i]; !brokenOff(r) && !slices.Contains(s.InFlight, r.ID) {
			s.Seconds = max(s.Seconds, r.Started.Sub(s.Began).Seconds()+r.ElapsedSeconds)
		}
	}
}

// Used is the time that all sittings used, and Budget what was given for Spent of
// it: that of the last one with a budget and those after it.
func (t *TuneRecord) Used() (used, spent, budget time.Duration) {
	for _, s := range t.Sittings {
		if s.BudgetSeconds > 0 {
			budget, spent = seconds(s.BudgetSeconds), 0
		}
		used, spent = used+seconds(s.Seconds), spent+seconds(s.Seconds)
	}
	return used, spent, budget
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// RungOf returns the number of the search's rung, from 1, that a run with the
// given index belongs to; 0 when that was before the first.
func (t *TuneRecord) RungOf(index int) int {
	rung := 0
	for i, r := range t.Rungs {
		if index > r.After {
			rung = i + 1
		}
	}
	return rung
}

// InOrderOfEnd sorts a tuning's runs that count as its search was told of them.
func (t *TuneRecord) InOrderOfEnd(runs []Run) []Run {
	var out []Run
	for i := range runs {
		if t.Counts(&runs[i]) {
			out = append(out, runs[i])
		}
	}
	end := func(r *Run) time.Time { return r.Started.Add(seconds(r.ElapsedSeconds)) }
	slices.SortStableFunc(out, func(a, b Run) int { return end(&a).Compare(end(&b)) })
	return out
}

// Resumable says why a campaign is no tuning that can go on, if it is none. One
// that has had its answer can with a budget of its own; one that found what it
// was to find has nothing left to do.
func Resumable(c *Campaign, budget time.Duration) error {
	switch {
	case c.Kind != KindTune || c.Tune == nil:
		return fmt.Errorf("%s is not the folder of a tuning", c.Dir)
	case c.Tune.Request == nil:
		return fmt.Errorf("%s was recorded by a patchproof that could not go on with a tuning: start a new one", c.Dir)
	case c.Tune.Answer == Tuned && c.Tune.PlanFile != "":
		return fmt.Errorf("%s has ended, and its plan is %s: to search further, start a new tuning", c.Dir, c.Tune.PlanFile)
	case (c.Tune.Answer == LittleToGain || c.Tune.Answer == NothingFound) && budget == 0:
		return fmt.Errorf("%s has ended (%s): give it more time with --budget", c.Dir, c.Tune.Answer)
	}
	return nil
}

// LastTuning returns the folder of the tuning in a results folder that was
// started last of those that can go on, see Resumable.
func LastTuning(dir string, budget time.Duration) (string, error) {
	path, err := lastCampaign(dir, func(c *Campaign) bool { return Resumable(c, budget) == nil })
	if err == nil && path == "" {
		err = errors.New("no tuning in " + dir + " that was broken off: name the folder of one")
	}
	return path, err
}
