package orchestrator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

const (
	// tuneSettings is how many settings the first rung has at most.
	tuneSettings = 32
	// leastBoots is what a rung gives a setting at the least, in times of what a
	// boot costs.
	leastBoots = 2.5
	// longBoots is from when on the start's runs are long, in the same unit.
	longBoots = 10
)

// isAmount says that a knob is how much a run has to do, so that runs can be made
// short with it.
func (k knob) isAmount() bool { return k.field == fieldTotalSize || k.field == fieldEvents }

// leastSeconds is the processor time that a rung gives a setting at the least,
// and whether the start's runs are long. Where runs cannot be made shorter than
// the start's, nothing shorter than one of those would show anything.
func leastSeconds(knobs []knob, boot float64, start judge.TuneTally) (least float64, isLong bool) {
	least, cost := leastBoots*boot, longBoots*boot
	if start.Runs > 0 {
		cost = start.CPUSeconds / float64(start.Runs)
	}
	if !slices.ContainsFunc(knobs, knob.isAmount) {
		return max(least, cost), false
	}
	if start.Runs == 0 || cost > longBoots*boot {
		return least, true
	}
	return max(least, cost/2), false
}

// search carries the rungs out, until end. Those that the record has are gone
// through again without a run, up to the one that was under way.
func (t *tuning) search(ctx context.Context, end time.Time) error {
	if !t.now().Before(end) {
		return nil
	}
	if err := t.buildPerturbed(ctx); err != nil {
		return err
	}
	s, err := t.newSearch()
	if err != nil {
		return err
	}
	bounded, cancel := until(ctx, end)
	defer cancel()
	speed := processors()
	known := len(t.record.Tune.Rungs)
	for n := 0; bounded.Err() == nil; n++ {
		isAgain := n == known && known > 0 && t.extended && s.Left(0) == 0
		if n >= known && !t.planRung(s, isAgain, speed*end.Sub(t.now()).Seconds()) {
			return nil
		}
		r := t.record.Tune.Rungs[n]
		if r.Again {
			s.Again()
		}
		if !s.Begin(r.Seconds, r.Rest) {
			return nil
		}
		if err := t.replay(s); err != nil {
			return err
		}
		if n < known-1 {
			continue
		}
		begin, before := t.now(), t.cpuSeconds()
		if err := t.rung(bounded, s); err != nil {
			return err
		}
		if took := t.now().Sub(begin).Seconds(); took > 1 {
			speed = min(max((t.cpuSeconds()-before)/took, 0.2), 2*processors())
		}
	}
	return nil
}

// newSearch begins the search as the start's runs have it.
func (t *tuning) newSearch() (*judge.TuneSearch, error) {
	var start []results.Run
	for i := range t.runs {
		if t.runs[i].Stage == results.StageStart {
			start = append(start, t.runs[i])
		}
	}
	result := results.TuneOf(&t.record, start)
	least, isLong := leastSeconds(t.knobs, cmp.Or(result.FloorSeconds, 1), result.Start().Search)
	space := knobSpace(t.knobs, isLong, t.valid)
	return judge.NewTuneSearch(space, corners(t.knobs), judge.TuneRules{Settings: tuneSettings, LeastSeconds: least, Seed: t.seed})
}

// planRung gives the next rung its part of the processor time that is left. again
// asks for another round of rungs. It reports whether there is one to begin.
func (t *tuning) planRung(s *judge.TuneSearch, again bool, rest float64) bool {
	if again {
		s.Again()
	}
	left := s.Left(rest)
	if left == 0 {
		return false
	}
	t.record.Tune.Rungs = append(t.record.Tune.Rungs, results.TuneRung{Seconds: rest / float64(left), Rest: rest, Again: again, After: t.started})
	return true
}

// buildPerturbed builds the perturbed pre kernel, or leaves perturbing alone when
// it does not build.
func (t *tuning) buildPerturbed(ctx context.Context) error {
	at := -1
	for i, k := range t.knobs {
		if k.name == workloads.KnobPerturb {
			at = i
		}
	}
	if at < 0 {
		return nil
	}
	setting := append([]int{}, t.start.setting...)
	setting[at] = len(t.knobs[at].values) - 1
	_, err := t.trial(ctx, setting)
	if err == nil || ctx.Err() != nil {
		return nil
	}
	t.leaveOut(settingKey(t.knobs, setting), 0, err)
	k := &t.knobs[at]
	k.values, k.start = []string{k.values[k.start]}, 0
	t.start.setting[at] = 0
	t.record.Tune.Knobs = knobRecords(t.knobs)
	return t.update()
}

// cpuSeconds is what all runs so far have taken.
func (t *tuning) cpuSeconds() float64 {
	sum := 0.0
	for i := range t.runs {
		sum += results.TuneRunOf(&t.runs[i]).CPU
	}
	return sum
}

// rung makes the arms of a rung ready, runs them, and records how far each came.
func (t *tuning) rung(ctx context.Context, s *judge.TuneSearch) error {
	q := &searchQueue{t: t, s: s, trials: map[int]*trial{}}
	for _, arm := range s.Active() {
		if s.Arms()[arm].Dropped {
			continue
		}
		tr, err := t.trial(ctx, s.Arms()[arm].Setting)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.Drop(arm)
			t.leaveOut(settingKey(t.knobs, s.Arms()[arm].Setting), s.Rung(), err)
			continue
		}
		q.trials[arm] = tr
		t.noteSetting(t.settingRecord(tr, s.Rung()))
	}
	if err := t.update(); err != nil {
		return err
	}
	t.h.note(fmt.Sprintf("rung %d: %d settings, runs of up to %.0f CPU-seconds", s.Rung(), len(q.trials), s.Limit()))
	if err := t.work(ctx, q); err != nil {
		return err
	}
	if best := s.Ranked(); len(best) > 0 {
		key := settingKey(t.knobs, s.Arms()[best[0]].Setting)
		t.h.note("best so far: " + key + ": " + t.rateLine(key))
	}
	return nil
}

// leaveOut says that a setting is not tried, and why: one kernel that does not
// build is no reason to give up the others. rung is the one in which that was
// found, 0 before and after the search.
func (t *tuning) leaveOut(key string, rung int, err error) {
	if t.record.Tune.LeftOut == nil {
		t.record.Tune.LeftOut = map[string]int{}
	}
	t.record.Tune.LeftOut[key] = rung
	t.record.Warnings = append(t.record.Warnings, fmt.Sprintf("setting %s is left out: %v", key, err))
	t.h.note("left out: " + key + ": " + err.Error())
}

// noteSetting puts a setting into the record, or how far it has come.
func (t *tuning) noteSetting(s results.TuneSetting) {
	for i := range t.record.Tune.Settings {
		if t.record.Tune.Settings[i].Key == s.Key {
			t.record.Tune.Settings[i].Rung = s.Rung
			return
		}
	}
	t.record.Tune.Settings = append(t.record.Tune.Settings, s)
}
