/* SPDX-License-Identifier: MIT */
/*
 * The Intel MP tables (MultiProcessor Specification 1.4, chapter 4), for guests without ACPI: xv6, Linux with acpi=off.
 * They say what the MADT and \_SB.PCI0._PRT say, but for vCPUs that start by the wakeup mailbox.
 *
 *	0xf0000   floating pointer ("_MP_", found by searching 0xf0000-0xfffff in steps of 16)
 *	0xf0010   header "PCMP", then entries by rising type:
 *		  processor for each vCPU that SIPI starts | buses PCI 0, ISA 1 | I/O APIC | its inputs: ISA, PCI | local APICs' LINT0, LINT1
 */
#include "guest/acpi/firmware.h"

#include "lib/string.h"
#include "mm/space/guest_mem.h"

#define FLOATING LAYOUT_MP
#define CONFIG	 (LAYOUT_MP + 16)

#define BUS_PCI	    0 /* PCI buses have their own number as ID (D.2), ISA the next */
#define BUS_ISA	    1
#define APIC_ID_ALL 0xff

struct mp_floating {
	char signature[4];
	uint32_t config;
	uint8_t length, revision, checksum; /* in 16 bytes; 4: version 1.4 */
	uint8_t features[5];		    /* all 0: there is a table; virtual wire mode, no IMCR */
} __packed;
_Static_assert(sizeof(struct mp_floating) == 16, "MP 1.4, 4.1");

struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_size, entries;
	uint32_t lapic;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
} __packed;
_Static_assert(sizeof(struct mp_header) == 44, "MP 1.4, 4.2");

enum { MP_PROCESSOR, MP_BUS, MP_IOAPIC, MP_IO_INTERRUPT, MP_LOCAL_INTERRUPT };

struct mp_processor {
	uint8_t type, apic_id, apic_version, flags;
	uint32_t signature, features; /* CPUID leaf 1: EAX, EDX */
	uint32_t reserved[2];
} __packed;
_Static_assert(sizeof(struct mp_processor) == 20, "MP 1.4, 4.3.1");
#define PROCESSOR_ENABLED BIT(0)
#define PROCESSOR_BOOT	  BIT(1)

struct mp_bus {
	uint8_t type, id;
	char name[6];
} __packed;

struct mp_ioapic {
	uint8_t type, id, version, flags;
	uint32_t address;
} __packed;
#define IOAPIC_ENABLED BIT(0)

/* Of an I/O APIC's input or a local APIC's; irq is IRQ of an ISA bus, device << 2 | pin of a PCI bus (D.3). */
struct mp_interrupt {
	uint8_t type, kind;
	uint16_t flags;
	uint8_t bus, irq, apic, input;
} __packed;
_Static_assert(
	sizeof(struct mp_bus) == 8 && sizeof(struct mp_ioapic) == 8 && sizeof(struct mp_interrupt) == 8,
	"MP 1.4, 4.3");
enum { KIND_INT, KIND_NMI, KIND_SMI, KIND_EXTINT };
#define FLAGS_BUS	 0 /* polarity and trigger as the bus has them */
#define FLAGS_LEVEL_HIGH 0xd

/* Entries are written one by one: with 254 processors they are more than fits on a stack. */
struct mp_writer {
	struct platform *p;
	struct mp_header h;
	uint8_t sum; /* of the entries' bytes, negated */
	int err;
};

_Static_assert(CPUS_MAX <= 254, "APIC IDs have eight bits here, and FFh is broadcast");
_Static_assert(CONFIG + sizeof(struct mp_header) + CPUS_MAX * sizeof(struct mp_processor) +
			       (3 + 16 + 4 * VPCI_SLOTS + 2) * 8 <=
		       LAYOUT_MP_END,
	"the tables fit");

static void mp_add(struct mp_writer *w, const void *entry, size_t n)
{
	if (!w->err)
		w->err = guest_write_rom(w->p->mmu, gpa(CONFIG + w->h.length), entry, n);
	w->h.length = (uint16_t)(w->h.length + n);
	w->h.entries++;
	w->sum = (uint8_t)(w->sum + firmware_checksum(entry, n));
}

