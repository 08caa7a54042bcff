/* SPDX-License-Identifier: MIT */
/* INVLPG and INVPCID of a guest on shadow page tables (SDM Vol. 2A; Vol. 3C 27.2.1, 27.2.5). */
#include "hv/exit/emulate.h"
#include "hv/exit/exit.h"
#include "hv/exit/invpcid_pure.h"
#include "hv/vm/events.h"
#include "mm/shadow/shadow.h"

static unsigned linear_bits(const struct vcpu *v)
{
	return v->mmu.regs.cr4 & CR4_LA57 ? 57 : 48;
}

void exit_invlpg(struct vcpu *v)
{
	uint64_t at = vmcs_read(&v->vmcs, VMCS_QUALIFICATION);

	/* Of an address that is not canonical the TLB holds nothing, and it is no fault. */
	if (is_canonical(at, linear_bits(v)))
		shadow_invlpg(&v->mmu, gva(at));
	vcpu_skip(v);
}

/* The CPU has checked CPL and that the instruction exists; operands are left to us (SDM Vol. 3C 25.1.1). */
void exit_invpcid(struct vcpu *v)
{
	struct invpcid_operands o;
	uint64_t descriptor[2];

	vcpu_sync_regs(v);
	invpcid_decode((uint32_t)vmcs_read(&v->vmcs, VMCS_INSTR_INFO),
		vmcs_read(&v->vmcs, VMCS_QUALIFICATION), v->regs.gpr, vcpu_long_mode(v), &o);
	if (!emulate_operand(v, o.seg, o.offset, descriptor, sizeof(descriptor)))
		return;
	if (!invpcid_ok(o.type, descriptor, v->mmu.regs.cr4 & CR4_PCIDE, linear_bits(v))) {
		inject_exception_error(v, VEC_GP, 0);
		return;
	}
	/* Of other address spaces there is nothing in the TLB, and their tables are brought up to date when they are loaded. */
	if (o.type == INVPCID_ADDRESS)
		shadow_invlpg(&v->mmu, gva(descriptor[1]));
	else
		shadow_load(&v->mmu);
	vcpu_skip(v);
}
