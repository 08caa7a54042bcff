/* SPDX-License-Identifier: MIT */
#include "hv/exit/hypercall.h"

#include "hv/vm/vm.h"

/* RBX of hypercall 2. Out of line, since the others would save the registers and keep the stack that it needs. */
static int64_t __attribute__((noinline)) statistic(struct vcpu *v, uint64_t which)
{
	struct mmu_stats s;

	mmu_stats(v->vm->mmu, &s);
	switch (which) {
	case 0:
		return (int64_t)s.bumps;
	case 1:
		return (int64_t)s.batches;
	case 2:
		return (int64_t)s.pages_freed;
	case 3:
		return (int64_t)s.waiting;
	case 4:
		return (int64_t)s.faults;
	case 5:
		return (int64_t)s.pages_live;
	case 6:
		return (int64_t)s.tables_bytes;
	case 7:
		return (int64_t)s.batch_ticks_max;
	case 8:
		return (int64_t)s.batch_pages_max;
	case 9:
		return (int64_t)s.faults_since_bump;
	case 10:
		return (int64_t)s.lock_ticks_max;
	case 11:
		return (int64_t)s.targeted;
	case 12:
		return (int64_t)s.pages_live_peak;
	case 13:
		return (int64_t)s.flushes;
	case 14:
		return (int64_t)s.evictions;
	case 15:
		return (int64_t)s.kicks;
	}
	return -E_INVAL;
}

int64_t hypercall(struct vcpu *v, uint64_t number)
{
	switch (number) {
	case 0:
		return 0;
	case 2:
		return statistic(v, v->regs.gpr[RBX]);
	case 3:
		return measure_read(v->regs.gpr[RBX]);
	}
	return -E_NOSUP;
}
