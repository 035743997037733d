package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"patchproof/orchestrator"
)

var update = flag.Bool("update", false, "rewrite the expected output in the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"patchproof": main})
}

// TestScripts runs the real command over testdata/script. None of the scripts
// boots a guest: those tests carry the build tag vm.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CACHE_HOME", e.WorkDir+"/cache")
			e.Setenv("XDG_STATE_HOME", e.WorkDir+"/state")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status},
	})
}

// status runs a command that must end with the exit status given first.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// TestMessageOf: statuses that scripts go by, and words for people.
func TestMessageOf(t *testing.T) {
	for _, tt := range []struct {
		err     error
		message string
		status  int
	}{
		{nil, "", statusOK},
		{&statusError{status: statusBad}, "", statusBad},
		{usage("no %s", "plan"), "no plan", statusUsage},
		{fmt.Errorf("plan: %w", &orchestrator.InputError{Err: errors.New("no such tree")}), "plan: no such tree", statusUsage},
		{fmt.Errorf("guest x: %w", context.Canceled), "guest x: stopped by a signal", statusBroken},
		{errors.New("disk full"), "disk full", statusBroken},
	} {
		if message, status := messageOf(tt.err); message != tt.message || status != tt.status {
			t.Errorf("%v: %q with status %d, want %q with %d", tt.err, message, status, tt.message, tt.status)
		}
	}
}
