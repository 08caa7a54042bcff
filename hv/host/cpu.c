/* SPDX-License-Identifier: MIT */
/* Per-CPU state: GDT, TSS, control registers, stacks. */
#include "hv/host/cpu.h"

#include "drivers/lapic.h"
#include "hv/host/trap.h"
#include "lib/assert.h"
#include "lib/atomic.h"
#include "lib/log.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/host/frames.h"
#include "mm/host/hostmap.h"

#define STACK_PAGES 4
#define IST_PAGES   2

struct cpu *cpus[CPUS_MAX];
unsigned ncpus;
const struct host_hooks *host_hooks;
static struct cpu boot_cpu; /* CPU 0 */

static void load_gdt(struct cpu *c)
{
	uint64_t tss = (uint64_t)&c->tss;
	struct {
		uint16_t limit;
		uint64_t base;
	} __packed r = { sizeof(c->gdt) - 1, (uint64_t)c->gdt };

	c->gdt[SEL_CODE / 8] = 0x00af9a000000ffff;
	c->gdt[SEL_DATA / 8] = 0x00cf92000000ffff;
	c->gdt[SEL_TSS / 8] =
		(sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
	c->gdt[SEL_TSS / 8 + 1] = tss >> 32;
	c->tss.iomap = sizeof(struct tss);
	__asm__ volatile("lgdt %0" : : "m"(r));
	load_segments();
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
}

static void setup(struct cpu *c, unsigned n, uint32_t apic_id)
{
	c->self = c;
	c->id = n;
	c->apic_id = apic_id;
	c->others_wake = UINT64_MAX;
}

/*
 * Control-flow enforcement, where the firmware uses it (SDM Vol. 1 chapter 17). Its shadow stack is mapped by the firmware's page
 * tables alone, and a far return, such as load_segments() makes, would look for its frame there; so this comes before
 * anything else.
 *
 *	1. IA32_S_CET = 0	the CPU pushes to no shadow stack and expects no ENDBR from here on
 *	2. CR4.CET = 0		while it is set, CR0.WP could not be cleared, and a #CP could come
 *
 * A function that was called before the first step returns after it without a check.
 */
static void leave_cet(void)
{
	if (!(read_cr4() & CR4_CET))
		return;
	wrmsr(MSR_S_CET, 0);
	write_cr4(read_cr4() & ~CR4_CET);
}

void cpu_init_boot(void)
{
	leave_cet();
	setup(&boot_cpu, 0, 0);
	cpus[0] = &boot_cpu;
	ncpus = 1;
	load_gdt(&boot_cpu);
	wrmsr(MSR_GS_BASE, (uint64_t)&boot_cpu);
	idt_build();
	idt_load();
}

struct cpu *cpu_create(unsigned n, uint32_t apic_id)
{
	struct cpu *c = n ? frame_alloc_zeroed(OWNER_LETHE) : &boot_cpu;
	unsigned ring_pages = (unsigned)(align_up(trace_ring_bytes(), PAGE_SIZE) >> PAGE_SHIFT);
	static const unsigned ist[] = { IST_NMI, IST_DF, IST_MC };
	static const char *const ist_name[] = { "NMI stack", "double-fault stack", "machine-check stack" };
	pfn_t ring;
	void *top;

	_Static_assert(sizeof(struct cpu) <= PAGE_SIZE, "a struct cpu is one frame");
	if (!c)
		return NULL;
	if (n)
		setup(c, n, apic_id);
	c->apic_id = apic_id;
	top = hostmap_stack(STACK_PAGES, "stack", n);
	if (!top)
		return NULL;
	c->stack_top = (uint64_t)top;
	for (unsigned i = 0; i < ARRAY_SIZE(ist); i++) {
		top = hostmap_stack(IST_PAGES, ist_name[i], n);
		if (!top)
			return NULL;
		c->tss.ist[ist[i] - 1] = (uint64_t)top;
	}
	if (!frames_alloc_run(ring_pages, OWNER_LETHE, &ring))
		trace_attach(n, pfn_to_virt(ring)); /* without a ring there are no traces, and that is all */
	return c;
}

void cpu_init(struct cpu *c)
{
	/* The number of levels cannot change in 64-bit mode (SDM Vol. 3A 4.1.2): as the firmware had it. */
	uint64_t cr4 =
		CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_DE | CR4_MCE | (read_cr4() & CR4_LA57);
	struct cpuid one = cpuid(1, 0), seven = cpuid_or_zero(7, 0);

	if (one.ecx & BIT(26))
		cr4 |= CR4_OSXSAVE;
	if (seven.ebx & BIT(7))
		cr4 |= CR4_SMEP;
	/* SMAP stays off: guest memory is reached through the direct map, which has no user pages. */
	write_cr4(cr4);
	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
	wrmsr(MSR_EFER, (rdmsr(MSR_EFER) & EFER_SCE) | EFER_LME | EFER_LMA | EFER_NXE);
	wrmsr(MSR_PAT, HOST_PAT);
	wrmsr(MSR_GS_BASE, (uint64_t)c);
	load_gdt(c);
	idt_load();
	if (lapic_init_cpu(VEC_SPURIOUS))
		panic("CPU %u: its local APIC is globally disabled; reset the machine", c->id);
	c->apic_id = lapic_id();
	lapic_timer_init_cpu(VEC_TIMER);
	atomic_store(&c->online, true);
}
