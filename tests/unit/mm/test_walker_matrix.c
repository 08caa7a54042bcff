/* SPDX-License-Identifier: MIT */
/*
 * What the walker says to all combinations of rights at all levels (of tests 16, 19 and 20 the part that is the guest's own
 * tables): U, W and NX of each level's entry by itself, crossed with CR0.WP, SMEP, SMAP, AC, NXE, CPL and the access. The
 * model is three lines for what the levels say together, and SDM Vol. 3A 4.6.1 for what follows. And 32-bit tables
 * entry by entry, since shadow tables hold a quarter of one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "lib/x86.h"
#include "mm/map/backing.h"
#include "mm/mmu/mmu.h"
#include "mm/space/guest_mem.h"
#include "mm/space/walker.h"
#include "tests/support/rig/rig.h"

#define LEVELS_MOST 5u
#define PRESENT	    1ull
#define WRITABLE    2ull
#define USER	    4ull
#define LARGE	    0x80ull
#define NX	    (1ull << 63)

static slot_id ram;

static int setup(void **state)
{
	rig_start(1);
	ram = rig_slot(0, 16, 0);
	return 0;
}

static int teardown(void **state)
{
	rig_stop();
	return 0;
}

struct mode {
	const char *name;
	uint64_t cr4, efer;
	unsigned levels, size;
};
static const struct mode modes[] = {
	{ "32-bit", CR4_PSE, 0, 2, 4 },
	{ "PAE", CR4_PAE, 0, 2, 8 },
	{ "4-level", CR4_PAE, EFER_LMA | EFER_LME, 4, 8 },
	{ "5-level", CR4_PAE | CR4_LA57, EFER_LMA | EFER_LME, 5, 8 },
};

static void set_entry(const struct mode *m, unsigned level, unsigned leaf, unsigned bits)
{
	uint64_t e = PRESENT | (bits & 1 ? WRITABLE : 0) | (bits & 2 ? USER : 0) | (bits & 4 ? NX : 0);
	uint64_t table = m->levels - level + 1; /* the root is in page 1; entry 0 of each */

	e |= level > leaf ? (table + 1) << 12 : level > 1 ? LARGE : 0x8000;
	assert_int_equal(guest_write(rig.mmu, gpa(table << 12), &e, m->size), 0);
}

/* 0, or the error code. -1: no fault. */
static int expected(const struct paging_regs *r, unsigned access, bool all_w, bool all_u, bool any_nx)
{
	bool user = r->cpl == 3, write = access & MMU_WRITE, fetch = access & MMU_EXEC;
	bool wp = r->cr0 & CR0_WP, smep = r->cr4 & CR4_SMEP, smap = r->cr4 & CR4_SMAP,
	     nxe = r->efer & EFER_NXE;
	int code = (write ? PF_WRITE : 0) | (user ? PF_USER : 0) |
		   (fetch && (smep || (nxe && r->cr4 & CR4_PAE)) ? PF_FETCH : 0) | PF_PRESENT;
	bool ok;

	if (any_nx && !nxe)
		return code | PF_RSVD;
	if (user)
		ok = all_u && (!write || all_w);
	else if (all_u && fetch)
		ok = !smep;
	else if (all_u && smap && !(r->rflags & RFLAGS_AC))
		ok = false;
	else
		ok = !write || all_w || !wp;
	if (fetch && any_nx)
		ok = false;
	return ok ? -1 : code;
}

/* All registers, or (few) those that the rights of more levels do not make more interesting. */
static void all_registers(
	const struct mode *m, const unsigned *bits, unsigned leaf, bool few, unsigned long *seen)
{
	static const unsigned accesses[] = { MMU_READ, MMU_WRITE, MMU_EXEC };
	unsigned all = 7, any = 0;

	for (unsigned l = leaf; l <= m->levels; l++) {
		all &= bits[l];
		any |= bits[l];
	}
	for (unsigned c = 0; c < (few ? 8 : 64); c++) {
		struct paging_regs r = { .cr0 = CR0_PE | CR0_PG | (c & 1 ? CR0_WP : 0),
			.cr3 = 0x1000,
			.cr4 = m->cr4 | (c & 8 ? CR4_SMEP : 0) | (c & 16 ? CR4_SMAP : 0),
			.efer = m->efer | (c & 4 ? EFER_NXE : 0),
			.rflags = c & 32 ? RFLAGS_AC : 0,
			.pdpte = { 0x1001 },
			.cpl = c & 2 ? 3 : 0 };

		for (unsigned a = 0; a < 3; a++) {
			int want = expected(&r, accesses[a], all & 1, all & 2, any & 4), err;
			uint32_t code = 0;
			gpa_t out;

			err = guest_walk(rig.mmu, &r, gva(0x123), accesses[a] | WALK_PEEK, &out, &code);
			if (err != (want < 0 ? 0 : -E_FAULT) || (want >= 0 && code != (uint32_t)want))
				fail_msg(
					"%s, leaf at level %u, rights from level 1 %u %u %u %u %u, registers %#x, access %u: %d %#x, not %d",
					m->name, leaf, bits[1], bits[2], bits[3], bits[4], bits[5], c,
					accesses[a], err, code, want);
			seen[want < 0]++;
		}
	}
}

