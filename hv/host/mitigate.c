/* SPDX-License-Identifier: MIT */
#include "hv/host/mitigate.h"

#include "drivers/console/console.h"
#include "hv/host/thunks.h"
#include "hv/host/cpu.h"
#include "lib/log.h"

#define TSX_CTRL_RTM_DISABLE  BIT(0)
#define TSX_CTRL_CPUID_CLEAR  BIT(1)
#define MCU_OPT_RNGDS_DISABLE BIT(0)
#define MCU_OPT_GDS_DISABLE   BIT(4)
#define MCU_OPT_GDS_LOCK      BIT(5)

#define L1D_READ_BYTES (64 * KiB) /* boot/lethe.lds: the code has more */
#define L1D_LINE_BYTES 64

extern const uint8_t _text[];

static enum conf_mitigations mode;

static void read_this_cpu(struct mitigate_cpu *out)
{
	struct cpuid zero = cpuid(0, 0), one = cpuid(1, 0);
	struct cpuid seven = cpuid_or_zero(7, 0);

	*out = (struct mitigate_cpu){
		.intel = zero.ebx == 0x756e6547 && zero.edx == 0x49656e69 && zero.ecx == 0x6c65746e,
		.hypervisor = one.ecx & BIT(31),
		.signature = one.eax,
		.ebx7 = seven.ebx,
		.edx7 = seven.edx,
		.edx7_2 = seven.eax >= 2 ? cpuid(7, 2).edx : 0,
		.core_type = (uint8_t)(cpuid_or_zero(0x1a, 0).eax >> 24),
	};
	if (!(seven.edx & BIT(29)) || !rdmsr_safe(MSR_ARCH_CAPABILITIES, &out->arch_capabilities))
		out->arch_capabilities = 0;
}

/* The rules ask for a register only where CPUID or IA32_ARCH_CAPABILITIES says that it is there; a hypervisor below may
 * still refuse it. */
static void change(struct cpu *c, uint32_t msr, uint64_t clear, uint64_t set)
{
	uint64_t value;

	if (!rdmsr_safe(msr, &value) || !wrmsr_safe(msr, (value & ~clear) | set) ||
		!rdmsr_safe(msr, &value) || value & clear || (value & set) != set)
		log_warn("CPU %u: a measure against speculation cannot be taken: MSR %#x stays %#lx", c->id,
			msr, value);
}

static void do_once(struct cpu *c)
{
	const struct mitigate_measures *m = &c->mitigations.measures;

	if (m->spec_ctrl)
		change(c, MSR_SPEC_CTRL, 0, m->spec_ctrl);
	if (m->tsx_off)
		change(c, MSR_TSX_CTRL, 0, TSX_CTRL_RTM_DISABLE | TSX_CTRL_CPUID_CLEAR);
	if (m->gds_lock)
		change(c, MSR_MCU_OPT_CTRL, MCU_OPT_GDS_DISABLE, MCU_OPT_GDS_LOCK);
	if (m->rngds)
		change(c, MSR_MCU_OPT_CTRL, MCU_OPT_RNGDS_DISABLE, 0);
	c->exit_guards = (m->rsb_fill ? EXIT_GUARD_FILL : 0) | (m->rsb_one ? EXIT_GUARD_ONE : 0) |
			 (m->bhb_clear ? EXIT_GUARD_HISTORY : 0);
}

void mitigate_cpu_init(struct cpu *c)
{
	struct mitigate_cpu cpu;

	read_this_cpu(&cpu);
	c->spec_ctrl_bits = guest_spec_ctrl_bits(cpu.edx7);
	if (mode == MITIGATIONS_OFF)
		return;
	mitigate_decide(&cpu, &c->mitigations);
	if (mode == MITIGATIONS_ALL)
		mitigate_add_all(&cpu, &c->mitigations);
	do_once(c);
}

static void log_verdicts(const struct cpu *c)
{
	static const char *const titles[] = {
		[MITIGATE_DONE] = "needed, done",
		[MITIGATE_MICROCODE_MISSING] = "needed, microcode missing",
		[MITIGATE_NOT_NEEDED] = "not needed",
	};
	static const enum mitigate_verdict order[] = { MITIGATE_DONE, MITIGATE_MICROCODE_MISSING,
		MITIGATE_NOT_NEEDED };
	char text[440];

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		enum log_level level = order[i] == MITIGATE_MICROCODE_MISSING ? LOG_WARN : LOG_INFO;

		if (mitigate_describe(&c->mitigations, order[i], text, sizeof(text)))
			log_at(level, "speculation, %s: %s", titles[order[i]], text);
	}
}

