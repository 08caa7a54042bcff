/* SPDX-License-Identifier: MIT */
/* The choice of VMX controls: everything there, the essential missing, the optional missing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/vmx/vmx_controls.h"

#define ALL (0xffffffffull << 32)

static struct vmx_msrs full(void)
{
	return (struct vmx_msrs){ .basic = 0x12,
		.pin = ALL | 0x16,
		.proc = ALL | 0x401e172,
		.proc2 = ALL,
		.exit = ALL | 0x36dff,
		.entry = ALL | 0x11ff,
		.misc = 5,
		.ept_vpid = ~0ull,
		.cr0_fixed0 = 0x80000021,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = 0x2000,
		.cr4_fixed1 = 0x3767ff };
}

static bool says(const char *const *list, unsigned n, const char *words)
{
	for (unsigned i = 0; i < n; i++)
		if (strstr(list[i], words))
			return true;
	return false;
}

static void all_controls_are_chosen_where_the_cpu_has_them(void **state)
{
	struct vmx_msrs m = full();
	struct vmx_controls c;
	struct vmx_reasons why;

	m.proc = ALL | 0x0401e172 | 0; /* TRUE: CR3 exits may be 0 */
	m.proc &= ~(PROC_CR3_LOAD | PROC_CR3_STORE);
	assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
	assert_int_equal(why.n + why.ndegraded, 0);
	assert_true(c.ept && c.shadow && c.efer && c.pat);
	assert_int_equal(c.proc & (PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG),
		0); /* only with shadow page tables */
	assert_true(c.vpid && c.unrestricted && c.preemption_timer && c.tpr_shadow && c.apicv && c.pml);
	assert_int_equal(c.pin & 0x16, 0x16); /* what must be 1 is */
	assert_int_equal(c.preemption_shift, 5);
	assert_int_equal(c.revision, 0x12);
	assert_false(c.proc & (PROC_CR8_LOAD | PROC_CR8_STORE)); /* the TPR shadow serves instead */
	assert_false(c.entry & ENTRY_IA32E);			 /* follows the guest's EFER.LMA */
	assert_true(c.exit & EXIT_SAVE_PREEMPTION);
}

