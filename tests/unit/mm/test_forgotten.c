/* SPDX-License-Identifier: MIT */
/*
 * Test 25: a flush forgotten, at any point: it is seen. One run, the same each time, of vCPUs that fault, change CPU and
 * are evicted from, while the map changes, also at the points where the MMU holds no lock. It is done once as it is, to
 * count the INVEPTs, INVVPIDs and kicks that the MMU asks for; and then once for each of these, with that one left out.
 *
 * Not every flush that is left out can show: there may be nothing old in that CPU's TLB. (Then it does no harm later
 * either: what is cached under the tag is right, and whatever makes it wrong begins with a flush of its own.) So at the
 * moment that one is left out the TLB is compared with the tables and the map, and if it holds anything that leads
 * elsewhere, the vCPU that has just entered touches it: the oracle must object.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mm/map/backing.h"
#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"
#include "mm/space/slots_change.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/rig/rig.h"

#define STEPS  450u
#define VCPUS  4u
#define PLACES 4u
#define STRIDE 0x600u /* gfns from place to place: no two share a table of leaves */
#define PAGES  700u   /* of a slot, at most */

enum kind { INVEPT, INVVPID, KICK, KINDS };

/* What the end of a run with something forgotten says. (By abort() if the oracle has noticed.) */
enum { NOTHING_OLD, SEEN = 3, MISSED = 4 };

static struct {
	bool used;
	slot_id id;
	uint64_t base, pages;
	struct backing *b;
} at[PLACES];

static struct {
	bool in, leaving, busy;
	unsigned cpu;
	uint64_t eptp, linear;
} vcpu[VCPUS];
static int on_cpu[ORACLE_CPUS]; /* the vCPU there, in the guest or about to be; -1: none */

static struct mmu_cpu_ops ops;
static uint64_t calls[KINDS], left_out; /* the number of the call that is left out, from 1 */
static enum kind left_out_kind;
static bool happened, nested;
static unsigned old_cpu;
static uint64_t old_tag, linear_next, state;
static struct mmu_vcpu *old_vcpu;

static uint64_t next(uint64_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % n;
}

static bool leave_out(enum kind k)
{
	if (++calls[k] != left_out || k != left_out_kind)
		return false;
	happened = true;
	return true;
}

static void invept(uint64_t eptp)
{
	if (!leave_out(INVEPT)) {
		hw_ops.invept_single(eptp);
		return;
	}
	old_cpu = test_cpu_id;
	old_tag = eptp & EPT_ADDR;
}

static void invvpid(uint16_t vpid)
{
	if (!leave_out(INVVPID)) {
		hw_ops.invvpid_single(vpid);
		return;
	}
	old_cpu = test_cpu_id;
	old_vcpu = &rig.v[vpid - 1];
}

static void kick(struct mmu_vcpu *v)
{
	if (!leave_out(KICK))
		hw_ops.kick(v);
}

/* The frame that gfn has by the map; 0: none. */
static uint64_t mapped(uint64_t g)
{
	for (unsigned i = 0; i < PLACES; i++)
		if (at[i].used && g - at[i].base < at[i].pages)
			return backing_pfn(at[i].b, g - at[i].base).v;
	return 0;
}

static uint64_t frame_of(uint64_t leaf, unsigned level, uint64_t g)
{
	return (leaf & EPT_ADDR) >> 12 | (g & (level_pages(level) - 1));
}

/* A gfn for which what CPU c has cached under the tag leads elsewhere than the map; UINT64_MAX: there is none. */
static uint64_t anything_old(unsigned c, uint64_t tag)
{
	for (unsigned i = 0; i < ORACLE_TLB; i++) {
		const struct hw_cached *e = &hw_cpu[c].tlb[i];

		for (uint64_t g = e->first; e->ep4ta == tag && g < e->first + e->pages; g++)
			if (frame_of(e->entry, e->level, g) != mapped(g))
				return g;
	}
	for (unsigned i = 0; i < ORACLE_PSC; i++) {
		const struct hw_cached *e = &hw_cpu[c].psc[i];
		const uint64_t *t;

		if (e->ep4ta != tag)
			continue;
		t = hpa_to_virt(hpa(e->entry & EPT_ADDR));
		if (!spage_of(ept_pfn(e->entry))->gen) /* it was freed: full of poison */
			return e->first;
		for (uint64_t n = 0; e->level == 1 && n < ENTRIES; n++)
			if (ept_is_leaf(t[n], 1) && frame_of(t[n], 1, e->first + n) != mapped(e->first + n))
				return e->first + n;
	}
	return UINT64_MAX;
}

static void leave(unsigned i)
{
	unsigned was = test_cpu_id;

	test_cpu_id = vcpu[i].cpu;
	vcpu[i].leaving = true;
	mmu_exit(&rig.v[i]);
	vcpu[i].in = vcpu[i].leaving = rig.kicked[i] = false;
	on_cpu[vcpu[i].cpu] = -1;
	test_cpu_id = was;
}

