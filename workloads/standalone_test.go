package workloads

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"gopkg.in/yaml.v3"
)

// TestStandalone: a plan that holds its workload runs the same, also when its
// workload comes from there for a plan of its own, a matrix or a single run.
func TestStandalone(t *testing.T) {
	files := fstest.MapFS{"workloads/w.yaml": {Data: []byte(`# about w
name: w
guest: {vcpus: 4, append: [quiet]}
variables: {threads: 8, loops: 100, unused: 1}
phases:
  - name: work
    shell: {run: 'for i in $${x}; do loop ${loops} ${threads}; done'}
signatures: [{kind: WARNING}]
`)}}
	for _, text := range []string{
		"{name: p, workload: w, variables: {loops: 7, dir: /k}, pre: {image: '${dir}/a'}, post: {image: '${dir}/b'}, guest: {vcpus: 1, icount: true, append: [b]}}",
		"{name: p, workload: {name: w, phases: [{name: work, shell: {run: 'for i in $${x}; do loop ${loops} 8; done'}}], signatures: [{kind: WARNING}]}, variables: {loops: 7, dir: /k}, pre: {image: '${dir}/a'}, post: {image: '${dir}/b'}, guest: {vcpus: 1, icount: true, append: [b]}}",
	} {
		p := loadPlan(t, text, nil)
		w, err := p.OpenWorkload(files)
		if err != nil {
			t.Fatal(err)
		}
		node, err := p.Standalone(w)
		if err != nil {
			t.Fatal(err)
		}
		data, err := yaml.Marshal(node)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Lint("dir/tuned.yaml", data, fstest.MapFS{}, nil); err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		again := loadPlan(t, string(data), nil)
		same := func(how string, got *Workload, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %v\n%s", how, err, data)
				return
			}
			if !reflect.DeepEqual(got.Phases, w.Phases) || !reflect.DeepEqual(got.Defaults, w.Defaults) || got.Name != "w" {
				t.Errorf("%s: %+v in %+v, want %+v in %+v\n%s", how, got.Phases, got.Defaults, w.Phases, w.Defaults, data)
			}
		}
		got, err := again.OpenWorkload(fstest.MapFS{})
		same("the plan", got, err)
		file := fstest.MapFS{"tuned.yaml": {Data: data}}
		ref := WorkloadRef{Path: "shipped:tuned.yaml"}
		got, err = ref.Open(file, nil)
		same("a single run", got, err)
		other := loadPlan(t, "{name: o, workload: 'shipped:tuned.yaml', kernel: {tree: /l}, fix: abc}", nil)
		got, err = other.OpenWorkload(file)
		same("another plan", got, err)
		m, err := LoadMatrix("dir/m.yaml", []byte("{name: m, kernels: [{name: a, image: /a}], workloads: [{name: w, workload: 'shipped:tuned.yaml'}]}"), nil)
		if err != nil {
			t.Fatal(err)
		}
		cells, err := m.Expand()
		if err != nil {
			t.Fatal(err)
		}
		opened, err := m.OpenCells(file, cells)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		same("a matrix", opened[0], nil)
		more, err := again.WithVariables(map[string]string{"loops": "9"})
		if err != nil || !strings.Contains(more.Workload.Inline.Phases[0].Shell.Run, "loop 9") {
			t.Errorf("its variables can no longer be set: %v\n%s", err, data)
		}
	}
}
