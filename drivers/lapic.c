/* SPDX-License-Identifier: MIT */
/*
 * Local APIC (SDM Vol. 3A, chapter 10). One register file, two doors to it:
 *
 *	xAPIC	memory at the base in IA32_APIC_BASE, register at offset r, ICR in two halves (0x310, then 0x300)
 *	x2APIC	MSR 0x800 + r/16; the ICR is one 64-bit MSR, and the ID has 32 bits
 *
 * IA32_APIC_BASE bit 11 (global enable) is never written as 0: some CPUs do not get their local APIC back.
 */
#include "drivers/lapic.h"

#include "drivers/time.h"
#include "lib/atomic.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/x86.h"
#include "mm/host/hostmap.h"

/* Table 10-1. */
enum {
	R_ID = 0x20,
	R_VERSION = 0x30,
	R_TPR = 0x80,
	R_EOI = 0xb0,
	R_LDR = 0xd0,
	R_SVR = 0xf0,
	R_ISR = 0x100,
	R_IRR = 0x200,
	R_ESR = 0x280,
	R_LVT_CMCI = 0x2f0,
	R_ICR_LO = 0x300,
	R_ICR_HI = 0x310,
	R_LVT_TIMER = 0x320,
	R_LVT_THERMAL = 0x330,
	R_LVT_PERF = 0x340,
	R_LVT_LINT0 = 0x350,
	R_LVT_LINT1 = 0x360,
	R_LVT_ERROR = 0x370,
	R_TIMER_INIT = 0x380,
	R_TIMER_NOW = 0x390,
	R_TIMER_DIVIDE = 0x3e0,
};

#define BASE_X2APIC BIT(10)
#define BASE_ENABLE BIT(11)
#define BASE_ADDR   BITS(51, 12)

#define SVR_ENABLE   BIT(8)
#define LVT_MASKED   BIT(16)
#define LVT_NMI	     (4u << 8)
#define LVT_DEADLINE (2u << 17) /* bits 18:17; 0 is one-shot */
#define DIVIDE_BY_16 0x3

/* ICR (figure 10-12) */
#define ICR_FIXED   (0u << 8)
#define ICR_NMI	    (4u << 8)
#define ICR_INIT    (5u << 8)
#define ICR_SIPI    (6u << 8)
#define ICR_PENDING BIT(12) /* xAPIC only */
#define ICR_ASSERT  BIT(14)

#define ICR_POLLS_MAX 1000000u

static volatile uint32_t *regs; /* xAPIC: the mapped page; NULL in x2APIC mode */
static bool x2apic;
static uint64_t base_address;
static bool deadline_mode;
static uint64_t timer_hz; /* counting rate after the divider, if not deadline_mode */

static uint32_t reg_read(unsigned r)
{
	return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + (r >> 4)) : regs[r / 4];
}

static void reg_write(unsigned r, uint32_t v)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + (r >> 4), v);
	else
		regs[r / 4] = v;
}

static bool deadline_is_right(const struct cpuid *id)
{
	uint32_t revision, least = lapic_deadline_microcode(id->eax);

	/* A hypervisor's timers stand behind the local APIC that it shows. */
	if (!least || id->ecx & BIT(31))
		return true;
	revision = microcode_revision();
	if (!lapic_deadline_wrong(id->eax, revision))
		return true;
	log_warn(
		"the local APIC's TSC-deadline timer is not used: this CPU's is wrong with microcode %#x; right from %#x on",
		revision, least);
	return false;
}

int lapic_init(bool want_x2apic)
{
	struct cpuid id = cpuid(1, 0);
	bool has_x2apic = id.ecx & BIT(21);
	uint64_t base;

	if (!(id.edx & BIT(9))) {
		log_error("no local APIC: CPUID says there is none, or firmware has disabled it");
		return -E_NOSUP;
	}
	base = rdmsr(MSR_APIC_BASE);
	base_address = base & BASE_ADDR;
	x2apic = base & BASE_X2APIC || (want_x2apic && has_x2apic);
	if (!x2apic) {
		regs = hostmap_mmio(hpa(base_address), PAGE_SIZE, MT_UC);
		if (!regs)
			return -E_NOMEM;
	}
	deadline_mode = id.ecx & BIT(24) && deadline_is_right(&id);
	return 0;
}

