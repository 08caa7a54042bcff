/* SPDX-License-Identifier: MIT */
#include "hv/exit/hypercall.h"

#include "hv/vm/vm.h"
#include "lib/hypercalls.h"

/* HYPERCALL_STATISTIC. Out of line, since the others would save the registers and keep the stack that it needs. */
static int64_t __attribute__((noinline)) statistic(struct vcpu *v, uint64_t which)
{
	struct mmu_stats s;

	mmu_stats(v->vm->mmu, &s);
	switch (which) {
	case STATISTIC_BUMPS:
		return (int64_t)s.bumps;
	case STATISTIC_BATCHES:
		return (int64_t)s.batches;
	case STATISTIC_PAGES_FREED:
		return (int64_t)s.pages_freed;
	case STATISTIC_WAITING:
		return (int64_t)s.waiting;
	case STATISTIC_FAULTS:
		return (int64_t)s.faults;
	case STATISTIC_PAGES_LIVE:
		return (int64_t)s.pages_live;
	case STATISTIC_TABLES_BYTES:
		return (int64_t)s.tables_bytes;
	case STATISTIC_BATCH_TICKS_MAX:
		return (int64_t)s.batch_ticks_max;
	case STATISTIC_BATCH_PAGES_MAX:
		return (int64_t)s.batch_pages_max;
	case STATISTIC_FAULTS_SINCE_BUMP:
		return (int64_t)s.faults_since_bump;
	case STATISTIC_LOCK_TICKS_MAX:
		return (int64_t)s.lock_ticks_max;
	case STATISTIC_TARGETED:
		return (int64_t)s.targeted;
	case STATISTIC_PAGES_LIVE_PEAK:
		return (int64_t)s.pages_live_peak;
	case STATISTIC_FLUSHES:
		return (int64_t)s.flushes;
	case STATISTIC_EVICTIONS:
		return (int64_t)s.evictions;
	case STATISTIC_KICKS:
		return (int64_t)s.kicks;
	}
	return -E_INVAL;
}

int64_t hypercall(struct vcpu *v, uint64_t number)
{
	switch (number) {
	case HYPERCALL_NOTHING:
		return 0;
	case HYPERCALL_STATISTIC:
		return statistic(v, v->regs.gpr[RBX]);
	case HYPERCALL_COUNTER:
		return measure_read(v->regs.gpr[RBX]);
	}
	return -E_NOSUP;
}
