package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"patchproof/results"
	"patchproof/workloads"
)

var errConfirmPlain = errors.New("--confirm-plain is for perturbed kernels: give --perturb as well")

// CheckConfirmPlain says before a campaign whether ConfirmPlain could do anything
// after it.
func CheckConfirmPlain(plan *workloads.Plan) error {
	pre, _, err := plan.Expand()
	if err == nil && pre.Perturb == nil {
		err = errConfirmPlain
	}
	return inputError(err)
}

// ConfirmPlain carries a plan out once more on plain kernels, with the runs
// and the time that the verdict on perturbed ones has left over, and puts the
// result into that verdict's summary.
func (h *Harness) ConfirmPlain(ctx context.Context, plan *workloads.Plan, perturbed *results.Summary) error {
	if perturbed.Campaign.Perturb == nil {
		return inputError(errConfirmPlain)
	}
	if perturbed.Campaign.Stopped == stoppedByUser {
		perturbed.Warnings = append(perturbed.Warnings, "not confirmed on plain kernels: "+stoppedByUser)
		return nil
	}
	plain := *plan
	SetPerturb(&plain, nil)
	if plain.Budget > 0 {
		plain.Budget -= workloads.Duration(perturbed.Campaign.ElapsedSeconds * float64(time.Second))
		if plain.Budget <= 0 {
			perturbed.Warnings = append(perturbed.Warnings, "no time was left to confirm the verdict on plain kernels")
			return nil
		}
	}
	var err error
	if perturbed.Plain, err = h.Verify(ctx, &plain); err != nil {
		return fmt.Errorf("confirming the verdict on plain kernels: %w", err)
	}
	return nil
}

// SetPerturb makes both kernels of a plan perturbed in the same way, or plain.
func SetPerturb(plan *workloads.Plan, perturb *workloads.Perturb) {
	set := func(k **workloads.KernelSpec, perturb *workloads.Perturb) {
		if *k == nil && perturb == nil {
			return
		}
		var own workloads.KernelSpec
		if *k != nil {
			own = **k
		}
		own.Perturb = perturb
		*k = &own
	}
	set(&plan.Kernel, perturb)
	set(&plan.Pre, nil)
	set(&plan.Post, nil)
}

// Control runs the workload of a perturbed plan on its pre kernel without any
// patch, perturbed like the pair: reports there come from the perturbation or
// from the kernel as released, and not from what the plan is about.
func (h *Harness) Control(ctx context.Context, plan *workloads.Plan) ([]results.Run, string, error) {
	w, err := plan.OpenWorkload(shipped())
	if err != nil {
		return nil, "", inputError(err)
	}
	var pre, post builtKernel
	spec, _, perturb, err := h.pairSpecs(ctx, plan, &pre, &post)
	if err != nil {
		return nil, "", err
	}
	if perturb == nil {
		return nil, "", inputError(errors.New("--control is for perturbed kernels: give --perturb as well"))
	}
	if len(spec.Patches) == 0 {
		return nil, "", inputError(fmt.Errorf("--control runs the pre kernel without its patches, and the %s kernel of plan %s has none", pre.name, plan.Name))
	}
	spec.Patches = nil
	store, err := h.OpenKernels()
	if err != nil {
		return nil, "", err
	}
	image, err := h.buildKernel(ctx, store, "stock kernel", spec, 0)
	if err != nil {
		return nil, "", err
	}
	m, err := h.newMachine(ctx, w, image.Path)
	if err != nil {
		return nil, "", err
	}
	m.perturb = perturb
	s, err := newSubject(m, "stock", image, image.Release)
	if err != nil {
		return nil, "", err
	}
	return h.repeat(ctx, m, s, plan.MaxRuns, plan.Jobs)
}
