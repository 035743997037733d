package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm"
	"patchproof/workloads"
)

// TestMeasureJobs: perHour is what a turn of so many guests shows.
func TestMeasureJobs(t *testing.T) {
	for _, test := range []struct {
		name    string
		options JobsOptions
		perHour map[int]float64
		turns   []int
		want    int
	}{
		{"two cores", JobsOptions{Turns: 2, Runs: 4, Most: 6}, map[int]float64{1: 100, 2: 190, 3: 160}, []int{1, 2, 3, 3, 2, 1}, 2},
		{"a little less does not end it", JobsOptions{Turns: 1, Runs: 4, Most: 6}, map[int]float64{1: 100, 2: 190, 3: 185, 4: 230, 5: 150}, []int{1, 2, 3, 4, 5}, 4},
		{"the limit", JobsOptions{Turns: 1, Runs: 1, Most: 2}, map[int]float64{1: 100, 2: 190}, []int{1, 2}, 2},
		{"hardly more is not worth it", JobsOptions{Turns: 1, Runs: 4, Most: 3}, map[int]float64{1: 100, 2: 190, 3: 195}, []int{1, 2, 3}, 2},
		{"one is best", JobsOptions{Turns: 3, Runs: 1, Most: 9}, map[int]float64{1: 100, 2: 60}, []int{1, 2, 2, 1, 1, 2}, 1},
	} {
		var b JobsBench
		var turns []int
		err := b.measure(t.Context(), test.options, func(_ context.Context, jobs, runs int) (JobsLevel, error) {
			turns = append(turns, jobs)
			if runs < test.options.Runs || runs%jobs != 0 || runs >= test.options.Runs+jobs {
				t.Errorf("%s: a turn of %d guests has %d runs", test.name, jobs, runs)
			}
			return JobsLevel{Runs: runs, Reproduced: 1, Seconds: float64(runs) * 3600 / test.perHour[jobs]}, nil
		})
		if err != nil || b.Jobs != test.want || !reflect.DeepEqual(turns, test.turns) {
			t.Errorf("%s: %d guests, turns %v, %v", test.name, b.Jobs, turns, err)
		}
		for _, l := range b.Levels {
			if diff := l.RunsPerHour - test.perHour[l.Jobs]; diff > 1e-6 || diff < -1e-6 || l.Reproduced != test.options.Turns || l.ReproductionsPerHour <= 0 {
				t.Errorf("%s: %+v", test.name, l)
			}
		}
	}
}

func TestMeasureJobsFails(t *testing.T) {
	b := JobsBench{Folder: "/r"}
	full := errors.New("full")
	err := b.measure(t.Context(), JobsOptions{Turns: 1, Runs: 1, Most: 4}, func(context.Context, int, int) (JobsLevel, error) { return JobsLevel{}, full })
	if err != full || len(b.Levels) != 1 {
		t.Errorf("%v after %+v", err, b.Levels)
	}
	b = JobsBench{Folder: "/r"}
	err = b.measure(t.Context(), JobsOptions{Turns: 1, Runs: 1, Most: 2}, func(context.Context, int, int) (JobsLevel, error) {
		return JobsLevel{Invalid: 1, Seconds: 1}, nil
	})
	if err == nil || b.Jobs != 0 || !strings.Contains(err.Error(), "/r") {
		t.Errorf("only invalid runs: %d guests, %v", b.Jobs, err)
	}
}

func TestJobsTurn(t *testing.T) {
	defer goleak.VerifyNone(t)
	var mu sync.Mutex
	now, most, n := 0, 0, 0
	full := make(chan struct{})
	level, err := jobsTurn(t.Context(), 3, 9, func() (func(context.Context) (results.Run, error), error) {
		n++
		outcome := []judge.Outcome{judge.Clean, judge.Reproduced, judge.Invalid}[n%3]
		return func(context.Context) (results.Run, error) {
			mu.Lock()
			now++
			most = max(most, now)
			if now == 3 && n == 3 {
				close(full)
			}
			mu.Unlock()
			<-full // the first three run at a time
			mu.Lock()
			defer mu.Unlock()
			now--
			return results.Run{Outcome: outcome}, nil
		}, nil
	})
	if err != nil || most != 3 || level.Runs != 6 || level.Reproduced != 3 || level.Invalid != 3 || level.Seconds <= 0 {
		t.Errorf("%+v with %d at a time, %v", level, most, err)
	}
}

