package vm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeQEMU only knows its version.
func fakeQEMU(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+version+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestQEMUVersion(t *testing.T) {
	ctx := context.Background()
	const debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"
	for out, want := range map[string]string{
		debian:                          debian,
		debian + "\nCopyright (c) 2003": debian,
		"hello":                         "",
	} {
		got, err := QEMUVersion(ctx, fakeQEMU(t, out))
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v; want %q", out, got, err, want)
		}
	}
}

func TestProbeWithoutKernel(t *testing.T) {
	opts := ProbeOptions{QEMU: fakeQEMU(t, "QEMU emulator version 7.2.22"), CacheDir: t.TempDir()}
	res, err := ProbeAccelerator(context.Background(), opts)
	if err != nil || res.Accel != AccelTCG || res.Slowdown != 1 || res.Reason == "" {
		t.Errorf("%+v, %v", res, err)
	}
	if left, _ := os.ReadDir(opts.CacheDir); len(left) != 0 {
		t.Errorf("a guess went to the cache: %v", left)
	}
	opts.Force = "warp"
	if _, err := ProbeAccelerator(context.Background(), opts); err == nil || !strings.Contains(err.Error(), "kvm or tcg") {
		t.Errorf("unknown accelerator: %v", err)
	}
}

func TestProbeCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	c := newProbeCache(dir, "7.2.22", "", nil)
	if _, ok := c.load(); ok {
		t.Fatal("an empty cache has an answer")
	}
	want := ProbeResult{Accel: AccelTCG, Slowdown: 1.5, Reason: "x"}
	if err := c.store(want); err != nil {
		t.Fatal(err)
	}
	want.Cached = true
	if got, ok := c.load(); !ok || got != want {
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	}
	for _, other := range []probeCache{
		newProbeCache(dir, "8.0.0", "", nil),
		newProbeCache(dir, "7.2.22", "tcg", nil),
		newProbeCache(dir, "7.2.22", "", errors.New("no /dev/kvm")),
		newProbeCache("", "7.2.22", "", nil),
	} {
		if res, ok := other.load(); ok {
			t.Errorf("an answer to another question was given: %+v", res)
		}
	}
	for _, damage := range []string{"", "{", `{"accel":"warp","slowdown":1}`, `{"accel":"tcg","slowdown":0}`, `{"accel":"tcg","slowdown":1e9}`} {
		if err := os.WriteFile(c.path, []byte(damage), 0o644); err != nil {
			t.Fatal(err)
		}
		if res, ok := c.load(); ok {
			t.Errorf("damaged cache %q gave %+v", damage, res)
		}
	}
}

func TestSlowdown(t *testing.T) {
	for took, want := range map[time.Duration]float64{
		time.Second: 1, 2 * time.Second: 1, 5 * time.Second: 2.5, time.Hour: maxSlowdown,
	} {
		if got := slowdown(took); got != want {
			t.Errorf("slowdown(%s) = %v, want %v", took, got, want)
		}
	}
}

func TestProbeError(t *testing.T) {
	for _, test := range []struct {
		f    *Failure
		log  string
		want string
	}{
		{nil, "", "before it ran its init"},
		{&Failure{Kind: FailureHang}, "", "not a single line"},
		{&Failure{Kind: FailurePanic, Console: []string{"a", "b"}}, "", "panic; last console line: b"},
		{&Failure{Kind: FailureQEMUDied, Detail: "signal 6"}, "assertion", "QEMU died: assertion"},
	} {
		if err := probeError(test.f, test.log); !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.f, err, test.want)
		}
	}
}
