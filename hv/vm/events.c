/* SPDX-License-Identifier: MIT */
/*
 * What is delivered to the guest at the next entry (SDM Vol. 3C 26.6): at most one event. In this order: an exception
 * or an event whose delivery was cut short; an NMI; an interrupt. What cannot go in now gets a window exit.
 */
#include "hv/vm/events.h"

#include "hv/vm/events_pure.h"
#include "hv/vm/vm.h"
#include "hv/vm/vmcs_setup.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/trace.h"

static void put_event(struct vcpu *v, uint32_t info, uint32_t error, uint32_t length)
{
	v->event_pending = true;
	v->event_info = info | (uint32_t)INTR_VALID;
	v->event_error = error;
	v->event_length = length;
}

static void inject(struct vcpu *v, unsigned vector, uint32_t error)
{
	int now = exception_on(v->event_pending ? v->event_info : 0, vector);

	if (now == EXCEPTION_TRIPLE) {
		dump_take(v, "triple fault");
		vm_end(v->vm, VM_END_TRIPLE_FAULT, 0);
		return;
	}
	if (exception_is_fault((unsigned)now))
		vmcs_write(&v->vmcs, VMCS_GUEST_RFLAGS, vmcs_read(&v->vmcs, VMCS_GUEST_RFLAGS) | RFLAGS_RF);
	put_event(v, exception_info((unsigned)now, vmcs_read(&v->vmcs, VMCS_GUEST_CR0) & CR0_PE),
		(unsigned)now == vector ? error : 0, 0);
	vcpu_request(v, REQ_EVENTS);
}

void inject_exception(struct vcpu *v, unsigned vector)
{
	inject(v, vector, 0);
}

void inject_exception_error(struct vcpu *v, unsigned vector, uint32_t error)
{
	inject(v, vector, error);
}

void inject_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error)
{
	write_cr2(cr2);
	inject_exception_error(v, VEC_PF, error);
}

bool events_redeliver(struct vcpu *v)
{
	uint32_t info = (uint32_t)vmcs_read(&v->vmcs, VMCS_IDT_INFO);

	if (likely(!(info & INTR_VALID)))
		return false;
	v->event_pending = true;
	v->event_info = info & ~(uint32_t)BIT(12); /* undefined there, reserved here */
	v->event_error = info & INTR_ERROR_CODE ? (uint32_t)vmcs_read(&v->vmcs, VMCS_IDT_ERROR) : 0;
	v->event_length =
		(uint32_t)vmcs_read(&v->vmcs, VMCS_INSTR_LENGTH); /* used for software interrupts only */
	/* The NMI that was being delivered has blocked NMIs already; delivering it again must find them unblocked. */
	if ((info & INTR_TYPE) == INTR_NMI)
		vmcs_write(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY,
			vmcs_read(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)BLOCK_NMI);
	vcpu_request(v, REQ_EVENTS);
	return true;
}

static void enter_with(struct vcpu *v)
{
	vmcs_write(&v->vmcs, VMCS_ENTRY_INTR_INFO, v->event_info);
	if (v->event_info & INTR_ERROR_CODE)
		vmcs_write(&v->vmcs, VMCS_ENTRY_INTR_ERROR, v->event_error);
	if ((v->event_info & INTR_TYPE) >= INTR_SOFTWARE)
		vmcs_write(&v->vmcs, VMCS_ENTRY_INSTR_LENGTH, v->event_length);
	v->event_armed = true;
	TRACE(TRACE_IRQ, "inject %#lx error %#lx at %#lx", v->event_info, v->event_error, vcpu_rip(v));
	v->event_pending = false;
}

/* The debug trap of the instruction before goes first (SDM Vol. 3A table 6-2), and VM entry with an interrupt or NMI
 * would lose it (Vol. 3C 26.7.3). The CPU delivers it before it opens a window. */
static bool debug_trap_waits(const struct vcpu *v)
{
	return vmcs_read(&v->vmcs, VMCS_GUEST_PENDING_DEBUG) & (PENDING_BS | PENDING_ENABLED);
}

static bool interrupts_open(const struct vcpu *v)
{
	return vmcs_read(&v->vmcs, VMCS_GUEST_RFLAGS) & RFLAGS_IF &&
	       !(vmcs_read(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY) & (BLOCK_STI | BLOCK_MOV_SS)) &&
	       !debug_trap_waits(v);
}

