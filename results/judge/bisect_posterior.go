package judge

import "math"

// posterior is the joint distribution of the answer and the rate.
//
// Commits that are ancestors of the same tested commits have been told nothing
// apart, so their posterior is their prior times a factor they share. The
// commits are therefore kept in classes, one row of log likelihoods over the
// rates for each. A class splits when a commit is tested for the first time, so
// there are few of them however long the history is, and a run at a commit that
// was tested before costs nothing that depends on the length of the history.
type posterior struct {
	graph *Graph
	rates *rateGrid
	find  Find

	prior   []float64 // of each node
	class   []int     // of each node
	classes []class
	tested  map[int][]bool // the nodes tested: which classes are their ancestors
}

// class is commits that have been told nothing apart, or one of the two
// hypotheses beside the commits.
type class struct {
	kind    classKind
	members []int     // in the order of the graph
	likely  int       // the member with the largest prior
	prior   float64   // of all members
	row     []float64 // log of the prior of each rate times the likelihood
	weight  []float64 // the posterior of one unit of prior, by rate
	density float64   // the sum of weight
}

type classKind int

const (
	commits classKind = iota
	// beforeRange: the change came before the range.
	beforeRange
	// neverInside: there is no change up to the new end. Either means that an
	// end of the range is not what it is said to be.
	neverInside
)

// endPrior is the prior of either of the two hypotheses.
const endPrior = 0.005

func newPosterior(g *Graph, r BisectRules) *posterior {
	p := &posterior{
		graph: g, find: r.Find, rates: newRateGrid(r),
		prior: make([]float64, g.Len()), class: make([]int, g.Len()),
		tested: map[int][]bool{},
	}
	sum := 0.0
	for v := range p.prior {
		p.prior[v] = 1
		if r.Prior != nil {
			p.prior[v] = r.Prior[v]
		}
		sum += p.prior[v]
	}
	all := class{kind: commits}
	for v := range p.prior {
		p.prior[v] *= (1 - 2*endPrior) / sum
		all.add(v, p.prior)
	}
	p.classes = []class{all, {kind: beforeRange, prior: endPrior}, {kind: neverInside, prior: endPrior}}
	for i := range p.classes {
		c := &p.classes[i]
		for _, w := range p.rates.prior {
			c.row = append(c.row, math.Log(w))
		}
		c.weight = make([]float64, len(c.row))
	}
	p.normalize()
	return p
}

// add takes a node in as a member.
func (c *class) add(v int, prior []float64) {
	if len(c.members) == 0 || prior[v] > prior[c.likely] {
		c.likely = v
	}
	c.members = append(c.members, v)
	c.prior += prior[v]
}

// inside reports whether a class lies at or below a node that was tested, or an
// end.
func (p *posterior) inside(node, i int) bool {
	switch c := &p.classes[i]; {
	case c.kind == beforeRange:
		return true
	case c.kind == neverInside || node == OldEnd:
		return false
	case node == NewEnd:
		return true
	}
	return p.tested[node][i]
}

// observe takes in one run at a node, or at an end of the range.
func (p *posterior) observe(node int, bad bool) {
	if node >= 0 && p.tested[node] == nil {
		p.split(node)
	}
	for i := range p.classes {
		row := p.classes[i].row
		affected := p.inside(node, i) == (p.find == FindCulprit)
		for j, x := range p.rates.likelihood(affected, bad) {
			row[j] += x
		}
	}
	p.normalize()
}

// split makes every class lie on one side of a node that is tested for the
// first time.
func (p *posterior) split(node int) {
	in := make([]bool, p.graph.Len())
	for v := range p.graph.Ancestors(node) {
		in[v] = true
	}
	var inside []bool
	for i := range p.classes {
		whole := p.classes[i]
		inner, outer := whole, whole
		inner.members, inner.prior = nil, 0
		outer.members, outer.prior = nil, 0
		for _, v := range whole.members {
			if in[v] {
				inner.add(v, p.prior)
			} else {
				outer.add(v, p.prior)
			}
		}
		inside = append(inside, len(inner.members) > 0)
		if len(inner.members) == 0 || len(outer.members) == 0 {
			continue
		}
		outer.row = append([]float64(nil), whole.row...)
		outer.weight = make([]float64, len(whole.row))
		p.classes[i] = inner
		for _, v := range outer.members {
			p.class[v] = len(p.classes)
		}
		p.classes = append(p.classes, outer)
		for other, known := range p.tested {
			p.tested[other] = append(known, known[i])
		}
	}
	// The classes that were appended are the outer parts.
	for len(inside) < len(p.classes) {
		inside = append(inside, false)
	}
	p.tested[node] = inside
}

// normalize recomputes the weights from the rows.
func (p *posterior) normalize() {
	top := math.Inf(-1)
	for i := range p.classes {
		if p.classes[i].prior > 0 {
			for _, x := range p.classes[i].row {
				top = max(top, x)
			}
		}
	}
	sum := 0.0
	for i := range p.classes {
		c := &p.classes[i]
		c.density = 0
		for j, x := range c.row {
			c.weight[j] = math.Exp(x - top)
			c.density += c.weight[j]
		}
		sum += c.prior * c.density
	}
	for i := range p.classes {
		c := &p.classes[i]
		c.density /= sum
		for j := range c.weight {
			c.weight[j] /= sum
		}
	}
}

// runsAt is runs at a commit that was tested, or at an end.
type runsAt struct{ node, bad, good int }

// after returns the probability that a group of commits holds the answer once
// these runs have been seen as well.
func (p *posterior) after(group []int, more []runsAt) float64 {
	density := make([]float64, len(p.classes))
	sum := 0.0
	for i := range p.classes {
		c := &p.classes[i]
		chance := make([]float64, len(c.weight)) // log of what more runs have
		for _, r := range more {
			affected := p.inside(r.node, i) == (p.find == FindCulprit)
			bad, good := p.rates.likelihood(affected, true), p.rates.likelihood(affected, false)
			for j := range chance {
				chance[j] += float64(r.bad)*bad[j] + float64(r.good)*good[j]
			}
		}
		for j, w := range c.weight {
			density[i] += w * math.Exp(chance[j])
		}
		sum += c.prior * density[i]
	}
	held := 0.0
	for _, node := range group {
		held += p.prior[node] * density[p.class[node]]
	}
	return held / sum
}

// probability returns the posterior of a node.
func (p *posterior) probability(node int) float64 {
	return p.prior[node] * p.classes[p.class[node]].density
}

// hypothesis returns the posterior of a class that is none of commits.
func (p *posterior) hypothesis(kind classKind) float64 {
	for i := range p.classes {
		if c := &p.classes[i]; c.kind == kind {
			return c.prior * c.density
		}
	}
	return 0
}

// rateWeights returns the posterior of the rate.
func (p *posterior) rateWeights() []float64 {
	out := make([]float64, len(p.rates.p))
	for i := range p.classes {
		c := &p.classes[i]
		for j, w := range c.weight {
			out[j] += c.prior * w
		}
	}
	return out
}
