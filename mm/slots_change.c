/* SPDX-License-Identifier: MIT */
/*
 * Changing the guest-physical map while the guest runs.
 *
 * A change is made in the spare buffer and published by raising seq, which no reader waits for (slot_table.h). What
 * follows from it depends on what it takes away:
 *
 *	add		nothing: no table maps the range. MMIO entries for it are told by their generation (ept.h).
 *	delete, move,	every translation into the slot must go: by a bump of the generation, or entry by entry
 *	flags		where that is cheaper (mm/mmu_removal.c).
 */
#include "mm/mmu_internal.h"

/* The spare buffer as a copy of the table in force, without slot `skip` (a position; n: none). */
static struct slot_table *draft(struct mmu *mmu, uint32_t skip)
{
	struct slot_table *old = slots_in_force(mmu), *new = mmu->slots.buf[(mmu->slots.seq + 1) & 1];
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
	uint32_t at = slots_below(t, t->n, s->base);

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
	else if (slots_in_force(mmu)->n == SLOTS_MAX)
		err = -E_NOMEM;
	else if (overlaps(slots_in_force(mmu), s.base, s.pages, SLOTS_MAX))
		err = -E_EXIST;
	if (!err) {
		while (position(slots_in_force(mmu), (slot_id)s.id) < slots_in_force(mmu)->n)
			s.id++;
		insert(draft(mmu, SLOTS_MAX), &s);
		publish(mmu);
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
	at = position(slots_in_force(mmu), id);
	if (at == slots_in_force(mmu)->n) {
		mmu_unlock(mmu);
		return -E_NOENT;
	}
	old = slots_in_force(mmu)->s[at];
	draft(mmu, at);
	mmu->slots.pages -= old.pages;
	take_away(mmu, &old, out);
	if (old.log)
		dirty_logs_count(mmu, -1);
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
	at = position(slots_in_force(mmu), id);
	if (at == slots_in_force(mmu)->n)
		err = -E_NOENT;
	else if (!in_width(mmu, to.v, slots_in_force(mmu)->s[at].pages))
		err = -E_RANGE;
	else if (overlaps(slots_in_force(mmu), to.v, slots_in_force(mmu)->s[at].pages, at))
		err = -E_EXIST;
	if (!err) {
		new = old = slots_in_force(mmu)->s[at];
		new.base = to.v;
		insert(draft(mmu, at), &new);
		take_away(mmu, &old, out);
		dirty_log_moved(mmu, new.log);
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
	at = position(slots_in_force(mmu), id);
	if (at == slots_in_force(mmu)->n) {
		err = -E_NOENT;
		goto out;
	}
	new = old = slots_in_force(mmu)->s[at];
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
