package orchestrator

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"

	"patchproof/results"
	"patchproof/workloads"
)

// mayWrite says why the tuned plan cannot be written, before anything is run.
func (t *tuning) mayWrite() error {
	if _, err := os.Lstat(t.out); err == nil && !t.force {
		return inputError(fmt.Errorf("%s is there already: name another file with -o, or overwrite it with --force", t.out))
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return inputError(err)
	}
	if info, err := os.Stat(filepath.Dir(t.out)); err != nil || !info.IsDir() {
		return inputError(fmt.Errorf("%s: there is no folder for it", t.out))
	}
	return nil
}

// writePlan writes the plan with the best setting and checks that it reads back.
func (t *tuning) writePlan(result *results.TuneResult) error {
	best := &result.Rows[result.Best]
	setting, err := t.settingOf(best.Key)
	if err != nil {
		return err
	}
	plan, err := t.planFor(setting)
	if err != nil {
		return err
	}
	w, err := plan.OpenWorkload(shipped())
	if err != nil {
		return inputError(err)
	}
	for _, k := range []*workloads.KernelSpec{plan.Kernel, plan.Pre, plan.Post} {
		if k != nil {
			err = errors.Join(err, absolutePaths(k))
		}
	}
	if err := errors.Join(err, absolute(pointers(plan.Patch))); err != nil {
		return err
	}
	plan.Name += "-tuned"
	data, err := planYAML(plan, w, results.TuneHeader(&t.record, result))
	if err != nil {
		return fmt.Errorf("tuned plan: %w", err)
	}
	if _, _, err := workloads.Lint(t.out, data, shipped(), nil); err != nil {
		return fmt.Errorf("the tuned plan does not read back, which is a mistake of patchproof's: %w", err)
	}
	if err := t.writeNew(data); err != nil {
		return fmt.Errorf("writing the tuned plan: %w", err)
	}
	t.record.Tune.PlanFile = t.out
	return nil
}

// writeNew writes the file; one that has come in the meantime stays unless it may
// be overwritten.
func (t *tuning) writeNew(data []byte) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if t.force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(t.out, flags, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// planYAML is a plan with its workload as a file, under a header of comments.
func planYAML(plan *workloads.Plan, w *workloads.Workload, header []string) ([]byte, error) {
	doc, err := plan.Standalone(w)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, text := range header {
		fmt.Fprintf(&b, "# %s\n", text)
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}
