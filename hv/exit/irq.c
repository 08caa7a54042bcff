/* SPDX-License-Identifier: MIT */
/* Exits by events: the host's interrupts, exceptions that Lethe intercepts, windows, the timer. */
#include "hv/exit/exit.h"
#include "hv/vm/events.h"
#include "lib/log.h"

void exit_external_interrupt(struct vcpu *v)
{
	/* Acknowledged by the exit: its vector is here, and no longer in the IRR. */
	host_hooks->interrupt((unsigned)(vmcs_read(&v->vmcs, VMCS_EXIT_INTR_INFO) & INTR_VECTOR));
}

/* DR6 as the qualification of a debug exception tells it (SDM Vol. 3C table 27-1). */
static void set_dr6(uint64_t qualification)
{
	uint64_t dr6;

	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	dr6 = (dr6 & ~0xfull) | (qualification & (BITS(3, 0) | BITS(14, 13)));
	__asm__ volatile("mov %0, %%dr6" : : "r"(dr6));
}

void exit_machine_check(struct vcpu *v)
{
	panic("machine check: the hardware has failed (CPU %u, vm %s)", this_cpu_id(), v->vm->name);
}

void exit_exception_nmi(struct vcpu *v)
{
	uint32_t info = (uint32_t)vmcs_read(&v->vmcs, VMCS_EXIT_INTR_INFO);
	unsigned vector = info & INTR_VECTOR;

	if (likely((info & (INTR_TYPE | INTR_VECTOR)) == (INTR_HARDWARE | VEC_PF)))
		return exit_page_fault(v, info);
	events_redeliver(v);
	if ((info & INTR_TYPE) == INTR_NMI) {
		/* The exit has blocked NMIs, only an IRET opens them again (SDM Vol. 3C 27.5.5): by way of the IDT. */
		__asm__ volatile("int %0" : : "i"(VEC_NMI) : "memory");
		return;
	}
	if (vector == VEC_MC)
		exit_machine_check(v);
	/* The IRET that had unblocked NMIs faulted: they are blocked again when it restarts (SDM Vol. 3C 27.2.2). */
	if (info & INTR_NMI_UNBLOCK && !v->event_pending && vector != VEC_DF)
		fault_block_nmis(v);
	if (vector == VEC_DB) {
		uint64_t blocking =
			vmcs_read(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY) & (BLOCK_STI | BLOCK_MOV_SS);

		/* VM entry wants BS pending when TF is set and STI or MOV SS still block (SDM Vol. 3C 26.3.1.5). */
		if (blocking && vmcs_read(&v->vmcs, VMCS_GUEST_RFLAGS) & RFLAGS_TF)
			vmcs_write(&v->vmcs, VMCS_GUEST_PENDING_DEBUG,
				vmcs_read(&v->vmcs, VMCS_GUEST_PENDING_DEBUG) | PENDING_BS);
		set_dr6(vmcs_read(&v->vmcs, VMCS_QUALIFICATION));
		/* Delivery clears DR7.GD, and LBR and BTF of IA32_DEBUGCTL (SDM Vol. 3B 17.4). */
		vmcs_write(&v->vmcs, VMCS_GUEST_DR7, vmcs_read(&v->vmcs, VMCS_GUEST_DR7) & ~BIT(13));
		vmcs_write(&v->vmcs, VMCS_GUEST_DEBUGCTL,
			vmcs_read(&v->vmcs, VMCS_GUEST_DEBUGCTL) & ~(DEBUGCTL_LBR | DEBUGCTL_BTF));
		if ((info & INTR_TYPE) == INTR_PRIVILEGED) { /* INT1: deliver it as such, RIP after it */
			v->event_pending = true;
			v->event_info = info & ~(uint32_t)BIT(12);
			v->event_length = (uint32_t)vmcs_read(&v->vmcs, VMCS_INSTR_LENGTH);
			vcpu_request(v, REQ_EVENTS);
			return;
		}
	}
	if (info & INTR_ERROR_CODE)
		inject_exception_error(v, vector, (uint32_t)vmcs_read(&v->vmcs, VMCS_EXIT_INTR_ERROR));
	else
		inject_exception(v, vector);
}

/* An interrupt or NMI can go in now: events_prepare() does the rest. */
void exit_window(struct vcpu *v)
{
	vcpu_request(v, REQ_EVENTS);
}

void exit_preemption_timer(struct vcpu *v)
{
	vcpu_request(v, REQ_EVENTS);
}

void exit_tpr_below(struct vcpu *v)
{
	vcpu_request(v, REQ_EVENTS);
}

/* ---- APIC virtualization (SDM Vol. 3C 29) ---- */

void exit_eoi(struct vcpu *v)
{
	platform_apicv_eoi(v->vm->platform, v->index, (uint8_t)vmcs_read(&v->vmcs, VMCS_QUALIFICATION));
}

void exit_apic_write(struct vcpu *v)
{
	platform_apicv_write(
		v->vm->platform, v->index, (unsigned)(vmcs_read(&v->vmcs, VMCS_QUALIFICATION) & 0xfff));
}

/* An access to the APIC page that the CPU does not virtualise: emulated as device access. */
void exit_apic_access(struct vcpu *v)
{
	uint64_t q = vmcs_read(&v->vmcs, VMCS_QUALIFICATION);
	unsigned type = (unsigned)(q >> 12 & 15);

	events_redeliver(v);
	if (type > 1) { /* 2: instruction fetch; 3: event delivery; 10, 15: guest-physical */
		vm_unsupported(v,
			"it runs code, stacks or page tables in the local APIC's page (access type %u)",
			type);
		return;
	}
	/* Linear: hardware has translated it. EMU_READ is bit 0, EMU_WRITE bit 1 as type 0 and 1. */
	emulate_at(v, 1u << type, gpa(LAYOUT_LAPIC + (q & 0xfff)));
}
