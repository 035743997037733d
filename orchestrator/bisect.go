package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

// bisection is one that is being carried out.
type bisection struct {
	*results.BisectWriter
	h        *Harness
	workload *workloads.Workload
	store    *kernels.Store
	spec     kernels.Spec // of every commit, but for Rev
	perturb  *perturbation
	// oldest is the version of the older end: all commits get the file system
	// that it can mount.
	oldest string
	jobs   int
	budget time.Duration
	// machine is nil until the first image is there to boot.
	machine  *machine
	subjects map[int]*subject
	// mayFork says that runs are to go on from saved machines, and forked that
	// they do.
	mayFork, forked bool
	// fork, kernel and execute are Harness.forkAll, subject and Harness.execute;
	// tests replace them.
	fork    func(ctx context.Context, s *subject, taken int) error
	kernel  func(ctx context.Context, node int) (*subject, error)
	execute func(ctx context.Context, w *results.RunWriter, s *subject) (results.Run, error)
}

// Bisect searches a history for the commit that broke something, or fixed it,
// with a workload that shows it only in some runs. What is known is in the
// result even when ctx ends early; ResumeBisect goes on from there.
func (h *Harness) Bisect(ctx context.Context, r BisectRequest) (*results.Bisection, error) {
	plan, err := r.plan()
	if err != nil {
		return nil, err
	}
	record, err := h.history(ctx, plan.Kernel.Tree, r)
	if err != nil {
		return nil, err
	}
	record.Rules.Confidence = plan.Confidence
	if err := record.Rules.Validate(len(record.Commits)); err != nil {
		return nil, inputError(err)
	}
	b, err := h.newBisection(ctx, plan, record, h.PerturbSeed)
	if err != nil {
		return nil, err
	}
	skip, err := skipped(ctx, record, r.Skip)
	if err != nil {
		return nil, err
	}
	campaign, err := b.describe(plan)
	if err != nil {
		return nil, err
	}
	store, err := h.OpenResults()
	if err != nil {
		return nil, err
	}
	if b.BisectWriter, err = store.CreateBisection(campaign, record); err != nil {
		return nil, err
	}
	h.note(fmt.Sprintf("%d commits between %s and %s; records: %s", len(record.Commits), record.Old.Rev, record.New.Rev, b.Dir()))
	return b.carryOut(ctx, skip)
}

// ResumeBisect continues a bisection from its folder. No run that has ended is
// repeated.
func (h *Harness) ResumeBisect(ctx context.Context, r ResumeRequest) (*results.Bisection, error) {
	state, err := results.LoadBisection(r.Dir)
	if err != nil {
		return nil, inputError(err)
	}
	plan, err := workloads.LoadPlan(filepath.Join(r.Dir, "plan.yaml"), state.Campaign.Plan)
	if err != nil {
		return nil, inputError(fmt.Errorf("plan of the bisection: %w", err))
	}
	if r.Budget != 0 {
		plan.Budget = workloads.Duration(r.Budget)
	}
	if r.Jobs != 0 {
		plan.Jobs = r.Jobs
	}
	seed := h.PerturbSeed
	if p := state.Campaign.Perturb; p != nil {
		seed = p.Seed
	}
	b, err := h.newBisection(ctx, plan, state.Record, seed)
	if err != nil {
		return nil, err
	}
	if err := b.sameInputs(ctx, state); err != nil {
		return nil, err
	}
	skip, err := skipped(ctx, state.Record, r.Skip)
	if err != nil {
		return nil, err
	}
	b.BisectWriter, err = results.ReopenBisection(r.Dir, func(record *results.BisectRecord) {
		if r.Confidence != 0 {
			record.Rules.Confidence = r.Confidence
		}
		if r.MaxRuns != 0 {
			record.Rules.MaxRuns = r.MaxRuns
		}
	})
	if err != nil {
		return nil, inputError(err)
	}
	b.Campaign.Stopped, b.Campaign.Failed = "", ""
	return b.carryOut(ctx, skip)
}

// sameInputs makes sure that a bisection that goes on builds the kernels that it
// began with and looks for the same bug: runs of others cannot be put together
// with those that it has.
func (b *bisection) sameInputs(ctx context.Context, before *results.Bisection) error {
	match, err := newMatcher(b.workload.Signatures, b.workload.Consequences, b.workload.Benign)
	if err != nil {
		return err
	}
	if !slices.Equal(match.signatures, before.Campaign.Signatures) {
		return inputError(fmt.Errorf("the signatures in %s are not those that the bisection began with: begin anew", filepath.Join(before.Campaign.Dir, planName)))
	}
	for _, r := range slices.Backward(before.Runs) {
		if r.Kernel.ID == "" {
			continue
		}
		spec := b.spec
		spec.Rev = r.Commit
		id, _, err := b.store.Address(ctx, spec)
		if err != nil {
			return kernelError("kernel", err)
		}
		if id != r.Kernel.ID {
			return inputError(fmt.Errorf("a patch, the configuration or the compiler has changed since run %s: kernels built now cannot be put together with those of the runs so far, begin anew", r.ID))
		}
		return nil // as it was made sure when that run's sitting began
	}
	return nil
}

