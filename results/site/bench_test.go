package site

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"patchproof/results"
	"patchproof/results/site/sitetest"
)

// manyRuns is a results folder with 70 nights of 144 runs: 10,080 runs. All
// nights share the files of the first.
func manyRuns(b *testing.B) (*sitetest.Store, *results.Campaign) {
	b.Helper()
	s := sitetest.New(b)
	first := s.Night(0, sitetest.Matrix(0, 2, 4, 2), sitetest.Usual)
	last := *first
	for night := 1; night < 70; night++ {
		last.Started = first.Started.AddDate(0, 0, night)
		last.ID = fmt.Sprintf("%s-nightly-%06d", last.Started.Format("20060102T150405Z"), night)
		last.Dir = filepath.Join(s.Dir(), last.ID)
		data, err := json.Marshal(last)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(last.Dir, "run"), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(last.Dir, "campaign.json"), data, 0o644); err != nil {
			b.Fatal(err)
		}
		linkRuns(b, first.Dir, last.Dir)
	}
	return s, &last
}

func linkRuns(b *testing.B, from, to string) {
	b.Helper()
	paths, err := results.RunPaths(from)
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range paths {
		if err := os.Mkdir(filepath.Join(to, path), 0o755); err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{eventsName, "run.json", consoleName} {
			if err := os.Link(filepath.Join(from, path, name), filepath.Join(to, path, name)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// cpuTime is what the process has used so far. Other figures of a benchmark say
// little on a machine that is busy with guests.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// timed runs f for the time of the benchmark.
func timed(b *testing.B, f func()) {
	begin := cpuTime(b)
	n := 0
	for b.Loop() {
		f()
		n++
	}
	b.ReportMetric(float64(cpuTime(b)-begin)/float64(n)/1e6, "cpu-ms/op")
}

// BenchmarkPages draws pages of a folder with 10,080 runs: each as when it is
// asked for the first time, and again.
func BenchmarkPages(b *testing.B) {
	s, last := manyRuns(b)
	site := openSite(b, s, Options{Live: true})
	for _, page := range []struct{ name, path string }{
		{"index", indexName},
		{"matrix", "c/" + last.ID + "/" + indexName},
		{"cell", "c/" + last.ID + "/" + cellFile(last.Matrix.Cells[1].Key)},
		{"run", "c/" + last.ID + "/run-004.html"},
	} {
		b.Run(page.name+"/first", func(b *testing.B) {
			timed(b, func() {
				site.cache = newCache()
				if err := site.Refresh(context.Background()); err != nil {
					b.Fatal(err)
				}
				drawn(b, site, page.path)
			})
		})
		b.Run(page.name+"/again", func(b *testing.B) {
			timed(b, func() { drawn(b, site, page.path) })
		})
	}
}

// BenchmarkWrite writes the site of 10,080 runs into a folder that has it
// already but for the last night.
func BenchmarkWrite(b *testing.B) {
	s, last := manyRuns(b)
	aside := filepath.Join(filepath.Dir(s.Dir()), "aside")
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			b.Fatal(err)
		}
	}
	out := filepath.Join(b.TempDir(), "site")
	move(last.Dir, aside)
	writeSite(b, s, out, Options{})
	move(aside, last.Dir)
	for b.Loop() {
		w := writeSite(b, s, out, Options{})
		b.ReportMetric(float64(w.Changed), "files")
		b.StopTimer()
		move(last.Dir, aside)
		writeSite(b, s, out, Options{})
		move(aside, last.Dir)
		b.StartTimer()
	}
}
