/* SPDX-License-Identifier: MIT */
/*
 * What is in the TLBs (contract, rule 6; SDM Vol. 3C 28.4).
 *
 * The CPU tags what it caches of EPT with bits 51:12 of the EPTP, the root's frame, and keeps it across VM entries and
 * exits, VMXON and VMXOFF. So a frame that becomes a root may be met by translations of an older root that lived in
 * the same frame, of this VM or another. Each root counts, by one bit a CPU, where that was put right:
 *
 *	becomes a root			cpus = 0
 *	to enter on CPU c, bit c clear	set it, INVEPT single-context (mmu_serve(), before the handshake)
 *	rights taken away (flush)	cpus = 0 again, then the vCPUs in the guest are kicked
 *
 * That is one INVEPT for each CPU that really runs the VM, none for the rest, none for each page. A bump needs no
 * flush of its own: it brings a new root.
 *
 * Tables made from the guest's page tables are tagged by the VPID alone, whatever root the CPU walks. So a vCPU drops them when
 * it takes another root and once in each flush epoch (backend->tags_by_vcpu): one INVVPID single-context.
 *
 * Guest-linear and combined mappings are tagged by VPID too. A VPID belongs to a vCPU; while a vCPU is away from a
 * CPU its guest may change its page tables and flush elsewhere, so coming to a CPU costs an INVVPID there.
 */
#include "mm/mmu/backend.h"

void mmu_make_ready(struct mmu_vcpu *v, unsigned cpu)
{
	uint64_t was = v->entered_epoch, now = atomic_load(&v->front->flush_epoch);

	/* First: what is seen to below is of this epoch or of a later one. If it is of a later one, or a flusher comes
	 * in between, the handshake finds flush_epoch changed, and we come here again. Release: a CPU that sees this epoch
	 * sees all that v did before it last left the guest. */
	atomic_store(&v->entered_epoch, now);
	YIELD();
	if (v->cpu != cpu) {
		if (v->mmu->caps.vpid && !MUTANT(no_invvpid_on_move)) {
			TRACE(TRACE_MMU, "INVVPID of VPID %lu on CPU %lu", v->vpid, cpu, 0);
			v->ops->invvpid_single(v->vpid);
		}
		v->cpu = cpu;
	}
	YIELD();
	if (v->mmu->backend->tags_by_vcpu) {
		/* Also after mmu_load_root(), which leaves 0. */
		if (was != now)
			v->mmu->backend->drop_tags(v);
		return;
	}
	/* The bit first: what a flusher clears after that is not taken for done. */
	if (!(atomic_load(&v->root.page->cpus) & BIT(cpu)) &&
		!(atomic_fetch_or(&v->root.page->cpus, BIT(cpu)) & BIT(cpu)) && !MUTANT(no_invept_new_root)) {
		YIELD();
		v->mmu->backend->drop_tags(v);
	}
	YIELD();
	/* So each vCPU that is known to have entered since logging began has it on (dirty_pml.c). */
	if (v->pml != atomic_load(&v->front->pml)) {
		v->pml = !v->pml;
		v->ops->pml_set(v, v->pml);
	}
}

/* What must be true at every entry. In debug builds only. */
void mmu_tags_check(const struct mmu_vcpu *v, unsigned cpu)
{
	ASSERT(cpu < CPUS_MAX);
	ASSERT(v->root.page && atomic_load_relaxed(&v->root.page->pins) && v->root.gen == v->root.page->gen);
	ASSERT(v->cpu == cpu);
	ASSERT(v->entered == v->root.gen);
	/* The address only: another CPU may be switching A and D off now (ept_ad.c), and a kick comes. */
	ASSERT(!((v->root.pointer ^ v->mmu->backend->pointer(v, v->root.page)) & BITS(51, 12)));
}
