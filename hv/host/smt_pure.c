/* SPDX-License-Identifier: MIT */
#include "hv/host/smt_pure.h"

#define LEVELS_MAX 8 /* levels of the topology; leaf 1FH knows six kinds */
#define LEVEL_NONE 0
#define LEVEL_SMT  1
#define SHIFT_MAX  31

/* The width of the SMT level in a leaf that lists levels; -1: the CPU does not have this leaf. */
static int bits_by_levels(struct cpuid (*read)(uint32_t leaf, uint32_t subleaf), uint32_t leaf)
{
	for (uint32_t n = 0; n < LEVELS_MAX; n++) {
		struct cpuid r = read(leaf, n);
		unsigned kind = r.ecx >> 8 & 0xff;

		if (kind == LEVEL_NONE || !(r.ebx & 0xffff))
			return n ? 0 : -1;
		if (kind == LEVEL_SMT)
			return (int)(r.eax & SHIFT_MAX);
	}
	return 0;
}

/* The bits that n different numbers take; n >= 1. */
static unsigned bits_for(unsigned n)
{
	unsigned bits = 0;

	while (1u << bits < n)
		bits++;
	return bits;
}

unsigned smt_bits(struct cpuid (*read)(uint32_t leaf, uint32_t subleaf))
{
	static const uint32_t leaves[] = { 0x1f, 0x0b };
	uint32_t most = read(0, 0).eax;
	struct cpuid one = read(1, 0);
	unsigned threads, cores;

	for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
		int bits = most >= leaves[i] ? bits_by_levels(read, leaves[i]) : -1;

		if (bits >= 0)
			return (unsigned)bits;
	}
	if (!(one.edx & BIT(28))) /* HTT: one CPU in a package */
		return 0;
	threads = bits_for(max(one.ebx >> 16 & 0xff, 1u));
	cores = most >= 4 ? bits_for((read(4, 0).eax >> 26) + 1) : 0;
	return threads > cores ? threads - cores : 0;
}

struct smt_policy smt_decide(enum conf_smt conf, bool needed)
{
	struct smt_policy p = { 0 };

	p.same_vm = conf == CONF_SMT_SAME_VM || (conf == CONF_SMT_AUTO && needed);
	p.park = conf == CONF_SMT_OFF;
	p.warn = conf == CONF_SMT_ON && needed;
	return p;
}
