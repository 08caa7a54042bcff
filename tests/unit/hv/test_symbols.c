/* SPDX-License-Identifier: MIT */
/* Names for backtraces: what tools/symbols writes is what hv/ reads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "hv/host/symbols_pure.h"

#define TOOL "tools/symbols" /* tests run at the top of the tree */

static char table[1 << 17];

/* Keeps a line of the tool's assembly as the bytes that the assembler makes of it, from table[n] on; returns where they end. */
static int assemble(int n, const char *line)
{
	uint32_t at;

	if (!strncmp(line, ".long ", 6)) {
		at = (uint32_t)strtoul(line + 6, NULL, 0);
		memcpy(table + n, &at, sizeof(at));
		n += (int)sizeof(at);
	} else if (!strncmp(line, ".asciz \"", 8)) {
		int length = (int)strcspn(line + 8, "\"");

		memcpy(table + n, line + 8, (size_t)length);
		table[n + length] = 0;
		n += length + 1;
	}
	assert_true((size_t)n < sizeof(table) - 512);
	return n;
}

/* The bytes of the table that the tool makes of `nm`, what nm -n would print; -1: it fails. */
static int make_table(const char *nm)
{
	char path[] = "/tmp/lethe-nm-XXXXXX", line[512];
	int n = 0, status;
	FILE *f = fdopen(mkstemp(path), "w");

	assert_non_null(f);
	fputs(nm, f);
	fclose(f);
	snprintf(line, sizeof(line), TOOL " %s", path);
	f = popen(line, "r");
	assert_non_null(f);
	memset(table, 0xff, sizeof(table));
	while (fgets(line, sizeof(line), f))
		n = assemble(n, line);
	status = pclose(f);
	unlink(path);
	return status ? -1 : n;
}

static void names(uint32_t offset, const char *expected, int64_t into)
{
	char name[64];

	assert_int_equal(symbols_find(table, offset, name, sizeof(name)), into);
	if (into >= 0)
		assert_string_equal(name, expected);
}

static void every_function_has_its_name(void **state)
{
	assert_true(make_table("0000000000001000 T first\n"
			       "0000000000001003 t mmu_fault\n"
			       "0000000000001010 t mmu_fault_fill.constprop.0\n"
			       "0000000000001020 T mmu_fault_fill_fault\n"
			       "000000000000a0f0 t x\n") > 0);
	names(0xfff, NULL, -E_NOENT);
	names(0x1000, "first", 0);
	names(0x1002, "first", 2);
	names(0x1003, "mmu_fault", 0);
	names(0x101f, "mmu_fault_fill", 15);
	names(0x1020, "mmu_fault_fill_fault", 0);
	names(0xa0ef, "mmu_fault_fill_fault", 0x90cf);
	names(0xa0f1, "x", 1);
	names(UINT32_MAX, "x", UINT32_MAX - 0xa0f0);
}

static void symbols_other_than_functions_have_no_name(void **state)
{
	assert_true(make_table("0000000000000000 A ImageBase\n"
			       "0000000000001000 T _start\n"
			       "0000000000001000 t .exit\n"
			       "0000000000001040 T efi_main\n"
			       "0000000000001040 T same_place\n"
			       "0000000000002000 D data\n") > 0);
	names(0x103f, NULL, -E_NOENT);
	names(0x3000, "efi_main", 0x3000 - 0x1040);
}

/* The first link has none yet. */
static void an_empty_table_names_nothing(void **state)
{
	assert_int_equal(make_table(""), 4);
	names(0x1000, NULL, -E_NOENT);
}

static void a_long_name_is_cut(void **state)
{
	char name[8];

	assert_true(make_table("0000000000001000 T abcabcabcabcabc\n") > 0);
	assert_int_equal(symbols_find(table, 0x1001, name, sizeof(name)), 1);
	assert_string_equal(name, "abcabca");
}

/* As many as the image has: none is taken for another. */
static void a_thousand_names_come_back(void **state)
{
	static char nm[100000];
	static const char *const part[] = { "mmu", "vcpu", "slot", "page", "find", "drop", "x", "exit_fault",
		"_", "2" };
	char expected[64];
	int used = 0;

	for (unsigned i = 0; i < 1000; i++)
		used += snprintf(nm + used, sizeof(nm) - (size_t)used, "%016x t %s_%s_%s%u\n",
			0x1000 + i * i * 5 + i, part[i % 10], part[i / 10 % 10], part[i / 100], i);
	assert_true(make_table(nm) > 0);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(expected, sizeof(expected), "%s_%s_%s%u", part[i % 10], part[i / 10 % 10],
			part[i / 100], i);
		names(0x1000 + i * i * 5 + i, expected, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_function_has_its_name),
		cmocka_unit_test(symbols_other_than_functions_have_no_name),
		cmocka_unit_test(an_empty_table_names_nothing),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(a_thousand_names_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
