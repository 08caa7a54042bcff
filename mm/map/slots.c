/* SPDX-License-Identifier: MIT */
/* The guest-physical map: looking up. (How the table is published: slot_table.h; how it is changed: mm/space/slots_change.c.) */
#include "mm/map/slot_table.h"

#include "lib/atomic.h"
#include "lib/string.h"
#include "mm/mutant.h"

int slots_init(struct slots *slots, owner_t owner)
{
	for (int i = 0; i < 2; i++) {
		pfn_t at;

		if (frames_alloc_run(SLOT_TABLE_FRAMES, owner, &at))
			return -E_NOMEM;
		slots->buf[i] = pfn_to_virt(at);
		memset(slots->buf[i], 0, sizeof(struct slot_table));
	}
	slots->seq = 1;
	return 0;
}

bool slots_fini(struct slots *slots, owner_t owner)
{
	for (int i = 0; i < 2; i++)
		if (slots->buf[i]) {
			frames_free_run(SLOT_TABLE_FRAMES, owner, hpa_to_pfn(virt_to_hpa(slots->buf[i])));
			slots->buf[i] = NULL;
			return false;
		}
	return true;
}

/* Word by word, since a writer may be writing what is read. */
static void copy_out(struct slot *to, const struct slot *from)
{
	to->base = atomic_load_relaxed(&from->base);
	to->pages = atomic_load_relaxed(&from->pages);
	to->backing_page = atomic_load_relaxed(&from->backing_page);
	to->backing = atomic_load_relaxed(&from->backing);
	to->log = atomic_load_relaxed(&from->log);
	to->flags = atomic_load_relaxed(&from->flags);
	to->id = atomic_load_relaxed(&from->id);
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

const struct slot *slots_find_locked(const struct slots *slots, gfn_t at)
{
	return find(slots_buffer(slots), at.v);
}

bool slots_find(const struct slots *slots, gfn_t at, struct slot *out)
{
	for (;;) {
		uint64_t seq = atomic_load(&slots->seq);
		const struct slot *s = find(slots->buf[seq & 1], at.v);

		YIELD();
		if (s)
			copy_out(out, s);
		/* The loads above must be done before seq is read again (on x86 they are; the compiler must know). */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (atomic_load_relaxed(&slots->seq) == seq)
			return s && holds(out, at.v); /* it may have been deleted meanwhile */
	}
}

void slots_gap(const struct slots *slots, gfn_t at, uint64_t *first, uint64_t *end)
{
	const struct slot_table *t = slots_buffer(slots);
	uint32_t end_at = slots_below(t, t->n, at.v), below = end_at;

	while (below && !t->s[below - 1].pages)
		below--;
	while (end_at < t->n && !t->s[end_at].pages)
		end_at++;
	*first = below ? t->s[below - 1].base + t->s[below - 1].pages : 0;
	*end = end_at < t->n ? t->s[end_at].base : UINT64_MAX;
}

__hot struct slot *slots_by_id(const struct slots *slots, slot_id id)
{
	struct slot_table *t = slots_buffer(slots);
	unsigned i = id < SLOTS_MAX ? t->at[id] : SLOTS_MAX;

	return i < t->n && t->s[i].id == id && t->s[i].pages ? &t->s[i] : NULL;
}
