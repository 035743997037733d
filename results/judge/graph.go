package judge

import (
	"fmt"
	"iter"
)

// Graph is the commit graph of a range, parents before children; the index of a
// commit in Parents is its node. A node whose parents are all outside the range
// has none.
//
// Ancestor sets are kept the way histories grow: a commit with one parent has
// its parent's ancestors and itself, and only at a merge is a set stored, of
// what the merge brings in beyond its largest parent. That is nothing along
// single parents, and at merges a few spans of nodes.
type Graph struct {
	Parents [][]int

	base     []int    // the parent with the most ancestors, -1 for none
	brought  [][]span // at merges: ancestors that base does not have
	children [][]int
	tips     []int
	merges   bool
}

// span is the nodes from lo up to, but not including, hi.
type span struct{ lo, hi int }

// NewGraph returns the graph with the given parents. The error names the node
// that has a parent which does not come before it.
func NewGraph(parents [][]int) (*Graph, error) {
	if len(parents) == 0 {
		return nil, fmt.Errorf("a commit graph without commits: the range is empty")
	}
	g := &Graph{
		Parents:  parents,
		base:     make([]int, len(parents)),
		brought:  make([][]span, len(parents)),
		children: make([][]int, len(parents)),
	}
	size := make([]int, len(parents)) // of the ancestor sets, with the node itself
	paint := make([]uint8, len(parents))
	for v, ps := range parents {
		g.base[v] = -1
		for _, p := range ps {
			if p < 0 || p >= v {
				return nil, fmt.Errorf("node %d has parent %d: parents must come before their children", v, p)
			}
			g.children[p] = append(g.children[p], v)
			if g.base[v] < 0 || size[p] > size[g.base[v]] {
				g.base[v] = p
			}
		}
		size[v] = 1
		if g.base[v] >= 0 {
			size[v] += size[g.base[v]]
		}
		if len(ps) > 1 {
			g.merges = true
			g.brought[v] = g.beyond(ps, g.base[v], paint)
			for _, s := range g.brought[v] {
				size[v] += s.hi - s.lo
			}
		}
	}
	for v := range parents {
		if len(g.children[v]) == 0 {
			g.tips = append(g.tips, v)
		}
	}
	return g, nil
}

// Paint of beyond: ancestors of the base, and ancestors of another parent.
const (
	paintBase  = 1
	paintOther = 2
)

// beyond returns the ancestors of the given parents that base does not have. It
// walks down from the newest parent and stops when everything left belongs to
// the base, as git does for a range. paint is scratch space, zero before and
// after.
func (g *Graph) beyond(parents []int, base int, paint []uint8) []span {
	paint[base] = paintBase
	top, open := base, 0
	for _, p := range parents {
		if paint[p] == 0 {
			paint[p] = paintOther
			open++
		}
		top = max(top, p)
	}
	var out []span
	v := top
	for ; v >= 0 && open > 0; v-- {
		color := paint[v]
		if color == 0 {
			continue
		}
		if color == paintOther {
			open--
			if n := len(out); n > 0 && out[n-1].lo == v+1 {
				out[n-1].lo = v
			} else {
				out = append(out, span{v, v + 1})
			}
		}
		for _, p := range g.Parents[v] {
			switch {
			case color == paintOther && paint[p] == 0:
				paint[p] = paintOther
				open++
			case color == paintBase && paint[p] == paintOther:
				paint[p] = paintBase
				open--
			case color == paintBase:
				paint[p] = paintBase
			}
		}
	}
	clear(paint[:top+1])
	return out
}

// Len is the number of commits.
func (g *Graph) Len() int { return len(g.Parents) }

// Ancestors yields node and each of its ancestors once, in no special order.
func (g *Graph) Ancestors(node int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for v := node; v >= 0; v = g.base[v] {
			if !yield(v) {
				return
			}
			for _, s := range g.brought[v] {
				for u := s.lo; u < s.hi; u++ {
					if !yield(u) {
						return
					}
				}
			}
		}
	}
}

// LinearGraph returns a history of n commits without branches.
func LinearGraph(n int) (*Graph, error) {
	if n > maxLinear {
		return nil, fmt.Errorf("a line of %d commits: at most %d can be simulated", n, maxLinear)
	}
	parents := make([][]int, max(n, 0))
	for v := 1; v < n; v++ {
		parents[v] = []int{v - 1}
	}
	return NewGraph(parents)
}

// below sums weights over each node and its ancestors. What a merge brings in
// beyond its largest parent is added from running sums.
func (g *Graph) below(weight []float64) []float64 {
	out := make([]float64, g.Len())
	running := make([]float64, g.Len()+1)
	for v, w := range weight {
		running[v+1] = running[v] + w
		out[v] = w
		if b := g.base[v]; b >= 0 {
			out[v] += out[b]
		}
		for _, s := range g.brought[v] {
			out[v] += running[s.hi] - running[s.lo]
		}
	}
	return out
}
