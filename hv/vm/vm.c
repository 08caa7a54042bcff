/* SPDX-License-Identifier: MIT */
/* Building a VM from its section of lethe.conf, and ending it. (Taking it apart: hv/vm/vm_apart.c.) */
#include "hv/vm/vm.h"

#include "drivers/time.h"
#include "hv/exit/exit.h"
#include "hv/run.h"
#include "hv/vm/guest_cpuid.h"
#include "hv/vm/mmu_ops.h"
#include "hv/vm/place.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/assert.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/host/frames.h"
#include "mm/map/backing.h"

struct vm *vms[CONF_VMS_MAX];
unsigned nvms;

static int fail(const struct vm *vm, int err, const char *what)
{
	log_error("vm %s: %s: %s", vm->name, what, err_name(err));
	return err;
}

static int create_mmu(struct vm *vm)
{
	static const enum mmu_removal removal[] = { [CONF_REMOVAL_AUTO] = MMU_REMOVAL_AUTO,
		[CONF_REMOVAL_BULK] = MMU_REMOVAL_BULK,
		[CONF_REMOVAL_TARGETED] = MMU_REMOVAL_TARGETED };
	struct mmu_params p = {
		.backend = &mmu_backend_ept,
		.ops = &mmu_cpu_ops,
		.caps = mmu_caps_of_host(),
		.owner = (owner_t)(vm_ram_owner(vm) + 1),
		.vcpus = vm->nvcpus,
		.tick_us = ns_to_tsc(1000),
		.vm = (uint16_t)vm->id,
		.removal = removal[vm->conf->removal],
		.freeing = vm->conf->eager ? MMU_FREE_EAGER : MMU_FREE_BATCHED,
	};

	p.guest_maxphyaddr = min(p.caps.maxphyaddr, 48u);
	if (vm->conf->small_pages)
		p.caps.ept_2m = p.caps.ept_1g = false;
	if (vm->conf->mmu == CONF_MMU_SHADOW) {
		log_error(
			"vm %s: mmu = shadow: this version of Lethe has no shadow page tables; use mmu = ept",
			vm->name);
		return -E_NOSUP;
	}
	if (!vmx.ept) {
		log_error("vm %s: this CPU has no EPT, and this version of Lethe has no shadow page tables",
			vm->name);
		return -E_NOSUP;
	}
	return mmu_create(&p, &vm->mmu);
}

static int add_slot(struct vm *vm, uint64_t from, uint64_t to, struct backing *b, uint64_t backing_at)
{
	struct slot_desc d = { .base = gfn(from >> PAGE_SHIFT),
		.pages = (to - from) >> PAGE_SHIFT,
		.backing = b,
		.backing_page = backing_at >> PAGE_SHIFT };
	slot_id id;

	return to > from ? slot_add(vm->mmu, &d, &id) : 0;
}

/* Guest address and page of the backing agree modulo 1 GiB, so that large pages fit; the price is 384 KiB behind the
 * holes below 1 MiB. */
static int create_memory(struct vm *vm)
{
	struct guest_layout *l = &vm->layout;
	struct frames_stats s;
	int err;

	frames_stats(&s);
	err = backing_alloc(l->low_end >> PAGE_SHIFT, vm_ram_owner(vm), &vm->low);
	if (!err && l->high_end > LAYOUT_HIGH)
		err = backing_alloc((l->high_end - LAYOUT_HIGH) >> PAGE_SHIFT, vm_ram_owner(vm), &vm->high);
	if (err) {
		log_error(
			"vm %s: memory = %lu MiB, but this machine has only %lu MiB left for guests: ask for less",
			vm->name, l->memory / MiB, s.free * PAGE_SIZE / MiB);
		return err;
	}
	err = add_slot(vm, 0, LAYOUT_VGA, vm->low, 0);
	if (!err)
		err = add_slot(vm, LAYOUT_BIOS_END, l->low_end, vm->low, LAYOUT_BIOS_END);
	if (!err && vm->high)
		err = add_slot(vm, LAYOUT_HIGH, l->high_end, vm->high, 0);
	return err ? fail(vm, err, "placing its RAM") : 0;
}

static int add_apic_page(struct vm *vm)
{
	const struct slot_desc d = {
		.base = gfn(LAYOUT_LAPIC >> PAGE_SHIFT), .pages = 1, .backing = vm->apic
	};

	return slot_add(vm->mmu, &d, &vm->apic_slot);
}

/* The APIC-access page: a frame of its own behind the local APIC's address, which the CPU never lets through. */
static int create_apic_page(struct vm *vm)
{
	int err;

	if (!vmx.apicv)
		return 0;
	err = backing_alloc(1, vm_ram_owner(vm), &vm->apic);
	if (err)
		return err;
	vm->apic_access = pfn_to_hpa(backing_pfn(vm->apic, 0));
	return add_apic_page(vm);
}

