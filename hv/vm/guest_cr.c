/* SPDX-License-Identifier: MIT */
#include "hv/vm/guest_cr.h"

#include "hv/vm/guest_cpuid.h"
#include "hv/vm/guest_cr_pure.h"
#include "hv/vm/mmu_ops.h"
#include "hv/vm/vm.h"
#include "hv/vm/vmcs_setup.h"
#include "hv/vmx/vmx_cpu.h"
#include "mm/shadow/shadow.h"
#include "mm/space/guest_mem.h"

static bool on_shadow(const struct vcpu *v)
{
	return v->vm->policy.mmu.shadow;
}

static enum cr_paging paging(const struct vcpu *v)
{
	if (on_shadow(v))
		return CR_SHADOW;
	if (v->vm->policy.unrestricted)
		return CR_UNRESTRICTED;
	return v->hidden_paging ? CR_HIDDEN : CR_RESTRICTED;
}

uint64_t cr4_allowed(void)
{
	static uint64_t allowed;
	struct cpuid one, seven;

	if (allowed)
		return allowed;
	one = cpuid(1, 0);
	seven = cpuid_or_zero(7, 0);
	allowed = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |
		  CR4_OSFXSR | CR4_OSXMMEXCPT | (one.ecx & BIT(26) ? CR4_OSXSAVE : 0) |
		  (one.ecx & BIT(17) ? CR4_PCIDE : 0) | (seven.ebx & BIT(0) ? CR4_FSGSBASE : 0) |
		  (seven.ebx & BIT(7) ? CR4_SMEP : 0) | (seven.ebx & BIT(20) ? CR4_SMAP : 0) |
		  (seven.ecx & BIT(2) ? CR4_UMIP : 0);
	allowed &= vmx.cr4_fixed1;
	return allowed;
}

void cr_init(struct vcpu *v)
{
	vmcs_write(&v->vmcs, VMCS_CR0_MASK, cr0_mask(paging(v)) | ~(uint64_t)UINT32_MAX);
	vmcs_write(&v->vmcs, VMCS_CR4_MASK, cr4_mask(paging(v), cr4_allowed()));
}

uint64_t cr0_read(struct vcpu *v)
{
	uint64_t mask = vmcs_read(&v->vmcs, VMCS_CR0_MASK);

	return (vmcs_read(&v->vmcs, VMCS_GUEST_CR0) & ~mask) | (vmcs_read(&v->vmcs, VMCS_CR0_SHADOW) & mask);
}

uint64_t cr4_read(struct vcpu *v)
{
	uint64_t mask = vmcs_read(&v->vmcs, VMCS_CR4_MASK);

	return (vmcs_read(&v->vmcs, VMCS_GUEST_CR4) & ~mask) | (vmcs_read(&v->vmcs, VMCS_CR4_SHADOW) & mask);
}

uint64_t cr3_read(struct vcpu *v)
{
	if (on_shadow(v))
		return v->mmu.regs.cr3;
	return v->hidden_paging ? v->hidden_cr3 : vmcs_read(&v->vmcs, VMCS_GUEST_CR3);
}

uint64_t efer_read(struct vcpu *v)
{
	if (on_shadow(v))
		return v->mmu.regs.efer;
	return vmcs_read(&v->vmcs, VMCS_GUEST_EFER) | (v->hidden_lme ? EFER_LME : 0);
}

static void read_state(struct vcpu *v, struct cr_state *s)
{
	uint64_t tr = vmcs_read(&v->vmcs, VMCS_GUEST_TR_ACCESS);

	*s = (struct cr_state){ .cr0 = cr0_read(v),
		.cr3 = cr3_read(v),
		.cr4 = cr4_read(v),
		.efer = efer_read(v),
		.cr4_allowed = cr4_allowed(),
		.cs_l = vmcs_read(&v->vmcs, VMCS_GUEST_CS_ACCESS) & BIT(13),
		.tss16 = !(tr & BIT(3)) };
}

