/* SPDX-License-Identifier: MIT */
#include "hv/vm/policy_pure.h"

#include "guest/dev/platform.h"
#include "lib/assert.h"
#include "lib/string.h"

static void policy_region_add(
	struct policy *p, uint64_t from, uint64_t to, enum policy_backing b, uint64_t at)
{
	if (to <= from)
		return;
	ASSERT(p->nregions < POLICY_REGIONS_MAX);
	p->region[p->nregions++] = (struct policy_region){ from, to, b, at };
}

/* Guest address and place in the backing agree modulo 1 GiB, so that large pages fit; the price is 384 KiB behind the
 * holes below 1 MiB. */
static void policy_ram(struct policy *p)
{
	const struct guest_layout *l = &p->layout;

	p->backing_bytes[POLICY_RAM_LOW] = l->low_end;
	p->backing_bytes[POLICY_RAM_HIGH] = l->high_end - LAYOUT_HIGH;
	policy_region_add(p, 0, LAYOUT_VGA, POLICY_RAM_LOW, 0);
	policy_region_add(p, LAYOUT_BIOS_END, l->low_end, POLICY_RAM_LOW, LAYOUT_BIOS_END);
	policy_region_add(p, LAYOUT_HIGH, l->high_end, POLICY_RAM_HIGH, 0);
}

static void policy_pages(struct policy *p, uint64_t at, uint64_t bytes, enum policy_backing b)
{
	p->backing_bytes[b] = bytes;
	policy_region_add(p, at, at + bytes, b, 0);
}

/* No SIPI starts the other vCPUs, for they cannot run in real mode. */
static void policy_mailbox(struct policy *p)
{
	layout_add_mailbox(&p->layout);
	policy_pages(p, LAYOUT_WAKEUP, layout_wakeup_bytes(&p->layout), POLICY_WAKEUP);
}

bool policy_shadow(enum conf_mmu mmu, const struct policy_host *host, int *err, const char **why)
{
	*err = 0;
	if (mmu == CONF_MMU_EPT && !host->ept) {
		*err = -E_NOSUP;
		*why = "mmu = ept: this CPU has no EPT; without that line its guest runs on shadow page tables";
	}
	if (mmu == CONF_MMU_SHADOW && !host->shadow) {
		*err = -E_NOSUP;
		*why = "mmu = shadow: this CPU's VMX has no exits for CR3 and INVLPG, which shadow page tables need";
	}
	return mmu == CONF_MMU_SHADOW || (mmu == CONF_MMU_AUTO && !host->ept);
}

/* Expected tables: each holds 512 translations, of which a guest with many small address spaces uses few. */
static uint64_t indirect_pages(uint64_t memory)
{
	return min(max((memory >> PAGE_SHIFT) / 64, 256ul), 1ul << 16);
}

int policy_from_conf(
	struct policy *p, const struct conf_vm *conf, const struct policy_host *host, const char **why)
{
	int err;
	bool shadow = policy_shadow(conf->mmu, host, &err, why), unrestricted = host->unrestricted && !shadow;

	*p = (struct policy){ .images = conf,
		.mmu = { .shadow = shadow,
			.removal = conf->removal,
			.eager = conf->eager,
			.small_pages = conf->small_pages,
			.indirect_pages = shadow ? indirect_pages(conf->memory) : 0 },
		.unrestricted = unrestricted,
		.devices = { .debug_exit = conf->debug_exit,
			.rom_bytes = conf->test_device ? conf->rom_bytes : 0,
			.bar_bytes = conf->bar_bytes },
		.msrs = { .efer = unrestricted,
			.pat = host->pat,
			.tsc_aux = host->tsc_aux,
			.x2apic_register = platform_x2apic_register } };
	if (err)
		return err;
	if (layout_init(&p->layout, conf->memory)) {
		*why = "memory: expected a multiple of 4K, 2M at least";
		return -E_RANGE;
	}
	policy_ram(p);
	if (host->apicv)
		policy_pages(p, LAYOUT_LAPIC, PAGE_SIZE, POLICY_APIC_PAGE);
	if (!unrestricted && !shadow)
		policy_pages(p, LAYOUT_IDENTITY, PAGE_SIZE, POLICY_IDENTITY);
	if (!unrestricted && host->vcpus > 1)
		policy_mailbox(p);
	return 0;
}

void policy_io_bitmap(const struct policy *p, uint8_t bitmap[8192])
{
	memset(bitmap, 0xff, 8192);
	for (unsigned i = 0; i < p->nports; i++)
		for (uint32_t port = p->port[i].first; port <= p->port[i].last; port++)
			bitmap[port / 8] &= (uint8_t) ~(1u << port % 8);
}
