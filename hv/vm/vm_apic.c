/* SPDX-License-Identifier: MIT */
/* Where the registers of a VM's local APICs are, and what is mapped there. */
#include "hv/vm/vm_apic.h"

#include "lib/assert.h"
#include "mm/space/guest_mem.h"
#include "mm/space/slots_change.h"

/* The APIC-access page: a frame of its own behind the local APIC's address, which the CPU never lets through. */
int vm_apic_page_add(struct vm *vm)
{
	const struct slot_desc d = {
		.base = gfn(LAYOUT_LAPIC >> PAGE_SHIFT), .pages = 1, .backing = vm->backing[POLICY_APIC_PAGE]
	};

	return slot_add(vm->mmu, &d, &vm->apic_slot);
}

/* True if each local APIC of the VM has its registers in memory at the usual address. */
static bool apics_at_home(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nvcpus; i++)
		if (platform_apic_mode(vm->platform, i) != APIC_XAPIC ||
			platform_apic_page(vm->platform, i) != LAYOUT_LAPIC)
			return false;
	return true;
}

/*
 * All vCPUs share the EPT, so the APIC-access page can serve only while all local APICs have their registers there: to
 * a vCPU that has moved them away, switched them off or to x2APIC mode it would be RAM. Without the page accesses of all
 * vCPUs are device accesses, which find each vCPU's own registers.
 *
 *	on the way there   1. no vCPU enters the guest any more with register and interrupt virtualization in xAPIC
 *			      mode (hv/vm/vmcs_setup.c); between 1 and 2 each access to the page exits
 *			   2. the page goes; a vCPU that is in the guest with the old map is fetched out by that
 *	and back	   the other way round
 */
static void emulate_apics(struct vm *vm, bool emulate)
{
	struct mmu_ticket ticket;
	int err;

	if (!emulate && vm_apic_page_add(vm))
		return; /* no memory: as right as before, only slower */
	atomic_store(&vm->apic_emulated, emulate);
	for (unsigned i = 0; i < vm->nvcpus; i++) {
		vcpu_request(vm->vcpu[i], REQ_EVENTS);
		vcpu_kick(vm->vcpu[i]);
	}
	if (!emulate)
		return;
	err = slot_delete(vm->mmu, vm->apic_slot, &ticket);
	ASSERT(!err); /* it is there; the page's RAM stays the VM's */
}

void vm_apic_base_written(struct vcpu *v)
{
	struct vm *vm = v->vm;
	uint64_t page = platform_apic_page(vm->platform, v->index);
	uint8_t byte;

	if (platform_apic_mode(vm->platform, v->index) == APIC_XAPIC && page != LAYOUT_LAPIC &&
		!guest_read(vm->mmu, gpa(page), &byte, 1)) {
		vm_unsupported(v, "it moves its local APIC to %#lx, where it has memory already", page);
		return;
	}
	if (!vm->backing[POLICY_APIC_PAGE])
		return;
	spin_lock(&vm->apic_lock);
	if (apics_at_home(vm) == vm->apic_emulated)
		emulate_apics(vm, !vm->apic_emulated);
	spin_unlock(&vm->apic_lock);
}
