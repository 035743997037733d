package vm

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
)

const (
	// watchEvery is how often the limits are looked at.
	watchEvery = 500 * time.Millisecond
	// stopGrace is how long a machine may be stopped without our asking
	// before that counts as a hang; QEMU stops machines for moments itself.
	stopGrace = 3 * time.Second
	// panicGrace is how long a panicked kernel has to print its report and to
	// reset the machine, which the command line asks for.
	panicGrace = 10 * time.Second
)

// supervise starts what watches over the guest until it has ended.
func (g *Guest) supervise(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		g.decide(FailureKilled, "stopped: "+context.Cause(ctx).Error(), ctx.Err())
	})
	life, end := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		g.watch(life)
	}()
	linked := make(chan struct{})
	go func() {
		defer close(linked)
		g.keepLink(life)
	}()
	go func() {
		<-g.proc.exited
		stop()
		end()
		g.link.close()
		<-watched
		<-linked
		g.finish()
	}()
}

// finish waits for the last bytes and names how the guest ended.
func (g *Guest) finish() {
	<-g.proc.exited
	endAll(g.load)
	<-g.console.done
	if g.fed != nil {
		<-g.fed
	}
	if g.monitor != nil {
		g.monitor.close()
	}
	lines := g.console.last(tailLines)
	g.mu.Lock()
	g.ev.exit = g.proc.status()
	g.ev.qemuLog = qemuLogLine(g.spec.Dir)
	g.ev.console = lines
	g.failure = classify(g.ev)
	g.mu.Unlock()
	close(g.done)
}

// watch looks at the limits.
func (g *Guest) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	w := watcher{limits: g.spec.Limits}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if f := w.check(g.vitals(ctx)); f != nil {
			g.decide(f.Kind, f.Detail+"; see "+g.spec.Dir+"/console.log", nil)
			return
		}
	}
}

// vitals are what the watcher judges by. Durations are ages.
type vitals struct {
	life       time.Duration // since the start
	sinceByte  time.Duration // since the last console byte
	sinceReply time.Duration // since the last answer over SSH
	bytes      int64         // on the console
	usable     bool          // the SSH server has answered
	paused     bool          // by Pause
	asked      bool          // the guest is being powered off
	panicked   bool
	processT   bool   // QEMU is stopped by a signal
	state      string // QMP run state, only asked for when it matters
	lastLine   string
}

func (g *Guest) vitals(ctx context.Context) vitals {
	now := time.Since(g.started)
	v := vitals{
		life:      now,
		sinceByte: now - time.Duration(g.console.lastByte.Load()),
		bytes:     g.console.size.Load(),
		processT:  g.proc.stopped(),
	}
	if last := g.console.last(1); len(last) == 1 {
		v.lastLine = last[0]
	}
	g.mu.Lock()
	v.usable, v.paused, v.asked, v.panicked = g.ev.ready, g.paused, g.ev.asked, g.ev.panicked
	v.sinceReply = time.Since(g.lastAnswer)
	stopped := g.stoppedByOthers
	g.mu.Unlock()
	if stopped && !v.processT {
		// Only now, because the answer costs a round trip.
		if state, err := g.monitor.state(ctx); err == nil {
			v.state = state
		}
	}
	return v
}

// watcher judges a guest's vitals. It remembers since when something is wrong.
type watcher struct {
	limits                    Limits
	stoppedFor, panicFor      time.Duration // life at which it was first seen
	stoppedSeen, panickedSeen bool
}

// check returns what is wrong, or nil.
func (w *watcher) check(v vitals) *Failure {
	if f := w.checkStopped(v); f != nil {
		return f
	}
	switch {
	case v.panicked:
		if !w.panickedSeen {
			w.panickedSeen, w.panicFor = true, v.life
		}
		if v.life-w.panicFor > panicGrace {
			return &Failure{Kind: FailurePanic, Detail: "the kernel panicked and did not reset the machine"}
		}
	case w.limits.Run > 0 && v.life > w.limits.Run:
		return &Failure{Kind: FailureRunTimeout, Detail: fmt.Sprintf("still running after the limit of %s; last console line: %s", w.limits.Run, v.lastLine)}
	case v.paused || v.asked:
	case !v.usable:
		return w.checkBoot(v)
	case w.limits.Silence > 0 && v.sinceReply > w.limits.Silence:
		return &Failure{Kind: FailureHang, Detail: fmt.Sprintf("no answer from the guest's SSH server for %s (the console was last heard %s ago); last console line: %s",
			round(v.sinceReply), round(v.sinceByte), v.lastLine)}
	}
	return nil
}

