package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gopkg.in/yaml.v3"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

// Verify carries a plan out: builds its kernels, runs its workload on both in
// turn, and stops as soon as the verdict is decided, or when runs or time are
// used up. What was measured is in the summary even when ctx ends early.
func (h *Harness) Verify(ctx context.Context, plan *workloads.Plan) (*results.Summary, error) {
	c, err := h.prepare(ctx, plan)
	if err != nil {
		return nil, err
	}
	if err := h.fork(ctx, c.machine, c.sides[judge.Pre], c.sides[judge.Post]); err != nil {
		return nil, err
	}
	c.describeFork()
	if err := c.open(); err != nil {
		return nil, err
	}
	c.runAll(ctx)
	return c.close()
}

// campaign is a plan that is being carried out.
type campaign struct {
	h       *Harness
	plan    *workloads.Plan
	machine *machine
	sides   map[judge.Side]*subject
	rules   judge.Rules
	jobs    int
	began   time.Time

	writer  *results.CampaignWriter
	started int // runs so far

	mu     sync.Mutex // guards what follows
	record results.Campaign
	runs   []results.Run // in the order of their start
}

// prepare does all that comes before the first run, and finds every mistake
// that can be found without one.
func (h *Harness) prepare(ctx context.Context, plan *workloads.Plan) (*campaign, error) {
	c := &campaign{h: h, plan: plan, began: time.Now(), rules: judge.Rules{Confidence: plan.Confidence, MaxRuns: plan.MaxRuns}.WithDefaults()}
	if err := c.rules.Validate(); err != nil {
		return nil, inputError(err)
	}
	w, err := plan.OpenWorkload(shipped())
	if err != nil {
		return nil, inputError(err)
	}
	if len(w.Signatures) == 0 {
		return nil, inputError(fmt.Errorf("workload %s has no signature, so nothing says what the bug looks like: add signatures to the workload or the plan", w.Name))
	}
	pre, post, perturb, err := h.pair(ctx, plan)
	if err != nil {
		return nil, err
	}
	if c.machine, err = h.newMachine(ctx, w, pre.image.Path); err != nil {
		return nil, err
	}
	c.machine.perturb = perturb
	c.sides = map[judge.Side]*subject{}
	for side, k := range map[judge.Side]builtKernel{judge.Pre: pre, judge.Post: post} {
		if c.sides[side], err = newSubject(c.machine, k.name, k.image, older(pre.image.Release, post.image.Release)); err != nil {
			return nil, err
		}
		if err := h.addModules(ctx, c.machine, c.sides[side]); err != nil {
			return nil, err
		}
	}
	c.jobs = plan.Jobs
	if c.jobs == 0 {
		c.jobs = h.defaultJobs(ctx, c.machine.guest)
	}
	return c, c.describe()
}

type builtKernel struct {
	name  string
	image *kernels.Image
}

// pair builds the two kernels of a plan and makes sure that they differ.
func (h *Harness) pair(ctx context.Context, plan *workloads.Plan) (pre, post builtKernel, perturb *perturbation, err error) {
	preSpec, postSpec, perturb, err := h.pairSpecs(ctx, plan, &pre, &post)
	if err != nil {
		return pre, post, nil, err
	}
	store, err := h.OpenKernels()
	if err != nil {
		return pre, post, nil, err
	}
	if pre.image, err = h.buildKernel(ctx, store, "pre kernel", preSpec, 0); err != nil {
		return pre, post, nil, err
	}
	if post.image, err = h.buildKernel(ctx, store, "post kernel", postSpec, 0); err != nil {
		return pre, post, nil, err
	}
	return pre, post, perturb, inputError(kernels.SameImage(pre.image, post.image))
}

// pairSpecs works out what the two kernels are built from.
func (h *Harness) pairSpecs(ctx context.Context, plan *workloads.Plan, pre, post *builtKernel) (preSpec, postSpec kernels.Spec, perturb *perturbation, err error) {
	preKernel, postKernel, err := plan.Expand()
	if err != nil {
		return preSpec, postSpec, nil, inputError(err)
	}
	pre.name, post.name = preKernel.Name, postKernel.Name
	if preSpec, err = h.kernelSpec(preKernel); err != nil {
		return preSpec, postSpec, nil, err
	}
	if postSpec, err = h.kernelSpec(postKernel); err != nil {
		return preSpec, postSpec, nil, err
	}
	perturb, err = newPerturbation(postKernel.Perturb, h.PerturbSeed, func() ([]string, error) {
		return patchedPaths(ctx, preSpec, postSpec)
	})
	if err != nil {
		return preSpec, postSpec, nil, err
	}
	preSpec.Perturb, postSpec.Perturb = perturb.spec(), perturb.spec()
	return preSpec, postSpec, perturb, inputError(postSpec.Validate())
}

// describe fills in the campaign's record.
func (c *campaign) describe() error {
	m := c.machine
	plan, err := c.expandedPlan()
	if err != nil {
		return err
	}
	c.record = results.Campaign{
		Format: results.FormatVersion, Kind: results.KindVerify, Command: c.h.Command, Version: c.h.Version, Started: c.began,
		Host: m.host(), Workload: m.workload.Name, Shape: m.shape(),
		Pre: c.sides[judge.Pre].record, Post: c.sides[judge.Post].record,
		Signatures: m.match.signatures, Rules: c.rules, Plan: plan, Perturb: m.perturb.record(),
		PatchTitle: patchTitle(c.sides[judge.Pre].image.Provenance, c.sides[judge.Post].image.Provenance),
	}
	return nil
}

