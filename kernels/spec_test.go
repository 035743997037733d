package kernels

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestSpecValidate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, "x")
	dir := t.TempDir()
	for _, tc := range []struct {
		name string
		spec Spec
		want []string // one for each line of the error; none means valid
	}{
		{"image", Spec{Image: file, Vmlinux: file, Config: file}, nil},
		{"tarball", Spec{Tarball: file, Patches: []string{file}, BaseConfig: file, Fragments: []string{file}, Make: []string{"CC=gcc-11", "KCFLAGS=-g -O1"}}, nil},
		{"tree", Spec{Tree: dir, Rev: "v6.1", BaseConfig: DefConfig}, nil},
		{"nothing", Spec{}, []string{"no source: give one of image"}},
		{"two", Spec{Image: file, Tarball: file}, []string{"2 sources (image, tarball)"}},
		{"no rev", Spec{Tree: dir}, []string{"has no rev"}},
		{"rev alone", Spec{Tarball: file, Rev: "v1"}, []string{"rev v1 has no tree"}},
		{"image with patches", Spec{Image: file, Patches: []string{file}, Make: []string{"A=b"}}, []string{"cannot take patches", "cannot take make"}},
		{"vmlinux of a tarball", Spec{Tarball: file, Vmlinux: file}, []string{"belongs to a ready image"}},
		{"config of a tarball", Spec{Tarball: file, Config: file}, []string{"use base_config"}},
		{"missing Debian tarball", Spec{Tarball: "/usr/src/linux-source-9.9.tar.xz"}, []string{"apt-get install linux-source-9.9"}},
		{"missing tarball", Spec{Tarball: "/nowhere/x.tar"}, []string{"check the path"}},
		{"missing files", Spec{Tarball: file, Patches: []string{"/p"}, Fragments: []string{"/f"}, BaseConfig: "/c"},
			[]string{"kernel patch /p: no such file", "kernel config fragment /f: no such file", "kernel base_config /c: no such file or directory (or use allnoconfig or defconfig)"}},
		{"folder as tarball", Spec{Tarball: dir}, []string{"is a folder"}},
		{"file as tree", Spec{Tree: file, Rev: "x"}, []string{"use tarball for an archive"}},
		{"make", Spec{Tarball: file, Make: []string{"modules", "O=/x", "CC=a", "CC=b", "ARCH=vax", "-j4"}},
			[]string{`"modules" is not NAME=value`, "O cannot be set", "CC is given twice", `"-j4" is not`, "ARCH=vax is not supported"}},
	} {
		err := tc.spec.Validate()
		if len(tc.want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: no error, want %q", tc.name, tc.want)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(tc.want) {
			t.Errorf("%s: %d lines, want %d:\n%v", tc.name, len(lines), len(tc.want), err)
			continue
		}
		for i, w := range tc.want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("%s: line %d is %q, want %q", tc.name, i+1, lines[i], w)
			}
		}
	}
}
