/* SPDX-License-Identifier: MIT */
/* The interrupt lines of a PC. */
#include "guest/dev/irq.h"

#include "guest/dev/layout.h"
#include "guest/dev/platform.h"
#include "guest/dev/vioapic.h"
#include "guest/dev/vpic.h"
#include "lib/bits.h"

#define PCI_LINES 4

/* ISA IRQ 0 arrives at pin 2 (pin 0 is the 8259's in a PC, and unconnected here); MADT and MP table say so. */
unsigned irq_isa_pin(unsigned irq)
{
	return irq == 0 ? 2 : irq;
}

unsigned irq_pci_pin(unsigned line)
{
	return 16 + line;
}

static void irq_set_isa(struct interrupts *s, unsigned irq, bool level)
{
	vpic_set(s->pic, irq, level);
	vioapic_set(s->ioapic, irq_isa_pin(irq), level);
}

void irq_line_set(const struct irq_line *line, bool level)
{
	spin_lock(&line->to->lock);
	irq_set_isa(line->to, line->irq, level);
	spin_unlock(&line->to->lock);
}

void irq_line_pulse(const struct irq_line *line)
{
	spin_lock(&line->to->lock);
	irq_set_isa(line->to, line->irq, false);
	irq_set_isa(line->to, line->irq, true);
	spin_unlock(&line->to->lock);
}

void irq_set_pci(struct interrupts *s, uint32_t lines)
{
	spin_lock(&s->lock);
	for (unsigned n = 0; n < PCI_LINES; n++)
		if ((lines ^ s->pci_lines) & 1u << n)
			vioapic_set(s->ioapic, irq_pci_pin(n), lines & 1u << n);
	s->pci_lines = lines;
	/* Lines 0 and 2 share IRQ 10, 1 and 3 share IRQ 11 (\_SB.PCI0._PRT). */
	vpic_set(s->pic, 10, lines & 5);
	vpic_set(s->pic, 11, lines & 10);
	spin_unlock(&s->lock);
}

void irq_msi(struct interrupts *s, uint64_t address, uint32_t data)
{
	const struct apic_msg m = {
		.dest = (uint32_t)bits_get(address, 19, 12),
		.logical = address & BIT(2),
		.delivery = (enum apic_delivery)bits_get(data, 10, 8),
		.vector = (uint8_t)data,
		.level = data & BIT(15),
	};

	if (address >> 20 == LAYOUT_LAPIC >> 20)
		apic_send(s, &m);
}

void irq_intr(struct interrupts *s, bool was, bool is)
{
	for (unsigned i = 0; i < s->vcpus; i++) {
		struct vlapic *l = &s->lapic[i];

		if (atomic_load(&l->takes_extint)) {
			if (is)
				s->ops->interrupt(s->vm, i, -1);
		} else if (was != is) {
			vlapic_lint0(l, is);
		}
	}
}

int irq_intr_vector(const struct interrupts *s)
{
	return atomic_load(&s->pic->out);
}

int irq_ack_intr(struct interrupts *s)
{
	int vector = -1;

	spin_lock(&s->lock);
	if (s->pic->out >= 0)
		vector = vpic_ack(s->pic);
	spin_unlock(&s->lock);
	return vector;
}

void irq_eoi(struct interrupts *s, uint8_t vector)
{
	spin_lock(&s->lock);
	vioapic_eoi(s->ioapic, vector);
	spin_unlock(&s->lock);
}
