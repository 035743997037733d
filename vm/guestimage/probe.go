package guestimage

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/u-root/u-root/pkg/cpio"
)

// ProbeMessage is what the init of a probe image prints.
const ProbeMessage = "patchproof: probe reached user space"

// Probe writes the smallest initial ramdisk that shows that a kernel runs: its
// init prints ProbeMessage on the console and resets the machine, which unlike
// powering off needs no driver.
func Probe(w io.Writer) error {
	seg := newSegment(w)
	seg.dir("dev", 0o755)
	seg.add(cpio.CharDev("dev/console", 0o600, 5, 1))
	seg.file("init", probeInit(), 0o755)
	return seg.close()
}

// probeInit makes a static x86-64 program: an ELF header, one program header
// (elf(5)) and two system calls, write(2) and reboot(2). Machine code, because
// the host need not have an assembler, and because it starts faster than
// anything else could.
func probeInit() []byte {
	const (
		base       = 0x400000
		headerSize = 64 + 56
	)
	text := "\n" + ProbeMessage + "\n"
	code := []byte{
		0xb8, 0x01, 0x00, 0x00, 0x00, // mov $1, %eax: write
		0xbf, 0x01, 0x00, 0x00, 0x00, // mov $1, %edi: standard output
		0x48, 0x8d, 0x35, 0x1f, 0x00, 0x00, 0x00, // lea 0x1f(%rip), %rsi: the text
		0xba, byte(len(text)), 0x00, 0x00, 0x00, // mov $len, %edx
		0x0f, 0x05, // syscall
		0xb8, 0xa9, 0x00, 0x00, 0x00, // mov $169, %eax: reboot
		0xbf, 0xad, 0xde, 0xe1, 0xfe, // mov $LINUX_REBOOT_MAGIC1, %edi
		0xbe, 0x69, 0x19, 0x12, 0x28, // mov $LINUX_REBOOT_MAGIC2, %esi
		0xba, 0x67, 0x45, 0x23, 0x01, // mov $LINUX_REBOOT_CMD_RESTART, %edx
		0x0f, 0x05, // syscall
		0xeb, 0xfe, // jmp to itself
	}
	size := uint64(headerSize + len(code) + len(text))
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	le := binary.LittleEndian
	b.Write(le.AppendUint16(nil, 2))                  // e_type: ET_EXEC
	b.Write(le.AppendUint16(nil, 62))                 // e_machine: EM_X86_64
	b.Write(le.AppendUint32(nil, 1))                  // e_version
	b.Write(le.AppendUint64(nil, base+headerSize))    // e_entry
	b.Write(le.AppendUint64(nil, 64))                 // e_phoff
	b.Write(le.AppendUint64(nil, 0))                  // e_shoff
	b.Write(le.AppendUint32(nil, 0))                  // e_flags
	for _, v := range []uint16{64, 56, 1, 64, 0, 0} { // sizes and counts
		b.Write(le.AppendUint16(nil, v))
	}
	b.Write(le.AppendUint32(nil, 1)) // p_type: PT_LOAD
	b.Write(le.AppendUint32(nil, 5)) // p_flags: read, execute
	// p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
	for _, v := range []uint64{0, base, base, size, size, 0x1000} {
		b.Write(le.AppendUint64(nil, v))
	}
	b.Write(code)
	b.WriteString(text)
	return b.Bytes()
}
