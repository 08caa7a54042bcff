/* SPDX-License-Identifier: MIT */
/* The platform object: creation and reset, accesses from exits, events. Interrupt delivery: platform_apic.c. */
#include "guest/dev/machine.h"
#include "guest/dev/vacpi.h"
#include "guest/dev/vvga.h"

#include "lib/assert.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/space/guest_mem.h"
#include "mm/space/slots_change.h"

size_t platform_bytes(void)
{
	return align_up(sizeof(struct platform), 64) + devices_size();
}

static owner_t owner_of(const struct platform_params *params)
{
	return params->settings.owner ? params->settings.owner : OWNER_LETHE;
}

static void platform_init_parts(struct platform *p, const struct platform_params *params)
{
	p->clock = (struct vclock){ .now = p->ops->clock,
		.ops = p->ops,
		.vm = p->vm,
		.tsc_hz = params->tsc_hz,
		.period_min = params->tsc_hz / 10000 };
	for (unsigned i = 0; i < CPUS_MAX; i++)
		timer_queue_init(&p->timers[i], &p->clock, i);
	p->interrupts.ops = p->ops;
	p->interrupts.vm = p->vm;
	p->interrupts.name = p->name;
	p->interrupts.clock = &p->clock;
	p->interrupts.vcpus = p->vcpus;
	p->interrupts.maxphyaddr = params->maxphyaddr;
	for (unsigned i = 0; i < p->vcpus; i++)
		vlapic_init(&p->interrupts.lapic[i], &p->interrupts, i, params->apic_page[i], &p->timers[i]);
	vconsole_init(&p->console, &p->clock, &p->timers[0], params->console_poll_ms);
	bus_init(&p->bus);
	p->power = (struct power){ .ops = p->ops, .vm = p->vm };
	p->settings = params->settings;
	p->settings.owner = owner_of(params);
	if (!params->mmu)
		p->settings.options.rom_bytes = 0;
	p->board = (struct board){ .vm = p->name,
		.settings = &p->settings,
		.clock = &p->clock,
		.timers = &p->timers[0],
		.bus = &p->bus,
		.irqs = &p->interrupts,
		.console = &p->console,
		.power = &p->power,
		.memory = p->mmu,
		.pci_lock = &p->pci_lock };
}

void platform_fini(struct platform *p)
{
	devices_free_some(&p->devices, UINT32_MAX);
}

