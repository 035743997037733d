package orchestrator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm/guestimage"
	"patchproof/workloads"
)

// TuneRequest is a tuning as the command line gives it.
type TuneRequest struct {
	// Request names the plan; its Budget is not the plan's but the tuning's, 0
	// for DefaultTuneBudget.
	Request
	// Knobs are over those of plan and workload.
	Knobs workloads.Knobs
	// MinGain is how many times better a setting must be to be taken; 0 means
	// DefaultMinGain.
	MinGain float64
	// Out is the file for the tuned plan; empty means NAME-tuned.yaml in the
	// current folder. One that is there already is overwritten with Force only.
	Out   string
	Force bool
}

// Defaults of a TuneRequest.
const (
	DefaultTuneBudget = 20 * time.Minute
	DefaultMinGain    = 2
)

// Shares of the budget: the start is measured with at most tuneStartShare of it,
// and what is left for the best settings at the end is tuneCheckShare.
const (
	tuneStartShare = 0.25
	tuneCheckShare = 0.2
)

// tuning is one that is being carried out. Only the goroutine that carries it out
// uses it; runs have goroutines of their own.
type tuning struct {
	h       *Harness
	request Request
	out     string
	force   bool
	began   time.Time // from when on the budget counts
	budget  time.Duration
	minGain float64
	seed    uint64 // of the search

	base         *machine // of the start
	perturbPaths []string
	startPerturb string // the start's value of the knob perturb
	oldest       string
	knobs        []knob
	unturned     []string
	store        *kernels.Store
	pairs        map[kernelKind]*kernelPair
	guests       map[string]*guestimage.Image // with modules, by kernel
	trials       map[string]*trial
	start        *trial

	writer  *results.CampaignWriter
	unlock  func() // lets another process go on with the campaign
	record  results.Campaign
	runs    []results.Run
	started int // runs
	// extended says that the tuning goes on with another budget.
	extended bool
	// now is time.Now and execute Harness.execute; tests replace them.
	now     func() time.Time
	execute func(ctx context.Context, w *results.RunWriter, m *machine, s *subject) (results.Run, error)
}

// Tune searches for settings of a plan's workload, guest and kernels with which
// its bug shows more often for the processor time that it takes, and writes a
// plan with the best of them. What was measured is in the result even when ctx
// ends early.
func (h *Harness) Tune(ctx context.Context, r TuneRequest) (*results.Recorded, error) {
	t, err := h.prepareTuning(ctx, r)
	if err != nil {
		return nil, err
	}
	store, err := h.OpenResults()
	if err != nil {
		return nil, err
	}
	t.sit(t.budget)
	if t.writer, err = store.Create(&t.record); err != nil {
		return nil, err
	}
	if t.unlock, err = lockCampaign(t.writer.Dir()); err != nil {
		return nil, err
	}
	h.note(fmt.Sprintf("%d knobs: %s; records: %s", len(t.knobs), knobNames(t.knobs), t.writer.Dir()))
	return t.toItsEnd(ctx)
}

// prepareTuning does what comes before the first run, and finds every mistake
// that can be found without one.
func (h *Harness) prepareTuning(ctx context.Context, r TuneRequest) (*tuning, error) {
	t := &tuning{h: h, request: r.Request, out: r.Out, force: r.Force, budget: cmp.Or(r.Budget, DefaultTuneBudget), minGain: r.MinGain,
		pairs: map[kernelKind]*kernelPair{}, guests: map[string]*guestimage.Image{}, trials: map[string]*trial{}, now: time.Now, execute: h.execute}
	if t.minGain == 0 {
		t.minGain = DefaultMinGain
	}
	if t.seed = h.PerturbSeed; t.seed == 0 {
		t.seed = rand.Uint64()>>33 + 1
	}
	// All kernels' seeds come from this one, also after a break.
	h.PerturbSeed = t.seed
	t.request.Budget = 0
	if err := t.request.hold(); err != nil {
		return nil, err
	}
	plan, err := t.request.Plan()
	if err != nil {
		return nil, err
	}
	for name := range r.Knobs {
		w, err := plan.OpenWorkload(shipped())
		if err == nil {
			err = unknownKnob(plan, w, name)
		}
		if err != nil {
			return nil, inputError(err)
		}
	}
	plan.Tune = r.Knobs.Over(plan.Tune)
	t.out = cmp.Or(t.out, plan.Name+"-tuned.yaml")
	if err := t.mayWrite(); err != nil {
		return nil, err
	}
	c, err := h.prepare(ctx, plan)
	if err != nil {
		return nil, err
	}
	if err := t.from(ctx, c); err != nil {
		return nil, err
	}
	t.record.Tune.Request, err = t.keptRequest(r)
	return t, err
}

