/* SPDX-License-Identifier: MIT */
/*
 * The test device on a real MMU with vCPUs that come, go and access, under arbitrary writes to its configuration space and
 * registers. An operation is eight bytes:
 *
 *	0 what (low 4 bits), which vCPU (next 2), size (top 2)	1 selects a register or place	2-3 more of it	4-7 the value
 *
 * Always: its memory is in the guest's map exactly where it says it is; a vCPU that has not been asked to leave
 * reaches the device's own frames there and nothing elsewhere; memory that the device calls free, or has begun to erase, is
 * reached by no vCPU, whatever its CPU has cached (tests/support/sim/oracle.h: the CPU caches everything).
 */
#include <stdlib.h>
#include <string.h>

#include "mm/map/backing.h"
#include "mm/mmu/ept.h"
#include "mm/mmu/internal.h"
#include "mm/space/guest_mem.h"
#include "tests/support/fakes/fake_vm.h"
#include "tests/support/rig/rig.h"

#define VCPUS 4
#define LAST  4 /* of each vCPU's accesses that reached memory: what its CPU may remember */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena arena;
static struct fake_vm *f;
static struct vrom *d;
static struct {
	uint64_t gfn, frame;
} last[VCPUS][LAST];
static unsigned lasts[VCPUS];

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void config_write(unsigned vcpu, unsigned reg, unsigned size, uint32_t value)
{
	platform_pio_write(f->p, vcpu, 0xcf8, 4, 0x80000000u | VROM_SLOT << 11 | (reg & 0xfc));
	platform_pio_write(f->p, vcpu, (uint16_t)(0xcfc + (reg & 3)), size, value);
}

static uint64_t ram_at(void)
{
	return d->pci.bar[VROM_BAR_RAM].at;
}
static uint64_t rom_at(void)
{
	return d->pci.bar[VPCI_ROM].at;
}
static uint64_t place_of(const uint8_t *op)
{
	const uint64_t base[] = { ram_at(), rom_at(), ram_at() ^ MiB, 0xd0000000, 0xd0000000 + 2 * MiB,
		0x100000000, LAYOUT_BIOS, 0xfebff000 };

	return base[op[1] & 7] + (((uint64_t)op[2] | (uint64_t)op[3] << 8) & 0x3ff) * PAGE_SIZE;
}

/* The device's memory at gfn, or NULL; *page: of its backing. */
static const struct vrom_memory *memory_at(uint64_t gfn, uint64_t *page)
{
	*page = gfn - (ram_at() >> PAGE_SHIFT);
	if (d->bar.on && *page < backing_pages(d->bar.backing))
		return &d->bar;
	*page = gfn - (rom_at() >> PAGE_SHIFT);
	return d->rom.on && *page < backing_pages(d->rom.backing) ? &d->rom : NULL;
}

static void leave_all(bool kicked_only)
{
	for (unsigned i = 0; i < VCPUS; i++)
		if (rig.in[i] && (rig.kicked[i] || !kicked_only))
			rig_exit(i);
}

static void remember(unsigned i, uint64_t gfn, uint64_t frame)
{
	unsigned n = lasts[i]++ % LAST;

	last[i][n].gfn = gfn;
	last[i][n].frame = frame;
}

static bool owns(const struct vrom_memory *m, uint64_t frame)
{
	for (uint64_t page = 0; page < backing_pages(m->backing); page++)
		if (backing_pfn(m->backing, page).v == frame)
			return true;
	return false;
}

/* Once it is by what is in the TLB, once by a walk: that is a matter of chance. */
static void try_to_reach(const struct vrom_memory *m, unsigned i, uint64_t gfn)
{
	for (unsigned tries = 0; tries < 3; tries++) {
		unsigned level;
		uint64_t e;

		if (hw_access(i, rig.eptp[i], gfn, MMU_READ, &e, &level) == HW_HIT)
			must(!owns(m, ept_pfn(e).v + (gfn & (level_pages(level) - 1))));
	}
}

static void must_not_be_reached(const struct vrom_memory *m)
{
	for (unsigned i = 0; i < VCPUS; i++)
		for (unsigned n = 0; rig.in[i] && n < min(lasts[i], (unsigned)LAST); n++)
			if (owns(m, last[i][n].frame))
				try_to_reach(m, i, last[i][n].gfn);
}

static void access_memory(unsigned i, uint64_t gfn, unsigned access)
{
	const struct vrom_memory *m;
	enum mmu_verdict verdict;
	uint64_t page, frame = 0;

	/* A kick is on its way: all vCPUs that must leave have left before one enters anew. */
	leave_all(true);
	if (!rig.in[i] && rig_enter(i))
		return;
	verdict = rig_access(i, gfn, access, &frame);
	m = memory_at(gfn, &page);
	if (!m)
		must(verdict != MMU_RESUME || gfn < LAYOUT_BIOS_END >> PAGE_SHIFT);
	else if ((m->flags & SLOT_READONLY) && (access & MMU_WRITE))
		must(verdict == MMU_ROM);
	else
		must(verdict == MMU_RESUME && frame == backing_pfn(m->backing, page).v);
	if (verdict == MMU_RESUME)
		remember(i, gfn, frame);
	if (rig.in[i] && rig.kicked[i])
		rig_exit(i);
}

