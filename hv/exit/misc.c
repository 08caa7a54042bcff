/* SPDX-License-Identifier: MIT */
/* Exits of single instructions that need a few lines each. */
#include "hv/exit/exit.h"
#include "hv/exit/hypercall.h"
#include "hv/exit/vectors.h"
#include "hv/vm/events.h"
#include "hv/vm/guest_cpuid.h"
#include "hv/vm/guest_cr_pure.h"
#include "hv/vm/vmcs_setup.h"
#include "hv/vmx/entry_check.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/log.h"

static void answer(struct vcpu *v, const struct cpuid *r)
{
	v->regs.gpr[RAX] = r->eax;
	v->regs.gpr[RBX] = r->ebx;
	v->regs.gpr[RCX] = r->ecx;
	v->regs.gpr[RDX] = r->edx;
	vcpu_skip(v);
}

static void __attribute__((noinline)) special_leaf(struct vcpu *v)
{
	struct cpuid r;

	guest_cpuid_read(v, (uint32_t)v->regs.gpr[RAX], (uint32_t)v->regs.gpr[RCX], &r);
	answer(v, &r);
}

void exit_cpuid(struct vcpu *v)
{
	uint32_t leaf = (uint32_t)v->regs.gpr[RAX];

	if (likely(guest_cpuid_is_plain(leaf)))
		answer(v, guest_cpuid_plain(v->vm->cpuid, leaf));
	else
		special_leaf(v);
}

void exit_hlt(struct vcpu *v)
{
	vcpu_skip(v);
	/* A debug exception ends it at once. So does an interrupt that waits already: hv/sched.c looks before it idles. */
	if (!(vmcs_read(&v->vmcs, VMCS_GUEST_PENDING_DEBUG) & (PENDING_BS | PENDING_ENABLED))) {
		atomic_store(&v->halt_irqs_open, (vmcs_read(&v->vmcs, VMCS_GUEST_RFLAGS) & RFLAGS_IF) != 0);
		atomic_store(
			&v->halt_nmis_open, !(vmcs_read(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY) & BLOCK_NMI));
		atomic_store(&v->halt_ppr, platform_irq_ppr(v->vm->platform, v->index));
		atomic_store(&v->run, VCPU_HALTED);
	}
	vcpu_request(v, REQ_EVENTS);
}

/* Only asked for where vCPUs share a CPU: a vCPU that spins may wait for one that does not run. */
void exit_pause(struct vcpu *v)
{
	vcpu_skip(v);
	vcpu_request(v, REQ_YIELD);
}

/* INVD, WBINVD: guests have no device that would see memory past the caches. INVD must not lose what others wrote. */
void exit_nothing(struct vcpu *v)
{
	vcpu_skip(v);
}

/* Instructions that CPUID says the guest does not have. */
void exit_undefined(struct vcpu *v)
{
	inject_exception(v, VEC_UD);
}

void exit_rdpmc(struct vcpu *v)
{
	inject_exception_error(v, VEC_GP, 0); /* there is no counter whose number would be valid */
}

void exit_vmcall(struct vcpu *v)
{
	uint64_t rip = vmcs_read_sure(&v->vmcs, VMCS_GUEST_RIP);

	if (vcpu_cpl(v)) {
		inject_exception(v, VEC_UD);
		return;
	}
	/* Real-mode code lies below this; for all other guests it costs a look at RIP. */
	if (unlikely(rip <= 0xffff) && exit_vectors(v))
		return;
	v->regs.gpr[RAX] = (uint64_t)hypercall(v, v->regs.gpr[RAX]);
	vcpu_skip_from(v, rip);
}

/* The CPU has checked CPL and CR4.OSXSAVE before the exit. */
void exit_xsetbv(struct vcpu *v)
{
	uint64_t x = (v->regs.gpr[RDX] << 32) | (uint32_t)v->regs.gpr[RAX];

	if ((uint32_t)v->regs.gpr[RCX] || !xcr0_ok(x, guest_xcr0_supported())) {
		inject_exception_error(v, VEC_GP, 0);
		return;
	}
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)x), "d"((uint32_t)(x >> 32)));
	vcpu_skip(v);
}

/* Hardware task switching: no 64-bit system has it, and the systems that need it are of another age. */
void exit_task_switch(struct vcpu *v)
{
	vm_unsupported(v, "it switches tasks by hardware (to selector %#lx), which Lethe does not emulate",
		vmcs_read(&v->vmcs, VMCS_QUALIFICATION) & 0xffff);
}

void exit_triple_fault(struct vcpu *v)
{
	dump_take(v, "triple fault");
	vm_end(v->vm, VM_END_TRIPLE_FAULT, 0);
}

/* The CPU had an INIT while in the guest: only firmware or a broken chipset sends one to a CPU that Lethe runs. */
void exit_init(struct vcpu *v)
{
	log_warn("CPU %u: INIT signal ignored", this_cpu_id());
}

void exit_bad_guest_state(struct vcpu *v)
{
	struct vcpu_state s;
	const char *check;

	vmcs_get_state(v, &s);
	check = entry_check(&v->vmcs, &s);
	dump_take(v, "VM entry failed: invalid guest state; the check that fails (SDM Vol. 3C 26.3): %s",
		check ? check : "none that Lethe knows of");
	vm_end(v->vm, VM_END_ENTRY_FAILED, (uint32_t)vmcs_read(&v->vmcs, VMCS_QUALIFICATION));
}

void exit_bad_msr_load(struct vcpu *v)
{
	dump_take(v, "VM entry failed: loading MSRs");
	vm_end(v->vm, VM_END_ENTRY_FAILED, (uint32_t)vmcs_read(&v->vmcs, VMCS_QUALIFICATION));
}

void exit_unknown(struct vcpu *v)
{
	vm_unsupported(v, "VM exit %lu (%s), which Lethe never asked for",
		vmcs_read(&v->vmcs, VMCS_EXIT_REASON),
		exit_name((unsigned)vmcs_read(&v->vmcs, VMCS_EXIT_REASON)));
}
