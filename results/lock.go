package results

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A process that writes to a campaign holds a shared flock(2) on its folder for
// as long as it lives, so that others can tell a campaign that runs from one
// that was broken off, without guessing from times and without a file that a
// crash would leave behind. Who wants to remove something takes the lock for
// itself alone.

// holdFolder takes the writer's lock. The lock goes with the file; a file system
// that has no locks gives a file without one.
func holdFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock campaign %s: %w", dir, err)
	}
	if err := flock(f, unix.LOCK_SH, time.Second); errors.Is(err, unix.EWOULDBLOCK) {
		f.Close() // nothing was written to it
		return nil, fmt.Errorf("campaign %s is just being removed by another patchproof", dir)
	}
	return f, nil
}

// flock tries for a while: who only asks, see Running, holds the lock for some
// microseconds and must not be taken for a writer or for somebody who removes.
func flock(f *os.File, how int, patience time.Duration) error {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			return err
		}
	}
}

// ErrRunning says that a process is writing to a campaign.
var ErrRunning = errors.New("the campaign is running")

// TakeFolder keeps writers away from a campaign's folder until release is
// called. It fails with ErrRunning when there is one, and when the file system
// has no locks, because then nobody can tell.
func TakeFolder(dir string) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock campaign %s: %w", dir, err)
	}
	if err := flock(f, unix.LOCK_EX, 5*time.Millisecond); err != nil {
		f.Close() // nothing was written to it
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrRunning
		}
		return nil, fmt.Errorf("lock campaign %s: %w", dir, err)
	}
	return func() { f.Close() }, nil // closing gives the lock back
}

// Running reports whether a process is writing to the campaign in dir.
func Running(dir string) bool {
	release, err := TakeFolder(dir)
	if err == nil {
		release()
	}
	return errors.Is(err, ErrRunning)
}

// Close says that the campaign is no longer being written to; without it, the
// end of the process does.
func (w *CampaignWriter) Close() error { return w.hold.Close() }
