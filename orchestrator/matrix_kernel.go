package orchestrator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/workloads"
)

// matrixKernel is a kernel that cells share.
type matrixKernel struct {
	name, commit, ref string
	spec              kernels.Spec
	perturb           *perturbation
	id                string // of the image, known before it is built
	cached            bool
	state             buildState
	image             *kernels.Image // once it is there
}

// buildState is how far a kernel is.
type buildState int

const (
	buildWaiting buildState = iota
	buildRunning
	buildEnded
)

// newMatrix resolves kernels and moving refs, and finds the mistakes that can
// be found without building anything. past is the record of a campaign that is
// resumed, or nil: refs and seeds then stay what they were.
func (h *Harness) newMatrix(ctx context.Context, plan *MatrixPlan, past *results.MatrixRecord) (*matrix, error) {
	store, err := h.OpenKernels()
	if err != nil {
		return nil, err
	}
	m := &matrix{h: h, plan: plan, runner: &guestRunner{h: h, store: store, machines: map[string]*machine{}}, began: time.Now(), seed: h.PerturbSeed}
	known := map[string]*matrixKernel{}
	for i := range plan.Cells {
		c := &plan.Cells[i]
		id, err := json.Marshal(c.Kernel)
		if err != nil {
			return nil, err
		}
		k := known[string(id)]
		if k == nil {
			commit := ""
			if past != nil {
				commit = past.Cells[i].Commit
				if p := past.Cells[i].Perturb; p != nil {
					m.seed = p.Seed
				}
			}
			if k, err = m.resolve(ctx, store, c, commit); err != nil {
				return nil, err
			}
			known[string(id)] = k
			m.kernels = append(m.kernels, k)
		}
		m.kernelOf = append(m.kernelOf, k)
		inputs, err := inputsOf(k, plan.workloads[i])
		if err != nil {
			return nil, err
		}
		m.inputs = append(m.inputs, inputs)
	}
	// What is there already can be run while the rest is built.
	slices.SortStableFunc(m.kernels, func(a, b *matrixKernel) int {
		switch {
		case a.cached == b.cached:
			return 0
		case a.cached:
			return -1
		}
		return 1
	})
	return m, nil
}

// resolve works out what a cell's kernel is built from. commit is what its
// moving ref was when a resumed campaign began, or "".
func (m *matrix) resolve(ctx context.Context, store *kernels.Store, c *workloads.Cell, commit string) (*matrixKernel, error) {
	k := &matrixKernel{name: c.Kernel.Name, ref: c.Ref, commit: commit}
	spec := c.Kernel
	if k.ref != "" {
		if k.commit == "" {
			var err error
			if k.commit, err = kernels.ResolveCommit(ctx, spec.Tree, k.ref); err != nil {
				return nil, inputError(fmt.Errorf("kernel %s: %w", k.name, err))
			}
		}
		spec.Rev = k.commit
	}
	var err error
	if k.spec, err = m.h.kernelSpec(spec); err != nil {
		return nil, err
	}
	k.perturb, err = newPerturbation(spec.Perturb, m.seed, func() ([]string, error) {
		return patchedPaths(ctx, kernels.Spec{}, k.spec)
	})
	if err != nil {
		return nil, err
	}
	if k.perturb != nil {
		m.seed = k.perturb.seed
	}
	k.spec.Perturb = k.perturb.spec()
	k.id, k.cached, err = store.Address(ctx, k.spec)
	if err != nil {
		return nil, inputError(fmt.Errorf("kernel %s: %w", k.name, err))
	}
	return k, nil
}

// inputsOf is a digest of all that a cell's runs depend on.
func inputsOf(k *matrixKernel, w *workloads.Workload) (string, error) {
	filled := *w
	filled.Description, filled.Variables = "", nil
	data, err := json.Marshal(struct {
		Kernel   string
		Perturb  string
		Workload *workloads.Workload
	}{k.id, k.perturb.shape(), &filled})
	if err != nil {
		return "", fmt.Errorf("digest of what a cell is made from: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:16], nil
}

// sameInputs makes sure that a resumed campaign measures what it began with.
func (m *matrix) sameInputs() error {
	for i, c := range m.record.Matrix.Cells {
		if c.Inputs != m.inputs[i] {
			return fmt.Errorf("the kernel or the workload of cell %q has changed since campaign %s began: start a new campaign", c.Key, m.record.ID)
		}
	}
	return nil
}

// describe is the kernel's record; a moving ref is named with what it was.
func (k *matrixKernel) describe() (results.KernelRecord, error) {
	p := k.image.Provenance
	if k.ref != "" {
		p.Source.Rev = k.ref
	}
	record, err := kernelRecord(k.name, k.image)
	if err == nil {
		record.Label = kernelLabel(k.name, p)
	}
	return record, err
}
