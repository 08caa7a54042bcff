/* SPDX-License-Identifier: MIT */
/* The model: slots. */
#include "mm/map/backing.h"
#include "tests/support/shadow/shadow_model_internal.h"

static bool holds(const struct model_map *s, uint64_t gfn)
{
	return gfn - s->base < s->pages;
}

static bool is_there(const struct model_map *s)
{
	return s->sure != MODEL_OPEN && s->until == MODEL_OPEN;
}

/* Of those slots that no version sees, the one that went first makes room. */
static unsigned free_place(void)
{
	unsigned oldest = MODEL_SLOTS;

	if (model_state.nslots < MODEL_SLOTS)
		return model_state.nslots++;
	for (unsigned i = 0; i < MODEL_SLOTS; i++)
		if (!model_state.slot[i].backing &&
			(oldest == MODEL_SLOTS || model_state.slot[i].until < model_state.slot[oldest].until))
			oldest = i;
	if (oldest == MODEL_SLOTS)
		oracle_fail("model: too many slots");
	return oldest;
}

static unsigned add(const struct model_map *m)
{
	unsigned i = free_place();
	struct model_map *s = &model_state.slot[i];

	*s = *m;
	s->from = model_state.now;
	s->sure = s->fading = s->until = MODEL_OPEN;
	return i;
}

unsigned shadow_model_slot_add(const struct model_map *m)
{
	shadow_model_alternative(m->base, m->pages, m->backing, m->backing_page);
	return add(m);
}

const struct model_map *shadow_model_slot(unsigned slot)
{
	return &model_state.slot[slot];
}

void shadow_model_slot_gone(unsigned slot)
{
	struct model_map *s = &model_state.slot[slot];

	s->fading = model_state.now;
	shadow_model_alternative(s->base, s->pages, NULL, 0);
}

unsigned shadow_model_slot_flags(unsigned slot, unsigned flags)
{
	struct model_map m = model_state.slot[slot];

	m.flags = flags;
	model_state.slot[slot].fading = model_state.now;
	return add(&m);
}

void shadow_model_slot_done(unsigned slot)
{
	struct model_map *s = &model_state.slot[slot];

	model_state.now++;
	if (s->sure == MODEL_OPEN)
		s->sure = model_state.now;
	else
		s->until = model_state.now;
}

void shadow_model_forget(uint64_t version)
{
	model_state.forgotten = max(model_state.forgotten, version);
	for (unsigned i = 0; i < model_state.nslots; i++)
		if (model_state.slot[i].until <= model_state.forgotten)
			model_state.slot[i].backing = NULL;
}

void shadow_model_told(uint64_t gfn)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < model_state.nslots; i++) {
		const struct model_map *s = &model_state.slot[i];

		if (!s->backing || !holds(s, gfn))
			continue;
		/* Something changes just now: which version it saw cannot be known. */
		if (s->until == MODEL_OPEN)
			return;
		last = max(last, s->until);
	}
	shadow_model_forget(last);
}

static uint64_t frame_in(const struct model_map *s, uint64_t gfn)
{
	return backing_pfn(s->backing, s->backing_page + gfn - s->base).v;
}

uint64_t shadow_model_frame(uint64_t gfn)
{
	for (unsigned i = 0; i < model_state.nslots; i++) {
		const struct model_map *s = &model_state.slot[i];

		if (s->backing && is_there(s) && holds(s, gfn))
			return frame_in(s, gfn);
	}
	return 0;
}

bool shadow_model_reaches(uint64_t gfn, unsigned access, uint64_t frame)
{
	for (unsigned i = 0; i < model_state.nslots; i++) {
		const struct model_map *s = &model_state.slot[i];

		if (s->backing && holds(s, gfn) && s->until > model_state.forgotten &&
			!((access & MMU_WRITE) && (s->flags & SLOT_READONLY)) && frame_in(s, gfn) == frame)
			return true;
	}
	return false;
}

/* True if gfn may have been in no slot at this version. (While its flags change, it seems so.) */
static bool hole_at(uint64_t gfn, uint64_t version)
{
	for (unsigned i = 0; i < model_state.nslots; i++) {
		const struct model_map *s = &model_state.slot[i];

		if (s->pages && holds(s, gfn) && s->sure <= version && version < s->fading)
			return false;
	}
	return true;
}

bool shadow_model_hole(uint64_t gfn, uint64_t since)
{
	if (hole_at(gfn, since) || hole_at(gfn, model_state.now))
		return true;
	for (unsigned i = 0; i < model_state.nslots; i++)
		if (model_state.slot[i].fading > since && model_state.slot[i].fading != MODEL_OPEN &&
			hole_at(gfn, model_state.slot[i].fading))
			return true;
	return false;
}

bool shadow_model_rom(uint64_t gfn, uint64_t since)
{
	for (unsigned i = 0; i < model_state.nslots; i++) {
		const struct model_map *s = &model_state.slot[i];

		if (s->pages && holds(s, gfn) && (s->flags & SLOT_READONLY) && s->until > since)
			return true;
	}
	return false;
}

bool shadow_model_blank(uint64_t gfn, uint64_t since, uint64_t *value)
{
	bool ram = false, hole = shadow_model_hole(gfn, since);

	for (unsigned i = 0; i < model_state.nslots; i++)
		ram |= model_state.slot[i].pages && holds(&model_state.slot[i], gfn) &&
		       model_state.slot[i].until > since;
	*value = ram ? 0 : ~0ull;
	return ram && hole;
}
