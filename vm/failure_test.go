package vm

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
)

func TestClassify(t *testing.T) {
	hang := &Failure{Kind: FailureHang, Detail: "silent"}
	for _, test := range []struct {
		name  string
		e     evidence
		kind  FailureKind // "" for none
		words []string
	}{
		{"asked to power off", evidence{asked: true, shutdown: "guest-shutdown", ready: true, connected: true}, "", nil},
		{"asked, ended by QMP quit", evidence{asked: true, shutdown: "host-qmp-quit", connected: true}, "", nil},
		{"panic, then reset", evidence{panicked: true, panicReason: "Fatal exception", shutdown: "guest-reset", ready: true, connected: true}, FailurePanic, []string{"Fatal exception"}},
		{"panic while powering off", evidence{asked: true, panicked: true, shutdown: "guest-reset", ready: true, connected: true}, FailurePanic, nil},
		{"panic that the harness had to end", evidence{panicked: true, decided: hang, exit: exit{signal: syscall.SIGKILL}}, FailurePanic, nil},
		{"panic without an initial ramdisk", evidence{panicked: true, panicReason: "VFS: Unable to mount root fs on unknown-block(0,0)"}, FailurePanic, []string{"CONFIG_BLK_DEV_INITRD"}},
		{"the same text in a guest that was up", evidence{panicked: true, ready: true, panicReason: "VFS: Unable to mount root fs"}, FailurePanic, nil},
		{"killed by our decision", evidence{decided: hang, exit: exit{signal: syscall.SIGKILL}, connected: true}, FailureHang, []string{"silent"}},
		{"our decision while powering off", evidence{asked: true, decided: hang, exit: exit{signal: syscall.SIGKILL}, connected: true}, FailureHang, nil},
		{"killed by others", evidence{exit: exit{signal: syscall.SIGKILL}, connected: true}, FailureQEMUDied, []string{"signal 9", "out-of-memory"}},
		{"QEMU crash", evidence{exit: exit{signal: syscall.SIGABRT}, connected: true, qemuLog: "Assertion failed"}, FailureQEMUDied, []string{"Assertion failed"}},
		{"killed by others while powering off", evidence{asked: true, exit: exit{signal: syscall.SIGKILL}, connected: true}, FailureQEMUDied, nil},
		{"arguments refused", evidence{exit: exit{code: 1}, qemuLog: "unable to find CPU model 'abacus'"}, FailureStart, []string{"abacus", "qemu-cmdline.txt"}},
		{"error of a running QEMU", evidence{exit: exit{code: 1}, connected: true}, FailureQEMUDied, []string{"qemu.log"}},
		{"reset", evidence{shutdown: "guest-reset", connected: true, console: []string{"last words"}}, FailureReboot, []string{"last words"}},
		{"power-off from inside", evidence{shutdown: "guest-shutdown", connected: true}, FailurePowerOff, []string{"console is empty"}},
		{"no reason at all", evidence{connected: true}, FailureQEMUDied, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.e.guest, test.e.dir = "pre-003", "/runs/pre-003"
			f := classify(test.e)
			if test.kind == "" {
				if f != nil {
					t.Fatalf("got %v, want no failure", f)
				}
				return
			}
			if f == nil || f.Kind != test.kind || f.Guest != "pre-003" {
				t.Fatalf("got %v, want kind %s", f, test.kind)
			}
			for _, w := range test.words {
				if !strings.Contains(f.Error(), w) {
					t.Errorf("%q does not mention %q", f, w)
				}
			}
			if strings.Contains(f.Error(), "\n") {
				t.Errorf("%q is more than one line", f)
			}
		})
	}
	up := classify(evidence{panicked: true, ready: true, panicReason: "VFS: Unable to mount root fs"})
	if strings.Contains(up.Error(), "CONFIG_") {
		t.Errorf("a guest that was up is told to change its configuration: %v", up)
	}
}

func TestFailureUnwraps(t *testing.T) {
	f := &Failure{Kind: FailureKilled, Cause: context.Canceled}
	if !errors.Is(f, context.Canceled) {
		t.Error("errors.Is does not find the cause")
	}
}

func TestFatalFailure(t *testing.T) {
	for reason, kind := range map[string]FailureKind{
		"no-network": FailureNoNetwork, "no-devtmpfs": FailureInit, "no-ssh": FailureNoSSH, "what\x1b[2J": FailureInit,
	} {
		f := fatalFailure(reason)
		if f.Kind != kind || strings.Contains(f.Detail, "\x1b") {
			t.Errorf("%s: %v, want kind %s", reason, f, kind)
		}
	}
}
