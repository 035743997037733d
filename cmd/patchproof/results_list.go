package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/results/index"
)

func newResultsList(g *global) *cobra.Command {
	var (
		f            index.Filter
		kind, format string
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list campaigns, the newest first",
		Long: `List prints the campaigns of the results folder. Folders that cannot be read are
named on standard error; nothing is done to them.`,
		Example: `  patchproof results list --kind matrix --since 7d
  patchproof results list --verdict regressed --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withIndex(cmd, g, func(ctx context.Context, x *index.Index) error {
				f.Kind = results.Kind(kind)
				list, err := x.Campaigns(ctx, f)
				if err != nil {
					return err
				}
				problems, err := x.Problems(ctx)
				if err != nil {
					return err
				}
				if format == "json" {
					return writeJSON(cmd, struct {
						Campaigns []index.Campaign `json:"campaigns"`
						Problems  []index.Problem  `json:"problems"`
					}{append([]index.Campaign{}, list...), append([]index.Problem{}, problems...)})
				}
				for _, p := range problems {
					fmt.Fprintln(cmd.ErrOrStderr(), "patchproof: skipped:", dmesg.Sanitize(p.String()))
				}
				return index.ListText(cmd.OutOrStdout(), list)
			})
		},
	}
	flags := cmd.Flags()
	kinds := []string{string(results.KindVerify), string(results.KindRun), string(results.KindBisect), string(results.KindMatrix), string(results.KindTune)}
	flags.Var(&choice{&kind, kinds}, "kind", "only verify, run, bisect, matrix or tune")
	flags.StringVar(&f.Workload, "workload", "", "only campaigns of this workload")
	flags.StringVar(&f.Name, "name", "", "only matrices of this name")
	flags.Var(&choice{&f.Verdict, results.Answers()}, "verdict", "only campaigns with this answer, such as fixed or failing")
	countVar(flags, &f.Limit, "limit", 0, 0, "no more than this many")
	sinceFlag(flags, &f.Since)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func newResultsReports(g *global) *cobra.Command {
	var (
		f      index.EventFilter
		format string
	)
	cmd := &cobra.Command{
		Use:   "reports [FINGERPRINT]",
		Short: "list the kernel reports seen, or how often one came over time",
		Long: `Reports lists every kind of kernel report with when it was first and last seen.
With a fingerprint it prints that report's rate in each campaign, the oldest
first: in how many of the runs that were able to show it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withIndex(cmd, g, func(ctx context.Context, x *index.Index) error {
				if len(args) == 1 {
					if err := x.KnownFingerprint(ctx, args[0]); err != nil {
						return resultsError(err)
					}
					points, err := x.Trend(ctx, args[0], f)
					if err != nil {
						return err
					}
					if format == "json" {
						return writeJSON(cmd, append([]index.TrendPoint{}, points...))
					}
					return index.TrendText(cmd.OutOrStdout(), points)
				}
				list, err := x.Fingerprints(ctx, f)
				if err != nil {
					return err
				}
				if format == "json" {
					return writeJSON(cmd, append([]index.Fingerprint{}, list...))
				}
				return index.FingerprintsText(cmd.OutOrStdout(), list)
			})
		},
	}
	eventFlags(cmd.Flags(), &f)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func newResultsFlaky(g *global) *cobra.Command {
	var (
		f      index.EventFilter
		format string
	)
	cmd := &cobra.Command{
		Use:   "flaky",
		Short: "list what fails and passes with the same kernel image",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withIndex(cmd, g, func(ctx context.Context, x *index.Index) error {
				list, err := x.Flaky(ctx, f)
				if err != nil {
					return err
				}
				if format == "json" {
					return writeJSON(cmd, append([]index.Flaky{}, list...))
				}
				return index.FlakyText(cmd.OutOrStdout(), list)
			})
		},
	}
	eventFlags(cmd.Flags(), &f)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// eventFlags are the flags that choose runs.
func eventFlags(f *pflag.FlagSet, e *index.EventFilter) {
	f.StringVar(&e.Name, "name", "", "only runs of matrices of this name")
	f.StringVar(&e.Workload, "workload", "", "only runs of campaigns of this workload")
	f.StringVar(&e.Cell, "cell", "", "only runs of this cell")
	sinceFlag(f, &e.Since)
}

func sinceFlag(f *pflag.FlagSet, t *time.Time) {
	f.Var(&since{t: t}, "since", "only what began after a date such as 2026-11-25, or 36h or 7d ago")
}

// since is a flag that takes a point in time.
type since struct {
	t    *time.Time
	text string
}

func (s *since) String() string { return s.text }
func (s *since) Type() string   { return "time" }
func (s *since) Set(text string) (err error) {
	s.text = text
	*s.t, err = index.ParseSince(text, time.Now())
	return err
}
