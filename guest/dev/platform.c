/* SPDX-License-Identifier: MIT */
/* The platform object: creation and reset, accesses from exits, events. Interrupt delivery: platform_apic.c. */
#include "guest/dev/machine.h"

#include "lib/assert.h"
#include "lib/log.h"
#include "lib/string.h"

void platform_ports(struct platform *p, uint16_t base, unsigned n, unsigned sizes, void *dev,
	bus_read_fn *read, bus_write_fn *write)
{
	const struct bus_region r = {
		.base = base, .size = n, .sizes = sizes, .dev = dev, .read = read, .write = write
	};
	int err = bus_add_port(&p->bus, &r, NULL);

	ASSERT(!err);
}

void platform_end(struct platform *p, enum vm_end why, uint32_t code)
{
	if (p->ended)
		return;
	p->ended = true;
	p->ops->end(p->vm, why, code);
}

int platform_init(struct platform *p, const struct platform_params *params)
{
	if (!params->vcpus || params->vcpus > CPUS_MAX || params->tsc_hz < PLATFORM_TSC_HZ_MIN ||
		params->maxphyaddr < 36 || params->maxphyaddr > 52)
		return -E_INVAL;
	p->ops = params->ops;
	p->vm = params->vm;
	p->name = params->name;
	p->mmu = params->mmu;
	p->layout = params->layout;
	p->vcpus = params->vcpus;
	p->clock = (struct vclock){
		.ops = p->ops, .vm = p->vm, .tsc_hz = params->tsc_hz, .period_min = params->tsc_hz / 10000
	};
	p->maxphyaddr = params->maxphyaddr;
	p->debug_exit = params->debug_exit;
	p->cpu_signature = params->cpu_signature;
	p->cpu_features = params->cpu_features;
	p->console_poll_ms = params->console_poll_ms;
	p->owner = params->owner ? params->owner : OWNER_LETHE;
	for (unsigned i = 0; i < CPUS_MAX; i++)
		timer_queue_init(&p->timers[i], &p->clock, i);
	for (unsigned i = 0; i < p->vcpus; i++)
		vlapic_init(&p->lapic[i], p, i, params->apic_page[i]);
	vioapic_init(&p->ioapic, p);
	vpic_init(&p->pic, p);
	vpit_init(&p->pit, p);
	vrtc_init(&p->rtc, p, params->start_time);
	vuart_init(&p->uart, p);
	vkbc_init(&p->kbc, p);
	vvga_init(&p->vga, p);
	vacpi_init(&p->acpi, p);
	vpci_init(&p->pci, p);
	vconsole_init(&p->console, p);
	vlegacy_init(p);
	if (p->debug_exit)
		vdebugexit_init(p);
	platform_reset(p);
	return 0;
}

#define INT3 0xcc

static void fill_rom(struct platform *p, uint64_t from, uint64_t to, uint8_t value)
{
	uint8_t bytes[256];

	memset(bytes, value, sizeof(bytes));
	for (uint64_t at = from; at < to; at += sizeof(bytes)) {
		int err = guest_write_rom(p->mmu, gpa(at), bytes, sizeof(bytes));

		ASSERT(!err); /* its slot has just been added */
	}
}

/* RAM that belongs to the platform and is in the guest's map for good. */
static int add_memory(struct platform *p)
{
	struct slot_desc vga = { .base = gfn(LAYOUT_VGA_TEXT >> PAGE_SHIFT),
		.pages = VVGA_BYTES / PAGE_SIZE };
	struct slot_desc bios = { .base = gfn(LAYOUT_ROMS >> PAGE_SHIFT),
		.flags = SLOT_READONLY,
		.pages = (LAYOUT_BIOS_END - LAYOUT_ROMS) / PAGE_SIZE };
	struct mmu_ticket ticket;
	slot_id vga_slot, bios_slot;
	int err;

	err = backing_alloc(vga.pages, p->owner, &vga.backing);
	if (err)
		return err;
	err = backing_alloc(bios.pages, p->owner, &bios.backing);
	if (err)
		goto no_bios;
	err = slot_add(p->mmu, &vga, &vga_slot);
	if (err)
		goto no_slot;
	err = slot_add(p->mmu, &bios, &bios_slot);
	if (!err) {
		/* Where option ROMs would be, an empty bus. A jump into the BIOS that is not there is an exception. */
		fill_rom(p, LAYOUT_ROMS, LAYOUT_BIOS, 0xff);
		fill_rom(p, LAYOUT_BIOS, LAYOUT_BIOS_END, INT3);
		p->vga.backing = vga.backing;
		vvga_clear(&p->vga);
		p->bios = bios.backing;
		return 0;
	}
	/* No vCPU has run yet and nobody walks this VM's tables: there is no grace to wait for. */
	slot_delete(p->mmu, vga_slot, &ticket);
no_slot:
	backing_free(bios.backing);
no_bios:
	backing_free(vga.backing);
	return err;
}

