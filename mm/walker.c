/* SPDX-License-Identifier: MIT */
/*
 * The guest page-table walker. A walk has three parts: down the tables, where entries that are not present or have
 * reserved bits set end it; the rights of the page against the access; and only when that is allowed, the flags.
 *
 * The walk down is written once and compiled twice, for 8-byte and for 4-byte entries; it is what every emulated
 * instruction goes through to be fetched, so the usual case stays within 200 instructions.
 */
#include "mm/walker.h"

#include "lib/x86.h"
#include "mm/guest_entry.h"
#include "mm/mmu_internal.h"

#define TRIES 1000 /* of setting flags, against a guest that changes its entries all the time */

#define ACCESS_KIND (MMU_READ | MMU_WRITE | MMU_EXEC)

/* What part of a walk depends on the vCPU's state only. */
struct mode {
	unsigned top;	   /* level of the first table that is read */
	uint64_t root;	   /* its gpa */
	uint64_t reserved; /* bits that no entry may have */
};

static bool is_user(const struct paging_regs *r, unsigned access)
{
	return r->cpl == 3 && !(access & WALK_IMPLICIT);
}

/* SDM Vol. 3A 4.7, but for P and RSVD. */
static uint32_t error_base(const struct paging_regs *r, unsigned access)
{
	uint32_t e = 0;

	if (access & MMU_WRITE)
		e |= PF_WRITE;
	if (is_user(r, access))
		e |= PF_USER;
	if ((access & MMU_EXEC) && ((r->cr4 & CR4_SMEP) || ((r->cr4 & CR4_PAE) && (r->efer & EFER_NXE))))
		e |= PF_FETCH;
	return e;
}

static __attribute__((noinline, cold)) int fault(
	const struct paging_regs *r, unsigned access, struct guest_walk *w, uint64_t why)
{
	w->error_code = error_base(r, access) | (uint32_t)why;
	return -E_FAULT;
}

/*
 * SDM Vol. 3A 4.6.1. `all` and `any` combine the rights of all entries.
 */
static inline bool allowed(const struct paging_regs *r, unsigned access, uint64_t all, uint64_t any)
{
	if (is_user(r, access)) {
		if (!(all & PTE_U) || ((access & MMU_WRITE) && !(all & PTE_W)))
			return false;
	} else {
		if ((access & MMU_WRITE) && !(all & PTE_W) && (r->cr0 & CR0_WP))
			return false;
		if (all & PTE_U) { /* a supervisor on a user's page */
			if (access & MMU_EXEC) {
				if (r->cr4 & CR4_SMEP)
					return false;
			} else if ((r->cr4 & CR4_SMAP) &&
				   ((access & WALK_IMPLICIT) || !(r->rflags & RFLAGS_AC))) {
				return false;
			}
		}
	}
	/* Without NXE the bit is reserved, or, in 4-byte entries, not there. */
	return !((access & MMU_EXEC) && (any & PTE_NX));
}

/* Bits that a leaf above level 1 may not have; the address has none below its size. PAT is bit 12 (SDM Vol. 3A tables
 * 4-4, 4-10, 4-16, 4-18). */
static inline uint64_t large_reserved(const struct mmu *mmu, unsigned level, bool wide)
{
	if (!wide) { /* PSE-36: bits 20:13 are 39:32 of the address, as far as the width goes */
		unsigned width = min(max(mmu->guest_maxphyaddr, 32u), 40u);

		return BITS(21, width - 19);
	}
	if (level == 3)
		return mmu->caps.guest_no_1g ? PTE_PS : BITS(29, 13);
	return BITS(20, 13);
}

static inline uint64_t large_address(uint64_t e, unsigned shift, bool wide)
{
	if (!wide)
		return (e & BITS(31, 22)) | bits_get(e, 20, 13) << 32;
	return e & PTE_ADDR & ~(BIT(shift) - 1);
}

/* Down the tables from level m->top. `wide`: entries of 8 bytes (9 bits of the address a level), else 4 (10 bits). */
static inline __attribute__((always_inline)) int descend(struct mmu *mmu, const struct paging_regs *r,
	const struct mode *m, uint64_t at, unsigned access, struct guest_walk *w, bool wide)
{
	const unsigned size = wide ? 8 : 4, bits = wide ? 9 : 10;
	uint64_t table = m->root, all = w->all, any = w->any, e;
	unsigned level = m->top, shift = PAGE_SHIFT + bits * (level - 1);
	struct guest_window window = { 0 };

	for (;; level--, shift -= bits) {
		uint64_t where = table + (at >> shift & (BIT(bits) - 1)) * size;

		e = guest_entry_read(mmu, &window, where, size);
		w->step[level - 1] = (struct walk_step){ .at = gpa(where), .entry = e };
		w->leaf = level;
		if (unlikely(!(e & PTE_P)))
			return fault(r, access, w, 0);
		if (unlikely(e & m->reserved))
			return fault(r, access, w, PF_PRESENT | PF_RSVD);
		all &= e;
		any |= e;
		if (level == 1) {
			w->out = gpa((e & PTE_ADDR) | (at & PAGE_MASK));
			break;
		}
		if ((e & PTE_PS) && (wide || (r->cr4 & CR4_PSE))) {
			if (level > 3 || (e & large_reserved(mmu, level, wide)))
				return fault(r, access, w, PF_PRESENT | PF_RSVD);
			w->out = gpa(large_address(e, shift, wide) | (at & (BIT(shift) - 1)));
			break;
		}
		table = e & PTE_ADDR;
	}
	w->shift = shift;
	w->all = all;
	w->any = any;
	if (unlikely(!allowed(r, access, all, wide ? any : 0)))
		return fault(r, access, w, PF_PRESENT);
	return 0;
}

