/* SPDX-License-Identifier: MIT */
/* The frame allocator over a test arena, with a naive model of the owner of every page beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/bits.h"
#include "tests/support/rig/arena.h"

#define BASE (4 * GiB)
#define VM_A (OWNER_VM0)
#define VM_B (OWNER_VM0 + 2)

static struct arena arena;

static int setup(void **state)
{
	arena_open(&arena, hpa(BASE), 3 * GiB);
	madvise(arena.mem, arena.bytes,
		MADV_HUGEPAGE); /* whole GiBs are cleared here; if refused, it only takes longer */
	return 0;
}

static int teardown(void **state)
{
	arena_close(&arena);
	return 0;
}

static uint64_t owned_by_all(void)
{
	uint64_t sum = 0;

	for (unsigned o = 1; o < OWNERS_MAX; o++)
		sum += frames_owned((owner_t)o);
	return sum;
}

static void assert_balanced(void)
{
	struct frames_stats s;

	frames_stats(&s);
	assert_int_equal(s.total, s.free + owned_by_all());
}

static void assert_same_stats(const struct frames_stats *a)
{
	struct frames_stats b;

	frames_stats(&b);
	assert_memory_equal(a, &b, sizeof(b));
}

static bool is_zero(pfn_t f, uint64_t pages)
{
	const uint64_t *p = pfn_to_virt(f);

	for (uint64_t i = 0; i < pages * PAGE_SIZE / 8; i++)
		if (p[i])
			return false;
	return true;
}

static void sizes_are_naturally_aligned_and_within_the_ranges(void **state)
{
	struct frames_stats before;

	arena_start(&arena);
	frames_stats(&before);
	/* The last GiB lost the allocator's records. */
	assert_int_equal(before.free_pieces[FRAME_1G], 2);
	for (int s = FRAME_4K; s < FRAME_SIZES; s++) {
		pfn_t f;

		assert_int_equal(frame_alloc((enum frame_size)s, OWNER_LETHE, &f), 0);
		assert_true(is_aligned(f.v, frame_pages((enum frame_size)s)));
		assert_true(f.v >= BASE / PAGE_SIZE);
		assert_true(f.v + frame_pages((enum frame_size)s) <= (BASE + 3 * GiB) / PAGE_SIZE);
		assert_balanced();
		frame_free((enum frame_size)s, OWNER_LETHE, f);
	}
	assert_same_stats(&before);
}

static void records_are_small(void **state)
{
	arena_start(&arena);
	assert_true(frames_owned(OWNER_LETHE) <= 3); /* for 3 GiB; the promise is 2.2 KiB a GiB */
}

static void small_pieces_do_not_break_whole_gigas(void **state)
{
	struct frames_stats s;
	pfn_t f;

	arena_start(&arena);
	for (int i = 0; i < 1000;
		i++) /* 500 blocks and one cut up: they fit the GiB that the records broke */
		assert_int_equal(frame_alloc(i & 1 ? FRAME_4K : FRAME_2M, VM_A, &f), 0);
	frames_stats(&s);
	assert_int_equal(s.free_pieces[FRAME_1G], 2);
}

static void everything_can_be_taken_and_given_back_as_pages(void **state)
{
	struct frames_stats before, s;
	uint64_t n = 0, cap;
	pfn_t *f;

	arena_range(&arena, hpa(BASE), 64 * MiB + 5 * PAGE_SIZE, MEM_USABLE);
	arena_start(&arena);
	frames_stats(&before);
	cap = before.free;
	f = calloc(cap, sizeof(*f));
	while (!frame_alloc(FRAME_4K, VM_A, &f[n])) {
		*(uint64_t *)pfn_to_virt(f[n]) = n;
		n++;
		assert_true(n <= cap);
	}
	assert_int_equal(n, before.free_pieces[FRAME_4K]);
	frames_stats(&s);
	assert_int_equal(s.free, 0);
	assert_balanced();
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(*(uint64_t *)pfn_to_virt(f[i]), i); /* no page was handed out twice */
	assert_int_equal(frame_alloc(FRAME_2M, VM_A, &f[n]), -E_NOMEM);
	for (uint64_t i = 0; i < n; i++)
		frame_free(FRAME_4K, VM_A, f[(i * 7919) % n]);
	assert_same_stats(&before);
	free(f);
}