// from takes the start over from a verification of the same plan that has been
// made ready.
func (t *tuning) from(ctx context.Context, c *campaign) error {
	pre, post := c.sides[judge.Pre], c.sides[judge.Post]
	t.base, t.record = c.machine, c.record
	t.oldest = older(pre.image.Release, post.image.Release)
	for _, s := range c.sides {
		if s.guest != nil {
			t.guests[s.image.SHA256] = s.guest
		}
	}
	preSpec, postSpec, _, err := t.h.pairSpecs(ctx, c.plan, &builtKernel{}, &builtKernel{})
	if err != nil {
		return err
	}
	if t.store, err = t.h.OpenKernels(); err != nil {
		return err
	}
	isImage := preSpec.Image != "" || postSpec.Image != ""
	t.startPerturb = "off"
	if p := c.machine.perturb; p != nil {
		t.startPerturb, t.perturbPaths = p.share.String(), p.paths
	} else if !isImage {
		if t.perturbPaths, err = patchedPaths(ctx, preSpec, postSpec); err != nil {
			t.unturned = append(t.unturned, workloads.KnobPerturb+": "+err.Error())
		}
	}
	t.knobs = append(variableKnobs(c.plan, c.machine.workload), t.otherKnobs(c.machine.workload, isImage)...)
	if len(t.knobs) == 0 {
		return inputError(fmt.Errorf("plan %s has no knob to turn: name some with --knob NAME=V1,V2, or in a tune: block", c.plan.Name))
	}
	space := knobSpace(t.knobs, false, nil)
	setting := space.Start()
	t.pairs[t.kind(setting)] = &kernelPair{pre: builtKernel{pre.name, pre.image}, post: builtKernel{post.name, post.image}, postSpec: postSpec, perturb: c.machine.perturb}
	t.start = &trial{key: results.TuneStart, setting: setting, machine: c.machine, pre: pre, post: post}
	t.trials[results.TuneStart] = t.start
	t.describe(c.plan)
	return nil
}

func knobNames(knobs []knob) string {
	text := ""
	for i, k := range knobs {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s (%d values)", k.name, len(k.values))
	}
	return text
}

// describe makes the campaign's record out of a verification's.
func (t *tuning) describe(plan *workloads.Plan) {
	record := &results.TuneRecord{Plan: plan.Name, Unturned: t.unturned, MinGain: t.minGain, BudgetSeconds: t.budget.Seconds(), Seed: t.seed,
		Knobs: knobRecords(t.knobs), Settings: []results.TuneSetting{t.settingRecord(t.start, 0)}}
	t.record.Kind, t.record.Tune = results.KindTune, record
}

func knobRecords(knobs []knob) []results.AxisRecord {
	var out []results.AxisRecord
	for _, k := range knobs {
		out = append(out, results.AxisRecord{Name: k.name, Values: k.values})
	}
	return out
}

// toItsEnd carries the tuning out and draws its answer.
func (t *tuning) toItsEnd(ctx context.Context) (*results.Recorded, error) {
	defer t.unlock()
	err := t.carryOut(ctx)
	return &results.Recorded{Campaign: &t.record, Runs: t.runs}, errors.Join(err, t.close(ctx, err))
}

// carryOut measures the start, searches, and looks at the best closely.
func (t *tuning) carryOut(ctx context.Context) error {
	at := func(share float64) time.Time { return t.began.Add(time.Duration(share * float64(t.budget))) }
	if err := t.measureStart(ctx, at(tuneStartShare)); err != nil {
		return err
	}
	if result := t.result(); ctx.Err() != nil || !result.Worth() {
		return nil
	}
	if err := t.search(ctx, at(1-tuneCheckShare)); err != nil {
		return err
	}
	return t.checkBest(ctx, at(1))
}

// result draws what the runs so far amount to.
func (t *tuning) result() results.TuneResult { return results.TuneOf(&t.record, t.runs) }

// sitting is the one that is going on.
func (t *tuning) sitting() *results.TuneSitting {
	sittings := t.record.Tune.Sittings
	return &sittings[len(sittings)-1]
}

// update writes the campaign's record as it is now. No run is in flight.
func (t *tuning) update() error {
	t.sitting().Seconds = t.now().Sub(t.sitting().Began).Seconds()
	return t.writer.Update(&t.record)
}

// close draws the answer, writes the tuned plan if there is one to write, and
// ends the record.
func (t *tuning) close(ctx context.Context, failed error) error {
	last := t.sitting()
	used, _, _ := t.record.Tune.Used()
	took := t.now().Sub(last.Began).Seconds()
	t.record.ElapsedSeconds = used.Seconds() - last.Seconds + took
	switch {
	case ctx.Err() != nil:
		t.record.Stopped = stoppedByUser
		t.record.Tune.EndSitting(t.runs)
	case failed != nil:
		t.record.Failed = failed.Error()
		t.record.Tune.EndSitting(t.runs)
	default:
		last.Seconds = took
	}
	result := t.result()
	var err error
	if result.Answer == results.Tuned {
		err = t.writePlan(&result)
	}
	t.record.Tune.Answer, t.record.Tune.Reason = result.Answer, result.Reason
	return errors.Join(err, t.writer.Update(&t.record), t.writer.Close())
}
