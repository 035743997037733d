package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"patchproof/vm/guestimage"
)

const (
	// referenceBoot is how long the probe takes on the machine that the
	// default limits were written for: 2 cores, QEMU 7.2, emulated processor.
	referenceBoot = 2 * time.Second
	// maxSlowdown keeps a probe on a moment's overload from making the limits
	// useless.
	maxSlowdown = 20
)

// probeLimits bound one boot of the probe. Under KVM a kernel's first line is
// there in a fraction of a second; a /dev/kvm that hangs never prints one.
func probeLimits(accel Accelerator) Limits {
	if accel == AccelKVM {
		return Limits{Boot: 8 * time.Second, Silence: 6 * time.Second}
	}
	return Limits{Boot: 90 * time.Second, Silence: 60 * time.Second}
}

// ProbeOptions say what to probe.
type ProbeOptions struct {
	// QEMU is the emulator; empty means qemu-system-x86_64 from PATH.
	QEMU string
	// CacheDir is where answers are kept; empty means no cache.
	CacheDir string
	// Kernel is the bzImage to boot. Empty means that only an answer in the
	// cache can be given.
	Kernel string
	// Force is "" to choose, or the accelerator that has to be used.
	Force string
}

// ProbeResult is the answer of a probe.
type ProbeResult struct {
	// Accel is the accelerator to use.
	Accel Accelerator `json:"accel"`
	// Slowdown is how many times longer than on the reference machine the
	// probe took; at least 1. Limits are to be scaled by it.
	Slowdown float64 `json:"slowdown"`
	// Reason says in one line why this accelerator.
	Reason string `json:"reason"`
	// Cached is set when the answer is from an earlier probe.
	Cached bool `json:"-"`
}

// ProbeAccelerator finds out which accelerator to use by booting the kernel in
// it: a /dev/kvm that can be opened may still never run a kernel's first
// instruction. The answer is kept for this host kernel, QEMU and processor. When
// the forced accelerator does not work, that is an error.
func ProbeAccelerator(ctx context.Context, opts ProbeOptions) (ProbeResult, error) {
	force := Accelerator(opts.Force)
	if force != "" && force != AccelKVM && force != AccelTCG {
		return ProbeResult{}, fmt.Errorf("unknown accelerator %q: use kvm or tcg", opts.Force)
	}
	qemu, err := FindQEMU(opts.QEMU)
	if err != nil {
		return ProbeResult{}, err
	}
	version, err := QEMUVersion(ctx, qemu)
	if err != nil {
		return ProbeResult{}, err
	}
	kvmError := openKVM()
	cache := newProbeCache(opts.CacheDir, version, opts.Force, kvmError)
	if res, ok := cache.load(); ok {
		return res, nil
	}
	if opts.Kernel == "" {
		return guess(force, kvmError), nil
	}
	res, err := probe(ctx, qemu, opts.Kernel, force, kvmError)
	if err != nil {
		return ProbeResult{}, err
	}
	if err := cache.store(res); err != nil {
		return ProbeResult{}, fmt.Errorf("accelerator cache: %w", err)
	}
	return res, nil
}

// guess is the answer without a kernel to boot.
func guess(force Accelerator, kvmError error) ProbeResult {
	switch {
	case force != "":
		return ProbeResult{Accel: force, Slowdown: 1, Reason: "as asked; not tried, for want of a kernel to boot"}
	case kvmError != nil:
		return ProbeResult{Accel: AccelTCG, Slowdown: 1, Reason: kvmError.Error()}
	default:
		return ProbeResult{Accel: AccelTCG, Slowdown: 1, Reason: "/dev/kvm is there, but whether it works is unknown until a kernel has been booted in it"}
	}
}

