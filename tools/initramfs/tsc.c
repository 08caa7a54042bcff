/* SPDX-License-Identifier: MIT */
/*
 * tsc: prints the time stamp counter in decimal. A static program without a C library, so that it adds
 * little to the demo guest's size and start.
 */
static long write_out(const char *text, long length)
{
	long result;

	/* write(1, text, length): system call 1, which spoils rcx and r11 */
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(1l), "D"(1l), "S"(text), "d"(length)
			 : "rcx", "r11", "memory");
	return result;
}

void _start(void)
{
	char text[24], *p = text + sizeof text;
	unsigned long ticks = __builtin_ia32_rdtsc();

	*--p = '\n';
	do
		*--p = (char)('0' + ticks % 10);
	while (ticks /= 10);
	write_out(p, text + sizeof text - p);
	/* exit(0): system call 60 */
	__asm__ volatile("syscall" : : "a"(60l), "D"(0l) : "rcx", "r11");
	__builtin_unreachable();
}
