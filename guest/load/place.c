/* SPDX-License-Identifier: MIT */
/*
 * Claims on the guest's memory: what lies where while a VM is being loaded (load.h has the drawing).
 */
#include "guest/load/load.h"
#include "lib/bits.h"
#include "lib/printf.h"
#include "mm/space/guest_mem.h"

int load_fail(struct load *l, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_vsnprintf(l->why, l->n, fmt, ap);
	va_end(ap);
	return err;
}

static bool is_ram(const struct load *l, uint64_t base, uint64_t size)
{
	for (unsigned i = 0; i < l->nrows; i++) {
		const struct e820_row *r = &l->row[i];

		if (r->type == E820_RAM && base >= r->base && range_within(base - r->base, size, r->size))
			return true;
	}
	return false;
}

/* The claim that [base, base + size) runs into, or NULL. The range is known not to wrap. */
static const struct load_claim *claim_at(const struct load *l, uint64_t base, uint64_t size)
{
	for (unsigned i = 0; i < l->nclaims; i++) {
		const struct load_claim *c = &l->claim[i];

		if (ranges_overlap(base, size, c->base, c->size))
			return c;
	}
	return NULL;
}

static int add_claim(struct load *l, const char *file, const char *what, uint64_t base, uint64_t size)
{
	if (l->nclaims == LOAD_CLAIMS_MAX)
		return load_fail(l, -E_NOSUP,
			"%s: has more pieces to load than the %u that Lethe keeps track of", file,
			LOAD_CLAIMS_MAX);
	l->claim[l->nclaims++] = (struct load_claim){ base, size, file, what };
	return 0;
}

int load_claim(struct load *l, const char *file, const char *what, uint64_t base, uint64_t size)
{
	const struct load_claim *c;

	if (size == 0)
		return 0;
	if (base + size - 1 < base)
		return load_fail(l, -E_RANGE,
			"%s: %s (0x%llx bytes at 0x%llx) runs past the end of the address space: the file is damaged",
			file, what, (unsigned long long)size, (unsigned long long)base);
	if (!is_ram(l, base, size))
		return load_fail(l, -E_RANGE,
			"%s: %s wants 0x%llx-0x%llx, which is not all RAM in this guest (RAM is 0-0x%lx and 0x%lx-0x%llx): link it elsewhere or raise memory =",
			file, what, (unsigned long long)base, (unsigned long long)(base + size - 1),
			LAYOUT_EBDA - 1, LAYOUT_BIOS_END, (unsigned long long)l->p->layout->low_end - 1);
	c = claim_at(l, base, size);
	if (c)
		return load_fail(l, -E_EXIST,
			"%s: %s (0x%llx-0x%llx) overlaps %s of %s (0x%llx-0x%llx): link or load one of them elsewhere",
			file, what, (unsigned long long)base, (unsigned long long)(base + size - 1), c->what,
			c->file, (unsigned long long)c->base, (unsigned long long)(c->base + c->size - 1));
	return add_claim(l, file, what, base, size);
}

/* The lowest free place in [from, to), a piece of RAM. Each turn steps over one claim for good, so it ends. */
static bool lowest(
	const struct load *l, uint64_t size, uint64_t align, uint64_t from, uint64_t to, uint64_t *out)
{
	const struct load_claim *c;
	uint64_t at = from;

	do {
		if (at > UINT64_MAX - (align - 1))
			return false;
		at = align_up(at, align);
		if (at > to || size > to - at)
			return false;
		*out = at;
		c = claim_at(l, at, size);
		if (c)
			at = c->base + c->size;
	} while (c);
	return true;
}

static bool highest(
	const struct load *l, uint64_t size, uint64_t align, uint64_t from, uint64_t to, uint64_t *out)
{
	const struct load_claim *c;
	uint64_t end = to;

	do {
		if (end < from || size > end - from)
			return false;
		*out = align_down(end - size, align);
		if (*out < from)
			return false;
		c = claim_at(l, *out, size);
		if (c)
			end = c->base;
	} while (c);
	return true;
}

int load_place(struct load *l, const char *file, const char *what, uint64_t size, uint64_t align,
	uint64_t from, uint64_t to, enum load_end end, uint64_t *out)
{
	bool found = false;

	for (unsigned k = 0; k < l->nrows && !found; k++) {
		/* Rows are sorted: taken from the end that the caller wants to be near. */
		const struct e820_row *r = &l->row[end == LOAD_LOWEST ? k : l->nrows - 1 - k];
		uint64_t lo = max(from, r->base), hi = min(to, r->base + r->size);

		if (r->type == E820_RAM && lo < hi)
			found = end == LOAD_LOWEST ? lowest(l, size, align, lo, hi, out)
						   : highest(l, size, align, lo, hi, out);
	}
	return found ? add_claim(l, file, what, *out, size) : -E_NOMEM;
}

static int backed(struct load *l, int err, uint64_t at, uint64_t n)
{
	if (!err)
		return 0;
	return load_fail(l, -E_FAULT,
		"%s: no RAM stands behind 0x%llx-0x%llx of the guest's memory map: a bug of Lethe",
		l->p->kernel.name, (unsigned long long)at, (unsigned long long)(at + n - 1));
}

int load_write(struct load *l, uint64_t at, const void *data, uint64_t n)
{
	return n ? backed(l, guest_write(l->p->mmu, gpa(at), data, n), at, n) : 0;
}

int load_zero(struct load *l, uint64_t at, uint64_t n)
{
	return n ? backed(l, guest_zero(l->p->mmu, gpa(at), n), at, n) : 0;
}

uint64_t load_ram_from(const struct load *l, uint64_t from)
{
	for (unsigned i = 0; i < l->nrows; i++) {
		const struct e820_row *r = &l->row[i];

		if (r->type == E820_RAM && from >= r->base && from - r->base < r->size)
			return r->size - (from - r->base);
	}
	return 0;
}
