package judge

import "slices"

// SeenReport is one kind of report in a run; benign ones are left out.
type SeenReport struct {
	Fingerprint string
	Title       string
	Signature   bool // it matches the signature
	Phase       int  // index of the workload's phase in which it came first
}

// Observation is what the judge needs to know of one run.
type Observation struct {
	Side    Side
	Outcome Outcome // empty while the run is in flight
	Reports []SeenReport
	// FollowUps are the fingerprints of reports that came after another failure
	// and may be its consequence; they are not among Reports.
	FollowUps []string
	// Silenced are the fingerprints of reports that the kernel would have printed
	// no more, because of what it had printed before.
	Silenced []string
	Reached  int  // index of the last phase that was begun; -1 is the boot
	Broken   bool // the run did not get to the end of that phase, or may not have
}

// Passed says that the run got to the end of a phase, and would have shown what
// comes in it.
func (o *Observation) Passed(phase int) bool {
	return o.Outcome == Clean || o.Reached > phase || o.Reached == phase && !o.Broken
}

// Collect makes Evidence from runs in the order in which they were started, runs
// in flight included.
//
// A run counts for the pairs only when all runs of its side that were started
// before it have ended: with several guests at once, the runs that end first are
// those that crash early, and judging by them alone would overstate the rate.
func Collect(runs []Observation) Evidence {
	e := Evidence{Signature: noRuns()}
	settled := settledRuns(runs)
	for _, r := range runs {
		e.side(r.Side).Add(r.Outcome)
	}
	for _, r := range settled {
		if r.Outcome == Reproduced || r.Outcome == Clean {
			e.Signature.add(r.Side, r.Outcome == Reproduced)
		}
	}
	kinds := kindsSeen(runs)
	for _, k := range kinds {
		if !k.Signature {
			e.Distinct++
		}
		if k.PostRuns > 0 {
			k.Seen = k.sequence(settled)
			e.NewOnPost = append(e.NewOnPost, k.NewReport)
		}
	}
	return e
}

func (e *Evidence) side(s Side) *Counts {
	if s == Pre {
		return &e.Pre
	}
	return &e.Post
}

// noRuns is a sequence that is known, and empty so far.
func noRuns() Sequence { return Sequence{Pre: []bool{}, Post: []bool{}} }

func (s *Sequence) add(side Side, event bool) {
	if side == Pre {
		s.Pre = append(s.Pre, event)
	} else {
		s.Post = append(s.Post, event)
	}
}

// settledRuns drops the runs of each side from the first one in flight on.
func settledRuns(runs []Observation) []Observation {
	var out []Observation
	open := map[Side]bool{}
	for _, r := range runs {
		if r.Outcome == "" {
			open[r.Side] = true
		}
		if !open[r.Side] {
			out = append(out, r)
		}
	}
	return out
}

// kind is a kind of report and the earliest phase it was seen in.
type kind struct {
	NewReport
	phase int
}

// kindsSeen lists the kinds of report of all finished runs that are not invalid,
// in the order in which they first came.
func kindsSeen(runs []Observation) []kind {
	var kinds []kind
	runs = slices.DeleteFunc(slices.Clone(runs), func(r Observation) bool { return r.Outcome == "" || r.Outcome == Invalid })
	for _, r := range runs {
		counted := map[string]bool{}
		for _, rep := range r.Reports {
			i := slices.IndexFunc(kinds, func(k kind) bool { return k.Fingerprint == rep.Fingerprint })
			if i < 0 {
				i = len(kinds)
				kinds = append(kinds, kind{phase: rep.Phase, NewReport: NewReport{
					Fingerprint: rep.Fingerprint, Title: rep.Title, Signature: rep.Signature}})
			}
			kinds[i].phase = min(kinds[i].phase, rep.Phase)
			if counted[rep.Fingerprint] {
				continue
			}
			counted[rep.Fingerprint] = true
			if r.Side == Pre {
				kinds[i].PreRuns++
			} else {
				kinds[i].PostRuns++
			}
		}
	}
	for i, k := range kinds {
		for _, r := range runs {
			if r.Side == Pre && slices.Contains(r.FollowUps, k.Fingerprint) {
				kinds[i].PreFollowUps++
			}
		}
	}
	return kinds
}

// sequence returns which of the runs showed k. A run that was not able to is left
// out: one that broke off before the end of the phase in which k comes, for what
// broke it off may have come first, and one in which another report silenced it.
func (k *kind) sequence(runs []Observation) Sequence {
	s := noRuns()
	for _, r := range runs {
		if r.Outcome == Invalid {
			continue
		}
		seen := slices.ContainsFunc(r.Reports, func(rep SeenReport) bool { return rep.Fingerprint == k.Fingerprint })
		if seen || r.Passed(k.phase) && !slices.Contains(r.Silenced, k.Fingerprint) {
			s.add(r.Side, seen)
		}
	}
	return s
}
