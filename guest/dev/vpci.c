/* SPDX-License-Identifier: MIT */
/* PCI: configuration mechanism 1, configuration space of the devices, interrupt pins. BARs: vpci_bar.c. */
#include "guest/dev/machine.h"

#include "lib/string.h"

#define CONFIG_ADDRESS 0xcf8
#define RESET_OFFSET   1 /* 0xcf9 lies inside, for byte accesses */
#define DATA_OFFSET    4

#define ADDRESS_ENABLE BIT(31)
#define RESET_CPU      BIT(2)
#define STATUS_INTX    BIT(3)

#define HOST_BRIDGE 0x12378086 /* 82441FX, the i440FX's: every kernel knows it and asks nothing of it */

void vpci_identify(
	struct vpci_dev *d, uint16_t vendor, uint16_t device, uint32_t class_code, uint8_t revision)
{
	const uint8_t header[] = { (uint8_t)vendor, (uint8_t)(vendor >> 8), (uint8_t)device,
		(uint8_t)(device >> 8), 0, 0, 0, 0, revision, (uint8_t)class_code, (uint8_t)(class_code >> 8),
		(uint8_t)(class_code >> 16) };

	memcpy(d->initial, header, sizeof(header));
	d->writable[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	d->writable[PCI_COMMAND + 1] = PCI_COMMAND_NO_INTX >> 8;
	d->writable[PCI_INTERRUPT_LINE] = 0xff;
	d->writable[0x0c] = 0xff; /* cache line size */
	d->writable[0x0d] = 0xff; /* latency timer */
}

/* The device and register that the address port names; NULL if there is none. */
static struct vpci_dev *selected(struct vpci *v, unsigned *reg)
{
	uint32_t a = v->address;
	unsigned slot = (unsigned)bits_get(a, 15, 11);

	*reg = a & 0xfc;
	if (!(a & ADDRESS_ENABLE) || bits_get(a, 23, 16) || bits_get(a, 10, 8) || slot >= VPCI_SLOTS)
		return NULL;
	return v->dev[slot];
}

static uint64_t config_read(struct vpci *v, unsigned at, unsigned size)
{
	unsigned reg;
	struct vpci_dev *d = selected(v, &reg);
	uint32_t value = 0;

	if (!d)
		return ~0ull; /* master abort: how probing finds an empty slot */
	memcpy(&value, &d->config[reg + at], size);
	if (reg + at <= PCI_STATUS && PCI_STATUS < reg + at + size && d->intx)
		value |= (uint32_t)STATUS_INTX << 8 * (PCI_STATUS - reg - at);
	return value;
}

unsigned vpci_line(unsigned slot, unsigned pin)
{
	return (slot + pin) & 3;
}

static unsigned line_of(const struct vpci_dev *d)
{
	return vpci_line(d->slot, d->config[PCI_INTERRUPT_PIN] - 1u);
}

static bool asserts(const struct vpci_dev *d)
{
	return d->intx && d->config[PCI_INTERRUPT_PIN] &&
	       !(d->config[PCI_COMMAND + 1] & PCI_COMMAND_NO_INTX >> 8);
}

static void update_lines(struct vpci *v)
{
	uint32_t lines = 0;

	for (unsigned i = 0; i < VPCI_SLOTS; i++)
		if (v->dev[i] && asserts(v->dev[i]))
			lines |= 1u << line_of(v->dev[i]);
	for (unsigned n = 0; n < 4; n++)
		if ((lines ^ v->lines) & 1u << n)
			irq_set_pci(v->p, n, lines & 1u << n);
}

void vpci_intx(struct vpci_dev *d, bool level)
{
	if (d->intx == level)
		return;
	d->intx = level;
	update_lines(&d->p->pci);
}

void vpci_msi(struct platform *p, uint64_t address, uint32_t data)
{
	const struct apic_msg m = {
		.dest = (uint32_t)bits_get(address, 19, 12),
		.logical = address & BIT(2),
		.delivery = (enum apic_delivery)bits_get(data, 10, 8),
		.vector = (uint8_t)data,
		.level = data & BIT(15),
	};

	if (address >> 20 == LAYOUT_LAPIC >> 20)
		apic_send(p, &m);
}

static void config_write(struct vpci *v, unsigned at, unsigned size, uint64_t value)
{
	unsigned reg;
	struct vpci_dev *d = selected(v, &reg);

	if (!d)
		return;
	for (unsigned i = 0; i < size; i++) {
		unsigned n = reg + at + i;
		uint8_t byte = (uint8_t)(value >> 8 * i), w = d->writable[n];

		d->config[n] = (uint8_t)((d->config[n] & ~w) | (byte & w)) & (uint8_t) ~(byte & d->clear[n]);
	}
	if (reg == PCI_COMMAND || (reg >= PCI_BAR0 && reg < PCI_BAR0 + 24) || reg == PCI_ROM_BAR)
		vpci_remap(v);
	if (reg == PCI_COMMAND)
		update_lines(v);
	if (d->config_written)
		d->config_written(d, reg + at, size);
}

static uint64_t ports_read(void *dev, uint64_t off, unsigned size)
{
	struct vpci *v = dev;

	if (off >= DATA_OFFSET)
		return config_read(v, (unsigned)off - DATA_OFFSET, size);
	if (off == 0 && size == 4)
		return v->address;
	return off == RESET_OFFSET && size == 1 ? v->reset_control : ~0ull;
}

static void ports_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vpci *v = dev;

