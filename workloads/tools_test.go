package workloads

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// runStep runs a step's command on this machine, as a guest would.
func runStep(t *testing.T, s Step) Output {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", s.Command)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return Output{Stdout: stdout.String(), Stderr: stderr.String(), Status: cmd.ProcessState.ExitCode()}
}

// needTool skips a test on machines without a tool.
func needTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Skipf("%s %v: %v", name, args, err)
	}
	return string(out)
}

// The installed sysbench must accept every option that a workload can give.
func TestInstalledSysbenchAcceptsEveryOption(t *testing.T) {
	version := needTool(t, "sysbench", "--version")
	dir := t.TempDir()
	zero, yes, no := 0, true, false
	base := Sysbench{Threads: 2, Files: 2, TotalSize: 64 * KiB, BlockSize: 4 * KiB, Mode: "rndwr", Events: 20, Dir: dir}
	variant := func(change func(*Sysbench)) Phase {
		s := base
		s.Action = "run"
		change(&s)
		return Phase{Sysbench: &s}
	}
	prepare, cleanup := base, base
	prepare.Action, cleanup.Action = "prepare", "cleanup"
	phases := []Phase{{Sysbench: &prepare}}
	for _, mode := range sysbenchModes {
		phases = append(phases, variant(func(s *Sysbench) { s.Mode = mode }))
	}
	for _, mode := range sysbenchIOModes {
		phases = append(phases, variant(func(s *Sysbench) { s.IOMode = mode }))
	}
	for _, flag := range sysbenchFlags {
		if flag != "direct" { // tmpfs, where tests may run, has no O_DIRECT before Linux 6.6
			phases = append(phases, variant(func(s *Sysbench) { s.Flags = []string{flag} }))
		}
	}
	for _, randType := range sysbenchRandTypes {
		phases = append(phases, variant(func(s *Sysbench) { s.RandType = randType }))
	}
	phases = append(phases,
		variant(func(s *Sysbench) { s.FsyncFreq, s.FsyncEnd, s.FsyncAll = &zero, &no, &no }),
		variant(func(s *Sysbench) { s.FsyncEnd, s.FsyncAll = &yes, &yes }),
		variant(func(s *Sysbench) { s.Events, s.Time = 0, Duration(time.Second) }),
		Phase{Sysbench: &cleanup})
	steps, err := Compile(&Workload{Name: "x", Phases: phases}, Tools{SysbenchVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if err := s.Check(runStep(t, s)); err != nil {
			t.Errorf("%v\n%s", err, s.Command)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("cleanup left %v", left)
	}
}

// The installed mkfs.btrfs must accept what is chosen for old and new kernels.
func TestInstalledMkfsAcceptsTheFeatures(t *testing.T) {
	tools := Tools{BtrfsProgsVersion: needTool(t, "mkfs.btrfs", "--version"), MkfsFeatures: needTool(t, "mkfs.btrfs", "-O", "list-all")}
	if out, err := exec.Command("mkfs.btrfs", "-R", "list-all").CombinedOutput(); err == nil {
		tools.MkfsRuntimeFeatures = string(out)
	}
	if len(tools.features()) < 5 {
		t.Fatalf("read only %v from\n%s", featureNames(tools.features()), tools.MkfsFeatures)
	}
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, int64(512*MiB)); err != nil {
		t.Fatal(err)
	}
	for _, kernel := range []version{{3, 10, 0}, {3, 14, 0}, {4, 4, 0}, {6, 1, 0}} {
		tools.KernelMajor, tools.KernelMinor = kernel.major, kernel.minor
		steps, err := Compile(&Workload{Name: "x", Phases: []Phase{{Mkfs: &Mkfs{FS: "btrfs", Device: image}}}}, tools)
		if err != nil {
			t.Fatal(err)
		}
		if err := steps[0].Check(runStep(t, steps[0])); err != nil {
			t.Errorf("for Linux %v: %v\n%s", kernel, err, steps[0].Command)
		}
	}
}
