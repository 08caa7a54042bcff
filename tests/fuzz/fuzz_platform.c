/* SPDX-License-Identifier: MIT */
/*
 * The virtual platform under an arbitrary sequence of accesses by four vCPUs. An operation is eight bytes:
 *
 *	0 what (low 4 bits), which vCPU (next 2), size (top 2)	1 selects an address	2-3 more of it	4-7 the value
 *
 * Whatever a guest does: no crash, no interrupt below vector 16 from the local APIC, no vCPU started twice by the mailbox, every timer's queue is right, and
 * the timers run in a span of time are bounded by its length.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/fakes/fake_vm.h"

#define VCPUS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_vm *f;
static struct vpci_dev dev;

#define must(ok) ((ok) ? (void)0 : failed(#ok, __LINE__))
static void failed(const char *what, int line)
{
	fprintf(stderr, "fuzz_platform: line %d: not so: %s\n", line, what);
	abort();
}

static uint64_t dev_read(void *d, uint64_t off, unsigned size)
{
	must(off < 64 * KiB);
	return off;
}
static void dev_write(void *d, uint64_t off, unsigned size, uint64_t value)
{
	must(off < 64 * KiB);
	vpci_intx(d, value & 1);
}
static int dev_place(struct vpci_dev *d, unsigned bar, bool on, uint64_t at)
{
	must(at >= LAYOUT_PCI);
	return at & MiB && on ? -E_EXIST : 0;
}

static void add_device(void)
{
	dev = (struct vpci_dev){ .name = "fuzzed", .slot = 1 };
	vpci_identify(&dev, 0x1234, 0x5678, 0x020000, 0);
	dev.initial[PCI_INTERRUPT_PIN] = 1;
	dev.bar[0] = (struct vpci_bar){
		.kind = VPCI_BAR_MEM32, .size = 64 * KiB, .read = dev_read, .write = dev_write
	};
	dev.bar[1] =
		(struct vpci_bar){ .kind = VPCI_BAR_IO, .size = 16, .read = dev_read, .write = dev_write };
	dev.bar[2] = (struct vpci_bar){ .kind = VPCI_BAR_MEM64, .size = MiB, .place = dev_place };
	dev.bar[VPCI_ROM] = (struct vpci_bar){ .kind = VPCI_BAR_MEM32, .size = 4 * KiB, .place = dev_place };
	must(!vpci_add(DEV(f, vpci), &dev));
}

/* Most ports are holes: a byte picks one that is not. */
static uint16_t port_of(const uint8_t *op)
{
	static const uint16_t ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61,
		0x60, 0x64, 0x92, 0x70, 0x71, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x600,
		0x602, 0x604, 0x608, 0xcf8, 0xcf9, 0xcfc, 0xcfd, 0xcfe, 0xcff, 0x3c0, 0x3c1, 0x3c2, 0x3c4,
		0x3c5, 0x3c7, 0x3c8, 0x3c9, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3da, 0x3b4, 0x3b5, 0x80, 0xe9, 0xed,
		0xf4, 0xc000, 0xd000 };

	return op[1] < 0xc0 ? ports[op[1] % ARRAY_SIZE(ports)] : (uint16_t)(op[2] | op[3] << 8);
}

static gpa_t address_of(const uint8_t *op)
{
	static const uint64_t base[] = { LAYOUT_LAPIC, LAYOUT_LAPIC, LAYOUT_IOAPIC, LAYOUT_PCI, 0xd0000000,
		0x1000000000, 0xfffffffffffff000, 0xa0000 };
	uint64_t off = (op[2] | op[3] << 8) & 0xfff;

	if ((op[1] & 0x78) == 0x78)
		return gpa(LAYOUT_MAILBOX + (op[1] & 0x80 ? off : off & 15));
	/* Registers lie on multiples of sixteen. */
	return gpa(base[op[1] & 7] + (op[1] & 0x80 ? off : off & 0xff0));
}

static uint32_t msr_of(const uint8_t *op)
{
	static const uint32_t msrs[] = { 0x1b, 0x6e0 };

	return op[1] < 2 ? msrs[op[1]] : 0x800u + op[1];
}

static void advance(uint64_t ticks)
{
	uint64_t most = 16 * (ticks / f->p->clock.period_min + 4);

	f->events = 0;
	fake_vm_advance(f, ticks);
	must(f->events <= most);
}

static void deliver(unsigned vcpu)
{
	int vector = platform_irq_sync(f->p, vcpu), got;
	bool extint = f->p->interrupts.lapic[vcpu].extint_offered;

	must(vector < 256 && (vector < 0 || vector >= 16 || extint));
	if (vector < 0)
		return;
	must(platform_irq_waiting(f->p, vcpu));
	got = platform_irq_ack(f->p, vcpu, vector);
	must(extint || got == vector);
}

