/* SPDX-License-Identifier: MIT */
/* The wiring of a PC. */
#include "guest/dev/machine.h"
#include "guest/dev/vacpi.h"
#include "guest/dev/vkbc.h"
#include "guest/dev/vpci.h"
#include "guest/dev/vpit.h"
#include "guest/dev/vrtc.h"
#include "guest/dev/vuart.h"
#include "guest/dev/vvga.h"

/* A key is typed: the screen is refreshed sooner, so that the echo appears at once. */
static void pc_key(void *platform, uint8_t byte)
{
	struct platform *p = platform;

	vkbc_type(device_of(&p->devices, vkbc), byte);
	vvga_hurry(device_of(&p->devices, vvga));
}

static bool pc_keyboard_listens(const void *platform)
{
	const struct platform *p = platform;

	return vkbc_listens(device_of(&p->devices, vkbc));
}

static bool pc_keyboard_room(const void *platform)
{
	const struct platform *p = platform;

	return vkbc_room(device_of(&p->devices, vkbc));
}

/*
 * What runs from device to device. Ports, BARs and timers are each device's own affair, and are not drawn.
 *
 *	vpit ---IRQ 0-----+
 *	vkbc ---IRQ 1-----+             +--> vpic ----INTR--+--> vlapic[0] --> vCPU 0
 *	vuart --IRQ 4-----+--interrupts-+                   +--> vlapic[1] --> vCPU 1
 *	vrtc ---IRQ 8-----+             +--> vioapic --bus--+--> ...
 *	vacpi --IRQ 9-----+
 *	vpci ---INTA#..D#-+   (I/O APIC pins 16..19; IRQ 10 and 11)
 *
 *	typed byte --> vuart, if the guest can get it there; else --> vkbc, and vvga shows its echo soon
 *	vuart, vvga --text--> console --> hv/
 *
 *	vkbc  (FEh, port 92h, output port) --reset--+
 *	vpci  (port CF9h) --------reset-------------+--> power --> hv/
 *	vacpi (SLP_EN) --------power off------------+
 *	vdebugexit -------------exit code-----------+
 *
 *	vmailbox --a vCPU starts--> hv/
 *
 *	vkbc --A20--> nothing: a bit that reads as it was written, since no CPU of this century has the gate
 */
void pc_wire(struct platform *p)
{
	struct interrupts *irqs = &p->interrupts;
	struct vpit *pit = device_of(&p->devices, vpit);
	struct vkbc *kbc = device_of(&p->devices, vkbc);
	struct vuart *uart = device_of(&p->devices, vuart);
	struct vrtc *rtc = device_of(&p->devices, vrtc);
	struct vacpi *acpi = device_of(&p->devices, vacpi);

	irqs->pic = device_of(&p->devices, vpic);
	irqs->ioapic = device_of(&p->devices, vioapic);
	irq_connect(&pit->irq, irqs, VPIT_IRQ);
	irq_connect(&kbc->irq, irqs, VKBC_IRQ);
	irq_connect(&uart->line, irqs, VUART_IRQ);
	irq_connect(&rtc->irq, irqs, VRTC_IRQ);
	irq_connect(&acpi->sci, irqs, VACPI_SCI);

	vconsole_connect(&p->console,
		(struct console_end){ uart, vuart_listens, vuart_room, vuart_receive, vuart_may_send });
	vconsole_connect(
		&p->console, (struct console_end){ p, pc_keyboard_listens, pc_keyboard_room, pc_key, NULL });

	p->board.pci = device_of(&p->devices, vpci);
}
