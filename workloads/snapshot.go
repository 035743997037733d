package workloads

import (
	"strconv"
	"strings"
)

// SnapshotNone is the value of a workload's snapshot field that makes every run
// boot.
const SnapshotNone = "none"

// bootPhase stands for the boot where a phase's name is asked for.
const bootPhase = "boot"

// SnapshotPhases is how many of the workload's first phases every run has in
// common: a machine that has walked through them can be saved, and runs go on
// from there. It is -1 when runs must not begin with a saved machine.
//
// When the workload does not say where, these are the phases that only make and
// fill file systems, up to the last point at which nothing is mounted: a file
// system in use has work under way, which should not be the same in every run.
func (w *Workload) SnapshotPhases() int {
	if w.Snapshot == SnapshotNone {
		return -1
	}
	if w.Snapshot != "" {
		count, _ := w.snapshotAfter(w.Snapshot) // it has been checked
		return count
	}
	best, mounted := 0, map[string]bool{}
	for i, p := range w.Phases {
		switch {
		case p.Mount != nil:
			mounted[cmpOr(p.Mount.Target, DefaultTarget)] = true
		case p.Umount != nil:
			delete(mounted, cmpOr(p.Umount.Target, DefaultTarget))
		case p.Mkfs != nil, p.DropCaches != nil, p.Sync != nil, p.Sysbench != nil && p.Sysbench.Action == "prepare":
		default:
			return best
		}
		if len(mounted) == 0 {
			best = i + 1
		}
	}
	return best
}

// snapshotAfter resolves "after PHASE" to a number of phases; problem says what
// is wrong with it.
func (w *Workload) snapshotAfter(text string) (count int, problem string) {
	name, ok := strings.CutPrefix(text, "after ")
	if !ok {
		return 0, "expected \"after PHASE\", \"after boot\" or \"none\", got " + shorten(text)
	}
	var titles []string
	for i := range w.Phases {
		title := w.Phases[i].Title()
		titles = append(titles, title)
		if title == name {
			if count > 0 {
				return 0, "two phases are called " + strconv.Quote(name) + ": give them names of their own"
			}
			count = i + 1
		}
	}
	if count == 0 && name != bootPhase {
		return 0, "no phase is called " + shorten(name) + didYouMean(name, titles) + " (phases: " + strings.Join(titles, ", ") + ")"
	}
	return count, ""
}

// snapshotProblem says what is wrong with a snapshot field.
func (w *Workload) snapshotProblem(text string) string {
	if text == "" || text == SnapshotNone {
		return ""
	}
	_, problem := w.snapshotAfter(text)
	return problem
}

// checkSnapshot refuses a snapshot field that names no place.
func (w *Workload) checkSnapshot() *PositionError {
	if problem := w.snapshotProblem(w.Snapshot); problem != "" {
		return w.src.errorf("snapshot", "%s", problem)
	}
	return nil
}
