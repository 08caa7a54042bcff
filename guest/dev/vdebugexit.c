/* SPDX-License-Identifier: MIT */
/* Port 0xF4: a write ends the VM with a code, as test kernels for QEMU expect (its isa-debug-exit device). */
#include "guest/dev/device.h"

#define DEBUG_EXIT_PORT 0xf4

struct vdebugexit {
	struct device dev;
	struct bus_range ports;
};

static uint64_t debugexit_read(void *dev, uint64_t off, unsigned size)
{
	return 0;
}

static void debugexit_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	power_end(((struct device *)dev)->board->power, VM_END_DEBUG_EXIT, (uint32_t)(value << 1 | 1));
}

static bool vdebugexit_wanted(const struct device_settings *s)
{
	return s->options.debug_exit;
}

static int vdebugexit_attach(struct device *d)
{
	struct vdebugexit *v = (struct vdebugexit *)d;

	device_ports(
		d, &v->ports, DEBUG_EXIT_PORT, 4, BUS_1 | BUS_2 | BUS_4, debugexit_read, debugexit_write);
	return 0;
}

const struct device_kind vdebugexit_kind = {
	.name = "debug exit",
	.size = sizeof(struct vdebugexit),
	.wanted = vdebugexit_wanted,
	.attach = vdebugexit_attach,
};
