/* SPDX-License-Identifier: MIT */
/*
 * The parts of a VM, in the order in which they are made. Each stands on those before it, so they are given back from the last to
 * the first: when its creation fails, and when it has ended.
 */
#include "hv/vm/vm_parts.h"

#include "drivers/time.h"
#include "hv/vm/guest_cpuid.h"
#include "hv/vm/mmu_ops.h"
#include "hv/vm/place.h"
#include "hv/vm/vm_apic.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/host/frames.h"
#include "mm/map/backing.h"
#include "mm/shadow/shadow.h"
#include "mm/space/slots_change.h"

#define PIECES 4u /* frames given back in one go: some 100 instructions each */

/* Leaves the reason in words. Returns err. */
static int __printf_like(3, 4) parts_refuse(struct vm *vm, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fmt_vsnprintf(vm->building.why, vm->building.n, fmt, ap);
	va_end(ap);
	return err;
}

static int parts_fail(struct vm *vm, int err, const char *what)
{
	return err ? parts_refuse(vm, err, "%s: %s", what, err_name(err)) : 0;
}

/* ---- bitmaps of ports and MSRs: two frames each ---- */

static int make_bitmaps(void *of)
{
	struct vm *vm = of;
	struct msr_bitmap_params msrs = vm->policy.msrs;
	pfn_t io, msr;

	if (frames_alloc_run(2, OWNER_LETHE, &io))
		return parts_fail(vm, -E_NOMEM, "its bitmaps");
	vm->io_bitmap = pfn_to_hpa(io);
	policy_io_bitmap(&vm->policy, pfn_to_virt(io));
	if (frames_alloc_run(2, OWNER_LETHE, &msr))
		return parts_fail(vm, -E_NOMEM, "its bitmaps");
	vm->msr_bitmap = pfn_to_hpa(msr); /* the second for when the guest is in x2APIC mode */
	guest_msr_bitmap(pfn_to_virt(msr), &msrs);
	msrs.x2apic = true;
	guest_msr_bitmap((uint8_t *)pfn_to_virt(msr) + PAGE_SIZE, &msrs);
	return 0;
}

static void free_bitmap(hpa_t at)
{
	if (at.v)
		frames_free_run(2, OWNER_LETHE, hpa_to_pfn(at));
}

static bool free_bitmaps(void *of)
{
	struct vm *vm = of;

	free_bitmap(vm->io_bitmap);
	free_bitmap(vm->msr_bitmap);
	return true;
}

static int make_cpuid(void *of)
{
	struct vm *vm = of;

	return parts_fail(vm, guest_cpuid_create(vm->nvcpus, &vm->cpuid), "its CPUID table");
}

static bool free_cpuid(void *of)
{
	struct vm *vm = of;

	guest_cpuid_destroy(vm->cpuid);
	return true;
}

/* ---- memory ---- */

static int make_backings(void *of)
{
	struct vm *vm = of;
	struct frames_stats s;

	frames_stats(&s);
	for (unsigned i = 0; i < POLICY_BACKINGS; i++) {
		uint64_t pages = vm->policy.backing_bytes[i] >> PAGE_SHIFT;

		if (pages && backing_alloc(pages, vm_ram_owner(vm), &vm->backing[i]))
			return parts_refuse(vm, -E_NOMEM,
				"memory = %lu MiB, but this machine has only %lu MiB left for guests: ask for less",
				vm->policy.layout.memory / MiB, s.free * PAGE_SIZE / MiB);
	}
	return 0;
}

static bool free_backings(void *of)
{
	struct vm *vm = of;
	bool all = true;

	for (unsigned i = 0; all && i < POLICY_BACKINGS; i++)
		all = backing_free_some(&vm->backing[i], PIECES);
	return all;
}

static int make_mmu(void *of)
{
	static const enum mmu_removal removal[] = { [CONF_REMOVAL_AUTO] = MMU_REMOVAL_AUTO,
		[CONF_REMOVAL_BULK] = MMU_REMOVAL_BULK,
		[CONF_REMOVAL_TARGETED] = MMU_REMOVAL_TARGETED };
	struct vm *vm = of;
	struct mmu_params p = {
		.backend = vm->policy.mmu.shadow ? &mmu_backend_shadow : &mmu_backend_ept,
		.ops = &mmu_cpu_ops,
		.caps = mmu_caps_of_host(),
		.owner = vm_table_owner(vm),
		.vcpus = vm->nvcpus,
		.indirect_pages = vm->policy.mmu.indirect_pages,
		.tick_us = ns_to_tsc(1000),
		.vm = (uint16_t)vm->id,
		.removal = removal[vm->policy.mmu.removal],
		.freeing = vm->policy.mmu.eager ? MMU_FREE_EAGER : MMU_FREE_BATCHED,
	};

	p.guest_maxphyaddr = min(p.caps.maxphyaddr, 48u);
	if (vm->policy.mmu.small_pages)
		p.caps.ept_2m = p.caps.ept_1g = false;
	if (vm->policy.mmu.shadow)
		p.caps.pml = false; /* PML logs what EPT translates */
	return parts_fail(vm, mmu_create(&p, &vm->mmu), "its page tables");
}

static bool free_mmu(void *of)
{
	struct vm *vm = of;

	return mmu_destroy_some(&vm->mmu, PIECES);
}

