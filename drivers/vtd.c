/* SPDX-License-Identifier: MIT */
/* The DMA remapping units of this machine, as the DMAR table lists them. */
#include "drivers/vtd.h"

#include "drivers/time.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "mm/host/hostmap.h"

#define WAIT_MS 100

static uint64_t unit;	       /* physical address of the registers that are mapped */
static volatile uint8_t *regs; /* NULL: they cannot be reached */
static uint64_t deadline;      /* TSC */

static bool read_register(uint64_t at, uint32_t *v)
{
	if (!regs)
		return false;
	*v = *(volatile uint32_t *)(regs + (at - unit));
	return true;
}

static void write_register(uint64_t at, uint32_t v)
{
	*(volatile uint32_t *)(regs + (at - unit)) = v;
}

static bool wait_a_moment(void)
{
	udelay(10);
	return rdtsc() < deadline;
}

static const struct vtd_access machine = { read_register, write_register, wait_a_moment };

static int quiesce_unit(uint64_t base)
{
	struct vtd_state s;
	int err;

	unit = base;
	regs = is_aligned(base, PAGE_SIZE) ? hostmap_mmio(hpa(base), PAGE_SIZE, MT_UC) : NULL;
	s = vtd_look(&machine, base);
	if (!s.there) {
		log_warn("VT-d: the DMAR table lists a unit at %#lx, where none answers", base);
		return 0;
	}
	if (s.dma)
		log_info("VT-d: the unit at %#lx remaps DMA, as firmware left it, by its tables at %#lx",
			base, s.tables);
	if (!s.interrupts)
		return 0;
	deadline = rdtsc() + ns_to_tsc(WAIT_MS * 1000000ull);
	err = vtd_stop_interrupt_remapping(&machine, base);
	if (err)
		log_error(
			"VT-d: the unit at %#lx remaps interrupts, as firmware left it, and this cannot be switched off (%s): switch off VT-d (Intel VT for Directed I/O) in the firmware's set-up",
			base, err_name(err));
	else
		log_info("VT-d: the unit at %#lx remapped interrupts, as firmware left it: switched off",
			base);
	return err ? -E_TIMEOUT : 0;
}

int vtd_quiesce(const struct acpi *acpi)
{
	int err = 0;

	for (unsigned i = 0; i < acpi->ndrhd; i++)
		if (quiesce_unit(acpi->drhd[i].base))
			err = -E_TIMEOUT;
	return err;
}