func TestInParallelStops(t *testing.T) {
	defer goleak.VerifyNone(t)
	broken := errors.New("broken")
	begun := 0
	err := inParallel(t.Context(), 100, 2, func(i int) (func(context.Context) error, error) {
		begun++
		return func(ctx context.Context) error {
			if i == 1 {
				return broken
			}
			<-ctx.Done()
			return nil
		}, nil
	})
	if err != broken || begun > 3 {
		t.Errorf("%v after %d", err, begun)
	}
	begun = 0
	err = inParallel(t.Context(), 3, 1, func(int) (func(context.Context) error, error) { begun++; return nil, broken })
	if err != broken || begun != 1 {
		t.Errorf("%v after %d that could not start", err, begun)
	}
}

// jobsHarness has a cache and collects notes.
func jobsHarness(t *testing.T) (h *Harness, notes *[]string) {
	notes = new([]string)
	return &Harness{CacheDir: t.TempDir(), ResultsDir: t.TempDir(), Events: func(e Event) { *notes = append(*notes, e.Message) }}, notes
}

func TestMeasuredJobs(t *testing.T) {
	if _, err := vm.FindQEMU(""); err != nil {
		t.Skip("the accelerator is asked of QEMU, which is not here")
	}
	h, notes := jobsHarness(t)
	g := workloads.Guest{VCPUs: 2, Memory: 64 << 20, Accel: "tcg"}
	usual := h.defaultJobs(t.Context(), g)
	if usual < 1 || h.needs(t.Context(), 0)(g).cpus != 2 {
		t.Errorf("not measured: %d guests", usual)
	}
	if f := h.checkJobs(); f.OK || f.Needed || !strings.Contains(f.Detail, "bench jobs") {
		t.Errorf("not measured: %+v", f)
	}
	b := &JobsBench{JobsKey: thisHost(vm.AccelTCG, g), Jobs: 5, Levels: []JobsLevel{{Jobs: 5, Runs: 10}}}
	if err := h.keepJobs(b); err != nil {
		t.Fatal(err)
	}
	if got := h.defaultJobs(t.Context(), g); got != 5 {
		t.Errorf("measured 5, used %d", got)
	}
	if r := h.needs(t.Context(), 0)(g); r.share != 0.2 || r.cpus != 0 || r.guests != 1 {
		t.Errorf("a run needs %+v", r)
	}
	if r := h.needs(t.Context(), 4)(g); r.share != 0.25 {
		t.Errorf("with --jobs 4 a run needs %+v", r)
	}
	if f := h.checkJobs(); !f.OK || !strings.Contains(f.Detail, "5 for guests of 2 vCPUs, 64 MiB under tcg") {
		t.Errorf("measured: %+v", f)
	}
	other := g
	other.VCPUs = 1
	if got := h.measuredJobs(t.Context(), other); got != 0 || len(*notes) != 0 {
		t.Errorf("other guests: %d, notes %q", got, *notes)
	}
}

// TestMeasuredJobsDamaged: a file that says nothing of use is passed over, and a
// line says so.
func TestMeasuredJobsDamaged(t *testing.T) {
	if _, err := vm.FindQEMU(""); err != nil {
		t.Skip("the accelerator is asked of QEMU, which is not here")
	}
	g := workloads.Guest{VCPUs: 1, Memory: 64 << 20, Accel: "tcg"}
	key := thisHost(vm.AccelTCG, g)
	elsewhere := key
	elsewhere.Cores += 30
	encode := func(b JobsBench) string {
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for name, text := range map[string]string{
		"empty": "", "cut": `{"jobs": 3`, "none": encode(JobsBench{JobsKey: key}), "too many": encode(JobsBench{JobsKey: key, Jobs: 1 << 20}),
		"another host's": encode(JobsBench{JobsKey: elsewhere, Jobs: 3}),
	} {
		h, notes := jobsHarness(t)
		if err := h.keepJobs(&JobsBench{JobsKey: key, Jobs: 3}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(h.jobsFile(key), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := h.measuredJobs(t.Context(), g); got != 0 || len(*notes) != 1 || !strings.Contains((*notes)[0], "bench jobs") {
			t.Errorf("%s: %d guests, notes %q", name, got, *notes)
		}
		if f := h.checkJobs(); f.OK {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestJobsOptions(t *testing.T) {
	all, g := room{cpus: 4, memMiB: 2048}, workloads.Guest{VCPUs: 1, Memory: 512 << 20}
	o, err := JobsOptions{}.withDefaults(all, g)
	if err != nil || o != (JobsOptions{Turns: 3, Runs: 4, Most: 4}) {
		t.Errorf("%+v, %v; want as many as have memory", o, err)
	}
	var input *InputError
	if _, err := (JobsOptions{Most: 5}).withDefaults(all, g); !errors.As(err, &input) || !strings.Contains(err.Error(), "at most 4 do") {
		t.Errorf("more guests than have memory: %v", err)
	}
	for _, bad := range []JobsOptions{{Turns: -1}, {Runs: -1}, {Most: -2}, {Most: 5000}} {
		if err := bad.check(); !errors.As(err, &input) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
