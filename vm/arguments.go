package vm

import (
	"fmt"
	"strconv"
	"strings"
)

// Wiring says where the host ends of a guest's devices are. Start passes open
// files that have no name; a guest that is started by hand uses paths.
type Wiring struct {
	// Initrd is the path that QEMU opens; empty means Spec.Initrd.
	Initrd string
	// Disks are the paths of the raw images, one for each of Spec.Disks.
	Disks []string
	// MonitorFD is an inherited listening socket for QMP; 0 means no QMP.
	MonitorFD int
	// Nonce goes to the kernel command line as patchproof.nonce.
	Nonce string
	// StateFD is an inherited socket that brings the state of a machine to go
	// on from; 0 means to boot.
	StateFD int
}

// feature is one property of a guest that QEMU is told about.
type feature interface {
	// args returns the command line words.
	args() []string
}

// Arguments returns QEMU's command line, without the program's name, for a
// guest. It is a pure function of its arguments.
func Arguments(spec Spec, w Wiring) []string {
	spec = spec.withDefaults()
	features := []feature{
		machine{spec.Accel, spec.Icount},
		clock{spec.Icount},
		processors{accel: spec.Accel, model: spec.CPU, count: spec.VCPUs},
		memory{spec.MemoryMiB},
		boot{kernel: spec.Kernel, initrd: first(w.Initrd, spec.Initrd), words: kernelWords(spec, w.Nonce)},
		console{},
		monitor{w.MonitorFD},
		entropy{},
		panicDevice{},
		savedState{w.StateFD},
	}
	for i := range spec.Disks {
		path := diskName(i)
		if i < len(w.Disks) {
			path = w.Disks[i]
		}
		features = append(features, disk{index: i, path: path})
	}
	if !spec.NoNetwork {
		features = append(features, network{})
	}
	var out []string
	for _, f := range features {
		out = append(out, f.args()...)
	}
	return out
}

// kernelWords returns the kernel command line. Kernels ignore words that they
// do not know, so one list serves 3.10 to today.
func kernelWords(spec Spec, nonce string) []string {
	words := []string{
		"console=ttyS0,115200",
		// The whole log on the console, user space's lines included, without
		// the rate limit that 4.9 brought.
		"ignore_loglevel", "printk.devkmsg=on",
		// Reset at once on panic; -no-reboot turns that into QEMU's end.
		"panic=-1",
		// On a busy host an emulated timer can be late enough for the check
		// at boot to fail, which is a panic.
		"no_timer_check",
		// The guest holds no secrets, and switching page tables at every
		// system call costs an emulated processor dearly. nopti is the older
		// name (4.15 to 5.1).
		"mitigations=off", "nopti",
		// 4.19 and later may take RDRAND's word for it.
		"random.trust_cpu=on",
	}
	if nonce != "" {
		words = append(words, "patchproof.nonce="+nonce)
	}
	return append(words, spec.Append...)
}

type machine struct {
	accel  Accelerator
	icount bool
}

func (m machine) args() []string {
	accel := "kvm"
	switch {
	case m.icount:
		accel = "tcg,thread=single" // several threads cannot count together
	case m.accel != AccelKVM:
		accel = "tcg,thread=multi"
	}
	return []string{
		"-nodefaults", "-no-user-config", "-display", "none",
		// A q35 boots faster than a pc: with that one's interrupt links,
		// ACPI costs an emulated kernel 0.15 s for each device. What no
		// guest needs is left out, for the same reason.
		"-machine", "q35,hpet=off,vmport=off,smm=off,usb=off,sata=off,smbus=off",
		"-accel", accel,
		// A reset ends QEMU, and a panic is reported but left to the guest,
		// which still has its last words to print.
		"-no-reboot", "-action", "panic=none",
	}
}

// clock is the guest's: by the host's, or, when it counts, one nanosecond an
// instruction. Then it jumps ahead when the guest has nothing to do.
type clock struct{ counts bool }

func (c clock) args() []string {
	if !c.counts {
		return nil
	}
	return []string{"-icount", "shift=0,sleep=off"}
}

type processors struct {
	accel Accelerator
	model string
	count int
}

func (p processors) args() []string {
	return []string{"-cpu", p.model, "-smp", strconv.Itoa(p.count)}
}

type memory struct{ mib int }

func (m memory) args() []string { return []string{"-m", strconv.Itoa(m.mib) + "M"} }

type boot struct {
	kernel, initrd string
	words          []string
}

func (b boot) args() []string {
	out := []string{"-kernel", b.kernel}
	if b.initrd != "" {
		out = append(out, "-initrd", b.initrd)
	}
	return append(out, "-append", strings.Join(b.words, " "))
}

// console connects the first serial port to QEMU's standard output.
type console struct{}

func (console) args() []string {
	return []string{"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"}
}

type monitor struct{ fd int }

func (m monitor) args() []string {
	if m.fd == 0 {
		return nil
	}
	return []string{
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d,server=on,wait=off", m.fd),
		"-mon", "chardev=qmp,mode=control",
	}
}

// entropy lets getrandom return at once on kernels that do not trust the CPU.
type entropy struct{}

func (entropy) args() []string {
	return []string{"-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng"}
}

type panicDevice struct{}

func (panicDevice) args() []string { return []string{"-device", "pvpanic"} }

// savedState is the state that the machine begins with.
type savedState struct{ fd int }

func (s savedState) args() []string {
	if s.fd == 0 {
		return nil
	}
	return []string{"-incoming", fmt.Sprintf("fd:%d", s.fd)}
}

// disk is a raw image that need not survive the guest: the host never flushes it.
type disk struct {
	index int
	path  string
}

func (d disk) args() []string {
	return []string{
		"-drive", fmt.Sprintf("if=none,id=disk%d,format=raw,cache=unsafe,discard=unmap,file=%s", d.index, escapeComma(d.path)),
		"-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d", d.index),
	}
}

// network is QEMU's user networking, cut off from everything but one forwarded
// port on the loopback address. Port 0 lets the host's kernel choose a free
// one; QMP tells which (see parseUsernet).
type network struct{}

func (network) args() []string {
	return []string{
		"-netdev", "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:0-:22",
		"-device", "virtio-net-pci,netdev=net,romfile=",
	}
}

// escapeComma quotes a value inside a QEMU option, where "," separates.
func escapeComma(s string) string { return strings.ReplaceAll(s, ",", ",,") }

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
