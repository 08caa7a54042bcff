/* SPDX-License-Identifier: MIT */
/*
 * The firmware's ACPI tables as data (ACPI 6.5, chapter 5). Firmware is not trusted to be right: every length is
 * checked, nothing beyond a table is read, and what is broken is left out and counted.
 *
 *	RSDP -> XSDT or RSDT -> MADT  CPUs, I/O APICs, overrides
 *	                        FADT  power-off, reset, PM timer -> DSDT \_S5_
 *	                        MCFG, HPET, SPCR, DMAR
 *
 * Memory is reached through a callback, so that tests and fuzzers can put any bytes before the parsers.
 */
#pragma once

#include "lib/cpu_id.h"
#include "lib/types.h"

/* Returns a pointer to n readable bytes at a physical address, good until the next call or longer, or NULL. */
struct acpi_memory {
	const void *(*map)(void *ctx, uint64_t at, size_t n);
	void *ctx;
};

#define ACPI_CPUS_MAX	     256 /* more than CPUS_MAX: some that are listed may not be there */
#define ACPI_IOAPICS_MAX     16
#define ACPI_OVERRIDES_MAX   32
#define ACPI_NMIS_MAX	     16
#define ACPI_MCFG_MAX	     8
#define ACPI_DRHD_MAX	     16
#define ACPI_RMRR_MAX	     16
#define ACPI_SCOPE_MAX	     8
#define ACPI_TABLES_MAX	     64
#define ACPI_TABLE_BYTES_MAX (4u << 20) /* a longer table is taken for garbage */

struct acpi_cpu { /* one that firmware says is ready for use */
	uint32_t apic_id, uid;
};

struct acpi_ioapic {
	uint32_t id, gsi_base;
	uint64_t address;
};

struct acpi_override { /* of an ISA interrupt */
	uint8_t irq;
	uint32_t gsi;
	/* Bits 1:0 polarity (1 high, 3 low), 3:2 trigger (1 edge, 3 level), 0: as the bus has it. */
	uint16_t flags;
};

struct acpi_nmi { /* an input of an I/O APIC (gsi) or of local APICs (lint) that is wired to NMI */
	bool local;
	uint32_t uid; /* local: of the CPU; 0xffffffff: all */
	uint32_t gsi; /* not local */
	uint8_t lint; /* local: 0 or 1 */
	uint16_t flags;
};

enum acpi_space { ACPI_MEMORY = 0, ACPI_IO = 1, ACPI_PCI = 2 };

struct acpi_gas { /* Generic Address Structure (5.2.3.2) */
	uint8_t space, bit_width, bit_offset, access;
	uint64_t address; /* 0: there is none */
};

struct acpi_serial {	    /* the 16550 that firmware uses as console (SPCR) */
	struct acpi_gas at; /* ACPI_MEMORY or ACPI_IO; address 0: there is none */
	uint8_t stride;	    /* bytes from one register to the next: 1, 2 or 4 */
	bool pc;	    /* the PC's clock: its divisor may be set */
	bool pci;	    /* the following say which function it is */
	uint16_t segment, vendor, device;
	uint8_t bus, dev, fn;
};

struct acpi_mcfg {
	uint64_t base; /* of bus 0, even if bus_first is not 0 */
	uint16_t segment;
	uint8_t bus_first, bus_last;
};

struct acpi_scope { /* DMAR device scope: the device at the end of the path */
	uint8_t type, id, bus, path_len;
	uint8_t path[8]; /* device, function pairs */
};

struct acpi_drhd { /* a DMA remapping unit */
	uint64_t base;
	uint16_t segment;
	bool include_all;
	uint8_t nscopes;
	struct acpi_scope scope[ACPI_SCOPE_MAX];
};

struct acpi_rmrr { /* memory that a device must go on reaching */
	uint64_t base, limit;
	uint16_t segment;
	uint8_t nscopes;
	struct acpi_scope scope[ACPI_SCOPE_MAX];
};