/* Interrupts that the firmware had taken when it let go: each EOI ends the highest one in service. */
static void end_in_service(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t any = 0;

		for (unsigned word = 0; word < 8; word++)
			any |= reg_read(R_ISR + 0x10 * word);
		if (!any)
			return;
		lapic_eoi();
	}
}

static const uint16_t optional[] = { R_LVT_PERF, R_LVT_THERMAL, R_LVT_CMCI };
/* What the first CPU's firmware has set among them to raise SMIs. The others' were lost with their INIT. */
static uint32_t smi_entry[ARRAY_SIZE(optional)];

static void take_over(unsigned i, bool firmware_had)
{
	uint32_t was = reg_read(optional[i]);

	if (firmware_had && lapic_entry_is_smi(was)) {
		smi_entry[i] = was;
		log_info("local APIC: register %#x raises SMIs (%#x): kept as firmware set it", optional[i],
			was);
		return;
	}
	reg_write(optional[i], LVT_MASKED);
}

int lapic_init_cpu(uint8_t spurious_vector)
{
	static bool first_done;
	bool firmware_had = !atomic_xchg(&first_done, true);
	uint64_t base = rdmsr(MSR_APIC_BASE);
	unsigned last_lvt;

	if (!(base & BASE_ENABLE)) {
		log_error("the local APIC of this CPU is disabled in IA32_APIC_BASE, and that is for good");
		return -E_IO;
	}
	if (x2apic && !(base & BASE_X2APIC))
		wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
	else if (!x2apic && (base & BASE_ADDR) != base_address)
		wrmsr(MSR_APIC_BASE, (base & ~BASE_ADDR) | base_address);

	/* The firmware's timer first: it may be about to tick. */
	reg_write(R_LVT_TIMER, LVT_MASKED);
	if (deadline_mode)
		wrmsr(MSR_TSC_DEADLINE, 0);
	reg_write(R_TIMER_INIT, 0);
	reg_write(R_LVT_LINT0, LVT_MASKED);
	reg_write(R_LVT_ERROR, LVT_MASKED);
	/* Version register bits 23:16: how many LVT entries there are, less one. */
	last_lvt = (unsigned)bits_get(reg_read(R_VERSION), 23, 16);
	for (unsigned i = 0; i < ARRAY_SIZE(optional); i++)
		if (last_lvt >= 4 + i)
			take_over(i, firmware_had);
	/* LINT1 carries NMI on every PC since the MP specification (5.1). */
	reg_write(R_LVT_LINT1, LVT_NMI);

	reg_write(R_TPR, 0);
	reg_write(R_SVR, (uint32_t)SVR_ENABLE | spurious_vector);
	/* While the local APIC is disabled by software, as INIT leaves it, LVT entries cannot be unmasked (10.4.7.2). */
	for (unsigned i = 0; i < ARRAY_SIZE(optional); i++)
		if (lapic_entry_is_smi(smi_entry[i]))
			reg_write(optional[i], smi_entry[i]);
	end_in_service();
	reg_write(R_ESR, 0);
	return 0;
}

bool lapic_x2apic(void)
{
	return x2apic;
}

uint32_t lapic_id(void)
{
	uint32_t v = reg_read(R_ID);

	return x2apic ? v : v >> 24;
}

void lapic_eoi(void)
{
	reg_write(R_EOI, 0);
}

/* Writes to x2APIC and deadline MSRs do not wait for earlier stores; these two together do (SDM Vol. 3A 10.12.3). */
static void wrmsr_fence(void)
{
	__asm__ volatile("mfence; lfence" ::: "memory");
}

