package workloads

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// TestSchemaIsPublished keeps docs/plan.schema.json in step with the types.
func TestSchemaIsPublished(t *testing.T) {
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "../docs/plan.schema.json", string(data))
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("plan.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("plan.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func checkSchema(s *jsonschema.Schema, text []byte) error {
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		return err
	}
	return s.Validate(v)
}

func TestSchemaAcceptsWhatIsShipped(t *testing.T) {
	s := compileSchema(t)
	var files []string
	for _, pattern := range []string{"../configs/*.yaml", "../configs/plans/*.yaml", "../configs/workloads/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkSchema(s, text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestSchema(t *testing.T) {
	s := compileSchema(t)
	for _, c := range []struct {
		name, text string
		ok         bool
	}{
		{"every form of a word list", "{name: p, workload: w, kernel: {patches: a, make: [CC=gcc]}}", true},
		{"a workload in the plan", "{name: p, workload: {name: w, phases: [{sync: }, {umount: {target: /mnt}}]}}", true},
		{"a variable in place of a number", "{name: p, workload: w, max_runs: '${n}'}", true},
		{"a size as a number", "{name: p, workload: w, guest: {disk: 4294967296}}", true},
		{"axes of every kind", "{name: m, kernels: [{name: a}], workloads: [w, {workload: w, variables: {a: 1}}], axes: {mount: [a, b: [c, d]], x: [1]}}", true},
		{"an unknown field", "{name: p, workload: w, confidense: 1}", false},
		{"an unknown field of a matrix", "{name: m, kernels: [{name: a, imago: b}], workloads: [w]}", false},
		{"a missing field", "{name: p}", false},
		{"a word in place of a number", "{name: p, workload: w, max_runs: many}", false},
		{"a size without sense", "{name: p, workload: w, guest: {disk: big}}", false},
		{"an unknown word", "{name: m, kernels: [{name: a}], workloads: [w], stop: frist}", false},
		{"two actions in a phase", "{name: w, phases: [{sync: , sleep: 1s}]}", false},
		{"an axis that is a word", "{name: m, kernels: [{name: a}], workloads: [w], axes: {mount: a}}", false},
	} {
		if err := checkSchema(s, []byte(c.text)); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestSchemaDescribes: an editor shows a line for every field that has a
// comment in Go.
func TestSchemaDescribes(t *testing.T) {
	docs, err := typeComments()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Matrix", "Matrix.Repeat", "KernelSpec.Modules", "Guest.Disk", "Sysbench.Events", "CellRule.Repeat", "MatrixKernel.Ref"} {
		if docs[name] == "" {
			t.Errorf("%s has no comment", name)
		}
	}
}
