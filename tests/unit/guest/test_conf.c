/* SPDX-License-Identifier: MIT */
/* lethe.conf: what a good file says, and that every mistake is reported with file, line and what was expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "guest/conf/conf.h"
#include "lib/log.h"
#include "lib/trace.h"

static struct conf conf;
static struct conf_errors errors;

/* Parses an exact-size copy, so that the sanitizer sees a byte read beyond the file. */
static int parse_n(const char *text, size_t n)
{
	char *copy = malloc(n + !n);
	int r;

	memcpy(copy, text, n);
	r = conf_parse("lethe.conf", copy, n, &conf, &errors);
	free(copy);
	return r;
}

static int parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void expect_good(const char *text)
{
	if (parse(text))
		fail_msg("refused: %s", errors.text[0]);
	assert_int_equal(errors.n, 0);
}

/* The file has exactly this one mistake. */
static void expect_error(const char *text, const char *message)
{
	assert_int_equal(parse(text), -E_INVAL);
	assert_string_equal(errors.text[0], message);
	assert_int_equal(errors.n, 1);
}

/* One more line at line 3 of a VM that is good without it. */
static void expect_vm_error(const char *line, const char *message)
{
	char text[4096];

	snprintf(text, sizeof(text), "[vm a]\nkernel = k\n%s\n", line);
	expect_error(text, message);
}

static void every_key_is_understood(void **state)
{
	expect_good("# the machine\n"
		    "[hypervisor]\n"
		    "console = serial\n"
		    "log = debug\n"
		    "trace = exits, mmu\n"
		    "mitigations = off\n"
		    "smt = same-vm\n"
		    "keep = on\n"
		    "\n"
		    "[vm web-1]\n"
		    "kernel = linux/vmlinuz\n"
		    "format = linux\n"
		    "initrd=initrd.img\n"
		    "cmdline = root=/dev/ram0 # is = no comment\n"
		    "memory = 1G\n"
		    "vcpus = 64\n"
		    "cpus = 0, 2-3,63\n"
		    "mmu = ept\n"
		    "removal = targeted\n"
		    "reclaim = eager\n"
		    "large-pages = off\n"
		    "devices = rom\n"
		    "rom-size = 128K\n"
		    "bar-size = 32G\n"
		    "debug-exit = on\n"
		    "  [ vm\tboot.sector ]  \n"
		    "kernel = a b.bin\n"
		    "format = flat\n"
		    "load-address = 0x7c00\n"
		    "entry-mode = 16\n"
		    "memory = 0x200000\n"
		    "mmu = shadow\n"
		    "[vm mb]\n"
		    "kernel = mb.elf\n"
		    "format = multiboot\n"
		    "module = one.bin  first argument\n"
		    "module = two.bin\n");
	assert_true(conf.console_serial);
	assert_false(conf.console_screen);
	assert_int_equal(conf.log_level, LOG_DEBUG);
	assert_int_equal(conf.trace.live, 1u << TRACE_EXITS | 1u << TRACE_MMU);
	assert_false(conf.trace_off);
	assert_int_equal(conf.mitigations, MITIGATIONS_OFF);
	assert_int_equal(conf.smt, CONF_SMT_SAME_VM);
	assert_true(conf.keep);
	assert_string_equal(conf.source, "lethe.conf");
	assert_int_equal(conf.nvms, 3);

	const struct conf_vm *vm = &conf.vm[0];
	assert_string_equal(vm->name, "web-1");
	assert_int_equal(vm->line, 10);
	assert_string_equal(vm->kernel, "linux/vmlinuz");
	assert_string_equal(vm->initrd, "initrd.img");
	assert_string_equal(vm->cmdline, "root=/dev/ram0 # is = no comment");
	assert_int_equal(vm->format, FORMAT_LINUX);
	assert_int_equal(vm->memory, GiB);
	assert_int_equal(vm->vcpus, 64);
	assert_true(vm->cpus == 0x800000000000000dull);
	assert_int_equal(vm->cpus_line, 17);
	assert_int_equal(vm->mmu, CONF_MMU_EPT);
	assert_true(vm->debug_exit && vm->small_pages && vm->test_device);
	assert_int_equal(vm->removal, CONF_REMOVAL_TARGETED);
	assert_true(vm->eager);
	assert_int_equal(vm->rom_bytes, 128 * KiB);
	assert_int_equal(vm->bar_bytes, 32 * GiB);

	vm = &conf.vm[1];
	assert_string_equal(vm->name, "boot.sector");
	assert_string_equal(vm->kernel, "a b.bin");
	assert_int_equal(vm->load_address, 0x7c00);
	assert_int_equal(vm->entry_mode, 16);
	assert_int_equal(vm->memory, 2 * MiB);
	assert_int_equal(vm->mmu, CONF_MMU_SHADOW);

	vm = &conf.vm[2];
	assert_int_equal(vm->nmodules, 2);
	assert_string_equal(vm->module[0].path, "one.bin");
	assert_string_equal(vm->module[0].args, "first argument");
	assert_string_equal(vm->module[1].path, "two.bin");
	assert_string_equal(vm->module[1].args, "");
}

