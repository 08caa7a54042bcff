/* SPDX-License-Identifier: MIT */
/* ACPI fixed hardware: PM1 registers, PM timer, soft-off. */
#include "guest/dev/vacpi.h"

#include "lib/log.h"

#define PM_TIMER_HZ 3579545ul

#define PM1_TIMER  BIT(0)
#define PM1_GLOBAL BIT(5)
#define PM1_BUTTON BIT(8)
#define PM1_RTC	   BIT(10) /* wakes from sleep, so its status is never set; kernels enable it all the same */
#define PM1_ENABLE (PM1_TIMER | PM1_GLOBAL | PM1_BUTTON | PM1_RTC)

#define CONTROL_SCI   BIT(0)
#define CONTROL_SLEEP BIT(13)

#define EVENT	0 /* status in the low half, enable in the high half */
#define CONTROL 4
#define TIMER	8
#define CARRY	31 /* TMR_STS is set when this bit of the timer changes (FADT: TMR_VAL_EXT) */

static uint64_t acpi_ticks(const struct vacpi *v)
{
	return rate_ticks(&v->rate, device_now(&v->dev));
}

static void acpi_update(struct vacpi *v)
{
	uint64_t carries = acpi_ticks(v) >> CARRY;

	if (carries != v->seen_wrap) {
		v->seen_wrap = carries;
		v->status |= PM1_TIMER;
	}
	irq_line_set(&v->sci, v->status & v->enable);
	if ((v->enable & PM1_TIMER) && !(v->status & PM1_TIMER))
		timer_arm(&v->timer, rate_tsc(&v->rate, (carries + 1) << CARRY));
	else
		timer_stop(&v->timer);
}

static void acpi_fire(struct vtimer *t, uint64_t now)
{
	acpi_update(container_of(t, struct vacpi, timer));
}

static uint32_t acpi_word(struct vacpi *v, unsigned off)
{
	switch (off & ~3u) {
	case EVENT:
		acpi_update(v);
		return v->status | (uint32_t)v->enable << 16;
	case CONTROL:
		return v->control | CONTROL_SCI; /* SLP_EN reads 0 */
	default:
		return (uint32_t)acpi_ticks(v);
	}
}

static uint64_t acpi_read(void *dev, uint64_t off, unsigned size)
{
	unsigned at = (unsigned)off;

	/* Pieces of a register, but not across two. */
	if ((at & 3) + size > 4)
		return ~0ull;
	return acpi_word(dev, at) >> 8 * (at & 3);
}

static void acpi_sleep(struct vacpi *v)
{
	unsigned type = (unsigned)bits_get(v->control, 12, 10);

	if (type == VACPI_S5)
		power_end(v->dev.board->power, VM_END_POWER_OFF, 0);
	else if (!(v->said & 1u << type))
		log_warn("vm %s: asked for sleep type %u, which no ACPI table names; ignored",
			v->dev.board->vm, type);
	v->said |= (uint8_t)(1u << type);
}

static void acpi_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vacpi *v = dev;
	unsigned at = (unsigned)off, shift = 8 * (at & 3);
	uint64_t mask = (size == 4 ? BITS(31, 0) : BIT(8 * size) - 1) << shift;
	uint32_t bits = (uint32_t)(value << shift);

	if ((at & 3) + size > 4)
		return;
	switch (at & ~3u) {
	case EVENT:
		acpi_update(v);
		v->status &= (uint16_t)~bits; /* written ones clear */
		v->enable = (uint16_t)(((v->enable & ~(mask >> 16)) | bits >> 16) & PM1_ENABLE);
		acpi_update(v);
		break;
	case CONTROL:
		v->control = (uint16_t)((v->control & ~mask) | bits);
		if (v->control & CONTROL_SLEEP) {
			v->control &= (uint16_t)~CONTROL_SLEEP;
			acpi_sleep(v);
		}
		break;
	default: /* the timer cannot be written */
		break;
	}
}

void vacpi_power_button(struct vacpi *v)
{
	v->status |= PM1_BUTTON;
	acpi_update(v);
}

static void vacpi_reset(struct device *d)
{
	struct vacpi *v = (struct vacpi *)d;

	v->status = v->enable = 0;
	v->control = CONTROL_SCI;
	v->seen_wrap = acpi_ticks(v) >> CARRY;
	acpi_update(v);
}

static int vacpi_attach(struct device *d)
{
	struct vacpi *v = (struct vacpi *)d;

	rate_init(&v->rate, PM_TIMER_HZ, d->board->clock->tsc_hz);
	device_timer(d, &v->timer, acpi_fire);
	device_ports(
		d, &v->ports, VACPI_PM1_EVENT, VACPI_PORTS, BUS_1 | BUS_2 | BUS_4, acpi_read, acpi_write);
	return 0;
}

const struct device_kind vacpi_kind = {
	.name = "ACPI fixed hardware",
	.size = sizeof(struct vacpi),
	.attach = vacpi_attach,
	.reset = vacpi_reset,
};
