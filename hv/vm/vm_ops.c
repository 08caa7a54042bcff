/* SPDX-License-Identifier: MIT */
/*
 * What the platform asks of us (guest/dev/platform.h): the clock, waking vCPUs, and the console.
 *
 * The VM in front has the console to itself: its output goes out as it is, and what is typed goes to it. The others'
 * output is shown as lines of text behind their name (hv/vm/background_pure.h). In front is the first VM that still runs.
 */
#include "drivers/console/console.h"
#include "hv/vm/events.h"
#include "hv/vm/vm.h"
#include "lib/printf.h"
#include "lib/string.h"

#define CONSOLE_PIECE 128 /* bytes of a guest's output that are handled in one go */

static uint64_t running; /* a bit a VM, by number: any CPU may ask, while CPU 0 takes a VM apart (atomic) */

_Static_assert(CONF_VMS_MAX <= 64, "a bit a VM");

void vm_console_runs(const struct vm *vm, bool runs)
{
	if (runs)
		atomic_fetch_or(&running, BIT(vm->id));
	else
		atomic_fetch_and(&running, ~BIT(vm->id));
}

static bool in_front(const struct vm *vm)
{
	uint64_t set = atomic_load(&running);

	return set && bit_lowest(set) == vm->id;
}

static uint64_t op_clock(void *ctx)
{
	const struct vm *vm = ctx;

	return rdtsc() + vm->tsc_offset;
}

/* With a request that is pending already a kick is on its way, or a look at it is due, unless it sleeps: no second kick. One that
 * waits for a SIPI can be woken by nothing else; what comes before it waits with it. */
static void kick_asked(struct vcpu *v, uint32_t request, uint32_t before)
{
	if (before & request && !atomic_load(&v->turn.sleeps))
		return;
	if (request == REQ_SIPI || atomic_load(&v->run) != VCPU_WAIT_SIPI)
		vcpu_kick(v);
}

static void ask(void *ctx, unsigned vcpu, uint32_t request)
{
	struct vm *vm = ctx;
	struct vcpu *v = vm->vcpu[vcpu];

	kick_asked(v, request, atomic_fetch_or(&v->mmu.requests, request));
}

static void op_wake(void *vm, unsigned vcpu)
{
	ask(vm, vcpu, REQ_EVENTS);
}

/* In an exit of its own, only the clock has to be set anew: it is looked at when the exit is handled (hv/clock.h). Before a
 * turn in the guest begins, the clock is set anyway. */
static void op_sooner(void *ctx, unsigned vcpu, uint64_t due)
{
	struct vm *vm = ctx;
	struct vcpu *v = vm->vcpu[vcpu];

	if (v != this_cpu()->current) {
		ask(vm, vcpu, REQ_EVENTS);
		return;
	}
	v->due = min(v->due, host_tsc(vm, due));
	v->deadline = min(v->deadline, v->due);
	v->look_after = 0;
}

/*
 * One that halts, with interrupts off or at a higher priority, is left alone: it would be chosen for nothing, and the vCPU
 * whose turn is cut short would pay. What ends its HLT instead makes it look at its interrupts, too.
 *
 * 1. here: the interrupt is posted; a fence; is it halted, and how?
 * 2. exit_hlt(): how it halts; that it does; a locked instruction; what has been posted?
 *
 * So at least one of the two sees what the other has written.
 */
static void op_interrupt(void *ctx, unsigned vcpu, int vector)
{
	struct vm *vm = ctx;
	struct vcpu *v = vm->vcpu[vcpu];

	atomic_fence();
	if (unlikely(atomic_load(&v->run) == VCPU_HALTED) &&
		!(atomic_load(&v->halt_irqs_open) &&
			(vector < 0 || (vector & 0xf0) > (atomic_load(&v->halt_ppr) & 0xf0))))
		return;
	kick_asked(v, REQ_EVENTS, atomic_fetch_or(&v->mmu.requests, REQ_EVENTS));
}

static void op_init(void *ctx, unsigned vcpu)
{
	struct vm *vm = ctx;

	ask(vm, vcpu, REQ_INIT);
	/* After the request: start_vcpu() takes the wish back for a SIPI that came before this INIT, and looks whether one
	 * is asked for. */
	atomic_store(&vm->vcpu[vcpu]->sipi_wanted, true);
}

static void op_sipi(void *ctx, unsigned vcpu, uint8_t vector)
{
	struct vm *vm = ctx;
	struct vcpu *v = vm->vcpu[vcpu];

	if (!atomic_load(&v->sipi_wanted))
		return; /* it runs: ignored (SDM Vol. 3A 8.4.3), and not even kicked */
	if (vm->policy.layout.wakeup_gib)
		return; /* it cannot run in real mode, and waits for the wakeup mailbox */
	atomic_store_relaxed(&v->sipi_vector, vector); /* of two senders at once, either's */
	ask(vm, vcpu, REQ_SIPI);
}

/* Once for each vCPU, as the mailbox has it. The vector is published before the request. */
static void op_start(void *ctx, unsigned vcpu, uint64_t vector)
{
	struct vm *vm = ctx;

	atomic_store(&vm->vcpu[vcpu]->wakeup_vector, vector);
	ask(vm, vcpu, REQ_SIPI);
}

static void op_nmi(void *ctx, unsigned vcpu)
{
	struct vm *vm = ctx;
	struct vcpu *v = vm->vcpu[vcpu];
	uint32_t before = atomic_fetch_or(&v->mmu.requests, REQ_NMI);

	/* One that halts in its NMI handler is left alone, as in op_interrupt(). */
	if (atomic_load(&v->run) != VCPU_HALTED || atomic_load(&v->halt_nmis_open))
		kick_asked(v, REQ_NMI, before);
}

static void write_line(void *ctx, const char *line, size_t n)
{
	const struct vm *vm = ctx;
	char text[CONF_NAME_MAX + BACKGROUND_LINE + 8];
	size_t used = (size_t)fmt_snprintf(text, sizeof(text), "[%s] ", vm->name);

	memcpy(text + used, line, n);
	console_write_line(text, used + n);
}

static size_t op_console_write(void *ctx, const char *text, size_t n)
{
	struct vm *vm = ctx;

	n = min(n, (size_t)CONSOLE_PIECE);
	if (!in_front(vm))
		return background_feed(&vm->background, text, n, write_line, vm);
	vm_console_end(vm);
	console_write((uint8_t)vm->id, text, n);
	return n;
}

void vm_console_end(struct vm *vm)
{
	background_end(&vm->background, write_line, vm);
}

static bool op_has_time(void *vm)
{
	return host_hooks->fresh(this_cpu());
}

static bool op_console_room(void *vm)
{
	return console_room(op_has_time(vm));
}

static int op_console_read(void *ctx)
{
	const struct vm *vm = ctx;

	return in_front(vm) ? console_read((uint8_t)vm->id) : -1;
}

static void op_end(void *vm, enum vm_end why, uint32_t code)
{
	vm_end(vm, why, code);
}

const struct vm_ops vm_ops = {
	.clock = op_clock,
	.wake = op_wake,
	.sooner = op_sooner,
	.interrupt = op_interrupt,
	.init = op_init,
	.sipi = op_sipi,
	.start = op_start,
	.nmi = op_nmi,
	.console_write = op_console_write,
	.console_room = op_console_room,
	.has_time = op_has_time,
	.console_read = op_console_read,
	.end = op_end,
};

void vm_console_poll(void)
{
	for (unsigned i = 0; i < nvms; i++)
		if (vms[i] && in_front(vms[i]))
			platform_console_input(vms[i]->platform);
}