/* An OS that reads these tables starts processors by SIPI. Those that cannot start so are left out. */
static void mp_add_processors(struct mp_writer *w)
{
	unsigned n = w->p->settings.layout.wakeup_gib ? 1 : w->p->vcpus;

	for (unsigned i = 0; i < n; i++) {
		struct mp_processor cpu = { .type = MP_PROCESSOR,
			.apic_id = (uint8_t)i,
			.apic_version = (uint8_t)vlapic_get(&w->p->interrupts.lapic[i], APIC_VERSION),
			.flags = PROCESSOR_ENABLED | (i ? 0 : PROCESSOR_BOOT),
			.signature = w->p->cpu_signature,
			.features = w->p->cpu_features };

		mp_add(w, &cpu, sizeof(cpu));
	}
}

static void mp_add_input(struct mp_writer *w, unsigned bus, unsigned irq, unsigned pin, unsigned flags)
{
	struct mp_interrupt in = { .type = MP_IO_INTERRUPT,
		.kind = KIND_INT,
		.flags = (uint16_t)flags,
		.bus = (uint8_t)bus,
		.irq = (uint8_t)irq,
		.apic = w->p->interrupts.ioapic->id,
		.input = (uint8_t)pin };

	mp_add(w, &in, sizeof(in));
}

static void mp_add_inputs(struct mp_writer *w)
{
	for (unsigned irq = 0; irq < 16; irq++)
		if (irq != 2) /* the 8259s' cascade is no source */
			mp_add_input(w, BUS_ISA, irq, irq_isa_pin(irq),
				irq == VACPI_SCI ? FLAGS_LEVEL_HIGH : FLAGS_BUS);
	for (unsigned slot = 0; slot < VPCI_SLOTS; slot++)
		for (unsigned pin = 0; pin < 4; pin++)
			mp_add_input(
				w, BUS_PCI, slot << 2 | pin, irq_pci_pin(vpci_line(slot, pin)), FLAGS_BUS);
}

/* The 8259s' INTR at LINT0 of the boot processor (virtual wire mode), NMI at LINT1 of all. */
static void mp_add_local_inputs(struct mp_writer *w)
{
	struct mp_interrupt intr = {
		.type = MP_LOCAL_INTERRUPT, .kind = KIND_EXTINT, .bus = BUS_ISA, .apic = 0, .input = 0
	};
	struct mp_interrupt nmi = {
		.type = MP_LOCAL_INTERRUPT, .kind = KIND_NMI, .bus = BUS_ISA, .apic = APIC_ID_ALL, .input = 1
	};

	mp_add(w, &intr, sizeof(intr));
	mp_add(w, &nmi, sizeof(nmi));
}

static void mp_finish(struct mp_writer *w)
{
	struct mp_floating f = {
		.signature = { '_', 'M', 'P', '_' }, .config = CONFIG, .length = sizeof(f) / 16, .revision = 4
	};

	w->h.checksum = (uint8_t)(w->sum + firmware_checksum(&w->h, sizeof(w->h)));
	f.checksum = firmware_checksum(&f, sizeof(f));
	if (!w->err)
		w->err = guest_write_rom(w->p->mmu, gpa(CONFIG), &w->h, sizeof(w->h));
	if (!w->err)
		w->err = guest_write_rom(w->p->mmu, gpa(FLOATING), &f, sizeof(f));
}

int mp_table_write(struct platform *p)
{
	static const struct mp_bus pci = { MP_BUS, BUS_PCI, { 'P', 'C', 'I', ' ', ' ', ' ' } },
				   isa = { MP_BUS, BUS_ISA, { 'I', 'S', 'A', ' ', ' ', ' ' } };
	struct mp_ioapic io = { .type = MP_IOAPIC,
		.id = p->interrupts.ioapic->id,
		.version = VIOAPIC_VERSION,
		.flags = IOAPIC_ENABLED,
		.address = LAYOUT_IOAPIC };
	struct mp_writer w = { .p = p,
		.h = { .signature = { 'P', 'C', 'M', 'P' },
			.length = sizeof(struct mp_header),
			.revision = 4,
			.oem = { 'L', 'E', 'T', 'H', 'E', ' ', ' ', ' ' },
			.product = { 'L', 'E', 'T', 'H', 'E', ' ', ' ', ' ', ' ', ' ', ' ', ' ' },
			.lapic = LAYOUT_LAPIC } };

	mp_add_processors(&w);
	mp_add(&w, &pci, sizeof(pci));
	mp_add(&w, &isa, sizeof(isa));
	mp_add(&w, &io, sizeof(io));
	mp_add_inputs(&w);
	mp_add_local_inputs(&w);
	mp_finish(&w);
	return w.err;
}
