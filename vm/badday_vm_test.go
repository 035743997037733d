//go:build vm

package vm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wantFailure checks how a guest ended, and that nothing of it is left.
func wantFailure(t *testing.T, g *Guest, kind FailureKind, words ...string) {
	t.Helper()
	select {
	case <-g.Done():
	case <-time.After(2 * time.Minute):
		t.Fatal("the guest's end was not noticed")
	}
	f := g.Failure()
	if f == nil {
		t.Fatalf("no failure, want %s", kind)
	}
	if f.Kind != kind {
		t.Errorf("failure %q, want kind %s", f, kind)
	}
	for _, w := range words {
		if !strings.Contains(f.Error(), w) {
			t.Errorf("failure %q does not mention %q", f, w)
		}
	}
	checkGone(t, g.PID())
}

// checkGone checks that a QEMU is dead and reaped.
func checkGone(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("QEMU %d is still there: %v", pid, err)
	}
}

// wantRunFailure checks that a command in a dying guest reports the guest's failure.
func wantRunFailure(t *testing.T, err error, kind FailureKind) {
	t.Helper()
	var f *Failure
	if !errors.As(err, &f) || f.Kind != kind {
		t.Errorf("Run: %v, want a failure of kind %s", err, kind)
	}
}

// TestCommandEndsTheGuest injects failures from inside.
func TestCommandEndsTheGuest(t *testing.T) {
	for _, test := range []struct {
		name, command string
		kind          FailureKind
		words         []string
		console       string
	}{
		{"panic", "echo c >/proc/sysrq-trigger", FailurePanic, []string{"sysrq triggered crash", "console.log"}, "sysrq triggered crash"},
		{"init dies", "kill -SEGV 1; kill -9 1; echo 1 >/proc/sys/kernel/panic_on_oops; echo c >/proc/sysrq-trigger", FailurePanic, nil, "Kernel panic"},
		{"reboot", "reboot -f", FailureReboot, []string{"machine restart"}, "machine restart"},
		{"reset", "echo b >/proc/sysrq-trigger", FailureReboot, nil, ""},
		{"power off", "poweroff -f", FailurePowerOff, []string{"Power down"}, "Power down"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := context.Background()
			spec := specFor(t)
			g := ready(t, ctx, spec)
			_, err := g.Run(ctx, test.command+"; sleep 600")
			wantRunFailure(t, err, test.kind)
			wantFailure(t, g, test.kind, test.words...)
			log, err := os.ReadFile(filepath.Join(spec.Dir, "console.log"))
			if err != nil || !strings.Contains(string(log), test.console) {
				t.Errorf("console.log lacks the guest's last words %q: %v", test.console, err)
			}
		})
	}
}

func TestQEMUKilledMidRun(t *testing.T) {
	ctx := context.Background()
	g := ready(t, ctx, specFor(t))
	go func() {
		time.Sleep(time.Second)
		_ = syscall.Kill(g.PID(), syscall.SIGKILL)
	}()
	_, err := g.Run(ctx, "sleep 600")
	wantRunFailure(t, err, FailureQEMUDied)
	wantFailure(t, g, FailureQEMUDied, "signal 9")
}

// TestStoppedMachine injects hangs of the machine as a whole.
func TestStoppedMachine(t *testing.T) {
	for _, test := range []struct {
		name string
		stop func(*Guest) error
		word string
	}{
		{"by QMP", func(g *Guest) error { _, err := g.QMP("stop", nil); return err }, "paused"},
		{"by signal", func(g *Guest) error { return syscall.Kill(g.PID(), syscall.SIGSTOP) }, "kill -CONT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := context.Background()
			g := ready(t, ctx, specFor(t))
			if err := test.stop(g); err != nil {
				t.Fatal(err)
			}
			_, err := g.Run(ctx, "sleep 600")
			wantRunFailure(t, err, FailureHang)
			wantFailure(t, g, FailureHang, test.word)
		})
	}
}

