/* SPDX-License-Identifier: MIT */
/*
 * The ACPI parsers: on the tables of real machines (dumped from QEMU with OVMF and with SeaBIOS; run from the top of the
 * tree), on tables made here, and on broken ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/ioapic.h"
#include "tests/support/rig/acpi_image.h"

static struct acpi a;

static uint8_t *read_file(const char *name, size_t *n)
{
	FILE *f = fopen(name, "rb");
	uint8_t *p = malloc(65536);

	if (!f)
		fail_msg("%s: not there (run from the top of the tree)", name);
	*n = fread(p, 1, 65536, f);
	fclose(f);
	return p;
}

static int read_image(struct acpi_image *im)
{
	struct acpi_memory mem = acpi_image_memory(im);
	int err = acpi_read(&a, &mem, acpi_image_rsdp(im));

	acpi_image_close(im);
	return err;
}

static void qemu_q35_with_ovmf(void **s)
{
	struct acpi_image im = { 0 };
	uint8_t *data = read_file("tests/fuzz/corpus/acpi/qemu-q35-ovmf", &im.n);

	(void)s;
	im.data = data;
	assert_int_equal(read_image(&im), 0);
	assert_int_equal(a.revision, 2);
	assert_string_equal(a.oem, "BOCHS ");
	assert_int_equal(a.nbroken, 0);
	assert_int_equal(a.ntables, 7);
	assert_true(a.have_madt && a.pc_at);
	assert_int_equal(a.lapic_address, 0xfee00000);
	assert_int_equal(a.ncpus, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(a.cpu[i].apic_id, i);
	assert_int_equal(a.nioapics, 1);
	assert_int_equal(a.ioapic[0].address, 0xfec00000);
	assert_int_equal(a.ioapic[0].gsi_base, 0);
	assert_int_equal(a.noverrides, 5);
	assert_int_equal(a.nnmis, 1);
	assert_true(a.nmi[0].local && a.nmi[0].uid == 0xffffffff && a.nmi[0].lint == 1);
	assert_true(a.have_fadt && a.reset_supported && !a.hw_reduced);
	assert_int_equal(a.reset.space, ACPI_IO);
	assert_int_equal(a.reset.address, 0xcf9);
	assert_int_equal(a.reset_value, 0x0f);
	assert_int_equal(a.pm1a_cnt.address, 0x604);
	assert_int_equal(a.pm1a_evt.address, 0x600);
	assert_int_equal(a.pm_timer.address, 0x608);
	assert_int_equal(a.pm1b_cnt.address, 0);
	assert_int_equal(a.smi_cmd, 0xb2);
	assert_int_equal(a.acpi_enable, 2);
	assert_true(a.have_s5);
	assert_int_equal(a.s5_typ_a, 0);
	assert_int_equal(a.nmcfg, 1);
	assert_int_equal(a.mcfg[0].bus_last, 255);
	assert_int_equal(a.hpet, 0xfed00000);
	assert_true(a.have_dmar && a.dmar_intr_remap);
	assert_int_equal(a.ndrhd, 1);
	assert_int_equal(a.drhd[0].base, 0xfed90000);
	assert_false(a.drhd[0].include_all);
	assert_int_equal(a.drhd[0].nscopes, 6);
	assert_true(a.drhd[0].scope[0].type == 3 && a.drhd[0].scope[0].bus == 0xff); /* the I/O APIC */
	assert_true(a.drhd[0].scope[5].path[0] == 0x1f && a.drhd[0].scope[5].path[1] == 3);
	free(data);
}

