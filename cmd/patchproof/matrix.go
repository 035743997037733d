package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchproof/orchestrator"
	"patchproof/results"
)

// matrixFlags are the flags of matrix that are not the request's own.
type matrixFlags struct {
	dryRun, resume, noSite     bool
	site, failOn, command, url string
	format                     string
	guest                      guestFlags
}

func newMatrix(g *global) *cobra.Command {
	var (
		r orchestrator.MatrixRequest
		o matrixFlags
	)
	cmd := &cobra.Command{
		Use:   "matrix [PLAN.yaml | --resume [FOLDER]]",
		Short: "run every combination of kernels, workloads and options of a plan",
		Long: `Matrix expands a plan into cells, one for every combination of its axes, and runs
each of them a number of times. docs/plan-format.md describes the plan and
docs/nightly.md how to run one every night.

Exit status: 0 no failure that --fail-on names, 1 there is one, 2 usage, 3 time,
runs or a signal left cells without an answer, 4 the infrastructure did.`,
		Example: `  patchproof matrix configs/nightly.yaml --dry-run
  patchproof matrix configs/nightly.yaml --since-last --fail-on new
  patchproof matrix configs/nightly.yaml --shard 2/3
  patchproof matrix --resume`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.dryRun && o.resume {
				return usage("--dry-run shows the cells of a plan: give the plan, and no --resume")
			}
			if len(args) == 1 {
				r.PlanFile = args[0]
			} else if !o.resume {
				return usage("no plan: give a plan file, for example configs/nightly.yaml")
			}
			var err error
			if r.Variables, err = o.guest.vars(); err != nil {
				return err
			}
			if o.dryRun {
				return printCells(cmd, g, r, o.format)
			}
			return runMatrix(cmd, g, r, &o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "print the cells and stop")
	f.BoolVar(&o.resume, "resume", false, "go on with the campaign in FOLDER, or with the last one")
	f.BoolVar(&r.SinceLast, "since-last", false, "run only the cells whose kernel, workload or guest changed since they last ran")
	f.StringVar(&r.Shard, "shard", "", "run one part of the cells only, such as 2/3")
	f.StringArrayVar(&r.Cells, "cell", nil, "run only the cell with this key; repeatable")
	f.StringArrayVar(&o.guest.variables, "var", nil, "variable of the plan or its workloads, NAME=VALUE; repeatable")
	countVar(f, &r.Repeat, "repeat", 1, 0, "runs of each cell")
	countVar(f, &r.MaxRuns, "max-runs", 1, 0, "most runs of the campaign")
	budgetVar(f, &r.Budget, "time after which no run begins, such as 8h")
	jobsFlag(f, &r.Jobs)
	forkFlag(f, g)
	f.Uint64Var(&g.perturbSeed, "perturb-seed", 0, "what the seeds of perturbed runs are made from (default random)")
	endFlags(cmd, &o)
	return cmd
}

// endFlags are the flags about the end of a matrix.
func endFlags(cmd *cobra.Command, o *matrixFlags) {
	f := cmd.Flags()
	f.StringVar(&o.site, "site", "", "folder of the static site (default beside the results)")
	f.BoolVar(&o.noSite, "no-site", false, "write no site")
	o.failOn = string(orchestrator.FailOnAny)
	words := []string{string(orchestrator.FailOnAny), string(orchestrator.FailOnNew), string(orchestrator.FailOnNone)}
	f.Var(&choice{&o.failOn, words}, "fail-on", "failures that make the exit status 1: any, new (not in the last 7 nights) or none")
	f.StringVar(&o.command, "notify-command", "", "shell command that gets the result as JSON on standard input")
	f.StringVar(&o.url, "notify-url", "", "URL that the result is posted to as JSON")
	formatFlag(cmd, &o.format, "text", "json")
}

func printCells(cmd *cobra.Command, g *global, r orchestrator.MatrixRequest, format string) error {
	h, done := g.harness(cmd)
	defer done()
	plan, err := h.ExpandMatrix(r)
	if err != nil {
		return err
	}
	if format == "json" {
		return writeJSON(cmd, plan)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	var header []string
	for _, a := range plan.Plan.AllAxes() {
		header = append(header, a.Name)
	}
	fmt.Fprintln(w, strings.ToUpper(strings.Join(append(header, "runs", "from"), "\t")))
	runs := 0
	for _, c := range plan.Cells {
		for _, name := range header {
			fmt.Fprintf(w, "%s\t", c.Values[name])
		}
		fmt.Fprintf(w, "%d\t%s\n", c.Repeat, c.Kernel.Source())
		runs += c.Repeat
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d cells, %d runs\n", len(plan.Cells), runs)
	return err
}

func runMatrix(cmd *cobra.Command, g *global, r orchestrator.MatrixRequest, o *matrixFlags) error {
	if err := o.checkEnd(); err != nil {
		return err
	}
	h, done := g.harness(cmd)
	var result *orchestrator.MatrixResult
	var err error
	if o.resume {
		result, err = h.Resume(cmd.Context(), r)
	} else {
		result, err = h.Matrix(cmd.Context(), r)
	}
	done()
	if err != nil {
		return err
	}
	return endMatrix(cmd, h, result, o)
}

// checkEnd finds mistakes in what endMatrix will be asked for.
func (o *matrixFlags) checkEnd() error {
	if o.noSite && o.site != "" {
		return usage("--no-site writes no site that --site could be for: give one of them")
	}
	return orchestrator.CheckEnd(o.site, o.url)
}

// endMatrix shows a matrix that has ended, whoever ended it: site, table,
// notification, exit status.
func endMatrix(cmd *cobra.Command, h *orchestrator.Harness, result *orchestrator.MatrixResult, o *matrixFlags) error {
	site := ""
	if !o.noSite {
		var err error
		if site, err = h.WriteSite(cmd.Context(), result, o.site); err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "patchproof: no site:", err)
		}
	}
	notice := result.Notice(orchestrator.FailOn(o.failOn), site)
	if err := printMatrix(cmd, result, notice, o.format); err != nil {
		return err
	}
	notifyErr := orchestrator.Notify(cmd.Context(), notice, o.command, o.url)
	if status := matrixStatus(notice.Verdict); status != statusOK {
		if notifyErr != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "patchproof:", notifyErr)
		}
		return &statusError{status: status}
	}
	return notifyErr
}

func printMatrix(cmd *cobra.Command, result *orchestrator.MatrixResult, notice orchestrator.Notice, format string) error {
	if format == "json" {
		return writeJSON(cmd, notice)
	}
	out := cmd.OutOrStdout()
	if err := results.MatrixText(out, result.Campaign.Matrix, result.Cells); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s: %s\n", notice.Verdict, notice.Summary)
	for _, n := range notice.New {
		fmt.Fprintf(out, "new: %s: %s\n", n.Cell, n.Report)
	}
	for _, key := range notice.Fixed {
		fmt.Fprintf(out, "fixed: %s\n", key)
	}
	fmt.Fprintf(out, "records and console logs: %s\n", notice.Folder)
	if notice.Site != "" {
		fmt.Fprintf(out, "site: %s\n", notice.Site)
	}
	return nil
}

func matrixStatus(v orchestrator.MatrixVerdict) int {
	switch v {
	case orchestrator.MatrixPassing, orchestrator.MatrixTolerated:
		return statusOK
	case orchestrator.MatrixFailing:
		return statusBad
	case orchestrator.MatrixIncomplete:
		return statusUndecided
	}
	return statusBroken
}
