package workloads

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Axis is one thing that a matrix varies.
type Axis struct {
	Name   string      `json:"name"`
	Values []AxisValue `json:"values"`
}

// AxisValue is one value of an axis: the words that it stands for, under a name
// that is part of cells' keys. In YAML it is one word, which then is its own
// name, or NAME: WORDS.
type AxisValue struct {
	Name  string `json:"name"`
	Words List   `json:"words,omitempty"`
}

// word is the value of an axis that takes one.
func (v AxisValue) word() string {
	if len(v.Words) == 0 {
		return ""
	}
	return v.Words[0]
}

// The axes with a meaning of their own. Every other axis is a variable.
const (
	axisKernel   = "kernel"
	axisWorkload = "workload"
	axisMount    = "mount"  // options of the mount phases, instead of the workload's
	axisMkfs     = "mkfs"   // options of the mkfs phases, instead of the workload's
	axisConfig   = "config" // config fragments, after the kernel's own
	axisVCPUs    = "guest.vcpus"
	axisMemory   = "guest.memory"
	axisDisk     = "guest.disk"
	axisAccel    = "guest.accel"
)

// listAxes take any number of words a value, none included.
var listAxes = []string{axisMount, axisMkfs, axisConfig}

// guestAxes set a field of the guest.
var guestAxes = []string{axisVCPUs, axisMemory, axisDisk, axisAccel}

// Axes are the axes of a matrix beside kernel and workload, in the plan's order.
type Axes []Axis

func (a *Axes) decodeNode(d *decoder, n *yaml.Node, path string) *PositionError {
	return d.eachPair(n, path, func(name string, key, value *yaml.Node, at string) *PositionError {
		isVariable := variableName.MatchString(name)
		if name == axisKernel || name == axisWorkload {
			return d.nodeErrorf(key, "the axis %s is given as %ss at the top level", name, name)
		}
		known := slices.Concat(listAxes, guestAxes)
		if !isVariable && !slices.Contains(known, name) {
			return d.nodeErrorf(key, "unknown axis %s%s; expected %s or the name of a variable", shorten(name), didYouMean(name, known), oneOf(known))
		}
		axis := Axis{Name: name}
		if err := d.valueOf(value, &axis.Values, at); err != nil {
			return err
		}
		*a = append(*a, axis)
		return d.checkAxis(value, &axis)
	})
}

// checkAxis checks what can be said of an axis without the rest of the plan.
func (d *decoder) checkAxis(n *yaml.Node, axis *Axis) *PositionError {
	n = follow(n)
	if len(axis.Values) == 0 {
		return d.nodeErrorf(n, "axis %s has no values", axis.Name)
	}
	seen := map[string]bool{}
	for i, v := range axis.Values {
		item := n.Content[i]
		switch {
		case seen[v.Name]:
			return d.nodeErrorf(item, "axis %s has the value %s twice", axis.Name, shorten(v.Name))
		case !slices.Contains(listAxes, axis.Name) && len(v.Words) != 1:
			return d.nodeErrorf(item, "axis %s: expected one value, got %d", axis.Name, len(v.Words))
		}
		seen[v.Name] = true
		if problem := axisProblem(axis.Name, v); problem != "" {
			return d.nodeErrorf(item, "axis %s: %s", axis.Name, problem)
		}
	}
	return nil
}

// axisProblem says what is wrong with a value of an axis, or "".
func axisProblem(axis string, v AxisValue) string {
	if slices.Contains(guestAxes, axis) {
		g := Guest{}
		if err := g.set(axis, v.word()); err != nil {
			return err.Error()
		}
		if err := g.check(&source{}, "guest"); err != nil {
			return err.Message
		}
	}
	for _, w := range v.Words {
		if axis == axisMount && strings.ContainsAny(w, ", \t\n") {
			return "expected one mount option without commas or spaces, got " + shorten(w) + "; write several as NAME: [option, option]"
		}
	}
	return ""
}

func (v *AxisValue) decodeNode(d *decoder, n *yaml.Node, path string) *PositionError {
	if n.Kind == yaml.ScalarNode {
		var text setting
		if err := d.valueOf(n, &text, path); err != nil {
			return err
		}
		v.Name, v.Words = string(text), List{string(text)}
	} else {
		if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
			return d.nodeErrorf(n, "%s: expected a value, or NAME: value, got %s", label(path), describeNode(n))
		}
		v.Name = n.Content[0].Value
		if err := v.decodeWords(d, follow(n.Content[1]), path); err != nil {
			return err
		}
	}
	if !isAxisValue(v.Name) {
		return d.nodeErrorf(n, "%s: %s cannot name a value (no spaces, at most 64 printable characters); write it as NAME: value", label(path), shorten(v.Name))
	}
	return nil
}

