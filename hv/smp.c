/* SPDX-License-Identifier: MIT */
/*
 * Bringing the other CPUs up, one after another (SDM Vol. 3A 8.4): the trampoline's page is shared, so the next one is
 * started when the last has left it.
 */
#include "drivers/acpi.h"
#include "drivers/lapic.h"
#include "drivers/time.h"
#include "hv/cpu.h"
#include "hv/vmx_cpu.h"
#include "lib/atomic.h"
#include "lib/log.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "mm/frames.h"
#include "mm/hostmap.h"

extern const uint8_t trampoline_start[];
extern const struct {
	uint32_t gdt, gdt_base, far_pointer, long_mode, low_root, root, stack, argument, entry, levels, size;
} trampoline_at;

#define START_TIMEOUT_US 200000

static void arrive(void *arg)
{
	struct cpu *c = arg;

	cpu_init(c);
	cpu_main(c);
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

static bool start_one(const struct boot_info *bi, struct cpu *c)
{
	uint8_t *page = hpa_to_virt(bi->trampoline);

	memcpy(page, trampoline_start, trampoline_at.size);
	memcpy(page + PAGE_SIZE, hpa_to_virt(hostmap_root()), PAGE_SIZE);
	fill_in(page, bi->trampoline, c);
	/* From here on the page is for executing: nobody writes to it until the CPU has left it (W^X). */
	if (hostmap_identity_exec(bi->trampoline, true))
		return false;
	if (!lapic_start_cpu(c->apic_id, bi->trampoline))
		for (unsigned us = 0; us < START_TIMEOUT_US && !atomic_load(&c->online); us += 100)
			udelay(100);
	hostmap_identity_exec(bi->trampoline, false);
	if (!atomic_load(&c->online))
		return false;
	/* VMs are built next, and take the CPUs that are ready by then. */
	for (unsigned us = 0; us < START_TIMEOUT_US && !atomic_load(&c->ready) && !atomic_load(&c->refused);
		us += 100)
		udelay(100);
	return true;
}

unsigned smp_start(const struct boot_info *bi)
{
	const struct acpi *acpi = acpi_get();
	unsigned self = lapic_id();

	if (!bi->trampoline.v) {
		log_warn("no memory below 1 MiB for the start of other CPUs: only one is used");
		return ncpus;
	}
	for (unsigned i = 0; i < acpi->ncpus && ncpus < CPUS_MAX; i++) {
		struct cpu *c;

		if (acpi->cpu[i].apic_id == self)
			continue;
		c = cpu_create(ncpus, acpi->cpu[i].apic_id);
		if (!c) {
			log_warn("no memory for CPU %u and those after it", ncpus);
			break;
		}
		cpus[ncpus] = c;
		if (!start_one(bi, c)) {
			/* Its memory stays allocated: should it wake up late, it must not run on another's stack. */
			log_warn("the CPU with APIC ID %u does not start; going on without it", c->apic_id);
			cpus[ncpus] = NULL;
			break; /* it may still be in the trampoline: nobody else can use that now */
		}
		ncpus++;
	}
	return ncpus;
}
