/* SPDX-License-Identifier: MIT */
/*
 * Grace periods: when may freed tables and guest RAM be reused? (Contract, rule 4.)
 *
 *	what may still use it		while						what may be freed after that
 *	a vCPU in the guest on gen g	entered != 0 && entered <= g			tables of g
 *	a TLB filled before a flush	entered != 0 && entered_epoch < epoch		tables evicted within a generation
 *	a CPU with a pointer		busy != 0 && busy < host epoch of the ticket	guest RAM, dirty logs
 *
 * Nothing here waits: these are conditions, which callers look at again until they hold. Once one holds it stays so, since
 * a vCPU cannot enter on an old generation (it looks at valid_gen after its exchange of `entered`), one that enters
 * later flushes first, and a CPU that becomes busy later finds the new slot table.
 */
#include "mm/mmu/internal.h"

struct mmu_host_cpu mmu_host_cpu[CPUS_MAX];
uint64_t mmu_host_epoch = 1;

struct horizon mmu_horizon(struct mmu *mmu)
{
	struct horizon h = { atomic_load(&mmu->front.valid_gen), atomic_load(&mmu->front.flush_epoch) };

	for (unsigned i = 0; i < mmu->nvcpus; i++) {
		struct mmu_vcpu *v = atomic_load(&mmu->vcpu[i]);
		uint64_t entered = v ? atomic_load(&v->entered) : 0, epoch;

		if (!entered)
			continue;
		/* `entered` first: a vCPU seen inside whose epoch is then seen new has left in between. */
		epoch = atomic_load(&v->entered_epoch);
		h.gen = min(h.gen, entered);
		h.epoch = min(h.epoch, epoch);
	}
	return h;
}

bool mmu_quiescent_below(struct mmu *mmu, uint64_t gen)
{
	for (unsigned i = 0; i < mmu->nvcpus; i++) {
		struct mmu_vcpu *v = atomic_load(&mmu->vcpu[i]);
		uint64_t entered = v ? atomic_load(&v->entered) : 0;

		if (entered && entered < gen)
			return false;
	}
	return true;
}

bool mmu_flushed(struct mmu *mmu, uint64_t epoch)
{
	if (MUTANT(flush_without_ack))
		return true;
	for (unsigned i = 0; i < mmu->nvcpus; i++) {
		struct mmu_vcpu *v = atomic_load(&mmu->vcpu[i]);

		if (v && atomic_load(&v->entered) && atomic_load(&v->entered_epoch) < epoch)
			return false;
	}
	return true;
}

__hot uint64_t mmu_host_epoch_next(void)
{
	return atomic_fetch_add(&mmu_host_epoch, 1) + 1;
}

bool mmu_ticket_ready(struct mmu *mmu, const struct mmu_ticket *t)
{
	if (MUTANT(ticket_at_once))
		return true;
	if (t->gen && !mmu_quiescent_below(mmu, t->gen + 1))
		return false;
	if (t->flush_epoch && !mmu_flushed(mmu, t->flush_epoch))
		return false;
	if (MUTANT(ticket_guest_only))
		return true;
	for (unsigned i = 0; i < CPUS_MAX; i++) {
		uint64_t busy = atomic_load(&mmu_host_cpu[i].busy);

		if (busy && busy < t->host_epoch)
			return false;
	}
	return true;
}
