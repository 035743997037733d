package orchestrator

import (
	"regexp"
	"strconv"
	"strings"

	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/vm"
)

// staleBreakpoint is why a run says nothing of its kernel. A kernel changes its
// own code behind a breakpoint that it takes out again. QEMU before 8.1, with a
// thread for each processor, may translate the breakpoint just before it goes
// and run the translation afterwards; nobody expects that breakpoint any more.
const staleBreakpoint = "QEMU before 8.1 ran a breakpoint that the kernel had already taken out of its code, as it does now and then when it emulates several processors; use one vCPU, KVM or a newer QEMU"

// blameEmulator marks the reports that are QEMU's doing, and those that follow
// on them: after a wrong trap a guest is good for nothing.
func (m *machine) blameEmulator(records []results.ReportRecord) {
	if m.probe.Accel != vm.AccelTCG || m.guest.VCPUs < 2 || !runsStaleCode(m.version) {
		return
	}
	flawed := false
	for i := range records {
		r := &records[i]
		flawed = flawed || r.Kind == dmesg.KindOops && strings.HasPrefix(r.Title, "int3 in ")
		if flawed {
			r.Signature, r.Benign, r.Flaw = "", staleBreakpoint, true
		}
	}
}

// qemuRelease finds the release in "QEMU emulator version 7.2.22 (Debian ...)".
var qemuRelease = regexp.MustCompile(`version (\d+)\.(\d+)`)

// runsStaleCode says whether a QEMU of this version has the flaw. One that does
// not say its version is taken for a new one: a report too many is looked at, a
// run that does not count is not.
func runsStaleCode(version string) bool {
	m := qemuRelease.FindStringSubmatch(version)
	if m == nil {
		return false
	}
	major, err1 := strconv.Atoi(m[1])
	minor, err2 := strconv.Atoi(m[2])
	return err1 == nil && err2 == nil && (major < 8 || major == 8 && minor < 1)
}