	if (off >= DATA_OFFSET) {
		config_write(v, (unsigned)off - DATA_OFFSET, size, value);
	} else if (off == 0 && size == 4) {
		v->address = (uint32_t)value & (uint32_t)~BITS(1, 0);
	} else if (off == RESET_OFFSET && size == 1) {
		bool rises = ~v->reset_control & value & RESET_CPU;

		v->reset_control = (uint8_t)value & (uint8_t)~RESET_CPU;
		if (rises)
			platform_end(v->p, VM_END_RESET, 0);
	}
}

static void reset_device(struct vpci_dev *d)
{
	memcpy(d->config, d->initial, sizeof(d->config));
	d->intx = false;
	if (d->config[PCI_INTERRUPT_PIN])
		d->config[PCI_INTERRUPT_LINE] = line_of(d) & 1 ? 11 : 10;
	vpci_assign(&d->p->pci, d);
	if (d->reset)
		d->reset(d);
}

static int add(struct vpci *v, struct vpci_dev *d)
{
	int err;

	if (d->slot >= VPCI_SLOTS)
		return -E_RANGE;
	if (v->dev[d->slot])
		return -E_EXIST;
	err = vpci_check_bars(d);
	if (err)
		return err;
	d->p = v->p;
	v->dev[d->slot] = d;
	reset_device(d);
	vpci_remap(v);
	return 0;
}

int vpci_add(struct platform *p, struct vpci_dev *d)
{
	int err;

	platform_lock(p);
	err = add(&p->pci, d);
	platform_unlock(p);
	return err;
}

void vpci_reset(struct vpci *v)
{
	v->address = 0;
	v->reset_control = 0;
	vpci_assign_begin(v);
	for (unsigned i = 0; i < VPCI_SLOTS; i++)
		if (v->dev[i])
			reset_device(v->dev[i]);
	vpci_remap(v);
	update_lines(v);
}

void vpci_init(struct vpci *v, struct platform *p)
{
	int err;

	v->p = p;
	v->host.name = "host bridge";
	vpci_identify(&v->host, HOST_BRIDGE & 0xffff, HOST_BRIDGE >> 16, 0x060000, 2);
	vpci_assign_begin(v);
	err = add(v, &v->host);
	ASSERT(!err);
	platform_ports(p, CONFIG_ADDRESS, 8, BUS_1 | BUS_2 | BUS_4, v, ports_read, ports_write);
}
