/* SPDX-License-Identifier: MIT */
/*
 * Bringing the other CPUs up, one after another (SDM Vol. 3A 8.4): the trampoline's page is shared, so the next one is
 * started when the last has left it.
 */
#include "drivers/acpi/acpi.h"
#include "drivers/lapic.h"
#include "drivers/time.h"
#include "hv/host/cpu.h"
#include "hv/host/mitigate.h"
#include "hv/host/smp_pure.h"
#include "hv/host/smt.h"
#include "lib/atomic.h"
#include "lib/log.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "mm/host/frames.h"
#include "mm/host/hostmap.h"

extern const uint8_t trampoline_start[];
extern const struct {
	uint32_t gdt, gdt_base, far_pointer, long_mode, low_root, root, stack, argument, entry, levels, size;
} trampoline_at;

#define START_TIMEOUT_US 200000

/* The CPU that is started and the CPU that starts it agree on whether it came in time: one exchange decides. */
enum { STARTING = 0, ARRIVED, GIVEN_UP };

static void arrive(void *arg)
{
	struct cpu *c = arg;
	uint32_t starting = STARTING;

	/* Too late: another CPU may be starting now. This one has a stack of its own; it takes no lock and touches no more. */
	if (!atomic_cmpxchg(&c->start, &starting, ARRIVED))
		for (;;)
			cpu_halt();
	cpu_init(c);
	mitigate_cpu_init(c);
	/* It could not be left where firmware has it: a machine check that is sent to all CPUs resets the machine if one of them
	 * does not take it (CR4.MCE, SDM Vol. 3B 15.10.4.1). */
	if (c->parked) {
		atomic_store(&c->refused, true);
		for (;;)
			cpu_halt();
	}
	host_hooks->cpu_main(c);
}

static void fill_in(uint8_t *page, hpa_t at, struct cpu *c)
{
	*(uint32_t *)(page + trampoline_at.gdt_base) = (uint32_t)at.v + trampoline_at.gdt;
	*(uint32_t *)(page + trampoline_at.far_pointer) = (uint32_t)at.v + trampoline_at.long_mode;
	*(uint32_t *)(page + trampoline_at.levels) = (uint32_t)(read_cr4() & CR4_LA57);
	*(uint64_t *)(page + trampoline_at.low_root) = at.v + PAGE_SIZE;
	*(uint64_t *)(page + trampoline_at.root) = hostmap_root().v;
	*(uint64_t *)(page + trampoline_at.stack) = c->stack_top;
	*(uint64_t *)(page + trampoline_at.argument) = (uint64_t)c;
	*(uint64_t *)(page + trampoline_at.entry) = (uint64_t)arrive;
}

static bool wait_for(uint32_t *what, uint32_t value)
{
	for (unsigned us = 0; us < START_TIMEOUT_US; us += 100) {
		if (atomic_load(what) == value)
			return true;
		udelay(100);
	}
	return false;
}

/* c did not come in time. INIT makes it wait for a SIPI (SDM Vol. 3A 8.4.4.1), wherever it may be in the trampoline. */
static enum smp_result give_up(struct cpu *c)
{
	uint32_t starting = STARTING;

	if (!atomic_cmpxchg(&c->start, &starting, GIVEN_UP))
		return SMP_RUNS; /* at the last moment */
	return lapic_hold_cpu(c->apic_id) ? SMP_STUCK : SMP_SILENT;
}

static enum smp_result start_one(const struct boot_info *bi, struct cpu *c)
{
	uint8_t *page = hpa_to_virt(bi->trampoline);
	enum smp_result result = SMP_RUNS;

	memcpy(page, trampoline_start, trampoline_at.size);
	memcpy(page + PAGE_SIZE, hpa_to_virt(hostmap_root()), PAGE_SIZE);
	fill_in(page, bi->trampoline, c);
	/* From here on the page is for executing: no CPU writes to it until this one has left it (W^X). */
	if (hostmap_identity_exec(bi->trampoline, true))
		return SMP_NO_MEMORY;
	if (lapic_start_cpu(c->apic_id, bi->trampoline) || !wait_for(&c->start, ARRIVED))
		result = give_up(c);
	hostmap_identity_exec(bi->trampoline, false);
	/* VMs are built next, and take the CPUs that are ready by then. */
	for (unsigned us = 0; result == SMP_RUNS && us < START_TIMEOUT_US && !atomic_load(&c->ready) &&
			      !atomic_load(&c->refused);
		us += 100)
		udelay(100);
	return result;
}

/* Stacks of one that was silent. It waits for a SIPI now, and none will be sent to it: the next one takes them. (Of one that is
 * stuck they stay allocated: it may wake up late, on a stack of its own.) */
static struct cpu *spare;

static enum smp_result start(void *ctx, unsigned number, uint32_t apic_id)
{
	struct cpu *c = spare ? spare : cpu_create(number, apic_id);
	enum smp_result result;

	if (!c)
		return SMP_NO_MEMORY;
	spare = NULL;
	c->apic_id = apic_id;
	c->parked = smt_parks(apic_id);
	atomic_store(&c->start, STARTING);
	cpus[number] = c;
	result = start_one(ctx, c);
	if (result == SMP_RUNS)
		ncpus = number + 1;
	else
		cpus[number] = NULL;
	if (result == SMP_SILENT)
		spare = c;
	return result;
}

static void left_out(void *ctx, uint32_t apic_id, enum smp_left_out why)
{
	log_warn("the CPU with APIC ID %u is left out: it %s", apic_id, smp_left_out_name(why));
}

unsigned smp_start(const struct boot_info *bi)
{
	const struct smp_ops ops = { .start = start, .left_out = left_out, .ctx = (void *)bi };
	const struct acpi *acpi = acpi_get();

	if (!bi->trampoline.v) {
		log_warn("no memory below 1 MiB for the start of other CPUs: only one is used");
		return ncpus;
	}
	return smp_start_list(acpi->cpu, acpi->ncpus, lapic_id(), lapic_x2apic(), &ops);
}
