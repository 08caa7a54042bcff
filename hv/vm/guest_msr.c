/* SPDX-License-Identifier: MIT */
/*
 * MSRs of a guest. Three kinds:
 *
 *	passed    in the bitmap (hv/vm/guest_msr_pure.c): the CPU's own register, the guest's while its vCPU has the CPU
 *		  (hv/vm/guest_cpu.c), or switched by the VMCS
 *	emulated  a row of the table below
 *	refused   everything else: #GP(0), and a line in the log, the first time round
 */
#include "hv/vm/guest_msr.h"

#include "hv/vm/events.h"
#include "hv/vm/guest_cpuid.h"
#include "hv/vm/guest_cr.h"
#include "hv/vm/mitigate_vcpu.h"
#include "hv/vm/vm.h"
#include "hv/vm/vm_apic.h"
#include "hv/vm/vmcs_setup.h"

struct msr {
	uint32_t first, last;
	int (*read)(struct vcpu *v, uint32_t msr, uint64_t *value);
	int (*write)(struct vcpu *v, uint32_t msr, uint64_t value); /* NULL: #GP */
};

static int apic_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	return platform_apic_rdmsr(v->vm->platform, v->index, msr, value);
}

static int apic_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	int vector = platform_apic_wrmsr(v->vm->platform, v->index, msr, value);

	if (vector <= 0)
		return vector;
	events_raise(v, (unsigned)vector);
	return 0;
}

/* Where the registers lie, or whether they lie there at all, may have changed: what follows is the VM's. */
static int apic_base_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	int err = apic_write(v, msr, value);

	if (!err)
		vm_apic_base_written(v);
	return err;
}

static int tsc_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = msr == MSR_TSC ? rdtsc() + v->vm->tsc_offset + v->tsc_adjust : v->tsc_adjust;
	return 0;
}

static int tsc_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	v->tsc_adjust = msr == MSR_TSC ? value - rdtsc() - v->vm->tsc_offset : value;
	vmcs_update_tsc(v);
	platform_tsc_adjust(v->vm->platform, v->index, v->tsc_adjust);
	return 0;
}

static int efer_do_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = efer_read(v);
	return 0;
}

static int efer_do_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	return efer_write(v, value);
}

/* Where VM entry and exit do not switch it, from a field of the VMCS: a list does. */
static int pat_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = v->entry_load[LOAD_PAT].value;
	return 0;
}

static int pat_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	if (!guest_pat_ok(value))
		return -E_INVAL;
	v->entry_load[LOAD_PAT].value = value;
	return 0;
}

static int misc_enable_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = v->misc_enable;
	return 0;
}

static int misc_enable_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	v->misc_enable = guest_misc_enable(value);
	return 0;
}

/* Memory types are the host's and the guest's PAT's (EPT back end); the guest's MTRRs are kept for it to read. */
static int mtrr_read_(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	int i = guest_mtrr_index(msr);

	if (msr == MSR_MTRRCAP)
		*value = GUEST_MTRRCAP;
	else if (i < 0)
		return -E_INVAL;
	else
		*value = v->mtrr[i];
	return 0;
}

static int mtrr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	int i = guest_mtrr_index(msr);

	if (i < 0 || !guest_mtrr_ok((unsigned)i, value, guest_maxphyaddr()))
		return -E_INVAL;
	v->mtrr[i] = value;
	return 0;
}

static int arch_capabilities_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	if (!rdmsr_safe(MSR_ARCH_CAPABILITIES, value))
		return -E_NOENT;
	*value = guest_arch_capabilities(*value, &v->cpu->mitigations);
	return 0;
}

static int zero_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = 0;
	return 0;
}

static int ignore_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	return 0;
}

static int zero_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	return value ? -E_INVAL : 0;
}

static int feature_control_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = FEATURE_CONTROL_LOCK; /* locked, VMX off */
	return 0;
}

static int microcode_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	if (!rdmsr_safe(MSR_BIOS_SIGN_ID, value))
		*value = 0;
	return 0;
}

static int platform_id_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	if (!rdmsr_safe(0x17, value))
		*value = 0;
	return 0;
}

static int spec_ctrl_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = v->guest.spec_ctrl;
	return v->cpu->spec_ctrl_bits ? 0 : -E_NOENT;
}

static int spec_ctrl_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	if (!v->cpu->spec_ctrl_bits)
		return -E_NOENT;
	if (value & ~v->cpu->spec_ctrl_bits)
		return -E_INVAL;
	mitigate_spec_ctrl(v, value);
	return 0;
}

static int pred_cmd_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	return value & ~(uint64_t)PRED_CMD_IBPB || !wrmsr_safe(msr, value) ? -E_INVAL : 0;
}

