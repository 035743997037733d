package orchestrator

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

// newResumeLab is a tuneLab in which what a run shows depends on its setting
// alone, one run goes at a time, and hardly any time passes.
func newResumeLab(t *testing.T) *tuneLab {
	t.Helper()
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm") // waiting for a disk would take most of the time
	}
	l := newTuneLab(t, func(k tuneSeen) tuneShow {
		k.n = 1
		return rare(k)
	})
	l.request.Jobs, l.record.Tune.Request = 1, []byte(`{}`)
	begin := time.Now()
	l.now = func() time.Time { return begin.Add(time.Since(begin) / 1_000_000) }
	return l
}

// resume goes on with the campaign in dir.
func (l *tuneLab) resume(ctx context.Context, dir string, budget time.Duration) (results.TuneResult, error) {
	l.Helper()
	writer, old, runs, err := results.Reopen(dir)
	if err != nil {
		l.Fatal(err)
	}
	if err := results.Resumable(old, budget); err != nil {
		l.Fatal(err)
	}
	if err := l.takeUp(old, runs); err != nil {
		l.Fatal(err)
	}
	l.writer = writer
	l.sit(budget)
	if err := l.update(); err != nil {
		l.Fatal(err)
	}
	return l.end(ctx)
}

// evidence counts the runs that count by setting and stage.
func (l *tuneLab) evidence() map[string]int {
	out := map[string]int{}
	for i := range l.runs {
		if l.record.Tune.Counts(&l.runs[i]) {
			out[l.runs[i].Setting+", "+string(l.runs[i].Stage)]++
		}
	}
	return out
}

// files reads the records of the runs in a campaign's folder, those that have
// ended only.
func runFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "run.json" {
			return err
		}
		for _, name := range []string{"run.json", "run.jsonl"} {
			file := filepath.Join(filepath.Dir(path), name)
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, file)
			if err != nil {
				return err
			}
			out[rel] = data
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTuneResume kills a tuning at the beginning of every run, which is then in
// flight, and goes on: the answer is the same, from the same runs, and the
// records of those that had ended are as they were.
func TestTuneResume(t *testing.T) {
	l := newResumeLab(t)
	copies := t.TempDir()
	var folders []string
	l.execute = func(ctx context.Context, w *results.RunWriter, m *machine, s *subject) (results.Run, error) {
		to := filepath.Join(copies, fmt.Sprintf("%03d", len(folders)+1))
		if err := os.CopyFS(to, os.DirFS(l.writer.Dir())); err != nil {
			t.Error(err)
		}
		folders = append(folders, to)
		return l.run(ctx, w, m, s)
	}
	want, err := l.tune(t.Context())
	if err != nil || want.Answer != results.Tuned {
		t.Fatalf("%s: %s, %v", want.Answer, want.Reason, err)
	}
	stages := l.stages()
	if len(folders) != len(l.runs) || stages[results.StageSearch] < 50 || stages[results.StagePost] < 10 {
		t.Fatalf("%d copies of %d runs, %v", len(folders), len(l.runs), stages)
	}
	for n := 0; n < len(folders); n += 11 {
		dir := folders[n]
		t.Run(filepath.Base(dir), func(t *testing.T) {
			before := runFiles(t, dir)
			again := newResumeLab(t)
			got, err := again.resume(t.Context(), dir, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got.Answer != want.Answer || got.Rows[got.Best].Key != want.Rows[want.Best].Key || got.Gain != want.Gain || !again.wrote() {
				t.Errorf("%s: %s; want %s", got.Answer, got.Reason, want.Reason)
			}
			if e, all := again.evidence(), l.evidence(); !reflect.DeepEqual(e, all) {
				maps.DeleteFunc(e, func(k string, n int) bool { return all[k] == n })
				t.Errorf("other runs than without a break: %v", e)
			}
			if len(again.runs) != len(l.runs)+1 {
				t.Errorf("%d runs, want %d and the one in flight", len(again.runs), len(l.runs))
			}
			after := runFiles(t, dir)
			for name, data := range before {
				if !bytes.Equal(after[name], data) {
					t.Errorf("%s has changed", name)
				}
			}
		})
	}
}

// TestTuneResumeInterrupted: what a signal ended is done again, and counts no
// more; another budget than that which was left brings another round of settings.
func TestTuneResumeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := newResumeLab(t)
	show := l.show
	l.show = func(k tuneSeen) tuneShow {
		if k.n == 40 {
			cancel()
		}
		return show(k)
	}
	got, err := l.tune(ctx)
	if err != nil || got.Answer != results.Incomplete || len(l.sitting().InFlight) != 1 {
		t.Fatalf("%s: %s, %v, in flight %v", got.Answer, got.Reason, err, l.sitting().InFlight)
	}
	dir := l.writer.Dir()
	cut := l.runs[len(l.runs)-1]
	if !l.record.Tune.Counts(&cut) {
		t.Error("the run that was cut is not shown")
	}
	again := newResumeLab(t)
	if got, err = again.resume(t.Context(), dir, 0); err != nil || got.Answer != results.Tuned {
		t.Fatalf("%s: %s, %v", got.Answer, got.Reason, err)
	}
	if again.record.Tune.Counts(&cut) || again.record.Stopped != "" || len(again.record.Tune.Sittings) != 2 {
		t.Errorf("the cut run counts still, or %q, %+v", again.record.Stopped, again.record.Tune.Sittings)
	}
	if next := again.runs[len(l.runs)]; next.Setting != cut.Setting || next.Stage != cut.Stage {
		t.Errorf("after %s, %s came %s, %s", cut.Setting, cut.Stage, next.Setting, next.Stage)
	}
	if err := results.Resumable(&again.record, time.Hour); err == nil || !strings.Contains(err.Error(), "has ended, and its plan is") {
		t.Errorf("a tuning that has its plan: %v", err)
	}
}

