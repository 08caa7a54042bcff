/* SPDX-License-Identifier: MIT */
/*
 * The machine's console: serial port, screen and keyboard behind one pair of functions. Serial line and
 * screen + keyboard are each a whole console: both get all output, and input is taken from both.
 *
 *	console_write() --> transmit ring --> UART            (polled, or by its interrupt)
 *	                \-> ring --> terminal grid --> framebuffer   (in slices that cost ~6 % of the time)
 *	console_read()  <-- input ring <-- UART, keyboard, the terminal's own reports (for the VM that asked)
 *
 * Output waits in rings so that a guest which prints does not wait for a slow line; so console_poll() must be called
 * now and then: at the host timer, when a CPU idles, and at console interrupts. It is cheap if nothing waits.
 *
 * Locks: takes the console's own; callable from any CPU, not from NMI (there: console_panic_write).
 */
#pragma once

#include "drivers/acpi/acpi.h"
#include "lib/boot_info.h"
#include "lib/types.h"

/* If not NULL, called under the console's lock by each function below that handles what VMs have written or are to read, and
 * by the log's sink, whose lines go the same way: this CPU's caches and buffers then hold data of any VM. Not in a panic. */
extern void (*console_used)(void);

/* First thing at start-up, before own page tables: the serial port, if wanted and there. Registers the log sink. */
void console_init_serial(bool want_serial);
/* Once hostmap is active and frames can be had: screen and keyboard (if wanted and there). The log so far is shown.
 * fb may say FB_NONE. The serial port becomes the one that serial_find() names; pci_init() was called. */
void console_init(bool want_serial, bool want_screen, const struct framebuffer *fb, const struct acpi *acpi);

/* Output of the VM in front: raw, no newline is changed. `vm`: its number; what the screen's terminal answers to it is for
 * console_read() of that number only. */
void console_write(uint8_t vm, const char *text, size_t n);
/* A whole line, without control characters and without its end. It begins on a line of its own, as those of the log, and the
 * screen shows it in its usual colour, whatever the pen of the VM in front. */
void console_write_line(const char *text, size_t n);
/* Is there room for a guest's output? A quarter of the transmit ring is theirs; the rest is kept for the log, and for what a
 * line of output grows to when it is shown. A guest is asked to wait until there is (platform.h). A quarter of the screen's
 * ring is theirs, too: where more waits, the guest that asks drives line and terminal, which does a slice of its work, if there
 * is time for that. No guest waits until the screen shows it, which may be slow. Any CPU. */
bool console_room(bool drive);
/* From now on (false) output for which the ring has no room is lost, and said to be, instead of waiting for the line: VMs
 * run. Until then, and once they have ended (true), the CPU waits. */
void console_wait(bool wait);
/* TSC at which the screen is to be drawn on, by console_poll(); UINT64_MAX if there is nothing to draw. */
uint64_t console_draw_due(void);
/* The next byte for this VM, typed or an answer to what it wrote, or -1. Does not wait. */
int console_read(uint8_t vm);
/* Moves what waits: sends, receives, draws. True if input is waiting. */
bool console_poll(void);
/* Everything written is out: rings empty, UART drained, screen drawn. Before power-off. */
void console_flush(void);

/* Without locks or rings, complete on return; for panic and NMI. "\n" becomes "\r\n" on the line. */
void console_panic_write(const char *text, size_t n);

/* The ISA interrupts that console hardware raises (4: UART, 1: keyboard), for hv/ to route; returns how many. */
unsigned console_isa_irqs(uint8_t irq[2]);
/* Once they are routed: lets the hardware raise them. From then on hv/ calls console_interrupt() for each. */
void console_enable_interrupts(void);
void console_interrupt(void);
