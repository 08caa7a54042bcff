/* SPDX-License-Identifier: MIT */
/*
 * A back end as small as possible, on top of mm/mmu/indirect.h: four levels, rights inherited by the role, large leaves
 * of the guest split where necessary. A fault is handled in the order of the contract (rule 8):
 *
 * 1. allocate pages
 * 2. check that everything is current
 * 3. protect the guest's tables, and flush
 * 4. when the flush is acknowledged, read the guest's entries and install
 */
#include "mm/map/backing.h"
#include "mm/mmu/ept.h"
#include "mm/space/guest_mem.h"
#include "tests/support/nested/nested_internal.h"

/* `rights`: what the guest's entries above leave. Two that link the same table with different ones get two pages. */
static role_t role(unsigned level, uint64_t rights)
{
	return (role_t){ level | (uint32_t)(rights & EPT_RWX) << 4 };
}

/* The page made from the guest's table in `at`. May ask for a flush. MMU lock held. */
static struct spage *page_for(gfn_t at, role_t role, bool *flush)
{
	struct spage *p = indirect_find(nested.mmu, at, role);

	if (p) {
		nested_seen.shared += chain_count(p->parents) > 1;
		return p;
	}
	p = indirect_new(nested.mmu, at, role, flush);
	/* vCPUs that may still write by rights taken away before have been asked to leave by now, too. */
	nested.tracked_since[at.v] = nested.mmu->front.flush_epoch + *flush;
	return p;
}

static bool entry_at(gfn_t table, unsigned i, uint64_t *e)
{
	return !guest_read(nested.mmu, gpa(table.v << PAGE_SHIFT | i * 8), e, 8) && ept_present(*e);
}

/* A leaf for `at` into entry i of p. */
static void map(struct spage *p, uint64_t at, uint64_t guest, unsigned guest_level, bool *flush)
{
	unsigned level = role_level(p->role), i = level_index(at, level);
	uint64_t g = ept_pfn(guest).v + (at & (level_pages(guest_level) - 1) & ~(level_pages(level) - 1));
	const struct slot *s = slots_find_locked(&nested.mmu->slots, (gfn_t){ g });
	uint64_t e = (guest & EPT_RWX) | MT_WB << EPT_MT_AT | (level > 1 ? EPT_PS : 0);

	if (!s)
		return;
	e |= backing_pfn(s->backing, s->backing_page + g - s->base).v << PAGE_SHIFT;
	*flush |= indirect_map(nested.mmu, p, i, (gfn_t){ g }, e);
}

static bool link_to(struct spage *p, unsigned i, struct spage *child)
{
	bool there = spage_table(p)[i] &&
		     ept_pfn(spage_table(p)[i]).v == hpa_to_pfn(virt_to_hpa(spage_table(child))).v;

	return !there && indirect_link(nested.mmu, p, i, child, EPT_RWX);
}

static bool large_ok(uint64_t g, unsigned level)
{
	return g + level_pages(level) <= RAM_PAGES &&
	       !(backing_pfn(nested.ram, g).v & (level_pages(level) - 1)) &&
	       indirect_large_allowed(nested.mmu, (gfn_t){ g }, level);
}

/* A large leaf of the guest's, e, in small pieces: tables below p that map linearly, down to the piece that `at` is in. */
static void split(struct spage *p, uint64_t at, uint64_t e, unsigned guest_level, bool *flush)
{
	for (;;) {
		unsigned level = role_level(p->role);
		uint64_t off = at & (level_pages(guest_level) - 1) & ~(level_pages(level) - 1);
		gfn_t base = { ept_pfn(e).v + off };
		role_t linear = { role(level - 1, e).v | ROLE_DIRECT };
		struct spage *child;

		if (level == 1 || large_ok(base.v, level)) {
			map(p, at, e, guest_level, flush);
			return;
		}
		child = indirect_find(nested.mmu, base, linear);
		if (!child)
			child = indirect_new(nested.mmu, base, linear, flush);
		*flush |= link_to(p, level_index(at, level), child);
		nested_seen.split++;
		p = child;
	}
}

/* Builds what one access needs. MMU lock held, pages are available, nothing waits for a flush. False: it is a fault of
 * the guest's. */
static bool build(struct spage *p, uint64_t at, unsigned access, bool *flush)
{
	uint64_t rights = EPT_RWX;

	for (unsigned level = LEVELS;; level--) {
		unsigned i = level_index(at, level);
		struct spage *child;
		uint64_t e;

		if (!entry_at(p->gfn, i, &e) || (access & ~e))
			return false;
		if (ept_is_leaf(e, level)) {
			split(p, at, (e & ~EPT_RWX) | (e & rights), level, flush);
			return true;
		}
		if (nested_table_at(ept_pfn(e).v) < 0)
			return false; /* not one that the model looks at */
		rights &= e;
		child = page_for((gfn_t){ ept_pfn(e).v }, role(level - 1, rights), flush);
		nested_seen.self += child->gfn.v == p->gfn.v;
		/* Protected only now: others may be writing to it still. Next time. */
		if (*flush)
			return true;
		*flush |= link_to(p, i, child);
		p = child;
	}
}

/* True if the guest's tables lead to a page at all, whatever the rights. */
static bool present(gfn_t table, uint64_t at)
{
	uint64_t e;

	for (unsigned level = LEVELS; entry_at(table, level_index(at, level), &e); level--) {
		if (ept_is_leaf(e, level))
			return true;
		if (nested_table_at(ept_pfn(e).v) < 0)
			return false;
		table = (gfn_t){ ept_pfn(e).v };
	}
	return false;
}

enum mmu_verdict nested_fault(struct mmu_vcpu *v, const struct mmu_fault *f)
{
	struct mmu *mmu = v->mmu;
	uint64_t at = f->gva.v >> PAGE_SHIFT;
	bool flush = false, ok = true;

	nested.quiet++;
	if (mmu_flushed(mmu, mmu->front.flush_epoch))
		ok = build(v->root.page, at, f->access, &flush);
	if (flush)
		mmu_flush_request(mmu, true);
	if (!ok)
		v->inject = (uint32_t)(present(v->root.page->gfn, at) ? PF_PRESENT : 0) |
			    (f->error & (uint32_t)(PF_WRITE | PF_FETCH));
	nested.quiet--;
	return ok ? MMU_RESUME : MMU_INJECT;
}

int nested_root(struct mmu_vcpu *v, struct spage **out)
{
	struct mmu *mmu = v->mmu;
	gfn_t at = { nested.table_gfn[container_of(v, struct nested_vcpu, v)->root] };
	bool flush = false;
	int err = mmu_make_available(mmu, INDIRECT_NEW_NEEDS, gfn(0));

	if (err)
		return err;
	nested.quiet++;
	*out = page_for(at, role(LEVELS, EPT_RWX), &flush);
	if (flush)
		mmu_flush_request(mmu, true);
	nested.quiet--;
	return flush ? -E_AGAIN : 0;
}
