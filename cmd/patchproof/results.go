package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/results/index"
)

func newResults(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "results",
		Short: "work with the records of campaigns",
		Long: `Results works with the campaigns in the results folder. An index keeps lists and
histories fast; it brings itself up to date, and the campaigns' folders stay the
only thing that counts. docs/results.md describes both.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newResultsList(g), newResultsShow(g), newResultsCompare(g), newResultsReports(g), newResultsFlaky(g),
		newResultsSite(g), newResultsMerge(g), newResultsGC(g), newResultsReindex(g))
	return cmd
}

func newResultsShow(g *global) *cobra.Command {
	var (
		format, tested, origin string
		verbose                bool
	)
	cmd := &cobra.Command{
		Use:   "show CAMPAIGN|FOLDER",
		Short: "draw the verdict of a campaign again, from its folder alone",
		Long: `Show reads the folder of a campaign, one that was broken off included, and draws
outcomes and verdict again from what is in it. A campaign is named by its ID, by
a beginning or an end of it that no other has, or by its folder.

Exit status of text and json: for a verification as for verify; for a matrix and
single runs 0 when all passed, 1 when something failed, 3 when runs are missing.
The formats for other programs (junit, kcidb, markdown) end with 0 once written.`,
		Example: `  patchproof results show 4e5528
  patchproof results show 20261125T210411Z --format junit > report.xml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := index.Resolve(cmd.Context(), g.resultsDir, args[0])
			if err != nil {
				return resultsError(err)
			}
			r, err := results.ReadRecorded(dir)
			if err != nil {
				return usage("%w", err)
			}
			out := cmd.OutOrStdout()
			switch format {
			case "junit":
				return resultsError(results.JUnit(out, r))
			case "kcidb":
				return resultsError(results.KCIDB(out, r, origin))
			case "markdown":
				return resultsError(results.Markdown(out, r))
			case "json":
				err = results.ShowJSON(out, r)
			default:
				err = results.ShowText(out, r, results.TextOptions{TestedBy: tested, Verbose: verbose})
			}
			if err != nil {
				return resultsError(err)
			}
			return showStatus(r)
		},
	}
	testerVar(cmd.Flags(), &tested)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "list every run")
	cmd.Flags().StringVar(&origin, "origin", results.DefaultOrigin, "name of the CI system in a kcidb document")
	formatFlag(cmd, &format, "text", "json", "junit", "kcidb", "markdown")
	return cmd
}

// showStatus is the exit status of a campaign that was shown.
func showStatus(r results.Recorded) error {
	status := statusOK
	if r.Campaign.Kind != results.KindBisect {
		status = verdictStatus(r.Verdict())
	}
	if status == statusOK {
		return nil
	}
	return &statusError{status: status}
}

// resultsError makes a wrong name of a campaign or of the results folder, and a
// question that makes no sense, a usage error.
func resultsError(err error) error {
	var ref *index.RefError
	var folder *index.FolderError
	var asked *results.AskedError
	if errors.As(err, &ref) || errors.As(err, &folder) || errors.As(err, &asked) {
		return usage("%w", err)
	}
	return err
}

// withIndex opens the index, tells what came up with it, and runs f.
func withIndex(cmd *cobra.Command, g *global, f func(ctx context.Context, x *index.Index) error) error {
	x, err := index.Open(cmd.Context(), g.resultsDir)
	if err != nil {
		return resultsError(err)
	}
	defer x.Close() // everything that was written is committed
	for _, note := range x.Notes() {
		fmt.Fprintln(cmd.ErrOrStderr(), "patchproof:", dmesg.Sanitize(note))
	}
	return f(cmd.Context(), x)
}