// TestTuneResumeLonger: a tuning that found nothing searches among other settings
// with another budget.
func TestTuneResumeLonger(t *testing.T) {
	l := newResumeLab(t)
	l.show = func(tuneSeen) tuneShow { return tuneShow{outcome: judge.Clean, cpu: 4} }
	got, err := l.tune(t.Context())
	if err != nil || got.Answer != results.NothingFound {
		t.Fatalf("%s: %s, %v", got.Answer, got.Reason, err)
	}
	settings, rungs := len(l.record.Tune.Settings), len(l.record.Tune.Rungs)
	again := newResumeLab(t)
	again.show = func(k tuneSeen) tuneShow {
		s := tuneShow{outcome: judge.Clean, cpu: 4}
		if !k.post && k.n > len(l.runs)+1 {
			s.outcome, s.print = judge.Reproduced, "f"
		}
		return s
	}
	if err := results.Resumable(&l.record, 0); err == nil || !strings.Contains(err.Error(), "--budget") {
		t.Errorf("without more time: %v", err)
	}
	if got, err = again.resume(t.Context(), l.writer.Dir(), time.Minute); err != nil || got.Answer != results.Tuned {
		t.Fatalf("%s: %s, %v", got.Answer, got.Reason, err)
	}
	record := again.record.Tune
	if len(record.Settings) <= settings || len(record.Rungs) <= rungs || !record.Rungs[rungs].Again || got.Start().Search.Runs != tuneStartRuns {
		t.Errorf("%d settings after %d, rungs %+v, start %+v", len(record.Settings), settings, record.Rungs, got.Start().Search)
	}
}

// TestTuneResumeLeftOut: a setting that was left out stays out.
func TestTuneResumeLeftOut(t *testing.T) {
	l := newResumeLab(t)
	delete(l.pairs, kernelKind{preempt: knobKeep, perturbed: true}) // and there is no tarball to build it from
	got, err := l.tune(t.Context())
	if err != nil || got.Answer == results.Tuned || len(l.record.Tune.LeftOut) != 1 {
		t.Fatalf("%s: %s, %v, left out %v", got.Answer, got.Reason, err, l.record.Tune.LeftOut)
	}
	again := newResumeLab(t)
	if _, err = again.resume(t.Context(), l.writer.Dir(), time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, k := range again.knobs {
		if k.name == workloads.KnobPerturb && len(k.values) != 1 {
			t.Errorf("knob %+v is turned again", k)
		}
	}
	for _, r := range again.runs {
		if strings.Contains(r.Setting, "perturb=1") {
			t.Errorf("run %s was of %s", r.ID, r.Setting)
		}
	}
}

// TestTuneResumeRefused: runs that cannot be counted with those of the record.
func TestTuneResumeRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*results.Campaign)
		want   string
	}{
		{"kernels", func(c *results.Campaign) { c.Pre.SHA256 = "x" }, "its kernels are others now"},
		{"machine", func(c *results.Campaign) { c.Host.Accel = "kvm" }, "under kvm, and now"},
		{"plan", func(c *results.Campaign) { c.Plan = append(c.Plan, "max_runs: 7\n"...) }, "its plan or workload has changed"},
		{"knobs", func(c *results.Campaign) { c.Tune.Knobs = c.Tune.Knobs[1:] }, "its knobs are others now"},
		{"knob's values", func(c *results.Campaign) { c.Tune.Knobs[0].Values = []string{"7"} }, "it had events with the values 7"},
		{"nothing but the guests at a time", func(c *results.Campaign) { c.Plan = append(c.Plan, "jobs: 7\n"...) }, ""},
	} {
		l := newResumeLab(t)
		old, record := l.record, *l.record.Tune
		old.Plan, old.Tune = bytes.Clone(old.Plan), &record
		tt.change(&old)
		err := l.takeUp(&old, nil)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestKeptRequest: what was asked for comes back, whatever the current folder is.
func TestKeptRequest(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("p.yaml", []byte(tunePlan), 0o644); err != nil {
		t.Fatal(err)
	}
	counts := true
	asked := TuneRequest{Request: Request{PlanFile: "p.yaml", Workload: "./w.yaml", Variables: map[string]string{"threads": "4"}, Jobs: 3, Perturb: "auto:1/4", Budget: time.Minute,
		Guest: workloads.Guest{VCPUs: 1, Memory: 2 * workloads.GiB, Icount: &counts, Append: []string{"quiet"}}},
		Knobs: workloads.Knobs{"events": {"1", "2"}, workloads.KnobVCPUs: {}}, MinGain: 3, Force: true}
	tuning := tuning{request: asked.Request, out: "rare-tuned.yaml"}
	if err := tuning.request.hold(); err != nil {
		t.Fatal(err)
	}
	data, err := tuning.keptRequest(asked)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove("p.yaml"); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	got, err := readKeptRequest(data)
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := got.Plan(); err != nil || plan.Name != "rare" || plan.Patch[0] != filepath.Join(dir, "fix.patch") {
		t.Errorf("plan %+v, %v", plan, err)
	}
	want := asked
	want.PlanFile, want.Workload, want.Out, want.held = filepath.Join(dir, "p.yaml"), filepath.Join(dir, "w.yaml"), filepath.Join(dir, "rare-tuned.yaml"), got.held
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, err := readKeptRequest([]byte(`[]`)); err == nil {
		t.Error("a list passes for a request")
	}
}
