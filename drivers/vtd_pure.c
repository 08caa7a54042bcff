/* SPDX-License-Identifier: MIT */
#include "drivers/vtd.h"

#include "lib/bits.h"

enum { VERSION = 0x00, COMMAND = 0x18, STATUS = 0x1c, ROOT_TABLE = 0x20 };

#define STATUS_DMA	  BIT(31)
#define STATUS_INTERRUPTS BIT(25)
/* Command bits that say what is on. The others start something once: they are written as 0 (11.4.4). */
#define COMMAND_LASTING	  0x96ffffffu

struct vtd_state vtd_look(const struct vtd_access *a, uint64_t base)
{
	struct vtd_state s = { 0 };
	uint32_t version, status, low, high;

	if (!a->read(base + VERSION, &version) || !a->read(base + STATUS, &status) ||
		!a->read(base + ROOT_TABLE, &low) || !a->read(base + ROOT_TABLE + 4, &high))
		return s;
	/* The major version, bits 7:4, is at least 1; all ones: nothing decodes the address. */
	if (version == 0xffffffff || status == 0xffffffff || !(version & 0xf0))
		return s;
	s.there = true;
	s.dma = status & STATUS_DMA;
	s.interrupts = status & STATUS_INTERRUPTS;
	s.tables = align_down((uint64_t)high << 32 | low, PAGE_SIZE);
	return s;
}

int vtd_stop_interrupt_remapping(const struct vtd_access *a, uint64_t base)
{
	uint32_t status;

	if (!a->read(base + STATUS, &status))
		return -E_NOENT;
	a->write(base + COMMAND, status & COMMAND_LASTING & (uint32_t)~STATUS_INTERRUPTS);
	do {
		if (!a->read(base + STATUS, &status) || status == 0xffffffff)
			return -E_NOENT;
		if (!(status & STATUS_INTERRUPTS))
			return 0;
	} while (a->wait());
	return -E_TIMEOUT;
}
