/* SPDX-License-Identifier: MIT */
/*
 * Filling in a VMCS: host state (what a VM exit loads), controls, and guest state from and to struct vcpu_state.
 * The VMCS is current on this CPU throughout.
 */
#include "hv/vm/vmcs_setup.h"

#include "guest/dev/layout.h"
#include "hv/vm/mitigate_vcpu.h"
#include "hv/vm/guest_cr.h"
#include "hv/vm/vm.h"
#include "hv/vmx/vmx_cpu.h"

static void init_host(struct vmcs *m, const struct cpu *c)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __packed idtr;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	vmcs_write(m, VMCS_HOST_CR0, read_cr0());
	vmcs_write(m, VMCS_HOST_CR3, read_cr3());
	vmcs_write(m, VMCS_HOST_CR4, read_cr4());
	vmcs_write(m, VMCS_HOST_ES, 0);
	vmcs_write(m, VMCS_HOST_CS, SEL_CODE);
	vmcs_write(m, VMCS_HOST_SS, SEL_DATA);
	vmcs_write(m, VMCS_HOST_DS, 0);
	vmcs_write(m, VMCS_HOST_FS, 0);
	vmcs_write(m, VMCS_HOST_GS, 0);
	vmcs_write(m, VMCS_HOST_TR, SEL_TSS);
	vmcs_write(m, VMCS_HOST_FS_BASE, 0);
	vmcs_write(m, VMCS_HOST_GS_BASE, (uint64_t)c);
	vmcs_write(m, VMCS_HOST_TR_BASE, (uint64_t)&c->tss);
	vmcs_write(m, VMCS_HOST_GDTR_BASE, (uint64_t)c->gdt);
	vmcs_write(m, VMCS_HOST_IDTR_BASE, idtr.base);
	vmcs_write(m, VMCS_HOST_SYSENTER_CS, 0);
	vmcs_write(m, VMCS_HOST_SYSENTER_ESP, 0);
	vmcs_write(m, VMCS_HOST_SYSENTER_EIP, 0);
	if (vmx.efer)
		vmcs_write(m, VMCS_HOST_EFER, rdmsr(MSR_EFER));
	if (vmx.pat)
		vmcs_write(m, VMCS_HOST_PAT, rdmsr(MSR_PAT));
}

/* The controls that a VM on EPT and one on shadow page tables differ in. */
static void choose_paging(struct vmcs *m, const struct policy *p)
{
	if (!p->unrestricted)
		m->proc2 &= ~(uint32_t)PROC2_UNRESTRICTED;
	m->root_field = VMCS_EPTP;
	if (p->mmu.shadow) {
		m->proc |= PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG;
		m->proc2 &= ~(uint32_t)PROC2_EPT;
		m->root_field = VMCS_GUEST_CR3;
	}
	/* #MC belongs to the host. #DB and #AC would let a guest loop forever in their own delivery. A page fault on shadow page
	 * tables may be theirs: with mask and match 0, each has an exit. */
	vmcs_write(m, VMCS_EXCEPTIONS,
		BIT(VEC_MC) | BIT(VEC_DB) | BIT(VEC_AC) | (p->mmu.shadow ? BIT(VEC_PF) : 0));
	vmcs_write(m, VMCS_PF_MASK, 0);
	vmcs_write(m, VMCS_PF_MATCH, 0);
}

/*
 * MSRs that VM entry and exit load from lists (SDM Vol. 3C 24.7.2, 24.8.2), because they must differ in guest and root and the
 * VMCS has no field for them. Both lists have the same MSRs.
 */
static void init_msr_lists(struct vcpu *v, bool spec_ctrl)
{
	unsigned first = spec_ctrl ? LOAD_SPEC_CTRL : LOAD_PAT, end = vmx.pat ? LOAD_PAT : MSR_LOADS;

	v->entry_load[LOAD_PAT] = (struct msr_load){ .msr = MSR_PAT, .value = GUEST_PAT_POWER_UP };
	v->exit_load[LOAD_PAT] = (struct msr_load){ .msr = MSR_PAT, .value = rdmsr(MSR_PAT) };
	vmcs_write(&v->vmcs, VMCS_EXIT_MSR_LOAD, virt_to_hpa(&v->exit_load[first]).v);
	vmcs_write(&v->vmcs, VMCS_ENTRY_MSR_LOAD, virt_to_hpa(&v->entry_load[first]).v);
	vmcs_write(&v->vmcs, VMCS_EXIT_MSR_LOAD_COUNT, end - first);
	vmcs_write(&v->vmcs, VMCS_ENTRY_MSR_LOAD_COUNT, end - first);
}

