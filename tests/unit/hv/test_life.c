/* SPDX-License-Identifier: MIT */
/* A VM's states, the steps in which it is made and undone, and what it is made of. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv/vm/life_pure.h"
#include "hv/vm/policy_pure.h"
#include "hv/vm/steps_pure.h"

#define GiB (1024ul * MiB)

/* ---- states ---- */

#define STATES (LIFE_GONE + 1)

/* The drawing of hv/vm/life_pure.h, from row to column. */
static const bool drawn[STATES][STATES] = {
	/* created  running  paused  ended  gone */
	[LIFE_CREATED] = { false, true, false, true, true },
	[LIFE_RUNNING] = { false, false, true, true, false },
	[LIFE_PAUSED] = { false, true, false, true, false },
	[LIFE_ENDED] = { false, false, false, false, true },
	[LIFE_GONE] = { false, false, false, false, false },
};

static void states_change_as_drawn_and_no_other_way(void **state)
{
	for (unsigned from = 0; from < STATES; from++)
		for (unsigned to = 0; to < STATES; to++) {
			struct vm_life l = { from };

			assert_int_equal(life_change(&l, (enum life)to, 0, 0), drawn[from][to]);
			assert_int_equal(life_state(&l), drawn[from][to] ? to : from);
		}
}

static void first_reason_of_an_end_stays(void **state)
{
	struct vm_life l = { LIFE_RUNNING };

	assert_false(life_ended(&l));
	assert_true(life_change(&l, LIFE_ENDED, VM_END_DEBUG_EXIT, 0xffffffff));
	assert_false(life_change(&l, LIFE_ENDED, VM_END_TRIPLE_FAULT, 3));
	assert_true(life_ended(&l));
	assert_int_equal(life_end_why(&l), VM_END_DEBUG_EXIT);
	assert_int_equal(life_end_code(&l), 0xffffffff);
	assert_true(life_change(&l, LIFE_GONE, 0, 0));
	assert_int_equal(life_end_why(&l), VM_END_DEBUG_EXIT);
}

/* ---- steps ---- */

#define STEPS 3

static struct {
	unsigned fails; /* the step that fails; STEPS: none */
	bool held[STEPS];
	unsigned pieces[STEPS], order[16], n;
} work;

static int make(unsigned i)
{
	work.held[i] = true; /* also when it fails: it has made a part */
	work.pieces[i] = i + 1;
	return work.fails == i ? -E_NOMEM : 0;
}

static bool unmake(unsigned i)
{
	assert_true(work.held[i]);
	work.order[work.n++] = i;
	work.held[i] = --work.pieces[i];
	return !work.held[i];
}

static int make_0(void *of)
{
	return make(0);
}

static int make_1(void *of)
{
	return make(1);
}

static int make_2(void *of)
{
	return make(2);
}

static bool unmake_0(void *of)
{
	return unmake(0);
}

static bool unmake_2(void *of)
{
	return unmake(2);
}

/* The middle step has nothing to give back. */
static const struct step steps[STEPS] = { { "zero", make_0, unmake_0 }, { "one", make_1, NULL },
	{ "two", make_2, unmake_2 } };

static void a_step_that_fails_is_undone_with_those_before_it(void **state)
{
	for (unsigned fails = 0; fails <= STEPS; fails++) {
		unsigned made;
		const char *what = NULL;

		memset(&work, 0, sizeof(work));
		work.fails = fails;
		assert_int_equal(steps_make(steps, STEPS, NULL, &made), fails < STEPS ? -E_NOMEM : 0);
		assert_int_equal(made, fails < STEPS ? fails + 1 : STEPS);
		while (!steps_unmake(steps, &made, NULL, &what))
			assert_non_null(what);
		assert_int_equal(made, 0);
		assert_true(steps_unmake(steps, &made, NULL, &what));
		assert_false(work.held[0] || work.held[2]);
		/* From the last to the first, each in as many pieces as it takes. */
		assert_int_equal(work.n, fails >= 2 ? 4 : 1);
		for (unsigned i = 0; i < work.n; i++)
			assert_int_equal(work.order[i], i + 1 < work.n ? 2 : 0);
	}
}

/* ---- policy ---- */

static const struct policy_host host = { .ept = true, .shadow = true, .apicv = true, .unrestricted = true };
static struct conf_vm conf;
static struct policy p;

