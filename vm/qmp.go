package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
)

// qmpTimeout bounds one answer of QEMU's main loop, which serves its other
// devices too and may be short of processor time.
const qmpTimeout = 30 * time.Second

// qmpSocket is a listening socket that QEMU inherits. Both its name and its
// folder are gone before QEMU starts, so nothing is left behind whatever
// happens; and as the connection waits in the socket's queue, nobody has to
// poll for QEMU to come up.
type qmpSocket struct {
	listener *os.File
	mon      *qmp.SocketMonitor
}

// newQMPSocket makes the socket and connects to it. The name lives in the
// temporary folder because a run's folder may be deeper than the 107 bytes that
// a socket's path may have (unix(7)).
func newQMPSocket() (_ *qmpSocket, err error) {
	dir, err := os.MkdirTemp("", "patchproof-")
	if err != nil {
		return nil, fmt.Errorf("QMP socket: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "qmp")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("QMP socket: %w", err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		return nil, fmt.Errorf("QMP socket: %w", err)
	}
	mon, err := qmp.NewSocketMonitor("unix", path, qmpTimeout)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("QMP socket: %w", err), f.Close())
	}
	return &qmpSocket{listener: f, mon: mon}, nil
}

// machineMonitor is the QMP connection of one guest.
type machineMonitor struct {
	mon *qmp.SocketMonitor
	// done is closed when the last event has been handled.
	done chan struct{}
}

// connect shakes hands with QEMU and passes its events to onEvent from one
// goroutine. It fails when QEMU ends first, and then leaves the connection to
// the caller to close.
func (s *qmpSocket) connect(ctx context.Context, onEvent func(qmp.Event)) (*machineMonitor, error) {
	m := &machineMonitor{mon: s.mon, done: make(chan struct{})}
	shaken := make(chan error, 1)
	go func() { shaken <- s.mon.Connect() }()
	var err error
	select {
	case err = <-shaken:
	case <-ctx.Done():
		// Closing the connection is what ends Connect.
		err = errors.Join(ctx.Err(), s.mon.Disconnect())
		<-shaken
	}
	if err != nil {
		return nil, fmt.Errorf("QMP handshake: %w", err)
	}
	events, err := s.mon.Events(ctx)
	if err != nil {
		return nil, fmt.Errorf("QMP events: %w", err)
	}
	go func() {
		defer close(m.done)
		for e := range events {
			onEvent(e)
		}
	}()
	return m, nil
}

// run executes one command and returns its "return" value.
func (m *machineMonitor) run(ctx context.Context, command string, args any) (json.RawMessage, error) {
	request, err := json.Marshal(qmp.Command{Execute: command, Args: args})
	if err != nil {
		return nil, fmt.Errorf("QMP %s: %w", command, err)
	}
	type answer struct {
		data []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		data, err := m.mon.Run(request)
		// The library hands out a part of its read buffer: copy it before
		// the next message overwrites it.
		answered <- answer{append([]byte(nil), data...), err}
	}()
	ctx, cancel := context.WithTimeout(ctx, qmpTimeout)
	defer cancel()
	select {
	case a := <-answered:
		if a.err != nil {
			return nil, fmt.Errorf("QMP %s: %w", command, a.err)
		}
		var reply struct {
			Return json.RawMessage `json:"return"`
		}
		if err := json.Unmarshal(a.data, &reply); err != nil {
			return nil, fmt.Errorf("QMP %s: %w", command, err)
		}
		return reply.Return, nil
	case <-m.done:
		return nil, fmt.Errorf("QMP %s: QEMU has ended", command)
	case <-ctx.Done():
		return nil, fmt.Errorf("QMP %s: no answer: %w", command, ctx.Err())
	}
}

// human runs a command of the human monitor, for what QMP has no command for.
func (m *machineMonitor) human(ctx context.Context, line string) (string, error) {
	raw, err := m.run(ctx, "human-monitor-command", map[string]string{"command-line": line})
	if err != nil {
		return "", err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("QMP %s: %w", line, err)
	}
	return text, nil
}

// state is what the virtual machine does now: "running", "paused", "io-error",
// ... (RunState in QEMU's qapi/run-state.json).
func (m *machineMonitor) state(ctx context.Context) (string, error) {
	raw, err := m.run(ctx, "query-status", nil)
	if err != nil {
		return "", err
	}
	var status struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(raw, &status); err != nil {
		return "", fmt.Errorf("QMP query-status: %w", err)
	}
	return status.Status, nil
}

// close ends the connection and waits for the last event.
func (m *machineMonitor) close() {
	_ = m.mon.Disconnect()
	<-m.done
}
