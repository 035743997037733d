package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"patchproof/orchestrator"
	"patchproof/workloads"
)

// sourceFlags are the flags that say where one kernel's source comes from.
func sourceFlags(f *pflag.FlagSet, k *orchestrator.KernelFlags, patches *[]string) {
	f.StringVar(&k.Tree, "tree", "", "git tree of kernel sources; never changed")
	f.StringVar(&k.Tarball, "tarball", "", "tarball of kernel sources")
	f.StringArrayVar(patches, "patch", nil, "patch file, as a diff or as mails; repeat for a series")
	f.StringVar(&k.BaseConfig, "config", "", "allnoconfig, defconfig or a .config to start from")
	f.StringArrayVar(&k.Fragments, "fragment", nil, "file of config symbols to set; repeatable")
	f.StringArrayVar(&k.Make, "make", nil, "make variable such as CC=gcc-11; repeatable")
}

// guestFlags are the flags that describe the guest.
type guestFlags struct {
	vcpus        int
	memory, disk string
	accel        string
	appendWords  []string
	variables    []string
	icount       bool
	load         int
}

func (g *guestFlags) add(f *pflag.FlagSet) {
	countVar(f, &g.vcpus, "vcpus", 1, 0, "virtual processors of a guest")
	f.StringVar(&g.memory, "memory", "", "memory of a guest, such as 1GiB")
	f.StringVar(&g.disk, "disk", "", "size of a guest's sparse disk, such as 12GiB")
	f.StringVar(&g.accel, "accel", "", "accelerator: auto, kvm or tcg")
	f.BoolVar(&g.icount, "icount", false, "let the guest's clock count its instructions (tcg, one processor)")
	countVar(f, &g.load, "load", 0, 0, "busy processes beside each guest")
	f.StringArrayVar(&g.appendWords, "append", nil, "word for the guest's kernel command line; repeatable")
	f.StringArrayVar(&g.variables, "var", nil, "variable of the plan or workload, NAME=VALUE; repeatable")
}

// fill puts what the flags say into a request.
func (g *guestFlags) fill(guest *workloads.Guest, variables *map[string]string) (err error) {
	if *guest, err = g.guest(); err != nil {
		return err
	}
	*variables, err = g.vars()
	return err
}

// guest returns the guest that the flags ask for.
func (g *guestFlags) guest() (workloads.Guest, error) {
	out := workloads.Guest{VCPUs: g.vcpus, Accel: g.accel, Load: g.load, Append: g.appendWords}
	if g.icount {
		out.Icount = &g.icount
	}
	for _, size := range []struct {
		flag, text string
		value      *workloads.Size
	}{{"--memory", g.memory, &out.Memory}, {"--disk", g.disk, &out.Disk}} {
		if size.text == "" {
			continue
		}
		v, err := workloads.ParseSize(size.text)
		if err != nil {
			return out, usage("%s: %w", size.flag, err)
		}
		if v == 0 {
			return out, usage("%s: expected a size such as 1GiB, got %q", size.flag, size.text)
		}
		*size.value = v
	}
	switch g.accel {
	case "", "auto", "kvm", "tcg":
	default:
		return out, usage("--accel: expected auto, kvm or tcg, got %q", g.accel)
	}
	if err := out.Check(); err != nil {
		return out, usage("guest: %w", err)
	}
	return out, nil
}

func (g *guestFlags) vars() (map[string]string, error) {
	out := map[string]string{}
	for _, v := range g.variables {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usage("--var: expected NAME=VALUE, got %q", v)
		}
		out[name] = value
	}
	return out, nil
}

func usage(format string, args ...any) error {
	return &statusError{statusUsage, fmt.Errorf(format, args...)}
}

// formatFlag adds --format with its values, and --json as a short form where
// json is one of them.
func formatFlag(cmd *cobra.Command, value *string, allowed ...string) {
	*value = allowed[0]
	cmd.Flags().Var(&choice{value, allowed}, "format", "output format: "+strings.Join(allowed, ", "))
	asJSON := cmd.Flags().VarPF(&jsonFlag{value}, "json", "", "same as --format json")
	asJSON.NoOptDefVal = "true"
}

// choice is a flag that takes one of a few words.
type choice struct {
	value   *string
	allowed []string
}

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return "string" }
func (c *choice) Set(s string) error {
	for _, a := range c.allowed {
		if s == a {
			*c.value = s
			return nil
		}
	}
	return fmt.Errorf("expected %s", strings.Join(c.allowed, " or "))
}

type jsonFlag struct{ value *string }

func (j *jsonFlag) String() string { return "false" }
func (j *jsonFlag) Type() string   { return "bool" }
func (j *jsonFlag) Set(s string) error {
	on, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("expected true or false")
	}
	if on {
		*j.value = "json"
	}
	return nil
}

// perturbFlags are verify's flags for perturbed kernels.
func perturbFlags(f *pflag.FlagSet, perturb *string, seed *uint64) {
	f.StringVar(perturb, "perturb", "", "make races show themselves: auto, off, or folders such as fs/btrfs:1/4")
	f.Uint64Var(seed, "perturb-seed", 0, "what the seeds of perturbed runs are made from (default random)")
}

// perturbFlag is --perturb of the commands that have no plan.
type perturbFlag struct {
	value **workloads.Perturb
	text  string
}

func (p *perturbFlag) String() string { return p.text }
func (p *perturbFlag) Type() string   { return "string" }
func (p *perturbFlag) Set(s string) (err error) {
	p.text = s
	*p.value, err = orchestrator.ParsePerturb(s)
	return err
}

// jobsFlag says how many guests run at a time.
func jobsFlag(f *pflag.FlagSet, jobs *int) {
	countVarP(f, jobs, "jobs", "j", 0, 0, "guests at a time (default as measured by 'bench jobs', or as many as have cores of their own)")
}

// forkFlag says where runs begin.
func forkFlag(f *pflag.FlagSet, g *global) {
	g.fork = orchestrator.ForkOff
	f.Var(&choice{(*string)(&g.fork), []string{string(orchestrator.ForkAuto), string(orchestrator.ForkOff)}}, "fork",
		"where runs begin: off, with a boot, or auto, from a saved machine where that is possible")
}
