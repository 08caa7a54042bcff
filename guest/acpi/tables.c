/* SPDX-License-Identifier: MIT */
/*
 * The tables that firmware leaves in memory (ACPI 6.x chapter 5).
 *
 *	0x9fc00   EBDA: its size, a copy of the RSDP, and the FACS, which the OS writes to
 *	0xe0000   RSDP -> RSDT, XSDT -> FADT -> DSDT (from guest/acpi/dsdt.asl)
 *	                             -> MADT
 *	0xf0000   the MP tables (mp_table.c)
 *	0xf8000   real-mode handlers, and their vectors at 0 (vectors.c)
 */
#include "guest/acpi/firmware.h"

#include "lib/string.h"
#include "mm/space/guest_mem.h"

static const
#include "acpi/dsdt.hex"

#define EBDA_RSDP (LAYOUT_EBDA + 0x10)
#define EBDA_FACS (LAYOUT_EBDA + 0x40)

	struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __packed;
_Static_assert(sizeof(struct header) == 36, "ACPI 5.2.6");

struct rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} __packed;
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 5.2.5.3");

/* Generic address structure, of an I/O port. */
struct gas {
	uint8_t space, width, offset, access;
	uint64_t address;
} __packed;

struct fadt {
	struct header h;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
	uint8_t pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length, gpe0_length,
		gpe1_length, gpe1_base, cst;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset;
	uint8_t reset_value;
	uint16_t arm_boot;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct gas x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control, x_pm_timer,
		x_gpe0, x_gpe1, sleep_control, sleep_status;
	uint64_t hypervisor;
} __packed;
_Static_assert(sizeof(struct fadt) == 276, "ACPI 6.x, table 5.9");
_Static_assert(
	offsetof(struct fadt, flags) == 112 && offsetof(struct fadt, x_facs) == 132, "ACPI 6.x, table 5.9");

#define FADT_WBINVD	     BIT(0)
#define FADT_PROC_C1	     BIT(2)
#define FADT_NO_SLEEP_BUTTON BIT(5)
#define FADT_TIMER_32	     BIT(8)
#define FADT_RESET	     BIT(10)
#define BOOT_LEGACY	     BIT(0) /* ISA devices are there */
#define BOOT_8042	     BIT(1)

struct madt {
	struct header h;
	uint32_t lapic, flags;
} __packed;
#define MADT_PCAT BIT(0) /* there are 8259s too */

struct madt_lapic {
	uint8_t type, length, uid, id;
	uint32_t flags;
} __packed;
struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} __packed;
struct madt_override {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} __packed;
struct madt_nmi {
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
} __packed;
struct madt_wakeup {
	uint8_t type, length;
	uint16_t version;
	uint32_t reserved;
	uint64_t mailbox;
} __packed;
_Static_assert(sizeof(struct madt_wakeup) == 16, "ACPI 6.4, 5.2.12.19");
#define MADT_ACTIVE_HIGH 1
#define MADT_LEVEL	 (3 << 2)

/* Tables are built here and written from `at` on; the longest is a MADT of 64 CPUs. */
struct writer {
	struct platform *p;
	uint64_t at;
	int err;
	uint8_t buf[1024];
	size_t n;
};
_Static_assert(sizeof(struct madt) + CPUS_MAX * sizeof(struct madt_lapic) + 128 < 1024, "the MADT fits");

uint8_t firmware_checksum(const void *bytes, size_t n)
{
	const uint8_t *b = bytes;
	uint8_t sum = 0;

	while (n--)
		sum += *b++;
	return (uint8_t)-sum;
}

static void add(struct writer *w, const void *bytes, size_t n)
{
	ASSERT(w->n + n <= sizeof(w->buf));
	memcpy(w->buf + w->n, bytes, n);
	w->n += n;
}

static struct header header(const char *signature, uint8_t revision)
{
	struct header h = { .revision = revision,
		.oem = { 'L', 'E', 'T', 'H', 'E', ' ' },
		.oem_revision = 1,
		.oem_table = { 'L', 'E', 'T', 'H', 'E', ' ', ' ', ' ' },
		.creator = { 'L', 'T', 'H', 'E' },
		.creator_revision = 1 };

	memcpy(h.signature, signature, 4);
	return h;
}

/* Completes the table in the buffer and writes it; returns where it lies. */
static uint64_t finish(struct writer *w)
{
	struct header *h = (struct header *)w->buf;
	uint64_t at = w->at;

	h->length = (uint32_t)w->n;
	h->checksum = 0;
	h->checksum = firmware_checksum(w->buf, w->n);
	if (!w->err)
		w->err = guest_write_rom(w->p->mmu, gpa(at), w->buf, w->n);
	w->at = align_up(at + w->n, 16);
	w->n = 0;
	return at;
}

static uint64_t write_dsdt(struct writer *w)
{
	uint64_t at = w->at;

	/* iasl has put length and checksum in. */
	if (!w->err)
		w->err = guest_write_rom(w->p->mmu, gpa(at), dsdt_aml_code, sizeof(dsdt_aml_code));
	w->at = align_up(at + sizeof(dsdt_aml_code), 16);
	return at;
}

static struct gas port(uint16_t at, unsigned bytes)
{
	return (struct gas){ .space = 1,
		.width = (uint8_t)(8 * bytes),
		.access = (uint8_t)(bit_lowest(bytes) + 1),
		.address = at };
}

