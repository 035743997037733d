package orchestrator

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"patchproof/kernels"
	"patchproof/vm"
)

// Finding is one thing that the doctor looked at.
type Finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	// Needed is unset for what only some uses need.
	Needed bool `json:"needed"`
	// Package is the Debian package that would help, when one would.
	Package string `json:"package,omitempty"`
}

// requirement is a program or file, what it is for, and who brings it.
type requirement struct {
	name, pkg, use string
	needed         bool
}

// emulator is looked for where the user says.
var emulator = requirement{"qemu-system-x86_64", "qemu-system-x86", "every guest", true}

// requirements are, with the emulator, what scripts/setup installs.
var requirements = []requirement{
	{"busybox", "busybox-static", "user space of every guest", true},
	{"dropbear", "dropbear-bin", "SSH server of every guest", true},
	{"/usr/lib/openssh/sftp-server", "openssh-sftp-server", "files to and from guests", true},
	{"sysbench", "sysbench", "sysbench phases", false},
	{"mkfs.btrfs", "btrfs-progs", "btrfs workloads", false},
	{"make", "make", "building kernels", false},
	{"gcc", "gcc", "building kernels", false},
	{"flex", "flex", "building kernels", false},
	{"bison", "bison", "building kernels", false},
	{"bc", "bc", "building kernels", false},
	{"/usr/include/libelf.h", "libelf-dev", "building kernels", false},
	{"/usr/include/openssl/opensslv.h", "libssl-dev", "building kernels", false},
	{"git", "git", "kernels from git trees and patches", false},
	{"xz", "xz-utils", "kernel source packages", false},
	{"/usr/src/linux-source-6.1.tar.xz", "linux-source-6.1", "the demo", false},
}

// Amounts below which the doctor warns. A kernel's source and objects take 3 GiB.
const (
	wantDiskMiB   = 6 * 1024
	wantMemoryMiB = 2 * 1024
)

// Doctor looks at everything that runs depend on. The accelerator is tried by
// booting the kernel of the request when it names one.
func (h *Harness) Doctor(ctx context.Context, r SingleRequest) []Finding {
	findings := []Finding{h.checkQEMU(ctx)}
	for _, req := range requirements {
		findings = append(findings, req.check())
	}
	findings = append(findings, h.checkDisk(), checkMemory(), h.checkJobs())
	if findings[0].OK {
		findings = append(findings, h.checkAccelerator(ctx, r))
	}
	return findings
}

func (h *Harness) checkQEMU(ctx context.Context) Finding {
	f := Finding{Name: "qemu", Needed: true}
	if _, err := vm.FindQEMU(h.QEMU); err != nil {
		f.Detail, f.Package = err.Error(), emulator.pkg
		return f
	}
	version, err := vm.QEMUVersion(ctx, h.QEMU)
	if f.OK, f.Detail = err == nil, version; err != nil {
		f.Detail = err.Error()
	}
	return f
}

func (req requirement) check() Finding {
	f := Finding{Name: req.name, Needed: req.needed, Detail: "for " + req.use}
	if strings.HasPrefix(req.name, "/") {
		_, err := os.Stat(req.name)
		f.OK = err == nil
	} else {
		f.OK = findProgram(req.name) != ""
	}
	if !f.OK {
		f.Detail, f.Package = "missing; needed for "+req.use, req.pkg
	}
	return f
}

// findProgram also looks where an ordinary user's PATH does not lead.
func findProgram(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(dir + "/" + name); err == nil {
			return path
		}
	}
	return ""
}

func (h *Harness) checkDisk() Finding {
	f := Finding{Name: "disk", Needed: true}
	if err := os.MkdirAll(h.CacheDir, 0o755); err != nil {
		f.Detail = err.Error()
		return f
	}
	var st unix.Statfs_t
	if err := unix.Statfs(h.CacheDir, &st); err != nil {
		f.Detail = fmt.Sprintf("%s: %v", h.CacheDir, err)
		return f
	}
	free := int64(st.Bavail) * st.Bsize >> 20
	f.OK = free >= wantDiskMiB
	f.Detail = fmt.Sprintf("%d MiB free in %s", free, h.CacheDir)
	if !f.OK {
		f.Detail += fmt.Sprintf("; building kernels takes %d MiB: free some or use --cache-dir", wantDiskMiB)
	}
	return f
}

func checkMemory() Finding {
	f := Finding{Name: "memory", Needed: true}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		f.Detail = err.Error()
		return f
	}
	total := info.Totalram * uint64(info.Unit) >> 20
	f.OK = total >= wantMemoryMiB
	f.Detail = fmt.Sprintf("%d MiB, %d processors", total, runtime.NumCPU())
	return f
}

func (h *Harness) checkAccelerator(ctx context.Context, r SingleRequest) Finding {
	f := Finding{Name: "accelerator", Needed: true}
	options := vm.ProbeOptions{QEMU: h.QEMU, CacheDir: h.CacheDir, Force: forced(r.Guest.Accel), Kernel: r.Kernel.Image}
	if options.Kernel == "" {
		options.Kernel = h.anyKernel()
	} else if _, err := kernels.Identify(options.Kernel); err != nil {
		// the probe does not look at it when it knows the answer
		f.Detail = err.Error()
		return f
	}
	probe, err := vm.ProbeAccelerator(ctx, options)
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	f.OK = true
	f.Detail = fmt.Sprintf("%s: %s", probe.Accel, probe.Reason)
	return f
}

// anyKernel returns a kernel of the cache, the one that was used last.
func (h *Harness) anyKernel() string {
	store, err := h.OpenKernels()
	if err != nil {
		return ""
	}
	images, err := store.List()
	if err != nil || len(images) == 0 {
		return ""
	}
	return images[len(images)-1].Path
}
