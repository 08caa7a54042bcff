/* SPDX-License-Identifier: MIT */
/*
 * Firmware leaves devices running: a network card goes on writing packets to where it was told to. Before the memory of
 * firmware's drivers is reused, bus mastering is switched off on every function that could do so (PCI 3.0, 6.2.2: Command
 * register, bit 2). What must go on stays on, and is named in the log:
 *
 *	bridges			they pass on what the functions behind them do
 *	displays		they read the picture
 *	I/O APICs		what they write are interrupts
 *	USB controllers		only those that firmware owns: it plays a PS/2 keyboard for USB keyboards
 */
#pragma once

#include "drivers/pci.h"

enum dma_verdict {
	DMA_IDLE,	   /* bus mastering is off already */
	DMA_OFF,	   /* it is to go off; of dma_stop(): it has gone off */
	DMA_BRIDGE,	   /* it stays on */
	DMA_DISPLAY,	   /* it stays on */
	DMA_IOAPIC,	   /* it stays on */
	DMA_USB_FIRMWARES, /* it stays on */
	DMA_USB_UNKNOWN,   /* a USB controller, and there is no way to read its registers here */
	DMA_STUCK,	   /* it should have gone off, but the bit stays set */
};

/* How to reach functions: the machine's own, or those of a test. */
struct dma_access {
	pci_reader read;
	int (*write)(struct pci_addr at, unsigned offset, unsigned bytes, uint32_t v);
	/* 32 bits of device memory at a physical address that is a multiple of 4. False: it cannot be reached. NULL: no
	 * device memory can. */
	bool (*mmio)(uint64_t at, uint32_t *v);
};

/* What is to become of a function. Reads only. */
enum dma_verdict dma_judge(const struct dma_access *a, const struct pci_function *f);
/* Judges, and switches bus mastering off where that is the verdict. DMA_USB_UNKNOWN goes off, as DMA_OFF. The read-back
 * pushes what the function has posted before it (PCI 3.0, 3.2.5): it is in memory when this returns. */
enum dma_verdict dma_stop(const struct dma_access *a, const struct pci_function *f);
/* True if bus mastering is off and the function still waits for answers to its own requests (PCI Express: Device Status
 * bit 5; Advanced Features: AF Status bit 0). False for what has neither capability. */
bool dma_pending(const struct dma_access *a, const struct pci_function *f);
/* "display", "bus mastering cannot be switched off": why it stays on. */
const char *dma_verdict_name(enum dma_verdict v);

/* Switches bus mastering off on this machine, waits up to DMA_WAIT_MS in all for what is pending, and logs what it did.
 * After pci_init() and time_init(); interrupts off. */
#define DMA_WAIT_MS 100
void dma_quiesce(void);
