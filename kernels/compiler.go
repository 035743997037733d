package kernels

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// CompilerID names the compiler and linker that a build with these make
// variables uses, by the first line of what they print for --version. One that
// is a script, which passes options on to another, is named by its content too.
func CompilerID(ctx context.Context, makeVars []string) (string, error) {
	cc, ld := compilerCommands(makeVars)
	var lines []string
	for _, words := range [][]string{cc, ld} {
		out, err := command{name: words[0], args: append(words[1:len(words):len(words)], "--version")}.output(ctx)
		if err != nil {
			return "", fmt.Errorf("asking %s for its version: %w", strings.Join(words, " "), err)
		}
		line := firstLine(string(out))
		if sum := scriptHash(words[0]); sum != "" {
			line += " (script " + sum[:12] + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; "), nil
}

// scriptHash is the sha256 of a program that is a script, and empty for others.
func scriptHash(program string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	mark := make([]byte, 2)
	if _, err := io.ReadFull(f, mark); err != nil || string(mark) != "#!" {
		return ""
	}
	sum, err := hashFile(path)
	if err != nil {
		return ""
	}
	return sum
}

// paholeID names pahole, or is empty where there is none. kbuild looks for it
// and writes its version into .config, and with that into the image
// (scripts/pahole-version.sh): an image from before it was installed differs
// from one of the same sources from after.
func paholeID(ctx context.Context, makeVars []string) string {
	name := "pahole"
	if v, ok := (Spec{Make: makeVars}).makeValue("PAHOLE"); ok {
		name = v
	}
	out, err := command{name: name, args: []string{"--version"}}.output(ctx)
	if err != nil {
		return "" // kbuild goes on without it as well
	}
	return "pahole " + firstLine(string(out))
}

// compilerCommands finds the compiler and linker as the kernel's Makefile does
// (Documentation/kbuild/llvm.rst): CC and LD if given, clang and ld.lld for
// LLVM=1 (with a suffix for LLVM=-15, a folder for LLVM=/path/), else gcc and
// ld with the prefix CROSS_COMPILE.
func compilerCommands(makeVars []string) (cc, ld []string) {
	vars := Spec{Make: makeVars}
	prefix, _ := vars.makeValue("CROSS_COMPILE")
	cc, ld = []string{prefix + "gcc"}, []string{prefix + "ld"}
	if llvm, ok := vars.makeValue("LLVM"); ok && llvm != "" && llvm != "0" {
		folder, suffix := "", ""
		switch {
		case strings.HasSuffix(llvm, "/"):
			folder = llvm
		case strings.HasPrefix(llvm, "-"):
			suffix = llvm
		}
		cc, ld = []string{folder + "clang" + suffix}, []string{folder + "ld.lld" + suffix}
	}
	// A value may hold a launcher, as in CC="ccache gcc".
	if v, ok := vars.makeValue("CC"); ok && strings.TrimSpace(v) != "" {
		cc = strings.Fields(v)
	}
	if v, ok := vars.makeValue("LD"); ok && strings.TrimSpace(v) != "" {
		ld = strings.Fields(v)
	}
	return cc, ld
}