static int tsc_aux_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	return rdmsr_safe(msr, value) ? 0 : -E_NOENT;
}

static int tsc_aux_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	return value >> 32 || !wrmsr_safe(msr, value) ? -E_INVAL : 0;
}

static int debugctl_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	/* LBR and BTF could be; branch trace stores and the PMU's bits need what guests do not have. */
	if (value & ~(uint64_t)(BIT(0) | BIT(1)))
		return -E_INVAL;
	vmcs_write(&v->vmcs, VMCS_GUEST_DEBUGCTL, value & BIT(1));
	return 0;
}

static int debugctl_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = vmcs_read(&v->vmcs, VMCS_GUEST_DEBUGCTL);
	return 0;
}

/* Sorted by number. */
static const struct msr table[] = {
	{ MSR_TSC, MSR_TSC, tsc_read, tsc_write },
	{ 0x17, 0x17, platform_id_read, NULL },
	{ MSR_APIC_BASE, MSR_APIC_BASE, apic_read, apic_base_write },
	{ 0x34, 0x34, zero_read, NULL }, /* SMI count */
	{ MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, feature_control_read, NULL },
	{ MSR_TSC_ADJUST, MSR_TSC_ADJUST, tsc_read, tsc_write },
	{ MSR_SPEC_CTRL, MSR_SPEC_CTRL, spec_ctrl_read, spec_ctrl_write },
	{ MSR_PRED_CMD, MSR_PRED_CMD, NULL, pred_cmd_write },
	{ 0x79, 0x79, NULL, ignore_write }, /* microcode update: the guest's CPU is as it is */
	{ MSR_BIOS_SIGN_ID, MSR_BIOS_SIGN_ID, microcode_read, ignore_write },
	{ MSR_MTRRCAP, MSR_MTRRCAP, mtrr_read_, NULL },
	{ MSR_ARCH_CAPABILITIES, MSR_ARCH_CAPABILITIES, arch_capabilities_read, NULL },
	{ 0x179, 0x179, zero_read, NULL },	   /* IA32_MCG_CAP: no machine-check banks */
	{ 0x17a, 0x17a, zero_read, zero_write },   /* IA32_MCG_STATUS */
	{ 0x198, 0x199, zero_read, ignore_write }, /* performance state */
	{ 0x19a, 0x19c, zero_read, ignore_write }, /* clock modulation, thermal */
	{ MSR_MISC_ENABLE, MSR_MISC_ENABLE, misc_enable_read, misc_enable_write },
	{ 0x1b0, 0x1b0, zero_read, ignore_write }, /* energy bias */
	{ MSR_DEBUGCTL, MSR_DEBUGCTL, debugctl_read, debugctl_write },
	{ MSR_MTRR_PHYSBASE0, MSR_MTRR_FIX4K_C0000 + 7, mtrr_read_, mtrr_write },
	{ MSR_PAT, MSR_PAT, pat_read, pat_write },
	{ MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, mtrr_read_, mtrr_write },
	{ MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, apic_read, apic_write },
	{ MSR_X2APIC, MSR_X2APIC + 0xff, apic_read, apic_write },
	{ MSR_XSS, MSR_XSS, zero_read, zero_write },
	{ MSR_EFER, MSR_EFER, efer_do_read, efer_do_write },
	{ MSR_TSC_AUX, MSR_TSC_AUX, tsc_aux_read, tsc_aux_write },
};

static const struct msr *__attribute__((noinline)) search(struct vcpu *v, uint32_t msr)
{
	unsigned lo = 0, hi = ARRAY_SIZE(table);

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (msr > table[mid].last)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < ARRAY_SIZE(table) && msr >= table[lo].first ? v->last_msr = &table[lo] : NULL;
}

/* Guests that access an MSR in a loop access one MSR: the row found last is tried first. */
static const struct msr *find(struct vcpu *v, uint32_t msr)
{
	const struct msr *m = v->last_msr;

	return m && msr >= m->first && msr <= m->last ? m : search(v, msr);
}

/* Of the emulated MSRs guests access the local APIC's all the time: those are called directly, since an indirect branch costs
 * where speculation has to be held back. */
int guest_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	const struct msr *m = find(v, msr);

	if (!m || !m->read)
		return -E_NOENT;
	return m->read == apic_read ? apic_read(v, msr, value) : m->read(v, msr, value);
}

int guest_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value)
{
	const struct msr *m = find(v, msr);

	if (!m || !m->write)
		return m ? -E_INVAL : -E_NOENT;
	return m->write == apic_write ? apic_write(v, msr, value) : m->write(v, msr, value);
}