/* True if each local APIC of the VM has its registers in memory at the usual address. */
static bool apics_at_home(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nvcpus; i++)
		if (platform_apic_mode(vm->platform, i) != APIC_XAPIC ||
			platform_apic_page(vm->platform, i) != LAYOUT_LAPIC)
			return false;
	return true;
}

/*
 * All vCPUs share the EPT, so the APIC-access page can serve only while all local APICs have their registers there: to
 * a vCPU that has moved them away, switched them off or to x2APIC mode it would be RAM. Without the page accesses of all
 * vCPUs are device accesses, which find each vCPU's own registers.
 *
 *	on the way there   1. no vCPU enters the guest any more with register and interrupt virtualization in xAPIC
 *			      mode (hv/vm/vmcs_setup.c); between 1 and 2 each access to the page exits
 *			   2. the page goes; a vCPU that is in the guest with the old map is fetched out by that
 *	and back	   the other way round
 */
static void emulate_apics(struct vm *vm, bool emulate)
{
	struct mmu_ticket ticket;
	int err;

	if (!emulate && add_apic_page(vm))
		return; /* no memory: as right as before, only slower */
	atomic_store(&vm->apic_emulated, emulate);
	for (unsigned i = 0; i < vm->nvcpus; i++) {
		vcpu_request(vm->vcpu[i], REQ_EVENTS);
		vcpu_kick(vm->vcpu[i]);
	}
	if (!emulate)
		return;
	err = slot_delete(vm->mmu, vm->apic_slot, &ticket);
	ASSERT(!err); /* it is there; the page's RAM stays the VM's */
}

void vm_apic_base_written(struct vcpu *v)
{
	struct vm *vm = v->vm;
	uint64_t page = platform_apic_page(vm->platform, v->index);
	uint8_t byte;

	if (platform_apic_mode(vm->platform, v->index) == APIC_XAPIC && page != LAYOUT_LAPIC &&
		!guest_read(vm->mmu, gpa(page), &byte, 1)) {
		vm_unsupported(v, "it moves its local APIC to %#lx, where it has memory already", page);
		return;
	}
	if (!vm->apic)
		return;
	spin_lock(&vm->apic_lock);
	if (apics_at_home(vm) == vm->apic_emulated)
		emulate_apics(vm, !vm->apic_emulated);
	spin_unlock(&vm->apic_lock);
}

/* The hidden page directory: linear addresses 0 to 4 GiB to themselves, in 4 MiB pages. It lies in a page of its own that is
 * writable, because with EPT's A and D flags each walk counts as a write (mm/mmu/ept_ad.c). A guest that writes there changes
 * what its own linear addresses mean, and nothing else. */
static int create_identity_map(struct vm *vm)
{
	uint32_t *pde;
	int err;

	if (vmx.unrestricted)
		return 0;
	err = backing_alloc(1, vm_ram_owner(vm), &vm->identity);
	if (err)
		return err;
	pde = pfn_to_virt(backing_pfn(vm->identity, 0));
	for (unsigned i = 0; i < 1024; i++)
		pde[i] = i << 22 | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D | PTE_PS;
	vm->identity_map = gpa(LAYOUT_IDENTITY);
	return add_slot(vm, LAYOUT_IDENTITY, LAYOUT_IDENTITY + PAGE_SIZE, vm->identity, 0);
}

static int create_bitmaps(struct vm *vm)
{
	struct msr_bitmap_params p = {
		.unrestricted = vmx.unrestricted,
		.tsc_aux = cpuid_or_zero(0x80000001, 0).edx & BIT(27),
		.x2apic_register = platform_x2apic_register,
	};
	pfn_t io, msr;

	if (frames_alloc_run(2, OWNER_LETHE, &io))
		return -E_NOMEM;
	vm->io_bitmap = pfn_to_hpa(io);
	memset(pfn_to_virt(io), 0xff, 2 * PAGE_SIZE); /* every port exits */
	if (frames_alloc_run(2, OWNER_LETHE, &msr))
		return -E_NOMEM;
	vm->msr_bitmap = pfn_to_hpa(msr); /* the second for when the guest is in x2APIC mode */
	guest_msr_bitmap(pfn_to_virt(msr), &p);
	p.x2apic = true;
	guest_msr_bitmap((uint8_t *)pfn_to_virt(msr) + PAGE_SIZE, &p);
	return 0;
}

static int create_vcpus(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nvcpus; i++) {
		int err = vcpu_create(vm, i, place_cpu(vm->id, i), &vm->vcpu[i]);

		if (err)
			return fail(vm, err, "its vCPUs");
	}
	return 0;
}

