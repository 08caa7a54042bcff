/* SPDX-License-Identifier: MIT */
/* Which functions lose bus mastering. Configuration space and device memory may hold anything: every walk is bounded. */
#include "drivers/dma.h"

#include "lib/bits.h"

enum { COMMAND = 0x04, STATUS = 0x06, CAP_POINTER = 0x34 };

#define COMMAND_MEMORY BIT(1)
#define COMMAND_MASTER BIT(2)
#define STATUS_CAPS    BIT(4)

enum { CAP_PCIE = 0x10, CAP_AF = 0x13 };
#define CONFIG_BYTES	    256
#define CAPS_MAX	    48 /* more do not fit between 40h and FFh */
#define PCIE_DEVICE_STATUS  0x0a
#define PCIE_STATUS_PENDING BIT(5)
#define AF_CAPS		    3
#define AF_CAPS_PENDING	    BIT(0)
#define AF_STATUS	    5
#define AF_STATUS_PENDING   BIT(0)

enum {
	CLASS_OLD = 0x00,
	CLASS_DISPLAY = 0x03,
	CLASS_BRIDGE = 0x06,
	CLASS_SYSTEM = 0x08,
	CLASS_SERIAL_BUS = 0x0c
};
enum { SUBCLASS_OLD_VGA = 0x01, SUBCLASS_PIC = 0x00, SUBCLASS_USB = 0x03 };
enum { PIC_IOAPIC = 0x10, PIC_IOXAPIC = 0x20 };
enum { USB_UHCI = 0x00, USB_OHCI = 0x10, USB_EHCI = 0x20, USB_XHCI = 0x30 };

/* UHCI Design Guide 1.1, 5.2.1: SMIs for the keyboard controller's ports (bits 3:0) and for the controller's own interrupt. */
#define UHCI_LEGSUP	  0xc0
#define UHCI_LEGSUP_SMIS  BITS(4, 0)
/* OHCI 1.0a, 7.1.2: HcControl, InterruptRouting. */
#define OHCI_CONTROL	  4
#define OHCI_CONTROL_IR	  BIT(8)
/* EHCI 1.0, 2.2.4 and 2.1.7. */
#define EHCI_HCCPARAMS	  8
#define EHCI_EECP(v)	  ((v) >> 8 & 0xff)
/* xHCI 1.2, 5.3.6 and 7.1. */
#define XHCI_HCCPARAMS1	  0x10
#define XHCI_XECP(v)	  ((v) >> 16 << 2)
/* USBLEGSUP: the same in both. */
#define LEGSUP_ID	  1
#define LEGSUP_FIRMWARE	  BIT(16)
#define EXTENDED_CAPS_MAX 64

static bool by_memory(const struct dma_access *a, const struct pci_function *f, uint64_t *base)
{
	struct pci_bar bar = pci_bar(a->read, f->at, 0);

	*base = bar.base;
	return a->mmio && !bar.io && bar.base && a->read(f->at, COMMAND, 2) & COMMAND_MEMORY;
}

static bool uhci_is_firmwares(const struct dma_access *a, const struct pci_function *f)
{
	return a->read(f->at, UHCI_LEGSUP, 2) & UHCI_LEGSUP_SMIS;
}

static bool ohci_is_firmwares(const struct dma_access *a, uint64_t base)
{
	uint32_t v;

	return a->mmio(base + OHCI_CONTROL, &v) && v != 0xffffffff && v & OHCI_CONTROL_IR;
}

/* The list lies in configuration space. */
static bool ehci_is_firmwares(const struct dma_access *a, const struct pci_function *f, uint64_t base)
{
	uint32_t v;
	unsigned at;

	if (!a->mmio(base + EHCI_HCCPARAMS, &v) || v == 0xffffffff)
		return false;
	at = EHCI_EECP(v);
	for (unsigned n = 0; n < EXTENDED_CAPS_MAX && at >= 0x40 && !(at & 3); n++) {
		v = a->read(f->at, at, 4);
		if (v == 0xffffffff)
			return false;
		if ((v & 0xff) == LEGSUP_ID)
			return v & LEGSUP_FIRMWARE;
		at = v >> 8 & 0xff;
	}
	return false;
}

/* The list lies in device memory; each entry says how many doublewords on the next one is. */
static bool xhci_is_firmwares(const struct dma_access *a, uint64_t base)
{
	uint32_t v;
	uint64_t at;

	if (!a->mmio(base + XHCI_HCCPARAMS1, &v) || v == 0xffffffff || !XHCI_XECP(v))
		return false;
	at = base + XHCI_XECP(v);
	for (unsigned n = 0; n < EXTENDED_CAPS_MAX; n++) {
		if (!a->mmio(at, &v) || v == 0xffffffff)
			return false;
		if ((v & 0xff) == LEGSUP_ID)
			return v & LEGSUP_FIRMWARE;
		if (!(v >> 8 & 0xff))
			return false;
		at += (uint64_t)(v >> 8 & 0xff) << 2;
	}
	return false;
}

