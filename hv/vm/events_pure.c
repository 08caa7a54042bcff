/* SPDX-License-Identifier: MIT */
#include "hv/vm/events_pure.h"

#include "hv/vmx/vmx.h"

#define WITH_ERROR                                                                                           \
	(BIT(VEC_DF) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF) | BIT(VEC_AC))

#define FAULTS                                                                                               \
	(BIT(VEC_DE) | BIT(VEC_BR) | BIT(VEC_UD) | BIT(VEC_NM) | BITS(VEC_PF, VEC_TS) |                      \
		BITS(VEC_AC, VEC_MF) | BITS(VEC_CP, VEC_XM))

enum class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

static enum class class_of(unsigned vector) {
	if (vector == VEC_PF) return PAGE_FAULT;
	return vector == VEC_DE || (vector >= VEC_TS && vector <= VEC_GP) ? CONTRIBUTORY : BENIGN;
}

int exception_on(uint32_t first, unsigned vector)
{
	enum class was, is = class_of(vector);

	if (!(first & INTR_VALID) || (first & INTR_TYPE) != INTR_HARDWARE || is == BENIGN)
		return (int)vector;
	if ((first & INTR_VECTOR) == VEC_DF)
		return EXCEPTION_TRIPLE;
	was = class_of(first & INTR_VECTOR);
	if (was == PAGE_FAULT || (was == CONTRIBUTORY && is == CONTRIBUTORY))
		return VEC_DF;
	return (int)vector;
}

bool exception_is_fault(unsigned vector)
{
	return vector < 32 && FAULTS >> vector & 1;
}

uint32_t exception_info(unsigned vector, bool protected_mode)
{
	return (uint32_t)(INTR_VALID | INTR_HARDWARE | vector |
			  (protected_mode && vector < 32 && WITH_ERROR >> vector & 1 ? INTR_ERROR_CODE : 0));
}