static void qemu_pc_with_seabios_has_only_an_rsdt(void **s)
{
	struct acpi_image im = { 0 };
	uint8_t *data = read_file("tests/fuzz/corpus/acpi/qemu-pc-seabios", &im.n);
	uint32_t gsi;
	bool level, low;

	(void)s;
	im.data = data;
	assert_int_equal(read_image(&im), 0);
	assert_int_equal(a.revision, 0);
	assert_int_equal(a.nbroken, 0);
	assert_int_equal(a.ncpus, 2);
	assert_true(a.have_fadt && !a.reset_supported);
	assert_int_equal(a.pm1a_cnt.address, 0xb004 - 0xb000 + a.pm1a_evt.address);
	assert_true(a.have_s5);
	assert_int_equal(a.nmcfg, 0);

	/* The timer is wired to input 2, the SCI is level-triggered, the serial port as it always was. */
	ioapic_isa(&a, 0, &gsi, &level, &low);
	assert_true(gsi == 2 && !level && !low);
	ioapic_isa(&a, 9, &gsi, &level, &low);
	assert_true(gsi == 9 && level && !low);
	ioapic_isa(&a, 4, &gsi, &level, &low);
	assert_true(gsi == 4 && !level && !low);
	free(data);
}

/* Cut anywhere, and with any one byte changed: never a crash, never a table with a wrong sum. */
static void damaged_images_lose_tables_and_nothing_else(void **s)
{
	struct acpi_image im = { 0 };
	uint8_t *data = read_file("tests/fuzz/corpus/acpi/qemu-q35-ovmf", &im.n);
	size_t whole = im.n;

	(void)s;
	im.data = data;
	for (size_t n = 0; n < whole; n += 7) {
		im.n = n;
		read_image(&im);
		assert_true(a.ntables < 7 || !a.have_s5);
	}
	im.n = whole;
	for (size_t i = 8; i < whole; i += 11) {
		int err;

		data[i] ^= 0x41;
		err = read_image(&im);
		if (!err && !a.nbroken)
			assert_true(a.ntables == 7); /* a byte that is no table's: an address of a piece */
		data[i] ^= 0x41;
	}
	free(data);
}

static void no_rsdp_no_tables(void **s)
{
	struct acpi_image im = { .data = (const uint8_t *)"\0\0\0\0\0\0\0\0", .n = 8 };

	(void)s;
	assert_int_equal(read_image(&im), -E_NOENT);
	im.data = (const uint8_t *)"\0\0\x0f\0\0\0\0\0";
	assert_int_equal(read_image(&im), -E_INVAL);
}

/* ---- single tables: a header whose contents the parsers do not look at, then bytes ---- */

static struct {
	uint8_t *p;
	size_t n;
} table;

static void begin(void)
{
	memset(&a, 0, sizeof(a));
	free(table.p);
	table.p = calloc(1, ACPI_HEADER);
	table.n = ACPI_HEADER;
}

static void put(const void *bytes, size_t n)
{
	table.p = realloc(table.p, table.n + n);
	memcpy(table.p + table.n, bytes, n);
	table.n += n;
}
#define PUT(bytes) put(bytes, sizeof(bytes) - 1)

static void madt_begin(void)
{
	begin();
	PUT("\0\0\xe0\xfe\1\0\0\0");
}

static void madt_lists_each_usable_cpu_once(void **s)
{
	(void)s;
	madt_begin();
	PUT("\0\x8\0\x10\1\0\0\0");		      /* APIC 0x10, enabled */
	PUT("\0\x8\1\x11\0\0\0\0");		      /* empty socket */
	PUT("\0\x8\2\x12\2\0\0\0");		      /* could be plugged in */
	PUT("\x9\x10\0\0\x10\0\0\0\1\0\0\0\7\0\0\0"); /* 0x10 again, as x2APIC */
	acpi_parse_madt(&a, table.p, table.n);
	assert_false(a.x2apic_ids);
	memset(&a, 0, sizeof(a));
	PUT("\x9\x10\0\0\x2c\1\0\0\1\0\0\0\x8\0\0\0"); /* x2APIC 300 */
	PUT("\0\x8\3\xff\1\0\0\0");		       /* the broadcast ID is no CPU's */
	PUT("\x9\x10\0\0\xff\xff\xff\xff\1\0\0\0\x9\0\0\0");
	acpi_parse_madt(&a, table.p, table.n);
	assert_int_equal(a.ncpus, 2);
	assert_int_equal(a.cpu[0].apic_id, 0x10);
	assert_int_equal(a.cpu[1].apic_id, 300);
	assert_true(a.x2apic_ids);
	assert_int_equal(a.cpu[1].uid, 8);
	assert_int_equal(a.ncpus_offline, 1);
	assert_int_equal(a.ncpus_disabled, 1);
	assert_int_equal(a.first_disabled, 0x11);
	assert_int_equal(a.nbroken, 0);
}

