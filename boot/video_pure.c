/* SPDX-License-Identifier: MIT */
#include "boot/video.h"

#include "lib/bits.h"

#define PIXEL_BYTES 4u

static bool meets_ram(uint64_t from, uint64_t bytes, const struct mem_range *range, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t start = range[i].base.v, end = start + range[i].pages * PAGE_SIZE;

		if (range[i].type != MEM_MMIO && range[i].type != MEM_RESERVED && from < end &&
			start < from + bytes)
			return true;
	}
	return false;
}

static const char *judge(struct framebuffer *fb, uint64_t reported, const struct mem_range *range, unsigned n)
{
	uint64_t needed = (uint64_t)fb->stride * fb->height * PIXEL_BYTES;

	if (!fb->width || !fb->height || fb->stride < fb->width)
		return "firmware reports lines that are shorter than the picture is wide";
	if (fb->height > BIT(52) / PIXEL_BYTES / fb->stride || !range_within(fb->base.v, needed, BIT(52)))
		return "firmware reports an address that no memory has";
	fb->reported = reported;
	fb->size = max(reported, needed);
	if (reported < needed && meets_ram(fb->base.v, needed, range, n))
		return "firmware reports less memory than the picture needs, and what follows is RAM";
	return NULL;
}

const char *video_size(struct framebuffer *fb, uint64_t reported, const struct mem_range *range, unsigned n)
{
	const char *why = judge(fb, reported, range, n);

	if (why)
		fb->format = FB_NONE;
	return why;
}
