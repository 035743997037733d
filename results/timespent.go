package results

import "slices"

// Timing is where a run's time went besides its phases, in seconds.
type Timing struct {
	// Ready is what it took until the guest was ready for the first phase:
	// QEMU's start and the boot, or the start and the waking of a saved machine.
	Ready float64 `json:"ready"`
	// PowerOff is the way from the end of the last phase to the end of QEMU.
	PowerOff float64 `json:"power_off"`
	// Log is the reading of the console log.
	Log float64 `json:"log"`
}

// Spent is what one part of a run took.
type Spent struct {
	Part string `json:"part"`
	// Seconds is the mean over all runs; a run that did not come to the part
	// counts with 0.
	Seconds float64 `json:"seconds"`
	// Share of the whole run.
	Share float64 `json:"share"`
}

// Percent is the share in percent.
func (s Spent) Percent() float64 { return 100 * s.Share }

// The parts of a run that are no phases.
const (
	PartBoot     = "boot"
	PartFork     = "wake the saved machine"
	PartPowerOff = "power off"
	PartLog      = "read the log"
	PartOther    = "other"
)

// TimeSpent says where the time of the runs that count went: the boot, the
// phases in the order in which they came, the rest. Runs of records that do not
// know their boot have it under PartOther.
func TimeSpent(runs []Run) []Spent {
	// Apart, so that the order does not depend on which runs ended early.
	var begin, phases, end []Spent
	n, other := 0, 0.0
	for i := range runs {
		r := &runs[i]
		if !Counted(r) || r.ElapsedSeconds <= 0 {
			continue
		}
		n++
		left := r.ElapsedSeconds
		if t := r.Timing; t != nil {
			begin = spend(begin, beginning(r), t.Ready)
			end = spend(end, PartPowerOff, t.PowerOff)
			end = spend(end, PartLog, t.Log)
			left -= t.Ready + t.PowerOff + t.Log
		}
		for _, p := range r.Phases {
			phases = spend(phases, p.Name, p.ElapsedSeconds)
			left -= p.ElapsedSeconds
		}
		other += max(0, left)
	}
	if n == 0 {
		return nil
	}
	return means(slices.Concat(begin, phases, spend(end, PartOther, other)), n)
}

func beginning(r *Run) string {
	if r.Forked != nil {
		return PartFork
	}
	return PartBoot
}

func spend(parts []Spent, part string, seconds float64) []Spent {
	i := slices.IndexFunc(parts, func(s Spent) bool { return s.Part == part })
	if i < 0 {
		return append(parts, Spent{Part: part, Seconds: seconds})
	}
	parts[i].Seconds += seconds
	return parts
}

// means turns sums over n runs into means and shares.
func means(parts []Spent, n int) []Spent {
	total := 0.0
	for i := range parts {
		total += parts[i].Seconds
	}
	for i := range parts {
		parts[i].Share = parts[i].Seconds / total
		parts[i].Seconds /= float64(n)
	}
	return parts
}
