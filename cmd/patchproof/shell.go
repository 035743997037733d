package main

import (
	"os"

	"github.com/spf13/cobra"

	"patchproof/orchestrator"
)

func newShell(g *global) *cobra.Command {
	var (
		r     orchestrator.SingleRequest
		guest guestFlags
	)
	cmd := &cobra.Command{
		Use:     "shell",
		Short:   "boot a kernel and open a shell in the guest",
		Example: "  patchproof shell --kernel bzImage --disk 4GiB",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := guest.fill(&r.Guest, &r.Variables); err != nil {
				return err
			}
			stdin, ok := cmd.InOrStdin().(*os.File)
			if !ok {
				stdin = os.Stdin
			}
			h, done := g.harness(cmd)
			h.BeforeShell = done
			return h.Shell(cmd.Context(), r, stdin, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	singleFlags(cmd, &r, &guest)
	return cmd
}
