/* SPDX-License-Identifier: MIT */
/*
 * A VM without a hypervisor: the virtual platform with a clock that the test advances, and a console made of two
 * buffers.
 *
 *	struct fake_vm *f = fake_vm_open(2, NULL);	two vCPUs, no guest memory
 *	outb(f, 0x43, 0x34);				... as vCPU 0
 *	fake_vm_advance(f, 1 * MSEC);			timers fire on the way
 *	fake_vm_close(f);
 */
#pragma once

#include "guest/dev/machine.h"
#include "guest/dev/vacpi.h"
#include "guest/dev/vioapic.h"
#include "guest/dev/vkbc.h"
#include "guest/dev/vmailbox.h"
#include "guest/dev/vpci.h"
#include "guest/dev/vpic.h"
#include "guest/dev/vpit.h"
#include "guest/dev/vrom.h"
#include "guest/dev/vrtc.h"
#include "guest/dev/vuart.h"
#include "guest/dev/vvga.h"

#define FAKE_TSC_HZ	1000000000ul /* a tick is a nanosecond */
#define FAKE_MAXPHYADDR 40
#define USEC		1000ul
#define MSEC		1000000ul
#define SEC		1000000000ul

struct fake_vm {
	struct platform *p;
	uint64_t now;
	uint64_t per_look; /* the clock advances by this much each time that a device reads it */
	unsigned wakes[CPUS_MAX], inits[CPUS_MAX], sipis[CPUS_MAX], nmis[CPUS_MAX];
	uint8_t sipi_vector[CPUS_MAX];
	unsigned starts[CPUS_MAX];
	uint64_t start_vector[CPUS_MAX];
	unsigned events; /* timers run by fake_vm_advance */
	char out[65536];
	size_t out_n;
	unsigned writes;	 /* calls of console_write */
	bool console_full, late; /* late: an exit has no time for long work */
	size_t console_piece;	 /* the most that console_write takes in one go; 0: all */
	const char *in;		 /* what a person types, to its NUL */
	unsigned ended;
	enum vm_end end;
	uint32_t code;
	void *apic_page[CPUS_MAX];
	unsigned vcpus;
	bool allocated; /* by platform_create */
};

/* mmu NULL: no guest memory, and the platform lies in host memory. start_time: 2024-02-28 23:59:50 UTC. */
struct fake_vm *fake_vm_open(unsigned vcpus, struct mmu *mmu);
void fake_vm_close(struct fake_vm *f);
/* With the test device (guest/dev/vrom.h): bytes of its ROM and of its BAR. It needs an MMU. */
struct fake_vm *fake_vm_open_rom(unsigned vcpus, struct mmu *mmu, uint64_t rom, uint64_t bar);
/* With the wakeup mailbox. The MMU, if there is one, has RAM for the page tables at LAYOUT_WAKEUP. */
struct fake_vm *fake_vm_open_mailbox(unsigned vcpus, struct mmu *mmu);
/* Advances the clock, and runs every vCPU's events when they are due. */
void fake_vm_advance(struct fake_vm *f, uint64_t ticks);

/* The state of a device by the name of its struct: DEV(f, vuart)->count. */
#define DEV(f, name) device_of(&(f)->p->devices, name)
/* True if any lock of the platform is held. Between two accesses none may be. */
bool fake_vm_locked(const struct fake_vm *f);
/* The level of an ISA IRQ, as a device with that line would set it; and an edge. */
void fake_irq(struct fake_vm *f, unsigned irq, bool level);
void fake_irq_pulse(struct fake_vm *f, unsigned irq);

#define FAKE_START     1709164790ul
#define FAKE_SIGNATURE 0x50654u
#define FAKE_FEATURES  0x0fabfbffu

/* Accesses of vCPU 0. */
uint8_t inb(struct fake_vm *f, uint16_t port);
void outb(struct fake_vm *f, uint16_t port, uint8_t v);
uint32_t lapic_rd(struct fake_vm *f, unsigned vcpu, unsigned off);
void lapic_wr(struct fake_vm *f, unsigned vcpu, unsigned off, uint32_t v);
uint32_t ioapic_rd(struct fake_vm *f, unsigned reg);
void ioapic_wr(struct fake_vm *f, unsigned reg, uint32_t v);

/* Delivers what is deliverable as hv/ does: the vector, or -1. */
int take_irq(struct fake_vm *f, unsigned vcpu);
/* Initialises both 8259s the usual way (vectors 0x20, 0x28) with this mask of the sixteen lines. */
void pic_setup(struct fake_vm *f, uint16_t mask);
