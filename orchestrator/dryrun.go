package orchestrator

import (
	"context"
	"fmt"

	"patchproof/kernels"
	"patchproof/vm/guestimage"
	"patchproof/workloads"
)

// SideSteps is what would be run in the guests of one kernel.
type SideSteps struct {
	// Kernel names the kernel, with its version where that is known before it
	// is built.
	Kernel string           `json:"kernel"`
	Steps  []workloads.Step `json:"steps"`
}

// Steps returns what a plan would do in the guests of its kernels. It builds
// and boots nothing.
func (h *Harness) Steps(ctx context.Context, plan *workloads.Plan) ([]SideSteps, error) {
	w, err := plan.OpenWorkload(shipped())
	if err != nil {
		return nil, inputError(err)
	}
	pre, post, err := plan.Expand()
	if err != nil {
		return nil, inputError(err)
	}
	image, err := h.guestImage(ctx, w.HostTools(), guestimage.Modules{})
	if err != nil {
		return nil, err
	}
	tools, err := guestTools(ctx, image.Tools)
	if err != nil {
		return nil, err
	}
	sides := make([]SideSteps, 2)
	for i, k := range []workloads.KernelSpec{pre, post} {
		side := tools
		if sides[i].Kernel, err = describeKernel(k, &side); err != nil {
			return nil, err
		}
		if sides[i].Steps, err = workloads.Compile(w, side); err != nil {
			return nil, inputError(err)
		}
	}
	return sides, nil
}

// describeKernel names a kernel that may not be built yet and fills in its
// version when that can be read from an image.
func describeKernel(k workloads.KernelSpec, tools *workloads.Tools) (string, error) {
	if k.Image == "" {
		return fmt.Sprintf("%s kernel, its version not known before it is built: mkfs keeps its defaults here", k.Name), nil
	}
	header, err := kernels.Identify(k.Image)
	if err != nil {
		return "", inputError(err)
	}
	release := header.Release
	tools.KernelMajor, tools.KernelMinor, _ = kernels.Version(release)
	return fmt.Sprintf("%s kernel, Linux %s", k.Name, release), nil
}
