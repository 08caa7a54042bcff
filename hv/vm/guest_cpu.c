/* SPDX-License-Identifier: MIT */
/*
 * State that VM entry and exit do not switch and root mode does not use: the x87/SSE/AVX registers (Lethe is compiled
 * without them), the MSRs behind SYSCALL and SWAPGS, debug registers, CR2. It stays in the CPU while a vCPU has it,
 * and is switched when another vCPU comes: an exit costs nothing for it.
 */
#include "hv/vm/guest_cpu.h"

#include "hv/host/cpu.h"
#include "hv/vm/vcpu.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/string.h"
#include "mm/host/frames.h"

/* x87, SSE, AVX, AVX-512 (opmask, ZMM_Hi256, Hi16_ZMM): user state without rules of its own. */
#define XCR0_KNOWN (BITS(2, 0) | BITS(7, 5))

static uint64_t xcr0_supported; /* 0: no XSAVE */
static size_t xsave_bytes = 512;
static bool have_rdtscp;

static uint64_t xgetbv(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

static void xsetbv(uint64_t v)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

void guest_cpu_init(void)
{
	struct cpuid one = cpuid(1, 0), d;

	have_rdtscp = cpuid_or_zero(0x80000001, 0).edx & BIT(27);
	if (!(one.ecx & BIT(26)))
		return;
	d = cpuid(0xd, 0);
	xcr0_supported = ((uint64_t)d.edx << 32 | d.eax) & XCR0_KNOWN;
	xsetbv(xcr0_supported);
	xsave_bytes = cpuid(0xd, 0).ebx; /* for what XCR0 enables now */
}

uint64_t guest_xcr0_supported(void)
{
	return xcr0_supported;
}

size_t guest_xsave_bytes(void)
{
	return xsave_bytes;
}

static uint64_t area_frames(void)
{
	return align_up(xsave_bytes, PAGE_SIZE) >> PAGE_SHIFT;
}

/* FXSAVE's layout and the XSAVE header (SDM Vol. 1 10.5.1, 13.4.2). After power-up the x87 differs from what FNINIT makes
 * of it: FCW = 0040h, all tags "zero" (5555h), which FXSAVE shows as registers in use. */
static void fill_xsave_area(uint8_t *area, bool firmware)
{
	memset(area, 0, area_frames() << PAGE_SHIFT);
	*(uint16_t *)area = firmware ? 0x37f : 0x40;
	area[4] = firmware ? 0 : 0xff;
	*(uint32_t *)(area + 24) = 0x1f80; /* MXCSR */
	if (xcr0_supported)
		*(uint64_t *)(area + 512) = BIT(0); /* XSTATE_BV: XRSTOR initialises all but the x87 */
}

int guest_cpu_create(struct guest_cpu *g, bool firmware)
{
	pfn_t first;
	int err = frames_alloc_run(area_frames(), OWNER_LETHE, &first);

	if (err)
		return err;
	*g = (struct guest_cpu){ .xcr0 = xcr0_supported ? 1 : 0, .xsave = pfn_to_virt(first) };
	fill_xsave_area(g->xsave, firmware);
	return 0;
}

void guest_cpu_destroy(struct guest_cpu *g)
{
	if (g->xsave)
		frames_free_run(area_frames(), OWNER_LETHE, hpa_to_pfn(virt_to_hpa(g->xsave)));
	g->xsave = NULL;
}

static void load_fpu(const struct guest_cpu *g)
{
	if (xcr0_supported) {
		xsetbv(xcr0_supported); /* all components, whatever the guest has enabled */
		__asm__ volatile("xrstor64 %0" : : "m"(*(uint8_t *)g->xsave), "a"(-1), "d"(-1));
		xsetbv(g->xcr0);
	} else {
		__asm__ volatile("fxrstor64 %0" : : "m"(*(uint8_t *)g->xsave));
	}
}

static void save_fpu(struct guest_cpu *g)
{
	if (xcr0_supported) {
		g->xcr0 = xgetbv();
		xsetbv(xcr0_supported);
		__asm__ volatile("xsave64 %0" : "+m"(*(uint8_t *)g->xsave) : "a"(-1), "d"(-1) : "memory");
	} else {
		__asm__ volatile("fxsave64 %0" : "+m"(*(uint8_t *)g->xsave) : : "memory");
	}
}

#define DR_WRITE(n, v) __asm__ volatile("mov %0, %%dr" #n : : "r"(v))
#define DR_READ(n, v)  __asm__ volatile("mov %%dr" #n ", %0" : "=r"(v))

void guest_cpu_write_debug(const uint64_t dr[4], uint64_t dr6)
{
	DR_WRITE(0, dr[0]);
	DR_WRITE(1, dr[1]);
	DR_WRITE(2, dr[2]);
	DR_WRITE(3, dr[3]);
	DR_WRITE(6, dr6);
}

void guest_cpu_read_debug(uint64_t dr[4], uint64_t *dr6)
{
	DR_READ(0, dr[0]);
	DR_READ(1, dr[1]);
	DR_READ(2, dr[2]);
	DR_READ(3, dr[3]);
	DR_READ(6, *dr6);
}

void guest_cpu_load_syscall(const struct guest_cpu *g)
{
	wrmsr(MSR_EFER, (rdmsr(MSR_EFER) & ~EFER_SCE) | (g->syscall ? EFER_SCE : 0));
}

void guest_cpu_load(struct guest_cpu *g)
{
	if (!vmx.efer)
		guest_cpu_load_syscall(g);
	wrmsr(MSR_STAR, g->star);
	wrmsr(MSR_LSTAR, g->lstar);
	wrmsr(MSR_CSTAR, g->cstar);
	wrmsr(MSR_SYSCALL_MASK, g->syscall_mask);
	wrmsr(MSR_KERNEL_GS_BASE, g->kernel_gs_base);
	if (have_rdtscp)
		wrmsr(MSR_TSC_AUX, g->tsc_aux);
	guest_cpu_write_debug(g->dr, g->dr6);
	write_cr2(g->cr2);
	load_fpu(g);
}

void guest_cpu_save(struct guest_cpu *g)
{
	g->star = rdmsr(MSR_STAR);
	g->lstar = rdmsr(MSR_LSTAR);
	g->cstar = rdmsr(MSR_CSTAR);
	g->syscall_mask = rdmsr(MSR_SYSCALL_MASK);
	g->kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
	if (have_rdtscp)
		g->tsc_aux = rdmsr(MSR_TSC_AUX);
	guest_cpu_read_debug(g->dr, &g->dr6);
	g->cr2 = read_cr2();
	save_fpu(g);
}
