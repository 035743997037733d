package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchproof/dmesg"
	"patchproof/orchestrator"
	"patchproof/workloads"
)

func newBench(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "measure what patchproof relies on",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchFork(g), newBenchJobs(g), newBenchVerdict(g))
	return cmd
}

// benchPlan loads the plan that is measured, with what the flags change of it.
func benchPlan(r *orchestrator.Request, guest *guestFlags, file string) (*workloads.Plan, error) {
	r.PlanFile = file
	if err := guest.fill(&r.Guest, &r.Variables); err != nil {
		return nil, err
	}
	return r.Plan()
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
		Short: "compare runs that go on from saved machines with runs that boot",
		Long: `Fork runs the workload of a plan on its pre kernel, in turn in guests that go on
from saved machines and in guests that boot, and tests whether the two reproduce
the bug equally often, and whether they do so with every machine. A rate far from
0 and 1 tells most.

Exit status: 0 no difference beyond chance, 1 a difference (one of the two p below
0.025), 2 usage, 4 the infrastructure failed.`,
		Example: "  patchproof bench fork --runs 40 --var events=2000 btrfs-dio-race-6.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := benchPlan(&r, &guest, args[0])
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
	countVar(f, &runs, "runs", 1, 40, "runs of each kind")
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
	fmt.Fprintf(out, "%s on %s; saved machines after %s, the first had in %.1f s\n", b.Workload, dmesg.Sanitize(b.Kernel), b.After, b.SaveSeconds)
	for _, row := range []struct {
		name string
		s    orchestrator.ForkSample
	}{{"forked", b.Forked}, {"booted", b.Booted}} {
		fmt.Fprintf(out, "%s: %d of %d runs reproduced, %d invalid; median %.2f s, %.0f runs an hour\n",
			row.name, row.s.Reproduced, row.s.Runs, row.s.Invalid, row.s.MedianSeconds, row.s.RunsPerHour)
	}
	fmt.Fprint(out, "by machine, forked and booted in turn with them:")
	for _, m := range b.Machines {
		fmt.Fprintf(out, " %d/%d %d/%d;", m.Forked.Events, m.Forked.Runs, m.Booted.Events, m.Booted.Runs)
	}
	_, err := fmt.Fprintf(out, "\nequally often: p = %.3f; with every machine: p = %.3f\nrecords and console logs: %s\n", b.PValue, b.MachinesPValue, b.Folder)
	return err
}

func newBenchJobs(g *global) *cobra.Command {
	var (
		r      orchestrator.Request
		o      orchestrator.JobsOptions
		guest  guestFlags
		format string
	)
	cmd := &cobra.Command{
		Use:   "jobs PLAN.yaml",
		Short: "find how many guests at a time get most done on this host, and remember it",
		Long: `Jobs runs the workload of a plan on its pre kernel with 1, 2, 3, ... guests at a
time, in turns, until more guests do clearly less. The number with most runs an
hour is kept in the cache, for this host and guests of this accelerator, number
of processors and memory: verify, run, matrix and bisect use it when --jobs is not
given. docs/guests.md says more.

Exit status: 0 measured, 2 usage, 4 the infrastructure failed.`,
		Example: "  patchproof bench jobs --var events=2000 btrfs-dio-race-6.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := benchPlan(&r, &guest, args[0])
			if err != nil {
				return err
			}
			h, done := g.harness(cmd)
			bench, err := h.BenchJobs(cmd.Context(), plan, o)
			done()
			if bench != nil {
				if perr := printJobsBench(cmd, bench, format); perr != nil {
					return perr
				}
			}
			return err
		},
	}
	f := cmd.Flags()
	countVar(f, &o.Turns, "turns", 1, 0, "turns of every number of guests (default 3)")
	countVar(f, &o.Runs, "runs", 1, 0, "runs in a turn, at least (default 4)")
	countVar(f, &o.Most, "most", 1, 0, "largest number of guests (default twice the processors)")
	perturbFlags(f, &r.Perturb, &g.perturbSeed)
	guest.add(f)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func printJobsBench(cmd *cobra.Command, b *orchestrator.JobsBench, format string) error {
	if format == "json" {
		return writeJSON(cmd, b)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s on %s; %v; %s, %d processors\n", b.Workload, dmesg.Sanitize(b.Kernel), b.JobsKey, b.CPU, b.Cores)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "GUESTS\tRUNS\tREPRODUCED\tINVALID\tRUNS/H\tREPRODUCTIONS/H\t")
	for _, l := range b.Levels {
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%.0f\t%.0f\t\n", l.Jobs, l.Runs, l.Reproduced, l.Invalid, l.RunsPerHour, l.ReproductionsPerHour)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if b.Jobs > 0 {
		fmt.Fprintf(out, "%d at a time get most done; kept for such guests on this host\n", b.Jobs)
	}
	_, err := fmt.Fprintf(out, "records and console logs: %s\n", b.Folder)
	return err
}
