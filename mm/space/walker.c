/* SPDX-License-Identifier: MIT */
/*
 * The guest page-table walker. A walk has three parts: down the tables, where entries that are not present or have
 * reserved bits set end it; the rights of the page against the access; and only when that is allowed, the flags.
 *
 * The walk down is written once and compiled for each size of entries and each level, so that shifts are constants: it
 * is what every emulated instruction goes through to be fetched, and the usual case stays within 200 instructions.
 */
#include "mm/space/walker.h"

#include "lib/x86.h"
#include "mm/space/guest_entry.h"
#include "mm/space/guest_mem.h"

#define TRIES 1000 /* of setting flags, against a guest that changes its entries all the time */

#define ACCESS_KIND (MMU_READ | MMU_WRITE | MMU_EXEC)

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

/* What one step down the tables came to. */
enum step { STEP_DOWN, STEP_LEAF, STEP_ABSENT, STEP_RESERVED };

/* Where a walk is; lives in registers. */
struct state {
	uint64_t table;	   /* gpa of the table to read next */
	uint64_t reserved; /* bits that no entry may have */
	uint64_t all, any; /* as in struct guest_walk */
	struct guest_window window;
};

/* Reads the entry of `level`, which is a constant to the compiler, as is `wide`: entries of 8 bytes (9 bits of the
 * address a level), else 4 (10 bits). */
static inline __attribute__((always_inline)) enum step step(const struct mmu *mmu,
	const struct paging_regs *r, uint64_t at, struct guest_walk *w, struct state *s, unsigned level,
	bool wide)
{
	const unsigned size = wide ? 8 : 4, bits = wide ? 9 : 10, shift = PAGE_SHIFT + bits * (level - 1);
	uint64_t where = s->table + (at >> shift & (BIT(bits) - 1)) * size;
	uint64_t e = guest_entry_read(mmu, &s->window, where, size);

	/* All that is out of the ordinary in one comparison. */
	uint64_t odd = s->reserved | PTE_P | (level > 1 ? PTE_PS : 0);

	w->step[level - 1].at = gpa(where);
	w->step[level - 1].entry = e;
	s->all &= e;
	s->any |= e;
	if (level > 1 && likely((e & odd) == PTE_P)) {
		s->table = e & PTE_ADDR;
		return STEP_DOWN;
	}
	if (unlikely(!(e & PTE_P)))
		return STEP_ABSENT;
	if (unlikely(e & s->reserved))
		return STEP_RESERVED;
	if (level == 1) {
		w->out = gpa((e & PTE_ADDR) | (at & PAGE_MASK));
		return STEP_LEAF;
	}
	if (!wide && !(r->cr4 & CR4_PSE)) { /* the bit is ignored */
		s->table = e & PTE_ADDR;
		return STEP_DOWN;
	}
	if (level > 3 || (e & large_reserved(mmu, level, wide)))
		return STEP_RESERVED;
	w->out = gpa(large_address(e, shift, wide) | (at & (BIT(shift) - 1)));
	return STEP_LEAF;
}