static void madt_with_more_cpus_than_fit(void **s)
{
	(void)s;
	madt_begin();
	for (unsigned i = 0; i < 300; i++) {
		uint8_t e[16] = { 9, 16, 0, 0, (uint8_t)i, (uint8_t)(i >> 8), 0, 0, 1 };

		put(e, 16);
	}
	acpi_parse_madt(&a, table.p, table.n);
	assert_int_equal(a.ncpus, ACPI_CPUS_MAX);
	assert_int_equal(a.ncpus_dropped, 300 - ACPI_CPUS_MAX);
}

static void madt_other_entries(void **s)
{
	uint32_t gsi;
	bool level, low;

	(void)s;
	madt_begin();
	PUT("\1\xc\5\0\0\0\xc0\xfe\x18\0\0\0"); /* I/O APIC 5 at fec00000, GSI 24 */
	PUT("\2\xa\0\5\x1e\0\0\0\xf\0");	/* IRQ 5 -> GSI 30, level, low */
	PUT("\2\xa\0\x10\x1e\0\0\0\xf\0");	/* ISA has no IRQ 16 */
	PUT("\2\xa\1\6\x1e\0\0\0\xf\0");	/* a bus that does not exist */
	PUT("\3\x8\5\0\x17\0\0\0");		/* NMI at GSI 23 */
	PUT("\4\6\2\5\0\1");			/* NMI at LINT1 of CPU 2 */
	PUT("\4\6\2\5\0\7");			/* there is no LINT7 */
	PUT("\xa\xc\5\0\x2c\1\0\0\0\0\0\0");	/* NMI at LINT0 of CPU 300 */
	PUT("\5\xc\0\0\0\0\0\x1\x20\0\0\0");	/* local APICs at 2001000000h */
	PUT("\x7f\3\0");			/* unknown: skipped */
	acpi_parse_madt(&a, table.p, table.n);
	assert_int_equal(a.nioapics, 1);
	assert_int_equal(a.ioapic[0].gsi_base, 24);
	assert_int_equal(a.noverrides, 1);
	ioapic_isa(&a, 5, &gsi, &level, &low);
	assert_true(gsi == 30 && level && low);
	assert_int_equal(a.nnmis, 3);
	assert_true(!a.nmi[0].local && a.nmi[0].gsi == 23);
	assert_true(a.nmi[1].local && a.nmi[1].uid == 2 && a.nmi[1].lint == 1);
	assert_true(a.nmi[2].uid == 300 && a.nmi[2].lint == 0);
	assert_int_equal(a.lapic_address, 0x2001000000);
	assert_int_equal(a.nbroken, 0);
}

static void madt_entries_with_wrong_lengths_end_it(void **s)
{
	(void)s;
	madt_begin();
	PUT("\0\x8\0\1\1\0\0\0\0\0"); /* an entry of length 0 */
	acpi_parse_madt(&a, table.p, table.n);
	assert_true(a.ncpus == 1 && a.nbroken == 1);
	madt_begin();
	PUT("\0\x8\0\1\1\0\0\0\0\x9\0\2\1\0\0\0"); /* one that is a byte too long */
	acpi_parse_madt(&a, table.p, table.n);
	assert_true(a.ncpus == 1 && a.nbroken == 1);
	madt_begin();
	PUT("\0\4\0\1\0\x8\0\2\1\0\0\0"); /* one too short for its kind: skipped */
	acpi_parse_madt(&a, table.p, table.n);
	assert_true(a.ncpus == 1 && a.cpu[0].apic_id == 2 && a.nbroken == 1);
	begin();
	acpi_parse_madt(&a, table.p, table.n);
	assert_false(a.have_madt);
}

