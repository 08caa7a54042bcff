/* SPDX-License-Identifier: MIT */
/* What lethe-report.txt says of a machine: all that people ask for when they look for a fault from afar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "boot/machine.h"
#include "lib/bits.h"

static char text[256 * 1024];
static size_t length;

static void line(void *to, const char *what)
{
	(void)to;
	length += (size_t)snprintf(text + length, sizeof(text) - length, "%s\n", what);
	assert_true(length < sizeof(text));
}

static struct boot_info boot;
static struct acpi acpi;
static struct machine_facts facts;

static int setup(void **state)
{
	(void)state;
	memset(&boot, 0, sizeof(boot));
	memset(&acpi, 0, sizeof(acpi));
	facts = (struct machine_facts){
		.firmware = "EDK II", .microcode = 0xf0, .boot = &boot, .acpi = &acpi
	};
	length = 0;
	return 0;
}

static void says(const char *what)
{
	if (!strstr(text, what))
		fail_msg("the report does not say \"%s\":\n%s", what, text);
}

static void the_report_names_what_a_bug_report_needs(void **state)
{
	(void)state;
	facts.leaf[facts.nleaves++] = (struct machine_leaf){ 7, 1, 1, 2, 3, 0xabc };
	facts.msr[facts.nmsrs].msr = 0x480;
	facts.msr[facts.nmsrs++].value = 0xda040000000004;
	facts.vmx.degraded[facts.vmx.ndegraded++] = "no preemption timer";
	boot.range[boot.nranges++] = (struct mem_range){
		.base = { 0x100000 }, .pages = 256, .type = MEM_USABLE, .uefi_type = 7, .attributes = 0xf
	};
	boot.fb = (struct framebuffer){ .base = { 0x80000000 },
		.size = 3145728,
		.reported = 4096,
		.width = 1024,
		.height = 768,
		.stride = 1024,
		.format = FB_BGRX8888 };
	acpi.ntables = 1;
	memcpy(acpi.table[0].sig, "APIC", 5);
	acpi.table[0].at = 0x7fb7a000;
	acpi.table[0].bytes = 144;
	acpi.ncpus = 1;
	acpi.cpu[0].apic_id = 300;
	acpi.ncpus_disabled = 3;
	acpi.nioapics = 1;
	acpi.ioapic[0].address = 0xfec00000;
	acpi.spcr = (struct acpi_serial){ .at = { .space = ACPI_MEMORY, .address = 0xfe030000 },
		.stride = 4,
		.pci = true,
		.dev = 0x19,
		.fn = 2,
		.vendor = 0x8086,
		.device = 0x9da1 };
	acpi.have_dmar = true;
	acpi.ndrhd = 1;
	acpi.drhd[0].base = 0xfed90000;
	facts.nfunctions = 1;
	facts.function[0].is =
		(struct pci_function){ .at = { .dev = 2 }, .vendor = 0x8086, .device = 0x3e92, .class = 3 };
	facts.function[0].dma = DMA_DISPLAY;
	machine_describe(&facts, line, NULL);
	says("EDK II");
	says("Microcode: 0xf0");
	says("Degraded: no preemption timer");
	says("MSR 0x480: 0x00da040000000004");
	says("CPUID 00000007.1: 00000001 00000002 00000003 00000abc");
	says("000000100000-0000001fffff usable (UEFI type 7, attributes 0xf)");
	says("Framebuffer: 0x80000000, 1024x768, 1024 pixels a line, BGRX; 3145728 bytes, reported 4096");
	says("  APIC at 0x7fb7a000, 144 bytes");
	says("3 are disabled");
	says("  CPU: APIC ID 300");
	says("  I/O APIC 0 at 0xfec00000");
	says("SPCR: memory 0xfe030000, registers 4 apart");
	says("  PCI 0000:00:19.2, 8086:9da1");
	says("DMAR: there, 1 units");
	says("  Remapping unit at 0xfed90000, segment 0");
	says("  0000:00:02.0 8086:3e92 display: VGA: bus mastering stays on: a display");
}

static void a_machine_without_anything_is_described(void **state)
{
	(void)state;
	facts.firmware[0] = 0;
	facts.acpi_error = -E_NOENT;
	machine_describe(&facts, line, NULL);
	says("vendor: unknown");
	says("ACPI: no tables can be read");
	says("Framebuffer: 0x0, 0x0");
}

/* Strings of the firmware's may not be, and lists may be as long as they can. */
static void the_largest_machine_fits(void **state)
{
	(void)state;
	facts.nleaves = MACHINE_LEAVES_MAX;
	boot.nranges = BOOT_RANGES_MAX;
	for (unsigned i = 0; i < BOOT_RANGES_MAX; i++)
		boot.range[i] = (struct mem_range){
			.base = { BIT(51) }, .pages = 1, .type = MEM_RESERVED, .attributes = UINT64_MAX
		};
	acpi.ncpus = ACPI_CPUS_MAX;
	acpi.ntables = ACPI_TABLES_MAX;
	acpi.nioapics = ACPI_IOAPICS_MAX;
	acpi.noverrides = ACPI_OVERRIDES_MAX;
	acpi.nnmis = ACPI_NMIS_MAX;
	acpi.ndrhd = ACPI_DRHD_MAX;
	facts.nfunctions = MACHINE_FUNCTIONS_MAX + 1;
	for (unsigned i = 0; i < MACHINE_FUNCTIONS_MAX; i++)
		facts.function[i].dma = DMA_USB_UNKNOWN;
	machine_describe(&facts, line, NULL);
	assert_in_range(length, 1000, 120 * 1024);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(the_report_names_what_a_bug_report_needs),
		T(a_machine_without_anything_is_described),
		T(the_largest_machine_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
