package workloads

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// FileKind says what a YAML file of ours is.
type FileKind string

// The kinds of files.
const (
	VerifyFile   FileKind = "plan for verify"
	MatrixFile   FileKind = "plan for matrix"
	WorkloadFile FileKind = "workload"
)

// kind is told from fields that only one kind has.
func (doc *document) kind() FileKind {
	switch {
	case doc.has("kernels", "workloads", "axes"):
		return MatrixFile
	case doc.has("phases"):
		return WorkloadFile
	}
	return VerifyFile
}

// otherKind adds to an error about a field that is not known that the file is of
// another kind than the one wanted, when its fields say so.
func (doc *document) otherKind(want FileKind, err error) error {
	var e *PositionError
	kind := doc.kind()
	if !errors.As(err, &e) || !strings.Contains(e.Message, "unknown field") || kind == want || kind == VerifyFile && !doc.has("kernel", "pre", "post", "fix", "workload") {
		return err
	}
	e.Message += fmt.Sprintf("; this seems to be a %s", kind)
	return err
}

// has reports whether the document has one of the fields.
func (doc *document) has(fields ...string) bool {
	if doc.root.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i < len(doc.root.Content); i += 2 {
		if slices.Contains(fields, doc.root.Content[i].Value) {
			return true
		}
	}
	return false
}

// Lint checks a plan or workload as far as that is possible without a kernel
// and a guest, the workloads that a plan names included. Cells is the number of
// cells of a matrix, 0 for other files. Every error is a *PositionError.
func Lint(name string, data []byte, shipped fs.FS, vars map[string]string) (kind FileKind, cells int, err error) {
	return lint(name, data, shipped, vars, false)
}

// LintFiles is Lint, and also looks for the files that are written for a plan:
// patches and configurations. Kernels' sources and images may be on another
// machine.
func LintFiles(name string, data []byte, shipped fs.FS, vars map[string]string) (kind FileKind, cells int, err error) {
	return lint(name, data, shipped, vars, true)
}

func lint(name string, data []byte, shipped fs.FS, vars map[string]string, files bool) (kind FileKind, cells int, err error) {
	doc, err := parseDocument(name, data)
	if err != nil {
		return "", 0, err
	}
	switch kind = doc.kind(); kind {
	case MatrixFile:
		cells, err = lintMatrix(doc, shipped, vars, files)
	case WorkloadFile:
		_, err = decodeWorkload(doc, vars)
	default:
		err = lintPlan(doc, shipped, vars, files)
	}
	return kind, cells, err
}

func lintMatrix(doc *document, shipped fs.FS, vars map[string]string, files bool) (int, error) {
	m, err := decodeMatrix(doc, vars)
	if err != nil {
		return 0, err
	}
	cells, err := m.Expand()
	if err != nil {
		return 0, err
	}
	if _, err = m.OpenCells(shipped, cells); err != nil {
		return 0, err
	}
	if !files {
		return len(cells), nil
	}
	for i := range cells {
		if _, problem := cells[i].Kernel.missingFile(shipped); problem != "" {
			kernel := slices.IndexFunc(m.Kernels, func(k MatrixKernel) bool { return k.Name == cells[i].Values["kernel"] })
			return 0, m.errorf(indexed("kernels", kernel), "%s", problem)
		}
	}
	return len(cells), nil
}

func lintPlan(doc *document, shipped fs.FS, vars map[string]string, files bool) error {
	p, err := decodePlan(doc, vars)
	if err != nil {
		return err
	}
	if _, _, err := p.Expand(); err != nil {
		return err
	}
	w, err := p.OpenWorkload(shipped)
	if err != nil {
		return err
	}
	if len(w.Signatures) == 0 {
		return p.errorf("workload", "workload %s has no signature, so nothing says what the bug looks like: add signatures to the workload or the plan", w.Name)
	}
	if !files {
		return nil
	}
	return p.checkFiles(shipped)
}

// checkFiles looks for patches and configurations.
func (p *Plan) checkFiles(shipped fs.FS) error {
	for _, b := range []struct {
		at   string
		spec *KernelSpec
	}{{"kernel.", p.Kernel}, {"pre.", p.Pre}, {"post.", p.Post}, {"", &KernelSpec{Patches: p.Patch}}} {
		if b.spec == nil {
			continue
		}
		field, problem := b.spec.missingFile(shipped)
		if b.at == "" {
			field = strings.Replace(field, "patches", "patch", 1)
		}
		if problem != "" {
			return p.errorf(b.at+field, "%s", problem)
		}
	}
	return nil
}

// missingFile names a patch or configuration that is not there, and its field.
func (k KernelSpec) missingFile(shipped fs.FS) (field, problem string) {
	for i, name := range k.Patches {
		if problem := missing(shipped, name); problem != "" {
			return indexed("patches", i), problem
		}
	}
	for i, name := range k.Fragments {
		if problem := missing(shipped, name); problem != "" {
			return indexed("fragments", i), problem
		}
	}
	switch k.BaseConfig {
	case "", "allnoconfig", "defconfig":
		return "", ""
	}
	if problem = missing(shipped, k.BaseConfig); problem != "" {
		problem += " (or use allnoconfig or defconfig)"
	}
	return "base_config", problem
}

func missing(shipped fs.FS, name string) string {
	if name, isShipped := strings.CutPrefix(name, ShippedPrefix); isShipped {
		if _, err := fs.Stat(shipped, name); err != nil {
			return notShipped(shipped, name)
		}
		return ""
	}
	switch info, err := os.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return name + ": no such file"
	case err != nil:
		return err.Error()
	case info.IsDir():
		return name + " is a folder, not a file"
	}
	return ""
}
