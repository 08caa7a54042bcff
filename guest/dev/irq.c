/* SPDX-License-Identifier: MIT */
/* The wiring of interrupt lines. */
#include "guest/dev/machine.h"

/* ISA IRQ 0 arrives at pin 2 (pin 0 is the 8259's in a PC, and unconnected here); MADT and MP table say so. */
unsigned irq_isa_pin(unsigned irq)
{
	return irq == 0 ? 2 : irq;
}

unsigned irq_pci_pin(unsigned line)
{
	return 16 + line;
}

void irq_set(struct platform *p, unsigned irq, bool level)
{
	vpic_set(&p->pic, irq, level);
	vioapic_set(&p->ioapic, irq_isa_pin(irq), level);
}

void irq_pulse(struct platform *p, unsigned irq)
{
	irq_set(p, irq, false);
	irq_set(p, irq, true);
}

void irq_set_pci(struct platform *p, unsigned line, bool level)
{
	unsigned pair = line & 1;
	uint32_t lines = p->pci.lines;

	lines = level ? lines | (1u << line) : lines & ~(1u << line);
	p->pci.lines = lines;
	vioapic_set(&p->ioapic, irq_pci_pin(line), level);
	/* Lines 0 and 2 share IRQ 10, 1 and 3 share IRQ 11 (\_SB.PCI0._PRT). */
	vpic_set(&p->pic, 10 + pair, lines & (5u << pair));
}

void irq_intr(struct platform *p, bool was, bool is)
{
	for (unsigned i = 0; i < p->vcpus; i++) {
		struct vlapic *l = &p->lapic[i];

		if (atomic_load(&l->takes_extint)) {
			if (is)
				platform_interrupt(p, i, -1);
		} else if (was != is) {
			vlapic_lint0(l, is);
		}
	}
}
