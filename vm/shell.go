package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

// Shell runs the guest's shell with the given streams until it ends. When
// stdin is a terminal, the shell gets one of its own of the same size and the
// host's is in raw mode meanwhile: escape sequences of the guest then reach
// the user's terminal, as in any SSH session. The shell's exit status is not
// an error.
func (g *Guest) Shell(ctx context.Context, stdin *os.File, stdout, stderr io.Writer) error {
	client, session, err := g.openSession(ctx)
	if err != nil {
		return g.explain(ctx, "shell", err)
	}
	defer g.link.drop(client)
	defer session.Close()
	session.Stdout, session.Stderr = stdout, stderr
	input, err := session.StdinPipe()
	if err != nil {
		return fmt.Errorf("guest %s: shell: %w", g.spec.Name, err)
	}
	if fd := int(stdin.Fd()); term.IsTerminal(fd) {
		restore, err := terminalFor(session, fd)
		if err != nil {
			return fmt.Errorf("guest %s: shell: %w", g.spec.Name, err)
		}
		defer restore()
	}
	if err := session.Shell(); err != nil {
		return g.explain(ctx, "shell", err)
	}
	// A read from a terminal cannot be ended; this goroutine lives until the
	// next key, or the end of the program.
	go func() {
		_, _ = io.Copy(input, stdin)
		_ = input.Close()
	}()
	return g.waitShell(ctx, session)
}

func (g *Guest) waitShell(ctx context.Context, session *ssh.Session) error {
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	select {
	case err := <-ended:
		var exit *ssh.ExitError
		var noStatus *ssh.ExitMissingError
		if err == nil || errors.As(err, &exit) || errors.As(err, &noStatus) {
			return nil
		}
		return g.explain(ctx, "shell", err)
	case <-ctx.Done():
		return ctx.Err()
	case <-g.done:
		return g.over()
	}
}

// terminalFor gives the session a terminal like the host's, which it puts into
// raw mode until restore is called.
func terminalFor(session *ssh.Session, fd int) (restore func(), err error) {
	width, height, err := term.GetSize(fd)
	if err != nil {
		width, height = 80, 24
	}
	if err := session.RequestPty("vt100", height, width, ssh.TerminalModes{}); err != nil {
		return nil, fmt.Errorf("terminal in the guest (its kernel needs CONFIG_UNIX98_PTYS): %w", err)
	}
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	return func() { _ = term.Restore(fd, state) }, nil
}
