/* SPDX-License-Identifier: MIT */
#include "hv/vm/guest_cpuid.h"

#include "drivers/time.h"
#include "hv/vm/guest_cr.h"
#include "hv/vm/vm.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/string.h"
#include "mm/host/frames.h"

#define SUBLEAVES    0x40 /* of leaf 0DH: one per state component */
#define EXTENDED_MAX 0x80000008u

struct guest_cpuid {
	struct cpuid basic[CPUID_BASIC_MAX + 1]; /* subleaf 0; first: guest_cpuid_plain() */
	struct cpuid topology[3];		 /* 0BH */
	struct cpuid cache[8];			 /* 04H */
	struct cpuid extended[9];		 /* 80000000H.. */
	struct cpuid hypervisor, frequency;
	struct cpuid xsave[SUBLEAVES]; /* 0DH */
	uint32_t basic_max;
};

/* Leaf 1 and 7 bits that guests see if the host has them (SDM Vol. 2A CPUID; names in the comment's order). */
#define LEAF1_ECX                                                                                            \
	(BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(17) | BITS(20, 19) | BITS(23, 22) | BIT(25) |    \
		BIT(26) |                                                                                    \
		BITS(30,                                                                                     \
			28)) /* SSE3 PCLMUL SSSE3 FMA CX16 PCID SSE4 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
#define LEAF1_EDX                                                                                            \
	(BITS(6, 0) | BITS(9, 8) | BIT(11) | BIT(12) | BIT(13) | BITS(17, 15) | BIT(19) |                    \
		BITS(26,                                                                                     \
			23)) /* FPU VME DE PSE TSC MSR PAE CX8 APIC SEP MTRR PGE CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 */
#define LEAF7_EBX                                                                                            \
	(BIT(0) | BIT(1) | BIT(3) | BIT(5) | BITS(10, 7) | BITS(19, 16) | BIT(20) | BIT(21) | BIT(23) |      \
		BIT(24) |                                                                                    \
		BITS(31,                                                                                     \
			28)) /* FSGSBASE TSC_ADJUST BMI1 AVX2 SMEP BMI2 ERMS INVPCID AVX512* SMAP CLFLUSHOPT CLWB SHA */
#define LEAF7_ECX                                                                                            \
	(BIT(1) | BIT(2) | BITS(6, 6) | BITS(12, 8) | BIT(14) | BIT(22) | BIT(27) |                          \
		BIT(28)) /* AVX512_VBMI UMIP VBMI2 GFNI VAES VPCLMUL VNNI BITALG VPOPCNTDQ RDPID MOVDIRI MOVDIR64B */
#define LEAF7_EDX                                                                                            \
	(BITS(3, 2) | BIT(4) | BIT(8) | BIT(10) | BITS(27, 26) | BIT(28) | BIT(29) |                         \
		BIT(31)) /* AVX512_4* FSRM VP2INTERSECT MD_CLEAR IBRS STIBP L1D_FLUSH ARCH_CAPABILITIES SSBD */
#define LEAF81_ECX (BIT(0) | BIT(5) | BIT(8))			     /* LAHF LZCNT PREFETCHW */
#define LEAF81_EDX (BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29)) /* SYSCALL NX 1G RDTSCP LM */

static struct cpuid host(uint32_t leaf, uint32_t sub)
{
	uint32_t base = leaf & 0x80000000;

	return cpuid(base, 0).eax >= leaf ? cpuid(leaf, sub) : (struct cpuid){ 0 };
}

