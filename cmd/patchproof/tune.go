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
		resume  bool
	)
	cmd := &cobra.Command{
		Use:   "tune PLAN.yaml | tune --resume [FOLDER]",
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
  patchproof tune --knob loops=10,100,1000 --knob guest.vcpus= my-plan.yaml
  patchproof tune --resume`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, done := g.harness(cmd)
			var tuned *results.Recorded
			var err error
			if resume {
				tuned, err = resumeTune(cmd, h, r, args)
			} else {
				r.Knobs = knobs.knobs
				tuned, err = startTune(cmd, h, r, guest, args)
			}
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
	f.BoolVar(&resume, "resume", false, "go on with the tuning in FOLDER, or with the last one that was broken off")
	f.StringVarP(&r.Workload, "workload", "w", "", "workload instead of the plan's: a shipped name or a file")
	r.Budget = orchestrator.DefaultTuneBudget
	budgetVar(f, &r.Budget, "time for all runs, and for building other kernels than the plan's; with --resume, time from now on (default what was not used)")
	f.StringVarP(&r.Out, "output", "o", "", "file for the tuned plan (default NAME-tuned.yaml)")
	f.BoolVar(&r.Force, "force", false, "overwrite the file")
	gainVar(f, &r.MinGain, orchestrator.DefaultMinGain, "how many times better a setting must be for a plan to be written; 1 takes whatever is better")
	f.Var(&knobs, "knob", "a knob and its values, NAME=V1,V2; without values it is left alone; repeatable")
	jobsFlag(f, &r.Jobs)
	f.BoolVarP(&verbose, "verbose", "v", false, "list every run")
	perturbFlags(f, &r.Perturb, &g.perturbSeed)
	guest.add(f)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func startTune(cmd *cobra.Command, h *orchestrator.Harness, r orchestrator.TuneRequest, guest guestFlags, args []string) (*results.Recorded, error) {
	if len(args) == 0 {
		return nil, usage("no plan: give a plan, or --resume to go on with a tuning that was broken off")
	}
	r.PlanFile = args[0]
	if err := guest.fill(&r.Guest, &r.Variables); err != nil {
		return nil, err
	}
	return h.Tune(cmd.Context(), r)
}

// tuneResumable are the flags that may change when a tuning goes on.
var tuneResumable = []string{"resume", "budget", "jobs", "output", "force", "verbose", "format", "json", "cache-dir", "results-dir", "qemu", "quiet"}

func resumeTune(cmd *cobra.Command, h *orchestrator.Harness, r orchestrator.TuneRequest, args []string) (*results.Recorded, error) {
	if err := onlyFlags(cmd, "tuning", tuneResumable); err != nil {
		return nil, err
	}
	resume := orchestrator.ResumeTuneRequest{Jobs: r.Jobs, Out: r.Out, Force: r.Force}
	if len(args) == 1 {
		resume.Dir = args[0]
	}
	if cmd.Flags().Changed("budget") {
		resume.Budget = r.Budget
	}
	return h.ResumeTune(cmd.Context(), resume)
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
