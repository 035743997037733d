package orchestrator

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm"
	"patchproof/workloads"
)

func TestCleanLog(t *testing.T) {
	match, err := newMatcher(
		[]workloads.Signature{{Name: "leak", Kind: "WARNING", Function: "btrfs_destroy_inode"}}, nil,
		[]workloads.Benign{{Signature: workloads.Signature{Function: "noisy"}, Reason: "known"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	begin, saved := "[    1.0] patchproof NONCE canary begin", "[    3.0] patchproof NONCE canary saved"
	warning := func(function string) string {
		return "[    2.0] ------------[ cut here ]------------\r\n" +
			"[    2.0] WARNING: CPU: 1 PID: 101 at fs/btrfs/inode.c:9144 " + function + "+0x1ea/0x210\r\n" +
			"[    2.0] ---[ end trace 0000000000000000 ]---"
	}
	for _, tt := range []struct {
		name string
		log  []byte
		want string // in the error
	}{
		{"clean", testLog(begin, "[    1.5] patchproof NONCE ready", saved), ""},
		{"a benign report", testLog(begin, warning("noisy"), saved), ""},
		{"the bug already", testLog(begin, warning("btrfs_destroy_inode"), saved), "report already in phase boot"},
		{"another report", testLog(begin, warning("other"), saved), "WARNING in other"},
		{"a program that the kernel ended", testLog(begin, "[    2.0] sh[77]: segfault at 0 ip 0 sp 0 error 4 in sh[400000+1000]", saved), "segfault"},
		{"nothing", nil, "not whole"},
		{"without its beginning", testLog(saved), "not whole"},
		{"without its end", testLog(begin), "not whole"},
		{"a mark after the end", testLog(begin, saved, "[    4.0] patchproof NONCE ready"), "not whole"},
		{"cut in a line", append(testLog(begin, saved), "[    3.1] ---"...), "not whole"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := cleanLog(tt.log, testNonce, match)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestForkedPhases: what a forked run prints before its first phase belongs to
// the last phase of the machine that it went on from.
func TestForkedPhases(t *testing.T) {
	s := &subject{steps: []workloads.Step{{Phase: 0, Name: "mkfs"}, {Phase: 1, Name: "prepare"}, {Phase: 2, Name: "run"}}}
	log := testLog("[    5.0] patchproof NONCE canary begin", "[    5.1] early", "[    5.2] patchproof NONCE phase 2 begin run", "[    5.3] later")
	phase := func(text string) string {
		windows := append(s.before(), phaseWindows(findMarks(log, testNonce))...)
		_, name := phaseAt(windows, int64(strings.Index(string(log), text)))
		return name
	}
	if got := phase("early"); got != "boot" {
		t.Errorf("a run that boots: %s", got)
	}
	s.forks, s.state = &forks{}, &savedState{}
	if got := phase("early"); got != "boot" {
		t.Errorf("saved after boot: %s", got)
	}
	s.forks.steps = 2
	if early, later := phase("early"), phase("later"); early != "prepare" || later != "run" {
		t.Errorf("%s and %s, want prepare and run", early, later)
	}
}

func TestStateRecord(t *testing.T) {
	dir := t.TempDir()
	if _, err := readState(dir); err == nil {
		t.Error("a record was read that is not there")
	}
	want := results.ForkRecord{After: "prepare", Phases: []results.PhaseResult{{Name: "prepare"}}}
	if err := writeState(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := readState(dir)
	if err != nil || got.After != want.After || len(got.Phases) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := checkState(dir); err == nil {
		t.Error("a state without a machine passes")
	}
}

func TestForkSample(t *testing.T) {
	var s ForkSample
	if got := s.done(); got.Runs != 0 || got.MedianSeconds != 0 {
		t.Errorf("no runs: %+v", got)
	}
	for i, outcome := range []judge.Outcome{judge.Reproduced, judge.Clean, judge.Invalid, judge.OtherFailure, judge.Clean} {
		s.add(results.Run{Outcome: outcome, ElapsedSeconds: float64(i + 1)}, 0)
	}
	got := s.done()
	if got.Runs != 4 || got.Reproduced != 1 || got.Invalid != 1 || got.MedianSeconds != 3 || got.RunsPerHour != 1200 {
		t.Errorf("%+v", got)
	}
}

// TestForkBenchCompare counts runs by machine; an invalid one is in no count.
func TestForkBenchCompare(t *testing.T) {
	var b ForkBench
	for i, outcome := range []judge.Outcome{judge.Reproduced, judge.Invalid, judge.Reproduced, judge.Reproduced} {
		b.Forked.add(results.Run{Outcome: outcome}, i/2)
		b.Booted.add(results.Run{Outcome: judge.Clean}, i/2)
	}
	b.compare()
	share := func(events, runs int) judge.Share { return judge.Share{Events: events, Runs: runs} }
	want := []MachineSample{{share(1, 1), share(0, 2)}, {share(2, 2), share(0, 2)}}
	// Of 3 ways for the first machine's event and 6 for the second's, one is this.
	if !slices.Equal(b.Machines, want) || math.Abs(b.PValue-1.0/18) > 1e-9 || b.Differ() {
		t.Errorf("%+v", b)
	}
}

func TestWithoutLog(t *testing.T) {
	err := fmt.Errorf("guest base: %w", &vm.Failure{Kind: vm.FailurePanic, Guest: "base", Detail: "the kernel panicked: no init; see /gone/console.log"})
	got := withoutLog(err)
	var failure *vm.Failure
	if got.Error() != "guest base: panic: the kernel panicked: no init" || !errors.As(got, &failure) {
		t.Error(got)
	}
	// Bisect goes by whose fault it was, and a run's record by the failure.
	var fault *baseFault
	got = withoutLog(blame(err))
	if !errors.As(got, &fault) || !errors.As(got, &failure) || strings.Contains(got.Error(), "/gone/") {
		t.Errorf("the kernel's fault: %v", got)
	}
	host := &vm.Failure{Kind: vm.FailureDiskFull, Detail: "no space left"}
	if got = withoutLog(blame(host)); errors.As(got, &fault) || !errors.As(got, &failure) {
		t.Errorf("the host's fault: %v", got)
	}
	if plain := errors.New("no space left"); withoutLog(plain) != plain {
		t.Error("an error without a guest was changed")
	}
}

func TestForkNone(t *testing.T) {
	var notes []string
	h := &Harness{CacheDir: t.TempDir(), Events: func(e Event) { notes = append(notes, e.Message) }}
	m := &machine{workload: &workloads.Workload{Snapshot: workloads.SnapshotNone}}
	s := &subject{}
	for mode, want := range map[ForkMode]int{ForkOff: 0, ForkAuto: 1} {
		notes, h.Fork = nil, mode
		if err := h.fork(t.Context(), m, s); err != nil || m.forked || s.forks != nil || len(notes) != want {
			t.Errorf("%s: %v, forked %v, notes %q", mode, err, m.forked, notes)
		}
	}
	m.workload, m.probe.Accel = &workloads.Workload{}, "kvm"
	notes, h.Fork = nil, ForkAuto
	if err := h.fork(t.Context(), m, s); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "tcg only") {
		t.Errorf("%v, notes %q", err, notes)
	}
}
