package workloads

import (
	"slices"
	"strings"
)

// Workload is what one run does inside a guest, and what the kernel log must
// look like for the bug to count as reproduced.
type Workload struct {
	// Name is how plans and records call the workload.
	Name        string `yaml:"name" json:"name" spec:"required"`
	Description string `yaml:"description,omitempty" json:"description,omitempty"`
	// Requires lists what the guest's kernel must have built in, as
	// CONFIG_ symbols, so that a missing one is an error before the first boot.
	Requires []string `yaml:"requires,omitempty" json:"requires,omitempty"`
	// Defaults is the machine that the workload was written for; a plan's
	// guest block overrides it field by field.
	Defaults Guest `yaml:"guest,omitempty" json:"guest,omitzero"`
	// Variables are the names that ${...} may use, with their defaults.
	Variables map[string]string `yaml:"variables,omitempty" json:"variables,omitempty"`
	Phases    []Phase           `yaml:"phases" json:"phases" spec:"required"`
	// Snapshot says after which phase runs begin to differ, see
	// SnapshotPhases: "after PHASE", "after boot", or SnapshotNone; empty
	// leaves it to that function.
	Snapshot string `yaml:"snapshot,omitempty" json:"snapshot,omitempty"`
	// Tune are the knobs that tuning may turn, with the values to try: names of
	// variables, guest.vcpus, perturb, icount, load, preempt. What it does not
	// name has values made from the variable's own, as far as its field is known;
	// an empty list leaves a knob alone.
	Tune Knobs `yaml:"tune,omitempty" json:"tune,omitempty"`
	// Signatures say what a kernel report must look like to be the bug.
	Signatures []Signature `yaml:"signatures,omitempty" json:"signatures,omitempty"`
	// Consequences follow from the bug but can have other causes: they count
	// as the bug only in a run that also shows one of Signatures.
	Consequences []Signature `yaml:"consequences,omitempty" json:"consequences,omitempty"`
	// Benign reports are known and do not make a run fail.
	Benign []Benign `yaml:"benign,omitempty" json:"benign,omitempty"`

	doc *document
	src source
}

// Guest is the virtual machine of a run. Zero fields mean "not said here".
type Guest struct {
	VCPUs  int  `yaml:"vcpus,omitempty" json:"vcpus,omitempty"`
	Memory Size `yaml:"memory,omitempty" json:"memory,omitempty"`
	// Disk is the size of /dev/vda, a sparse file on the host.
	Disk Size `yaml:"disk,omitempty" json:"disk,omitempty"`
	// Accel is "auto", "kvm" or "tcg"; empty is auto.
	Accel string `yaml:"accel,omitempty" json:"accel,omitempty"`
	// Icount lets the guest's clock count its instructions, which takes tcg and
	// one vCPU.
	Icount *bool `yaml:"icount,omitempty" json:"icount,omitempty"`
	// Load is the number of busy processes on the host beside each guest.
	Load int `yaml:"load,omitempty" json:"load,omitempty"`
	// Append holds extra words for the kernel's command line.
	Append []string `yaml:"append,omitempty" json:"append,omitempty"`
}

// MemoryMiB is the guest's memory in MiB.
func (g Guest) MemoryMiB() int { return int(g.Memory / MiB) }

// CountsInstructions says whether the guest's clock does, see Icount.
func (g Guest) CountsInstructions() bool { return g.Icount != nil && *g.Icount }

// maxLoad is the largest Load.
const maxLoad = 64

// DiskMiB is the size of the guest's disk in MiB.
func (g Guest) DiskMiB() int64 { return int64(g.Disk / MiB) }

// Over returns g with every field that it leaves open taken from defaults.
// The command line words of both are kept, those of defaults first.
func (g Guest) Over(defaults Guest) Guest {
	if g.VCPUs == 0 {
		g.VCPUs = defaults.VCPUs
	}
	if g.Memory == 0 {
		g.Memory = defaults.Memory
	}
	if g.Disk == 0 {
		g.Disk = defaults.Disk
	}
	if g.Accel == "" {
		g.Accel = defaults.Accel
	}
	if g.Icount == nil {
		g.Icount = defaults.Icount
	}
	if g.Load == 0 {
		g.Load = defaults.Load
	}
	g.Append = append(append([]string(nil), defaults.Append...), g.Append...)
	return g
}

// FallbackGuest is the machine for a workload and plan that say nothing of it.
func FallbackGuest() Guest {
	return Guest{VCPUs: 2, Memory: 1 * GiB, Disk: 4 * GiB, Accel: "auto"}
}

// Signature says what a kernel report must look like; empty fields match
// anything. The fields are those of dmesg.Signature, which defines how they
// are compared.
type Signature struct {
	Name      string `yaml:"name,omitempty" json:"name,omitempty"`
	Kind      string `yaml:"kind,omitempty" json:"kind,omitempty"`
	File      string `yaml:"file,omitempty" json:"file,omitempty"`
	Function  string `yaml:"function,omitempty" json:"function,omitempty"`
	Condition string `yaml:"condition,omitempty" json:"condition,omitempty"`
	Title     string `yaml:"title,omitempty" json:"title,omitempty"`
}

// Benign is a report that is known to be no failure, and why.
type Benign struct {
	Signature `yaml:",inline"`
	Reason    string `yaml:"reason" json:"reason" spec:"required"`
}

// LoadWorkload decodes a workload file. name is used in messages only. Every
// error is a *PositionError.
func LoadWorkload(name string, data []byte) (*Workload, error) {
	return LoadWorkloadWith(name, data, nil)
}

