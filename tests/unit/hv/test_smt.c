/* SPDX-License-Identifier: MIT */
/* Threads of a core are known by CPUID, as each generation of CPUs has it; and what follows from `smt` in lethe.conf. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/host/smt_pure.h"

static struct {
	uint32_t leaf, subleaf;
	struct cpuid is;
} leaves[16];
static unsigned nleaves, reads;

static struct cpuid read_leaf(uint32_t leaf, uint32_t subleaf)
{
	reads++;
	for (unsigned i = 0; i < nleaves; i++)
		if (leaves[i].leaf == leaf && leaves[i].subleaf == subleaf)
			return leaves[i].is;
	return (struct cpuid){ 0 };
}

static void has(uint32_t leaf, uint32_t subleaf, struct cpuid is)
{
	leaves[nleaves].leaf = leaf;
	leaves[nleaves].subleaf = subleaf;
	leaves[nleaves++].is = is;
}

static int setup(void **state)
{
	(void)state;
	nleaves = reads = 0;
	return 0;
}

#define HTT BIT(28)

static void leaf_0b_gives_the_width_of_the_first_level(void **state)
{
	(void)state;
	has(0, 0, (struct cpuid){ .eax = 0x16 });
	has(0xb, 0, (struct cpuid){ .eax = 1, .ebx = 2, .ecx = 0x100 });
	has(0xb, 1, (struct cpuid){ .eax = 4, .ebx = 12, .ecx = 0x201 });
	assert_int_equal(smt_bits(read_leaf), 1);
	leaves[1].is.eax = 0; /* SMT switched off in the firmware's set-up */
	assert_int_equal(smt_bits(read_leaf), 0);
}

/* On hybrid CPUs an E-core has one thread, but the APIC IDs of the whole package are made alike. */
static void the_width_counts_and_not_the_number_of_threads(void **state)
{
	(void)state;
	has(0, 0, (struct cpuid){ .eax = 0x20 });
	has(0x1f, 0, (struct cpuid){ .eax = 1, .ebx = 1, .ecx = 0x100 });
	has(0x1f, 1, (struct cpuid){ .eax = 7, .ebx = 24, .ecx = 0x201 });
	assert_int_equal(smt_bits(read_leaf), 1);
}

static void leaf_1f_goes_before_0b(void **state)
{
	(void)state;
	has(0, 0, (struct cpuid){ .eax = 0x1f });
	has(0xb, 0, (struct cpuid){ .eax = 1, .ebx = 2, .ecx = 0x100 });
	has(0x1f, 0, (struct cpuid){ .eax = 2, .ebx = 4, .ecx = 0x100 });
	assert_int_equal(smt_bits(read_leaf), 2);
	leaves[0].is.eax = 0x1e; /* a leaf beyond the last one shows the last one's data */
	assert_int_equal(smt_bits(read_leaf), 1);
	leaves[0].is.eax = 0x1f;
	leaves[2].is = (struct cpuid){ 0 }; /* in range, and empty */
	assert_int_equal(smt_bits(read_leaf), 1);
}

static void levels_without_threads_mean_no_smt(void **state)
{
	(void)state;
	has(0, 0, (struct cpuid){ .eax = 0x1f });
	has(1, 0, (struct cpuid){ .ebx = 16 << 16, .edx = HTT });
	has(0x1f, 0, (struct cpuid){ .eax = 5, .ebx = 8, .ecx = 0x200 });
	assert_int_equal(smt_bits(read_leaf), 0);
}

static void older_cpus_tell_by_leaves_4_and_1(void **state)
{
	(void)state;
	has(0, 0, (struct cpuid){ .eax = 0xa });
	has(1, 0, (struct cpuid){ .ebx = 16 << 16, .edx = HTT });
	has(4, 0, (struct cpuid){ .eax = 7u << 26 }); /* 8 numbers for cores */
	assert_int_equal(smt_bits(read_leaf), 1);
	leaves[2].is.eax = 15u << 26;
	assert_int_equal(smt_bits(read_leaf), 0);
	leaves[2].is.eax = 63u << 26; /* more cores than CPUs */
	assert_int_equal(smt_bits(read_leaf), 0);
	leaves[1].is.ebx = 6 << 16; /* three cores of two */
	leaves[2].is.eax = 2u << 26;
	assert_int_equal(smt_bits(read_leaf), 1);
	leaves[0].is.eax = 3; /* firmware limits CPUID */
	leaves[1].is.ebx = 2 << 16;
	assert_int_equal(smt_bits(read_leaf), 1);
	leaves[1].is.edx = 0;
	assert_int_equal(smt_bits(read_leaf), 0);
}

static void a_list_of_levels_that_does_not_end_is_left(void **state)
{
	(void)state;
	has(0, 0, (struct cpuid){ .eax = 0xb });
	for (unsigned i = 0; i < ARRAY_SIZE(leaves) - 1; i++)
		has(0xb, i, (struct cpuid){ .eax = 31, .ebx = 1, .ecx = 0x200 });
	assert_int_equal(smt_bits(read_leaf), 0);
	assert_true(reads < 20);
	leaves[1].is = (struct cpuid){ .eax = 0xffffffff, .ebx = 1, .ecx = 0x100 };
	assert_int_equal(smt_bits(read_leaf), 31);
}

static void policy(enum conf_smt conf, bool needed, bool same_vm, bool park, bool warn)
{
	struct smt_policy p = smt_decide(conf, needed);

	assert_int_equal(p.same_vm, same_vm);
	assert_int_equal(p.park, park);
	assert_int_equal(p.warn, warn);
}

static void each_value_of_smt_is_one_policy(void **state)
{
	(void)state;
	policy(CONF_SMT_AUTO, true, true, false, false);
	policy(CONF_SMT_AUTO, false, false, false, false);
	policy(CONF_SMT_SAME_VM, true, true, false, false);
	policy(CONF_SMT_SAME_VM, false, true, false, false);
	policy(CONF_SMT_OFF, true, false, true, false);
	policy(CONF_SMT_OFF, false, false, true, false);
	policy(CONF_SMT_ON, true, false, false, true);
	policy(CONF_SMT_ON, false, false, false, false);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(leaf_0b_gives_the_width_of_the_first_level),
		T(the_width_counts_and_not_the_number_of_threads),
		T(leaf_1f_goes_before_0b),
		T(levels_without_threads_mean_no_smt),
		T(older_cpus_tell_by_leaves_4_and_1),
		T(a_list_of_levels_that_does_not_end_is_left),
		T(each_value_of_smt_is_one_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
