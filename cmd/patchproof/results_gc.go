package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"patchproof/results/index"
)

func newResultsGC(g *global) *cobra.Command {
	var (
		o      index.GCOptions
		format string
	)
	cmd := &cobra.Command{
		Use:   "gc --keep-days N | --keep N",
		Short: "remove old campaigns, or only their logs",
		Long: `Gc removes the campaigns that are both older than --keep-days and not among the
last --keep of their kind and name. It always keeps the last one, and whatever is
running, cannot be read, or is referred to by a campaign that stays.`,
		Example: `  patchproof results gc --keep-days 30 --keep 10 --dry-run
  patchproof results gc --keep-days 7 --logs-only`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.KeepDays <= 0 && o.Keep <= 0 {
				return usage("say what to keep: --keep-days, --keep, or both")
			}
			return withIndex(cmd, g, func(ctx context.Context, x *index.Index) error {
				items, err := x.GC(ctx, o)
				if err != nil {
					return err
				}
				if format == "json" {
					return writeJSON(cmd, append([]index.GCItem{}, items...))
				}
				return index.GCText(cmd.OutOrStdout(), items, o)
			})
		},
	}
	f := cmd.Flags()
	countVar(f, &o.KeepDays, "keep-days", 0, 0, "keep what is not older than this many days")
	countVar(f, &o.Keep, "keep", 0, 0, "keep this many campaigns of each kind and name")
	f.BoolVar(&o.LogsOnly, "logs-only", false, "remove consoles and other files of runs, and keep the records")
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "say what would be removed")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func newResultsReindex(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "reindex",
		Short: "build the index anew from the campaigns' folders",
		Long: `Reindex forgets the index and reads all folders again. It is only needed after
somebody has changed the folder of an ended run by hand.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withIndex(cmd, g, func(ctx context.Context, x *index.Index) error {
				if err := x.Rebuild(ctx); err != nil {
					return err
				}
				s, err := x.Stats(ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d campaigns, %d runs, %d folders skipped\n", s.Campaigns, s.Runs, s.Problems)
				return err
			})
		},
	}
}
