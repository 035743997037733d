package orchestrator

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"patchproof/dmesg"
	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm"
	"patchproof/workloads"
)

const tunePlan = `name: rare
kernel: {tarball: l.tar, perturb: {paths: [fs/btrfs], share: 1/8}}
patch: fix.patch
variables: {threads: 8, events: 100000}
workload:
  name: w
  phases:
    - sysbench: {action: run, mode: rndwr, threads: "${threads}", files: 8, total_size: 1MiB, block_size: 32KiB, events: "${events}", dir: /mnt}
  signatures: [{name: bug, function: f}]
`

// tuneShow is what a made-up run shows and what it costs.
type tuneShow struct {
	outcome judge.Outcome
	print   string // of the report
	cpu     float64
}

// tuneLab is a tuning of a plan whose runs are made up.
type tuneLab struct {
	*testing.T
	*tuning
	dir string
	// show says what a run shows; n counts all runs.
	show func(k tuneSeen) tuneShow
}

// tuneSeen is what a made-up run knows of itself.
type tuneSeen struct {
	setting, threads, events string
	perturbed, post          bool
	n                        int
}

// newTuneLab has a start that is plain; perturbing is one of the knobs.
func newTuneLab(t *testing.T, show func(tuneSeen) tuneShow) *tuneLab {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "plan.yaml")
	if err := os.WriteFile(file, []byte(tunePlan), 0o644); err != nil {
		t.Fatal(err)
	}
	h := &Harness{CacheDir: filepath.Join(dir, "cache"), ResultsDir: filepath.Join(dir, "results")}
	l := &tuneLab{T: t, dir: dir, show: show, tuning: &tuning{h: h, request: Request{PlanFile: file, Perturb: "off"}, out: filepath.Join(dir, "out.yaml"),
		budget: 90 * time.Second, minGain: 5, trials: map[string]*trial{}, now: time.Now, unlock: func() {}, perturbPaths: []string{"fs/btrfs"}, startPerturb: "off", seed: 1, oldest: "6.1"}}
	l.execute = l.run
	if err := l.request.hold(); err != nil {
		t.Fatal(err)
	}
	plan, err := l.request.Plan()
	if err != nil {
		t.Fatal(err)
	}
	w, err := plan.OpenWorkload(shipped())
	if err != nil {
		t.Fatal(err)
	}
	l.base = &machine{workload: w, guest: w.Defaults, probe: vm.ProbeResult{Accel: vm.AccelTCG}, tools: workloads.Tools{SysbenchVersion: "1.0.20"}}
	kernel := func(name string) builtKernel {
		return builtKernel{name, &kernels.Image{ID: name, SHA256: name, Release: "6.1.0"}}
	}
	pert := &perturbation{paths: []string{"fs/btrfs"}, share: DefaultShare, seed: 1}
	l.pairs = map[kernelKind]*kernelPair{
		{preempt: knobKeep}:                  {pre: kernel("pre"), post: kernel("post")},
		{preempt: knobKeep, perturbed: true}: {pre: kernel("pre-p"), post: kernel("post-p"), perturb: pert},
	}
	l.knobs = append(variableKnobs(plan, w), l.otherKnobs(w, false)...)
	space := knobSpace(l.knobs, false, nil)
	if l.start, err = l.trial(t.Context(), space.Start()); err != nil {
		t.Fatal(err)
	}
	l.record = results.Campaign{Workload: "w", Pre: l.start.pre.record, Plan: []byte(tunePlan)}
	l.describe(plan)
	return l
}

// run is Harness.execute without a guest. It takes no time.
func (l *tuneLab) run(ctx context.Context, w *results.RunWriter, m *machine, s *subject) (results.Run, error) {
	r := w.Run()
	s0 := tuneSeen{setting: r.Setting, perturbed: m.perturb != nil, post: strings.HasPrefix(s.image.ID, "post"), n: r.Index}
	for _, p := range m.workload.Phases {
		s0.threads, s0.events = strconv.Itoa(p.Sysbench.Threads), strconv.Itoa(p.Sysbench.Events)
	}
	show := l.show(s0)
	if m.cpuLimit > 0 && show.cpu > m.cpuLimit || ctx.Err() != nil {
		w.MarkStopped()
		show = tuneShow{outcome: judge.Invalid, cpu: min(show.cpu, max(m.cpuLimit, 1))}
	}
	err := w.CPU(results.CPUTime{Total: show.cpu, Ready: 1})
	if show.outcome == judge.Reproduced {
		err = errors.Join(err, w.Report(results.ReportRecord{Signature: "bug", Report: dmesg.Report{Title: "WARNING in " + show.print, Fingerprint: show.print}}))
	}
	invalid := ""
	if show.outcome == judge.Invalid {
		invalid = "as told"
	}
	run, ferr := w.Finish(invalid == "", invalid)
	return run, errors.Join(err, ferr)
}

