/* SPDX-License-Identifier: MIT */
/* PCI configuration space, BARs that are sized and moved, interrupt pins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/rig/device_rig.h"

static uint32_t cfg_rd(unsigned slot, unsigned reg, unsigned size)
{
	platform_pio_write(f->p, 0, 0xcf8, 4, 0x80000000u | slot << 11 | (reg & 0xfc));
	return platform_pio_read(f->p, 0, (uint16_t)(0xcfc + (reg & 3)), size);
}
static void cfg_wr(unsigned slot, unsigned reg, unsigned size, uint32_t v)
{
	platform_pio_write(f->p, 0, 0xcf8, 4, 0x80000000u | slot << 11 | (reg & 0xfc));
	platform_pio_write(f->p, 0, (uint16_t)(0xcfc + (reg & 3)), size, v);
}

/* ---- a device with one BAR of each kind ---- */

static struct vpci_dev dev;
static uint64_t last_off, last_value;
static struct {
	bool on;
	uint64_t at;
	unsigned calls;
} placed[VPCI_BARS];
static int place_err;

static uint64_t dev_read(void *d, uint64_t off, unsigned size)
{
	assert_ptr_equal(d, &dev);
	last_off = off;
	return 0x1122334455667788;
}
static void dev_write(void *d, uint64_t off, unsigned size, uint64_t value)
{
	last_off = off;
	last_value = value;
}
static int dev_place(struct vpci_dev *d, unsigned bar, bool on, uint64_t at)
{
	placed[bar].calls++;
	if (on && place_err)
		return place_err;
	placed[bar].on = on;
	placed[bar].at = at;
	return 0;
}

static int setup_dev(void **state)
{
	memset(&dev, 0, sizeof(dev));
	memset(placed, 0, sizeof(placed));
	place_err = 0;
	dev.name = "test";
	dev.slot = 3;
	vpci_identify(&dev, 0x1234, 0x5678, 0x050000, 7);
	dev.initial[PCI_INTERRUPT_PIN] = 1;
	dev.bar[0] = (struct vpci_bar){
		.kind = VPCI_BAR_MEM32, .size = 64 * KiB, .read = dev_read, .write = dev_write
	};
	dev.bar[1] =
		(struct vpci_bar){ .kind = VPCI_BAR_IO, .size = 32, .read = dev_read, .write = dev_write };
	dev.bar[2] = (struct vpci_bar){
		.kind = VPCI_BAR_MEM64, .size = 1 * MiB, .prefetchable = true, .place = dev_place
	};
	dev.bar[VPCI_ROM] = (struct vpci_bar){ .kind = VPCI_BAR_MEM32, .size = 32 * KiB, .place = dev_place };
	setup(state);
	return vpci_add(DEV(f, vpci), &dev);
}
#define D(name) cmocka_unit_test_setup_teardown(name, setup_dev, teardown)

static void the_host_bridge_is_there(void **state)
{
	assert_int_equal(cfg_rd(0, 0, 4), 0x12378086);
	assert_int_equal(cfg_rd(0, 0x0a, 2), 0x0600);
	assert_int_equal(cfg_rd(0, 0x0e, 1), 0);
	assert_int_equal(cfg_rd(1, 0, 4), 0xffffffff);
	platform_pio_write(f->p, 0, 0xcf8, 4, 0x80000100); /* function 1 */
	assert_int_equal(platform_pio_read(f->p, 0, 0xcfc, 4), 0xffffffff);
	platform_pio_write(f->p, 0, 0xcf8, 4, 0x80010000); /* bus 1 */
	assert_int_equal(platform_pio_read(f->p, 0, 0xcfc, 4), 0xffffffff);
	platform_pio_write(f->p, 0, 0xcf8, 4, 0); /* not enabled */
	assert_int_equal(platform_pio_read(f->p, 0, 0xcfc, 4), 0xffffffff);
}

static void mechanism_1_can_be_detected(void **state)
{
	platform_pio_write(f->p, 0, 0xcf8, 4, 0x80000003);
	assert_int_equal(platform_pio_read(f->p, 0, 0xcf8, 4), 0x80000000);
	platform_pio_write(f->p, 0, 0xcf8, 1, 0x55); /* only whole words reach the address register */
	assert_int_equal(platform_pio_read(f->p, 0, 0xcf8, 4), 0x80000000);
	assert_int_equal(platform_pio_read(f->p, 0, 0xcff, 4) >> 8, 0xffffff);
}

