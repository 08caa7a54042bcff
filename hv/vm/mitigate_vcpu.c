/* SPDX-License-Identifier: MIT */
#include "hv/vm/mitigate_vcpu.h"

#include "hv/host/mitigate.h"
#include "hv/vm/vm.h"

/* hv/vmx/vmx_entry.asm: the VMCS's HOST_RIP. The second does what this CPU's exit_guards say. */
void vmx_exit(void);
void vmx_exit_guarded(void);

void mitigate_other_vm(void)
{
	const struct cpu *c = this_cpu();
	const struct mitigate_measures *m = &c->mitigations.measures;

	if (nvms > 1 && c->current && (m->l1d_flush || m->l1d_read || m->verw))
		vcpu_request(c->current, REQ_FLUSH);
}

bool mitigate_vmcs_init(struct vcpu *v)
{
	const struct mitigate_measures *m = &v->cpu->mitigations.measures;

	v->exit_load[LOAD_SPEC_CTRL] =
		(struct msr_load){ .msr = MSR_SPEC_CTRL, .value = m->spec_ctrl | SPEC_CTRL_IBRS };
	v->entry_load[LOAD_SPEC_CTRL] =
		(struct msr_load){ .msr = MSR_SPEC_CTRL, .value = m->spec_ctrl | v->guest.spec_ctrl };
	vmcs_write(&v->vmcs, VMCS_HOST_RIP, (uint64_t)(v->cpu->exit_guards ? vmx_exit_guarded : vmx_exit));
	return m->ibrs_at_exit;
}

void mitigate_spec_ctrl(struct vcpu *v, uint64_t value)
{
	const struct mitigate_measures *m = &v->cpu->mitigations.measures;

	v->guest.spec_ctrl = value;
	v->entry_load[LOAD_SPEC_CTRL].value = value | m->spec_ctrl;
	if (v->cpu->spec_ctrl_bits && !m->ibrs_at_exit)
		wrmsr(MSR_SPEC_CTRL, value | m->spec_ctrl);
}
