//go:build vm

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// longCampaign starts the real program on a pair that never decides anything
// by itself, and returns once a guest is in its second run.
type longCampaign struct {
	cmd            *exec.Cmd
	results        string
	stdout, stderr bytes.Buffer
}

func startLongCampaign(t testing.TB) *longCampaign {
	t.Helper()
	bin := program(t)
	workload := filepath.Join(t.TempDir(), "sleep.yaml")
	text := "name: sleep\nphases:\n  - sleep: 2s\nsignatures:\n  - {kind: WARNING, function: no_such_function}\n"
	if err := os.WriteFile(workload, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &longCampaign{results: filepath.Join(t.TempDir(), "results")}
	c.cmd = exec.Command(bin, "verify", "--json", "--results-dir", c.results, "--workload", workload,
		"--pre-kernel", builtKernel(t), "--post-kernel", builtKernel(t, "harmless"), "--max-runs", "1000")
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	waitFor(t, "a finished run and a second guest", func() bool {
		finished, _ := filepath.Glob(filepath.Join(c.results, "*", "*", "*", "run.json"))
		return len(finished) > 0 && len(c.guests(t)) > 0
	})
	return c
}

// program builds the real program, for processes that get signals.
func program(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "patchproof")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// guests lists the QEMU processes of this campaign.
func (c *longCampaign) guests(t testing.TB) []string {
	t.Helper()
	var found []string
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		line, err := os.ReadFile(d)
		if err == nil && bytes.Contains(line, []byte("qemu-system")) && c.isParent(filepath.Dir(d)) {
			found = append(found, d)
		}
	}
	return found
}

// isParent reports whether a process belongs to the campaign: its open console
// log or working data lies in the results folder.
func (c *longCampaign) isParent(proc string) bool {
	fds, _ := filepath.Glob(filepath.Join(proc, "fd", "*"))
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, c.results) {
			return true
		}
	}
	return false
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if done() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// leftovers lists files that only a running guest needs.
func (c *longCampaign) leftovers(t *testing.T) []string {
	t.Helper()
	var left []string
	for _, pattern := range []string{"*.img", "*.sock", "initrd*", "*.tmp"} {
		m, err := filepath.Glob(filepath.Join(c.results, "*", "*", "*", pattern))
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, m...)
	}
	return left
}

func (c *longCampaign) wait(t *testing.T) int {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- c.cmd.Wait() }()
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		return 0
	case <-time.After(2 * time.Minute):
		t.Fatal("the program does not end")
		return -1
	}
}

// TestVMInterrupt: Ctrl-C stops the guest, keeps what was measured, and leaves
// no process and no temporary file.
func TestVMInterrupt(t *testing.T) {
	c := startLongCampaign(t)
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if status := c.wait(t); status != statusUndecided {
		t.Errorf("exit status %d, want %d\n%s", status, statusUndecided, &c.stderr)
	}
	var v verdictJSON
	if err := json.Unmarshal(c.stdout.Bytes(), &v); err != nil {
		t.Fatalf("no JSON document after an interrupt: %v\n%s", err, &c.stdout)
	}
	if v.Verdict == "fixed" || v.Pre.Clean+v.Post.Clean == 0 {
		t.Errorf("verdict %s, pre %+v, post %+v: the finished runs are lost", v.Verdict, v.Pre, v.Post)
	}
	if g := c.guests(t); len(g) > 0 {
		t.Errorf("guests are left: %v", g)
	}
	if l := c.leftovers(t); len(l) > 0 {
		t.Errorf("files are left: %v", l)
	}
}

// TestVMKilledHarness: after kill -9 of the harness its guest dies too, and the
// campaign's folder still says what was measured.
func TestVMKilledHarness(t *testing.T) {
	c := startLongCampaign(t)
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.wait(t)
	waitFor(t, "the guest's death", func() bool { return len(c.guests(t)) == 0 })
	if l := c.leftovers(t); len(l) > 0 {
		t.Errorf("files are left: %v", l)
	}
	dirs, err := filepath.Glob(filepath.Join(c.results, "*", "campaign.json"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("campaign folders: %v, %v", dirs, err)
	}
	status, stdout, _ := patchproof(t, "results", "show", "--json", filepath.Dir(dirs[0]))
	var v verdictJSON
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		t.Fatalf("results show of a campaign that was broken off: %v", err)
	}
	if status != statusUndecided || v.Pre.Clean+v.Post.Clean == 0 {
		t.Errorf("status %d, pre %+v, post %+v: the finished runs are lost", status, v.Pre, v.Post)
	}
}
