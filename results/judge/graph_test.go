package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// randomGraph draws a history in which a share of the commits are merges of two
// or three parents, not far back.
func randomGraph(t testing.TB, n int, merges float64, rng *rand.Rand) *Graph {
	t.Helper()
	parents := make([][]int, n)
	for v := 1; v < n; v++ {
		count := 1
		if rng.Float64() < merges {
			count = 2 + rng.IntN(2)
		}
		for range count {
			if p := v - 1 - rng.IntN(min(v, 12)); !slices.Contains(parents[v], p) {
				parents[v] = append(parents[v], p)
			}
		}
	}
	// The last commit joins all tips, as in a range of git.
	var tips []int
	for v := range n - 1 {
		if !slices.ContainsFunc(parents, func(ps []int) bool { return slices.Contains(ps, v) }) {
			tips = append(tips, v)
		}
	}
	if n > 1 {
		parents[n-1] = append(parents[n-1], tips...)
	}
	g, err := NewGraph(parents)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// naiveAncestors follows the parents one by one.
func naiveAncestors(g *Graph, node int) []bool {
	in := make([]bool, g.Len())
	in[node] = true
	for v := node; v >= 0; v-- {
		if in[v] {
			for _, p := range g.Parents[v] {
				in[p] = true
			}
		}
	}
	return in
}

func TestAncestors(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 60 {
		g := randomGraph(t, 1+rng.IntN(60), float64(i%6)/5, rng)
		weight := make([]float64, g.Len())
		for v := range weight {
			weight[v] = rng.Float64()
		}
		sums := g.below(weight)
		for v := range g.Len() {
			want := naiveAncestors(g, v)
			got := make([]bool, g.Len())
			sum := 0.0
			for u := range g.Ancestors(v) {
				if got[u] {
					t.Fatalf("graph %v: ancestor %d of %d twice", g.Parents, u, v)
				}
				got[u] = true
				sum += weight[u]
			}
			if !slices.Equal(got, want) {
				t.Fatalf("graph %v: ancestors of %d are %v, want %v", g.Parents, v, got, want)
			}
			if math.Abs(sums[v]-sum) > 1e-9 {
				t.Fatalf("graph %v: sum below %d is %g, want %g", g.Parents, v, sums[v], sum)
			}
		}
	}
}

func TestNewGraphRefuses(t *testing.T) {
	for _, tt := range []struct {
		parents [][]int
		want    string
	}{
		{nil, "without commits"},
		{[][]int{nil, {1}}, "node 1 has parent 1"},
		{[][]int{nil, {0}, {-1}}, "node 2 has parent -1"},
		{[][]int{{1}, nil}, "node 0 has parent 1"},
	} {
		if _, err := NewGraph(tt.parents); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want %q", tt.parents, err, tt.want)
		}
	}
}

func TestParseGraph(t *testing.T) {
	g, names, err := ParseGraph(strings.NewReader("# newest first\ne c d\nd b\nc b\n\nb a out\na out2\n"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for v, ps := range g.Parents {
		line := names[v]
		for _, p := range ps {
			line += " " + names[p]
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	if got, want := strings.Join(lines, "; "), "a; b a; c b; d b; e c d"; got != want {
		t.Errorf("graph %q, want %q", got, want)
	}
	if names[0] != "a" || names[4] != "e" {
		t.Errorf("order %v: the oldest must come first and the tip last", names)
	}
	for _, tt := range []struct{ in, want string }{
		{"", "without commits"},
		{"a b\nb a\n", "cycle through 2"},
		{"a\n\na\n", `line 3: commit "a" has a second line`},
		{"a b b\n", `line 1: commit "a" names parent "b" twice`},
		{"b\na a\n", "line 2: commit \"a\" is its own parent"},
		{"a\nb \xb2\n", `line 2: "\xb2" is no name of a commit`},
		{"a\nb\x1b[m\n", `line 2: "b\x1b[m" is no name of a commit`},
		{"a\n" + strings.Repeat("x", 2<<20), "line 2"},
	} {
		if _, _, err := ParseGraph(strings.NewReader(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.20q: error %v, want %q", tt.in, err, tt.want)
		}
	}
}

// spinnaker is a real history in which two commits of five are merges.
func spinnaker(t testing.TB) *Graph {
	t.Helper()
	file, err := os.Open("testdata/spinnaker.parents")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	g, _, err := ParseGraph(file)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestParseRealGraph(t *testing.T) {
	g := spinnaker(t)
	merges := 0
	for _, ps := range g.Parents {
		if len(ps) > 1 {
			merges++
		}
	}
	if g.Len() != 906 || merges != 376 || !slices.Equal(g.tips, []int{905}) {
		t.Errorf("%d commits, %d merges, tips %v; git says 906, 376 and one", g.Len(), merges, g.tips)
	}
	for v := 0; v < g.Len(); v += 7 {
		got := make([]bool, g.Len())
		for u := range g.Ancestors(v) {
			got[u] = true
		}
		if !slices.Equal(got, naiveAncestors(g, v)) {
			t.Fatalf("ancestors of %d differ from those found one by one", v)
		}
	}
}

func FuzzParseGraph(f *testing.F) {
	f.Add("c a b\nb a\na\n")
	f.Add("a b\nb a\n")
	f.Add("# x\n\na a\n")
	f.Fuzz(func(t *testing.T, in string) {
		g, names, err := ParseGraph(strings.NewReader(in))
		if err != nil {
			return
		}
		if len(names) != g.Len() {
			t.Fatalf("%d names for %d nodes", len(names), g.Len())
		}
		// What was read, printed and read again, has the same commits and edges.
		var out strings.Builder
		edges := 0
		for v := g.Len() - 1; v >= 0; v-- {
			out.WriteString(names[v])
			for _, p := range g.Parents[v] {
				fmt.Fprintf(&out, " %s", names[p])
				edges++
			}
			out.WriteByte('\n')
		}
		again, _, err := ParseGraph(strings.NewReader(out.String()))
		if err != nil || again.Len() != g.Len() {
			t.Fatalf("read again: %v", err)
		}
		for _, ps := range again.Parents {
			edges -= len(ps)
		}
		if edges != 0 {
			t.Fatalf("%d edges lost", edges)
		}
	})
}
