package judge

import (
	"cmp"
	"slices"
)

// pooled is a commit that planning may choose.
type pooled struct {
	node int
	// below holds, for each class, the prior of the members that are the node
	// or an ancestor of it.
	below []float64
}

// poolShare is how many commits of each class are in the pool, spread over it;
// the information that a commit promises changes little from one to the next.
const poolShare = 16

// pool returns the commits that planning chooses from: all that were tried, and
// some of each class. It changes only when a commit is tried for the first time.
func (b *Bisection) pool() []pooled {
	if b.pooled != nil {
		return b.pooled
	}
	if b.reach == nil {
		b.reach = b.graph.below(b.post.prior)
	}
	for _, c := range b.post.classes {
		members := slices.DeleteFunc(slices.Clone(c.members), b.neighbours.hopeless)
		if b.graph.merges {
			slices.SortStableFunc(members, func(x, y int) int { return cmp.Compare(b.reach[x], b.reach[y]) })
		}
		share := min(len(members), poolShare)
		for k := range share {
			if v := members[(k+1)*len(members)/share-1]; b.seen[v] == nil {
				b.pooled = append(b.pooled, pooled{v, b.post.below(v)})
			}
		}
	}
	for v := range b.seen {
		if v != NewEnd && !b.neighbours.hopeless(v) {
			b.pooled = append(b.pooled, pooled{v, b.post.below(v)})
		}
	}
	slices.SortFunc(b.pooled, func(x, y pooled) int { return x.node - y.node })
	return b.pooled
}

// below returns for each class the prior of what is at or below a node, or an
// end.
func (p *posterior) below(node int) []float64 {
	out := make([]float64, len(p.classes))
	if node < 0 || p.tested[node] != nil {
		for i := range out {
			if p.inside(node, i) {
				out[i] = p.classes[i].prior
			}
		}
		return out
	}
	for i := range p.classes {
		if p.classes[i].kind == beforeRange {
			out[i] = p.classes[i].prior
		}
	}
	for v := range p.graph.Ancestors(node) {
		out[p.class[v]] += p.prior[v]
	}
	return out
}
