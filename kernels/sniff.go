package kernels

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// sniff says what a file that is no bzImage seems to be, by its first bytes,
// and what the user can do about it.
func sniff(head []byte, r io.ReaderAt) (seems, hint string) {
	has := func(off int, magic string) bool {
		return len(head) >= off+len(magic) && string(head[off:off+len(magic)]) == magic
	}
	const fromTree = "give it as tarball if it holds kernel sources"
	switch {
	case len(head) == 0:
		return "an empty file", "copy or build it again"
	case has(0, "\x7fELF"):
		return "an ELF file (vmlinux or a module)", "give the arch/x86/boot/bzImage of the same build, and this file as vmlinux"
	case has(0x38, "ARMd"):
		return "an arm64 Image", "guests here are x86-64"
	case has(0x24, "\x18\x28\x6f\x01"):
		return "an ARM zImage", "guests here are x86-64"
	case has(0, "\x27\x05\x19\x56"):
		return "a U-Boot image", "give the bzImage that it was made from"
	case has(0, "\x1f\x8b"):
		return "gzip data", "unpack it first if it holds an image; " + fromTree
	case has(0, "\xfd7zXZ\x00"):
		return "xz data", "unpack it first if it holds an image; " + fromTree
	case has(0, "\x28\xb5\x2f\xfd"):
		return "zstd data", "unpack it first if it holds an image; " + fromTree
	case has(0, "BZh"):
		return "bzip2 data", "unpack it first if it holds an image; " + fromTree
	case has(0, "MZ"):
		return "an EFI or DOS program", "a unified kernel image holds a bzImage: take that one out"
	case has(0, "QFI\xfb"):
		return "a qcow2 disk image", ""
	case has(0, "070701"), has(0, "070702"):
		return "a cpio archive (an initramfs)", ""
	case has(0, "#!"):
		return "a script", ""
	case isTar(r):
		return "a tar archive", fromTree
	case isText(head):
		return "a text file", ""
	case len(bytes.Trim(head, "\x00")) == 0:
		return "all zero bytes", "copy or build it again"
	}
	return "some other kind of file", "a bzImage has 0x55 0xaa at byte 510 and HdrS at byte 514"
}

func isTar(r io.ReaderAt) bool {
	buf := make([]byte, 5)
	n, _ := r.ReadAt(buf, 257)
	return string(buf[:n]) == "ustar"
}

func isText(head []byte) bool {
	for i := 0; i < len(head); {
		c, n := utf8.DecodeRune(head[i:])
		if c == utf8.RuneError && n == 1 && utf8.FullRune(head[i:]) || c < ' ' && c != '\n' && c != '\t' && c != '\r' {
			return false
		}
		i += n
	}
	return true
}