static void mcfg_entries_are_checked(void **s)
{
	(void)s;
	begin();
	PUT("\0\0\0\0\0\0\0\0");
	PUT("\0\0\0\xe0\0\0\0\0\0\0\0\xff\0\0\0\0");	   /* e0000000, buses 0 to 255 */
	PUT("\0\0\0\0\4\0\0\0\1\0\x10\x1f\0\0\0\0");	   /* segment 1 at 4 << 32, buses 16 to 31 */
	PUT("\0\0\0\xe0\0\0\0\0\0\0\2\1\0\0\0\0");	   /* first after last */
	PUT("\0\x10\0\xe0\0\0\0\0\0\0\0\xff\0\0\0\0");	   /* not on a megabyte */
	PUT("\0\0\0\xff\xff\xff\x0f\0\0\0\0\xff\0\0\0\0"); /* beyond what can be addressed */
	PUT("\0\0\0\xe0\0\0\0\0");			   /* half of one */
	acpi_parse_mcfg(&a, table.p, table.n);
	assert_int_equal(a.nmcfg, 2);
	assert_int_equal(a.nbroken, 3);
	assert_true(a.mcfg[1].segment == 1 && a.mcfg[1].bus_first == 16 && a.mcfg[1].base == 0x400000000);
}

static void hpet_in_memory_alone(void **s)
{
	(void)s;
	begin();
	PUT("\1\xa2\x86\x80\0\x40\0\0\0\0\xd0\xfe\0\0\0\0\0\0\0\0");
	acpi_parse_hpet(&a, table.p, table.n);
	assert_int_equal(a.hpet, 0xfed00000);
	begin();
	PUT("\1\xa2\x86\x80\1\x40\0\0\0\0\xd0\xfe\0\0\0\0\0\0\0\0"); /* in I/O space */
	acpi_parse_hpet(&a, table.p, table.n);
	assert_int_equal(a.hpet, 0);
}

#define SPCR_REST "\0\0\0\0\0\0\7\0\1\0\0\0"	       /* interrupts, 115200, ... up to the PCI part */
#define SPCR_PCI  "\xa1\x9d\x86\x80\0\x19\2\0\0\0\0\1" /* 8086:9da1 at 00:19.2 of segment 1 */

static void spcr_names_the_console(void **s)
{
	(void)s;
	begin();
	PUT("\0\0\0\0\1\x8\0\1\xf8\2\0\0\0\0\0\0"); /* COM2 */
	acpi_parse_spcr(&a, table.p, table.n);
	assert_true(a.spcr.at.space == ACPI_IO && a.spcr.at.address == 0x2f8 && a.spcr.stride == 1);
	assert_true(a.spcr.pc && !a.spcr.pci);
	begin();
	PUT("\0\0\0\0\0\x8\0\1\0\0\0\xfe\0\0\0\0"); /* memory, bytes */
	acpi_parse_spcr(&a, table.p, table.n);
	assert_true(a.spcr.at.space == ACPI_MEMORY && a.spcr.at.address == 0xfe000000 && a.spcr.stride == 1);
	assert_false(a.spcr.pc);
	begin();
	PUT("\x12\0\0\0\0\x20\0\3\0\0\3\xfe\0\0\0\0" SPCR_REST SPCR_PCI); /* a chipset's, by 4 bytes */
	acpi_parse_spcr(&a, table.p, table.n);
	assert_int_equal(a.spcr.stride, 4);
	assert_true(a.spcr.pci && a.spcr.vendor == 0x8086 && a.spcr.device == 0x9da1);
	assert_true(a.spcr.bus == 0 && a.spcr.dev == 0x19 && a.spcr.fn == 2 && a.spcr.segment == 1);
	begin();
	PUT("\x12\0\0\0\0\x20\0\0\0\0\3\xfe\0\0\0\0"); /* the access size is not said: the width decides */
	acpi_parse_spcr(&a, table.p, table.n);
	assert_true(a.spcr.stride == 4 && !a.spcr.pci);
	begin();
	PUT("\0\0\0\0\1\x8\0\1\xf8\3\0\0\0\0\0\0" SPCR_REST
	    "\xff\xff\xff\xff\0\0\0\0\0\0\0\0"); /* no PCI function */
	acpi_parse_spcr(&a, table.p, table.n);
	assert_true(a.spcr.at.address == 0x3f8 && !a.spcr.pci);
}