int platform_create(const struct platform_params *params, struct platform **out)
{
	uint64_t pages = align_up(sizeof(struct platform), PAGE_SIZE) / PAGE_SIZE;
	owner_t owner = params->owner ? params->owner : OWNER_LETHE;
	struct platform *p;
	pfn_t first;
	int err = frames_alloc_run(pages, owner, &first);

	if (err)
		return err;
	p = pfn_to_virt(first);
	memset(p, 0, sizeof(*p));
	err = platform_init(p, params);
	p->pages = pages;
	if (!err && p->mmu && params->rom_bytes)
		err = vrom_create(&p->rom, p->owner, params->rom_bytes, params->bar_bytes);
	if (!err && p->mmu)
		err = add_memory(p);
	if (err) {
		vrom_destroy(&p->rom);
		frames_free_run(pages, owner, first);
		return err;
	}
	if (p->mmu && params->rom_bytes) {
		err = vrom_attach(&p->rom, p);
		ASSERT(!err); /* its place on the bus is free, its sizes are good */
	}
	*out = p;
	return 0;
}

bool platform_free_some(struct platform *p, unsigned most)
{
	return vrom_destroy_some(&p->rom, most) && backing_free_some(&p->vga.backing, most) &&
	       backing_free_some(&p->bios, most);
}

void platform_destroy(struct platform *p)
{
	platform_free_some(p, UINT32_MAX);
	frames_free_run(p->pages, p->owner, hpa_to_pfn(virt_to_hpa(p)));
}

void platform_reset(struct platform *p)
{
	platform_lock(p);
	p->ended = false;
	vioapic_reset(&p->ioapic);
	vpic_reset(&p->pic);
	for (unsigned i = 0; i < p->vcpus; i++)
		vlapic_reset(&p->lapic[i]);
	vpit_reset(&p->pit);
	vrtc_reset(&p->rtc);
	vuart_reset(&p->uart);
	vkbc_reset(&p->kbc);
	vvga_reset(&p->vga);
	vacpi_reset(&p->acpi);
	vpci_reset(&p->pci);
	vconsole_reset(&p->console);
	platform_unlock(p);
}

static uint32_t size_mask(unsigned size)
{
	return size == 4 ? 0xffffffff : (1u << 8 * size) - 1;
}

/* An access that no single region takes whole: byte by byte, as the ISA bridge would split it. */
static uint32_t pio_read_bytes(struct platform *p, uint16_t port, unsigned size)
{
	uint32_t value = 0;
	bool hole = false;

	for (unsigned i = 0; i < size; i++) {
		uint16_t at = (uint16_t)(port + i);
		const struct bus_region *r = bus_port(&p->bus, at);
		uint32_t byte = 0xff;

		if (r->sizes & BUS_1)
			byte = (uint8_t)r->read(r->dev, at - r->base, 1);
		else
			hole = true;
		value |= byte << 8 * i;
	}
	p->stats.pio_holes += hole;
	return value;
}

uint32_t platform_pio_read(struct platform *p, unsigned vcpu, uint16_t port, unsigned size)
{
	const struct bus_region *r;
	uint32_t value;

	platform_lock(p);
	r = bus_port(&p->bus, port);
	if (likely((r->sizes & size) && port - r->base + size <= r->size))
		value = (uint32_t)r->read(r->dev, port - r->base, size) & size_mask(size);
	else
		value = pio_read_bytes(p, port, size);
	platform_unlock(p);
	return value;
}

