package judge

import "math"

// gitSearch is the state of git bisect: which commits are suspects, and which
// were skipped.
type gitSearch struct {
	graph   *Graph
	suspect []bool
	skipped map[int]bool
}

func newGitSearch(g *Graph) *gitSearch {
	s := &gitSearch{graph: g, suspect: make([]bool, g.Len()), skipped: map[int]bool{}}
	for v := range s.suspect {
		s.suspect[v] = true
	}
	return s
}

// next returns the suspect that divides the suspects most evenly, and whether
// there is one that could: git's rule.
func (s *gitSearch) next() (node int, ok bool) {
	n := s.graph.Len()
	sums := make([]int, n+1)
	inside := make([]int, n)
	for v := range n {
		sums[v+1] = sums[v]
		if s.suspect[v] {
			sums[v+1]++
		}
	}
	best := 0
	for v := range n {
		inside[v] = sums[v+1] - sums[v]
		if b := s.graph.base[v]; b >= 0 {
			inside[v] += inside[b]
		}
		for _, span := range s.graph.brought[v] {
			inside[v] += sums[span.hi] - sums[span.lo]
		}
		if half := min(inside[v], sums[n]-inside[v]); s.suspect[v] && !s.skipped[v] && half > best {
			best, node, ok = half, v, true
		}
	}
	return node, ok
}

// observe believes that a node has the change or not.
func (s *gitSearch) observe(node int, has bool) {
	in := make([]bool, s.graph.Len())
	for v := range s.graph.Ancestors(node) {
		in[v] = true
	}
	for v := range s.suspect {
		s.suspect[v] = s.suspect[v] && in[v] == has
	}
}

func (s *gitSearch) left() []int {
	var out []int
	for v, is := range s.suspect {
		if is {
			out = append(out, v)
		}
	}
	return out
}

// repeat is git bisect with a number of runs at each commit.
func (w *world) repeat(repeats int) trial {
	var t trial
	s := newGitSearch(w.spec.Graph)
	for w.ctx.Err() == nil {
		node, ok := s.next()
		if !ok {
			break
		}
		t.builds++
		outcome := BisectGood
		for i := 0; i < repeats && outcome == BisectGood; i++ {
			t.runs++
			outcome = w.run(node)
		}
		if outcome == BisectUntestable {
			s.skipped[node] = true
			continue
		}
		s.observe(node, (outcome == BisectBad) == (w.spec.Rules.WithDefaults().Find == FindCulprit))
	}
	t.set = s.left()
	t.allBuilds = t.builds
	return t
}

// Tuning of the repeats: how often git bisect has to be right, and from how many
// culprits that is computed.
const (
	tunedShare    = 0.99
	tunedCulprits = 256
	tunedMost     = 100000
)

// tuneRepeats returns the smallest number of repeats with which git bisect is
// right in tunedShare of the cases, when a commit with the bug shows it at the
// given rate and nothing else looks like it. It is wrong as soon as all runs at
// one commit with the bug are clean.
func tuneRepeats(g *Graph, rate float64) int {
	var tests []int // commits with the bug on the way to each culprit
	step := max(1, g.Len()/tunedCulprits)
	for culprit := step / 2; culprit < g.Len(); culprit += step {
		s := newGitSearch(g)
		count := 0
		for {
			node, ok := s.next()
			if !ok {
				break
			}
			has := false
			for v := range g.Ancestors(node) {
				has = has || v == culprit
			}
			if has {
				count++
			}
			s.observe(node, has)
		}
		tests = append(tests, count)
	}
	for repeats := 1; repeats < tunedMost; repeats++ {
		right := 0.0
		miss := math.Pow(1-rate, float64(repeats))
		for _, count := range tests {
			right += math.Pow(1-miss, float64(count)) / float64(len(tests))
		}
		if right >= tunedShare {
			return repeats
		}
	}
	return tunedMost
}