// checkStopped finds machines that somebody else has stopped.
func (w *watcher) checkStopped(v vitals) *Failure {
	detail := ""
	switch {
	case v.state == "io-error":
		return &Failure{Kind: FailureDiskFull, Detail: "QEMU stopped the guest because the host could not store what it wrote to its disk; make room (df tells where) and run again"}
	case v.processT:
		detail = "the QEMU process is stopped by a signal (kill -CONT lets it go on)"
	case v.state == "paused" || v.state == "internal-error" || v.state == "watchdog" || v.state == "suspended":
		detail = "the virtual machine is stopped (QEMU's state: " + v.state + ") and the harness did not ask for it"
	default:
		w.stoppedSeen = false
		return nil
	}
	if !w.stoppedSeen {
		w.stoppedSeen, w.stoppedFor = true, v.life
	}
	if v.life-w.stoppedFor < stopGrace {
		return nil
	}
	return &Failure{Kind: FailureHang, Detail: detail}
}

func (w *watcher) checkBoot(v vitals) *Failure {
	hint := "; last console line: " + v.lastLine
	if v.bytes == 0 {
		hint = ": not a byte on the serial console. Either the kernel lacks CONFIG_SERIAL_8250_CONSOLE, or the accelerator does not run it (try tcg)"
	}
	switch {
	case w.limits.Boot > 0 && v.life > w.limits.Boot:
		return &Failure{Kind: FailureBootTimeout, Detail: fmt.Sprintf("no SSH server after %s%s", w.limits.Boot, hint)}
	case w.limits.Silence > 0 && v.sinceByte > w.limits.Silence:
		return &Failure{Kind: FailureHang, Detail: fmt.Sprintf("silent for %s while booting%s", round(v.sinceByte), hint)}
	}
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

// onQMP notes QEMU's events.
func (g *Guest) onQMP(e qmp.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch e.Event {
	case "SHUTDOWN":
		if reason, ok := e.Data["reason"].(string); ok {
			g.ev.shutdown = reason
		}
	case "GUEST_PANICKED":
		g.ev.panicked = true
	case "STOP":
		g.stoppedByOthers = !g.paused
	case "RESUME":
		g.stoppedByOthers = false
	}
}

// onConsole notes what the console says.
func (g *Guest) onConsole(e event) {
	switch e.kind {
	case eventPanic:
		g.mu.Lock()
		g.ev.panicked = true
		g.ev.panicReason = printable([]byte(e.text))
		g.mu.Unlock()
	case eventProtocol:
		switch word, rest, _ := strings.Cut(e.text, " "); word {
		case "ready":
			g.readyOnce.Do(func() { close(g.saidReady) })
		case "fatal":
			f := fatalFailure(rest)
			g.decide(f.Kind, f.Detail, nil)
		}
	}
}

// fatalFailure explains init's reasons for giving up.
func fatalFailure(reason string) *Failure {
	switch reason {
	case "no-network":
		return &Failure{Kind: FailureNoNetwork, Detail: "the guest has no network adapter, so it cannot be controlled: the kernel needs CONFIG_NET, CONFIG_INET, CONFIG_NETDEVICES, CONFIG_VIRTIO_PCI and CONFIG_VIRTIO_NET, built in"}
	case "no-devtmpfs":
		return &Failure{Kind: FailureInit, Detail: "init could not make device nodes: the kernel needs CONFIG_DEVTMPFS, or CONFIG_SYSFS"}
	case "no-ssh":
		return &Failure{Kind: FailureNoSSH, Detail: "dropbear did not start: the console says why"}
	default:
		return &Failure{Kind: FailureInit, Detail: "init gave up: " + printable([]byte(reason))}
	}
}
