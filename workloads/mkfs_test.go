package workloads

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// tools62 is btrfs-progs 6.2 of Debian 12, its real tables, with a kernel.
func tools62(t *testing.T, major, minor int) Tools {
	t.Helper()
	read := func(name string) string {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	return Tools{
		SysbenchVersion: "1.0.20", BtrfsProgsVersion: "6.2",
		MkfsFeatures: read("mkfs-btrfs-6.2-O.txt"), MkfsRuntimeFeatures: read("mkfs-btrfs-6.2-R.txt"),
		KernelMajor: major, KernelMinor: minor,
	}
}

func TestParseMkfsFeatures(t *testing.T) {
	tools := tools62(t, 0, 0)
	features := tools.features()
	names := featureNames(features)
	want := []string{"mixed-bg", "extref", "raid56", "skinny-metadata", "no-holes", "raid1c34", "zoned", "quota", "free-space-tree"}
	if !slices.Equal(names, want) {
		t.Fatalf("features %v, want %v", names, want)
	}
	noHoles := features[4]
	if noHoles != (mkfsFeature{"no-holes", version{3, 14, 0}, version{4, 0, 0}, version{5, 15, 0}, "-O"}) {
		t.Errorf("no-holes is read as %+v", noHoles)
	}
	if mixed := features[0]; mixed.compat != (version{2, 6, 37}) || mixed.defaultFrom != (version{}) {
		t.Errorf("mixed-bg is read as %+v", mixed)
	}
	if tree := features[8]; tree.option != "-R" || tree.safe != (version{4, 9, 0}) {
		t.Errorf("free-space-tree is read as %+v", tree)
	}
}

// newer is the form of btrfs-progs 6.3 and later: -O lists everything, and -R
// repeats the runtime features.
const newer = `Filesystem features available:
no-holes            - no explicit hole extents for files (compat=3.14, safe=4.0, default=5.15)
quota               - hierarchical quota group support (qgroups) (compat=3.4)
free-space-tree     - free space tree, improved space tracking (space_cache=v2) (compat=4.5, safe=4.9, default=5.15)
block-group-tree    - block group tree, more efficient block group tracking to reduce mount time (compat=6.1)
`

func TestMkfsCommand(t *testing.T) {
	onlyNew := Tools{MkfsFeatures: newer, MkfsRuntimeFeatures: newer, KernelMajor: 3, KernelMinor: 14}
	for _, c := range []struct {
		name string
		mkfs Mkfs
		t    Tools
		want string
	}{
		{"6.1 gets the defaults", Mkfs{FS: "btrfs"}, tools62(t, 6, 1), "mkfs.btrfs -f /dev/vda"},
		{"unknown kernel gets the defaults", Mkfs{FS: "btrfs"}, tools62(t, 0, 0), "mkfs.btrfs -f /dev/vda"},
		{"5.10 is older than the default but safe", Mkfs{FS: "btrfs"}, tools62(t, 5, 10), "mkfs.btrfs -f /dev/vda"},
		{"4.4 has no free space tree", Mkfs{FS: "btrfs"}, tools62(t, 4, 4), "mkfs.btrfs -f -R ^free-space-tree /dev/vda"},
		{"3.14", Mkfs{FS: "btrfs"}, tools62(t, 3, 14), "mkfs.btrfs -f -O ^skinny-metadata,^no-holes -R ^free-space-tree /dev/vda"},
		{"3.10", Mkfs{FS: "btrfs"}, tools62(t, 3, 10), "mkfs.btrfs -f -O ^extref,^skinny-metadata,^no-holes -R ^free-space-tree /dev/vda"},
		{"newer progs know all under -O", Mkfs{FS: "btrfs"}, onlyNew, "mkfs.btrfs -f -O ^no-holes,^free-space-tree /dev/vda"},
		{"asked for and possible", Mkfs{FS: "btrfs", Features: []string{"no-holes"}}, tools62(t, 3, 14), "mkfs.btrfs -f -O no-holes,^skinny-metadata -R ^free-space-tree /dev/vda"},
		{"asked off", Mkfs{FS: "btrfs", Features: []string{"^free-space-tree"}}, tools62(t, 6, 1), "mkfs.btrfs -f -R ^free-space-tree /dev/vda"},
		{"runtime feature asked for", Mkfs{FS: "btrfs", Features: []string{"quota", "mixed-bg"}}, tools62(t, 6, 1), "mkfs.btrfs -f -O mixed-bg -R quota /dev/vda"},
		{"no table", Mkfs{FS: "btrfs", Features: []string{"no-holes"}}, Tools{KernelMajor: 6, KernelMinor: 1}, "mkfs.btrfs -f -O no-holes /dev/vda"},
		{"options and device", Mkfs{FS: "btrfs", Device: "/dev/vdb", Options: []string{"-m", "single", "-L", "it's"}}, tools62(t, 6, 1), `mkfs.btrfs -f -m single -L 'it'\''s' /dev/vdb`},
		{"ext4", Mkfs{FS: "ext4"}, tools62(t, 3, 14), "mkfs.ext4 -qF /dev/vda"},
	} {
		steps, err := Compile(&Workload{Name: "x", Phases: []Phase{{Mkfs: &c.mkfs}}}, c.t)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got, _, _ := strings.Cut(steps[0].Command, " &&\n"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestMkfsFeatureTooNew(t *testing.T) {
	w, err := LoadWorkload("w.yaml", []byte("name: x\nphases:\n  - mkfs:\n      fs: btrfs\n      features: [mixed-bg, zoned]\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compile(w, tools62(t, 3, 14))
	want := `w.yaml:5:28: feature "zoned" needs Linux 5.12, the guest's kernel is 3.14: leave the feature out or test a newer kernel`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	w.Phases[0].Mkfs.Features = []string{"no-hole"}
	_, err = Compile(w, tools62(t, 6, 1))
	if err == nil || !strings.Contains(err.Error(), `mkfs.btrfs 6.2 has no feature "no-hole"; did you mean "no-holes"?`) {
		t.Errorf("unknown feature: %v", err)
	}
}

func TestMkfsCheck(t *testing.T) {
	steps, err := Compile(&Workload{Name: "x", Phases: []Phase{{Mkfs: &Mkfs{FS: "btrfs"}}}}, tools62(t, 6, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		out  Output
		want string
	}{
		{Output{Stdout: "...\npatchproof superblock: _BHRfS_M\n"}, ""},
		{Output{Stdout: "patchproof superblock: \n"}, "mkfs.btrfs succeeded, but /dev/vda has no btrfs superblock"},
		{Output{Status: 1, Stderr: "ERROR: /dev/vda is \x1b[31mmounted\n"}, "mkfs.btrfs failed (status 1): ERROR: /dev/vda is [31mmounted"},
		{Output{Status: 1}, "mkfs.btrfs failed (status 1)"},
	} {
		checkError(t, steps[0].Check(c.out), c.want)
	}
}

// checkError compares an error's message; "" means no error.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}