/* Sets what is missing of the accessed flags of all entries and the dirty flag of the last (SDM Vol. 3A 4.8). 0, or
 * -E_AGAIN: an entry has changed since it was read, so that all that was concluded from it is void. */
static __attribute__((noinline)) int set_flags(
	struct mmu *mmu, unsigned access, struct guest_walk *w, unsigned size)
{
	for (unsigned level = w->top; level >= w->leaf; level--) {
		struct walk_step *s = &w->step[level - 1];
		uint64_t want = s->entry | PTE_A | (level == w->leaf && (access & MMU_WRITE) ? PTE_D : 0);
		uint64_t expected = s->entry;

		if (want == s->entry || s->at.v == WALK_LATCHED)
			continue;
		switch (guest_cmpxchg(mmu, s->at, &expected, want, size)) {
		case 0:
			s->entry = want;
			break;
		case -E_AGAIN:
			return -E_AGAIN;
		default: /* ROM: the write is lost, and the walk goes on, as on the bus */
			break;
		}
	}
	return 0;
}

static inline bool flags_set(unsigned access, const struct guest_walk *w)
{
	return (w->all & PTE_A) && (!(access & MMU_WRITE) || (w->step[w->leaf - 1].entry & PTE_D));
}

/* 4-level and 5-level paging. */
static int walk_long(
	struct mmu *mmu, const struct paging_regs *r, uint64_t at, unsigned access, struct guest_walk *w)
{
	unsigned width = r->cr4 & CR4_LA57 ? 57 : 48, unused = 64 - width;
	struct mode m = {
		.top = r->cr4 & CR4_LA57 ? 5 : 4,
		.root = r->cr3 & PTE_ADDR,
		.reserved = BITS(51, mmu->guest_maxphyaddr) | (r->efer & EFER_NXE ? 0 : PTE_NX),
	};
	int err;

	if (unlikely((uint64_t)((int64_t)(at << unused) >> unused) != at))
		return -E_RANGE;
	w->top = m.top;
	err = descend(mmu, r, &m, at, access, w, true);
	if (err || likely(flags_set(access, w)) || (access & WALK_PEEK))
		return err;
	return set_flags(mmu, access, w, 8);
}

static int walk_pae(
	struct mmu *mmu, const struct paging_regs *r, uint64_t at, unsigned access, struct guest_walk *w)
{
	uint64_t pdpte = r->pdpte[at >> 30 & 3];
	struct mode m = {
		.top = 2,
		.root = pdpte & PTE_ADDR,
		.reserved = BITS(62, mmu->guest_maxphyaddr) | (r->efer & EFER_NXE ? 0 : PTE_NX),
	};
	int err;

	w->top = 3;
	w->step[2] = (struct walk_step){ .at = gpa(WALK_LATCHED), .entry = pdpte };
	if (!(pdpte & PTE_P)) { /* its other bits were checked when it was loaded, and it gives no rights */
		w->leaf = 3;
		return fault(r, access, w, 0);
	}
	err = descend(mmu, r, &m, at, access, w, true);
	if (err || flags_set(access, w) || (access & WALK_PEEK))
		return err;
	return set_flags(mmu, access, w, 8);
}

static int walk_32(
	struct mmu *mmu, const struct paging_regs *r, uint64_t at, unsigned access, struct guest_walk *w)
{
	struct mode m = { .top = 2, .root = r->cr3 & BITS(31, 12) };
	int err;

	w->top = 2;
	err = descend(mmu, r, &m, at, access, w, false);
	if (err || flags_set(access, w) || (access & WALK_PEEK))
		return err;
	return set_flags(mmu, access, w, 4);
}

int guest_walk_record(
	struct mmu *mmu, const struct paging_regs *r, gva_t at, unsigned access, struct guest_walk *w)
{
	int err = -E_AGAIN;

	for (unsigned i = 0; i < TRIES && err == -E_AGAIN; i++) {
		w->all = PTE_U | PTE_W | PTE_A;
		w->any = 0;
		if (likely(r->efer & EFER_LMA)) {
			err = walk_long(mmu, r, at.v, access, w);
		} else if (!(r->cr0 & CR0_PG)) {
			w->top = w->leaf = w->shift = 0;
			w->out = gpa((uint32_t)at.v);
			err = 0;
		} else if (r->cr4 & CR4_PAE) {
			err = walk_pae(mmu, r, (uint32_t)at.v, access, w);
		} else {
			err = walk_32(mmu, r, (uint32_t)at.v, access, w);
		}
	}
	return err;
}

int guest_walk(struct mmu *mmu, const struct paging_regs *r, gva_t at, unsigned access, gpa_t *out,
	uint32_t *error_code)
{
	struct guest_walk w;
	int err = guest_walk_record(mmu, r, at, access, &w);

	if (!err)
		*out = w.out;
	else if (err == -E_FAULT)
		*error_code = w.error_code;
	return err;
}
