// Package sitetest writes results folders for tests of the site and of the live
// server, with the writer that the harness uses.
package sitetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/results/judge"
)

// firstNight is the start of the first night of the sample.
var firstNight = time.Date(2026, 11, 14, 1, 30, 0, 0, time.UTC)

// Store is a results folder that a test fills.
type Store struct {
	t     testing.TB
	store *results.Store
}

// New returns an empty folder that goes with the test. It is in memory where
// that is possible: the writer syncs every run, which takes a disk its time.
func New(t testing.TB) *Store {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "patchproof-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	store, err := results.OpenStore(filepath.Join(dir, "results"))
	if err != nil {
		t.Fatal(err)
	}
	return &Store{t, store}
}

// Dir is the results folder.
func (s *Store) Dir() string { return s.store.Dir() }

func (s *Store) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

const bootLines = "[    0.000000] Linux version 6.1.192 (patchproof@patchproof) #1 SMP\r\n" +
	"[    0.000000] Command line: console=ttyS0,115200 ignore_loglevel\r\n" +
	"[    1.204411] BTRFS: device fsid 78fe5a5d devid 1 transid 6 /dev/vda scanned by mount (91)\r\n"

const warningLines = "[   13.310211] ------------[ cut here ]------------\r\n" +
	"[   13.310518] WARNING: CPU: 1 PID: 101 at fs/btrfs/inode.c:8028 btrfs_destroy_inode+0x269/0x2f0\r\n" +
	"[   13.311002] CPU: 1 PID: 101 Comm: umount Not tainted 6.1.192 #1\r\n" +
	"[   13.311290] RIP: 0010:btrfs_destroy_inode+0x269/0x2f0\r\n" +
	"[   13.312019] Call Trace:\r\n[   13.312144]  <TASK>\r\n[   13.312260]  destroy_inode+0x3b/0x60\r\n" +
	"[   13.312401]  evict+0x10a/0x180\r\n[   13.312533]  dispose_list+0x3e/0x50\r\n[   13.312699]  </TASK>\r\n" +
	"[   13.312811] ---[ end trace 0000000000000000 ]---\r\n"

const kasanLines = "[   13.410211] ==================================================================\r\n" +
	"[   13.410518] BUG: KASAN: use-after-free in foo_bar+0x11/0x40\r\n" +
	"[   13.411002] Read of size 8 at addr ffff888004a1c008 by task sysbench/99\r\n" +
	"[   13.412019] Call Trace:\r\n[   13.412144]  <TASK>\r\n[   13.412260]  foo_bar+0x11/0x40\r\n[   13.412699]  </TASK>\r\n" +
	"[   13.413811] ==================================================================\r\n"

// byHand is the script that vm leaves in a run's folder.
const byHand = "#!/bin/sh\n# Guest by hand\nset -e\nexec /usr/bin/qemu-system-x86_64 \\\n\t-nodefaults \\\n\t-accel tcg,thread=multi \\\n\t-m 1024M \\\n" +
	"\t-kernel /cache/images/454c8bc3db58f3f096b9/bzImage \\\n\t-append 'console=ttyS0,115200 patchproof_perturb.seed=7'\n"

// Run is a run to be written.
type Run struct {
	Run     results.Run
	Log     string
	Matches bool   // its reports match the signature
	Invalid string // why it must not count
}

// Start begins a run the way that the harness does, up to its first phases.
func (s *Store) Start(w *results.CampaignWriter, r Run) *results.RunWriter {
	s.t.Helper()
	return s.StartIn(w.StartRun, r)
}

// StartIn is Start for any way to make the run's folder.
func (s *Store) StartIn(start func(results.Run) (*results.RunWriter, error), r Run) *results.RunWriter {
	s.t.Helper()
	rw, err := start(r.Run)
	s.check(err)
	s.check(os.WriteFile(filepath.Join(rw.Dir(), "console.log"), []byte(r.Log), 0o644))
	s.check(os.WriteFile(filepath.Join(rw.Dir(), "qemu-cmdline.txt"), []byte(byHand), 0o644))
	s.check(rw.Phase(results.PhaseResult{Index: 0, Name: "make the file system", ElapsedSeconds: 0.2}))
	s.check(rw.Phase(results.PhaseResult{Index: 1, Name: "mount", ElapsedSeconds: 0.06}))
	return rw
}

