package judge

// neighbours holds how testable commits are: what was learned by trying some,
// and what that says of those nearby.
type neighbours struct {
	graph    *Graph
	tried    []int        // commits, in the order of their first run
	far      [][]int32    // distances from each of them
	works    map[int]bool // whether a commit tried has ever worked
	chance   []float64    // of working, nil before anything failed
	failures int
}

// The chance that a commit works is a smoothed share: every commit tried counts
// with a weight that falls with the square of its distance, to a quarter at
// blockScale, and testablePrior counts with testableWeight. Blocks of commits
// that do not build have no typical length, hence the slow decay.
const (
	testablePrior  = 0.95
	testableWeight = 0.2
	blockScale     = 8
	// presumed is the chance of working below which a commit is not tried: it
	// is taken for untestable.
	presumed = 0.12
)

func newNeighbours(g *Graph) *neighbours {
	return &neighbours{graph: g, works: map[int]bool{}}
}

// try takes in whether a run at a node, or an end, said something. It reports
// whether that changed any chance. A commit that has worked once works.
func (n *neighbours) try(node int, worked bool) (changed bool) {
	known, tried := n.works[node]
	if node < 0 || tried && (known || !worked) {
		return false
	}
	if !worked {
		n.failures++
	} else if tried {
		n.failures--
	}
	if !tried {
		n.tried = append(n.tried, node)
	}
	n.works[node] = worked
	return n.smooth()
}

// distances returns how many steps along the graph, in either direction, every
// commit is away from a node; -1 where there is no way.
func (n *neighbours) distances(node int) []int32 {
	far := make([]int32, n.graph.Len())
	for v := range far {
		far[v] = -1
	}
	far[node] = 0
	queue := []int{node}
	for i := 0; i < len(queue); i++ {
		v := queue[i]
		for _, next := range [][]int{n.graph.Parents[v], n.graph.children[v]} {
			for _, u := range next {
				if far[u] < 0 {
					far[u] = far[v] + 1
					queue = append(queue, u)
				}
			}
		}
	}
	return far
}

// smooth recomputes the chances, which are all 1 while nothing has failed.
func (n *neighbours) smooth() (changed bool) {
	if n.failures == 0 {
		changed = n.chance != nil
		n.chance = nil
		return changed
	}
	for len(n.far) < len(n.tried) {
		n.far = append(n.far, n.distances(n.tried[len(n.far)]))
	}
	n.chance = make([]float64, n.graph.Len())
	for v := range n.chance {
		good, all := testablePrior*testableWeight, testableWeight
		for i, far := range n.far {
			if far[v] <= 0 {
				continue
			}
			near := 1 + float64(far[v])/blockScale
			w := 1 / (near * near)
			all += w
			if n.works[n.tried[i]] {
				good += w
			}
		}
		n.chance[v] = good / all
	}
	for _, node := range n.tried {
		n.chance[node] = 0
		if n.works[node] {
			n.chance[node] = 1
		}
	}
	return true
}

// at returns the chance that a run at a node, or at an end, says something.
func (n *neighbours) at(node int) float64 {
	if node < 0 || n.chance == nil {
		return 1
	}
	return n.chance[node]
}

// hopeless reports whether a node is not worth trying.
func (n *neighbours) hopeless(node int) bool { return n.at(node) < presumed }
