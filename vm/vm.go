// Package vm runs one guest from power-on to power-off under QEMU.
//
// A [Spec] says what the guest is made of; [Start] turns it into a QEMU process
// and returns a [Guest]. From then on one supervisor watches the process, the
// machine protocol (QMP), the serial console and the SSH connection, and names
// what went wrong as a [Failure]. The serial console is the log of record: it
// is written byte for byte to console.log in the run's folder, and the file is
// complete when [Guest.Done] is closed.
//
// Nothing outlives the harness: QEMU is told to die with the thread that
// started it, and disks, the initial ramdisk and the QMP socket have no name in
// any file system once QEMU runs.
package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Accelerator names how QEMU executes guest code.
type Accelerator string

const (
	// AccelKVM uses the host's hardware virtualisation.
	AccelKVM Accelerator = "kvm"
	// AccelTCG translates guest code; it works everywhere and is slower.
	AccelTCG Accelerator = "tcg"
)

// Disk is one virtio block device, backed by a sparse raw file that has no
// name once the guest runs and vanishes with it. The first disk is /dev/vda.
type Disk struct {
	SizeMiB int64
}

// Limits bound how long a guest may take. Zero means no limit.
type Limits struct {
	// Boot is the longest time from start to an answering SSH server.
	Boot time.Duration
	// Silence is the longest time without any sign of life: no console byte
	// and, once the SSH server has answered, no answer to a keepalive either.
	Silence time.Duration
	// Run is the longest life of the guest, boot and power-off included.
	Run time.Duration
}

// Scale returns the limits multiplied by factor, which is usually
// [ProbeResult.Slowdown]. Factors below 1 leave the limits as they are.
func (l Limits) Scale(factor float64) Limits {
	if factor <= 1 {
		return l
	}
	scale := func(d time.Duration) time.Duration { return time.Duration(float64(d) * factor) }
	return Limits{Boot: scale(l.Boot), Silence: scale(l.Silence), Run: scale(l.Run)}
}

// DefaultLimits are the limits for a machine whose [ProbeResult.Slowdown] is 1.
func DefaultLimits() Limits {
	return Limits{Boot: 60 * time.Second, Silence: 45 * time.Second}
}

// Spec describes a guest. Name, Kernel, Initrd and Dir are required.
type Spec struct {
	// Name is how messages call the guest, e.g. "pre-003".
	Name string
	// Kernel is the path of a bzImage.
	Kernel string
	// Initrd is the path of the base image that guestimage.Build made; Start
	// appends the keys of this one run.
	Initrd string
	// Append holds further words for the kernel command line.
	Append []string
	// MemoryMiB is the guest's memory; 0 means 1024.
	MemoryMiB int
	// VCPUs is the number of virtual processors; 0 means 1.
	VCPUs int
	// CPU is QEMU's processor model; empty means one that kernels from 3.10
	// to today boot on.
	CPU string
	// Disks become /dev/vda, /dev/vdb, ...
	Disks []Disk
	// Accel is the accelerator; empty means AccelTCG.
	Accel Accelerator
	// Icount lets the guest's clock count its instructions (QEMU's -icount), so
	// that the host's speed does not change what the guest sees. It takes
	// AccelTCG and one processor.
	Icount bool
	// Load is the number of busy processes that run beside the guest, as long as
	// it and with its priority.
	Load int
	// Dir is the run's folder, made when it does not exist: console.log,
	// qemu.log and qemu-cmdline.txt are written there.
	Dir string
	// QEMU is the emulator's path; empty means qemu-system-x86_64 from PATH.
	QEMU string
	// NoNetwork leaves the network adapter out: such a guest has no SSH and
	// says so, which is what a kernel without a network driver does.
	NoNetwork bool
	// SaveDir is the folder for the state of a guest that Guest.Save is going
	// to save; its disks are there from the start. Empty means that the guest
	// will not be saved.
	SaveDir string
	// Fork is the state to go on from instead of booting; nil boots. The rest
	// of the Spec must describe the same hardware.
	Fork *Snapshot
	// OnWake is a command line that runs in a guest with Fork before it is
	// ready; when it fails, so does the guest.
	OnWake string
	// Limits bound the guest's time.
	Limits Limits
	// Console gets every console byte too; it may be nil. Its writes come
	// from one goroutine and must not block for long.
	Console io.Writer
}

// withDefaults fills in what was left empty.
func (s Spec) withDefaults() Spec {
	if s.MemoryMiB == 0 {
		s.MemoryMiB = 1024
	}
	if s.VCPUs == 0 {
		s.VCPUs = 1
	}
	if s.Accel == "" {
		s.Accel = AccelTCG
	}
	if s.CPU == "" {
		// -cpu max breaks kernels of 2014 under TCG; Nehalem boots them all.
		s.CPU = "Nehalem"
		if s.Accel == AccelKVM {
			s.CPU = "host"
		}
	}
	return s
}

// validate finds what can be found wrong before anything is started.
func (s Spec) validate() error {
	switch {
	case s.Name == "":
		return errors.New("guest without a name")
	case s.Dir == "":
		return fmt.Errorf("guest %s: no folder for its logs", s.Name)
	case s.MemoryMiB < 0 || s.VCPUs < 0:
		return fmt.Errorf("guest %s: %d MiB of memory and %d processors: neither can be negative", s.Name, s.MemoryMiB, s.VCPUs)
	case s.Accel != "" && s.Accel != AccelKVM && s.Accel != AccelTCG:
		return fmt.Errorf("guest %s: unknown accelerator %q: use kvm or tcg", s.Name, s.Accel)
	case s.Icount && (s.Accel == AccelKVM || s.VCPUs > 1):
		return fmt.Errorf("guest %s: a clock that counts instructions takes tcg and one processor", s.Name)
	case s.Load < 0 || s.Load > maxLoad:
		return fmt.Errorf("guest %s: %d busy processes beside it: give 0 to %d", s.Name, s.Load, maxLoad)
	}
	if s.Fork != nil {
		if err := s.Fork.fits(s); err != nil {
			return fmt.Errorf("guest %s: %w", s.Name, err)
		}
	}
	for i, d := range s.Disks {
		if d.SizeMiB <= 0 {
			return fmt.Errorf("guest %s: disk %d of %d MiB: give it a size", s.Name, i, d.SizeMiB)
		}
	}
	if err := checkKernel(s.Kernel); err != nil {
		return fmt.Errorf("guest %s: %w", s.Name, err)
	}
	if _, err := os.Stat(s.Initrd); err != nil {
		return fmt.Errorf("guest %s: base image: %w", s.Name, err)
	}
	return nil
}

// checkKernel refuses a file that is not an x86 Linux boot image: QEMU would
// take some of those and then sit still. The offset and the magic are from the
// kernel's Documentation/arch/x86/boot.rst.
func checkKernel(path string) error {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return fmt.Errorf("kernel: %w", err)
	}
	defer f.Close()
	const magicOffset = 0x202
	var magic [4]byte
	if _, err := f.ReadAt(magic[:], magicOffset); err != nil || string(magic[:]) != "HdrS" {
		return fmt.Errorf("%s is not an x86 kernel image: give the path of arch/x86/boot/bzImage", path)
	}
	return nil
}
