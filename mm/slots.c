/* SPDX-License-Identifier: MIT */
/*
 * The guest-physical map: looking up, and changing it while the guest runs.
 *
 * A change is made in the spare buffer and published by raising seq, which no reader waits for (slot_table.h). What
 * follows from it depends on what it takes away:
 *
 *	add		nothing: no table maps the range. MMIO entries for it are told by their generation (ept.h).
 *	delete, move,	every translation into the slot must go: by a bump of the generation, or entry by entry
 *	flags		where that is cheaper (mm/mmu_removal.c).
 */
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

static struct slot_table *in_force(const struct mmu *mmu)
{
	return mmu->slots.buf[mmu->slots.seq & 1];
}

/* Word by word, since a reader without the lock may be reading what is being written; he will not believe it. */
static void slot_copy(struct slot *to, const struct slot *from)
{
	for (unsigned i = 0; i < sizeof(*to) / 8; i++)
		atomic_store_relaxed((uint64_t *)to + i, atomic_load_relaxed((const uint64_t *)from + i));
}

static bool holds(const struct slot *s, uint64_t gfn)
{
	return gfn - atomic_load_relaxed(&s->base) < atomic_load_relaxed(&s->pages);
}

/* The number of slots that begin at or before gfn. n is bounded by the caller: a torn read must not run away. */
static uint32_t below(const struct slot_table *t, uint32_t n, uint64_t gfn)
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
	i = below(t, n, gfn);
	if (!i || !holds(&t->s[i - 1], gfn))
		return NULL;
	atomic_store_relaxed(&t->hint, i - 1);
	return &t->s[i - 1];
}

const struct slot *slots_find_locked(const struct mmu *mmu, gfn_t at)
{
	return find(in_force(mmu), at.v);
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
	const struct slot_table *t = in_force(mmu);
	uint32_t i = below(t, t->n, at.v);

	*first = i ? t->s[i - 1].base + t->s[i - 1].pages : 0;
	*end = i < t->n ? t->s[i].base : UINT64_MAX;
}

/* ---- changing it ---- */

/* The spare buffer as a copy of the table in force, without slot `skip` (a position; n: none). */
static struct slot_table *draft(struct mmu *mmu, uint32_t skip)
{
	struct slot_table *old = in_force(mmu), *new = mmu->slots.buf[(mmu->slots.seq + 1) & 1];
	uint32_t n = 0;

	/* What made the buffer stale (seq) must be seen before what is written into it. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (uint32_t i = 0; i < old->n; i++)
		if (i != skip)
			slot_copy(&new->s[n++], &old->s[i]);
	atomic_store_relaxed(&new->n, n);
	return new;
}

static void insert(struct slot_table *t, const struct slot *s)
{
	uint32_t at = below(t, t->n, s->base);

	for (uint32_t i = t->n; i > at; i--)
		slot_copy(&t->s[i], &t->s[i - 1]);
	slot_copy(&t->s[at], s);
	atomic_store_relaxed(&t->n, t->n + 1);
}

/* Where slot id is in the table in force; its n if nowhere. */
static uint32_t position(const struct slot_table *t, slot_id id)
{
	uint32_t i = 0;

	while (i < t->n && t->s[i].id != id)
		i++;
	return i;
}

static bool overlaps(const struct slot_table *t, uint64_t base, uint64_t pages, uint32_t except)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (i != except && ranges_overlap(t->s[i].base, t->s[i].pages, base, pages))
			return true;
	return false;
}

static bool in_width(const struct mmu *mmu, uint64_t base, uint64_t pages)
{
	return pages && range_within(base, pages, 1ull << (mmu->guest_maxphyaddr - PAGE_SHIFT));
}

/* From here on, everybody finds the new table. */
static void publish(struct mmu *mmu)
{
	atomic_store(&mmu->slots.seq, mmu->slots.seq + 1);
	mmu_slots_published(mmu);
}

