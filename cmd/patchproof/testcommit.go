package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"patchproof/dmesg"
	"patchproof/orchestrator"
	"patchproof/results/judge"
)

// Exit statuses of test-commit: git bisect run takes 1 to 127 for bad, but for
// 125, and gives up at 128 and above.
const (
	statusSkip  = 125
	statusAbort = 129
)

const testCommitName = "test-commit"

func newTestCommit(g *global) *cobra.Command {
	var (
		r      orchestrator.TestCommitRequest
		commit orchestrator.Request
		guest  guestFlags
	)
	cmd := &cobra.Command{
		Use:   testCommitName,
		Short: "test one commit, for git bisect run",
		Long: `Test-commit builds the commit that is checked out in the current folder, or --rev
of --tree, and runs a workload on it until the bug shows or all runs were clean.
What is built is the commit: changes that are not committed are left out.

Exit status, as git bisect run takes it: 0 all runs were clean, 1 a run
reproduced the bug, 125 the commit cannot be tested (it does not build or boot,
or the workload fails), 129 usage or infrastructure: git bisect run then stops.

A clean commit is only as sure as its runs are many: bisect knows that, git
bisect run does not.`,
		Example: "  git bisect run patchproof test-commit --workload ~/my.yaml --runs 10",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if commit.Workload == "" {
				return usage("give --workload: a shipped name, or a file")
			}
			if err := guest.fill(&r.Guest, &r.Variables); err != nil {
				return err
			}
			r.Kernel, r.Patches, r.Workload = commit.Kernel, commit.Patches, commit.Workload
			h, done := g.harness(cmd)
			t, err := h.TestCommit(cmd.Context(), r)
			done()
			if err != nil {
				return err
			}
			return printCommitTest(cmd.OutOrStdout(), t)
		},
	}
	f := cmd.Flags()
	f.Var(&perturbFlag{&r.Perturb, "off"}, "perturb", "make races show themselves: off, or folders such as fs/btrfs:1/4")
	f.Uint64Var(&r.Seed, "seed", 0, "seed of every run of a perturbed kernel")
	commitFlags(f, &commit)
	f.StringVar(&commit.Kernel.Rev, "rev", "HEAD", "revision of --tree")
	countVar(f, &r.Runs, "runs", 1, 1, "most runs")
	guest.add(f)
	return cmd
}

func printCommitTest(w io.Writer, t *orchestrator.CommitTest) error {
	for _, run := range t.Runs {
		fmt.Fprintf(w, "%s: %s (%.1f s)\n", run.ID, run.Outcome, run.ElapsedSeconds)
	}
	var text string
	var err error
	switch {
	case t.Reproduced:
		text, err = "bad: the bug showed", &statusError{status: statusBad}
	case t.Untestable != "":
		text, err = "untestable: "+dmesg.Sanitize(t.Untestable), &statusError{status: statusSkip}
	default:
		n := t.Clean()
		text = fmt.Sprintf("good: %d clean runs; at best they prove (at 95%%) that the bug shows in less than %s of the runs", n, judge.Percent(judge.UpperBound(n, 0.95)))
	}
	if t.Dir != "" {
		text += "\nrecords and console logs: " + t.Dir
	}
	if _, werr := fmt.Fprintln(w, text); werr != nil {
		return werr
	}
	return err
}

// forGitBisect keeps mistakes and broken hosts from passing for a bad commit.
func forGitBisect(cmd *cobra.Command, err error) error {
	var status *statusError
	if err == nil || cmd == nil || cmd.Name() != testCommitName || errors.As(err, &status) && status.err == nil {
		return err
	}
	return &statusError{statusAbort, err}
}
