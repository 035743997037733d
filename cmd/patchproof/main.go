// Command patchproof finds out whether a kernel patch fixes a bug: it boots
// guests on the kernel before and the kernel after the patch, runs a
// reproducer in them, reads what their kernels print, and says how sure that
// makes it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"patchproof/kernels"
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
	out := &written{Writer: stdout}
	root.SetOut(out)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	err = forGitBisect(cmd, err)
	if asksJSON(cmd, args) && !out.any {
		return jsonError(stdout, err)
	}
	return err
}

// written notes whether something was written.
type written struct {
	io.Writer
	any bool
}

func (w *written) Write(p []byte) (int, error) {
	w.any = w.any || len(p) > 0
	return w.Writer.Write(p)
}

// asksJSON reports whether a command's output was to be JSON. A mistake may stand
// before the flag that says so.
func asksJSON(cmd *cobra.Command, args []string) bool {
	format := cmd.Flags().Lookup("format")
	return format != nil && (format.Value.String() == "json" || cmd.Flags().Lookup("json") != nil && slices.Contains(args, "--json"))
}

// jsonError prints an error that left nothing to print for a program that waits
// for a document, and returns it.
func jsonError(stdout io.Writer, err error) error {
	message, status := messageOf(err)
	if message == "" {
		return err
	}
	document, merr := json.MarshalIndent(struct {
		Error  string `json:"error"`
		Status int    `json:"exit_status"`
	}{message, status}, "", "  ")
	if merr == nil {
		fmt.Fprintf(stdout, "%s\n", document) // the error itself is told on stderr, too
	}
	return err
}

// report prints an error and returns the exit status that it means.
func report(err error, stderr io.Writer) int {
	message, status := messageOf(err)
	if message != "" {
		fmt.Fprintln(stderr, "patchproof:", message)
	}
	return status
}

// messageOf returns what to say of an error, if anything, and the exit status
// that it means.
func messageOf(err error) (message string, status int) {
	var exit *statusError
	var input *orchestrator.InputError
	var position *workloads.PositionError
	var source *kernels.SourceError
	switch {
	case err == nil:
		return "", statusOK
	case errors.As(err, &exit) && exit.err == nil:
		return "", exit.status
	case exit != nil:
		return err.Error(), exit.status
	case errors.As(err, &input), errors.As(err, &position), errors.As(err, &source):
		return err.Error(), statusUsage
	case errors.Is(err, context.Canceled):
		return strings.ReplaceAll(err.Error(), context.Canceled.Error(), "stopped by a signal"), statusBroken
	}
	return err.Error(), statusBroken
}
