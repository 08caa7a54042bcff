/* SPDX-License-Identifier: MIT */
/*
 * A virtual device, and all that it gets of the machine. To add one: its file, and its line in devices.h.
 *
 *	struct device_kind	what a kind of device can do; constant
 *	struct device		the head of each device's state: its lock and its board
 *	struct board		what a device is plugged into: bus, clock, timers, interrupt lines, console, guest memory
 *
 * The life of a device, in this order:
 *
 *	1. init	    takes memory, sets what never changes
 *	2.	    pc.c connects the lines that run between devices
 *	3. attach   goes on the bus, adds its timers
 *	4. reset    as firmware leaves the device: at creation, and at each reset of the machine
 *	5. destroy  gives back what init took
 *
 * Locks: a device's functions are called with device.lock held, be it by an access (bus.h), a timer (timer.h), or reset; init,
 * attach and destroy are called while no vCPU runs. The kind says whose lock that is. No function of a device may call what
 * takes another device's lock: devices that have to call each other share one.
 */
#pragma once

#include "guest/dev/bus.h"
#include "guest/dev/irq.h"
#include "guest/dev/layout.h"
#include "guest/dev/power.h"
#include "guest/dev/timer.h"
#include "guest/dev/vconsole.h"
#include "lib/assert.h"
#include "lib/bits.h"
#include "lib/spinlock.h"

struct backing;
struct device;
struct mmu;
struct vpci;

struct board {
	const char *vm; /* the VM's name, for the log */
	const struct device_settings *settings;
	const struct vclock *clock;
	struct timer_queue *timers; /* of vCPU 0, which runs the timers of all devices */
	struct bus *bus;
	struct interrupts *irqs;
	struct console *console;
	struct power *power;
	struct mmu *memory;	   /* NULL in some tests: the guest has none */
	struct vpci *pci;	   /* the bus that PCI functions stand on */
	struct spinlock *pci_lock; /* of that bus and of all functions on it */
};

enum device_lock {
	LOCK_OWN,
	LOCK_INTERRUPTS, /* the controllers and the lines between them */
	LOCK_CONSOLE, /* devices through which the guest talks: a typed byte goes to the one that listens */
	LOCK_PCI,     /* functions on the PCI bus, whose BARs it moves */
};

struct device_kind {
	const char *name;
	size_t size; /* of its state, which begins with struct device and is zeroed before init */
	enum device_lock lock;
	/* All but attach may be NULL. */
	bool (*wanted)(const struct device_settings *s); /* NULL: every VM has it */
	int (*init)(struct device *d);			 /* 0 or -E_*; a failed init has nothing to destroy */
	int (*attach)(struct device *d);		 /* 0 or what adding a slot of memory says */
	void (*detach)(struct device *d);		 /* undoes attach, before any vCPU has run */
	void (*reset)(struct device *d);		 /* NULL: the bus that it stands on resets it */
	/* No vCPU runs any more: gives back at most so many pieces of memory (backing_free_some()). True: all is given
	 * back; else to be called again. */
	bool (*destroy)(struct device *d, unsigned most);
};

struct device {
	const struct device_kind *kind;
	const struct board *board;
	struct spinlock *lock;
	struct spinlock own; /* the lock, if the kind says LOCK_OWN */
};

static inline uint64_t device_now(const struct device *d)
{
	return vclock_now(d->board->clock);
}
/* n ports from `base` on. They must be free: the address map of a PC is fixed. */
void device_ports(struct device *d, struct bus_range *r, uint16_t base, unsigned n, unsigned sizes,
	bus_read_fn *read, bus_write_fn *write);
/* The same for guest-physical addresses; accesses of all sizes. */
void device_mmio(struct device *d, struct bus_range *r, gpa_t base, uint64_t n, bus_read_fn *read,
	bus_write_fn *write);
/* A timer whose `fire` runs with the device's lock held. */
void device_timer(struct device *d, struct vtimer *t, void (*fire)(struct vtimer *, uint64_t));
