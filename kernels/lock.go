package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock that is held elsewhere is tried again.
const lockPoll = 100 * time.Millisecond

// errLocked says that a lock is held by somebody else.
var errLocked = errors.New("locked by another build")

// lock takes an exclusive flock on a file, which is created. It works between
// goroutines as well as between processes and is dropped by the kernel when
// the last holder of the descriptor dies. While it waits, it calls waiting
// once with a description of the holder.
func lock(ctx context.Context, path string, waiting func(holder string)) (*os.File, error) {
	told := false
	for {
		f, err := tryLock(path)
		if err == nil || !errors.Is(err, errLocked) {
			return f, err
		}
		if !told && waiting != nil {
			holder, _ := os.ReadFile(path)
			waiting(strings.TrimSpace(string(holder)))
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another build to release %s: %w", path, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// tryLock is lock without waiting: the error is errLocked when it is held.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		if err == unix.EWOULDBLOCK {
			return nil, errLocked
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	// The folder may have been removed by a garbage collection between open
	// and flock; a lock on a file that is gone protects nothing.
	var a, b unix.Stat_t
	if unix.Fstat(int(f.Fd()), &a) != nil || unix.Stat(path, &b) != nil || a.Ino != b.Ino || a.Dev != b.Dev {
		f.Close()
		return nil, errLocked
	}
	f.Truncate(0)
	f.WriteAt(fmt.Appendf(nil, "process %d\n", os.Getpid()), 0)
	return f, nil
}

// unlock releases a lock also for children that have inherited it: a compiler
// launcher may have left a server behind, which would hold it for ever.
func unlock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}