static void what_is_not_said_has_its_default(void **state)
{
	expect_good("[vm a]\nkernel = k\n[vm b]\nkernel = k\nformat = flat\nentry-mode = 16");
	assert_true(conf.console_serial && conf.console_screen);
	assert_int_equal(conf.mitigations, MITIGATIONS_AUTO);
	assert_false(conf.keep || conf.trace_off || conf.trace.live);
	assert_int_equal(conf.log_level, LOG_INFO);
	assert_int_equal(conf.smt, CONF_SMT_AUTO);
	assert_int_equal(conf.vm[0].memory, 512 * MiB);
	assert_int_equal(conf.vm[0].vcpus, 1);
	assert_int_equal(conf.vm[0].cpus, 0);
	assert_int_equal(conf.vm[0].mmu, CONF_MMU_AUTO);
	assert_int_equal(conf.vm[0].removal, CONF_REMOVAL_AUTO);
	assert_false(conf.vm[0].eager || conf.vm[0].small_pages || conf.vm[0].test_device);
	assert_int_equal(conf.vm[0].rom_bytes, 64 * KiB);
	assert_int_equal(conf.vm[0].bar_bytes, 2 * MiB);
	assert_int_equal(conf.vm[0].format, FORMAT_AUTO);
	assert_int_equal(conf.vm[0].load_address, 0x100000);
	assert_int_equal(conf.vm[0].entry_mode, 32);
	assert_string_equal(conf.vm[0].initrd, "");
	assert_int_equal(conf.vm[1].load_address, 0x7c00);
}

static void the_default_vm_has_kernel_and_initrd(void **state)
{
	conf_default_vm(&conf, "vmlinuz-6.1", "initrd.img-6.1");
	assert_int_equal(conf.nvms, 1);
	assert_string_equal(conf.vm[0].name, "guest");
	assert_string_equal(conf.vm[0].kernel, "vmlinuz-6.1");
	assert_string_equal(conf.vm[0].initrd, "initrd.img-6.1");
	assert_int_equal(conf.vm[0].memory, 512 * MiB);
	assert_int_equal(conf.vm[0].vcpus, 1);
	assert_true(conf.console_serial && conf.console_screen);
	conf_default_vm(&conf, "bzImage", "");
	assert_string_equal(conf.vm[0].initrd, "");
}

