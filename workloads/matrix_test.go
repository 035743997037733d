package workloads

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func loadMatrix(t *testing.T, text string, vars map[string]string) *Matrix {
	t.Helper()
	m, err := LoadMatrix("dir/plan.yaml", []byte(text), vars)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func expand(t *testing.T, m *Matrix) []Cell {
	t.Helper()
	cells, err := m.Expand()
	if err != nil {
		t.Fatal(err)
	}
	return cells
}

func keys(cells []Cell) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = c.Key
	}
	return out
}

func TestBadMatrices(t *testing.T) {
	testBadFiles(t, "testdata/bad-matrices.txtar", "testdata/bad-matrices.golden", func(name string, data []byte) error {
		_, err := lintMatrixFile(name, data)
		return err
	})
}

// lintMatrixFile is Lint for what is to be a matrix, whatever it looks like.
func lintMatrixFile(name string, data []byte) (int, error) {
	doc, err := parseDocument(name, data)
	if err != nil {
		return 0, err
	}
	return lintMatrix(doc, shipped, nil, false)
}

func TestMatrixOrder(t *testing.T) {
	m := loadMatrix(t, `name: m
kernels: [{name: a, image: /a}, {name: b, image: /b}]
workloads: [small, {name: other, workload: small}]
axes: {guest.vcpus: [1, 2]}
exclude: [{kernel: a, workload: other}, {kernel: b, guest.vcpus: 1}]
include: [{kernel: a, workload: other, guest.vcpus: [2, 4]}, {guest.vcpus: 1}]
`, nil)
	want := []string{
		"kernel=a workload=small guest.vcpus=1",
		"kernel=a workload=small guest.vcpus=2",
		"kernel=b workload=small guest.vcpus=2",
		"kernel=b workload=other guest.vcpus=2",
		"kernel=a workload=other guest.vcpus=2",
		"kernel=a workload=other guest.vcpus=4",
	}
	cells := expand(t, m)
	if got := keys(cells); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if last := cells[len(cells)-1]; last.Guest.VCPUs != 4 || last.Kernel.Image != "/a" || last.Workload.Name != "small" {
		t.Errorf("%+v", last)
	}
}

func TestMatrixKernels(t *testing.T) {
	m := loadMatrix(t, `name: m
variables: {rev: v6.1}
kernel: {tree: linux, fragments: own.config, perturb: {paths: fs}}
kernels:
  - {name: moving, ref: master}
  - {name: fixed, rev: "${rev}", perturb: {paths: mm}}
  - {name: packed, tarball: l.tar, patches: [a.patch]}
  - {name: ready, image: vmlinuz, config: c, modules: lib/modules/6}
workloads: [small]
axes:
  config: [plain: [], debug: [debug.config, "shipped:kernel/guest.config"]]
exclude: [{kernel: ready, config: debug}]
`, nil)
	got := map[string]Cell{}
	for _, c := range expand(t, m) {
		got[c.Values["kernel"]+"/"+c.Values["config"]] = c
	}
	fs, mm := &Perturb{Paths: List{"fs"}}, &Perturb{Paths: List{"mm"}}
	own := List{"dir/own.config"}
	for at, want := range map[string]KernelSpec{
		"moving/plain": {Name: "moving", Tree: "dir/linux", Rev: "master", Fragments: own, Perturb: fs},
		"moving/debug": {Name: "moving", Tree: "dir/linux", Rev: "master", Fragments: List{"dir/own.config", "dir/debug.config", "shipped:kernel/guest.config"}, Perturb: fs},
		"fixed/plain":  {Name: "fixed", Tree: "dir/linux", Rev: "v6.1", Fragments: own, Perturb: mm},
		"packed/plain": {Name: "packed", Tarball: "dir/l.tar", Patches: List{"dir/a.patch"}, Fragments: own, Perturb: fs},
		"ready/plain":  {Name: "ready", Image: "dir/vmlinuz", Config: "dir/c", Modules: "dir/lib/modules/6"},
	} {
		if !reflect.DeepEqual(got[at].Kernel, want) {
			t.Errorf("%s: got %+v\nwant %+v", at, got[at].Kernel, want)
		}
	}
	if got["moving/plain"].Ref != "master" || got["fixed/plain"].Ref != "" || len(got) != 7 {
		t.Errorf("refs %q and %q, %d cells", got["moving/plain"].Ref, got["fixed/plain"].Ref, len(got))
	}
}

