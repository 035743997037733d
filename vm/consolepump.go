package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// coalesce is how long the pump waits for more after a short read. QEMU writes
// a serial console byte by byte, and waking up for each would cost more than
// the guest's own printing.
const coalesce = 2 * time.Millisecond

// consolePump copies a guest's serial console to its log, to the caller's
// writer and to the scanner.
type consolePump struct {
	in    io.ReadCloser
	log   *os.File
	extra io.Writer
	// onError is called once, when the log cannot be written.
	onError func(error)

	mu   sync.Mutex
	scan *scanner

	size     atomic.Int64
	lastByte atomic.Int64 // time.Duration since start
	start    time.Time
	done     chan struct{}
}

// run copies until QEMU closes its end. It always drains the pipe: a full one
// would stop the guest.
func (p *consolePump) run() {
	defer close(p.done)
	buf := make([]byte, 32<<10)
	failed := false
	for {
		n, err := p.in.Read(buf)
		if n > 0 {
			p.lastByte.Store(int64(time.Since(p.start)))
			if _, werr := p.log.Write(buf[:n]); werr != nil && !failed {
				failed = true
				p.onError(fmt.Errorf("console log: %w", werr))
			}
			p.size.Add(int64(n))
			p.distribute(buf[:n])
		}
		if err != nil {
			break
		}
		if n < len(buf)/8 {
			time.Sleep(coalesce)
		}
	}
	if err := errors.Join(p.log.Close(), p.in.Close()); err != nil && !failed {
		p.onError(fmt.Errorf("console log: %w", err))
	}
}

// distribute passes bytes on. A caller's writer that fails gets no more of
// them; the log on disk is complete all the same.
func (p *consolePump) distribute(b []byte) {
	if p.extra != nil {
		if _, err := p.extra.Write(b); err != nil {
			p.extra = nil
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.scan.Write(b)
}

// last returns the last n lines, for messages.
func (p *consolePump) last(n int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.scan.last(n)
}