static void line_ends_bom_and_unicode_are_accepted(void **state)
{
	expect_good(
		"\xef\xbb\xbf[vm a]\r\nkernel = \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7\r\n\r\n\tmemory\t=\t4M\t");
	assert_string_equal(conf.vm[0].kernel, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7");
	assert_int_equal(conf.vm[0].memory, 4 * MiB);
}

static void a_file_without_a_vm_is_refused(void **state)
{
	expect_error("", "lethe.conf:1: no VM: expected at least one section [vm NAME]");
	expect_error(
		"[hypervisor]\nlog = info\n", "lethe.conf:2: no VM: expected at least one section [vm NAME]");
}

static void sections_that_are_wrong_are_reported(void **state)
{
	expect_error("[vm a]\nkernel=k\n[guest]\nwhatever\n",
		"lethe.conf:3: [guest]: unknown section: expected [hypervisor] or [vm NAME]");
	expect_error("[vm a]\nkernel=k\n[vm b\n", "lethe.conf:3: [vm b: expected ']' at the end of the line");
	expect_error("[vm a]\nkernel=k\n[\n", "lethe.conf:3: [: expected ']' at the end of the line");
	expect_error("[vm]\nkernel=k\n",
		"lethe.conf:1: [vm ]: expected a name of 1 to 31 letters, digits, '-', '_', '.'");
	expect_error("[vm a b]\nkernel=k\n",
		"lethe.conf:1: [vm a b]: expected a name of 1 to 31 letters, digits, '-', '_', '.'");
	expect_error("[vm abcdefghijklmnopqrstuvwxyz012345]\nkernel=k\n",
		"lethe.conf:1: [vm abcdefghijklmnopqrstuvwxyz012345]: expected a name of 1 to 31 letters, digits, '-', '_', '.'");
	expect_good("[vm abcdefghijklmnopqrstuvwxyz01234]\nkernel=k\n");
	expect_error("[vm a]\nkernel=k\n[vm a]\nkernel=k\n",
		"lethe.conf:3: [vm a]: there is one in line 1: expected another name");
	expect_error("[hypervisor]\n[vm a]\nkernel=k\n[hypervisor]\n",
		"lethe.conf:4: [hypervisor]: given twice: expected one such section");
	expect_error("[]\n[vm a]\nkernel=k\n",
		"lethe.conf:1: []: unknown section: expected [hypervisor] or [vm NAME]");
	expect_error("[vmx]\n[vm a]\nkernel=k\n",
		"lethe.conf:1: [vmx]: unknown section: expected [hypervisor] or [vm NAME]");
}

static void more_vms_than_fit_are_refused(void **state)
{
	char text[2048] = "";
	size_t n = 0;

	for (int i = 0; i < CONF_VMS_MAX; i++)
		n += (size_t)sprintf(text + n, "[vm v%d]\nkernel=k\n", i);
	expect_good(text);
	assert_int_equal(conf.nvms, CONF_VMS_MAX);
	sprintf(text + n, "[vm more]\nkernel=k\n");
	expect_error(text, "lethe.conf:33: [vm]: expected at most 16 VMs");
}

static void lines_that_are_no_key_are_reported(void **state)
{
	expect_vm_error("memory 512M", "lethe.conf:3: memory 512M: expected [SECTION] or KEY = VALUE");
	expect_vm_error("= 512M", "lethe.conf:3: = 512M: expected a key before '='");
	expect_error("memory = 1M\n[vm a]\nkernel=k",
		"lethe.conf:1: memory: expected [hypervisor] or [vm NAME] before the first key");
	expect_vm_error("memroy = 512M",
		"lethe.conf:3: memroy: unknown key: expected kernel, format, initrd, module, cmdline, memory, vcpus, cpus, mmu, removal, reclaim, large-pages, devices, rom-size, bar-size, debug-exit, load-address or entry-mode");
	expect_error("[hypervisor]\nmemory=4M\n[vm a]\nkernel=k",
		"lethe.conf:2: memory: unknown key: expected console, log, trace, mitigations, smt or keep");
	expect_vm_error("kernel = other", "lethe.conf:3: kernel: given twice: expected it once in a section");
	expect_vm_error("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz = 1",
		"lethe.conf:3: abcdefghijklmnopqrstuvwxyzab...: unknown key: expected kernel, format, initrd, module, cmdline, memory, vcpus, cpus, mmu, removal, reclaim, large-pages, devices, rom-size, bar-size, debug-exit, load-address or entry-mode");
}

static void a_vm_without_a_kernel_is_refused(void **state)
{
	expect_error("\n[vm a]\nmemory = 4M\n", "lethe.conf:2: [vm a]: no kernel: expected kernel = FILE");
	expect_error("[vm a]\n[vm b]\nkernel=k", "lethe.conf:1: [vm a]: no kernel: expected kernel = FILE");
	expect_error("[vm a]\nkernel =\n", "lethe.conf:2: kernel = : expected the name of a file");
}

static void bad_sizes_are_refused(void **state)
{
	expect_vm_error("memory = 12Q", "lethe.conf:3: memory = 12Q: expected a size such as 512M or 2G");
	expect_vm_error("memory =", "lethe.conf:3: memory = : expected a size such as 512M or 2G");
	expect_vm_error("memory = -1", "lethe.conf:3: memory = -1: expected a size such as 512M or 2G");
	expect_vm_error("memory = 99999999999999999999",
		"lethe.conf:3: memory = 99999999999999999999: expected a size such as 512M or 2G");
	expect_vm_error("memory = 17179869184G",
		"lethe.conf:3: memory = 17179869184G: expected a size such as 512M or 2G");
	expect_vm_error("memory = 1M", "lethe.conf:3: memory = 1M: expected at least 2M");
	expect_vm_error("memory = 2097153", "lethe.conf:3: memory = 2097153: expected a multiple of 4K");
	expect_vm_error("memory = 65537G", "lethe.conf:3: memory = 65537G: expected at most 65536G");
}

static void bad_numbers_and_words_are_refused(void **state)
{
	expect_vm_error("vcpus = 0", "lethe.conf:3: vcpus = 0: expected a number from 1 to 64");
	expect_vm_error("vcpus = 65", "lethe.conf:3: vcpus = 65: expected a number from 1 to 64");
	expect_vm_error("vcpus = two", "lethe.conf:3: vcpus = two: expected a number from 1 to 64");
	expect_vm_error("mmu = EPT", "lethe.conf:3: mmu = EPT: expected auto, ept or shadow");
	expect_vm_error(
		"format = elf", "lethe.conf:3: format = elf: expected auto, linux, multiboot or flat");
	expect_vm_error("removal = fast", "lethe.conf:3: removal = fast: expected auto, bulk or targeted");
	expect_vm_error("reclaim = on", "lethe.conf:3: reclaim = on: expected batched or eager");
	expect_good("[vm a]\nkernel = k\nremoval = bulk\nreclaim = batched");
	assert_int_equal(conf.vm[0].removal, CONF_REMOVAL_BULK);
	assert_false(conf.vm[0].eager);
	expect_vm_error("debug-exit = yes", "lethe.conf:3: debug-exit = yes: expected on or off");
	expect_vm_error("entry-mode = 33", "lethe.conf:3: entry-mode = 33: expected 16, 32 or 64");
	expect_vm_error("load-address = 4G",
		"lethe.conf:3: load-address = 4G: expected an address below 4G such as 0x100000");
	expect_error("[hypervisor]\nlog = loud\n[vm a]\nkernel=k",
		"lethe.conf:2: log = loud: expected error, warn, info or debug");
	expect_error(
		"[hypervisor]\nkeep = 1\n[vm a]\nkernel=k", "lethe.conf:2: keep = 1: expected on or off");
	expect_error("[hypervisor]\nmitigations = on\n[vm a]\nkernel=k",
		"lethe.conf:2: mitigations = on: expected auto, all or off");
	expect_error("[hypervisor]\nsmt = same\n[vm a]\nkernel=k",
		"lethe.conf:2: smt = same: expected auto, same-vm, off or on");
	expect_error("[hypervisor]\ntrace = exits, all\n[vm a]\nkernel=k",
		"lethe.conf:2: trace = exits, all: expected off, or a list of exits, mmu, irq, io, boot");
	expect_error("[hypervisor]\ntrace = mmu:many\n[vm a]\nkernel=k",
		"lethe.conf:2: trace = mmu:many: expected a number of lines behind the colon, such as mmu:100, or mmu:all");
	expect_error("[hypervisor]\ntrace = exits:cpuidd\n[vm a]\nkernel=k",
		"lethe.conf:2: trace = exits:cpuidd: expected exit reasons such as cpuid, io, rdmsr, hlt, interrupt, ept-violation (README.md has all), or a number of lines: exits:cpuid+io:100");
	expect_error("[hypervisor]\ntrace =\n[vm a]\nkernel=k",
		"lethe.conf:2: trace = : expected off, or a list of exits, mmu, irq, io, boot");
}

static void the_test_device_has_sizes_that_pci_can_express(void **state)
{
	static const char *const roms[] = { "2K", "48K", "32M", "0", "big" };
	static const char *const bars[] = { "1M", "3M", "128G", "" };
	char line[64], message[128];

	for (size_t i = 0; i < ARRAY_SIZE(roms); i++) {
		snprintf(line, sizeof(line), "devices = rom\nrom-size = %s", roms[i]);
		snprintf(message, sizeof(message),
			"lethe.conf:4: rom-size = %s: expected a power of two from 4K to 16M", roms[i]);
		expect_vm_error(line, message);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bars); i++) {
		snprintf(line, sizeof(line), "devices = rom\nbar-size = %s", bars[i]);
		snprintf(message, sizeof(message),
			"lethe.conf:4: bar-size = %s: expected a power of two from 2M to 64G", bars[i]);
		expect_vm_error(line, message);
	}
	expect_good("[vm a]\nkernel = k\ndevices = none\nlarge-pages = on");
	assert_false(conf.vm[0].test_device || conf.vm[0].small_pages);
	expect_vm_error("devices = disk", "lethe.conf:3: devices = disk: expected rom or none");
	expect_vm_error("large-pages = 2M", "lethe.conf:3: large-pages = 2M: expected on or off");
	expect_vm_error("rom-size = 4K",
		"lethe.conf:1: [vm a]: expected rom-size and bar-size only with devices = rom");
	expect_vm_error("devices = none\nbar-size = 2M",
		"lethe.conf:1: [vm a]: expected rom-size and bar-size only with devices = rom");
}

