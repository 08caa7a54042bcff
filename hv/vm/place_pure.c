/* SPDX-License-Identifier: MIT */
#include "hv/vm/place_pure.h"

#include "lib/bits.h"
#include "lib/string.h"

#define NOT_OWNED (-1)

struct planner {
	struct place *p;
	int8_t owner[CPUS_MAX];	       /* the VM that a CPU's core belongs to, or NOT_OWNED */
	unsigned placed[CPUS_MAX];     /* vCPUs on this CPU */
	unsigned ncores[CONF_VMS_MAX]; /* owned by each VM */
};

/* The usable CPUs of c's core. */
static uint64_t core_of(const struct place *p, unsigned c)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (p->usable & BIT(i) && p->core[i] == p->core[c])
			mask |= BIT(i);
	return mask;
}

/* A core that can belong to a VM at all. */
static bool has_siblings(const struct place *p, unsigned c)
{
	uint64_t core = core_of(p, c);

	return p->same_vm && core & (core - 1);
}

static void take_core(struct planner *s, unsigned vm, unsigned c)
{
	uint64_t core = core_of(s->p, c);

	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (core & BIT(i))
			s->owner[i] = (int8_t)vm;
	s->ncores[vm]++;
}

/* A usable CPU of a core with siblings that belongs to no VM; the lowest. CPUS_MAX: there is none. */
static unsigned free_core(const struct planner *s)
{
	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (s->p->usable & BIT(i) && s->owner[i] == NOT_OWNED && has_siblings(s->p, i))
			return i;
	return CPUS_MAX;
}

/* The n-th CPU of a mask, round and round. */
static unsigned nth_cpu(uint64_t mask, unsigned n)
{
	uint64_t rest = mask;

	for (; n; n--) {
		rest &= rest - 1;
		if (!rest)
			rest = mask;
	}
	return bit_lowest(rest);
}

static void place_given(struct planner *s, unsigned vm)
{
	struct place_vm *v = &s->p->vm[vm];
	uint64_t cpus = v->cpus & s->p->usable;

	v->result = cpus ? PLACE_DONE : PLACE_NO_CPU;
	for (unsigned i = 0; cpus && i < v->vcpus; i++) {
		unsigned c = nth_cpu(cpus, i);

		v->cpu[i] = (uint8_t)c;
		if (s->owner[c] == NOT_OWNED || s->owner[c] == (int8_t)vm)
			continue;
		v->result = PLACE_CORE_TAKEN;
		v->clash = c;
		v->owner = (unsigned)s->owner[c];
		return;
	}
	for (unsigned i = 0; cpus && i < v->vcpus; i++) {
		unsigned c = v->cpu[i];

		if (has_siblings(s->p, c) && s->owner[c] == NOT_OWNED)
			take_core(s, vm, c);
		s->placed[c]++;
	}
}

static unsigned placed_in_core(const struct planner *s, unsigned c)
{
	uint64_t core = core_of(s->p, c);
	unsigned n = 0;

	for (unsigned i = 0; i < CPUS_MAX; i++)
		n += core & BIT(i) ? s->placed[i] : 0;
	return n;
}

/* The CPU for a vCPU of a VM without `cpus`; CPUS_MAX: none may be used. */
static unsigned best_cpu(const struct planner *s, unsigned vm)
{
	unsigned best = CPUS_MAX;

	for (unsigned i = 0; i < CPUS_MAX; i++) {
		if (!(s->p->usable & BIT(i)) || (has_siblings(s->p, i) && s->owner[i] != (int8_t)vm))
			continue;
		if (best == CPUS_MAX || s->placed[i] < s->placed[best] ||
			(s->placed[i] == s->placed[best] && placed_in_core(s, i) < placed_in_core(s, best)))
			best = i;
	}
	return best;
}

static void place_anywhere(struct planner *s, unsigned vm)
{
	struct place_vm *v = &s->p->vm[vm];

	v->result = PLACE_DONE;
	for (unsigned i = 0; i < v->vcpus; i++) {
		unsigned c = best_cpu(s, vm);

		if (c == CPUS_MAX) {
			v->result = PLACE_NO_CORE;
			return;
		}
		v->cpu[i] = (uint8_t)c;
		s->placed[c]++;
	}
}

/* The VM without `cpus` that has the most vCPUs for each of its cores, and more than one; CONF_VMS_MAX: none. Those without a
 * core come first, in their order. */
static unsigned neediest(const struct planner *s)
{
	const struct place *p = s->p;
	unsigned best = CONF_VMS_MAX;

	for (unsigned i = 0; i < p->nvms; i++) {
		if (p->vm[i].cpus || p->vm[i].vcpus <= s->ncores[i])
			continue;
		if (best == CONF_VMS_MAX ||
			(p->vm[i].vcpus * s->ncores[best] > p->vm[best].vcpus * s->ncores[i]))
			best = i;
	}
	return best;
}

void place_vms(struct place *p)
{
	struct planner s = { .p = p };
	unsigned vm, c;

	memset(s.owner, NOT_OWNED, sizeof(s.owner));
	for (unsigned i = 0; i < p->nvms; i++)
		if (p->vm[i].cpus)
			place_given(&s, i);
	while ((vm = neediest(&s)) != CONF_VMS_MAX && (c = free_core(&s)) != CPUS_MAX)
		take_core(&s, vm, c);
	for (unsigned i = 0; i < p->nvms; i++)
		if (!p->vm[i].cpus)
			place_anywhere(&s, i);
}