// End ends a run that Start began.
func (s *Store) End(rw *results.RunWriter, r Run) {
	s.t.Helper()
	s.check(rw.Phase(results.PhaseResult{Index: 2, Name: "random direct writes", ElapsedSeconds: 7.6, Stdout: "sysbench 1.0.20\n8 files, 128KiB each\n"}))
	s.check(rw.Phase(results.PhaseResult{Index: 3, Name: "umount after the run", ElapsedSeconds: 0.41}))
	reports, err := dmesg.Parse(strings.NewReader(r.Log))
	s.check(err)
	for _, rep := range reports {
		record := results.ReportRecord{Report: rep, Phase: 3, PhaseName: "umount after the run"}
		if r.Matches {
			record.Signature = "inode destroyed with accounting left"
		}
		s.check(rw.Report(record))
	}
	_, err = rw.Finish(true, r.Invalid)
	s.check(err)
}

// Kernel is the record of a kernel.
func Kernel(name, id string) results.KernelRecord {
	return results.KernelRecord{ID: id, Release: "6.1.192", SHA256: strings.Repeat(id[:4], 16), Label: name + ": linux-source-6.1.tar.xz",
		Provenance: []byte(`{"source":{"kind":"tarball","path":"/usr/src/linux-source-6.1.tar.xz"},"patches":[{"path":"0001-base.patch","subjects":["[PATCH] a & b <c>"]}],"base_config":"allnoconfig","compiled":2}`)}
}

// Matrix is a matrix with the kernels base, fixed and debian-6.12, the first of
// 2 workloads, the first of 4 compressions (none, zlib, lzo, zstd) and the first
// of the numbers of vCPUs 2 and 4. What night it is of decides what the Debian
// kernel is.
func Matrix(night, workloads, compressions, vcpus int) *results.MatrixRecord {
	m := &results.MatrixRecord{Name: "nightly", PlanFile: "/srv/ci/nightly.yaml", Axes: []results.AxisRecord{
		{Name: "kernel", Values: []string{"base", "fixed", "debian-6.12"}},
		{Name: "workload", Values: []string{"focused", "report"}[:workloads]},
		{Name: "compress", Values: []string{"none", "zlib", "lzo", "zstd"}[:compressions]},
		{Name: "guest.vcpus", Values: []string{"2", "4"}[:vcpus]},
	}}
	ids := map[string]string{"base": "454c8bc3db58f3f096b9", "fixed": "034c0884531f515d57ec", "debian-6.12": fmt.Sprintf("%04dc0dedebc157afe321", night)}
	for _, k := range m.Axes[0].Values {
		for _, w := range m.Axes[1].Values {
			for _, z := range m.Axes[2].Values {
				for _, v := range m.Axes[3].Values {
					m.Cells = append(m.Cells, results.CellRecord{
						Key:    fmt.Sprintf("kernel=%s workload=%s compress=%s guest.vcpus=%s", k, w, z, v),
						Values: map[string]string{"kernel": k, "workload": w, "compress": z, "guest.vcpus": v},
						Kernel: Kernel(k, ids[k]), Workload: "btrfs-dio-race-" + w, Shape: v + " vCPUs, 1024 MiB", Repeat: 3, Confidence: 0.9,
					})
				}
			}
		}
	}
	return m
}

// Outcome says what run n, from 0, of a cell does: "bug", "other", "invalid" or
// "clean".
type Outcome func(cell *results.CellRecord, n int) string

// Usual is a night in which the base kernel fails with compression: always, but
// with lzo on 2 vCPUs only in two runs of three.
func Usual(cell *results.CellRecord, n int) string {
	v := cell.Values
	if v["kernel"] == "base" && v["compress"] != "none" && !(v["guest.vcpus"] == "2" && v["compress"] == "lzo" && n == 1) {
		return "bug"
	}
	return "clean"
}

// Begin begins a campaign of a matrix.
func (s *Store) Begin(night int, m *results.MatrixRecord) (*results.CampaignWriter, *results.Campaign) {
	s.t.Helper()
	c := &results.Campaign{Kind: results.KindMatrix, Command: []string{"patchproof", "matrix", "/srv/ci/nightly.yaml"}, Version: "test",
		Started: firstNight.AddDate(0, 0, night), Workload: m.Name, Matrix: m, Plan: []byte("name: nightly\n"),
		Host: results.Host{Kernel: "6.12.0", QEMU: "QEMU 7.2.22", Accel: "tcg", CPUs: 2}}
	w, err := s.store.Create(c)
	s.check(err)
	return w, c
}

// Finish ends a campaign.
func (s *Store) Finish(w *results.CampaignWriter, c *results.Campaign, seconds float64) {
	s.t.Helper()
	c.ElapsedSeconds = seconds
	s.check(w.Update(c))
	s.check(w.Close())
}

