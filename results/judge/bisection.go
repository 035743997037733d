package judge

import "fmt"

// Bisection is a search for the commit that broke, or fixed, something that
// shows only in some runs. It holds no clock, no random numbers and no I/O:
// the same observations in the same order give the same state.
type Bisection struct {
	graph      *Graph
	rules      BisectRules
	cost       func(node int) float64
	post       *posterior
	neighbours *neighbours

	seen       map[int]*nodeRuns // by node, with the ends
	runs       int
	spent      float64
	asked      map[int]float64 // build costs of the nodes that were asked for
	calibrated bool            // the ends were verified
	claim      claim
	claimed    map[int]bool // first commits of the groups that were claimed

	// Made when needed: the view of the present state, the pool, the groups of
	// commits that cannot be told apart, and the prior at or below each node.
	view     *view
	pooled   []pooled
	together [][]int
	reach    []float64
}

// nodeRuns counts the runs at one commit.
type nodeRuns struct{ bad, good, untestable int }

// NewBisection returns a search that has seen nothing. cost returns the cost of
// building a node or end, 0 if that is done already; it is asked whenever a
// step is planned. nil is no cost.
func NewBisection(g *Graph, r BisectRules, cost func(node int) float64) (*Bisection, error) {
	if err := r.Validate(g.Len()); err != nil {
		return nil, err
	}
	if cost == nil {
		cost = func(int) float64 { return 0 }
	}
	r = r.WithDefaults()
	return &Bisection{
		graph: g, rules: r, cost: cost, post: newPosterior(g, r), neighbours: newNeighbours(g),
		seen: map[int]*nodeRuns{}, asked: map[int]float64{}, claimed: map[int]bool{},
	}, nil
}

// Idle takes in a run that says nothing, which counts for the limit of runs.
func (b *Bisection) Idle() { b.runs++ }

// Observe takes in one run at a node of the graph, or at OldEnd or NewEnd. An
// untestable commit is not asked for again, unless other runs at it went well.
// That it is untestable is no run: it may not even have been built. It panics if
// there is no such node.
func (b *Bisection) Observe(node int, o BisectOutcome) {
	if node < NewEnd || node >= b.graph.Len() {
		panic(fmt.Sprintf("judge: observation at node %d of %d", node, b.graph.Len()))
	}
	if o != BisectUntestable {
		b.runs++
	}
	b.spent += b.rules.RunCost + b.asked[node]
	delete(b.asked, node)
	if b.at(node) == (nodeRuns{}) {
		b.pooled = nil
	}
	count(b.seen, node, o)
	if b.neighbours.try(node, o != BisectUntestable) {
		b.pooled, b.together = nil, nil
	}
	if o != BisectUntestable {
		b.post.observe(node, o == BisectBad)
	}
	b.view = nil
	b.follow(node, o)
}

func count(runs map[int]*nodeRuns, node int, o BisectOutcome) {
	r := runs[node]
	if r == nil {
		r = &nodeRuns{}
		runs[node] = r
	}
	switch o {
	case BisectBad:
		r.bad++
	case BisectGood:
		r.good++
	case BisectUntestable:
		r.untestable++
	}
}

// at returns the runs at a node.
func (b *Bisection) at(node int) nodeRuns {
	if r := b.seen[node]; r != nil {
		return *r
	}
	return nodeRuns{}
}

func (b *Bisection) rateMean() float64 {
	mean, _ := b.post.rates.summary(b.post.rateWeights(), IntervalLevel)
	return mean
}
