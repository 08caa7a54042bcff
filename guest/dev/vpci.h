/* SPDX-License-Identifier: MIT */
/*
 * PCI bus 0 (PCI Local Bus Specification 3.0): configuration mechanism 1 at ports 0xcf8/0xcfc, the host bridge, and the frame in
 * which later devices stand: configuration space with write masks, BARs that are sized and moved by the guest.
 *
 * A BAR is either handled (read and write functions, put on the bus) or placed: the device is told where it lies and
 * adds or deletes a memory slot itself (RAM behind a BAR, an expansion ROM).
 */
#pragma once

#include "guest/dev/device.h"

#define VPCI_SLOTS 16
#define VPCI_BARS  7 /* six, and [6] the expansion ROM */
#define VPCI_ROM   6

#define PCI_COMMAND	    0x04
#define PCI_COMMAND_IO	    (1u << 0)
#define PCI_COMMAND_MEMORY  (1u << 1)
#define PCI_COMMAND_MASTER  (1u << 2)
#define PCI_COMMAND_NO_INTX (1u << 10)
#define PCI_STATUS	    0x06
#define PCI_BAR0	    0x10
#define PCI_ROM_BAR	    0x30
#define PCI_INTERRUPT_LINE  0x3c
#define PCI_INTERRUPT_PIN   0x3d

struct vpci_dev;

enum vpci_bar_kind { VPCI_BAR_NONE, VPCI_BAR_IO, VPCI_BAR_MEM32, VPCI_BAR_MEM64 /* takes two */ };

struct vpci_bar {
	enum vpci_bar_kind kind;
	bool prefetchable;
	uint64_t size; /* power of two; memory at least 4 KiB, I/O 4..256 */
	/* Handled: both. */
	bus_read_fn *read;
	bus_write_fn *write;
	/* Placed: called with on = true when the BAR decodes at `at`, and with on = false before it moves or stops.
	 * The PCI lock is held. Not 0: it could not be placed and is left off. */
	int (*place)(struct vpci_dev *d, unsigned bar, bool on, uint64_t at);
	/* Placed, and may be NULL: it goes from where it is to `at` in one step. Not 0: by `place`, off and on. */
	int (*move)(struct vpci_dev *d, unsigned bar, uint64_t at);

	/* vpci's own */
	bool mapped;
	uint64_t at;
	struct bus_range range; /* if it is handled */
};

struct vpci_dev {
	const char *name;
	unsigned slot; /* device number on bus 0; function 0 */
	uint8_t config[256], initial[256];
	uint8_t writable[256]; /* bit set: the guest may change it */
	uint8_t clear[256];    /* bit set: writing 1 clears it */
	struct vpci_bar bar[VPCI_BARS];
	bool intx; /* the device asserts its interrupt pin */
	/* After the guest changed config bytes (may be NULL); and at reset (may be NULL). */
	void (*config_written)(struct vpci_dev *d, unsigned off, unsigned size);
	void (*reset)(struct vpci_dev *d);
	struct vpci *bus; /* filled in by vpci_add */
};

struct vpci {
	struct device dev;
	struct bus_range ports;
	uint32_t address;      /* 0xcf8 */
	uint8_t reset_control; /* 0xcf9 */
	struct vpci_dev *slot[VPCI_SLOTS];
	struct vpci_dev host;
	uint64_t next_memory, next_port; /* where firmware would put the next BAR */
};

/* vpci_bar.c, for vpci.c */
int vpci_check_bars(struct vpci_dev *d); /* 0 and the registers' masks set, or -E_INVAL */
void vpci_assign_begin(struct vpci *v);
void vpci_assign(struct vpci *v, struct vpci_dev *d); /* gives addresses, switches decoding on */
void vpci_remap(struct vpci *v);		      /* makes the buses match configuration space */

/* Fills in the header of a type 0 function. class_code: class, subclass, interface in bits 23:16, 15:8, 7:0. */
void vpci_identify(
	struct vpci_dev *d, uint16_t vendor, uint16_t device, uint32_t class_code, uint8_t revision);
/* The device stays the caller's and must live as long as the platform. Its BARs get addresses at once, as firmware
 * would give them. 0; -E_EXIST: slot taken; -E_RANGE: slot; -E_INVAL: a BAR's size. Takes the PCI lock. */
int vpci_add(struct vpci *v, struct vpci_dev *d);
/* The line 0..3 that the bridge connects a slot's pin to (0: INTA#): neighbours' INTA# get different ones. */
unsigned vpci_line(unsigned slot, unsigned pin);
/* Level of the device's INTx pin. The PCI lock is held. */
void vpci_intx(struct vpci_dev *d, bool level);
