package guestimage

import (
	"bytes"
	"encoding/binary"
)

// Access rights of a program's one segment, as elf(5) numbers them.
const (
	segmentReadExec = 5
	segmentAll      = 7
)

// program makes a static x86-64 program out of machine code with its data
// behind it: an ELF header and one program header (elf(5)). Machine code,
// because the host need not have an assembler, and because it starts faster
// than anything else could.
func program(rights uint32, code, data []byte) []byte {
	const (
		base       = 0x400000
		headerSize = 64 + 56
	)
	size := uint64(headerSize + len(code) + len(data))
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
	b.Write(le.AppendUint32(nil, rights))
	// p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
	for _, v := range []uint64{0, base, base, size, size, 0x1000} {
		b.Write(le.AppendUint64(nil, v))
	}
	b.Write(code)
	b.Write(data)
	return b.Bytes()
}
