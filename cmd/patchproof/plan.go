package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"patchproof/orchestrator"
	"patchproof/workloads"
)

func newPlan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "check plans and workloads",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(withoutFolders(newPlanLint()), withoutFolders(newPlanSchema()))
	return cmd
}

func newPlanLint() *cobra.Command {
	var guest guestFlags
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "check plans and workloads without building or booting anything",
		Long: `Lint reads plans for verify and matrix, and workloads, with all that they name,
and reports the first mistake of each file with its line and column. Exit
status: 0 all are good, 2 one is not.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			vars, err := guest.vars()
			if err != nil {
				return err
			}
			var bad []error
			for _, file := range args {
				text, err := orchestrator.LintFile(file, vars)
				if err != nil {
					bad = append(bad, err)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", file, text)
			}
			if len(bad) > 0 {
				return usage("%w", errors.Join(bad...))
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&guest.variables, "var", nil, "variable of the plan or its workload, NAME=VALUE; repeatable")
	return cmd
}

func newPlanSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema of plans and workloads, for editors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := workloads.Schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(data)
			return err
		},
	}
}
