package main

import "github.com/spf13/cobra"

func newResultsMerge(g *global) *cobra.Command {
	var (
		out string
		o   matrixFlags
	)
	cmd := &cobra.Command{
		Use:   "merge FOLDER...",
		Short: "put the shards of a matrix together",
		Long: `Merge makes one campaign out of the shards of a matrix, whose folders stay as they
are, and ends as the matrix itself would have: table, site, notification, exit
status.`,
		Example: "  patchproof results merge shard1/* shard2/* shard3/* -o results/tonight --fail-on new",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.checkEnd(); err != nil {
				return err
			}
			h, done := g.harness(cmd)
			defer done()
			result, err := h.MergeMatrices(cmd.Context(), args, out)
			if err != nil {
				return err
			}
			return endMatrix(cmd, h, result, &o)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "folder of the whole, which must not exist (default a new one in --results-dir)")
	endFlags(cmd, &o)
	return cmd
}
