package workloads

import (
	"maps"

	"gopkg.in/yaml.v3"
)

// Values of a matrix that says nothing else.
const (
	DefaultRepeat           = 3
	DefaultMatrixConfidence = 0.95
	DefaultRetries          = 2
)

// Matrix is a plan for many cells: every combination of its axes, which are
// kernels, workloads and whatever else the plan varies. Each cell is run a
// number of times. Fields left out are zero unless they say otherwise.
type Matrix struct {
	// Name is how campaigns of the plan find each other over nights.
	Name        string `yaml:"name" json:"name" spec:"required"`
	Description string `yaml:"description,omitempty" json:"description,omitempty"`
	// Variables are the names that ${...} may use in the plan, and values for
	// the workloads' variables of the same names. A name without a value must
	// be given on the command line, or be an axis.
	Variables map[string]string `yaml:"variables,omitempty" json:"variables,omitempty"`

	// Kernel holds what all kernels share.
	Kernel *KernelSpec `yaml:"kernel,omitempty" json:"kernel,omitempty"`
	// Kernels are the values of the axis "kernel".
	Kernels []MatrixKernel `yaml:"kernels" json:"kernels" spec:"required"`
	// Workloads are the values of the axis "workload".
	Workloads []MatrixWorkload `yaml:"workloads" json:"workloads" spec:"required"`
	// Axes are what else varies: mount, mkfs, config, guest.vcpus,
	// guest.memory, guest.disk, guest.accel, or the name of a variable.
	Axes Axes `yaml:"axes,omitempty" json:"axes,omitempty"`
	// Exclude leaves out the cells that match one of its entries.
	Exclude []Match `yaml:"exclude,omitempty" json:"exclude,omitempty"`
	// Include adds cells that the axes do not have. An axis that an entry does
	// not name has its first value there.
	Include []Match `yaml:"include,omitempty" json:"include,omitempty"`
	// Cells say what holds for some cells only; later entries win.
	Cells []CellRule `yaml:"cells,omitempty" json:"cells,omitempty"`

	// Guest is over what the workloads say of their guests.
	Guest Guest `yaml:"guest,omitempty" json:"guest,omitzero"`
	// Benign is added to the workloads' own.
	Benign []Benign `yaml:"benign,omitempty" json:"benign,omitempty"`

	// Repeat is how many valid runs each cell gets; the default is
	// DefaultRepeat.
	Repeat int `yaml:"repeat,omitempty" json:"repeat,omitempty"`
	// Confidence is the level of the intervals of the rates; the default is
	// DefaultMatrixConfidence.
	Confidence float64 `yaml:"confidence,omitempty" json:"confidence,omitempty"`
	// Stop says when a cell may end early: "never" (the default), so that its
	// rate is measured, or "first", with its first run that is not clean.
	Stop string `yaml:"stop,omitempty" json:"stop,omitempty"`
	// Retries is how many runs of a cell may fail for reasons outside its
	// kernel and are made up for; the default is DefaultRetries.
	Retries *int `yaml:"retries,omitempty" json:"retries,omitempty"`
	// Budget limits the time of the campaign, building included: no run begins
	// after it. 0 is no limit.
	Budget Duration `yaml:"budget,omitempty" json:"budget,omitempty"`
	// MaxRuns limits the runs of the campaign; 0 is no limit.
	MaxRuns int `yaml:"max_runs,omitempty" json:"max_runs,omitempty"`
	// Jobs limits the guests at a time; 0 is what the host allows.
	Jobs int `yaml:"jobs,omitempty" json:"jobs,omitempty"`

	doc *document
	src source
	// given are the variables from the command line, declared or not.
	given map[string]string
	// used are the variables that the plan's own fields refer to, unset those
	// without a value, which only an axis or a cell can give them.
	used, unset map[string]bool
}

// MatrixKernel is a kernel of a matrix.
type MatrixKernel struct {
	KernelSpec `yaml:",inline"`
	// Ref is a revision of Tree that moves, such as a branch. It is looked up
	// once when a campaign begins, and recorded.
	Ref string `yaml:"ref,omitempty" json:"ref,omitempty"`
}

// MatrixWorkload is a workload of a matrix: in YAML the reference alone, or the
// fields below.
type MatrixWorkload struct {
	// Name is the value of the axis; the default is the workload's own name,
	// as far as the reference tells it.
	Name     string      `yaml:"name,omitempty" json:"name,omitempty"`
	Workload WorkloadRef `yaml:"workload" json:"workload" spec:"required"`
	// Variables are values for the workload's variables.
	Variables Settings `yaml:"variables,omitempty" json:"variables,omitempty"`
	// Guest is over the plan's.
	Guest Guest `yaml:"guest,omitempty" json:"guest,omitzero"`
}

// matrixWorkloadFields is MatrixWorkload without its second form.
type matrixWorkloadFields MatrixWorkload

func (w *MatrixWorkload) decodeNode(d *decoder, n *yaml.Node, path string) *PositionError {
	if n.Kind == yaml.MappingNode {
		if err := d.valueOf(n, (*matrixWorkloadFields)(w), path); err != nil {
			return err
		}
	} else if err := d.valueOf(n, &w.Workload, path); err != nil {
		return err
	}
	w.Name = cmpOr(w.Name, w.Workload.axisName())
	return nil
}

