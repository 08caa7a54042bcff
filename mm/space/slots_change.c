/* SPDX-License-Identifier: MIT */
/*
 * How the guest-physical map is changed.
 *
 * A change is made in the spare buffer, a deletion in one word of the buffer in force; it is published by raising seq, which
 * no reader waits for (slot_table.h). What follows from it depends on what it takes away:
 *
 *	add		nothing: no table maps the range. MMIO entries for it are told by their generation (ept.h).
 *	delete, move,	every translation into the slot must go: by a bump of the generation, or entry by entry
 *	flags		where that is cheaper (mm/mmu/removal.c).
 */
#include "mm/space/slots_change.h"

#include "mm/mmu/internal.h"

/* By string stores of whole words: a reader without the lock may be reading what is written, and will not believe it. */
static void copy_slots(struct slot *to, const struct slot *from, uint64_t n)
{
	uint64_t words = n * (sizeof(*to) / 8);

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* Appends those of [s, end) that are left to what the table has already. */
static void append(
	struct slot_table *t, const struct slot *s, const struct slot *end, const struct slot *skip)
{
	uint32_t n = t->n;

	while (s < end) {
		const struct slot *run = s;

		for (; s < end && s->pages && s != skip; s++)
			t->at[s->id] = (uint16_t)n++;
		copy_slots(&t->s[n - (s - run)], run, (uint64_t)(s - run));
		for (; s < end && (!s->pages || s == skip); s++)
			;
	}
	atomic_store_relaxed(&t->n, n);
}

/* The spare buffer becomes a copy of the table in force, without slot `skip` and with slot `more` (either may be NULL). */
static void draft(struct mmu *mmu, const struct slot *skip, const struct slot *more)
{
	struct slot_table *old = slots_buffer(&mmu->slots), *t = mmu->slots.buf[(mmu->slots.seq + 1) & 1];
	const struct slot *end = &old->s[old->n], *split = end;

	/* What made the buffer stale (seq) must be seen before what is written into it. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	atomic_store_relaxed(&t->n, 0);
	if (more)
		split = &old->s[slots_below(old, old->n, more->base)];
	append(t, old->s, split, skip);
	if (more)
		append(t, more, more + 1, NULL);
	append(t, split, end, skip);
}

static bool overlaps(const struct slot_table *t, uint64_t base, uint64_t pages, const struct slot *except)
{
	for (const struct slot *s = t->s; s < &t->s[t->n]; s++)
		if (s != except && ranges_overlap(s->base, s->pages, base, pages))
			return true;
	return false;
}

static bool in_width(const struct mmu *mmu, uint64_t base, uint64_t pages)
{
	return pages && range_within(base, pages, 1ull << (mmu->guest_maxphyaddr - PAGE_SHIFT));
}

/* Publishes the draft, or the deletion of `gone`. After this every reader finds the change. */
static __hot void publish(struct mmu *mmu, struct slot *gone)
{
	uint64_t seq = mmu->slots.seq;

	if (gone)
		atomic_store(&gone->pages, 0);
	atomic_store(&mmu->slots.seq, seq + (gone ? 2 : 1));
	mmu_slots_published(mmu, seq);
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
	else if (mmu->slots.count == SLOTS_MAX)
		err = -E_NOMEM;
	else if (overlaps(slots_buffer(&mmu->slots), s.base, s.pages, NULL))
		err = -E_EXIST;
	if (!err) {
		while (slots_by_id(&mmu->slots, (slot_id)mmu->slots.free))
			mmu->slots.free++;
		s.id = mmu->slots.free;
		draft(mmu, NULL, &s);
		publish(mmu, NULL);
		mmu->slots.count++;
		mmu->slots.pages += s.pages;
		if (s.log)
			dirty_logs_count(mmu, 1);
		mmu_slots_resized(mmu);
		*out = (slot_id)s.id;
	}
	mmu_unlock(mmu);
	if (err && s.log)
		dirty_log_destroy(mmu, s.log);
	return err;
}

/* Publishes the draft, or the deletion of `gone`, and makes what maps `old` go. The log that goes with it is freed when the
 * ticket is ready. */
static __hot void take_away(
	struct mmu *mmu, struct slot *gone, const struct slot *old, struct mmu_ticket *out)
{
	if (MUTANT(publish_after_bump)) {
		mmu_remove(mmu, old, out);
		mmu_unlock(mmu);
		YIELD();
		mmu_lock(mmu);
		publish(mmu, gone);
		return;
	}
	publish(mmu, gone);
	mmu_remove(mmu, old, out);
}

__hot int slot_delete(struct mmu *mmu, slot_id id, struct mmu_ticket *out)
{
	struct slot *gone, old;

	mmu_prefetch(mmu);
	mmu_lock(mmu);
	__builtin_prefetch(mmu->vcpu);
	__builtin_prefetch(slots_buffer(&mmu->slots));
	gone = slots_by_id(&mmu->slots, id);
	mmu_prefetch_vcpus(mmu);
	if (!gone) {
		mmu_unlock(mmu);
		return -E_NOENT;
	}
	old = *gone;
	mmu->slots.pages -= old.pages;
	mmu->slots.count--;
	mmu->slots.free = min(mmu->slots.free, (uint32_t)id);
	take_away(mmu, gone, &old, out);
	if (old.log)
		dirty_logs_count(mmu, -1);
	dirty_log_retire(mmu, old.log, out);
	mmu_unlock(mmu);
	return 0;
}

int slot_move(struct mmu *mmu, slot_id id, gfn_t to, struct mmu_ticket *out)
{
	struct slot *s, old, new;
	int err = 0;

	mmu_lock(mmu);
	s = slots_by_id(&mmu->slots, id);
	if (!s)
		err = -E_NOENT;
	else if (!in_width(mmu, to.v, s->pages))
		err = -E_RANGE;
	else if (overlaps(slots_buffer(&mmu->slots), to.v, s->pages, s))
		err = -E_EXIST;
	if (!err) {
		new = old = *s;
		new.base = to.v;
		draft(mmu, s, &new);
		take_away(mmu, NULL, &old, out);
		dirty_log_moved(mmu, new.log);
	}
	mmu_unlock(mmu);
	return err;
}

int slot_set_flags(struct mmu *mmu, slot_id id, unsigned flags, struct mmu_ticket *out)
{
	struct dirty_log *spare = NULL;
	struct slot *s, old, new;
	int err = 0;

	if (flags & ~(SLOT_READONLY | SLOT_DIRTY_LOG))
		return -E_INVAL;
again:
	mmu_lock(mmu);
	s = slots_by_id(&mmu->slots, id);
	if (!s) {
		err = -E_NOENT;
		goto out;
	}
	new = old = *s;
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
	draft(mmu, s, &new);
	if (flags == old.flags) {
		*out = (struct mmu_ticket){ 0 };
		publish(mmu, NULL);
	} else {
		take_away(mmu, NULL, &old, out);
	}
	if (old.log != new.log) {
		dirty_logs_count(mmu, new.log ? 1 : -1);
		dirty_log_retire(mmu, old.log, out);
	}
out:
	mmu_unlock(mmu);
	if (spare)
		dirty_log_destroy(mmu, spare);
	return err;
}
