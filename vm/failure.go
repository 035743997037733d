package vm

import (
	"fmt"
	"strings"
	"syscall"
)

// FailureKind says in which way a guest failed.
type FailureKind string

// The ways in which a guest fails.
const (
	// FailureStart: QEMU is missing, or refused its arguments or a file.
	FailureStart FailureKind = "start"
	// FailureBootTimeout: the SSH server did not answer within Limits.Boot.
	FailureBootTimeout FailureKind = "boot-timeout"
	// FailureNoNetwork: the kernel has no usable network adapter.
	FailureNoNetwork FailureKind = "no-network"
	// FailureInit: our init could not set the guest up.
	FailureInit FailureKind = "init"
	// FailureNoSSH: the guest is up but its SSH server cannot be used.
	FailureNoSSH FailureKind = "no-ssh"
	// FailurePanic: the guest's kernel panicked.
	FailurePanic FailureKind = "panic"
	// FailureReboot: the guest reset itself without being asked to.
	FailureReboot FailureKind = "reboot"
	// FailurePowerOff: the guest powered itself off without being asked to.
	FailurePowerOff FailureKind = "power-off"
	// FailureHang: the guest, or QEMU, shows no sign of life.
	FailureHang FailureKind = "hang"
	// FailureDiskFull: the host has no space left for the guest's disk or log.
	FailureDiskFull FailureKind = "disk-full"
	// FailureQEMUDied: the QEMU process ended by a signal or an error.
	FailureQEMUDied FailureKind = "qemu-died"
	// FailureRunTimeout: the guest lived longer than Limits.Run.
	FailureRunTimeout FailureKind = "run-timeout"
	// FailureKilled: the harness stopped the guest (Kill, or its context).
	FailureKilled FailureKind = "killed"
)

// Failure is how a guest ended when it did not end as asked.
type Failure struct {
	Kind FailureKind
	// Guest is Spec.Name.
	Guest string
	// Detail says in one line what was seen and what to do about it.
	Detail string
	// Console holds the last lines of the serial console, safe to print.
	Console []string
	// Cause is the underlying error, when there is one.
	Cause error
}

// Error implements error.
func (f *Failure) Error() string {
	return fmt.Sprintf("guest %s: %s: %s", f.Guest, f.Kind, f.Detail)
}

// Unwrap returns the cause, so that errors.Is finds context.Canceled and the like.
func (f *Failure) Unwrap() error { return f.Cause }

// evidence is all that is known of a guest when its QEMU has ended.
type evidence struct {
	guest string
	dir   string
	// connected is set once QEMU has spoken QMP: its arguments were good.
	connected bool
	// ready is set once the SSH server has answered.
	ready bool
	// asked is set when the harness wanted the guest to end.
	asked bool
	// decided is why the harness ended the guest, if it did.
	decided *Failure
	// panicked is set by the console or by the pvpanic device.
	panicked    bool
	panicReason string
	// shutdown is the reason in QEMU's SHUTDOWN event, e.g. "guest-reset".
	shutdown string
	exit     exit
	// qemuLog is the last line that QEMU wrote to its standard error.
	qemuLog string
	console []string
}

// classify names what happened; nil means that the guest ended as asked. A
// panic comes first whatever followed it, because everything after it is a
// consequence. What the harness decided comes next, because QEMU's death is
// then its own doing.
func classify(e evidence) *Failure {
	f := &Failure{Guest: e.guest, Console: e.console}
	switch {
	case e.panicked:
		f.Kind, f.Detail = FailurePanic, panicDetail(e)
	case e.decided != nil:
		*f = *e.decided
		f.Guest, f.Console = e.guest, e.console
	case e.exit != exit{}:
		f.Kind, f.Detail = FailureQEMUDied, exitDetail(e)
		if !e.connected && e.exit.signal == 0 {
			f.Kind = FailureStart
		}
	case e.asked:
		return nil
	case e.shutdown == "guest-reset":
		f.Kind = FailureReboot
		f.Detail = "the guest reset itself without a panic message (a triple fault, or something called reboot)" + lastLine(e)
	case e.shutdown == "guest-shutdown":
		f.Kind = FailurePowerOff
		f.Detail = "the guest powered itself off without being asked to" + lastLine(e)
	default:
		f.Kind = FailureQEMUDied
		f.Detail = "QEMU ended without saying why" + logHint(e)
	}
	return f
}

func panicDetail(e evidence) string {
	detail := "the kernel panicked"
	if e.panicReason != "" {
		detail += ": " + e.panicReason
	}
	for _, h := range panicHints {
		if !e.ready && strings.Contains(e.panicReason, h.text) {
			detail += "; " + h.hint
		}
	}
	return detail + "; see " + e.dir + "/console.log"
}

// panicHints explain the panics of kernels that lack what a guest needs.
var panicHints = []struct{ text, hint string }{
	{"Unable to mount root fs", "a guest runs from its initial ramdisk: the kernel needs CONFIG_BLK_DEV_INITRD"},
	{"No working init found", "the kernel needs CONFIG_BINFMT_ELF, CONFIG_BINFMT_SCRIPT and CONFIG_64BIT, and enough memory for the image"},
	{"Attempted to kill init", "init died: the lines before it on the console say why"},
	{"Out of memory", "give the guest more memory"},
}

func exitDetail(e evidence) string {
	if e.exit.signal != 0 {
		why := ""
		if e.exit.signal == syscall.SIGKILL {
			why = ", by hand or by the host's out-of-memory killer (dmesg tells)"
		}
		return fmt.Sprintf("QEMU was ended by signal %d (%s)%s%s", int(e.exit.signal), e.exit.signal, why, logHint(e))
	}
	return fmt.Sprintf("QEMU ended with status %d%s", e.exit.code, logHint(e))
}

func logHint(e evidence) string {
	if e.qemuLog == "" {
		return "; see " + e.dir + "/qemu.log"
	}
	return ": " + e.qemuLog + " (" + e.dir + "/qemu-cmdline.txt starts the same guest by hand)"
}

func lastLine(e evidence) string {
	if len(e.console) == 0 {
		return "; the serial console is empty"
	}
	return "; last console line: " + e.console[len(e.console)-1]
}
