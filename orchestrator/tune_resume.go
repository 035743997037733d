package orchestrator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

// ResumeTuneRequest continues a tuning. Zero fields leave things as they were.
type ResumeTuneRequest struct {
	// Dir is the campaign's folder; empty means that of the last tuning that was
	// broken off.
	Dir string
	// Budget is the time from now on; 0 means what was not used.
	Budget time.Duration
	Jobs   int
	Out    string
	Force  bool
}

// ResumeTune goes on with a tuning that was broken off, or that had not enough
// time. No run that has ended is repeated.
func (h *Harness) ResumeTune(ctx context.Context, r ResumeTuneRequest) (recorded *results.Recorded, err error) {
	if r.Dir == "" {
		if r.Dir, err = results.LastTuning(h.ResultsDir, r.Budget); err != nil {
			return nil, inputError(err)
		}
	}
	unlock, err := lockCampaign(r.Dir)
	if err != nil {
		return nil, inputError(err)
	}
	t, err := h.reopenTuning(ctx, r)
	if err != nil {
		unlock()
		return nil, err
	}
	t.unlock = unlock
	_, spent, budget := t.record.Tune.Used()
	h.note(fmt.Sprintf("%d runs are there, %v of %v left; records: %s", len(t.runs), (budget - spent).Round(time.Second), budget, t.writer.Dir()))
	return t.toItsEnd(ctx)
}

// reopenTuning makes a tuning ready to go on.
func (h *Harness) reopenTuning(ctx context.Context, r ResumeTuneRequest) (*tuning, error) {
	writer, old, runs, err := results.Reopen(r.Dir)
	if err != nil {
		return nil, inputError(err)
	}
	t, err := h.takeUpTuning(ctx, r, old, runs)
	if err != nil {
		writer.Close() // nothing was written
		return nil, err
	}
	t.writer = writer
	t.sit(r.Budget)
	return t, t.update()
}

func (h *Harness) takeUpTuning(ctx context.Context, r ResumeTuneRequest, old *results.Campaign, runs []results.Run) (*tuning, error) {
	if err := results.Resumable(old, r.Budget); err != nil {
		return nil, inputError(err)
	}
	request, err := readKeptRequest(old.Tune.Request)
	if err != nil {
		return nil, inputError(fmt.Errorf("the request of tuning %s: %w", old.ID, err))
	}
	request.Jobs, request.Out, request.Force = cmp.Or(r.Jobs, request.Jobs), cmp.Or(r.Out, request.Out), request.Force || r.Force
	h.PerturbSeed = old.Tune.Seed
	t, err := h.prepareTuning(ctx, request)
	if err != nil {
		return nil, err
	}
	return t, inputError(t.takeUp(old, runs))
}

// takeUp goes on from a record, which must be of what the tuning was prepared
// for.
func (t *tuning) takeUp(old *results.Campaign, runs []results.Run) error {
	if err := t.sameStart(old); err != nil {
		return fmt.Errorf("tuning %s cannot go on: %w: start a new one", old.ID, err)
	}
	t.record, t.runs, t.seed = *old, runs, old.Tune.Seed
	for i := range runs {
		t.started = max(t.started, runs[i].Index)
	}
	t.record.Tune.EndSitting(runs)
	t.record.Stopped, t.record.Failed, t.record.ElapsedSeconds = "", "", 0
	t.record.Tune.Answer, t.record.Tune.Reason = "", ""
	return nil
}

// sameStart makes sure that runs from now on can be counted with those of the
// record, and takes the values of the knobs from there.
func (t *tuning) sameStart(old *results.Campaign) error {
	now := &t.record
	switch {
	case now.Pre.SHA256 != old.Pre.SHA256 || now.Post.SHA256 != old.Post.SHA256:
		return errors.New("its kernels are others now")
	case now.Shape != old.Shape || now.Host.Accel != old.Host.Accel:
		return fmt.Errorf("its runs were in guests of %s under %s, and now they are of %s under %s", old.Shape, old.Host.Accel, now.Shape, now.Host.Accel)
	case !samePlan(now.Plan, old.Plan):
		return errors.New("its plan or workload has changed")
	case len(t.knobs) != len(old.Tune.Knobs):
		return errors.New("its knobs are others now")
	}
	for i, was := range old.Tune.Knobs {
		k := &t.knobs[i]
		at := slices.Index(was.Values, k.values[k.start])
		if k.name != was.Name || at < 0 {
			return fmt.Errorf("its knobs are others now: it had %s with the values %s", was.Name, strings.Join(was.Values, ", "))
		}
		k.values, k.start = was.Values, at
	}
	space := knobSpace(t.knobs, false, nil)
	t.start.setting = space.Start()
	return nil
}

