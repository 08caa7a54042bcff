/* SPDX-License-Identifier: MIT */
/* Which functions lose bus mastering, against functions with a configuration space and device memory of the test's own; and what
 * is switched off in DMA remapping units. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/dma.h"
#include "drivers/vtd.h"
#include "lib/bits.h"

#define BAR 0xfe000000ul

static struct {
	uint8_t config[256];
	uint16_t command_stuck;	     /* bits that a write does not change */
	bool gone;		     /* every read gives all ones */
	uint32_t memory[0x1000 / 4]; /* behind BAR 0 */
	unsigned reads, writes;
	bool posted; /* the Command register was written and has not been read since */
} m;

static uint32_t read_config(struct pci_addr at, unsigned offset, unsigned bytes)
{
	uint32_t v = 0;

	(void)at;
	m.reads++;
	assert_true(offset % bytes == 0 && offset + bytes <= sizeof(m.config));
	if (offset == 4)
		m.posted = false;
	memcpy(&v, m.config + offset, bytes);
	return m.gone ? 0xffffffff >> (32 - 8 * bytes) : v;
}

static int write_config(struct pci_addr at, unsigned offset, unsigned bytes, uint32_t v)
{
	uint16_t was;

	(void)at;
	m.writes++;
	m.posted = true;
	/* Nothing else of a function may be changed; a wider write would clear bits of Status. */
	assert_true(offset == 4 && bytes == 2);
	memcpy(&was, m.config + 4, 2);
	v = (v & ~(uint32_t)m.command_stuck) | (was & m.command_stuck);
	memcpy(m.config + 4, &v, 2);
	return 0;
}

static bool read_memory(uint64_t at, uint32_t *v)
{
	assert_int_equal(at % 4, 0);
	if (at < BAR || at - BAR >= sizeof(m.memory))
		return false;
	*v = m.memory[(at - BAR) / 4];
	return true;
}

static const struct dma_access access = { read_config, write_config, read_memory };
static const struct dma_access no_memory = { read_config, write_config, NULL };

static int setup(void **state)
{
	(void)state;
	m = (typeof(m)){ 0 };
	m.config[4] = 7; /* ports, memory, master */
	m.config[6] = 0x10;
	memcpy(m.config + 0x10, &(uint32_t){ BAR }, 4);
	return 0;
}

static struct pci_function of_class(unsigned class)
{
	return (struct pci_function){ .class = (uint8_t)(class >> 16),
		.subclass = (uint8_t)(class >> 8),
		.prog_if = (uint8_t) class };
}

static enum dma_verdict stop(unsigned class)
{
	struct pci_function f = of_class(class);

	return dma_stop(&access, &f);
}

static void an_endpoint_loses_bus_mastering_and_nothing_else(void **state)
{
	static const unsigned classes[] = { 0x010802, 0x010601, 0x020000, 0x040300, 0x078000, 0x080501,
		0x108000, 0x0c0500, 0x0c0340, 0x0c0380, 0x0c03fe, 0xff0000, 0x000000, 0x080000 };

	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
		setup(state);
		assert_int_equal(stop(classes[i]), DMA_OFF);
		assert_int_equal(m.config[4], 3);
		assert_int_equal(m.writes, 1);
		assert_false(m.posted);
	}
}

static void what_is_off_or_gone_is_left_alone(void **state)
{
	(void)state;
	m.config[4] = 3;
	assert_int_equal(stop(0x020000), DMA_IDLE);
	m.config[4] = 7;
	m.gone = true;
	assert_int_equal(stop(0x020000), DMA_IDLE);
	assert_int_equal(m.writes, 0);
}

static void bridges_displays_and_io_apics_go_on(void **state)
{
	struct pci_function f = of_class(0x020000);

	(void)state;
	assert_int_equal(stop(0x060400), DMA_BRIDGE);
	assert_int_equal(stop(0x060000), DMA_BRIDGE);
	assert_int_equal(stop(0x068000), DMA_BRIDGE);
	f.header = 1; /* whatever class it says */
	assert_int_equal(dma_stop(&access, &f), DMA_BRIDGE);
	f.header = 2;
	assert_int_equal(dma_stop(&access, &f), DMA_BRIDGE);
	assert_int_equal(stop(0x030000), DMA_DISPLAY);
	assert_int_equal(stop(0x038000), DMA_DISPLAY);
	assert_int_equal(stop(0x000100), DMA_DISPLAY);
	assert_int_equal(stop(0x080010), DMA_IOAPIC);
	assert_int_equal(stop(0x080020), DMA_IOAPIC);
	assert_int_equal(m.writes, 0);
	assert_int_equal(m.config[4], 7);
}

static void a_bit_that_stays_set_is_reported(void **state)
{
	(void)state;
	m.command_stuck = 4;
	assert_int_equal(stop(0x010601), DMA_STUCK);
}

/* ---- USB ---- */

