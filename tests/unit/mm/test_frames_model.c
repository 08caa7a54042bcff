/* SPDX-License-Identifier: MIT */
/* The frame allocator in random use: against a naive model of the owner of every page, and by two CPUs at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "lib/bits.h"
#include "tests/support/rig/frames_rig.h"
#include "tests/support/rig/xorshift.h"

/* Random operations against a model that knows the owner of every page. */
#define MODEL_PAGES (96 * MiB / PAGE_SIZE)

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t rnd(uint64_t below)
{
	return xorshift(&seed) % below;
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
		xorshift(&x);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(random_use_agrees_with_a_model),
		T(two_cpus_never_get_the_same_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
