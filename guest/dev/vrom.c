/* SPDX-License-Identifier: MIT */
/*
 * The test device: its BARs come and go as memory slots.
 *
 *	config write -> vpci_remap() -> rom_place() -> slot_add(), slot_delete(): returns at once, with a ticket
 *	                                rom_move()  -> slot_move()
 *	look at STATUS ----------------> ticket ready? then the memory may be given another meaning (erased)
 *
 * Nothing here waits. Mapping the same memory into the same guest again needs no ticket: a vCPU with an old translation
 * reaches only what it may reach anyway. Erasing it does need the ticket: a vCPU with an old translation could still
 * write to memory that has just been erased.
 */
#include "guest/dev/vrom.h"

#include "lib/string.h"
#include "mm/map/backing.h"
#include "mm/space/slots_change.h"

#define CLASS_NONE 0xff0000 /* does not fit any defined class */

/* Option ROM header and PCI data structure (PCI 3.0, 6.3.1.1 and 6.3.1.2). */
#define IMAGE_SIGNATURE 0xaa55
#define IMAGE_UNIT	512
#define CODE_TYPE_X86	0
#define INDICATOR_LAST	0x80
#define RETF		0xcb

struct rom_header {
	uint16_t signature;
	uint8_t init_units; /* what the firmware copies and sums up: the first unit */
	uint8_t init[19];   /* entered by a far call */
	uint8_t reserved[2];
	uint16_t data_at;
	uint16_t expansion_at;
} __packed;
_Static_assert(offsetof(struct rom_header, data_at) == 0x18, "6.3.1.1");

struct pci_data {
	char signature[4];
	uint16_t vendor, device;
	uint16_t device_list;
	uint16_t length;
	uint8_t revision;
	uint8_t class_code[3];
	uint16_t image_units;
	uint16_t code_revision;
	uint8_t code_type;
	uint8_t indicator;
	uint16_t run_time_units;
	uint16_t configuration_utility, clp_entry;
} __packed;
_Static_assert(sizeof(struct pci_data) == 0x1c, "6.3.1.2, revision 3");

/* Memory that is not in the guest's map has no gpa, so guest_read() and guest_write() cannot be used here. */
static void *rom_page_of(const struct backing *b, uint64_t page)
{
	return pfn_to_virt(backing_pfn(b, page));
}

static void rom_write_header(uint8_t *at, uint64_t bytes)
{
	const struct rom_header h = {
		.signature = IMAGE_SIGNATURE, .init_units = 1, .init = { RETF }, .data_at = sizeof(h)
	};
	const struct pci_data d = { .signature = { 'P', 'C', 'I', 'R' },
		.vendor = VROM_VENDOR,
		.device = VROM_DEVICE,
		.length = sizeof(d),
		.revision = 3,
		.class_code = { (uint8_t)CLASS_NONE, (uint8_t)(CLASS_NONE >> 8), CLASS_NONE >> 16 },
		.image_units = (uint16_t)(bytes / IMAGE_UNIT),
		.code_revision = 1,
		.code_type = CODE_TYPE_X86,
		.indicator = INDICATOR_LAST,
		.run_time_units = 1 };
	uint8_t sum = 0;

	memset(at, 0, VROM_HEADER);
	memcpy(at, &h, sizeof(h));
	memcpy(at + sizeof(h), &d, sizeof(d));
	for (unsigned i = 0; i < IMAGE_UNIT; i++)
		sum = (uint8_t)(sum + at[i]);
	at[IMAGE_UNIT - 1] = (uint8_t)-sum;
}

static void rom_fill(const struct backing *b, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += PAGE_SIZE) {
		uint32_t *word = rom_page_of(b, at / PAGE_SIZE);

		for (unsigned i = 0; i < PAGE_SIZE / 4; i++)
			word[i] = (uint32_t)(at / 4 + i) * VROM_PATTERN;
	}
	rom_write_header(rom_page_of(b, 0), bytes);
}

/* ---- coming and going ---- */

static struct vrom *rom_of(struct vpci_dev *d)
{
	return container_of(d, struct vrom, pci);
}

static struct vrom_memory *rom_memory(struct vrom *d, unsigned bar)
{
	return bar == VPCI_ROM ? &d->rom : &d->bar;
}

static void rom_changed(struct vrom *d, uint64_t since)
{
	d->change_ticks = (uint32_t)min(device_now(&d->dev) - since, (uint64_t)UINT32_MAX);
}