// LoadWorkloadWith is LoadWorkload with values for some of the workload's
// variables, as a plan or the command line gives them. A value may come from
// there alone: a variable declared without a default must be given.
func LoadWorkloadWith(name string, data []byte, vars map[string]string) (*Workload, error) {
	doc, err := parseDocument(name, data)
	if err != nil {
		return nil, err
	}
	return decodeWorkload(doc, vars)
}

// WithVariables returns the workload as it reads with other values of its
// variables. Types and limits are checked again, at the place of each use.
func (w *Workload) WithVariables(vars map[string]string) (*Workload, error) {
	if w.doc == nil {
		return nil, &PositionError{Message: "workload " + w.Name + " was not loaded from YAML: its variables are already filled in"}
	}
	merged := make(map[string]string, len(w.Variables)+len(vars))
	for k, v := range w.Variables {
		merged[k] = v
	}
	for k, v := range vars {
		merged[k] = v
	}
	return decodeWorkload(w.doc, merged)
}

// HostTools names the programs that the guest image must contain for the
// phases, each once, in the order of first use. A shell phase's programs are
// its own affair.
func (w *Workload) HostTools() []string {
	var tools []string
	add := func(name string) {
		for _, t := range tools {
			if t == name {
				return
			}
		}
		tools = append(tools, name)
	}
	for _, p := range w.Phases {
		switch {
		case p.Mkfs != nil:
			add(mkfsProgram(p.Mkfs.FS))
		case p.Sysbench != nil:
			add("sysbench")
			if p.Sysbench.ExpectCompressed > 0 {
				add("btrfs")
			}
		}
	}
	return tools
}

// FileSystems names the file systems that the phases make or mount, each once,
// in the order of first use.
func (w *Workload) FileSystems() []string {
	var names []string
	for _, p := range w.Phases {
		for _, name := range []string{p.makes(), p.mounts()} {
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func decodeWorkload(doc *document, vars map[string]string) (w *Workload, err error) {
	defer func() { err = doc.otherKind(WorkloadFile, err) }()
	w = &Workload{doc: doc}
	d, err := doc.decode(w, vars)
	if err != nil {
		return nil, err
	}
	w.src = d.source
	w.Variables = d.vars
	if err := w.check(); err != nil {
		return nil, err
	}
	if err := checkKnobs(&w.src, w.Tune, w.Variables, w.Name); err != nil {
		return nil, err
	}
	return w, nil
}

// Validate checks a workload that was made in Go; a loaded one has passed.
func (w *Workload) Validate() error {
	if err := w.check(); err != nil {
		return err
	}
	return nil
}

// check is everything that types cannot say.
func (w *Workload) check() *PositionError {
	src := &w.src
	if !isName(w.Name) {
		return src.errorf("name", "expected a name of lower case letters, digits and - . _ (at most 64), got %s", shorten(w.Name))
	}
	if err := w.Defaults.check(src, "guest"); err != nil {
		return err
	}
	for i, r := range w.Requires {
		if !strings.HasPrefix(r, "CONFIG_") || strings.ContainsAny(r, " =\n") {
			return src.errorf(indexed("requires", i), "expected a kernel config symbol such as CONFIG_BTRFS_FS, got %s", shorten(r))
		}
	}
	if len(w.Phases) == 0 {
		return src.errorf("phases", "a workload needs at least one phase")
	}
	for i := range w.Phases {
		if err := w.Phases[i].check(src, indexed("phases", i)); err != nil {
			return err
		}
	}
	if err := w.checkSnapshot(); err != nil {
		return err
	}
	if err := checkSignatures(src, "signatures", w.Signatures); err != nil {
		return err
	}
	if err := checkSignatures(src, "consequences", w.Consequences); err != nil {
		return err
	}
	return checkBenign(src, "benign", w.Benign)
}

// Check checks a guest that comes from no file.
func (g Guest) Check() error {
	if err := g.check(&source{}, ""); err != nil {
		return err
	}
	return nil
}

func (g Guest) check(src *source, path string) *PositionError {
	switch {
	case g.VCPUs < 0 || g.VCPUs > 64:
		return src.errorf(path+".vcpus", "expected 1 to 64 vcpus, got %d", g.VCPUs)
	case g.Memory != 0 && (g.Memory < 64*MiB || g.Memory%MiB != 0):
		return src.errorf(path+".memory", "expected at least 64MiB in whole MiB, got %v", g.Memory)
	case g.Disk%MiB != 0 || g.Disk > 16*TiB:
		return src.errorf(path+".disk", "expected a size in whole MiB of at most 16TiB, got %v", g.Disk)
	case g.Accel != "" && g.Accel != "auto" && g.Accel != "kvm" && g.Accel != "tcg":
		return src.errorf(path+".accel", "expected one of auto, kvm, tcg, got %s", shorten(g.Accel))
	}
	switch {
	case g.CountsInstructions() && g.VCPUs > 1:
		return src.errorf(path+".icount", "a clock that counts instructions takes one vcpu, and there are %d", g.VCPUs)
	case g.CountsInstructions() && g.Accel == "kvm":
		return src.errorf(path+".icount", "only tcg can count a guest's instructions")
	case g.Load < 0 || g.Load > maxLoad:
		return src.errorf(path+".load", "expected 0 to %d busy processes, got %d", maxLoad, g.Load)
	}
	for i, word := range g.Append {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return src.errorf(indexed(path+".append", i), "expected one kernel command line word without spaces, got %s", shorten(word))
		}
	}
	return nil
}

// isName reports whether s may name a workload, plan or kernel: names become
// parts of file names and of console lines.
func isName(s string) bool {
	for i, r := range s {
		isAlnum := r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if !isAlnum && (i == 0 || !strings.ContainsRune("-._", r)) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
