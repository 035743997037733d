package site

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"patchproof/results"
)

// grid is the matrix as a heat map.
type grid struct {
	// Axes is a JSON list of the axes' names, and Column the one that the
	// columns are of; scripts use them to turn the grid.
	Axes    string
	Choices []axisChoice
	// Constant says the axes that have one value only.
	Constant string
	Rows     []string // names of the row axes
	Columns  []string // values of the column axis
	Lines    []gridLine
}

type axisChoice struct {
	Name   string
	Chosen bool
}

type gridLine struct {
	Head []gridHead
	// Cells are nil where the plan has no such cell.
	Cells []*cellView
}

// gridHead is a value of a row axis; Same says that the line above has the
// same one.
type gridHead struct {
	Value string
	Same  bool
}

// kernelAxis is the name of the axis of kernels, or "".
func kernelAxis(axes []results.AxisRecord) string {
	for _, a := range axes {
		if a.Name == "kernel" || a.Name == "kernels" {
			return a.Name
		}
	}
	return ""
}

// newGrid lays the cells out. The columns are of the axis of kernels, which are
// what one compares, or else of the last axis that has several values; all
// other axes with several values make the lines. A script can choose another
// axis for the columns.
func newGrid(axes []results.AxisRecord, views []cellView) (grid, error) {
	l := layout{column: -1}
	var g grid
	var names, constant []string
	var several []int
	for i, a := range axes {
		names = append(names, a.Name)
		values := valuesOf(views, i)
		l.values = append(l.values, values)
		if len(values) < 2 {
			constant = append(constant, a.Name+"="+strings.Join(values, ""))
			continue
		}
		several = append(several, i)
		if l.column < 0 || names[l.column] != kernelAxis(axes) {
			l.column = i
		}
	}
	list, err := json.Marshal(names)
	if err != nil {
		return g, fmt.Errorf("axes of the matrix: %w", err)
	}
	g.Axes, g.Constant, g.Columns = string(list), strings.Join(constant, ", "), []string{"all"}
	for _, i := range several {
		g.Choices = append(g.Choices, axisChoice{names[i], i == l.column})
		if i != l.column {
			g.Rows, l.rows = append(g.Rows, names[i]), append(l.rows, i)
		}
	}
	if l.column >= 0 {
		g.Columns = l.values[l.column]
	}
	g.Lines = l.lines(views, len(g.Columns))
	return g, nil
}

// layout says which axes make the lines of a grid and which one its columns, -1
// for none, and holds the values of every axis in their order.
type layout struct {
	rows   []int
	column int
	values [][]string
}

// valuesOf lists the values of an axis, in the order of the cells.
func valuesOf(views []cellView, axis int) []string {
	var values []string
	for i := range views {
		if v := views[i].values[axis]; !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}

func (l *layout) lines(views []cellView, columns int) []gridLine {
	var lines []gridLine
	at := map[string]int{}
	for i := range views {
		v := &views[i]
		head := make([]gridHead, len(l.rows))
		key := ""
		for j, axis := range l.rows {
			head[j].Value = v.values[axis]
			key += head[j].Value + "\x00"
		}
		n, ok := at[key]
		if !ok {
			n = len(lines)
			at[key] = n
			lines = append(lines, gridLine{Head: head, Cells: make([]*cellView, columns)})
		}
		where := 0
		if l.column >= 0 {
			where = slices.Index(l.values[l.column], v.values[l.column])
		}
		lines[n].Cells[where] = v
	}
	slices.SortStableFunc(lines, func(a, b gridLine) int { return l.compare(a.Head, b.Head) })
	for i := 1; i < len(lines); i++ {
		for j := range l.rows {
			if lines[i].Head[j].Value != lines[i-1].Head[j].Value {
				break
			}
			lines[i].Head[j].Same = true
		}
	}
	return lines
}

// compare orders lines as the axes order their values.
func (l *layout) compare(a, b []gridHead) int {
	for j, axis := range l.rows {
		if a[j].Value != b[j].Value {
			return cmp.Compare(slices.Index(l.values[axis], a[j].Value), slices.Index(l.values[axis], b[j].Value))
		}
	}
	return 0
}
