/* SPDX-License-Identifier: MIT */
#include "mm/mutant.h"

#include "lib/string.h"

#ifdef LETHE_DEBUG
enum mutant mutant_active;
void (*mmu_yield)(void);
#endif

#define MUTANT_NAME(n) #n,
static const char *const names[] = { "none", MUTANTS(MUTANT_NAME) };

const char *mutant_name(enum mutant m)
{
	return m < MUTANTS_END ? names[m] : "?";
}

bool mutant_select(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name) != 0)
			continue;
#ifdef LETHE_DEBUG
		mutant_active = (enum mutant)i;
#endif
		return true;
	}
	return false;
}
