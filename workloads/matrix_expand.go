package workloads

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Cell is one combination of a matrix's axes, with all that its runs need
// except for the workload's file, see Open.
type Cell struct {
	// Key has the axes and values in the plan's order, "kernel=base
	// workload=focused mount=compress=zlib"; it names the cell over nights.
	Key string `json:"key"`
	// Values is the name of the cell's value on each axis.
	Values map[string]string `json:"values"`
	Kernel KernelSpec        `json:"kernel"`
	// Ref is the revision of the kernel's tree that moves, if it does.
	Ref      string      `json:"ref,omitempty"`
	Workload WorkloadRef `json:"workload"`
	// Variables are those that were set for the workload.
	Variables map[string]string `json:"variables,omitempty"`
	// Guest is what the plan says of the guest.
	Guest      Guest   `json:"guest"`
	Repeat     int     `json:"repeat"`
	Confidence float64 `json:"confidence"`
	// StopFirst ends the cell with its first run that is not clean.
	StopFirst bool `json:"stop_first,omitempty"`

	// mount and mkfs replace the options of the workload's phases when the
	// plan has such an axis.
	mount, mkfs *AxisValue
	// at is where in the plan the cell's workload stands.
	at     string
	matrix *Matrix
}

// Source says in a few words where the kernel comes from.
func (k KernelSpec) Source() string {
	text := cmpOr(k.Image, k.Tarball)
	if k.Tree != "" {
		text = k.Tree + " " + k.Rev
	}
	switch n := len(k.Patches); n {
	case 0:
	case 1:
		text += " + 1 patch"
	default:
		text += fmt.Sprintf(" + %d patches", n)
	}
	if k.Perturb != nil {
		text += ", perturbed"
	}
	return text
}

// Expand returns the cells of the matrix in the order of its axes, those that
// include adds at the end. It reads no file. An error is a *PositionError.
func (m *Matrix) Expand() ([]Cell, error) {
	axes := m.AllAxes()
	e := &expansion{m: m, axes: axes, seen: map[string]bool{}, plans: map[string]*Matrix{}}
	choices := make([][]AxisValue, len(axes))
	for i, a := range axes {
		choices[i] = a.Values
	}
	if err := e.product(choices, true); err != nil {
		return nil, err
	}
	for _, match := range m.Include {
		for i, a := range axes {
			choices[i] = a.Values[:1]
			if names := match[a.Name]; len(names) > 0 {
				choices[i] = a.pick(names)
			}
		}
		if err := e.product(choices, false); err != nil {
			return nil, err
		}
	}
	if len(e.cells) == 0 {
		return nil, m.errorf("exclude", "every cell is excluded: nothing is left to run")
	}
	return e.cells, nil
}

// pick returns the values with these names, new ones where the axis has none.
func (a Axis) pick(names []string) []AxisValue {
	values := make([]AxisValue, len(names))
	for i, name := range names {
		values[i] = AxisValue{Name: name, Words: List{name}}
		if at := slices.IndexFunc(a.Values, func(v AxisValue) bool { return v.Name == name }); at >= 0 {
			values[i] = a.Values[at]
		}
	}
	return values
}

// expansion collects cells.
type expansion struct {
	m     *Matrix
	axes  []Axis
	cells []Cell
	seen  map[string]bool
	// plans are the matrix decoded with other values of its variables.
	plans map[string]*Matrix
}

// product adds every combination of the choices, the last axis fastest.
func (e *expansion) product(choices [][]AxisValue, exclude bool) error {
	at := make([]int, len(choices))
	for {
		combination := make([]AxisValue, len(choices))
		for i, c := range choices {
			combination[i] = c[at[i]]
		}
		if err := e.add(combination, exclude); err != nil {
			return err
		}
		i := len(at) - 1
		for ; i >= 0; i-- {
			if at[i]++; at[i] < len(choices[i]) {
				break
			}
			at[i] = 0
		}
		if i < 0 {
			return nil
		}
	}
}

