/* SPDX-License-Identifier: MIT */
#include "hv/host/mitigate_models_pure.h"

#define MODELS_MAX 12

/* Models of family 6 (the list ends with 0) in these steppings. A CPU has the traits of all lines that fit it. */
struct line {
	uint64_t traits;
	uint8_t first, last;
	uint8_t models[MODELS_MAX + 1];
};

#define ALL    0, 15
#define OLD    (PRONE_L1TF | PRONE_MDS)
#define LAKES  (OLD | PRONE_MMIO | PRONE_GDS | RSB_UNDERFLOWS)
#define COVES  (PRONE_GDS | PRONE_ITS_NATIVE)
#define ITS    (PRONE_ITS | PRONE_ITS_IBPB)
#define HYBRID (PRONE_RFDS | LONG_HISTORY)

static const struct line table[] = {
	/* Nehalem, Westmere; Sandy Bridge, Ivy Bridge */
	{ OLD, ALL, { 0x1a, 0x1e, 0x1f, 0x2e, 0x25, 0x2c, 0x2f } },
	{ OLD, ALL, { 0x2a, 0x2d, 0x3a, 0x3e } },
	{ PRONE_SRBDS, ALL, { 0x3a } },
	/* Haswell, Broadwell: client, server */
	{ OLD | PRONE_SRBDS, ALL, { 0x3c, 0x45, 0x46, 0x3d, 0x47 } },
	{ OLD | PRONE_MMIO, ALL, { 0x3f, 0x4f, 0x56 } },
	/* Skylake: client; server, which from stepping 5 on is Cascade Lake and Cooper Lake */
	{ LAKES | PRONE_SRBDS, ALL, { 0x4e, 0x5e } },
	{ LAKES, ALL, { 0x55 } },
	{ ITS, 6, 15, { 0x55 } },
	/* Kaby, Coffee, Whiskey and Amber Lake, and a Comet Lake */
	{ LAKES, ALL, { 0x8e, 0x9e } },
	{ PRONE_SRBDS, 9, 12, { 0x8e } },
	{ ITS, 12, 15, { 0x8e } },
	{ PRONE_SRBDS, 9, 13, { 0x9e } },
	{ ITS, 13, 15, { 0x9e } },
	/* Cannon Lake; Comet Lake */
	{ OLD | RSB_UNDERFLOWS, ALL, { 0x66 } },
	{ PRONE_MMIO | PRONE_GDS | ITS, ALL, { 0xa5, 0xa6 } },
	/* Ice Lake client and server, Rocket Lake; Tiger Lake, where firmware deals with MMIO stale data; Lakefield */
	{ COVES | PRONE_MMIO, ALL, { 0x7d, 0x7e, 0x6a, 0x6c, 0xa7 } },
	{ COVES, ALL, { 0x8c, 0x8d } },
	{ PRONE_ITS_IBPB, ALL, { 0x6a, 0x6c, 0xa7, 0x8c, 0x8d } },
	{ PRONE_MMIO, ALL, { 0x8a } },
	/* Alder Lake, Raptor Lake; their N series, which has Atom cores only */
	{ HYBRID, ALL, { 0x97, 0x9a, 0xb7, 0xba, 0xbf } },
	{ HYBRID | IS_ATOM, ALL, { 0xbe } },
	/* Sapphire, Emerald and Granite Rapids; Meteor, Arrow, Lunar and Panther Lake; Sierra Forest, Grand Ridge */
	{ LONG_HISTORY, ALL, { 0x8f, 0xcf, 0xad, 0xae } },
	{ LONG_HISTORY, ALL, { 0xaa, 0xac, 0xb5, 0xc5, 0xc6, 0xbd, 0xcc } },
	{ LONG_HISTORY | IS_ATOM, ALL, { 0xaf, 0xb6 } },
	/* Bonnell, Saltwell */
	{ IN_ORDER | IS_ATOM, ALL, { 0x1c, 0x26, 0x27, 0x35, 0x36 } },
	/* Silvermont, Airmont; Knights Landing, Knights Mill: of MDS the part about store buffers, the last Airmont all */
	{ PRONE_MDS | IS_ATOM, ALL, { 0x37, 0x4a, 0x4c, 0x4d, 0x5a, 0x5d, 0x6e, 0x75, 0x57, 0x85 } },
	/* Goldmont, Goldmont Plus; Tremont */
	{ PRONE_RFDS | IS_ATOM, ALL, { 0x5c, 0x5f, 0x7a } },
	{ PRONE_RFDS | PRONE_MMIO | IS_ATOM, ALL, { 0x86, 0x96, 0x9c } },
};

#define TRAITS_UNKNOWN (PRONE_L1TF | PRONE_MDS | LONG_HISTORY)

uint64_t speculation_traits(const struct mitigate_cpu *cpu)
{
	unsigned family = cpu->signature >> 8 & 0xf, stepping = cpu->signature & 0xf;
	unsigned model = (cpu->signature >> 4 & 0xf) | (cpu->signature >> 12 & 0xf0);
	uint64_t traits = 0;
	bool known = false;

	for (unsigned i = 0; cpu->intel && family == 6 && i < ARRAY_SIZE(table); i++)
		for (const uint8_t *m = table[i].models; *m; m++)
			if (*m == model && stepping >= table[i].first && stepping <= table[i].last) {
				traits |= table[i].traits;
				known = true;
			}
	return known ? traits : TRAITS_UNKNOWN;
}
