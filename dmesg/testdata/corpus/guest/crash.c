/* A user program that fails in the way that its argument names. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	volatile int zero = 0;

	if (!strcmp(how, "null"))
		*(volatile int *)(long)(0x10 + zero) = 1;
	if (!strcmp(how, "divide"))
		return 40 / zero;
	if (!strcmp(how, "opcode"))
		__asm__ volatile("ud2");
	if (!strcmp(how, "protection"))
		*(volatile int *)(0xdead000000000100UL + zero) = 1;
	if (!strcmp(how, "jump"))
		((void (*)(void))(0x1000UL + zero))();
	if (!strcmp(how, "int3"))
		__asm__ volatile("int3");
	if (!strcmp(how, "privileged"))
		__asm__ volatile("hlt");
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "exit"))
		return 3;
	if (!strcmp(how, "eat"))
		for (;;) {
			char *p = malloc(1 << 20);

			if (p)
				memset(p, 1, 1 << 20);
		}
	fprintf(stderr, "unknown way to fail: %s\n", how);
	return 2;
}
