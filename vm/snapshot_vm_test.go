//go:build vm

package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// saved prepares a guest, saves it and opens what was saved.
func saved(t testing.TB, spec Spec, prepare string) *Snapshot {
	t.Helper()
	ctx := context.Background()
	spec.Name = "base"
	spec.Dir = filepath.Join(t.TempDir(), "base")
	spec.SaveDir = t.TempDir()
	g := ready(t, ctx, spec)
	must(t, ctx, g, prepare)
	begin := time.Now()
	if err := g.Save(ctx); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(spec.SaveDir, memoryFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("saved %d MiB in %v", st.Size()>>20, time.Since(begin))
	checkGone(t, g.PID())
	s, err := OpenSnapshot(spec.SaveDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestVMForks saves a machine with a file system on its disk and lets two go on
// from it: both have what was there, nothing of each other, and nothing alike
// that should be random.
func TestVMForks(t *testing.T) {
	ctx := context.Background()
	spec := specFor(t)
	spec.Disks = []Disk{{SizeMiB: 256}}
	s := saved(t, spec, "mkfs.btrfs -q /dev/vda && mount /dev/vda /mnt && echo before >/mnt/file && echo also >/tmp/file && umount /mnt && date -s @1000000000")
	// What has been opened can be gone on from when it is removed.
	if err := os.RemoveAll(filepath.Dir(s.memory.Name())); err != nil {
		t.Fatal(err)
	}
	const random = "cat /proc/sys/kernel/random/uuid; head -c 16 /dev/urandom | od -An -tx1"
	seen := map[string]bool{}
	nonces := map[string]bool{}
	for i := range 2 {
		spec.Dir = filepath.Join(t.TempDir(), "run")
		spec.Fork, spec.OnWake = s, "echo woken >/tmp/woken"
		begin := time.Now()
		g := ready(t, ctx, spec)
		t.Logf("ready after %v", time.Since(begin))
		if out := must(t, ctx, g, "cat /tmp/woken /tmp/file && mount /dev/vda /mnt && cat /mnt/* && ls /mnt | wc -l"); out != "woken\nalso\nbefore\n1\n" {
			t.Errorf("fork %d found %q", i, out)
		}
		must(t, ctx, g, "echo mine >/mnt/mine && umount /mnt")
		for _, line := range strings.Split(strings.TrimSpace(must(t, ctx, g, random)), "\n") {
			if seen[line] {
				t.Errorf("fork %d: %q was random in another fork too", i, line)
			}
			seen[line] = true
		}
		checkClock(t, ctx, g)
		nonces[g.Nonce()] = true
		checkForkEnd(t, ctx, g, spec)
	}
	if len(seen) != 4 || len(nonces) != 2 {
		t.Errorf("%d random lines and %d nonces, want 4 and 2", len(seen), len(nonces))
	}
}

func checkClock(t *testing.T, ctx context.Context, g *Guest) {
	t.Helper()
	seconds, err := strconv.ParseInt(strings.TrimSpace(must(t, ctx, g, "date +%s")), 10, 64)
	if off := time.Since(time.Unix(seconds, 0)); err != nil || off.Abs() > 10*time.Second {
		t.Errorf("the guest's clock is %v behind: %v", off, err)
	}
}

// checkForkEnd powers a fork off: its console has a log of its own.
func checkForkEnd(t *testing.T, ctx context.Context, g *Guest, spec Spec) {
	t.Helper()
	if err := g.Mark(ctx, "canary end"); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(spec.Dir)
	if err != nil || len(left) != 3 {
		t.Errorf("the run's folder holds %v, %v; want the three logs alone", left, err)
	}
	if err := g.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(spec.Dir, "console.log"))
	if err != nil {
		t.Fatal(err)
	}
	if i := bytes.Index(log, []byte("patchproof "+g.Nonce()+" canary begin")); i < 0 || bytes.Contains(log, []byte("Linux version")) {
		t.Errorf("the log of a fork does not begin with its mark:\n%s", log)
	}
}

// TestVMForkRefused lets guests go on from states that do not fit or are damaged.
func TestVMForkRefused(t *testing.T) {
	ctx := context.Background()
	spec := specFor(t)
	s := saved(t, spec, "true")
	spec.Fork = s
	spec.VCPUs++
	if _, err := Start(ctx, spec); err == nil || !strings.Contains(err.Error(), "hardware") {
		t.Errorf("a machine with another processor: %v", err)
	}
	spec.VCPUs--
	spec.OnWake = "echo no >&2; exit 3"
	g := start(t, ctx, spec)
	wantRunFailure(t, g.WaitReady(ctx), FailureInit)
	wantFailure(t, g, FailureInit, "status 3", "no")

	half := filepath.Join(t.TempDir(), memoryFile)
	data, err := os.ReadFile(s.memory.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(half, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := *s
	if damaged.memory, err = os.Open(half); err != nil {
		t.Fatal(err)
	}
	defer damaged.memory.Close()
	spec.Fork, spec.OnWake = &damaged, ""
	_, err = Start(ctx, spec)
	wantRunFailure(t, err, FailureQEMUDied)
}

// TestVMForkKilled kills QEMU while it loads a state.
func TestVMForkKilled(t *testing.T) {
	ctx := context.Background()
	spec := specFor(t)
	spec.Fork = saved(t, spec, "true")
	spec.QEMU = filepath.Join(t.TempDir(), "qemu")
	script := "#!/bin/sh\n(sleep 0.05; kill -9 $$) &\nexec qemu-system-x86_64 \"$@\"\n"
	if err := os.WriteFile(spec.QEMU, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	g, err := Start(ctx, spec)
	if err == nil {
		err = g.WaitReady(ctx)
	}
	wantRunFailure(t, err, FailureQEMUDied)
}

// TestVMSaveStopped ends the context of a guest that is being saved, and saves
// to a disk that is too small.
func TestVMSaveStopped(t *testing.T) {
	spec := specFor(t)
	spec.SaveDir = t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	g := ready(t, ctx, spec)
	cancel()
	if err := g.Save(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: want context.Canceled", err)
	}
	checkGone(t, g.PID())
	if _, err := OpenSnapshot(spec.SaveDir); err == nil {
		t.Error("half a state can be opened")
	}
}

func TestVMSaveDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount the small file system that this needs")
	}
	ctx := context.Background()
	spec := specFor(t)
	spec.SaveDir = t.TempDir()
	if err := syscall.Mount("tmpfs", spec.SaveDir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(spec.SaveDir, 0); err != nil {
			t.Errorf("something still uses the folder: %v", err)
		}
	}()
	g := ready(t, ctx, spec)
	if err := g.Save(ctx); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v: want ENOSPC", err)
	}
	checkGone(t, g.PID())
}
