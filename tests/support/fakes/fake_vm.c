/* SPDX-License-Identifier: MIT */
#include "tests/support/fakes/fake_vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t op_clock(void *vm)
{
	struct fake_vm *f = vm;

	return f->now += f->per_look;
}
static void op_interrupt(void *vm, unsigned vcpu, int vector)
{
	(void)vector;
	((struct fake_vm *)vm)->wakes[vcpu]++;
}

static void op_wake(void *vm, unsigned vcpu)
{
	((struct fake_vm *)vm)->wakes[vcpu]++;
}
static void op_sooner(void *vm, unsigned vcpu, uint64_t due)
{
	((struct fake_vm *)vm)->wakes[vcpu]++;
}
static void op_init(void *vm, unsigned vcpu)
{
	((struct fake_vm *)vm)->inits[vcpu]++;
}
static void op_sipi(void *vm, unsigned vcpu, uint8_t vector)
{
	((struct fake_vm *)vm)->sipis[vcpu]++;
	((struct fake_vm *)vm)->sipi_vector[vcpu] = vector;
}
static void op_start(void *vm, unsigned vcpu, uint64_t vector)
{
	((struct fake_vm *)vm)->starts[vcpu]++;
	((struct fake_vm *)vm)->start_vector[vcpu] = vector;
}
static void op_nmi(void *vm, unsigned vcpu)
{
	((struct fake_vm *)vm)->nmis[vcpu]++;
}
static size_t op_console_write(void *vm, const char *text, size_t n)
{
	struct fake_vm *f = vm;

	if (f->console_piece && n > f->console_piece)
		n = f->console_piece;
	f->writes++;
	if (n > sizeof(f->out) - 1 - f->out_n)
		f->out_n = 0; /* a fuzzer writes more than the buffer holds */
	memcpy(f->out + f->out_n, text, n);
	f->out_n += n;
	f->out[f->out_n] = 0;
	return n;
}
static bool op_console_room(void *vm)
{
	return !((struct fake_vm *)vm)->console_full;
}
static bool op_has_time(void *vm)
{
	return !((struct fake_vm *)vm)->late;
}
static int op_console_read(void *vm)
{
	struct fake_vm *f = vm;

	return f->in && *f->in ? (uint8_t)*f->in++ : -1;
}
static void op_end(void *vm, enum vm_end why, uint32_t code)
{
	struct fake_vm *f = vm;

	f->ended++;
	f->end = why;
	f->code = code;
}

static const struct vm_ops ops = {
	.clock = op_clock,
	.wake = op_wake,
	.sooner = op_sooner,
	.interrupt = op_interrupt,
	.init = op_init,
	.sipi = op_sipi,
	.start = op_start,
	.nmi = op_nmi,
	.console_write = op_console_write,
	.console_room = op_console_room,
	.has_time = op_has_time,
	.console_read = op_console_read,
	.end = op_end,
};

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fake_vm: %s failed\n", what);
	abort();
}

static struct fake_vm *open_with(
	unsigned vcpus, struct mmu *mmu, const struct device_options *options, bool mailbox)
{
	struct fake_vm *f = calloc(1, sizeof(*f));
	struct platform_params params = {
		.ops = &ops,
		.vm = f,
		.name = "test",
		.mmu = mmu,
		.vcpus = vcpus,
		.tsc_hz = FAKE_TSC_HZ,
		.maxphyaddr = FAKE_MAXPHYADDR,
		.settings = { .start_time = FAKE_START, .options = *options },
		.cpu_signature = FAKE_SIGNATURE,
		.cpu_features = FAKE_FEATURES,
	};

	must(f != NULL, "calloc");
	must(!layout_init(&params.settings.layout, 64 * MiB), "layout_init");
	if (mailbox)
		layout_add_mailbox(&params.settings.layout);
	f->vcpus = vcpus;
	f->now = SEC;
	for (unsigned i = 0; i < vcpus; i++) {
		must((params.apic_page[i] = f->apic_page[i] = aligned_alloc(PAGE_SIZE, PAGE_SIZE)) != NULL,
			"aligned_alloc");
		memset(f->apic_page[i], 0, PAGE_SIZE);
	}
	if (mmu) {
		must(!platform_create(&params, &f->p), "platform_create");
		f->allocated = true;
	} else {
		f->p = aligned_alloc(64, align_up(platform_bytes(), 64));
		must(f->p != NULL, "aligned_alloc");
		memset(f->p, 0, platform_bytes());
		must(!platform_init(f->p, &params), "platform_init");
	}
	return f;
}

struct fake_vm *fake_vm_open(unsigned vcpus, struct mmu *mmu)
{
	return fake_vm_open_rom(vcpus, mmu, 0, 0);
}

