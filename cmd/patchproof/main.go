// Command patchproof finds out whether a kernel patch fixes a bug: it boots
// guests on the kernel before and the kernel after the patch, runs a
// reproducer in them, reads what their kernels print, and says how sure that
// makes it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"patchproof/orchestrator"
	"patchproof/workloads"
)

// Exit statuses, see docs/verdicts.md.
const (
	statusOK        = 0
	statusBad       = 1 // not-fixed, regressed; reports found
	statusUsage     = 2 // a mistake in flags, a plan or a path
	statusUndecided = 3 // not-reproduced, inconclusive
	statusBroken    = 4 // the infrastructure failed
)

// statusError ends the program with a status and, when it wraps an error, a
// message.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal stops guests in order; a second one must end the
	// program at once, and QEMU dies with it.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(report(err, os.Stderr))
}

// run is the program without the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	root := newRoot(environment())
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return forGitBisect(cmd, err)
}

// report prints an error and returns the exit status that it means.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return statusOK
	}
	var status *statusError
	if errors.As(err, &status) && status.err == nil {
		return status.status
	}
	fmt.Fprintln(stderr, "patchproof:", err)
	var input *orchestrator.InputError
	var position *workloads.PositionError
	switch {
	case status != nil:
		return status.status
	case errors.As(err, &input), errors.As(err, &position):
		return statusUsage
	}
	return statusBroken
}
