package workloads

import (
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// Values of a plan that says nothing else.
const (
	DefaultConfidence = 0.99
	DefaultMaxRuns    = 60
)

// Plan is what a campaign is made from: two kernels, a workload, a machine and
// the rules for stopping. Fields left out are zero unless they say otherwise;
// flags of the command line override them.
type Plan struct {
	Name        string `yaml:"name" json:"name" spec:"required"`
	Description string `yaml:"description,omitempty" json:"description,omitempty"`
	// Variables are the names that ${...} may use in the plan, and values for
	// the workload's variables of the same names. A name without a value must
	// be given on the command line.
	Variables map[string]string `yaml:"variables,omitempty" json:"variables,omitempty"`

	// Kernel holds what both kernels share; Pre and Post add to it.
	Kernel *KernelSpec `yaml:"kernel,omitempty" json:"kernel,omitempty"`
	Pre    *KernelSpec `yaml:"pre,omitempty" json:"pre,omitempty"`
	Post   *KernelSpec `yaml:"post,omitempty" json:"post,omitempty"`
	// Fix names a commit of Kernel's tree: its parent against itself.
	Fix string `yaml:"fix,omitempty" json:"fix,omitempty"`
	// Base names a revision of Kernel's tree that Patch goes on top of.
	Base string `yaml:"base,omitempty" json:"base,omitempty"`
	// Patch is the series that only the post kernel has.
	Patch List `yaml:"patch,omitempty" json:"patch,omitempty"`

	Workload WorkloadRef `yaml:"workload" json:"workload" spec:"required"`
	Guest    Guest       `yaml:"guest,omitempty" json:"guest,omitzero"`
	// Signatures and Consequences, when given, replace the workload's; Benign
	// is added to the workload's.
	Signatures   []Signature `yaml:"signatures,omitempty" json:"signatures,omitempty"`
	Consequences []Signature `yaml:"consequences,omitempty" json:"consequences,omitempty"`
	Benign       []Benign    `yaml:"benign,omitempty" json:"benign,omitempty"`

	// Snapshot, when given, replaces the workload's.
	Snapshot string `yaml:"snapshot,omitempty" json:"snapshot,omitempty"`

	// Tune is over what the workload says of the knobs that tuning may turn.
	Tune Knobs `yaml:"tune,omitempty" json:"tune,omitempty"`

	// Confidence is asked of the verdict; the default is DefaultConfidence.
	Confidence float64 `yaml:"confidence,omitempty" json:"confidence,omitempty"`
	// MaxRuns limits the runs of each side; the default is DefaultMaxRuns.
	MaxRuns int `yaml:"max_runs,omitempty" json:"max_runs,omitempty"`
	// Budget limits the time of all runs together, building not counted; 0 is
	// no limit.
	Budget Duration `yaml:"budget,omitempty" json:"budget,omitempty"`
	// Jobs is the number of guests at a time; 0 is what the host allows.
	Jobs int `yaml:"jobs,omitempty" json:"jobs,omitempty"`

	doc *document
	src source
	// extra are variables from the command line that the plan does not
	// declare: they are meant for the workload.
	extra map[string]string
	// used are the variables that the plan's own fields refer to, unset those
	// that nobody has given a value.
	used, unset map[string]bool
	// replaced says that Workload is not the one of the file.
	replaced bool
}

// KernelSpec says where a kernel comes from; the fields are those of
// kernels.Spec. In a plan, paths are relative to the plan's file and
// "shipped:NAME" is a file that comes with patchproof.
type KernelSpec struct {
	// Name is how reports call the kernel; the default is the side's name.
	Name    string `yaml:"name,omitempty" json:"name,omitempty"`
	Image   string `yaml:"image,omitempty" json:"image,omitempty"`
	Vmlinux string `yaml:"vmlinux,omitempty" json:"vmlinux,omitempty"`
	Config  string `yaml:"config,omitempty" json:"config,omitempty"`
	// Modules is the folder lib/modules/RELEASE of a ready image that cannot
	// drive a guest without modules.
	Modules    string `yaml:"modules,omitempty" json:"modules,omitempty"`
	Tarball    string `yaml:"tarball,omitempty" json:"tarball,omitempty"`
	Tree       string `yaml:"tree,omitempty" json:"tree,omitempty"`
	Rev        string `yaml:"rev,omitempty" json:"rev,omitempty"`
	Patches    List   `yaml:"patches,omitempty" json:"patches,omitempty"`
	BaseConfig string `yaml:"base_config,omitempty" json:"base_config,omitempty"`
	Fragments  List   `yaml:"fragments,omitempty" json:"fragments,omitempty"`
	Make       List   `yaml:"make,omitempty" json:"make,omitempty"`
	// Perturb asks for a kernel that makes races show themselves.
	Perturb *Perturb `yaml:"perturb,omitempty" json:"perturb,omitempty"`
}

// Perturb describes a perturbed kernel. Whoever builds kernels refuses it
// until it can build one.
type Perturb struct {
	// Paths are the source folders and files whose functions may yield; none
	// means those that the patch touches.
	Paths List `yaml:"paths,omitempty" json:"paths,omitempty"`
	// Share is the part of the function boundaries that yield; 0 is the
	// builder's default.
	Share Share `yaml:"share,omitempty" json:"share,omitempty"`
	// Preempt chooses a preemptible kernel; nil is the builder's default.
	Preempt *bool `yaml:"preempt,omitempty" json:"preempt,omitempty"`
}

// List is a list of words that may be written as a single word in YAML.
type List []string

func (l *List) decodeNode(d *decoder, n *yaml.Node, path string) *PositionError {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	out := make([]string, len(items))
	for i, item := range items {
		at := path
		if n.Kind == yaml.SequenceNode {
			at = indexed(path, i)
		}
		if err := d.word(item, &out[i], at); err != nil {
			return err
		}
	}
	*l = out
	return nil
}

// WorkloadRef names a plan's workload: exactly one field is set.
type WorkloadRef struct {
	// Name is that of a shipped workload.
	Name string `yaml:"-" json:"name,omitempty"`
	// Path is a file, relative to the plan's.
	Path string `yaml:"-" json:"path,omitempty"`
	// Inline stands in the plan itself and uses the plan's variables.
	Inline *Workload `yaml:"-" json:"inline,omitempty"`
}

// String is the reference as it would be written in a plan.
func (r WorkloadRef) String() string {
	switch {
	case r.Inline != nil:
		return r.Inline.Name + " (in the plan)"
	case r.Path != "":
		return r.Path
	}
	return r.Name
}

// ParseWorkloadRef reads a reference as flags and plans give it: a path when
// it has a slash or ends in .yaml or .yml, else the name of a shipped one.
func ParseWorkloadRef(s string) WorkloadRef {
	if strings.ContainsRune(s, '/') || strings.HasSuffix(s, ".yaml") || strings.HasSuffix(s, ".yml") {
		return WorkloadRef{Path: s}
	}
	return WorkloadRef{Name: s}
}

func (r *WorkloadRef) decodeNode(d *decoder, n *yaml.Node, path string) *PositionError {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "variables" {
				return d.nodeErrorf(n.Content[i], "%s: a workload in a plan uses the plan's variables; move these there", path)
			}
		}
		r.Inline = &Workload{}
		return d.value(n, reflect.ValueOf(r.Inline).Elem(), path)
	}
	var word string
	if err := d.word(n, &word, path); err != nil {
		return err
	}
	*r = ParseWorkloadRef(word)
	return nil
}

