package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"patchproof/dmesg"
	"patchproof/orchestrator"
	"patchproof/results"
	"patchproof/results/judge"
)

func newRun(g *global) *cobra.Command {
	var (
		r      orchestrator.SingleRequest
		guest  guestFlags
		format string
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "run a workload on one kernel and show what its kernel printed",
		Long: `Run boots one kernel, runs a workload in it and shows the reports in its kernel
log. It gives no verdict: that takes a pair of kernels.

Exit status: 0 every run was clean, 1 a run reproduced the bug or failed in
another way, 2 usage, 4 a run was invalid or the infrastructure failed.`,
		Example: "  patchproof run --kernel bzImage --workload btrfs-dio-race-focused --repeat 3",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.Workload == "" {
				return usage("give --workload: a shipped name, or a file")
			}
			if err := guest.fill(&r.Guest, &r.Variables); err != nil {
				return err
			}
			h, done := g.harness(cmd)
			runs, dir, err := h.Run(cmd.Context(), r)
			done()
			return finishRuns(cmd, runs, dir, format, err)
		},
	}
	singleFlags(cmd, &r, &guest)
	f := cmd.Flags()
	f.StringVarP(&r.Workload, "workload", "w", "", "workload: a shipped name or a file")
	countVar(f, &r.Repeat, "repeat", 1, 1, "number of runs")
	jobsFlag(f, &r.Guests)
	forkFlag(f, g)
	f.Uint64Var(&r.Seed, "seed", 0, "seed of a perturbed kernel, to repeat a run")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// finishRuns prints the runs that were done, also when not all were.
func finishRuns(cmd *cobra.Command, runs []results.Run, dir, format string, err error) error {
	if len(runs) > 0 {
		if perr := printRuns(cmd, runs, dir, format); perr != nil {
			return perr
		}
	}
	if err != nil {
		return err
	}
	return runsStatus(runs)
}

// singleFlags are the flags of commands that work on one kernel.
func singleFlags(cmd *cobra.Command, r *orchestrator.SingleRequest, guest *guestFlags) {
	kernelFlags(cmd, r)
	guest.add(cmd.Flags())
}

func kernelFlags(cmd *cobra.Command, r *orchestrator.SingleRequest) {
	f := cmd.Flags()
	f.Var(&perturbFlag{&r.Perturb, "off"}, "perturb", "make races show themselves: auto, off, or folders such as fs/btrfs:1/4")
	sourceFlags(f, &r.Kernel, &r.Patches)
	f.StringVar(&r.Kernel.Image, "kernel", "", "ready kernel image")
	f.StringVar(&r.Kernel.Vmlinux, "vmlinux", "", "vmlinux of the ready image")
	f.StringVar(&r.Kernel.Modules, "modules", "", "modules of the ready image: its lib/modules/RELEASE")
	f.StringVar(&r.Kernel.Rev, "rev", "", "revision of --tree")
}

func printRuns(cmd *cobra.Command, runs []results.Run, dir, format string) error {
	if format == "json" {
		return writeJSON(cmd, struct {
			Folder string        `json:"folder"`
			Runs   []results.Run `json:"runs"`
		}{dir, runs})
	}
	out := cmd.OutOrStdout()
	for _, run := range runs {
		fmt.Fprintf(out, "%s: %s", run.ID, run.Outcome)
		if run.InvalidReason != "" {
			fmt.Fprintf(out, ": %s", dmesg.Sanitize(run.InvalidReason))
		}
		fmt.Fprintf(out, " (%.1f s)\n", run.ElapsedSeconds)
		if p := run.Perturb; p != nil {
			fmt.Fprintf(out, "  perturbed with seed %d: %d yields at %d function boundaries\n", run.Seed, p.Yields, p.Calls)
		}
		for _, rep := range run.Reports {
			fmt.Fprintf(out, "  %s\n", reportLine(rep))
		}
	}
	_, err := fmt.Fprintf(out, "records and console logs: %s\n", dir)
	return err
}

func reportLine(rep results.ReportRecord) string {
	line := rep.Title
	if c := rep.ConditionText(); c != "" {
		line += ": " + c
	}
	if rep.File != "" {
		line += fmt.Sprintf(" (%s:%d)", rep.File, rep.Line)
	}
	line += " in phase " + rep.PhaseName
	switch {
	case rep.Signature != "":
		line += ", matches " + rep.Signature
	case rep.Benign != "":
		line += ", benign: " + rep.Benign
	case rep.FollowUp:
		line += ", follow-up"
	}
	return dmesg.Sanitize(line)
}

func runsStatus(runs []results.Run) error {
	status := statusOK
	for _, run := range runs {
		switch run.Outcome {
		case judge.Reproduced, judge.OtherFailure:
			status = max(status, statusBad)
		case judge.Invalid:
			status = statusBroken
		}
	}
	if status == statusOK {
		return nil
	}
	return &statusError{status: status}
}
