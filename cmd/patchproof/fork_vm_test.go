//go:build vm

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// forkedRuns is what these tests read from run --json.
type forkedRuns struct {
	Folder string `json:"folder"`
	Runs   []struct {
		ID      string `json:"id"`
		Outcome string `json:"outcome"`
		Shape   string `json:"shape"`
		Forked  *struct {
			State string `json:"state"`
			After string `json:"after"`
		} `json:"forked"`
		Phases []struct {
			Name   string `json:"name"`
			Stdout string `json:"stdout"`
		} `json:"phases"`
		Reports []struct {
			PhaseName string `json:"phase_name"`
		} `json:"reports"`
	} `json:"runs"`
}

// forkWorkload fills a file system and then does what it is told.
func forkWorkload(t *testing.T, snapshot, phases string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "w.yaml")
	text := "name: w\nguest: {vcpus: 1, memory: 256MiB, disk: 256MiB}\n" + snapshot +
		"phases:\n  - mkfs: {fs: btrfs}\n  - mount: {fs: btrfs}\n" +
		"  - sysbench: {action: prepare, files: 2, total_size: 1MiB}\n  - umount:\n" + phases +
		"signatures:\n  - {kind: WARNING, function: no_such_function}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// runForked does two runs of a workload.
func runForked(t *testing.T, cache, workload string, extra ...string) (forkedRuns, string) {
	t.Helper()
	return repeatForked(t, 2, cache, workload, extra...)
}

// repeatForked does n runs of a workload.
func repeatForked(t *testing.T, n int, cache, workload string, extra ...string) (forkedRuns, string) {
	t.Helper()
	args := append([]string{"run", "--json", "--fork", "auto", "--repeat", fmt.Sprint(n), "--cache-dir", cache, "--kernel", builtKernel(t), "--workload", workload}, extra...)
	_, stdout, stderr := patchproof(t, args...)
	var f forkedRuns
	if err := json.Unmarshal([]byte(stdout), &f); err != nil || len(f.Runs) != n {
		t.Fatalf("run --json: %v", err)
	}
	return f, stderr
}

// statesLeft lists what is in a cache of saved machines.
func statesLeft(t *testing.T, cache string) (states, tmp []string) {
	t.Helper()
	var err error
	if states, err = filepath.Glob(filepath.Join(cache, "states", "states", "*")); err != nil {
		t.Fatal(err)
	}
	if tmp, err = filepath.Glob(filepath.Join(cache, "states", "tmp", "*")); err != nil {
		t.Fatal(err)
	}
	return states, tmp
}

// TestVMForkedRuns: runs go on from a machine that was saved once, find the
// files that it has written, and share no random number. The next command finds
// the machine in the cache.
func TestVMForkedRuns(t *testing.T) {
	cache := t.TempDir()
	workload := forkWorkload(t, "", "  - mount: {fs: btrfs}\n  - shell: {run: \"ls /mnt; cat /proc/sys/kernel/random/uuid\"}\n")
	seen := map[string]bool{}
	for _, found := range []string{"made after umount", "found, after umount"} {
		f, stderr := runForked(t, cache, workload)
		if !strings.Contains(stderr, found) {
			t.Errorf("the saved machine was not %q:\n%s", found, stderr)
		}
		for _, r := range f.Runs {
			if r.Outcome != "clean" || !strings.HasSuffix(r.Shape, ", forked") || r.Forked == nil || r.Forked.After != "umount" || len(r.Phases) != 2 {
				t.Fatalf("run %+v", r)
			}
			output := r.Phases[1].Stdout
			if !strings.HasPrefix(output, "test_file.0\ntest_file.1\n") || seen[output] {
				t.Errorf("run %s printed %q, the others %v", r.ID, output, seen)
			}
			seen[output] = true
			log, err := os.ReadFile(filepath.Join(f.Folder, "pre", r.ID[len("pre-"):], "console-base.log"))
			if err != nil || !bytes.Contains(log, []byte("Linux version")) || !bytes.Contains(log, []byte("canary saved")) {
				t.Errorf("log of the saved machine: %v", err)
			}
		}
	}
	if states, tmp := statesLeft(t, cache); len(states) != 1 || len(tmp) != 0 {
		t.Errorf("in the cache: %v, %v", states, tmp)
	}
	if status, _, _ := patchproof(t, "cache", "gc", "--all", "--cache-dir", cache); status != 0 {
		t.Errorf("cache gc: exit status %d", status)
	}
	if states, tmp := statesLeft(t, cache); len(states)+len(tmp) != 0 {
		t.Errorf("cache gc --all leaves %v, %v", states, tmp)
	}
}

