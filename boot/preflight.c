/* SPDX-License-Identifier: MIT */
/* Preflight reads the CPU: CPUID, and the MSRs that exist according to CPUID. */
#include "boot/preflight.h"

#include "hv/vmx/vmx.h"
#include "lib/string.h"
#include "lib/x86.h"

#define CPUID_1_ECX_VMX	       BIT(5)
#define CPUID_1_ECX_HYPERVISOR BIT(31)
#define CPUID_1_EDX_APIC       BIT(9)
#define CPUID_EXT_EDX_NX       BIT(20)
#define CPUID_EXT_EDX_LM       BIT(29)

static void put4(char *at, uint32_t v)
{
	memcpy(at, &v, sizeof(v));
}

static void look_at_names(struct preflight_facts *f)
{
	struct cpuid r = cpuid(0, 0);
	uint32_t ext = cpuid(0x80000000, 0).eax;
	const char *start = f->brand;

	put4(f->vendor, r.ebx);
	put4(f->vendor + 4, r.edx);
	put4(f->vendor + 8, r.ecx);
	for (uint32_t i = 0; ext >= 0x80000004 && i < 3; i++) {
		r = cpuid(0x80000002 + i, 0);
		put4(f->brand + 16 * i, r.eax);
		put4(f->brand + 16 * i + 4, r.ebx);
		put4(f->brand + 16 * i + 8, r.ecx);
		put4(f->brand + 16 * i + 12, r.edx);
	}
	while (*start == ' ')
		start++;
	memmove(f->brand, start, strlen(start) + 1);
	if (!f->brand[0])
		str_copy(f->brand, sizeof(f->brand), "a CPU without a name");
}

/* Family, model and stepping as CPUID.1:EAX packs them (SDM Vol. 2A, CPUID). */
static void look_at_signature(struct preflight_facts *f, uint32_t eax)
{
	f->stepping = (unsigned)bits_get(eax, 3, 0);
	f->model = (unsigned)bits_get(eax, 7, 4);
	f->family = (unsigned)bits_get(eax, 11, 8);
	if (f->family == 6 || f->family == 15)
		f->model |= (unsigned)bits_get(eax, 19, 16) << 4;
	if (f->family == 15)
		f->family += (unsigned)bits_get(eax, 27, 20);
}

void preflight_look(struct preflight_facts *f)
{
	struct cpuid r = cpuid(1, 0);

	look_at_names(f);
	look_at_signature(f, r.eax);
	f->vmx = r.ecx & CPUID_1_ECX_VMX;
	f->hypervisor = r.ecx & CPUID_1_ECX_HYPERVISOR;
	f->apic = r.edx & CPUID_1_EDX_APIC;
	if (f->hypervisor) {
		struct cpuid h = cpuid(0x40000000, 0);

		put4(f->hypervisor_vendor, h.ebx);
		put4(f->hypervisor_vendor + 4, h.ecx);
		put4(f->hypervisor_vendor + 8, h.edx);
	}
	r = cpuid_or_zero(0x80000001, 0);
	f->nx = r.edx & CPUID_EXT_EDX_NX;
	f->long_mode = r.edx & CPUID_EXT_EDX_LM;
	f->la57 = read_cr4() & CR4_LA57;
	if (f->vmx) {
		f->feature_control = rdmsr(MSR_FEATURE_CONTROL);
		vmx_msrs_read(&f->msrs);
	}
}
