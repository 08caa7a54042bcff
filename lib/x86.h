/* SPDX-License-Identifier: MIT */
/*
 * The architecture's constants that more than one room needs (SDM Vol. 3A 2.5, 4.1; Vol. 4), and the
 * instructions that C has no word for. VMX's own live in hv/.
 */
#pragma once

#include "lib/bits.h"

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR3_PCID    BITS(11, 0)
#define CR3_NOFLUSH BIT(63)

#define CR4_VME	       BIT(0)
#define CR4_PVI	       BIT(1)
#define CR4_TSD	       BIT(2)
#define CR4_DE	       BIT(3)
#define CR4_PSE	       BIT(4)
#define CR4_PAE	       BIT(5)
#define CR4_MCE	       BIT(6)
#define CR4_PGE	       BIT(7)
#define CR4_PCE	       BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_KL	       BIT(19)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE	       BIT(22)
#define CR4_CET	       BIT(23)
#define CR4_PKS	       BIT(24)

#define RFLAGS_CF   BIT(0)
#define RFLAGS_ONE  BIT(1) /* always 1 */
#define RFLAGS_PF   BIT(2)
#define RFLAGS_AF   BIT(4)
#define RFLAGS_ZF   BIT(6)
#define RFLAGS_SF   BIT(7)
#define RFLAGS_TF   BIT(8)
#define RFLAGS_IF   BIT(9)
#define RFLAGS_DF   BIT(10)
#define RFLAGS_OF   BIT(11)
#define RFLAGS_IOPL BITS(13, 12)
#define RFLAGS_NT   BIT(14)
#define RFLAGS_RF   BIT(16)
#define RFLAGS_VM   BIT(17)
#define RFLAGS_AC   BIT(18)
#define RFLAGS_ID   BIT(21)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

/* Exceptions (SDM Vol. 3A 6.3.1). */
enum vector {
	VEC_DE,
	VEC_DB,
	VEC_NMI,
	VEC_BP,
	VEC_OF,
	VEC_BR,
	VEC_UD,
	VEC_NM,
	VEC_DF,
	VEC_TS = 10,
	VEC_NP,
	VEC_SS,
	VEC_GP,
	VEC_PF,
	VEC_MF = 16,
	VEC_AC,
	VEC_MC,
	VEC_XM,
	VEC_VE,
	VEC_CP,
};

/* Error code of a page fault (SDM Vol. 3A 4.7). */
#define PF_PRESENT BIT(0)
#define PF_WRITE   BIT(1)
#define PF_USER	   BIT(2)
#define PF_RSVD	   BIT(3)
#define PF_FETCH   BIT(4)
#define PF_PK	   BIT(5)

/* Paging-structure entries (SDM Vol. 3A 4.5). */
#define PTE_P	     BIT(0)
#define PTE_W	     BIT(1)
#define PTE_U	     BIT(2)
#define PTE_PWT	     BIT(3)
#define PTE_PCD	     BIT(4)
#define PTE_A	     BIT(5)
#define PTE_D	     BIT(6)
#define PTE_PS	     BIT(7) /* in a PDPTE or PDE: maps a page */
#define PTE_PAT4K    BIT(7) /* in a PTE */
#define PTE_G	     BIT(8)
#define PTE_PATLARGE BIT(12) /* in a PDPTE or PDE that maps a page */
#define PTE_ADDR     BITS(51, 12)
#define PTE_NX	     BIT(63)

/* Memory types, as in MTRRs, PAT and EPT (SDM Vol. 3A 11.3). */
enum memtype { MT_UC = 0, MT_WC = 1, MT_WT = 4, MT_WP = 5, MT_WB = 6, MT_UC_MINUS = 7 };

