/* SPDX-License-Identifier: MIT */
/* The model: the naive walk, of all values that may have been read (SDM Vol. 3A 4.3 to 4.7). */
#include <stdio.h>

#include "tests/support/shadow/shadow_model_internal.h"

#define VISITS 200000u /* of entries in one question: then it is given up */

struct search {
	const struct model_question *q;
	const struct paging_regs *r;
	unsigned size; /* of entries */
	unsigned width;
	unsigned visits;
	bool user;
	bool mark; /* look for entries that a write makes dirty, not for an answer */
	bool marked;
};

/* A place in a walk. */
struct place {
	unsigned level;
	uint64_t table; /* gpa */
	uint64_t since; /* the version of the entry above, or of the question */
	uint64_t all, any;
	bool flags; /* A is set in all entries above */
};

static uint32_t error_code(const struct search *s, uint64_t why)
{
	bool fetch = (s->q->access & MMU_EXEC) &&
		     ((s->r->cr4 & CR4_SMEP) || ((s->r->cr4 & CR4_PAE) && (s->r->efer & EFER_NXE)));

	return (uint32_t)(why | (s->q->access & MMU_WRITE ? PF_WRITE : 0) | (s->user ? PF_USER : 0) |
			  (fetch ? PF_FETCH : 0));
}

static bool faults(struct search *s, uint64_t why)
{
	return !s->mark && s->q->want == MODEL_FAULT && error_code(s, why) == s->q->value;
}

static bool permitted(const struct search *s, uint64_t all, uint64_t any)
{
	bool write = s->q->access & MMU_WRITE, fetch = s->q->access & MMU_EXEC;
	bool ac = (s->r->rflags & RFLAGS_AC) && !(s->q->access & WALK_IMPLICIT);

	if (fetch && s->size == 8 && (any & PTE_NX))
		return false;
	if (s->user)
		return (all & PTE_U) && (!write || (all & PTE_W));
	if (write && !(all & PTE_W) && (s->r->cr0 & CR0_WP))
		return false;
	if (!(all & PTE_U))
		return true;
	if (fetch)
		return !(s->r->cr4 & CR4_SMEP);
	return !(s->r->cr4 & CR4_SMAP) || ac;
}

/* A page at gpa. entry: NULL if paging is off. */
static bool reaches(
	struct search *s, const struct place *p, uint64_t gpa, bool dirty, uint64_t *mark, uint64_t bit)
{
	const struct model_question *q = s->q;

	if (!permitted(s, p->all, p->any))
		return faults(s, PF_PRESENT);
	if (s->mark) {
		if (mark && !(*mark & bit)) {
			*mark |= bit;
			s->marked = true;
		}
		return false;
	}
	if (q->flags && (!p->flags || ((q->access & MMU_WRITE) && !dirty)))
		return false;
	if (q->want == MODEL_GPA)
		return gpa == q->value;
	return q->want == MODEL_FRAME && shadow_model_reaches(gpa >> PAGE_SHIFT, q->access, q->value);
}

static uint64_t reserved(const struct search *s, unsigned level, uint64_t e)
{
	unsigned m = model_state.mmu->guest_maxphyaddr;
	bool large = level > 1 && (e & PTE_PS);
	uint64_t bits;

	if (s->size == 4)
		return large && (s->r->cr4 & CR4_PSE) ? BITS(21, min(max(m, 32u), 40u) - 19) : 0;
	bits = BITS(s->r->efer & EFER_LMA ? 51 : 62, m) | (s->r->efer & EFER_NXE ? 0 : PTE_NX);
	if (level > 3)
		bits |= PTE_PS;
	if (large && level == 3)
		bits |= model_state.mmu->caps.guest_no_1g ? PTE_PS : BITS(29, 13);
	if (large && level == 2)
		bits |= BITS(20, 13);
	return bits;
}

static bool down(struct search *s, const struct place *p);

/* One value of the entry at p; mark: the D flags of its cell, bit: the entry's own. */
static bool entry(
	struct search *s, const struct place *p, uint64_t e, uint64_t since, uint64_t *mark, uint64_t bit)
{
	unsigned shift = PAGE_SHIFT + (s->size == 8 ? 9 : 10) * (p->level - 1);
	uint64_t offset = s->q->at & (BIT(shift) - 1), base;
	struct place next = *p;
	bool large = p->level > 1 && (e & PTE_PS) && (s->size == 8 || (s->r->cr4 & CR4_PSE));

	if (!(e & PTE_P))
		return faults(s, 0);
	if (e & reserved(s, p->level, e))
		return faults(s, PF_PRESENT | PF_RSVD);
	next.all &= e;
	next.any |= e;
	next.since = since;
	next.flags &= (e & PTE_A) || shadow_model_rom(p->table >> PAGE_SHIFT, s->q->since);
	if (p->level > 1 && !large) {
		next.level--;
		next.table = e & PTE_ADDR;
		return down(s, &next);
	}
	base = e & PTE_ADDR & ~(BIT(shift) - 1);
	if (large && s->size == 4)
		base = (e & BITS(31, 22)) | bits_get(e, 20, 13) << 32;
	return reaches(s, &next, base | offset,
		(e & PTE_D) || shadow_model_rom(p->table >> PAGE_SHIFT, s->q->since), mark, bit);
}