static void bad_lists_are_refused(void **state)
{
	static const char *const cpus[] = { "", ",", "1,", ",1", "64", "1-", "-1", "3-2", "1 2", "0x1",
		"1--2", "99999999999999", "0-64", "a" };
	static const char *const consoles[] = { "", ",", "serial,", ",serial", "serial screen", "vga",
		"serials" };
	char line[64], message[128];

	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		snprintf(line, sizeof(line), "cpus = %s", cpus[i]);
		snprintf(message, sizeof(message),
			"lethe.conf:3: cpus = %s: expected physical CPUs from 0 to 63 such as 0, 2-3",
			cpus[i]);
		expect_vm_error(line, message);
	}
	for (size_t i = 0; i < ARRAY_SIZE(consoles); i++) {
		char text[128];

		snprintf(text, sizeof(text), "[hypervisor]\nconsole = %s\n[vm a]\nkernel=k", consoles[i]);
		snprintf(message, sizeof(message),
			"lethe.conf:2: console = %s: expected serial, screen or both with a comma between",
			consoles[i]);
		expect_error(text, message);
	}
	expect_good("[hypervisor]\nconsole = screen ,serial\n[vm a]\nkernel=k\ncpus = 0-63");
	assert_true(conf.console_screen && conf.console_serial);
	assert_true(conf.vm[0].cpus == ~0ull);
}

