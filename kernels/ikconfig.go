package kernels

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxKernelBytes bounds a decompressed kernel.
const maxKernelBytes = 1 << 30

// Marks around the gzipped .config that CONFIG_IKCONFIG puts into a kernel
// (kernel/configs.c).
var (
	ikconfigStart = []byte("IKCFG_ST")
	ikconfigEnd   = []byte("IKCFG_ED")
)

// errNoIKConfig says that a kernel has no configuration in it.
var errNoIKConfig = errors.New("the kernel was built without CONFIG_IKCONFIG")

// embeddedConfig reads the configuration out of a bzImage.
func embeddedConfig(ctx context.Context, path string, h Header) ([]byte, error) {
	if h.PayloadLength == 0 {
		return nil, errors.New("the image's boot protocol is too old to find its payload")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	payload := make([]byte, h.PayloadLength)
	if _, err := f.ReadAt(payload, h.PayloadOffset); err != nil {
		return nil, fmt.Errorf("reading the payload of %s: %w", path, err)
	}
	kernel, err := decompress(ctx, payload)
	if err != nil {
		return nil, fmt.Errorf("decompressing %s: %w", path, err)
	}
	return findIKConfig(kernel)
}

// findIKConfig extracts the configuration from a kernel in memory.
func findIKConfig(kernel []byte) ([]byte, error) {
	// The marks are searched for together with gzip's own, because the text of
	// a mark alone may also appear among the kernel's strings.
	start := bytes.Index(kernel, append(bytes.Clone(ikconfigStart), 0x1f, 0x8b))
	if start < 0 {
		return nil, errNoIKConfig
	}
	data := kernel[start+len(ikconfigStart):]
	if end := bytes.Index(data, ikconfigEnd); end >= 0 {
		data = data[:end]
	}
	return gunzip(data, 16<<20)
}

func gunzip(data []byte, limit int64) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	zr.Multistream(false)
	return readLimited(zr, limit)
}

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(out)) > limit {
		return nil, fmt.Errorf("more than %s", formatBytes(uint64(limit)))
	}
	return out, nil
}

// decompressors are the formats of kernel payloads that the standard library
// has no reader for, with the host's program for each.
var decompressors = []struct {
	magic   string
	program string
	args    []string
}{
	{"\xfd7zXZ\x00", "xz", []string{"--decompress", "--stdout", "--single-stream"}},
	{"\x5d\x00\x00", "xz", []string{"--decompress", "--stdout", "--format=lzma"}},
	{"\x28\xb5\x2f\xfd", "zstd", []string{"--decompress", "--stdout", "--quiet"}},
	{"\x02\x21\x4c\x18", "lz4", []string{"-d", "-c", "-q"}},
	{"\x89LZO", "lzop", []string{"--decompress", "--stdout"}},
}

// decompress unpacks the payload of a bzImage.
func decompress(ctx context.Context, payload []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(payload, []byte("\x1f\x8b")):
		return gunzip(payload, maxKernelBytes)
	case bytes.HasPrefix(payload, []byte("BZh")):
		return readLimited(bzip2.NewReader(bytes.NewReader(trailer(payload))), maxKernelBytes)
	case bytes.HasPrefix(payload, []byte("\x7fELF")):
		return payload, nil
	}
	for _, d := range decompressors {
		if !bytes.HasPrefix(payload, []byte(d.magic)) {
			continue
		}
		c := command{name: d.program, args: d.args, stdin: bytes.NewReader(trailer(payload))}
		out, err := c.output(ctx)
		if err == nil || len(out) > 0 && bytes.Contains(out, ikconfigStart) {
			return out, nil
		}
		return nil, err
	}
	return nil, errors.New("unknown compression")
}

// trailer drops the four bytes with the unpacked size that kbuild appends to
// all formats but gzip, which has them itself (scripts/Makefile.lib, size_append).
func trailer(payload []byte) []byte {
	if len(payload) < 4 {
		return payload
	}
	return payload[:len(payload)-4]
}
