/* SPDX-License-Identifier: MIT */
/* The life of a VM: made of what its policy says, ended. (Its parts: hv/vm/vm_parts.c. Taking it apart: hv/vm/vm_apart.c.) */
#include "hv/vm/vm.h"

#include "hv/vm/place.h"
#include "hv/vm/vm_parts.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/host/frames.h"

struct vm *vms[CONF_VMS_MAX];
unsigned nvms;

static struct policy_host policy_host_of_cpu(void)
{
	return (struct policy_host){ .ept = vmx.ept,
		.shadow = vmx.shadow,
		.pat = vmx.pat,
		.apicv = vmx.apicv,
		.unrestricted = vmx.unrestricted,
		.tsc_aux = cpuid_or_zero(0x80000001, 0).edx & BIT(27) };
}

bool vm_unrestricted(const struct conf_vm *conf)
{
	const struct policy_host host = policy_host_of_cpu();
	const char *why;
	int err;

	return host.unrestricted && !policy_shadow(conf->mmu, &host, &err, &why);
}

static int vm_build(
	struct vm *vm, const struct conf_vm *conf, const struct boot_info *bi, char *why, size_t n)
{
	struct policy_host host = policy_host_of_cpu();
	const char *refused;
	int err;

	host.vcpus = vm->nvcpus;
	err = policy_from_conf(&vm->policy, conf, &host, &refused);
	if (err) {
		str_copy(why, n, refused);
		return err;
	}
	vm->building.boot = bi;
	vm->building.why = why;
	vm->building.n = n;
	err = steps_make(vm_parts, VM_PARTS, vm, &vm->parts);
	memset(&vm->building, 0, sizeof(vm->building));
	return err;
}

int vm_create(const struct conf_vm *conf, const struct boot_info *bi, unsigned id, struct vm **out, char *why,
	size_t n)
{
	struct vm *vm = frame_alloc_zeroed(OWNER_LETHE);
	const char *piece;
	int err;

	_Static_assert(sizeof(struct vm) <= PAGE_SIZE, "a struct vm is one frame");
	if (!vm) {
		str_copy(why, n, err_name(-E_NOMEM));
		return -E_NOMEM;
	}
	str_copy(vm->name, sizeof(vm->name), conf->name);
	vm->id = id;
	vm->nvcpus = place_vcpus(id);
	if (vm->nvcpus < conf->vcpus)
		log_warn(
			"vm %s: vcpus = %u, but it gets %u: others start in real mode, which %s cannot run, or by the ACPI wakeup mailbox, for which its image must be a 64-bit Linux kernel",
			vm->name, conf->vcpus, vm->nvcpus,
			vmx.unrestricted ? "shadow page tables" : "this CPU's VMX");
	vm->tsc_offset = 0 - rdtsc();
	err = vm_build(vm, conf, bi, why, n);
	if (err) {
		while (!vm_take_apart(vm, &piece))
			;
		return err;
	}
	*out = vm;
	return 0;
}

void vm_end(struct vm *vm, enum vm_end why, uint32_t code)
{
	if (!life_change(&vm->life, LIFE_ENDED, why, code))
		return;
	for (unsigned i = 0; i < vm->nvcpus; i++) {
		vcpu_request(vm->vcpu[i], REQ_STOP);
		vcpu_kick(vm->vcpu[i]);
	}
}

void vm_unsupported(struct vcpu *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	dump_vtake(v, fmt, ap);
	va_end(ap);
	vm_end(v->vm, VM_END_UNSUPPORTED, 0);
}
