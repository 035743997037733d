package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	base := Spec{Name: "g", Kernel: "/k/bzImage", Initrd: "/i/guest.cpio"}
	with := func(change func(*Spec)) Spec {
		s := base
		change(&s)
		return s
	}
	for _, test := range []struct {
		name string
		spec Spec
		w    Wiring
	}{
		{"defaults-by-hand", base, Wiring{}},
		{"kvm", with(func(s *Spec) { s.Accel = AccelKVM }), Wiring{}},
		{"two-disks-wired", with(func(s *Spec) { s.Disks = []Disk{{64}, {128}} }), Wiring{
			Initrd: "/proc/self/fd/4", Disks: []string{"/proc/self/fd/5", "/proc/self/fd/6"}, MonitorFD: 3, Nonce: "0123456789abcdef",
		}},
		{"from-a-saved-state", with(func(s *Spec) { s.Disks = []Disk{{64}} }), Wiring{
			Disks: []string{"/proc/self/fd/5"}, MonitorFD: 3, Nonce: "0123456789abcdef", StateFD: 4,
		}},
		{"comma-in-disk-path", with(func(s *Spec) { s.Disks = []Disk{{64}} }), Wiring{Disks: []string{"/runs/a,b/disk0.img"}}},
		{"shape-and-append", with(func(s *Spec) {
			s.VCPUs, s.MemoryMiB, s.CPU = 4, 2048, "Haswell"
			s.Append = []string{"slub_debug=FZ", "quiet"}
		}), Wiring{}},
		{"counting-instructions", with(func(s *Spec) { s.Icount = true }), Wiring{}},
		{"no-network", with(func(s *Spec) { s.NoNetwork = true }), Wiring{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := strings.Join(Arguments(test.spec, test.w), "\n") + "\n"
			golden(t, filepath.Join("testdata", "arguments", test.name+".golden"), got)
		})
	}
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test -update rewrites it):\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestByHandScript(t *testing.T) {
	spec := Spec{
		Name: "pre-003", Kernel: "/k/bz Image", Initrd: "/i/guest.cpio", Dir: "/runs/it's",
		Disks: []Disk{{SizeMiB: 1024}},
	}
	golden(t, filepath.Join("testdata", "byhand.golden"), byHand(spec, "/usr/bin/qemu-system-x86_64"))
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":          "''",
		"plain-1.0": "plain-1.0",
		"a b":       "'a b'",
		"it's":      `'it'\''s'`,
		"$HOME":     "'$HOME'",
		"a\nb":      "'a\nb'",
		"-append":   "-append",
	} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", in, got, want)
		}
	}
}