int slot_add(struct mmu *mmu, const struct slot_desc *d, slot_id *out)
{
	struct slot s = {
		.base = d->base.v,
		.pages = d->pages,
		.backing_page = d->backing_page,
		.backing = d->backing,
		.flags = d->flags,
	};
	int err = 0;

	if (d->flags & ~(SLOT_READONLY | SLOT_DIRTY_LOG) || !d->backing)
		return -E_INVAL;
	if (!range_within(d->backing_page, d->pages, backing_pages(d->backing)))
		return -E_RANGE;
	if (d->flags & SLOT_DIRTY_LOG) {
		err = dirty_log_create(mmu, d->pages, &s.log);
		if (err)
			return err;
	}
	mmu_lock(mmu);
	if (!in_width(mmu, s.base, s.pages))
		err = -E_RANGE;
	else if (in_force(mmu)->n == SLOTS_MAX)
		err = -E_NOMEM;
	else if (overlaps(in_force(mmu), s.base, s.pages, SLOTS_MAX))
		err = -E_EXIST;
	if (!err) {
		while (position(in_force(mmu), (slot_id)s.id) < in_force(mmu)->n)
			s.id++;
		insert(draft(mmu, SLOTS_MAX), &s);
		publish(mmu);
		mmu->slots.pages += s.pages;
		mmu_slots_resized(mmu);
		*out = (slot_id)s.id;
	}
	mmu_unlock(mmu);
	if (err && s.log)
		dirty_log_destroy(mmu, s.log);
	return err;
}

/* Publishes the draft and makes what maps `old` go. The log that goes with it is freed when the ticket is ready. */
static void take_away(struct mmu *mmu, const struct slot *old, struct mmu_ticket *out)
{
	if (MUTANT(publish_after_bump)) {
		mmu_remove(mmu, old, out);
		mmu_unlock(mmu);
		YIELD();
		mmu_lock(mmu);
		publish(mmu);
		return;
	}
	publish(mmu);
	mmu_remove(mmu, old, out);
}

int slot_delete(struct mmu *mmu, slot_id id, struct mmu_ticket *out)
{
	struct slot old;
	uint32_t at;

	mmu_lock(mmu);
	at = position(in_force(mmu), id);
	if (at == in_force(mmu)->n) {
		mmu_unlock(mmu);
		return -E_NOENT;
	}
	old = in_force(mmu)->s[at];
	draft(mmu, at);
	mmu->slots.pages -= old.pages;
	take_away(mmu, &old, out);
	dirty_log_retire(mmu, old.log, out);
	mmu_unlock(mmu);
	return 0;
}

int slot_move(struct mmu *mmu, slot_id id, gfn_t to, struct mmu_ticket *out)
{
	struct slot old, new;
	uint32_t at;
	int err = 0;

	mmu_lock(mmu);
	at = position(in_force(mmu), id);
	if (at == in_force(mmu)->n)
		err = -E_NOENT;
	else if (!in_width(mmu, to.v, in_force(mmu)->s[at].pages))
		err = -E_RANGE;
	else if (overlaps(in_force(mmu), to.v, in_force(mmu)->s[at].pages, at))
		err = -E_EXIST;
	if (!err) {
		new = old = in_force(mmu)->s[at];
		new.base = to.v;
		insert(draft(mmu, at), &new);
		take_away(mmu, &old, out);
	}
	mmu_unlock(mmu);
	return err;
}

int slot_set_flags(struct mmu *mmu, slot_id id, unsigned flags, struct mmu_ticket *out)
{
	struct dirty_log *spare = NULL;
	struct slot old, new;
	uint32_t at;
	int err = 0;

	if (flags & ~(SLOT_READONLY | SLOT_DIRTY_LOG))
		return -E_INVAL;
again:
	mmu_lock(mmu);
	at = position(in_force(mmu), id);
	if (at == in_force(mmu)->n) {
		err = -E_NOENT;
		goto out;
	}
	new = old = in_force(mmu)->s[at];
	if (flags & SLOT_DIRTY_LOG && !old.log) {
		/* A log is made without the lock; then the slot may be another one, or have one. */
		if (!spare) {
			mmu_unlock(mmu);
			err = dirty_log_create(mmu, old.pages, &spare);
			if (err)
				return err;
			goto again;
		}
		if (!dirty_log_fits(spare, old.pages)) {
			err = -E_AGAIN;
			goto out;
		}
		new.log = spare;
		spare = NULL;
	} else if (!(flags & SLOT_DIRTY_LOG)) {
		new.log = NULL;
	}
	new.flags = flags;
	slot_copy(&draft(mmu, SLOTS_MAX)->s[at], &new);
	if (flags == old.flags) {
		*out = (struct mmu_ticket){ 0 };
		publish(mmu);
	} else {
		take_away(mmu, &old, out);
	}
	if (old.log != new.log)
		dirty_log_retire(mmu, old.log, out);
out:
	mmu_unlock(mmu);
	if (spare)
		dirty_log_destroy(mmu, spare);
	return err;
}
