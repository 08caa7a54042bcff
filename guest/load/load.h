/* SPDX-License-Identifier: MIT */
/*
 * What the image loaders share: the memory of the guest they fill, and the sentence they leave when they cannot.
 *
 * A loader never writes to an address before it has claimed it. A claim must lie wholly in one piece of the guest's
 * RAM and must not touch another claim, so a hostile file can neither reach the BIOS area nor overwrite a table
 * that another part of the loader placed.
 *
 *	0x1000            0x9fc00   1 MiB                                       low_end
 *	  |     ... tables |  hole    | kernel | modules -->     <-- initrd        |
 *	        <-- placed            claimed where the file says   placed downward
 */
#pragma once

#include "guest/dev/layout.h"
#include "guest/load/loader.h"

#define LOAD_CLAIMS_MAX 64
#define LOAD_LOW_FROM	0x1000ul /* real-mode vectors and BIOS data stay clear */

struct load_claim {
	uint64_t base, size;
	const char *file, *what; /* for the sentence when another one runs into it */
};

struct load {
	const struct load_params *p;
	char *why;
	size_t n;
	unsigned nrows, nclaims;
	struct e820_row row[LAYOUT_ROWS_MAX];
	struct load_claim claim[LOAD_CLAIMS_MAX];
};

/* Writes the sentence; returns err, so that callers end with `return load_fail(...)`. */
int load_fail(struct load *l, int err, const char *fmt, ...) __printf_like(3, 4);

/* Claims [base, base + size) for `what` of `file` (both must live as long as *l). Nothing is written. An empty
 * range is a claim of nothing. 0, or -E_RANGE (not RAM), -E_EXIST (taken), -E_NOSUP (too many), with the sentence. */
int load_claim(struct load *l, const char *file, const char *what, uint64_t base, uint64_t size);

enum load_end { LOAD_LOWEST, LOAD_HIGHEST };
/* Finds room for size > 0 bytes, aligned to a power of two, in RAM within [from, to), nearest to that end, and
 * claims it. 0 and *out; -E_NOMEM without a sentence (the caller knows what to advise); -E_NOSUP with one. */
int load_place(struct load *l, const char *file, const char *what, uint64_t size, uint64_t align,
	uint64_t from, uint64_t to, enum load_end end, uint64_t *out);

/* Fill in what was claimed. 0, or -E_FAULT with the sentence. */
int load_write(struct load *l, uint64_t at, const void *data, uint64_t n);
int load_zero(struct load *l, uint64_t at, uint64_t n);

/* The most RAM from `from` on that lies in one piece, in bytes: for advice. */
uint64_t load_ram_from(const struct load *l, uint64_t from);

/*
 * What a 64-bit entry needs (long.c): a GDT with the selectors of the Linux boot protocol and page tables that
 * map [0, 4 GiB) and [also, also + also_size) one to one with 2 MiB pages. Fills in *start, with RIP at entry.
 */
int load_start_long(
	struct load *l, uint64_t entry, uint64_t also, uint64_t also_size, struct vcpu_state *start);
/* The same GDT with 32-bit code, paging off. */
int load_start_flat32(struct load *l, uint32_t entry, struct vcpu_state *start);

/*
 * The state in which GRUB enters a multiboot kernel: 32-bit code, paging off, CS = 08h, the other segments 10h, and a
 * stack below ESP = 7ff00h. The multiboot specification leaves all of these open, but kernels push, and reload
 * selectors, before they load a GDT and a stack of their own. If the image covers that stack, it lies elsewhere below
 * 1 MiB. 0; or an error with the sentence.
 */
#define LOAD_STACK_TOP	 0x7ff00ul
#define LOAD_STACK_BYTES 1024ul
int load_start_multiboot(struct load *l, uint32_t entry, struct vcpu_state *start);

/* An ELF file's loadable segments to their physical addresses, all below 4 GiB, and its entry point as a physical
 * address; *end is the end of the highest segment. */
int load_elf(struct load *l, uint32_t *entry, uint64_t *end);

/* What a BIOS would have left at 0x400. Comes first: an image may be loaded over it. 0 or -E_FAULT. */
int load_bda(struct load *l);

/* True if the file has the format's header. */
bool load_linux_probe(const struct load_file *f);
/* ... and says that the file has a 64-bit entry point. */
bool load_linux64_probe(const struct load_file *f);
bool load_multiboot_probe(const struct load_file *f);
bool load_elf_probe(const struct load_file *f);

int load_linux(struct load *l, struct vcpu_state *start);
int load_multiboot(struct load *l, struct vcpu_state *start);
int load_flat(struct load *l, struct vcpu_state *start);

/* Size in whole MiB, rounded up, for sentences. */
static inline unsigned long long mib_up(uint64_t bytes)
{
	return bytes / MiB + (bytes % MiB != 0);
}