static void every_level_limits_the_rights(void **state)
{
	unsigned long seen[2] = { 0 };

	for (const struct mode *m = modes; m < modes + ARRAY_SIZE(modes); m++) {
		unsigned each = m->size == 4 ? 4 : 8; /* no NX in 32-bit entries */

		for (unsigned leaf = 1; leaf <= (m->levels > 2 ? 3u : 2u); leaf++) {
			unsigned bits[LEVELS_MOST + 1] = { 0 }, l;

			for (l = leaf; l <= m->levels; l++)
				set_entry(m, l, leaf, 0);
			do {
				all_registers(m, bits, leaf, m->levels == 5 && leaf == 1, seen);
				/* The next combination. */
				for (l = leaf; l <= m->levels; l++) {
					bits[l] = (bits[l] + 1) % each;
					set_entry(m, l, leaf, bits[l]);
					if (bits[l])
						break;
				}
			} while (l <= m->levels);
		}
	}
	assert_true(seen[0] > 100000 && seen[1] > 100000);
}

/* A 32-bit table has 1,024 entries: each quarter of a directory, and of a table, is another one. */
static void each_entry_of_a_32_bit_table_is_its_own(void **state)
{
	static const unsigned at[] = { 0, 255, 256, 511, 512, 767, 768, 1023 };
	struct paging_regs r = { .cr0 = CR0_PE | CR0_PG, .cr3 = 0x1000, .cr4 = CR4_PSE };

	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		uint32_t e = (2 + i) << 12 | 7;

		assert_int_equal(guest_write(rig.mmu, gpa(0x1000 + 4 * at[i]), &e, 4), 0);
		for (unsigned j = 0; j < ARRAY_SIZE(at); j++) {
			e = (0x100 + 8 * i + j) << 12 | 7;
			assert_int_equal(guest_write(rig.mmu, gpa(((2 + i) << 12) + 4 * at[j]), &e, 4), 0);
		}
	}
	for (unsigned i = 0; i < 1024; i++)
		for (unsigned j = 0; j < 1024; j += 1 + (j % 7 == 3)) {
			struct guest_walk w;
			int err = guest_walk_record(rig.mmu, &r, gva((uint64_t)i << 22 | j << 12 | 0xabc),
				MMU_READ | WALK_PEEK, &w);
			unsigned is = 8, js = 8;

			for (unsigned n = 0; n < 8; n++) {
				is = at[n] == i ? n : is;
				js = at[n] == j ? n : js;
			}
			assert_int_equal(err, is < 8 && js < 8 ? 0 : -E_FAULT);
			assert_int_equal(w.step[1].at.v, 0x1000 + 4 * i);
			if (is < 8)
				assert_int_equal(w.step[0].at.v, ((2 + is) << 12) + 4 * j);
			if (!err)
				assert_int_equal(w.out.v, (0x100 + 8 * is + js) << 12 | 0xabc);
		}
}

/* Test 14: another CPU writes to the entry of one level all the time, by plain stores, while this one walks and sets A and D
 * in it. No store of the other's may be lost, and no walk may come out elsewhere. */
struct editor {
	uint64_t *entry, value;
	uint64_t stores, lost;
	bool stop;
};

static void *edit(void *arg)
{
	struct editor *e = arg;

	for (uint64_t i = 0; !__atomic_load_n(&e->stop, __ATOMIC_RELAXED); i++) {
		uint64_t want = e->value | (i & 1) << 9, seen; /* bit 9 is software's */

		__atomic_store_n(e->entry, want, __ATOMIC_SEQ_CST);
		seen = __atomic_load_n(e->entry, __ATOMIC_SEQ_CST);
		e->lost += (seen & ~(PTE_A | PTE_D)) != want;
		__atomic_fetch_add(&e->stores, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void one_walks_and_one_edits_at_each_level(void **state)
{
	for (const struct mode *m = modes + 1; m < modes + ARRAY_SIZE(modes); m++)
		for (unsigned level = 1; level <= m->levels; level++) {
			struct paging_regs r = { .cr0 = CR0_PE | CR0_PG,
				.cr3 = 0x1000,
				.cr4 = m->cr4,
				.efer = m->efer,
				.pdpte = { 0x1001 } };
			struct editor e = { 0 };
			uint64_t page = m->levels - level + 1, again = 0;
			pthread_t thread;

			for (unsigned l = 1; l <= m->levels; l++)
				set_entry(m, l, 1, 3);
			e.entry = pfn_to_virt(backing_pfn(rig_backing(ram), page));
			e.value = *e.entry;
			assert_int_equal(pthread_create(&thread, NULL, edit, &e), 0);
			for (unsigned n = 0; n < 30000 || __atomic_load_n(&e.stores, __ATOMIC_RELAXED) < 1000;
				n++) {
				gpa_t out;
				uint32_t code;
				int err = guest_walk(rig.mmu, &r, gva(0x123), MMU_WRITE, &out, &code);

				again += err == -E_AGAIN;
				if (err != -E_AGAIN) {
					assert_int_equal(err, 0);
					assert_int_equal(out.v, 0x8123);
				}
			}
			__atomic_store_n(&e.stop, true, __ATOMIC_RELAXED);
			pthread_join(thread, NULL);
			assert_int_equal(e.lost, 0);
			assert_true(again < 30000);
		}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_level_limits_the_rights),
		T(each_entry_of_a_32_bit_table_is_its_own),
		T(one_walks_and_one_edits_at_each_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
