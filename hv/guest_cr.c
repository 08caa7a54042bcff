/* SPDX-License-Identifier: MIT */
#include "hv/guest_cr.h"

#include "hv/vm.h"
#include "hv/vmx_cpu.h"

#define CR0_HIDDEN (CR0_NE | CR0_CD | CR0_NW) /* always Lethe's: NE must be 1, the caches stay on */

static uint64_t cr0_mask(void)
{
	return CR0_HIDDEN | (vmx.unrestricted ? 0 : CR0_PE | CR0_PG);
}

static unsigned maxphyaddr(void)
{
	static unsigned bits; /* the same on every CPU; written with the same value by any */

	if (!bits)
		bits = cpuid(0x80000000, 0).eax >= 0x80000008 ? cpuid(0x80000008, 0).eax & 0xff : 36;
	return bits;
}

uint64_t cr4_allowed(void)
{
	static uint64_t allowed;
	struct cpuid one, seven;

	if (allowed)
		return allowed;
	one = cpuid(1, 0);
	seven = cpuid(0, 0).eax >= 7 ? cpuid(7, 0) : (struct cpuid){ 0 };
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
	vmwrite(VMCS_CR0_MASK, cr0_mask() | ~(uint64_t)UINT32_MAX);
	vmwrite(VMCS_CR4_MASK, ~cr4_allowed());
}

static bool paging(struct vcpu *v)
{
	return cr0_read(v) & CR0_PG;
}

uint64_t cr0_read(struct vcpu *v)
{
	uint64_t mask = vmread(VMCS_CR0_MASK);

	return (vmread(VMCS_GUEST_CR0) & ~mask) | (vmread(VMCS_CR0_SHADOW) & mask);
}

uint64_t cr4_read(struct vcpu *v)
{
	uint64_t mask = vmread(VMCS_CR4_MASK);

	return (vmread(VMCS_GUEST_CR4) & ~mask) | (vmread(VMCS_CR4_SHADOW) & mask);
}

uint64_t cr3_read(struct vcpu *v)
{
	return v->hidden_paging ? v->hidden_cr3 : vmread(VMCS_GUEST_CR3);
}

/* CR4 as the CPU gets it. Behind the hidden page directory: 32-bit paging with 4 MiB pages, and nothing that has
 * rules of its own there. */
static void put_cr4(struct vcpu *v, uint64_t cr4)
{
	uint64_t real = cr4;

	if (v->hidden_paging)
		real = (real | CR4_PSE) & ~(CR4_PAE | CR4_PCIDE | CR4_SMEP | CR4_SMAP);
	vmwrite(VMCS_CR4_SHADOW, cr4);
	vmwrite(VMCS_CR4_MASK, v->hidden_paging ? ~0ull : ~cr4_allowed());
	vmwrite(VMCS_GUEST_CR4, real | vmx.cr4_fixed0);
}

static void put_hidden_paging(struct vcpu *v, bool on)
{
	if (on == v->hidden_paging)
		return;
	if (on)
		v->hidden_cr3 = vmread(VMCS_GUEST_CR3);
	v->hidden_paging = on;
	vmwrite(VMCS_GUEST_CR3, on ? v->vm->identity_map.v : v->hidden_cr3);
	vmcs_set_proc(v, PROC_CR3_LOAD | PROC_CR3_STORE, on);
}

/* PAE paging keeps four entries in registers; with EPT they are the VMCS's (SDM Vol. 3A 4.4.1, Vol. 3C 26.3.2.4). */
static int load_pdptes(struct vcpu *v, uint64_t cr3)
{
	uint64_t reserved = BITS(63, maxphyaddr()) | BITS(8, 5) | BITS(2, 1), pdpte[4];

	if (guest_read(v->vm->mmu, gpa(cr3 & BITS(31, 5)), pdpte, sizeof(pdpte)))
		return -E_INVAL;
	for (unsigned i = 0; i < 4; i++)
		if (pdpte[i] & PTE_P && pdpte[i] & reserved)
			return -E_INVAL;
	for (unsigned i = 0; i < 4; i++)
		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, pdpte[i]);
	return 0;
}

static void put_efer(struct vcpu *v, uint64_t efer)
{
	vmwrite(VMCS_GUEST_EFER, efer);
	v->entry = efer & EFER_LMA ? v->entry | ENTRY_IA32E : v->entry & ~(uint32_t)ENTRY_IA32E;
	vmwrite(VMCS_ENTRY, v->entry);
}