struct fake_vm *fake_vm_open_rom(unsigned vcpus, struct mmu *mmu, uint64_t rom, uint64_t bar)
{
	const struct device_options options = { .debug_exit = true, .rom_bytes = rom, .bar_bytes = bar };

	return open_with(vcpus, mmu, &options, false);
}

struct fake_vm *fake_vm_open_mailbox(unsigned vcpus, struct mmu *mmu)
{
	const struct device_options options = { .debug_exit = true };

	return open_with(vcpus, mmu, &options, true);
}

void fake_vm_close(struct fake_vm *f)
{
	if (f->allocated)
		while (!platform_destroy_some(&f->p, UINT32_MAX))
			;
	else {
		platform_fini(f->p);
		free(f->p);
	}
	for (unsigned i = 0; i < f->vcpus; i++)
		free(f->apic_page[i]);
	free(f);
}

void fake_vm_advance(struct fake_vm *f, uint64_t ticks)
{
	uint64_t end = tsc_after(f->now, ticks);

	for (;;) {
		uint64_t next = TIMER_OFF;

		for (unsigned i = 0; i < f->vcpus; i++)
			next = min(next, platform_next_event(f->p, i));
		if (next > end || next == TIMER_OFF)
			break;
		f->now = max(f->now, next);
		for (unsigned i = 0; i < f->vcpus; i++)
			platform_run_events(f->p, i, f->now, TIMERS_ALL);
		for (unsigned i = 0; i < f->vcpus; i++) {
			next = platform_next_event(f->p, i);
			must(next > f->now || next == TIMER_OFF, "a timer armed for after now, or never,");
		}
		f->events++;
	}
	f->now = end;
}

bool fake_vm_locked(const struct fake_vm *f)
{
	const struct platform *p = f->p;

	for (unsigned i = 0; i < DEVICES; i++)
		if (p->devices.of[i] && spin_is_locked(p->devices.of[i]->lock))
			return true;
	for (unsigned i = 0; i < f->vcpus; i++)
		if (spin_is_locked(&p->timers[i].lock))
			return true;
	return spin_is_locked(&p->bus.lock) || spin_is_locked(&p->vectors.lock);
}

void fake_irq(struct fake_vm *f, unsigned irq, bool level)
{
	const struct irq_line line = { .to = &f->p->interrupts, .irq = irq };

	irq_line_set(&line, level);
}

void fake_irq_pulse(struct fake_vm *f, unsigned irq)
{
	const struct irq_line line = { .to = &f->p->interrupts, .irq = irq };

	irq_line_pulse(&line);
}

uint8_t inb(struct fake_vm *f, uint16_t port)
{
	return (uint8_t)platform_pio_read(f->p, 0, port, 1);
}
void outb(struct fake_vm *f, uint16_t port, uint8_t v)
{
	platform_pio_write(f->p, 0, port, 1, v);
}
uint32_t lapic_rd(struct fake_vm *f, unsigned vcpu, unsigned off)
{
	return (uint32_t)platform_mmio_read(f->p, vcpu, gpa(LAYOUT_LAPIC + off), 4);
}
void lapic_wr(struct fake_vm *f, unsigned vcpu, unsigned off, uint32_t v)
{
	platform_mmio_write(f->p, vcpu, gpa(LAYOUT_LAPIC + off), 4, v);
}
uint32_t ioapic_rd(struct fake_vm *f, unsigned reg)
{
	platform_mmio_write(f->p, 0, gpa(LAYOUT_IOAPIC), 4, reg);
	return (uint32_t)platform_mmio_read(f->p, 0, gpa(LAYOUT_IOAPIC + 0x10), 4);
}
void ioapic_wr(struct fake_vm *f, unsigned reg, uint32_t v)
{
	platform_mmio_write(f->p, 0, gpa(LAYOUT_IOAPIC), 4, reg);
	platform_mmio_write(f->p, 0, gpa(LAYOUT_IOAPIC + 0x10), 4, v);
}

int take_irq(struct fake_vm *f, unsigned vcpu)
{
	int vector = platform_irq_sync(f->p, vcpu);

	return vector < 0 ? -1 : platform_irq_ack(f->p, vcpu, vector);
}

void pic_setup(struct fake_vm *f, uint16_t mask)
{
	outb(f, 0x20, 0x11);
	outb(f, 0x21, 0x20);
	outb(f, 0x21, 0x04);
	outb(f, 0x21, 0x01);
	outb(f, 0xa0, 0x11);
	outb(f, 0xa1, 0x28);
	outb(f, 0xa1, 0x02);
	outb(f, 0xa1, 0x01);
	outb(f, 0x21, (uint8_t)mask);
	outb(f, 0xa1, (uint8_t)(mask >> 8));
}