int platform_init(struct platform *p, const struct platform_params *params)
{
	int err;

	if (!params->vcpus || params->vcpus > CPUS_MAX || params->tsc_hz < PLATFORM_TSC_HZ_MIN ||
		params->maxphyaddr < 36 || params->maxphyaddr > 52)
		return -E_INVAL;
	p->ops = params->ops;
	p->vm = params->vm;
	p->name = params->name;
	p->mmu = params->mmu;
	p->vcpus = params->vcpus;
	p->cpu_signature = params->cpu_signature;
	p->cpu_features = params->cpu_features;
	platform_init_parts(p, params);
	err = devices_init(&p->devices, &p->board, (char *)p + align_up(sizeof(*p), 64));
	if (err)
		return err;
	pc_wire(p);
	err = devices_attach(&p->devices);
	if (err) {
		platform_fini(p);
		return err;
	}
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

/* Where option ROMs would be, an empty bus. A jump into the BIOS that is not there is an exception. */
static int add_bios(struct platform *p)
{
	struct slot_desc bios = { .base = gfn(LAYOUT_ROMS >> PAGE_SHIFT),
		.flags = SLOT_READONLY,
		.pages = (LAYOUT_BIOS_END - LAYOUT_ROMS) / PAGE_SIZE };
	int err = backing_alloc(bios.pages, p->settings.owner, &bios.backing);
	slot_id slot; /* it stays for good */

	if (err)
		return err;
	err = slot_add(p->mmu, &bios, &slot);
	if (err) {
		backing_free(bios.backing);
		return err;
	}
	p->bios = bios.backing;
	fill_rom(p, LAYOUT_ROMS, LAYOUT_BIOS, 0xff);
	fill_rom(p, LAYOUT_BIOS, LAYOUT_BIOS_END, INT3);
	return 0;
}

int platform_create(const struct platform_params *params, struct platform **out)
{
	uint64_t pages = align_up(platform_bytes(), PAGE_SIZE) / PAGE_SIZE;
	owner_t owner = owner_of(params);
	struct platform *p;
	pfn_t first;
	int err = frames_alloc_run(pages, owner, &first);

	if (err)
		return err;
	p = pfn_to_virt(first);
	memset(p, 0, pages * PAGE_SIZE);
	err = platform_init(p, params);
	p->pages = pages;
	if (!err && p->mmu) {
		err = add_bios(p);
		if (err) {
			devices_detach(&p->devices);
			platform_fini(p);
		}
	}
	if (err) {
		frames_free_run(pages, owner, first);
		return err;
	}
	*out = p;
	return 0;
}

bool platform_destroy_some(struct platform **out, unsigned most)
{
	struct platform *p = *out;
	pfn_t first = hpa_to_pfn(virt_to_hpa(p));

	_Static_assert(offsetof(struct platform, pages) < PAGE_SIZE,
		"its first page, which goes last, says how many");
	if (!devices_free_some(&p->devices, most) || !backing_free_some(&p->bios, most))
		return false;
	if (p->pages > 1) {
		p->pages = frames_free_run_some(
			p->pages, p->settings.owner, first, (unsigned)min((uint64_t)most, p->pages - 1));
		return false;
	}
	frames_free_run(1, p->settings.owner, first);
	*out = NULL;
	return true;
}

void platform_reset(struct platform *p)
{
	atomic_store(&p->power.ended, false);
	for (unsigned i = 0; i < p->vcpus; i++)
		vlapic_reset(&p->interrupts.lapic[i]);
	devices_reset(&p->devices);
	spin_lock(&p->console.lock);
	vconsole_reset(&p->console);
	spin_unlock(&p->console.lock);
}

static uint32_t size_mask(unsigned size)
{
	return size == 4 ? 0xffffffff : (1u << 8 * size) - 1;
}

static void count_hole(uint64_t *counter)
{
	atomic_fetch_add(counter, 1);
}

/* One access of a device's range. False: it does not lie there, or not whole. */
static inline bool range_read(const struct bus_range *r, uint64_t at, unsigned size, uint64_t *value)
{
	uint64_t off;
	bool there;

	spin_lock(r->lock);
	off = bus_offset(r, at);
	there = range_within(off, size, r->size);
	if (likely(there))
		*value = r->read(r->dev, off, size);
	spin_unlock(r->lock);
	return there;
}

static inline bool range_write(const struct bus_range *r, uint64_t at, unsigned size, uint64_t value)
{
	uint64_t off;
	bool there;

	spin_lock(r->lock);
	off = bus_offset(r, at);
	there = range_within(off, size, r->size);
	if (likely(there))
		r->write(r->dev, off, size, value);
	spin_unlock(r->lock);
	return there;
}

/* An access that no single range takes whole: byte by byte, as the ISA bridge would split it. */
static uint32_t pio_read_bytes(struct platform *p, uint16_t port, unsigned size)
{
	uint32_t value = 0;
	bool hole = false;

	for (unsigned i = 0; i < size; i++) {
		uint16_t at = (uint16_t)(port + i);
		const struct bus_range *r = bus_port(&p->bus, at);
		uint64_t byte = 0xff;

		if (!(r->sizes & BUS_1) || !range_read(r, at, 1, &byte))
			hole = true;
		value |= (uint32_t)(uint8_t)byte << 8 * i;
	}
	if (hole)
		count_hole(&p->stats.pio_holes);
	return value;
}

uint32_t platform_pio_read(struct platform *p, unsigned vcpu, uint16_t port, unsigned size)
{
	const struct bus_range *r = bus_port(&p->bus, port);
	uint64_t value;

	if (likely((r->sizes & size) && range_read(r, port, size, &value)))
		return (uint32_t)value & size_mask(size);
	return pio_read_bytes(p, port, size);
}

static void pio_write_bytes(struct platform *p, uint16_t port, unsigned size, uint32_t value)
{
	bool hole = false;

	for (unsigned i = 0; i < size; i++) {
		uint16_t at = (uint16_t)(port + i);
		const struct bus_range *r = bus_port(&p->bus, at);

		if (!(r->sizes & BUS_1) || !range_write(r, at, 1, value >> 8 * i & 0xff))
			hole = true;
	}
	if (hole)
		count_hole(&p->stats.pio_holes);
}

void platform_pio_write(struct platform *p, unsigned vcpu, uint16_t port, unsigned size, uint32_t value)
{
	const struct bus_range *r = bus_port(&p->bus, port);

	if (unlikely(!(r->sizes & size) || !range_write(r, port, size, value & size_mask(size))))
		pio_write_bytes(p, port, size, value);
}

/* The vCPU's own APIC page, in xAPIC mode: registers are 32 bits wide, every 16 bytes (SDM Vol. 3A 10.4.1). */
static bool in_apic_page(const struct vlapic *l, uint64_t at)
{
	return (l->base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE &&
	       (at & ~PAGE_MASK) == (l->base & ~PAGE_MASK);
}

uint64_t platform_mmio_read(struct platform *p, unsigned vcpu, gpa_t at, unsigned size)
{
	struct vlapic *l = &p->interrupts.lapic[vcpu];
	uint64_t all = size == 8 ? ~0ull : size_mask(size), value = all;
	const struct bus_range *r;

	if (in_apic_page(l, at.v)) {
		value = 0;
		if ((at.v & 15) < 4)
			vlapic_read(l, at.v & 0xff0, &value);
		value = (uint32_t)value >> 8 * (at.v & 3);
	} else {
		r = bus_mmio(&p->bus, at.v, &p->mmio_last[vcpu]);
		if (!r || !range_read(r, at.v, size, &value))
			count_hole(&p->stats.mmio_holes);
	}
	return value & all;
}

void platform_mmio_write(struct platform *p, unsigned vcpu, gpa_t at, unsigned size, uint64_t value)
{
	struct vlapic *l = &p->interrupts.lapic[vcpu];
	const struct bus_range *r;

	if (in_apic_page(l, at.v)) {
		if (size >= 4 && !(at.v & 15))
			vlapic_write(l, at.v & 0xff0, (uint32_t)value);
		return;
	}
	r = bus_mmio(&p->bus, at.v, &p->mmio_last[vcpu]);
	if (!r || !range_write(r, at.v, size, size == 8 ? value : value & size_mask(size)))
		count_hole(&p->stats.mmio_holes);
}

uint64_t platform_next_event(const struct platform *p, unsigned vcpu)
{
	return atomic_load(&p->timers[vcpu].next);
}

void platform_run_events(struct platform *p, unsigned vcpu, uint64_t now, unsigned most_long)
{
	if (now < platform_next_event(p, vcpu))
		return;
	timers_run(&p->timers[vcpu], now, most_long);
}

void platform_console_input(struct platform *p)
{
	spin_lock(&p->console.lock);
	vconsole_pump(&p->console);
	spin_unlock(&p->console.lock);
}

bool platform_console_finish(struct platform *p)
{
	bool done;

	spin_lock(&p->console.lock);
	done = vconsole_flush(&p->console) && vvga_finish(device_of(&p->devices, vvga)) &&
	       vconsole_flush(&p->console);
	spin_unlock(&p->console.lock);
	return done;
}

void platform_power_button(struct platform *p)
{
	struct vacpi *acpi = device_of(&p->devices, vacpi);

	spin_lock(acpi->dev.lock);
	vacpi_power_button(acpi);
	spin_unlock(acpi->dev.lock);
}

void platform_stats(const struct platform *p, struct platform_stats *out)
{
	out->pio_holes = atomic_load_relaxed(&p->stats.pio_holes);
	out->mmio_holes = atomic_load_relaxed(&p->stats.mmio_holes);
	out->irqs = 0;
	for (unsigned i = 0; i < p->vcpus; i++)
		out->irqs += atomic_load_relaxed(&p->irqs[i]);
}
