package kernels

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Header is what the setup header of a bzImage says, as the kernel's
// Documentation/arch/x86/boot.rst describes it.
type Header struct {
	// Version is the whole version text: release, builder and build number.
	Version string
	// Release is the first word of Version, as uname -r prints it.
	Release string
	// Protocol is the version of the boot protocol: 0x20f is 2.15.
	Protocol uint16
	// PayloadOffset and PayloadLength locate the compressed kernel in the
	// file, in bytes; both are 0 before protocol 2.08.
	PayloadOffset, PayloadLength int64
}

// NotBzImageError says that a file is no bzImage, and what it seems to be.
type NotBzImageError struct {
	Path  string
	Seems string // "an ELF file (vmlinux)"
	Hint  string // what to do; may be empty
}

func (e *NotBzImageError) Error() string {
	msg := fmt.Sprintf("%s is not a bzImage: it seems to be %s", e.Path, e.Seems)
	if e.Hint != "" {
		msg += "; " + e.Hint
	}
	return msg
}

// Offsets in the setup header.
const (
	offSetupSects    = 0x1f1
	offBootFlag      = 0x1fe
	offMagic         = 0x202
	offProtocol      = 0x206
	offKernelVersion = 0x20e
	offLoadFlags     = 0x211
	offPayloadOffset = 0x248
	offPayloadLength = 0x24c
	headerBytes      = 0x250

	maxVersionText = 512
)

// Identify reads the header of a bzImage. For a file that is none the error is
// a *NotBzImageError.
func Identify(path string) (Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, fmt.Errorf("kernel image %s: %w", path, bareError(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Header{}, fmt.Errorf("kernel image %s: %w", path, bareError(err))
	}
	if info.IsDir() {
		return Header{}, &NotBzImageError{path, "a folder", "name the file arch/x86/boot/bzImage in it, or give a source with tarball or tree"}
	}
	h, err := readHeader(f, info.Size())
	var not *NotBzImageError
	if errors.As(err, &not) {
		not.Path = path
	} else if err != nil {
		err = fmt.Errorf("kernel image %s: %w", path, err)
	}
	return h, err
}

// readHeader reads the header of a bzImage of a given size.
func readHeader(r io.ReaderAt, size int64) (Header, error) {
	buf := make([]byte, headerBytes)
	n, err := r.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return Header{}, err
	}
	buf = buf[:n]
	le := binary.LittleEndian
	if n < headerBytes || le.Uint16(buf[offBootFlag:]) != 0xaa55 || string(buf[offMagic:offMagic+4]) != "HdrS" {
		seems, hint := sniff(buf, r)
		return Header{}, &NotBzImageError{Seems: seems, Hint: hint}
	}
	if buf[offLoadFlags]&1 == 0 {
		return Header{}, &NotBzImageError{Seems: "a zImage for real-mode loading", Hint: "build the target bzImage"}
	}
	h := Header{Protocol: le.Uint16(buf[offProtocol:])}
	if h.Version, err = versionText(r, le.Uint16(buf[offKernelVersion:]), size); err != nil {
		return Header{}, err
	}
	if fields := strings.Fields(h.Version); len(fields) > 0 {
		h.Release = fields[0]
	}
	if h.Protocol >= 0x208 {
		sectors := int64(buf[offSetupSects])
		if sectors == 0 {
			sectors = 4 // the documented meaning of 0
		}
		start := (sectors+1)*512 + int64(le.Uint32(buf[offPayloadOffset:]))
		length := int64(le.Uint32(buf[offPayloadLength:]))
		if length == 0 || start+length > size {
			return Header{}, fmt.Errorf("the image is cut short: its header says %d bytes, the file has %d; copy or build it again", start+length, size)
		}
		h.PayloadOffset, h.PayloadLength = start, length
	}
	return h, nil
}

// versionText reads the version that the header points to.
func versionText(r io.ReaderAt, pointer uint16, size int64) (string, error) {
	if pointer == 0 {
		return "", nil
	}
	off := int64(pointer) + 0x200
	if off >= size {
		return "", errors.New("the header points to a version text beyond the end of the file: the image is damaged")
	}
	buf := make([]byte, maxVersionText)
	n, err := r.ReadAt(buf, off)
	if err != nil && err != io.EOF {
		return "", err
	}
	text, _, ok := strings.Cut(string(buf[:n]), "\x00")
	if !ok {
		return "", errors.New("the version text in the header has no end: the image is damaged")
	}
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("the version text in the header is not text: %q", text)
		}
	}
	return text, nil
}
