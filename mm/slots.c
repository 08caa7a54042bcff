/* SPDX-License-Identifier: MIT */
/* The guest-physical map: looking up. (How the table is published: slot_table.h; who changes it: slots_change.c.) */
#include "lib/string.h"
#include "mm/mmu_internal.h"

int slots_init(struct mmu *mmu)
{
	for (int i = 0; i < 2; i++) {
		mmu->slots.buf[i] = frame_alloc_zeroed(mmu->pool.owner);
		if (!mmu->slots.buf[i])
			return -E_NOMEM;
	}
	mmu->slots.seq = 1;
	return 0;
}

void slots_fini(struct mmu *mmu)
{
	struct slot_table *t = mmu->slots.buf[mmu->slots.seq & 1];

	for (uint32_t i = 0; t && i < t->n; i++)
		if (t->s[i].log)
			dirty_log_destroy(mmu, t->s[i].log);
	for (int i = 0; i < 2; i++)
		if (mmu->slots.buf[i])
			frame_free(FRAME_4K, mmu->pool.owner, hpa_to_pfn(virt_to_hpa(mmu->slots.buf[i])));
}

struct slot_table *slots_in_force(const struct mmu *mmu)
{
	return mmu->slots.buf[mmu->slots.seq & 1];
}

void slot_copy(struct slot *to, const struct slot *from)
{
	for (unsigned i = 0; i < sizeof(*to) / 8; i++)
		atomic_store_relaxed((uint64_t *)to + i, atomic_load_relaxed((const uint64_t *)from + i));
}

static bool holds(const struct slot *s, uint64_t gfn)
{
	return gfn - atomic_load_relaxed(&s->base) < atomic_load_relaxed(&s->pages);
}

uint32_t slots_below(const struct slot_table *t, uint32_t n, uint64_t gfn)
{
	uint32_t lo = 0;

	while (lo < n) {
		uint32_t mid = lo + (n - lo) / 2;

		if (atomic_load_relaxed(&t->s[mid].base) <= gfn)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

static const struct slot *find(struct slot_table *t, uint64_t gfn)
{
	uint32_t n = min(atomic_load_relaxed(&t->n), (uint32_t)SLOTS_MAX), i = atomic_load_relaxed(&t->hint);

	if (likely(i < n && holds(&t->s[i], gfn)))
		return &t->s[i];
	i = slots_below(t, n, gfn);
	if (!i || !holds(&t->s[i - 1], gfn))
		return NULL;
	atomic_store_relaxed(&t->hint, i - 1);
	return &t->s[i - 1];
}

const struct slot *slots_find_locked(const struct mmu *mmu, gfn_t at)
{
	return find(slots_in_force(mmu), at.v);
}

bool slots_find(const struct mmu *mmu, gfn_t at, struct slot *out)
{
	for (;;) {
		uint64_t seq = atomic_load(&mmu->slots.seq);
		const struct slot *s = find(mmu->slots.buf[seq & 1], at.v);

		YIELD();
		if (s)
			slot_copy(out, s);
		/* The loads above must be done before seq is read again (on x86 they are; the compiler must know). */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (atomic_load_relaxed(&mmu->slots.seq) == seq)
			return s != NULL;
	}
}

void slots_gap(const struct mmu *mmu, gfn_t at, uint64_t *first, uint64_t *end)
{
	const struct slot_table *t = slots_in_force(mmu);
	uint32_t i = slots_below(t, t->n, at.v);

	*first = i ? t->s[i - 1].base + t->s[i - 1].pages : 0;
	*end = i < t->n ? t->s[i].base : UINT64_MAX;
}

const struct slot *slots_by_id(const struct mmu *mmu, slot_id id)
{
	const struct slot_table *t = slots_in_force(mmu);

	for (uint32_t i = 0; i < t->n; i++)
		if (t->s[i].id == id)
			return &t->s[i];
	return NULL;
}
