package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"patchproof/configs"
	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm"
	"patchproof/vm/guestimage"
	"patchproof/workloads"
)

// shipped is what comes with patchproof.
func shipped() fs.FS { return configs.FS }

// kernelSpec turns a plan's kernel into one that can be built. What k says of
// perturbing is left out: both kernels of a pair are perturbed alike.
func (h *Harness) kernelSpec(k workloads.KernelSpec) (kernels.Spec, error) {
	k, err := k.Materialize(shipped(), filepath.Join(h.CacheDir, "shipped"))
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return kernels.Spec{}, err // the cache cannot be written to
	}
	if err != nil {
		return kernels.Spec{}, inputError(err)
	}
	spec := kernels.Spec{
		Image: k.Image, Vmlinux: k.Vmlinux, Config: k.Config, Modules: k.Modules, Tarball: k.Tarball,
		Tree: k.Tree, Rev: k.Rev, Patches: k.Patches, BaseConfig: k.BaseConfig,
		Fragments: k.Fragments, Make: k.Make,
	}
	err = spec.Validate()
	if err == nil {
		// a file that is no patch is told now, and not when the kernel before
		// the patch has been built
		_, err = kernels.PatchFiles(spec.Patches)
	}
	return spec, inputError(err)
}

// buildKernel returns the image for a spec and shows its progress as task.
func (h *Harness) buildKernel(ctx context.Context, store *kernels.Store, task string, spec kernels.Spec, jobs int) (*kernels.Image, error) {
	begin := time.Now()
	image, err := store.Build(ctx, spec, kernels.BuildOptions{Jobs: jobs, Progress: func(p kernels.Progress) {
		h.emit(Event{Task: task, Stage: p.Stage, Done: p.Done, Total: p.Total, Message: p.Message})
	}})
	if err != nil {
		h.emit(Event{Task: task, Finished: true, Elapsed: time.Since(begin), Message: "failed"})
		return nil, kernelError(task, err)
	}
	message := "Linux " + image.Release
	if n := image.Provenance.Compiled; n > 0 && image.Provenance.Built.After(begin) {
		message += fmt.Sprintf(", %d files compiled", n)
	}
	h.emit(Event{Task: task, Finished: true, Elapsed: time.Since(begin), Message: message})
	if len(image.MissingSymbols) > 0 {
		h.note(fmt.Sprintf("%s: not obtained from the configuration asked for: %s", task, strings.Join(image.MissingSymbols, ", ")))
	}
	return image, nil
}

// kernelError tells mistakes of the user from builds that failed.
func kernelError(task string, err error) error {
	err = fmt.Errorf("%s: %w", task, err)
	var (
		notImage *kernels.NotBzImageError
		config   *kernels.ConfigError
		patch    *kernels.PatchError
		source   *kernels.SourceError
	)
	if errors.As(err, &notImage) || errors.As(err, &config) || errors.As(err, &patch) ||
		errors.As(err, &source) || errors.Is(err, fs.ErrNotExist) {
		return inputError(err)
	}
	return err
}

// newMachine makes the guest image and finds the accelerator, by booting the
// given kernel when the answer is not known.
func (h *Harness) newMachine(ctx context.Context, w *workloads.Workload, kernel string) (*machine, error) {
	m := &machine{qemu: h.QEMU, workload: w, guest: w.Defaults.Over(workloads.FallbackGuest())}
	var err error
	if m.match, err = newMatcher(w.Signatures, w.Consequences, w.Benign); err != nil {
		return nil, err
	}
	if m.image, err = h.guestImage(ctx, w.HostTools(), guestimage.Modules{}); err != nil {
		return nil, err
	}
	if m.tools, err = guestTools(ctx, m.image.Tools); err != nil {
		return nil, err
	}
	h.emit(Event{Task: "accelerator", Stage: "probe"})
	begin := time.Now()
	m.probe, err = vm.ProbeAccelerator(ctx, vm.ProbeOptions{QEMU: h.QEMU, CacheDir: h.CacheDir, Kernel: kernel, Force: forced(m.guest.Accel)})
	if err != nil {
		h.emit(Event{Task: "accelerator", Finished: true, Message: "failed"})
		return nil, fmt.Errorf("finding an accelerator: %w", err)
	}
	m.version = qemuVersion(h.QEMU)
	h.emit(Event{Task: "accelerator", Finished: true, Elapsed: time.Since(begin), Message: string(m.probe.Accel) + ": " + m.probe.Reason})
	if m.guest.CountsInstructions() && (m.probe.Accel != vm.AccelTCG || m.guest.VCPUs > 1) {
		return nil, inputError(fmt.Errorf("icount takes %s and one vCPU, and this is %s with %d: force them with --accel and --vcpus, or leave icount out", vm.AccelTCG, m.probe.Accel, m.guest.VCPUs))
	}
	return m, nil
}