static int map_region(struct vm *vm, const struct policy_region *r)
{
	const struct slot_desc d = { .base = gfn(r->from >> PAGE_SHIFT),
		.pages = (r->to - r->from) >> PAGE_SHIFT,
		.backing = vm->backing[r->backing],
		.backing_page = r->at >> PAGE_SHIFT };
	slot_id id;

	return r->backing == POLICY_APIC_PAGE ? vm_apic_page_add(vm) : slot_add(vm->mmu, &d, &id);
}

/* The hidden page directory: linear addresses 0 to 4 GiB to themselves, in 4 MiB pages. It lies in a page of its own that is
 * writable, because with EPT's A and D flags each walk counts as a write (mm/mmu/ept_ad.c). A guest that writes there changes
 * what its own linear addresses mean, and nothing else. */
static void fill_identity(struct vm *vm)
{
	uint32_t *pde = pfn_to_virt(backing_pfn(vm->backing[POLICY_IDENTITY], 0));

	for (unsigned i = 0; i < 1024; i++)
		pde[i] = i << 22 | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D | PTE_PS;
	vm->identity_map = gpa(LAYOUT_IDENTITY);
}

static int make_map(void *of)
{
	struct vm *vm = of;
	int err = 0;

	if (vm->backing[POLICY_APIC_PAGE])
		vm->apic_access = pfn_to_hpa(backing_pfn(vm->backing[POLICY_APIC_PAGE], 0));
	if (vm->backing[POLICY_IDENTITY])
		fill_identity(vm);
	for (unsigned i = 0; !err && i < vm->policy.nregions; i++)
		err = map_region(vm, &vm->policy.region[i]);
	return parts_fail(vm, err, "placing its RAM");
}

/* ---- vCPUs and platform ---- */

static int make_vcpus(void *of)
{
	struct vm *vm = of;
	int err = 0;

	for (unsigned i = 0; !err && i < vm->nvcpus; i++)
		err = vcpu_create(vm, i, place_cpu(vm->id, i), &vm->vcpu[i]);
	return parts_fail(vm, err, "its vCPUs");
}

static bool free_vcpus(void *of)
{
	struct vm *vm = of;

	for (unsigned i = vm->nvcpus; i--;)
		if (vm->vcpu[i]) {
			vcpu_destroy(vm->vcpu[i]);
			vm->vcpu[i] = NULL;
			return false;
		}
	return true;
}

static int make_platform(void *of)
{
	struct vm *vm = of;
	const struct boot_info *bi = vm->building.boot;
	struct platform_params p = {
		.ops = &vm_ops,
		.vm = vm,
		.name = vm->name,
		.mmu = vm->mmu,
		.settings = { .layout = vm->policy.layout,
			.start_time = bi->unix_time + tsc_to_ns(rdtsc() - bi->tsc_start) / 1000000000,
			.options = vm->policy.devices,
			.owner = vm_ram_owner(vm) },
		.vcpus = vm->nvcpus,
		.tsc_hz = tsc_hz(),
		.maxphyaddr = guest_maxphyaddr(),
		.cpu_signature = guest_cpuid_features(vm->cpuid)->eax,
		.cpu_features = guest_cpuid_features(vm->cpuid)->edx,
	};

	for (unsigned i = 0; i < vm->nvcpus; i++)
		p.apic_page[i] = vm->vcpu[i]->apic_page;
	return parts_fail(vm, platform_create(&p, &vm->platform), "its platform");
}

static bool free_platform(void *of)
{
	struct vm *vm = of;

	return !vm->platform || platform_destroy_some(&vm->platform, PIECES);
}

/* ---- what lies in its memory ---- */

struct load_file vm_file(const struct boot_info *bi, const char *path)
{
	for (unsigned i = 0; *path && i < bi->nfiles; i++)
		if (!strcmp(bi->file[i].path, path))
			return (struct load_file){ path, bi->file[i].data, bi->file[i].size };
	return (struct load_file){ path, NULL, 0 };
}

static int make_image(void *of)
{
	struct vm *vm = of;
	const struct boot_info *bi = vm->building.boot;
	const struct conf_vm *images = vm->policy.images;
	struct load_params p = { .conf = images, .mmu = vm->mmu, .layout = &vm->policy.layout };
	int err = platform_write_tables(vm->platform, &p.rsdp);

	if (err)
		return parts_fail(vm, err, "its tables");
	p.kernel = vm_file(bi, images->kernel);
	p.initrd = vm_file(bi, images->initrd);
	for (unsigned i = 0; i < images->nmodules; i++)
		p.module[i] = vm_file(bi, images->module[i].path);
	err = guest_load(&p, &vm->start, vm->building.why, vm->building.n);
	if (err)
		return err;
	vm->image_may_want_bios = guest_image_may_want_bios(&p, &vm->start);
	if (!vm->policy.unrestricted && !(vm->start.cr0 & CR0_PE))
		return parts_refuse(vm, -E_NOSUP, "its image starts in real mode, which %s",
			vmx.unrestricted ? "takes EPT: it cannot have mmu = shadow"
					 : "this CPU's VMX cannot run (no unrestricted guest)");
	return 0;
}

const struct step vm_parts[VM_PARTS] = {
	{ "a VM's bitmaps", make_bitmaps, free_bitmaps }, { "a VM's CPUID table", make_cpuid, free_cpuid },
	{ "a VM's RAM", make_backings, free_backings }, { "a VM's page tables", make_mmu, free_mmu },
	{ "a VM's memory map", make_map, NULL }, /* goes with the page tables */
	{ "a VM's vCPUs", make_vcpus, free_vcpus }, { "a VM's platform", make_platform, free_platform },
	{ "a VM's image", make_image, NULL }, /* lies in its RAM */
};
