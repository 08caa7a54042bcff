/* SPDX-License-Identifier: MIT */
/*
 * MTRRs: once read, the ranges are laid flat into a sorted list of segments, each of one type:
 *
 *	registers   default UC   |---------------- WB ----------------|
 *	                                 |-- UC --|
 *	segments    |     WB     |  ...  |   UC   |   ...  WB         | UC ...
 *	            0            start of each
 *
 * so that the question that every EPT fault asks is a binary search over a handful of numbers, exact also where
 * several ranges together make up a large page.
 *
 * PHYSMASK may have gaps (SDM Vol. 3A 11.11.3: an address is in the range if address & mask == base & mask), which
 * can make a range of countless islands. No firmware does that; if the list grows too long the rest of memory is
 * answered page by page from the registers, and large pieces of it are refused.
 */
#include "mm/host/mtrr.h"

#include "lib/assert.h"
#include "lib/bits.h"

/* MSR_MTRRCAP */
#define CAP_VCNT   BITS(7, 0)
#define CAP_FIX	   BIT(8)
/* MSR_MTRR_DEF_TYPE */
#define DEF_TYPE   BITS(7, 0)
#define DEF_FE	   BIT(10) /* fixed ranges enabled */
#define DEF_E	   BIT(11) /* MTRRs enabled */
/* PHYSMASKn */
#define MASK_VALID BIT(11)

#define FIXED_END MiB
#define RANGES	  40 /* more would need the numbers of the MSRs of the fixed ranges */
#define SEGMENTS  (88 + 2 * RANGES + 2)
#define STEPS_MAX 100000 /* of laying flat; only masks with gaps need more than SEGMENTS + RANGES */

struct range {
	uint64_t base, mask; /* already masked */
	bool gaps;	     /* the mask is not all ones from some bit up to the top */
	enum memtype type;
};

static struct range range[RANGES];
static unsigned nranges;
static enum memtype default_type;
static bool enabled, fixed_enabled;
static uint8_t fixed[88]; /* 8 of 64 KiB, 16 of 16 KiB, 64 of 4 KiB */

static uint64_t segment_start[SEGMENTS];
static uint8_t segment_type[SEGMENTS];
static unsigned nsegments;
static uint64_t flat_end; /* the segments cover [0, flat_end) */

/* The registers cannot hold the reserved encodings (WRMSR faults); were one there, UC is always safe. */
static enum memtype type_of(uint64_t encoded)
{
	switch (encoded) {
	case MT_WC:
	case MT_WT:
	case MT_WP:
	case MT_WB:
		return (enum memtype)encoded;
	default:
		return MT_UC;
	}
}

/* Where `at` < 1 MiB lies among the fixed ranges; *end: the end of that range (SDM Vol. 3A 11.11.2.2). */
static unsigned fixed_index(uint64_t at, uint64_t *end)
{
	unsigned first = at < 0x80000 ? 0 : at < 0xc0000 ? 8 : 24;
	uint64_t base = at < 0x80000 ? 0 : at < 0xc0000 ? 0x80000 : 0xc0000;
	uint64_t size = at < 0x80000 ? 64 * KiB : at < 0xc0000 ? 16 * KiB : 4 * KiB;
	uint64_t n = (at - base) / size;

	*end = base + (n + 1) * size;
	return first + (unsigned)n;
}

/* Two ranges over one address (SDM Vol. 3A 11.11.4.1). */
static enum memtype combine(enum memtype a, enum memtype b)
{
	if (a == b)
		return a;
	if ((a == MT_WT && b == MT_WB) || (a == MT_WB && b == MT_WT))
		return MT_WT;
	return MT_UC;
}

/* The type of the page at `at`, from the registers. It holds until *end at least. */
static enum memtype type_at(uint64_t at, uint64_t *end)
{
	enum memtype type = default_type;
	bool hit = false;

