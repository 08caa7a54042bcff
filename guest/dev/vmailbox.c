/* SPDX-License-Identifier: MIT */
#include "guest/dev/vmailbox.h"

#include "lib/string.h"

static uint64_t vmailbox_get(const struct vmailbox *m, uint64_t off, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, m->os + off, size);
	return value;
}

static uint64_t vmailbox_read(void *dev, uint64_t off, unsigned size)
{
	const struct vmailbox *m = dev;

	if (off >= VMAILBOX_FIRMWARE)
		return 0;
	return vmailbox_get(m, off, (unsigned)min((uint64_t)size, VMAILBOX_FIRMWARE - off));
}

/* Starts the vCPU that the mailbox names. An APIC ID is the number of the vCPU, as the MADT says. */
static void vmailbox_obey(struct vmailbox *m)
{
	const struct interrupts *irqs = m->dev.board->irqs;
	uint64_t id = vmailbox_get(m, VMAILBOX_APIC_ID, 4);

	if (vmailbox_get(m, VMAILBOX_COMMAND, 2) != VMAILBOX_WAKEUP)
		return;
	if (id >= irqs->vcpus || !(m->waiting & BIT(id)))
		return;
	m->waiting &= ~BIT(id);
	memset(m->os + VMAILBOX_COMMAND, 0, 2);
	irqs->ops->start(irqs->vm, (unsigned)id, vmailbox_get(m, VMAILBOX_VECTOR, 8));
}

static void vmailbox_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	struct vmailbox *m = dev;

	if (off >= VMAILBOX_FIRMWARE)
		return;
	memcpy(m->os + off, &value, min((uint64_t)size, VMAILBOX_FIRMWARE - off));
	vmailbox_obey(m);
}

static bool vmailbox_wanted(const struct device_settings *s)
{
	return s->layout.wakeup_gib;
}

static int vmailbox_attach(struct device *d)
{
	struct vmailbox *m = (struct vmailbox *)d;

	device_mmio(d, &m->page, gpa(LAYOUT_MAILBOX), PAGE_SIZE, vmailbox_read, vmailbox_write);
	return 0;
}

static void vmailbox_reset(struct device *d)
{
	struct vmailbox *m = (struct vmailbox *)d;

	memset(m->os, 0, sizeof(m->os));
	m->waiting = BITS(d->board->irqs->vcpus - 1, 0) & ~BIT(0); /* the first one runs */
}

const struct device_kind vmailbox_kind = {
	.name = "wakeup mailbox",
	.size = sizeof(struct vmailbox),
	.wanted = vmailbox_wanted,
	.attach = vmailbox_attach,
	.reset = vmailbox_reset,
};
