//go:build vm

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestVMBadRuns: what goes wrong inside a guest, and what the run then counts for.
func TestVMBadRuns(t *testing.T) {
	kernel := builtKernel(t)
	for _, tt := range []struct {
		name, phases, outcome, reason, report string
	}{
		{"a clean run", "  - shell: {run: \"true\"}\n", "clean", "", ""},
		{"a phase fails", "  - shell: {run: \"echo no such thing >&2; exit 3\"}\n", "invalid", "phase shell", ""},
		{"mount fails", "  - mount: {fs: btrfs}\n", "invalid", "phase mount", ""},
		{"a phase hangs", "  - timeout: 3s\n    shell: {run: \"sleep 1000\"}\n", "invalid", "hang", ""},
		{"the kernel panics", "  - shell: {run: \"echo c >/proc/sysrq-trigger\"}\n", "other-failure", "", "sysrq"},
		{"the guest reboots", "  - shell: {run: \"reboot -f\"}\n", "other-failure", "", ""},
		{"init is killed", "  - shell: {run: \"poweroff -f\"}\n", "invalid", "power-off", ""},
		{"the log is silenced", "  - shell: {run: \"dmesg -n 1; echo 1 >/proc/sys/kernel/printk; echo N >/sys/module/printk/parameters/ignore_loglevel; true\"}\n", "invalid", "console log", ""},
		{"a report in the log of the bug's kind", "  - shell: {run: \"echo 'WARNING: CPU: 0 PID: 1 at fs/x.c:1 no_such_function+0x1/0x2' >/dev/kmsg\"}\n", "reproduced", "", "no_such_function"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "w.yaml")
			text := "name: w\nguest: {vcpus: 1, memory: 512MiB, disk: 64MiB}\nphases:\n" + tt.phases +
				"signatures:\n  - {kind: WARNING, function: no_such_function}\n"
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, stdout, _ := patchproof(t, "run", "--json", "--kernel", kernel, "--workload", file)
			var p perturbedRuns
			if err := json.Unmarshal([]byte(stdout), &p); err != nil || len(p.Runs) != 1 {
				t.Fatalf("run --json: %v", err)
			}
			r := p.Runs[0]
			if r.Outcome != tt.outcome || !strings.Contains(r.InvalidReason, tt.reason) {
				t.Errorf("outcome %s (%s), want %s (%s)", r.Outcome, r.InvalidReason, tt.outcome, tt.reason)
			}
			titles := ""
			for _, rep := range r.Reports {
				titles += strings.ToLower(rep.Title) + "\n"
			}
			if !strings.Contains(titles, tt.report) {
				t.Errorf("reports %q, want one of %s", titles, tt.report)
			}
		})
	}
}

// TestVMHang: of a guest that hangs, the console log says which tasks the kernel
// saw blocked; that is no report.
func TestVMHang(t *testing.T) {
	file := filepath.Join(t.TempDir(), "w.yaml")
	text := "name: w\nguest: {vcpus: 1, memory: 512MiB, disk: 64MiB}\nphases:\n  - timeout: 3s\n    shell: {run: \"sleep 1000\"}\n" +
		"signatures:\n  - {kind: WARNING, function: no_such_function}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	_, stdout, _ := patchproof(t, "run", "--json", "--kernel", builtKernel(t), "--workload", file)
	var r struct {
		Folder string `json:"folder"`
		Runs   []struct {
			Outcome string            `json:"outcome"`
			Reports []json.RawMessage `json:"reports"`
		} `json:"runs"`
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || len(r.Runs) != 1 {
		t.Fatalf("run --json: %v", err)
	}
	if run := r.Runs[0]; run.Outcome != "invalid" || len(run.Reports) != 0 {
		t.Errorf("outcome %s, reports %s", run.Outcome, run.Reports)
	}
	log, err := os.ReadFile(filepath.Join(r.Folder, "pre", "001", "console.log"))
	if err != nil || !strings.Contains(string(log), "Show Blocked State") {
		t.Errorf("the kernel was not asked for its blocked tasks: %v\n%s", err, log)
	}
}

// TestVMKilledGuest: QEMU dies in the middle of a run. That run is invalid, and
// the campaign goes on.
func TestVMKilledGuest(t *testing.T) {
	c := startLongCampaign(t)
	guests := c.guests(t)
	if len(guests) == 0 {
		t.Skip("the guest ended by itself meanwhile")
	}
	pid, err := strconv.Atoi(filepath.Base(filepath.Dir(guests[0])))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	finished := func() int {
		runs, _ := filepath.Glob(filepath.Join(c.results, "*", "*", "*", "run.json"))
		return len(runs)
	}
	before := finished()
	waitFor(t, "two more runs", func() bool { return finished() >= before+2 })
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	c.wait(t)
	var v verdictJSON
	if err := json.Unmarshal(c.stdout.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	if v.Pre.Invalid+v.Post.Invalid != 1 {
		t.Errorf("pre %+v, post %+v: want one invalid run", v.Pre, v.Post)
	}
}

// TestVMInterruptTwice: a second Ctrl-C ends the program at once, and its guest
// with it.
func TestVMInterruptTwice(t *testing.T) {
	c := startLongCampaign(t)
	for range 2 {
		if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	c.wait(t)
	waitFor(t, "the guest's death", func() bool { return len(c.guests(t)) == 0 })
	if l := c.leftovers(t); len(l) > 0 {
		t.Errorf("files are left: %v", l)
	}
}
