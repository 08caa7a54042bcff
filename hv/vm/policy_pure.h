/* SPDX-License-Identifier: MIT */
/*
 * What a VM is made of, as a section of lethe.conf says: memory, ports, MSRs, devices. hv/vm/vm_parts.c builds what stands
 * here, and as many vCPUs as have been placed (hv/vm/place.h). Pure (hv/vm/policy_pure.c).
 *
 *	backing[]	RAM that the VM gets, by what it is for
 *	region[]	where in its memory which piece of which backing lies
 *	port[]		ports that the guest reaches itself: every other access exits
 */
#pragma once

#include "guest/conf/conf.h"
#include "guest/dev/platform.h"
#include "hv/vm/guest_msr_pure.h"

/* What there is a backing for: RAM below and above 4 GiB; with APICv, the page behind the local APIC's usual address; with EPT
 * but without unrestricted guest, the hidden page directory; where no SIPI starts a vCPU, the page tables of those that start by
 * the wakeup mailbox. */
enum policy_backing {
	POLICY_RAM_LOW,
	POLICY_RAM_HIGH,
	POLICY_APIC_PAGE,
	POLICY_IDENTITY,
	POLICY_WAKEUP,
	POLICY_BACKINGS
};

struct policy_region {
	uint64_t from, to; /* gpa */
	enum policy_backing backing;
	uint64_t at; /* byte of the backing that lies at `from` */
};

struct policy_ports {
	uint16_t first, last;
};

#define POLICY_REGIONS_MAX 8
#define POLICY_PORTS_MAX   4

/* What of this machine a policy depends on. */
struct policy_host {
	bool ept, shadow; /* what guests can run on: at least one of the two */
	bool apicv, unrestricted;
	bool pat;	/* VM entry and exit switch IA32_PAT */
	bool tsc_aux;	/* there is IA32_TSC_AUX */
	unsigned vcpus; /* that the VM has been placed with */
};

struct policy {
	struct guest_layout layout;
	uint64_t backing_bytes[POLICY_BACKINGS]; /* 0: it has none */
	unsigned nregions;
	struct policy_region region[POLICY_REGIONS_MAX];
	unsigned nports;
	struct policy_ports port[POLICY_PORTS_MAX];
	struct msr_bitmap_params msrs;
	struct {
		bool shadow; /* shadow page tables; else EPT */
		enum conf_removal removal;
		bool eager, small_pages;
		uint64_t
			indirect_pages; /* tables made from the guest's own that are expected; 0: none are made */
	} mmu;
	bool unrestricted; /* "unrestricted guest" is on: the guest may run in real mode, and changes CR0, CR3 and EFER alone */
	struct device_options devices;
	const struct conf_vm *images; /* what is loaded, and how it starts; kept as long as the VM */
};

/* True if a VM that asks for `mmu` runs on shadow page tables. -E_NOSUP in *err: this CPU cannot give it what it asks for, and *why
 * says so. */
bool policy_shadow(enum conf_mmu mmu, const struct policy_host *host, int *err, const char **why);
/* Fills in what a section of lethe.conf asks for. 0; -E_NOSUP or -E_RANGE: *why says, in a sentence, what cannot be had. */
int policy_from_conf(
	struct policy *p, const struct conf_vm *conf, const struct policy_host *host, const char **why);
/* Fills in the two I/O bitmaps, 8 KiB together (SDM Vol. 3C 24.6.4): a bit that is 0 lets the guest reach its port. */
void policy_io_bitmap(const struct policy *p, uint8_t bitmap[8192]);
