package kernels

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestErrorFinder reads make's output from testdata/builderrors; the first
// line of each file says what is to be found.
func TestErrorFinder(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/builderrors/*.log")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, log, _ := strings.Cut(string(data), "\n")
		want, ok := strings.CutPrefix(first, "# want: ")
		if !ok {
			t.Errorf("%s does not say what is wanted", file)
			continue
		}
		out := &makeOutput{finder: newErrorFinder()}
		// In pieces, as a pipe may deliver it.
		for len(log) > 0 {
			n := min(7, len(log))
			if _, err := out.Write([]byte(log[:n])); err != nil {
				t.Fatal(err)
			}
			log = log[n:]
		}
		got := out.finder.result("/cache/trees/abc/tree")
		text := got.message
		if got.line > 0 {
			text = fmt.Sprintf("%s:%d: %s", got.file, got.line, text)
		} else if got.file != "" {
			text = got.file + ": " + text
		}
		if text != want {
			t.Errorf("%s:\n got %s\nwant %s", file, text, want)
		}
	}
}

func TestKbuildStep(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		line, step, object string
	}{
		{"  CC      fs/btrfs/inode.o", "CC", "fs/btrfs/inode.o"},
		{"  CC [M]  fs/ext4/inode.o", "CC [M]", "fs/ext4/inode.o"},
		{"  HOSTCC  scripts/kconfig/conf.o", "HOSTCC", "scripts/kconfig/conf.o"},
		{"  BUILD   arch/x86/boot/bzImage", "BUILD", "arch/x86/boot/bzImage"},
		{"   10 | #include <gelf.h>", "", ""},
		{"make[1]: Entering directory '/x'", "", ""},
		{"  from it", "", ""},
		{"", "", ""},
	} {
		step, object, ok := kbuildStep(tc.line)
		if step != tc.step || object != tc.object || ok != (tc.step != "") {
			t.Errorf("%q: %q, %q, %v", tc.line, step, object, ok)
		}
	}
}

func TestMakeArgs(t *testing.T) {
	t.Parallel()
	got := quoteWords(makeArgs("/c/tree", "/c/out", 3, []string{"CC=gcc-11", "KBUILD_BUILD_USER=me"}, "bzImage"))
	want := "-C /c/tree O=/c/out -j3 'KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_HOST=patchproof KBUILD_BUILD_VERSION=1 LOCALVERSION= CC=gcc-11 KBUILD_BUILD_USER=me bzImage"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestCleanEnviron(t *testing.T) {
	t.Parallel()
	got := cleanEnviron([]string{"PATH=/bin", "ARCH=arm", "KBUILD_OUTPUT=/x", "MAKEFLAGS=-j", "GIT_DIR=/y", "LANG=de_DE", "HOME=/h"}, []string{"GIT_TERMINAL_PROMPT=0"})
	if s := strings.Join(got, " "); s != "PATH=/bin HOME=/h LC_ALL=C GIT_TERMINAL_PROMPT=0" {
		t.Error(s)
	}
}