static void pages_merge_into_a_whole_giga_again(void **state)
{
	struct frames_stats before, s;
	static pfn_t f[3000];

	arena_range(&arena, hpa(BASE), GiB, MEM_USABLE);
	arena_range(&arena, hpa(BASE + GiB), 4 * PAGE_SIZE, MEM_USABLE); /* for the records */
	arena_start(&arena);
	frames_stats(&before);
	assert_int_equal(before.free_pieces[FRAME_1G], 1);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++)
		assert_int_equal(frame_alloc(FRAME_4K, OWNER_LETHE, &f[i]), 0);
	frames_stats(&s);
	assert_int_equal(s.free_pieces[FRAME_1G], 0);
	assert_int_equal(s.free_pieces[FRAME_2M], 512 - (ARRAY_SIZE(f) + 510) / 511);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++)
		frame_free(FRAME_4K, OWNER_LETHE, f[(i * 7) % ARRAY_SIZE(f)]);
	assert_same_stats(&before);
}

static void nothing_below_1m_and_nothing_of_other_types_is_handed_out(void **state)
{
	struct arena low;
	struct frames_stats s;
	pfn_t f;

	arena_close(&arena);
	arena_open(&low, hpa(0), 1 * GiB);
	arena_range(&low, hpa(0), 640 * KiB, MEM_USABLE);
	arena_range(&low, hpa(640 * KiB), 384 * KiB, MEM_RESERVED);
	arena_range(&low, hpa(1 * MiB), 7 * MiB, MEM_USABLE);
	arena_range(&low, hpa(8 * MiB), 1 * MiB, MEM_BOOT);
	arena_range(&low, hpa(9 * MiB), 1 * MiB, MEM_ACPI_NVS);
	arena_range(&low, hpa(10 * MiB), 3 * PAGE_SIZE, MEM_USABLE);
	memset(low.mem, 0x5a, 12 * MiB);
	arena_start(&low);
	frames_stats(&s);
	assert_int_equal(s.total, 7 * MiB / PAGE_SIZE + 3);
	while (!frame_alloc(FRAME_4K, VM_A, &f)) {
		uint64_t at = pfn_to_hpa(f).v;

		assert_true(
			(at >= 1 * MiB && at < 8 * MiB) || (at >= 10 * MiB && at < 10 * MiB + 3 * PAGE_SIZE));
	}
	for (uint64_t i = 0; i < 10 * MiB; i++) /* the rest was not touched either */
		if (i < MiB || i >= 8 * MiB)
			assert_int_equal(((uint8_t *)low.mem)[i], 0x5a);
	arena_close(&low);
	arena_open(&arena, hpa(BASE), GiB);
}

static void ram_of_unknown_content_is_scrubbed(void **state)
{
	pfn_t f;

	memset(arena.mem, 0xa5, 64 * MiB);
	arena_range(&arena, hpa(BASE), 64 * MiB, MEM_USABLE);
	arena_start(&arena);
	assert_int_equal(frame_alloc(FRAME_4K, OWNER_LETHE, &f), 0);
	assert_true(is_zero(f, 1));
	assert_int_equal(frame_alloc(FRAME_2M, VM_A, &f), 0);
	assert_true(is_zero(f, 512));
	assert_int_equal(frames_alloc_run(700, VM_A, &f), 0);
	assert_true(is_zero(f, 700));
}

/* Fills a frame, gives it back, takes it again as `next` and says whether anything of it is still to be seen. */
static bool leaks(enum frame_size size, owner_t first, owner_t next, enum frame_size next_size)
{
	pfn_t f, g;
	bool dirty = false;
	uint64_t n = frame_pages(size) / frame_pages(next_size);
	pfn_t *all = calloc(n, sizeof(*all));

	assert_int_equal(frame_alloc(size, first, &f), 0);
	memset(pfn_to_virt(f), 0xc3, frame_pages(size) * PAGE_SIZE);
	frame_free(size, first, f);
	for (uint64_t i = 0; i < n; i++) {
		if (frame_alloc(next_size, next, &g)) {
			n = i;
			break;
		}
		all[i] = g;
		dirty |= !is_zero(g, frame_pages(next_size));
	}
	for (uint64_t i = 0; i < n; i++)
		frame_free(next_size, next, all[i]);
	free(all);
	return dirty;
}

