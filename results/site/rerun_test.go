package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchproof/results"
)

func lines(commands []command) string {
	var out []string
	for _, c := range commands {
		out = append(out, c.Line)
	}
	return strings.Join(out, "\n")
}

func TestCommands(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, byHandName), []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	plan := []byte("workload:\n  phases:\n    - name: x\nguest:\n  vcpus: 2\n  memory: 512MiB\n  append: [quiet]\n")
	qemu := []string{"qemu", "-kernel", "/k/bzImage", "-append", "console=ttyS0 quiet patchproof_perturb.share=64 patchproof_perturb.seed=1"}
	run := results.Run{Command: qemu, Accel: "kvm", Seed: 99, Dir: dir}
	verify := campaign{Campaign: results.Campaign{Kind: results.KindVerify, Command: []string{"patchproof", "verify", "it's.yaml"}, Plan: plan, Dir: "/r/c"}}
	matrix := campaign{Campaign: results.Campaign{Kind: results.KindMatrix, Command: []string{"patchproof", "matrix", "p.yaml"}, Dir: "/r/m", ElapsedSeconds: 1,
		Matrix: &results.MatrixRecord{PlanFile: "/p q.yaml", Variables: map[string]string{"b": "2", "a": "1 1"}}}}
	for _, test := range []struct {
		name      string
		got, want string
	}{
		{"a run of a verification", lines(verify.runCommands(&run)),
			"patchproof run --kernel /k/bzImage --workload /r/c/plan.yaml --vcpus 2 --memory 512MiB --accel kvm --append quiet --append patchproof_perturb.share=64 --append patchproof_perturb.seed=99\n" +
				"sh " + dir + "/qemu-cmdline.txt\npatchproof verify 'it'\\''s.yaml'"},
		{"a run without a command line", lines(verify.runCommands(&results.Run{})), "patchproof verify 'it'\\''s.yaml'"},
		{"a cell", lines(matrix.cellCommand("kernel=a x=b")), "patchproof matrix '/p q.yaml' --var 'a=1 1' --var b=2 --cell 'kernel=a x=b'"},
		{"a matrix that ended", lines(matrix.commands()), "patchproof matrix p.yaml"},
		{"one that was broken off", lines((&campaign{Campaign: results.Campaign{Kind: results.KindMatrix, Dir: "/r/m"}}).commands()), "patchproof matrix --resume /r/m"},
	} {
		if test.got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, test.got, test.want)
		}
	}
}

func TestCommandLines(t *testing.T) {
	got := commandLines([]string{"qemu-system-x86_64", "-nodefaults", "-append", "a b", "-m", "1G"})
	if want := "qemu-system-x86_64 \\\n  -nodefaults \\\n  -append 'a b' \\\n  -m 1G"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