// samePlan compares two expanded plans but for the number of guests at a time,
// which is no part of a tuning's.
func samePlan(a, b []byte) bool {
	var plans [2]map[string]any
	for i, data := range [][]byte{a, b} {
		if yaml.Unmarshal(data, &plans[i]) != nil {
			return false
		}
		delete(plans[i], "jobs")
	}
	return reflect.DeepEqual(plans[0], plans[1])
}

// sit begins a sitting, with a budget of its own or with what is left.
func (t *tuning) sit(budget time.Duration) {
	record := t.record.Tune
	t.extended = len(record.Sittings) > 0 && budget > 0
	record.Sittings = append(record.Sittings, results.TuneSitting{Began: t.now(), BudgetSeconds: budget.Seconds()})
	_, spent, whole := record.Used()
	t.began, t.budget = t.now().Add(-spent), whole
}

// retell tells a queue of the runs that there are. of says which are its own.
func (t *tuning) retell(q queue, of func(*results.Run) (tuneTask, bool)) {
	for _, r := range t.record.Tune.InOrderOfEnd(t.runs) {
		if task, ok := of(&r); ok {
			q.begun(task)
			q.ended(task, r)
		}
	}
}

// replay tells the search of the runs that its rung has had.
func (t *tuning) replay(s *judge.TuneSearch) error {
	arms := map[string]int{}
	for i, a := range s.Arms() {
		key := settingKey(t.knobs, a.Setting)
		arms[key] = i
		if rung, isOut := t.record.Tune.LeftOut[key]; isOut && rung == s.Rung() {
			s.Drop(i)
		}
	}
	var unknown error
	t.retell(&searchQueue{t: t, s: s}, func(r *results.Run) (tuneTask, bool) {
		if r.Stage != results.StageSearch || t.record.Tune.RungOf(r.Index) != s.Rung() {
			return tuneTask{}, false
		}
		arm, ok := arms[r.Setting]
		if !ok {
			unknown = inputError(fmt.Errorf("the search does not try %s again, which run %s was of: it was begun by another version of patchproof; start a new tuning", r.Setting, r.ID))
		}
		return tuneTask{arm: arm}, ok
	})
	return unknown
}

// settingOf is the setting that the record has under a key.
func (t *tuning) settingOf(key string) ([]int, error) {
	for _, s := range t.record.Tune.Settings {
		if s.Key != key {
			continue
		}
		setting := make([]int, len(t.knobs))
		for i, k := range t.knobs {
			if setting[i] = slices.Index(k.values, s.Values[k.name]); setting[i] < 0 {
				return nil, fmt.Errorf("setting %s: %s has no value %q", key, k.name, s.Values[k.name])
			}
		}
		return setting, nil
	}
	return nil, fmt.Errorf("the record has no setting %s", key)
}

// trialOf returns a setting of the record ready for runs.
func (t *tuning) trialOf(ctx context.Context, key string) (*trial, error) {
	setting, err := t.settingOf(key)
	if err != nil {
		return nil, err
	}
	return t.trial(ctx, setting)
}

// keptRequest is a TuneRequest as a campaign keeps it: paths do not depend on the
// current folder, and the plan stays as it was.
type keptRequest struct {
	TuneRequest
	PlanText string
}

func (t *tuning) keptRequest(r TuneRequest) (json.RawMessage, error) {
	k := keptRequest{TuneRequest: r}
	if t.request.held != nil {
		k.PlanFile, k.PlanText = t.request.held.name, string(t.request.held.data)
	}
	k.Out = t.out
	files := []*string{&k.PlanFile, &k.Out}
	if workloads.ParseWorkloadRef(k.Workload).Path != "" {
		files = append(files, &k.Workload)
	}
	if err := absolute(files); err != nil {
		return nil, err
	}
	return json.Marshal(k)
}

func readKeptRequest(data json.RawMessage) (TuneRequest, error) {
	var k keptRequest
	if err := json.Unmarshal(data, &k); err != nil {
		return TuneRequest{}, err
	}
	k.held = &planText{k.PlanFile, []byte(k.PlanText)}
	return k.TuneRequest, nil
}
