package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/melbahja/goph"
	"golang.org/x/crypto/ssh"
)

const (
	// maxOutput is how much is kept of each of a command's two outputs.
	maxOutput = 4 << 20
	// killPatience bounds the attempt to end a command whose time is up.
	killPatience = 5 * time.Second
	// endPatience is how long after a broken connection QEMU's end, which
	// explains it, is waited for.
	endPatience = 3 * time.Second
)

// Result is what a command did in a guest.
type Result struct {
	Stdout, Stderr []byte
	// Status is the exit status, or 128 plus the number of the signal that
	// ended the command, as shells have it.
	Status int
	// Duration is measured on the host and includes the way there and back.
	Duration time.Duration
	// Truncated is set when an output was longer than the 4 MiB that are kept.
	Truncated bool
}

// Run runs a command line with sh -c in the guest and waits for it. A status
// other than 0 is not an error. Errors are a *Failure when the guest or the
// connection failed, and wrap ctx's error when ctx ended first; then the
// command and its children have been killed, and Result holds what it had
// printed.
func (g *Guest) Run(ctx context.Context, command string) (Result, error) {
	pidFile := fmt.Sprintf("/run/command.%d", g.commands.Add(1))
	// A session of its own makes the command and its children one process
	// group, which can be killed as a whole.
	line := "exec setsid sh -c " + shellQuote("echo $$ >"+pidFile+"\n"+command)
	return g.run(ctx, command, line, pidFile)
}

// Mark writes the protocol line "patchproof NONCE text" to the guest's kernel
// log, and with that to the console.
func (g *Guest) Mark(ctx context.Context, text string) error {
	if strings.ContainsAny(text, "\n\r") {
		return fmt.Errorf("guest %s: mark %q: must be one line", g.spec.Name, text)
	}
	line := "echo " + shellQuote("patchproof "+g.nonce+" "+text) + " >/dev/kmsg"
	res, err := g.run(ctx, line, line, "")
	if err != nil {
		return err
	}
	if res.Status != 0 {
		return fmt.Errorf("guest %s: cannot write to /dev/kmsg (the kernel needs CONFIG_PRINTK): %s", g.spec.Name, printable(res.Stderr))
	}
	return nil
}

// run sends one command line. A pidFile names the file in the guest that holds
// the process group to kill when ctx ends.
func (g *Guest) run(ctx context.Context, name, line, pidFile string) (Result, error) {
	type outcome struct {
		res Result
		err error
	}
	begin := time.Now()
	ended := make(chan outcome, 1)
	go func() {
		res, err := g.session(ctx, line)
		ended <- outcome{res, err}
	}()
	var o outcome
	select {
	case o = <-ended:
	case <-ctx.Done():
		g.killCommand(pidFile)
		select {
		case o = <-ended:
		case <-time.After(killPatience):
		case <-g.done:
		}
		o.err = ctx.Err()
	}
	o.res.Duration = time.Since(begin)
	if o.err == nil {
		g.answered()
		return o.res, nil
	}
	return o.res, g.explain(ctx, "command "+strconv.Quote(abbreviate(name)), o.err)
}

// session runs a command line in a session of a connection of its own.
func (g *Guest) session(ctx context.Context, line string) (res Result, err error) {
	client, sess, err := g.openSession(ctx)
	if err != nil {
		return Result{}, err
	}
	defer func() {
		if err != nil {
			g.link.drop(client)
		} else {
			g.link.give(client)
		}
	}()
	defer sess.Close()
	stdout, stderr := &cappedBuffer{}, &cappedBuffer{}
	sess.Stdout, sess.Stderr = stdout, stderr
	if err := sess.Start(line); err != nil {
		return Result{}, fmt.Errorf("starting the command: %w", err)
	}
	err = sess.Wait()
	res = Result{Stdout: stdout.data, Stderr: stderr.data, Truncated: stdout.cut || stderr.cut}
	var exitErr *ssh.ExitError
	if errors.As(err, &exitErr) {
		res.Status = exitErr.ExitStatus()
		if sig := exitErr.Signal(); sig != "" {
			res.Status = 128 + signalNumber(sig)
		}
		return res, nil
	}
	return res, err
}

// openSession tries twice, because an idle connection may have been lost unseen.
func (g *Guest) openSession(ctx context.Context) (*goph.Client, *ssh.Session, error) {
	for retry := false; ; retry = true {
		client, err := g.link.take(ctx)
		if err != nil {
			return nil, nil, err
		}
		sess, err := client.NewSession()
		if err == nil {
			return client, sess, nil
		}
		g.link.drop(client)
		if retry || ctx.Err() != nil {
			return nil, nil, fmt.Errorf("opening a session: %w", err)
		}
	}
}

// killCommand ends a command's process group.
func (g *Guest) killCommand(pidFile string) {
	if pidFile == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), killPatience)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = g.session(ctx, "kill -KILL -$(cat "+pidFile+")")
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	case <-g.done:
	}
}

// explain turns an error of the connection into the guest's failure, which
// QEMU's end reveals a moment later.
func (g *Guest) explain(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		select {
		case <-g.done:
		default:
			return fmt.Errorf("guest %s: %s: %w", g.spec.Name, what, context.Cause(ctx))
		}
	}
	select {
	case <-g.done:
		return g.over()
	case <-time.After(endPatience):
	}
	return &Failure{
		Kind: FailureNoSSH, Guest: g.spec.Name, Cause: err,
		Detail: fmt.Sprintf("%s: the SSH connection failed while the guest lives: %v (out of memory in the guest? see the console)", what, err),
	}
}

// sftp opens goph's SFTP client and runs transfer with it; ctx's end closes it.
func (g *Guest) sftp(ctx context.Context, what string, transfer func(*goph.Client) error) error {
	ended := make(chan error, 1)
	go func() {
		client, err := g.link.take(ctx)
		if err != nil {
			ended <- err
			return
		}
		err = transfer(client)
		var aboutFile *transferError
		if err == nil || errors.As(err, &aboutFile) {
			g.link.give(client)
		} else {
			g.link.drop(client)
		}
		ended <- err
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	case <-g.done:
		return g.over()
	}
	if err == nil {
		g.answered()
		return nil
	}
	var refused *transferError
	if errors.As(err, &refused) {
		return fmt.Errorf("guest %s: %s: %w", g.spec.Name, what, refused.err)
	}
	return g.explain(ctx, what, err)
}

// cappedBuffer keeps the first maxOutput bytes.
type cappedBuffer struct {
	data []byte
	cut  bool
}

// Write implements io.Writer; it takes everything, so that the command is never
// blocked by its own output.
func (b *cappedBuffer) Write(p []byte) (int, error) {
	room := maxOutput - len(b.data)
	if len(p) > room {
		b.cut = true
		b.data = append(b.data, p[:room]...)
	} else {
		b.data = append(b.data, p...)
	}
	return len(p), nil
}

var _ io.Writer = (*cappedBuffer)(nil)

// signalNumber maps the names of RFC 4254, section 6.10, to Linux's numbers.
func signalNumber(name string) int {
	numbers := map[string]int{
		"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8,
		"KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15,
	}
	return numbers[name]
}

// abbreviate shortens a command for messages.
func abbreviate(s string) string {
	const longest = 60
	if len(s) <= longest {
		return s
	}
	return s[:longest] + "..."
}