static void another_owner_sees_nothing_of_the_last_one(void **state)
{
	arena_range(&arena, hpa(BASE), 64 * MiB, MEM_USABLE);
	arena_start(&arena);
	assert_false(leaks(FRAME_4K, VM_A, VM_B, FRAME_4K));
	assert_false(leaks(FRAME_2M, VM_A, VM_B, FRAME_2M));
	assert_false(leaks(FRAME_2M, VM_A, VM_B, FRAME_4K)); /* cut up: every page remembers */
	assert_false(leaks(FRAME_2M, VM_A, OWNER_LETHE, FRAME_2M));
	assert_true(leaks(FRAME_2M, VM_A, VM_A, FRAME_2M)); /* one's own: no time is spent on it */
}

static void pages_of_several_owners_merge_into_a_block_of_unknown_content(void **state)
{
	pfn_t f[511], block;

	arena_range(&arena, hpa(BASE), 2 * MiB + PAGE_SIZE, MEM_USABLE);
	arena_start(&arena);
	for (int i = 0; i < 511; i++) {
		owner_t o = i == 300 ? VM_B : VM_A;

		assert_int_equal(frame_alloc(FRAME_4K, o, &f[i]), 0);
		memset(pfn_to_virt(f[i]), 0x77, PAGE_SIZE);
	}
	for (int i = 0; i < 511; i++)
		frame_free(FRAME_4K, i == 300 ? VM_B : VM_A, f[i]);
	assert_int_equal(frame_alloc(FRAME_2M, VM_A, &block), 0);
	assert_true(is_zero(block, 512));
}

/* A word of each 2 MiB of a GiB. */
static uint64_t *word_of(pfn_t giga, unsigned block)
{
	return (uint64_t *)pfn_to_virt(pfn(giga.v + block * 512)) + block;
}

static void mark_blocks(pfn_t giga)
{
	for (unsigned b = 0; b < 512; b++)
		*word_of(giga, b) = ~0ull;
}

static unsigned marked_blocks(pfn_t giga)
{
	unsigned n = 0;

	for (unsigned b = 0; b < 512; b++)
		n += *word_of(giga, b) == ~0ull;
	return n;
}

static void a_giga_is_scrubbed_only_where_it_is_dirty(void **state)
{
	uint64_t giga_pages = frame_pages(FRAME_1G);
	pfn_t f, b, keep[1024];
	unsigned n = 0;

	mark_blocks(pfn(BASE / PAGE_SIZE)); /* what firmware left */
	arena_range(&arena, hpa(BASE), GiB, MEM_USABLE);
	arena_range(&arena, hpa(BASE + GiB), 2 * MiB, MEM_USABLE);
	arena_start(&arena);
	assert_int_equal(frame_alloc(FRAME_1G, VM_A, &f), 0);
	assert_int_equal(f.v, BASE / PAGE_SIZE);
	assert_int_equal(marked_blocks(f), 0);
	mark_blocks(f);
	frame_free(FRAME_1G, VM_A, f);
	do /* one block of it goes through B's hands */
		assert_int_equal(frame_alloc(FRAME_2M, VM_B, &keep[n]), 0);
	while (keep[n].v < f.v || keep[n++].v >= f.v + giga_pages);
	b = keep[n - 1];
	memset(pfn_to_virt(b), 0x11, 2 * MiB);
	while (n)
		frame_free(FRAME_2M, VM_B, keep[--n]);
	assert_int_equal(frame_alloc(FRAME_1G, VM_A, &f), 0);
	assert_int_equal(marked_blocks(f), 511);
	assert_true(is_zero(b, 512));
}

static void zeroed_frames_are_zero_even_for_the_last_owner(void **state)
{
	pfn_t f;
	void *p;

	arena_range(&arena, hpa(BASE), 4 * MiB, MEM_USABLE);
	arena_start(&arena);
	assert_int_equal(frame_alloc(FRAME_2M, VM_A, &f), 0);
	memset(pfn_to_virt(f), 0x99, 2 * MiB);
	frame_free(FRAME_2M, VM_A, f);
	assert_int_equal(frame_alloc_zero(FRAME_2M, VM_A, &f), 0);
	assert_true(is_zero(f, 512));
	p = frame_alloc_zeroed(OWNER_LETHE);
	assert_non_null(p);
	memset(p, 1, PAGE_SIZE);
	frame_free(FRAME_4K, OWNER_LETHE, hpa_to_pfn(virt_to_hpa(p)));
	p = frame_alloc_zeroed(OWNER_LETHE);
	assert_true(is_zero(hpa_to_pfn(virt_to_hpa(p)), 1));
}