static void deliver_apicv(unsigned vcpu)
{
	uint64_t eoi[4] = { 0 };
	bool extint;
	int status = platform_irq_sync_apicv(f->p, vcpu, &extint, eoi), rvi = status & 0xff,
	    svi = status >> 8;

	must(status < 0 || (svi < 256 && (!rvi || rvi >= 16) && (!svi || svi >= 16)));
	platform_irq_waiting(f->p, vcpu);
	if (extint)
		platform_irq_ack(f->p, vcpu, -1);
}

static void step(const uint8_t *op)
{
	static const char *const typed[] = { "a", "\033[A", "\033", "hello\r", "\033[24~\003",
		"0123456789012345678901234567890123456789" };
	unsigned vcpu = op[0] >> 4 & 3, size = 1u << (op[0] >> 6);
	uint32_t value = op[4] | op[5] << 8 | op[6] << 16 | (uint32_t)op[7] << 24;
	uint64_t wide = (uint64_t)value << 32 | value, got;

	switch (op[0] & 15) {
	case 0:
	case 1:
		platform_pio_write(f->p, vcpu, port_of(op), min(size, 4u), value);
		break;
	case 2:
		platform_pio_read(f->p, vcpu, port_of(op), min(size, 4u));
		break;
	case 3:
	case 4:
		platform_mmio_write(f->p, vcpu, address_of(op), size, wide);
		break;
	case 5:
		platform_mmio_read(f->p, vcpu, address_of(op), size);
		break;
	case 6:
		/* An MSR's upper half is mostly reserved; sometimes all of it is tried. */
		platform_apic_wrmsr(f->p, vcpu, msr_of(op),
			op[2] & 1    ? wide
			: op[1] == 1 ? f->now + value
				     : value);
		break;
	case 7:
		platform_apic_rdmsr(f->p, vcpu, msr_of(op), &got);
		break;
	case 8:
		advance(value % (5 * MSEC));
		break;
	case 9: /* the timers have not been run for a while */
		f->now = tsc_after(f->now, (uint64_t)value << (op[1] & 31));
		platform_run_events(f->p, vcpu, f->now, TIMERS_ALL);
		break;
	case 10:
		f->in = typed[value % ARRAY_SIZE(typed)];
		DEV(f, vvga)->screen.shown = op[1] & 1;
		platform_console_input(f->p);
		break;
	case 11:
		deliver(vcpu);
		break;
	case 12:
		deliver_apicv(vcpu);
		break;
	case 13:
		platform_cr8_write(f->p, vcpu, value);
		must(platform_cr8_read(f->p, vcpu) == (value & 15));
		must(platform_irq_tpr_threshold(f->p, vcpu) < 16);
		break;
	case 14: /* registers that the CPU lets a guest write (SDM Vol. 3C 29.4.3): not ISR, TMR and IRR */
		if (op[1] >= 0x10 && op[1] < 0x28)
			break;
		*(uint32_t *)((char *)f->apic_page[vcpu] + (op[1] << 4)) = value; /* as APICv does */
		platform_apicv_write(f->p, vcpu, (unsigned)op[1] << 4);
		platform_apicv_eoi(f->p, vcpu, op[2]);
		break;
	case 15:
		if (op[1] == 0)
			platform_reset(f->p);
		else if (op[1] < 16)
			platform_power_button(f->p);
		else
			fake_irq_pulse(f, op[1] & 15);
		break;
	}
}

static void check(void)
{
	for (unsigned i = 0; i < VCPUS; i++) {
		const struct timer_queue *q = &f->p->timers[i];
		uint64_t next = TIMER_OFF;

		for (unsigned n = 0; n < q->n; n++)
			next = min(next, q->timer[n]->due);
		must(next == platform_next_event(f->p, i));
	}
	for (unsigned i = 1; i < f->p->bus.ports; i++) {
		const struct bus_range *r = f->p->bus.port[i];

		for (uint64_t port = r->base; r->base != BUS_OFF && port < r->base + r->size; port++)
			must(bus_port(&f->p->bus, (uint16_t)port) == r);
	}
	for (unsigned i = 0; i + 1 < f->p->bus.mmios; i++)
		must(f->p->bus.mmio[i]->base + f->p->bus.mmio[i]->size <= f->p->bus.mmio[i + 1]->base);
	must(!fake_vm_locked(f));
	must(!f->starts[0]);
	for (unsigned i = 1; i < VCPUS; i++)
		must(f->starts[i] <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	f = fake_vm_open_mailbox(VCPUS, NULL);
	add_device();
	for (; size >= 8; data += 8, size -= 8)
		step(data);
	check();
	fake_vm_close(f);
	return 0;
}
