/* SPDX-License-Identifier: MIT */
/*
 * How much of the debt a vCPU pays after an exit.
 *
 *	at most		1/MMU_PAY_SHARE of its time, and not longer than MMU_PAY_MOST_US in one go, but for the batch that is begun
 *	at least	a page in MMU_PAY_EXITS exits; MMU_PAY_LEAST pages, if nothing was paid for MMU_PAY_LONG_US
 *	after a long exit	MMU_PAY_BRIEF pages at most; of MMU_PAY_LEAST that were due the rest is due soon
 *
 * So after a fault it is a page now and then, and no fault takes much longer than without debt; after a long stretch in the
 * guest it is many. A page's price is learnt from what the last ones took. While debt waits, hv/ has each vCPU leave the guest
 * once in MMU_PAY_PERIOD_US (hv/clock.c), and each CPU that idles gives back batch after batch (hv/sched.c). So n pages
 * of debt that no vCPU is in the guest on any more are gone, whatever the guest does, after the earlier of
 *
 *	n * MMU_PAY_EXITS exits of one vCPU (D)
 *	n / MMU_PAY_LEAST * MMU_PAY_PERIOD_US of a vCPU that does not exit by itself (T); where each exit is
 *	long, as in nested VMX, MMU_PAY_BRIEF takes the place of MMU_PAY_LEAST
 *
 * A page that is cleared in two goes counts twice. That debt does not fill the pool is the business of spage_new(), above 1.5
 * times the live set.
 */
#include "mm/mmu/internal.h"

#define PRICE_FIRST 256u       /* ticks, before the first page */
#define PRICE_MOST  (1u << 20) /* an interrupt of whatever is below Lethe, and not a page */

static uint32_t learn(uint32_t price, uint64_t took)
{
	return (uint32_t)((3ull * price + min(max(took, 16ul), min(4ull * price, (uint64_t)PRICE_MOST))) / 4);
}

unsigned mmu_pay(struct mmu_vcpu *v, bool brief)
{
	struct mmu *mmu = v->mmu;
	uint64_t began = rdtsc(), now = began;
	uint32_t since = (uint32_t)began - v->paid_at, price = v->price ? v->price : PRICE_FIRST;
	uint32_t long_since = (uint32_t)(MMU_PAY_LONG_US * mmu->tick_us);
	uint64_t budget = min((uint64_t)since / MMU_PAY_SHARE, MMU_PAY_MOST_US * mmu->tick_us);
	bool long_ago = since >= long_since;
	unsigned least = long_ago ? MMU_PAY_LEAST : v->unpaid >= MMU_PAY_EXITS;
	unsigned most = brief ? MMU_PAY_BRIEF : MMU_PAY_LEAST, done = 0, n;

	do {
		uint64_t left = budget - min(now - began, budget), from = now;
		uint64_t pages =
			min(max(left / price, (uint64_t)(least > done ? least - done : 0)), (uint64_t)most);

		if (!pages)
			break;
		n = mmu_reclaim(
			mmu, (unsigned)pages, (unsigned)min(pages * ENTRIES, (uint64_t)MMU_BATCH_ENTRIES));
		now = rdtsc();
		if (!n)
			break;
		price = learn(price, (now - from) / n);
		done += n;
	} while (now - began < budget && !brief);

	v->unpaid = 0;
	v->price = price;
	v->paid_at = (uint32_t)now;
	v->pay_after = min(price * MMU_PAY_SHARE, long_since);
	/* So soon that exits which are all long pay a batch in the same time as others. */
	if (brief && long_ago && done) {
		v->paid_at -= long_since - long_since / (MMU_PAY_LEAST / MMU_PAY_BRIEF);
		v->pay_after = long_since;
	}
	return done;
}
