/* SPDX-License-Identifier: MIT */
/*
 * The machine as lethe-report.txt lists it, to find a fault without access to the machine: what firmware says of it, and what the
 * CPU says. Reading the hardware (machine.c) is apart from describing it (machine_pure.c).
 */
#pragma once

#include "boot/preflight.h"
#include "drivers/acpi/acpi.h"
#include "drivers/dma.h"
#include "lib/boot_info.h"

#define MACHINE_LEAVES_MAX    96
#define MACHINE_FUNCTIONS_MAX 128

struct machine_leaf {
	uint32_t leaf, subleaf, eax, ebx, ecx, edx;
};

struct machine_facts {
	char firmware[64]; /* its vendor, as far as that is ASCII */
	uint32_t firmware_revision;
	uint64_t microcode; /* IA32_BIOS_SIGN_ID bits 63:32; 0: unknown */
	unsigned nleaves;
	struct machine_leaf leaf[MACHINE_LEAVES_MAX];
	unsigned nmsrs;
	struct {
		uint32_t msr;
		uint64_t value;
	} msr[32];
	struct vmx_reasons vmx; /* what is degraded, and what is missing */
	const struct boot_info *boot;
	const struct acpi *acpi;
	int acpi_error;	     /* of acpi_read() */
	unsigned nfunctions; /* of PCI segment 0; those that found no room are counted only */
	struct {
		struct pci_function is;
		enum dma_verdict dma; /* what Lethe will do about its bus mastering */
	} function[MACHINE_FUNCTIONS_MAX];
};

/* Reads CPU and firmware's tables. bi: range, nranges, fb and rsdp are filled in. The result is valid until the next call. */
const struct machine_facts *machine_look(const struct boot_info *bi, const struct preflight_facts *f);
/* Line by line. */
void machine_describe(const struct machine_facts *m, void (*line)(void *to, const char *text), void *to);