	*end = UINT64_MAX;
	if (!enabled)
		return MT_UC;
	if (fixed_enabled && at < FIXED_END)
		return (enum memtype)fixed[fixed_index(at, end)];
	for (unsigned i = 0; i < nranges; i++) {
		/* Nothing changes within the lowest bit that the mask looks at; without gaps, nothing before the
		 * range begins, and after it, until the end of memory. */
		uint64_t unit = range[i].mask & -range[i].mask;
		uint64_t change = unit ? align_down(at, unit) + unit : UINT64_MAX;

		if ((at & range[i].mask) == range[i].base) {
			type = hit ? combine(type, range[i].type) : range[i].type;
			hit = true;
		} else if (!range[i].gaps) {
			change = range[i].base > at ? range[i].base : UINT64_MAX;
		}
		*end = min(*end, change);
	}
	return type;
}

static void lay_flat(uint64_t top)
{
	uint64_t at = 0, end;

	nsegments = 0;
	for (unsigned step = 0; at < top && step < STEPS_MAX; step++, at = end) {
		enum memtype type = type_at(at, &end);

		if (nsegments && segment_type[nsegments - 1] == type)
			continue;
		if (nsegments == SEGMENTS)
			break;
		segment_start[nsegments] = at;
		segment_type[nsegments++] = (uint8_t)type;
	}
	flat_end = at;
}

static void read_fixed(uint64_t (*read_msr)(uint32_t msr))
{
	static const uint32_t msr[11] = { MSR_MTRR_FIX64K_00000, MSR_MTRR_FIX16K_80000, MSR_MTRR_FIX16K_A0000,
		MSR_MTRR_FIX4K_C0000, MSR_MTRR_FIX4K_C0000 + 1, MSR_MTRR_FIX4K_C0000 + 2,
		MSR_MTRR_FIX4K_C0000 + 3, MSR_MTRR_FIX4K_C0000 + 4, MSR_MTRR_FIX4K_C0000 + 5,
		MSR_MTRR_FIX4K_C0000 + 6, MSR_MTRR_FIX4K_C0000 + 7 };

	for (unsigned i = 0; i < ARRAY_SIZE(msr); i++) {
		uint64_t v = read_msr(msr[i]);

		for (unsigned b = 0; b < 8; b++)
			fixed[8 * i + b] = (uint8_t)type_of(v >> (8 * b) & 0xff);
	}
}

void mtrr_read(uint64_t (*read_msr)(uint32_t msr), unsigned maxphyaddr)
{
	uint64_t cap = read_msr(MSR_MTRRCAP), def = read_msr(MSR_MTRR_DEF_TYPE);
	uint64_t width = BITS(maxphyaddr - 1, PAGE_SHIFT);

	enabled = def & DEF_E;
	default_type = type_of(def & DEF_TYPE);
	fixed_enabled = (def & DEF_FE) && (cap & CAP_FIX);
	if (fixed_enabled)
		read_fixed(read_msr);
	nranges = 0;
	for (unsigned i = 0; i < min(cap & CAP_VCNT, RANGES + 0ull); i++) {
		uint64_t mask = read_msr(MSR_MTRR_PHYSBASE0 + 1 + 2 * i);
		uint64_t base = read_msr(MSR_MTRR_PHYSBASE0 + 2 * i);

		if (!(mask & MASK_VALID))
			continue;
		range[nranges++] = (struct range){
			.base = base & mask & width,
			.mask = mask & width,
			.gaps = (mask & width) + (mask & width & -(mask & width)) != BIT(maxphyaddr),
			.type = type_of(base & 0xff),
		};
	}
	lay_flat(BIT(maxphyaddr));
}

int mtrr_type(hpa_t at, uint64_t bytes)
{
	unsigned low = 0, high = nsegments;
	uint64_t end;

	ASSERT(bytes && is_aligned(at.v | bytes, PAGE_SIZE) && at.v + bytes > at.v);
	if (unlikely(at.v + bytes > flat_end)) {
		enum memtype type = type_at(at.v, &end);

		return end >= at.v + bytes ? (int)type : -E_INVAL;
	}
	while (high - low > 1) { /* segment_start[low] <= at < segment_start[high] */
		unsigned mid = (low + high) / 2;

		if (segment_start[mid] <= at.v)
			low = mid;
		else
			high = mid;
	}
	end = low + 1 < nsegments ? segment_start[low + 1] : flat_end;
	return at.v + bytes <= end ? segment_type[low] : -E_INVAL;
}
