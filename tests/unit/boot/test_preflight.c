/* SPDX-License-Identifier: MIT */
/* Preflight's judgement: which machines are refused, in which words, and that all blockers come at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "boot/preflight.h"
#include "hv/vmx/vmx.h"

static struct report report;

/* The lower half: no control must be 1. */
#define MAY_ALL 0xffffffff00000000ull

/* A machine on which everything is there. */
static struct preflight_facts good(void)
{
	struct preflight_facts f = {
		.vendor = "GenuineIntel",
		.brand = "A CPU with everything",
		.long_mode = true,
		.nx = true,
		.apic = true,
		.vmx = true,
		.feature_control = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX,
		.msrs = { .pin = MAY_ALL,
			.proc = MAY_ALL,
			.proc2 = MAY_ALL,
			.exit = MAY_ALL,
			.entry = MAY_ALL,
			.ept_vpid = ~0ull },
		.memory_total = 4 * GiB,
		.memory_usable = 3 * GiB,
		.memory_files = 20 * MiB,
		.memory_guests = GiB,
		.configured = true,
	};

	return f;
}

static void judge(const struct preflight_facts *f)
{
	memset(&report, 0, sizeof(report));
	preflight_check(f, &report);
}

static bool says(enum report_kind kind, const char *words)
{
	for (unsigned i = 0; i < report.kept; i++)
		if (report.line[i].kind == kind && strstr(report.line[i].text, words))
			return true;
	return false;
}

/* Exactly one blocker, and it has these words. */
static void expect_blocker(const struct preflight_facts *f, const char *words)
{
	judge(f);
	if (!says(REPORT_MACHINE, words))
		fail_msg("no blocker says \"%s\"; the first is: %s", words, report.line[0].text);
	assert_int_equal(report.n[REPORT_MACHINE], 1);
	assert_true(report_blocks(&report));
}

static void a_good_machine_passes_without_findings(void **state)
{
	struct preflight_facts f = good();

	judge(&f);
	assert_int_equal(report.kept, 0);
	assert_false(report_blocks(&report));
}

static void every_hypervisor_that_hides_vmx_has_its_remedy(void **state)
{
	static const struct {
		const char *vendor, *words;
	} cases[] = {
		{ "KVMKVMKVM", "nested=1" },
		{ "TCGTCGTCGTCG", "-accel kvm" },
		{ "VMwareVMware", "Virtualize Intel VT-x/EPT" },
		{ "Microsoft Hv", "ExposeVirtualizationExtensions" },
		{ "VBoxVBoxVBox", "--nested-hw-virt on" },
		{ "XenVMMXenVMM", "nestedhvm=1" },
		{ "SomeOtherOne", "SomeOtherOne" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct preflight_facts f = good();

		f.vmx = false;
		f.hypervisor = true;
		strcpy(f.hypervisor_vendor, cases[i].vendor);
		expect_blocker(&f, cases[i].words);
		assert_true(says(REPORT_MACHINE, "no VT-x (VMX)"));
	}
}

static void a_cpu_without_vmx_is_refused_by_maker(void **state)
{
	struct preflight_facts f = good();

	f.vmx = false;
	expect_blocker(&f, "use a machine whose CPU has VT-x");
	strcpy(f.vendor, "AuthenticAMD");
	expect_blocker(&f, "AMD's SVM");
}

static void vmx_locked_off_is_refused_and_unlocked_is_not(void **state)
{
	struct preflight_facts f = good();

	f.feature_control = FEATURE_CONTROL_LOCK;
	expect_blocker(&f, "locked off by the firmware (IA32_FEATURE_CONTROL = 0x1)");
	f.feature_control = FEATURE_CONTROL_LOCK | BIT(1); /* inside SMX only */
	expect_blocker(&f, "locked off by the firmware (IA32_FEATURE_CONTROL = 0x3)");
	f.hypervisor = true;
	expect_blocker(&f, "nested virtualization");
	f.hypervisor = false;
	f.feature_control = 0;
	judge(&f);
	assert_false(report_blocks(&report));
	assert_true(says(REPORT_NOTE, "Lethe enables and locks it"));
}

static void each_mandatory_control_is_asked_for(void **state)
{
	static const struct {
		size_t msr;
		uint64_t bit;
	} controls[] = {
		{ offsetof(struct vmx_msrs, pin), PIN_EXTERNAL_INTERRUPT },
		{ offsetof(struct vmx_msrs, pin), PIN_NMI },
		{ offsetof(struct vmx_msrs, proc), PROC_HLT },
		{ offsetof(struct vmx_msrs, proc), PROC_IO_BITMAPS },
		{ offsetof(struct vmx_msrs, proc), PROC_MSR_BITMAPS },
		{ offsetof(struct vmx_msrs, exit), EXIT_HOST_64 },
		{ offsetof(struct vmx_msrs, exit), EXIT_ACK_INTERRUPT },
		{ offsetof(struct vmx_msrs, entry), ENTRY_IA32E },
	};

	for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
		struct preflight_facts f = good();
		uint64_t *msr = (uint64_t *)((char *)&f.msrs + controls[i].msr);

		*msr &= ~(controls[i].bit << 32);
		expect_blocker(&f, "the CPU lacks this VMX control");
	}
}

