/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine: guest memory with its MMU, the platform, vCPUs, and what they share of the VMCS's bitmaps.
 */
#pragma once

#include "guest/conf/conf.h"
#include "guest/load/loader.h"
#include "hv/vm/background_pure.h"
#include "hv/vm/dump.h"
#include "hv/vm/life_pure.h"
#include "hv/vm/policy_pure.h"
#include "hv/vm/vcpu.h"

struct guest_cpuid; /* hv/vm/guest_cpuid.h */

struct vm {
	char name[CONF_NAME_MAX];
	unsigned id;
	struct vm_life life;
	struct policy policy;
	struct mmu *mmu;
	struct platform *platform;
	struct backing *backing[POLICY_BACKINGS]; /* NULL: it has none */
	slot_id apic_slot;
	bool apic_emulated;	   /* ... is not there now (atomic); see vm_apic_base_written() */
	struct spinlock apic_lock; /* for changing these two; outside the MMU's lock */
	struct guest_cpuid *cpuid;
	hpa_t io_bitmap, msr_bitmap; /* two frames in a row; one */
	hpa_t apic_access;	     /* page for the APIC access address */
	uint64_t tsc_offset;	     /* guest TSC = host TSC + this (+ tsc_adjust) */
	gpa_t identity_map;	  /* with EPT but without unrestricted guest: of the hidden page directory */
	struct vcpu_state start;  /* of vCPU 0 */
	bool image_may_want_bios; /* guest_image_may_want_bios() */
	unsigned nvcpus;
	uint64_t started; /* its own TSC when vCPU 0 first entered it */
	unsigned stopped; /* vCPUs that have stopped (atomic) */
	/* Parts that are made (hv/vm/vm_parts.c), and last words that are said (hv/vm/vm_apart.c). */
	unsigned parts, words;
	struct {
		const struct boot_info *boot;
		char *why; /* n characters for the reason */
		size_t n;
	} building;		      /* while it is built */
	struct dump dump;	      /* of the vCPU whose guest did what ended the VM */
	struct background background; /* its output while another VM is in front */
	struct vcpu *vcpu[CPUS_MAX];
};

/* A VM has two owners of frames, so that each can be counted by itself: of its RAM and of its EPT tables. */
static inline owner_t vm_ram_owner(const struct vm *vm)
{
	return (owner_t)(OWNER_VM0 + 2 * vm->id);
}

static inline owner_t vm_table_owner(const struct vm *vm)
{
	return (owner_t)(OWNER_VM0 + 2 * vm->id + 1);
}

/* The host's TSC when a guest's, before its TSC_ADJUST, is `at`; UINT64_MAX: never. */
static inline uint64_t host_tsc(const struct vm *vm, uint64_t at)
{
	uint64_t host = at - vm->tsc_offset;

	/* The host's TSC is ahead of the guest's: what comes out smaller went beyond 64 bits, as "never" does. */
	return host < at ? UINT64_MAX : host;
}

extern struct vm *vms[CONF_VMS_MAX];
extern unsigned nvms;

/* Builds a VM of what its section of lethe.conf asks for, on any CPU. 0; or an error: everything is given back, and why (n
 * characters) says in words what could not be had. */
int vm_create(const struct conf_vm *conf, const struct boot_info *bi, unsigned id, struct vm **out, char *why,
	size_t n);
/* True if a VM of this section can run in real mode: with EPT and unrestricted guest. */
bool vm_unrestricted(const struct conf_vm *conf);
/* Ends it: any CPU, any number of times; the first reason counts. Returns at once. */
void vm_end(struct vm *vm, enum vm_end why, uint32_t code);
/* All its vCPUs have stopped: does the next piece of what its end takes (hv/vm/vm_apart.c), and names it in *what. CPU 0. True:
 * nothing is left of it, *vm included. */
bool vm_take_apart(struct vm *vm, const char **what);
/* Ends the VM because its guest did what Lethe does not support, with a dump that says what. */
void vm_unsupported(struct vcpu *v, const char *fmt, ...) __printf_like(2, 3);

extern const struct vm_ops vm_ops; /* hv/vm/vm_ops.c */
/* It is one of those of which the first has the console. */
void vm_console_runs(const struct vm *vm, bool runs);
/* Its last, unfinished line of output. */
void vm_console_end(struct vm *vm);
/* Moves typed bytes to the VM in front. CPU 0, at its housekeeping. */
void vm_console_poll(void);
