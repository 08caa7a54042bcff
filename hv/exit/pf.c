/* SPDX-License-Identifier: MIT */
/*
 * Page faults of a guest on shadow page tables. Each has an exit, since it may be the guest's own, or that of tables that are not
 * made yet; the MMU decides. The guest sees only those that are injected here, and only their CR2. (SDM Vol. 3A 4.7; Vol. 3C
 * 24.6.3, 27.2.2.)
 */
#include "hv/exit/emulate.h"
#include "hv/exit/exit.h"
#include "hv/vm/events.h"
#include "mm/shadow/shadow.h"

/* The same store with the same registers, so soon after: the guest gets no further by itself. */
#define OWN_STORE_TIMES 64u
#define OWN_STORE_EXITS 64u

static uint64_t sum_of_registers(const struct vcpu *v)
{
	uint64_t sum = vmcs_read(&v->vmcs, VMCS_GUEST_RSP);

	for (unsigned i = 0; i < GPRS; i++)
		if (i != RSP)
			sum = (sum << 7 | sum >> 57) ^ v->regs.gpr[i];
	return sum;
}

/* False: the guest has been left to do this store by itself again and again, and has not done it. own_store.times: how often. */
static bool own_store_counts(struct vcpu *v, gpa_t at)
{
	uint64_t rip = vcpu_rip(v), regs = sum_of_registers(v);
	bool same = v->own_store.rip == rip && v->own_store.at == at.v && v->own_store.regs == regs &&
		    v->exits - v->own_store.exits < OWN_STORE_EXITS;

	v->own_store.rip = rip;
	v->own_store.at = at.v;
	v->own_store.regs = regs;
	v->own_store.exits = v->exits;
	v->own_store.times = same ? v->own_store.times + 1 : 0;
	return v->own_store.times < OWN_STORE_TIMES;
}

/*
 * A store into a page table of the guest's that cannot be emulated, or a push of an event's delivery: the table is given up, so that
 * the page can be written, and the guest does it. If it needs the very table for it, that is let be until the guest invalidates it.
 */
void fault_leave_store(struct vcpu *v, gpa_t at, const char *why)
{
	bool counts = own_store_counts(v, at);

	if (!v->own_store.times)
		shadow_unprotect(&v->mmu, at);
	else if (counts)
		shadow_let_store(&v->mmu, at);
	else
		vm_unsupported(v,
			"a store into its own page table at %#lx, by which it is translated itself: %s", at.v,
			why);
}

static void store_into_table(struct vcpu *v, bool delivering)
{
	if (unlikely(delivering))
		fault_leave_store(v, v->mmu.fault_at, "an event's delivery pushes there");
	else
		emulate_at(v, EMU_TABLE | EMU_WRITE, v->mmu.fault_at);
}

/* While an event is delivered the two are one exception, #DF or the triple fault, or the event is lost (SDM Vol. 3A table 6-5). */
static void page_fault_inject(struct vcpu *v, uint64_t at, bool delivering)
{
	/* An NMI has blocked NMIs when it faults; events_redeliver() has opened them, for the same NMI. */
	if (unlikely(delivering) && (v->event_info & INTR_TYPE) == INTR_NMI)
		fault_block_nmis(v);
	inject_page_fault(v, at, v->mmu.inject);
}

static void device_access(struct vcpu *v, enum mmu_verdict verdict, uint32_t error, bool delivering)
{
	/* What an event's delivery reads or pushes is no operand of the instruction at RIP. */
	if (unlikely(delivering))
		fault_no_ram(v, v->mmu.fault_at);
	else if (verdict == MMU_ROM || !fault_put_off(v))
		emulate_at(v, error & PF_WRITE ? EMU_WRITE : EMU_READ, v->mmu.fault_at);
}

void exit_page_fault(struct vcpu *v, uint32_t info)
{
	uint64_t at = vmcs_read_sure(&v->vmcs, VMCS_QUALIFICATION);
	uint32_t error = (uint32_t)vmcs_read_sure(&v->vmcs, VMCS_EXIT_INTR_ERROR);
	bool delivering = events_redeliver(v);
	enum mmu_verdict verdict;

	vcpu_paging_regs_shadow(v);
	verdict = shadow_fault(&v->mmu, gva(at), error);
	/* Not if the fault is the guest's own: an IRET that faults has opened NMIs all the same. */
	if (unlikely(info & INTR_NMI_UNBLOCK) && !delivering && verdict != MMU_INJECT)
		fault_block_nmis(v);
	switch (verdict) {
	case MMU_RESUME:
		break;
	case MMU_INJECT:
		page_fault_inject(v, at, delivering);
		break;
	case MMU_TABLE:
		store_into_table(v, delivering);
		break;
	case MMU_MMIO:
	case MMU_ROM:
		device_access(v, verdict, error, delivering);
		break;
	case MMU_EXEC_MMIO:
		fault_no_code(v, v->mmu.fault_at);
		break;
	case MMU_NO_MEMORY:
		fault_no_memory(v);
		break;
	}
}
