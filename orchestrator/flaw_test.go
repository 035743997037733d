package orchestrator

import (
	"os"
	"strings"
	"testing"

	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm"
	"patchproof/workloads"
)

const qemu7 = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"

func TestBlameEmulator(t *testing.T) {
	int3 := results.ReportRecord{Report: dmesg.Report{Kind: dmesg.KindOops, Title: "int3 in get_random_u64"}}
	leak := results.ReportRecord{Report: dmesg.Report{Kind: dmesg.KindWarning, Title: "WARNING in btrfs_destroy_inode"}, Signature: "leak"}
	other := results.ReportRecord{Report: dmesg.Report{Kind: dmesg.KindWarning, Title: "WARNING in other"}}
	panicked := &results.GuestFailure{Kind: "panic", Kernel: true}
	old := machine{probe: vm.ProbeResult{Accel: vm.AccelTCG}, guest: workloads.Guest{VCPUs: 2}, version: qemu7}
	kvm, single, fresh := old, old, old
	kvm.probe.Accel, single.guest.VCPUs, fresh.version = vm.AccelKVM, 1, "QEMU emulator version 8.1.0"
	for name, c := range map[string]struct {
		machine machine
		reports []results.ReportRecord
		failure *results.GuestFailure
		want    judge.Outcome
	}{
		"the trap alone":                 {old, []results.ReportRecord{int3}, nil, judge.Invalid},
		"the trap and a panic":           {old, []results.ReportRecord{int3}, panicked, judge.Invalid},
		"the bug before it":              {old, []results.ReportRecord{leak, int3}, nil, judge.Reproduced},
		"the bug after it":               {old, []results.ReportRecord{int3, leak}, nil, judge.Invalid},
		"another failure before it":      {old, []results.ReportRecord{other, int3}, nil, judge.OtherFailure},
		"another failure after it":       {old, []results.ReportRecord{int3, other}, nil, judge.Invalid},
		"another failure without a trap": {old, []results.ReportRecord{other}, nil, judge.OtherFailure},
		"KVM":                            {kvm, []results.ReportRecord{int3}, nil, judge.OtherFailure},
		"one processor":                  {single, []results.ReportRecord{int3}, nil, judge.OtherFailure},
		"a QEMU without the flaw":        {fresh, []results.ReportRecord{int3}, nil, judge.OtherFailure},
	} {
		t.Run(name, func(t *testing.T) {
			r := results.Run{Reports: append([]results.ReportRecord(nil), c.reports...), Failure: c.failure, Complete: true}
			c.machine.blameEmulator(r.Reports)
			got, reason := results.Classify(&r)
			if got != c.want || got != judge.Reproduced && reason == "" {
				t.Errorf("got %s (%s), want %s", got, reason, c.want)
			}
		})
	}
}

// TestBlameEmulatorOnALog uses the end of a log of Debian's 6.12 with two
// processors under QEMU 7.2, which met the flaw twice in 16 runs.
func TestBlameEmulatorOnALog(t *testing.T) {
	log, err := os.Open("testdata/int3-6.12-qemu-7.2.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	reports, err := dmesg.Parse(log)
	if err != nil {
		t.Fatal(err)
	}
	m := machine{probe: vm.ProbeResult{Accel: vm.AccelTCG}, guest: workloads.Guest{VCPUs: 2}, version: qemu7}
	records := m.match.records(reports, nil)
	m.blameEmulator(records)
	r := results.Run{Reports: records, Failure: &results.GuestFailure{Kind: "panic", Kernel: true}}
	if got, reason := results.Classify(&r); got != judge.Invalid || !strings.HasPrefix(reason, "int3 in get_random_u64: QEMU before 8.1") {
		t.Errorf("%s: %s", got, reason)
	}
}

func TestRunsStaleCode(t *testing.T) {
	for version, want := range map[string]bool{
		qemu7:                          true,
		"QEMU emulator version 8.0.5":  true,
		"QEMU emulator version 8.1.0":  false,
		"QEMU emulator version 10.0.2": false,
		"":                             false,
	} {
		if got := runsStaleCode(version); got != want {
			t.Errorf("%q: got %v", version, got)
		}
	}
}
