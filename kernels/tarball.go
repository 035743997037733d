package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tarballSource is a source archive.
type tarballSource struct {
	path   string // absolute
	sha256 string
	size   int64
}

func (s *Store) resolveTarball(path string) (*tarballSource, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("kernel tarball %s: %w%s", abs, bareError(err), tarballHint(abs))
	}
	sum, err := s.hashes.sum(abs)
	if err != nil {
		return nil, fmt.Errorf("kernel tarball %s: %w", abs, bareError(err))
	}
	return &tarballSource{path: abs, sha256: sum, size: info.Size()}, nil
}

func (t *tarballSource) identity() string { return "tarball " + t.sha256 }

func (t *tarballSource) treeKey() string { return t.identity() }

// base is empty: a tarball has one revision.
func (t *tarballSource) base() string { return "" }

func (t *tarballSource) name() string { return filepath.Base(t.path) }

func (t *tarballSource) provenance() Source {
	return Source{Kind: SourceTarball, Path: t.path, SHA256: t.sha256}
}

// unpackedBytes estimates the space for the unpacked tree. xz makes a kernel
// tree ten times smaller, gzip five times.
func (t *tarballSource) unpackedBytes() uint64 {
	factor := uint64(13)
	switch filepath.Ext(t.path) {
	case ".tar":
		factor = 2
	case ".gz", ".tgz":
		factor = 7
	}
	return uint64(t.size) * factor
}

// create unpacks the tarball with the host's tar into dir, without the single
// folder at the top that such archives have.
func (t *tarballSource) create(ctx context.Context, s *Store, dir string) error {
	if err := s.needSpace("unpack "+t.path, t.unpackedBytes()); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(s.path(tmpDir), "unpack-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	_, err = command{name: "tar", env: []string{"XZ_OPT=-T0"},
		// Modification times are set to now: those in an archive may lie in the
		// future, and make would compile such files again and again.
		args: []string{"--extract", "--touch", "--no-same-owner", "--directory", tmp, "--file", t.path}}.output(ctx)
	if err != nil {
		return t.explain(err)
	}
	top, err := topFolder(tmp)
	if err != nil {
		return fmt.Errorf("kernel tarball %s: %w", t.path, err)
	}
	return os.Rename(top, dir)
}

// explain says what to do about a failure of tar.
func (t *tarballSource) explain(err error) error {
	var te *toolError
	if !errors.As(err, &te) {
		return fmt.Errorf("unpacking %s: %w", t.path, err)
	}
	for _, tool := range []string{"xz", "bzip2", "zstd", "gzip"} {
		if strings.Contains(te.stderr, tool+": Cannot exec") {
			return fmt.Errorf("unpacking %s needs %s: %s", t.path, tool, aptHint(tool))
		}
	}
	if strings.Contains(te.stderr, "No space left on device") {
		return fmt.Errorf("unpacking %s: no space left in the kernel cache: free some with patchproof kernel gc", t.path)
	}
	return &SourceError{fmt.Errorf("unpacking %s: it is damaged or no tar archive: %s", t.path, firstLine(te.stderr))}
}

// topFolder returns the folder in dir that holds a kernel's sources: its only
// entry, or dir itself.
func topFolder(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(entries) == 1 && entries[0].IsDir() {
		dir = filepath.Join(dir, entries[0].Name())
	}
	if err := isKernelTree(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// isKernelTree checks for the two files that every kernel tree has at its top.
func isKernelTree(dir string) error {
	for _, name := range []string{"Makefile", "Kconfig"} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
			return &SourceError{fmt.Errorf("not a kernel source tree: there is no %s at its top", name)}
		}
	}
	return nil
}
