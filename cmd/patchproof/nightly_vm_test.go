//go:build vm

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"patchproof/orchestrator"
	"patchproof/results"
)

// smallNightly is the nightly's plan cut down to four cells, of which the one of
// the base kernel with compression fails, in one run. On a quiet machine 2,500
// requests show the race in some three runs of four only.
const smallNightly = `name: small-nightly
kernel:
  tarball: /usr/src/linux-source-6.1.tar.xz
  fragments: [shipped:kernel/guest.config, shipped:kernel/btrfs.config]
  perturb: {paths: [fs/btrfs/file.c, fs/btrfs/inode.c]}
kernels:
  - {name: base, patches: shipped:patches/btrfs-dio-race/0001-base.patch}
  - {name: fixed, patches: [shipped:patches/btrfs-dio-race/0001-base.patch, shipped:patches/btrfs-dio-race/0002-fix.patch]}
workloads:
  - {name: focused, workload: btrfs-dio-race-focused, variables: {threads: 64, events: 12000}}
axes:
  mount: [compress=zlib, none: []]
guest: {vcpus: 1}
benign:
  - {kind: RCU-stall, reason: an overloaded host starves its guests}
cells:
  - {when: {mount: none}, variables: {compressed_to: 0}}
repeat: 1
`

// smallStates is what smallNightly must come to.
var smallStates = []string{"base/compress=zlib: failing", "base/none: passing", "fixed/compress=zlib: passing", "fixed/none: passing"}

// states reads the outcome of matrix or merge --json.
func states(t *testing.T, status int, stdout string) (folder string, cells []string) {
	t.Helper()
	var n orchestrator.Notice
	if err := json.Unmarshal([]byte(stdout), &n); err != nil {
		t.Fatalf("status %d, no JSON document: %v", status, err)
	}
	for _, c := range n.Cells {
		kernel, rest, _ := strings.Cut(strings.TrimPrefix(c.Key, "kernel="), " ")
		cells = append(cells, kernel+"/"+strings.TrimPrefix(rest, "workload=focused mount=")+": "+string(c.State))
	}
	return n.Folder, cells
}

func writeSmallNightly(t *testing.T) string {
	t.Helper()
	plan := filepath.Join(t.TempDir(), "nightly.yaml")
	if err := os.WriteFile(plan, []byte(smallNightly), 0o644); err != nil {
		t.Fatal(err)
	}
	return plan
}

// buildSmallNightly builds the kernels of smallNightly, so that no test waits for
// a compiler when it wants to wait for a guest.
func buildSmallNightly(t *testing.T) {
	t.Helper()
	const patches = "../../configs/patches/btrfs-dio-race/"
	for _, series := range [][]string{{"0001-base.patch"}, {"0001-base.patch", "0002-fix.patch"}} {
		args := []string{"kernel", "build", "--tarball", "/usr/src/linux-source-6.1.tar.xz", "--perturb", "fs/btrfs/file.c,fs/btrfs/inode.c"}
		for _, name := range series {
			args = append(args, "--patch", patches+name)
		}
		if status, _, _ := patchproof(t, args...); status != 0 {
			t.Fatalf("building a kernel: exit status %d", status)
		}
	}
}

// checkOnce fails unless every cell has exactly one run that counts.
func checkOnce(t *testing.T, dir string) {
	t.Helper()
	c, runs, err := results.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, cell := range results.Cells(c, runs) {
		if cell.Counts.Valid() != 1 || cell.Missing != 0 {
			t.Errorf("%s: %+v, %d missing; want one valid run", cell.Cell.Key, cell.Counts, cell.Missing)
		}
		if cell.Cell.Kernel.SHA256 == "" {
			t.Errorf("%s: its kernel is not recorded", cell.Cell.Key)
		}
	}
}