static int create_platform(struct vm *vm, const struct boot_info *bi)
{
	struct platform_params p = {
		.ops = &vm_ops,
		.vm = vm,
		.name = vm->name,
		.mmu = vm->mmu,
		.layout = vm->layout,
		.vcpus = vm->nvcpus,
		.tsc_hz = tsc_hz(),
		.maxphyaddr = guest_maxphyaddr(),
		.debug_exit = vm->conf->debug_exit,
		.rom_bytes = vm->conf->test_device ? vm->conf->rom_bytes : 0,
		.bar_bytes = vm->conf->bar_bytes,
		.start_time = bi->unix_time + tsc_to_ns(rdtsc() - bi->tsc_start) / 1000000000,
		.owner = vm_ram_owner(vm),
		.cpu_signature = guest_cpuid_features(vm->cpuid)->eax,
		.cpu_features = guest_cpuid_features(vm->cpuid)->edx,
	};

	for (unsigned i = 0; i < vm->nvcpus; i++)
		p.apic_page[i] = vm->vcpu[i]->apic_page;
	return platform_create(&p, &vm->platform);
}

static struct load_file file(const struct boot_info *bi, const char *path)
{
	for (unsigned i = 0; *path && i < bi->nfiles; i++)
		if (!strcmp(bi->file[i].path, path))
			return (struct load_file){ path, bi->file[i].data, bi->file[i].size };
	return (struct load_file){ path, NULL, 0 };
}

static int load(struct vm *vm, const struct boot_info *bi, uint64_t rsdp)
{
	struct load_params p = { .conf = vm->conf, .mmu = vm->mmu, .layout = &vm->layout, .rsdp = rsdp };
	char why[256];
	int err;

	p.kernel = file(bi, vm->conf->kernel);
	p.initrd = file(bi, vm->conf->initrd);
	for (unsigned i = 0; i < vm->conf->nmodules; i++)
		p.module[i] = file(bi, vm->conf->module[i].path);
	err = guest_load(&p, &vm->start, why, sizeof(why));
	if (!err)
		vm->image_may_want_bios = guest_image_may_want_bios(&p, &vm->start);
	if (err)
		log_error("vm %s: %s", vm->name, why);
	else if (!vmx.unrestricted && !(vm->start.cr0 & CR0_PE)) {
		log_error(
			"vm %s: its image starts in real mode, which this CPU's VMX cannot run (no unrestricted guest)",
			vm->name);
		err = -E_NOSUP;
	}
	return err;
}

static int build(struct vm *vm, const struct boot_info *bi)
{
	uint64_t rsdp;
	int err = layout_init(&vm->layout, vm->conf->memory);

	if (err)
		return fail(vm, err, "memory");
	err = create_mmu(vm);
	if (err)
		return err;
	err = create_memory(vm);
	if (err)
		return err;
	err = create_apic_page(vm);
	if (!err)
		err = create_identity_map(vm);
	if (!err)
		err = create_bitmaps(vm);
	if (!err)
		err = guest_cpuid_create(vm->nvcpus, &vm->cpuid);
	if (err)
		return fail(vm, err, "its bitmaps and tables");
	err = create_vcpus(vm);
	if (err)
		return err;
	err = create_platform(vm, bi);
	if (!err)
		err = platform_write_tables(vm->platform, &rsdp);
	if (err)
		return fail(vm, err, "its platform");
	return load(vm, bi, rsdp);
}

int vm_create(const struct conf_vm *conf, const struct boot_info *bi, unsigned id, struct vm **out)
{
	struct vm *vm = frame_alloc_zeroed(OWNER_LETHE);
	const char *piece;
	int err;

	_Static_assert(sizeof(struct vm) <= PAGE_SIZE, "a struct vm is one frame");
	if (!vm)
		return -E_NOMEM;
	str_copy(vm->name, sizeof(vm->name), conf->name);
	vm->id = id;
	vm->conf = conf;
	vm->nvcpus = place_vcpus(id);
	if (vm->nvcpus < conf->vcpus)
		log_warn(
			"vm %s: vcpus = %u, but it gets %u: others start in real mode, which this CPU's VMX cannot run",
			vm->name, conf->vcpus, vm->nvcpus);
	vm->tsc_offset = 0 - rdtsc();
	err = build(vm, bi);
	if (err) {
		while (!vm_take_apart(vm, &piece))
			;
		return err;
	}
	*out = vm;
	return 0;
}

void vm_end(struct vm *vm, enum vm_end why, uint32_t code)
{
	if (atomic_xchg(&vm->end_claimed, true))
		return;
	vm->end_why = why;
	vm->end_code = code;
	atomic_store(&vm->ending, true);
	for (unsigned i = 0; i < vm->nvcpus; i++) {
		vcpu_request(vm->vcpu[i], REQ_STOP);
		vcpu_kick(vm->vcpu[i]);
	}
}

void vm_unsupported(struct vcpu *v, const char *fmt, ...)
{
	char why[DUMP_TEXT];
	va_list ap;

	va_start(ap, fmt);
	fmt_vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	dump_take(v, "%s", why);
	vm_end(v->vm, VM_END_UNSUPPORTED, 0);
}
