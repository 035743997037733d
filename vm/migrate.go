package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// migratePoll is how often QEMU is asked how far it is.
	migratePoll = 10 * time.Millisecond
	// statePatience bounds the way of a state from QEMU or to it.
	statePatience = 2 * time.Minute
	// disconnectPatience bounds the wait for the guest's side of closed
	// connections. What is then still open only costs the copies memory.
	disconnectPatience = 2 * time.Second
)

// saveMemory writes the state of a stopped machine, all but its disks, to a new
// file. QEMU sends it over a socket and the harness writes the file, so that a
// full disk is an error of ours with a reason.
func (m *machineMonitor) saveMemory(ctx context.Context, path string) (err error) {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	dir, err := os.MkdirTemp("", "patchproof-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	socket := filepath.Join(dir, "state")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return err
	}
	receiving, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	received := make(chan error, 1)
	go func() { received <- receive(receiving, listener, out) }()
	sendErr := m.sendState(ctx, socket)
	if sendErr != nil {
		giveUp()
	}
	// The receiver's error comes first: QEMU's is its consequence.
	if err := <-received; err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return sendErr
}

// receive writes what one connection brings, until it or ctx ends.
func receive(ctx context.Context, l *net.UnixListener, out io.Writer) error {
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	_, err = io.Copy(out, conn)
	return err
}

// sendState makes QEMU send the machine's state and waits until it has.
func (m *machineMonitor) sendState(ctx context.Context, socket string) error {
	const unlimited = 1 << 40 // bytes a second; the default is far below a disk's
	if _, err := m.run(ctx, "migrate-set-parameters", map[string]int64{"max-bandwidth": unlimited}); err != nil {
		return err
	}
	if _, err := m.run(ctx, "migrate", map[string]string{"uri": "unix:" + socket}); err != nil {
		return err
	}
	return poll(ctx, statePatience, func() (bool, error) {
		raw, err := m.run(ctx, "query-migrate", nil)
		if err != nil {
			return false, err
		}
		var answer struct {
			Status string `json:"status"`
			Reason string `json:"error-desc"`
		}
		if err := json.Unmarshal(raw, &answer); err != nil {
			return false, fmt.Errorf("QMP query-migrate: %w", err)
		}
		switch answer.Status {
		case "completed":
			return true, nil
		case "failed", "cancelled":
			return false, fmt.Errorf("QEMU cannot save the machine: %s %s", answer.Status, answer.Reason)
		}
		return false, nil
	})
}

// resume waits until QEMU has read the state that it was started with, and lets
// the machine go on. A state that QEMU refuses ends it, with words in its log.
func (m *machineMonitor) resume(ctx context.Context) error {
	err := poll(ctx, statePatience, func() (bool, error) {
		state, err := m.state(ctx)
		return err == nil && state != "inmigrate", err
	})
	if err != nil {
		return fmt.Errorf("loading the saved machine: %w", err)
	}
	_, err = m.run(ctx, "cont", nil)
	return err
}

// poll asks until the answer is yes, an error, or patience is over.
func poll(ctx context.Context, patience time.Duration, ask func() (bool, error)) error {
	tick := time.NewTicker(migratePoll)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		if done, err := ask(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("not done after %v", patience)
		}
	}
}

// awaitDisconnected waits until the guest has closed its ends of connections
// that the harness has closed.
func (g *Guest) awaitDisconnected(ctx context.Context) {
	// An error or the end of patience changes nothing here: what is wrong with the
	// machine shows when it is saved.
	_ = poll(ctx, disconnectPatience, func() (bool, error) {
		text, err := g.monitor.human(ctx, "info usernet")
		return !hasConnections(text), err
	})
}

// hasConnections tells from the answer to "info usernet" (see parseUsernet)
// whether the guest has an open TCP connection.
func hasConnections(text string) bool {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(f[0], "TCP[") {
			continue
		}
		switch f[0] {
		case "TCP[HOST_FORWARD]", "TCP[TIME_WAIT]", "TCP[CLOSED]":
		default:
			return true
		}
	}
	return false
}