// expandedPlan is the plan as it is carried out, for the record.
func (c *campaign) expandedPlan() ([]byte, error) {
	pre, post, err := c.plan.Expand()
	if err != nil {
		return nil, inputError(err)
	}
	return yaml.Marshal(struct {
		Name       string               `yaml:"name"`
		Pre        workloads.KernelSpec `yaml:"pre"`
		Post       workloads.KernelSpec `yaml:"post"`
		Workload   *workloads.Workload  `yaml:"workload"`
		Guest      workloads.Guest      `yaml:"guest"`
		Confidence float64              `yaml:"confidence"`
		MaxRuns    int                  `yaml:"max_runs"`
		Budget     workloads.Duration   `yaml:"budget,omitempty"`
		Jobs       int                  `yaml:"jobs"`
	}{c.plan.Name, pre, post, c.machine.workload, c.machine.guest, c.rules.Confidence, c.rules.MaxRuns, c.plan.Budget, c.jobs})
}

// patchTitle is the subject of the last patch that only the post kernel has.
func patchTitle(pre, post kernels.Provenance) string {
	if len(post.Patches) <= len(pre.Patches) {
		return ""
	}
	last := post.Patches[len(post.Patches)-1]
	if n := len(last.Subjects); n > 0 {
		return last.Subjects[n-1]
	}
	return ""
}

func (c *campaign) open() error {
	store, err := c.h.OpenResults()
	if err != nil {
		return err
	}
	c.writer, err = store.Create(&c.record)
	return err
}

var (
	errDecided = errors.New("the verdict was decided")
	errBudget  = errors.New("the time budget is used up")
)

// runAll starts runs until the judge has seen enough.
func (c *campaign) runAll(ctx context.Context) {
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if b := time.Duration(c.plan.Budget); b > 0 {
		timer := time.AfterFunc(b, func() { cancel(errBudget) })
		defer timer.Stop()
	}
	var running sync.WaitGroup
	places := make(chan struct{}, c.jobs)
	for {
		// The place comes first: which side is next depends on what the runs
		// so far have shown.
		places <- struct{}{}
		side, ok := c.next(runCtx)
		if !ok {
			break
		}
		w, err := c.start(side)
		if err != nil {
			c.fail(err)
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			run, err := c.h.execute(runCtx, w, c.machine, c.sides[side])
			c.finished(run, err)
			if c.settled() {
				cancel(errDecided)
			}
		})
	}
	running.Wait()
	c.stopped(ctx, context.Cause(runCtx))
}

// next waits for nothing: it says which side the next run is for, or that
// there is no next run.
func (c *campaign) next(ctx context.Context) (judge.Side, bool) {
	if ctx.Err() != nil || c.settled() {
		return "", false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var started []judge.Side
	count := map[judge.Side]int{}
	for _, r := range c.runs {
		count[r.Side]++
		if r.Outcome != judge.Invalid {
			started = append(started, r.Side)
		}
	}
	side := judge.NextSide(started)
	if count[side] >= c.rules.MaxRuns {
		side = side.Other()
	}
	return side, count[side] < c.rules.MaxRuns
}

func (c *campaign) start(side judge.Side) (*results.RunWriter, error) {
	s, m := c.sides[side], c.machine
	w, err := c.writer.StartRun(results.Run{Side: side, Kernel: s.record, Accel: string(m.probe.Accel), Shape: m.shape(), Seed: m.perturb.runSeed(c.started), Forked: s.forked()})
	if err != nil {
		return nil, err
	}
	c.started++
	c.mu.Lock()
	c.runs = append(c.runs, w.Run())
	c.mu.Unlock()
	return w, nil
}

// finished puts a run's record in its place.
func (c *campaign) finished(run results.Run, err error) {
	c.mu.Lock()
	for i := range c.runs {
		if c.runs[i].ID == run.ID {
			c.runs[i] = run
		}
	}
	c.mu.Unlock()
	if err != nil {
		c.fail(err)
	}
}

// fail ends the campaign because of the infrastructure.
func (c *campaign) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.record.Failed == "" {
		c.record.Failed = err.Error()
	}
}

// settled asks the judge whether another run can change anything.
func (c *campaign) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record.Failed != "" || judge.Judge(results.EvidenceOf(c.runs), c.rules).Decided
}

// stoppedByUser is why a campaign ended early when a signal came.
const stoppedByUser = "stopped by the user"

// stopped records why the campaign ended when the judge did not end it.
func (c *campaign) stopped(ctx context.Context, cause error) {
	switch {
	case c.settled():
	case ctx.Err() != nil:
		c.record.Stopped = stoppedByUser
	case errors.Is(cause, errBudget):
		c.record.Stopped = fmt.Sprintf("the time budget of %v is used up", time.Duration(c.plan.Budget))
	case errors.Is(cause, errDecided):
		c.record.Stopped = "a verdict was reached, and what runs in flight had shown by then took it back"
	default:
		c.record.Stopped = fmt.Sprintf("the limit of %d runs a side is reached", c.rules.MaxRuns)
	}
}

// close judges the campaign and writes its record.
func (c *campaign) close() (*results.Summary, error) {
	c.record.ElapsedSeconds = time.Since(c.began).Seconds()
	summary := results.Summarize(c.record, c.runs)
	summary.Campaign.Decision = &summary.Decision
	if err := c.writer.Update(&summary.Campaign); err != nil {
		return &summary, fmt.Errorf("recording the verdict in %s: %w", c.writer.Dir(), err)
	}
	return &summary, nil
}
