package orchestrator

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
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

// fakeGuests stands for builds and guests of a linear history.
type fakeGuests struct {
	mu       sync.Mutex
	culprit  int
	broken   []int // nodes that do not build
	unbooted []int // nodes whose guests do not come up
	failure  string
	runs     int
	most     int // runs at a time
	running  int
	// after is called when a run begins.
	after func(n int)
}

// fakeBisection is a bisection of ten commits whose kernels and guests are fakes.
func fakeBisection(t *testing.T, dir string, jobs int, g *fakeGuests) *bisection {
	t.Helper()
	h := &Harness{CacheDir: t.TempDir(), ResultsDir: dir}
	b := &bisection{h: h, jobs: jobs, subjects: map[int]*subject{}, machine: &machine{probe: vm.ProbeResult{Accel: "tcg"}, guest: workloads.FallbackGuest()}}
	if last, err := results.LastBisection(dir); err == nil {
		if b.BisectWriter, err = results.ReopenBisection(last, nil); err != nil {
			t.Fatal(err)
		}
	} else {
		store, err := h.OpenResults()
		if err != nil {
			t.Fatal(err)
		}
		record := &results.BisectRecord{Rules: judge.BisectRules{Confidence: 0.99}.WithDefaults()}
		record.Old.Commit = strings.Repeat("f", 40)
		for i := range 10 {
			c := results.BisectCommit{Commit: strings.Repeat(string(rune('0'+i)), 40)}
			if i > 0 {
				c.Parents = []int{i - 1}
			}
			record.Commits = append(record.Commits, c)
		}
		record.New.BisectCommit = record.Commits[9]
		if b.BisectWriter, err = store.CreateBisection(&results.Campaign{Workload: "fake"}, record); err != nil {
			t.Fatal(err)
		}
	}
	b.kernel = func(ctx context.Context, node int) (*subject, error) {
		if slices.Contains(g.broken, node) {
			return nil, b.untestable(node, "does not build", "")
		}
		if s := b.subjects[node]; s != nil {
			return s, nil
		}
		b.subjects[node] = &subject{image: &kernels.Image{}, record: results.KernelRecord{ID: string(rune('a' + node))}}
		return b.subjects[node], nil
	}
	b.execute = g.execute
	return b
}

func (g *fakeGuests) execute(ctx context.Context, w *results.RunWriter, s *subject) (results.Run, error) {
	node := int(s.record.ID[0]) - 'a'
	g.mu.Lock()
	g.runs++
	g.running++
	n := g.runs
	g.most = max(g.most, g.running)
	g.mu.Unlock()
	defer func() { g.mu.Lock(); g.running--; g.mu.Unlock() }()
	if g.after != nil {
		g.after(n)
	}
	if g.failure != "" || slices.Contains(g.unbooted, node) {
		kind := "boot-timeout"
		if g.failure != "" {
			kind = g.failure
		}
		return w.Finish(false, kind)
	}
	if node >= g.culprit && (n%2 == 0 || ctx.Err() != nil) {
		// Half of the runs reproduce, at once; the others take a while.
		if err := w.Report(results.ReportRecord{Report: dmesg.Report{Title: "bug"}, Signature: "bug"}); err != nil {
			return w.Run(), err
		}
		return w.Finish(true, "")
	}
	select {
	case <-ctx.Done():
		w.MarkStopped()
		return w.Finish(false, "stopped")
	case <-time.After(5 * time.Millisecond):
		return w.Finish(true, "")
	}
}

