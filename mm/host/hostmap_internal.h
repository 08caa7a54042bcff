/* SPDX-License-Identifier: MIT */
/* What mm/host/hostmap.c and mm/host/hostmap_windows.c share. */
#pragma once

#include "lib/spinlock.h"
#include "lib/x86.h"
#include "mm/host/host_tables.h"

/* Rights of a mapping; write-back unless said. The numbers are indices of HOST_PAT. */
#define MAP_R  PTE_NX
#define MAP_RW (PTE_NX | PTE_W)
#define MAP_RX 0ull
#define MAP_UC (PTE_PCD | PTE_PWT)   /* 3 */
#define MAP_WC (PTE_PAT4K | PTE_PWT) /* 5 */

extern struct spinlock hostmap_lock;	/* guards the tables and the windows; outside the frame lock */
extern struct host_tables hostmap_main; /* levels is 0 before hostmap_init */

void hostmap_windows_reset(void);
/* A page's entry changed: what this CPU remembers of it goes. Tables that no CPU has loaded are in no TLB. */
void hostmap_flush(uint64_t va);
