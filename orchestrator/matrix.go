package orchestrator

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchproof/results"
	"patchproof/workloads"
)

// MatrixRequest is a matrix as the command line gives it. Zero fields say
// nothing.
type MatrixRequest struct {
	PlanFile  string
	Variables map[string]string
	// Cells are keys: only these cells are run.
	Cells []string
	// Shard is "2/3" for the second of three parts of the cells.
	Shard string
	// SinceLast leaves out the cells that nothing has changed in since their
	// last runs.
	SinceLast     bool
	Repeat        int
	MaxRuns, Jobs int
	Budget        time.Duration
}

// MatrixPlan is a matrix made ready: what each cell runs on what.
type MatrixPlan struct {
	Plan  *workloads.Matrix `json:"-"`
	Name  string            `json:"name"`
	Cells []workloads.Cell  `json:"cells"`

	workloads []*workloads.Workload // of the cells
	data      []byte
	file      string
	variables map[string]string
}

// ExpandMatrix loads the plan of a request and works its cells out. It builds
// and boots nothing.
func (h *Harness) ExpandMatrix(r MatrixRequest) (*MatrixPlan, error) {
	data, err := workloads.ReadFile(r.PlanFile)
	if err != nil {
		return nil, inputError(fmt.Errorf("reading plan: %w", err))
	}
	p, err := expandMatrix(r.PlanFile, data, r.Variables)
	if err != nil {
		return nil, inputError(err)
	}
	if err := p.pick(r.Cells); err != nil {
		return nil, inputError(err)
	}
	if err := p.shard(r.Shard); err != nil {
		return nil, inputError(err)
	}
	for i := range p.Cells {
		if r.Repeat != 0 {
			p.Cells[i].Repeat = r.Repeat
		}
	}
	return p, nil
}

func expandMatrix(file string, data []byte, vars map[string]string) (*MatrixPlan, error) {
	m, err := workloads.LoadMatrix(file, data, vars)
	if err != nil {
		return nil, err
	}
	p := &MatrixPlan{Plan: m, Name: m.Name, data: data, file: file, variables: vars}
	if p.Cells, err = m.Expand(); err != nil {
		return nil, err
	}
	p.workloads, err = m.OpenCells(shipped(), p.Cells)
	return p, err
}

// keep drops the cells that the function does not want.
func (p *MatrixPlan) keep(want func(i int) bool) {
	var cells []workloads.Cell
	var opened []*workloads.Workload
	for i := range p.Cells {
		if want(i) {
			cells, opened = append(cells, p.Cells[i]), append(opened, p.workloads[i])
		}
	}
	p.Cells, p.workloads = cells, opened
}

// pick keeps the cells with the given keys, all of them when there are none.
func (p *MatrixPlan) pick(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	for _, key := range keys {
		if !slices.ContainsFunc(p.Cells, func(c workloads.Cell) bool { return c.Key == key }) {
			return fmt.Errorf("plan %s has no cell %q: --dry-run lists them", p.Name, key)
		}
	}
	p.keep(func(i int) bool { return slices.Contains(keys, p.Cells[i].Key) })
	return nil
}

// shard keeps one part of the cells. Parts are of neighbours: the kernel is the
// axis that changes last, so that each part needs few kernels.
func (p *MatrixPlan) shard(text string) error {
	if text == "" {
		return nil
	}
	part, parts, err := parseShard(text)
	if err != nil {
		return err
	}
	n := len(p.Cells)
	if n < parts {
		return fmt.Errorf("--shard %s: plan %s has %d cells only", text, p.Name, n)
	}
	first, end := (part-1)*n/parts, part*n/parts
	p.keep(func(i int) bool { return i >= first && i < end })
	return nil
}

func parseShard(text string) (part, parts int, err error) {
	a, b, ok := strings.Cut(text, "/")
	part, errA := strconv.Atoi(a)
	parts, errB := strconv.Atoi(b)
	if !ok || errA != nil || errB != nil || part < 1 || part > parts {
		return 0, 0, fmt.Errorf("--shard: expected I/N such as 1/3, got %q", text)
	}
	return part, parts, nil
}

// Matrix runs the cells of a plan. What was measured is in the result even when
// ctx ends early.
func (h *Harness) Matrix(ctx context.Context, r MatrixRequest) (*MatrixResult, error) {
	m, err := h.beginMatrix(ctx, r)
	if err != nil {
		return nil, err
	}
	return m.carryOut(ctx)
}

// ResumeMatrix goes on with a campaign that was broken off. No run that has
// ended is repeated. Of the request, only the limits count.
func (h *Harness) ResumeMatrix(ctx context.Context, dir string, r MatrixRequest) (*MatrixResult, error) {
	m, err := h.reopenMatrix(ctx, dir, r)
	if err != nil {
		return nil, err
	}
	return m.carryOut(ctx)
}