func (v *AxisValue) decodeWords(d *decoder, n *yaml.Node, path string) *PositionError {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		var text setting
		if err := d.valueOf(item, &text, path); err != nil {
			return err
		}
		v.Words = append(v.Words, string(text))
	}
	return nil
}

// isAxisValue reports whether s may stand in a cell's key, where spaces part
// one axis from the next.
func isAxisValue(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// set sets the field of the guest that an axis is about.
func (g *Guest) set(axis, value string) (err error) {
	switch axis {
	case axisVCPUs:
		if g.VCPUs, err = strconv.Atoi(value); err != nil || g.VCPUs == 0 {
			return &PositionError{Message: "expected a number of vcpus, got " + shorten(value)}
		}
	case axisMemory:
		g.Memory, err = ParseSize(value)
	case axisDisk:
		g.Disk, err = ParseSize(value)
	case axisAccel:
		g.Accel = value
	}
	return err
}

// Match picks cells: for each axis that it names, the cell has one of the
// values.
type Match map[string]List

func (m *Match) decodeNode(d *decoder, n *yaml.Node, path string) *PositionError {
	*m = Match{}
	return d.eachPair(n, path, func(name string, _, value *yaml.Node, at string) *PositionError {
		var v AxisValue
		if err := v.decodeWords(d, follow(value), at); err != nil {
			return err
		}
		if len(v.Words) == 0 {
			return d.nodeErrorf(value, "%s: expected a value, or a list of values", label(at))
		}
		(*m)[name] = v.Words
		return nil
	})
}

// holds reports whether a cell with these values matches.
func (m Match) holds(values map[string]string) bool {
	for axis, any := range m {
		if !slices.Contains(any, values[axis]) {
			return false
		}
	}
	return true
}

// AllAxes are the axes of the matrix, kernel and workload first: cells are
// ordered by the first, then by the second, and so on.
func (m *Matrix) AllAxes() []Axis {
	kernels, workloads := Axis{Name: axisKernel}, Axis{Name: axisWorkload}
	for _, k := range m.Kernels {
		kernels.Values = append(kernels.Values, AxisValue{Name: k.Name})
	}
	for _, w := range m.Workloads {
		workloads.Values = append(workloads.Values, AxisValue{Name: w.Name})
	}
	return append([]Axis{kernels, workloads}, m.Axes...)
}

// checkAxes checks what the axes need of the rest of the plan.
func (m *Matrix) checkAxes() *PositionError {
	cells := 1
	for _, a := range m.AllAxes() {
		if cells *= len(a.Values); cells > maxCells {
			return m.errorf("axes", "the axes make more than %d cells", maxCells)
		}
	}
	return nil
}

// checkMatch refuses axes that the matrix does not have, and for known also
// values.
func (m *Matrix) checkMatch(at string, match Match, known bool) *PositionError {
	if len(match) == 0 {
		return m.errorf(at, "%s: expected at least one axis", label(at))
	}
	axes := m.AllAxes()
	names := make([]string, len(axes))
	for i, a := range axes {
		names[i] = a.Name
	}
	for name, values := range match {
		i := slices.Index(names, name)
		if i < 0 {
			return m.errorf(at+"."+name, "no axis %s%s (axes: %s)", shorten(name), didYouMean(name, names), strings.Join(names, ", "))
		}
		for _, v := range values {
			if _, err := m.axisValue(axes[i], v, at+"."+name); err != nil && (known || i < 2) {
				return err
			}
			if !known {
				if !isAxisValue(v) {
					return m.errorf(at+"."+name, "%s cannot name a value", shorten(v))
				}
				if problem := axisProblem(name, AxisValue{Name: v, Words: List{v}}); problem != "" {
					return m.errorf(at+"."+name, "axis %s: %s", name, problem)
				}
			}
		}
	}
	return nil
}

// axisValue finds the value of an axis by its name.
func (m *Matrix) axisValue(a Axis, name, at string) (AxisValue, *PositionError) {
	var names []string
	for _, v := range a.Values {
		if v.Name == name {
			return v, nil
		}
		names = append(names, v.Name)
	}
	return AxisValue{}, m.errorf(at, "axis %s has no value %s%s (values: %s)", a.Name, shorten(name), didYouMean(name, names), strings.Join(names, ", "))
}

// axisName is how a workload is called on the axis when nothing else is said.
func (r WorkloadRef) axisName() string {
	switch {
	case r.Inline != nil:
		return r.Inline.Name
	case r.Path != "":
		base := filepath.Base(r.Path)
		return strings.TrimSuffix(base, filepath.Ext(base))
	}
	return r.Name
}