// Night writes a campaign of a matrix, its cells in turn.
func (s *Store) Night(night int, m *results.MatrixRecord, does Outcome) *results.Campaign {
	s.t.Helper()
	w, c := s.Begin(night, m)
	at := c.Started
	for i := range m.Cells {
		cell := &m.Cells[i]
		for n := range cell.Repeat {
			at = at.Add(15 * time.Second)
			r := CellRun(cell, at, does(cell, n))
			s.End(s.Start(w, r), r)
		}
	}
	s.Finish(w, c, at.Sub(c.Started).Seconds())
	return c
}

// CellRun is a run of a cell with a given outcome.
func CellRun(cell *results.CellRecord, at time.Time, outcome string) Run {
	r := Run{Log: bootLines, Run: results.Run{Side: results.Single, Cell: cell.Key, Kernel: cell.Kernel, Accel: "tcg", Shape: cell.Shape, Started: at}}
	switch outcome {
	case "bug":
		r.Log, r.Matches = bootLines+warningLines, true
	case "other":
		r.Log = bootLines + kasanLines
	case "invalid":
		r.Invalid = "sysbench did fewer events than asked for"
	}
	return r
}

// Nights writes some nights of a matrix as Matrix makes it: usual ones, and a
// last one in which the Debian kernel fails anew with zstd, the base kernel no
// longer fails with lzo, and one cell of the fixed kernel is invalid. It returns
// the last one.
func (s *Store) Nights(count, workloads, compressions, vcpus int) (last *results.Campaign) {
	s.t.Helper()
	for night := range count {
		does := Usual
		if night == count-1 {
			does = lastNight
		}
		last = s.Night(night, Matrix(night, workloads, compressions, vcpus), does)
	}
	return last
}

func lastNight(cell *results.CellRecord, n int) string {
	v := cell.Values
	switch kernel, compress := v["kernel"], v["compress"]; {
	case kernel == "debian-6.12" && compress == "zstd":
		return "other"
	case kernel == "base" && compress == "lzo":
		return "clean"
	case kernel == "fixed" && compress == "none" && v["guest.vcpus"] == "2" && v["workload"] == "focused":
		return "invalid"
	}
	return Usual(cell, n)
}

// Campaign writes a campaign without runs.
func (s *Store) Campaign(c *results.Campaign) {
	s.t.Helper()
	w, err := s.store.Create(c)
	s.check(err)
	s.check(w.Close())
}

// Verification writes a finished verification of n pairs.
func (s *Store) Verification(n int) *results.Campaign {
	s.t.Helper()
	c := &results.Campaign{Kind: results.KindVerify, Command: []string{"bin/patchproof", "verify", "my plan.yaml"}, Version: "test", Started: firstNight.Add(20 * time.Hour),
		Workload: "btrfs-dio-race-focused", Shape: "4 vCPUs, 1024 MiB", PatchTitle: "btrfs: hold the extent lock until the range is delalloc",
		Pre: Kernel("base", "454c8bc3db58f3f096b9"), Post: Kernel("fixed", "034c0884531f515d57ec"),
		Plan: []byte("name: x\nworkload:\n  name: w\n  phases:\n    - name: a\nguest:\n  vcpus: 4\n  memory: 1GiB\n  disk: 2GiB\n")}
	w, err := s.store.Create(c)
	s.check(err)
	for i := range n {
		at := c.Started.Add(time.Duration(i) * 30 * time.Second)
		pre := Run{Log: bootLines + warningLines, Matches: true, Run: results.Run{Side: judge.Pre, Kernel: c.Pre, Accel: "tcg", Shape: c.Shape, Started: at, Seed: 7}}
		post := Run{Log: bootLines, Run: results.Run{Side: judge.Post, Kernel: c.Post, Accel: "tcg", Shape: c.Shape, Started: at.Add(15 * time.Second)}}
		for _, r := range []Run{pre, post} {
			s.End(s.Start(w, r), r)
		}
	}
	_, runs, err := results.Load(c.Dir)
	s.check(err)
	summary := results.Summarize(*c, runs)
	c.Decision = &summary.Decision
	s.Finish(w, c, 167)
	return c
}

// Single writes a campaign of single runs, one for each log.
func (s *Store) Single(logs ...string) *results.Campaign {
	s.t.Helper()
	c := &results.Campaign{Kind: results.KindRun, Command: []string{"patchproof", "run"}, Started: firstNight, Workload: "single", Pre: Kernel("own", "0d2c7a6debc157afe321")}
	w, err := s.store.Create(c)
	s.check(err)
	for _, log := range logs {
		r := Run{Log: log, Run: results.Run{Side: judge.Pre, Kernel: c.Pre, Started: firstNight}}
		s.End(s.Start(w, r), r)
	}
	s.check(w.Close())
	return c
}