// Settings are values for variables.
type Settings map[string]string

func (s *Settings) decodeNode(d *decoder, n *yaml.Node, path string) *PositionError {
	*s = Settings{}
	return d.eachPair(n, path, func(name string, key, value *yaml.Node, at string) *PositionError {
		if !variableName.MatchString(name) {
			return d.nodeErrorf(key, "expected the name of a variable (letters, digits, _ and -), got %s", shorten(name))
		}
		var text setting
		err := d.valueOf(value, &text, at)
		(*s)[name] = string(text)
		return err
	})
}

// setting is a value for a variable: any scalar, taken as it is written.
type setting string

func (s *setting) decodeNode(d *decoder, n *yaml.Node, path string) *PositionError {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return d.nodeErrorf(n, "%s: expected one value, got %s", label(path), describeNode(n))
	}
	text, _, err := d.substitute(n)
	*s = setting(text)
	return err
}

// CellRule changes the cells that match it.
type CellRule struct {
	When Match `yaml:"when" json:"when" spec:"required"`
	// Repeat, Confidence and Stop are as in the plan.
	Repeat     int     `yaml:"repeat,omitempty" json:"repeat,omitempty"`
	Confidence float64 `yaml:"confidence,omitempty" json:"confidence,omitempty"`
	Stop       string  `yaml:"stop,omitempty" json:"stop,omitempty"`
	// Variables are values for the workload's variables.
	Variables Settings `yaml:"variables,omitempty" json:"variables,omitempty"`
	Guest     Guest    `yaml:"guest,omitempty" json:"guest,omitzero"`
}

// LoadMatrix decodes a matrix plan, with values of variables from the command
// line. name is the plan's path: relative paths in the plan are relative to its
// folder. Every error is a *PositionError.
func LoadMatrix(name string, data []byte, vars map[string]string) (*Matrix, error) {
	doc, err := parseDocument(name, data)
	if err != nil {
		return nil, err
	}
	return decodeMatrix(doc, vars)
}

// decodeMatrix decodes the axes first: those that are variables have their
// first value while the rest is decoded, and each cell decodes it again.
func decodeMatrix(doc *document, vars map[string]string) (m *Matrix, err error) {
	defer func() { err = doc.otherKind(MatrixFile, err) }()
	declared, err := doc.declaredVariables()
	if err != nil {
		return nil, err
	}
	own := maps.Clone(vars)
	maps.DeleteFunc(own, func(name, _ string) bool { return !declared[name] })
	axes, err := doc.axes(own)
	if err != nil {
		return nil, err
	}
	first := map[string]string{}
	for _, a := range axes {
		if _, twice := vars[a.Name]; twice {
			return nil, &PositionError{File: doc.file, Message: "variable " + shorten(a.Name) + " is an axis of the plan: it cannot have one value from the command line"}
		}
		if declared[a.Name] {
			first[a.Name] = a.Values[0].word()
		}
	}
	maps.Copy(first, own)
	m, err = doc.matrix(first)
	if err != nil {
		return nil, err
	}
	m.given = vars
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

// axes decodes the axes alone.
func (doc *document) axes(vars map[string]string) (Axes, error) {
	d, err := doc.decoder(vars)
	if err != nil {
		return nil, err
	}
	var axes Axes
	if doc.root.Kind != yaml.MappingNode {
		return nil, nil // decoding the whole will say so
	}
	for i := 0; i+1 < len(doc.root.Content); i += 2 {
		if doc.root.Content[i].Value == "axes" {
			if err := d.valueOf(doc.root.Content[i+1], &axes, "axes"); err != nil {
				return nil, err
			}
		}
	}
	return axes, nil
}

// matrix decodes the plan with the given values of declared variables.
func (doc *document) matrix(vars map[string]string) (*Matrix, error) {
	m := &Matrix{doc: doc}
	d, err := doc.decode(m, vars)
	if err != nil {
		return nil, err
	}
	m.src, m.used, m.unset, m.Variables = d.source, d.used, d.unset, d.vars
	m.complete()
	m.resolvePaths()
	return m, nil
}

func (m *Matrix) complete() {
	if _, given := m.src.at["repeat"]; !given {
		m.Repeat = DefaultRepeat
	}
	if _, given := m.src.at["confidence"]; !given {
		m.Confidence = DefaultMatrixConfidence
	}
	if m.Retries == nil {
		retries := DefaultRetries
		m.Retries = &retries
	}
}

func (m *Matrix) resolvePaths() {
	dir := planDir(m.src.file)
	if m.Kernel != nil {
		m.Kernel.resolvePaths(dir)
	}
	for i := range m.Kernels {
		m.Kernels[i].resolvePaths(dir)
	}
	for i := range m.Workloads {
		m.Workloads[i].Workload.Path = resolvePath(dir, m.Workloads[i].Workload.Path)
	}
	for _, a := range m.Axes {
		if a.Name != axisConfig {
			continue
		}
		for _, v := range a.Values {
			for i := range v.Words {
				v.Words[i] = resolvePath(dir, v.Words[i])
			}
		}
	}
}

// errorf makes the error for the plan's value at path.
func (m *Matrix) errorf(path, format string, args ...any) *PositionError {
	return m.src.errorf(path, format, args...)
}