// LoadPlan decodes a plan. name is the plan's path: relative paths in the plan
// are relative to its folder. Every error is a *PositionError.
func LoadPlan(name string, data []byte) (*Plan, error) {
	return LoadPlanWith(name, data, nil)
}

// LoadPlanWith is LoadPlan with values of variables from the command line.
// Names that the plan does not declare are kept for its workload, which
// refuses those that it does not know either.
func LoadPlanWith(name string, data []byte, vars map[string]string) (*Plan, error) {
	doc, err := parseDocument(name, data)
	if err != nil {
		return nil, err
	}
	return decodePlan(doc, vars)
}

// ReplaceWorkload makes a plan run another workload than it says.
func (p *Plan) ReplaceWorkload(ref WorkloadRef) { p.Workload, p.replaced = ref, true }

// WithVariables returns the plan as it reads with other values of its
// variables; see LoadPlanWith.
func (p *Plan) WithVariables(vars map[string]string) (*Plan, error) {
	if p.doc == nil {
		return nil, &PositionError{Message: "plan " + p.Name + " was not loaded from YAML: its variables are already filled in"}
	}
	merged := map[string]string{}
	for _, m := range []map[string]string{p.Variables, p.extra, vars} {
		for k, v := range m {
			merged[k] = v
		}
	}
	return decodePlan(p.doc, merged)
}

func decodePlan(doc *document, vars map[string]string) (p *Plan, err error) {
	defer func() { err = doc.otherKind(VerifyFile, err) }()
	declared, err := doc.declaredVariables()
	if err != nil {
		return nil, err
	}
	own, extra := map[string]string{}, map[string]string{}
	for k, v := range vars {
		if declared[k] {
			own[k] = v
		} else {
			extra[k] = v
		}
	}
	p = &Plan{doc: doc, extra: extra}
	d, err := doc.decode(p, own)
	if err != nil {
		return nil, err
	}
	p.src, p.used, p.unset, p.Variables = d.source, d.used, d.unset, d.vars
	if err := p.Complete(); err != nil {
		return nil, err
	}
	p.resolvePaths()
	return p, nil
}

