package orchestrator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"patchproof/results/site"
	"patchproof/workloads"
)

// WriteSite brings the static site of the results folder that a matrix is in up
// to date, in dir or, when that is empty, beside the results, and returns the
// path of its first page.
func (h *Harness) WriteSite(ctx context.Context, r *MatrixResult, dir string) (string, error) {
	// A site is worth its second also when the campaign was stopped.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), siteLimit)
	defer cancel()
	resultsDir := filepath.Dir(r.Campaign.Dir)
	dir = cmp.Or(dir, filepath.Join(filepath.Dir(resultsDir), "site"))
	written, err := site.Write(ctx, resultsDir, dir, site.Options{Version: h.Version, Config: h.KernelConfigs()})
	return written.Index, err
}

// CheckEnd finds mistakes in what is to be done after a matrix, before it begins:
// the folder of the site (empty when there is none, or the one beside the
// results) and the URL that is told.
func CheckEnd(dir, notifyURL string) error {
	if dir != "" {
		if err := site.Check(dir); err != nil {
			return inputError(fmt.Errorf("--site: %w", err))
		}
	}
	if notifyURL == "" {
		return nil
	}
	u, err := url.Parse(notifyURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return inputError(fmt.Errorf("--notify-url: expected a URL such as https://example.org/hook, got %q", notifyURL))
	}
	return nil
}

// siteLimit bounds the writing of a site that nobody can interrupt.
const siteLimit = 5 * time.Minute

// Resume goes on with a matrix campaign: the one in the folder that PlanFile
// names, the last one of the plan that it names, or the last one of all when it
// is empty.
func (h *Harness) Resume(ctx context.Context, r MatrixRequest) (*MatrixResult, error) {
	if r.Shard != "" || len(r.Cells) > 0 || r.SinceLast || r.Repeat != 0 {
		return nil, inputError(errors.New("--resume goes on with the cells and runs that the campaign began with: leave out --shard, --cell, --since-last and --repeat"))
	}
	dir := r.PlanFile
	info, err := os.Stat(dir)
	if len(r.Variables) > 0 && (dir == "" || err == nil && info.IsDir()) {
		return nil, inputError(errors.New("--resume goes on with the plan that the campaign began with, its variables filled in: leave out --var"))
	}
	if dir == "" || err == nil && !info.IsDir() {
		name := ""
		if dir != "" {
			plan, err := h.ExpandMatrix(r)
			if err != nil {
				return nil, err
			}
			name = plan.Name
		}
		if dir, err = h.LastMatrix(ctx, name); err != nil {
			return nil, err
		}
	}
	return h.ResumeMatrix(ctx, dir, r)
}

// LintFile checks a plan or a workload and says what it is.
func LintFile(file string, vars map[string]string) (string, error) {
	data, err := workloads.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("lint: %w", err)
	}
	kind, cells, err := workloads.LintFiles(file, data, shipped(), vars)
	if err != nil {
		return "", err
	}
	if kind == workloads.MatrixFile {
		return fmt.Sprintf("%s, %d cells", kind, cells), nil
	}
	return string(kind), nil
}

// MergeMatrices puts shards together in a new folder, or in one that the store
// names when out is empty, and compares the whole with its past.
func (h *Harness) MergeMatrices(ctx context.Context, dirs []string, out string) (*MatrixResult, error) {
	store, err := h.OpenResults()
	if err != nil {
		return nil, err
	}
	c, runs, err := store.Merge(dirs, out)
	if err != nil {
		return nil, inputError(err)
	}
	before, err := recall(ctx, filepath.Dir(c.Dir), c)
	if err != nil {
		c.Warnings = append(c.Warnings, pastUnknown(err))
	}
	return newMatrixResult(*c, runs, before), nil
}
