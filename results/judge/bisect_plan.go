package judge

import "math"

// plan looks for the batch of runs that teaches most for its cost: for each
// commit of the pool and each of some numbers of runs, stopped at the first
// reproduction, the expected information about the answer over the expected
// cost. It knows a batch by whether it reproduced; after which run tells next to
// nothing more about the answer.
type plan struct {
	b     *Bisection
	sizes []int // of batches
	// with and without hold what a batch promises for one unit of prior of each
	// class: at a commit that has the bug if the class holds the answer, and at
	// one that has not. One value for each size.
	with, without [][]promise
}

// promise is the probability that a batch is clean, the entropy of whether it
// is, and the runs it takes.
type promise struct{ clean, entropy, runs float64 }

func (p *promise) add(unit float64, q promise) {
	p.clean += unit * q.clean
	p.entropy += unit * q.entropy
	p.runs += unit * q.runs
}

// batchSizes are the numbers of runs considered, in units of one over the rate.
var batchSizes = [...]float64{0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6}

const (
	// planBins is the number of steps of probability of which each is
	// represented by one commit that was not tried yet.
	planBins = 32
	// buildShare is the part of a build's cost that counts when steps are
	// compared: what is built will be run again later, for free.
	buildShare = 0.4
	// minGain is the information, in bits, below which a step teaches nothing.
	minGain = 1e-6
)

func (b *Bisection) newPlan() *plan {
	p := &plan{b: b, sizes: []int{1, 2}}
	mean := b.rateMean()
	for _, x := range batchSizes {
		if n := int(math.Round(x / mean)); n > p.sizes[len(p.sizes)-1] {
			p.sizes = append(p.sizes, n)
		}
	}
	p.with = p.promises(b.post.rates.shows)
	p.without = p.promises(b.post.rates.looks)
	return p
}

// promises returns what batches promise where runs show the signature with the
// given chances.
func (p *plan) promises(shows []float64) [][]promise {
	clean := make([][]float64, len(p.sizes))
	for i, n := range p.sizes {
		clean[i] = make([]float64, len(shows))
		for j, x := range shows {
			clean[i][j] = math.Pow(1-x, float64(n))
		}
	}
	classes := p.b.post.classes
	flat := make([]promise, len(classes)*len(p.sizes))
	out := make([][]promise, len(classes))
	for c := range classes {
		out[c], flat = flat[:len(p.sizes)], flat[len(p.sizes):]
		density := classes[c].density
		if density <= 0 {
			continue
		}
		for i := range p.sizes {
			q := &out[c][i]
			for j, w := range classes[c].weight {
				x := w * clean[i][j]
				q.clean += x
				q.runs += (w - x) / shows[j]
			}
			q.entropy = density * binaryEntropy(q.clean/density)
		}
	}
	return out
}

// bestStep returns the step with the most information for its cost. ok is false
// when no step brings any.
func (b *Bisection) bestStep() (best Step, ok bool) {
	p := b.newPlan()
	top := 0.0
	for _, c := range p.choose(b.pool()) {
		if step, value := p.batch(c); step.Gain > minGain && value > top {
			best, top, ok = step, value, true
		}
	}
	return best, ok
}

// below returns the probability that the answer is a commit or below it.
func (p *plan) below(c pooled) float64 {
	sum := 0.0
	for i, prior := range c.below {
		sum += prior * p.b.post.classes[i].density
	}
	return min(max(sum, 0), 1)
}

// choose leaves out commits that others stand for.
func (p *plan) choose(nodes []pooled) []pooled {
	var out []pooled
	var bin [planBins]pooled
	var value [planBins]float64
	for _, c := range nodes {
		below := p.below(c)
		if p.b.seen[c.node] != nil {
			if below > 1e-6 && below < 1-1e-6 {
				out = append(out, c)
			}
			continue
		}
		i := min(int(below*planBins), planBins-1)
		if x := min(below, 1-below) * p.b.neighbours.at(c.node); x > value[i] {
			bin[i], value[i] = c, x
		}
	}
	for i, c := range bin {
		if value[i] > 0 {
			out = append(out, c)
		}
	}
	return out
}

// batch returns the best number of runs at a commit, and their value: the
// information for the cost.
func (p *plan) batch(c pooled) (best Step, value float64) {
	build, run := p.b.cost(c.node), p.b.rules.RunCost
	testable := p.b.neighbours.at(c.node)
	with, without := p.with, p.without
	if p.b.rules.Find == FindFix {
		with, without = without, with
	}
	best = Step{Node: c.node, Purpose: PurposeSearch}
	for i, n := range p.sizes {
		var sum promise
		for k, below := range c.below {
			if below > 0 {
				sum.add(below, with[k][i])
			}
			if above := p.b.post.classes[k].prior - below; above > 0 {
				sum.add(above, without[k][i])
			}
		}
		gain := testable * (binaryEntropy(sum.clean) - sum.entropy)
		// An untestable commit shows that in its first run.
		runs := run * (testable*sum.runs + 1 - testable)
		if x := gain / (buildShare*build + runs); x > value {
			best.Runs, best.Gain, best.Cost, value = n, gain, build+runs, x
		}
	}
	return best, value
}

// binaryEntropy is the entropy, in bits, of an event with the given probability.
func binaryEntropy(p float64) float64 {
	if p <= 0 || p >= 1 {
		return 0
	}
	return -(p*math.Log(p) + (1-p)*math.Log1p(-p)) / math.Ln2
}
