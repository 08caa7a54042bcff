/* SPDX-License-Identifier: MIT */
/*
 * load: work of the kind that a compiler makes, beside reads of a PCI device's expansion ROM.
 *
 *	load TICKS [ROM MILLISECONDS]
 *
 * works for TICKS TSC ticks and prints one line:
 *
 *	load: N units in T ticks, longest pause P ticks, R ROM reads
 *
 *	unit	fork and exec a child that touches a megabyte, writes a file, maps it and reads it; read a larger file
 *	pause	a process of real-time priority sleeps for a millisecond, over and over; its longest sleep less its
 *		shortest. Whatever stops the guest, or keeps its kernel from switching, shows in it
 *	ROM	once in MILLISECONDS another process reads that file from beginning to end. The kernel switches the ROM
 *		on and off for each page of it
 *
 * A static program without a C library, so that it costs the demo guest little.
 */
#define SYS_READ	  0
#define SYS_WRITE	  1
#define SYS_OPEN	  2
#define SYS_CLOSE	  3
#define SYS_MMAP	  9
#define SYS_NANOSLEEP	  35
#define SYS_GETPID	  39
#define SYS_FORK	  57
#define SYS_EXECVE	  59
#define SYS_EXIT	  60
#define SYS_WAIT4	  61
#define SYS_KILL	  62
#define SYS_UNLINK	  87
#define SYS_SETSCHEDULER  144
#define SYS_CLOCK_GETTIME 228
#define SYS_CLOCK_SLEEP	  230
#define CLOCK_MONOTONIC	  1
#define TIMER_ABSTIME	  1
#define RDONLY		  0
#define RDWR_CREAT_TRUNC  01102
#define PROT_READ_WRITE	  3
#define MAP_SHARED	  1
#define MAP_PRIVATE_ANON  0x22
#define MAP_SHARED_ANON	  0x21
#define SCHED_FIFO	  1
#define SIGKILL		  9
#define MILLISECOND	  1000000l
#define TOUCHED		  (1ul << 20)
#define FILE_BYTES	  (128ul << 10)
#define READ_BYTES	  (512ul << 10)
#define PAGE		  4096ul

struct shared {
	volatile unsigned long shortest, longest, rom_reads, rom_failed;
};

static char buffer[16384];

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

static unsigned long ticks(void)
{
	return __builtin_ia32_rdtsc();
}

__attribute__((noreturn)) static void leave(long code)
{
	for (;;)
		CALL(SYS_EXIT, code, 0, 0);
}

/* Puts text into the line; a whole line is written at once, as another load may be writing one to the same terminal. */
static void say(const char *text)
{
	static char line[256];
	static unsigned long n;

	for (; *text; text++) {
		line[n++] = *text;
		if (*text == '\n' || n == sizeof line) {
			CALL(SYS_WRITE, 1, line, n);
			n = 0;
		}
	}
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
	say("load: FAILED: ");
	say(what);
	say("\n");
	leave(1);
}

static unsigned long number(const char *s)
{
	unsigned long v = 0;

	if (!*s)
		fail("a number is missing");
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			fail("what should be a number is none");
		v = v * 10 + (unsigned long)(*s - '0');
	}
	return v;
}

static void sleep_ms(unsigned long ms)
{
	const long wish[2] = { (long)(ms / 1000), (long)(ms % 1000) * MILLISECOND };

	CALL(SYS_NANOSLEEP, wish, 0, 0);
}

/* Sleeps until `ms` after the last time, however long what lay between has taken. */
static void sleep_next(long when[2], unsigned long ms)
{
	when[0] += (long)(ms / 1000);
	when[1] += (long)(ms % 1000) * MILLISECOND;
	if (when[1] >= 1000 * MILLISECOND) {
		when[0]++;
		when[1] -= 1000 * MILLISECOND;
	}
	call(SYS_CLOCK_SLEEP, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)when, 0, 0, 0);
}

static char *map(unsigned long bytes, long flags, long fd)
{
	long at = call(SYS_MMAP, 0, (long)bytes, PROT_READ_WRITE, flags, fd, 0);

	if (at < 0 && at > -4096)
		fail("mmap");
	return (char *)at;
}

/* Reads a file in pieces of `piece` bytes, at most `most`; returns the bytes. */
static unsigned long read_file(const char *name, unsigned long piece, unsigned long most)
{
	long fd = CALL(SYS_OPEN, name, RDONLY, 0), n = 1;
	unsigned long all = 0;

	while (fd >= 0 && n > 0 && all < most) {
		n = CALL(SYS_READ, fd, buffer, piece);
		all += n > 0 ? (unsigned long)n : 0;
	}
	CALL(SYS_CLOSE, fd, 0, 0);
	return n < 0 ? 0 : all;
}

