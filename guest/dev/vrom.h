/* SPDX-License-Identifier: MIT */
/*
 * Lethe's test device: a PCI function that does nothing but change the guest's memory map (lethe.conf: devices = rom).
 * A guest that switches its expansion ROM on, reads it and switches it off again, as Linux does for each read of `rom`
 * in sysfs, adds and deletes a memory slot: the workload that the MMU's generations are made for.
 *
 *	BAR 0	 4 KiB	 the registers below
 *	BAR 2/3	 64 bits, prefetchable, bar-size: 2 MiB of RAM, which repeats when the BAR is larger (as where a board
 *			 does not decode all address lines): a guest can have very many tables live with little RAM
 *	ROM	 rom-size: an option ROM image (PCI 3.0, 6.3) of this device; from its second KiB on, word n is n * VROM_PATTERN
 *
 * The vendor number is 0x1234: the PCI-SIG has assigned it to no vendor, and emulators have used it for so long for
 * devices that exist nowhere else that no vendor will get it. No driver of a common system asks for 1234:1e7e.
 */
#pragma once

#include "guest/conf/rom_size.h"
#include "guest/dev/device.h"
#include "guest/dev/vpci.h"
#include "mm/mmu/mmu.h"

#define VROM_VENDOR  0x1234
#define VROM_DEVICE  0x1e7e
#define VROM_SLOT    3
#define VROM_BAR_REG 0
#define VROM_BAR_RAM 2
#define VROM_PATTERN 0x9e3779b1u
#define VROM_HEADER  1024 /* bytes of the ROM before the pattern */

/* Registers: 32 bits, on multiples of 4. All but CONTROL are read-only. */
#define VROM_ID		  0x00 /* VROM_ID_VALUE */
#define VROM_STATUS	  0x04
#define VROM_CONTROL	  0x08
#define VROM_ADDS	  0x0c /* how often a slot was added, deleted, moved */
#define VROM_DELETES	  0x10
#define VROM_MOVES	  0x14
#define VROM_CHANGE_TICKS 0x18 /* TSC ticks that the last of these calls took, from call to return */
/* From the last removal to the first look at STATUS that found its memory free. */
#define VROM_GRACE_TICKS  0x1c
/* Reads and clears the next VROM_LOG_PIECE pages of the RAM BAR's dirty log: how many of them were written, and VROM_LOG_MORE unless
 * they were the last. */
#define VROM_LOG	  0x20
#define VROM_LOG_TICKS	  0x24	     /* TSC ticks that this took, from the first piece on */
#define VROM_ID_VALUE	  0x4554454c /* "LETE" in memory's order */

#define VROM_STATUS_RAM	     BIT(0) /* the RAM is in the guest's map; the ROM is */
#define VROM_STATUS_ROM	     BIT(1)
#define VROM_STATUS_RAM_FREE BIT(2) /* it is not, and no vCPU can reach it by an old translation any more */
#define VROM_STATUS_ROM_FREE BIT(3)
#define VROM_STATUS_ERASING  BIT(4)
#define VROM_STATUS_LOG	     BIT(5) /* writes to the RAM are logged */

/* CONTROL: fill the RAM with zeros. Ignored unless the RAM is off the map. It begins when STATUS shows it free, and
 * gets on by VROM_ERASE_PAGES at each look at STATUS; until it is done the BAR does not come back on the map. */
#define VROM_CONTROL_ERASE BIT(0)
#define VROM_ERASE_PAGES   4
/* A level: log which pages of the RAM BAR are written (SLOT_DIRTY_LOG). Ignored while the RAM is off the map, and for
 * a BAR of more than VROM_LOG_PAGES. */
#define VROM_CONTROL_LOG   BIT(1)
#define VROM_LOG_PAGES	   16384 /* 64 MiB: the log is made at once */
#define VROM_LOG_PIECE	   64
#define VROM_LOG_MORE	   BIT(16)

/* Memory of the device that comes into the guest's map and goes. */
struct vrom_memory {
	struct backing *backing;
	unsigned flags; /* SLOT_* */
	bool on, leaving;
	slot_id slot;		 /* while on */
	struct mmu_ticket until; /* while leaving: not ready when last looked at */
};

struct vrom {
	struct device dev;
	struct vpci_dev pci;
	struct backing *ram; /* what the BAR's memory repeats */
	struct vrom_memory bar, rom;
	uint64_t rom_bytes, bar_bytes;
	bool erasing;
	uint64_t erased; /* pages, while erasing */
	uint32_t adds, deletes, moves, change_ticks, grace_ticks;
	uint64_t removed_at; /* TSC */
	uint32_t log_ticks;
	uint64_t log_at; /* page at which the next piece of the log begins */
};