struct acpi {
	uint8_t revision;
	unsigned ntables, nbroken; /* found; left out because of a bad length, checksum or address */
	char oem[7];		   /* of the XSDT or RSDT */
	struct {
		char sig[5];
		uint32_t bytes;
		uint64_t at;
	} table[ACPI_TABLES_MAX];

	/* MADT */
	bool have_madt, pc_at; /* pc_at: there is a pair of 8259s */
	bool x2apic_ids;       /* one of cpu[] has an ID above 254: only x2APIC mode reaches it */
	uint64_t lapic_address;
	unsigned ncpus, ncpus_dropped, ncpus_offline; /* listed; beyond ACPI_CPUS_MAX; could be plugged in */
	unsigned ncpus_disabled;		      /* neither usable nor to be plugged in */
	uint32_t first_disabled;		      /* APIC ID */
	struct acpi_cpu cpu[ACPI_CPUS_MAX];
	unsigned nioapics, noverrides, nnmis;
	struct acpi_ioapic ioapic[ACPI_IOAPICS_MAX];
	struct acpi_override override[ACPI_OVERRIDES_MAX];
	struct acpi_nmi nmi[ACPI_NMIS_MAX];

	/* FADT */
	bool have_fadt, hw_reduced, reset_supported, no_8042, no_vga, pm_timer_32bit, legacy_devices;
	uint16_t sci_irq, boot_arch;
	uint32_t smi_cmd, flags;
	uint8_t acpi_enable, acpi_disable, reset_value, century; /* century: CMOS index or 0 */
	struct acpi_gas pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm_timer, reset, sleep_control, sleep_status;
	uint8_t pm1_evt_len;
	uint64_t facs, dsdt;
	bool have_s5;
	uint8_t s5_typ_a, s5_typ_b;

	/* the rest */
	unsigned nmcfg;
	struct acpi_mcfg mcfg[ACPI_MCFG_MAX];
	uint64_t hpet; /* base of its registers, 0: none */
	struct acpi_serial spcr;
	bool have_dmar, dmar_intr_remap, dmar_x2apic_opt_out;
	uint8_t dmar_width; /* host address width, bits */
	unsigned ndrhd, nrmrr;
	struct acpi_drhd drhd[ACPI_DRHD_MAX];
	struct acpi_rmrr rmrr[ACPI_RMRR_MAX];
};

/* Reads all of them. `rsdp`: physical, from the UEFI configuration table. 0; -E_NOENT: rsdp is 0; -E_INVAL: no valid
 * RSDP or root table there. Whatever single tables are broken or absent: 0, and *out says what there is. */
int acpi_read(struct acpi *out, const struct acpi_memory *mem, uint64_t rsdp);
/* As acpi_read, through mappings of hostmap (which must be active). The result stays valid: drivers keep pointers. */
int acpi_init(hpa_t rsdp);
const struct acpi *acpi_get(void); /* what acpi_init read; all zero before */
/* A few lines for the log: tables, CPUs, what is missing. */
void acpi_log(const struct acpi *a);

/* Parsers of single tables. Each is given a whole table whose length and checksum are right (header included). */
#define ACPI_HEADER 36
void acpi_parse_madt(struct acpi *a, const uint8_t *t, size_t n);
void acpi_parse_fadt(struct acpi *a, const uint8_t *t, size_t n);
void acpi_parse_mcfg(struct acpi *a, const uint8_t *t, size_t n);
void acpi_parse_hpet(struct acpi *a, const uint8_t *t, size_t n);
void acpi_parse_spcr(struct acpi *a, const uint8_t *t, size_t n);
void acpi_parse_dmar(struct acpi *a, const uint8_t *t, size_t n);
/* Looks in a DSDT or SSDT for Name (_S5_, Package () { a, b, ... }). True if found. */
bool acpi_find_s5(const uint8_t *t, size_t n, uint8_t *typ_a, uint8_t *typ_b);
