/* SPDX-License-Identifier: MIT */
/*
 * bochsfix: repairs five bugs of Debian's Bochs 3.1 in memory, without touching a file of Debian's.
 *
 * The library is preloaded into Bochs by the dynamic loader. Bochs exports its symbols for its plugins,
 * so the places are found by name. Each repair first checks whether it is needed. A build that needs none is
 * left alone. A build that cannot be repaired, or of which this cannot be found out, is refused: Bochs then
 * ends with status 3 before the machine starts, because the faults of a wrong machine look like bugs of the
 * guest.
 *
 * 1. long_idiv(), the helper behind the 64-bit IDIV instruction, is miscompiled: 1000000000 / 1 gives
 *    0xb8a, and stock Linux ends with a divide error. It is replaced by a function that divides in C.
 *
 * 2. An external interrupt that is pending when a VM entry loads RFLAGS.IF = 0 never causes a VM exit,
 *    although the pin-based control asks for one whatever IF is (SDM vol. 3, 26.2 "Other causes of VM
 *    exits"). The event mask is computed while the guest state is loaded, before the CPU counts as being
 *    in the guest, and it is not computed again. The call to VMenterInjectEvents() inside VMLAUNCH() is
 *    the right moment; it is led through a stub:
 *
 *        VMLAUNCH:  call VMenterInjectEvents   becomes   call stub
 *        stub:      call handleInterruptMaskChange; jmp VMenterInjectEvents
 *
 *    Computing the mask twice changes nothing, so the repair does no harm to a build that mended the
 *    bug elsewhere. One that mended it in VMLAUNCH() is recognised, and left alone.
 *
 * 3. While a virtual interrupt waits (APIC virtualization) in a guest with RFLAGS.IF = 0, an external interrupt
 *    ought to cause a VM exit. HandleExtInterrupt() sees the waiting one first and delivers it, although it
 *    is masked: the guest is interrupted with interrupts off, and Linux deadlocks on a spinlock. The test of
 *    "is it pending" becomes "is it pending and not masked":
 *
 *        testb $2, pending+1(%rbx); jne deliver     becomes   testb ...; jmp stub
 *        stub:      jz back; testb $2, mask+1(%rbx); jz deliver; jmp back
 *
 *    That the mask lies 4 bytes behind the pending events is read off VMX_Evaluate_Pending_Virtual_Interrupts(),
 *    which tests both.
 *
 * 4. A VM exit in the middle of the delivery of a virtual interrupt (an EPT violation on the guest's stack, say)
 *    must name the interrupt in the IDT-vectoring information (SDM vol. 3, 28.2.4). interrupt() says that an
 *    event is being delivered, but VMX_Deliver_Virtual_Interrupt() does not say which: the exit names the last
 *    event that was injected or intercepted, an INT3 of long ago perhaps. The hypervisor delivers that one again, and
 *    the guest crashes. The call is led through a stub that stores the vector (type 0 is an external interrupt):
 *
 *        stub:      mov %esi, event(%rdi); jmp interrupt
 *
 *    Where the event is kept is read off VMexit(), which puts it into field 0x4408.
 *
 * 5. With several CPUs, a fault that is met right after another one was delivered names the wrong RIP: exception() leaves
 *    by longjmp() with RIP at the handler, but prev_rip, which a fault goes back to, where the first fault was.
 *    cpu_loop(), which runs a single CPU, sets it right when it is jumped to; cpu_run_trace(), which runs each of
 *    several, does not. As a rule a handler can be fetched, and nothing shows. Under EPT tables that have just been
 *    forgotten it cannot: the VM exit then says that the guest is where its user was, with the handler's CS and stack.
 *    The call of cpu_run_trace() is led through a stub that does what cpu_loop() does, by whose code it finds the fields:
 *
 *        stub:      prev_rip = RIP; speculative_rsp = false; jmp cpu_run_trace
 *
 * BOCHSFIX=off in the environment starts Bochs as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul

/* Bochs's own layout of a 128-bit number (Bit128s). */
typedef struct {
	uint64_t lo;
	int64_t hi;
} s128;

typedef void idiv_fn(s128 *quotient, int64_t *remainder, const s128 *dividend, int64_t divisor);

struct code {
	uint8_t *at;
	size_t size;
};

__attribute__((noreturn)) static void refuse(const char *subject, const char *why)
{
	fprintf(stderr, "bochsfix: %s: %s\n", subject, why);
	fprintf(stderr,
		"bochsfix: refused: this build of Bochs is not known to be right. Use Debian's Bochs 3.1, or BOCHSFIX=off to start it as it is.\n");
	_exit(3);
}