func TestBisectSearch(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, jobs := range []int{1, 3} {
		g := &fakeGuests{culprit: 6, broken: []int{3}, unbooted: []int{8}}
		b := fakeBisection(t, t.TempDir(), jobs, g)
		if err := b.search(context.Background()); err != nil {
			t.Fatal(err)
		}
		a := b.Judge.Answer()
		if !b.Found() || a.Set[0] != 6 {
			t.Errorf("%d jobs: found %v, set %v: %s", jobs, b.Found(), a.Set, a.Reason)
		}
		if g.most > jobs || jobs > 1 && g.most == 1 {
			t.Errorf("%d jobs: %d guests at a time", jobs, g.most)
		}
		for node := range 10 {
			reason := b.Untestable(node)
			if reason != "" && node != 3 && node != 8 || node == 8 && reason != "" && !strings.Contains(reason, "2 runs in a row") {
				t.Errorf("%d jobs: commit %d is untestable: %s", jobs, node, reason)
			}
		}
		if err := b.Close(""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBisectInterrupted: a search that is stopped at any run and goes on ends
// with the same answer and has told the judge of every run once.
func TestBisectInterrupted(t *testing.T) {
	for _, stopAt := range []int{1, 4, 8, 13} {
		dir := filepath.Join(t.TempDir(), "results")
		ctx, cancel := context.WithCancel(context.Background())
		g := &fakeGuests{culprit: 2, broken: []int{4}}
		g.after = func(n int) {
			if n == stopAt {
				cancel()
			}
		}
		b := fakeBisection(t, dir, 2, g)
		if err := b.search(ctx); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(stoppedByUser); err != nil {
			t.Fatal(err)
		}
		finished := len(b.Runs)
		again := fakeBisection(t, dir, 2, g)
		if got, want := again.Judge.Answer(), b.Judge.Answer(); !reflect.DeepEqual(got, want) {
			t.Fatalf("stopped at run %d: replayed to %+v, was %+v", stopAt, got, want)
		}
		if err := again.search(context.Background()); err != nil {
			t.Fatal(err)
		}
		if a := again.Judge.Answer(); !again.Found() || a.Set[0] != 2 {
			t.Errorf("stopped at run %d: found %v, set %v: %s", stopAt, again.Found(), a.Set, a.Reason)
		}
		ids := map[string]bool{}
		for _, r := range again.Runs {
			if ids[r.ID] {
				t.Errorf("stopped at run %d: run %s is there twice", stopAt, r.ID)
			}
			ids[r.ID] = true
		}
		if len(again.Runs) < finished || g.runs != len(again.Runs) {
			t.Errorf("stopped at run %d: %d runs, then %d, and %d were made", stopAt, finished, len(again.Runs), g.runs)
		}
		if err := again.Close(""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBisectHostFails: runs that fail because of the host make no commit
// untestable.
func TestBisectHostFails(t *testing.T) {
	g := &fakeGuests{culprit: 5}
	b := fakeBisection(t, t.TempDir(), 1, g)
	b.execute = func(_ context.Context, w *results.RunWriter, _ *subject) (results.Run, error) {
		err := w.Failure(results.GuestFailure{Kind: string(vm.FailureDiskFull), Detail: "no space left"})
		run, ferr := w.Finish(false, "disk-full")
		return run, errors.Join(err, ferr)
	}
	if err := b.search(context.Background()); err == nil || !strings.Contains(err.Error(), "because of the host") {
		t.Errorf("a full disk: error %v", err)
	}
	if b.Untestable(9) != "" {
		t.Errorf("a full disk made a commit untestable: %s", b.Untestable(9))
	}
	if err := b.Close(""); err != nil {
		t.Fatal(err)
	}
}

// TestBisectFork: the first commit that is run decides whether runs are forked. A
// later one that no machine can be saved on is untestable; what the host is to
// blame for ends the search.
func TestBisectFork(t *testing.T) {
	report := &baseFault{errors.New("its kernel has printed a report already")}
	search := func(dir string, g *fakeGuests, mode ForkMode, fork func(node int) error) (b *bisection, err error) {
		b = fakeBisection(t, dir, 2, g)
		b.h.Fork = mode
		b.fork = func(_ context.Context, s *subject, _ int) error {
			if err := fork(int(s.record.ID[0]) - 'a'); err != nil {
				return err
			}
			s.forks = &forks{first: results.ForkRecord{After: "umount"}}
			return nil
		}
		b.wantFork()
		err = b.search(context.Background())
		return b, errors.Join(err, b.Close(""))
	}
	forked := func(b *bisection) string {
		out := map[bool]string{}
		for _, r := range b.Runs {
			if strings.HasSuffix(r.Shape, ", forked") != isForked(r) {
				t.Errorf("run %s: shape %s", r.ID, r.Shape)
			}
			out[isForked(r)] = map[bool]string{true: "forked ", false: "booted "}[isForked(r)]
		}
		return strings.TrimSpace(out[true] + out[false])
	}
	for _, test := range []struct {
		name, kinds, warning string
		mode                 ForkMode
		fork                 func(node int) error
		untestable           bool // commit 4
	}{
		{"all", "forked", "up to 5 from each", ForkAuto, func(int) error { return nil }, false},
		{"switched off", "booted", "", ForkOff, func(int) error { t.Error("asked for a machine"); return nil }, false},
		{"impossible", "booted", "every run boots: under kvm", ForkAuto, func(int) error { return errors.New("under kvm") }, false},
		{"not on one commit", "forked", "up to 5 from each", ForkAuto, func(node int) error {
			if node == 4 {
				return report
			}
			return nil
		}, true},
	} {
		b, err := search(t.TempDir(), &fakeGuests{culprit: 6}, test.mode, test.fork)
		if err != nil || !b.Found() || forked(b) != test.kinds {
			t.Errorf("%s: found %v, runs %s, %v", test.name, b.Found(), forked(b), err)
		}
		if w := strings.Join(b.Campaign.Warnings, "\n"); !strings.Contains(w, test.warning) || (w == "") != (test.warning == "") {
			t.Errorf("%s: warnings %q", test.name, w)
		}
		if got := b.Untestable(4); (got != "") != test.untestable {
			t.Errorf("%s: commit 4 is untestable: %q", test.name, got)
		}
	}
	dir, full := t.TempDir(), errors.New("no space left")
	n := 0
	_, err := search(dir, &fakeGuests{culprit: 6}, ForkAuto, func(int) error {
		if n++; n > 2 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	// Without the flag, a search that goes on stays with what it began with.
	b, err := search(dir, &fakeGuests{culprit: 6}, ForkOff, func(int) error { return nil })
	if err != nil || !b.Found() || forked(b) != "forked" {
		t.Errorf("resumed: found %v, runs %s, %v", b.Found(), forked(b), err)
	}
}

// TestBisectSettle: what runs without a result make of a commit.
func TestBisectSettle(t *testing.T) {
	g := &fakeGuests{culprit: 0}
	b := fakeBisection(t, t.TempDir(), 1, g)
	run := func(node int, failure string) error {
		g.failure = failure
		s, err := b.kernel(context.Background(), node)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.batch(context.Background(), judge.Step{Node: node, Runs: 1}, s); err != nil {
			t.Fatal(err)
		}
		return b.settle(node)
	}
	for i, failure := range []string{"hang", "", "hang", "hang"} {
		if err := run(4, failure); err != nil {
			t.Fatal(err)
		}
		if got := b.Untestable(4) != ""; got != (i == 3) {
			t.Errorf("after run %d: untestable %v: one run without a result is no reason, two in a row are", i, got)
		}
	}
	var err error
	for range brokenLimit - 2 {
		err = run(4, "hang")
	}
	if err == nil || !strings.Contains(err.Error(), "overloaded") {
		t.Errorf("%d runs in a row without a result at a commit that had some: %v", brokenLimit, err)
	}
	if err := b.Close(""); err != nil {
		t.Fatal(err)
	}
}
