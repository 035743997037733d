package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"patchproof/dmesg"
	"patchproof/results/site"
)

func newResultsSite(g *global) *cobra.Command {
	var out, format string
	cmd := &cobra.Command{
		Use:   "site -o FOLDER [CAMPAIGN...]",
		Short: "write the results as a web site that works from disk",
		Long: `Site writes pages of all campaigns of the results folder, or of those named, and
prints the path of the first one. The pages need no server and no network. Run
again into the same folder, it writes only what has changed.`,
		Example: `  patchproof results site -o ~/public_html/nightly`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usage("no folder for the site: give one with --output")
			}
			h, done := g.harness(cmd)
			done()
			w, err := site.Write(cmd.Context(), g.resultsDir, out, site.Options{Version: version(), Campaigns: args, Config: h.KernelConfigs()})
			if errors.Is(err, site.ErrForeign) {
				return usage("%w", err)
			}
			if err != nil {
				return resultsError(err)
			}
			if format == "json" {
				w.Problems = append([]string{}, w.Problems...)
				return writeJSON(cmd, w)
			}
			for _, p := range w.Problems {
				fmt.Fprintln(cmd.ErrOrStderr(), "patchproof: left out:", dmesg.Sanitize(p))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s (%d pages, %d written)\n", w.Index, w.Pages, w.Changed)
			return err
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "folder of the site; empty, or one that this command has written")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}
