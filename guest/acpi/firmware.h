/* SPDX-License-Identifier: MIT */
/*
 * What the files that write the guest's read-only firmware area share (guest/dev/layout.h has its map).
 *
 *	tables.c	ACPI, from 0xe0000 on; calls the others
 *	mp_table.c	Intel MultiProcessor tables, from 0xf0000 on
 *	vectors.c	real-mode interrupt handlers, from 0xf8000 on
 *	wakeup.c	page tables of vCPUs that start by the wakeup mailbox: in reserved RAM, not here
 */
#pragma once

#include "guest/dev/machine.h"
#include "guest/dev/vacpi.h"
#include "guest/dev/vioapic.h"
#include "guest/dev/vpci.h"

/* The byte that makes n bytes, in which it is 0 so far, add up to 0. */
uint8_t firmware_checksum(const void *bytes, size_t n);

/* Writes the MP floating pointer structure and configuration table (MP specification 1.4, chapter 4). 0 or what
 * guest_write_rom says. */
int mp_table_write(struct platform *p);
/* Writes the page tables in which vCPUs begin that start by the wakeup mailbox; nothing, if there is none. 0 or what guest_write
 * says. */
int wakeup_write(struct platform *p);
