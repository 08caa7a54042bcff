/* SPDX-License-Identifier: MIT */
#include "hv/vm/mmu_ops.h"

#include "drivers/lapic.h"
#include "hv/vm/vcpu.h"
#include "hv/vmx/vmx_cpu.h"

/* The MMU has put its request into v before it calls: an interrupt is all that is missing. */
static void kick(struct mmu_vcpu *m)
{
	struct vcpu *v = container_of(m, struct vcpu, mmu);

	if (v->cpu != this_cpu())
		lapic_ipi(v->cpu->apic_id, VEC_KICK);
}

static void do_invept_single(uint64_t eptp)
{
	if (!invept(INV_SINGLE, eptp))
		panic("INVEPT of EPTP %#lx failed", eptp);
}

static void do_invvpid_single(uint16_t vpid)
{
	if (vmx.vpid && !invvpid(INV_SINGLE, vpid))
		panic("INVVPID of VPID %u failed", vpid);
}

/* Page-modification logging (SDM Vol. 3C 28.3.6). */
static void pml_set(struct mmu_vcpu *m, bool on)
{
	struct vcpu *v = container_of(m, struct vcpu, mmu);

	uint32_t proc2 = v->vmcs.proc2 & ~(uint32_t)PROC2_PML;

	vmcs_set_control(&v->vmcs, &v->vmcs.proc2, VMCS_PROC2, on ? proc2 | PROC2_PML : proc2);
	vmcs_write(&v->vmcs, VMCS_PML_INDEX, MMU_PML_EMPTY);
}

static void pml_drain(struct mmu_vcpu *m)
{
	struct vcpu *v = container_of(m, struct vcpu, mmu);
	uint64_t index = vmcs_read(&v->vmcs, VMCS_PML_INDEX);

	if (index == MMU_PML_EMPTY)
		return;
	mmu_pml_drain(m, v->pml_buffer, (uint16_t)index);
	vmcs_write(&v->vmcs, VMCS_PML_INDEX, MMU_PML_EMPTY);
}

const struct mmu_cpu_ops mmu_cpu_ops = {
	.kick = kick,
	.invept_single = do_invept_single,
	.invvpid_single = do_invvpid_single,
	.pml_set = pml_set,
	.pml_drain = pml_drain,
};

struct mmu_caps mmu_caps_of_host(void)
{
	uint64_t e = vmx.ept_vpid, arch = 0;

	if (!rdmsr_safe(MSR_ARCH_CAPABILITIES, &arch))
		arch = 0;
	return (struct mmu_caps){
		.ept = vmx.ept,
		.ept_2m = e & EPTCAP_2M,
		.ept_1g = e & EPTCAP_1G,
		.ept_ad = e & EPTCAP_AD,
		.ept_exec_only = e & EPTCAP_EXEC_ONLY,
		.ept_5level = e & EPTCAP_5LEVEL,
		.ept_uc = e & EPTCAP_UC,
		.ept_wb = e & EPTCAP_WB,
		.pml = vmx.pml,
		.vpid = vmx.vpid,
		.pschange_mc_no = arch & BIT(6),
		.guest_no_1g = !(cpuid_or_zero(0x80000001, 0).edx & BIT(26)),
		.maxphyaddr = cpu_phys_bits(),
	};
}
