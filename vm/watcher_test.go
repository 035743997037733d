package vm

import (
	"strings"
	"testing"
	"time"
)

func TestWatcher(t *testing.T) {
	limits := Limits{Boot: time.Minute, Silence: 20 * time.Second, Run: 10 * time.Minute}
	up := vitals{life: 2 * time.Minute, usable: true, bytes: 100}
	with := func(change func(*vitals)) vitals {
		v := up
		change(&v)
		return v
	}
	for _, test := range []struct {
		name  string
		v     vitals
		later time.Duration // when the same vitals are looked at again
		kind  FailureKind
		word  string
	}{
		{"healthy", up, time.Minute, "", ""},
		{"quiet console of a guest that answers", with(func(v *vitals) { v.sinceByte = time.Hour }), 0, "", ""},
		{"no answer", with(func(v *vitals) { v.sinceReply = 21 * time.Second }), 0, FailureHang, "SSH"},
		{"no answer while paused", with(func(v *vitals) { v.sinceReply = time.Hour; v.paused = true }), 0, "", ""},
		{"no answer while powering off", with(func(v *vitals) { v.sinceReply = time.Hour; v.asked = true }), 0, "", ""},
		{"too old", with(func(v *vitals) { v.life = 11 * time.Minute }), 0, FailureRunTimeout, "10m"},
		{"too old while paused", with(func(v *vitals) { v.life = 11 * time.Minute; v.paused = true }), 0, FailureRunTimeout, ""},
		{"stopped for a moment", with(func(v *vitals) { v.state = "paused" }), 0, "", ""},
		{"stopped", with(func(v *vitals) { v.state = "paused" }), stopGrace, FailureHang, "paused"},
		{"stopped by signal", with(func(v *vitals) { v.processT = true }), stopGrace, FailureHang, "kill -CONT"},
		{"disk full", with(func(v *vitals) { v.state = "io-error" }), 0, FailureDiskFull, "make room"},
		{"migrated away", with(func(v *vitals) { v.state = "postmigrate" }), time.Minute, "", ""},
		{"panicked just now", with(func(v *vitals) { v.panicked = true }), 0, "", ""},
		{"panicked and stuck", with(func(v *vitals) { v.panicked = true }), panicGrace + time.Second, FailurePanic, "reset"},
		{"booting", vitals{life: 30 * time.Second, bytes: 9}, 0, "", ""},
		{"boot too slow", vitals{life: 61 * time.Second, bytes: 9, lastLine: "starting"}, 0, FailureBootTimeout, "starting"},
		{"boot silent", vitals{life: 30 * time.Second, sinceByte: 21 * time.Second, bytes: 9}, 0, FailureHang, "booting"},
		{"no console", vitals{life: 30 * time.Second, sinceByte: 30 * time.Second}, 0, FailureHang, "CONFIG_SERIAL_8250_CONSOLE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := watcher{limits: limits}
			f := w.check(test.v)
			if test.later > 0 && f == nil {
				test.v.life += test.later
				f = w.check(test.v)
			}
			if test.kind == "" {
				if f != nil {
					t.Fatalf("got %v, want nothing", f)
				}
				return
			}
			if f == nil || f.Kind != test.kind || !strings.Contains(f.Detail, test.word) {
				t.Fatalf("got %v, want kind %s with %q", f, test.kind, test.word)
			}
		})
	}
}

func TestWatcherForgetsShortStops(t *testing.T) {
	w := watcher{}
	for i := range 20 {
		v := vitals{life: time.Duration(i) * time.Second, usable: true}
		if i%2 == 0 {
			v.state = "paused"
		}
		if f := w.check(v); f != nil {
			t.Fatalf("second %d: %v", i, f)
		}
	}
}

func TestNoLimits(t *testing.T) {
	w := watcher{}
	long := 1000 * time.Hour
	for _, v := range []vitals{{life: long, sinceByte: long}, {life: long, sinceByte: long, sinceReply: long, usable: true}} {
		if f := w.check(v); f != nil {
			t.Errorf("zero limits: %v", f)
		}
	}
}

func TestLimitsScale(t *testing.T) {
	l := Limits{Boot: time.Second, Silence: 2 * time.Second}
	if got := l.Scale(2.5); got != (Limits{Boot: 2500 * time.Millisecond, Silence: 5 * time.Second}) {
		t.Errorf("scaled by 2.5: %v", got)
	}
	if got := l.Scale(0.1); got != l {
		t.Errorf("scaled by 0.1: %v, want no change", got)
	}
}

func TestStatState(t *testing.T) {
	for in, want := range map[string]byte{
		"12 (qemu-system-x86) S 1 12": 'S', "12 (a) T (b) T 1": 'T', "12 (x)": 0, "": 0, "12 (x) ": 0,
	} {
		if got := statState(in); got != want {
			t.Errorf("statState(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestStatCPU(t *testing.T) {
	const line = "12 (qemu) (x) S 1 12 12 0 -1 4194304 900 0 0 0 250 31 7 9 20 0 6 0 1234"
	if got := statCPU(line); got != 2810*time.Millisecond {
		t.Errorf("%v, want 2.81 s", got)
	}
	for _, in := range []string{"", "12 (x)", "12 (x) S 1", strings.ReplaceAll(line, "250", "x")} {
		if got := statCPU(in); got != 0 {
			t.Errorf("statCPU(%q) = %v, want 0", in, got)
		}
	}
}
