/* SPDX-License-Identifier: MIT */
/* Load options, the choice of a kernel when no option names one, and text between UTF-8 and UCS-2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/choice.h"
#include "boot/options.h"
#include "boot/text.h"

static struct options o;

/* In memory of exactly its size, without a final 0 if with_nul is false. */
static void parse(const char *ascii, bool with_nul)
{
	size_t n = strlen(ascii) + with_nul;
	uint16_t *units = malloc(n * 2 + 1);

	for (size_t i = 0; i < n; i++)
		units[i] = (uint8_t)ascii[i];
	options_parse(units, n, &o);
	free(units);
}

static void words_are_understood_with_and_without_a_final_nul(void **state)
{
	for (int nul = 0; nul < 2; nul++) {
		parse("FS0:\\lethe.efi conf=other.conf nowait", nul);
		assert_string_equal(o.wrong, "");
		assert_string_equal(o.conf, "other.conf");
		assert_true(o.nowait);
		assert_false(o.report);
		parse("lethe.efi  kernel=\"my kernel\" initrd=i.img cmdline=console=ttyS0 root=/dev/vda  quiet",
			nul);
		assert_string_equal(o.wrong, "");
		assert_string_equal(o.kernel, "my kernel");
		assert_string_equal(o.initrd, "i.img");
		assert_true(o.has_cmdline);
		assert_string_equal(o.cmdline, "console=ttyS0 root=/dev/vda  quiet");
		parse("report", nul);
		assert_true(o.report);
	}
	parse("fs0:\\a=b\\lethe.efi conf=c", true);
	assert_string_equal(o.wrong, "");
	assert_string_equal(o.conf, "c");
	options_parse(NULL, 0, &o);
	assert_string_equal(o.wrong, "");
}

static void wrong_options_are_reported(void **state)
{
	parse("lethe.efi config=x", false);
	assert_string_equal(o.wrong, "config=x: expected conf=, kernel=, initrd= or cmdline=");
	parse("conf=", false);
	assert_string_equal(o.wrong, "conf=FILE: the name of the file is missing");
	parse("initrd=x", false);
	assert_string_equal(o.wrong, "initrd=: expected kernel=FILE with it");
	parse("cmdline=x", false);
	assert_string_equal(o.wrong, "cmdline=: expected kernel=FILE with it");
	parse("conf=a kernel=b", false);
	assert_string_equal(o.wrong, "conf= and kernel=: expected one of them");
}

static void texts_that_are_too_long_are_refused(void **state)
{
	char text[8192];

	memset(text, 'x', sizeof(text));
	memcpy(text, "conf=", 5);
	text[5 + 127] = 0;
	parse(text, true);
	assert_string_equal(o.wrong, "");
	assert_int_equal(strlen(o.conf), 127);
	text[5 + 127] = 'x';
	text[5 + 128] = 0;
	parse(text, true);
	assert_string_equal(o.wrong, "conf=FILE: expected at most 127 bytes");
	text[5 + 128] = 'x';
	text[8191] = 0;
	parse(text, true);
	assert_string_equal(o.wrong, "the load options are too long");
	memset(text, 'x', sizeof(text));
	memcpy(text, "kernel=k cmdline=", 17);
	text[17 + 2048] = 0;
	parse(text, true);
	assert_string_equal(o.wrong, "cmdline=: expected at most 2047 bytes");
}

static void binary_marks_of_boot_managers_are_no_options(void **state)
{
	static const uint16_t mark[] = { 'c', 'o', 'n', 'f', '=', 0x12, 0xd800 };

	options_parse(mark, ARRAY_SIZE(mark), &o);
	assert_string_equal(o.wrong, "");
	assert_string_equal(o.conf, "");
}

static void random_units_never_break_it(void **state)
{
	srand(11);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)rand() % 64;
		uint16_t *units = malloc(n * 2 + 1);

		for (size_t k = 0; k < n; k++)
			units[k] = (uint16_t)(rand() % 3 ? "conf=kernlitd\" "[rand() % 15] : rand());
		options_parse(units, n, &o);
		assert_true(strlen(o.conf) < sizeof(o.conf) && strlen(o.cmdline) < sizeof(o.cmdline));
		free(units);
	}
}

/* ---- the choice ---- */

static struct choice choose(const char *const *names, size_t n)
{
	struct choice c = { 0 };

	for (int pass = 1; pass <= 2; pass++)
		for (size_t i = 0; i < n; i++)
			choice_see(&c, pass, names[i]);
	return c;
}

