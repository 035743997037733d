package vm

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestLoad: the busy processes are busy, are counted, and are gone in the end.
func TestLoad(t *testing.T) {
	load, err := startLoad(2)
	if err != nil {
		t.Fatal(err)
	}
	g := &Guest{proc: load[0], load: load[1:]}
	for end := time.Now().Add(10 * time.Second); g.CPUTime() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("they take no processor time")
		}
	}
	endAll(load)
	after := g.CPUTime()
	if after <= 0 || after != g.CPUTime() {
		t.Errorf("after their end: %v, then %v", after, g.CPUTime())
	}
	for _, p := range load {
		if err := syscall.Kill(p.pid(), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is still there: %v", p.pid(), err)
		}
	}
}

// TestLoadGoesWithTheGuest: a QEMU that ends at once takes its load along.
func TestLoadGoesWithTheGuest(t *testing.T) {
	spec := Spec{Name: "g", Kernel: fakeKernel(t), Initrd: "/bin/sh", Dir: t.TempDir(), QEMU: "/bin/false", Load: 1}
	if _, err := Start(t.Context(), spec); err == nil {
		t.Fatal("a guest without QEMU started")
	}
	procs, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(procs) == 0 {
		t.Fatalf("no processes in /proc: %v", err)
	}
	for _, p := range procs {
		stat, err := os.ReadFile(p)
		if f := statFields(string(stat)); err == nil && len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			t.Errorf("left behind: %s", stat)
		}
	}
}
