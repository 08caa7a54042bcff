/* SPDX-License-Identifier: MIT */
/*
 * Panic: one CPU prints, the others stop. Nothing here takes a lock or trusts a pointer: whatever broke may have been
 * holding one, or have written over the other.
 */
#include "hv/host/panic.h"

#include "drivers/console/console.h"
#include "drivers/lapic.h"
#include "hv/host/cpu.h"
#include "lib/assert.h"
#include "lib/atomic.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/host/hostmap.h"

static bool active;

bool panicking(void)
{
	return atomic_load(&active);
}

static void __printf_like(1, 2) say(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	fmt_vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	console_panic_write(line, strlen(line));
}

static void backtrace(uint64_t rip, uint64_t rbp)
{
	char name[96];

	say("backtrace:\n");
	for (unsigned depth = 0; depth < 24; depth++) {
		const uint64_t *frame = (const uint64_t *)rbp;

		say("  %016lx %s\n", rip, symbol_name(rip, name, sizeof(name)));
		if (!rbp || rbp & 7 || !hostmap_readable(frame, 16) || frame[0] <= rbp)
			break;
		rip = frame[1];
		rbp = frame[0];
	}
}

static void __noreturn stop(void)
{
	say("Lethe has stopped. Note the lines above, then switch the machine off.\n");
	for (;;) {
		irq_disable();
		cpu_halt();
	}
}

/* By an NMI to each CPU that runs Lethe. A CPU that was left out (hv/host/smp.c) has no handler for it, and may be the
 * firmware's. */
static void stop_others(void)
{
	if (!lapic_usable())
		return;
	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (cpus[i] && cpus[i] != this_cpu() && atomic_load(&cpus[i]->online))
			lapic_nmi(cpus[i]->apic_id);
}

/* True for the one CPU that is to print; a panic inside the panic prints no more than its own line. */
static bool begin(const char *what)
{
	if (atomic_xchg(&active, true)) {
		say("\nlethe: panic within the panic: %s\n", what);
		for (;;) {
			irq_disable();
			cpu_halt();
		}
	}
	stop_others();
	return true;
}

static void say_guest(void)
{
	char text[280];

	if (host_hooks && host_hooks->describe_guest(this_cpu(), text, sizeof(text)))
		say("running %s\n", text);
}

static void end(uint64_t rip, uint64_t rbp)
{
	backtrace(rip, rbp);
	say_guest();
	say("last events:\n");
	trace_dump(16);
	stop();
}

static void hook(const char *file, int line, const char *text)
{
	begin(text);
	say("\nlethe: PANIC on CPU %u at %s:%d: %s\n", this_cpu_id(), file, line, text);
	end((uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0));
}

void panic_trap(const struct trap_frame *f)
{
	static const char *const names[] = {
		"divide error",
		"debug",
		"NMI",
		"breakpoint",
		"overflow",
		"bound",
		"invalid opcode",
		"no FPU",
		"double fault",
		"?",
		"invalid TSS",
		"segment not present",
		"stack fault",
		"general protection",
		"page fault",
		"?",
		"x87 error",
		"alignment check",
		"machine check",
		"SIMD error",
		"virtualization exception",
		"control protection",
	};
	const char *guard = hostmap_guard_name(read_cr2());

	begin("trap");
	say("\nlethe: PANIC on CPU %u: exception %lu (%s), error code %#lx\n", this_cpu_id(), f->vector,
		f->vector < ARRAY_SIZE(names) ? names[f->vector] : "?", f->error);
	if ((f->vector == VEC_PF || f->vector == VEC_DF) && guard)
		say("the address lies in %s\n", guard);
	say("rip %016lx rsp %016lx rflags %08lx cr2 %016lx\n", f->rip, f->rsp, f->rflags, read_cr2());
	say("rax %016lx rcx %016lx rdx %016lx rbx %016lx\n", f->rax, f->rcx, f->rdx, f->rbx);
	say("rbp %016lx rsi %016lx rdi %016lx r8  %016lx\n", f->rbp, f->rsi, f->rdi, f->r8);
	say("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
	say("r13 %016lx r14 %016lx r15 %016lx cr3 %016lx\n", f->r13, f->r14, f->r15, read_cr3());
	end(f->rip, f->rbp);
	__builtin_unreachable();
}

void panic_init(void)
{
	panic_hook = hook;
}