// TestVMForkRotates: after five runs another machine is made, with guests side by
// side as well.
func TestVMForkRotates(t *testing.T) {
	cache := t.TempDir()
	f, stderr := repeatForked(t, 6, cache, forkWorkload(t, "", "  - sync:\n"), "--jobs", "2")
	runs := map[string]int{}
	for _, r := range f.Runs {
		if r.Outcome != "clean" || r.Forked == nil {
			t.Fatalf("run %+v", r)
		}
		runs[r.Forked.State]++
	}
	counts := slices.Sorted(maps.Values(runs))
	if !slices.Equal(counts, []int{1, 5}) || !strings.Contains(stderr, "saved machine 2") {
		t.Errorf("runs by machine: %v\n%s", counts, stderr)
	}
	if states, tmp := statesLeft(t, cache); len(states) != 2 || len(tmp) != 0 {
		t.Errorf("in the cache: %v, %v", states, tmp)
	}
}

// TestVMForkNotPossible: where no machine can be saved, every run boots, and a
// line says why.
func TestVMForkNotPossible(t *testing.T) {
	const warn = "  - shell: {run: \"echo 'WARNING: CPU: 0 PID: 1 at fs/x.c:1 no_such_function+0x1/0x2' >/dev/kmsg\"}\n"
	for _, tt := range []struct {
		name, snapshot, phases string
		extra                  []string
		outcome, note          string
	}{
		{"switched off", "", warn, []string{"--fork", "off"}, "reproduced", ""},
		{"the workload forbids it", "snapshot: none\n", warn, nil, "reproduced", "every run boots: the workload says snapshot: none"},
		{"a report before", "snapshot: after shell\n", warn, nil, "reproduced", "report already in phase shell"},
		{"a phase before fails", "snapshot: after shell\n", "  - shell: {run: \"exit 3\"}\n", nil, "invalid", "every run boots: saved machine: phase shell"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cache := t.TempDir()
			f, stderr := runForked(t, cache, forkWorkload(t, tt.snapshot, tt.phases), tt.extra...)
			for _, r := range f.Runs {
				if r.Outcome != tt.outcome || r.Forked != nil || strings.Contains(r.Shape, "forked") {
					t.Errorf("run %+v", r)
				}
			}
			if !strings.Contains(stderr, tt.note) || tt.note == "" && strings.Contains(stderr, "every run boots") {
				t.Errorf("want the note %q in:\n%s", tt.note, stderr)
			}
			if states, tmp := statesLeft(t, cache); len(states)+len(tmp) != 0 {
				t.Errorf("left: %v, %v", states, tmp)
			}
		})
	}
}

// TestVMForkFullDisk has a cache with room for the guest image, and none for a
// machine.
func TestVMForkFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount the small file system that this needs")
	}
	cache := t.TempDir()
	if err := syscall.Mount("tmpfs", cache, "tmpfs", 0, "size=56m"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(cache, 0); err != nil {
			t.Errorf("something still uses the cache: %v", err)
		}
	}()
	f, stderr := runForked(t, cache, forkWorkload(t, "", "  - sync:\n"))
	for _, r := range f.Runs {
		if r.Outcome != "clean" || r.Forked != nil {
			t.Errorf("run %+v", r)
		}
	}
	// Who notices first, QEMU or the harness, depends on what fills the disk.
	full := strings.Contains(stderr, "no space left") || strings.Contains(stderr, "disk-full")
	if !strings.Contains(stderr, "every run boots") || !full || strings.Contains(stderr, "; see "+cache) {
		t.Errorf("nothing says why runs boot:\n%s", stderr)
	}
	if states, tmp := statesLeft(t, cache); len(states)+len(tmp) != 0 {
		t.Errorf("left: %v, %v", states, tmp)
	}
}

