/* SPDX-License-Identifier: MIT */
/*
 * The inside of `struct platform`, for the devices: what each may ask of the others. (hv/ uses platform.h.)
 *
 *	bus --> devices --irq_set--> vpic, vioapic --> vlapic[] --> wake
 *	          |  ^
 *	    timer_arm, fire
 *
 * Everything here is protected by `lock`, but what says otherwise.
 */
#pragma once

#include "guest/dev/bus.h"
#include "guest/dev/platform.h"
#include "guest/dev/timer.h"
#include "guest/dev/vacpi.h"
#include "guest/dev/vconsole.h"
#include "guest/dev/vectors.h"
#include "guest/dev/vioapic.h"
#include "guest/dev/vkbc.h"
#include "guest/dev/vlapic.h"
#include "guest/dev/vpci.h"
#include "guest/dev/vpic.h"
#include "guest/dev/vpit.h"
#include "guest/dev/vrom.h"
#include "guest/dev/vrtc.h"
#include "guest/dev/vuart.h"
#include "guest/dev/vvga.h"
#include "lib/assert.h"
#include "lib/bits.h"
#include "lib/spinlock.h"
#include "mm/map/slots.h"

struct platform {
	struct spinlock lock;
	const struct vm_ops *ops;
	void *vm;
	const char *name;
	struct mmu *mmu;
	struct guest_layout layout;
	unsigned vcpus;
	struct vclock clock;
	unsigned maxphyaddr;
	bool debug_exit, ended, extint_refused;
	unsigned console_poll_ms;
	unsigned lowest_turn; /* vCPU at which the next search for the lowest priority begins */
	uint16_t owner;
	uint32_t cpu_signature, cpu_features; /* CPUID leaf 1: EAX, EDX */
	uint64_t pages;			      /* of this object */
	struct backing *bios;
	struct platform_stats stats;
	uint64_t irqs[CPUS_MAX]; /* by vCPU, counted without the lock */

	struct timer_queue timers[CPUS_MAX];
	struct vlapic lapic[CPUS_MAX];
	struct vpic pic;
	struct vioapic ioapic;
	struct vpit pit;
	struct vrtc rtc;
	struct vuart uart;
	struct vkbc kbc;
	struct vvga vga;
	struct vacpi acpi;
	struct vpci pci;
	struct vrom rom; /* if params.rom_bytes */
	struct console console;
	struct vectors vectors;
	uint8_t dma_page[16]; /* ports 0x80..0x8f hold what is written */
	char debug_line[120]; /* port 0xe9 */
	unsigned debug_n;
	unsigned debug_lines;  /* logged in the second that began ... */
	uint64_t debug_second; /* ... at this time of the guest's TSC */
	struct bus bus;
};

/* Fills in an object that the caller allocated (zeroed); platform_create without the memory. */
int platform_init(struct platform *p, const struct platform_params *params);

static inline void platform_wake(struct platform *p, unsigned vcpu)
{
	p->ops->wake(p->vm, vcpu);
}
static inline void platform_interrupt(struct platform *p, unsigned vcpu, int vector)
{
	p->ops->interrupt(p->vm, vcpu, vector);
}
static inline void platform_lock(struct platform *p)
{
	spin_lock(&p->lock);
}
static inline void platform_unlock(struct platform *p)
{
	spin_unlock(&p->lock);
}
/* Only the first reason counts; the guest may still run a little until hv/ stops it. */
void platform_end(struct platform *p, enum vm_end why, uint32_t code);

/* Interrupt lines (irq.c). ISA IRQs 0..15 go to the 8259s and to the I/O APIC (IRQ 0 to pin 2). */
void irq_set(struct platform *p, unsigned irq, bool level);
/* An edge: the line goes low and high again, and stays high until the next. */
void irq_pulse(struct platform *p, unsigned irq);
/* PCI INTA#..INTD# as wired by the bridge: I/O APIC pins 16..19; 8259 IRQs 10 and 11. */
void irq_set_pci(struct platform *p, unsigned line, bool level);
/* The I/O APIC's pin of an ISA IRQ and of a PCI line. */
unsigned irq_isa_pin(unsigned irq);
unsigned irq_pci_pin(unsigned line);
/* vpic tells that its INTR changed. */
void irq_intr(struct platform *p, bool was, bool is);

/* Registers ports that must be free at start-up. */
void platform_ports(struct platform *p, uint16_t base, unsigned n, unsigned sizes, void *dev,
	bus_read_fn *read, bus_write_fn *write);

void vdebugexit_init(struct platform *p);
void vlegacy_init(struct platform *p);