static void put_cr0(struct vcpu *v, uint64_t cr0)
{
	uint64_t real = (cr0 & ~(CR0_CD | CR0_NW)) | CR0_NE;

	if (!vmx.unrestricted)
		real |= CR0_PE | CR0_PG;
	vmwrite(VMCS_CR0_SHADOW, cr0);
	vmwrite(VMCS_GUEST_CR0, real);
}

int cr0_write(struct vcpu *v, uint64_t new)
{
	uint64_t old = cr0_read(v), cr4 = cr4_read(v), efer = vmread(VMCS_GUEST_EFER), changed = old ^ new;

	if (new >> 32 || (new &CR0_PG && !(new &CR0_PE)) || (new &CR0_NW && !(new &CR0_CD)))
		return -E_INVAL;
	new = (new &(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD |
		      CR0_PG)) |
	      CR0_ET;
	if (changed & CR0_PG && new &CR0_PG) {
		if (efer & EFER_LME) {
			if (!(cr4 & CR4_PAE) || vmread(VMCS_GUEST_CS_ACCESS) & BIT(13))
				return -E_INVAL;
			efer |= EFER_LMA;
		} else if (cr4 & CR4_PAE && load_pdptes(v, cr3_read(v))) {
			return -E_INVAL;
		}
	} else if (changed & CR0_PG) {
		if (cr4 & CR4_PCIDE || vcpu_long_mode(v))
			return -E_INVAL;
		efer &= ~EFER_LMA;
	}
	if (!(new &CR0_PE) && !vmx.unrestricted) {
		vm_unsupported(v,
			"it leaves protected mode (CR0 = %#lx), and this CPU has no unrestricted guest", new);
		return -E_NOSUP;
	}
	if (changed & CR0_PG) {
		put_efer(v, efer);
		if (!vmx.unrestricted) {
			put_hidden_paging(v, !(new &CR0_PG));
			put_cr4(v, cr4);
		}
	}
	put_cr0(v, new);
	return 0;
}

int cr3_write(struct vcpu *v, uint64_t new)
{
	uint64_t efer = vmread(VMCS_GUEST_EFER);

	if (efer & EFER_LMA && cr4_read(v) & CR4_PCIDE)
		new &= ~CR3_NOFLUSH;
	if (efer & EFER_LMA && new &BITS(63, maxphyaddr()))
		return -E_INVAL;
	if (v->hidden_paging) {
		v->hidden_cr3 = new;
		return 0;
	}
	if (paging(v) && cr4_read(v) & CR4_PAE && !(efer & EFER_LMA) && load_pdptes(v, new))
		return -E_INVAL;
	vmwrite(VMCS_GUEST_CR3, new);
	return 0;
}

int cr4_write(struct vcpu *v, uint64_t new)
{
	uint64_t old = cr4_read(v), changed = old ^ new, efer = vmread(VMCS_GUEST_EFER);

	if (new & ~cr4_allowed())
		return -E_INVAL;
	if (efer & EFER_LMA && changed & (CR4_PAE | CR4_LA57))
		return -E_INVAL;
	if (changed & CR4_PCIDE && new &CR4_PCIDE && (!(efer & EFER_LMA) || cr3_read(v) & CR3_PCID))
		return -E_INVAL;
	if (paging(v) && new &CR4_PAE && !(efer & EFER_LMA) &&
		changed &(CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP) && load_pdptes(v, cr3_read(v)))
		return -E_INVAL;
	put_cr4(v, new);
	return 0;
}

int efer_write(struct vcpu *v, uint64_t new)
{
	uint64_t old = vmread(VMCS_GUEST_EFER);

	if (new & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
		return -E_INVAL;
	if ((old ^ new) & EFER_LME && paging(v))
		return -E_INVAL;
	put_efer(v, (new & ~EFER_LMA) | (old & EFER_LMA)); /* LMA is read-only; writes of it are ignored */
	return 0;
}

void cr_set_all(struct vcpu *v, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer)
{
	v->hidden_paging = false;
	vmcs_set_proc(v, PROC_CR3_LOAD | PROC_CR3_STORE, false);
	vmwrite(VMCS_GUEST_CR3, cr3);
	put_efer(v, cr0 & CR0_PG && efer & EFER_LME ? efer | EFER_LMA : efer & ~EFER_LMA);
	if (!vmx.unrestricted)
		put_hidden_paging(v, !(cr0 & CR0_PG));
	put_cr4(v, cr4);
	put_cr0(v, cr0 | CR0_ET);
}