static void texts_that_are_too_long_are_refused_and_the_longest_fit(void **state)
{
	char long_text[CONF_CMDLINE_MAX + 1], text[4096], message[256];

	memset(long_text, 'x', sizeof(long_text));
	long_text[CONF_CMDLINE_MAX - 1] = 0;
	snprintf(text, sizeof(text), "[vm a]\nkernel=k\ncmdline = %s", long_text);
	expect_good(text);
	assert_int_equal(strlen(conf.vm[0].cmdline), CONF_CMDLINE_MAX - 1);
	long_text[CONF_CMDLINE_MAX - 1] = 'x';
	long_text[CONF_CMDLINE_MAX] = 0;
	snprintf(text, sizeof(text), "cmdline = %s", long_text);
	expect_vm_error(text, "lethe.conf:3: cmdline: the value has 2048 bytes: expected at most 2047");

	long_text[CONF_PATH_MAX - 1] = 0;
	snprintf(text, sizeof(text), "[vm a]\nkernel=%s", long_text);
	expect_good(text);
	long_text[CONF_PATH_MAX - 1] = 'x';
	long_text[CONF_PATH_MAX] = 0;
	snprintf(text, sizeof(text), "initrd = %s", long_text);
	snprintf(message, sizeof(message),
		"lethe.conf:3: initrd = %.60s...: expected a path of at most 127 bytes", long_text);
	expect_vm_error(text, message);
	snprintf(text, sizeof(text), "module = %s arg", long_text);
	snprintf(message, sizeof(message),
		"lethe.conf:3: module = %.60s...: expected a path of at most 127 bytes", long_text);
	expect_vm_error(text, message);
	long_text[CONF_PATH_MAX] = 'x';
	long_text[256] = 0;
	snprintf(text, sizeof(text), "module = m %s", long_text);
	snprintf(message, sizeof(message),
		"lethe.conf:3: module = m %.58s...: expected arguments of at most 255 bytes", long_text);
	expect_vm_error(text, message);
}