static void spcr_that_names_no_16550_is_left_out(void **s)
{
	(void)s;
	begin();
	PUT("\3\0\0\0\1\x8\0\1\xf8\2\0\0\0\0\0\0"); /* a PL011 */
	acpi_parse_spcr(&a, table.p, table.n);
	begin();
	PUT("\0\0\0\0\1\x8\0\1\xf9\xff\0\0\0\0\0\0"); /* ports beyond the last */
	acpi_parse_spcr(&a, table.p, table.n);
	assert_int_equal(a.spcr.at.address, 0);
	begin();
	PUT("\0\0\0\0\0\x8\0\1\xff\xff\xff\xff\xff\xff\xff\xff"); /* memory that there is not */
	acpi_parse_spcr(&a, table.p, table.n);
	assert_int_equal(a.spcr.at.address, 0);
	begin();
	PUT("\0\0\0\0\2\x8\0\1\0\0\0\xfe\0\0\0\0"); /* configuration space */
	acpi_parse_spcr(&a, table.p, table.n);
	assert_int_equal(a.spcr.at.address, 0);
}

static void dmar_units_reserved_memory_and_scopes(void **s)
{
	(void)s;
	begin();
	PUT("\x26\3\0\0\0\0\0\0\0\0\0\0");
	PUT("\0\0\x18\0\0\0\0\0\0\0\xd9\xfe\0\0\0\0\1\x8\0\0\0\0\2\0"); /* unit for 00:02.0 */
	PUT("\0\0\x10\0\1\0\0\0\0\x10\xd9\xfe\0\0\0\0");		/* unit for the rest */
	PUT("\1\0\x18\0\0\0\0\0\0\0\0\x7b\0\0\0\0\xff\xff\x7f\x7b\0\0\0\0");
	PUT("\1\0\x18\0\0\0\0\0\0\0\0\x7b\0\0\0\0\0\0\0\0\0\0\0\0"); /* limit below base */
	PUT("\5\0\4\0");					     /* a kind that is not needed */
	acpi_parse_dmar(&a, table.p, table.n);
	assert_int_equal(a.dmar_width, 39);
	assert_true(a.dmar_intr_remap && a.dmar_x2apic_opt_out);
	assert_int_equal(a.ndrhd, 2);
	assert_int_equal(a.drhd[0].nscopes, 1);
	assert_int_equal(a.drhd[0].scope[0].path[0], 2);
	assert_int_equal(a.drhd[0].scope[0].path_len, 2);
	assert_true(a.drhd[1].include_all && a.drhd[1].base == 0xfed91000);
	assert_int_equal(a.nrmrr, 1);
	assert_int_equal(a.rmrr[0].limit, 0x7b7fffff);
	assert_int_equal(a.nbroken, 1);
}

static void fadt_of_acpi_1_has_ports_only(void **s)
{
	uint8_t t[116] = { 0 };

	(void)s;
	memset(&a, 0, sizeof(a));
	t[8] = 1;
	t[40] = 0x11; /* DSDT */
	t[64] = 0x04, t[65] = 0xb0;
	t[76] = 0x08, t[77] = 0xb0;
	t[91] = 4;
	t[112] = 0, t[113] = 5; /* 32-bit timer, reset register (which lies beyond) */
	acpi_parse_fadt(&a, t, sizeof(t));
	assert_true(a.have_fadt && a.pm_timer_32bit && !a.reset_supported && !a.no_8042);
	assert_int_equal(a.pm1a_cnt.address, 0xb004);
	assert_int_equal(a.pm1a_cnt.space, ACPI_IO);
	assert_int_equal(a.pm_timer.address, 0xb008);
	assert_int_equal(a.dsdt, 0x11);
	memset(&a, 0, sizeof(a));
	acpi_parse_fadt(&a, t, 115);
	assert_false(a.have_fadt);
}

