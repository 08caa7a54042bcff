/* SPDX-License-Identifier: MIT */
/* RDMSR and WRMSR: what they do stands in hv/vm/guest_msr.c. */
#include "hv/exit/exit.h"
#include "hv/vm/events.h"
#include "hv/vm/guest_msr.h"
#include "lib/log.h"

/* Accesses to unknown MSRs are logged, the first 16 of each vCPU: guests probe in loops. */
static void unknown(struct vcpu *v, const char *what, uint32_t msr, uint64_t value)
{
	if (v->unknown_msrs++ < 16)
		log_debug("vm %s: %s of unknown MSR %#x (%#lx): #GP", v->vm->name, what, msr, value);
}

void exit_rdmsr(struct vcpu *v)
{
	uint32_t msr = (uint32_t)v->regs.gpr[RCX];
	uint64_t value;
	int err = guest_rdmsr(v, msr, &value);

	if (unlikely(err)) {
		if (err == -E_NOENT)
			unknown(v, "read", msr, 0);
		inject_exception_error(v, VEC_GP, 0);
		return;
	}
	v->regs.gpr[RAX] = (uint32_t)value;
	v->regs.gpr[RDX] = value >> 32;
	vcpu_skip(v);
}

void exit_wrmsr(struct vcpu *v)
{
	uint32_t msr = (uint32_t)v->regs.gpr[RCX];
	uint64_t value = v->regs.gpr[RDX] << 32 | (uint32_t)v->regs.gpr[RAX];
	int err = guest_wrmsr(v, msr, value);

	if (unlikely(err)) {
		if (err == -E_NOENT)
			unknown(v, "write", msr, value);
		inject_exception_error(v, VEC_GP, 0);
		return;
	}
	vcpu_skip(v);
}