func forced(accel string) string {
	if accel == "auto" {
		return ""
	}
	return accel
}

func (h *Harness) guestImage(ctx context.Context, tools []string, modules guestimage.Modules) (*guestimage.Image, error) {
	begin := time.Now()
	h.emit(Event{Task: "guest image", Stage: "collect"})
	image, err := guestimage.Build(ctx, filepath.Join(h.CacheDir, "guests"), guestimage.Spec{Tools: tools, Modules: modules})
	if err != nil {
		h.emit(Event{Task: "guest image", Finished: true, Message: "failed"})
		return nil, fmt.Errorf("making the guest image: %w", err)
	}
	h.emit(Event{Task: "guest image", Finished: true, Elapsed: time.Since(begin), Message: "ready"})
	return image, nil
}

// newSubject compiles the machine's workload for one kernel. oldest is the
// release of the oldest kernel of the campaign: both sides get the file system
// that the older one can mount, or they would not be tested with the same one.
func newSubject(m *machine, name string, image *kernels.Image, oldest string) (*subject, error) {
	for _, symbol := range m.workload.Requires {
		if value, known := image.Option(symbol); known && value != "y" && (value != "m" || image.Modules == "") {
			return nil, inputError(fmt.Errorf("the %s kernel %s has %s=%s, and workload %s needs it built in: add a config fragment with %s=y",
				name, image.Release, symbol, value, m.workload.Name, symbol))
		}
	}
	tools := m.tools
	tools.KernelMajor, tools.KernelMinor, _ = kernels.Version(oldest)
	steps, err := workloads.Compile(m.workload, tools)
	if err != nil {
		return nil, inputError(fmt.Errorf("workload %s for the %s kernel %s: %w", m.workload.Name, name, image.Release, err))
	}
	record, err := kernelRecord(name, image)
	if err != nil {
		return nil, err
	}
	return &subject{name: name, image: image, steps: steps, record: record}, nil
}

// older returns the release of the older of two kernels. An unknown version is
// taken as the older one: nothing is known that it can do.
func older(a, b string) string {
	aMajor, aMinor, aKnown := kernels.Version(a)
	bMajor, bMinor, bKnown := kernels.Version(b)
	if !aKnown || bKnown && (aMajor < bMajor || aMajor == bMajor && aMinor < bMinor) {
		return a
	}
	return b
}

func kernelRecord(name string, image *kernels.Image) (results.KernelRecord, error) {
	provenance, err := json.Marshal(image.Provenance)
	if err != nil {
		return results.KernelRecord{}, fmt.Errorf("provenance of kernel %s: %w", image.ID, err)
	}
	return results.KernelRecord{ID: image.ID, Release: image.Release, SHA256: image.SHA256,
		Label: kernelLabel(name, image.Provenance), Provenance: provenance}, nil
}

// kernelLabel says in a few words where a kernel comes from.
func kernelLabel(name string, p kernels.Provenance) string {
	label := filepath.Base(p.Source.Path)
	switch p.Source.Kind {
	case kernels.SourceGit:
		label = p.Source.Rev
		if c := p.Source.Commit; len(c) >= 12 && !strings.HasPrefix(c, label) {
			label += " (" + c[:12] + ")"
		}
	case kernels.SourceImage:
		label = p.Source.Path
	}
	for _, patch := range p.Patches {
		label += " + " + filepath.Base(patch.Path)
	}
	if name != "" && name != string(judge.Pre) && name != string(judge.Post) {
		label = name + ": " + label
	}
	return label
}
