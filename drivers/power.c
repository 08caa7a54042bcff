/* SPDX-License-Identifier: MIT */
/* Switching off (ACPI 6.5: 4.8.3.2 PM1 control, 4.8.3.7 sleep control, 16.1.7 S5). */
#include "drivers/power.h"

#include "drivers/time.h"
#include "lib/log.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "mm/host/hostmap.h"

#define PM1_SCI_EN  BIT(0)
#define PM1_SLP_TYP BITS(12, 10)
#define PM1_SLP_EN  BIT(13)
#define PM1_WAK_STS BIT(15) /* of PM1 status */

#define SLEEP_CONTROL_EN BIT(5) /* hardware-reduced ACPI; the type is in bits 4:2 */

/* A register of the FADT: a port, or memory that was mapped while that was still possible. */
struct reg {
	struct acpi_gas gas;
	volatile uint8_t *mmio;
};

static const struct acpi *tables;
static void (*off_by_firmware)(void);
static struct reg pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, sleep_control;

static struct reg open_reg(struct acpi_gas gas)
{
	struct reg r = { .gas = gas };

	if (gas.space == ACPI_MEMORY && gas.address)
		r.mmio = hostmap_mmio(hpa(gas.address), 4, MT_UC);
	return r;
}

static bool usable(const struct reg *r)
{
	return r->mmio || (r->gas.space == ACPI_IO && r->gas.address && r->gas.address < 0xfffe);
}

static uint16_t read16(const struct reg *r)
{
	return r->mmio ? *(volatile uint16_t *)r->mmio : in16((uint16_t)r->gas.address);
}

static void write16(const struct reg *r, uint16_t v)
{
	if (r->mmio)
		*(volatile uint16_t *)r->mmio = v;
	else
		out16((uint16_t)r->gas.address, v);
}

static void write8(const struct reg *r, uint8_t v)
{
	if (r->mmio)
		*r->mmio = v;
	else
		out8((uint16_t)r->gas.address, v);
}

void power_init(const struct acpi *acpi, void (*firmware)(void))
{
	tables = acpi;
	off_by_firmware = firmware;
	if (!acpi->have_fadt)
		return;
	pm1a_evt = open_reg(acpi->pm1a_evt);
	pm1b_evt = open_reg(acpi->pm1b_evt);
	pm1a_cnt = open_reg(acpi->pm1a_cnt);
	pm1b_cnt = open_reg(acpi->pm1b_cnt);
	sleep_control = open_reg(acpi->sleep_control);
}

static void halt(void) __noreturn;
static void halt(void)
{
	log_flush();
	for (;;) {
		irq_disable();
		cpu_halt();
	}
}

uint16_t power_pm1(uint16_t now, uint8_t sleep_type, bool enable)
{
	now &= (uint16_t) ~(PM1_SLP_TYP | PM1_SLP_EN);
	return (uint16_t)(now | (sleep_type & 7u) << 10 | (enable ? PM1_SLP_EN : 0));
}

/* Many chipsets heed S5 only in ACPI mode, which firmware enters when it is told to by this port. */
static void acpi_mode(void)
{
	if (!tables->smi_cmd || tables->smi_cmd > 0xffff || !tables->acpi_enable ||
		read16(&pm1a_cnt) & PM1_SCI_EN)
		return;
	out8((uint16_t)tables->smi_cmd, tables->acpi_enable);
	for (unsigned i = 0; i < 300 && !(read16(&pm1a_cnt) & PM1_SCI_EN); i++)
		udelay(1000);
}

static void s5(void)
{
	if (!tables->have_s5 || !tables->have_fadt)
		return;
	if (usable(&sleep_control))
		write8(&sleep_control, (uint8_t)(tables->s5_typ_a << 2 | SLEEP_CONTROL_EN));
	if (!usable(&pm1a_cnt) || tables->hw_reduced)
		return;
	acpi_mode();
	/* A wake event that is still set would wake it at once. */
	if (usable(&pm1a_evt))
		write16(&pm1a_evt, (uint16_t)PM1_WAK_STS);
	if (usable(&pm1b_evt))
		write16(&pm1b_evt, (uint16_t)PM1_WAK_STS);
	/* The type first, then type and enable: in one write some chipsets take the old type. */
	write16(&pm1a_cnt, power_pm1(read16(&pm1a_cnt), tables->s5_typ_a, false));
	if (usable(&pm1b_cnt))
		write16(&pm1b_cnt, power_pm1(read16(&pm1b_cnt), tables->s5_typ_b, false));
	write16(&pm1a_cnt, power_pm1(read16(&pm1a_cnt), tables->s5_typ_a, true));
	if (usable(&pm1b_cnt))
		write16(&pm1b_cnt, power_pm1(read16(&pm1b_cnt), tables->s5_typ_b, true));
}

/* CPUID 40000000H: the hypervisor that we are a guest of, "" if none. */
static void hypervisor_name(char name[13])
{
	struct cpuid id;

	memset(name, 0, 13);
	if (!(cpuid(1, 0).ecx & BIT(31)))
		return;
	id = cpuid(0x40000000, 0);
	memcpy(name, &id.ebx, 4);
	memcpy(name + 4, &id.ecx, 4);
	memcpy(name + 8, &id.edx, 4);
}

/* Machines that are not there: the ways off of which no table tells. Only if the machine says that it is one. */
static void emulator_ports(void)
{
	static const char bochs_word[] = "Shutdown";
	char name[13];

	hypervisor_name(name);
	if (!strcmp(name, "KVMKVMKVM") || !strcmp(name, "TCGTCGTCGTCG")) {
		out16(0x604, (uint16_t)PM1_SLP_EN);  /* QEMU q35: PM1a control, type 0 */
		out16(0xb004, (uint16_t)PM1_SLP_EN); /* QEMU pc */
	}
	/* The debug console of Bochs and QEMU reads its own number; a port without a device reads all ones. */
	if (in8(0xe9) == 0xe9)
		for (unsigned i = 0; bochs_word[i]; i++)
			out8(0x8900, (uint8_t)bochs_word[i]);
}

void power_off(void)
{
	irq_disable();
	log_flush();
	if (tables)
		s5();
	udelay(1000000);
	emulator_ports();
	if (off_by_firmware)
		off_by_firmware();
	log_error("this machine does not let itself be switched off: please use its button");
	halt();
}
