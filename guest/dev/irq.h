/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a VM: the lines of its devices, both controllers, and all local APICs.
 *
 *	device --line--> irq_line_set --+--> vpic ----INTR----> LINT0 of each vlapic --+
 *	                                +--> vioapic --message--+                      +--> vm_ops.interrupt(vCPU)
 *	PCI function --MSI--> irq_msi --------------------------+--> vlapic[] ---------+
 *	vCPU --ICR----------------------------------------------+
 *
 * `lock` protects the 8259s, the I/O APIC and the levels of the lines. The local APICs need none: each belongs to its
 * own vCPU, and what others have to do with it are atomics (vlapic.h).
 */
#pragma once

#include "guest/dev/vlapic.h"
#include "lib/cpu_id.h"
#include "lib/spinlock.h"

struct vioapic;
struct vm_ops;
struct vpic;

struct interrupts {
	struct spinlock lock;
	const struct vm_ops *ops;
	void *vm;
	const char *name; /* of the VM */
	const struct vclock *clock;
	unsigned vcpus, maxphyaddr;
	struct vpic *pic;
	struct vioapic *ioapic;
	uint32_t pci_lines;   /* levels of INTA# to INTD# as the bridge sends them on */
	unsigned lowest_turn; /* vCPU at which the next search for the lowest priority begins; atomic */
	bool extint_refused;  /* the log has said so; atomic */
	struct vlapic lapic[CPUS_MAX];
};

/* The output of a device: an ISA IRQ, 0 to 15 without 2. */
struct irq_line {
	struct interrupts *to;
	unsigned irq;
};

static inline void irq_connect(struct irq_line *line, struct interrupts *to, unsigned irq)
{
	*line = (struct irq_line){ .to = to, .irq = irq };
}
/* The level of a line. IRQs go to the 8259s and to the I/O APIC (IRQ 0 to pin 2). Take interrupts.lock. */
void irq_line_set(const struct irq_line *line, bool level);
/* An edge: the line goes low and high again, and stays high until the next. */
void irq_line_pulse(const struct irq_line *line);
/* The levels of PCI INTA#..INTD# as wired by the bridge, a bit each: I/O APIC pins 16..19; 8259 IRQs 10 and 11. Takes
 * interrupts.lock. */
void irq_set_pci(struct interrupts *s, uint32_t lines);
/* A message-signalled interrupt: a device writes data to address. Takes no lock. */
void irq_msi(struct interrupts *s, uint64_t address, uint32_t data);
/* The I/O APIC's pin of an ISA IRQ and of a PCI line. */
unsigned irq_isa_pin(unsigned irq);
unsigned irq_pci_pin(unsigned line);

/* For the controllers, with interrupts.lock held: the 8259s' INTR changed. */
void irq_intr(struct interrupts *s, bool was, bool is);
/* For the local APIC of a vCPU: acknowledges the 8259s' interrupt: its vector, or -1 if it went away; and ends a level-triggered
 * one at the I/O APIC. Take interrupts.lock. */
int irq_ack_intr(struct interrupts *s);
void irq_eoi(struct interrupts *s, uint8_t vector);
/* The vector that the 8259s offer now, or -1. Takes no lock. */
int irq_intr_vector(const struct interrupts *s);

/* Sends to all that it addresses; false if no local APIC took it. Takes no lock. */
bool apic_send(struct interrupts *s, const struct apic_msg *m);
