package workloads

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// OpenCells loads the workloads of cells, in their order, each filled in as
// its cell wants it: the result is what runs. A variable that nothing uses is a
// mistake. Files are read once.
func (m *Matrix) OpenCells(shipped fs.FS, cells []Cell) ([]*Workload, error) {
	o := &opener{shipped: shipped, docs: map[string]*document{}, used: maps.Clone(m.used), names: map[string]bool{}}
	out := make([]*Workload, len(cells))
	for i := range cells {
		w, err := o.open(&cells[i])
		if err != nil {
			return nil, err
		}
		if len(w.Signatures) == 0 {
			return nil, m.errorf(cells[i].at, "workload %s has no signature, so nothing says what the bug looks like: add signatures to it", w.Name)
		}
		out[i] = w
	}
	if err := o.unused(m); err != nil {
		return nil, err
	}
	return out, nil
}

// opener remembers what it has read and which variables were of use.
type opener struct {
	shipped fs.FS
	docs    map[string]*document
	used    map[string]bool
	// names are all variables of all workloads, for messages.
	names map[string]bool
}

// unused reports a variable of the plan or the command line that nothing uses.
func (o *opener) unused(m *Matrix) error {
	names := slices.Sorted(maps.Keys(o.names))
	own := slices.AppendSeq(slices.Collect(maps.Keys(m.Variables)), maps.Keys(m.unset))
	slices.Sort(own)
	for _, name := range own {
		if !o.used[name] {
			return m.errorf("variables."+name, "variable %q is used neither by the plan nor by one of its workloads%s", name, didYouMean(name, names))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.given)) {
		if _, declared := m.Variables[name]; !declared && !o.used[name] {
			return &PositionError{Message: "no variable " + shorten(name) + " in plan " + m.Name + " or its workloads" + didYouMean(name, names)}
		}
	}
	return nil
}

func (o *opener) open(c *Cell) (*Workload, error) {
	w, err := o.load(c)
	if err != nil {
		return nil, err
	}
	out := *w
	out.Defaults = c.Guest.Over(w.Defaults).Over(FallbackGuest())
	out.Benign = append(slices.Clone(w.Benign), c.matrix.Benign...)
	out.Phases = slices.Clone(w.Phases)
	if err := c.setOptions(&out); err != nil {
		return nil, err
	}
	if err := out.check(); err != nil {
		return nil, err
	}
	return &out, nil
}

func (o *opener) load(c *Cell) (*Workload, error) {
	declared := map[string]bool{}
	var doc *document
	if c.Workload.Inline == nil {
		var err error
		if doc, err = o.document(c); err != nil {
			return nil, err
		}
		if declared, err = doc.declaredVariables(); err != nil {
			return nil, err
		}
	}
	vars, err := o.variables(c, declared)
	if err != nil {
		return nil, err
	}
	if doc == nil {
		return c.Workload.Inline, nil
	}
	return decodeWorkload(doc, vars)
}

func (o *opener) document(c *Cell) (*document, error) {
	ref := c.Workload.String()
	if doc := o.docs[ref]; doc != nil {
		return doc, nil
	}
	file, data, err := c.Workload.read(o.shipped)
	if err != nil {
		return nil, c.matrix.errorf(c.at, "%v", err)
	}
	doc, err := parseDocument(file, data)
	if err != nil {
		return nil, err
	}
	doc = doc.workload()
	o.docs[ref] = doc
	return doc, nil
}

// variables are the values for a cell's workload. What the plan or the command
// line says for all is for those workloads that know the name; what is said for
// this cell must be known to it.
func (o *opener) variables(c *Cell, declared map[string]bool) (map[string]string, error) {
	m, vars := c.matrix, map[string]string{}
	for name := range declared {
		o.names[name] = true
	}
	for _, all := range []map[string]string{m.Variables, m.given} {
		for name, value := range all {
			if declared[name] {
				vars[name], o.used[name] = value, true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Variables)) {
		_, inPlan := m.Variables[name]
		switch {
		case declared[name]:
			vars[name], o.used[name] = c.Variables[name], true
		case inPlan && m.used[name]:
			// an axis that the plan's own fields use
		default:
			known := slices.Sorted(maps.Keys(declared))
			return nil, m.errorf(c.variablePath(name), "workload %s has no variable %s%s (variables: %s)", c.Workload, shorten(name), didYouMean(name, known), strings.Join(known, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.unset)) {
		if _, known := vars[name]; declared[name] && !known {
			return nil, m.errorf("variables."+name, noValue, name, name)
		}
	}
	return vars, nil
}

// variablePath is where the plan sets a variable of the cell.
func (c *Cell) variablePath(name string) string {
	if _, isAxis := c.Values[name]; isAxis {
		return "axes." + name
	}
	path := c.at + ".variables." + name
	for i, rule := range c.matrix.Cells {
		if _, sets := rule.Variables[name]; sets && rule.When.holds(c.Values) {
			path = indexed("cells", i) + ".variables." + name
		}
	}
	return path
}

// setOptions puts the values of the axes mount and mkfs into the phases.
func (c *Cell) setOptions(w *Workload) error {
	mounts, mkfs := 0, 0
	for i := range w.Phases {
		p := &w.Phases[i]
		if c.mount != nil && p.Mount != nil {
			changed := *p.Mount
			changed.Options = slices.Clone(c.mount.Words)
			p.Mount = &changed
			mounts++
		}
		if c.mkfs != nil && p.Mkfs != nil {
			changed := *p.Mkfs
			changed.Options = slices.Clone(c.mkfs.Words)
			p.Mkfs = &changed
			mkfs++
		}
	}
	switch {
	case c.mount != nil && mounts == 0:
		return c.matrix.errorf("axes."+axisMount, "workload %s mounts nothing, so the axis mount changes nothing: exclude it there", c.Workload)
	case c.mkfs != nil && mkfs == 0:
		return c.matrix.errorf("axes."+axisMkfs, "workload %s makes no file system, so the axis mkfs changes nothing: exclude it there", c.Workload)
	}
	return nil
}