static void fill_features(struct guest_cpuid *t)
{
	uint64_t misc, dummy;
	struct cpuid *l1 = &t->basic[1], *l7 = &t->basic[7];

	*l1 = host(1, 0);
	l1->ebx &= 0x0000ffff; /* brand and CLFLUSH size; APIC ID and count below */
	l1->ebx |= 1u << 16;   /* one logical processor a package */
	l1->ecx = (l1->ecx & LEAF1_ECX) | BIT(31) | BIT(21) | BIT(24); /* hypervisor, x2APIC, TSC deadline */
	l1->edx = l1->edx & LEAF1_EDX;
	*l7 = host(7, 0);
	l7->eax = 0;
	l7->ebx = (l7->ebx & LEAF7_EBX) | BIT(1); /* IA32_TSC_ADJUST is Lethe's own */
	l7->ecx &= LEAF7_ECX;
	l7->edx &= LEAF7_EDX;
	if (!vmx.rdtscp) /* the control is RDPID's, too */
		l7->ecx &= ~(uint32_t)BIT(22);
	if (!vmx.invpcid)
		l7->ebx &= ~(uint32_t)BIT(10);
	/* The guest is told of fast short REP MOV only if IA32_MISC_ENABLE says that strings are fast at all. */
	if (!rdmsr_safe(MSR_MISC_ENABLE, &misc) || !(misc & BIT(0)))
		l7->edx &= ~(uint32_t)BIT(4), l7->ebx &= ~(uint32_t)BIT(9);
	if (!rdmsr_safe(MSR_SPEC_CTRL, &dummy))
		l7->edx &= ~(uint32_t)(BITS(27, 26) | BIT(31));
	if (!rdmsr_safe(MSR_ARCH_CAPABILITIES, &dummy))
		l7->edx &= ~(uint32_t)BIT(29);
	l7->edx &= ~(uint32_t)BIT(28); /* L1D flushing is Lethe's business */
	/* Whatever needs a state component that XCR0 cannot have goes with it. */
	if ((guest_xcr0_supported() & BITS(2, 0)) != BITS(2, 0)) {
		l1->ecx &= ~(uint32_t)(BIT(28) | BIT(12) | BIT(29));
		l7->ebx &= ~(uint32_t)BIT(5);
		l7->ecx &= ~(uint32_t)BITS(10, 9);
	}
	if ((guest_xcr0_supported() & BITS(7, 5)) != BITS(7, 5)) {
		l7->ebx &= ~(uint32_t)(BIT(16) | BIT(17) | BIT(21) | BITS(28, 26) | BITS(31, 30));
		l7->ecx &= ~(uint32_t)(BIT(1) | BIT(6) | BITS(12, 11) | BIT(14));
		l7->edx &= ~(uint32_t)(BITS(3, 2) | BIT(8));
	}
	if (!guest_xcr0_supported())
		l1->ecx &= ~(uint32_t)BIT(26);
}

static void fill_xsave(struct guest_cpuid *t)
{
	uint64_t x = guest_xcr0_supported();
	struct cpuid d1 = host(0xd, 1);

	if (!x)
		return;
	t->xsave[0] = (struct cpuid){ (uint32_t)x, 0 /* by XCR0 */, (uint32_t)guest_xsave_bytes(),
		(uint32_t)(x >> 32) };
	t->xsave[1].eax =
		d1.eax & (vmx.xsaves ? BITS(3, 0) : BIT(0) | BIT(2)); /* XSAVEOPT XSAVEC XGETBV1 XSAVES */
	if (!(t->xsave[1].eax & BIT(3)))
		t->xsave[1].eax &= ~(uint32_t)BIT(1);
	for (unsigned i = 2; i < SUBLEAVES; i++)
		if (x & BIT(i))
			t->xsave[i] = host(0xd, i);
}

static void fill_time(struct guest_cpuid *t)
{
	bool exact = tsc_hz_exact();

	guest_cpuid_rate(tsc_hz(), exact, &t->basic[0x15], &t->basic[0x16], &t->frequency);
	t->hypervisor.eax = exact ? CPUID_FREQUENCY : CPUID_LETHE;
	memcpy(&t->hypervisor.ebx, "LetheLetheLe", 12);
}

static void fill_topology(struct guest_cpuid *t, unsigned vcpus)
{
	unsigned shift = vcpus > 1 ? bit_highest(vcpus - 1) + 1 : 0;

	/* One thread a core, all cores in one package. */
	t->topology[0] = (struct cpuid){ 0, 1, 0x100, 0 };
	t->topology[1] = (struct cpuid){ shift, vcpus, 0x201, 0 };
	t->topology[2] = (struct cpuid){ 0, 0, 2, 0 };
	if (vcpus > 1) {
		t->basic[1].edx |= BIT(28); /* HTT: leaf 1's count is valid */
		t->basic[1].ebx = (t->basic[1].ebx & 0xffff) | 1u << (16 + min(shift, 7u));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(t->cache); i++) {
		t->cache[i] = host(4, i);
		if (!(t->cache[i].eax & 31)) {
			t->cache[i] = (struct cpuid){ 0 };
			break;
		}
		/* 31:26 cores in the package, 25:14 threads that share the cache; both less one. */
		t->cache[i].eax = (t->cache[i].eax & BITS(13, 0)) | (uint32_t)(vcpus - 1) << 26;
	}
}

static void fill_extended(struct guest_cpuid *t)
{
	for (unsigned i = 0; i < ARRAY_SIZE(t->extended); i++)
		t->extended[i] = host(0x80000000 + i, 0);
	t->extended[0] = (struct cpuid){ EXTENDED_MAX, 0, 0, 0 };
	t->extended[1].ecx &= LEAF81_ECX;
	t->extended[1].edx &= LEAF81_EDX;
	if (!vmx.rdtscp)
		t->extended[1].edx &= ~(uint32_t)BIT(27);
	t->extended[7].edx = BIT(8); /* invariant TSC: vCPUs do not move between CPUs or machines */
	t->extended[7].eax = t->extended[7].ebx = t->extended[7].ecx = 0;
	t->extended[8].eax = (t->extended[8].eax & 0xff00) | guest_maxphyaddr();
	t->extended[8].ebx = t->extended[8].ecx = t->extended[8].edx = 0;
}