// tune carries the tuning out as Harness.Tune does.
func (l *tuneLab) tune(ctx context.Context) (results.TuneResult, error) {
	l.Helper()
	defer goleak.VerifyNone(l.T, goleak.IgnoreCurrent())
	store, err := l.h.OpenResults()
	if err != nil {
		l.Fatal(err)
	}
	l.sit(l.budget)
	if l.writer, err = store.Create(&l.record); err != nil {
		l.Fatal(err)
	}
	return l.end(ctx)
}

// end carries the tuning out from where it stands.
func (l *tuneLab) end(ctx context.Context) (results.TuneResult, error) {
	l.Helper()
	_, err := l.toItsEnd(ctx)
	// What the folder says must be what was said.
	again, rerr := results.ReadRecorded(l.writer.Dir())
	if rerr != nil {
		l.Fatal(rerr)
	}
	result := results.TuneOf(again.Campaign, again.Runs)
	if now := l.result(); result.Answer != now.Answer || result.Reason != now.Reason || again.Campaign.Tune.Answer != now.Answer || len(again.Runs) != len(l.runs) {
		l.Errorf("the folder says %s (%s), and it was %s (%s)", result.Answer, result.Reason, now.Answer, now.Reason)
	}
	return result, err
}

func (l *tuneLab) wrote() bool {
	_, err := os.Stat(l.out)
	return err == nil
}

// stages counts the runs by stage.
func (l *tuneLab) stages() map[results.TuneStage]int {
	out := map[results.TuneStage]int{}
	for i := range l.runs {
		out[l.runs[i].Stage]++
	}
	return out
}

// rare is a bug that the start never shows: it takes many threads on a perturbed
// kernel, or more luck.
func rare(k tuneSeen) tuneShow {
	cost := map[string]float64{"300": 2, "1000": 3, "3000": 5, "10000": 9, "30000": 20, "100000": 50}[k.events]
	s := tuneShow{outcome: judge.Clean, cpu: cost}
	many := k.threads == "32" || k.threads == "64"
	if !k.post && many && cost >= 3 && (k.perturbed || k.n%3 == 0) {
		s.outcome, s.print = judge.Reproduced, "f"
	}
	return s
}

