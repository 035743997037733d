package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"patchproof/kernels"
	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/workloads"
)

// BisectRequest is a bisection as the command line gives it. Of the Request,
// MaxRuns is the limit of all runs, 0 for none; Patches go on top of every
// commit; Budget covers builds and runs.
type BisectRequest struct {
	Request
	// Good and Bad are revisions of the tree. For a culprit, Good is the older
	// one; for a fix, Bad is: the broken one.
	Good, Bad string
	Find      judge.Find
	// Skip are revisions that are not to be tested.
	Skip []string
	// Paths and FirstParent narrow the history, see kernels.HistoryOptions.
	Paths       []string
	FirstParent bool
}

// ResumeRequest continues a bisection. Zero fields leave things as they were.
type ResumeRequest struct {
	Dir        string
	Confidence float64
	MaxRuns    int
	Budget     time.Duration // of this sitting
	Jobs       int
	Skip       []string
}

// plan returns what every commit is built and run with: a plan that has a
// kernel, whose revision is open, and no pair.
func (r BisectRequest) plan() (*workloads.Plan, error) {
	req := r.Request
	req.MaxRuns, req.Patches, req.Perturb = 0, nil, ""
	if req.PlanFile == "" && req.Kernel.Tree == "" {
		return nil, inputError(errors.New("nothing says which history to search: give --tree, or a plan whose kernel has a tree"))
	}
	plan, err := req.Plan()
	if err != nil {
		return nil, err
	}
	k := plan.Kernel
	switch {
	case plan.Pre != nil || plan.Post != nil || plan.Fix != "" || plan.Base != "" || len(plan.Patch) > 0:
		return nil, inputError(fmt.Errorf("plan %s compares two kernels: a bisection takes one with kernel and workload, and neither pre, post, fix, base nor patch", plan.Name))
	case k == nil || k.Tree == "":
		return nil, inputError(errors.New("a bisection needs the git tree with the history: give --tree, or kernel.tree in the plan"))
	case k.Rev != "":
		return nil, inputError(fmt.Errorf("plan %s names revision %s: a bisection takes its revisions from --good and --bad", plan.Name, k.Rev))
	}
	k.Patches = append(slices.Clone(k.Patches), r.Patches...)
	if r.Perturb != "" {
		if k.Perturb, err = ParsePerturb(r.Perturb); err != nil {
			return nil, err
		}
	}
	return plan, absolutePaths(k)
}

// absolutePaths makes a kernel independent of the current folder: the plan that
// is kept in another one must mean the same there.
func absolutePaths(k *workloads.KernelSpec) error {
	files := []*string{&k.Image, &k.Vmlinux, &k.Config, &k.Modules, &k.Tarball, &k.Tree}
	files = append(files, pointers(k.Patches, k.Fragments)...)
	if k.BaseConfig != kernels.AllNoConfig && k.BaseConfig != kernels.DefConfig {
		files = append(files, &k.BaseConfig)
	}
	return absolute(files)
}

func pointers(lists ...workloads.List) []*string {
	var out []*string
	for _, list := range lists {
		for i := range list {
			out = append(out, &list[i])
		}
	}
	return out
}

func absolute(files []*string) (err error) {
	for _, f := range files {
		if *f == "" || strings.HasPrefix(*f, workloads.ShippedPrefix) {
			continue
		}
		if *f, err = filepath.Abs(*f); err != nil {
			return err
		}
	}
	return nil
}

// history reads the range and says what to do when the two ends do not fit.
func (h *Harness) history(ctx context.Context, tree string, r BisectRequest) (*results.BisectRecord, error) {
	if r.Good == "" || r.Bad == "" {
		return nil, inputError(errors.New("give both ends of the range: --good and --bad"))
	}
	options := kernels.HistoryOptions{Paths: r.Paths, FirstParent: r.FirstParent}
	oldRev, newRev := r.Good, r.Bad
	if r.Find == judge.FindFix {
		oldRev, newRev = r.Bad, r.Good
	}
	history, err := kernels.ReadHistory(ctx, tree, oldRev, newRev, options)
	var order *kernels.OrderError
	if errors.As(err, &order) && order.Reversed && r.Find == judge.FindFix {
		h.note(fmt.Sprintf("%s is older than %s: taking it as the one that reproduces, and %s as the fixed one", newRev, oldRev, oldRev))
		oldRev, newRev = newRev, oldRev
		history, err = kernels.ReadHistory(ctx, tree, oldRev, newRev, options)
	}
	if errors.As(err, &order) {
		return nil, inputError(fmt.Errorf("%w%s", err, orderHint(order, r.Find)))
	}
	if err != nil {
		return nil, kernelError("history", err)
	}
	return bisectRecord(history, r, oldRev, newRev), nil
}

