/* SPDX-License-Identifier: MIT */
#include "hv/vm/place.h"

#include "hv/host/smt.h"
#include "hv/vm/place_pure.h"
#include "hv/vm/vm_parts.h"
#include "hv/host/sched_pure.h"
#include "hv/vm/vm.h"
#include "lib/atomic.h"
#include "lib/bits.h"
#include "lib/log.h"

static struct place plan;

static void log_refusal(const struct conf *conf, unsigned id)
{
	const struct place_vm *v = &plan.vm[id];
	const struct conf_vm *vm = &conf->vm[id];

	switch (v->result) {
	case PLACE_NO_CPU:
		log_error(
			"%s:%u: [vm %s]: cpus names no CPU that can run guests: expected some of the %u from 0 on",
			conf->source, vm->cpus_line, vm->name, ncpus);
		break;
	case PLACE_CORE_TAKEN:
		log_error(
			"%s:%u: [vm %s]: CPU %u is in a core that vm %s has, and a core belongs to one VM (smt = same-vm): expected cpus of other cores, or smt = off",
			conf->source, vm->cpus_line, vm->name, v->clash, conf->vm[v->owner].name);
		break;
	case PLACE_NO_CORE:
		log_error(
			"%s:%u: [vm %s]: all cores belong to other VMs (smt = same-vm): expected fewer VMs, or smt = off",
			conf->source, vm->line, vm->name);
		break;
	case PLACE_DONE:
		break;
	}
}

/* `cpus` may name CPUs that are parked, as long as there are others. */
static void log_parked(const struct conf *conf, unsigned id)
{
	const struct conf_vm *vm = &conf->vm[id];

	for (unsigned i = 0; i < ncpus; i++)
		if (vm->cpus & BIT(i) && cpus[i]->parked)
			log_warn("%s:%u: [vm %s]: CPU %u is parked (smt = off) and is not used", conf->source,
				vm->cpus_line, vm->name, i);
}

/*
 * True if others than the first vCPU can start. They begin in real mode with a SIPI (SDM Vol. 3A 8.4.4), or, if the VM cannot run
 * that, by the wakeup mailbox (guest/dev/vmailbox.h), which 64-bit Linux knows. Any other guest would wait in vain for CPUs that
 * the MADT names, so it gets one.
 */
static bool others_start(const struct conf_vm *vm, const struct boot_info *bi)
{
	const struct load_file kernel = vm_file(bi, vm->kernel);

	return vm_unrestricted(vm) || guest_image_linux64(vm, &kernel);
}

void place_all(const struct conf *conf, const struct boot_info *bi)
{
	plan = (struct place){ .same_vm = smt_same_vm(), .nvms = conf->nvms };
	for (unsigned i = 0; i < ncpus; i++) {
		if (atomic_load(&cpus[i]->ready))
			plan.usable |= BIT(i);
		plan.core[i] = smt_core(cpus[i]->apic_id);
	}
	for (unsigned i = 0; i < conf->nvms; i++)
		plan.vm[i] = (struct place_vm){
			.vcpus = vcpus_given(conf->vm[i].vcpus, others_start(&conf->vm[i], bi)),
			.cpus = conf->vm[i].cpus,
		};
	place_vms(&plan);
	for (unsigned i = 0; i < conf->nvms; i++) {
		log_parked(conf, i);
		log_refusal(conf, i);
	}
}

unsigned place_vcpus(unsigned id)
{
	return plan.vm[id].result == PLACE_DONE ? plan.vm[id].vcpus : 0;
}

struct cpu *place_cpu(unsigned id, unsigned vcpu)
{
	return cpus[plan.vm[id].cpu[vcpu]];
}
