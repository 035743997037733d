package main

import (
	"context"

	"github.com/spf13/cobra"

	"patchproof/results"
	"patchproof/results/index"
	"patchproof/workloads"
)

func newResultsCompare(g *global) *cobra.Command {
	var (
		format     string
		confidence float64
	)
	cmd := &cobra.Command{
		Use:   "compare EARLIER... LATER",
		Short: "say what is new, fixed, still there and flaky between campaigns",
		Long: `Compare judges the last campaign against those before it, whose runs are taken
together. What is new or fixed is a matter of statistics: of how many runs showed
a report on either side, cell by cell and in all cells, and of how many things
were looked at. docs/results.md has the rule.

Exit status: 0 nothing new, 1 something is new, 2 usage, 3 something came up that
the runs are too few to call new.`,
		Example: `  patchproof results compare 20261124 20261125
  patchproof results compare 20261120 20261121 20261122 20261123 20261124 20261125`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withIndex(cmd, g, func(ctx context.Context, x *index.Index) error {
				c, err := x.Compare(ctx, args, confidence)
				if err != nil {
					return resultsError(err)
				}
				if format == "json" {
					err = results.CompareJSON(cmd.OutOrStdout(), c)
				} else {
					err = results.CompareText(cmd.OutOrStdout(), c)
				}
				if err != nil {
					return err
				}
				switch {
				case c.Count(results.ChangeNew) > 0:
					return &statusError{status: statusBad}
				case c.Emerging():
					return &statusError{status: statusUndecided}
				}
				return nil
			})
		},
	}
	confidenceVar(cmd.Flags(), &confidence, results.DefaultCompareConfidence, workloads.MaxConfidence, "how sure new and fixed have to be, all of them together")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}
