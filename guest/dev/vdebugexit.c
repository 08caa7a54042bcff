/* SPDX-License-Identifier: MIT */
/* Port 0xF4: a write ends the VM with a code, as test kernels for QEMU expect (its isa-debug-exit device). */
#include "guest/dev/machine.h"

#define DEBUG_EXIT_PORT 0xf4

static uint64_t debugexit_read(void *dev, uint64_t off, unsigned size)
{
	return 0;
}

static void debugexit_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	platform_end(dev, VM_END_DEBUG_EXIT, (uint32_t)(value << 1 | 1));
}

void vdebugexit_init(struct platform *p)
{
	platform_ports(p, DEBUG_EXIT_PORT, 4, BUS_1 | BUS_2 | BUS_4, p, debugexit_read, debugexit_write);
}