static void expect_shadow(const struct preflight_facts *f)
{
	judge(f);
	assert_false(report_blocks(&report));
	assert_true(says(REPORT_NOTE, "no EPT: guests run on shadow page tables"));
	assert_true(says(REPORT_NOTE, "no unrestricted guest"));
	assert_true(says(REPORT_NOTE, "guests run faster: use a machine with a newer CPU"));
}

static void a_cpu_without_ept_is_told_what_follows(void **state)
{
	static const uint64_t needed[] = { EPTCAP_4LEVEL, EPTCAP_WB, EPTCAP_INVEPT, EPTCAP_INVEPT_ALL };
	struct preflight_facts f = good();

	f.msrs.proc2 &= ~(PROC2_EPT << 32);
	expect_shadow(&f);
	f = good();
	f.msrs.proc &= ~(PROC_SECONDARY << 32);
	f.msrs.proc2 = f.msrs.ept_vpid = 0;
	f.msrs.exit &= ~((EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PAT | EXIT_LOAD_PAT) << 32);
	f.msrs.entry &= ~((ENTRY_LOAD_EFER | ENTRY_LOAD_PAT) << 32);
	expect_shadow(&f);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		f = good();
		f.msrs.ept_vpid &= ~needed[i];
		expect_shadow(&f);
	}
}

static void neither_ept_nor_exits_for_shadow_page_tables_is_a_blocker(void **state)
{
	struct preflight_facts f = good();

	f.msrs.proc2 &= ~(PROC2_EPT << 32);
	f.msrs.proc &= ~(PROC_CR3_LOAD << 32);
	expect_blocker(
		&f, "the CPU lacks this VMX control: EPT, or CR3 and INVLPG exits for shadow page tables");
}

