package orchestrator

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"patchproof/dmesg"
	"patchproof/kernels"
	"patchproof/results"
	"patchproof/vm"
	"patchproof/workloads"
)

// fakeKernel writes what passes for a bzImage: boot protocol 2.07 and a version.
func fakeKernel(t *testing.T, dir, name string) {
	t.Helper()
	b := make([]byte, 1024)
	le := binary.LittleEndian
	b[0x1f1] = 1
	le.PutUint16(b[0x1fe:], 0xaa55)
	copy(b[0x202:], "HdrS")
	le.PutUint16(b[0x206:], 0x207)
	le.PutUint16(b[0x20e:], 0x300-0x200)
	b[0x211] = 1
	copy(b[0x300:], "6.1.0-"+name+" (a@b) #1\x00")
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

const testMatrix = `name: m
kernels: [{name: base, image: base}, {name: fixed, image: fixed}]
workloads:
  - workload:
      name: w
      phases: [{mount: {fs: btrfs}}, {sync: }]
      signatures: [{name: bug, function: f}]
axes: {mount: [zlib: [compress=zlib], none: []]}
repeat: 2
`

// fakeRunner is a cellRunner without kernels and guests. What a run shows is
// told by outcome.
type fakeRunner struct {
	t       *testing.T
	buildOf func(ctx context.Context, k *matrixKernel) error
	outcome func(cell string, n int) string // bug, other, invalid or clean; n counts the cell's runs of this runner

	mu      sync.Mutex
	n       map[string]int
	now     int // guests at a time
	most    int
	started chan string // gets every cell when not nil
	hold    chan struct{}
	order   []string

	forks func(cell string, look bool) error // what fork answers; nil: never asked
	took  int                                // cells that have saved machines
}

func (f *fakeRunner) build(ctx context.Context, k *matrixKernel, _ int) (*kernels.Image, error) {
	if f.buildOf != nil {
		if err := f.buildOf(ctx, k); err != nil {
			return nil, err
		}
	}
	return &kernels.Image{ID: k.id, Release: "6.1.0-" + k.name, SHA256: k.id}, nil
}

func (f *fakeRunner) ready(_ context.Context, w *workloads.Workload, k *matrixKernel) (*machine, *subject, error) {
	return &machine{workload: w, guest: w.Defaults, probe: vm.ProbeResult{Accel: vm.AccelTCG}}, &subject{image: k.image}, nil
}

func (f *fakeRunner) run(ctx context.Context, w *results.RunWriter, c *matrixCell) (results.Run, error) {
	cell := w.Run().Cell
	f.mu.Lock()
	f.now++
	f.most = max(f.most, f.now)
	f.n[cell]++
	n := f.n[cell]
	f.order = append(f.order, cell)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now--
		f.mu.Unlock()
	}()
	if f.hold != nil {
		f.started <- cell
		select {
		case <-f.hold:
		case <-ctx.Done():
			w.MarkStopped()
			return w.Finish(false, "stopped before its end")
		}
	}
	outcome := "clean"
	if f.outcome != nil {
		outcome = f.outcome(cell, n)
	}
	invalid := ""
	switch outcome {
	case "bug", "other":
		rep := results.ReportRecord{Report: dmesg.Report{Title: "WARNING in " + outcome, Function: "f", Fingerprint: outcome}}
		if outcome == "bug" {
			rep.Signature = "bug"
		}
		if err := w.Report(rep); err != nil {
			f.t.Error(err)
		}
	case "invalid":
		invalid = "no SSH server"
	}
	return w.Finish(invalid == "", invalid)
}

func (f *fakeRunner) fork(_ context.Context, c *matrixCell, look bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.forks(c.record.Key, look); err != nil {
		return err
	}
	f.took++
	c.machine.forked, c.subject.forks = true, &forks{first: results.ForkRecord{After: "umount"}}
	return nil
}

// lab is a results folder, a cache and a plan.
type lab struct {
	*testing.T
	h    *Harness
	plan string
}

