package results

import (
	"strings"
	"testing"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

func TestClassify(t *testing.T) {
	panicked := &GuestFailure{Kind: "panic", Detail: "Kernel panic - not syncing", Kernel: true}
	died := &GuestFailure{Kind: "qemu-died", Detail: "signal: killed"}
	for _, tt := range []struct {
		name   string
		r      Run
		want   judge.Outcome
		reason string
	}{
		{"clean", Run{Complete: true}, judge.Clean, ""},
		{"benign only", Run{Complete: true, Reports: []ReportRecord{benignReport()}}, judge.Clean, ""},
		{"signature", Run{Complete: true, Reports: []ReportRecord{otherReport(), btrfsReport()}}, judge.Reproduced, ""},
		{"signature, then a panic", Run{Failure: panicked, HarnessReason: "panic", Reports: []ReportRecord{btrfsReport()}}, judge.Reproduced, ""},
		{"other report", Run{Complete: true, Reports: []ReportRecord{benignReport(), otherReport()}}, judge.OtherFailure, "KASAN"},
		{"other report, then lost", Run{HarnessReason: "no-ssh", Failure: died, Reports: []ReportRecord{otherReport()}}, judge.OtherFailure, "KASAN"},
		{"silent panic", Run{Failure: panicked, HarnessReason: "panic"}, judge.OtherFailure, "not syncing"},
		{"host's fault", Run{Failure: died}, judge.Invalid, "qemu-died: signal"},
		{"harness's reason", Run{Complete: true, HarnessReason: "console log cut"}, judge.Invalid, "console log cut"},
		{"phase", Run{Complete: true, Phases: []PhaseResult{{Name: "run", Error: "10 of 20 requests"}}}, judge.Invalid, "phase run: 10 of 20"},
		{"stopped", Run{Stopped: true}, judge.Invalid, "stopped"},
		{"no end", Run{}, judge.Invalid, "did not get to its end"},
	} {
		got, reason := Classify(&tt.r)
		if got != tt.want || !strings.Contains(reason, tt.reason) || (reason == "") != (tt.reason == "") {
			t.Errorf("%s: %s (%s), want %s", tt.name, got, reason, tt.want)
		}
	}
}

func TestEvidenceOf(t *testing.T) {
	runs := sampleRuns(3, bug, none)
	runs[5].Outcome = "" // in flight
	cut := sampleRun(judge.Post, 4, 7)
	cut.Stopped, cut.Complete = true, false
	cut.classify()
	runs = append(runs, cut)
	runs[0], runs[4] = runs[4], runs[0] // order does not matter
	e := EvidenceOf(runs)
	if e.Pre != (judge.Counts{Reproduced: 3}) || e.Post != (judge.Counts{Clean: 2}) || len(e.Signature.Pre) != 3 || len(e.Signature.Post) != 2 {
		t.Errorf("%+v", e)
	}
	// A kernel that hangs without a word is a failure with a name of its own.
	hang := sampleRun(judge.Post, 1, 1)
	hang.Failure = &GuestFailure{Kind: "hang", Kernel: true}
	hang.classify()
	e = EvidenceOf([]Run{hang})
	if len(e.NewOnPost) != 1 || e.NewOnPost[0].Title != "guest hang in phase umount" || e.Post.OtherFailure != 1 {
		t.Errorf("%+v", e)
	}
}

func TestPool(t *testing.T) {
	runs := sampleRuns(5, bug, none)
	odd := sampleRun(judge.Post, 6, 11, btrfsReport())
	odd.Accel = "kvm"
	alien := sampleRun(judge.Post, 7, 12, btrfsReport())
	alien.Kernel.SHA256 = "another"
	s := Summarize(sampleCampaign(), append(runs, odd, alien))
	if s.Decision.Verdict != judge.Fixed || len(s.Excluded) != 2 || len(s.Runs) != 10 {
		t.Errorf("%s, %d excluded", s.Decision.Verdict, len(s.Excluded))
	}
	text := strings.Join(s.Warnings, "\n")
	if !strings.Contains(text, "1 run in other guests (kvm, 4 vCPUs, 1024 MiB) left out") || !strings.Contains(text, "1 run of another kernel image") {
		t.Error(text)
	}
}

func TestUserProgramsAndFollowUps(t *testing.T) {
	segfault := ReportRecord{Report: dmesg.Report{Kind: dmesg.KindSegfault, Title: "user program: segfault", Fingerprint: "s"}}
	warning := ReportRecord{Report: dmesg.Report{Kind: dmesg.KindWarning, Title: "WARNING in a", Fingerprint: "a"}}
	after := ReportRecord{Report: dmesg.Report{Kind: dmesg.KindKASAN, Title: "KASAN in b", Fingerprint: "b", FollowUp: true}}
	benign := warning
	benign.Benign = "known"

	r := Run{Side: judge.Post, Complete: true, Reports: []ReportRecord{segfault}}
	if r.classify(); r.Outcome != judge.Clean {
		t.Errorf("a user program's fault in a run that did its work: %s, want clean", r.Outcome)
	}
	r.Reports = []ReportRecord{warning, after}
	if r.classify(); r.Outcome != judge.OtherFailure || len(observe(&r).Reports) != 1 {
		t.Errorf("a report and what follows it: %s with %+v, want other-failure with the first alone", r.Outcome, observe(&r).Reports)
	}
	r.Reports = []ReportRecord{benign, after}
	if r.classify(); r.Outcome != judge.OtherFailure || len(observe(&r).Reports) != 1 {
		t.Errorf("a report after a benign one: %s with %+v, want it to count", r.Outcome, observe(&r).Reports)
	}
}
