package index

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchproof/dmesg"
	"patchproof/results"
)

// stored names a folder for the benchmarks' campaigns, which are made there
// once; with it the command itself can be timed on the same 10,000 runs.
var stored = flag.String("stored", "", "folder for the 10,000 runs of the benchmarks")

const (
	benchNights = 200
	benchCells  = 10
	benchRepeat = 5
)

// tenThousand writes 10,000 runs of 200 nights: records of the size that real
// guests leave, a quarter of them with two reports of 2 KB.
func tenThousand(b *testing.B) string {
	b.Helper()
	dir := *stored
	if dir == "" {
		dir = b.TempDir()
	} else if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return dir
	}
	for n := range benchNights {
		writeBenchNight(b, dir, n)
	}
	return dir
}

func writeBenchNight(b *testing.B, dir string, n int) {
	b.Helper()
	started := began.AddDate(0, 0, n)
	id := fmt.Sprintf("%s-nightly-%06x", started.Format("20060102T150405Z"), n)
	c := results.Campaign{Format: results.FormatVersion, ID: id, Kind: results.KindMatrix, Workload: "nightly", Started: started,
		ElapsedSeconds: 3600, Command: []string{"patchproof", "matrix", "nightly.yaml"}, Matrix: &results.MatrixRecord{Name: "nightly"}}
	for cell := range benchCells {
		key := fmt.Sprintf("kernel=base workload=focused compress=%d guest.vcpus=2", cell)
		c.Matrix.Cells = append(c.Matrix.Cells, results.CellRecord{Key: key, Workload: "focused", Repeat: benchRepeat})
		for i := range benchRepeat {
			number := cell*benchRepeat + i + 1
			writeRun(b, filepath.Join(dir, id), number, benchRun(key, n, number))
		}
	}
	writeFile(b, filepath.Join(dir, id, "campaign.json"), encode(b, c))
	settle(b, filepath.Join(dir, id))
}

func benchRun(cell string, n, number int) results.Run {
	r := run('c')
	r.Cell, r.Side = cell, results.Single
	r.Kernel = results.KernelRecord{ID: "454c8bc3db58f3f096b9", Release: "6.1.192", SHA256: fmt.Sprintf("%064x", n/7), Label: "base: linux-source-6.1.tar.xz + 0001-base.patch"}
	r.Started = began.AddDate(0, 0, n).Add(time.Duration(number) * 10 * time.Second)
	r.Phases = nil
	for i := range 8 {
		r.Phases = append(r.Phases, results.PhaseResult{Index: i, Name: fmt.Sprintf("phase %d", i), ElapsedSeconds: 0.25,
			Stdout: strings.Repeat("Data, single: total=8388608, used=0, of many lines that tools print\n", 10)})
	}
	if number%4 == 0 {
		for _, name := range []string{"btrfs_destroy_inode", fmt.Sprintf("other_%d", n%20)} {
			rep := report(name, name == "btrfs_destroy_inode")
			rep.Text = strings.Repeat("[    4.815162] Call Trace: btrfs_destroy_inode+0x269/0x2f0\n", 35)
			rep.Trace = make([]dmesg.Frame, 12)
			r.Reports = append(r.Reports, rep)
		}
	}
	return r
}

// BenchmarkList10000 is what 'patchproof results list' does when nothing has
// changed: it opens the index, compares it with the folders, and lists.
func BenchmarkList10000(b *testing.B) {
	dir := tenThousand(b)
	first := openIndex(b, dir)
	checkCount(b, first)
	for b.Loop() {
		x, err := Open(context.Background(), dir)
		if err != nil {
			b.Fatal(err)
		}
		if list, err := x.Campaigns(context.Background(), Filter{}); err != nil || len(list) != benchNights {
			b.Fatalf("%d campaigns, %v", len(list), err)
		}
		if err := x.Close(); err != nil {
			b.Fatal(err)
		}
	}
	if perOp := b.Elapsed() / time.Duration(b.N); perOp > 300*time.Millisecond {
		b.Logf("a list takes %v, more than the 0.3 s that it may", perOp)
	}
}

// BenchmarkRebuild10000 reads all run folders anew.
func BenchmarkRebuild10000(b *testing.B) {
	x := openIndex(b, tenThousand(b))
	for b.Loop() {
		if err := x.Rebuild(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	checkCount(b, x)
}

// BenchmarkQueries10000 is what a page of trends asks.
func BenchmarkQueries10000(b *testing.B) {
	x := openIndex(b, tenThousand(b))
	ctx := context.Background()
	for name, query := range map[string]func() (int, error){
		"Fingerprints": func() (int, error) { list, err := x.Fingerprints(ctx, EventFilter{}); return len(list), err },
		"Trend": func() (int, error) {
			list, err := x.Trend(ctx, "btrfs_destroy_inode", EventFilter{})
			return len(list), err
		},
		"Cell": func() (int, error) {
			list, err := x.CellHistory(ctx, "nightly", "kernel=base workload=focused compress=0 guest.vcpus=2")
			return len(list), err
		},
		"Flaky":     func() (int, error) { list, err := x.Flaky(ctx, EventFilter{}); return len(list), err },
		"Durations": func() (int, error) { list, err := x.Durations(ctx, EventFilter{}); return len(list), err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := query(); err != nil || n == 0 {
					b.Fatalf("%d rows, %v", n, err)
				}
			}
		})
	}
}

func checkCount(b *testing.B, x *Index) {
	b.Helper()
	runs, err := x.Runs(context.Background(), RunFilter{})
	if err != nil || len(runs) != benchNights*benchCells*benchRepeat {
		b.Fatalf("%d runs, %v", len(runs), err)
	}
}