static bool icr_idle(void)
{
	for (unsigned i = 0; i < ICR_POLLS_MAX; i++) {
		if (!(regs[R_ICR_LO / 4] & ICR_PENDING))
			return true;
		cpu_relax();
	}
	return false;
}

static int icr_send(uint32_t apic_id, uint32_t command)
{
	if (x2apic) {
		wrmsr_fence(); /* what the other CPU is to see must be visible before it is interrupted */
		wrmsr(MSR_X2APIC + (R_ICR_LO >> 4), (uint64_t)apic_id << 32 | command);
		return 0;
	}
	if (apic_id > 254)
		return -E_RANGE;
	if (!icr_idle())
		return -E_TIMEOUT;
	regs[R_ICR_HI / 4] = apic_id << 24;
	regs[R_ICR_LO / 4] = command; /* this half sends */
	return icr_idle() ? 0 : -E_TIMEOUT;
}

int lapic_ipi(uint32_t apic_id, uint8_t vector)
{
	return icr_send(apic_id, (uint32_t)(ICR_FIXED | ICR_ASSERT | vector));
}

int lapic_nmi(uint32_t apic_id)
{
	return icr_send(apic_id, (uint32_t)(ICR_NMI | ICR_ASSERT));
}

bool lapic_usable(void)
{
	return x2apic || regs;
}

int lapic_hold_cpu(uint32_t apic_id)
{
	int err = icr_send(apic_id, (uint32_t)(ICR_INIT | ICR_ASSERT));

	if (!err)
		udelay(10000);
	return err;
}

int lapic_start_cpu(uint32_t apic_id, hpa_t page)
{
	uint32_t sipi = (uint32_t)(ICR_SIPI | ICR_ASSERT | page.v >> PAGE_SHIFT);
	int err;

	if (page.v >= MiB || page.v & PAGE_MASK)
		return -E_RANGE;
	err = lapic_hold_cpu(apic_id);
	if (err)
		return err;
	/* The second is for a CPU that missed the first; one that runs already ignores it. */
	for (unsigned i = 0; i < 2 && !err; i++) {
		err = icr_send(apic_id, sipi);
		udelay(200);
	}
	return err;
}

/* How fast the timer counts, against the TSC: 10 ms at divide by 16. */
void lapic_timer_init(void)
{
	uint64_t start, ticks, counted;

	if (deadline_mode)
		return;
	reg_write(R_LVT_TIMER, LVT_MASKED);
	reg_write(R_TIMER_DIVIDE, DIVIDE_BY_16);
	reg_write(R_TIMER_INIT, 0xffffffff);
	start = rdtsc();
	udelay(10000);
	counted = 0xffffffff - reg_read(R_TIMER_NOW);
	ticks = rdtsc() - start;
	reg_write(R_TIMER_INIT, 0);
	timer_hz = tsc_hz_from_run(counted, ticks, tsc_hz());
	if (!timer_hz) {
		timer_hz = 1;
		log_warn("the local APIC timer does not count");
	}
	log_debug("local APIC timer: %llu Hz after the divider", (unsigned long long)timer_hz);
}

void lapic_timer_init_cpu(uint8_t vector)
{
	if (deadline_mode) {
		reg_write(R_LVT_TIMER, (uint32_t)LVT_DEADLINE | vector);
		/* In xAPIC mode the LVT is memory, the deadline an MSR: the first must arrive first (10.5.4.1). */
		wrmsr_fence();
	} else {
		reg_write(R_TIMER_DIVIDE, DIVIDE_BY_16);
		reg_write(R_LVT_TIMER, vector);
	}
}

void lapic_timer_at(uint64_t deadline)
{
	uint64_t now, count;

	if (deadline_mode) {
		wrmsr(MSR_TSC_DEADLINE, deadline ? deadline : 1); /* 0 would disarm */
		return;
	}
	now = rdtsc();
	count = deadline > now ? mul_div_u64(deadline - now, timer_hz, tsc_hz()) : 0;
	reg_write(R_TIMER_INIT, (uint32_t)(count < 1 ? 1 : count > 0xffffffff ? 0xffffffff : count));
}