static void s5_in_all_its_spellings(void **s)
{
	static const struct {
		const char *aml;
		size_t n;
		int typ_a, typ_b; /* -1: not found */
	} cases[] = {
#define AML(text) text, sizeof(text) - 1
		{ AML("\x08_S5_\x12\x06\x04\x0a\x05\x0a\x05\0\0"), 5, 5 },
		{ AML("\x08_S5_\x12\x0a\x04\x0a\x05\x0a\x06\x0a\0\x0a\0"), 5, 6 },
		{ AML("\x08\\_S5_\x12\x07\x04\x0a\x07\x01\0\0"), 7, 1 },
		{ AML("\x08_S5_\x12\x06\x04\0\0\0\0"), 0, 0 },
		{ AML("\x08_S5_\x12\x40\x0a\x02\x0b\x05\0\x0c\3\0\0\0"), -1,
			0 }, /* its length is beyond the table */
		{ AML("\x08_S5_\x12\x4b\0\x02\x0b\x05\0\x0c\3\0\0\0"), 5, 3 }, /* two bytes of length */
		{ AML("\x08_S5_\x12\x06\x01\x0c\5\6\0\0"), -1,
			0 }, /* the number is cut by the package's end */
		{ AML("\x08_S5_\x12\x07\x01\x0c\5\6\0\0"), 5, 6 },     /* both types in one number */
		{ AML("\x08_S5_\x12\x08\x02\x0a\5"), -1, 0 },	       /* cut by the table's end */
		{ AML("\x08_S5_\x12\x05\x02_S5_"), -1, 0 },	       /* no number */
		{ AML("_S5_\x12\x06\x04\0\0\0\0"), -1, 0 },	       /* a use, no name */
		{ AML("\x08_S5_\x08_S5_\x12\x06\x04\1\1\0\0"), 1, 1 }, /* the second is the right one */
		{ AML("\x08_S5_"), -1, 0 },
		{ AML("\x08_S5_\x12"), -1, 0 },
		{ AML("\x08_S5_\x12\xc0"), -1, 0 },
#undef AML
	};

	(void)s;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t typ_a = 0, typ_b = 0;
		bool found;

		begin();
		put(cases[i].aml, cases[i].n);
		found = acpi_find_s5(table.p, table.n, &typ_a, &typ_b);
		if (found != (cases[i].typ_a >= 0) ||
			(found && (typ_a != cases[i].typ_a || typ_b != cases[i].typ_b)))
			fail_msg("case %u: found %d, %u %u", i, found, typ_a, typ_b);
	}
}

static int teardown(void **state)
{
	(void)state;
	free(table.p);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qemu_q35_with_ovmf),
		cmocka_unit_test(qemu_pc_with_seabios_has_only_an_rsdt),
		cmocka_unit_test(damaged_images_lose_tables_and_nothing_else),
		cmocka_unit_test(no_rsdp_no_tables),
		cmocka_unit_test(madt_lists_each_usable_cpu_once),
		cmocka_unit_test(madt_with_more_cpus_than_fit),
		cmocka_unit_test(madt_other_entries),
		cmocka_unit_test(madt_entries_with_wrong_lengths_end_it),
		cmocka_unit_test(mcfg_entries_are_checked),
		cmocka_unit_test(hpet_in_memory_alone),
		cmocka_unit_test(spcr_names_the_console),
		cmocka_unit_test(spcr_that_names_no_16550_is_left_out),
		cmocka_unit_test(dmar_units_reserved_memory_and_scopes),
		cmocka_unit_test(fadt_of_acpi_1_has_ports_only),
		cmocka_unit_test(s5_in_all_its_spellings),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
