/* SPDX-License-Identifier: MIT */
/* Making a VM with failures planted. In debug builds only. */
#include "hv/vm/vm_rehearse.h"

#ifdef LETHE_DEBUG
#include "hv/vm/vm.h"
#include "hv/vmx/vmcs.h"
#include "lib/assert.h"
#include "lib/log.h"
#include "mm/host/frames.h"

/* More would take long; so would all VMs, which are made of the same parts. */
#define REHEARSE_MEMORY (64 * MiB)

struct accounts {
	uint64_t free, owned[OWNERS_MAX];
	unsigned vpids;
};

static struct accounts before, after;

static void accounts_take(struct accounts *a)
{
	struct frames_stats s;

	frames_stats(&s);
	a->free = s.free;
	for (unsigned i = OWNER_LETHE; i < OWNERS_MAX; i++)
		a->owned[i] = frames_owned((owner_t)i);
	a->vpids = vmcs_vpids_used();
}

static void accounts_compare(const struct conf_vm *conf, uint64_t n)
{
	accounts_take(&after);
	for (unsigned i = OWNER_LETHE; i < OWNERS_MAX; i++)
		if (after.owned[i] != before.owned[i])
			panic("vm %s: with allocation %lu failing, owner %u has %lu pages, before it had %lu",
				conf->name, n, i, after.owned[i], before.owned[i]);
	if (after.free != before.free || after.vpids != before.vpids)
		panic("vm %s: with allocation %lu failing, %lu pages are free and %u VPIDs used, before %lu and %u",
			conf->name, n, after.free, after.vpids, before.free, before.vpids);
}

/* Makes the VM with allocation n failing, and undoes it. True: it needed that many. *refused counts up if it was not made. */
static bool rehearse(
	const struct conf_vm *conf, const struct boot_info *bi, unsigned id, uint64_t n, uint64_t *refused)
{
	char why[256] = "";
	const char *piece;
	struct vm *vm;
	bool failed;
	int err;

	accounts_take(&before);
	frames_fail_at(n);
	err = vm_create(conf, bi, id, &vm, why, sizeof(why));
	failed = !frames_fail_at(0);
	if (err) {
		ASSERT(*why);
		++*refused;
		log_debug("vm %s: with allocation %lu failing: %s", conf->name, n, why);
	} else {
		while (!vm_take_apart(vm, &piece))
			;
	}
	accounts_compare(conf, n);
	return failed;
}

void vm_rehearse(const struct conf_vm *conf, const struct boot_info *bi, unsigned id)
{
	uint64_t n = 1, refused = 0;

	if (id || conf->memory > REHEARSE_MEMORY)
		return;
	while (rehearse(conf, bi, id, n, &refused))
		n++;
	log_info(
		"vm %s: rehearsed with each of %lu allocations failing: refused in words %lu times, everything came back",
		conf->name, n - 1, refused);
}
#endif