#define MSR_TSC		      0x10
#define MSR_APIC_BASE	      0x1b
#define MSR_FEATURE_CONTROL   0x3a
#define MSR_TSC_ADJUST	      0x3b
#define MSR_SPEC_CTRL	      0x48
#define MSR_PRED_CMD	      0x49
#define MSR_BIOS_SIGN_ID      0x8b
#define MSR_MTRRCAP	      0xfe
#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_FLUSH_CMD	      0x10b
#define MSR_TSX_CTRL	      0x122
#define MSR_MCU_OPT_CTRL      0x123
#define MSR_SYSENTER_CS	      0x174
#define MSR_SYSENTER_ESP      0x175
#define MSR_SYSENTER_EIP      0x176
#define MSR_MISC_ENABLE	      0x1a0
#define MSR_DEBUGCTL	      0x1d9
#define MSR_MTRR_PHYSBASE0    0x200 /* PHYSBASEn = 0x200 + 2n, PHYSMASKn = 0x201 + 2n */
#define MSR_MTRR_FIX64K_00000 0x250
#define MSR_MTRR_FIX16K_80000 0x258
#define MSR_MTRR_FIX16K_A0000 0x259
#define MSR_MTRR_FIX4K_C0000  0x268 /* ...0x26f */
#define MSR_PAT		      0x277
#define MSR_S_CET	      0x6a2
#define MSR_MTRR_DEF_TYPE     0x2ff
#define MSR_TSC_DEADLINE      0x6e0
#define MSR_X2APIC	      0x800 /* ...0x8ff: register offset >> 4 */
#define MSR_X2APIC_ICR	      0x830
#define MSR_XSS		      0xda0
#define MSR_EFER	      0xc0000080
#define MSR_STAR	      0xc0000081
#define MSR_LSTAR	      0xc0000082
#define MSR_CSTAR	      0xc0000083
#define MSR_SYSCALL_MASK      0xc0000084
#define MSR_FS_BASE	      0xc0000100
#define MSR_GS_BASE	      0xc0000101
#define MSR_KERNEL_GS_BASE    0xc0000102
#define MSR_TSC_AUX	      0xc0000103

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(sub));
	return r;
}

/* As cpuid(); all zero if the CPU does not have the leaf. */
static inline struct cpuid cpuid_or_zero(uint32_t leaf, uint32_t sub)
{
	return cpuid(leaf & 0x80000000, 0).eax >= leaf ? cpuid(leaf, sub) : (struct cpuid){ 0 };
}

/* Bits of a physical address (SDM Vol. 3A 4.1.4: 36 on CPUs with PAE that do not say). */
static inline unsigned cpu_phys_bits(void)
{
	struct cpuid r = cpuid_or_zero(0x80000008, 0);

	return r.eax ? r.eax & 0xff : 36;
}

#ifdef MEASURE
extern uint64_t measure_msraccesses; /* RDMSRs and WRMSRs since the start (hv/vmx/measure.h) */
#define MEASURE_MSRACCESS() (measure_msraccesses++)
#else
#define MEASURE_MSRACCESS() ((void)0)
#endif

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	MEASURE_MSRACCESS();
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
	MEASURE_MSRACCESS();
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
/* The revision of the microcode update that this CPU (of Intel's) runs; 0: none was loaded. CPUID leaf 1 puts it into the
 * MSR (SDM Vol. 3A 9.11.7.1). */
static inline uint32_t microcode_revision(void)
{
	wrmsr(MSR_BIOS_SIGN_ID, 0);
	cpuid(1, 0);
	return (uint32_t)(rdmsr(MSR_BIOS_SIGN_ID) >> 32);
}
/* May be reordered with earlier loads; the callers that measure do not mind. */
static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}
/* The low half of the TSC: half as many instructions, where the time that passes is known to be short. */
static inline uint32_t rdtsc_low(void)
{
	uint32_t lo;

	__asm__ volatile("rdtsc" : "=a"(lo) : : "rdx");
	return lo;
}
static inline void out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline void out16(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline void out32(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline uint8_t in8(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline uint16_t in16(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline uint32_t in32(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

#define CR_READ(n)                                                                                           \
	static inline uint64_t read_cr##n(void)                                                              \
	{                                                                                                    \
		uint64_t v;                                                                                  \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                            \
		return v;                                                                                    \
	}
#define CR_WRITE(n)                                                                                          \
	static inline void write_cr##n(uint64_t v)                                                           \
	{                                                                                                    \
		__asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");                                   \
	}
/* clang-format off */
CR_READ(0)
CR_READ(2)
CR_READ(3)
CR_READ(4)
CR_READ(8)
CR_WRITE(0)
CR_WRITE(2)
CR_WRITE(3)
CR_WRITE(4)
CR_WRITE(8)
/* clang-format on */
#undef CR_READ
#undef CR_WRITE

static inline void invlpg(const void *at)
{
	__asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
}
static inline void irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}
static inline void irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}
static inline uint64_t read_rflags(void)
{
	uint64_t v;

	__asm__ volatile("pushfq; popq %0" : "=r"(v));
	return v;
}
static inline void cpu_halt(void)
{
	__asm__ volatile("hlt" ::: "memory");
}