static void runs_are_contiguous_and_come_back_whole(void **state)
{
	static const uint64_t lengths[] = { 1, 2, 5, 511, 512, 513, 1000, 1024, 5000 };
	struct frames_stats before;
	pfn_t run[ARRAY_SIZE(lengths)];

	arena_range(&arena, hpa(BASE), 200 * MiB, MEM_USABLE);
	arena_start(&arena);
	frames_stats(&before);
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		assert_int_equal(frames_alloc_run(lengths[i], OWNER_LETHE, &run[i]), 0);
		if (lengths[i] >= 512)
			assert_true(is_aligned(run[i].v, 512));
		memset(pfn_to_virt(run[i]), (int)i + 1, lengths[i] * PAGE_SIZE);
		assert_balanced();
	}
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		const uint8_t *p = pfn_to_virt(run[i]);

		for (uint64_t at = 0; at < lengths[i] * PAGE_SIZE; at += 512)
			assert_int_equal(p[at], i + 1);
		frames_free_run(lengths[i], OWNER_LETHE, run[i]);
	}
	assert_same_stats(&before);
	assert_int_equal(frames_alloc_run(200 * MiB / PAGE_SIZE, OWNER_LETHE, &run[0]), -E_NOMEM);
	assert_int_equal(frames_alloc_run(1ull << 51, OWNER_LETHE, &run[0]), -E_NOMEM);
	assert_same_stats(&before);
}

static void a_run_may_cross_gigas(void **state)
{
	struct frames_stats before;
	pfn_t f;

	arena_range(&arena, hpa(BASE + GiB - 4 * MiB), 8 * MiB, MEM_USABLE);
	arena_range(&arena, hpa(BASE + 2 * GiB), 4 * PAGE_SIZE, MEM_USABLE); /* for the records */
	arena_start(&arena);
	frames_stats(&before);
	assert_int_equal(frames_alloc_run(1100, OWNER_LETHE, &f), 0);
	assert_true(f.v < (BASE + GiB) / PAGE_SIZE && f.v + 1100 > (BASE + GiB) / PAGE_SIZE);
	assert_balanced();
	frames_free_run(1100, OWNER_LETHE, f);
	assert_same_stats(&before);
}

static void boot_memory_is_given_later_and_merges(void **state)
{
	struct frames_stats s;

	arena_range(&arena, hpa(BASE), 1 * MiB, MEM_USABLE);
	arena_range(&arena, hpa(BASE + 1 * MiB), 3 * PAGE_SIZE, MEM_BOOT);
	arena_range(&arena, hpa(BASE + 1 * MiB + 3 * PAGE_SIZE), 5 * MiB - 3 * PAGE_SIZE, MEM_BOOT_SERVICES);
	arena_range(&arena, hpa(BASE + 6 * MiB), 2 * MiB + 4 * PAGE_SIZE, MEM_USABLE);
	arena_start(&arena);
	frames_stats(&s);
	assert_int_equal(s.free_pieces[FRAME_2M], 1);
	assert_int_equal(frames_add_boot_services(&arena.bi), 0);
	frames_stats(&s);
	assert_int_equal(s.free_pieces[FRAME_2M], 3); /* [2, 8) MiB; the first 2 MiB still have a hole */
	assert_int_equal(frames_donate(hpa(BASE + 1 * MiB), 3), 0);
	frames_stats(&s);
	/* The records came from the top of the smaller range: the first one. */
	assert_int_equal(s.free_pieces[FRAME_2M], 3);
	assert_int_equal(s.total, 8 * MiB / PAGE_SIZE + 4);
	assert_balanced();
	assert_int_equal(frames_donate(hpa(64 * GiB), 1), -E_RANGE);
	assert_int_equal(frames_donate(hpa(~0ull & ~PAGE_MASK), ~0ull), 0); /* beyond reach: nothing */
	assert_balanced();
}