static uint64_t write_fadt(struct writer *w, uint64_t dsdt)
{
	struct fadt f = {
		.h = header("FACP", 6),
		.facs = (uint32_t)EBDA_FACS,
		.dsdt = (uint32_t)dsdt,
		.profile = 1, /* desktop */
		.sci = VACPI_SCI,
		.pm1a_event = VACPI_PM1_EVENT,
		.pm1a_control = VACPI_PM1_CONTROL,
		.pm_timer = VACPI_PM_TIMER,
		.pm1_event_length = 4,
		.pm1_control_length = 2,
		.pm_timer_length = 4,
		.c2_latency = 0xfff, /* more than 100 us, 1000 us: there is no C2, no C3 */
		.c3_latency = 0xfff,
		.century = 0x32,
		.boot_arch = BOOT_LEGACY | BOOT_8042,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_TIMER_32 | FADT_RESET,
		.reset = port(VACPI_RESET_PORT, 1),
		.reset_value = VACPI_RESET_VALUE,
		.minor = 4,
		.x_facs =
			EBDA_FACS, /* the same as .facs, for an OS that reads only one of them (table 5.9) */
		.x_dsdt = dsdt,
		.x_pm1a_event = port(VACPI_PM1_EVENT, 4),
		.x_pm1a_control = port(VACPI_PM1_CONTROL, 2),
		.x_pm_timer = port(VACPI_PM_TIMER, 4),
	};

	/* The event block is accessed as two registers of two bytes. */
	f.x_pm1a_event.access = 2;
	add(w, &f, sizeof(f));
	return finish(w);
}

static uint64_t write_madt(struct writer *w)
{
	struct madt m = { .h = header("APIC", 5), .lapic = LAYOUT_LAPIC, .flags = MADT_PCAT };
	struct madt_ioapic io = { .type = 1, .length = sizeof(io), .address = LAYOUT_IOAPIC };
	/* The SCI is level-triggered. */
	struct madt_override timer = { .type = 2, .length = sizeof(timer), .irq = 0, .gsi = irq_isa_pin(0) };
	struct madt_override sci = { .type = 2,
		.length = sizeof(sci),
		.irq = VACPI_SCI,
		.gsi = VACPI_SCI,
		.flags = MADT_ACTIVE_HIGH | MADT_LEVEL };
	struct madt_nmi nmi = { .type = 4, .length = sizeof(nmi), .uid = 0xff, .lint = 1 };
	struct madt_wakeup wakeup = { .type = 0x10, .length = sizeof(wakeup), .mailbox = LAYOUT_MAILBOX };

	add(w, &m, sizeof(m));
	for (unsigned i = 0; i < w->p->vcpus; i++) {
		struct madt_lapic cpu = {
			.length = sizeof(cpu), .uid = (uint8_t)i, .id = (uint8_t)i, .flags = 1
		};

		add(w, &cpu, sizeof(cpu));
	}
	add(w, &io, sizeof(io));
	add(w, &timer, sizeof(timer));
	add(w, &sci, sizeof(sci));
	add(w, &nmi, sizeof(nmi));
	if (w->p->settings.layout.wakeup_gib)
		add(w, &wakeup, sizeof(wakeup));
	return finish(w);
}

static uint64_t write_root(struct writer *w, bool wide, uint64_t fadt, uint64_t madt)
{
	struct header h = header(wide ? "XSDT" : "RSDT", 1);

	add(w, &h, sizeof(h));
	add(w, &fadt, wide ? 8 : 4);
	add(w, &madt, wide ? 8 : 4);
	return finish(w);
}

static void write_rsdp(struct writer *w, uint64_t rsdt, uint64_t xsdt)
{
	struct rsdp r = { .signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
		.oem = { 'L', 'E', 'T', 'H', 'E', ' ' },
		.revision = 2,
		.rsdt = (uint32_t)rsdt,
		.length = sizeof(r),
		.xsdt = xsdt };

	r.checksum = firmware_checksum(&r, 20);
	r.extended_checksum = firmware_checksum(&r, sizeof(r));
	if (!w->err)
		w->err = guest_write_rom(w->p->mmu, gpa(LAYOUT_BIOS), &r, sizeof(r));
	if (!w->err)
		w->err = guest_write(w->p->mmu, gpa(EBDA_RSDP), &r, sizeof(r));
}

static void write_ebda(struct writer *w)
{
	const uint8_t kib = 1;
	struct {
		char signature[4];
		uint32_t length, fields[6];
		uint8_t version, reserved[31];
	} __packed facs = { .signature = { 'F', 'A', 'C', 'S' }, .length = 64, .version = 2 };
	_Static_assert(sizeof(facs) == 64, "ACPI 5.2.10");

	if (!w->err)
		w->err = guest_write(w->p->mmu, gpa(LAYOUT_EBDA), &kib, 1);
	if (!w->err)
		w->err = guest_write(w->p->mmu, gpa(EBDA_FACS), &facs, sizeof(facs));
}

int platform_write_tables(struct platform *p, uint64_t *rsdp)
{
	struct writer w = { .p = p, .at = LAYOUT_BIOS + 64 };
	uint64_t dsdt = write_dsdt(&w), fadt = write_fadt(&w, dsdt), madt = write_madt(&w);
	uint64_t rsdt = write_root(&w, false, fadt, madt), xsdt = write_root(&w, true, fadt, madt);

	ASSERT(w.at <= LAYOUT_MP);
	write_rsdp(&w, rsdt, xsdt);
	write_ebda(&w);
	if (!w.err)
		w.err = mp_table_write(p);
	if (!w.err)
		w.err = wakeup_write(p);
	if (!w.err)
		w.err = vectors_write(p);
	*rsdp = LAYOUT_BIOS;
	return w.err;
}