/* After put_hidden_paging(). */
static void put_cr4(struct vcpu *v, const struct cr_state *s)
{
	vmcs_write(&v->vmcs, VMCS_CR4_SHADOW, s->cr4);
	vmcs_write(&v->vmcs, VMCS_CR4_MASK, cr4_mask(paging(v), cr4_allowed()));
	vmcs_write(&v->vmcs, VMCS_GUEST_CR4, cr4_real(paging(v), s) | vmx.cr4_fixed0);
	if (on_shadow(v))
		v->mmu.regs.cr4 = s->cr4;
}

static void put_hidden_paging(struct vcpu *v, bool on)
{
	if (on == v->hidden_paging)
		return;
	if (on)
		v->hidden_cr3 = vmcs_read(&v->vmcs, VMCS_GUEST_CR3);
	v->hidden_paging = on;
	vmcs_write(&v->vmcs, VMCS_GUEST_CR3, on ? v->vm->identity_map.v : v->hidden_cr3);
	vmcs_set_proc(v, PROC_CR3_LOAD | PROC_CR3_STORE, on);
}

/* PAE paging keeps four entries in registers; with EPT they are the VMCS's (SDM Vol. 3A 4.4.1, Vol. 3C 26.3.2.4). */
static int load_pdptes(struct vcpu *v, uint64_t cr3)
{
	uint64_t reserved = BITS(63, guest_maxphyaddr()) | BITS(8, 5) | BITS(2, 1), pdpte[4];

	if (guest_read(v->vm->mmu, gpa(cr3 & BITS(31, 5)), pdpte, sizeof(pdpte)))
		return -E_INVAL;
	for (unsigned i = 0; i < 4; i++)
		if (pdpte[i] & PTE_P && pdpte[i] & reserved)
			return -E_INVAL;
	for (unsigned i = 0; i < 4; i++)
		if (on_shadow(v))
			v->mmu.regs.pdpte[i] = pdpte[i];
		else
			vmcs_write(&v->vmcs, VMCS_GUEST_PDPTE0 + 2 * i, pdpte[i]);
	return 0;
}

/* An LME that waits for the guest's own paging is kept aside behind the hidden page directory. After put_hidden_paging(). */
static void put_efer(struct vcpu *v, uint64_t efer)
{
	enum cr_paging how = paging(v);

	v->hidden_lme = how == CR_HIDDEN && efer & EFER_LME;
	if (on_shadow(v))
		v->mmu.regs.efer = efer;
	if (vmx.efer) {
		vmcs_write(&v->vmcs, VMCS_GUEST_EFER, efer_real(how, efer));
	} else {
		v->guest.syscall = efer & EFER_SCE;
		guest_cpu_load_syscall(&v->guest);
	}
	v->vmcs.entry =
		efer & EFER_LMA ? v->vmcs.entry | ENTRY_IA32E : v->vmcs.entry & ~(uint32_t)ENTRY_IA32E;
	vmcs_write(&v->vmcs, VMCS_ENTRY, v->vmcs.entry);
}

static void put_cr0(struct vcpu *v, uint64_t cr0)
{
	vmcs_write(&v->vmcs, VMCS_CR0_SHADOW, cr0);
	vmcs_write(&v->vmcs, VMCS_GUEST_CR0, cr0_real(paging(v), cr0));
	if (on_shadow(v))
		v->mmu.regs.cr0 = cr0;
}

/* The guest's paging is switched on or off, and EFER.LMA with it. */
static void switch_paging(struct vcpu *v, struct cr_state *s)
{
	bool on = s->cr0 & CR0_PG;

	if (!v->vm->policy.unrestricted && !on_shadow(v))
		put_hidden_paging(v, !on);
	s->efer = on && s->efer & EFER_LME ? s->efer | EFER_LMA : s->efer & ~EFER_LMA;
	put_efer(v, s->efer);
	if (paging(v) != CR_UNRESTRICTED)
		put_cr4(v, s);
	/* What was cached under the other way of paging goes, as with the CPU's own MOV to CR0 (4.10.4.1). */
	if (!on_shadow(v))
		mmu_cpu_ops.invvpid_single(v->mmu.vpid);
}

/* Tells the shadow back end what has changed. */
static void changed(struct vcpu *v, const struct cr_state *from, const struct cr_state *to)
{
	if (on_shadow(v) && cr_reloads(from, to))
		shadow_load(&v->mmu);
}

