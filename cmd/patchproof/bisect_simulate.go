package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"patchproof/results/judge"
	"patchproof/workloads"
)

// simulateFlags are the flags of patchproof bisect simulate.
type simulateFlags struct {
	spec                                           judge.SimulationSpec
	commits                                        int
	knownRate                                      bool
	strategy, repeats, graph, skips, format, found string
	modelFalseRate, confidence                     float64
}

func newBisectSimulate() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "bisect a made-up bug many times, to see what it costs and how often it is right",
		Long: `Simulate draws a culprit, bisects with simulated runs and counts, many times over.
It drives the code that patchproof bisect uses. See docs/bisect.md.`,
		Example: `  patchproof bisect simulate --rate 0.2 --trials 1000
  patchproof bisect simulate --rate 0.2 --strategy fixed-repeats --repeats auto
  git rev-list --parents v1..v2 > graph && patchproof bisect simulate --graph graph --rate 0.5`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.IntVar(&f.commits, "commits", 1024, "length of a linear history")
	flags.StringVar(&f.graph, "graph", "linear", "linear, or a file as git rev-list --parents prints it")
	flags.Float64Var(&f.spec.Rate, "rate", 0.5, "chance that a run at a commit with the bug shows it")
	flags.BoolVar(&f.knownRate, "known-rate", false, "tell the search the rate")
	flags.Float64Var(&f.spec.FalseRate, "false-rate", 0, "chance that a run at a commit without the bug shows the signature")
	flags.Float64Var(&f.modelFalseRate, "model-false-rate", judge.DefaultFalseRate, "what the search takes the false rate for")
	flags.StringVar(&f.found, "find", string(judge.FindCulprit), "culprit or fix")
	strategy := choice{&f.strategy, nil}
	for _, s := range judge.BisectStrategies() {
		strategy.allowed = append(strategy.allowed, string(s))
	}
	f.strategy = strategy.allowed[0]
	flags.Var(&strategy, "strategy", strings.Join(strategy.allowed, ", "))
	flags.StringVar(&f.repeats, "repeats", "auto", "runs a commit of fixed-repeats; auto is enough to be right in 99% at the rate")
	flags.IntVar(&f.spec.Trials, "trials", 1000, "number of bisections")
	flags.Float64Var(&f.spec.BuildCost, "build-cost", 5, "cost of a build, in runs")
	flags.StringVar(&f.skips, "skips", "", "untestable blocks at random places, such as 3x34: three of 34 commits")
	confidenceVar(flags, &f.confidence, judge.DefaultConfidence, workloads.MaxConfidence, "probability that ends the search")
	flags.Uint64Var(&f.spec.Seed, "seed", 1, "what the random numbers are made from")
	formatFlag(cmd, &f.format, "text", "json")
	return cmd
}

func (f *simulateFlags) run(cmd *cobra.Command) error {
	if err := f.read(); err != nil {
		return err
	}
	out, err := judge.SimulateBisect(cmd.Context(), f.spec)
	if err != nil {
		return err
	}
	if f.format == "json" {
		return writeJSON(cmd, out)
	}
	return printSimulation(cmd.OutOrStdout(), out)
}

// read turns the flags into a specification.
func (f *simulateFlags) read() (err error) {
	f.spec.Strategy = judge.BisectStrategy(f.strategy)
	f.spec.Rules = judge.BisectRules{Find: judge.Find(f.found), Confidence: f.confidence, FalseRate: f.modelFalseRate}
	if f.knownRate {
		f.spec.Rules.KnownRate = f.spec.Rate
	}
	if f.repeats != "auto" {
		if f.spec.Repeats, err = strconv.Atoi(f.repeats); err != nil || f.spec.Repeats < 1 {
			return usage("--repeats: expected auto or a number of runs, got %q", f.repeats)
		}
	}
	if f.skips != "" {
		if f.spec.SkipBlocks, f.spec.SkipLength, err = judge.ParseSkips(f.skips); err != nil {
			return usage("--skips: %w", err)
		}
	}
	if f.graph == "linear" {
		if f.spec.Graph, err = judge.LinearGraph(f.commits); err != nil {
			return usage("--commits: %w", err)
		}
	} else {
		file, err := os.Open(f.graph)
		if err != nil {
			return usage("--graph: %w", err)
		}
		defer file.Close()
		if f.spec.Graph, _, err = judge.ParseGraph(file); err != nil {
			return usage("--graph: %s: %w", f.graph, err)
		}
	}
	if err := f.spec.Validate(); err != nil {
		return usage("%w", err)
	}
	return nil
}

func printSimulation(w io.Writer, s judge.Simulation) error {
	_, err := fmt.Fprintf(w, `%d trials of %s over %d commits: right in %.1f%%
runs    %.1f (median %g), bound %.1f
builds  %.1f
cost    %.1f, bound %.1f
beside  %.1f runs to verify the ends, %.1f to confirm; cost of everything %.1f
`, s.Trials, s.Strategy, s.Commits, 100*s.CorrectShare, s.MeanRuns, s.MedianRuns, s.BoundRuns,
		s.MeanBuilds, s.MeanCost, s.BoundCost, s.CalibrationRuns, s.ConfirmationRuns, s.TotalCost)
	for _, part := range []struct {
		name string
		*judge.SkipShare
	}{{"inside", s.Inside}, {"outside", s.Outside}} {
		if err == nil && part.SkipShare != nil {
			_, err = fmt.Fprintf(w, "culprit %s the untestable blocks: %d trials, answer holds it in %.1f%%, %.1f commits in it, cost %.1f\n",
				part.name, part.Trials, 100*part.HoldsCulprit, part.MeanSet, part.MeanCost)
		}
	}
	return err
}
