package workloads

import (
	"io/fs"

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
	if doc.root.Kind == yaml.MappingNode {
		for i := 0; i < len(doc.root.Content); i += 2 {
			switch doc.root.Content[i].Value {
			case "kernels", "workloads", "axes":
				return MatrixFile
			case "phases":
				return WorkloadFile
			}
		}
	}
	return VerifyFile
}

// Lint checks a plan or workload as far as that is possible without a kernel
// and a guest, the workloads that a plan names included. Cells is the number of
// cells of a matrix, 0 for other files. Every error is a *PositionError.
func Lint(name string, data []byte, shipped fs.FS, vars map[string]string) (kind FileKind, cells int, err error) {
	doc, err := parseDocument(name, data)
	if err != nil {
		return "", 0, err
	}
	switch kind = doc.kind(); kind {
	case MatrixFile:
		cells, err = lintMatrix(doc, shipped, vars)
	case WorkloadFile:
		_, err = decodeWorkload(doc, vars)
	default:
		err = lintPlan(doc, shipped, vars)
	}
	return kind, cells, err
}

func lintMatrix(doc *document, shipped fs.FS, vars map[string]string) (int, error) {
	m, err := decodeMatrix(doc, vars)
	if err != nil {
		return 0, err
	}
	cells, err := m.Expand()
	if err != nil {
		return 0, err
	}
	_, err = m.OpenCells(shipped, cells)
	return len(cells), err
}

func lintPlan(doc *document, shipped fs.FS, vars map[string]string) error {
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
	return nil
}