static void read_only_fields_stay(void **state)
{
	cfg_wr(3, 0x00, 4, 0);
	cfg_wr(3, 0x08, 4, 0);
	assert_int_equal(cfg_rd(3, 0, 4), 0x56781234);
	assert_int_equal(cfg_rd(3, 8, 4), 0x05000007);
	cfg_wr(3, PCI_COMMAND, 2, 0xffff);
	assert_int_equal(cfg_rd(3, PCI_COMMAND, 2), 0x0407);
	cfg_wr(3, 0x3c, 1, 0x5a);
	assert_int_equal(cfg_rd(3, 0x3c, 1), 0x5a);
}

static void firmware_has_assigned_the_bars(void **state)
{
	assert_int_equal(cfg_rd(3, 0x10, 4), LAYOUT_PCI);
	assert_int_equal(cfg_rd(3, 0x14, 4), 0xc001);
	assert_int_equal(cfg_rd(3, 0x18, 4), (LAYOUT_PCI + 1 * MiB) | 0x0c);
	assert_int_equal(cfg_rd(3, 0x1c, 4), 0);
	assert_int_equal(cfg_rd(3, 0x30, 4), LAYOUT_PCI + 2 * MiB);
	assert_int_equal(cfg_rd(3, PCI_COMMAND, 2), 3);
	assert_true(placed[2].on);
	assert_true(placed[2].at == LAYOUT_PCI + 1 * MiB);
	assert_false(placed[VPCI_ROM].on);
}

static void sizing(void **state)
{
	cfg_wr(3, PCI_COMMAND, 2, 0);
	assert_false(placed[2].on);
	cfg_wr(3, 0x10, 4, 0xffffffff);
	assert_int_equal(cfg_rd(3, 0x10, 4), 0xffff0000);
	cfg_wr(3, 0x14, 4, 0xffffffff);
	assert_int_equal(cfg_rd(3, 0x14, 4), 0xffffffe1);
	cfg_wr(3, 0x18, 4, 0xffffffff);
	cfg_wr(3, 0x1c, 4, 0xffffffff);
	assert_int_equal(cfg_rd(3, 0x18, 4), 0xfff0000c);
	assert_int_equal(cfg_rd(3, 0x1c, 4), 0xffffffff);
	cfg_wr(3, 0x30, 4, 0xfffff800);
	assert_int_equal(cfg_rd(3, 0x30, 4), 0xffff8000);
	cfg_wr(3, 0x20, 4, 0xffffffff);
	assert_int_equal(cfg_rd(3, 0x20, 4), 0);
}

static void a_memory_bar_moves(void **state)
{
	uint64_t v;

	v = platform_mmio_read(f->p, 0, gpa(LAYOUT_PCI + 0x123), 8);
	assert_true(v == 0x1122334455667788);
	assert_int_equal(last_off, 0x123);
	cfg_wr(3, 0x10, 4, 0xd0000000);
	assert_int_equal(platform_mmio_read(f->p, 0, gpa(LAYOUT_PCI), 4), 0xffffffff);
	platform_mmio_write(f->p, 0, gpa(0xd000fffc), 4, 77);
	assert_int_equal(last_off, 0xfffc);
	assert_int_equal(last_value, 77);
	cfg_wr(3, PCI_COMMAND, 2, 1);
	assert_int_equal(platform_mmio_read(f->p, 0, gpa(0xd0000000), 4), 0xffffffff);
}

static void an_io_bar_moves(void **state)
{
	assert_int_equal(platform_pio_read(f->p, 0, 0xc004, 4), 0x55667788);
	assert_int_equal(last_off, 4);
	cfg_wr(3, 0x14, 4, 0xd000);
	assert_int_equal(platform_pio_read(f->p, 0, 0xc004, 4), 0xffffffff);
	assert_int_equal(platform_pio_read(f->p, 0, 0xd01c, 1), 0x88);
	cfg_wr(3, 0x14, 4, 0x3e0); /* over the UART: the UART answers */
	outb(f, 0x3ff, 0x5a);
	assert_int_equal(inb(f, 0x3ff), 0x5a);
	cfg_wr(3, 0x14, 4, 0xe000);
	assert_int_equal(platform_pio_read(f->p, 0, 0xe000, 1), 0x88);
}

