package vm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeKernel is a file that has a boot image's magic and nothing else.
func fakeKernel(t *testing.T) string {
	t.Helper()
	data := make([]byte, 1024)
	copy(data[0x202:], "HdrS")
	path := filepath.Join(t.TempDir(), "bzImage")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStartRefuses(t *testing.T) {
	good := Spec{Name: "g", Kernel: fakeKernel(t), Initrd: os.Args[0], Dir: filepath.Join(t.TempDir(), "run")}
	text := filepath.Join(t.TempDir(), "vmlinux.txt")
	if err := os.WriteFile(text, []byte("not a kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(*Spec)
		word   string
	}{
		{"no name", func(s *Spec) { s.Name = "" }, "name"},
		{"no folder", func(s *Spec) { s.Dir = "" }, "folder"},
		{"missing kernel", func(s *Spec) { s.Kernel = "/nonexistent/bzImage" }, "/nonexistent/bzImage"},
		{"no kernel image", func(s *Spec) { s.Kernel = text }, "bzImage"},
		{"missing base image", func(s *Spec) { s.Initrd = "/nonexistent/guest.cpio" }, "/nonexistent/guest.cpio"},
		{"bad disk", func(s *Spec) { s.Disks = []Disk{{SizeMiB: 1}, {}} }, "disk 1"},
		{"bad accelerator", func(s *Spec) { s.Accel = "warp" }, "warp"},
		{"negative memory", func(s *Spec) { s.MemoryMiB = -1 }, "negative"},
		{"counting with two processors", func(s *Spec) { s.Icount, s.VCPUs = true, 2 }, "one processor"},
		{"counting under KVM", func(s *Spec) { s.Icount, s.Accel = true, AccelKVM }, "takes tcg"},
		{"too much load", func(s *Spec) { s.Load = 1000 }, "1000 busy processes"},
		{"missing QEMU", func(s *Spec) { s.QEMU = "/nonexistent/qemu" }, "apt-get install qemu-system-x86"},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := good
			test.change(&spec)
			_, err := Start(context.Background(), spec)
			if err == nil || !strings.Contains(err.Error(), test.word) {
				t.Errorf("got %v, want an error with %q", err, test.word)
			}
			if _, err := os.Stat(spec.Dir); spec.Dir != "" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the run's folder has been made: %v", err)
			}
		})
	}
}

// TestQEMUThatIsNone starts a program that is not QEMU: it ends at once, or it
// never speaks.
func TestQEMUThatIsNone(t *testing.T) {
	for _, test := range []struct{ name, script, word string }{
		{"ends with an error", "echo 'qemu-system-x86_64: no such option' >&2; exit 1", "no such option"},
		{"ends silently", "exit 0", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			qemu := filepath.Join(t.TempDir(), "qemu")
			if err := os.WriteFile(qemu, []byte("#!/bin/sh\n"+test.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			spec := Spec{Name: "g", Kernel: fakeKernel(t), Initrd: os.Args[0], Dir: t.TempDir(), QEMU: qemu}
			_, err := Start(context.Background(), spec)
			var f *Failure
			if !errors.As(err, &f) || !strings.Contains(err.Error(), test.word) {
				t.Errorf("got %v, want a failure with %q", err, test.word)
			}
		})
	}
}

func TestStartWithEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	spec := Spec{Name: "g", Kernel: fakeKernel(t), Initrd: os.Args[0], Dir: t.TempDir(), QEMU: "/bin/true"}
	if _, err := Start(ctx, spec); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
