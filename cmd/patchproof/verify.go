package main

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"patchproof/orchestrator"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

func newVerify(g *global) *cobra.Command {
	var (
		r                orchestrator.Request
		guest            guestFlags
		format, tested   string
		dryRun, verbose  bool
		confirm, control bool
	)
	cmd := &cobra.Command{
		Use:   "verify [PLAN.yaml]",
		Short: "say whether a patch fixes the bug that a workload reproduces",
		Long: `Verify boots guests on the kernel before and the kernel after a patch, in turn,
runs a workload in each, and stops as soon as the verdict is decided.

Exit status: 0 fixed, 1 not-fixed or regressed, 2 usage, 3 not-reproduced or
inconclusive, 4 the infrastructure failed.`,
		Example: `  patchproof verify configs/plans/btrfs-dio-race-6.1.yaml
  patchproof verify --tree ~/linux --fix 376cc685cb3b --workload btrfs-dio-race-report
  patchproof verify --tree ~/linux --base v6.1 --patch fix.mbox --workload my.yaml
  patchproof verify --pre-kernel a/bzImage --post-kernel b/bzImage --workload btrfs-dio-race-focused`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				r.PlanFile = args[0]
			}
			if err := guest.fill(&r.Guest, &r.Variables); err != nil {
				return err
			}
			if control && confirm {
				return usage("--control gives no verdict that --confirm-plain could confirm: give one of them")
			}
			h, done := g.harness(cmd)
			if dryRun {
				defer done()
				return printSteps(cmd, h, r, format)
			}
			if control {
				return runControl(cmd, h, r, format, done)
			}
			summary, err := verify(cmd, h, r, confirm)
			done()
			if summary == nil {
				return err
			}
			// A confirmation that failed does not take the verdict away.
			return cmp.Or(err, printSummary(cmd, summary, format, results.TextOptions{TestedBy: tested, Verbose: verbose}))
		},
	}
	f := cmd.Flags()
	sourceFlags(f, &r.Kernel, &r.Patches)
	f.StringVar(&r.PreImage, "pre-kernel", "", "ready image of the kernel before the patch")
	f.StringVar(&r.PostImage, "post-kernel", "", "ready image of the kernel after the patch")
	f.StringVar(&r.Fix, "fix", "", "commit of --tree: its parent against itself")
	f.StringVar(&r.Kernel.Base, "base", "", "revision of --tree that the patch goes on top of")
	f.StringVarP(&r.Workload, "workload", "w", "", "workload: a shipped name or a file")
	confidenceVar(f, &r.Confidence, 0, workloads.MaxConfidence, "how sure the verdict has to be, such as 0.99")
	countVar(f, &r.MaxRuns, "max-runs", 1, 0, "most runs a side")
	budgetVar(f, &r.Budget, "most time for all runs, such as 20m")
	jobsFlag(f, &r.Jobs)
	testerVar(f, &tested)
	f.BoolVar(&dryRun, "dry-run", false, "print every command line of the workload and stop")
	f.BoolVarP(&verbose, "verbose", "v", false, "list every run")
	perturbFlags(f, &r.Perturb, &g.perturbSeed)
	forkFlag(f, g)
	f.BoolVar(&confirm, "confirm-plain", false, "confirm a verdict on perturbed kernels on plain ones")
	f.BoolVar(&control, "control", false, "run the perturbed pre kernel without patches, --max-runs times")
	guest.add(f)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func verify(cmd *cobra.Command, h *orchestrator.Harness, r orchestrator.Request, confirm bool) (*results.Summary, error) {
	plan, err := r.Plan()
	if err != nil {
		return nil, err
	}
	if confirm {
		if err := orchestrator.CheckConfirmPlain(plan); err != nil {
			return nil, err
		}
	}
	summary, err := h.Verify(cmd.Context(), plan)
	if err == nil && confirm {
		err = h.ConfirmPlain(cmd.Context(), plan, summary)
	}
	return summary, err
}

func runControl(cmd *cobra.Command, h *orchestrator.Harness, r orchestrator.Request, format string, done func()) error {
	plan, err := r.Plan()
	if err != nil {
		done()
		return err
	}
	runs, dir, err := h.Control(cmd.Context(), plan)
	done()
	return finishRuns(cmd, runs, dir, format, err)
}

func printSummary(cmd *cobra.Command, s *results.Summary, format string, o results.TextOptions) error {
	var err error
	if format == "json" {
		err = results.JSON(cmd.OutOrStdout(), *s)
	} else {
		err = results.Text(cmd.OutOrStdout(), *s, o)
	}
	if err != nil {
		return fmt.Errorf("printing the verdict: %w", err)
	}
	status := verdictStatus(s.Decision.Verdict)
	// Plain kernels that show the bug, or a new one, overrule what perturbed
	// ones said; plain kernels that show nothing do not.
	if s.Plain != nil && verdictStatus(s.Plain.Decision.Verdict) == statusBad {
		status = statusBad
	}
	if status != statusOK {
		return &statusError{status: status}
	}
	return nil
}

func verdictStatus(v judge.Verdict) int {
	switch v {
	case judge.Fixed, results.Passing, results.Tuned:
		return statusOK
	case judge.NotFixed, judge.Regressed, results.Failing:
		return statusBad
	case judge.NotReproduced, judge.Inconclusive, results.Incomplete, results.LittleToGain, results.NothingFound:
		return statusUndecided
	}
	return statusBroken
}

func printSteps(cmd *cobra.Command, h *orchestrator.Harness, r orchestrator.Request, format string) error {
	plan, err := r.Plan()
	if err != nil {
		return err
	}
	sides, err := h.Steps(cmd.Context(), plan)
	if err != nil {
		return err
	}
	if format == "json" {
		return writeJSON(cmd, sides)
	}
	for _, s := range sides {
		fmt.Fprintf(cmd.OutOrStdout(), "# %s\n%s", s.Kernel, workloads.Describe(s.Steps))
	}
	return nil
}

func writeJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}