static bool blank_entry(struct search *s, const struct place *p)
{
	uint64_t v, ones = s->size == 8 ? ~0ull : UINT32_MAX;
	bool both = shadow_model_blank(p->table >> PAGE_SHIFT, p->since, &v);

	return entry(s, p, v & ones, p->since, NULL, 0) || (both && entry(s, p, ones, p->since, NULL, 0));
}

static uint64_t entry_of(const struct search *s, uint64_t offset, uint64_t cell)
{
	return s->size == 8 ? cell : offset & 4 ? cell >> 32 : (uint32_t)cell;
}

/* With the flags that were set in the entry while it was this one. The CPU may set them some time after it has read the entry and
 * those below. */
static uint64_t with_flags(
	const struct search *s, uint64_t offset, const struct model_cell *cell, uint64_t e, uint64_t since)
{
	uint64_t flags = PTE_A | PTE_D, with = e;

	for (unsigned i = 0; i < cell->n; i++) {
		uint64_t other = entry_of(s, offset, cell->item[i].value);

		if (cell->item[i].until > since && !((other ^ e) & ~flags))
			with |= other & flags;
	}
	return with;
}

static bool down(struct search *s, const struct place *p)
{
	unsigned bits = s->size == 8 ? 9 : 10, shift = PAGE_SHIFT + bits * (p->level - 1);
	uint64_t offset = (s->q->at >> shift & (BIT(bits) - 1)) * s->size, gfn = p->table >> PAGE_SHIFT;
	int t = gfn < MODEL_GFNS ? model_state.table_at[gfn] : -1,
	    c = shadow_model_cell((unsigned)offset / 8);
	struct model_cell *cell;

	if (t < 0 || c < 0)
		return blank_entry(s, p);
	cell = &model_state.table[t].cell[c];
	if (cell->lost > p->since) {
		model_seen.given_up++;
		return !s->mark;
	}
	for (unsigned i = cell->n; i--;) {
		const struct model_item *item = &cell->item[i];
		bool upper = s->size == 4 && (offset & 4);
		uint64_t e = entry_of(s, offset, item->value);

		if (item->until <= p->since)
			continue;
		if (++s->visits > VISITS) {
			model_seen.given_up++;
			return !s->mark;
		}
		e = with_flags(s, offset, cell, e, s->q->since);
		if (entry(s, p, e, max(p->since, item->from), &cell->dirty, upper ? BIT(38) : BIT(6)))
			return true;
	}
	return false;
}

static bool ask(struct search *s)
{
	const struct paging_regs *r = s->r;
	struct place p = { .since = s->q->since, .all = PTE_U | PTE_W, .flags = true };
	struct model_question narrow = *s->q;
	bool found;

	s->user = r->cpl == 3 && !(s->q->access & WALK_IMPLICIT);
	s->size = 8;
	if (r->efer & EFER_LMA) {
		p.level = r->cr4 & CR4_LA57 ? 5 : 4;
		p.table = r->cr3 & PTE_ADDR;
		found = down(s, &p);
	} else {
		narrow.at = (uint32_t)narrow.at;
		s->q = &narrow;
		if (!(r->cr0 & CR0_PG)) {
			p.all = PTE_W | (s->user ? PTE_U : 0); /* no rights are looked at */
			found = reaches(s, &p, narrow.at, true, NULL, 0);
		} else if (r->cr4 & CR4_PAE) {
			uint64_t pdpte = r->pdpte[narrow.at >> 30];

			p.level = 2;
			p.table = pdpte & PTE_ADDR;
			found = pdpte & PTE_P ? down(s, &p) : faults(s, 0);
		} else {
			s->size = 4;
			p.level = 2;
			p.table = r->cr3 & BITS(31, 12);
			found = down(s, &p);
		}
	}
	model_seen.widest = max(model_seen.widest, (uint64_t)s->visits);
	return found;
}

bool shadow_model_allows(const struct model_question *q)
{
	struct search s = { .q = q, .r = q->regs };

	return ask(&s);
}

bool shadow_model_mark(const struct model_question *q)
{
	struct search s = { .q = q, .r = q->regs, .mark = true };

	ask(&s);
	return s.marked;
}

void shadow_model_explain(const struct paging_regs *r, uint64_t at)
{
	struct guest_walk w;
	int err = guest_walk_record(model_state.mmu, r, gva(at), MMU_READ | WALK_PEEK, &w);

	printf("CR0 %#lx CR3 %#lx CR4 %#lx EFER %#lx CPL %u AC %u; reading %#lx now: %d, gpa %#lx, error %#x\n",
		r->cr0, r->cr3, r->cr4, r->efer, r->cpl, !!(r->rflags & RFLAGS_AC), at, err, w.out.v,
		w.error_code);
	for (unsigned l = w.top; l && l >= w.leaf; l--) {
		uint64_t where = w.step[l - 1].at.v, gfn = where >> PAGE_SHIFT;
		int t = gfn < MODEL_GFNS ? model_state.table_at[gfn] : -1;
		int c = shadow_model_cell((unsigned)(where & PAGE_MASK) / 8);

		printf("  level %u at %#lx: %#lx", l, where, w.step[l - 1].entry);
		for (unsigned i = 0; t >= 0 && c >= 0 && i < model_state.table[t].cell[c].n; i++) {
			const struct model_item *item = &model_state.table[t].cell[c].item[i];

			if (i + 6 >= model_state.table[t].cell[c].n)
				printf(" [%lu,%ld) %#lx", item->from, (long)item->until, item->value);
		}
		printf("\n");
	}
}