static void what_a_hypervisor_hides_has_the_remedy_of_that_hypervisor(void **state)
{
	static const struct {
		const char *vendor, *control, *ept;
	} cases[] = {
		/* KVM has it; the model of the CPU hides it. */
		{ "KVMKVMKVM", "use MSR bitmaps: the model of this machine's CPU hides it",
			"(QEMU: -cpu host)" },
		{ "Microsoft Hv", "use MSR bitmaps: the hypervisor around this machine must offer it",
			"switch EPT on in the hypervisor" },
		{ "SomeOtherOne", "use MSR bitmaps: the hypervisor around this machine must offer it",
			"switch EPT on in the hypervisor" },
		{ "", "use MSR bitmaps: use a machine with a newer CPU",
			"use a machine with a newer CPU (Core i3" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct preflight_facts f = good();

		f.hypervisor = cases[i].vendor[0];
		strcpy(f.hypervisor_vendor, cases[i].vendor);
		f.msrs.proc &= ~(PROC_MSR_BITMAPS << 32);
		expect_blocker(&f, cases[i].control);
		f = good();
		f.hypervisor = cases[i].vendor[0];
		strcpy(f.hypervisor_vendor, cases[i].vendor);
		f.msrs.proc2 &= ~(PROC2_EPT << 32);
		judge(&f);
		assert_true(says(REPORT_NOTE, cases[i].ept));
		assert_false(says(REPORT_NOTE, "KVM") && strcmp(cases[i].vendor, "KVMKVMKVM") != 0);
	}
}

static void what_is_optional_is_a_note(void **state)
{
	struct preflight_facts f = good();

	f.msrs.proc2 &= ~(PROC2_UNRESTRICTED << 32);
	f.msrs.ept_vpid &= ~EPTCAP_2M;
	judge(&f);
	assert_false(report_blocks(&report));
	assert_true(says(REPORT_NOTE, "unrestricted guest"));
	assert_true(says(REPORT_NOTE, "2 MiB pages"));
}

static void the_cpu_must_have_64_bits_nx_and_an_apic(void **state)
{
	struct preflight_facts f = good();

	f.long_mode = false;
	expect_blocker(&f, "64-bit");
	f = good();
	f.nx = false;
	expect_blocker(&f, "Execute Disable");
	f = good();
	f.apic = false;
	expect_blocker(&f, "local APIC");
}

static void too_little_memory_names_every_number(void **state)
{
	struct preflight_facts f = good();

	f.memory_guests = 4 * GiB;
	expect_blocker(&f,
		"3072 MiB are free, the guests ask for 4096 MiB, their files for 20 MiB and Lethe for 80 MiB: lower memory = in lethe.conf by 1124 MiB");
	f = good();
	f.memory_guests = 0;
	f.configured = false;
	f.memory_usable = 8 * MiB;
	expect_blocker(&f, "8 MiB are free, Lethe alone needs 16 MiB");
}

static void memory_fits_to_the_byte(void **state)
{
	struct preflight_facts f = good();

	f.memory_usable = f.memory_guests + f.memory_files + preflight_own_memory(f.memory_guests);
	judge(&f);
	assert_false(report_blocks(&report));
	f.memory_usable--;
	expect_blocker(&f, "too little memory");
}

static void the_largest_guests_there_can_be_do_not_wrap(void **state)
{
	struct preflight_facts f = good();

	f.memory_guests = 16 * 65536 * GiB;
	f.memory_files = 64 * 65536 * GiB;
	expect_blocker(&f, "too little memory");
}

static void all_blockers_come_at_once(void **state)
{
	struct preflight_facts f = good();

	f.nx = f.apic = f.vmx = false;
	f.memory_usable = 0;
	judge(&f);
	assert_int_equal(report.n[REPORT_MACHINE], 4);
	f = good();
	f.nx = false;
	f.feature_control = FEATURE_CONTROL_LOCK;
	f.msrs.pin = 0;
	f.msrs.proc &= ~(PROC_INVLPG << 32);
	f.msrs.proc2 = f.msrs.ept_vpid = 0;
	judge(&f);
	assert_true(says(REPORT_MACHINE, "NX"));
	assert_true(says(REPORT_MACHINE, "locked off"));
	assert_true(says(REPORT_MACHINE, "external-interrupt exiting"));
	assert_true(says(REPORT_MACHINE, "NMI exiting"));
	assert_true(says(REPORT_MACHINE, "EPT, or CR3"));
}

/* ---- how it is shown ---- */

static char shown[32768];

static void collect(void *to, const char *text)
{
	assert_ptr_equal(to, shown);
	assert_true(strlen(shown) + strlen(text) + 2 < sizeof(shown));
	strcat(shown, text);
	strcat(shown, "\n");
}

static void the_screen_begins_with_all_that_blocks(void **state)
{
	memset(&report, 0, sizeof(report));
	report_add(&report, REPORT_NOTE, "a note");
	report_add(&report, REPORT_CONFIG, "lethe.conf:3: wrong");
	report_add(&report, REPORT_MACHINE, "no %s", "VT-x");
	shown[0] = 0;
	report_show(&report, collect, shown);
	assert_string_equal(shown, "Lethe cannot start on this machine:\n"
				   "  - no VT-x\n"
				   "  - lethe.conf:3: wrong\n"
				   "\n"
				   "Worth knowing:\n"
				   "  - a note\n");
}

static void more_lines_than_fit_are_counted(void **state)
{
	memset(&report, 0, sizeof(report));
	for (int i = 0; i < REPORT_LINES + 3; i++)
		report_add(&report, REPORT_CONFIG, "line %d", i);
	shown[0] = 0;
	report_show(&report, collect, shown);
	assert_non_null(strstr(shown, "  - and 3 more\n"));
}

static void the_capabilities_found_are_listed(void **state)
{
	struct preflight_facts f = good();

	f.family = 6;
	f.model = 85;
	f.msrs.ept_vpid = EPTCAP_4LEVEL | EPTCAP_2M;
	f.msrs.proc2 = PROC2_EPT << 32;
	shown[0] = 0;
	preflight_describe(&f, collect, shown);
	assert_non_null(
		strstr(shown, "CPU: A CPU with everything (GenuineIntel, family 6, model 85, stepping 0)\n"));
	assert_non_null(strstr(shown, "IA32_FEATURE_CONTROL: 0x5 (locked, VMX outside SMX on)\n"));
	assert_non_null(strstr(shown, "\n    EPT\n"));
	assert_null(strstr(shown, "unrestricted"));
	assert_non_null(strstr(shown, "2 MiB pages"));
	assert_null(strstr(shown, "1 GiB pages"));
	assert_non_null(strstr(shown, "guests 1024 MiB"));
	f.vmx = false;
	shown[0] = 0;
	preflight_describe(&f, collect, shown);
	assert_null(strstr(shown, "IA32_"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_machine_passes_without_findings),
		cmocka_unit_test(every_hypervisor_that_hides_vmx_has_its_remedy),
		cmocka_unit_test(a_cpu_without_vmx_is_refused_by_maker),
		cmocka_unit_test(vmx_locked_off_is_refused_and_unlocked_is_not),
		cmocka_unit_test(each_mandatory_control_is_asked_for),
		cmocka_unit_test(a_cpu_without_ept_is_told_what_follows),
		cmocka_unit_test(neither_ept_nor_exits_for_shadow_page_tables_is_a_blocker),
		cmocka_unit_test(what_a_hypervisor_hides_has_the_remedy_of_that_hypervisor),
		cmocka_unit_test(what_is_optional_is_a_note),
		cmocka_unit_test(the_cpu_must_have_64_bits_nx_and_an_apic),
		cmocka_unit_test(too_little_memory_names_every_number),
		cmocka_unit_test(memory_fits_to_the_byte),
		cmocka_unit_test(the_largest_guests_there_can_be_do_not_wrap),
		cmocka_unit_test(all_blockers_come_at_once),
		cmocka_unit_test(the_screen_begins_with_all_that_blocks),
		cmocka_unit_test(more_lines_than_fit_are_counted),
		cmocka_unit_test(the_capabilities_found_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
