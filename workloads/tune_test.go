package workloads

import (
	"maps"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"gopkg.in/yaml.v3"
)

// tuneFiles are a workload with a field of each kind for its variables.
func tuneFiles() fstest.MapFS {
	return fstest.MapFS{"workloads/w.yaml": {Data: []byte(`name: w
variables: {threads: 8, loops: 100, ratio: 0.5, size: 1GiB}
tune: {loops: [100, 10], threads: [], icount: [off]}
phases:
  - sysbench: {action: prepare, files: 8, total_size: "${size}", block_size: 4KiB}
  - sysbench: {action: run, mode: rndwr, threads: "${threads}", files: 8, total_size: "${size}", block_size: 4KiB, events: 5}
  - shell: {run: "loop ${loops}"}
signatures: [{kind: WARNING}]
`)}}
}

func openTuned(t *testing.T, text string) (*Plan, *Workload) {
	t.Helper()
	p := loadPlan(t, text, nil)
	w, err := p.OpenWorkload(tuneFiles())
	if err != nil {
		t.Fatal(err)
	}
	return p, w
}

func TestKnobs(t *testing.T) {
	p, w := openTuned(t, "{name: p, workload: w, tune: {threads: [8, 64], guest.vcpus: 4, perturb: [off, 1/8], load: [0, 1]}}")
	want := Knobs{"threads": {"8", "64"}, "loops": {"100", "10"}, "icount": {"off"}, "guest.vcpus": {"4"}, "perturb": {"off", "1/8"}, "load": {"0", "1"}}
	if !reflect.DeepEqual(w.Tune, want) {
		t.Errorf("%v, want %v", w.Tune, want)
	}
	if got := p.VariableFields(w); !maps.Equal(got, map[string]string{"threads": "threads", "size": "total_size"}) {
		t.Errorf("fields %v", got)
	}
	if got := p.Tunable(w); got["ratio"] != "0.5" || len(got) != 4 {
		t.Errorf("variables %v", got)
	}
}

// TestKnobsOfInline: a workload in the plan uses the plan's variables.
func TestKnobsOfInline(t *testing.T) {
	p, w := openTuned(t, `
name: p
variables: {n: 5, x: 1}
workload:
  name: w
  tune: {n: [5, 1]}
  phases: [{sysbench: {action: run, mode: rndwr, files: 8, total_size: 1MiB, events: "${n}"}}, {shell: {run: "${x}"}}]
`)
	if got := p.VariableFields(w); got["n"] != "events" || p.Tunable(w)["n"] != "5" || len(w.Tune["n"]) != 2 {
		t.Errorf("%v %v %v", got, p.Tunable(w), w.Tune)
	}
}

func TestKnobsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"{name: p, workload: w, tune: {thread: [8]}}":         `p.yaml:1:40: workload w has no variable "thread"; did you mean "threads"?`,
		"{name: p, workload: w, guest: {icount: true}}":       "takes one vcpu, and there are 2",
		"{name: p, workload: w, tune: {icount: [maybe]}}":     "expected on or off",
		"{name: p, workload: w, tune: {load: [x]}}":           "number of busy processes",
		"{name: p, workload: w, tune: {guest.vcpus: [0]}}":    "number of vcpus",
		"{name: p, workload: w, tune: {threads: ['a b', 1]}}": "cannot be a value",
	} {
		p, err := LoadPlan("p.yaml", []byte(text))
		if err == nil {
			_, err = p.OpenWorkload(tuneFiles())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestParseKnob(t *testing.T) {
	name, values, err := ParseKnob("total_size=1MiB,64MiB")
	if name != "total_size" || !reflect.DeepEqual(values, List{"1MiB", "64MiB"}) || err != nil {
		t.Errorf("%s %v %v", name, values, err)
	}
	if name, values, err = ParseKnob("guest.vcpus="); name != KnobVCPUs || values == nil || len(values) != 0 || err != nil {
		t.Errorf("%s %v %v", name, values, err)
	}
	for _, text := range []string{"", "threads", "a b=1", "guest.memory=1GiB", "load=-1", "preempt=some", "x=1,1"} {
		if _, _, err := ParseKnob(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// TestPlanAsYAML: a plan that is written down reads back as the same.
func TestPlanAsYAML(t *testing.T) {
	for _, text := range []string{
		"{name: p, workload: w, kernel: {tarball: /l.tar, perturb: {share: 1/8}}, patch: /f.patch, guest: {vcpus: 1, icount: true, load: 1}, tune: {threads: [1, 2]}}",
		"{name: p, workload: /w/x.yaml, variables: {threads: 8}, pre: {image: /a}, post: {image: /b}, budget: 20m}",
		"{name: p, workload: {name: w, tune: {load: 1}, phases: [{mkfs: {fs: btrfs}}, {shell: {run: x}}, {umount: {target: /mnt}}], signatures: [{kind: WARNING}]}, pre: {image: /a}, post: {image: /b}}",
	} {
		p := loadPlan(t, text, nil)
		data, err := yaml.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := LoadPlan("dir/plan.yaml", data)
		if err != nil {
			t.Errorf("%v\n%s", err, data)
			continue
		}
		second, err := yaml.Marshal(again)
		if err != nil || string(second) != string(data) {
			t.Errorf("%v: written again it differs:\n%s\n%s", err, data, second)
		}
	}
}

func FuzzParseKnob(f *testing.F) {
	for _, text := range []string{"threads=8,64", "guest.vcpus=", "perturb=off,1/8", "load=0,1", "preempt=none", "a=\x1b[31m", "=", "x=1,,2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, values, err := ParseKnob(text)
		if err != nil {
			checkPosition(t, err)
			return
		}
		again, same, err := ParseKnob(name + "=" + strings.Join(values, ","))
		if err != nil || again != name || !reflect.DeepEqual(same, values) {
			t.Errorf("%q is %s %v, and that is %s %v, %v", text, name, values, again, same, err)
		}
	})
}