#define CHOOSE(...)                                                                                          \
	choose((const char *const[]){ __VA_ARGS__ },                                                         \
		sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void a_kernel_and_its_initrd_are_found(void **state)
{
	struct choice c = CHOOSE("BOOTX64.EFI", "vmlinuz", "initrd.img", "readme.txt");

	assert_string_equal(c.kernel, "vmlinuz");
	assert_string_equal(c.initrd, "initrd.img");
	c = CHOOSE("INITRD.IMG", "VMLINUZ");
	assert_string_equal(c.kernel, "VMLINUZ");
	assert_string_equal(c.initrd, "INITRD.IMG");
	c = CHOOSE("bzImage");
	assert_string_equal(c.kernel, "bzImage");
	assert_string_equal(c.initrd, "");
	c = CHOOSE("initrd.img", "BOOTX64.EFI");
	assert_string_equal(c.kernel, "");
	assert_int_equal(c.kernels, 0);
}

static void of_several_kernels_the_newest_with_its_own_initrd_is_taken(void **state)
{
	struct choice c = CHOOSE("vmlinuz-6.1.0-9-amd64", "initrd.img-6.1.0-9-amd64",
		"vmlinuz-6.1.0-18-amd64", "initrd.img-6.1.0-18-amd64", "initrd.img");

	assert_string_equal(c.kernel, "vmlinuz-6.1.0-18-amd64");
	assert_string_equal(c.initrd, "initrd.img-6.1.0-18-amd64");
	assert_int_equal(c.kernels, 2);
	c = CHOOSE("vmlinuz-linux", "initramfs-linux-fallback.img", "initramfs-linux.img");
	assert_string_equal(c.initrd, "initramfs-linux.img");
	c = CHOOSE("vmlinuz-6.9", "initrd.img-6.8");
	assert_string_equal(c.initrd, "");
}

static void versions_are_compared_as_people_count(void **state)
{
	assert_true(choice_compare("-6.9", "-6.10") < 0);
	assert_true(choice_compare("-6.10.1", "-6.10") > 0);
	assert_true(choice_compare("-6.010", "-6.10") == 0);
	assert_true(choice_compare("", "-1") < 0);
	assert_true(choice_compare("-5.99999999999999999999999", "-5.100000000000000000000000") < 0);
}

/* ---- text ---- */

static void text_to_ucs2_and_back_is_the_same(void **state)
{
	static const char *const good[] = { "", "abc", "\xc3\xa4\xc3\x9f", "\xe2\x82\xac", "\xef\xbf\xbd" };
	uint16_t wide[16];
	char back[32];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(text_to_ucs2(wide, 16, good[i]));
		assert_true(text_from_ucs2(back, sizeof(back), wide, 16));
		assert_string_equal(back, good[i]);
	}
}

static void text_that_ucs2_cannot_hold_is_refused(void **state)
{
	static const char *const bad[] = { "\xf0\x9f\x90\xa7", "\x80", "\xc3", "\xe2\x82", "\xed\xa0\x80",
		"\xc0\xaf", "\xe0\x80\x80" };
	static const uint16_t surrogate[] = { 'a', 0xd83d, 0xdc27 };
	uint16_t wide[4];
	char back[4];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(text_to_ucs2(wide, 4, bad[i]));
	assert_true(text_to_ucs2(wide, 4, "abc"));
	assert_false(text_to_ucs2(wide, 4, "abcd"));
	assert_false(text_from_ucs2(back, sizeof(back), surrogate, 3));
	assert_false(text_from_ucs2(back, sizeof(back), (const uint16_t[]){ 'a', 'b', 0x20ac }, 3));
}

static void lines_break_between_words(void **state)
{
	assert_int_equal(text_wrap("short", 10), 5);
	assert_int_equal(text_wrap("  - one two three four", 14), 11);
	assert_int_equal(text_wrap("abcdefghijklmnop", 10), 10);
	assert_int_equal(text_wrap("12345678 90", 11), 11);
	assert_int_equal(text_wrap("\xc3\xa4\xc3\xa4\xc3\xa4", 3), 6);
	assert_int_equal(text_wrap("", 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_understood_with_and_without_a_final_nul),
		cmocka_unit_test(wrong_options_are_reported),
		cmocka_unit_test(texts_that_are_too_long_are_refused),
		cmocka_unit_test(binary_marks_of_boot_managers_are_no_options),
		cmocka_unit_test(random_units_never_break_it),
		cmocka_unit_test(a_kernel_and_its_initrd_are_found),
		cmocka_unit_test(of_several_kernels_the_newest_with_its_own_initrd_is_taken),
		cmocka_unit_test(versions_are_compared_as_people_count),
		cmocka_unit_test(text_to_ucs2_and_back_is_the_same),
		cmocka_unit_test(text_that_ucs2_cannot_hold_is_refused),
		cmocka_unit_test(lines_break_between_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