// beginMatrix makes a new campaign ready.
func (h *Harness) beginMatrix(ctx context.Context, r MatrixRequest) (*matrix, error) {
	plan, err := h.ExpandMatrix(r)
	if err != nil {
		return nil, err
	}
	m, err := h.newMatrix(ctx, plan, nil)
	if err != nil {
		return nil, err
	}
	m.limit(r)
	if m.record, err = m.describe(r); err != nil {
		return nil, err
	}
	m.recall(ctx, r.SinceLast)
	store, err := h.OpenResults()
	if err != nil {
		return nil, err
	}
	if m.writer, err = store.Create(&m.record); err != nil {
		return nil, err
	}
	m.unlock, err = lockCampaign(m.writer.Dir())
	return m, err
}

// reopenMatrix makes a campaign ready to go on.
func (h *Harness) reopenMatrix(ctx context.Context, dir string, r MatrixRequest) (m *matrix, err error) {
	unlock, err := lockCampaign(dir)
	if err != nil {
		return nil, inputError(err)
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	writer, record, runs, err := results.Reopen(dir)
	if err != nil {
		return nil, inputError(err)
	}
	if record.Matrix == nil {
		return nil, inputError(fmt.Errorf("%s holds no matrix: only a matrix can be resumed", dir))
	}
	plan, err := expandMatrix(record.Matrix.PlanFile, record.Plan, record.Matrix.Variables)
	if err != nil {
		return nil, inputError(fmt.Errorf("the plan of campaign %s: %w", record.ID, err))
	}
	if err := plan.follow(record.Matrix); err != nil {
		return nil, inputError(err)
	}
	if m, err = h.newMatrix(ctx, plan, record.Matrix); err != nil {
		return nil, err
	}
	m.limit(r)
	m.writer, m.record, m.runs, m.unlock = writer, *record, runs, unlock
	if err := m.sameInputs(); err != nil {
		return nil, inputError(err)
	}
	m.reopen()
	m.recall(ctx, false)
	return m, nil
}

// follow brings the cells into the order of a record, which may have fewer.
func (p *MatrixPlan) follow(r *results.MatrixRecord) error {
	at := map[string]int{}
	for i, c := range p.Cells {
		at[c.Key] = i
	}
	cells, opened := make([]workloads.Cell, len(r.Cells)), make([]*workloads.Workload, len(r.Cells))
	for i, c := range r.Cells {
		k, ok := at[c.Key]
		if !ok {
			return fmt.Errorf("the plan has no cell %q any more: start a new campaign", c.Key)
		}
		cells[i], opened[i] = p.Cells[k], p.workloads[k]
	}
	p.Cells, p.workloads = cells, opened
	return nil
}

// describe makes the record of a new campaign, with all its cells.
func (m *matrix) describe(r MatrixRequest) (results.Campaign, error) {
	file := m.plan.file
	if !strings.HasPrefix(file, workloads.ShippedPrefix) {
		abs, err := filepath.Abs(file)
		if err != nil {
			return results.Campaign{}, err
		}
		file = abs
	}
	record := &results.MatrixRecord{Name: m.plan.Name, Shard: r.Shard, PlanFile: file, Variables: m.plan.variables}
	for _, a := range m.plan.Plan.AllAxes() {
		axis := results.AxisRecord{Name: a.Name}
		for _, v := range a.Values {
			axis.Values = append(axis.Values, v.Name)
		}
		record.Axes = append(record.Axes, axis)
	}
	for i := range m.plan.Cells {
		c, w, k := &m.plan.Cells[i], m.plan.workloads[i], m.kernelOf[i]
		record.Cells = append(record.Cells, results.CellRecord{
			Key: c.Key, Values: c.Values, Workload: w.Name, Shape: (&machine{guest: w.Defaults, perturb: k.perturb}).shape(), Ref: c.Ref, Commit: k.commit, Perturb: k.perturb.record(), Inputs: m.inputs[i],
			Repeat: c.Repeat, Confidence: c.Confidence, StopFirst: c.StopFirst, RetryLimit: *m.plan.Plan.Retries,
		})
	}
	return results.Campaign{
		Format: results.FormatVersion, Kind: results.KindMatrix, Command: m.h.Command, Version: m.h.Version, Started: m.began,
		Host: (&machine{version: qemuVersion(m.h.QEMU)}).host(), Workload: m.plan.Name, Plan: m.plan.data, Matrix: record,
	}, nil
}

// lockCampaign keeps two processes from going on with one campaign.
func lockCampaign(dir string) (unlock func(), err error) {
	f, err := os.Open(filepath.Join(dir, planName))
	if err != nil {
		return nil, fmt.Errorf("resume: %w: name the folder of a campaign", err)
	}
	if err := lockFile(f); err != nil {
		f.Close() // nothing was written to it
		return nil, fmt.Errorf("resume: campaign %s is being worked on by another process", dir)
	}
	return func() { f.Close() }, nil
}

// planName is the name under which the store keeps a campaign's plan.
const planName = "plan.yaml"