func TestTuneFinds(t *testing.T) {
	l := newTuneLab(t, rare)
	got, err := l.tune(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	best := got.Rows[got.Best]
	if got.Answer != results.Tuned || best.Values["perturb"] == "off" || best.Values["events"] != "1000" || got.Gain.Low < 5 {
		t.Errorf("%s: %s", got.Answer, got.Reason)
	}
	stages := l.stages()
	if stages[results.StageStart] == 0 || stages[results.StageSearch] == 0 || stages[results.StageConfirm] < 3 || stages[results.StagePost] < 3 {
		t.Errorf("runs %v", stages)
	}
	data, err := os.ReadFile(l.out)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := workloads.LoadPlan(l.out, data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	pre, post, err := plan.Expand()
	if err != nil {
		t.Fatal(err)
	}
	if pre.Perturb == nil || pre.Perturb.Share.String() != best.Values["perturb"] || pre.Tarball != filepath.Join(l.dir, "l.tar") || len(post.Patches) != 1 {
		t.Errorf("kernels %+v and %+v", pre, post)
	}
	w, err := plan.OpenWorkload(shipped())
	if err != nil || w.Phases[0].Sysbench.Events != 1000 || w.Defaults.VCPUs == 0 || plan.Name != "rare-tuned" {
		t.Errorf("%v, workload %+v", err, w)
	}
	for _, want := range []string{"# Made by patchproof tune from plan rare", "# start: 0 of ", "# The post kernel was clean in ", "# Changed: events=1000"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the header lacks %q:\n%s", want, data)
		}
	}
	if again := l.mayWrite(); again == nil || !strings.Contains(again.Error(), "--force") {
		t.Errorf("a plan that is there could be overwritten: %v", again)
	}
}

// TestTunePostNotClean: what perturbing brings to light on the post kernel too
// cannot be taken, and what comes next is.
func TestTunePostNotClean(t *testing.T) {
	l := newTuneLab(t, func(k tuneSeen) tuneShow {
		s := rare(k)
		if k.post && k.perturbed {
			s.outcome, s.print = judge.Reproduced, "f"
		}
		return s
	})
	got, err := l.tune(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, row := range got.Rows {
		if strings.Contains(row.Refused, "the post kernel shows the bug too") {
			refused++
			if row.Values["perturb"] == "off" {
				t.Errorf("%s was refused", row.Key)
			}
		}
	}
	if refused == 0 || got.Answer == results.Tuned && got.Rows[got.Best].Values["perturb"] != "off" {
		t.Errorf("%d settings refused, %s: %s", refused, got.Answer, got.Reason)
	}
}

// TestTuneAnotherBug: reports that the start never printed do not count.
func TestTuneAnotherBug(t *testing.T) {
	l := newTuneLab(t, func(k tuneSeen) tuneShow {
		s := rare(k)
		if k.setting == results.TuneStart && k.n%4 == 0 {
			s.outcome, s.print = judge.Reproduced, "another"
		}
		return s
	})
	got, err := l.tune(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Answer != results.LittleToGain || l.wrote() || !slices.ContainsFunc(got.Rows, func(r results.TuneRow) bool { return strings.HasPrefix(r.Refused, "not the same bug") }) {
		t.Errorf("%s: %s", got.Answer, got.Reason)
	}
}

// TestTuneLittleToGain: a start that cannot be made much better, or does not need
// it, is not searched unless everything that is better is asked for.
func TestTuneLittleToGain(t *testing.T) {
	for _, tt := range []struct {
		name    string
		minGain float64
		budget  time.Duration
		reason  string // empty for a search
	}{
		{"a boot alone takes too long", 5, time.Minute, "no setting can be more than"},
		{"a verification is done before a search", 2, 5 * time.Minute, "less than a search"},
		{"a search is asked for", 1, time.Minute, ""},
	} {
		l := newTuneLab(t, func(tuneSeen) tuneShow { return tuneShow{judge.Reproduced, "f", 3} })
		l.minGain, l.budget = tt.minGain, tt.budget
		l.record.Tune.MinGain, l.record.Tune.BudgetSeconds = tt.minGain, tt.budget.Seconds()
		got, err := l.tune(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stages := l.stages()
		if got.Answer != results.LittleToGain || l.wrote() || !strings.Contains(got.Reason, tt.reason) || (stages[results.StageSearch] > 0) != (tt.reason == "") {
			t.Errorf("%s: %s: %s, runs %v", tt.name, got.Answer, got.Reason, stages)
		}
	}
}

func TestTuneNothingFound(t *testing.T) {
	l := newTuneLab(t, func(tuneSeen) tuneShow { return tuneShow{outcome: judge.Clean, cpu: 4} })
	got, err := l.tune(t.Context())
	if err != nil || got.Answer != results.NothingFound || l.wrote() {
		t.Errorf("%s: %s, %v", got.Answer, got.Reason, err)
	}
}

func TestTuneInvalidStart(t *testing.T) {
	l := newTuneLab(t, func(tuneSeen) tuneShow { return tuneShow{outcome: judge.Invalid, cpu: 4} })
	got, err := l.tune(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the start's own runs are invalid") || got.Answer != results.Incomplete || l.record.Failed == "" {
		t.Errorf("%s: %s, %v", got.Answer, got.Reason, err)
	}
}

// TestTuneInterrupted: what was measured stays, and no plan is written.
func TestTuneInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := newTuneLab(t, func(k tuneSeen) tuneShow {
		if k.n == 25 {
			cancel()
		}
		return rare(k)
	})
	got, err := l.tune(ctx)
	if err != nil || got.Answer != results.Incomplete || got.Reason != stoppedByUser || l.wrote() || len(l.runs) < 25 {
		t.Errorf("%s: %s, %v, %d runs", got.Answer, got.Reason, err, len(l.runs))
	}
}
