package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"patchproof/vm/guestimage"
)

// unnamedFile opens a file in dir that has no name: its blocks are free when the
// last descriptor is closed, by whatever death.
func unnamedFile(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), filepath.Join(dir, "(unnamed)")), nil
	}
	// Some file systems (overlay of old kernels, FUSE) lack O_TMPFILE.
	f, err := os.CreateTemp(dir, ".unnamed-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// guestDisk makes the sparse backing file of a disk. It has a name only when the
// guest is going to be saved.
func guestDisk(spec Spec, index int) (f *os.File, err error) {
	dir, d := spec.Dir, spec.Disks[index]
	if spec.SaveDir == "" {
		f, err = unnamedFile(dir)
	} else {
		dir = spec.SaveDir
		f, err = os.OpenFile(filepath.Join(dir, diskName(index)), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("guest disk in %s: %w", dir, err)
	}
	if err := f.Truncate(d.SizeMiB << 20); err != nil {
		return nil, errors.Join(fmt.Errorf("guest disk of %d MiB in %s: %w", d.SizeMiB, dir, err), f.Close())
	}
	return f, nil
}

// copyDisk copies a disk to an unnamed file in dir. Blocks are shared where the
// file system can do that; holes stay holes.
func copyDisk(from *os.File, dir string) (_ *os.File, err error) {
	to, err := unnamedFile(dir)
	if err != nil {
		return nil, fmt.Errorf("guest disk in %s: %w", dir, err)
	}
	if unix.IoctlFileClone(int(to.Fd()), int(from.Fd())) == nil {
		return to, nil
	}
	if err := copySparse(to, from); err != nil {
		return nil, errors.Join(fmt.Errorf("copying %s to %s: %w; is there space left?", from.Name(), dir, err), to.Close())
	}
	return to, nil
}

// copySparse copies what is no hole. It leaves the position of from alone, which
// other guests may be copying too.
func copySparse(to, from *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	// A descriptor of its own, because seeking for data moves its position.
	in, err := reopen(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := to.Truncate(info.Size()); err != nil {
		return err
	}
	for end := int64(0); end < info.Size(); {
		begin, err := unix.Seek(int(in.Fd()), end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // nothing but a hole is left
		}
		if err != nil {
			return err
		}
		if end, err = unix.Seek(int(in.Fd()), begin, unix.SEEK_HOLE); err != nil {
			return err
		}
		if err := copyRange(to, in, begin, end-begin); err != nil {
			return err
		}
	}
	return nil
}

// copyRange copies n bytes from the same place in another file.
func copyRange(to, from *os.File, at, n int64) error {
	for _, f := range []*os.File{to, from} {
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return err
		}
	}
	_, err := io.CopyN(to, from, n)
	return err
}

// runInitrd makes the initial ramdisk of one run: a copy of the base image with
// the run's keys behind it, and with what a guest needs that will be saved.
func runInitrd(spec Spec, nonce string, keys guestimage.Keys) (_ *os.File, err error) {
	dir := spec.Dir
	in, err := os.Open(spec.Initrd)
	if err != nil {
		return nil, fmt.Errorf("guest image: %w", err)
	}
	defer in.Close()
	out, err := unnamedFile(dir)
	if err != nil {
		return nil, fmt.Errorf("initial ramdisk in %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("initial ramdisk in %s: %w", dir, err), out.Close())
		}
	}()
	// The kernel copies between the two files, or shares the blocks.
	if _, err := io.Copy(out, in); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	if spec.SaveDir != "" {
		files[guestimage.ReseedPath] = guestimage.Reseed()
	}
	return out, guestimage.PerRun(out, nonce, keys, files)
}

// procFD is the path under which a child can open a descriptor that it inherits.
func procFD(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