/* Every vCPU that has been asked to leave does so; and every vCPU that must leave has been asked. */
static void settle(void)
{
	for (unsigned i = 0; i < VCPUS; i++) {
		bool behind = vcpu[i].in && rig.v[i].entered &&
			      (rig.v[i].entered != rig.mmu->front.valid_gen ||
				      rig.v[i].entered_epoch != rig.mmu->front.flush_epoch);

		if (behind && !rig.kicked[i]) {
			if (happened && left_out_kind == KICK)
				_exit(SEEN);
			oracle_fail("vCPU %u is behind, and has not been kicked", i);
		}
		if (rig.kicked[i] && vcpu[i].in && !vcpu[i].leaving)
			leave(i);
	}
}

/* A hit must be what the map says now: every vCPU that was in the guest when it changed has left since. */
static void check(unsigned i, uint64_t g, uint64_t entry, unsigned level)
{
	unsigned c = vcpu[i].cpu;

	if (frame_of(entry, level, g) != mapped(g)) {
		if (happened && left_out_kind == INVEPT)
			_exit(SEEN);
		oracle_fail("vCPU %u reaches frame %#lx at gfn %#lx", i, frame_of(entry, level, g), g);
	}
	if (hw_cpu[c].linear[rig.v[i].vpid] && hw_cpu[c].linear[rig.v[i].vpid] != vcpu[i].linear) {
		if (happened && left_out_kind == INVVPID)
			_exit(SEEN);
		oracle_fail("vCPU %u meets a stale guest translation", i);
	}
	hw_cpu[c].linear[rig.v[i].vpid] = vcpu[i].linear;
}

static void touch(unsigned i, uint64_t g)
{
	static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_EXEC };
	unsigned access = kinds[next(3)], level;
	enum hw_result r;
	uint64_t e;

	test_cpu_id = vcpu[i].cpu;
	r = hw_access(vcpu[i].cpu, vcpu[i].eptp, g, access, &e, &level);
	if (r == HW_HIT) {
		check(i, g, e, level);
		if (!next(2)) { /* the guest changes its own tables, and flushes here */
			vcpu[i].linear = ++linear_next;
			hw_cpu[vcpu[i].cpu].linear[rig.v[i].vpid] = 0;
		}
		return;
	}
	vcpu[i].busy = true;
	leave(i);
	if (r == HW_MISCONFIG)
		mmu_misconfig(&rig.v[i], gpa(g << 12));
	else
		mmu_violation(&rig.v[i], gpa(g << 12), access);
	vcpu[i].busy = false;
}

static void look_for_old(unsigned i)
{
	static struct hw_cpu before;
	unsigned level;
	uint64_t g, e;

	if (left_out_kind == INVVPID && old_vcpu == &rig.v[i]) {
		uint64_t cached = hw_cpu[old_cpu].linear[rig.v[i].vpid];

		/* It was turned back, and has gone elsewhere: to come here again it changes CPU again. */
		if (vcpu[i].cpu != old_cpu || !cached || cached == vcpu[i].linear)
			_exit(NOTHING_OLD);
		check(i, 0, (uint64_t)mapped(0) << 12, 1);
		_exit(MISSED);
	}
	if (left_out_kind != INVEPT || vcpu[i].cpu != old_cpu || (vcpu[i].eptp & EPT_ADDR) != old_tag)
		return;
	g = anything_old(old_cpu, old_tag);
	if (g == UINT64_MAX)
		_exit(NOTHING_OLD);
	/* The die decides whether the CPU uses it or walks: it is thrown until it has. */
	before = hw_cpu[old_cpu];
	for (unsigned n = 0; n < 60; n++) {
		hw_cpu[old_cpu] = before;
		if (hw_access(old_cpu, vcpu[i].eptp, g, MMU_READ, &e, &level) == HW_HIT)
			check(i, g, e, level);
	}
	_exit(MISSED);
}

static void enter(unsigned i)
{
	unsigned c = next(2) ? vcpu[i].cpu : (unsigned)next(ORACLE_CPUS);

	if (on_cpu[c] >= 0)
		return;
	on_cpu[c] = (int)i;
	vcpu[i].busy = true;
	test_cpu_id = c;
	mmu_cpu_quiescent(c);
	hw_load(c, &rig.v[i]);
	if (!mmu_serve(&rig.v[i]) && !mmu_enter(&rig.v[i], &vcpu[i].eptp)) {
		vcpu[i].in = true;
		vcpu[i].cpu = c;
	} else {
		on_cpu[c] = -1;
	}
	vcpu[i].busy = false;
	if (happened && vcpu[i].in && !rig.kicked[i])
		look_for_old(i);
}

