/* SPDX-License-Identifier: MIT */
/* The screen's memory: what firmware says of it, and whether that can be (boot/video_pure.c). */
#pragma once

#include "lib/boot_info.h"

/*
 * Sets fb->size, for a framebuffer whose other fields are filled in. Some firmware reports fewer bytes than lines x height; then
 * the size is computed, and believed if nothing in that range is RAM by the memory map. Returns NULL, or why the framebuffer
 * cannot be used (fb->format is FB_NONE then).
 */
const char *video_size(struct framebuffer *fb, uint64_t reported, const struct mem_range *range, unsigned n);