static void init_controls(struct vcpu *v)
{
	struct vmcs *m = &v->vmcs;
	struct vm *vm = v->vm;

	m->pin = vmx.pin;
	m->proc = vmx.proc & ~(uint32_t)(PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW);
	m->proc2 =
		vmx.proc2 & ~(uint32_t)(PROC2_APIC_ACCESS | PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY);
	m->entry = vmx.entry;
	choose_paging(m, &vm->policy);
	vmcs_write(m, VMCS_PIN, m->pin);
	vmcs_write(m, VMCS_PROC, m->proc);
	if (m->proc & PROC_SECONDARY)
		vmcs_write(m, VMCS_PROC2, m->proc2);
	vmcs_write(m, VMCS_EXIT, vmx.exit);
	vmcs_write(m, VMCS_ENTRY, m->entry);
	vmcs_write(m, VMCS_CR3_TARGETS, 0);
	vmcs_write(m, VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(m, VMCS_ENTRY_INTR_INFO, 0);
	vmcs_write(m, VMCS_IO_BITMAP_A, vm->io_bitmap.v);
	vmcs_write(m, VMCS_IO_BITMAP_B, vm->io_bitmap.v + PAGE_SIZE);
	vmcs_write(m, VMCS_MSR_BITMAP, vm->msr_bitmap.v);
	vmcs_write(m, VMCS_LINK, ~0ull);
	if (vmx.tpr_shadow) {
		vmcs_write(m, VMCS_VIRTUAL_APIC, virt_to_hpa(v->apic_page).v);
		vmcs_write(m, VMCS_TPR_THRESHOLD, 0);
	}
	if (vmx.apicv) {
		vmcs_write(m, VMCS_APIC_ACCESS, vm->apic_access.v);
		vmcs_write(m, VMCS_GUEST_INTR_STATUS, 0);
		for (unsigned i = 0; i < 4; i++)
			vmcs_write(m, VMCS_EOI_EXIT_0 + 2 * i, 0);
	}
	if (vmx.vpid)
		vmcs_write(m, VMCS_VPID, m->vpid);
	if (v->pml_buffer)
		vmcs_write(m, VMCS_PML_ADDRESS, virt_to_hpa(v->pml_buffer).v);
	if (vmx.xsaves)
		vmcs_write(m, VMCS_XSS_EXIT_BITMAP, ~0ull);
	if (vmx.preemption_timer)
		vmcs_write(m, VMCS_PREEMPTION_TIMER, 0xffffffff);
	cr_init(v);
}

void vmcs_init(struct vcpu *v)
{
	v->vmcs.host_rsp = 0;
	init_host(&v->vmcs, v->cpu);
	init_controls(v);
	init_msr_lists(v, mitigate_vmcs_init(v));
	vmcs_write(&v->vmcs, VMCS_GUEST_DEBUGCTL, 0);
	if (vmx.pat)
		vmcs_write(&v->vmcs, VMCS_GUEST_PAT, GUEST_PAT_POWER_UP);
	vmcs_write(&v->vmcs, VMCS_GUEST_SYSENTER_CS, 0);
	vmcs_write(&v->vmcs, VMCS_GUEST_SYSENTER_ESP, 0);
	vmcs_write(&v->vmcs, VMCS_GUEST_SYSENTER_EIP, 0);
	vmcs_update_tsc(v);
}

void vmcs_update_tsc(struct vcpu *v)
{
	vmcs_write(&v->vmcs, VMCS_TSC_OFFSET, v->vm->tsc_offset + v->tsc_adjust);
}

void vmcs_set_proc(struct vcpu *v, uint32_t bits, bool on)
{
	uint32_t proc = v->vmcs.proc;

	vmcs_set_control(&v->vmcs, &v->vmcs.proc, VMCS_PROC, on ? proc | bits : proc & ~bits);
}

#define APIC_CONTROLS (PROC2_APIC_ACCESS | PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY | PROC2_X2APIC)

static uint32_t apic_controls(const struct vcpu *v, enum apic_mode mode)
{
	if (mode == APIC_X2APIC)
		return vmx.x2apic_virtual ? PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY
					  : 0;
	/* The APIC-access page goes or comes (vm_apic_base_written()): while it is there, each access to it exits. */
	if (mode == APIC_OFF || atomic_load(&v->vm->apic_emulated))
		return PROC2_APIC_ACCESS;
	return PROC2_APIC_ACCESS | PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY;
}

/* The ways of APIC virtualization follow the mode that the guest has put its local APIC in (SDM Vol. 3C 29). */
void vmcs_update_apic_mode(struct vcpu *v)
{
	uint32_t use, proc2;

	if (!vmx.apicv)
		return;
	use = apic_controls(v, platform_apic_mode(v->vm->platform, v->index));
	proc2 = (v->vmcs.proc2 & ~(uint32_t)APIC_CONTROLS) | use;
	if (proc2 == v->vmcs.proc2)
		return;
	v->vmcs.proc2 = proc2;
	vmcs_write(&v->vmcs, VMCS_PROC2, proc2);
	vmcs_write(&v->vmcs, VMCS_MSR_BITMAP, v->vm->msr_bitmap.v + (use & PROC2_X2APIC ? PAGE_SIZE : 0));
}

void vmcs_set_segment(struct vmcs *m, enum seg s, const struct cpu_segment *seg)
{
	vmcs_write(m, VMCS_SEG_SELECTOR(s), seg->selector);
	vmcs_write(m, VMCS_SEG_LIMIT(s), seg->limit);
	vmcs_write(m, VMCS_SEG_ACCESS(s), seg->access);
	vmcs_write(m, VMCS_SEG_BASE(s), seg->base);
}

void vmcs_get_segment(const struct vmcs *m, enum seg s, struct cpu_segment *seg)
{
	seg->selector = (uint16_t)vmcs_read(m, VMCS_SEG_SELECTOR(s));
	seg->limit = (uint32_t)vmcs_read(m, VMCS_SEG_LIMIT(s));
	seg->access = (uint32_t)vmcs_read(m, VMCS_SEG_ACCESS(s));
	seg->base = vmcs_read(m, VMCS_SEG_BASE(s));
}

void vmcs_set_state(struct vcpu *v, const struct vcpu_state *s)
{
	v->regs = s->regs;
	vcpu_write_regs(v);
	for (unsigned i = 0; i < SEGS; i++)
		vmcs_set_segment(&v->vmcs, i, &s->seg[i]);
	/* LDTR and TR follow GS in each of the four tables. */
	vmcs_set_segment(&v->vmcs, SEGS, &s->ldtr);
	vmcs_set_segment(&v->vmcs, SEGS + 1, &s->tr);
	vmcs_write(&v->vmcs, VMCS_GUEST_GDTR_BASE, s->gdtr.base);
	vmcs_write(&v->vmcs, VMCS_GUEST_GDTR_LIMIT, s->gdtr.limit);
	vmcs_write(&v->vmcs, VMCS_GUEST_IDTR_BASE, s->idtr.base);
	vmcs_write(&v->vmcs, VMCS_GUEST_IDTR_LIMIT, s->idtr.limit);
	guest_cpu_write_debug(s->dr, s->dr6);
	vmcs_write(&v->vmcs, VMCS_GUEST_DR7, s->dr7);
	vmcs_write(&v->vmcs, VMCS_GUEST_PENDING_DEBUG, 0);
	vmcs_write(&v->vmcs, VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmcs_write(&v->vmcs, VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	write_cr2(s->cr2);
	cr_set_all(v, s->cr0, s->cr3, s->cr4, s->efer);
	v->event_pending = v->event_armed = false;
	vmcs_write(&v->vmcs, VMCS_ENTRY_INTR_INFO, 0);
}

void vmcs_get_state(struct vcpu *v, struct vcpu_state *s)
{
	vcpu_sync_regs(v);
	s->regs = v->regs;
	for (unsigned i = 0; i < SEGS; i++)
		vmcs_get_segment(&v->vmcs, i, &s->seg[i]);
	vmcs_get_segment(&v->vmcs, SEGS, &s->ldtr);
	vmcs_get_segment(&v->vmcs, SEGS + 1, &s->tr);
	s->gdtr = (struct cpu_table){ vmcs_read(&v->vmcs, VMCS_GUEST_GDTR_BASE),
		(uint16_t)vmcs_read(&v->vmcs, VMCS_GUEST_GDTR_LIMIT) };
	s->idtr = (struct cpu_table){ vmcs_read(&v->vmcs, VMCS_GUEST_IDTR_BASE),
		(uint16_t)vmcs_read(&v->vmcs, VMCS_GUEST_IDTR_LIMIT) };
	guest_cpu_read_debug(s->dr, &s->dr6);
	s->dr7 = vmcs_read(&v->vmcs, VMCS_GUEST_DR7);
	s->cr0 = cr0_read(v);
	s->cr2 = read_cr2();
	s->cr3 = cr3_read(v);
	s->cr4 = cr4_read(v);
	s->efer = efer_read(v);
}
