package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm"
	"patchproof/workloads"
)

// SingleRequest is one kernel and what to do on it.
type SingleRequest struct {
	Kernel    KernelFlags
	Patches   []string
	Workload  string
	Variables map[string]string
	Guest     workloads.Guest
	Repeat    int // runs; 0 means 1
	Guests    int // at a time; 0 means as many as get most done, see BenchJobs
	Jobs      int // make -j; 0 means one per CPU
	// Perturb is nil for a plain kernel. Without paths they are found in
	// Patches, see pathsOf.
	Perturb *workloads.Perturb
	// Seed is given to every run of a perturbed kernel; 0 means that each gets
	// its own.
	Seed uint64
}

// spec checks the kernel of the request.
func (h *Harness) spec(ctx context.Context, r SingleRequest) (kernels.Spec, *perturbation, error) {
	k := r.Kernel.spec()
	k.Patches = append(k.Patches, r.Patches...)
	if k.Rev == "" {
		k.Rev = r.Kernel.Base
	}
	spec, err := h.kernelSpec(*k)
	if err != nil {
		return spec, nil, err
	}
	perturb, err := newPerturbation(r.Perturb, h.PerturbSeed, func() ([]string, error) {
		return patchedPaths(ctx, kernels.Spec{}, spec)
	})
	if err != nil {
		return spec, nil, err
	}
	if perturb != nil {
		perturb.only = r.Seed
	} else if r.Seed != 0 {
		return spec, nil, inputError(errors.New("a seed is for perturbed kernels: give --perturb as well"))
	}
	spec.Perturb = perturb.spec()
	return spec, perturb, inputError(spec.Validate())
}

// BuildKernel builds, or finds in the cache, the kernel of a request.
func (h *Harness) BuildKernel(ctx context.Context, r SingleRequest) (*kernels.Image, error) {
	image, _, err := h.buildSingle(ctx, r)
	return image, err
}