// orderHint says what to do about two ends that do not fit.
func orderHint(e *kernels.OrderError, find judge.Find) string {
	switch {
	case e.Reversed:
		return ": the bad revision must be the newer one; to find the commit that fixed the bug, add --find fix"
	case e.MergeBase == "":
		return ""
	case find == judge.FindFix:
		return fmt.Sprintf(": test that one (patchproof test-commit --rev %.12s), and if it shows the bug, use it for --bad", e.MergeBase)
	}
	return fmt.Sprintf(": test that one (patchproof test-commit --rev %.12s), and if it is good, use it for --good", e.MergeBase)
}

func bisectRecord(h *kernels.History, r BisectRequest, oldRev, newRev string) *results.BisectRecord {
	record := &results.BisectRecord{
		Rules: judge.BisectRules{Find: r.Find, Confidence: r.Confidence, MaxRuns: r.MaxRuns}.WithDefaults(),
		Tree:  h.Tree, Paths: r.Paths, FirstParent: r.FirstParent,
	}
	node := map[string]int{}
	commit := func(c kernels.Commit) results.BisectCommit {
		out := results.BisectCommit{Commit: c.Hash, Subject: c.Subject, Author: c.Author, Aside: c.Aside}
		for _, p := range c.Parents {
			out.Parents = append(out.Parents, node[p])
		}
		return out
	}
	for i, c := range h.Commits {
		node[c.Hash] = i
		record.Commits = append(record.Commits, commit(c))
	}
	end := func(c kernels.Commit, rev string) results.BisectEnd {
		c.Parents = nil // they lie outside the range, or are known there
		return results.BisectEnd{BisectCommit: commit(c), Rev: rev}
	}
	record.Old, record.New = end(h.Old, oldRev), end(h.New, newRev)
	return record
}

// maxAutoPaths is how many files --perturb auto takes: a range that changes more
// says nothing of where the race is.
const maxAutoPaths = 16

// rangePaths finds what to perturb when nobody says: the C files that differ
// between the ends, below the paths of the search.
func rangePaths(ctx context.Context, record *results.BisectRecord, patches []string) ([]string, error) {
	changed, err := kernels.ChangedFiles(ctx, record.Tree, record.Old.Commit, record.New.Commit)
	if err != nil {
		return nil, inputError(err)
	}
	if len(record.Paths) > 0 {
		changed = slices.DeleteFunc(changed, func(name string) bool {
			return !slices.ContainsFunc(record.Paths, func(p string) bool { return name == p || strings.HasPrefix(name, strings.TrimSuffix(p, "/")+"/") })
		})
	}
	patched, err := kernels.PatchFiles(patches)
	if err != nil {
		return nil, inputError(err)
	}
	paths, err := pathsOf(append(changed, patched...))
	if err == nil && len(paths) > maxAutoPaths {
		return nil, inputError(fmt.Errorf("--perturb auto: %d C files change between %s and %s: name the folders or files that the race runs through", len(paths), record.Old.Rev, record.New.Rev))
	}
	return paths, err
}

// bisectPlan is the plan as it is carried out and kept: the workload with its
// variables filled in, the guest in the workload, and what is perturbed by name.
func bisectPlan(plan *workloads.Plan, w *workloads.Workload, perturb *perturbation, jobs int) ([]byte, error) {
	kernel, workload := *plan.Kernel, *w
	if perturb != nil {
		kernel.Perturb = &workloads.Perturb{Paths: perturb.paths, Share: perturb.share}
	}
	workload.Variables = nil
	workload.Defaults = w.Defaults.Over(workloads.FallbackGuest())
	return yaml.Marshal(struct {
		Name       string               `yaml:"name"`
		Kernel     workloads.KernelSpec `yaml:"kernel"`
		Workload   *workloads.Workload  `yaml:"workload"`
		Confidence float64              `yaml:"confidence"`
		Budget     workloads.Duration   `yaml:"budget,omitempty"`
		Jobs       int                  `yaml:"jobs"`
	}{plan.Name, kernel, &workload, plan.Confidence, plan.Budget, jobs})
}
