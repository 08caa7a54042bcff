/* SPDX-License-Identifier: MIT */
#include "hv/vm/vcpu.h"

#include "drivers/lapic.h"
#include "hv/run.h"
#include "hv/vm/guest_cpuid.h"
#include "hv/vm/vm.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/string.h"
#include "mm/host/frames.h"

static uint16_t next_vpid = 1; /* VPID 0 is the host's; VMs are built by CPU 0 alone */

static int create(struct vm *vm, struct vcpu *v, unsigned index)
{
	void *vmcs = vmcs_alloc();

	if (!vmcs)
		return -E_NOMEM;
	v->vmcs = virt_to_hpa(vmcs);
	v->apic_page = frame_alloc_zeroed(OWNER_LETHE);
	if (!v->apic_page)
		return -E_NOMEM;
	if (vmx.pml) {
		v->pml_buffer = frame_alloc_zeroed(OWNER_LETHE);
		if (!v->pml_buffer)
			return -E_NOMEM;
	}
	if (guest_cpu_create(&v->guest, !index)) /* only the boot CPU has run firmware */
		return -E_NOMEM;
	return mmu_vcpu_init(&v->mmu, vm->mmu, index, vmx.vpid ? next_vpid++ : 0);
}

int vcpu_create(struct vm *vm, unsigned index, struct cpu *cpu, struct vcpu **out)
{
	struct vcpu *v = frame_alloc_zeroed(OWNER_LETHE);
	int err;

	_Static_assert(sizeof(struct vcpu) <= PAGE_SIZE, "a struct vcpu is one frame");
	if (!v)
		return -E_NOMEM;
	v->vm = vm;
	v->index = index;
	v->cpu = cpu;
	v->run = index ? VCPU_WAIT_SIPI : VCPU_RUNNING;
	v->sipi_wanted = index;
	v->deadline = UINT64_MAX;
	v->misc_enable = guest_misc_enable(MISC_ENABLE_FAST_STRINGS);
	guest_mtrr_firmware(v->mtrr, guest_maxphyaddr());
	list_init(&v->turn.in_queue);
	err = create(vm, v, index);
	if (err) {
		vcpu_destroy(v);
		return err;
	}
	*out = v;
	return 0;
}

void vcpu_destroy(struct vcpu *v)
{
	if (v->mmu.mmu)
		mmu_vcpu_fini(&v->mmu);
	guest_cpu_destroy(&v->guest);
	if (v->apic_page)
		frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(virt_to_hpa(v->apic_page)));
	if (v->pml_buffer)
		frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(virt_to_hpa(v->pml_buffer)));
	if (v->vmcs.v)
		frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(v->vmcs));
	frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(virt_to_hpa(v)));
}

void vcpu_kick(struct vcpu *v)
{
	struct cpu *c = v->cpu;

	/* On its own CPU, which is in root mode: if it runs there, it looks at its requests before it enters. */
	if (c == this_cpu()) {
		if (c->current && c->current != v && atomic_load(&v->run) != VCPU_RUNNING)
			sched_look_again(c);
		return;
	}
	/*
	 * Elsewhere it may be in the guest, or its CPU may be about to halt: an interrupt ends both, and if it is
	 * neither now, the interrupt waits in the local APIC until it would be. Or another has the CPU.
	 */
	if (atomic_load(&c->idle) || atomic_load(&v->mmu.entered))
		lapic_ipi(c->apic_id, VEC_KICK);
	else if (sched_shared(c) && atomic_load(&v->run) != VCPU_RUNNING &&
		 !atomic_xchg(&c->look_again, true))
		lapic_ipi(c->apic_id, VEC_KICK);
}

void vcpu_debug_trap(unsigned bits)
{
	uint64_t more = bits & BITS(3, 0) ? bits | PENDING_ENABLED : bits;

	vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | more);
}