static void modules_beyond_the_eighth_and_nameless_ones_are_refused(void **state)
{
	char text[512] = "module = m";

	for (int i = 0; i < CONF_MODULES_MAX; i++)
		strcat(text, "\nmodule = m");
	assert_int_equal(parse("[vm a]\nkernel=k\nmodule =  \n"), -E_INVAL);
	assert_string_equal(errors.text[0],
		"lethe.conf:3: module = : expected the name of a file, then the module's arguments");
	expect_vm_error(text, "lethe.conf:11: module = m: expected at most 8 modules in one VM");
}

static void keys_that_contradict_one_another_are_refused(void **state)
{
	expect_vm_error("entry-mode = 16\nload-address = 1M",
		"lethe.conf:1: [vm a]: expected a load-address below 1M with entry-mode = 16");
	expect_vm_error("format = linux\nload-address = 2M",
		"lethe.conf:1: [vm a]: expected load-address and entry-mode only with format = flat");
	expect_vm_error("format = multiboot\nentry-mode = 64",
		"lethe.conf:1: [vm a]: expected load-address and entry-mode only with format = flat");
	expect_vm_error("format = flat\nload-address = 512M",
		"lethe.conf:1: [vm a]: expected a load-address within the VM's memory");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	/* A stray continuation byte, overlong, cut, a surrogate, too large, Latin-1. */
	static const char *const bad[] = { "\x80", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xe4", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xff" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char line[32], message[128];

		snprintf(line, sizeof(line), "cmdline = %s", bad[i]);
		snprintf(message, sizeof(message),
			"lethe.conf:3: byte 0x%02x in column 11: expected UTF-8 text",
			(unsigned char)bad[i][0]);
		expect_vm_error(line, message);
	}
	expect_vm_error(
		"cmdline = \033[2J", "lethe.conf:3: control character 0x1b in column 11: expected text");
	expect_vm_error("cmd\rline = 1", "lethe.conf:3: control character 0x0d in column 4: expected text");
	assert_int_equal(parse_n("[vm a]\nkernel=\0k\n", 17), -E_INVAL);
	assert_string_equal(
		errors.text[0], "lethe.conf:2: control character 0x00 in column 8: expected text");
	assert_int_equal(parse_n("\xff\xfe[\0v\0m\0", 8), -E_INVAL);
	assert_string_equal(errors.text[0], "lethe.conf:1: this file is UTF-16: expected UTF-8; save it so");
}

