package judge

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// ParseGraph reads a graph as git rev-list --parents prints it: a line a commit,
// its name and those of its parents, in any order. Parents that have no line of
// their own are outside the range. Empty lines and lines that begin with # are
// skipped. It returns the graph and the name of each node; errors name the line.
func ParseGraph(r io.Reader) (*Graph, []string, error) {
	var p graphLines
	p.index = map[string]int{}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	line := 0
	for in.Scan() {
		line++
		words := strings.Fields(in.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := p.add(words); err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, nil, fmt.Errorf("line %d: %w", line+1, err)
	}
	parents, names, err := p.sorted()
	if err != nil {
		return nil, nil, err
	}
	g, err := NewGraph(parents)
	return g, names, err
}

// graphLines are the commits in the order of the input.
type graphLines struct {
	names   []string
	parents [][]string
	index   map[string]int
}

func (p *graphLines) add(words []string) error {
	name := words[0]
	for _, word := range words {
		if strings.ContainsFunc(word, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }) {
			return fmt.Errorf("%.40q is no name of a commit: is this a list of git rev-list --parents?", word)
		}
	}
	if _, twice := p.index[name]; twice {
		return fmt.Errorf("commit %.40q has a second line", name)
	}
	p.index[name] = len(p.names)
	p.names = append(p.names, name)
	for i, parent := range words[1:] {
		if parent == name {
			return fmt.Errorf("commit %.40q is its own parent", name)
		}
		if slices.Contains(words[1:i+1], parent) {
			return fmt.Errorf("commit %.40q names parent %.40q twice", name, parent)
		}
	}
	p.parents = append(p.parents, words[1:])
	return nil
}

// sorted returns the commits parents first. Commits of one branch get
// neighbouring numbers where that is possible, which keeps the sets at merges
// in few spans. The order depends on the input alone.
func (p *graphLines) sorted() (parents [][]int, names []string, err error) {
	n := len(p.names)
	children := make([][]int, n)
	missing := make([]int, n) // parents that have no number yet
	for v, ps := range p.parents {
		for _, name := range ps {
			if u, ok := p.index[name]; ok {
				children[u] = append(children[u], v)
				missing[v]++
			}
		}
	}
	// Input is newest first, so the oldest root ends on top of the stack.
	var ready []int
	for v := range n {
		if missing[v] == 0 {
			ready = append(ready, v)
		}
	}
	number := make([]int, n)
	for len(ready) > 0 {
		v := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		number[v] = len(names)
		names = append(names, p.names[v])
		var in []int
		for _, name := range p.parents[v] {
			if u, ok := p.index[name]; ok {
				in = append(in, number[u])
			}
		}
		parents = append(parents, in)
		for _, c := range children[v] {
			if missing[c]--; missing[c] == 0 {
				ready = append(ready, c)
			}
		}
	}
	if len(names) < n {
		return nil, nil, fmt.Errorf("the graph has a cycle through %d of its commits", n-len(names))
	}
	return parents, names, nil
}
