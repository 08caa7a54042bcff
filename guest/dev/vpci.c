/* SPDX-License-Identifier: MIT */
/* PCI: configuration mechanism 1, configuration space of the devices, interrupt pins. BARs: vpci_bar.c. */
#include "guest/dev/vpci.h"

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
static struct vpci_dev *pci_selected(struct vpci *v, unsigned *reg)
{
	uint32_t a = v->address;
	unsigned slot = (unsigned)bits_get(a, 15, 11);

	*reg = a & 0xfc;
	if (!(a & ADDRESS_ENABLE) || bits_get(a, 23, 16) || bits_get(a, 10, 8) || slot >= VPCI_SLOTS)
		return NULL;
	return v->slot[slot];
}

static uint64_t pci_config_read(struct vpci *v, unsigned at, unsigned size)
{
	unsigned reg;
	struct vpci_dev *d = pci_selected(v, &reg);
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

static unsigned pci_line_of(const struct vpci_dev *d)
{
	return vpci_line(d->slot, d->config[PCI_INTERRUPT_PIN] - 1u);
}

static bool pci_asserts(const struct vpci_dev *d)
{
	return d->intx && d->config[PCI_INTERRUPT_PIN] &&
	       !(d->config[PCI_COMMAND + 1] & PCI_COMMAND_NO_INTX >> 8);
}

static void pci_update_lines(struct vpci *v)
{
	uint32_t lines = 0;

	for (unsigned i = 0; i < VPCI_SLOTS; i++)
		if (v->slot[i] && pci_asserts(v->slot[i]))
			lines |= 1u << pci_line_of(v->slot[i]);
	irq_set_pci(v->dev.board->irqs, lines);
}

void vpci_intx(struct vpci_dev *d, bool level)
{
	if (d->intx == level)
		return;
	d->intx = level;
	pci_update_lines(d->bus);
}

static void pci_config_write(struct vpci *v, unsigned at, unsigned size, uint64_t value)
{
	unsigned reg;
	struct vpci_dev *d = pci_selected(v, &reg);

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
		pci_update_lines(v);
	if (d->config_written)
		d->config_written(d, reg + at, size);
}

static uint64_t pci_ports_read(void *dev, uint64_t off, unsigned size)
{
	struct vpci *v = dev;

	if (off >= DATA_OFFSET)
		return pci_config_read(v, (unsigned)off - DATA_OFFSET, size);
	if (off == 0 && size == 4)
		return v->address;
	return off == RESET_OFFSET && size == 1 ? v->reset_control : ~0ull;
}

static void pci_ports_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vpci *v = dev;

	if (off >= DATA_OFFSET) {
		pci_config_write(v, (unsigned)off - DATA_OFFSET, size, value);
	} else if (off == 0 && size == 4) {
		v->address = (uint32_t)value & (uint32_t)~BITS(1, 0);
	} else if (off == RESET_OFFSET && size == 1) {
		bool rises = ~v->reset_control & value & RESET_CPU;

		v->reset_control = (uint8_t)value & (uint8_t)~RESET_CPU;
		if (rises)
			power_end(v->dev.board->power, VM_END_RESET, 0);
	}
}

static void pci_reset_device(struct vpci_dev *d)
{
	memcpy(d->config, d->initial, sizeof(d->config));
	d->intx = false;
	if (d->config[PCI_INTERRUPT_PIN])
		d->config[PCI_INTERRUPT_LINE] = pci_line_of(d) & 1 ? 11 : 10;
	vpci_assign(d->bus, d);
	if (d->reset)
		d->reset(d);
}

static int pci_add(struct vpci *v, struct vpci_dev *d)
{
	int err;

	if (d->slot >= VPCI_SLOTS)
		return -E_RANGE;
	if (v->slot[d->slot])
		return -E_EXIST;
	d->bus = v;
	err = vpci_check_bars(d);
	if (err)
		return err;
	v->slot[d->slot] = d;
	pci_reset_device(d);
	vpci_remap(v);
	return 0;
}

int vpci_add(struct vpci *v, struct vpci_dev *d)
{
	int err;

	spin_lock(v->dev.lock);
	err = pci_add(v, d);
	spin_unlock(v->dev.lock);
	return err;
}

static void vpci_reset(struct device *d)
{
	struct vpci *v = (struct vpci *)d;

	v->address = 0;
	v->reset_control = 0;
	vpci_assign_begin(v);
	for (unsigned i = 0; i < VPCI_SLOTS; i++)
		if (v->slot[i])
			pci_reset_device(v->slot[i]);
	vpci_remap(v);
	pci_update_lines(v);
}

static int vpci_attach(struct device *d)
{
	struct vpci *v = (struct vpci *)d;

	v->host.name = "host bridge";
	vpci_identify(&v->host, HOST_BRIDGE & 0xffff, HOST_BRIDGE >> 16, 0x060000, 2);
	vpci_assign_begin(v);
	device_ports(d, &v->ports, CONFIG_ADDRESS, 8, BUS_1 | BUS_2 | BUS_4, pci_ports_read, pci_ports_write);
	return vpci_add(v, &v->host);
}

const struct device_kind vpci_kind = {
	.name = "PCI bus",
	.size = sizeof(struct vpci),
	.lock = LOCK_PCI,
	.attach = vpci_attach,
	.reset = vpci_reset,
};
