package site

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"patchproof/results"
)

func TestQEMUCommand(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\n# by hand\nset -e\ntruncate -s 2048M /r/disk0.img\nexec /usr/bin/qemu-system-x86_64 \\\n\t-nodefaults \\\n\t-append 'console=ttyS0 it'\\''s' \\\n\t-kernel /k/bzImage\n# the end\n"
	if err := os.WriteFile(filepath.Join(dir, byHandName), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{"/usr/bin/qemu-system-x86_64", "-nodefaults", "-append", "console=ttyS0 it's", "-kernel", "/k/bzImage"}
	if got := qemuCommand(&results.Run{Dir: dir}); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := qemuCommand(&results.Run{Dir: dir, Command: []string{"qemu"}}); !slices.Equal(got, []string{"qemu"}) {
		t.Errorf("the record's own command line gave %q", got)
	}
	if got := qemuCommand(&results.Run{Dir: t.TempDir()}); got != nil {
		t.Errorf("without a script: %q", got)
	}
}

// What ShellQuote writes is read back as the same words.
func FuzzShellWords(f *testing.F) {
	f.Add("a b", "it's", "")
	f.Add("\\\n", "'", "x\ty\n")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		words := []string{a, b, c}
		if got := shellWords(results.ShellQuote(words)); !slices.Equal(got, words) {
			t.Errorf("%q became %q", words, got)
		}
		shellWords(a) // must not panic
	})
}
