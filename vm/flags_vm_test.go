//go:build vm

package vm

import (
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchproof/vm/guestimage"
)

var (
	kernelFlag = flag.String("kernel", "", "bzImage that the guests boot")
	cacheFlag  = flag.String("cache", "", "folder for the guest image; empty means a temporary one")
)

// guestLimits are generous: no test depends on how fast the machine is.
func guestLimits() Limits {
	return Limits{Boot: 3 * time.Minute, Silence: 2 * time.Minute}
}

// kernel returns the bzImage to test with. Without one the test fails: a test
// that is skipped proves nothing.
func kernel(t testing.TB) string {
	t.Helper()
	if *kernelFlag == "" {
		t.Fatal("no kernel to boot: build one with `bin/patchproof kernel build` and pass its path: go test -tags vm ./vm -args -kernel PATH")
	}
	return *kernelFlag
}

// image returns the guest image.
func image(t testing.TB) *guestimage.Image {
	t.Helper()
	dir := *cacheFlag
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "patchproof-test-image")
	}
	img, err := guestimage.Build(context.Background(), dir, guestimage.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// specFor describes a small guest with its folder in the test's temporary one.
func specFor(t testing.TB) Spec {
	t.Helper()
	return Spec{
		Name: "test", Kernel: kernel(t), Initrd: image(t).Path, Dir: filepath.Join(t.TempDir(), "run"),
		MemoryMiB: 512, VCPUs: 2, Limits: guestLimits(),
	}
}

// start starts a guest that is gone when the test ends, and shows its console
// when the test has failed.
func start(t testing.TB, ctx context.Context, spec Spec) *Guest {
	t.Helper()
	g, err := Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Kill()
		if t.Failed() {
			showConsole(t, spec.Dir)
		}
	})
	return g
}

// ready starts a guest and waits for its SSH server.
func ready(t testing.TB, ctx context.Context, spec Spec) *Guest {
	t.Helper()
	g := start(t, ctx, spec)
	if err := g.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return g
}

func showConsole(t testing.TB, dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "console.log"))
	if err != nil {
		t.Log(err)
		return
	}
	defer f.Close()
	const shown = 4000
	if st, err := f.Stat(); err == nil && st.Size() > shown {
		_, _ = f.Seek(-shown, io.SeekEnd)
	}
	data, _ := io.ReadAll(f)
	t.Logf("end of the console:\n%s", data)
}

// must runs a command that has to succeed.
func must(t testing.TB, ctx context.Context, g *Guest, command string) string {
	t.Helper()
	res, err := g.Run(ctx, command)
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != 0 {
		t.Fatalf("%s: status %d: %s%s", command, res.Status, res.Stdout, res.Stderr)
	}
	return string(res.Stdout)
}
