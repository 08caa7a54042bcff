/* SPDX-License-Identifier: MIT */
#include "boot/machine.h"

#include "boot/firmware.h"
#include "hv/vmx/vmx.h"
#include "lib/string.h"
#include "lib/x86.h"

#define MSR_VMX_VMFUNC 0x491
#define BIOS_AREA      0xe0000ul /* up to 1 MiB: where an RSDP may be though no map lists it */

static struct machine_facts facts;
static struct acpi tables;

/* The firmware's page tables map what its memory map lists at the same addresses (UEFI 2.3.4). */
static const void *map(void *ctx, uint64_t at, size_t n)
{
	const struct boot_info *bi = ctx;

	if (at >= BIOS_AREA && range_within(at, n, MiB))
		return (const void *)at;
	for (unsigned i = 0; i < bi->nranges; i++) {
		uint64_t start = bi->range[i].base.v, bytes = bi->range[i].pages * PAGE_SIZE;

		if (bi->range[i].type != MEM_MMIO && at && at >= start && range_within(at - start, n, bytes))
			return (const void *)at;
	}
	return NULL;
}

static void add_leaf(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r = cpuid(leaf, subleaf);

	if (facts.nleaves < MACHINE_LEAVES_MAX)
		facts.leaf[facts.nleaves++] =
			(struct machine_leaf){ leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx };
}

/* How many subleaves are worth listing (SDM Vol. 2A, CPUID). */
static uint32_t subleaves(uint32_t leaf)
{
	switch (leaf) {
	case 0x4:
		return 4;
	case 0x7:
	case 0xd:
	case 0x14:
		return 2;
	case 0xb:
	case 0x1f:
		return 3;
	default:
		return 1;
	}
}

static void add_leaves(uint32_t first, uint32_t most)
{
	uint32_t last = cpuid(first, 0).eax;

	/* If the range is absent, CPUID returns arbitrary values. */
	if (last < first || last - first > most)
		last = last < first ? first : first + most;
	for (uint32_t leaf = first; leaf <= last; leaf++)
		for (uint32_t n = 0; n < subleaves(leaf); n++)
			add_leaf(leaf, n);
}

static void add_msr(uint32_t msr)
{
	if (facts.nmsrs == ARRAY_SIZE(facts.msr))
		return;
	facts.msr[facts.nmsrs].msr = msr;
	facts.msr[facts.nmsrs++].value = rdmsr(msr);
}

static void look_at_vmx(const struct preflight_facts *f)
{
	struct vmx_controls unused;

	for (uint32_t msr = MSR_VMX_BASIC; msr <= MSR_VMX_CR4_FIXED1 + 1; msr++)
		add_msr(msr);
	/* Which others there are: appendix A of SDM Vol. 3D. */
	if (f->msrs.proc >> 32 & PROC_SECONDARY)
		add_msr(MSR_VMX_PROC2);
	if (f->msrs.proc2 >> 32 & (PROC2_EPT | PROC2_VPID))
		add_msr(MSR_VMX_EPT_VPID);
	for (uint32_t msr = MSR_VMX_TRUE_PIN; f->msrs.basic & BIT(55) && msr <= MSR_VMX_TRUE_ENTRY; msr++)
		add_msr(msr);
	if (f->msrs.proc2 >> 32 & PROC2_VMFUNC)
		add_msr(MSR_VMX_VMFUNC);
	vmx_controls_choose(&f->msrs, &unused, &facts.vmx);
}

/* Before pci_init() the ports of segment 0 are the only way. Device memory may not be mapped by the firmware. */
static bool add_function(void *ctx, const struct pci_function *f)
{
	static const struct dma_access by_ports = { .read = pci_read, .write = pci_write };
	unsigned i = facts.nfunctions++;

	(void)ctx;
	if (i < MACHINE_FUNCTIONS_MAX) {
		facts.function[i].is = *f;
		facts.function[i].dma = dma_judge(&by_ports, f);
	}
	return true;
}

const struct machine_facts *machine_look(const struct boot_info *bi, const struct preflight_facts *f)
{
	const struct acpi_memory mem = { map, (void *)bi };
	const CHAR16 *name = firmware.table->FirmwareVendor;
	uint8_t roots[PCI_ROOTS_MAX];

	memset(&facts, 0, sizeof(facts));
	memset(&tables, 0, sizeof(tables));
	for (unsigned i = 0; name && i < sizeof(facts.firmware) - 1 && name[i]; i++)
		facts.firmware[i] = name[i] >= ' ' && name[i] < 0x7f ? (char)name[i] : '?';
	facts.firmware_revision = firmware.table->FirmwareRevision;
	facts.microcode = strcmp(f->vendor, "GenuineIntel") == 0 ? microcode_revision() : 0;
	add_leaves(0, 0x20);
	if (f->hypervisor)
		add_leaves(0x40000000, 0x10);
	add_leaves(0x80000000, 8);
	if (f->vmx)
		look_at_vmx(f);
	facts.boot = bi;
	facts.acpi = &tables;
	facts.acpi_error = acpi_read(&tables, &mem, bi->rsdp.v);
	pci_walk_segment(pci_read, 0, roots, pci_roots(&tables, 0, 0, 255, roots), add_function, NULL);
	return &facts;
}