// newBisection does what comes before the folder, and finds every mistake that
// can be found without a build.
func (h *Harness) newBisection(ctx context.Context, plan *workloads.Plan, record *results.BisectRecord, seed uint64) (*bisection, error) {
	b := &bisection{h: h, jobs: plan.Jobs, budget: time.Duration(plan.Budget), subjects: map[int]*subject{}}
	b.kernel = b.subject
	b.fork = func(ctx context.Context, s *subject, taken int) error {
		return h.forkAll(ctx, b.machine, []*subject{s}, taken, false)
	}
	b.execute = func(ctx context.Context, w *results.RunWriter, s *subject) (results.Run, error) {
		return h.execute(ctx, w, b.machine, s)
	}
	var err error
	if b.workload, err = plan.OpenWorkload(shipped()); err != nil {
		return nil, inputError(err)
	}
	if len(b.workload.Signatures) == 0 {
		return nil, inputError(fmt.Errorf("workload %s has no signature, so nothing says what the bug looks like: add signatures to the workload or the plan", b.workload.Name))
	}
	kernel := *plan.Kernel
	kernel.Rev = record.New.Commit
	if b.spec, err = h.kernelSpec(kernel); err != nil {
		return nil, err
	}
	b.perturb, err = newPerturbation(kernel.Perturb, seed, func() ([]string, error) { return rangePaths(ctx, record, b.spec.Patches) })
	if err != nil {
		return nil, err
	}
	b.spec.Perturb = b.perturb.spec()
	if err := b.spec.Validate(); err != nil {
		return nil, inputError(err)
	}
	if b.oldest, err = kernels.TreeVersion(ctx, record.Tree, record.Old.Commit); err != nil {
		return nil, kernelError("old end", err)
	}
	if b.jobs == 0 {
		b.jobs = h.defaultJobs(ctx, b.guest())
	}
	b.store, err = h.OpenKernels()
	return b, err
}

func (b *bisection) guest() workloads.Guest {
	return b.workload.Defaults.Over(workloads.FallbackGuest())
}

// skipped resolves the revisions that are not to be tested. The ends have to be.
func skipped(ctx context.Context, record *results.BisectRecord, revs []string) (map[string]string, error) {
	out := map[string]string{}
	for _, rev := range revs {
		commit, err := kernels.ResolveCommit(ctx, record.Tree, rev)
		if err != nil {
			return nil, kernelError("--skip", err)
		}
		if commit == record.Old.Commit || commit == record.New.Commit {
			return nil, inputError(fmt.Errorf("--skip %s: it is an end of the range, which has to be tested: choose another end", rev))
		}
		out[commit] = rev
	}
	return out, nil
}

// describe makes the campaign's record. What only a booted guest tells is added
// later.
func (b *bisection) describe(plan *workloads.Plan) (*results.Campaign, error) {
	data, err := bisectPlan(plan, b.workload, b.perturb, b.jobs)
	if err != nil {
		return nil, err
	}
	match, err := newMatcher(b.workload.Signatures, b.workload.Consequences, b.workload.Benign)
	if err != nil {
		return nil, err
	}
	return &results.Campaign{Command: b.h.Command, Version: b.h.Version, Started: time.Now(), Workload: b.workload.Name,
		Signatures: match.signatures, Plan: data, Perturb: b.perturb.record()}, nil
}

// carryOut goes on until the judge, the budget or ctx ends it.
func (b *bisection) carryOut(ctx context.Context, skip map[string]string) (*results.Bisection, error) {
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if b.budget > 0 {
		timer := time.AfterFunc(b.budget, func() { cancel(errBudget) })
		defer timer.Stop()
	}
	err := b.begin(runCtx, skip)
	if err == nil {
		err = b.search(runCtx)
	}
	reason := ""
	switch {
	case ctx.Err() != nil:
		reason, err = stoppedByUser, nil
	case errors.Is(context.Cause(runCtx), errBudget):
		reason, err = fmt.Sprintf("the time budget of %v is used up", b.budget), nil
	case err != nil:
		b.Campaign.Failed = err.Error()
	}
	return b.Bisection, errors.Join(err, b.Close(reason))
}

// begin tells the state what is known without a run.
func (b *bisection) begin(ctx context.Context, skip map[string]string) error {
	for commit, rev := range skip {
		node, ok := b.Node(commit)
		if !ok {
			b.h.note(fmt.Sprintf("--skip %s is not in the range", rev))
		} else if b.Untestable(node) == "" {
			if err := b.untestable(node, "skipped by hand", ""); err != nil {
				return err
			}
		}
	}
	hashes := []string{b.Record.Old.Commit, b.Record.New.Commit}
	for _, c := range b.Record.Commits {
		hashes = append(hashes, c.Commit)
	}
	cached, err := b.store.CachedCommits(ctx, b.spec, hashes)
	if err != nil {
		return kernelError("kernel", err)
	}
	for i, hash := range hashes {
		if node, ok := b.Node(hash); ok {
			b.SetBuilt(node, cached[i])
		}
	}
	return nil
}

// search takes the judge's steps.
func (b *bisection) search(ctx context.Context) error {
	last := judge.Step{}
	for ctx.Err() == nil {
		step, more := b.Judge.Next()
		if !more {
			return nil
		}
		if step.Node != last.Node || step.Purpose != last.Purpose {
			c := b.Commit(step.Node)
			b.h.note(fmt.Sprintf("%s: %.12s %s", step.Purpose, c.Commit, c.Subject))
		}
		last = step
		if err := b.take(ctx, step); err != nil {
			return err
		}
	}
	return nil
}
