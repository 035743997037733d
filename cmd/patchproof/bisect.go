package main

import (
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"patchproof/orchestrator"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

func newBisect(g *global) *cobra.Command {
	var (
		r      orchestrator.BisectRequest
		guest  guestFlags
		format string
		resume bool
	)
	cmd := &cobra.Command{
		Use:   "bisect [PLAN.yaml] --good REV --bad REV | bisect --resume [FOLDER]",
		Short: "find the commit that broke something, with a reproducer that fails only now and then",
		Long: `Bisect searches the history between two revisions of a git tree for the commit
from which on a workload reproduces its bug, or, with --find fix, for the commit
from which on it no longer does: then --bad is the old, broken revision and
--good the new, fixed one. A clean run is not taken for a proof: every commit has
a probability, and runs are done where they teach most for their cost.

Exit status: 0 found, 2 usage, 3 not found, 4 the infrastructure failed.`,
		Example: `  patchproof bisect --tree ~/linux --good v6.1 --bad v6.2 --path fs/btrfs --workload my.yaml
  patchproof bisect --tree ~/linux --find fix --bad v6.1.20 --good v6.1.30 --workload my.yaml
  patchproof bisect --resume --budget 2h
  patchproof bisect log`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, done := g.harness(cmd)
			var b *results.Bisection
			var err error
			if resume {
				b, err = resumeBisect(cmd, g, h, r, args)
			} else {
				b, err = startBisect(cmd, h, r, guest, args)
			}
			done()
			return printBisection(cmd, b, format, err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Good, "good", "", "revision without the bug")
	f.StringVar(&r.Bad, "bad", "", "revision with the bug")
	r.Find = judge.FindCulprit
	f.Var(&choice{(*string)(&r.Find), []string{string(judge.FindCulprit), string(judge.FindFix)}}, "find", "what to look for: culprit or fix")
	f.StringArrayVar(&r.Skip, "skip", nil, "revision that is not to be tested; repeatable")
	f.StringArrayVar(&r.Paths, "path", nil, "only commits that change this path of the tree; repeatable")
	f.BoolVar(&r.FirstParent, "first-parent", false, "follow the first parent of merges only")
	f.BoolVar(&resume, "resume", false, "go on with the bisection in FOLDER, or with the last one")
	commitFlags(f, &r.Request)
	confidenceVar(f, &r.Confidence, 0, workloads.MaxConfidence, "how sure the answer has to be, such as 0.99")
	countVar(f, &r.MaxRuns, "max-runs", 1, 0, "most runs, all commits together (default no limit)")
	budgetVar(f, &r.Budget, "most time for builds and runs, such as 2h")
	jobsFlag(f, &r.Jobs)
	forkFlag(f, g)
	perturbFlags(f, &r.Perturb, &g.perturbSeed)
	guest.add(f)
	formatFlag(cmd, &format, "text", "json")
	cmd.AddCommand(newBisectLog(g), withoutFolders(newBisectSimulate()))
	return cmd
}

// commitFlags say what every commit is built with and what runs on it.
func commitFlags(f *pflag.FlagSet, r *orchestrator.Request) {
	f.StringVar(&r.Kernel.Tree, "tree", "", "git tree of kernel sources; never changed")
	f.StringArrayVar(&r.Patches, "patch", nil, "patch file that goes on top of every commit; repeatable")
	f.StringVar(&r.Kernel.BaseConfig, "config", "", "allnoconfig, defconfig or a .config to start from")
	f.StringArrayVar(&r.Kernel.Fragments, "fragment", nil, "file of config symbols to set; repeatable")
	f.StringArrayVar(&r.Kernel.Make, "make", nil, "make variable such as CC=gcc-11; repeatable")
	f.StringVarP(&r.Workload, "workload", "w", "", "workload: a shipped name or a file")
}

func startBisect(cmd *cobra.Command, h *orchestrator.Harness, r orchestrator.BisectRequest, guest guestFlags, args []string) (*results.Bisection, error) {
	if len(args) == 1 {
		r.PlanFile = args[0]
	}
	if err := guest.fill(&r.Guest, &r.Variables); err != nil {
		return nil, err
	}
	return h.Bisect(cmd.Context(), r)
}

// resumable are the flags that may change when a bisection goes on.
var resumable = []string{"resume", "skip", "confidence", "max-runs", "budget", "jobs", "format", "json", "cache-dir", "results-dir", "qemu", "quiet"}

func resumeBisect(cmd *cobra.Command, g *global, h *orchestrator.Harness, r orchestrator.BisectRequest, args []string) (*results.Bisection, error) {
	if err := onlyFlags(cmd, "bisection", resumable); err != nil {
		return nil, err
	}
	dir, err := bisectionFolder(g, args)
	if err != nil {
		return nil, err
	}
	return h.ResumeBisect(cmd.Context(), orchestrator.ResumeRequest{Dir: dir, Confidence: r.Confidence, MaxRuns: r.MaxRuns, Budget: r.Budget, Jobs: r.Jobs, Skip: r.Skip})
}

// onlyFlags refuses the flags that cannot change when something goes on.
func onlyFlags(cmd *cobra.Command, what string, allowed []string) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && !slices.Contains(allowed, f.Name) {
			err = usage("--%s cannot change when a %s goes on: start a new one", f.Name, what)
		}
	})
	return err
}

// bisectionFolder is the one given, or that of the last bisection.
func bisectionFolder(g *global, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	dir, err := results.LastBisection(g.resultsDir)
	if err != nil {
		return "", usage("%w", err)
	}
	return dir, nil
}

// printBisection prints what is known, also when an error ended the search.
func printBisection(cmd *cobra.Command, b *results.Bisection, format string, err error) error {
	if b == nil {
		return err
	}
	write := results.BisectText
	if format == "json" {
		write = results.BisectJSON
	}
	if werr := write(cmd.OutOrStdout(), b); werr != nil {
		return werr
	}
	if err == nil && !b.Found() {
		return &statusError{status: statusUndecided}
	}
	return err
}

func newBisectLog(g *global) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "log [FOLDER]",
		Short: "show the state of a bisection: probabilities, runs, what comes next",
		Long: `Log shows a bisection from its folder alone, one that is running or was broken off
included. --format git prints a log that 'git bisect replay' takes.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := bisectionFolder(g, args)
			if err != nil {
				return err
			}
			b, err := results.LoadBisection(dir)
			if err != nil {
				return usage("%w", err)
			}
			return bisectLogs[format](cmd.OutOrStdout(), b)
		},
	}
	formatFlag(cmd, &format, "text", "json", "git")
	return cmd
}

// bisectLogs are the formats of bisect log.
var bisectLogs = map[string]func(io.Writer, *results.Bisection) error{
	"text": results.BisectLog, "json": results.BisectJSON, "git": results.BisectGit,
}
