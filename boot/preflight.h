/* SPDX-License-Identifier: MIT */
/*
 * Preflight: can Lethe run on this machine? Reading the hardware (preflight.c, CPUID and MSRs) is apart from deciding
 * (preflight_pure.c), so that tests can present every kind of machine to the decision.
 */
#pragma once

#include "boot/report.h"
#include "hv/vmx/vmx_controls.h"
#include "lib/types.h"

struct preflight_facts {
	char vendor[13], brand[49]; /* CPUID 0 and 80000002h..80000004h */
	unsigned family, model, stepping;
	bool hypervisor;	    /* CPUID.1:ECX[31]: this machine is itself virtual */
	char hypervisor_vendor[13]; /* CPUID 40000000h */
	bool long_mode, nx, apic, vmx;
	bool la57; /* the firmware runs with 5-level paging: CR4[12] */
	bool secure_boot;
	uint64_t feature_control;		 /* IA32_FEATURE_CONTROL, if vmx */
	struct vmx_msrs msrs;			 /* the capability MSRs, if vmx */
	unsigned firmware_major, firmware_minor; /* UEFI */
	/* Bytes: RAM in the firmware's map; what of it Lethe can have; the files to load; what the VMs ask for. */
	uint64_t memory_total, memory_usable, memory_files, memory_guests;
	bool configured; /* the last two are known */
};

/* Reads the CPU. The memory fields are the caller's. */
void preflight_look(struct preflight_facts *f);
/* Adds every blocker, and the notes on what follows from what is missing without being a blocker. */
void preflight_check(const struct preflight_facts *f, struct report *r);
/* What Lethe itself needs beside guests and files: its tables and records, in bytes. */
uint64_t preflight_own_memory(uint64_t guests);

/* The capabilities found (capability_pure.c), line by line. */
void preflight_describe(const struct preflight_facts *f, void (*line)(void *to, const char *text), void *to);
