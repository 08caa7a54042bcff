/* SPDX-License-Identifier: MIT */
#include "hv/host/smp_pure.h"

#define XAPIC_ID_MAX 254

unsigned smp_start_list(
	const struct acpi_cpu *list, unsigned n, uint32_t self, bool x2apic, const struct smp_ops *ops)
{
	enum smp_left_out all = SMP_OUT_TOO_MANY; /* why those from here on are left out, once they are */
	bool ended = false;
	unsigned running = 1;

	for (unsigned i = 0; i < n; i++) {
		uint32_t id = list[i].apic_id;

		if (id == self)
			continue;
		if (!x2apic && id > XAPIC_ID_MAX) {
			ops->left_out(ops->ctx, id, SMP_OUT_UNREACHABLE);
			continue;
		}
		if (ended || running == CPUS_MAX) {
			ops->left_out(ops->ctx, id, all);
			continue;
		}
		switch (ops->start(ops->ctx, running, id)) {
		case SMP_RUNS:
			running++;
			break;
		case SMP_SILENT:
			ops->left_out(ops->ctx, id, SMP_OUT_SILENT);
			break;
		case SMP_STUCK:
			ops->left_out(ops->ctx, id, SMP_OUT_SILENT);
			ended = true;
			all = SMP_OUT_BEHIND_STUCK;
			break;
		case SMP_NO_MEMORY:
			ops->left_out(ops->ctx, id, SMP_OUT_NO_MEMORY);
			ended = true;
			all = SMP_OUT_NO_MEMORY;
			break;
		}
	}
	return running;
}

const char *smp_left_out_name(enum smp_left_out why)
{
	static const char *const names[] = {
		[SMP_OUT_UNREACHABLE] = "cannot be reached in xAPIC mode",
		[SMP_OUT_SILENT] = "does not start",
		[SMP_OUT_BEHIND_STUCK] = "cannot be started while the one before it is stuck",
		[SMP_OUT_NO_MEMORY] = "gets no memory",
		[SMP_OUT_TOO_MANY] = "is one more than Lethe can use",
	};

	return names[why];
}
