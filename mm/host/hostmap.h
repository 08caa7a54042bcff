/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own address space. W^X throughout: no page of RAM is writable at one address and executable at
 * the same or another. Nothing is mapped that is not needed, and the null page never. (The code of hv/host/thunks.asm is
 * replaced once, by the first CPU before the others start, with CR0.WP off for that moment.)
 *
 *	0x0000000000000000  identity	the image, each section with its own rights (boot_info.section)
 *					until hostmap_drop_boot(): MEM_BOOT and MEM_BOOT_SERVICES; writable, NX
 *					while asked for: the page where other CPUs start; executable
 *	0xffff800000000000  direct map	+ hpa, 64 TiB: RAM that the frame allocator owns or may be given, MEM_BOOT
 *					also below 1 MiB, the trampoline's page; writable, NX; read-only where it
 *					is code or constants of the image, or ACPI tables
 *	0xffffc00000000000  MMIO	device registers and the framebuffer, mapped one by one; NX
 *	0xffffd00000000000  stacks	each between two pages that are never mapped; NX
 *
 * A second root adds the firmware's runtime regions, identity; only reset switches to it.
 */
#pragma once

#include "lib/boot_info.h"
#include "lib/types.h"
#include "lib/x86.h"
#include "mm/host/frames.h"

#define DIRECT_MAP_BASE 0xffff800000000000ull
#define MMIO_BASE	0xffffc00000000000ull
#define STACKS_BASE	0xffffd00000000000ull
#define WINDOW_BYTES	(512 * GiB) /* of MMIO, and of stacks: one entry of the PML4 table each */

_Static_assert(DIRECT_MAP_BASE + DIRECT_MAP_BYTES <= MMIO_BASE, "the direct map ends before the MMIO window");

/* IA32_PAT of every CPU in root mode, so that PWT/PCD/PAT bits of our entries mean: 0 WB, 1 WT, 2 UC-, 3 UC,
 * 4 WB, 5 WC, 6 UC-, 7 UC. */
#define HOST_PAT 0x0007010600070406ull

/* What the tables may count on. */
struct hostmap_cpu {
	bool pages_1g; /* CPUID.80000001H:EDX[26] */
	bool la57;     /* CR4.LA57 as the firmware left it: it cannot be changed while paging is on */
};

/*
 * Builds the tables from boot_info; does not load CR3. 0; -E_NOMEM;
 * -E_NOSUP: a section of the image that is writable and executable, or not in the lower half (the log says which).
 */
int hostmap_init(const struct boot_info *bi);
/* The same for a CPU that is described rather than asked (tests). Forgets what was there. */
int hostmap_init_for(const struct boot_info *bi, struct hostmap_cpu cpu);
/* The root for CR3 of every CPU. CR4.PGE, EFER.NXE, CR0.WP and HOST_PAT are the caller's to set; no entry is global,
 * so that loading CR3 flushes all. The first CPU calls hostmap_activated() after loading it, which switches
 * direct_map_base: pointers from hpa_to_virt() made earlier go on being good only for what is identity mapped. */
hpa_t hostmap_root(void);
void hostmap_activated(void);
/* A root that adds the runtime regions, identity, code of them writable and executable (its sections are not told
 * apart in the UEFI map, UEFI 7.2), for the firmware's reset. */
hpa_t hostmap_runtime_root(void);

/*
 * Takes the identity mappings of one kind of memory away: MEM_BOOT_SERVICES when the firmware's stack, GDT and IDT are
 * not in use any more, before frames_add_boot_services(); MEM_BOOT (but not the image) when no pointer is in use into
 * it, such as boot_info's to files and the configuration. Flushes this CPU's TLB; others lose what they may remember
 * when they next load CR3. boot_info's ranges must still be as they were.
 */
void hostmap_drop_boot(const struct boot_info *bi, enum mem_type kind);

/*
 * Maps one page below 4 GiB at its own address, readable and executable, for as long as another CPU starts there; or
 * takes that away. While it is on, the page is read-only in the direct map (W^X): write to it before. The other CPU's
 * descriptors in it need their accessed bits set, as it cannot write them once paging is on. `at` must be in
 * the direct map and writable there: boot_info.trampoline is. One page at a time. Flushes on this CPU. 0; -E_INVAL:
 * not such a page, or on while one is on, or off while this one is not; -E_NOMEM.
 */
int hostmap_identity_exec(hpa_t at, bool on);

/* Maps device memory (mt is MT_UC or MT_WC; ACPI tables: MT_WB, read only). Returns a pointer to the first byte
 * asked for, good once the root is loaded; NULL if the window or the memory for tables is exhausted, the range wraps
 * or is beyond 52 bits, or it is RAM and not asked for as MT_WB. Never undone: devices stay. */
void *hostmap_mmio(hpa_t at, uint64_t bytes, enum memtype mt);
/* A stack of `pages` >= 1 with an unmapped page on either side. Returns its top (16-byte aligned; good once the root
 * is loaded) or NULL. `what` (a literal: "stack", "NMI stack") and the CPU's number are for hostmap_guard_name(). */
void *hostmap_stack(unsigned pages, const char *what, unsigned cpu);
#define HOSTMAP_STACKS_MAX 512

/* Is [at, at + n) mapped and readable in our tables? For backtraces and dumps. No lock. False before
 * hostmap_init(). */
bool hostmap_readable(const void *at, size_t n);
/* What an address that faulted is, if it is a place left unmapped on purpose: "guard page below the NMI stack of
 * CPU 2: it overflowed", "the null page". NULL if it is none. The text lasts until the next call. */
const char *hostmap_guard_name(uint64_t at);