// Complete gives a plan the defaults of what it leaves open and checks it. A
// loaded plan is complete; one made in Go, from flags, is not.
func (p *Plan) Complete() error {
	// a zero that stands in the file is a mistake, not a wish for the default
	if _, given := p.src.at["confidence"]; !given && p.Confidence == 0 {
		p.Confidence = DefaultConfidence
	}
	if _, given := p.src.at["max_runs"]; !given && p.MaxRuns == 0 {
		p.MaxRuns = DefaultMaxRuns
	}
	if err := p.check(); err != nil {
		return err
	}
	return nil
}

// declaredVariables names the variables that the document declares.
func (doc *document) declaredVariables() (map[string]bool, error) {
	d := &decoder{source: source{file: doc.file}, vars: map[string]string{}, unset: map[string]bool{}}
	if err := d.declare(doc.root); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, name := range d.variableNames() {
		names[name] = true
	}
	return names, nil
}

// Confidence bounds: below one half a verdict is a coin toss, and above the
// upper one no affordable number of runs is enough.
const (
	minConfidence = 0.5
	MaxConfidence = 0.9999
)

func (p *Plan) check() *PositionError {
	src := &p.src
	switch {
	case !isName(p.Name):
		return src.errorf("name", "expected a name of lower case letters, digits and - . _ (at most 64), got %s", shorten(p.Name))
	case p.Confidence > 1 && p.Confidence < 100:
		return src.errorf("confidence", "expected a confidence from %v to %v, got %v; %v%% is %v", minConfidence, MaxConfidence, p.Confidence, p.Confidence, p.Confidence/100)
	case !(p.Confidence >= minConfidence && p.Confidence <= MaxConfidence):
		return src.errorf("confidence", "expected a confidence from %v to %v, got %v", minConfidence, MaxConfidence, p.Confidence)
	case p.MaxRuns < 1 || p.MaxRuns > 100_000:
		return src.errorf("max_runs", "expected 1 to 100000 runs, got %d", p.MaxRuns)
	case p.Jobs < 0 || p.Jobs > 1024:
		return src.errorf("jobs", "expected 1 to 1024 jobs (or 0: what the host allows), got %d", p.Jobs)
	}
	if err := p.Guest.check(src, "guest"); err != nil {
		return err
	}
	if w := p.Workload.Inline; w != nil {
		w.src = source{file: src.file, prefix: "workload.", at: src.at}
		if err := w.check(); err != nil {
			return err
		}
	}
	if err := checkSignatures(src, "signatures", p.Signatures); err != nil {
		return err
	}
	if err := checkSignatures(src, "consequences", p.Consequences); err != nil {
		return err
	}
	if err := checkBenign(src, "benign", p.Benign); err != nil {
		return err
	}
	return p.checkKernels()
}

// checkKernels refuses combinations of the kernel fields that say two things.
func (p *Plan) checkKernels() *PositionError {
	src := &p.src
	for _, b := range []struct {
		at   string
		spec *KernelSpec
	}{{"kernel", p.Kernel}, {"pre", p.Pre}, {"post", p.Post}} {
		if b.spec == nil {
			continue
		}
		if err := b.spec.check(src, b.at); err != nil {
			return err
		}
	}
	switch {
	case p.Fix != "" && (p.Base != "" || len(p.Patch) > 0):
		return src.errorf("fix", "give either fix (a commit against its parent) or base and patch, not both")
	case p.Fix != "" && (p.Kernel == nil || p.Kernel.Tree == ""):
		return src.errorf("fix", "fix needs the git tree that has the commit: give kernel.tree")
	case p.Fix != "" && p.Kernel.Rev != "":
		return src.errorf("kernel.rev", "fix already says both revisions; leave rev out")
	case p.Base != "" && (p.Kernel == nil || p.Kernel.Tree == ""):
		return src.errorf("base", "base needs the git tree that has the revision: give kernel.tree")
	case p.Base != "" && len(p.Patch) == 0:
		return src.errorf("base", "base alone makes no pair: give the patch that only the post kernel has")
	case p.Base != "" && p.Kernel.Rev != "":
		return src.errorf("kernel.rev", "base already says the revision; leave rev out")
	}
	return nil
}

// check refuses fields of one kernel's block that cannot be right.
func (k *KernelSpec) check(src *source, at string) *PositionError {
	if k.Name != "" && !isName(k.Name) {
		return src.errorf(at+".name", "expected a name of lower case letters, digits and - . _ (at most 64), got %s", shorten(k.Name))
	}
	for i, m := range k.Make {
		if key, _, ok := strings.Cut(m, "="); !ok || !variableName.MatchString(key) {
			return src.errorf(indexed(at+".make", i), "expected a make variable such as CC=gcc-11, got %s", shorten(m))
		}
	}
	return nil
}

// errorf makes the error for the plan's value at path.
func (p *Plan) errorf(path, format string, args ...any) error {
	return p.src.errorf(path, format, args...)
}