static void fill_in(struct guest_cpuid *t, unsigned vcpus)
{
	t->basic_max = 0x16;
	t->basic[0] = host(0, 0);
	t->basic[0].eax = t->basic_max;
	t->basic[2] = host(2, 0);
	fill_features(t);
	fill_xsave(t);
	fill_time(t);
	fill_topology(t, vcpus);
	fill_extended(t);
	t->basic[6].eax = BIT(2); /* the APIC timer does not stop */
}

int guest_cpuid_create(unsigned vcpus, struct guest_cpuid **out)
{
	_Static_assert(sizeof(struct guest_cpuid) <= PAGE_SIZE, "one frame");
	*out = frame_alloc_zeroed(OWNER_LETHE);
	if (!*out)
		return -E_NOMEM;
	fill_in(*out, vcpus);
	return 0;
}

void guest_cpuid_destroy(struct guest_cpuid *t)
{
	if (t)
		frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(virt_to_hpa(t)));
}

static void read_leaf1(struct vcpu *v, struct cpuid *out)
{
	out->ebx |= v->index << 24;
	if (vmcs_read(&v->vmcs, VMCS_GUEST_CR4) & CR4_OSXSAVE)
		out->ecx |= BIT(27);
	if (platform_apic_mode(v->vm->platform, v->index) == APIC_OFF)
		out->edx &= ~(uint32_t)BIT(9);
}

/*
 * The size of the area for what XCR0 enables (SDM Vol. 1 13.4): in the standard format the end of its last component,
 * in the compacted one all components in a row, those with ECX bit 1 aligned to 64 bytes.
 */
static uint32_t xsave_size(const struct guest_cpuid *t, bool compacted)
{
	uint32_t lo, hi, size = 576;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	for (unsigned i = 2; i < 32; i++) {
		if (!(lo & BIT(i)))
			continue;
		if (!compacted)
			size = max(size, t->xsave[i].ebx + t->xsave[i].eax);
		else
			size = (t->xsave[i].ecx & BIT(1) ? (uint32_t)align_up(size, 64) : size) +
			       t->xsave[i].eax;
	}
	return size;
}

static void read_xsave(const struct guest_cpuid *t, uint32_t sub, struct cpuid *out)
{
	if (sub >= SUBLEAVES)
		return;
	*out = t->xsave[sub];
	/* XCR0 is the guest's while its vCPU has the CPU; without OSXSAVE XGETBV would fault in root mode too. */
	if (sub < 2 && t->xsave[0].eax)
		out->ebx = sub == 0 || out->eax & BIT(1) ? xsave_size(t, sub == 1) : 0;
}

const struct cpuid *guest_cpuid_features(const struct guest_cpuid *t)
{
	return &t->basic[1];
}

unsigned guest_maxphyaddr(void)
{
	static unsigned bits; /* the same on every CPU; written with the same value by any */

	if (!bits)
		/* Four levels of EPT reach over 48 bits (make_mmu() in hv/vm/vm_parts.c). */
		bits = min(cpu_phys_bits(), 48u);
	return bits;
}

void guest_cpuid_read(struct vcpu *v, uint32_t leaf, uint32_t sub, struct cpuid *out)
{
	const struct guest_cpuid *t = v->vm->cpuid;

	if (likely(leaf <= CPUID_BASIC_MAX)) {
		*out = t->basic[leaf];
		if (leaf == 1)
			read_leaf1(v, out);
		else if (leaf == 4)
			*out = sub < ARRAY_SIZE(t->cache) ? t->cache[sub] : (struct cpuid){ 0 };
		else if (leaf == 7 && sub)
			*out = (struct cpuid){ 0 };
		else if (leaf == 0xb) {
			*out = t->topology[min(sub, 2u)];
			if (sub >= 2)
				*out = (struct cpuid){ 0, 0, sub & 0xff, 0 };
			out->edx = v->index;
		} else if (leaf == 0xd)
			read_xsave(t, sub, out);
		return;
	}
	if (leaf == CPUID_LETHE)
		*out = t->hypervisor;
	else if (leaf == CPUID_FREQUENCY)
		*out = t->frequency;
	else if (leaf > CPUID_LETHE && leaf < CPUID_FREQUENCY)
		*out = (struct cpuid){ 0 };
	else if (leaf - 0x80000000 < ARRAY_SIZE(t->extended))
		*out = t->extended[leaf - 0x80000000];
	else /* beyond the highest leaf Intel CPUs answer as for the highest basic one */
		*out = t->basic[CPUID_BASIC_MAX];
}
