package results

import "slices"

// defaultBuildCost is the cost of a build, in runs, before any was measured.
const defaultBuildCost = 5

// buildTimes learns what builds and runs take.
type buildTimes struct {
	count int
	// later are the sorted times, in seconds, of all builds but the first: that
	// one compiles the whole tree and says little of the next ones.
	later   []float64
	runs    int
	runTime float64
}

func (t *buildTimes) build(seconds float64) {
	t.count++
	if t.count > 1 {
		i, _ := slices.BinarySearch(t.later, seconds)
		t.later = slices.Insert(t.later, i, seconds)
	}
}

func (t *buildTimes) run(seconds float64) {
	t.runs++
	t.runTime += seconds
}

// cost is what a build is expected to cost, in runs.
func (t *buildTimes) cost() float64 {
	if len(t.later) == 0 || t.runTime <= 0 {
		return defaultBuildCost
	}
	return t.later[len(t.later)/2] / t.runSeconds()
}

// runSeconds is the mean time of a run; 0 is unknown.
func (t *buildTimes) runSeconds() float64 { return t.runTime / float64(max(1, t.runs)) }

// buildCost is the cost of building a commit, in runs; 0 when its image is there.
func (b *Bisection) buildCost(node int) float64 {
	if h := b.history[node]; h != nil && h.built {
		return 0
	}
	return b.builds.cost()
}

// secondsLeft estimates the time that is left from the judge's numbers.
func (b *Bisection) secondsLeft(runs, builds float64) float64 {
	return (runs + builds*b.builds.cost()) * b.builds.runSeconds()
}