bool __attribute__((noinline, cold)) vcpu_breakpoints(struct breakpoints *b)
{
	b->dr7 = vmread(VMCS_GUEST_DR7);
	if (!breakpoints_on(b->dr7))
		return false;
	__asm__ volatile("mov %%dr0, %0" : "=r"(b->dr[0]));
	__asm__ volatile("mov %%dr1, %0" : "=r"(b->dr[1]));
	__asm__ volatile("mov %%dr2, %0" : "=r"(b->dr[2]));
	__asm__ volatile("mov %%dr3, %0" : "=r"(b->dr[3]));
	return true;
}

static inline void end_blocking(void)
{
	uint64_t blocking = vmread_sure(VMCS_GUEST_INTERRUPTIBILITY);

	if (unlikely(blocking & (BLOCK_STI | BLOCK_MOV_SS)))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(BLOCK_STI | BLOCK_MOV_SS));
}

/* The trap after this instruction. With BTF it waits for a branch (SDM Vol. 3B 17.4.3). */
static void __attribute__((noinline, cold)) single_step(uint64_t rflags, bool branched)
{
	if (rflags & RFLAGS_TF && (branched || !(vmread(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF)))
		vcpu_debug_trap(PENDING_BS);
}

/* What ends with an instruction besides RIP: STI and MOV SS blocking, RF; the single-step trap comes. rflags: as the VMCS
 * holds them. */
static void instruction_done(uint64_t rflags)
{
	end_blocking();
	if (unlikely(rflags & (RFLAGS_TF | RFLAGS_RF))) {
		vmwrite(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
		single_step(rflags, false);
	}
}

void vcpu_step_done(uint64_t rflags, bool branched)
{
	end_blocking();
	if (unlikely(rflags & RFLAGS_TF))
		single_step(rflags, branched);
}

void vcpu_skip_from(struct vcpu *v, uint64_t at)
{
	uint64_t rip = at + vmread_sure(VMCS_INSTR_LENGTH);

	/* The CPU computes the next RIP in 32 bits outside 64-bit mode; only a wrap shows the difference. */
	if (unlikely((at ^ rip) >> 32) && !vcpu_long_mode(v))
		rip = (uint32_t)rip;
	vmwrite_sure(VMCS_GUEST_RIP, rip);
	instruction_done(vmread_sure(VMCS_GUEST_RFLAGS));
}

void vcpu_sync_regs(struct vcpu *v)
{
	v->regs.gpr[RSP] = vmread_sure(VMCS_GUEST_RSP);
	v->regs.rip = vmread_sure(VMCS_GUEST_RIP);
	v->regs.rflags = vmread_sure(VMCS_GUEST_RFLAGS);
}

void vcpu_write_regs(struct vcpu *v)
{
	vmwrite_sure(VMCS_GUEST_RSP, v->regs.gpr[RSP]);
	vmwrite_sure(VMCS_GUEST_RIP, v->regs.rip);
	vmwrite_sure(VMCS_GUEST_RFLAGS, v->regs.rflags);
}

unsigned vcpu_cpl(void)
{
	return (unsigned)(vmread_sure(VMCS_GUEST_SS_ACCESS) >> 5 & 3);
}

bool vcpu_long_mode(struct vcpu *v)
{
	return vmread(VMCS_GUEST_EFER) & EFER_LMA && vmread(VMCS_GUEST_CS_ACCESS) & BIT(13);
}

void vcpu_paging_regs(struct vcpu *v)
{
	struct paging_regs *r = &v->mmu.regs;

	r->cr0 = (vmread_sure(VMCS_GUEST_CR0) & ~vmread_sure(VMCS_CR0_MASK)) |
		 (vmread_sure(VMCS_CR0_SHADOW) & vmread_sure(VMCS_CR0_MASK));
	r->cr3 = vmread_sure(VMCS_GUEST_CR3);
	r->cr4 = vmread_sure(VMCS_GUEST_CR4);
	r->efer = vmread_sure(VMCS_GUEST_EFER);
	r->rflags = vmread_sure(VMCS_GUEST_RFLAGS);
	r->cpl = vcpu_cpl();
	if (r->cr0 & CR0_PG && r->cr4 & CR4_PAE && !(r->efer & EFER_LMA))
		for (unsigned i = 0; i < 4; i++)
			r->pdpte[i] = vmread(VMCS_GUEST_PDPTE0 + 2 * i);
}
