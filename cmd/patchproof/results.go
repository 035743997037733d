package main

import (
	"github.com/spf13/cobra"

	"patchproof/results"
)

func newResults() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "results",
		Short: "work with the records of campaigns",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newResultsShow())
	return cmd
}

func newResultsShow() *cobra.Command {
	var (
		format, tested string
		verbose        bool
	)
	cmd := &cobra.Command{
		Use:   "show FOLDER",
		Short: "draw the verdict of a campaign again, from its folder alone",
		Long: `Show reads the folder of a campaign, one that was broken off included, and draws
outcomes and verdict again from what is in it. Exit status as for verify.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			summary, err := results.Recompute(args[0])
			if err != nil {
				return usage("%w", err)
			}
			return printSummary(cmd, &summary, format, results.TextOptions{TestedBy: tested, Verbose: verbose})
		},
	}
	cmd.Flags().StringVar(&tested, "tested-by", "", "put a Tested-by line for 'NAME <EMAIL>' into the report")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "list every run")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}
