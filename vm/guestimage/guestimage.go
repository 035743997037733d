// Package guestimage makes the initial ramdisk that guests run from, out of the
// programs of the host.
//
// The image is an uncompressed newc cpio archive (the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst): a static
// busybox, an SSH server, sysbench and the file system tools, each with the
// shared libraries that the host's loader would use for it, and an init of our
// own. It is made without root, because device nodes are only entries of the
// archive. It is not compressed: under an emulated processor, copying twenty
// megabytes is cheaper than unpacking ten.
//
// What belongs to a single run (host key, authorised key) is a second, small
// archive that [PerRun] writes and that is appended to the image; the kernel
// unpacks both.
package guestimage

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// initScript is the guest's first process.
//
//go:embed init
var initScript []byte

// formatVersion is part of the cache key: raise it when the same inputs make a
// different image.
const formatVersion = 1

// Spec says what goes into an image beyond what every guest needs.
type Spec struct {
	// Tools are further host programs, by name or absolute path. One that
	// is named twice is included once.
	Tools []string
	// Modules are the kernel's, for one that cannot do without.
	Modules Modules
}

// Image is a finished image.
type Image struct {
	// Path is the archive in the cache; it is never modified.
	Path string
	// ID is the SHA-256 of the archive, in hex.
	ID string
	// Tools maps a program's name to its path, which is the same on the host
	// and in the guest.
	Tools map[string]string
}

// Build returns the image for spec. It makes the image when cacheDir does not
// hold one from the same programs and libraries; the directory is created when
// it does not exist. An error for a missing program names the Debian package
// that has it.
func Build(ctx context.Context, cacheDir string, spec Spec) (*Image, error) {
	tools, err := findTools(spec.Tools)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return nil, fmt.Errorf("guest image: cache folder: %w", err)
	}
	index := filepath.Join(cacheDir, "guest-"+specKey(tools, spec.Modules)+".json")
	if img, ok := lookUp(index, cacheDir, tools); ok {
		return img, nil
	}
	libs, err := libraryClosure(ctx, tools)
	if err != nil {
		return nil, err
	}
	modules, err := spec.Modules.find(ctx)
	if err != nil {
		return nil, err
	}
	inputs, err := statInputs(tools, libs, modules)
	if err != nil {
		return nil, err
	}
	img, err := writeImage(ctx, cacheDir, tools, libs, modules)
	if err != nil {
		return nil, fmt.Errorf("guest image in %s: %w", cacheDir, err)
	}
	if err := remember(index, img, inputs); err != nil {
		return nil, fmt.Errorf("guest image index: %w", err)
	}
	return img, nil
}

// writeImage writes the archive under a temporary name and renames it to its
// hash when it is complete, so that no reader ever sees half an image.
func writeImage(ctx context.Context, cacheDir string, tools []tool, libs []string, modules []module) (img *Image, err error) {
	tmp, err := os.CreateTemp(cacheDir, ".guest-*.tmp")
	if err != nil {
		return nil, err
	}
	defer func() {
		tmp.Close()
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	id, err := writeArchive(ctx, tmp, tools, libs, modules)
	if err != nil {
		return nil, err
	}
	if err := tmp.Chmod(0o644); err != nil {
		return nil, err
	}
	if err := tmp.Sync(); err != nil {
		return nil, err
	}
	img = &Image{Path: imagePath(cacheDir, id), ID: id, Tools: toolPaths(tools)}
	if err := os.Rename(tmp.Name(), img.Path); err != nil {
		return nil, err
	}
	return img, nil
}

func imagePath(cacheDir, id string) string {
	return filepath.Join(cacheDir, "guest-"+id[:16]+".cpio")
}
