package results

import (
	"cmp"
	"slices"

	"patchproof/results/judge"
)

// ReportGroup is all reports of a campaign that have one fingerprint and one
// condition: several WARN_ONs of one function are one kind of report to the
// judge, and several lines to a reader.
type ReportGroup struct {
	Fingerprint string
	// First is the first of them, in the run FirstRun.
	First    ReportRecord
	FirstRun string
	// Signature and Benign are those of any report of the group.
	Signature, Benign string
	// Phases lists the names of the phases in which it came.
	Phases []string
	// PreRuns and PostRuns count the runs that showed it, Reports the reports.
	PreRuns, PostRuns       int
	PreReports, PostReports int
	preRunSeen, postRunSeen string
}

// NewOnPost says that only the post-patch kernel showed it.
func (g *ReportGroup) NewOnPost() bool { return g.PostRuns > 0 && g.PreRuns == 0 }

// GroupReports gathers the reports of runs by fingerprint: first those that
// match the signature, then what is new on post, then the rest, benign ones
// last; within each, the one seen in most runs first.
func GroupReports(runs []Run) []ReportGroup {
	var groups []ReportGroup
	for i := range runs {
		for _, rep := range runs[i].Reports {
			print := fingerprintOf(&rep)
			at := slices.IndexFunc(groups, func(g ReportGroup) bool { return g.Fingerprint == print && g.First.Condition == rep.Condition })
			if at < 0 {
				at = len(groups)
				groups = append(groups, ReportGroup{Fingerprint: print, First: rep, FirstRun: runs[i].ID})
			}
			groups[at].add(&runs[i], &rep)
		}
	}
	slices.SortStableFunc(groups, func(a, b ReportGroup) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(b.PreRuns+b.PostRuns, a.PreRuns+a.PostRuns))
	})
	return groups
}

func (g *ReportGroup) add(r *Run, rep *ReportRecord) {
	g.Signature = cmp.Or(g.Signature, rep.Signature)
	g.Benign = cmp.Or(g.Benign, rep.Benign)
	if name := cmp.Or(rep.PhaseName, "boot"); !slices.Contains(g.Phases, name) {
		g.Phases = append(g.Phases, name)
	}
	if r.Side == judge.Pre {
		g.PreReports++
		if g.preRunSeen != r.ID {
			g.preRunSeen = r.ID
			g.PreRuns++
		}
		return
	}
	g.PostReports++
	if g.postRunSeen != r.ID {
		g.postRunSeen = r.ID
		g.PostRuns++
	}
}

func (g *ReportGroup) rank() int {
	switch {
	case g.Signature != "":
		return 0
	case g.Benign != "":
		return 3
	case g.NewOnPost():
		return 1
	}
	return 2
}
