/* SPDX-License-Identifier: MIT */
/* Second-stage faults: the MMU decides, devices or the end of the VM follow (SDM Vol. 3C 27.2.1, 28.2.3). */
#include "guest/emu/emulate.h"
#include "hv/exit/exit.h"
#include "hv/vm/events.h"

void fault_no_memory(struct vcpu *v)
{
	dump_take(v, "no memory left for its page tables");
	vm_end(v->vm, VM_END_NO_MEMORY, 0);
}

void fault_no_ram(struct vcpu *v, gpa_t at)
{
	vm_unsupported(v, "its page tables or an event's delivery reach %#lx, where there is no RAM", at.v);
}

void fault_no_code(struct vcpu *v, gpa_t at)
{
	vm_unsupported(v, "it executes at %#lx, where there is no RAM", at.v);
}

/* EPT's A and D flags are off (mm/mmu/ept_ad.c), so this is a write of the CPU's own. */
static void tables_in_rom(struct vcpu *v, gpa_t at)
{
	vm_unsupported(v, "its page tables at %#lx lie in read-only memory, and lack flags A or D", at.v);
}

void fault_block_nmis(struct vcpu *v)
{
	vmcs_write(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY,
		vmcs_read(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY) | BLOCK_NMI);
}

static void block_nmi_again(struct vcpu *v, uint64_t qualification, bool delivering)
{
	if (unlikely(qualification & BIT(12)) && !delivering)
		fault_block_nmis(v);
}

/* Bit 7: there was a linear address. Bit 8: the access to what it translates to; 0: to a paging structure on the way. (Loads
 * of PAE's PDPTEs by MOV to CR have no linear address, and are reads always: 28.3.5.) */
static bool is_walk(uint64_t qualification)
{
	return (qualification & (BIT(7) | BIT(8))) == BIT(7);
}

/*
 * The MMU has made an entry for device memory, and that has taken long: the access is made again, and exits at once by that
 * entry. The device's work then has a stretch of its own. Not twice in a row, for nested every exit takes long.
 */
bool fault_put_off(struct vcpu *v)
{
	if (v->mmio_put_off == v->exits - 1 || host_hooks->fresh(v->cpu))
		return false;
	v->mmio_put_off = v->exits;
	return true;
}

void exit_ept_violation(struct vcpu *v)
{
	uint64_t q = vmcs_read(&v->vmcs, VMCS_QUALIFICATION);
	gpa_t at = gpa(vmcs_read(&v->vmcs, VMCS_GUEST_PHYSICAL));
	unsigned access = q & (MMU_READ | MMU_WRITE | MMU_EXEC);
	bool delivering = events_redeliver(v);
	enum mmu_verdict verdict;

	block_nmi_again(v, q, delivering);
	verdict = mmu_violation(&v->mmu, at, access);
	if (likely(verdict == MMU_RESUME))
		return;
	switch (verdict) {
	case MMU_RESUME:
		break;
	case MMU_ROM:
		if (is_walk(q)) {
			if (mmu_rom_walked(&v->mmu, at) == MMU_ROM)
				tables_in_rom(v, at);
			break;
		}
		__attribute__((fallthrough));
	case MMU_MMIO:
		/* The access itself, not one to the guest's page tables on the way. What an event's delivery reads or
		 * pushes is no operand of the instruction at RIP. */
		if (!(q & BIT(7)) || !(q & BIT(8)) || delivering)
			fault_no_ram(v, at);
		else if (verdict == MMU_ROM || !fault_put_off(v))
			emulate_at(v, access & MMU_WRITE ? EMU_WRITE : EMU_READ, at);
		break;
	case MMU_EXEC_MMIO:
		fault_no_code(v, at);
		break;
	case MMU_NO_MEMORY:
		fault_no_memory(v);
		break;
	case MMU_INJECT:
	case MMU_TABLE:
		panic("the EPT back end asked for what only tables made from the guest's need");
	}
}

/* The page-modification log is full. mmu_exit() has emptied it already, as at every exit: the write is tried again. */
void exit_pml_full(struct vcpu *v)
{
	bool delivering = events_redeliver(v);

	block_nmi_again(v, vmcs_read(&v->vmcs, VMCS_QUALIFICATION), delivering);
}

/* How entries for device memory fault by design: the common way into devices. */
void exit_ept_misconfig(struct vcpu *v)
{
	gpa_t at = gpa(vmcs_read(&v->vmcs, VMCS_GUEST_PHYSICAL));
	bool delivering = events_redeliver(v);

	if (mmu_misconfig(&v->mmu, at) != MMU_MMIO)
		return;
	if (unlikely(delivering))
		fault_no_ram(v, at);
	else
		emulate_at(v, EMU_READ | EMU_WRITE, at);
}