// TestVMForkStopped ends the program while it makes a machine. After Ctrl-C
// nothing is left; what kill -9 leaves, the next command removes.
func TestVMForkStopped(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "patchproof")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	workload := forkWorkload(t, "snapshot: after sleep\n", "  - sleep: 90s\n  - sync:\n")
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(fmt.Sprint(signal), func(t *testing.T) {
			cache := t.TempDir()
			cmd := exec.Command(bin, "run", "--fork", "auto", "--repeat", "2", "--cache-dir", cache, "--results-dir", t.TempDir(), "--kernel", builtKernel(t), "--workload", workload)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			log := filepath.Join(cache, "states", "tmp", "*", "base", "console.log")
			waitFor(t, "a guest that is going to be saved", func() bool {
				logs, _ := filepath.Glob(log)
				for _, l := range logs {
					if text, err := os.ReadFile(l); err == nil && bytes.Contains(text, []byte("begin sleep")) {
						return true
					}
				}
				return false
			})
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Errorf("the program ended well: %s", stderr.String())
			}
			waitFor(t, "the guest's death", func() bool { return !usesFolder(t, cache) })
			if signal == syscall.SIGKILL {
				if _, tmp := statesLeft(t, cache); len(tmp) != 1 {
					t.Errorf("kill -9 left %v, want the folder of the machine", tmp)
				}
				if status, _, _ := patchproof(t, "cache", "gc", "--cache-dir", cache); status != 0 {
					t.Errorf("cache gc: exit status %d", status)
				}
			}
			if states, tmp := statesLeft(t, cache); len(states)+len(tmp) != 0 {
				t.Errorf("left: %v, %v", states, tmp)
			}
		})
	}
}

// usesFolder reports whether a process has a file below a folder open.
func usesFolder(t *testing.T, dir string) bool {
	t.Helper()
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, dir) {
			return true
		}
	}
	return false
}

// TestVMBenchFork compares two runs of each kind: too few to tell anything but
// that both kinds were done and counted.
func TestVMBenchFork(t *testing.T) {
	status, stdout, _ := patchproof(t, "bench", "fork", "--json", "--runs", "2", "--var", "events=200", "btrfs-dio-race-6.1")
	type sample struct {
		Runs    int     `json:"runs"`
		Invalid int     `json:"invalid"`
		Median  float64 `json:"median_seconds"`
	}
	var b struct {
		After    string  `json:"after"`
		Forked   sample  `json:"forked"`
		Booted   sample  `json:"booted"`
		PValue   float64 `json:"p_value"`
		Machines []struct {
			Forked struct {
				Runs int `json:"runs"`
			} `json:"forked"`
		} `json:"machines"`
		MachinesPValue float64 `json:"machines_p_value"`
	}
	if err := json.Unmarshal([]byte(stdout), &b); err != nil {
		t.Fatal(err)
	}
	if status > 1 || b.Forked.Runs != 2 || b.Booted.Runs != 2 || b.Forked.Invalid+b.Booted.Invalid != 0 || b.PValue <= 0 || b.After != "umount after prepare" || b.Forked.Median <= 0 || len(b.Machines) != 1 || b.Machines[0].Forked.Runs != 2 || b.MachinesPValue <= 0 {
		t.Errorf("status %d, %+v", status, b)
	}
}

// TestVMBenchVerdict lets two ways come to a verdict that needs few runs: the
// race does not show itself in so few requests.
func TestVMBenchVerdict(t *testing.T) {
	status, stdout, stderr := patchproof(t, "bench", "verdict", "--json", "--max-runs", "2", "--var", "events=200", "btrfs-dio-race-6.1")
	var ways []struct {
		Way     string  `json:"way"`
		Shape   string  `json:"shape"`
		Seconds float64 `json:"seconds"`
		Verdict string  `json:"verdict"`
		Runs    int     `json:"runs"`
		Invalid int     `json:"invalid"`
		Spent   []struct {
			Part    string  `json:"part"`
			Seconds float64 `json:"seconds"`
		} `json:"spent"`
	}
	if err := json.Unmarshal([]byte(stdout), &ways); err != nil || status != 0 || len(ways) != 2 {
		t.Fatalf("status %d, %v, stdout %s\n%s", status, err, stdout, stderr)
	}
	for i, begin := range []string{"boot", "wake the saved machine"} {
		w := ways[i]
		if w.Runs+w.Invalid == 0 || w.Runs > 4 || w.Verdict == "" || w.Seconds <= 0 || len(w.Spent) < 4 || w.Spent[0].Part != begin || w.Spent[0].Seconds <= 0 {
			t.Errorf("way %s: %+v", begin, w)
		}
	}
	if strings.HasSuffix(ways[0].Shape, ", forked") || !strings.HasSuffix(ways[1].Shape, ", forked") {
		t.Errorf("shapes %q and %q", ways[0].Shape, ways[1].Shape)
	}
}
