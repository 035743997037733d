//go:build vm

package vm

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"patchproof/vm/guestimage"
)

// BenchmarkBoot compares the time from Start to the end of the first command
// with that of a bare QEMU, with no options but those that make it boot the
// same kernel, whose init ends the machine at once. The two alternate, so that
// the host's other load meets both; the ratio is of the medians.
//
//	go test -tags vm -run - -bench Boot -benchtime 10x ./vm -args -kernel PATH
func BenchmarkBoot(b *testing.B) {
	ctx := context.Background()
	initrd := filepath.Join(b.TempDir(), "probe.cpio")
	var image bytes.Buffer
	if err := guestimage.Probe(&image); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(initrd, image.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	qemu, err := FindQEMU("")
	if err != nil {
		b.Fatal(err)
	}
	spec := specFor(b)
	spec.MemoryMiB = 1024
	spec.Disks = []Disk{{SizeMiB: 1024}}
	var bare, guest, connect []float64
	for b.Loop() {
		begin := time.Now()
		out, err := exec.CommandContext(ctx, qemu, "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-m", "1024", "-smp", "2",
			"-nographic", "-no-reboot", "-kernel", spec.Kernel, "-initrd", initrd, "-append", "console=ttyS0 panic=-1").CombinedOutput()
		bare = append(bare, time.Since(begin).Seconds())
		if err != nil || !bytes.Contains(out, []byte(guestimage.ProbeMessage)) {
			b.Fatalf("bare guest: %v", err)
		}
		begin = time.Now()
		g := start(b, ctx, spec)
		<-g.saidReady
		said := time.Now()
		must(b, ctx, waitReady(b, ctx, g), "true")
		guest = append(guest, time.Since(begin).Seconds())
		connect = append(connect, time.Since(said).Seconds())
		g.Kill()
	}
	b.ReportMetric(median(bare), "bare-s")
	b.ReportMetric(median(guest), "guest-s")
	b.ReportMetric(median(connect), "ssh-s")
	b.ReportMetric(median(guest)/median(bare), "ratio")
}

func waitReady(t testing.TB, ctx context.Context, g *Guest) *Guest {
	t.Helper()
	if err := g.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return g
}

// BenchmarkCommand is one command there and back.
func BenchmarkCommand(b *testing.B) {
	ctx := context.Background()
	g := ready(b, ctx, specFor(b))
	for b.Loop() {
		must(b, ctx, g, "true")
	}
}

// BenchmarkHarness measures what the harness itself costs while a guest works
// for ten seconds: processor time as a share, and memory.
func BenchmarkHarness(b *testing.B) {
	ctx := context.Background()
	g := ready(b, ctx, specFor(b))
	var share float64
	for b.Loop() {
		before, begin := cpuTime(b), time.Now()
		must(b, ctx, g, "t=0; while [ $t -lt 10 ]; do sleep 1; t=$((t+1)); echo $t; done")
		share = 100 * (cpuTime(b) - before).Seconds() / time.Since(begin).Seconds()
	}
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(share, "cpu-%")
	b.ReportMetric(float64(u.Maxrss)/1024, "peak-MB")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
