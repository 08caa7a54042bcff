/* SPDX-License-Identifier: MIT */
#include "hv/host/smt.h"

#include "hv/host/cpu.h"
#include "hv/host/mitigate.h"
#include "lib/atomic.h"
#include "lib/log.h"

static unsigned bits; /* of an APIC ID, that tell the threads of a core apart */
static struct smt_policy policy;

void smt_init(const struct conf *conf)
{
	bits = smt_bits(cpuid);
	policy.park = smt_decide(conf->smt, false).park;
}

uint32_t smt_core(uint32_t apic_id)
{
	return apic_id >> bits;
}

/* A CPU that runs guests, other than c, in the core with this number. */
static const struct cpu *sibling(uint32_t core, const struct cpu *c)
{
	for (unsigned i = 0; i < ncpus; i++)
		if (cpus[i] && cpus[i] != c && atomic_load(&cpus[i]->ready) &&
			smt_core(cpus[i]->apic_id) == core)
			return cpus[i];
	return NULL;
}

bool smt_parks(uint32_t apic_id)
{
	return policy.park && sibling(smt_core(apic_id), NULL);
}

bool smt_same_vm(void)
{
	return policy.same_vm;
}

void smt_settle(const struct conf *conf)
{
	unsigned parked = 0;
	bool siblings = false;

	policy = smt_decide(conf->smt, mitigate_core_of_its_own());
	for (unsigned i = 0; i < ncpus; i++) {
		const struct cpu *c = cpus[i];

		parked += c->parked;
		siblings |= atomic_load(&c->ready) && sibling(smt_core(c->apic_id), c);
		if (c->parked)
			log_debug("SMT: CPU %u (APIC ID %u) is parked", i, c->apic_id);
	}
	if (parked)
		log_info("SMT: %u CPU%s parked (smt = off): each core runs one thread", parked,
			parked == 1 ? " is" : "s are");
	if (siblings && policy.same_vm)
		log_info("SMT: each core of several threads belongs to one VM (smt = same-vm)");
	if (siblings && policy.warn)
		log_warn(
			"SMT: smt = on: VMs that share a core can learn of one another by speculation here; smt = same-vm or off prevents it");
}