void mitigate_init(enum conf_mitigations wanted, void (*other_vm)(void))
{
	struct cpu *c = this_cpu();

	mode = wanted;
	mitigate_cpu_init(c);
	thunks_patch(c->mitigations.measures.thunk, c->mitigations.measures.return_thunk);
	if (mode == MITIGATIONS_OFF) {
		log_info("mitigations = off: guests can learn of one another by speculation");
		return;
	}
	console_used = other_vm;
	if (cpuid(1, 0).ecx & BIT(31))
		log_info(
			"speculation: under another hypervisor, which has a say in what the CPU needs and does");
	log_verdicts(c);
	if (mode == MITIGATIONS_ALL)
		log_info("mitigations = all: every measure that the CPU has the means for, needed or not");
}

static bool needs_other_thunks(const struct mitigate_measures *m, const struct mitigate_measures *made)
{
	return (m->thunk != THUNK_PLAIN && m->thunk != made->thunk) ||
	       (m->return_thunk && !made->return_thunk);
}

void mitigate_log_others(void)
{
	const struct cpu *last = cpus[0];

	for (unsigned i = 1; mode != MITIGATIONS_OFF && i < ncpus; i++) {
		const struct cpu *c = cpus[i];

		if (mitigations_equal(&c->mitigations, &last->mitigations))
			continue;
		last = c;
		if (mitigations_equal(&c->mitigations, &cpus[0]->mitigations)) {
			log_info("speculation: from CPU %u on as on CPU 0", i);
			continue;
		}
		log_info("speculation: from CPU %u on it differs:", i);
		log_verdicts(c);
		if (needs_other_thunks(&c->mitigations.measures, &cpus[0]->mitigations.measures))
			log_warn("speculation: branches and returns are made for CPU 0, not CPU %u", i);
	}
}

bool mitigate_core_of_its_own(void)
{
	for (unsigned i = 0; i < ncpus; i++)
		if (cpus[i]->mitigations.core_of_its_own)
			return true;
	return false;
}

/*
 * Replaces all lines of the L1D by Lethe's own code, which is no secret. Each CPU that is prone to L1TF has an L1D of 32 KiB;
 * which line gives way is not documented, so twice as much is read. The pages are touched first: a walk of the page tables
 * in between would bring in lines of its own.
 */
static void read_over_l1d(void)
{
	const volatile uint8_t *code = _text;

	for (unsigned at = 0; at < L1D_READ_BYTES; at += PAGE_SIZE)
		(void)code[at];
	__asm__ volatile("lfence" ::: "memory");
	/* Little but loads: this lengthens stretches in root mode. */
#pragma GCC unroll 16
	for (unsigned at = 0; at < L1D_READ_BYTES; at += L1D_LINE_BYTES)
		(void)code[at];
	__asm__ volatile("lfence" ::: "memory");
}

static void overwrite_buffers(void)
{
	static const uint16_t selector = SEL_DATA;
	const struct mitigate_measures *m = &this_cpu()->mitigations.measures;

	if (m->l1d_flush)
		wrmsr(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
	if (m->l1d_read)
		read_over_l1d();
	if (m->verw)
		__asm__ volatile("verw %0" : : "m"(selector) : "cc");
}

void mitigate_flush(void)
{
	this_cpu()->other_flushes++;
	overwrite_buffers();
}

void mitigate_switch(void)
{
	this_cpu()->switch_flushes++;
	overwrite_buffers();
	if (this_cpu()->mitigations.measures.ibpb)
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
}

void mitigate_log_flushes(void)
{
	uint64_t at_switches = 0, others = 0;

	for (unsigned i = 0; i < ncpus; i++) {
		at_switches += cpus[i]->switch_flushes;
		others += cpus[i]->other_flushes;
	}
	log_debug("speculation: %lu flushes for another vCPU, %lu after other VMs' data were handled",
		at_switches, others);
}
