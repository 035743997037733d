package site

import (
	"fmt"
	"strings"
	"testing"

	"patchproof/results"
)

// views makes cells with values such as "base zlib 2".
func viewsOf(cells ...string) []cellView {
	var out []cellView
	for _, c := range cells {
		out = append(out, cellView{Key: c, values: strings.Fields(c)})
	}
	return out
}

// layoutText writes a grid as its columns and lines.
func layoutText(g *grid) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s x %s", strings.Join(g.Rows, ","), strings.Join(g.Columns, ","))
	for _, line := range g.Lines {
		b.WriteString("; ")
		for _, h := range line.Head {
			if h.Same {
				b.WriteByte('=')
			}
			b.WriteString(h.Value + " ")
		}
		for _, c := range line.Cells {
			if c == nil {
				b.WriteString("[]")
			} else {
				b.WriteString("[" + c.Key + "]")
			}
		}
	}
	return b.String()
}

func TestGrid(t *testing.T) {
	axes := func(names ...string) []results.AxisRecord {
		var out []results.AxisRecord
		for _, n := range names {
			out = append(out, results.AxisRecord{Name: n})
		}
		return out
	}
	for _, test := range []struct {
		name     string
		axes     []results.AxisRecord
		cells    []cellView
		want     string
		constant string
	}{
		{"kernels are the columns", axes("kernel", "compress"), viewsOf("base none", "base zlib", "fixed none", "fixed zlib"),
			"compress x base,fixed; none [base none][fixed none]; zlib [base zlib][fixed zlib]", ""},
		{"without kernels the last axis", axes("fs", "vcpus"), viewsOf("btrfs 2", "btrfs 4", "ext4 2"), "fs x 2,4; btrfs [btrfs 2][btrfs 4]; ext4 [ext4 2][]", ""},
		{"axes of one value are said once", axes("kernel", "fs", "vcpus"), viewsOf("base btrfs 2", "base btrfs 4"), " x 2,4; [base btrfs 2][base btrfs 4]", "kernel=base, fs=btrfs"},
		{"lines in the order of the axes", axes("kernel", "fs", "vcpus"), viewsOf("a x 1", "a y 1", "b y 2", "b x 2"), "fs,vcpus x a,b; x 1 [a x 1][]; =x 2 [][b x 2]; y 1 [a y 1][]; =y 2 [][b y 2]", ""},
		{"one cell", axes("kernel"), viewsOf("base"), " x all; [base]", "kernel=base"},
		{"no cell", axes("kernel"), nil, " x all", "kernel="},
	} {
		g, err := newGrid(test.axes, test.cells)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := layoutText(&g); got != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, got, test.want)
		}
		if g.Constant != test.constant {
			t.Errorf("%s: constant %q, want %q", test.name, g.Constant, test.constant)
		}
	}
}
