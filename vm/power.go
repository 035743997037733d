package vm

import (
	"context"
	"fmt"
	"time"
)

// offPatience is how long a guest may take from the request to its end when the
// caller's context has no deadline: dirty data has to be written first.
const offPatience = 60 * time.Second

// PowerOff asks init to write everything back, unmount and power off, waits for
// QEMU's end, and kills a guest that does not follow. Its error is the guest's
// *Failure when it failed before or on the way.
func (g *Guest) PowerOff(ctx context.Context) error {
	g.mu.Lock()
	g.ev.asked = true
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, offPatience)
	defer cancel()
	go g.askToPowerOff(ctx)
	select {
	case <-g.done:
		if f := g.Failure(); f != nil {
			return f
		}
		return nil
	case <-ctx.Done():
	}
	g.decide(FailureHang, "the guest did not power off in time and was killed", ctx.Err())
	<-g.done
	return fmt.Errorf("powering off: %w", g.Failure())
}

// askToPowerOff tells init, or QEMU when the guest cannot be talked to. The
// answer is often lost with the guest, and does not matter.
func (g *Guest) askToPowerOff(ctx context.Context) {
	select {
	case <-g.usable:
		_, _ = g.session(ctx, "kill -USR2 1")
	default:
		_, _ = g.monitor.run(ctx, "quit", nil)
	}
}