static bool nmis_open(const struct vcpu *v)
{
	return !(vmcs_read(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY) & (BLOCK_STI | BLOCK_MOV_SS | BLOCK_NMI)) &&
	       !debug_trap_waits(v);
}

/* An interrupt through the local APIC or the 8259, software-delivered. */
static void prepare_interrupt(struct vcpu *v, bool room)
{
	int vector = platform_irq_sync(v->vm->platform, v->index);

	if (vector >= 0 && room && interrupts_open(v)) {
		vector = platform_irq_ack(v->vm->platform, v->index, vector);
		if (vector >= 0) {
			put_event(v, (uint32_t)vector | INTR_EXTERNAL, 0, 0);
			enter_with(v);
		}
		vector = platform_irq_sync(v->vm->platform, v->index); /* one more waiting? */
	}
	vmcs_set_proc(v, PROC_INTERRUPT_WINDOW, vector >= 0 || (v->nmi_pending && !vmx.virtual_nmis));
	if (vmx.tpr_shadow) {
		unsigned threshold = vector >= 0 ? 0 : platform_irq_tpr_threshold(v->vm->platform, v->index);

		if (threshold != v->tpr_threshold) {
			v->tpr_threshold = threshold;
			vmcs_write(&v->vmcs, VMCS_TPR_THRESHOLD, threshold);
		}
	}
}

/* Tells the CPU what software has changed in the local APIC's page. True if the 8259's interrupt waits, too. */
static bool sync_apicv(struct vcpu *v)
{
	bool extint;
	uint64_t eoi_exit[4];
	int status = platform_irq_sync_apicv(v->vm->platform, v->index, &extint, eoi_exit);

	if (status >= 0) {
		for (unsigned i = 0; i < 4; i++)
			if (eoi_exit[i] != v->eoi_exit[i]) {
				v->eoi_exit[i] = eoi_exit[i];
				vmcs_write(&v->vmcs, VMCS_EOI_EXIT_0 + 2 * i, eoi_exit[i]);
			}
		if (status & 0xff)
			TRACE(TRACE_IRQ, "request vector %#lx at %#lx: the CPU delivers it", status & 0xff,
				vcpu_rip(v), 0);
		vmcs_write(&v->vmcs, VMCS_GUEST_INTR_STATUS, (unsigned)status);
	}
	return extint;
}

void events_raise(struct vcpu *v, unsigned vector)
{
	uint64_t status = vmcs_read(&v->vmcs, VMCS_GUEST_INTR_STATUS);

	TRACE(TRACE_IRQ, "own vector %#lx at %#lx: the CPU delivers it", vector, vcpu_rip(v), 0);
	if ((status & 0xff) < vector)
		vmcs_write(&v->vmcs, VMCS_GUEST_INTR_STATUS, (status & ~0xffull) | vector);
}

/* With virtual-interrupt delivery the CPU itself evaluates RVI against PPR; only ExtINT is injected. */
static void prepare_apicv(struct vcpu *v, bool room)
{
	bool extint = sync_apicv(v);

	if (extint && room && interrupts_open(v)) {
		int vector = platform_irq_ack(v->vm->platform, v->index, -1);

		if (vector >= 0) {
			put_event(v, (uint32_t)vector | INTR_EXTERNAL, 0, 0);
			enter_with(v);
		}
		extint = sync_apicv(v); /* one more waiting? */
	}
	vmcs_set_proc(v, PROC_INTERRUPT_WINDOW, extint || (v->nmi_pending && !vmx.virtual_nmis));
}

static void prepare_nmi(struct vcpu *v, bool room)
{
	if (v->nmi_pending && room && nmis_open(v)) {
		v->nmi_pending = false;
		put_event(v, VEC_NMI | INTR_NMI, 0, 0);
		enter_with(v);
	}
	/* An INIT may have taken the NMI away that the window was for: without one the window goes. Without virtual NMIs
	 * there is none: an interrupt window comes near enough. */
	vmcs_set_proc(v, PROC_NMI_WINDOW, v->nmi_pending && vmx.virtual_nmis);
}

void events_prepare(struct vcpu *v)
{
	if (v->event_pending && !v->event_armed)
		enter_with(v);
	if (unlikely(v->nmi_pending || v->vmcs.proc & PROC_NMI_WINDOW))
		prepare_nmi(v, !v->event_armed);
	if (v->vmcs.proc2 & PROC2_INTERRUPT_DELIVERY)
		prepare_apicv(v, !v->event_armed);
	else
		prepare_interrupt(v, !v->event_armed);
}
