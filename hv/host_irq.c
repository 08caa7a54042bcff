/* SPDX-License-Identifier: MIT */
/* The machine's own interrupts, whether they came as a VM exit or through the IDT while a CPU idled. */
#include "drivers/console/console.h"
#include "drivers/ioapic.h"
#include "drivers/lapic.h"
#include "hv/clock.h"
#include "hv/host_irq.h"
#include "hv/run.h"
#include "hv/vm/vcpu.h"
#include "lib/log.h"

void host_interrupt(unsigned vector)
{
	struct vcpu *v = this_cpu()->current;

	switch (vector) {
	case VEC_KICK: /* the sender has left its request elsewhere */
		lapic_eoi();
		if (atomic_xchg(&this_cpu()->look_again, false))
			sched_look_again(this_cpu());
		return;
	case VEC_TIMER:
		lapic_eoi();
		clock_fired(this_cpu());
		if (v)
			vcpu_request(v, REQ_EVENTS);
		return;
	case VEC_SPURIOUS:
		return; /* needs no EOI (SDM Vol. 3A 10.9) */
	}
	if (vector >= VEC_ISA && vector < VEC_ISA + 16) {
		console_interrupt();
		lapic_eoi();
		this_cpu()->housekeeping = 0; /* typed bytes go to the guest at the loop's next turn */
		if (v)
			vcpu_request(v, REQ_EVENTS);
		return;
	}
	if (vector >= VEC_PIC && vector < VEC_PIC + 16)
		return; /* a spurious interrupt of the masked 8259s */
	log_warn("CPU %u: interrupt with unexpected vector %#x", this_cpu_id(), vector);
	lapic_eoi();
}

void host_irq_init(void)
{
	uint8_t irq[2];
	unsigned n = console_isa_irqs(irq);

	if (ioapic_init(acpi_get())) {
		log_info("no I/O APIC: the console is polled");
		return;
	}
	for (unsigned i = 0; i < n; i++)
		if (ioapic_route_isa(irq[i], (uint8_t)(VEC_ISA + irq[i]), this_cpu()->apic_id))
			return; /* polled then: every HOUSEKEEPING_US */
	console_enable_interrupts();
}