static int rom_place(struct vpci_dev *pci, unsigned bar, bool on, uint64_t at)
{
	struct vrom *d = rom_of(pci);
	struct vrom_memory *m = rom_memory(d, bar);
	struct slot_desc desc = { .base = gfn(at >> PAGE_SHIFT),
		.pages = backing_pages(m->backing),
		.flags = m->flags,
		.backing = m->backing };
	uint64_t since;
	int err;

	if (on && bar == VROM_BAR_RAM && d->erasing)
		return -E_BUSY;
	since = device_now(&d->dev);
	if (on)
		err = slot_add(d->dev.board->memory, &desc, &m->slot);
	else
		err = slot_delete(d->dev.board->memory, m->slot, &m->until);
	rom_changed(d, since);
	ASSERT(on || !err);
	if (err)
		return err;
	m->on = on;
	m->leaving = !on;
	if (on) {
		d->adds++;
	} else {
		d->deletes++;
		d->removed_at = since;
	}
	return 0;
}

static int rom_move(struct vpci_dev *pci, unsigned bar, uint64_t at)
{
	struct vrom *d = rom_of(pci);
	struct vrom_memory *m = rom_memory(d, bar);
	uint64_t since = device_now(&d->dev);
	int err = slot_move(d->dev.board->memory, m->slot, gfn(at >> PAGE_SHIFT), &m->until);

	rom_changed(d, since);
	d->moves += !err;
	return err;
}

/* ---- registers ---- */

/* True if m is off the map and no vCPU can reach it by an old translation. */
static bool rom_is_free(struct vrom *d, struct vrom_memory *m)
{
	if (m->on)
		return false;
	if (m->leaving && mmu_ticket_ready(d->dev.board->memory, &m->until)) {
		m->leaving = false;
		d->grace_ticks = (uint32_t)min(device_now(&d->dev) - d->removed_at, (uint64_t)UINT32_MAX);
	}
	return !m->leaving;
}

static void rom_erase_some(struct vrom *d)
{
	uint64_t end = min(d->erased + VROM_ERASE_PAGES, backing_pages(d->ram));

	while (d->erased < end)
		memset(rom_page_of(d->ram, d->erased++), 0, PAGE_SIZE);
	if (d->erased < backing_pages(d->ram))
		return;
	d->erasing = false;
	vpci_remap(d->pci.bus); /* the guest may have switched the BAR on meanwhile */
}

static uint32_t rom_status(struct vrom *d)
{
	bool ram_free = rom_is_free(d, &d->bar), rom_free = rom_is_free(d, &d->rom);

	if (d->erasing && ram_free)
		rom_erase_some(d);
	return (uint32_t)((d->bar.on ? VROM_STATUS_RAM : 0) | (d->rom.on ? VROM_STATUS_ROM : 0) |
			  (ram_free && !d->bar.on ? VROM_STATUS_RAM_FREE : 0) |
			  (rom_free ? VROM_STATUS_ROM_FREE : 0) | (d->erasing ? VROM_STATUS_ERASING : 0) |
			  (d->bar.flags & SLOT_DIRTY_LOG ? VROM_STATUS_LOG : 0));
}

static void rom_set_logging(struct vrom *d, bool on)
{
	unsigned flags = on ? SLOT_DIRTY_LOG : 0;
	struct mmu_ticket until; /* not waited for: no RAM is given another use */
	uint64_t since = device_now(&d->dev);

	if (!d->bar.on || flags == d->bar.flags || backing_pages(d->bar.backing) > VROM_LOG_PAGES ||
		slot_set_flags(d->dev.board->memory, d->bar.slot, flags, &until))
		return;
	d->bar.flags = flags;
	d->log_at = 0;
	rom_changed(d, since);
}

static uint32_t rom_read_log(struct vrom *d)
{
	uint64_t pages = backing_pages(d->bar.backing), since = device_now(&d->dev), bits = 0;
	uint64_t first = d->log_at < pages ? d->log_at : 0;
	uint64_t piece = min(pages - first, (uint64_t)VROM_LOG_PIECE);
	struct mmu_ticket until; /* nothing is copied, only counted */
	uint32_t n = 0;

	if (!d->bar.on || !(d->bar.flags & SLOT_DIRTY_LOG) ||
		dirty_log_read_clear(d->dev.board->memory, d->bar.slot, first, piece, &bits, &until))
		return 0;
	d->log_ticks =
		(uint32_t)min((first ? d->log_ticks : 0) + device_now(&d->dev) - since, (uint64_t)UINT32_MAX);
	d->log_at = first + piece;
	for (; bits; bits &= bits - 1)
		n++;
	return n | (d->log_at < pages ? VROM_LOG_MORE : 0);
}

