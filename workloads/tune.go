package workloads

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Knobs are what tuning may change, and the values to try: a variable of the
// workload, or one of TuneKnobs. A knob without values is left alone.
type Knobs map[string]List

// The knobs that are no variables.
const (
	KnobVCPUs   = axisVCPUs // processors of the guest
	KnobPerturb = "perturb" // off, or the share of function boundaries that yield
	KnobIcount  = "icount"  // on or off: the guest's clock counts instructions
	KnobLoad    = "load"    // busy processes beside the guest
	KnobPreempt = "preempt" // the kernel's preemption model
)

// PreemptModels are the values of KnobPreempt.
func PreemptModels() []string { return []string{"none", "voluntary", "full"} }

// TuneKnobs lists the knobs that are no variables.
func TuneKnobs() []string { return []string{KnobVCPUs, KnobPerturb, KnobIcount, KnobLoad, KnobPreempt} }

func (k *Knobs) decodeNode(d *decoder, n *yaml.Node, path string) *PositionError {
	*k = Knobs{}
	return d.eachPair(n, path, func(name string, key, value *yaml.Node, at string) *PositionError {
		if !variableName.MatchString(name) && !slices.Contains(TuneKnobs(), name) {
			return d.nodeErrorf(key, "unknown knob %s%s; expected the name of a variable or %s", shorten(name), didYouMean(name, TuneKnobs()), oneOf(TuneKnobs()))
		}
		var v AxisValue
		if err := v.decodeWords(d, follow(value), at); err != nil {
			return err
		}
		if problem := knobProblem(name, v.Words); problem != "" {
			return d.nodeErrorf(value, "%s: %s", label(at), problem)
		}
		(*k)[name] = v.Words
		return nil
	})
}

// knobProblem says what is wrong with the values of a knob, or "".
func knobProblem(name string, values List) string {
	for i, v := range values {
		if !isAxisValue(v) {
			return shorten(v) + " cannot be a value (no spaces, at most 64 printable characters)"
		}
		if slices.Contains(values[:i], v) {
			return "the value " + shorten(v) + " is given twice"
		}
		if problem := knobValueProblem(name, v); problem != "" {
			return problem
		}
	}
	return ""
}

func knobValueProblem(name, v string) string {
	switch name {
	case KnobVCPUs:
		return axisProblem(axisVCPUs, AxisValue{Name: v, Words: List{v}})
	case KnobPerturb:
		if _, err := ParseShare(v); v != "off" && err != nil {
			return "expected off or a share such as 1/8, got " + shorten(v)
		}
	case KnobIcount:
		if v != "off" && v != "on" {
			return "expected on or off, got " + shorten(v)
		}
	case KnobLoad:
		if n := atoi(v); v != "0" && (n < 1 || n > maxLoad) {
			return "expected a number of busy processes from 0 to 64, got " + shorten(v)
		}
	case KnobPreempt:
		if !slices.Contains(PreemptModels(), v) {
			return "expected " + oneOf(PreemptModels()) + ", got " + shorten(v)
		}
	}
	return ""
}

// Over returns k with every knob that it does not name taken from defaults.
func (k Knobs) Over(defaults Knobs) Knobs {
	if len(k)+len(defaults) == 0 {
		return nil
	}
	out := maps.Clone(defaults)
	if out == nil {
		out = Knobs{}
	}
	maps.Copy(out, k)
	return out
}

// ParseKnob reads a knob as the command line gives it: NAME=V1,V2, where no
// value leaves the knob alone.
func ParseKnob(text string) (name string, values List, err error) {
	name, list, ok := strings.Cut(text, "=")
	if !ok || !variableName.MatchString(name) && !slices.Contains(TuneKnobs(), name) {
		return "", nil, &PositionError{Message: "expected NAME=VALUE,VALUE with the name of a variable or " + oneOf(TuneKnobs()) + ", got " + shorten(text)}
	}
	values = List{}
	if list != "" {
		values = strings.Split(list, ",")
	}
	if problem := knobProblem(name, values); problem != "" {
		return "", nil, &PositionError{Message: "knob " + name + ": " + problem}
	}
	return name, values, nil
}

// Tunable are the variables that a workload of this plan has, with their values:
// the workload's own or, when it stands in the plan, the plan's.
func (p *Plan) Tunable(w *Workload) map[string]string {
	if p.Workload.Inline != nil {
		return p.Variables
	}
	return w.Variables
}

// checkKnobs refuses knobs that are no variables of the workload.
func (p *Plan) checkKnobs(w *Workload) *PositionError {
	variables := p.Tunable(w)
	if err := checkKnobs(&p.src, p.Tune, variables, w.Name); err != nil {
		return err
	}
	return checkKnobs(&w.src, w.Tune, variables, w.Name)
}

func checkKnobs(src *source, knobs Knobs, variables map[string]string, workload string) *PositionError {
	known := append(slices.Sorted(maps.Keys(variables)), TuneKnobs()...)
	for _, name := range slices.Sorted(maps.Keys(knobs)) {
		if !slices.Contains(known, name) {
			return src.errorf("tune."+name, "workload %s has no variable %s%s (knobs: %s)", workload, shorten(name), didYouMean(name, known), strings.Join(known, ", "))
		}
	}
	return nil
}

// loneVariable is a value that consists of one variable.
var loneVariable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_-]*)\}$`)

// VariableFields says for each variable that is the whole value of a field in
// the workload which field that is, by its name: "threads", "total_size". One
// that stands in several fields is named after the first.
func (p *Plan) VariableFields(w *Workload) map[string]string {
	out := map[string]string{}
	doc := w.doc
	if p.Workload.Inline != nil {
		doc = p.doc
	}
	if doc == nil {
		return out
	}
	walkNodes(doc.root, func(n *yaml.Node) {
		for i := 1; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
			if m := loneVariable.FindStringSubmatch(follow(n.Content[i]).Value); m != nil && out[m[1]] == "" {
				out[m[1]] = n.Content[i-1].Value
			}
		}
	})
	return out
}

// MarshalYAML writes a reference as plans have it.
func (r WorkloadRef) MarshalYAML() (any, error) {
	if r.Inline != nil {
		return r.Inline, nil
	}
	return r.String(), nil
}
