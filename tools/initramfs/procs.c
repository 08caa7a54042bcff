/* SPDX-License-Identifier: MIT */
/*
 * procs: what a guest pays for its processes' address spaces.
 *
 *	procs [fork N] [mmap N]...
 *
 *	fork	N times: fork a child that executes a small program, which exits at once; wait for it
 *	mmap	N times: map BYTES of anonymous memory, touch each page of it, unmap it
 *
 * prints one line for each:
 *
 *	procs: fork N in T ticks
 *
 * with TSC ticks. A sixteenth as many go before, uncounted. The small program is this one: static, without a C library, so that
 * nearly all of it is the kernel's work.
 */
#define SYS_WRITE	 1
#define SYS_MMAP	 9
#define SYS_MUNMAP	 11
#define SYS_FORK	 57
#define SYS_EXECVE	 59
#define SYS_EXIT	 60
#define SYS_WAIT4	 61
#define PROT_READ_WRITE	 3
#define MAP_PRIVATE_ANON 0x22
#define BYTES		 (256ul << 10)
#define PAGE		 4096ul

static long call(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#define CALL(n, a, b, c) call((n), (long)(a), (long)(b), (long)(c), 0, 0, 0)

__attribute__((noreturn)) static void leave(long code)
{
	for (;;)
		CALL(SYS_EXIT, code, 0, 0);
}

static void say(const char *text)
{
	const char *end = text;

	while (*end)
		end++;
	CALL(SYS_WRITE, 1, text, end - text);
}

static void say_number(unsigned long v)
{
	char text[24], *p = text + sizeof text;

	*--p = 0;
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	say(p);
}

__attribute__((noreturn)) static void fail(const char *what)
{
	say("procs: FAILED: ");
	say(what);
	say("\n");
	leave(1);
}

static unsigned long number(const char *s)
{
	unsigned long v = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (unsigned long)(*s - '0');
	return v;
}

static void one_fork(void)
{
	static const char *const argv[] = { "procs", 0 };
	static const char *const envp[] = { 0 };
	long child = CALL(SYS_FORK, 0, 0, 0);
	int status = -1;

	if (child == 0) {
		CALL(SYS_EXECVE, "/bin/procs", argv, envp);
		leave(127);
	}
	if (child < 0 || CALL(SYS_WAIT4, child, &status, 0) != child || status)
		fail("fork");
}

static void one_mmap(void)
{
	long at = call(SYS_MMAP, 0, (long)BYTES, PROT_READ_WRITE, MAP_PRIVATE_ANON, -1, 0);

	if (at < 0 && at > -4096)
		fail("mmap");
	for (unsigned long i = 0; i < BYTES; i += PAGE)
		((volatile char *)at)[i] = 1;
	CALL(SYS_MUNMAP, at, BYTES, 0);
}

static void measure(const char *what, unsigned long n)
{
	void (*one)(void) = what[0] == 'm' ? one_mmap : one_fork;
	unsigned long ticks;

	for (unsigned long i = 0; i < n / 16; i++)
		one();
	ticks = __builtin_ia32_rdtsc();
	for (unsigned long i = 0; i < n; i++)
		one();
	ticks = __builtin_ia32_rdtsc() - ticks;
	say("procs: ");
	say(what);
	say(" ");
	say_number(n);
	say(" in ");
	say_number(ticks);
	say(" ticks\n");
}

__attribute__((noreturn, used)) static void begin(long *stack)
{
	char **argv = (char **)(stack + 1);

	/* Without arguments this is the small program. */
	for (long i = 1; i < stack[0]; i += 2) {
		if (i + 1 == stack[0] || (argv[i][0] != 'f' && argv[i][0] != 'm') || !number(argv[i + 1]))
			fail("usage: procs [fork N] [mmap N]...");
		measure(argv[i], number(argv[i + 1]));
	}
	leave(0);
}

/* The kernel leaves argc, argv and envp on the stack. */
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
