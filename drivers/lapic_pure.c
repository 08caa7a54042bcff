/* SPDX-License-Identifier: MIT */
/* Which microcode makes the TSC-deadline timer right. */
#include "drivers/lapic.h"

#define MODEL_BITS 0x0fff0ff0u /* of CPUID.1:EAX: families and models */

static const struct {
	uint32_t model;	     /* CPUID.1:EAX & MODEL_BITS */
	uint8_t first, last; /* steppings */
	uint32_t revision;
} deadline_errata[] = {
	{ 0x306c0, 0x0, 0xf, 0x22 },	   /* Haswell */
	{ 0x306f0, 0x2, 0x2, 0x3a },	   /* Haswell-EP */
	{ 0x306f0, 0x4, 0x4, 0x0f },	   /* Haswell-EX */
	{ 0x40650, 0x0, 0xf, 0x20 },	   /* Haswell-U */
	{ 0x40660, 0x0, 0xf, 0x17 },	   /* Haswell with GT3e */
	{ 0x306d0, 0x0, 0xf, 0x25 },	   /* Broadwell-U, -Y */
	{ 0x40670, 0x0, 0xf, 0x17 },	   /* Broadwell with GT3e */
	{ 0x406f0, 0x0, 0xf, 0x0b000020 }, /* Broadwell-E, -EP, -EX */
	{ 0x50660, 0x2, 0x2, 0x11 },	   /* Broadwell-DE */
	{ 0x50660, 0x3, 0x3, 0x0700000e }, { 0x50660, 0x4, 0x4, 0x0f00000c },
	{ 0x50660, 0x5, 0x5, 0x0e000003 },
	{ 0x50650, 0x3, 0x3, 0x01000136 }, /* Skylake-SP, -X; Cascade Lake (5 and more) is right */
	{ 0x50650, 0x4, 0x4, 0x02000014 }, { 0x406e0, 0x0, 0xf, 0xb2 }, /* Skylake-U, -Y */
	{ 0x506e0, 0x0, 0xf, 0xb2 },					/* Skylake-S, -H */
	{ 0x806e0, 0x0, 0xf, 0x52 }, /* Kaby Lake-U, -Y and what follows it */
	{ 0x906e0, 0x0, 0xf, 0x52 }, /* Kaby Lake-S, -H and what follows it */
};

uint32_t lapic_deadline_microcode(uint32_t signature)
{
	for (unsigned i = 0; i < ARRAY_SIZE(deadline_errata); i++)
		if ((signature & MODEL_BITS) == deadline_errata[i].model &&
			(signature & 15) >= deadline_errata[i].first &&
			(signature & 15) <= deadline_errata[i].last)
			return deadline_errata[i].revision;
	return 0;
}

bool lapic_deadline_wrong(uint32_t signature, uint32_t revision)
{
	return revision && revision < lapic_deadline_microcode(signature);
}