static void uhci_goes_on_while_it_raises_smis(void **state)
{
	(void)state;
	m.config[0xc1] = 0x2f; /* interrupts go to the OS, and old events */
	assert_int_equal(stop(0x0c0300), DMA_OFF);
	for (unsigned bit = 0; bit < 8; bit++) {
		setup(state);
		m.config[0xc0] = (uint8_t)BIT(bit);
		assert_int_equal(stop(0x0c0300), bit < 5 ? DMA_USB_FIRMWARES : DMA_OFF);
	}
}

static void ohci_goes_on_while_its_interrupts_are_smis(void **state)
{
	(void)state;
	m.memory[1] = 0x100;
	assert_int_equal(stop(0x0c0310), DMA_USB_FIRMWARES);
	m.memory[1] = 0x0bf;
	assert_int_equal(stop(0x0c0310), DMA_OFF);
	setup(state);
	m.memory[1] = 0xffffffff;
	assert_int_equal(stop(0x0c0310), DMA_OFF);
}

static void ehci_goes_on_while_firmware_owns_it(void **state)
{
	(void)state;
	m.memory[2] = 0x6800;
	memcpy(m.config + 0x68, &(uint32_t){ 0x0001700a }, 4); /* another capability */
	memcpy(m.config + 0x70, &(uint32_t){ 0x00010001 }, 4);
	assert_int_equal(stop(0x0c0320), DMA_USB_FIRMWARES);
	m.config[0x73] = 1; /* the OS wants it, firmware has not let go */
	assert_int_equal(stop(0x0c0320), DMA_USB_FIRMWARES);
	m.config[0x72] = 0;
	assert_int_equal(stop(0x0c0320), DMA_OFF);
}

static void xhci_goes_on_while_firmware_owns_it(void **state)
{
	(void)state;
	m.memory[4] = 0x0200u << 16;
	m.memory[0x200] = 0x0402; /* another capability; the next is four doublewords on */
	m.memory[0x204] = 0x00010001;
	assert_int_equal(stop(0x0c0330), DMA_USB_FIRMWARES);
	m.memory[0x204] = 0x01010001;
	assert_int_equal(stop(0x0c0330), DMA_USB_FIRMWARES);
	m.memory[0x204] = 0x01000001;
	assert_int_equal(stop(0x0c0330), DMA_OFF);
}

static void usb_whose_registers_cannot_be_reached(void **state)
{
	struct pci_function f = of_class(0x0c0330);

	(void)state;
	m.memory[4] = 0xffffu << 16; /* beyond what is mapped */
	assert_int_equal(stop(0x0c0330), DMA_OFF);
	setup(state);
	assert_int_equal(dma_judge(&no_memory, &f), DMA_USB_UNKNOWN);
	m.config[4] = 5; /* memory is not decoded: firmware cannot use it either */
	assert_int_equal(dma_judge(&access, &f), DMA_USB_UNKNOWN);
	m.config[4] = 7;
	m.config[0x10] |= 1;
	assert_int_equal(dma_judge(&access, &f), DMA_USB_UNKNOWN);
	assert_int_equal(m.writes, 0);
	assert_int_equal(dma_stop(&access, &f), DMA_OFF);
}

/* ---- what is pending ---- */

static bool pending(void)
{
	struct pci_function f = of_class(0x010802);

	return dma_pending(&access, &f);
}

static void pending_transactions_are_seen(void **state)
{
	(void)state;
	m.config[4] = 3;
	m.config[0x34] = 0x40;
	memcpy(m.config + 0x40, (uint8_t[]){ 0x01, 0x52 },
		2); /* power management; the low bits of a pointer are reserved */
	memcpy(m.config + 0x50, (uint8_t[]){ 0x10, 0x00 }, 2);
	assert_false(pending());
	m.config[0x5a] = 0x20;
	assert_true(pending());
	m.config[4] = 7; /* it goes on: it is not waited for */
	assert_false(pending());
	m.config[4] = 3;
	m.config[6] = 0; /* no capabilities */
	assert_false(pending());
	m.config[6] = 0x10;
	m.config[0x50] = 0x13; /* Advanced Features */
	memset(m.config + 0x52, 0, 16);
	m.config[0x55] = 1;
	assert_false(pending());
	m.config[0x53] = 1;
	assert_true(pending());
	m.gone = true;
	assert_false(pending());
}

static void circular_capability_lists_end(void **state)
{
	(void)state;
	m.config[4] = 3;
	m.config[0x34] = 0x40;
	memcpy(m.config + 0x40, (uint8_t[]){ 0x01, 0x48 }, 2);
	memcpy(m.config + 0x48, (uint8_t[]){ 0x05, 0x40 }, 2);
	assert_false(pending());
	m.config[4] = 7;
	m.memory[2] = 0x4000;
	memcpy(m.config + 0x40, &(uint32_t){ 0x0000400a }, 4);
	assert_int_equal(stop(0x0c0320), DMA_OFF);
	setup(state);
	m.memory[4] = 0x0010u << 16;
	for (unsigned i = 0x10; i < ARRAY_SIZE(m.memory); i++)
		m.memory[i] = 0x0102;
	assert_int_equal(stop(0x0c0330), DMA_OFF);
}

