/* SPDX-License-Identifier: MIT */
/*
 * The IDT and what arrives through it. Root mode runs with interrupts off, so an interrupt comes this way only while a
 * CPU idles; NMI, double fault and machine check have stacks of their own (IST), since they may come at any moment.
 */
#include "hv/host/trap.h"

#include "hv/host/cpu.h"
#include "hv/host/panic.h"
#include "lib/atomic.h"
#include "lib/log.h"

struct gate { /* SDM Vol. 3A figure 6-8 */
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "SDM figure 6-8");

#define GATE_INTERRUPT 0x8e /* present, DPL 0, 64-bit interrupt gate */

static struct gate idt[256] __aligned(16);

void idt_build(void)
{
	for (unsigned n = 0; n < 256; n++) {
		uint64_t at = trap_stub_address(n);

		idt[n] = (struct gate){ .offset_low = (uint16_t)at,
			.selector = SEL_CODE,
			.type = GATE_INTERRUPT,
			.offset_mid = (uint16_t)(at >> 16),
			.offset_high = (uint32_t)(at >> 32) };
	}
}

/* The stacks exist only once the CPU has its TSS: until then every gate uses the stack that is in use. */
static void idt_use_ist(void)
{
	idt[VEC_NMI].ist = IST_NMI;
	idt[VEC_DF].ist = IST_DF;
	idt[VEC_MC].ist = IST_MC;
}

void idt_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __packed r = { sizeof(idt) - 1, (uint64_t)idt };

	if (this_cpu()->tss.ist[IST_NMI - 1])
		idt_use_ist();
	__asm__ volatile("lidt %0" : : "m"(r));
}

static unsigned nmis;

static void host_nmi(void)
{
	/* While a CPU panics, its NMI stops the others. No other NMI is sent by Lethe: it reports an error of the hardware. */
	if (panicking())
		for (;;) {
			irq_disable();
			cpu_halt();
		}
	atomic_fetch_add(&nmis, 1); /* not said here: it may have come while this CPU held the log's lock */
}

void host_nmi_report(void)
{
	unsigned n = atomic_xchg(&nmis, 0);

	if (n)
		log_warn("%u NMIs of unknown origin (port 0x61 says %#x)", n, in8(0x61));
}

void trap_entry(struct trap_frame *f)
{
	uint64_t fixup;

	if (f->vector >= 32) {
		host_hooks->interrupt((unsigned)f->vector);
		return;
	}
	if (f->vector == VEC_NMI) {
		host_nmi();
		return;
	}
	fixup = f->vector == VEC_GP ? trap_fixup(f->rip) : 0;
	if (!fixup)
		panic_trap(f);
	f->rip = fixup;
}
