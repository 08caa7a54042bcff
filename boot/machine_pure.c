/* SPDX-License-Identifier: MIT */
#include "boot/machine.h"

#include "boot/lines.h"

static void put_vmx(const struct lines *o, const struct machine_facts *m)
{
	for (unsigned i = 0; i < m->vmx.n; i++)
		lines_put(o, "Missing: %s", m->vmx.missing[i]);
	for (unsigned i = 0; i < m->vmx.ndegraded; i++)
		lines_put(o, "Degraded: %s", m->vmx.degraded[i]);
	for (unsigned i = 0; i < m->nmsrs; i++)
		lines_put(o, "MSR %#x: 0x%016lx", m->msr[i].msr, m->msr[i].value);
}

static void put_cpuid(const struct lines *o, const struct machine_facts *m)
{
	for (unsigned i = 0; i < m->nleaves; i++) {
		const struct machine_leaf *l = &m->leaf[i];

		lines_put(o, "CPUID %08x.%u: %08x %08x %08x %08x", l->leaf, l->subleaf, l->eax, l->ebx,
			l->ecx, l->edx);
	}
}

static void put_memory(const struct lines *o, const struct boot_info *bi)
{
	static const char *const names[] = {
		[MEM_USABLE] = "usable",
		[MEM_BOOT] = "Lethe's",
		[MEM_BOOT_SERVICES] = "boot services",
		[MEM_ACPI_RECLAIM] = "ACPI tables",
		[MEM_ACPI_NVS] = "ACPI NVS",
		[MEM_RUNTIME_CODE] = "runtime code",
		[MEM_RUNTIME_DATA] = "runtime data",
		[MEM_MMIO] = "device",
		[MEM_RESERVED] = "reserved",
	};

	lines_put(o, "Memory map:");
	for (unsigned i = 0; i < bi->nranges; i++) {
		const struct mem_range *r = &bi->range[i];

		lines_put(o, "  %012lx-%012lx %s (UEFI type %u, attributes 0x%lx)", r->base.v,
			r->base.v + r->pages * PAGE_SIZE - 1, names[r->type], r->uefi_type, r->attributes);
	}
}

static void put_screen(const struct lines *o, const struct framebuffer *fb)
{
	static const char *const formats[] = {
		[FB_NONE] = "not used", [FB_BGRX8888] = "BGRX", [FB_RGBX8888] = "RGBX"
	};

	lines_put(o, "Framebuffer: 0x%lx, %ux%u, %u pixels a line, %s; %lu bytes, reported %lu", fb->base.v,
		fb->width, fb->height, fb->stride, formats[fb->format], fb->size, fb->reported);
}

static void put_madt(const struct lines *o, const struct acpi *a)
{
	lines_put(o,
		"MADT: %u CPUs, %u more could be plugged in, %u are disabled, %u were dropped; local APIC at 0x%lx",
		a->ncpus, a->ncpus_offline, a->ncpus_disabled, a->ncpus_dropped, a->lapic_address);
	for (unsigned i = 0; i < a->ncpus; i++)
		lines_put(o, "  CPU: APIC ID %u, UID %u", a->cpu[i].apic_id, a->cpu[i].uid);
	for (unsigned i = 0; i < a->nioapics; i++)
		lines_put(o, "  I/O APIC %u at 0x%lx, GSI %u on", a->ioapic[i].id, a->ioapic[i].address,
			a->ioapic[i].gsi_base);
	for (unsigned i = 0; i < a->noverrides; i++)
		lines_put(o, "  IRQ %u is GSI %u, flags %#x", a->override[i].irq, a->override[i].gsi,
			a->override[i].flags);
	for (unsigned i = 0; i < a->nnmis; i++)
		lines_put(o, "  NMI: %s %u, flags %#x", a->nmi[i].local ? "LINT" : "GSI",
			a->nmi[i].local ? a->nmi[i].lint : a->nmi[i].gsi, a->nmi[i].flags);
}

static void put_acpi(const struct lines *o, const struct acpi *a)
{
	lines_put(o, "ACPI %u (%s): %u tables, %u broken", a->revision, a->oem, a->ntables, a->nbroken);
	for (unsigned i = 0; i < a->ntables; i++)
		lines_put(o, "  %s at 0x%lx, %u bytes", a->table[i].sig, a->table[i].at, a->table[i].bytes);
	put_madt(o, a);
	if (a->spcr.at.address || a->spcr.pci)
		lines_put(o, "SPCR: %s 0x%lx, registers %u apart%s",
			a->spcr.at.space == ACPI_IO ? "port" : "memory", a->spcr.at.address, a->spcr.stride,
			a->spcr.pci ? "" : ", no PCI function");
	else
		lines_put(o, "SPCR: names no 16550");
	if (a->spcr.pci)
		lines_put(o, "  PCI %04x:%02x:%02x.%u, %04x:%04x", a->spcr.segment, a->spcr.bus, a->spcr.dev,
			a->spcr.fn, a->spcr.vendor, a->spcr.device);
	lines_put(o, "FADT: %s%s%s, S5 %s, reset %s", a->have_fadt ? "there" : "none",
		a->hw_reduced ? ", hardware-reduced" : "", a->no_8042 ? ", no 8042" : "",
		a->have_s5 ? "known" : "unknown", a->reset_supported ? "by register" : "not by register");
	lines_put(o, "DMAR: %s, %u units, %u reserved regions", a->have_dmar ? "there" : "none", a->ndrhd,
		a->nrmrr);
	for (unsigned i = 0; i < a->ndrhd; i++)
		lines_put(o, "  Remapping unit at 0x%lx, segment %u", a->drhd[i].base, a->drhd[i].segment);
}

static void put_pci(const struct lines *o, const struct machine_facts *m)
{
	char name[PCI_NAME_SIZE];

	lines_put(o, "PCI: %u functions", m->nfunctions);
	for (unsigned i = 0; i < min(m->nfunctions, (unsigned)MACHINE_FUNCTIONS_MAX); i++)
		lines_put(o, "  %s: %s", pci_name(&m->function[i].is, name),
			dma_verdict_name(m->function[i].dma));
}

void machine_describe(const struct machine_facts *m, void (*line)(void *to, const char *text), void *to)
{
	const struct lines o = { line, to };

	lines_put(&o, "Firmware's vendor: %s, revision %#x", m->firmware[0] ? m->firmware : "unknown",
		m->firmware_revision);
	lines_put(&o, "Microcode: %#lx", m->microcode);
	put_vmx(&o, m);
	put_screen(&o, &m->boot->fb);
	if (m->acpi_error)
		lines_put(&o, "ACPI: no tables can be read (RSDP at 0x%lx): %s", m->boot->rsdp.v,
			err_name(m->acpi_error));
	else
		put_acpi(&o, m->acpi);
	put_pci(&o, m);
	put_memory(&o, m->boot);
	put_cpuid(&o, m);
}
