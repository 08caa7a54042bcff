/* SPDX-License-Identifier: MIT */
#include "hv/vm/vcpu.h"

#include "drivers/lapic.h"
#include "hv/vm/guest_cpuid.h"
#include "hv/vm/guest_cr.h"
#include "hv/vm/vm.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/host/frames.h"

static int create(struct vm *vm, struct vcpu *v, unsigned index)
{
	if (vmcs_create(&v->vmcs))
		return -E_NOMEM;
	v->apic_page = frame_alloc_zeroed(OWNER_LETHE);
	if (!v->apic_page)
		return -E_NOMEM;
	if (vmx.pml && !vm->policy.mmu.shadow) {
		v->pml_buffer = frame_alloc_zeroed(OWNER_LETHE);
		if (!v->pml_buffer)
			return -E_NOMEM;
	}
	if (guest_cpu_create(&v->guest, !index)) /* only the boot CPU has run firmware */
		return -E_NOMEM;
	return mmu_vcpu_init(&v->mmu, vm->mmu, index, v->vmcs.vpid);
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
	v->due = v->deadline = UINT64_MAX;
	v->misc_enable = guest_misc_enable(MISC_ENABLE_FAST_STRINGS);
	guest_mtrr_firmware(v->mtrr, guest_maxphyaddr());
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
	vmcs_destroy(&v->vmcs);
	frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(virt_to_hpa(v)));
}

