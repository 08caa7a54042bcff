/* SPDX-License-Identifier: MIT */
/* The one accessor to guest memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/internal.h"
#include "mm/space/guest_mem.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/rig.h"

static int setup(void **state)
{
	rig_start(1);
	return 0;
}

static int teardown(void **state)
{
	mmu_yield = NULL;
	rig_stop();
	return 0;
}

/* Random reads and writes over slots with gaps, ROM and large pieces, against a plain array. */
static void reads_and_writes_are_complete_or_refused(void **state)
{
	enum { PAGES = 700 };
	static uint8_t model[PAGES * 4096], buf[20000], got[20000];
	static const struct {
		unsigned at, n, flags;
	} map[] = { { 0, 5, 0 }, { 5, 3, 0 }, { 8, 2, SLOT_READONLY }, { 12, 600, 0 }, { 612, 40, 0 } };
	uint8_t kind[PAGES] = { 0 }; /* 0 hole, 1 RAM, 2 ROM */

	for (unsigned i = 0; i < ARRAY_SIZE(map); i++) {
		rig_slot(map[i].at, map[i].n, map[i].flags);
		for (unsigned p = map[i].at; p < map[i].at + map[i].n; p++)
			kind[p] = map[i].flags ? 2 : 1;
	}
	for (unsigned round = 0; round < 20000; round++) {
		uint64_t n = below(2) ? 1 + below(16) : below(sizeof(buf)), at = below(PAGES * 4096ul - n);
		bool ram = true, any = true;

		for (uint64_t p = at >> 12; n && p <= (at + n - 1) >> 12; p++) {
			ram &= kind[p] == 1;
			any &= kind[p] != 0;
		}
		switch (below(4)) {
		case 0:
			for (uint64_t i = 0; i < n; i++)
				buf[i] = (uint8_t)oracle_random();
			assert_int_equal(guest_write(rig.mmu, gpa(at), buf, n), ram ? 0 : -E_FAULT);
			if (ram)
				memcpy(model + at, buf, n);
			break;
		case 1:
			for (uint64_t i = 0; i < n; i++)
				buf[i] = (uint8_t)oracle_random();
			assert_int_equal(guest_write_rom(rig.mmu, gpa(at), buf, n), any ? 0 : -E_FAULT);
			if (any)
				memcpy(model + at, buf, n);
			break;
		case 2:
			assert_int_equal(guest_zero(rig.mmu, gpa(at), n), ram ? 0 : -E_FAULT);
			if (ram)
				memset(model + at, 0, n);
			break;
		case 3:
			memset(got, 0xee, n);
			assert_int_equal(guest_read(rig.mmu, gpa(at), got, n), any ? 0 : -E_FAULT);
			for (uint64_t i = 0; i < n; i++)
				assert_int_equal(got[i], any ? model[at + i] : 0xee);
		}
	}
}

static void ranges_that_wrap_are_refused(void **state)
{
	char c[8192] = { 0 };

	rig_slot(BIT(28) - 2, 2, 0);
	assert_int_equal(guest_read(rig.mmu, gpa(BIT(40) - 8192), c, 8192), 0);
	assert_int_equal(guest_read(rig.mmu, gpa(BIT(40) - 4096), c, 8192), -E_FAULT);
	assert_int_equal(guest_read(rig.mmu, gpa(UINT64_MAX - 10), c, 100), -E_FAULT);
	assert_int_equal(guest_zero(rig.mmu, gpa(BIT(40) - 8192), UINT64_MAX), -E_FAULT);
	assert_int_equal(guest_zero(rig.mmu, gpa(BIT(40) - 8192), UINT64_MAX - BIT(40) + 8193), -E_FAULT);
	assert_int_equal(guest_write(rig.mmu, gpa(5), c, 0), 0);
}

static void compare_exchange(void **state)
{
	uint64_t old = 5, was = 0x1122334455667788;

	rig_slot(0, 2, 0);
	rig_slot(2, 1, SLOT_READONLY);
	assert_int_equal(guest_cmpxchg(rig.mmu, gpa(8), &old, 7, 8), -E_AGAIN);
	assert_int_equal(old, 0);
	assert_int_equal(guest_cmpxchg(rig.mmu, gpa(8), &old, was, 8), 0);
	old = 0x55667788;
	assert_int_equal(guest_cmpxchg(rig.mmu, gpa(8), &old, 1, 4), 0);
	assert_int_equal(guest_read(rig.mmu, gpa(8), &old, 8), 0);
	assert_int_equal(old, 0x1122334400000001);
	old = BIT(32) | 1; /* cannot be there in 4 bytes */
	assert_int_equal(guest_cmpxchg(rig.mmu, gpa(8), &old, 1, 4), -E_AGAIN);
	assert_int_equal(old, 1);
	assert_int_equal(guest_cmpxchg(rig.mmu, gpa(9), &old, 1, 8), -E_INVAL);
	assert_int_equal(guest_cmpxchg(rig.mmu, gpa(8), &old, 1, 2), -E_INVAL);
	assert_int_equal(guest_cmpxchg(rig.mmu, gpa(0x2000), &old, 1, 8), -E_FAULT);
	assert_int_equal(guest_cmpxchg(rig.mmu, gpa(0x3000), &old, 1, 8), -E_FAULT);
}

/* A store under way on one CPU keeps the RAM of a slot that another CPU deletes (rule 4, host quiescence). */
static struct mmu_ticket ticket;
static slot_id victim;
static bool ready_meanwhile;
static unsigned points;

static void delete_meanwhile(void)
{
	if (points--)
		return;
	mmu_yield = NULL;
	test_cpu_id = 1;
	mmu_cpu_quiescent(1);
	assert_int_equal(slot_delete(rig.mmu, victim, &ticket), 0);
	mmu_cpu_quiescent(1);
	ready_meanwhile = mmu_ticket_ready(rig.mmu, &ticket);
	test_cpu_id = 0;
}

static void store_in_flight_holds_the_ticket(void **state)
{
	uint64_t v = 1;

	victim = rig_slot(0, 2, 0);
	mmu_cpu_quiescent(0);
	/* Within the look-up: it is found out. */
	points = 0;
	mmu_yield = delete_meanwhile;
	assert_int_equal(guest_write(rig.mmu, gpa(0), &v, 8), -E_FAULT);
	/* Between look-up and copy. */
	victim = rig_slot(0, 2, 0);
	mmu_cpu_quiescent(0);
	points = 1;
	mmu_yield = delete_meanwhile;
	assert_int_equal(guest_write(rig.mmu, gpa(0), &v, 8), 0);
	assert_false(ready_meanwhile);
	assert_false(mmu_ticket_ready(rig.mmu, &ticket));
	mmu_cpu_quiescent(0);
	assert_true(mmu_ticket_ready(rig.mmu, &ticket));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(reads_and_writes_are_complete_or_refused),
		T(ranges_that_wrap_are_refused),
		T(compare_exchange),
		T(store_in_flight_holds_the_ticket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