static void each_mandatory_control_is_named(void **state)
{
	static const struct {
		size_t at;
		uint32_t bit;
		const char *words;
	} cases[] = {
		{ offsetof(struct vmx_msrs, pin), PIN_EXTERNAL_INTERRUPT, "external-interrupt" },
		{ offsetof(struct vmx_msrs, pin), PIN_NMI, "NMI exiting" },
		{ offsetof(struct vmx_msrs, proc), PROC_HLT, "HLT" },
		{ offsetof(struct vmx_msrs, proc), PROC_MSR_BITMAPS, "MSR bitmaps" },
		{ offsetof(struct vmx_msrs, proc), PROC_IO_BITMAPS, "I/O bitmaps" },
		{ offsetof(struct vmx_msrs, exit), EXIT_HOST_64, "64-bit host" },
		{ offsetof(struct vmx_msrs, exit), EXIT_ACK_INTERRUPT, "acknowledge" },
		{ offsetof(struct vmx_msrs, entry), ENTRY_IA32E, "64-bit guests" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmx_msrs m = full();
		struct vmx_controls c;
		struct vmx_reasons why;

		m.proc &= ~(PROC_CR3_LOAD | PROC_CR3_STORE);
		*(uint64_t *)((char *)&m + cases[i].at) &= ~((uint64_t)cases[i].bit << 32);
		assert_int_equal(vmx_controls_choose(&m, &c, &why), -E_NOSUP);
		assert_int_equal(why.n, 1);
		assert_true(says(why.missing, why.n, cases[i].words));
	}
}

static void optional_controls_degrade(void **state)
{
	struct vmx_msrs m = full();
	struct vmx_controls c;
	struct vmx_reasons why;

	m.proc2 &= ~((uint64_t)(PROC2_EPT | PROC2_VPID) << 32);
	assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
	assert_false(c.ept || c.unrestricted || c.pml || c.vpid);
	assert_true(says(why.degraded, why.ndegraded, "no EPT"));

	m = full();
	m.proc &= ~((uint64_t)PROC_SECONDARY << 32);
	assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
	assert_false(c.ept || c.apicv);
	assert_true(c.shadow);
	assert_true(says(why.degraded, why.ndegraded, "unrestricted guest")); /* it builds on EPT */

	m = full();
	m.proc &= ~((uint64_t)PROC_TPR_SHADOW << 32) & ~(PROC_CR3_LOAD | PROC_CR3_STORE);
	m.pin &= ~((uint64_t)PIN_PREEMPTION_TIMER << 32);
	assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
	assert_false(c.tpr_shadow || c.apicv || c.preemption_timer);
	assert_true(c.proc & PROC_CR8_LOAD && c.proc & PROC_CR8_STORE);
	assert_true(says(why.degraded, why.ndegraded, "preemption timer"));

	m = full();
	m.proc &= ~(PROC_CR3_LOAD | PROC_CR3_STORE);
	m.ept_vpid &= ~EPTCAP_WB; /* EPT that cannot be write-back is as good as none */
	assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
	assert_false(c.ept);
}

/* A CPU without the TRUE capability MSRs: shadow page tables want those exits. */
static void forced_cr3_exits_rule_ept_out(void **state)
{
	struct vmx_msrs m = full();
	struct vmx_controls c;
	struct vmx_reasons why;

	m.proc |= PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG;
	assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
	assert_true(c.shadow && !c.ept && !c.unrestricted && !(c.proc2 & PROC2_EPT));
	assert_true(says(why.degraded, why.ndegraded, "no EPT"));
}

static void without_exits_for_cr3_ept_is_the_only_way(void **state)
{
	struct vmx_msrs m = full();
	struct vmx_controls c;
	struct vmx_reasons why;

	m.proc &= ~(PROC_CR3_LOAD | PROC_CR3_STORE);
	m.proc &= ~((uint64_t)PROC_INVLPG << 32);
	assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
	assert_true(c.ept && !c.shadow);
	m.proc2 &= ~((uint64_t)PROC2_EPT << 32);
	assert_int_equal(vmx_controls_choose(&m, &c, &why), -E_NOSUP);
	assert_true(says(why.missing, why.n, "shadow page tables"));
}

/* As the first CPUs with VT-x are: guests run on shadow page tables, and EFER and PAT are switched in other ways. */
static void efer_and_pat_need_not_be_switched_by_the_vmcs(void **state)
{
	struct vmx_msrs m = full();
	struct vmx_controls c;
	struct vmx_reasons why;

	m.proc &= ~(PROC_CR3_LOAD | PROC_CR3_STORE);
	m.exit &= ~((uint64_t)EXIT_SAVE_PAT << 32);
	assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
	assert_true(c.efer && !c.pat && !c.ept && !c.unrestricted);
	assert_true(c.entry & ENTRY_LOAD_EFER && c.exit & EXIT_LOAD_EFER);
	assert_false(c.entry & ENTRY_LOAD_PAT || c.exit & EXIT_LOAD_PAT);
	m.entry &= ~((uint64_t)ENTRY_LOAD_EFER << 32);
	assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
	assert_true(!c.efer && !c.pat && !c.ept && c.shadow);
	assert_false(c.entry & ENTRY_LOAD_EFER || c.exit & (EXIT_LOAD_EFER | EXIT_SAVE_EFER));
}

/* The line of the log for a CPU with these MSRs, cut to size bytes. */
static void expect_description(const struct vmx_msrs *m, size_t size, const char *words)
{
	struct vmx_controls c;
	struct vmx_reasons why;
	char text[400];

	memset(text, 'x', sizeof(text));
	assert_int_equal(vmx_controls_choose(m, &c, &why), 0);
	vmx_controls_describe(&c, text, size);
	assert_string_equal(text, words);
	assert_true(size == sizeof(text) || text[size] == 'x');
}

static void the_options_are_listed_as_used_or_missing(void **state)
{
	struct vmx_msrs m = full();

	m.proc &= ~(PROC_CR3_LOAD | PROC_CR3_STORE);
	expect_description(&m, 400,
		"virtual NMIs, preemption timer, TPR shadow, EPT with 2M 1G A/D, VPID, unrestricted guest, PML, APIC virtualization, virtual x2APIC, RDTSCP, INVPCID, XSAVES, WBINVD exiting, PAUSE-loop exiting");
	/* Nested in KVM: no PAUSE-loop exiting, and what the CPU's flags leave out. */
	m.proc2 &= ~((uint64_t)(PROC2_PAUSE_LOOP | PROC2_VPID) << 32);
	m.ept_vpid &= ~(EPTCAP_1G | EPTCAP_AD);
	expect_description(&m, 400,
		"virtual NMIs, preemption timer, TPR shadow, EPT with 2M, unrestricted guest, APIC virtualization, virtual x2APIC, RDTSCP, INVPCID, XSAVES, WBINVD exiting; not there: EPT 1G, EPT A/D, VPID, PML, PAUSE-loop exiting");
	/* Nothing optional at all. */
	m.pin = (uint64_t)(PIN_EXTERNAL_INTERRUPT | PIN_NMI) << 32;
	m.proc &= ~((uint64_t)(PROC_TPR_SHADOW | PROC_SECONDARY) << 32);
	expect_description(&m, 400,
		"none; not there: virtual NMIs, preemption timer, TPR shadow, EPT, VPID, unrestricted guest, PML, APIC virtualization, virtual x2APIC, RDTSCP, INVPCID, XSAVES, WBINVD exiting, PAUSE-loop exiting");
	expect_description(&m, 8, "none; n");
}

/* Intel's specification updates list these; their neighbours by stepping, and the same CPUs in a guest, are right. */
static void a_preemption_timer_that_counts_wrongly_is_not_used(void **state)
{
	static const uint32_t wrong[] = { 0x206e6, 0x20652, 0x20655, 0x106e5, 0x106a0, 0x106a1, 0x106a4,
		0x106a5, 0x306a8, 0x306a8 | 0x1000 /* type bits do not count */ };
	static const uint32_t right[] = { 0, 0x106a2, 0x106e4, 0x206c2, 0x206e5, 0x306a9, 0x306c3, 0x50654,
		0x1106e5 };
	struct vmx_controls c;
	struct vmx_reasons why;
	struct vmx_msrs m = full();
	char text[400];

	m.proc &= ~(PROC_CR3_LOAD | PROC_CR3_STORE);
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		m.signature = wrong[i];
		assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
		assert_true(c.preemption_timer_wrong && !c.preemption_timer);
		assert_false(c.pin & PIN_PREEMPTION_TIMER || c.exit & EXIT_SAVE_PREEMPTION);
		assert_true(says(why.degraded, why.ndegraded, "counts wrongly"));
		vmx_controls_describe(&c, text, sizeof(text));
		assert_non_null(
			strstr(text, "exiting; not used: preemption timer (counts wrongly on this CPU)"));
		assert_null(strstr(text, "not there"));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(right); i++) {
		m.signature = right[i];
		assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
		assert_true(c.preemption_timer && !c.preemption_timer_wrong);
	}
	/* A CPU of the list that does not offer it at all lacks it. */
	m.signature = 0x106e5;
	m.pin &= ~((uint64_t)PIN_PREEMPTION_TIMER << 32);
	assert_int_equal(vmx_controls_choose(&m, &c, &why), 0);
	assert_false(c.preemption_timer || c.preemption_timer_wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_controls_are_chosen_where_the_cpu_has_them),
		cmocka_unit_test(a_preemption_timer_that_counts_wrongly_is_not_used),
		cmocka_unit_test(each_mandatory_control_is_named),
		cmocka_unit_test(optional_controls_degrade),
		cmocka_unit_test(forced_cr3_exits_rule_ept_out),
		cmocka_unit_test(without_exits_for_cr3_ept_is_the_only_way),
		cmocka_unit_test(efer_and_pat_need_not_be_switched_by_the_vmcs),
		cmocka_unit_test(the_options_are_listed_as_used_or_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