// TestVMMatrix kills a matrix in the middle of its runs, goes on with it, and
// runs the same plan in three shards: the answer is the same, and no cell has
// been run twice.
func TestVMMatrix(t *testing.T) {
	plan := writeSmallNightly(t)
	buildSmallNightly(t)
	c := startMatrix(t, plan)
	waitFor(t, "the first guest", func() bool { return len(c.guests(t)) > 0 })
	waitFor(t, "a finished run", func() bool {
		finished, _ := filepath.Glob(filepath.Join(c.results, "*", "run", "*", "run.json"))
		return len(finished) > 0
	})
	waitFor(t, "the second guest", func() bool { return len(c.guests(t)) > 0 })
	if err := c.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // its error is that it was killed
	waitFor(t, "the guests of the killed matrix to end", func() bool { return len(c.guests(t)) == 0 })

	status, stdout, _ := patchproofIn(t, c.results, "matrix", "--resume", plan, "--json")
	folder, cells := states(t, status, stdout)
	if status != 1 || !slices.Equal(cells, smallStates) {
		t.Errorf("resumed: status %d, %q, want 1, %q", status, cells, smallStates)
	}
	checkOnce(t, folder)
	if left := c.leftovers(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(c.results), "site", "index.html")); err != nil {
		t.Errorf("no site: %v", err)
	}

	store := filepath.Join(t.TempDir(), "results")
	args := []string{"results", "merge", "--json"}
	for _, shard := range []string{"1/3", "2/3", "3/3"} {
		status, stdout, _ := patchproofIn(t, store, "matrix", plan, "--json", "--shard", shard, "--fail-on", "none", "--no-site")
		folder, _ := states(t, status, stdout)
		if status != 0 {
			t.Errorf("shard %s: status %d", shard, status)
		}
		args = append(args, folder)
	}
	status, stdout, _ = patchproofIn(t, store, args...)
	folder, cells = states(t, status, stdout)
	if status != 1 || !slices.Equal(cells, smallStates) {
		t.Errorf("merged: status %d, %q, want 1, %q", status, cells, smallStates)
	}
	checkOnce(t, folder)
}

// startMatrix runs the real program, in a process that can be killed.
func startMatrix(t *testing.T, plan string) *longCampaign {
	t.Helper()
	c := &longCampaign{results: filepath.Join(t.TempDir(), "state", "results")}
	c.cmd = exec.Command(program(t), "matrix", plan, "--jobs", "1", "--results-dir", c.results)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	return c
}

// TestVMModules boots a distribution's kernel, which has its drivers and btrfs
// as modules. scripts/debian-kernel fetches it.
func TestVMModules(t *testing.T) {
	dir, err := filepath.Abs("../../.cache/debian-6.12")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "vmlinuz")); err != nil {
		t.Skipf("%v: scripts/debian-kernel 6.12 .cache/debian-6.12 fetches it (100 MB)", err)
	}
	workload := filepath.Join(t.TempDir(), "mount.yaml")
	text := `name: mount
phases:
  - mkfs: {fs: btrfs}
  - mount: {fs: btrfs, options: [compress=zstd]}
  - shell: {run: "dd if=/dev/zero of=/mnt/f bs=1M count=8 && cut -d' ' -f1 /proc/modules"}
  - umount: {}
signatures: [{kind: WARNING, function: no_such_function}]
`
	if err := os.WriteFile(workload, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	status, stdout, _ := patchproof(t, "run", "--json", "--kernel", filepath.Join(dir, "vmlinuz"), "--modules", filepath.Join(dir, "modules"), "--workload", workload)
	var got struct{ Runs []results.Run }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || len(got.Runs) != 1 {
		t.Fatalf("%v, %d runs", err, len(got.Runs))
	}
	t.Logf("%s in %v", got.Runs[0].Kernel.Release, time.Since(begin).Round(time.Second))
	if status != 0 || !strings.Contains(got.Runs[0].Phases[2].Stdout, "btrfs") {
		t.Errorf("status %d, modules %q", status, got.Runs[0].Phases[2].Stdout)
	}
}