func TestStoppedWhileBooting(t *testing.T) {
	ctx := context.Background()
	g := start(t, ctx, specFor(t))
	if _, err := g.QMP("stop", nil); err != nil {
		t.Fatal(err)
	}
	wantRunFailure(t, g.WaitReady(ctx), FailureHang)
	wantFailure(t, g, FailureHang, "paused")
}

// TestDeadUserSpace stops the SSH server's processes, as a guest does whose user
// space hangs while its kernel and its console live.
func TestDeadUserSpace(t *testing.T) {
	ctx := context.Background()
	spec := specFor(t)
	spec.Limits.Silence = 10 * time.Second
	g := ready(t, ctx, spec)
	_, err := g.Run(ctx, "(while :; do echo noise >/dev/kmsg; sleep 1; done) >/dev/null 2>&1 & kill -STOP $(pidof dropbear); sleep 600")
	wantRunFailure(t, err, FailureHang)
	wantFailure(t, g, FailureHang, "SSH server")
}

func TestBootFailures(t *testing.T) {
	for _, test := range []struct {
		name  string
		spec  func(*Spec)
		kind  FailureKind
		words []string
	}{
		{"no network adapter", func(s *Spec) { s.NoNetwork = true }, FailureNoNetwork, []string{"CONFIG_VIRTIO_NET"}},
		{"no initial ramdisk", func(s *Spec) { s.Append = []string{"rdinit=/missing"} }, FailurePanic, []string{"Unable to mount root fs", "CONFIG_BLK_DEV_INITRD"}},
		{"boot limit", func(s *Spec) { s.Limits.Boot = time.Millisecond }, FailureBootTimeout, []string{"1ms"}},
		{"run limit", func(s *Spec) { s.Limits.Run = time.Millisecond }, FailureRunTimeout, []string{"1ms"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := context.Background()
			spec := specFor(t)
			test.spec(&spec)
			g := start(t, ctx, spec)
			wantRunFailure(t, g.WaitReady(ctx), test.kind)
			wantFailure(t, g, test.kind, test.words...)
		})
	}
}

func TestQEMURefuses(t *testing.T) {
	spec := specFor(t)
	spec.CPU = "abacus"
	_, err := Start(context.Background(), spec)
	wantRunFailure(t, err, FailureStart)
	if err == nil || !strings.Contains(err.Error(), "abacus") || !strings.Contains(err.Error(), "qemu-cmdline.txt") {
		t.Errorf("%v: want QEMU's own words and how to run it by hand", err)
	}
}

func TestContextEnds(t *testing.T) {
	for _, test := range []struct {
		name    string
		booting bool
	}{{"while booting", true}, {"in a command", false}} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			spec := specFor(t)
			g := start(t, ctx, spec)
			time.AfterFunc(300*time.Millisecond, func() {
				if test.booting {
					cancel()
				}
			})
			err := g.WaitReady(context.Background())
			if !test.booting {
				time.AfterFunc(time.Second, cancel)
				_, err = g.Run(ctx, "sleep 600")
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v: want context.Canceled", err)
			}
			wantFailure(t, g, FailureKilled)
			if left, err := os.ReadDir(spec.Dir); err != nil || len(left) != 3 {
				t.Errorf("the run's folder holds %v, %v; want the three logs alone", left, err)
			}
		})
	}
}

// TestDiskFull runs a guest in a file system that is smaller than its disk.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount the small file system that this needs")
	}
	ctx := context.Background()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("something still uses the run's folder: %v", err)
		}
	}()
	spec := specFor(t)
	spec.Dir = filepath.Join(dir, "run")
	spec.Disks = []Disk{{SizeMiB: 512}}
	g := ready(t, ctx, spec)
	_, err := g.Run(ctx, "dd if=/dev/urandom of=/dev/vda bs=1M; sync; sleep 600")
	wantRunFailure(t, err, FailureDiskFull)
	wantFailure(t, g, FailureDiskFull, "make room")
}