static void change(void)
{
	unsigned i = (unsigned)next(PLACES);
	struct slot_desc d = { .base = gfn((uint64_t)i * STRIDE), .pages = 1 + next(PAGES) };
	struct mmu_ticket t;

	if (!at[i].used) {
		assert_int_equal(backing_alloc(d.pages, RIG_RAM, &d.backing), 0);
		assert_int_equal(slot_add(rig.mmu, &d, &at[i].id), 0);
		at[i].used = true;
		at[i].base = d.base.v;
		at[i].pages = d.pages;
		at[i].b = d.backing;
		return;
	}
	assert_int_equal(slot_delete(rig.mmu, at[i].id, &t), 0);
	at[i].used = false;
	settle();
	rig_quiesce();
	if (mmu_ticket_ready(rig.mmu, &t))
		backing_free(at[i].b);
	else
		rig_own(at[i].b); /* one that is about to back out of the handshake holds it up */
}

static void step(void)
{
	unsigned i = (unsigned)next(VCPUS), was = test_cpu_id;

	switch (next(16)) {
	case 0:
		change();
		break;
	case 1:
		if (!next(4))
			mmu_invalidate_all(rig.mmu);
		break;
	case 2 ... 3:
		mmu_reclaim(rig.mmu, 1 + (unsigned)next(8), 1 + (unsigned)next(700));
		break;
	case 4:
		if (vcpu[i].in && !vcpu[i].leaving)
			leave(i);
		break;
	default:
		if (vcpu[i].busy || vcpu[i].leaving)
			break;
		if (!vcpu[i].in)
			enter(i);
		for (unsigned n = 0; n < 6 && vcpu[i].in && !vcpu[i].busy && !rig.kicked[i]; n++)
			touch(i, next(PLACES) * STRIDE + next(next(4) ? 6 : PAGES));
	}
	settle();
	test_cpu_id = was;
}

/* Others come in where the MMU holds no lock. */
static void come_in(void)
{
	if (nested || next(3))
		return;
	nested = true;
	step();
	nested = false;
}

static void run(enum mmu_removal how, bool large, enum kind k, uint64_t n)
{
	struct mmu_params p = { .vcpus = VCPUS, .caps = rig_caps(), .removal = how, .pool_pages = 40 };

	p.caps.ept_2m = large;
	memset(at, 0, sizeof(at));
	memset(vcpu, 0, sizeof(vcpu));
	memset(calls, 0, sizeof(calls));
	memset(on_cpu, 0xff, sizeof(on_cpu));
	happened = nested = false;
	old_vcpu = NULL;
	left_out_kind = k;
	left_out = n;
	state = 7;
	rig_start_with(&p, 256 * MiB, true);
	ops = hw_ops;
	ops.invept_single = invept;
	ops.invvpid_single = invvpid;
	ops.kick = kick;
	rig.mmu->ops = &ops;
	for (unsigned i = 0; i < VCPUS; i++) {
		rig.v[i].ops = &ops;
		vcpu[i].cpu = i;
		vcpu[i].linear = ++linear_next;
	}
	mmu_yield = come_in;
	for (unsigned s = 0; s < STEPS; s++)
		step();
	mmu_yield = NULL;
	if (n)
		_exit(NOTHING_OLD); /* the vCPU never got in with it */
	for (unsigned i = 0; i < VCPUS; i++)
		if (vcpu[i].in)
			leave(i);
	for (unsigned i = 0; i < PLACES; i++)
		if (at[i].used)
			rig_own(at[i].b);
	rig_stop();
}

/* What became of the run without this one. */
static int without(enum mmu_removal how, bool large, enum kind k, uint64_t n)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		dup2(null, 2);
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		run(how, large, k, n);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? SEEN : WEXITSTATUS(status);
}

static void sweep(enum mmu_removal how, bool large)
{
	static const char *const name[KINDS] = { "INVEPTs", "INVVPIDs", "kicks" };
	uint64_t total[KINDS];

	run(how, large, KINDS, 0);
	memcpy(total, calls, sizeof(total));
	for (enum kind k = 0; k < KINDS; k++) {
		unsigned seen = 0, harmless = 0;

		if (k == INVVPID && how != MMU_REMOVAL_BULK)
			continue; /* nothing about it depends on that */

		for (uint64_t n = 1; n <= total[k]; n++) {
			int end = without(how, large, k, n);

			if (end != SEEN && end != NOTHING_OLD)
				fail_msg("number %lu of the %lu %s is forgotten, and no check sees it", n,
					total[k], name[k]);
			seen += end == SEEN;
			harmless += end == NOTHING_OLD;
		}
		printf("%lu %s: forgotten, %u are seen; %u would have found nothing old\n", total[k], name[k],
			seen, harmless);
		assert_true(seen >= 3);
	}
}

static void every_flush_of_bulk_removal_is_missed_if_forgotten(void **state_)
{
	sweep(MMU_REMOVAL_BULK, true);
}

static void every_flush_of_targeted_removal_is_missed_if_forgotten(void **state_)
{
	sweep(MMU_REMOVAL_TARGETED, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flush_of_bulk_removal_is_missed_if_forgotten),
		cmocka_unit_test(every_flush_of_targeted_removal_is_missed_if_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