// probe boots the kernel in what may work.
func probe(ctx context.Context, qemu, kernel string, force Accelerator, kvmError error) (ProbeResult, error) {
	if force != AccelTCG {
		took := time.Duration(0)
		if kvmError == nil {
			took, kvmError = bootProbe(ctx, qemu, kernel, AccelKVM)
		}
		switch {
		case kvmError == nil:
			return ProbeResult{Accel: AccelKVM, Slowdown: slowdown(took), Reason: fmt.Sprintf("a kernel booted under KVM in %s", round(took))}, nil
		case ctx.Err() != nil:
			return ProbeResult{}, fmt.Errorf("accelerator probe: %w", context.Cause(ctx))
		case force == AccelKVM:
			return ProbeResult{}, fmt.Errorf("kvm was asked for and is not usable: %w (leave the accelerator to patchproof, or use tcg)", kvmError)
		}
	}
	took, err := bootProbe(ctx, qemu, kernel, AccelTCG)
	if err != nil {
		if ctx.Err() != nil {
			return ProbeResult{}, fmt.Errorf("accelerator probe: %w", context.Cause(ctx))
		}
		return ProbeResult{}, fmt.Errorf("accelerator probe: %s does not boot to user space under TCG either: %w", kernel, err)
	}
	reason := "as asked"
	if force == "" {
		reason = "KVM is not usable: " + kvmError.Error()
	}
	return ProbeResult{Accel: AccelTCG, Slowdown: slowdown(took), Reason: reason}, nil
}

// slowdown relates a probe's time to the reference machine's.
func slowdown(took time.Duration) float64 {
	return min(max(1, took.Seconds()/referenceBoot.Seconds()), maxSlowdown)
}

// bootProbe boots the kernel with an init that resets the machine, and returns
// how long that took.
func bootProbe(ctx context.Context, qemu, kernel string, accel Accelerator) (took time.Duration, err error) {
	dir, err := os.MkdirTemp("", "patchproof-probe-")
	if err != nil {
		return 0, fmt.Errorf("accelerator probe: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	initrd := filepath.Join(dir, "probe.cpio")
	var image bytes.Buffer
	if err := guestimage.Probe(&image); err != nil {
		return 0, err
	}
	if err := os.WriteFile(initrd, image.Bytes(), 0o600); err != nil {
		return 0, fmt.Errorf("accelerator probe: %w", err)
	}
	run := filepath.Join(dir, "run")
	begin := time.Now()
	g, err := Start(ctx, Spec{
		Name: "probe-" + string(accel), Kernel: kernel, Initrd: initrd, MemoryMiB: 256, NoNetwork: true,
		Accel: accel, QEMU: qemu, Dir: run, Limits: probeLimits(accel),
	})
	var failure *Failure
	if errors.As(err, &failure) {
		return 0, probeError(failure, qemuLogLine(run))
	}
	if err != nil {
		return 0, err
	}
	<-g.Done()
	took = time.Since(begin)
	log, err := os.ReadFile(filepath.Join(run, "console.log"))
	if err != nil {
		return 0, fmt.Errorf("accelerator probe: %w", err)
	}
	if bytes.Contains(log, []byte(guestimage.ProbeMessage)) {
		return took, nil
	}
	return 0, probeError(g.Failure(), qemuLogLine(run))
}

// probeError says why a probe failed in words that stand without the guest's
// folder, which is gone.
func probeError(f *Failure, qemuLog string) error {
	switch {
	case f == nil:
		return errors.New("the kernel ended before it ran its init")
	case f.Kind == FailureQEMUDied:
		return fmt.Errorf("QEMU died: %s", first(qemuLog, f.Detail))
	case len(f.Console) == 0:
		return errors.New("a kernel started in it prints not a single line")
	}
	return fmt.Errorf("%s; last console line: %s", f.Kind, f.Console[len(f.Console)-1])
}

// openKVM tells why /dev/kvm cannot be used, as far as opening it tells.
func openKVM() error {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errors.New("this machine has no /dev/kvm")
	case errors.Is(err, os.ErrPermission):
		return errors.New("/dev/kvm may not be opened (add yourself to the group kvm: adduser USER kvm, and log in again)")
	case err != nil:
		return err
	}
	return f.Close()
}

// QEMUVersion returns what the emulator says of its version, such as "QEMU
// emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)". An empty qemu means
// the one on PATH.
func QEMUVersion(ctx context.Context, qemu string) (string, error) {
	path, err := FindQEMU(qemu)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	if !strings.Contains(line, " version ") {
		return "", fmt.Errorf("%s --version prints no version: %q", path, printable(out))
	}
	return line, nil
}

// versionLimit bounds the time that a program may take to say its version.
const versionLimit = 20 * time.Second