int cr0_write(struct vcpu *v, uint64_t value)
{
	struct cr_state s, next;

	read_state(v, &s);
	if (!cr0_ok(&s, value) || (cr0_loads_pdptes(&s, value) && load_pdptes(v, s.cr3)))
		return -E_INVAL;
	next = s;
	next.cr0 = (value & (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD |
				    CR0_PG)) |
		   CR0_ET;
	if (!(value & CR0_PE) && !v->vm->policy.unrestricted) {
		vm_unsupported(v, "it leaves protected mode (CR0 = %#lx), and %s", value,
			on_shadow(v) ? "shadow page tables cannot run real mode"
				     : "this CPU has no unrestricted guest");
		return -E_NOSUP;
	}
	if ((s.cr0 ^ value) & CR0_PG)
		switch_paging(v, &next);
	put_cr0(v, next.cr0);
	changed(v, &s, &next);
	return 0;
}

/* What decides is in mmu.regs, without a look at the VMCS: guests on shadow page tables come here at each switch of processes. */
static int cr3_write_shadow(struct vcpu *v, uint64_t value)
{
	struct paging_regs *r = &v->mmu.regs;

	if (r->efer & EFER_LMA) {
		if (r->cr4 & CR4_PCIDE)
			value &= ~CR3_NOFLUSH;
		if (value & BITS(63, guest_maxphyaddr()))
			return -E_INVAL;
	} else if (r->cr0 & CR0_PG && r->cr4 & CR4_PAE && load_pdptes(v, value)) {
		return -E_INVAL;
	}
	r->cr3 = value;
	shadow_load(&v->mmu);
	return 0;
}

int cr3_write(struct vcpu *v, uint64_t value)
{
	struct cr_state s;

	if (on_shadow(v))
		return cr3_write_shadow(v, value);
	read_state(v, &s);
	if (s.efer & EFER_LMA && s.cr4 & CR4_PCIDE)
		value &= ~CR3_NOFLUSH;
	if (s.efer & EFER_LMA && value & BITS(63, guest_maxphyaddr()))
		return -E_INVAL;
	if (v->hidden_paging) {
		v->hidden_cr3 = value;
		return 0;
	}
	if (s.cr0 & CR0_PG && s.cr4 & CR4_PAE && !(s.efer & EFER_LMA) && load_pdptes(v, value))
		return -E_INVAL;
	vmcs_write(&v->vmcs, VMCS_GUEST_CR3, value);
	return 0;
}

int cr4_write(struct vcpu *v, uint64_t value)
{
	struct cr_state s, next;

	read_state(v, &s);
	if (!cr4_ok(&s, value) || (cr4_loads_pdptes(&s, value) && load_pdptes(v, s.cr3)))
		return -E_INVAL;
	next = s;
	next.cr4 = value;
	put_cr4(v, &next);
	changed(v, &s, &next);
	return 0;
}

int efer_write(struct vcpu *v, uint64_t value)
{
	struct cr_state s, next;

	read_state(v, &s);
	if (!efer_ok(&s, value))
		return -E_INVAL;
	next = s;
	next.efer =
		(value & ~EFER_LMA) | (s.efer & EFER_LMA); /* LMA is read-only; writes of it are ignored */
	put_efer(v, next.efer);
	changed(v, &s, &next);
	return 0;
}

void cr_set_all(struct vcpu *v, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer)
{
	struct cr_state s = { .cr0 = cr0 | CR0_ET, .cr3 = cr3, .cr4 = cr4, .efer = efer };

	if (on_shadow(v)) {
		v->mmu.regs = (struct paging_regs){ .cr3 = cr3 };
	} else {
		v->hidden_paging = false;
		vmcs_set_proc(v, PROC_CR3_LOAD | PROC_CR3_STORE, false);
		vmcs_write(&v->vmcs, VMCS_GUEST_CR3, cr3);
	}
	switch_paging(v, &s); /* INIT leaves no translations */
	put_cr4(v, &s);
	put_cr0(v, s.cr0);
	if (on_shadow(v))
		shadow_load(&v->mmu);
}
