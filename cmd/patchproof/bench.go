package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"patchproof/dmesg"
	"patchproof/orchestrator"
)

func newBench(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "measure what patchproof relies on",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchFork(g))
	return cmd
}

func newBenchFork(g *global) *cobra.Command {
	var (
		r      orchestrator.Request
		guest  guestFlags
		runs   int
		format string
	)
	cmd := &cobra.Command{
		Use:   "fork PLAN.yaml",
		Short: "compare runs that go on from a saved machine with runs that boot",
		Long: `Fork runs the workload of a plan on its pre kernel, in turn in guests that go on
from a saved machine and in guests that boot, and tests whether the two reproduce
the bug equally often. A rate far from 0 and 1 tells most.

Exit status: 0 no difference beyond chance, 1 a difference (p below 0.05), 2 usage,
4 the infrastructure failed.`,
		Example: "  patchproof bench fork --runs 40 --var events=2000 btrfs-dio-race-6.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.PlanFile = args[0]
			if r.Guest, err = guest.guest(); err != nil {
				return err
			}
			if r.Variables, err = guest.vars(); err != nil {
				return err
			}
			plan, err := r.Plan()
			if err != nil {
				return err
			}
			h, done := g.harness(cmd)
			bench, err := h.BenchFork(cmd.Context(), plan, runs)
			done()
			if bench != nil {
				if perr := printForkBench(cmd, bench, format); perr != nil {
					return perr
				}
			}
			if err == nil && bench.Differ() {
				err = &statusError{status: statusBad}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.IntVar(&runs, "runs", 40, "runs of each kind")
	perturbFlags(f, &r.Perturb, &g.perturbSeed)
	guest.add(f)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func printForkBench(cmd *cobra.Command, b *orchestrator.ForkBench, format string) error {
	if format == "json" {
		return writeJSON(cmd, b)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s on %s; saved machine after %s, had in %.1f s\n", b.Workload, dmesg.Sanitize(b.Kernel), b.After, b.SaveSeconds)
	for _, row := range []struct {
		name string
		s    orchestrator.ForkSample
	}{{"forked", b.Forked}, {"booted", b.Booted}} {
		fmt.Fprintf(out, "%s: %d of %d runs reproduced, %d invalid; median %.2f s, %.0f runs an hour\n",
			row.name, row.s.Reproduced, row.s.Runs, row.s.Invalid, row.s.MedianSeconds, row.s.RunsPerHour)
	}
	_, err := fmt.Fprintf(out, "Fisher's exact test, two-sided: p = %.3f\nrecords and console logs: %s\n", b.PValue, b.Folder)
	return err
}