func (h *Harness) buildSingle(ctx context.Context, r SingleRequest) (*kernels.Image, *perturbation, error) {
	spec, perturb, err := h.spec(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	store, err := h.OpenKernels()
	if err != nil {
		return nil, nil, err
	}
	image, err := h.buildKernel(ctx, store, "kernel", spec, r.Jobs)
	return image, perturb, err
}

// openSingle loads the workload of a request, with the request's guest.
func openSingle(r SingleRequest) (*workloads.Workload, error) {
	w, err := workloads.ParseWorkloadRef(r.Workload).Open(shipped(), r.Variables)
	if err != nil {
		return nil, inputError(err)
	}
	applied := *w
	applied.Defaults = r.Guest.Over(w.Defaults)
	return &applied, nil
}

// single is a kernel and a machine made ready for runs.
func (h *Harness) single(ctx context.Context, r SingleRequest) (*machine, *subject, error) {
	w, err := openSingle(r)
	if err != nil {
		return nil, nil, err
	}
	image, perturb, err := h.buildSingle(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	m, err := h.newMachine(ctx, w, image.Path)
	if err != nil {
		return nil, nil, err
	}
	m.perturb = perturb
	s, err := newSubject(m, "", image, image.Release)
	if err != nil {
		return nil, nil, err
	}
	return m, s, h.addModules(ctx, m, s)
}

// Run does a number of runs of a workload on one kernel and returns their
// records and their folder. Runs that were stopped by ctx are left out.
func (h *Harness) Run(ctx context.Context, r SingleRequest) ([]results.Run, string, error) {
	if r.Guests < 0 {
		return nil, "", inputError(fmt.Errorf("%d guests at a time: give a positive number", r.Guests))
	}
	m, s, err := h.single(ctx, r)
	if err != nil {
		return nil, "", err
	}
	return h.repeat(ctx, m, s, max(1, r.Repeat), r.Guests)
}

// repeat does a number of runs on one kernel, guests of them at a time; 0 means
// as many as get most done.
func (h *Harness) repeat(ctx context.Context, m *machine, s *subject, runCount, guests int) ([]results.Run, string, error) {
	// A machine that is saved for one run costs more than it gains.
	if runCount > 1 {
		if err := h.fork(ctx, m, s); err != nil {
			return nil, "", err
		}
	}
	if guests == 0 {
		guests = h.defaultJobs(ctx, m.guest)
	}
	store, err := h.OpenResults()
	if err != nil {
		return nil, "", err
	}
	record := h.singleRecord(m, s)
	writer, err := store.Create(&record)
	if err != nil {
		return nil, "", err
	}
	runs := make([]results.Run, runCount)
	err = inParallel(ctx, runCount, guests, func(i int) (func(context.Context) error, error) {
		w, err := writer.StartRun(singleRun(m, s, i))
		return func(ctx context.Context) error {
			run, err := h.execute(ctx, w, m, s)
			if ctx.Err() == nil {
				runs[i] = run
			}
			return err
		}, err
	})
	return slices.DeleteFunc(runs, func(r results.Run) bool { return r.ID == "" }), writer.Dir(), err
}

// inParallel calls what start returns for 0 to n-1, some at a time, until one of
// them fails or ctx ends; the others' contexts end then, and all are waited for.
func inParallel(ctx context.Context, n, atOnce int, start func(i int) (func(context.Context) error, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	places := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		do, err := start(i)
		if err != nil {
			cancel(err)
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			if err := do(ctx); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// singleRecord is the record of a campaign with one kernel.
func (h *Harness) singleRecord(m *machine, s *subject) results.Campaign {
	return results.Campaign{Format: results.FormatVersion, Kind: results.KindRun, Command: h.Command, Version: h.Version,
		Started: time.Now(), Workload: m.workload.Name, Shape: m.shape(), Pre: s.record, Signatures: m.match.signatures, Perturb: m.perturb.record(),
		Host: m.host()}
}

// singleRun is the start of its run with the given number.
func singleRun(m *machine, s *subject, i int) results.Run {
	return results.Run{Side: judge.Pre, Kernel: s.record, Accel: string(m.probe.Accel), Shape: m.shape(), Seed: m.perturb.runSeed(i), Forked: s.forked()}
}

// Shell boots a kernel and connects the user's terminal with a shell in the
// guest, until the shell ends. stdin must be a terminal for line editing to
// work; anything else is read as commands.
func (h *Harness) Shell(ctx context.Context, r SingleRequest, stdin *os.File, stdout, stderr io.Writer) error {
	image, err := h.BuildKernel(ctx, r)
	if err != nil {
		return err
	}
	w := &workloads.Workload{Name: "shell", Defaults: r.Guest}
	m, err := h.newMachine(ctx, w, image.Path)
	if err != nil {
		return err
	}
	initrd, err := h.guestImageFor(ctx, m, image, shellFileSystems)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "patchproof-shell-")
	if err != nil {
		return fmt.Errorf("folder for the guest's console log: %w", err)
	}
	defer os.RemoveAll(dir)
	guest, err := vm.Start(ctx, vm.Spec{Name: "shell", Kernel: image.Path, Initrd: initrd.Path,
		Append: m.guest.Append, MemoryMiB: m.guest.MemoryMiB(), VCPUs: m.guest.VCPUs,
		Disks: []vm.Disk{{SizeMiB: m.guest.DiskMiB()}}, Accel: m.probe.Accel, Dir: dir, QEMU: h.QEMU,
		Limits: vm.Limits{Boot: vm.DefaultLimits().Scale(m.probe.Slowdown).Boot}})
	if err != nil {
		return err
	}
	defer guest.Kill()
	if err := guest.WaitReady(ctx); err != nil {
		return err
	}
	h.note(fmt.Sprintf("Linux %s, %s, disk /dev/vda; the guest ends with the shell", image.Release, m.shape()))
	if h.BeforeShell != nil {
		h.BeforeShell()
	}
	if err := guest.Shell(ctx, stdin, stdout, stderr); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return guest.PowerOff(ctx)
}
