package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/melbahja/goph"
	"github.com/pkg/sftp"
)

// transferError is a file that could not be read or written, at either end, as
// opposed to a connection that failed.
type transferError struct{ err error }

func (e *transferError) Error() string { return e.err.Error() }
func (e *transferError) Unwrap() error { return e.err }

// fileError marks the errors that are about files.
func fileError(err error) error {
	var status *sftp.StatusError
	var pathErr *os.PathError
	if errors.As(err, &status) || errors.As(err, &pathErr) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return &transferError{err}
	}
	return err
}

// Upload copies the host's file local to remote in the guest, with its
// permissions.
func (g *Guest) Upload(ctx context.Context, local, remote string) error {
	what := fmt.Sprintf("upload of %s to %s", local, remote)
	return g.sftp(ctx, what, func(c *goph.Client) error { return fileError(upload(ctx, c, local, remote)) })
}

func upload(ctx context.Context, c *goph.Client, local, remote string) (err error) {
	in, err := os.Open(local)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	ftp, err := c.NewSftp()
	if err != nil {
		return err
	}
	defer closeSFTP(ctx, ftp)()
	out, err := ftp.Create(remote)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Chmod(st.Mode().Perm())
}

// Download copies remote in the guest to the host's file local, which appears
// under its name only when it is complete.
func (g *Guest) Download(ctx context.Context, remote, local string) error {
	what := fmt.Sprintf("download of %s to %s", remote, local)
	return g.sftp(ctx, what, func(c *goph.Client) error { return fileError(download(ctx, c, remote, local)) })
}

func download(ctx context.Context, c *goph.Client, remote, local string) (err error) {
	ftp, err := c.NewSftp()
	if err != nil {
		return err
	}
	defer closeSFTP(ctx, ftp)()
	in, err := ftp.Open(remote)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(local), ".download-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(out.Name()))
		}
	}()
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(out.Name(), local)
}

// closeSFTP closes the client when ctx ends or when the returned function is
// called, whichever is first.
func closeSFTP(ctx context.Context, ftp *sftp.Client) func() {
	stop := context.AfterFunc(ctx, func() { ftp.Close() })
	return func() {
		if stop() {
			ftp.Close()
		}
	}
}
