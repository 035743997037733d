//go:build vm

package vm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer is a console writer that the test reads after the guest's end.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestGuestLife(t *testing.T) {
	ctx := context.Background()
	spec := specFor(t)
	spec.Disks = []Disk{{SizeMiB: 256}, {SizeMiB: 128}}
	seen := &lockedBuffer{}
	spec.Console = seen
	g := ready(t, ctx, spec)

	res, err := g.Run(ctx, "echo out; echo err >&2; exit 3")
	if err != nil || res.Status != 3 || string(res.Stdout) != "out\n" || string(res.Stderr) != "err\n" {
		t.Errorf("Run: %q %q status %d, %v", res.Stdout, res.Stderr, res.Status, err)
	}
	if res, err := g.Run(ctx, "kill -SEGV $$"); err != nil || res.Status != 128+11 {
		t.Errorf("command ended by SIGSEGV: status %d, %v; want %d", res.Status, err, 128+11)
	}
	must(t, ctx, g, "mkfs.btrfs -q /dev/vda && mount /dev/vda /mnt && mkfs.btrfs -q /dev/vdb")
	must(t, ctx, g, "sysbench --version && cd /mnt && sysbench fileio --file-total-size=1M --file-num=2 prepare")
	checkTransfer(t, ctx, g)
	if left, err := os.ReadDir(spec.Dir); err != nil || len(left) != 3 {
		t.Errorf("the run's folder holds %v, %v; want the three logs alone", left, err)
	}
	if err := g.Mark(ctx, "canary end"); err != nil {
		t.Error(err)
	}
	if err := g.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	checkConsole(t, g, spec, seen)
	if _, err := g.Run(ctx, "true"); err == nil {
		t.Error("Run in a guest that is off succeeded")
	}
}

func checkTransfer(t *testing.T, ctx context.Context, g *Guest) {
	t.Helper()
	dir := t.TempDir()
	local := filepath.Join(dir, "up")
	content := bytes.Repeat([]byte("patchproof\n"), 20000)
	if err := os.WriteFile(local, content, 0o754); err != nil {
		t.Fatal(err)
	}
	if err := g.Upload(ctx, local, "/tmp/up"); err != nil {
		t.Fatal(err)
	}
	if mode := must(t, ctx, g, "stat -c %a /tmp/up"); strings.TrimSpace(mode) != "754" {
		t.Errorf("uploaded file has mode %s, want 754", mode)
	}
	back := filepath.Join(dir, "back")
	if err := g.Download(ctx, "/tmp/up", back); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file came back with %d bytes, %v; want %d", len(got), err, len(content))
	}
	err := g.Download(ctx, "/tmp/missing", filepath.Join(dir, "none"))
	if err == nil || !strings.Contains(err.Error(), "/tmp/missing") {
		t.Errorf("download of a missing file: %v; want an error that names it", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("a failed download left something behind: %v", left)
	}
}

func checkConsole(t *testing.T, g *Guest, spec Spec, seen *lockedBuffer) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(spec.Dir, "console.log"))
	if err != nil {
		t.Fatal(err)
	}
	if text := seen.text(); string(log) != text {
		t.Errorf("console.log has %d bytes and the writer got %d", len(log), len(text))
	}
	if g.ConsoleSize() != int64(len(log)) {
		t.Errorf("ConsoleSize is %d, console.log has %d bytes", g.ConsoleSize(), len(log))
	}
	at := -1
	for _, mark := range []string{"canary begin", "ready", "canary end"} {
		i := bytes.Index(log, []byte("patchproof "+g.Nonce()+" "+mark))
		if i <= at {
			t.Errorf("%q is at %d in the console, not after %d", mark, i, at)
		}
		at = i
	}
	if !bytes.Contains(log[at:], []byte("Power down")) {
		t.Error("the log does not reach to the guest's power-off")
	}
}

func TestCommandTimeout(t *testing.T) {
	ctx := context.Background()
	g := ready(t, ctx, specFor(t))
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	res, err := g.Run(short, "echo begun; sleep 1234 & sleep 1234")
	if err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Fatalf("Run: %v, want a deadline error", err)
	}
	if string(res.Stdout) != "begun\n" {
		t.Errorf("output before the deadline: %q", res.Stdout)
	}
	if left := must(t, ctx, g, "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null | grep -c '^sleep 123[4]' || true"); strings.TrimSpace(left) != "0" {
		t.Errorf("%s commands are left in the guest", left)
	}
}

func TestParallelCommands(t *testing.T) {
	ctx := context.Background()
	g := ready(t, ctx, specFor(t))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			want := fmt.Sprintf("%d\n", i)
			if res, err := g.Run(ctx, "echo "+want); err != nil || string(res.Stdout) != want {
				t.Errorf("command %d: %q, %v", i, res.Stdout, err)
			}
		})
	}
	wg.Wait()
	if zombies := must(t, ctx, g, "(sleep 0.1 &) ; sleep 1; grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"); strings.TrimSpace(zombies) != "0" {
		t.Errorf("%s zombies are left in the guest", zombies)
	}
}

func TestPauseIsNoHang(t *testing.T) {
	ctx := context.Background()
	g := ready(t, ctx, specFor(t))
	if err := g.Pause(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2*stopGrace + time.Second)
	if err := g.Resume(); err != nil {
		t.Fatal(err)
	}
	must(t, ctx, g, "true")
}

// TestLegacyVirtio drives the devices as kernels before 4.0 do, which know
// nothing else.
func TestLegacyVirtio(t *testing.T) {
	ctx := context.Background()
	spec := specFor(t)
	spec.Append = []string{"virtio_pci.force_legacy=1"}
	spec.Disks = []Disk{{SizeMiB: 128}}
	g := ready(t, ctx, spec)
	must(t, ctx, g, "grep -q force_legacy /proc/cmdline && mkfs.btrfs -q /dev/vda && mount /dev/vda /mnt && umount /mnt")
	if modern := must(t, ctx, g, "cat /sys/bus/virtio/devices/*/features | cut -c33 | sort -u"); strings.TrimSpace(modern) != "0" {
		t.Errorf("VIRTIO_F_VERSION_1 is negotiated: %q", modern)
	}
	if err := g.PowerOff(ctx); err != nil {
		t.Error(err)
	}
}
