package configs_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"patchproof/configs"
	"patchproof/workloads"
)

var update = flag.Bool("update", false, "rewrite golden files")

// shippedNames lists what is shipped of a kind and fails when there is nothing.
func shippedNames(t *testing.T, kind string) []string {
	t.Helper()
	names := workloads.Names(configs.FS, kind)
	if len(names) == 0 {
		t.Fatalf("nothing is shipped in %s", kind)
	}
	return names
}

func table(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../workloads/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The command lines of every shipped workload, for the tools of Debian 12 with
// a 6.1 and a 3.14 kernel, and for the sysbench of 2014.
func TestShippedWorkloads(t *testing.T) {
	debian := workloads.Tools{
		SysbenchVersion: "sysbench 1.0.20", BtrfsProgsVersion: "6.2", KernelMajor: 6, KernelMinor: 1,
		MkfsFeatures: table(t, "mkfs-btrfs-6.2-O.txt"), MkfsRuntimeFeatures: table(t, "mkfs-btrfs-6.2-R.txt"),
	}
	old := debian
	old.SysbenchVersion, old.KernelMajor, old.KernelMinor = "sysbench 0.4.12", 3, 14
	for _, name := range shippedNames(t, "workloads") {
		t.Run(name, func(t *testing.T) {
			w, err := (workloads.WorkloadRef{Name: name}).Open(configs.FS, nil)
			if err != nil {
				t.Fatal(err)
			}
			if w.Name != name {
				t.Errorf("the workload in %s.yaml calls itself %s", name, w.Name)
			}
			if len(w.Signatures) == 0 || w.Description == "" || len(w.Requires) == 0 {
				t.Error("signatures, description or requires are missing")
			}
			var b strings.Builder
			for _, tools := range []workloads.Tools{debian, old} {
				steps, err := workloads.Compile(w, tools)
				if err != nil {
					t.Fatal(err)
				}
				b.WriteString("# " + tools.SysbenchVersion + ", btrfs-progs 6.2\n" + workloads.Describe(steps) + "\n")
			}
			golden := filepath.Join("testdata", name+".steps.txt")
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("the command lines changed (go test -update accepts them):\n%s", b.String())
			}
		})
	}
}

// The two workloads are the same race in two sizes: same phases, same reports.
func TestFocusedIsTheReportInSmall(t *testing.T) {
	open := func(name string) *workloads.Workload {
		w, err := (workloads.WorkloadRef{Name: name}).Open(configs.FS, nil)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	report, focused := open("btrfs-dio-race-report"), open("btrfs-dio-race-focused")
	if !reflect.DeepEqual(report.Signatures, focused.Signatures) || !reflect.DeepEqual(report.Consequences, focused.Consequences) {
		t.Error("the two look for different reports")
	}
	if len(report.Phases) != len(focused.Phases) {
		t.Fatal("the two have different phases")
	}
	for i := range report.Phases {
		if a, b := report.Phases[i].Title(), focused.Phases[i].Title(); a != b {
			t.Errorf("phase %d: %q and %q", i, a, b)
		}
	}
	if report.Defaults.Disk < 12*workloads.GiB {
		t.Errorf("8 GiB of data do not fit on %v when they are not compressed", report.Defaults.Disk)
	}
}

func TestShippedPlans(t *testing.T) {
	want := map[string][2]workloads.KernelSpec{
		"btrfs-dio-race-6.1": {
			{Name: "base", Tarball: "/usr/src/linux-source-6.1.tar.xz",
				Patches:   workloads.List{"shipped:patches/btrfs-dio-race/0001-base.patch"},
				Fragments: workloads.List{"shipped:kernel/guest.config", "shipped:kernel/btrfs.config"}},
			{Name: "fixed", Tarball: "/usr/src/linux-source-6.1.tar.xz",
				Patches:   workloads.List{"shipped:patches/btrfs-dio-race/0001-base.patch", "shipped:patches/btrfs-dio-race/0002-fix.patch"},
				Fragments: workloads.List{"shipped:kernel/guest.config", "shipped:kernel/btrfs.config"}},
		},
		"btrfs-dio-race-history": {
			{Name: "pre", Tree: "/src/linux", Rev: "376cc685cb3b43a6509de0b6a343c4079f23c239^", Make: workloads.List{"CC=gcc-4.9"},
				Fragments: workloads.List{"shipped:kernel/guest.config", "shipped:kernel/btrfs.config"}},
			{Name: "post", Tree: "/src/linux", Rev: "376cc685cb3b43a6509de0b6a343c4079f23c239", Make: workloads.List{"CC=gcc-4.9"},
				Fragments: workloads.List{"shipped:kernel/guest.config", "shipped:kernel/btrfs.config"}},
		},
	}
	for _, name := range shippedNames(t, "plans") {
		t.Run(name, func(t *testing.T) {
			file, data, err := workloads.ReadShipped(configs.FS, "plans", name)
			if err != nil {
				t.Fatal(err)
			}
			vars := map[string]string{}
			if strings.Contains(string(data), "${linux}") {
				vars["linux"] = "/src/linux"
			}
			p, err := workloads.LoadPlanWith(file, data, vars)
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != name {
				t.Errorf("the plan in %s.yaml calls itself %s", name, p.Name)
			}
			pre, post, err := p.Expand()
			if err != nil {
				t.Fatal(err)
			}
			if w, known := want[name]; known && (!reflect.DeepEqual(pre, w[0]) || !reflect.DeepEqual(post, w[1])) {
				t.Errorf("\npre  %+v\npost %+v", pre, post)
			}
			for _, k := range []workloads.KernelSpec{pre, post} {
				if _, err := k.Materialize(configs.FS, t.TempDir()); err != nil {
					t.Error(err)
				}
			}
			if _, err := p.OpenWorkload(configs.FS); err != nil {
				t.Error(err)
			}
		})
	}
}

// The history plan cannot be expanded without the tree, and says how to give it.
func TestHistoryNeedsATree(t *testing.T) {
	file, data, err := workloads.ReadShipped(configs.FS, "plans", "btrfs-dio-race-history")
	if err != nil {
		t.Fatal(err)
	}
	_, err = workloads.LoadPlan(file, data)
	if err == nil || !strings.Contains(err.Error(), "--var linux=VALUE") {
		t.Errorf("got %v", err)
	}
}

func TestEverythingIsEmbedded(t *testing.T) {
	for _, folder := range []string{"kernel", "workloads", "plans", "patches"} {
		onDisk, err := fs.Glob(os.DirFS("."), folder+"/*")
		if err != nil || len(onDisk) == 0 {
			t.Fatalf("%s: %v, %v", folder, onDisk, err)
		}
		for _, name := range onDisk {
			if _, err := fs.Stat(configs.FS, name); err != nil {
				t.Errorf("%s is not in the program", name)
			}
		}
	}
}