static void every_mistake_is_reported_in_order(void **state)
{
	assert_int_equal(parse("nonsense\n"
			       "[hypervisor]\n"
			       "log = loud\n"
			       "[vm a]\n"
			       "memory = 1\n"
			       "vcpus = 0\n"
			       "[what]\n"
			       "x = y\n"
			       "[vm b]\n"
			       "kernel = k\n"
			       "mmu = none\n"),
		-E_INVAL);
	assert_int_equal(errors.n, 7);
	assert_memory_equal(errors.text[0], "lethe.conf:1:", 13);
	assert_memory_equal(errors.text[1], "lethe.conf:3:", 13);
	assert_memory_equal(errors.text[2], "lethe.conf:5:", 13);
	assert_memory_equal(errors.text[3], "lethe.conf:6:", 13);
	assert_string_equal(errors.text[4], "lethe.conf:4: [vm a]: no kernel: expected kernel = FILE");
	assert_memory_equal(errors.text[5], "lethe.conf:7:", 13);
	assert_memory_equal(errors.text[6], "lethe.conf:11:", 14);
}

static void more_mistakes_than_are_kept_are_counted(void **state)
{
	char text[1024] = "[vm a]\nkernel=k\n";

	for (int i = 0; i < CONF_ERRORS_MAX + 5; i++)
		strcat(text, "x = 1\n");
	assert_int_equal(parse(text), -E_INVAL);
	assert_int_equal(errors.n, CONF_ERRORS_MAX + 5);
}

static void a_cut_message_stays_utf8(void **state)
{
	char text[256] = "[vm a]\nkernel=k\nmmu = ";

	for (int i = 0; i < 30; i++)
		strcat(text, "\xe2\x82\xac");
	parse(text);
	assert_non_null(strstr(errors.text[0], "\xe2\x82\xac...: expected auto, ept or shadow"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_understood),
		cmocka_unit_test(what_is_not_said_has_its_default),
		cmocka_unit_test(the_default_vm_has_kernel_and_initrd),
		cmocka_unit_test(line_ends_bom_and_unicode_are_accepted),
		cmocka_unit_test(a_file_without_a_vm_is_refused),
		cmocka_unit_test(sections_that_are_wrong_are_reported),
		cmocka_unit_test(more_vms_than_fit_are_refused),
		cmocka_unit_test(lines_that_are_no_key_are_reported),
		cmocka_unit_test(a_vm_without_a_kernel_is_refused),
		cmocka_unit_test(bad_sizes_are_refused),
		cmocka_unit_test(bad_numbers_and_words_are_refused),
		cmocka_unit_test(the_test_device_has_sizes_that_pci_can_express),
		cmocka_unit_test(the_test_device_has_sizes_that_pci_can_express),
		cmocka_unit_test(bad_lists_are_refused),
		cmocka_unit_test(texts_that_are_too_long_are_refused_and_the_longest_fit),
		cmocka_unit_test(modules_beyond_the_eighth_and_nameless_ones_are_refused),
		cmocka_unit_test(keys_that_contradict_one_another_are_refused),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(every_mistake_is_reported_in_order),
		cmocka_unit_test(more_mistakes_than_are_kept_are_counted),
		cmocka_unit_test(a_cut_message_stays_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
