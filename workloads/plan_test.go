package workloads

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

func loadPlan(t *testing.T, text string, vars map[string]string) *Plan {
	t.Helper()
	p, err := LoadPlanWith("dir/plan.yaml", []byte(text), vars)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExpand(t *testing.T) {
	for _, c := range []struct {
		name, text string
		pre, post  KernelSpec
	}{
		{"two images", "{name: p, workload: w, pre: {image: a/bzImage, vmlinux: a/vmlinux}, post: {image: /b/bzImage, name: new}}",
			KernelSpec{Name: "pre", Image: "dir/a/bzImage", Vmlinux: "dir/a/vmlinux"},
			KernelSpec{Name: "new", Image: "/b/bzImage"}},
		{"tree and fix", "{name: p, workload: w, kernel: {tree: linux, fragments: 'shipped:kernel/guest.config', make: [CC=gcc-11]}, fix: abc123}",
			KernelSpec{Name: "pre", Tree: "dir/linux", Rev: "abc123^", Fragments: List{"shipped:kernel/guest.config"}, Make: List{"CC=gcc-11"}},
			KernelSpec{Name: "post", Tree: "dir/linux", Rev: "abc123", Fragments: List{"shipped:kernel/guest.config"}, Make: List{"CC=gcc-11"}}},
		{"a fix of digits", "{name: p, workload: w, kernel: {tree: /linux}, fix: 1234567}",
			KernelSpec{Name: "pre", Tree: "/linux", Rev: "1234567^"}, KernelSpec{Name: "post", Tree: "/linux", Rev: "1234567"}},
		{"tree, base and patch", "{name: p, workload: w, kernel: {tree: /linux}, base: v6.1, patch: [1.patch, 2.patch]}",
			KernelSpec{Name: "pre", Tree: "/linux", Rev: "v6.1"},
			KernelSpec{Name: "post", Tree: "/linux", Rev: "v6.1", Patches: List{"dir/1.patch", "dir/2.patch"}}},
		{"tarball, common patches and patch", "{name: p, workload: w, kernel: {tarball: l.tar.xz, patches: base.patch, base_config: defconfig}, pre: {name: base}, patch: fix.patch}",
			KernelSpec{Name: "base", Tarball: "dir/l.tar.xz", Patches: List{"dir/base.patch"}, BaseConfig: "defconfig"},
			KernelSpec{Name: "post", Tarball: "dir/l.tar.xz", Patches: List{"dir/base.patch", "dir/fix.patch"}, BaseConfig: "defconfig"}},
		{"sides add to what is shared", "{name: p, workload: w, kernel: {tree: /l, rev: v6.1, fragments: a, base_config: my.config}, post: {rev: v6.2, fragments: [b], make: LLVM=1, base_config: allnoconfig}}",
			KernelSpec{Name: "pre", Tree: "/l", Rev: "v6.1", Fragments: List{"dir/a"}, BaseConfig: "dir/my.config"},
			KernelSpec{Name: "post", Tree: "/l", Rev: "v6.2", Fragments: List{"dir/a", "dir/b"}, Make: List{"LLVM=1"}, BaseConfig: "allnoconfig"}},
		{"a source of one's own replaces the shared one", "{name: p, workload: w, kernel: {tree: /l, rev: v6.1, fragments: a}, post: {tarball: t.tar}}",
			KernelSpec{Name: "pre", Tree: "/l", Rev: "v6.1", Fragments: List{"dir/a"}},
			KernelSpec{Name: "post", Tarball: "dir/t.tar", Fragments: List{"dir/a"}}},
		{"a ready image needs no fragments", "{name: p, workload: w, kernel: {tree: /l, rev: v6.1, fragments: a}, post: {image: bzImage}}",
			KernelSpec{Name: "pre", Tree: "/l", Rev: "v6.1", Fragments: List{"dir/a"}},
			KernelSpec{Name: "post", Image: "dir/bzImage"}},
		{"perturbed pair", "{name: p, workload: w, kernel: {tarball: /l.tar, perturb: {paths: fs/btrfs, share: 1/4}}, patch: /fix.patch}",
			KernelSpec{Name: "pre", Tarball: "/l.tar", Perturb: &Perturb{Paths: List{"fs/btrfs"}, Share: 0.25}},
			KernelSpec{Name: "post", Tarball: "/l.tar", Patches: List{"/fix.patch"}, Perturb: &Perturb{Paths: List{"fs/btrfs"}, Share: 0.25}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pre, post, err := loadPlan(t, c.text, nil).Expand()
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(pre, c.pre) {
				t.Errorf("pre\n got %+v\nwant %+v", pre, c.pre)
			}
			if !reflect.DeepEqual(post, c.post) {
				t.Errorf("post\n got %+v\nwant %+v", post, c.post)
			}
		})
	}
}

func TestExpandTwiceGivesTheSame(t *testing.T) {
	p := loadPlan(t, "{name: p, workload: w, kernel: {tarball: /l.tar, patches: [/a, /b]}, patch: /c}", nil)
	pre, _, err := p.Expand()
	if err != nil {
		t.Fatal(err)
	}
	pre.Patches[0] = "changed"
	again, post, err := p.Expand()
	if err != nil || again.Patches[0] != "/a" || post.Patches[0] != "/a" {
		t.Errorf("kernels share a list: %v %v %v", again.Patches, post.Patches, err)
	}
}

func TestPlanDefaults(t *testing.T) {
	p := loadPlan(t, "{name: p, workload: w, budget: 1h30m}", nil)
	if p.Confidence != DefaultConfidence || p.MaxRuns != DefaultMaxRuns || p.Budget.String() != "1h30m" || p.Jobs != 0 {
		t.Errorf("%+v", p)
	}
	made := &Plan{Name: "flags", Workload: ParseWorkloadRef("w")}
	if err := made.Complete(); err != nil || made.Confidence != DefaultConfidence {
		t.Errorf("%+v, %v", made, err)
	}
	made = &Plan{Name: "flags", Confidence: 2}
	checkError(t, made.Complete(), "expected a confidence from 0.5 to 0.9999, got 2; 2% is 0.02")
}

func TestWorkloadRef(t *testing.T) {
	for text, want := range map[string]WorkloadRef{
		"btrfs-dio-race-focused": {Name: "btrfs-dio-race-focused"},
		"./mine":                 {Path: "./mine"},
		"mine.yaml":              {Path: "mine.yaml"},
		"mine.yml":               {Path: "mine.yml"},
	} {
		if got := ParseWorkloadRef(text); got != want {
			t.Errorf("ParseWorkloadRef(%q) = %+v", text, got)
		}
	}
}

// shipped stands for the files that come with the program.
var shipped = fstest.MapFS{
	"workloads/small.yaml": {Data: []byte("name: small\nvariables: {events: 5, n: }\nphases:\n  - shell: {run: 'echo ${events} ${n}'}\n" +
		"signatures: [{kind: WARNING}]\nbenign: [{kind: BUG, reason: known}]\nguest: {vcpus: 3}\n")},
	"kernel/guest.config": {Data: []byte("CONFIG_A=y\n")},
}

func TestOpenWorkload(t *testing.T) {
	p := loadPlan(t, `name: p
variables: {tree: /linux, events: 6}
kernel: {tree: "${tree}"}
fix: abc
workload: small
guest: {memory: 2GiB}
signatures: [{function: f}]
benign: [{function: g, reason: also known}]
`, map[string]string{"n": "1"})
	w, err := p.OpenWorkload(shipped)
	if err != nil {
		t.Fatal(err)
	}
	if w.Phases[0].Shell.Run != "echo 6 1" {
		t.Errorf("variables: %q", w.Phases[0].Shell.Run)
	}
	if w.Defaults.VCPUs != 3 || w.Defaults.Memory != 2*GiB || w.Defaults.Disk != FallbackGuest().Disk {
		t.Errorf("guest: %+v", w.Defaults)
	}
	if len(w.Signatures) != 1 || w.Signatures[0].Function != "f" || len(w.Benign) != 2 {
		t.Errorf("signatures %v, benign %v", w.Signatures, w.Benign)
	}
}

func TestOpenWorkloadErrors(t *testing.T) {
	folder := t.TempDir()
	for _, c := range []struct {
		name, text string
		vars       map[string]string
		want       string
	}{
		{"unknown name", "{name: p, workload: smal}", nil, `dir/plan.yaml:1:21: nothing named "smal" is shipped in workloads; did you mean "small"? (shipped: small)`},
		{"a name that leaves the folder", "{name: p, workload: ..}", nil, `dir/plan.yaml:1:21: nothing named ".." is shipped in workloads (shipped: small)`},
		{"no such file", "{name: p, workload: " + folder + "/no.yaml}", nil, "dir/plan.yaml:1:21: read workload: open " + folder + "/no.yaml: no such file or directory"},
		{"a value is missing", "{name: p, workload: small}", nil, `shipped:workloads/small.yaml:4:18: variable "n" has no value; give it one with --var n=VALUE`},
		{"a variable that nobody uses", "{name: p, variables: {event: 1, n: 1}, workload: small}", nil, `dir/plan.yaml:1:23: variable "event" is used neither by the plan nor by workload small; did you mean "events"?`},
		{"a variable without a value that the workload has one for", "{name: p, variables: {n: 1, events: }, workload: small}", nil, `dir/plan.yaml:1:29: variable "events" has no value; give it one with --var events=VALUE`},
		{"a variable without a value that nobody uses", "{name: p, variables: {n: 1, event: }, workload: small}", nil, `dir/plan.yaml:1:29: variable "event" is used neither by the plan nor by workload small; did you mean "events"?`},
		{"a flag that nobody uses", "{name: p, variables: {n: 1}, workload: small}", map[string]string{"event": "1"}, `no variable "event" in plan p or workload small; did you mean "events"?`},
		{"inline, a flag that nobody uses", "{name: p, workload: {name: mine, phases: [{sync: }]}}", map[string]string{"event": "1"}, `no variable "event" in plan p or workload mine (in the plan)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := loadPlan(t, c.text, c.vars).OpenWorkload(shipped)
			checkError(t, err, c.want)
		})
	}
}

func TestInlineWorkload(t *testing.T) {
	p := loadPlan(t, `name: p
variables: {fs: btrfs, features: quotas}
pre: {image: a}
post: {image: b}
workload:
  name: mine
  phases:
    - mkfs: {fs: "${fs}", features: ["${features}"]}
`, nil)
	w, err := p.OpenWorkload(shipped)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compile(w, tools62(t, 6, 1))
	checkError(t, err, `dir/plan.yaml:8:38: mkfs.btrfs 6.2 has no feature "quotas"; did you mean "quota"?`)
	p, err = p.WithVariables(map[string]string{"features": "quota"})
	if err != nil {
		t.Fatal(err)
	}
	if steps, err := Compile(p.Workload.Inline, tools62(t, 6, 1)); err != nil || !strings.Contains(steps[0].Command, "-R quota") {
		t.Errorf("%v %v", steps, err)
	}
}

func TestWorkloadByPath(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "mine.yaml"), []byte("name: mine\nphases: [{sync: }]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := LoadPlan(filepath.Join(folder, "plan.yaml"), []byte("{name: p, workload: ./mine.yaml}"))
	if err != nil {
		t.Fatal(err)
	}
	if w, err := p.OpenWorkload(shipped); err != nil || w.Name != "mine" {
		t.Errorf("%v, %v", w, err)
	}
}

func TestPathsOfShippedPlans(t *testing.T) {
	p, err := LoadPlan("shipped:plans/x.yaml", []byte("{name: p, workload: w, kernel: {tarball: l.tar}, patch: fix.patch}"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Kernel.Tarball != "l.tar" || p.Patch[0] != "fix.patch" {
		t.Errorf("paths of a shipped plan are relative to the current folder, got %s and %s", p.Kernel.Tarball, p.Patch[0])
	}
}

func TestMaterialize(t *testing.T) {
	folder := t.TempDir()
	k := KernelSpec{Tarball: "/l.tar", Fragments: List{"shipped:kernel/guest.config", "/own.config"}}
	got, err := k.Materialize(shipped, folder)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(got.Fragments[0])
	if err != nil || string(data) != "CONFIG_A=y\n" || got.Fragments[1] != "/own.config" {
		t.Errorf("%v: %q, %v", got.Fragments, data, err)
	}
	if k.Fragments[0] != "shipped:kernel/guest.config" {
		t.Error("Materialize changed its receiver")
	}
	_, err = KernelSpec{Config: "shipped:kernel/gest.config"}.Materialize(shipped, folder)
	checkError(t, err, `shipped:kernel/gest.config is not shipped with this patchproof; did you mean "kernel/guest.config"?`)
	_, err = KernelSpec{Config: "shipped:../../etc/passwd"}.Materialize(shipped, folder)
	checkError(t, err, "shipped:../../etc/passwd: not the name of a shipped file")
}

// A plan is recorded as JSON beside its runs.
func TestPlanAsJSON(t *testing.T) {
	p := loadPlan(t, "{name: p, workload: w, guest: {memory: 2GiB}, budget: 20m, kernel: {tarball: /l.tar}, patch: /fix.patch}", nil)
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"p","kernel":{"tarball":"/l.tar"},"patch":["/fix.patch"],"workload":{"name":"w"},"guest":{"memory":"2GiB"},"confidence":0.99,"max_runs":60,"budget":"20m"}`
	if string(data) != want {
		t.Errorf("got %s", data)
	}
	var back Plan
	if err := json.Unmarshal(data, &back); err != nil || back.Guest.Memory != 2*GiB || back.Budget != p.Budget {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestPositionError(t *testing.T) {
	for want, e := range map[string]*PositionError{
		"m":        {Message: "m"},
		"f: m":     {File: "f", Message: "m"},
		"f:2:3: m": {File: "f", Line: 2, Column: 3, Message: "m"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	var at *PositionError
	if _, err := LoadPlan("f", nil); !errors.As(err, &at) || at.File != "f" {
		t.Errorf("got %v", err)
	}
}
