package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"patchproof/orchestrator"
	"patchproof/results"
	"patchproof/workloads"
)

func newTune(g *global) *cobra.Command {
	var (
		r       orchestrator.TuneRequest
		guest   guestFlags
		knobs   knobFlag
		format  string
		verbose bool
	)
	cmd := &cobra.Command{
		Use:   "tune PLAN.yaml",
		Short: "search settings with which a bug shows more often for the time that it takes",
		Long: `Tune turns the knobs of a plan - the variables of its workload, the guest's
processors, a perturbed kernel, the load of the host - and looks for the setting
with the most reproductions per second of processor time on the pre kernel. The
best one must show the same bug and leave the post kernel clean; then it is
written as a plan that verify, bisect and matrix take. docs/tune.md has the method.

Exit status: 0 a tuned plan was written, 2 usage, 3 nothing was found or there is
little to gain, 4 the infrastructure failed.`,
		Example: `  patchproof tune btrfs-dio-race-report-6.1
  patchproof tune --budget 10m -o fast.yaml my-plan.yaml
  patchproof tune --knob loops=10,100,1000 --knob guest.vcpus= my-plan.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.PlanFile, r.Knobs = args[0], knobs.knobs
			if err := guest.fill(&r.Guest, &r.Variables); err != nil {
				return err
			}
			h, done := g.harness(cmd)
			tuned, err := h.Tune(cmd.Context(), r)
			done()
			if tuned == nil {
				return err
			}
			if perr := printTuning(cmd, tuned, format, results.TextOptions{Verbose: verbose}); perr != nil {
				return perr
			}
			if err == nil {
				err = showStatus(*tuned)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVarP(&r.Workload, "workload", "w", "", "workload instead of the plan's: a shipped name or a file")
	f.DurationVar(&r.Budget, "budget", orchestrator.DefaultTuneBudget, "time for all runs, and for building other kernels than the plan's")
	f.StringVarP(&r.Out, "output", "o", "", "file for the tuned plan (default NAME-tuned.yaml)")
	f.BoolVar(&r.Force, "force", false, "overwrite the file")
	f.Float64Var(&r.MinGain, "min-gain", orchestrator.DefaultMinGain, "how many times better a setting must be for a plan to be written; 1 takes whatever is better")
	f.Var(&knobs, "knob", "a knob and its values, NAME=V1,V2; without values it is left alone; repeatable")
	jobsFlag(f, &r.Jobs)
	f.BoolVarP(&verbose, "verbose", "v", false, "list every run")
	perturbFlags(f, &r.Perturb, &g.perturbSeed)
	guest.add(f)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func printTuning(cmd *cobra.Command, r *results.Recorded, format string, o results.TextOptions) error {
	var err error
	if format == "json" {
		err = results.TuneJSON(cmd.OutOrStdout(), *r)
	} else {
		err = results.TuneText(cmd.OutOrStdout(), *r, o)
	}
	if err != nil {
		return fmt.Errorf("printing the tuning: %w", err)
	}
	return nil
}

// knobFlag is --knob.
type knobFlag struct{ knobs workloads.Knobs }

var _ pflag.Value = (*knobFlag)(nil)

func (k *knobFlag) String() string { return "" }
func (k *knobFlag) Type() string   { return "knob" }
func (k *knobFlag) Set(text string) error {
	name, values, err := workloads.ParseKnob(text)
	if err != nil {
		return err
	}
	if k.knobs == nil {
		k.knobs = workloads.Knobs{}
	}
	k.knobs[name] = values
	return nil
}