static void pio_write_bytes(struct platform *p, uint16_t port, unsigned size, uint32_t value)
{
	bool hole = false;

	for (unsigned i = 0; i < size; i++) {
		uint16_t at = (uint16_t)(port + i);
		const struct bus_region *r = bus_port(&p->bus, at);

		if (r->sizes & BUS_1)
			r->write(r->dev, at - r->base, 1, value >> 8 * i & 0xff);
		else
			hole = true;
	}
	p->stats.pio_holes += hole;
}

void platform_pio_write(struct platform *p, unsigned vcpu, uint16_t port, unsigned size, uint32_t value)
{
	const struct bus_region *r;

	platform_lock(p);
	r = bus_port(&p->bus, port);
	if (likely((r->sizes & size) && port - r->base + size <= r->size))
		r->write(r->dev, port - r->base, size, value & size_mask(size));
	else
		pio_write_bytes(p, port, size, value);
	platform_unlock(p);
}

/* The vCPU's own APIC page, in xAPIC mode: registers are 32 bits wide, every 16 bytes (SDM Vol. 3A 10.4.1). */
static bool in_apic_page(const struct vlapic *l, uint64_t at)
{
	return (l->base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE &&
	       (at & ~PAGE_MASK) == (l->base & ~PAGE_MASK);
}

uint64_t platform_mmio_read(struct platform *p, unsigned vcpu, gpa_t at, unsigned size)
{
	struct vlapic *l = &p->lapic[vcpu];
	uint64_t all = size == 8 ? ~0ull : size_mask(size), value = all;
	const struct bus_region *r;

	platform_lock(p);
	if (in_apic_page(l, at.v)) {
		value = 0;
		if ((at.v & 15) < 4)
			vlapic_read(l, at.v & 0xff0, &value);
		value = (uint32_t)value >> 8 * (at.v & 3);
	} else if ((r = bus_mmio(&p->bus, at.v)) && range_within(at.v - r->base, size, r->size)) {
		value = r->read(r->dev, at.v - r->base, size);
	} else {
		p->stats.mmio_holes++;
	}
	platform_unlock(p);
	return value & all;
}

void platform_mmio_write(struct platform *p, unsigned vcpu, gpa_t at, unsigned size, uint64_t value)
{
	struct vlapic *l = &p->lapic[vcpu];
	const struct bus_region *r;

	platform_lock(p);
	if (in_apic_page(l, at.v)) {
		if (size >= 4 && !(at.v & 15))
			vlapic_write(l, at.v & 0xff0, (uint32_t)value);
	} else if ((r = bus_mmio(&p->bus, at.v)) && range_within(at.v - r->base, size, r->size)) {
		r->write(r->dev, at.v - r->base, size, size == 8 ? value : value & size_mask(size));
	} else {
		p->stats.mmio_holes++;
	}
	platform_unlock(p);
}

uint64_t platform_next_event(const struct platform *p, unsigned vcpu)
{
	return atomic_load(&p->timers[vcpu].next);
}

void platform_run_events(struct platform *p, unsigned vcpu, uint64_t now)
{
	if (now < platform_next_event(p, vcpu))
		return;
	platform_lock(p);
	timers_run(&p->timers[vcpu], now);
	platform_unlock(p);
}

void platform_console_input(struct platform *p)
{
	platform_lock(p);
	vconsole_pump(&p->console);
	platform_unlock(p);
}

bool platform_console_finish(struct platform *p)
{
	bool done;

	platform_lock(p);
	vconsole_flush(&p->console);
	done = vvga_finish(&p->vga);
	platform_unlock(p);
	return done;
}

void platform_power_button(struct platform *p)
{
	platform_lock(p);
	vacpi_power_button(&p->acpi);
	platform_unlock(p);
}

void platform_stats(const struct platform *p, struct platform_stats *out)
{
	*out = p->stats;
	for (unsigned i = 0; i < p->vcpus; i++)
		out->irqs += atomic_load_relaxed(&p->irqs[i]);
}