static void any_bytes_are_judged_in_bounded_time(void **state)
{
	srand(1);
	for (unsigned round = 0; round < 20000; round++) {
		struct pci_function f = of_class((unsigned)rand() & 0xffffff);
		unsigned before;

		setup(state);
		for (unsigned i = 0; i < sizeof(m.config); i++)
			m.config[i] = (uint8_t)rand();
		for (unsigned i = 0; i < ARRAY_SIZE(m.memory); i++)
			m.memory[i] = (uint32_t)rand();
		m.config[4] |= 6;
		memcpy(m.config + 0x10, &(uint32_t){ BAR }, 4);
		if (round & 1)
			f = of_class(0x0c0300 | (round << 3 & 0x30));
		f.header = round & 6 ? 0 : (uint8_t)rand();
		before = m.reads;
		dma_stop(&access, &f);
		dma_pending(&access, &f);
		assert_true(m.reads - before < 256);
	}
}

/* ---- DMA remapping units ---- */

#define UNIT 0xfed90000ul

static struct {
	uint32_t version, status, root[2];
	unsigned slow; /* waits until a command takes effect */
	bool deaf;     /* commands have no effect */
	uint32_t command;
	unsigned waits, commands;
} u;

static bool read_unit(uint64_t at, uint32_t *v)
{
	assert_true(at >= UNIT && at < UNIT + 0x1000);
	*v = at == UNIT		 ? u.version
	     : at == UNIT + 0x1c ? u.status
	     : at == UNIT + 0x20 ? u.root[0]
	     : at == UNIT + 0x24 ? u.root[1]
				 : 0xffffffff;
	return true;
}

static void write_unit(uint64_t at, uint32_t v)
{
	assert_int_equal(at, UNIT + 0x18);
	u.command = v;
	u.commands++;
	if (!u.deaf && !u.slow)
		u.status = v;
}

static bool wait_for_unit(void)
{
	if (u.slow && !--u.slow && !u.deaf)
		u.status = u.command;
	return ++u.waits < 100;
}

static const struct vtd_access unit = { read_unit, write_unit, wait_for_unit };

static void a_unit_tells_what_firmware_left_on(void **state)
{
	struct vtd_state s;

	(void)state;
	u = (typeof(u)){ .version = 0x10, .root = { 0x7a000c00, 1 } };
	s = vtd_look(&unit, UNIT);
	assert_true(s.there && !s.dma && !s.interrupts);
	u.status = 0xc0000000;
	s = vtd_look(&unit, UNIT);
	assert_true(s.dma && !s.interrupts && s.tables == 0x17a000000);
	u.status = 0x03000000;
	s = vtd_look(&unit, UNIT);
	assert_true(!s.dma && s.interrupts);
	u.version = 0xffffffff;
	assert_false(vtd_look(&unit, UNIT).there);
	u.version = 0;
	assert_false(vtd_look(&unit, UNIT).there);
}

/* DMA remapping and queued invalidation stay; what would start something (root table, flush, ...) is not written as 1. */
static void interrupt_remapping_goes_off_and_the_rest_stays(void **state)
{
	(void)state;
	u = (typeof(u)){ .version = 0x10, .status = 0xff800000, .slow = 5 };
	assert_int_equal(vtd_stop_interrupt_remapping(&unit, UNIT), 0);
	assert_int_equal(u.command, 0x94800000);
	assert_int_equal(u.commands, 1);
	assert_int_equal(u.waits, 5);
}

static void a_unit_that_does_not_obey_is_reported(void **state)
{
	(void)state;
	u = (typeof(u)){ .version = 0x10, .status = 0x02000000, .deaf = true };
	assert_int_equal(vtd_stop_interrupt_remapping(&unit, UNIT), -E_TIMEOUT);
	assert_int_equal(u.waits, 100);
	u.status = 0xffffffff;
	assert_int_equal(vtd_stop_interrupt_remapping(&unit, UNIT), -E_NOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_endpoint_loses_bus_mastering_and_nothing_else, setup),
		cmocka_unit_test_setup(what_is_off_or_gone_is_left_alone, setup),
		cmocka_unit_test_setup(bridges_displays_and_io_apics_go_on, setup),
		cmocka_unit_test_setup(a_bit_that_stays_set_is_reported, setup),
		cmocka_unit_test_setup(uhci_goes_on_while_it_raises_smis, setup),
		cmocka_unit_test_setup(ohci_goes_on_while_its_interrupts_are_smis, setup),
		cmocka_unit_test_setup(ehci_goes_on_while_firmware_owns_it, setup),
		cmocka_unit_test_setup(xhci_goes_on_while_firmware_owns_it, setup),
		cmocka_unit_test_setup(usb_whose_registers_cannot_be_reached, setup),
		cmocka_unit_test_setup(pending_transactions_are_seen, setup),
		cmocka_unit_test_setup(circular_capability_lists_end, setup),
		cmocka_unit_test_setup(any_bytes_are_judged_in_bounded_time, setup),
		cmocka_unit_test(a_unit_tells_what_firmware_left_on),
		cmocka_unit_test(interrupt_remapping_goes_off_and_the_rest_stays),
		cmocka_unit_test(a_unit_that_does_not_obey_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