func newLab(t *testing.T, text string) *lab {
	t.Helper()
	dir := t.TempDir()
	fakeKernel(t, dir, "base")
	fakeKernel(t, dir, "fixed")
	plan := filepath.Join(dir, "plan.yaml")
	if err := os.WriteFile(plan, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return &lab{t, &Harness{CacheDir: filepath.Join(dir, "cache"), ResultsDir: filepath.Join(dir, "results")}, plan}
}

func (l *lab) fake() *fakeRunner { return &fakeRunner{t: l.T, n: map[string]int{}} }

// run carries a new campaign out with a fake runner.
func (l *lab) run(ctx context.Context, r MatrixRequest, f *fakeRunner) *MatrixResult {
	l.Helper()
	r.PlanFile = l.plan
	m, err := l.h.beginMatrix(ctx, r)
	return l.carryOut(ctx, m, err, f)
}

func (l *lab) resume(ctx context.Context, dir string, f *fakeRunner) *MatrixResult {
	l.Helper()
	m, err := l.h.reopenMatrix(ctx, dir, MatrixRequest{})
	return l.carryOut(ctx, m, err, f)
}

func (l *lab) carryOut(ctx context.Context, m *matrix, err error, f *fakeRunner) *MatrixResult {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
	m.runner = f
	result, err := m.carryOut(ctx)
	if err != nil {
		l.Fatal(err)
	}
	return result
}

// states are those of the cells, in their order, with the valid runs.
func states(r *MatrixResult) string {
	var out []string
	for _, c := range r.Cells {
		out = append(out, fmt.Sprintf("%s/%d", c.State, c.Counts.Valid()))
	}
	return strings.Join(out, " ")
}

// stored loads the campaign's folder again and returns the states that it says.
func (l *lab) stored(dir string) string {
	l.Helper()
	c, runs, err := results.Load(dir)
	if err != nil {
		l.Fatal(err)
	}
	return states(&MatrixResult{Cells: results.Cells(c, runs)})
}

// baseFails is the outcome of a race that compression on the base kernel shows.
func baseFails(cell string, _ int) string {
	if strings.HasPrefix(cell, "kernel=base") && strings.HasSuffix(cell, "mount=zlib") {
		return "bug"
	}
	return "clean"
}

func TestMatrix(t *testing.T) {
	defer goleak.VerifyNone(t)
	l := newLab(t, testMatrix)
	f := l.fake()
	f.outcome = baseFails
	r := l.run(t.Context(), MatrixRequest{Jobs: 1}, f)
	const want = "failing/2 passing/2 passing/2 passing/2"
	if got := states(r); got != want || l.stored(r.Campaign.Dir) != want {
		t.Errorf("cells %s, stored %s, want %s", got, l.stored(r.Campaign.Dir), want)
	}
	if f.most != 1 {
		t.Errorf("%d guests at a time, want 1", f.most)
	}
	if k := r.Cells[2].Cell.Kernel; k.Release != "6.1.0-fixed" || k.SHA256 == "" || !strings.HasPrefix(k.Label, "fixed: ") {
		t.Errorf("kernel %+v", k)
	}
	if len(r.New) != 1 || r.New[0].Cell != r.Cells[0].Cell.Key || !r.First {
		t.Errorf("new %+v, first %v", r.New, r.First)
	}
	for on, want := range map[FailOn]MatrixVerdict{FailOnAny: MatrixFailing, FailOnNew: MatrixFailing, FailOnNone: MatrixTolerated} {
		if got := r.Verdict(on); got != want {
			t.Errorf("--fail-on %s: %s, want %s", on, got, want)
		}
	}
	// Every cell of a kernel has its first run before one has its second. Runs of
	// the first kernel do not wait for the second to be built.
	for _, kernel := range []string{"kernel=base", "kernel=fixed"} {
		runs := slices.DeleteFunc(slices.Clone(f.order), func(cell string) bool { return !strings.HasPrefix(cell, kernel) })
		if len(runs) != 4 || runs[0] == runs[1] {
			t.Errorf("order of the runs: %v", f.order)
		}
	}
}

// TestMatrixBuildsBesideGuests: the second kernel is not ready before a guest of
// the first has run.
func TestMatrixBuildsBesideGuests(t *testing.T) {
	defer goleak.VerifyNone(t)
	l := newLab(t, testMatrix)
	f := l.fake()
	f.started, f.hold = make(chan string, 16), make(chan struct{})
	f.buildOf = func(ctx context.Context, k *matrixKernel) error {
		if k.name == "fixed" {
			cell := <-f.started
			if !strings.HasPrefix(cell, "kernel=base") {
				t.Errorf("%s runs before its kernel is built", cell)
			}
			close(f.hold)
		}
		return nil
	}
	if got := states(l.run(t.Context(), MatrixRequest{}, f)); got != "passing/2 passing/2 passing/2 passing/2" {
		t.Errorf("cells %s", got)
	}
}

func TestMatrixRetries(t *testing.T) {
	l := newLab(t, testMatrix+"retries: 1\n")
	f := l.fake()
	f.outcome = func(cell string, n int) string {
		if strings.HasPrefix(cell, "kernel=fixed") || cell == "kernel=base workload=w mount=none" && n == 1 {
			return "invalid"
		}
		return "clean"
	}
	r := l.run(t.Context(), MatrixRequest{}, f)
	if got := states(r); got != "passing/2 passing/2 invalid/0 invalid/0" {
		t.Errorf("cells %s", got)
	}
	if c := r.Cells[1]; c.Cell.Retries != 1 || c.Counts.Invalid != 1 {
		t.Errorf("a run that was made up for: %+v", c)
	}
	if c := r.Cells[2]; c.Cell.Retries != 1 || c.Counts.Invalid < 2 {
		t.Errorf("retries are used up: %+v", c)
	}
	if v := r.Verdict(FailOnAny); v != MatrixBroken {
		t.Errorf("verdict %s", v)
	}
}

func TestMatrixKernelThatDoesNotBuild(t *testing.T) {
	l := newLab(t, testMatrix)
	f := l.fake()
	f.buildOf = func(_ context.Context, k *matrixKernel) error {
		if k.name == "base" {
			return errors.New("fs/a.c:1: error: no\nmore lines")
		}
		return nil
	}
	r := l.run(t.Context(), MatrixRequest{}, f)
	if got := states(r); got != "skipped/0 skipped/0 passing/2 passing/2" || r.Verdict(FailOnNone) != MatrixBroken {
		t.Errorf("cells %s, verdict %s", got, r.Verdict(FailOnNone))
	}
	if s := r.Cells[0].Cell.Skipped; s != "kernel did not build: fs/a.c:1: error: no" {
		t.Errorf("skipped: %q", s)
	}
	// A resumed campaign tries again.
	if got := states(l.resume(t.Context(), r.Campaign.Dir, l.fake())); got != "passing/2 passing/2 passing/2 passing/2" {
		t.Errorf("resumed: %s", got)
	}
}

func TestMatrixStopsAtTheFirst(t *testing.T) {
	l := newLab(t, testMatrix+"stop: first\n")
	f := l.fake()
	f.outcome = baseFails
	if got := states(l.run(t.Context(), MatrixRequest{Jobs: 1}, f)); got != "failing/1 passing/2 passing/2 passing/2" {
		t.Errorf("cells %s", got)
	}
}

func TestMatrixLimits(t *testing.T) {
	l := newLab(t, testMatrix)
	r := l.run(t.Context(), MatrixRequest{MaxRuns: 3, Jobs: 1}, l.fake())
	if got := states(r); got != "passing/1 passing/1 passing/1 skipped/0" || r.Verdict(FailOnAny) != MatrixIncomplete {
		t.Errorf("cells %s, verdict %s", got, r.Verdict(FailOnAny))
	}
	if s := r.Cells[3].Cell.Skipped; s != "the limit of 3 runs is reached" || r.Campaign.Stopped != s {
		t.Errorf("skipped %q, stopped %q", s, r.Campaign.Stopped)
	}
	r = l.resume(t.Context(), r.Campaign.Dir, l.fake())
	if got := states(r); got != "passing/2 passing/2 passing/2 passing/2" || r.Campaign.Stopped != "" || len(r.Runs) != 8 {
		t.Errorf("resumed: %s, %d runs, stopped %q", got, len(r.Runs), r.Campaign.Stopped)
	}
}

func TestMatrixBudget(t *testing.T) {
	l := newLab(t, testMatrix+"budget: 10ms\n")
	f := l.fake()
	f.started, f.hold = make(chan string, 16), make(chan struct{})
	go func() {
		<-f.started
		time.Sleep(50 * time.Millisecond)
		close(f.hold)
	}()
	r := l.run(t.Context(), MatrixRequest{Jobs: 1}, f)
	if r.Campaign.Stopped != "the time budget of 10ms is used up" || len(r.Runs) != 1 || r.Runs[0].Stopped || r.Verdict(FailOnAny) != MatrixIncomplete {
		t.Errorf("stopped %q after %d runs", r.Campaign.Stopped, len(r.Runs))
	}
}

// TestMatrixResume breaks a campaign off in the middle and goes on: no run that
// has ended is done again.
func TestMatrixResume(t *testing.T) {
	defer goleak.VerifyNone(t)
	l := newLab(t, testMatrix)
	f := l.fake()
	f.outcome = baseFails
	f.started, f.hold = make(chan string, 16), make(chan struct{}, 16)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for range 3 {
			<-f.started
			f.hold <- struct{}{}
		}
		<-f.started
		cancel()
	}()
	r := l.run(ctx, MatrixRequest{Jobs: 1}, f)
	if r.Campaign.Stopped != stoppedByUser || r.Verdict(FailOnNone) != MatrixIncomplete || r.Cells[0].Cell.Skipped != "" {
		t.Errorf("%q, %s, %q", r.Campaign.Stopped, r.Verdict(FailOnNone), r.Cells[0].Cell.Skipped)
	}
	again := l.fake()
	again.outcome = baseFails
	r = l.resume(t.Context(), r.Campaign.Dir, again)
	const want = "failing/2 passing/2 passing/2 passing/2"
	if got := states(r); got != want || l.stored(r.Campaign.Dir) != want {
		t.Errorf("cells %s, want %s", got, want)
	}
	done := 0
	for _, n := range again.n {
		done += n
	}
	if done != 5 {
		t.Errorf("%d runs after the break, want 8 less the 3 that had ended", done)
	}
	// There is nothing left to do.
	idle := l.fake()
	if l.resume(t.Context(), r.Campaign.Dir, idle); len(idle.n) != 0 {
		t.Errorf("runs again: %v", idle.n)
	}
}