static void mistakes_are_caught(void **state)
{
	pfn_t f, run;

#define START()                                                                                              \
	do {                                                                                                 \
		arena_start(&arena);                                                                         \
		frame_alloc(FRAME_4K, VM_A, &f);                                                             \
	} while (0)
	START();
	assert_true(stopped_by_assert(frame_free(FRAME_4K, VM_B, f)));
	START();
	assert_true(stopped_by_assert(frame_free(FRAME_2M, VM_A, f)));
	START();
	frame_free(FRAME_4K, VM_A, f);
	assert_true(stopped_by_assert(frame_free(FRAME_4K, VM_A, f)));
	START();
	assert_true(stopped_by_assert(frame_free(FRAME_4K, VM_A, pfn(f.v + 1))));
	START(); /* no owner may free the record of the split block */
	assert_true(stopped_by_assert(frame_free(FRAME_4K, OWNER_LETHE, pfn((f.v & ~511ull) + 511))));
	START();
	assert_true(stopped_by_assert(frame_free(FRAME_4K, VM_A, pfn(1ull << 40))));
	START();
	assert_true(stopped_by_assert(frame_alloc(FRAME_4K, OWNER_NOBODY, &f)));
	START();
	assert_true(stopped_by_assert(frame_alloc(FRAME_4K, OWNERS_MAX, &f)));
	START();
	frame_alloc(FRAME_2M, VM_A, &f);
	frame_free(FRAME_2M, VM_A, f);
	assert_true(stopped_by_assert(frame_free(FRAME_2M, VM_A, f)));
	START();
	frame_alloc(FRAME_2M, VM_A, &f);
	assert_true(stopped_by_assert(frame_free(FRAME_4K, VM_A, f)));
	START();
	frame_alloc(FRAME_2M, VM_A, &f);
	assert_true(stopped_by_assert(frame_free(FRAME_2M, VM_A, pfn(f.v + 1))));
	START();
	frames_alloc_run(5, VM_A, &run);
	assert_true(stopped_by_assert(frames_free_run(4, VM_A, run)));
	START();
	frames_alloc_run(5, VM_A, &run);
	assert_true(stopped_by_assert(frames_free_run(6, VM_A, run)));
	START();
	frames_alloc_run(5, VM_A, &run);
	assert_true(stopped_by_assert(frames_free_run(4, VM_A, pfn(run.v + 1))));
	START();
	frames_alloc_run(600, VM_A, &run);
	assert_true(stopped_by_assert(frame_free(FRAME_2M, VM_A, run)));
	START();
	frames_alloc_run(1024, VM_A, &run);
	assert_true(stopped_by_assert(frame_free(FRAME_2M, VM_A, pfn(run.v + 512))));
	START();
	assert_true(stopped_by_assert(frames_donate(hpa(BASE), 1))); /* it is ours already */
#undef START
}

static void no_ram_is_an_error(void **state)
{
	assert_int_equal(frames_init(&arena.bi), -E_NOMEM);
	arena_range(&arena, hpa(BASE), 64 * MiB, MEM_RESERVED);
	assert_int_equal(frames_init(&arena.bi), -E_NOMEM);
}

/* Random operations against a model that knows the owner of every page. */
#define MODEL_PAGES (96 * MiB / PAGE_SIZE)

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

struct held {
	enum frame_size size;
	uint64_t run; /* 0: a frame */
	owner_t owner;
	pfn_t at;
};

static void random_use_agrees_with_a_model(void **state)
{
	static owner_t model[MODEL_PAGES];
	static struct held held[4000];
	struct frames_stats before;
	unsigned n = 0;

	memset(model, 0, sizeof(model));
	arena_range(&arena, hpa(BASE), 50 * MiB + 7 * PAGE_SIZE, MEM_USABLE);
	arena_range(&arena, hpa(BASE + 60 * MiB), 36 * MiB, MEM_USABLE);
	arena_start(&arena);
	frames_stats(&before);
	for (unsigned step = 0; step < 60000 || n; step++) {
		bool take = step < 60000 && rnd(100) < (step / 6000 % 2 ? 35 : 60) && n < ARRAY_SIZE(held);

		if (take) {
			struct held *h = &held[n];
			unsigned kind = (unsigned)rnd(20);
			uint64_t pages;
			int err;

			h->owner = (owner_t)(rnd(2) ? VM_A : OWNER_LETHE);
			h->run = kind == 0 ? 1 + rnd(1500) : kind < 3 ? 1 + rnd(20) : 0;
			h->size = kind == 3 ? FRAME_2M : FRAME_4K;
			pages = h->run ? h->run : frame_pages(h->size);
			err = h->run ? frames_alloc_run(h->run, h->owner, &h->at)
				     : frame_alloc(h->size, h->owner, &h->at);
			if (err) {
				assert_int_equal(err, -E_NOMEM);
				continue;
			}
			for (uint64_t i = 0; i < pages; i++) {
				uint64_t page = h->at.v + i - BASE / PAGE_SIZE;

				assert_true(page < MODEL_PAGES);
				assert_false(
					page >= (50 * MiB) / PAGE_SIZE + 7 && page < 60 * MiB / PAGE_SIZE);
				assert_int_equal(model[page], OWNER_NOBODY);
				model[page] = h->owner;
			}
			n++;
		} else if (n) {
			struct held *h = &held[rnd(n)];
			uint64_t pages = h->run ? h->run : frame_pages(h->size);

			for (uint64_t i = 0; i < pages; i++)
				model[h->at.v + i - BASE / PAGE_SIZE] = OWNER_NOBODY;
			if (h->run)
				frames_free_run(h->run, h->owner, h->at);
			else
				frame_free(h->size, h->owner, h->at);
			*h = held[--n];
		}
		if (step % 1000 == 0) {
			uint64_t a = 0;

			for (uint64_t i = 0; i < MODEL_PAGES; i++)
				a += model[i] == VM_A;
			assert_int_equal(frames_owned(VM_A), a);
			assert_balanced();
		}
	}
	assert_same_stats(&before);
}

