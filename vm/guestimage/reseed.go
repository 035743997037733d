package guestimage

// ReseedPath is where guests that are going to be saved have the program that
// Reseed makes, without the leading slash.
const ReseedPath = "usr/sbin/patchproof-reseed"

// ReseedBytes is how much the program reads.
const ReseedBytes = 32

// Reseed makes a static program that gives the guest's kernel fresh random
// numbers. It reads ReseedBytes from standard input, and standard output must be
// /dev/urandom. Writing there is all that kernels before 4.8 need (it reached
// their output pool directly), those from 4.17 on have an ioctl that takes the
// written bytes into use at once (RNDRESEEDCRNG, random(4)); in between, the
// bytes are credited (RNDADDENTROPY) and used at the kernel's next occasion. It
// fails when the bytes cannot be credited.
func Reseed() []byte {
	code := []byte{
		0x31, 0xff, // xor %edi, %edi: standard input
		0x48, 0x8d, 0x35, 0x5c, 0x00, 0x00, 0x00, // lea 0x5c(%rip), %rsi: the bytes
		0xba, ReseedBytes, 0x00, 0x00, 0x00, // mov $32, %edx
		0x31, 0xc0, // xor %eax, %eax: read
		0x0f, 0x05, // syscall
		0x83, 0xf8, ReseedBytes, // cmp $32, %eax
		0x75, 0x3a, // jne fail
		0xbf, 0x01, 0x00, 0x00, 0x00, // mov $1, %edi: standard output
		0xb8, 0x01, 0x00, 0x00, 0x00, // mov $1, %eax: write
		0x0f, 0x05, // syscall
		0x83, 0xf8, ReseedBytes, // cmp $32, %eax
		0x75, 0x29, // jne fail
		0xb8, 0x10, 0x00, 0x00, 0x00, // mov $16, %eax: ioctl
		0xbe, 0x03, 0x52, 0x08, 0x40, // mov $RNDADDENTROPY, %esi
		0x48, 0x8d, 0x15, 0x24, 0x00, 0x00, 0x00, // lea 0x24(%rip), %rdx: rand_pool_info
		0x0f, 0x05, // syscall
		0x85, 0xc0, // test %eax, %eax
		0x75, 0x12, // jne fail
		0xb8, 0x10, 0x00, 0x00, 0x00, // mov $16, %eax: ioctl
		0xbe, 0x07, 0x52, 0x00, 0x00, // mov $RNDRESEEDCRNG, %esi
		0x31, 0xd2, // xor %edx, %edx
		0x0f, 0x05, // syscall; older kernels do not know it
		0x31, 0xff, // xor %edi, %edi
		0xeb, 0x05, // jmp exit
		0xbf, 0x01, 0x00, 0x00, 0x00, // fail: mov $1, %edi
		0xb8, 0x3c, 0x00, 0x00, 0x00, // exit: mov $60, %eax: exit
		0x0f, 0x05, // syscall
	}
	// struct rand_pool_info: entropy in bits, size in bytes, the bytes.
	pool := make([]byte, 8+ReseedBytes)
	pool[1], pool[4] = ReseedBytes*8>>8, ReseedBytes
	return program(segmentAll, code, pool)
}