static void a_placed_bar_is_told(void **state)
{
	unsigned calls = placed[2].calls;

	cfg_wr(3, 0x18, 4, 0xe0000000);
	assert_true(placed[2].on);
	assert_true(placed[2].at == 0xe0000000);
	assert_int_equal(placed[2].calls, calls + 2);
	cfg_wr(3, 0x18, 4, 0xe0000000); /* the same again: not told */
	assert_int_equal(placed[2].calls, calls + 2);
	cfg_wr(3, 0x30, 4, 0xe8000001);
	assert_true(placed[VPCI_ROM].on);
	cfg_wr(3, 0x30, 4, 0xe8000000);
	assert_false(placed[VPCI_ROM].on);
	cfg_wr(3, 0x1c, 4, 1); /* above 4 GiB */
	assert_true(placed[2].at == 0x1e0000000);
}

static void a_bar_never_covers_ram_or_the_apics(void **state)
{
	cfg_wr(3, 0x18, 4, 0x00000000);
	assert_false(placed[2].on);
	cfg_wr(3, 0x18, 4, 0xfec00000);
	assert_false(placed[2].on);
	cfg_wr(3, 0x18, 4, 0xfee00000);
	assert_false(placed[2].on);
	cfg_wr(3, 0x18, 4, 0xfeb00000);
	assert_true(placed[2].on);
	cfg_wr(3, 0x1c, 4, 0xffffffff);
	assert_false(placed[2].on);
}

static void a_place_that_fails_is_tried_again(void **state)
{
	place_err = -E_EXIST;
	cfg_wr(3, 0x18, 4, 0xe0000000);
	assert_false(placed[2].on);
	place_err = 0;
	cfg_wr(3, PCI_COMMAND, 2, 7);
	assert_true(placed[2].on);
}

static void interrupt_pin(void **state)
{
	pic_setup(f, 0);
	assert_int_equal(cfg_rd(3, 0x3c, 2), 0x010b); /* line 3: IRQ 11 */
	vpci_intx(&dev, true);
	assert_int_equal(DEV(f, vioapic)->lines & 1 << 19, 1 << 19);
	assert_int_equal(cfg_rd(3, PCI_STATUS, 2) & 8, 8);
	assert_int_equal(take_irq(f, 0), 0x2b);
	cfg_wr(3, PCI_COMMAND, 2, PCI_COMMAND_NO_INTX);
	assert_int_equal(DEV(f, vioapic)->lines & 1 << 19, 0);
	cfg_wr(3, PCI_COMMAND, 2, 0);
	assert_int_equal(DEV(f, vioapic)->lines & 1 << 19, 1 << 19);
	vpci_intx(&dev, false);
	assert_int_equal(DEV(f, vioapic)->lines, 0);
}

static void bad_devices_are_refused(void **state)
{
	struct vpci_dev d = { .slot = 3 };

	assert_int_equal(vpci_add(DEV(f, vpci), &d), -E_EXIST);
	d.slot = VPCI_SLOTS;
	assert_int_equal(vpci_add(DEV(f, vpci), &d), -E_RANGE);
	d.slot = 4;
	d.bar[0] = (struct vpci_bar){ .kind = VPCI_BAR_MEM32, .size = 3000, .place = dev_place };
	assert_int_equal(vpci_add(DEV(f, vpci), &d), -E_INVAL);
	d.bar[0] =
		(struct vpci_bar){ .kind = VPCI_BAR_IO, .size = 512, .read = dev_read, .write = dev_write };
	assert_int_equal(vpci_add(DEV(f, vpci), &d), -E_INVAL);
	d.bar[0] = (struct vpci_bar){ .kind = VPCI_BAR_NONE };
	d.bar[5] = (struct vpci_bar){ .kind = VPCI_BAR_MEM64, .size = 4 * KiB, .place = dev_place };
	assert_int_equal(vpci_add(DEV(f, vpci), &d), -E_INVAL);
}

static void reset_puts_everything_back(void **state)
{
	cfg_wr(3, 0x18, 4, 0xe0000000);
	cfg_wr(3, 0x14, 4, 0xd000);
	vpci_intx(&dev, true);
	platform_reset(f->p);
	firmware_has_assigned_the_bars(state);
	assert_int_equal(DEV(f, vioapic)->lines, 0);
	assert_int_equal(platform_pio_read(f->p, 0, 0xc000, 1), 0x88);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_host_bridge_is_there),
		T(mechanism_1_can_be_detected),
		D(read_only_fields_stay),
		D(firmware_has_assigned_the_bars),
		D(sizing),
		D(a_memory_bar_moves),
		D(an_io_bar_moves),
		D(a_placed_bar_is_told),
		D(a_bar_never_covers_ram_or_the_apics),
		D(a_place_that_fails_is_tried_again),
		D(interrupt_pin),
		D(bad_devices_are_refused),
		D(reset_puts_everything_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