/* Down the tables from level `top`, which is a constant too. */
static inline __attribute__((always_inline)) int descend(const struct mmu *mmu, const struct paging_regs *r,
	uint64_t root, uint64_t reserved, uint64_t at, unsigned access, struct guest_walk *w, unsigned top,
	bool wide)
{
	struct state s = { .table = root,
		.reserved = reserved,
		.all = PTE_U | PTE_W | PTE_A,
		.window = guest_window_cached(mmu) };
	enum step last = STEP_DOWN;

#define STEP(level)                                                                                          \
	do {                                                                                                 \
		last = step(mmu, r, at, w, &s, (level), wide);                                               \
		if (last != STEP_DOWN) {                                                                     \
			w->leaf = (level);                                                                   \
			w->shift = PAGE_SHIFT + (wide ? 9 : 10) * ((level)-1);                               \
			goto out;                                                                            \
		}                                                                                            \
	} while (0)
	if (top == 5)
		STEP(5);
	if (top >= 4) {
		STEP(4);
		STEP(3);
	}
	STEP(2);
	STEP(1);
#undef STEP
out:
	if (unlikely(last != STEP_LEAF))
		return fault(r, access, w,
			last == STEP_ABSENT ? 0
					    : PF_PRESENT | (MUTANT(error_code_without_rsvd) ? 0 : PF_RSVD));
	w->all = s.all;
	w->any = s.any;
	if (unlikely(!allowed(r, access, s.all, wide ? s.any : 0)))
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

static inline __attribute__((always_inline)) int finish(
	struct mmu *mmu, unsigned access, struct guest_walk *w, int err, unsigned size)
{
	if (unlikely(err) || likely(flags_set(access, w)) || (access & WALK_PEEK))
		return err;
	return set_flags(mmu, access, w, size);
}

/* Bits that no entry of 8 bytes may have: of the address beyond the width, up to `high`, and NX if it is off. */
static inline uint64_t reserved_bits(const struct mmu *mmu, const struct paging_regs *r, unsigned high)
{
	return BITS(high, mmu->guest_maxphyaddr) | (r->efer & EFER_NXE ? 0 : PTE_NX);
}

/* 4-level and 5-level paging; width: of a linear address. */
static inline __attribute__((always_inline)) int walk_long(struct mmu *mmu, const struct paging_regs *r,
	uint64_t at, unsigned access, struct guest_walk *w, unsigned top, unsigned width)
{
	if (unlikely(!is_canonical(at, width)))
		return -E_RANGE;
	w->top = top;
	return finish(mmu, access, w,
		descend(mmu, r, r->cr3 & PTE_ADDR, reserved_bits(mmu, r, 51), at, access, w, top, true), 8);
}

static __attribute__((noinline)) int walk_5(
	struct mmu *mmu, const struct paging_regs *r, uint64_t at, unsigned access, struct guest_walk *w)
{
	return walk_long(mmu, r, at, access, w, 5, 57);
}

static __attribute__((noinline)) int walk_pae(
	struct mmu *mmu, const struct paging_regs *r, uint64_t at, unsigned access, struct guest_walk *w)
{
	uint64_t pdpte = r->pdpte[at >> 30 & 3];

	w->top = 3;
	w->step[2] = (struct walk_step){ .at = gpa(WALK_LATCHED), .entry = pdpte };
	if (unlikely(!(pdpte &
		       PTE_P))) { /* its other bits were checked when it was loaded, and it gives no rights */
		w->leaf = 3;
		return fault(r, access, w, 0);
	}
	return finish(mmu, access, w,
		descend(mmu, r, pdpte & PTE_ADDR, reserved_bits(mmu, r, 62), at, access, w, 2, true), 8);
}

static __attribute__((noinline)) int walk_32(
	struct mmu *mmu, const struct paging_regs *r, uint64_t at, unsigned access, struct guest_walk *w)
{
	w->top = 2;
	return finish(mmu, access, w, descend(mmu, r, r->cr3 & BITS(31, 12), 0, at, access, w, 2, false), 4);
}

static inline __attribute__((always_inline)) int walk(
	struct mmu *mmu, const struct paging_regs *r, uint64_t at, unsigned access, struct guest_walk *w)
{
	if (likely(r->efer & EFER_LMA)) {
		if (unlikely(r->cr4 & CR4_LA57))
			return walk_5(mmu, r, at, access, w);
		return walk_long(mmu, r, at, access, w, 4, 48);
	}
	at = (uint32_t)at;
	if (!(r->cr0 & CR0_PG)) {
		w->top = w->leaf = w->shift = 0;
		w->out = gpa(at);
		return 0;
	}
	return r->cr4 & CR4_PAE ? walk_pae(mmu, r, at, access, w) : walk_32(mmu, r, at, access, w);
}

static __attribute__((noinline, cold)) int walk_again(
	struct mmu *mmu, const struct paging_regs *r, uint64_t at, unsigned access, struct guest_walk *w)
{
	int err = -E_AGAIN;

	for (unsigned i = 0; i < TRIES && err == -E_AGAIN; i++)
		err = walk(mmu, r, at, access, w);
	return err;
}

int guest_walk_record(
	struct mmu *mmu, const struct paging_regs *r, gva_t at, unsigned access, struct guest_walk *w)
{
	int err = walk(mmu, r, at.v, access, w);

	return likely(err != -E_AGAIN) ? err : walk_again(mmu, r, at.v, access, w);
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
