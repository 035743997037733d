package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// byHand returns a shell script that starts the same guest without the harness:
// disks by name, the console on the terminal, and no SSH server, for which init
// gives a shell on the console.
func byHand(spec Spec, qemu string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\n# Guest %s by hand: run this file with sh. The console is this terminal\n# (init starts a shell there); leaving the shell powers off. The disks are new\n# and empty.\nset -e\n", spec.Name)
	if spec.Fork != nil {
		b.WriteString("# The run went on from a saved state; by hand, the guest boots.\n")
	}
	var w Wiring
	for i, d := range spec.Disks {
		path := filepath.Join(spec.Dir, diskName(i))
		w.Disks = append(w.Disks, path)
		fmt.Fprintf(&b, "truncate -s %dM %s\n", d.SizeMiB, shellQuote(path))
	}
	b.WriteString("exec " + shellQuote(qemu))
	for _, arg := range Arguments(spec, w) {
		if strings.HasPrefix(arg, "-") {
			b.WriteString(" \\\n\t")
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(shellQuote(arg))
	}
	b.WriteByte('\n')
	return b.String()
}

func writeByHand(spec Spec, qemu string) error {
	path := filepath.Join(spec.Dir, "qemu-cmdline.txt")
	if err := os.WriteFile(path, []byte(byHand(spec, qemu)), 0o644); err != nil {
		return fmt.Errorf("guest %s: %w", spec.Name, err)
	}
	return nil
}

// shellQuote makes one word of a POSIX shell out of s.
func shellQuote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+%@"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