static uint64_t mapped(enum policy_backing b)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < p.nregions; i++)
		if (p.region[i].backing == b) {
			assert_true(p.region[i].at + p.region[i].to - p.region[i].from <= p.backing_bytes[b]);
			bytes += p.region[i].to - p.region[i].from;
		}
	return bytes;
}

static void ram_lies_around_the_holes_of_a_pc(void **state)
{
	const char *why;

	conf = (struct conf_vm){ .memory = 4 * GiB };
	assert_int_equal(policy_from_conf(&p, &conf, &host, &why), 0);
	assert_int_equal(p.backing_bytes[POLICY_RAM_LOW], 3 * GiB);
	assert_int_equal(p.backing_bytes[POLICY_RAM_HIGH], 1 * GiB);
	assert_int_equal(mapped(POLICY_RAM_LOW), 3 * GiB - (LAYOUT_BIOS_END - LAYOUT_VGA));
	assert_int_equal(mapped(POLICY_RAM_HIGH), 1 * GiB);
	for (unsigned i = 0; i < p.nregions; i++)
		if (p.region[i].backing <= POLICY_RAM_HIGH) /* or no 1 GiB page fits */
			assert_int_equal(p.region[i].from % GiB, p.region[i].at % GiB);
	conf.memory = 64 * MiB;
	assert_int_equal(policy_from_conf(&p, &conf, &host, &why), 0);
	assert_int_equal(p.backing_bytes[POLICY_RAM_HIGH], 0);
	assert_int_equal(mapped(POLICY_RAM_HIGH), 0);
}

static void pages_of_lethes_own_are_there_only_where_the_cpu_needs_them(void **state)
{
	struct policy_host h = host;
	const char *why;

	conf = (struct conf_vm){ .memory = 64 * MiB };
	assert_int_equal(policy_from_conf(&p, &conf, &h, &why), 0);
	assert_int_equal(mapped(POLICY_APIC_PAGE), PAGE_SIZE);
	assert_int_equal(p.backing_bytes[POLICY_IDENTITY], 0);
	h.apicv = h.unrestricted = false;
	assert_int_equal(policy_from_conf(&p, &conf, &h, &why), 0);
	assert_int_equal(mapped(POLICY_APIC_PAGE), 0);
	assert_int_equal(mapped(POLICY_IDENTITY), PAGE_SIZE);
	assert_false(p.unrestricted || p.msrs.efer);
	/* Shadow page tables serve a guest without paging, too. */
	conf.mmu = CONF_MMU_SHADOW;
	assert_int_equal(policy_from_conf(&p, &conf, &h, &why), 0);
	assert_int_equal(mapped(POLICY_IDENTITY), 0);
}

static void shadow_page_tables_are_for_vms_that_ask_and_for_cpus_without_ept(void **state)
{
	static const struct {
		enum conf_mmu mmu;
		bool ept, shadow;
	} cases[] = {
		{ CONF_MMU_AUTO, true, false },
		{ CONF_MMU_AUTO, false, true },
		{ CONF_MMU_EPT, true, false },
		{ CONF_MMU_SHADOW, true, true },
		{ CONF_MMU_SHADOW, false, true },
	};
	const char *why;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policy_host h = host;

		h.ept = h.unrestricted = cases[i].ept;
		conf = (struct conf_vm){ .memory = 64 * MiB, .mmu = cases[i].mmu };
		assert_int_equal(policy_from_conf(&p, &conf, &h, &why), 0);
		assert_int_equal(p.mmu.shadow, cases[i].shadow);
		assert_int_equal(p.unrestricted, !cases[i].shadow);
		/* A guest on shadow page tables reads an EFER that is not the CPU's. */
		assert_int_equal(p.msrs.efer, !cases[i].shadow);
		assert_int_equal(p.mmu.indirect_pages, cases[i].shadow ? 256 : 0);
	}
	conf.memory = 512 * MiB;
	assert_int_equal(policy_from_conf(&p, &conf, &host, &why), 0);
	assert_int_equal(p.mmu.indirect_pages, 2048);
	conf.memory = 512 * GiB;
	assert_int_equal(policy_from_conf(&p, &conf, &host, &why), 0);
	assert_int_equal(p.mmu.indirect_pages, 1 << 16);
}