func TestMatrixResumeErrors(t *testing.T) {
	l := newLab(t, testMatrix)
	dir := l.run(t.Context(), MatrixRequest{}, l.fake()).Campaign.Dir
	unlock, err := lockCampaign(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.h.reopenMatrix(t.Context(), dir, MatrixRequest{}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a campaign that is being worked on: %v", err)
	}
	unlock()
	if _, err := l.h.reopenMatrix(t.Context(), t.TempDir(), MatrixRequest{}); err == nil || !strings.Contains(err.Error(), "name the folder of a campaign") {
		t.Errorf("not a campaign: %v", err)
	}
	fakeKernel(t, filepath.Dir(l.plan), "other")
	if err := os.Rename(filepath.Join(filepath.Dir(l.plan), "other"), filepath.Join(filepath.Dir(l.plan), "base")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.h.reopenMatrix(t.Context(), dir, MatrixRequest{}); err == nil || !strings.Contains(err.Error(), "has changed since campaign") {
		t.Errorf("another kernel: %v", err)
	}
	if _, err := l.h.Resume(t.Context(), MatrixRequest{PlanFile: dir, Shard: "1/2"}); err == nil || !strings.Contains(err.Error(), "leave out --shard") {
		t.Errorf("a shard of what is resumed: %v", err)
	}
	if _, err := l.h.Resume(t.Context(), MatrixRequest{PlanFile: dir, Variables: map[string]string{"n": "1"}}); err == nil || !strings.Contains(err.Error(), "leave out --var") {
		t.Errorf("other variables for what is resumed: %v", err)
	}
	if last, err := l.h.LastMatrix(t.Context(), "m"); err != nil || last != dir {
		t.Errorf("last %s, %v", last, err)
	}
	if _, err := l.h.LastMatrix(t.Context(), "n"); err == nil {
		t.Error("a matrix that there is not was found")
	}
}

func TestMatrixSinceLast(t *testing.T) {
	l := newLab(t, testMatrix)
	f := l.fake()
	f.outcome = baseFails
	first := l.run(t.Context(), MatrixRequest{}, f)
	idle := l.fake()
	second := l.run(t.Context(), MatrixRequest{SinceLast: true}, idle)
	if len(idle.n) != 0 || second.Cells[0].Cell.MeasuredIn != first.Campaign.ID || second.Cells[0].State != results.CellFailing {
		t.Errorf("nothing has changed, and %v ran; %+v", idle.n, second.Cells[0])
	}
	if second.Verdict(FailOnAny) != MatrixFailing || second.Verdict(FailOnNew) != MatrixTolerated || second.Verdict(FailOnNone) != MatrixTolerated {
		t.Errorf("verdicts %s, %s", second.Verdict(FailOnAny), second.Verdict(FailOnNew))
	}
	// Another base kernel: its cells alone run, and the third night still finds
	// the runs of the others two nights ago.
	fakeKernel(t, filepath.Dir(l.plan), "new")
	if err := os.Rename(filepath.Join(filepath.Dir(l.plan), "new"), filepath.Join(filepath.Dir(l.plan), "base")); err != nil {
		t.Fatal(err)
	}
	f = l.fake()
	third := l.run(t.Context(), MatrixRequest{SinceLast: true}, f)
	if got := states(third); got != "passing/2 passing/2 passing/0 passing/0" || len(f.n) != 2 {
		t.Errorf("cells %s, ran %v", got, f.n)
	}
	if len(third.Fixed) != 1 || third.Fixed[0] != third.Cells[0].Cell.Key || third.Cells[3].Cell.MeasuredIn != first.Campaign.ID {
		t.Errorf("fixed %v, measured in %s", third.Fixed, third.Cells[3].Cell.MeasuredIn)
	}
}

func TestMatrixNewFailures(t *testing.T) {
	l := newLab(t, testMatrix)
	night := func(outcome func(string, int) string) *MatrixResult {
		f := l.fake()
		f.outcome = outcome
		return l.run(t.Context(), MatrixRequest{}, f)
	}
	night(baseFails)
	if r := night(baseFails); len(r.New) != 0 || r.First {
		t.Errorf("the same failure is new: %+v", r.New)
	}
	// A failure of another kind in the cell that fails already, and one in a
	// cell that passed.
	r := night(func(cell string, n int) string {
		if cell == "kernel=base workload=w mount=zlib" && n == 2 || cell == "kernel=fixed workload=w mount=none" {
			return "other"
		}
		return baseFails(cell, n)
	})
	if len(r.New) != 2 || r.New[0].Report != "WARNING in other" || r.New[0].Last != results.CellFailing || r.New[1].Last != results.CellPassing {
		t.Errorf("new: %+v", r.New)
	}
}

// TestMatrixShards: the shards together have the cells of the whole, each once.
func TestMatrixShards(t *testing.T) {
	l := newLab(t, testMatrix)
	whole, err := l.h.ExpandMatrix(MatrixRequest{PlanFile: l.plan})
	if err != nil {
		t.Fatal(err)
	}
	for parts := 1; parts <= 4; parts++ {
		var keys []string
		for part := 1; part <= parts; part++ {
			p, err := l.h.ExpandMatrix(MatrixRequest{PlanFile: l.plan, Shard: fmt.Sprintf("%d/%d", part, parts)})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range p.Cells {
				keys = append(keys, c.Key)
			}
		}
		for i, c := range whole.Cells {
			if i >= len(keys) || keys[i] != c.Key || len(keys) != len(whole.Cells) {
				t.Fatalf("%d shards have %v", parts, keys)
			}
		}
	}
	for _, bad := range []string{"0/3", "4/3", "1", "a/b", "1/5", "-1/2"} {
		var input *InputError
		if _, err := l.h.ExpandMatrix(MatrixRequest{PlanFile: l.plan, Shard: bad}); !errors.As(err, &input) {
			t.Errorf("--shard %s: %v", bad, err)
		}
	}
}

func TestMatrixMerge(t *testing.T) {
	l := newLab(t, testMatrix)
	var dirs []string
	for _, shard := range []string{"2/3", "3/3", "1/3"} {
		f := l.fake()
		f.outcome = baseFails
		dirs = append(dirs, l.run(t.Context(), MatrixRequest{Shard: shard}, f).Campaign.Dir)
	}
	r, err := l.h.MergeMatrices(t.Context(), dirs, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := states(r); got != "failing/2 passing/2 passing/2 passing/2" || !r.First || len(r.New) != 1 {
		t.Errorf("cells %s, first %v, new %v", got, r.First, r.New)
	}
	f := l.fake()
	f.outcome = baseFails
	if next := l.run(t.Context(), MatrixRequest{}, f); next.First || len(next.New) != 0 {
		t.Errorf("after the merged campaign: first %v, new %v", next.First, next.New)
	}
}

func TestMatrixPick(t *testing.T) {
	l := newLab(t, testMatrix)
	f := l.fake()
	r := l.run(t.Context(), MatrixRequest{Cells: []string{"kernel=fixed workload=w mount=none"}, Repeat: 1}, f)
	if got := states(r); got != "passing/1" || len(f.n) != 1 {
		t.Errorf("cells %s, ran %v", got, f.n)
	}
	if _, err := l.h.ExpandMatrix(MatrixRequest{PlanFile: l.plan, Cells: []string{"kernel=x"}}); err == nil || !strings.Contains(err.Error(), "--dry-run lists them") {
		t.Errorf("%v", err)
	}
}