static uint64_t rom_read_register(void *dev, uint64_t off, unsigned size)
{
	struct vrom *d = rom_of(dev);

	if (size != 4)
		return ~0ull;
	switch (off) {
	case VROM_ID:
		return VROM_ID_VALUE;
	case VROM_STATUS:
		return rom_status(d);
	case VROM_ADDS:
		return d->adds;
	case VROM_DELETES:
		return d->deletes;
	case VROM_MOVES:
		return d->moves;
	case VROM_CHANGE_TICKS:
		return d->change_ticks;
	case VROM_GRACE_TICKS:
		return d->grace_ticks;
	case VROM_LOG:
		return rom_read_log(d);
	case VROM_LOG_TICKS:
		return d->log_ticks;
	}
	return 0;
}

static void rom_write_register(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vrom *d = rom_of(dev);

	if (off != VROM_CONTROL || size != 4)
		return;
	rom_set_logging(d, value & VROM_CONTROL_LOG);
	if (!(value & VROM_CONTROL_ERASE) || d->bar.on || d->erasing)
		return;
	d->erasing = true;
	d->erased = 0;
}

/* ---- life ---- */

static bool rom_size_is_good(uint64_t bytes, uint64_t low, uint64_t high)
{
	return is_pow2(bytes) && bytes >= low && bytes <= high;
}

static bool vrom_destroy(struct device *dev, unsigned most)
{
	struct vrom *d = (struct vrom *)dev;

	return backing_free_some(&d->bar.backing, most) && backing_free_some(&d->ram, most) &&
	       backing_free_some(&d->rom.backing, most);
}

static bool vrom_wanted(const struct device_settings *s)
{
	return s->options.rom_bytes;
}

/* Takes the device's memory and fills in the ROM. -E_INVAL: sizes that lethe.conf would not let through. */
static int vrom_init(struct device *dev)
{
	struct vrom *d = (struct vrom *)dev;
	const struct device_settings *s = dev->board->settings;
	const struct device_options *o = &s->options;
	int err;

	if (!dev->board->memory || !rom_size_is_good(o->rom_bytes, VROM_ROM_MIN, VROM_ROM_MAX) ||
		!rom_size_is_good(o->bar_bytes, VROM_BAR_MIN, VROM_BAR_MAX))
		return -E_INVAL;
	d->rom_bytes = o->rom_bytes;
	d->bar_bytes = o->bar_bytes;
	d->rom.flags = SLOT_READONLY;
	err = backing_alloc(d->rom_bytes / PAGE_SIZE, s->owner, &d->rom.backing);
	if (!err)
		err = backing_alloc(VROM_RAM_BYTES / PAGE_SIZE, s->owner, &d->ram);
	if (!err)
		err = backing_repeat(d->ram, d->bar_bytes / PAGE_SIZE, &d->bar.backing);
	if (err) {
		vrom_destroy(dev, UINT32_MAX);
		return err;
	}
	rom_fill(d->rom.backing, d->rom_bytes);
	return 0;
}

static int vrom_attach(struct device *dev)
{
	struct vrom *d = (struct vrom *)dev;

	d->pci.name = dev->kind->name;
	d->pci.slot = VROM_SLOT;
	vpci_identify(&d->pci, VROM_VENDOR, VROM_DEVICE, CLASS_NONE, 1);
	d->pci.bar[VROM_BAR_REG] = (struct vpci_bar){ .kind = VPCI_BAR_MEM32,
		.size = PAGE_SIZE,
		.read = rom_read_register,
		.write = rom_write_register };
	d->pci.bar[VROM_BAR_RAM] = (struct vpci_bar){ .kind = VPCI_BAR_MEM64,
		.prefetchable = true,
		.size = d->bar_bytes,
		.place = rom_place,
		.move = rom_move };
	d->pci.bar[VPCI_ROM] = (struct vpci_bar){
		.kind = VPCI_BAR_MEM32, .size = d->rom_bytes, .place = rom_place, .move = rom_move
	};
	return vpci_add(dev->board->pci, &d->pci);
}

const struct device_kind vrom_kind = {
	.name = "Lethe's test device",
	.size = sizeof(struct vrom),
	.lock = LOCK_PCI,
	.wanted = vrom_wanted,
	.init = vrom_init,
	.attach = vrom_attach,
	.destroy = vrom_destroy,
};
