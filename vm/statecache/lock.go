package statecache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock that somebody else holds is tried again.
const lockPoll = 50 * time.Millisecond

var errLocked = errors.New("in use")

// lockKind is how flock(2) takes a lock.
type lockKind int

const (
	exclusive lockKind = unix.LOCK_EX
	shared    lockKind = unix.LOCK_SH
)

// lock is a flock(2) on a file. It holds between goroutines as between
// processes and ends with its holder, whatever ends that. Lock files stay: they
// are empty, and one that is removed could be held by two.
type lock struct{ file *os.File }

// tryAcquire takes a lock; the error is errLocked when somebody else has it.
func tryAcquire(path string, kind lockKind) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), int(kind)|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	switch {
	case err == nil:
		return &lock{f}, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = errLocked
	default:
		err = fmt.Errorf("lock %s: %w", path, err)
	}
	return nil, errors.Join(err, f.Close())
}

// acquire waits for a lock.
func acquire(ctx context.Context, path string, kind lockKind) (*lock, error) {
	for {
		l, err := tryAcquire(path, kind)
		if !errors.Is(err, errLocked) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}

func (l *lock) release() error { return l.file.Close() }
