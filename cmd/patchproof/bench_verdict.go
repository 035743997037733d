package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchproof/dmesg"
	"patchproof/orchestrator"
	"patchproof/workloads"
)

func newBenchVerdict(g *global) *cobra.Command {
	var (
		r            orchestrator.Request
		guest        guestFlags
		tuned        string
		jobs, rounds int
		format       string
	)
	cmd := &cobra.Command{
		Use:   "verdict PLAN.yaml",
		Short: "compare ways to come to a verdict by the time they take",
		Long: `Verdict verifies a plan several times: with guests that boot, with guests that go
on from saved machines, with several of those at a time, and the same with a tuned
plan. It prints how long each way took to its verdict and where the time of a run
went. Saved machines are made anew, and that counts; kernels are built before.`,
		Example: "  patchproof bench verdict --jobs 2 --tuned tuned.yaml btrfs-dio-race-6.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := benchPlan(&r, &guest, args[0])
			if err != nil {
				return err
			}
			var tunedPlan *workloads.Plan
			if tuned != "" {
				if tunedPlan, err = (orchestrator.Request{PlanFile: tuned}).Plan(); err != nil {
					return err
				}
			}
			h, done := g.harness(cmd)
			times, err := h.BenchVerdict(cmd.Context(), orchestrator.VerdictWays(plan, tunedPlan, jobs), rounds)
			done()
			if perr := printVerdictTimes(cmd, times, format); perr != nil {
				return perr
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVarP(&r.Workload, "workload", "w", "", "workload instead of the plan's: a shipped name or a file")
	confidenceVar(f, &r.Confidence, 0, workloads.MaxConfidence, "how sure the verdict has to be, such as 0.99")
	countVar(f, &r.MaxRuns, "max-runs", 1, 0, "most runs a side")
	f.StringVar(&tuned, "tuned", "", "tuned plan to compare with")
	countVarP(f, &jobs, "jobs", "j", 1, 0, "also with so many guests at a time")
	countVar(f, &rounds, "rounds", 1, 1, "times that each way is gone, in turn")
	perturbFlags(f, &r.Perturb, &g.perturbSeed)
	guest.add(f)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func printVerdictTimes(cmd *cobra.Command, times []orchestrator.VerdictTime, format string) error {
	if format == "json" {
		return writeJSON(cmd, times)
	}
	if len(times) == 0 {
		return nil
	}
	out := cmd.OutOrStdout()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WAY\tTO VERDICT\tOF THE FIRST\tVERDICT\tRUNS\tINVALID\tRUNS AN HOUR")
	for _, t := range times {
		fmt.Fprintf(w, "%s\t%.1f s\t%.0f%%\t%s, %.2f%%\t%d\t%d\t%.0f\n", dmesg.Sanitize(t.Way), t.Seconds, 100*t.Seconds/times[0].Seconds,
			t.Verdict, 100*t.Confidence, t.Runs, t.Invalid, t.RunsPerHour)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, t := range times {
		fmt.Fprintf(out, "\n%s, %s: seconds of an average run (%s)\n", dmesg.Sanitize(t.Way), dmesg.Sanitize(t.Shape), t.Folder)
		if err := printSpent(out, t); err != nil {
			return err
		}
	}
	return nil
}

func printSpent(out io.Writer, t orchestrator.VerdictTime) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range t.Spent {
		fmt.Fprintf(w, "  %s\t%.2f\t%.0f%%\n", dmesg.Sanitize(s.Part), s.Seconds, s.Percent())
	}
	return w.Flush()
}
