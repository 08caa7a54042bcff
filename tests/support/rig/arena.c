/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/support/rig/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/assert.h"

static void die(const char *what)
{
	perror(what);
	exit(2);
}

void arena_open(struct arena *a, hpa_t base, uint64_t bytes)
{
	uint64_t start;

	memset(a, 0, sizeof(*a));
	a->base = base;
	a->bytes = bytes;
	a->map_bytes = bytes + 2 * GiB;
	a->map = mmap(NULL, a->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0);
	if (a->map == MAP_FAILED)
		die("arena: mmap");
	/* As far past a GiB as the address it stands for, so that alignment means the same on both sides. */
	start = (((uint64_t)a->map + GiB - 1) & ~(GiB - 1)) + base.v % GiB;
	a->mem = (void *)start;
	direct_map_base = start - base.v;
}

void arena_range(struct arena *a, hpa_t base, uint64_t bytes, enum mem_type type)
{
	struct mem_range *last = a->bi.nranges ? &a->bi.range[a->bi.nranges - 1] : NULL;

	if (a->bi.nranges == BOOT_RANGES_MAX || base.v % PAGE_SIZE || bytes % PAGE_SIZE ||
		(last && base.v < last->base.v + last->pages * PAGE_SIZE)) {
		fprintf(stderr, "arena: bad range %#lx\n", base.v);
		exit(2);
	}
	a->bi.range[a->bi.nranges++] = (struct mem_range){
		.base = base,
		.pages = bytes / PAGE_SIZE,
		.type = type,
	};
}

void arena_start(struct arena *a)
{
	int err;

	if (!a->bi.nranges)
		arena_range(a, a->base, a->bytes, MEM_USABLE);
	err = frames_init(&a->bi);
	if (err) {
		fprintf(stderr, "arena: frames_init: %d\n", err);
		exit(2);
	}
}

void arena_close(struct arena *a)
{
	munmap(a->map, a->map_bytes);
	memset(a, 0, sizeof(*a));
	direct_map_base = 0;
}

jmp_buf assert_catch_buf;
char assert_text[256];
static void (*hook_before)(const char *file, int line, const char *text);

static void assert_caught(const char *file, int line, const char *text)
{
	snprintf(assert_text, sizeof(assert_text), "%s:%d: %s", file, line, text);
	longjmp(assert_catch_buf, 1);
}

void assert_catch_begin(void)
{
	hook_before = panic_hook;
	panic_hook = assert_caught;
}

void assert_catch_end(void)
{
	panic_hook = hook_before;
}
