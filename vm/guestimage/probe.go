package guestimage

import (
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

// probeInit is the probe's program: two system calls, write(2) and reboot(2).
func probeInit() []byte {
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
	return program(segmentReadExec, code, []byte(text))
}
