package orchestrator

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"patchproof/results/judge"
	"patchproof/workloads"
)

func TestDefaultValues(t *testing.T) {
	for _, tt := range []struct {
		field, start string
		want         []string
	}{
		{fieldThreads, "8", []string{"2", "8", "32", "64"}},
		{fieldThreads, "64", []string{"16", "64"}},
		{fieldThreads, "200", []string{"50", "200"}},
		{fieldFiles, "128", []string{"8", "32", "128"}},
		{fieldFiles, "8", []string{"8"}},
		{fieldEvents, "300000", []string{"300", "1000", "3000", "10000", "30000", "100000", "300000"}},
		{fieldEvents, "200", []string{"200"}},
		{fieldEvents, "0", nil}, // without an end but for its time
		{fieldTotalSize, "8GiB", []string{"1MiB", "4MiB", "64MiB", "1GiB", "8GiB"}},
		{fieldTotalSize, "1MiB", []string{"1MiB"}},
		{fieldBlockSize, "32KiB", []string{"8KiB", "32KiB", "128KiB"}},
		{fieldBlockSize, "4096", []string{"4096", "16KiB"}},
		{fieldThreads, "many", nil},
		{"expect_compressed", "0.5", nil},
		{"", "100", nil},
	} {
		if got := defaultValues(tt.field, tt.start); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s %s: %v, want %v", tt.field, tt.start, got, tt.want)
		}
	}
}

// reportKnobs are those of the founding report's workload, as it is shipped.
func reportKnobs(t *testing.T) []knob {
	t.Helper()
	plan, err := Request{PlanFile: "btrfs-dio-race-report-6.1"}.Plan()
	if err != nil {
		t.Fatal(err)
	}
	w, err := plan.OpenWorkload(shipped())
	if err != nil {
		t.Fatal(err)
	}
	return variableKnobs(plan, w)
}

// TestReportKnobs: the shipped report workload needs no flags to be tuned.
func TestReportKnobs(t *testing.T) {
	var names []string
	for _, k := range reportKnobs(t) {
		names = append(names, k.name)
		if len(k.values) < 2 || k.field != k.name {
			t.Errorf("%+v", k)
		}
	}
	if want := []string{"block_size", "events", "files", "threads", "total_size"}; !slices.Equal(names, want) {
		t.Errorf("knobs %v, want %v", names, want)
	}
}

func TestGivenKnobs(t *testing.T) {
	data := []byte(`name: p
variables: {threads: 8, loops: 3}
tune: {loops: [1, 10], threads: []}
workload:
  name: w
  phases: [{shell: {run: "x ${loops} ${threads}"}}]
  signatures: [{kind: WARNING}]
pre: {image: a}
post: {image: b}
`)
	plan, err := workloads.LoadPlan("p.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	w, err := plan.OpenWorkload(shipped())
	if err != nil {
		t.Fatal(err)
	}
	got := variableKnobs(plan, w)
	if want := []knob{{name: "loops", values: []string{"3", "1", "10"}}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want the start's value and those given: %+v", got, want)
	}
	var input *InputError
	if err := unknownKnob(plan, w, "loop"); !errors.As(err, &input) || !strings.Contains(err.Error(), "loops") {
		t.Errorf("%v", err)
	}
	if err := unknownKnob(plan, w, workloads.KnobLoad); err != nil {
		t.Error(err)
	}
}

func TestCorners(t *testing.T) {
	knobs := append(reportKnobs(t), knob{name: workloads.KnobVCPUs, values: []string{"1", "2", "4"}, start: 1},
		knob{name: workloads.KnobPerturb, values: perturbValues("off")})
	all := corners(knobs)
	first := settingValues(knobs, all[0])
	want := map[string]string{"block_size": "32KiB", "events": "3000", "files": "8", "threads": "8", "total_size": "1MiB", "guest.vcpus": "1", "perturb": "1/8"}
	if !reflect.DeepEqual(first, want) {
		t.Errorf("%v, want %v", first, want)
	}
	if key := settingKey(knobs, all[0]); key != "events=3000 files=8 total_size=1MiB guest.vcpus=1 perturb=1/8" {
		t.Errorf("key %q", key)
	}
	space := knobSpace(knobs, true, nil)
	if key := settingKey(knobs, space.Start()); key != "start" {
		t.Errorf("the start is called %q", key)
	}
	for i, k := range knobs {
		if got := space.Axes[i].Unlikely; (len(got) == 1 && got[0] == k.start) != k.isAmount() {
			t.Errorf("%s: unlikely values %v", k.name, got)
		}
	}
	if none := corners([]knob{{name: "loops", values: []string{"1", "2"}}}); settingKey([]knob{{name: "loops", values: []string{"1", "2"}}}, none[0]) != "start" {
		t.Errorf("corners of a knob that nothing is known of: %v", none)
	}
}

// TestPreemptSpace: a preemption model is a kernel to build, so chance draws none,
// unless there is nothing else to draw. No model is nearer to one than another.
func TestPreemptSpace(t *testing.T) {
	preempt := knob{name: workloads.KnobPreempt, values: []string{knobKeep, "none", "full"}}
	for n, want := range map[int][]int{1: nil, 2: {1, 2}} {
		space := knobSpace([]knob{preempt, {name: "loops", values: []string{"1", "2"}}}[:n], false, nil)
		if a := space.Axes[0]; !slices.Equal(a.Unlikely, want) || !a.Unordered {
			t.Errorf("%d knobs: %+v, want the unlikely values %v", n, a, want)
		}
	}
}

func TestLeastSeconds(t *testing.T) {
	amount, other := []knob{{field: fieldEvents}}, []knob{{name: "loops"}}
	ended := func(cpu float64) judge.TuneTally { return judge.TuneTally{Runs: 1, CPUSeconds: cpu} }
	for _, tt := range []struct {
		name  string
		knobs []knob
		start judge.TuneTally
		least float64
		long  bool
	}{
		{"a start that was cut", amount, judge.TuneTally{Cut: 1, LongestCut: 400}, 5, true},
		{"a long start", amount, ended(100), 5, true},
		{"a short start", amount, ended(16), 8, false},
		{"a very short one", amount, ended(3), 5, false},
		{"runs that cannot be made shorter", other, ended(60), 60, false},
	} {
		if least, long := leastSeconds(tt.knobs, 2, tt.start); least != tt.least || long != tt.long {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, least, long, tt.least, tt.long)
		}
	}
}
