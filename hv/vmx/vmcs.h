/* SPDX-License-Identifier: MIT */
/*
 * A VMCS (SDM Vol. 3C 24): the region in which the CPU keeps the state of a guest and of the host, and what Lethe remembers of it
 * so as not to read or write it again.
 *
 *	vmcs_create()  --vmcs_load()-->  current on this CPU  --vmcs_leave()-->  in memory, current nowhere
 *	                                 ^-----------------vmcs_load()---------------'
 *
 * A vCPU has one; a vCPU whose guest is a hypervisor would have a second, for the guest's guest. The CPU reads and writes the
 * current one only, so each access names the VMCS that it means. The debug build (make DEBUG=1) asserts that it is the current
 * one; in the release build the name costs nothing. Only the CPU on which a VMCS is current touches it.
 */
#pragma once

#include "hv/vmx/measure.h"
#include "hv/vmx/vmcs_fields.h"
#include "lib/assert.h"
#include "lib/types.h"

struct vmcs {
	hpa_t region;	   /* 4 KiB, of OWNER_LETHE */
	uint64_t host_rsp; /* what HOST_RSP holds, for hv/vmx/vmx_entry.asm */
	bool filled;	   /* has been current, and every field that is used was written */
	bool launched;	   /* VMLAUNCH has succeeded: VMRESUME from now on */
	uint16_t vpid;	   /* 0: the CPU has no VPIDs */
	/* Controls, and the root of the tables that the MMU makes, as written. */
	uint32_t pin, proc, proc2, entry;
	uint32_t root_field; /* VMCS_EPTP, or VMCS_GUEST_CR3 on shadow page tables */
	uint64_t root;
};

/* A region with this CPU's VMCS revision, and a VPID of its own if the CPU has them. On any CPU that is in VMX root operation.
 * 0, or -E_NOMEM: no frame, or no VPID is left. */
int vmcs_create(struct vmcs *m);
/* m is current nowhere; or it was never created, and all zero. */
void vmcs_destroy(struct vmcs *m);
/* Makes m current on this CPU: VMPTRLD, and VMCLEAR before the first one. Panics if the CPU refuses it. */
void vmcs_load(struct vmcs *m);
/* VMCLEAR: the CPU writes what it holds of m into the region, and m is current nowhere. */
void vmcs_leave(struct vmcs *m);

/* Out of line, since a few hundred places could call it. */
void vmcs_field_failed(uint32_t field) __noreturn;
#ifdef LETHE_DEBUG
void vmcs_assert_current(const struct vmcs *m);
/* How many VPIDs are taken: none may be lost. */
unsigned vmcs_vpids_used(void);
#else
static inline void vmcs_assert_current(const struct vmcs *m)
{
}
#endif

/* Returns a field of m, which is current. A field that this CPU does not have must not be asked for: that panics. */
static inline uint64_t vmcs_read(const struct vmcs *m, uint32_t field)
{
	uint64_t value;
	bool bad;

	vmcs_assert_current(m);
	MEASURE_VMACCESS();
	__asm__ volatile("vmread %2, %1" : "=@ccna"(bad), "=r"(value) : "r"((uint64_t)field));
	if (unlikely(bad))
		vmcs_field_failed(field);
	return value;
}

/* The same for fields that every CPU has, on the path of every exit: it cannot fail while m is current. */
static inline uint64_t vmcs_read_sure(const struct vmcs *m, uint32_t field)
{
	uint64_t value;

	vmcs_assert_current(m);
	MEASURE_VMACCESS();
	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)field) : "cc");
	return value;
}

/* Writes a field of m, which is current. See vmcs_read(). */
static inline void vmcs_write(struct vmcs *m, uint32_t field, uint64_t value)
{
	bool bad;

	vmcs_assert_current(m);
	MEASURE_VMACCESS();
	__asm__ volatile("vmwrite %2, %1" : "=@ccna"(bad) : "r"((uint64_t)field), "r"(value));
	if (unlikely(bad))
		vmcs_field_failed(field);
}

/* See vmcs_read_sure(). */
static inline void vmcs_write_sure(struct vmcs *m, uint32_t field, uint64_t value)
{
	vmcs_assert_current(m);
	MEASURE_VMACCESS();
	__asm__ volatile("vmwrite %1, %0" : : "r"((uint64_t)field), "r"(value) : "cc");
}

/* Writes a control only if it changes. `cached` is the member of *m that holds it, `field` its field. */
static inline void vmcs_set_control(struct vmcs *m, uint32_t *cached, uint32_t field, uint32_t value)
{
	if (value == *cached)
		return;
	*cached = value;
	vmcs_write(m, field, value);
}
