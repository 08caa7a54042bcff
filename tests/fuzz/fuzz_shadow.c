/* SPDX-License-Identifier: MIT */
/*
 * The shadow back end against its oracle (tests/support/shadow/), where the input decides: the first byte chooses the machine, and each
 * pair of those that follow is what the simulated machine would draw at random otherwise, which vCPU does what, at which address, what is
 * stored into which of the guest's tables.
 */
#include "tests/support/shadow/shadow_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 1)
		shadow_run_bytes(&shadow_configs[data[0] % shadow_nconfigs], data + 1, size - 1);
	return 0;
}
