package judge

import (
	"fmt"
	"slices"
)

// view is the posterior as an answer: what is most probable, and what cannot be
// told apart.
type view struct {
	before, never float64 // of the two hypotheses beside the commits
	group         []int   // the most probable set of commits that cannot be told apart
	held          float64 // its probability
}

// silentDoubt is the probability that the end that must not show the bug does.
func (v *view) silentDoubt(f Find) float64 {
	if f == FindFix {
		return v.never
	}
	return v.before
}

// showDoubt is the probability that the end that must show the bug does not.
func (v *view) showDoubt(f Find) float64 {
	if f == FindFix {
		return v.before
	}
	return v.never
}

// look returns the view of the present state.
func (b *Bisection) look() *view {
	if b.view != nil {
		return b.view
	}
	v := &view{before: b.post.hypothesis(beforeRange), never: b.post.hypothesis(neverInside)}
	if b.neighbours.failures == 0 {
		for i := range b.post.classes {
			c := &b.post.classes[i]
			if c.kind == commits && (v.group == nil || b.post.probability(c.likely) > v.held) {
				v.group, v.held = []int{c.likely}, b.post.probability(c.likely)
			}
		}
	} else {
		for _, group := range b.groups() {
			held := 0.0
			for _, node := range group {
				held += b.post.probability(node)
			}
			if held > v.held || v.group == nil {
				v.group, v.held = group, held
			}
		}
	}
	b.view = v
	return v
}

// groups returns what alike does, made once for each change of what is testable.
func (b *Bisection) groups() [][]int {
	if b.together == nil {
		b.together = b.alike()
	}
	return b.together
}

// alike divides the commits into groups that no run at a commit worth trying can
// tell apart: two commits are alike when the same such commits have them as
// ancestors. A commit that can be tried is its own first descendant, so only the
// others can join a group.
func (b *Bisection) alike() [][]int {
	first := b.firstTestable()
	groups := map[string][]int{}
	var keys []string
	for v := b.graph.Len() - 1; v >= 0; v-- {
		key := fmt.Sprint(first[v])
		if groups[key] == nil {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], v)
	}
	out := make([][]int, len(keys))
	for i, key := range keys {
		out[i] = groups[key]
	}
	return out
}

// firstTestable returns for each commit the first descendants that are worth
// trying, sorted: those that descend from no other. None at all means the new
// end.
func (b *Bisection) firstTestable() [][]int {
	first := make([][]int, b.graph.Len())
	for v := b.graph.Len() - 1; v >= 0; v-- {
		if !b.neighbours.hopeless(v) {
			first[v] = []int{v}
			continue
		}
		for _, c := range b.graph.children[v] {
			first[v] = append(first[v], first[c]...)
		}
		first[v] = b.minimal(first[v])
	}
	return first
}

// minimal sorts nodes and leaves out those that descend from others.
func (b *Bisection) minimal(nodes []int) []int {
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	if len(nodes) < 2 {
		return nodes
	}
	all := slices.Clone(nodes)
	return slices.DeleteFunc(nodes, func(v int) bool {
		for u := range b.graph.Ancestors(v) {
			if _, found := slices.BinarySearch(all, u); found && u != v {
				return true
			}
		}
		return false
	})
}

// border returns the first commits worth trying that have a group's change, and
// the last ones that do not.
func (b *Bisection) border(group []int) (with, without []int) {
	with = b.firstTestable()[group[0]]
	if len(with) == 0 {
		with = []int{b.newEnd()}
	}
	seen := map[int]bool{}
	for _, v := range group {
		seen[v] = true
	}
	stack := slices.Clone(group)
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		parents := b.graph.Parents[v]
		if len(parents) == 0 {
			parents = []int{OldEnd}
		}
		for _, u := range parents {
			switch {
			case seen[u]:
			case b.neighbours.hopeless(u):
				stack = append(stack, u)
			default:
				without = append(without, u)
			}
			seen[u] = true
		}
	}
	return with, without
}
