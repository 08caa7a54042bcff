/* SPDX-License-Identifier: MIT */
/* The configurations of the simulated machine: each exercises another part of the MMU. */
#include "tests/support/sim/sim.h"

#define SMALL_ONLY .ept = true, .ept_wb = true, .vpid = true, .maxphyaddr = 39
#define CAPS_ALL   SMALL_ONLY, .ept_2m = true, .ept_1g = true, .ept_ad = true, .ept_uc = true

const struct sim_config sim_configs[] = {
	{ .name = "bulk", .vcpus = 4, .caps = { CAPS_ALL, .pschange_mc_no = true } },
	{ .name = "multihit", .vcpus = 3, .caps = { CAPS_ALL } },
	{ .name = "targeted", .vcpus = 4, .caps = { CAPS_ALL }, .removal = MMU_REMOVAL_TARGETED },
	{ .name = "auto, small pool",
		.vcpus = 4,
		.pool_pages = 48,
		.caps = { SMALL_ONLY },
		.removal = MMU_REMOVAL_AUTO },
	{ .name = "small pool", .vcpus = 6, .pool_pages = 40, .caps = { CAPS_ALL } },
	{ .name = "smallest pool",
		.vcpus = 1,
		.pool_pages = 1,
		.caps = { CAPS_ALL },
		.removal = MMU_REMOVAL_TARGETED },
	{ .name = "no drain", .vcpus = 4, .caps = { SMALL_ONLY }, .lazy = true },
	{ .name = "MMIO comes round",
		.vcpus = 3,
		.caps = { CAPS_ALL },
		.removal = MMU_REMOVAL_TARGETED,
		.wrap = true },
	{ .name = "dirty log", .vcpus = 4, .caps = { CAPS_ALL }, .dirty = true },
	{ .name = "dirty log without A and D, targeted",
		.vcpus = 3,
		.pool_pages = 40,
		.caps = { SMALL_ONLY, .ept_2m = true },
		.removal = MMU_REMOVAL_TARGETED,
		.dirty = true },
	{ .name = "dirty log by the CPU",
		.vcpus = 4,
		.caps = { CAPS_ALL, .pml = true, .pschange_mc_no = true },
		.removal = MMU_REMOVAL_AUTO,
		.dirty = true },
	{ .name = "tables in ROM",
		.vcpus = 4,
		.caps = { CAPS_ALL, .pml = true, .pschange_mc_no = true },
		.removal = MMU_REMOVAL_AUTO,
		.dirty = true,
		.walks = true },
	{ .name = "eager", .vcpus = 2, .caps = { CAPS_ALL }, .freeing = MMU_FREE_EAGER },
};
const unsigned sim_nconfigs = ARRAY_SIZE(sim_configs);
