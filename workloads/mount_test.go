package workloads

import (
	"strings"
	"testing"
)

// What /proc/mounts shows for "mount -o compress=zlib" on three kernels.
const (
	shown314 = "rw,relatime,compress=zlib,space_cache"
	shown61  = "rw,relatime,compress=zlib:3,space_cache=v2,subvolid=5,subvol=/"
	shown618 = "rw,relatime,compress=zlib:3,discard=async,space_cache=v2,subvolid=5,subvol=/"
)

func TestOptionHolds(t *testing.T) {
	for _, c := range []struct {
		asked, shown string
		want         bool
	}{
		{"compress=zlib", shown314, true},
		{"compress=zlib", shown61, true},
		{"compress=zlib", shown618, true},
		{"compress", shown314, true},
		{"compress", shown61, true},
		{"compress=zlib:3", shown61, true},
		{"compress=zlib:9", shown61, false},
		{"compress=zlib:9", shown314, false}, // no levels there: not what was asked
		{"compress=lzo", shown61, false},
		{"compress=lzo", "rw,compress=lzo", true},
		{"compress=zstd", "rw,compress=zstd:3", true},
		{"compress", "rw,compress=lzo", false},
		{"compress=zlib", "rw,compress-force=zlib:3", false},
		{"compress-force=zlib", "rw,compress-force=zlib:3", true},
		{"compress-force", "rw,compress-force=zlib", true},
		{"compress=zlib", "rw,relatime", false}, // nodatacow switches it off
		{"compress=no", "rw,relatime", true},
		{"compress=none", shown61, false},
		{"rw", shown61, true},
		{"ro", shown61, false},
		{"defaults", shown61, true},
		{"noatime", "rw,noatime", true},
		{"noatime", shown61, false},
		{"strictatime", "rw", true},
		{"strictatime", shown61, false},
		{"async", shown61, true},
		{"async", "rw,sync", false},
		{"space_cache=v2", shown61, true},
		{"space_cache=v2", shown314, false},
		{"space_cache=v1", shown314, true},
		{"space_cache", shown314, true},
		{"discard", "rw,discard", true},
		{"discard=sync", "rw,discard", true},
		{"discard", shown618, false},
		{"nodiscard", shown61, true},
		{"nodiscard", shown618, false},
		{"autodefrag", shown61, false},
		{"autodefrag", "rw,autodefrag", true},
		{"noautodefrag", shown61, true},
		{"nodatacow", "rw,nodatasum,nodatacow", true},
		{"datacow", "rw,nodatasum,nodatacow", false},
		{"datacow", shown61, true},
		{"commit=30", shown61, true},
		{"commit=30", "rw,commit=60", false},
		{"commit=60", "rw,commit=60", true},
		{"max_inline=4k", "rw,max_inline=4096", true},
		{"max_inline=2048", shown61, true},
		{"max_inline=2k", shown61, true},
		{"max_inline=4k", shown61, false},
		{"thread_pool=4", shown61, true}, // hidden when it is the default
		{"thread_pool=4", "rw,thread_pool=2", false},
		{"subvol=a", "rw,subvol=/a", true},
		{"subvol=/a", "rw,subvol=/", false},
		{"x-systemd.automount", shown61, true},
		{"unheard_of", shown61, false},
	} {
		if got := optionHolds(c.asked, strings.Split(c.shown, ",")); got != c.want {
			t.Errorf("optionHolds(%q, %q) = %v, want %v", c.asked, c.shown, got, c.want)
		}
	}
}

func compileOne(t *testing.T, p Phase) Step {
	t.Helper()
	steps, err := Compile(&Workload{Name: "x", Phases: []Phase{p}}, tools62(t, 6, 1))
	if err != nil {
		t.Fatal(err)
	}
	return steps[0]
}

func TestMountCheck(t *testing.T) {
	s := compileOne(t, Phase{Mount: &Mount{FS: "btrfs", Options: []string{"compress=zlib"}}})
	const command = "mkdir -p /mnt &&\nmount -t btrfs -o compress=zlib /dev/vda /mnt &&\ncat /proc/mounts"
	if s.Command != command {
		t.Errorf("command %q", s.Command)
	}
	rootfs := "rootfs / rootfs rw 0 0\ndevtmpfs /dev devtmpfs rw,size=4k 0 0\n"
	for _, c := range []struct {
		out  Output
		want string
	}{
		{Output{Stdout: rootfs + "/dev/vda /mnt btrfs " + shown314 + " 0 0\n"}, ""},
		{Output{Stdout: rootfs + "/dev/vda /mnt btrfs " + shown61 + " 0 0\n"}, ""},
		{Output{Stdout: rootfs + "/dev/vda /mnt btrfs ro,relatime,compress=zlib 0 0\n"}, "btrfs at /mnt is mounted read-only; see the kernel log"},
		{Output{Stdout: rootfs + "/dev/vda /mnt btrfs rw,relatime 0 0\n"}, "mount option compress=zlib asked for, but /proc/mounts shows rw,relatime"},
		{Output{Stdout: rootfs + "/dev/vda /mnt ext4 rw 0 0\n"}, "ext4 at /mnt, expected btrfs"},
		{Output{Stdout: "/dev/vda /mnt btrfs " + shown61 + " 0 0\ntmpfs /mnt tmpfs rw 0 0\n"}, "tmpfs at /mnt, expected btrfs"},
		{Output{Stdout: rootfs}, "mount succeeded, but /proc/mounts has nothing at /mnt"},
		{Output{Status: 255, Stderr: "mount: mounting /dev/vda on /mnt failed: No such device\n"},
			"mount failed (status 255): mount: mounting /dev/vda on /mnt failed: No such device (the guest's kernel has no btrfs: build it in)"},
		{Output{Status: 255, Stderr: "mount: mounting /dev/vda on /mnt failed: Invalid argument\n"},
			"mount failed (status 255): mount: mounting /dev/vda on /mnt failed: Invalid argument (the kernel log says why: an option or a feature of the file system that this kernel does not know)"},
	} {
		checkError(t, s.Check(c.out), c.want)
	}
}

func TestReadOnlyMountIsAllowedWhenAsked(t *testing.T) {
	s := compileOne(t, Phase{Mount: &Mount{FS: "btrfs", Options: []string{"ro"}}})
	checkError(t, s.Check(Output{Stdout: "/dev/vda /mnt btrfs ro,relatime 0 0\n"}), "")
	checkError(t, s.Check(Output{Stdout: "/dev/vda /mnt btrfs rw,relatime 0 0\n"}), "mount option ro asked for, but /proc/mounts shows rw,relatime")
}

func TestUmountCheck(t *testing.T) {
	s := compileOne(t, Phase{Umount: &Umount{Target: "/mnt/a b"}})
	if s.Command != "umount '/mnt/a b' &&\ncat /proc/mounts" {
		t.Errorf("command %q", s.Command)
	}
	checkError(t, s.Check(Output{Stdout: "rootfs / rootfs rw 0 0\n/dev/vda /mnt/a btrfs rw 0 0\n"}), "")
	checkError(t, s.Check(Output{Stdout: `/dev/vda /mnt/a\040b btrfs rw 0 0`}), "umount succeeded, but btrfs is still mounted at /mnt/a b")
	checkError(t, s.Check(Output{Status: 1, Stderr: "umount: can't unmount /mnt: Device or resource busy\n"}),
		"umount failed (status 1): umount: can't unmount /mnt: Device or resource busy")
}
