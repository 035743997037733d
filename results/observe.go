package results

import (
	"cmp"
	"fmt"
	"slices"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// Classify draws the outcome of a run from its record, and why it is invalid or
// an other-failure.
//
// What the kernel printed comes first: a report that matches the signature makes
// the run reproduced even if the run then went wrong, and any other report that
// is not benign makes it an other-failure. What an emulator's flaw brought about
// makes the run invalid, with all that came after it. Only then does it matter whether the
// guest failed and whether the workload did its work. The rule is the same for
// both kernels, so it cannot make two equal kernels look different.
func Classify(r *Run) (outcome judge.Outcome, reason string) {
	if slices.ContainsFunc(r.Reports, isSignature) {
		return judge.Reproduced, ""
	}
	if i := slices.IndexFunc(r.Reports, isForeign); i >= 0 {
		return judge.OtherFailure, r.Reports[i].Title
	}
	if i := slices.IndexFunc(r.Reports, func(rep ReportRecord) bool { return rep.Flaw }); i >= 0 {
		return judge.Invalid, r.Reports[i].Title + ": " + r.Reports[i].Benign
	}
	if r.Failure != nil && r.Failure.Kernel {
		return judge.OtherFailure, withDetail(r.Failure.Kind, r.Failure.Detail)
	}
	if r.HarnessReason != "" {
		return judge.Invalid, r.HarnessReason
	}
	if r.Failure != nil {
		return judge.Invalid, withDetail(r.Failure.Kind, r.Failure.Detail)
	}
	for _, p := range r.Phases {
		if p.Error != "" {
			return judge.Invalid, fmt.Sprintf("phase %s: %s", p.Name, p.Error)
		}
	}
	if r.Stopped {
		return judge.Invalid, "stopped before its end"
	}
	if !r.Complete {
		return judge.Invalid, "the run did not get to its end"
	}
	return judge.Clean, ""
}

func isSignature(r ReportRecord) bool { return r.Signature != "" }

// isForeign reports whether r is neither the bug, nor let pass by the plan, nor
// about a user program: a program that the kernel ends, or that runs out of
// memory, fails its phase, and then the run is invalid.
func isForeign(r ReportRecord) bool {
	return r.Signature == "" && r.Benign == "" && !aboutUser(r.Kind)
}

func aboutUser(kind dmesg.Kind) bool {
	return kind == dmesg.KindSegfault || kind == dmesg.KindOOM
}

func withDetail(kind, detail string) string {
	if detail == "" {
		return kind
	}
	return kind + ": " + detail
}

// classify sets the outcome of r and its reason.
func (r *Run) classify() {
	outcome, reason := Classify(r)
	r.Outcome, r.Reason, r.InvalidReason = outcome, "", ""
	if outcome == judge.Invalid {
		r.InvalidReason = reason
	} else {
		r.Reason = reason
	}
}

// counts reports whether a run takes part in the statistics.
func (r *Run) counts() bool { return !(r.Stopped && r.Outcome == judge.Invalid) }

// EvidenceOf collects the judge's evidence from runs, those in flight (with an
// empty outcome) included. The runs need not be in order.
func EvidenceOf(runs []Run) judge.Evidence {
	sorted := slices.Clone(runs)
	slices.SortStableFunc(sorted, func(a, b Run) int { return cmp.Compare(a.Index, b.Index) })
	sorted = slices.DeleteFunc(sorted, func(r Run) bool { return !r.counts() })
	forgetConditions(sorted)
	kinds := fingerprintsOf(sorted)
	var seen []judge.Observation
	for i := range sorted {
		o := observe(&sorted[i])
		for _, kind := range silencedIn(&sorted[i]) {
			o.Silenced = append(o.Silenced, kinds[kind]...)
		}
		seen = append(seen, o)
	}
	return judge.Collect(seen)
}

// fingerprintsOf lists the fingerprints of the runs' reports of each kind.
func fingerprintsOf(runs []Run) map[dmesg.Kind][]string {
	out := map[dmesg.Kind][]string{}
	for i := range runs {
		for _, rep := range runs[i].Reports {
			if print := fingerprintOf(&rep); !slices.Contains(out[rep.Kind], print) {
				out[rep.Kind] = append(out[rep.Kind], print)
			}
		}
	}
	return out
}

// forgetConditions makes reports alike that differ only in that the source of one
// was not at hand: of a ready image, say. Its condition is not known, and with
// that its fingerprint is another one. The runs' reports are replaced, not changed.
func forgetConditions(runs []Run) {
	unknown := map[string]bool{}
	for i := range runs {
		for _, rep := range runs[i].Reports {
			if isForeign(rep) && rep.File != "" && rep.Condition == "" && rep.Macro == "" {
				unknown[rep.Fingerprint] = true
			}
		}
	}
	if len(unknown) == 0 {
		return
	}
	for i := range runs {
		runs[i].Reports = slices.Clone(runs[i].Reports)
		for j := range runs[i].Reports {
			rep := &runs[i].Reports[j]
			if !isForeign(*rep) || rep.Condition == "" {
				continue
			}
			if plain := rep.FingerprintWithoutCondition(); unknown[plain] {
				rep.Fingerprint = plain
			}
		}
	}
}

func observe(r *Run) judge.Observation {
	o := judge.Observation{Side: r.Side, Outcome: r.Outcome, Reached: lastPhase(r), Broken: !r.Complete}
	first := true
	for _, rep := range r.Reports {
		if !isForeign(rep) && !isSignature(rep) {
			continue
		}
		// What follows another failure in the same guest can be its
		// consequence: it is shown, and it says nothing about the patch.
		if rep.FollowUp && !first && !isSignature(rep) {
			o.FollowUps = append(o.FollowUps, fingerprintOf(&rep))
			continue
		}
		first = false
		o.Reports = append(o.Reports, judge.SeenReport{
			Fingerprint: fingerprintOf(&rep), Title: line(rep.Title), Signature: rep.Signature != "", Phase: rep.Phase})
	}
	// A guest that just stops answering leaves no report, yet it is something
	// that one kernel can do and the other not.
	if r.Outcome == judge.OtherFailure && r.Failure != nil && r.Failure.Kernel && len(o.Reports) == 0 {
		o.Reports = append(o.Reports, judge.SeenReport{
			Fingerprint: failureFingerprint(r), Title: failureTitle(r), Phase: o.Reached})
	}
	return o
}

// silences names the kinds of report that a kernel prints no more in the same
// boot after one of the given kind: KASAN reports once (unless told otherwise by
// kasan_multi_shot), and lockdep switches itself off after its own report and
// after all that leaves locks in a state that it cannot know.
func silences(kind dmesg.Kind) []dmesg.Kind {
	switch kind {
	case dmesg.KindKASAN:
		return []dmesg.Kind{dmesg.KindKASAN, dmesg.KindLockdep}
	case dmesg.KindLockdep, dmesg.KindOops, dmesg.KindBug:
		return []dmesg.Kind{dmesg.KindLockdep}
	}
	return nil
}

// silencedIn names the kinds of report that the kernel of a run would have printed
// no more of at its end.
func silencedIn(r *Run) []dmesg.Kind {
	var out []dmesg.Kind
	for i := range r.Reports {
		for _, kind := range silences(r.Reports[i].Kind) {
			if !slices.Contains(out, kind) {
				out = append(out, kind)
			}
		}
	}
	return out
}

// fingerprintOf never is empty: reports without one would all be taken for the
// same.
func fingerprintOf(r *ReportRecord) string {
	if r.Fingerprint != "" {
		return r.Fingerprint
	}
	return string(r.Kind) + "|" + r.Title
}

func failureFingerprint(r *Run) string {
	return fmt.Sprintf("guest|%s|%s", r.Failure.Kind, lastPhaseName(r))
}

func failureTitle(r *Run) string {
	return line(fmt.Sprintf("guest %s in phase %s", r.Failure.Kind, lastPhaseName(r)))
}

func lastPhase(r *Run) int {
	last := -1
	for _, p := range r.Phases {
		last = max(last, p.Index)
	}
	return last
}

func lastPhaseName(r *Run) string {
	if len(r.Phases) == 0 {
		return "boot"
	}
	return r.Phases[len(r.Phases)-1].Name
}