/* The child that is executed: what a compiler does with one file. */
static void unit(void)
{
	static char name[] = "/tmp/unit-0000000"; /* its own: other loads may run beside this one */
	unsigned long pid = (unsigned long)CALL(SYS_GETPID, 0, 0, 0);
	char *heap = map(TOUCHED, MAP_PRIVATE_ANON, -1), *view;
	unsigned char sum = 0;
	long fd;

	for (char *digit = name + sizeof name - 2; pid; pid /= 10)
		*digit-- = (char)('0' + pid % 10);
	fd = CALL(SYS_OPEN, name, RDWR_CREAT_TRUNC, 0600);
	for (unsigned long i = 0; i < TOUCHED; i += PAGE)
		heap[i] = (char)i;
	for (unsigned long done = 0; done < FILE_BYTES; done += PAGE * 4)
		if (CALL(SYS_WRITE, fd, heap + done, PAGE * 4) != PAGE * 4)
			fail("write");
	view = map(FILE_BYTES, MAP_SHARED, fd);
	for (unsigned long i = 0; i < FILE_BYTES; i += 64)
		sum = (unsigned char)(sum + view[i]);
	CALL(SYS_CLOSE, fd, 0, 0);
	CALL(SYS_UNLINK, name, 0, 0);
	leave(sum == 0 ? 0 : 1);
}

static void one_unit(void)
{
	static const char *const argv[] = { "load", "unit", 0 };
	static const char *const envp[] = { 0 };
	long child = CALL(SYS_FORK, 0, 0, 0);
	int status = -1;

	if (child == 0) {
		CALL(SYS_EXECVE, "/bin/load", argv, envp);
		leave(127);
	}
	if (child < 0)
		fail("fork");
	read_file("/bin/busybox", sizeof buffer, READ_BYTES);
	if (CALL(SYS_WAIT4, child, &status, 0) != child || status)
		fail("a unit");
}

__attribute__((noreturn)) static void watch(struct shared *s)
{
	const int priority = 50;

	if (CALL(SYS_SETSCHEDULER, 0, SCHED_FIFO, &priority))
		fail("real-time priority");
	for (;;) {
		unsigned long t = ticks();

		sleep_ms(1);
		t = ticks() - t;
		if (t > s->longest)
			s->longest = t;
		if (t < s->shortest)
			s->shortest = t;
	}
}

__attribute__((noreturn)) static void read_rom(struct shared *s, const char *rom, unsigned long every)
{
	long when[2] = { 0, 0 };

	CALL(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, when, 0);
	for (;;) {
		if (read_file(rom, PAGE, ~0ul))
			s->rom_reads++;
		else
			s->rom_failed++;
		sleep_next(when, every);
	}
}

__attribute__((noreturn, used)) static void begin(long *stack)
{
	char **argv = (char **)(stack + 1);
	struct shared *s;
	unsigned long begun, end, units = 0;
	long watcher, reader = 0;
	char first;

	if (stack[0] < 2)
		fail("usage: load TICKS [ROM MILLISECONDS]");
	first = argv[1][0];
	if (first == 'u')
		unit();
	s = (struct shared *)map(PAGE, MAP_SHARED_ANON, -1);
	s->shortest = ~0ul;
	one_unit(); /* what is used for the first time is not counted */
	watcher = CALL(SYS_FORK, 0, 0, 0);
	if (watcher == 0)
		watch(s);
	if (stack[0] > 3) {
		unsigned long every = number(argv[3]);

		reader = CALL(SYS_FORK, 0, 0, 0);
		if (reader == 0)
			read_rom(s, argv[2], every);
	}
	begun = ticks();
	end = begun + number(argv[1]);
	for (; ticks() < end; units++)
		one_unit();
	end = ticks();
	CALL(SYS_KILL, watcher, SIGKILL, 0);
	if (reader)
		CALL(SYS_KILL, reader, SIGKILL, 0);
	if (s->rom_failed)
		fail("the ROM could not be read: echo 1 to the file first");
	say("load: ");
	say_number(units);
	say(" units in ");
	say_number(end - begun);
	say(" ticks, longest pause ");
	say_number(s->longest > s->shortest ? s->longest - s->shortest : 0);
	say(" ticks, ");
	say_number(s->rom_reads);
	say(" ROM reads\n");
	leave(0);
}

/* The kernel leaves argc, argv and envp on the stack. */
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
