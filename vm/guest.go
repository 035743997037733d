package vm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Guest is a running virtual machine. Its methods may be called from several
// goroutines. Nobody has to wait for it, but only when Done is closed are its
// logs complete and is nothing of it left.
type Guest struct {
	spec    Spec
	nonce   string
	started time.Time

	proc    *process
	load    []*process      // busy beside proc
	monitor *machineMonitor // nil when QEMU ended before it spoke
	console *consolePump
	link    *sshLink
	// keys and socket are for launch and attach.
	keys   *runKeys
	socket *qmpSocket
	// fed is closed when a saved state has been passed to QEMU or QEMU has
	// ended; nil when the guest boots.
	fed <-chan struct{}

	// saidReady is closed when init has said that the SSH server listens,
	// usable when a connection stands, done when nothing is left.
	saidReady, usable, done chan struct{}
	readyOnce               sync.Once

	commands atomic.Int64 // numbers Run's commands

	mu         sync.Mutex
	ev         evidence
	paused     bool // by Pause
	lastAnswer time.Time
	// stoppedByOthers is set while the machine is stopped without Pause.
	stoppedByOthers bool
	failure         *Failure
}

// Start starts a guest and returns once QEMU has accepted it; the guest is then
// booting. ctx bounds the guest's whole life: when it ends, the guest is
// killed. Errors are a *Failure of kind FailureStart where QEMU is at fault.
func Start(ctx context.Context, spec Spec) (*Guest, error) {
	if err := spec.validate(); err != nil {
		return nil, err
	}
	spec = spec.withDefaults()
	qemu, err := FindQEMU(spec.QEMU)
	if err != nil {
		return nil, &Failure{Kind: FailureStart, Guest: spec.Name, Detail: err.Error(), Cause: err}
	}
	if spec.Dir, err = filepath.Abs(spec.Dir); err != nil {
		return nil, fmt.Errorf("guest %s: %w", spec.Name, err)
	}
	if err := os.MkdirAll(spec.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("guest %s: run folder: %w", spec.Name, err)
	}
	nonce, err := newNonce()
	if err != nil {
		return nil, fmt.Errorf("guest %s: %w", spec.Name, err)
	}
	g := &Guest{
		spec: spec, nonce: nonce,
		saidReady: make(chan struct{}), usable: make(chan struct{}), done: make(chan struct{}),
		ev: evidence{guest: spec.Name, dir: spec.Dir},
	}
	if err := g.launch(ctx, qemu); err != nil {
		return nil, fmt.Errorf("guest %s: %w", spec.Name, err)
	}
	if err := g.attach(ctx); err != nil {
		return nil, g.stillborn(ctx, err)
	}
	g.supervise(ctx)
	return g, nil
}

// stillborn ends a guest that could not be attached to. A QEMU that ends by
// itself has said why in its log, which is a better reason than err.
func (g *Guest) stillborn(ctx context.Context, err error) error {
	select {
	case <-g.proc.exited:
	case <-ctx.Done():
		g.decide(FailureKilled, "stopped: "+context.Cause(ctx).Error(), ctx.Err())
	case <-time.After(endPatience):
		g.decide(FailureStart, err.Error(), err)
	}
	g.finish()
	if f := g.Failure(); f != nil {
		return f
	}
	return &Failure{Kind: FailureStart, Guest: g.spec.Name, Detail: err.Error(), Cause: err}
}

// newNonce returns the 16 hex digits that mark the protocol's lines of one run.
func newNonce() (string, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("nonce: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// Done is closed when QEMU is reaped and console.log is complete.
func (g *Guest) Done() <-chan struct{} { return g.done }

// Failure says how the guest failed: nil while it runs and when it ended as asked.
func (g *Guest) Failure() *Failure {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failure
}

// CPUTime is the user and system time that QEMU, and the load beside it, have
// taken so far, or had taken when they ended.
func (g *Guest) CPUTime() time.Duration {
	sum := g.proc.cpu()
	for _, p := range g.load {
		sum += p.cpu()
	}
	return sum
}

// PID is QEMU's process id.
func (g *Guest) PID() int { return g.proc.pid() }

// Command is QEMU's command line, for the record: its file descriptors are of
// this run, see qemu-cmdline.txt for a line that can be typed.
func (g *Guest) Command() []string { return slices.Clone(g.proc.cmd.Args) }

// Nonce is what marks this run's protocol lines on the console.
func (g *Guest) Nonce() string { return g.nonce }

// ConsoleSize is the number of bytes on the console so far, in console.log.
func (g *Guest) ConsoleSize() int64 { return g.console.size.Load() }

// Kill ends the guest at once and returns when nothing of it is left. Killing a
// guest that has ended does nothing.
func (g *Guest) Kill() {
	g.decide(FailureKilled, "stopped by the harness", nil)
	<-g.done
}

// decide records why the harness ends the guest, if nothing has been recorded
// before, and ends it.
func (g *Guest) decide(kind FailureKind, detail string, cause error) {
	g.mu.Lock()
	if g.ev.decided == nil {
		g.ev.decided = &Failure{Kind: kind, Detail: detail, Cause: cause}
	}
	g.mu.Unlock()
	g.proc.kill()
}

// WaitReady waits until the guest's SSH server has answered. Its error is the
// guest's *Failure when the guest ends first.
func (g *Guest) WaitReady(ctx context.Context) error {
	select {
	case <-g.usable:
		return nil
	case <-g.done:
		return g.over()
	case <-ctx.Done():
		return fmt.Errorf("guest %s: waiting for its SSH server: %w", g.spec.Name, ctx.Err())
	}
}

// over is the error for using a guest that has ended.
func (g *Guest) over() error {
	if f := g.Failure(); f != nil {
		return f
	}
	return &Failure{Kind: FailurePowerOff, Guest: g.spec.Name, Detail: "the guest has been powered off"}
}

// QMP runs one machine protocol command and returns its "return" value. A
// "stop" sent this way is taken for a hang within seconds: use Pause.
func (g *Guest) QMP(command string, args any) (json.RawMessage, error) {
	raw, err := g.monitor.run(context.Background(), command, args)
	if err != nil {
		return nil, fmt.Errorf("guest %s: %w", g.spec.Name, err)
	}
	return raw, nil
}

// Pause stops the guest's processors; limits for silence do not run meanwhile.
func (g *Guest) Pause() error {
	g.setPaused(true)
	if _, err := g.QMP("stop", nil); err != nil {
		g.setPaused(false)
		return err
	}
	return nil
}

// Resume lets a paused guest go on.
func (g *Guest) Resume() error {
	_, err := g.QMP("cont", nil)
	g.setPaused(false)
	return err
}

func (g *Guest) setPaused(paused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused = paused
	g.lastAnswer = time.Now()
}

// qemuLogLine returns the last line of qemu.log, where QEMU says what it did
// not like, without the program's name.
func qemuLogLine(dir string) string {
	data, err := os.ReadFile(filepath.Join(dir, "qemu.log"))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	line := printable([]byte(lines[len(lines)-1]))
	if _, msg, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(line, "qemu") {
		return msg
	}
	return line
}
