package vm

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// stateFeed passes a saved state to a QEMU that is starting. QEMU gets a socket
// and not the file: newer versions read plain files in another way.
type stateFeed struct {
	file *os.File // at its beginning
	near *os.File // the harness's end of the socket
	far  *os.File // QEMU's end
}

// newStateFeed opens the file once more, for a position of its own.
func newStateFeed(state *os.File) (*stateFeed, error) {
	file, err := reopen(state)
	if err != nil {
		return nil, err
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("socket for a saved state: %w", err), file.Close())
	}
	return &stateFeed{file, os.NewFile(uintptr(ends[0]), "state"), os.NewFile(uintptr(ends[1]), "state")}, nil
}

// run copies in the background. The channel is closed when all has been passed
// on, or when QEMU has ended; what that means for the guest, others see.
func (s *stateFeed) run() <-chan struct{} {
	done := make(chan struct{})
	file, near := s.file, s.near
	s.file, s.near = nil, nil // no longer close's
	go func() {
		defer close(done)
		_, _ = io.Copy(near, file)
		_ = near.Close()
		_ = file.Close()
	}()
	return done
}

// close closes the harness's copy of QEMU's end, and all of a feed that does not run.
func (s *stateFeed) close() error {
	errs := []error{s.far.Close()}
	if s.file != nil {
		errs = append(errs, s.file.Close(), s.near.Close())
	}
	return errors.Join(errs...)
}
