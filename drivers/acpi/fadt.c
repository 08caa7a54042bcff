/* SPDX-License-Identifier: MIT */
/*
 * FADT: the fixed hardware (ACPI 6.5, 5.2.9). It grew over the years, and its length says how far: a field that lies
 * beyond reads as zero. Most registers are there twice, as a 32-bit port and as a 64-bit generic address; the latter
 * counts where it is not zero.
 */
#include "drivers/acpi/acpi.h"

#include "drivers/acpi/bytes.h"
#include "lib/bits.h"

/* Offsets, table 5.9. */
enum {
	FIRMWARE_CTRL = 36,
	DSDT = 40,
	SCI_INT = 46,
	SMI_CMD = 48,
	ACPI_ENABLE = 52,
	ACPI_DISABLE = 53,
	PM1A_EVT = 56,
	PM1B_EVT = 60,
	PM1A_CNT = 64,
	PM1B_CNT = 68,
	PM_TMR = 76,
	PM1_EVT_LEN = 88,
	PM_TMR_LEN = 91,
	CENTURY = 108,
	BOOT_ARCH = 109,
	FLAGS = 112,
	RESET_REG = 116,
	RESET_VALUE = 128,
	X_FIRMWARE_CTRL = 132,
	X_DSDT = 140,
	X_PM1A_EVT = 148,
	X_PM1B_EVT = 160,
	X_PM1A_CNT = 172,
	X_PM1B_CNT = 184,
	X_PM_TMR = 208,
	SLEEP_CONTROL = 244,
	SLEEP_STATUS = 256,
};

#define FLAG_TMR_VAL_EXT   BIT(8)
#define FLAG_RESET_REG_SUP BIT(10)
#define FLAG_HW_REDUCED	   BIT(20)

#define ARCH_LEGACY_DEVICES BIT(0)
#define ARCH_8042	    BIT(1)
#define ARCH_VGA_ABSENT	    BIT(2)

struct fadt {
	const uint8_t *t;
	size_t n;
};

static uint64_t field(struct fadt f, size_t at, unsigned bytes)
{
	if (!range_within(at, bytes, f.n))
		return 0;
	return bytes == 1   ? f.t[at]
	       : bytes == 2 ? le16(f.t + at)
	       : bytes == 4 ? le32(f.t + at)
			    : le64(f.t + at);
}

static struct acpi_gas gas(struct fadt f, size_t at)
{
	return (struct acpi_gas){
		.space = (uint8_t)field(f, at, 1),
		.bit_width = (uint8_t)field(f, at + 1, 1),
		.bit_offset = (uint8_t)field(f, at + 2, 1),
		.access = (uint8_t)field(f, at + 3, 1),
		.address = field(f, at + 4, 8),
	};
}

static struct acpi_gas port_or_gas(struct fadt f, size_t port, size_t x, unsigned width)
{
	struct acpi_gas g = gas(f, x);

	if (g.address)
		return g;
	return (struct acpi_gas){
		.space = ACPI_IO,
		.bit_width = (uint8_t)width,
		.address = field(f, port, 4),
	};
}

void acpi_parse_fadt(struct acpi *a, const uint8_t *t, size_t n)
{
	struct fadt f = { t, n };
	uint64_t x;

	if (n < FLAGS + 4) /* ACPI 1.0's length */
		return;
	a->have_fadt = true;
	a->flags = (uint32_t)field(f, FLAGS, 4);
	a->hw_reduced = a->flags & FLAG_HW_REDUCED;
	a->pm_timer_32bit = a->flags & FLAG_TMR_VAL_EXT;
	a->boot_arch = (uint16_t)field(f, BOOT_ARCH, 2);
	/* The boot flags are newer than revision 1, whose machines all have the legacy devices. */
	a->legacy_devices = t[8] < 3 || a->boot_arch & ARCH_LEGACY_DEVICES;
	a->no_8042 = t[8] >= 3 && !(a->boot_arch & ARCH_8042);
	a->no_vga = t[8] >= 3 && a->boot_arch & ARCH_VGA_ABSENT;
	a->sci_irq = (uint16_t)field(f, SCI_INT, 2);
	a->smi_cmd = (uint32_t)field(f, SMI_CMD, 4);
	a->acpi_enable = (uint8_t)field(f, ACPI_ENABLE, 1);
	a->acpi_disable = (uint8_t)field(f, ACPI_DISABLE, 1);
	a->century = (uint8_t)field(f, CENTURY, 1);
	a->pm1_evt_len = (uint8_t)field(f, PM1_EVT_LEN, 1);
	a->pm1a_evt = port_or_gas(f, PM1A_EVT, X_PM1A_EVT, 32);
	a->pm1b_evt = port_or_gas(f, PM1B_EVT, X_PM1B_EVT, 32);
	a->pm1a_cnt = port_or_gas(f, PM1A_CNT, X_PM1A_CNT, 16);
	a->pm1b_cnt = port_or_gas(f, PM1B_CNT, X_PM1B_CNT, 16);
	if (field(f, PM_TMR_LEN, 1) >= 4)
		a->pm_timer = port_or_gas(f, PM_TMR, X_PM_TMR, 32);
	a->reset = gas(f, RESET_REG);
	a->reset_value = (uint8_t)field(f, RESET_VALUE, 1);
	a->reset_supported = a->flags & FLAG_RESET_REG_SUP && a->reset.address;
	a->sleep_control = gas(f, SLEEP_CONTROL);
	a->sleep_status = gas(f, SLEEP_STATUS);
	x = field(f, X_FIRMWARE_CTRL, 8);
	a->facs = x ? x : field(f, FIRMWARE_CTRL, 4);
	x = field(f, X_DSDT, 8);
	a->dsdt = x ? x : field(f, DSDT, 4);
}