/* Address and size of an exported function of Bochs; `at` is NULL if there is none of that name. */
static struct code find(const char *name)
{
	struct code code = { dlsym(RTLD_DEFAULT, name), 0 };
	const ElfW(Sym) *symbol = NULL;
	Dl_info info;

	if (code.at && dladdr1(code.at, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol)
		code.size = symbol->st_size;
	return code;
}

static int overwrite(uint8_t *at, const void *bytes, size_t n)
{
	uintptr_t first = (uintptr_t)at & ~(PAGE - 1);
	uintptr_t end = ((uintptr_t)at + n + PAGE - 1) & ~(PAGE - 1);

	if (mprotect((void *)first, end - first, PROT_READ | PROT_WRITE | PROT_EXEC))
		return -1;
	memcpy(at, bytes, n);
	return mprotect((void *)first, end - first, PROT_READ | PROT_EXEC);
}

/* jmp [rip+0] with the target behind it: reaches any address, 14 bytes. */
static size_t far_jump(uint8_t *out, const void *target)
{
	memcpy(out, "\xff\x25\0\0\0\0", 6);
	memcpy(out + 6, &target, 8);
	return 14;
}

static void right_idiv(s128 *quotient, int64_t *remainder, const s128 *dividend, int64_t divisor)
{
	__int128 n = (__int128)(((unsigned __int128)dividend->hi << 64) | dividend->lo);
	__int128 q = n / divisor;

	*remainder = (int64_t)(n % divisor);
	quotient->lo = (uint64_t)q;
	quotient->hi = (int64_t)(q >> 64);
}

/* Divides with Bochs's function; the pairs cover both signs and quotients of more than 64 bits. */
static int idiv_is_right(idiv_fn *idiv)
{
	static const s128 dividends[] = { { 1000000000, 0 }, { (uint64_t)-1000000000, -1 }, { 5, 3 },
		{ 0x123456789abcdef0, -77 } };
	static const int64_t divisors[] = { 1, -1, 7, -1000003, INT64_MAX };

	for (size_t i = 0; i < sizeof dividends / sizeof dividends[0]; i++) {
		for (size_t j = 0; j < sizeof divisors / sizeof divisors[0]; j++) {
			s128 q = { 0, 0 }, right_q;
			int64_t r = 0, right_r;

			idiv(&q, &r, &dividends[i], divisors[j]);
			right_idiv(&right_q, &right_r, &dividends[i], divisors[j]);
			if (q.lo != right_q.lo || q.hi != right_q.hi || r != right_r)
				return 0;
		}
	}
	return 1;
}

static void repair_idiv(void)
{
	static const char subject[] = "64-bit idiv";
	struct code idiv = find("_Z9long_idivP7Bit128sPlPKS_l");
	idiv_fn *volatile function = (idiv_fn *)(void *)idiv.at;
	uint8_t jump[14];
	size_t n = far_jump(jump, (void *)right_idiv);

	if (!idiv.at)
		refuse(subject, "no function of the known name");
	if (idiv_is_right(function)) {
		fprintf(stderr, "bochsfix: %s: right as it is\n", subject);
		return;
	}
	if (idiv.size < n)
		refuse(subject, "wrong, and too short to be replaced");
	if (overwrite(idiv.at, jump, n) || !idiv_is_right(function))
		refuse(subject, "wrong, and it could not be replaced");
	fprintf(stderr, "bochsfix: %s: repaired\n", subject);
}

/* The n-th (from 0) `call target` with a 32-bit distance inside `code`; NULL if there is none. */
static uint8_t *find_call(struct code code, const uint8_t *target, int n)
{
	for (size_t i = 0; i + 5 <= code.size; i++) {
		int32_t distance;

		if (code.at[i] != 0xe8)
			continue;
		memcpy(&distance, code.at + i + 1, 4);
		if (code.at + i + 5 + distance == target && n-- == 0)
			return code.at + i;
	}
	return NULL;
}

/* A page that a near call from `from` reaches. */
static uint8_t *page_near(const uint8_t *from)
{
	uintptr_t start = (uintptr_t)from & ~(PAGE - 1);

	for (uintptr_t away = 64ul << 20; away < 1ul << 30 && away < start; away += 1ul << 20) {
		void *page = mmap((void *)(start - away), PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (page == (void *)(start - away))
			return page;
		if (page != MAP_FAILED)
			munmap(page, PAGE); /* an old kernel took the address for a hint */
	}
	return NULL;
}

static void repair_interrupt_mask(void)
{
	static const char subject[] = "interrupt exit with IF=0";
	struct code entry = find("_ZN8BX_CPU_C8VMLAUNCHEP15bxInstruction_c");
	struct code inject = find("_ZN8BX_CPU_C19VMenterInjectEventsEv");
	struct code mask = find("_ZN8BX_CPU_C25handleInterruptMaskChangeEv");
	uint8_t *call, *stub, *p;
	int32_t distance;

	if (!entry.at || !inject.at || !mask.at)
		refuse(subject, "no functions of the known names");
	if (find_call(entry, mask.at, 0)) {
		fprintf(stderr, "bochsfix: %s: right as it is\n", subject);
		return;
	}
	call = find_call(entry, inject.at, 0);
	if (!call || find_call(entry, inject.at, 1))
		refuse(subject, "VMLAUNCH has not the one call that is known");
	stub = page_near(call);
	if (!stub)
		refuse(subject, "no room for the repair near the code");
	p = stub;
	*p++ = 0x57; /* push rdi: keeps `this`, and aligns the stack */
	*p++ = 0x48, *p++ = 0xb8, memcpy(p, &mask.at, 8), p += 8; /* mov rax, mask */
	*p++ = 0xff, *p++ = 0xd0;				  /* call rax */
	*p++ = 0x5f;						  /* pop rdi */
	far_jump(p, inject.at);
	distance = (int32_t)(stub - (call + 5));
	if (mprotect(stub, PAGE, PROT_READ | PROT_EXEC) || overwrite(call + 1, &distance, sizeof distance))
		refuse(subject, "the code could not be changed");
	fprintf(stderr, "bochsfix: %s: repaired\n", subject);
}

/* The place in `code` where the bytes of `pattern` stand, those that are -1 being any; NULL if there is none. */
static uint8_t *find_bytes(struct code code, const int *pattern, size_t n)
{
	for (size_t i = 0; i + n <= code.size; i++) {
		size_t j = 0;

		while (j < n && (pattern[j] < 0 || code.at[i + j] == pattern[j]))
			j++;
		if (j == n)
			return code.at + i;
	}
	return NULL;
}

static void put_near_jump(uint8_t *at, uint8_t opcode, const uint8_t *from_end, const uint8_t *target)
{
	int32_t distance = (int32_t)(target - from_end);

	*at = opcode;
	memcpy(at + 1, &distance, sizeof distance);
}

static void repair_masked_delivery(void)
{
	static const char subject[] = "virtual interrupt with IF=0";
	static const int test_and_jump[] = { 0xf6, 0x83, -1, -1, -1, -1, 0x02, 0x0f, 0x85 };
	struct code handle = find("_ZN8BX_CPU_C18HandleExtInterruptEv");
	struct code evaluate = find("_ZN8BX_CPU_C39VMX_Evaluate_Pending_Virtual_InterruptsEv");
	uint8_t *test, *stub, *p, *deliver, *back, patch[6];
	int test_mask[] = { 0xf6, 0x83, 0, 0, 0, 0, 0x02 };
	int32_t pending, mask, distance;

	if (!handle.at || !evaluate.at)
		refuse(subject, "no functions of the known names");
	test = find_bytes(handle, test_and_jump, sizeof test_and_jump / sizeof *test_and_jump);
	if (!test)
		refuse(subject,
			"the test that is known is not there, and what stands in its place is not known");
	memcpy(&pending, test + 2, 4);
	mask = pending + 4;
	for (int i = 0; i < 4; i++)
		test_mask[2 + i] = (uint8_t)((uint32_t)mask >> (8 * i));
	if (!find_bytes(evaluate, test_mask, sizeof test_mask / sizeof *test_mask))
		refuse(subject, "the mask of events is not where it is known to be");
	back = test + 13;
	memcpy(&distance, test + 9, 4);
	deliver = back + distance;
	stub = page_near(test);
	if (!stub)
		refuse(subject, "no room for the repair near the code");
	p = stub;
	*p++ = 0x0f, put_near_jump(p, 0x84, p + 5, back), p += 5; /* jz back: none is pending */
	memcpy(p, "\xf6\x83", 2), memcpy(p + 2, &mask, 4), p[6] = 0x02, p += 7;
	*p++ = 0x0f, put_near_jump(p, 0x84, p + 5, deliver), p += 5;
	put_near_jump(p, 0xe9, p + 5, back);
	put_near_jump(patch, 0xe9, test + 7 + 5, stub);
	patch[5] = 0x90;
	if (mprotect(stub, PAGE, PROT_READ | PROT_EXEC) || overwrite(test + 7, patch, sizeof patch))
		refuse(subject, "the code could not be changed");
	fprintf(stderr, "bochsfix: %s: repaired\n", subject);
}

static void repair_vectoring_information(void)
{
	static const char subject[] = "exit while a virtual interrupt is delivered";
	/* mov event(%rbx), %edx; mov $0x4408, %esi */
	static const int load_and_field[] = { 0x8b, 0x93, -1, -1, -1, -1, 0xbe, 0x08, 0x44, 0x00, 0x00 };
	struct code deliver = find("_ZN8BX_CPU_C29VMX_Deliver_Virtual_InterruptEv");
	struct code interrupt = find("_ZN8BX_CPU_C9interruptEhjbt");
	struct code leave = find("_ZN8BX_CPU_C6VMexitEjm");
	uint8_t *load, *call, *stub, *p;
	int32_t event, distance;

	if (!deliver.at || !interrupt.at || !leave.at)
		refuse(subject, "no functions of the known names");
	load = find_bytes(leave, load_and_field, sizeof load_and_field / sizeof *load_and_field);
	if (!load)
		refuse(subject, "VMexit does not keep the event where it is known to");
	memcpy(&event, load + 2, 4);
	call = find_call(deliver, interrupt.at, 0);
	for (size_t i = 0; i + 4 <= deliver.size; i++) {
		if (!memcmp(deliver.at + i, &event, 4)) {
			fprintf(stderr, "bochsfix: %s: right as it is\n", subject);
			return;
		}
	}
	if (!call || find_call(deliver, interrupt.at, 1))
		refuse(subject, "there is not the one call of interrupt() that is known");
	stub = page_near(call);
	if (!stub)
		refuse(subject, "no room for the repair near the code");
	p = stub;
	memcpy(p, "\x89\xb7", 2), memcpy(p + 2, &event, 4), p += 6;
	far_jump(p, interrupt.at);
	distance = (int32_t)(stub - (call + 5));
	if (mprotect(stub, PAGE, PROT_READ | PROT_EXEC) || overwrite(call + 1, &distance, sizeof distance))
		refuse(subject, "the code could not be changed");
	fprintf(stderr, "bochsfix: %s: repaired\n", subject);
}

static void repair_fault_after_fault(void)
{
	static const char subject[] = "fault after fault with several CPUs";
	/* mov rip(%rdx), %rax; movb $0, speculative(%rdx); mov %rax, previous(%rdx) */
	static const int commit[] = { 0x48, 0x8b, 0x82, -1, -1, -1, -1, 0xc6, 0x82, -1, -1, -1, -1, 0x00,
		0x48, 0x89, 0x82, -1, -1, -1, -1 };
	const size_t length = sizeof commit / sizeof *commit; /* bytes: each element stands for one */
	struct code loop = find("_ZN8BX_CPU_C8cpu_loopEv");
	struct code run = find("_ZN8BX_CPU_C13cpu_run_traceEv");
	struct code begin = find("_Z19bx_begin_simulationiPPc");
	uint8_t *known, *call, *stub, *p;
	int32_t distance;

	if (!loop.at || !run.at || !begin.at)
		refuse(subject, "no functions of the known names");
	known = find_bytes(loop, commit, length);
	if (!known)
		refuse(subject, "cpu_loop does not do what it is known to");
	for (size_t i = 0; i + 4 <= run.size; i++) {
		if (!memcmp(run.at + i, known + 17, 4)) {
			fprintf(stderr, "bochsfix: %s: right as it is\n", subject);
			return;
		}
	}
	call = find_call(begin, run.at, 0);
	if (!call || find_call(begin, run.at, 1))
		refuse(subject, "there is not the one call of cpu_run_trace() that is known");
	stub = page_near(call);
	if (!stub)
		refuse(subject, "no room for the repair near the code");
	p = stub;
	memcpy(p, known, length);
	p[2] = p[8] = p[16] = 0x87; /* RDX becomes RDI: `this` */
	far_jump(p + length, run.at);
	distance = (int32_t)(stub - (call + 5));
	if (mprotect(stub, PAGE, PROT_READ | PROT_EXEC) || overwrite(call + 1, &distance, sizeof distance))
		refuse(subject, "the code could not be changed");
	fprintf(stderr, "bochsfix: %s: repaired\n", subject);
}

__attribute__((constructor)) static void bochsfix(void)
{
	const char *wish = getenv("BOCHSFIX");

	if (wish && !strcmp(wish, "off")) {
		fprintf(stderr, "bochsfix: switched off\n");
		return;
	}
	repair_idiv();
	repair_interrupt_mask();
	repair_masked_delivery();
	repair_vectoring_information();
	repair_fault_after_fault();
}