static void vcpus_that_no_sipi_starts_have_a_mailbox(void **state)
{
	struct policy_host h = host;
	const char *why;

	conf = (struct conf_vm){ .memory = 6 * GiB };
	h.vcpus = 4;
	assert_int_equal(policy_from_conf(&p, &conf, &h, &why), 0);
	assert_int_equal(p.layout.wakeup_gib, 0); /* SIPI starts them */
	assert_int_equal(p.backing_bytes[POLICY_WAKEUP], 0);
	h.unrestricted = false;
	assert_int_equal(policy_from_conf(&p, &conf, &h, &why), 0);
	assert_int_equal(p.layout.wakeup_gib, 7);
	assert_int_equal(mapped(POLICY_WAKEUP), layout_wakeup_bytes(&p.layout));
	h.vcpus = 1;
	assert_int_equal(policy_from_conf(&p, &conf, &h, &why), 0);
	assert_int_equal(p.layout.wakeup_gib, 0); /* there are none */
	assert_int_equal(mapped(POLICY_WAKEUP), 0);
	/* On shadow page tables no SIPI starts them, whatever the CPU has. */
	h = host;
	h.vcpus = 2;
	conf.mmu = CONF_MMU_SHADOW;
	assert_int_equal(policy_from_conf(&p, &conf, &h, &why), 0);
	assert_int_equal(p.layout.wakeup_gib, 7);
	assert_int_equal(mapped(POLICY_WAKEUP), layout_wakeup_bytes(&p.layout));
}

static void a_policy_the_host_cannot_offer_is_refused_with_a_reason(void **state)
{
	struct policy_host h = host;
	const char *why = NULL;

	conf = (struct conf_vm){ .memory = 64 * MiB, .mmu = CONF_MMU_EPT };
	h.ept = false;
	assert_int_equal(policy_from_conf(&p, &conf, &h, &why), -E_NOSUP);
	assert_non_null(strstr(why, "mmu = ept: this CPU has no EPT"));
	h = host;
	h.shadow = false;
	conf.mmu = CONF_MMU_SHADOW;
	assert_int_equal(policy_from_conf(&p, &conf, &h, &why), -E_NOSUP);
	assert_non_null(strstr(why, "mmu = shadow"));
	conf.mmu = CONF_MMU_AUTO;
	conf.memory = 64 * MiB + 1;
	assert_int_equal(policy_from_conf(&p, &conf, &host, &why), -E_RANGE);
	assert_non_null(strstr(why, "memory"));
}

static void devices_are_those_that_lethe_conf_names(void **state)
{
	const char *why;

	conf = (struct conf_vm){
		.memory = 64 * MiB, .rom_bytes = 4096, .bar_bytes = 2 * MiB, .debug_exit = true
	};
	assert_int_equal(policy_from_conf(&p, &conf, &host, &why), 0);
	assert_int_equal(p.devices.rom_bytes, 0);
	assert_true(p.devices.debug_exit);
	conf.test_device = true;
	assert_int_equal(policy_from_conf(&p, &conf, &host, &why), 0);
	assert_int_equal(p.devices.rom_bytes, 4096);
}

static void every_port_exits_but_those_that_are_passed(void **state)
{
	static uint8_t bitmap[8192];
	const char *why;

	conf = (struct conf_vm){ .memory = 64 * MiB };
	assert_int_equal(policy_from_conf(&p, &conf, &host, &why), 0);
	policy_io_bitmap(&p, bitmap);
	for (unsigned i = 0; i < sizeof(bitmap); i++)
		assert_int_equal(bitmap[i], 0xff);
	p.nports = 2;
	p.port[0] = (struct policy_ports){ 0x3f8, 0x3ff };
	p.port[1] = (struct policy_ports){ 0xffff, 0xffff };
	policy_io_bitmap(&p, bitmap);
	for (unsigned port = 0; port < 65536; port++)
		assert_int_equal(!(bitmap[port / 8] >> port % 8 & 1),
			(port >= 0x3f8 && port <= 0x3ff) || port == 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_change_as_drawn_and_no_other_way),
		cmocka_unit_test(first_reason_of_an_end_stays),
		cmocka_unit_test(a_step_that_fails_is_undone_with_those_before_it),
		cmocka_unit_test(ram_lies_around_the_holes_of_a_pc),
		cmocka_unit_test(pages_of_lethes_own_are_there_only_where_the_cpu_needs_them),
		cmocka_unit_test(shadow_page_tables_are_for_vms_that_ask_and_for_cpus_without_ept),
		cmocka_unit_test(vcpus_that_no_sipi_starts_have_a_mailbox),
		cmocka_unit_test(a_policy_the_host_cannot_offer_is_refused_with_a_reason),
		cmocka_unit_test(devices_are_those_that_lethe_conf_names),
		cmocka_unit_test(every_port_exits_but_those_that_are_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