void vcpu_kick(struct vcpu *v)
{
	struct cpu *c = v->cpu;

	queue_rouse(&c->queue, &v->turn);
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

void vcpu_debug_trap(struct vcpu *v, unsigned bits)
{
	uint64_t more = bits & BITS(3, 0) ? bits | PENDING_ENABLED : bits;

	vmcs_write(&v->vmcs, VMCS_GUEST_PENDING_DEBUG, vmcs_read(&v->vmcs, VMCS_GUEST_PENDING_DEBUG) | more);
}

bool __attribute__((noinline, cold)) vcpu_breakpoints(const struct vcpu *v, struct breakpoints *b)
{
	b->dr7 = vmcs_read(&v->vmcs, VMCS_GUEST_DR7);
	if (!breakpoints_on(b->dr7))
		return false;
	__asm__ volatile("mov %%dr0, %0" : "=r"(b->dr[0]));
	__asm__ volatile("mov %%dr1, %0" : "=r"(b->dr[1]));
	__asm__ volatile("mov %%dr2, %0" : "=r"(b->dr[2]));
	__asm__ volatile("mov %%dr3, %0" : "=r"(b->dr[3]));
	return true;
}

static inline void end_blocking(struct vcpu *v)
{
	uint64_t blocking = vmcs_read_sure(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY);

	if (unlikely(blocking & (BLOCK_STI | BLOCK_MOV_SS)))
		vmcs_write(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(BLOCK_STI | BLOCK_MOV_SS));
}

/* The trap after this instruction. With BTF it waits for a branch (SDM Vol. 3B 17.4.3). */
static void __attribute__((noinline, cold)) single_step(struct vcpu *v, uint64_t rflags, bool branched)
{
	if (rflags & RFLAGS_TF && (branched || !(vmcs_read(&v->vmcs, VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF)))
		vcpu_debug_trap(v, PENDING_BS);
}

/* What ends with an instruction besides RIP: STI and MOV SS blocking, RF; the single-step trap comes. rflags: as the VMCS
 * holds them. */
static void instruction_done(struct vcpu *v, uint64_t rflags)
{
	end_blocking(v);
	if (unlikely(rflags & (RFLAGS_TF | RFLAGS_RF))) {
		vmcs_write(&v->vmcs, VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
		single_step(v, rflags, false);
	}
}

void vcpu_step_done(struct vcpu *v, uint64_t rflags, bool branched)
{
	end_blocking(v);
	if (unlikely(rflags & RFLAGS_TF))
		single_step(v, rflags, branched);
}

void vcpu_skip_from(struct vcpu *v, uint64_t at)
{
	uint64_t rip = at + vmcs_read_sure(&v->vmcs, VMCS_INSTR_LENGTH);

	/* The CPU computes the next RIP in 32 bits outside 64-bit mode; only a wrap shows the difference. */
	if (unlikely((at ^ rip) >> 32) && !vcpu_long_mode(v))
		rip = (uint32_t)rip;
	vmcs_write_sure(&v->vmcs, VMCS_GUEST_RIP, rip);
	instruction_done(v, vmcs_read_sure(&v->vmcs, VMCS_GUEST_RFLAGS));
}

void vcpu_sync_regs(struct vcpu *v)
{
	v->regs.gpr[RSP] = vmcs_read_sure(&v->vmcs, VMCS_GUEST_RSP);
	v->regs.rip = vmcs_read_sure(&v->vmcs, VMCS_GUEST_RIP);
	v->regs.rflags = vmcs_read_sure(&v->vmcs, VMCS_GUEST_RFLAGS);
}

void vcpu_write_regs(struct vcpu *v)
{
	vmcs_write_sure(&v->vmcs, VMCS_GUEST_RSP, v->regs.gpr[RSP]);
	vmcs_write_sure(&v->vmcs, VMCS_GUEST_RIP, v->regs.rip);
	vmcs_write_sure(&v->vmcs, VMCS_GUEST_RFLAGS, v->regs.rflags);
}

unsigned vcpu_cpl(const struct vcpu *v)
{
	return (unsigned)(vmcs_read_sure(&v->vmcs, VMCS_GUEST_SS_ACCESS) >> 5 & 3);
}

bool vcpu_long_mode(struct vcpu *v)
{
	return vmcs_read(&v->vmcs, VMCS_ENTRY) & ENTRY_IA32E && /* EFER.LMA; exits write it, too (27.2) */
	       vmcs_read(&v->vmcs, VMCS_GUEST_CS_ACCESS) & BIT(13);
}

static void __attribute__((noinline)) paging_regs_shadow(struct vcpu *v)
{
	v->mmu.regs.cr0 = cr0_read(v);
	v->mmu.regs.cr4 = cr4_read(v);
	vcpu_paging_regs_shadow(v);
}

void vcpu_paging_regs(struct vcpu *v)
{
	struct paging_regs *r = &v->mmu.regs;

	if (unlikely(v->vm->policy.mmu.shadow))
		return paging_regs_shadow(v);
	r->cr0 = (vmcs_read_sure(&v->vmcs, VMCS_GUEST_CR0) & ~vmcs_read_sure(&v->vmcs, VMCS_CR0_MASK)) |
		 (vmcs_read_sure(&v->vmcs, VMCS_CR0_SHADOW) & vmcs_read_sure(&v->vmcs, VMCS_CR0_MASK));
	r->cr3 = vmcs_read_sure(&v->vmcs, VMCS_GUEST_CR3);
	r->cr4 = vmcs_read_sure(&v->vmcs, VMCS_GUEST_CR4);
	r->efer = vmcs_read_sure(&v->vmcs, VMCS_GUEST_EFER);
	r->rflags = vmcs_read_sure(&v->vmcs, VMCS_GUEST_RFLAGS);
	r->cpl = vcpu_cpl(v);
	if (r->cr0 & CR0_PG && r->cr4 & CR4_PAE && !(r->efer & EFER_LMA))
		for (unsigned i = 0; i < 4; i++)
			r->pdpte[i] = vmcs_read(&v->vmcs, VMCS_GUEST_PDPTE0 + 2 * i);
}

void sched_look_again(struct cpu *c)
{
	if (!c->others_wake)
		return; /* the request is there, or the end of the turn has been set for it */
	c->others_wake = 0;
	if (c->current)
		vcpu_request(c->current, REQ_EVENTS);
}

int vcpu_describe_exits(const struct vcpu *v, char *buf, size_t n)
{
	uint64_t have = min(v->exits, (uint64_t)LAST_EXITS), next;
	int at = 0;

	buf[0] = 0;
	for (uint64_t i = v->exits - have; i < v->exits && at < (int)n; i = next) {
		uint16_t reason = v->last_exits[i % LAST_EXITS];

		for (next = i + 1; next < v->exits && v->last_exits[next % LAST_EXITS] == reason;)
			next++;
		at += fmt_snprintf(buf + at, n - (size_t)at, "%s%s", at ? ", " : "", exit_name(reason));
		if (next - i > 1 && at < (int)n)
			at += fmt_snprintf(buf + at, n - (size_t)at, " x %lu", next - i);
	}
	return at;
}
