/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own address space. W^X throughout; nothing is mapped that is not needed.
 *
 *	image        identity, each section with its own rights (boot_info.section)
 *	direct map   DIRECT_MAP_BASE + hpa: RAM that the frame allocator owns and MEM_BOOT/ACPI RAM; writable, NX
 *	MMIO window  device registers and the framebuffer, mapped one by one
 *	stacks       each between two pages that are never mapped
 *	runtime      the firmware's runtime regions, identity, only in a second root that reset switches to
 */
#pragma once

#include "lib/boot_info.h"
#include "lib/types.h"
#include "lib/x86.h"

#define DIRECT_MAP_BASE 0xffff800000000000ull
#define MMIO_BASE	0xffffc00000000000ull
#define STACKS_BASE	0xffffd00000000000ull

/* IA32_PAT of every CPU in root mode, so that PWT/PCD/PAT bits of our entries mean: 0 WB, 1 WT, 2 UC-, 3 UC,
 * 4 WB, 5 WC, 6 UC-, 7 UC. */
#define HOST_PAT 0x0007010600070406ull

/* Builds the tables from boot_info; does not load CR3. 0, -E_NOMEM or -E_NOSUP. */
int hostmap_init(const struct boot_info *bi);
/* The root for CR3 of every CPU. CR4.PGE, EFER.NXE, CR0.WP and HOST_PAT are the caller's to set. The first CPU
 * calls hostmap_activated() after loading it, which switches direct_map_base. */
hpa_t hostmap_root(void);
void hostmap_activated(void);
/* A root that adds the runtime regions, identity and executable, for the firmware's reset. */
hpa_t hostmap_runtime_root(void);

/* Maps device memory (mt is MT_UC or MT_WC; ACPI tables: MT_WB, read only). Returns a pointer to the first byte
 * asked for; NULL if the window or the memory for tables is exhausted. Never undone: devices stay. */
void *hostmap_mmio(hpa_t at, uint64_t bytes, enum memtype mt);
/* A stack of `pages` with an unmapped page on either side. Returns its top (16-byte aligned) or NULL. */
void *hostmap_stack(unsigned pages);
/* Is [at, at + n) mapped and readable? For backtraces and dumps: reads tables only. */
bool hostmap_readable(const void *at, size_t n);
/* Which guard page (if any) an address is in: "stack of CPU 2" style words for the panic. NULL if none. */
const char *hostmap_guard_name(uint64_t at);