static enum dma_verdict judge_usb(const struct dma_access *a, const struct pci_function *f)
{
	uint64_t base;
	bool firmwares;

	if (f->prog_if == USB_UHCI)
		return uhci_is_firmwares(a, f) ? DMA_USB_FIRMWARES : DMA_OFF;
	if (f->prog_if != USB_OHCI && f->prog_if != USB_EHCI && f->prog_if != USB_XHCI)
		return DMA_OFF; /* no other kind has a legacy support that firmware could own */
	if (!by_memory(a, f, &base))
		return DMA_USB_UNKNOWN;
	firmwares = f->prog_if == USB_OHCI   ? ohci_is_firmwares(a, base)
		    : f->prog_if == USB_EHCI ? ehci_is_firmwares(a, f, base)
					     : xhci_is_firmwares(a, base);
	return firmwares ? DMA_USB_FIRMWARES : DMA_OFF;
}

enum dma_verdict dma_judge(const struct dma_access *a, const struct pci_function *f)
{
	uint32_t command = a->read(f->at, COMMAND, 2);

	if (command == 0xffff || !(command & COMMAND_MASTER)) /* all ones: it is gone */
		return DMA_IDLE;
	if (f->header == 1 || f->header == 2 || f->class == CLASS_BRIDGE)
		return DMA_BRIDGE;
	if (f->class == CLASS_DISPLAY || (f->class == CLASS_OLD && f->subclass == SUBCLASS_OLD_VGA))
		return DMA_DISPLAY;
	if (f->class == CLASS_SYSTEM && f->subclass == SUBCLASS_PIC &&
		(f->prog_if == PIC_IOAPIC || f->prog_if == PIC_IOXAPIC))
		return DMA_IOAPIC;
	if (f->class == CLASS_SERIAL_BUS && f->subclass == SUBCLASS_USB)
		return judge_usb(a, f);
	return DMA_OFF;
}

enum dma_verdict dma_stop(const struct dma_access *a, const struct pci_function *f)
{
	enum dma_verdict v = dma_judge(a, f);
	uint32_t command;

	if (v != DMA_OFF && v != DMA_USB_UNKNOWN)
		return v;
	/* 16 bits: the Status register behind it has bits that a 1 clears. */
	command = a->read(f->at, COMMAND, 2);
	a->write(f->at, COMMAND, 2, command & (uint32_t)~COMMAND_MASTER);
	command = a->read(f->at, COMMAND, 2);
	return command != 0xffff && command & COMMAND_MASTER ? DMA_STUCK : DMA_OFF;
}

/* Where a capability of an endpoint lies, `bytes` long (PCI 3.0, 6.7); 0: it has none. */
static unsigned find_capability(
	const struct dma_access *a, const struct pci_function *f, uint8_t id, unsigned bytes)
{
	unsigned at;

	if (f->header || !(a->read(f->at, STATUS, 2) & STATUS_CAPS))
		return 0;
	at = a->read(f->at, CAP_POINTER, 1) & ~3u;
	for (unsigned n = 0; n < CAPS_MAX && at >= 0x40; n++) {
		uint32_t head = a->read(f->at, at, 2);

		if (head == 0xffff)
			return 0;
		if ((head & 0xff) == id)
			return at + bytes <= CONFIG_BYTES ? at : 0;
		at = head >> 8 & ~3u;
	}
	return 0;
}

bool dma_pending(const struct dma_access *a, const struct pci_function *f)
{
	uint32_t command = a->read(f->at, COMMAND, 2), status;
	unsigned at;

	if (command == 0xffff || command & COMMAND_MASTER)
		return false;
	at = find_capability(a, f, CAP_PCIE, PCIE_DEVICE_STATUS + 2);
	if (at) {
		status = a->read(f->at, at + PCIE_DEVICE_STATUS, 2);
		return status != 0xffff && status & PCIE_STATUS_PENDING;
	}
	at = find_capability(a, f, CAP_AF, AF_STATUS + 1);
	if (!at || !(a->read(f->at, at + AF_CAPS, 1) & AF_CAPS_PENDING))
		return false;
	status = a->read(f->at, at + AF_STATUS, 1);
	return status != 0xff && status & AF_STATUS_PENDING;
}

const char *dma_verdict_name(enum dma_verdict v)
{
	static const char *const names[] = {
		[DMA_IDLE] = "bus mastering is off",
		[DMA_OFF] = "bus mastering goes off",
		[DMA_BRIDGE] = "bus mastering stays on: a bridge",
		[DMA_DISPLAY] = "bus mastering stays on: a display",
		[DMA_IOAPIC] = "bus mastering stays on: an I/O APIC",
		[DMA_USB_FIRMWARES] = "bus mastering stays on: firmware owns it, for USB keyboards",
		[DMA_USB_UNKNOWN] = "bus mastering goes off unless firmware owns it, for USB keyboards",
		[DMA_STUCK] = "bus mastering stays on: it cannot be switched off",
	};

	return names[v];
}
