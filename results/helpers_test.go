package results

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name; on a mismatch the actual text is kept
// beside it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update and look at the new file", err)
	}
	if got != string(want) {
		actual := filepath.Join(t.TempDir(), filepath.Base(name))
		if err := os.WriteFile(actual, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s differs from what is written now:\n%s", path, got)
	}
}

var began = time.Date(2026, 11, 25, 19, 1, 47, 0, time.UTC)

func btrfsReport() ReportRecord {
	return ReportRecord{
		Report: dmesg.Report{
			Kind: "WARNING", Severity: dmesg.SeverityMedium, Title: "WARNING in btrfs_destroy_inode",
			File: "fs/btrfs/inode.c", Line: 8028, Function: "btrfs_destroy_inode",
			Condition: "inode->csum_bytes", Macro: "WARN_ON", Comm: "umount", PID: 101, CPU: 1,
			Trace: []dmesg.Frame{
				{Function: "dump_stack", Offset: 0x41, Size: 0x51, Unreliable: true},
				{Function: "btrfs_destroy_inode", Offset: 0x269, Size: 0x2f0},
				{Function: "destroy_inode", Offset: 0x3b, Size: 0x60},
				{Function: "evict", Offset: 0x10a, Size: 0x180},
				{Function: "dispose_list", Offset: 0x3e, Size: 0x50},
				{Function: "evict_inodes", Offset: 0x104, Size: 0x110},
				{Function: "generic_shutdown_super", Offset: 0x48, Size: 0xe0},
				{Function: "kill_anon_super", Offset: 0x16, Size: 0x30},
			},
			Fingerprint: "WARNING|fs/btrfs/inode.c|btrfs_destroy_inode|csum_bytes",
		},
		Phase: 4, PhaseName: "umount", Signature: "btrfs-dio-race",
	}
}

func otherReport() ReportRecord {
	return ReportRecord{
		Report: dmesg.Report{Kind: "KASAN", Severity: dmesg.SeverityHigh, Title: "KASAN: use-after-free Read in foo_bar",
			File: "fs/foo/bar.c", Line: 12, Function: "foo_bar", Fingerprint: "KASAN|foo_bar"},
		Phase: 3, PhaseName: "run",
	}
}

func benignReport() ReportRecord {
	return ReportRecord{
		Report: dmesg.Report{Kind: "WARNING", Severity: dmesg.SeverityMedium, Title: "WARNING in check_tsc", Fingerprint: "WARNING|check_tsc"},
		Phase:  -1, Benign: "TCG clock",
	}
}

// sampleRun returns the record of a finished run that has the given reports.
func sampleRun(side judge.Side, number, index int, reports ...ReportRecord) Run {
	r := Run{
		ID: fmt.Sprintf("%s-%03d", side, number), Side: side, Index: index,
		Kernel:  KernelRecord{SHA256: string(side) + "-sum"},
		Started: began.Add(time.Duration(index) * 20 * time.Second), Accel: "tcg", Shape: "4 vCPUs, 1024 MiB",
		ElapsedSeconds: 18.25, Complete: true, Reports: reports,
		Phases: []PhaseResult{{Index: 0, Name: "mkfs"}, {Index: 1, Name: "mount"}, {Index: 2, Name: "prepare"}, {Index: 3, Name: "run"}, {Index: 4, Name: "umount"}},
	}
	r.classify()
	return r
}

// sampleRuns interleaves n runs a side; pre and post make the i-th run's reports.
func sampleRuns(n int, pre, post func(i int) []ReportRecord) []Run {
	var runs []Run
	for i := range n {
		runs = append(runs, sampleRun(judge.Pre, i+1, len(runs)+1, pre(i)...))
		runs = append(runs, sampleRun(judge.Post, i+1, len(runs)+1, post(i)...))
	}
	return runs
}

func none(int) []ReportRecord { return nil }
func bug(int) []ReportRecord  { return []ReportRecord{btrfsReport(), btrfsReport()} }

func sampleCampaign() Campaign {
	return Campaign{
		Format: FormatVersion, ID: "20261125T190147Z-btrfs-dio-race", Command: []string{"patchproof", "verify", "my plan.yaml"},
		Version: "0.1", Started: began, ElapsedSeconds: 371.4,
		Host:     Host{Kernel: "6.1.0-28-amd64", QEMU: "7.2.15", Accel: "tcg", CPUs: 2, Slowdown: 1.2},
		Workload: "btrfs-dio-race-focused", Shape: "4 vCPUs, 1024 MiB",
		Pre:        KernelRecord{ID: "k1", Release: "6.1.192", SHA256: "pre-sum", Label: "base"},
		Post:       KernelRecord{ID: "k2", Release: "6.1.192", SHA256: "post-sum", Label: "base + fix.patch"},
		PatchTitle: "btrfs: hold the extent lock until the pages are dirty",
		Dir:        "/home/user/results/20261125T190147Z-btrfs-dio-race",
	}
}