static void check(void)
{
	uint64_t page;
	uint8_t byte;

	for (unsigned n = 0; n < VCPUS; n++)
		must(!rig.in[n] || rig.kicked[n] || rig.v[n].entered == rig.mmu->front.valid_gen);
	must(d->bar.on == d->pci.bar[VROM_BAR_RAM].mapped && d->rom.on == d->pci.bar[VPCI_ROM].mapped);
	if (d->bar.on)
		must(!guest_read(rig.mmu, gpa(ram_at()), &byte, 1) &&
			memory_at(ram_at() >> PAGE_SHIFT, &page));
	if (d->rom.on)
		must(!guest_read(rig.mmu, gpa(rom_at()), &byte, 1) && byte == 0x55);
	must(!(d->bar.on && d->erasing));
	if (!d->rom.on && !d->rom.leaving)
		must_not_be_reached(&d->rom);
	if ((!d->bar.on && !d->bar.leaving) || (d->erasing && d->erased))
		must_not_be_reached(&d->bar);
	must(d->adds - d->deletes == (uint32_t)d->bar.on + (uint32_t)d->rom.on);
	must(!fake_vm_locked(f));
}

static void step(const uint8_t *op)
{
	static const uint8_t regs[] = { PCI_COMMAND, PCI_BAR0, PCI_BAR0 + 8, PCI_BAR0 + 12, PCI_ROM_BAR, 0,
		0x3c, 0xfe };
	unsigned vcpu = op[0] >> 4 & 3, size = 1u << (op[0] >> 6);
	uint32_t value = op[4] | op[5] << 8 | op[6] << 16 | (uint32_t)op[7] << 24;
	gpa_t reg = gpa(d->pci.bar[VROM_BAR_REG].at + (op[2] & 0x3f) + (op[1] & 0x80 ? op[3] << 4 : 0));

	switch (op[0] & 15) {
	case 0:
	case 1:
	case 2:
		config_write(vcpu, regs[op[1] & 7] + (op[1] & 0x80 ? op[2] & 3 : 0), min(size, 4u), value);
		break;
	case 3: /* what a driver does */
		config_write(vcpu, PCI_ROM_BAR, 4, 0xd0000000 | (value & 0x07ff0000) | (op[1] & 1));
		break;
	case 4:
		config_write(vcpu, PCI_BAR0 + 12, 4, 0);
		config_write(vcpu, PCI_BAR0 + 8, 4, op[1] & 1 ? 0 : 0xd0000000 | (value & 0x07e00000));
		break;
	case 5:
		if (op[1] & 1)
			reg = gpa(d->pci.bar[VROM_BAR_REG].at + VROM_CONTROL);
		platform_mmio_write(f->p, vcpu, reg, op[1] & 1 ? 4 : size, value);
		break;
	case 6:
		platform_mmio_read(f->p, vcpu, reg, size);
		break;
	case 7:
		platform_mmio_read(f->p, vcpu, gpa(d->pci.bar[VROM_BAR_REG].at + VROM_STATUS), 4);
		break;
	case 8:
	case 9:
		access_memory(vcpu, place_of(op) >> PAGE_SHIFT, 1u << value % 3);
		break;
	case 10:
		if (rig.in[vcpu])
			rig_exit(vcpu);
		break;
	case 11:
		mmu_reclaim(rig.mmu, 1 + op[1] % 16, 1 + value % 4096);
		break;
	case 12:
		rig_quiesce();
		break;
	case 13:
		guest_write(rig.mmu, gpa(place_of(op)), op, 8);
		break;
	case 14:
		f->now = tsc_after(f->now, value);
		break;
	case 15:
		if (op[1] == 0) {
			leave_all(false);
			platform_reset(f->p);
		} else if (op[1] < 4) {
			rig.mmu->removal.how = (enum mmu_removal)(op[1] - 1);
		}
		break;
	}
}

/* LETHE_MUTANT=name: with one of the MMU's rules broken (mm/mutant.h). */
static void open_once(void)
{
	struct mmu_params params = { .vcpus = VCPUS, .caps = rig_caps(), .removal = MMU_REMOVAL_AUTO };

	must(!getenv("LETHE_MUTANT") || mutant_select(getenv("LETHE_MUTANT")));
	arena_open(&arena, hpa(4 * GiB), 64 * MiB);
	arena_start(&arena);
	rig_use_arena(&arena);
	rig_start_with(&params, 0, true);
	f = fake_vm_open_rom(VCPUS, rig.mmu, 64 * KiB, 2 * MiB);
	d = DEV(f, vrom);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f)
		open_once();
	oracle_seed(1);
	for (; size >= 8; data += 8, size -= 8) {
		step(data);
		check();
	}
	/* As it was: the next input must not depend on this one. */
	leave_all(false);
	rig_quiesce();
	while (d->erasing) {
		config_write(0, PCI_COMMAND, 1, PCI_COMMAND_MEMORY);
		config_write(0, PCI_BAR0, 4, LAYOUT_PCI);
		platform_mmio_read(f->p, 0, gpa(LAYOUT_PCI + VROM_STATUS), 4);
	}
	platform_reset(f->p);
	config_write(0, PCI_COMMAND, 1, PCI_COMMAND_MEMORY);
	platform_mmio_write(f->p, 0, gpa(d->pci.bar[VROM_BAR_REG].at + VROM_CONTROL), 4, 0);
	rig.mmu->removal.how = MMU_REMOVAL_AUTO;
	rig_quiesce();
	rig_drain();
	memset(lasts, 0, sizeof(lasts));
	memset(hw_cpu, 0, sizeof(hw_cpu));
	return 0;
}
