package orchestrator

import (
	"fmt"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"patchproof/workloads"
)

// KernelFlags say where a kernel comes from, as the command line gives it.
type KernelFlags struct {
	Image, Vmlinux, Config   string
	Modules                  string
	Tarball, Tree, Rev, Base string
	BaseConfig               string
	Fragments, Make          []string
}

// Request is a verification as the command line gives it: a plan file, or the
// kernels by flags, or a plan with some fields overridden. Zero fields say
// nothing.
type Request struct {
	PlanFile            string
	Kernel              KernelFlags
	PreImage, PostImage string
	Fix                 string
	Patches             []string
	Workload            string
	Variables           map[string]string
	Guest               workloads.Guest
	Confidence          float64
	MaxRuns, Jobs       int
	Budget              time.Duration
	// Perturb is --perturb as given; empty leaves it to the plan.
	Perturb string

	// held is the plan file's text, once hold has read it.
	held *planText
}

// planText is a plan file's text under the name for messages and for the paths
// in it.
type planText struct {
	name string
	data []byte
}

// hold reads the plan file, so that every plan that is made from the request
// later has the same text.
func (r *Request) hold() (err error) {
	if r.PlanFile != "" && r.held == nil {
		r.held, err = readPlan(r.PlanFile)
	}
	return inputError(err)
}

func readPlan(file string) (*planText, error) {
	data, err := workloads.ReadFile(file)
	if err == nil {
		return &planText{file, data}, nil
	}
	if name, data, serr := workloads.ReadShipped(shipped(), "plans", file); serr == nil {
		return &planText{name, data}, nil
	}
	return nil, fmt.Errorf("reading plan: %w; shipped plans are: %s", err, strings.Join(workloads.Names(shipped(), "plans"), ", "))
}

// defaultFragments are the kernel configuration of kernels that the command
// line says no other configuration for.
var defaultFragments = []string{"shipped:kernel/guest.config", "shipped:kernel/btrfs.config"}

// Plan returns the plan that the request stands for.
func (r Request) Plan() (*workloads.Plan, error) {
	plan, err := r.load()
	if err != nil {
		return nil, inputError(err)
	}
	if r.Workload != "" {
		plan.ReplaceWorkload(workloads.ParseWorkloadRef(r.Workload))
	}
	if r.Confidence != 0 {
		plan.Confidence = r.Confidence
	}
	if r.MaxRuns != 0 {
		plan.MaxRuns = r.MaxRuns
	}
	if r.Jobs != 0 {
		plan.Jobs = r.Jobs
	}
	if r.Budget != 0 {
		plan.Budget = workloads.Duration(r.Budget)
	}
	if r.Perturb != "" {
		perturb, err := ParsePerturb(r.Perturb)
		if err != nil {
			return nil, err
		}
		SetPerturb(plan, perturb)
	}
	plan.Guest = r.Guest.Over(plan.Guest)
	return plan, inputError(plan.Complete())
}

func (r Request) load() (*workloads.Plan, error) {
	if r.PlanFile == "" {
		return r.fromFlags()
	}
	if flag := r.kernelFlag(); flag != "" {
		return nil, fmt.Errorf("%s and plan %s both say where kernels come from: give one of them", flag, r.PlanFile)
	}
	text := r.held
	if text == nil {
		var err error
		if text, err = readPlan(r.PlanFile); err != nil {
			return nil, err
		}
	}
	return workloads.LoadPlanWith(text.name, text.data, r.Variables)
}

// kernelFlag names a flag that is set and that a plan file leaves no room for.
func (r Request) kernelFlag() string {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"--pre-kernel", r.PreImage != ""}, {"--post-kernel", r.PostImage != ""},
		{"--tree", r.Kernel.Tree != ""}, {"--tarball", r.Kernel.Tarball != ""},
		{"--fix", r.Fix != ""}, {"--base", r.Kernel.Base != ""}, {"--patch", len(r.Patches) > 0},
		{"--config", r.Kernel.BaseConfig != ""}, {"--fragment", len(r.Kernel.Fragments) > 0},
		{"--make", len(r.Kernel.Make) > 0},
	} {
		if f.set {
			return f.name
		}
	}
	return ""
}

// fromFlags writes the plan that the flags mean and loads it, so that flags
// pass the same checks as a file.
func (r Request) fromFlags() (*workloads.Plan, error) {
	if r.PreImage == "" && r.PostImage == "" && r.Kernel.Tree == "" && r.Kernel.Tarball == "" {
		return nil, fmt.Errorf("nothing says which kernels to compare: give a plan file, --pre-kernel and --post-kernel, --tree with --fix, or --tree (or --tarball) with --patch")
	}
	if (r.PreImage == "") != (r.PostImage == "") {
		return nil, fmt.Errorf("--pre-kernel and --post-kernel go together: give both")
	}
	if r.Workload == "" {
		return nil, fmt.Errorf("no workload: give --workload, for example --workload %s", strings.Join(workloads.Names(shipped(), "workloads"), " or --workload "))
	}
	// Only fields that the command line can set; a Plan would write others too.
	plan := struct {
		Name     string                `yaml:"name"`
		Kernel   *workloads.KernelSpec `yaml:"kernel,omitempty"`
		Pre      *workloads.KernelSpec `yaml:"pre,omitempty"`
		Post     *workloads.KernelSpec `yaml:"post,omitempty"`
		Fix      string                `yaml:"fix,omitempty"`
		Base     string                `yaml:"base,omitempty"`
		Patch    workloads.List        `yaml:"patch,omitempty"`
		Workload string                `yaml:"workload"`
	}{Name: "command-line", Fix: r.Fix, Base: r.Kernel.Base, Patch: r.Patches, Workload: r.Workload}
	if r.PreImage != "" {
		plan.Pre = &workloads.KernelSpec{Image: r.PreImage}
		plan.Post = &workloads.KernelSpec{Image: r.PostImage}
	}
	if r.Kernel.Tree != "" || r.Kernel.Tarball != "" {
		plan.Kernel = r.Kernel.spec()
	}
	data, err := yaml.Marshal(plan)
	if err != nil {
		return nil, err
	}
	return workloads.LoadPlanWith("", data, r.Variables)
}

// spec is the kernel as a plan would have it, with the shipped configuration
// when the flags give none.
func (k KernelFlags) spec() *workloads.KernelSpec {
	s := &workloads.KernelSpec{Image: k.Image, Vmlinux: k.Vmlinux, Config: k.Config, Modules: k.Modules,
		Tarball: k.Tarball, Tree: k.Tree, Rev: k.Rev, BaseConfig: k.BaseConfig, Fragments: k.Fragments, Make: k.Make}
	if s.Image == "" && s.BaseConfig == "" && len(s.Fragments) == 0 {
		s.Fragments = defaultFragments
	}
	return s
}
