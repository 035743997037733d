package orchestrator

import (
	"cmp"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// room is an amount of what guests and builds take from the host.
type room struct {
	cpus, memMiB int
	diskMiB      int64
	guests       int
	// share is the part of all processors that guests take, besides cpus, whose
	// number at a time was measured or given: 1 is all of them.
	share float64
}

func (r room) plus(o room) room {
	return room{r.cpus + o.cpus, r.memMiB + o.memMiB, r.diskMiB + o.diskMiB, r.guests + o.guests, r.share + o.share}
}

func (r room) minus(o room) room {
	return room{r.cpus - o.cpus, r.memMiB - o.memMiB, r.diskMiB - o.diskMiB, r.guests - o.guests, r.share - o.share}
}

// capacity is what the host has for guests and builds: its processors, three
// quarters of its memory, and the disk space that is free right now. jobs limits
// the guests; 0 does not.
func (h *Harness) capacity(jobs int) room {
	all := room{cpus: runtime.NumCPU(), memMiB: 1 << 30, diskMiB: 1 << 40, guests: 1024}
	if jobs > 0 {
		all.guests = jobs
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		all.memMiB = int(info.Totalram * uint64(info.Unit) >> 20 * 3 / 4)
	}
	var st unix.Statfs_t
	if unix.Statfs(h.ResultsDir, &st) == nil {
		all.diskMiB = int64(st.Bavail) * st.Bsize >> 20
	}
	return all
}

// leastDiskMiB is what must be free for one guest alone: its disk is sparse.
const leastDiskMiB = 1024

// fits says whether need can be added to what is used already. One guest always
// fits the processors and the memory, or a large one would never run; it does
// not fit a full disk.
func (all room) fits(used, need room) bool {
	after := used.plus(need)
	if used.guests == 0 {
		return all.diskMiB >= min(need.diskMiB, leastDiskMiB)
	}
	busy := float64(after.cpus)/float64(max(1, all.cpus)) + after.share
	return after.guests <= all.guests && busy <= 1+1e-9 && after.memMiB <= all.memMiB && after.diskMiB <= all.diskMiB
}

// candidate is a cell that still lacks runs.
type candidate struct {
	cell int
	// begun is how many runs of it have begun or ended.
	begun int
	// seconds is how long a run is expected to take; 0 is not known.
	seconds float64
	need    room
}

// before orders candidates. Every cell gets its first run before one gets its
// second, so that a campaign that ends early knows something of all. Among
// equals the longest goes first, which leaves the short ones to fill the gaps
// at the end; one that nothing is known of may be the longest.
func (c candidate) before(o candidate) bool {
	length := func(c candidate) float64 { return cmp.Or(c.seconds, 1e9) }
	return cmp.Or(cmp.Compare(c.begun, o.begun), cmp.Compare(length(o), length(c)), cmp.Compare(c.cell, o.cell)) < 0
}

// choose returns the candidate to start next, or ok = false when none may start
// now. One that fits may overtake those that do not, but not those that have
// fewer runs: a cell that needs the whole host would never get its turn.
func choose(candidates []candidate, all, used room) (best candidate, ok bool) {
	if len(candidates) == 0 {
		return candidate{}, false
	}
	fewest := slices.MinFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.begun, b.begun) }).begun
	for _, c := range candidates {
		if c.begun == fewest && all.fits(used, c.need) && (!ok || c.before(best)) {
			best, ok = c, true
		}
	}
	return best, ok
}