/* Two CPUs at once: each writes its number into what it gets, and finds it there when it gives it back. */
static void *worker(void *arg)
{
	owner_t owner = *(owner_t *)arg;
	uint64_t x = owner * 0x9e3779b97f4a7c15;
	static _Thread_local pfn_t held[300];
	unsigned n = 0;

	for (int i = 0; i < 30000 || n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (i < 30000 && n < ARRAY_SIZE(held) && (x & 1)) {
			if (frame_alloc(FRAME_4K, owner, &held[n]))
				continue;
			*(uint64_t *)pfn_to_virt(held[n]) = owner;
			n++;
		} else if (n) {
			unsigned k = (unsigned)(x >> 8) % n;

			if (*(uint64_t *)pfn_to_virt(held[k]) != owner)
				return "another's number";
			frame_free(FRAME_4K, owner, held[k]);
			held[k] = held[--n];
		}
	}
	return NULL;
}

static void two_cpus_never_get_the_same_frame(void **state)
{
	static owner_t owners[2] = { VM_A, VM_B };
	struct frames_stats before;
	pthread_t t[2];
	void *wrong;

	arena_range(&arena, hpa(BASE), 2 * MiB, MEM_USABLE); /* small: they meet */
	arena_start(&arena);
	frames_stats(&before);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, worker, &owners[i]), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], &wrong);
		assert_null(wrong);
	}
	assert_same_stats(&before);
}

static void a_planted_failure_comes_once_and_takes_nothing(void **state)
{
	struct frames_stats before;
	pfn_t f, run;

	arena_range(&arena, hpa(BASE), 2 * MiB, MEM_USABLE);
	arena_start(&arena);
	frames_stats(&before);
	assert_int_equal(frames_fail_at(2), 0);
	assert_int_equal(frame_alloc(FRAME_4K, VM_A, &f), 0);
	assert_int_equal(frames_alloc_run(2, VM_A, &run), -E_NOMEM);
	assert_int_equal(frames_alloc_run(2, VM_A, &run), 0);
	frames_free_run(2, VM_A, run);
	frame_free(FRAME_4K, VM_A, f);
	assert_int_equal(frames_fail_at(2), 0);
	assert_int_equal(frames_fail_at(0), 2);
	assert_same_stats(&before);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(sizes_are_naturally_aligned_and_within_the_ranges),
		T(records_are_small),
		T(small_pieces_do_not_break_whole_gigas),
		T(everything_can_be_taken_and_given_back_as_pages),
		T(pages_merge_into_a_whole_giga_again),
		T(nothing_below_1m_and_nothing_of_other_types_is_handed_out),
		T(ram_of_unknown_content_is_scrubbed),
		T(another_owner_sees_nothing_of_the_last_one),
		T(pages_of_several_owners_merge_into_a_block_of_unknown_content),
		T(a_giga_is_scrubbed_only_where_it_is_dirty),
		T(zeroed_frames_are_zero_even_for_the_last_owner),
		T(runs_are_contiguous_and_come_back_whole),
		T(a_run_may_cross_gigas),
		T(boot_memory_is_given_later_and_merges),
		T(mistakes_are_caught),
		T(no_ram_is_an_error),
		T(random_use_agrees_with_a_model),
		T(a_planted_failure_comes_once_and_takes_nothing),
		T(two_cpus_never_get_the_same_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