// TestMatrixVariables: the plan's variables are for all, an entry's for its
// workload, a rule's for the cells that match, and an axis has the last word.
func TestMatrixVariables(t *testing.T) {
	m := loadMatrix(t, `name: m
variables: {n: plan, rev: }
kernels: [{name: a, tree: /l, rev: "${rev}"}]
workloads:
  - small
  - {name: own, workload: small, variables: {n: entry}}
  - workload:
      name: mine
      phases: [{shell: {run: "echo ${rev} $${x}"}}]
      signatures: [{kind: BUG}]
axes:
  rev: [v6.1, old: v3.14]
cells:
  - {when: {workload: own, rev: old}, variables: {n: rule}, repeat: 7, stop: first, guest: {vcpus: 5}}
`, nil)
	cells := expand(t, m)
	opened, err := m.OpenCells(shipped, cells)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, c := range cells {
		got = append(got, fmt.Sprintf("%s %s %s: %s, %d vcpus, %d runs, first %v", c.Values["workload"], c.Values["rev"], c.Kernel.Rev,
			opened[i].Phases[0].Shell.Run, opened[i].Defaults.VCPUs, c.Repeat, c.StopFirst))
	}
	want := []string{
		"small v6.1 v6.1: echo 5 plan, 3 vcpus, 3 runs, first false",
		"small old v3.14: echo 5 plan, 3 vcpus, 3 runs, first false",
		"own v6.1 v6.1: echo 5 entry, 3 vcpus, 3 runs, first false",
		"own old v3.14: echo 5 rule, 5 vcpus, 7 runs, first true",
		"mine v6.1 v6.1: echo v6.1 ${x}, 2 vcpus, 3 runs, first false",
		"mine old v3.14: echo v3.14 ${x}, 2 vcpus, 3 runs, first false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMatrixVariableFromFlag(t *testing.T) {
	text := "{name: m, kernels: [{name: a, image: a}], workloads: [small], axes: {events: [1, 2]}}"
	m := loadMatrix(t, text, map[string]string{"n": "flag"})
	cells := expand(t, m)
	opened, err := m.OpenCells(shipped, cells)
	if err != nil {
		t.Fatal(err)
	}
	if run := opened[1].Phases[0].Shell.Run; run != "echo 2 flag" {
		t.Errorf("%q", run)
	}
	m = loadMatrix(t, text, map[string]string{"n": "1", "nn": "1"})
	_, err = m.OpenCells(shipped, expand(t, m))
	checkError(t, err, `no variable "nn" in plan m or its workloads; did you mean "n"?`)
	_, err = LoadMatrix("p", []byte(text), map[string]string{"events": "1"})
	checkError(t, err, `p: variable "events" is an axis of the plan: it cannot have one value from the command line`)
}

func TestMatrixMountAndMkfs(t *testing.T) {
	m := loadMatrix(t, `name: m
kernels: [{name: a, image: a}]
workloads:
  - workload:
      name: mine
      phases: [{mkfs: {fs: btrfs, options: [-K]}}, {mount: {fs: btrfs, options: [noatime]}}, {sync: }]
      signatures: [{kind: BUG}]
axes:
  mkfs: [mixed: [-M]]
  mount: [compress=lzo, none: [], both: [compress=zstd, noatime]]
`, nil)
	cells := expand(t, m)
	opened, err := m.OpenCells(shipped, cells)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []List{{"compress=lzo"}, {}, {"compress=zstd", "noatime"}} {
		if got := opened[i].Phases[1].Mount.Options; !slices.Equal(got, []string(want)) {
			t.Errorf("%s: mounted with %v", cells[i].Key, got)
		}
		if got := opened[i].Phases[0].Mkfs.Options; !slices.Equal(got, []string{"-M"}) {
			t.Errorf("%s: made with %v", cells[i].Key, got)
		}
	}
	if inline := m.Workloads[0].Workload.Inline; inline.Phases[1].Mount.Options[0] != "noatime" {
		t.Error("opening a cell changed the plan")
	}
}

func TestMatrixDefaults(t *testing.T) {
	m := loadMatrix(t, "{name: m, kernels: [{name: a, image: a}], workloads: [./w.yaml]}", nil)
	if m.Repeat != DefaultRepeat || m.Confidence != DefaultMatrixConfidence || *m.Retries != DefaultRetries || m.Workloads[0].Name != "w" {
		t.Errorf("%+v", m)
	}
	if c := expand(t, m)[0]; c.Workload.Path != "dir/w.yaml" || c.Key != "kernel=a workload=w" || c.StopFirst {
		t.Errorf("%+v", c)
	}
	m = loadMatrix(t, "{name: m, retries: 0, kernels: [{name: a, image: a}], workloads: [w]}", nil)
	if *m.Retries != 0 {
		t.Errorf("%d retries", *m.Retries)
	}
}

func TestMatrixLimits(t *testing.T) {
	many := strings.Repeat("v%d, ", 101)
	numbers := make([]any, 101)
	for i := range numbers {
		numbers[i] = i
	}
	values := fmt.Sprintf(many, numbers...)
	_, err := LoadMatrix("p", []byte("{name: m, kernels: [{name: a, image: a}], workloads: [w], axes: {x: ["+values+"], y: ["+values+"]}}"), nil)
	checkError(t, err, "p:1:65: the axes make more than 10000 cells")
}

func TestLint(t *testing.T) {
	for text, want := range map[string]string{
		"{name: m, variables: {n: 1}, kernels: [{name: a, image: a}], workloads: [small], axes: {events: [1, 2]}}": "plan for matrix 2 <nil>",
		"{name: p, variables: {n: 1}, pre: {image: a}, post: {image: b}, workload: small}":                         "plan for verify 0 <nil>",
		"{name: w, phases: [{sync: }]}": "workload 0 <nil>",
		"{name: p, pre: {image: a}, post: {image: b}, workload: {name: w, phases: [{sync: }]}}": "plan for verify 0 f:1:56: workload w has no signature, so nothing says what the bug looks like: add signatures to the workload or the plan",
	} {
		kind, cells, err := Lint("f", []byte(text), shipped, nil)
		if got := fmt.Sprint(kind, " ", cells, " ", err); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

func FuzzLoadMatrix(f *testing.F) {
	seed(f, "testdata/bad-matrices.txtar")
	if nightly, err := os.ReadFile("../configs/nightly.yaml"); err == nil {
		f.Add(nightly)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := LoadMatrix("p.yaml", data, nil)
		if err != nil {
			checkPosition(t, err)
			return
		}
		cells, err := m.Expand()
		if err != nil {
			checkPosition(t, err)
			return
		}
		seen := map[string]bool{}
		for _, c := range cells {
			if seen[c.Key] {
				t.Fatalf("two cells with the key %q", c.Key)
			}
			seen[c.Key] = true
			if c.Repeat < 1 || c.Kernel.Image == "" && c.Kernel.Tarball == "" && (c.Kernel.Tree == "" || c.Kernel.Rev == "") {
				t.Fatalf("incomplete cell %+v", c)
			}
		}
	})
}