func (e *expansion) add(combination []AxisValue, exclude bool) error {
	values := map[string]string{}
	parts := make([]string, len(combination))
	for i, v := range combination {
		values[e.axes[i].Name] = v.Name
		parts[i] = e.axes[i].Name + "=" + v.Name
	}
	key := strings.Join(parts, " ")
	excluded := exclude && slices.ContainsFunc(e.m.Exclude, func(x Match) bool { return x.holds(values) })
	if excluded || e.seen[key] {
		return nil
	}
	if len(e.cells) == maxCells {
		return e.m.errorf("include", "the plan makes more than %d cells", maxCells)
	}
	c, err := e.cell(key, values, combination)
	if err != nil {
		return err
	}
	e.seen[key] = true
	e.cells = append(e.cells, c)
	return nil
}

// cell fills one cell from the plan, the rules that match, and the axes, which
// have the last word.
func (e *expansion) cell(key string, values map[string]string, combination []AxisValue) (Cell, error) {
	plan, err := e.plan(combination)
	if err != nil {
		return Cell{}, err
	}
	k := slices.IndexFunc(plan.Kernels, func(k MatrixKernel) bool { return k.Name == values[axisKernel] })
	w := slices.IndexFunc(plan.Workloads, func(w MatrixWorkload) bool { return w.Name == values[axisWorkload] })
	entry := plan.Workloads[w]
	c := Cell{Key: key, Values: values, Kernel: plan.kernel(k), Ref: plan.Kernels[k].Ref, Workload: entry.Workload,
		Variables: maps.Clone(entry.Variables), Guest: entry.Guest.Over(plan.Guest),
		Repeat: plan.Repeat, Confidence: plan.Confidence, StopFirst: plan.Stop == StopFirst,
		at: indexed("workloads", w), matrix: plan}
	if c.Variables == nil {
		c.Variables = map[string]string{}
	}
	for _, rule := range plan.Cells {
		if rule.When.holds(values) {
			c.apply(rule)
		}
	}
	for i, v := range combination {
		if err := c.set(e.axes[i].Name, v); err != nil {
			return Cell{}, err
		}
	}
	if err := checkSource(&plan.src, indexed("kernels", k), "kernel "+c.Kernel.Name, c.Kernel); err != nil {
		return Cell{}, err
	}
	return c, nil
}

// plan is the matrix as it reads with the cell's values of its variables.
func (e *expansion) plan(combination []AxisValue) (*Matrix, error) {
	vars := map[string]string{}
	id := ""
	for i, v := range combination {
		name := e.axes[i].Name
		if _, declared := e.m.Variables[name]; declared {
			vars[name] = v.word()
			id += name + "=" + v.Name + " "
		}
	}
	if len(vars) == 0 {
		return e.m, nil
	}
	if p := e.plans[id]; p != nil {
		return p, nil
	}
	for name, value := range e.m.Variables {
		if _, isAxis := vars[name]; !isAxis {
			vars[name] = value
		}
	}
	p, err := e.m.doc.matrix(vars)
	if err != nil {
		return nil, err
	}
	p.given = e.m.given
	if err := p.check(); err != nil {
		return nil, err
	}
	e.plans[id] = p
	return p, nil
}

// apply takes over what a rule says.
func (c *Cell) apply(rule CellRule) {
	c.Repeat = cmp.Or(rule.Repeat, c.Repeat)
	c.Confidence = cmp.Or(rule.Confidence, c.Confidence)
	if rule.Stop != "" {
		c.StopFirst = rule.Stop == StopFirst
	}
	maps.Copy(c.Variables, rule.Variables)
	c.Guest = rule.Guest.Over(c.Guest)
}

// set takes over the value of one axis.
func (c *Cell) set(axis string, v AxisValue) error {
	switch {
	case axis == axisKernel || axis == axisWorkload:
	case axis == axisMount:
		c.mount = &v
	case axis == axisMkfs:
		c.mkfs = &v
	case axis == axisConfig:
		c.Kernel.Fragments = concat(c.Kernel.Fragments, v.Words)
	case slices.Contains(guestAxes, axis):
		return c.Guest.set(axis, v.word())
	default:
		c.Variables[axis] = v.word()
	}
	return nil
}
