/* SPDX-License-Identifier: MIT */
/*
 * The virtual platform under real threads, compiled with ThreadSanitizer: two vCPUs that access different devices, the same
 * device, and each other's local APICs; while one of them moves the BARs of a PCI function under the other's accesses, and a
 * third thread types on the console.
 *
 *	THREADS_SECONDS=n	for each test, 2 by default
 *
 * What is looked at, besides what ThreadSanitizer says:
 *
 *	a device that stays where it is is never missed, whatever moves beside it in the table
 *	a device that moves answers with what it is, or not at all
 *	an interrupt that was sent arrives
 *	at the end no lock is held
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest/dev/machine.h"
#include "guest/dev/vioapic.h"
#include "guest/dev/vkbc.h"
#include "guest/dev/vpci.h"
#include "guest/dev/vuart.h"

#define VCPUS	     2
#define TSC_HZ	     1000000000ul
#define SLOT	     5
#define REGISTER     0x5a000000u /* of the function: its registers show this and their offset */
#define MEMORY_BAR   0
#define PORT_BAR     1
#define PLACES	     4
#define MEMORY_AT(n) (LAYOUT_PCI + 0x1000000ul * (n))
#define PORTS_AT(n)  (0xd000u + 0x100u * (n))
#define VECTOR_IPI   0x61
#define VECTOR_PIN   0x71

static struct {
	struct platform *p;
	void *apic_page[VCPUS];
	struct vpci_dev dev;
	bool stop;
	bool woken[VCPUS], init[VCPUS];
	uint64_t typed, written, rooms; /* under the console's lock */
	uint64_t sent, arrived;
	/* By vCPU: interrupts, and accesses of the function while it moved. */
	uint64_t taken[VCPUS], found[VCPUS], missed[VCPUS];
} t;

/* In a thread: cmocka knows of none. */
static void must_be(uint64_t is, uint64_t expected, const char *what)
{
	if (is == expected)
		return;
	fprintf(stderr, "%s is %#lx, not %#lx\n", what, is, expected);
	abort();
}

/* ---- what hv/ would be ---- */

static uint64_t op_clock(void *vm)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * TSC_HZ + (uint64_t)now.tv_nsec;
}
static void op_wake(void *vm, unsigned vcpu)
{
	atomic_store(&t.woken[vcpu], true);
}
static void op_sooner(void *vm, unsigned vcpu, uint64_t due)
{
	atomic_store(&t.woken[vcpu], true);
}
static void op_interrupt(void *vm, unsigned vcpu, int vector)
{
	atomic_store(&t.woken[vcpu], true);
}
static void op_init(void *vm, unsigned vcpu)
{
	atomic_store(&t.init[vcpu], true);
}
static void op_sipi(void *vm, unsigned vcpu, uint8_t vector)
{
}
static void op_start(void *vm, unsigned vcpu, uint64_t vector)
{
}
static void op_nmi(void *vm, unsigned vcpu)
{
}
/* Plain: the console's lock keeps them apart. */
static size_t op_console_write(void *vm, const char *text, size_t n)
{
	n = n / 2 + 1;
	t.written += n;
	return n;
}
static bool op_console_room(void *vm)
{
	return t.rooms++ % 7;
}
static bool op_has_time(void *vm)
{
	return t.rooms % 3;
}
static int op_console_read(void *vm)
{
	return t.typed++ % 3 ? 'a' : -1;
}
static void op_end(void *vm, enum vm_end why, uint32_t code)
{
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

static bool take_interrupt(unsigned vcpu)
{
	int vector = platform_irq_sync(t.p, vcpu);

	if (vector >= 0)
		vector = platform_irq_ack(t.p, vcpu, vector);
	if (vector < 0)
		return false;
	t.taken[vcpu]++;
	if (vector == VECTOR_IPI)
		atomic_fetch_add(&t.arrived, 1);
	platform_mmio_write(t.p, vcpu, gpa(LAYOUT_LAPIC + APIC_EOI), 4, 0);
	platform_pio_write(t.p, vcpu, 0x20, 1, 0x20);
	return true;
}

/* A vCPU between two accesses: as the run loop, events before interrupts. */
static void go_round(unsigned vcpu)
{
	if (atomic_load(&t.init[vcpu])) {
		atomic_store(&t.init[vcpu], false);
		platform_apic_init(t.p, vcpu);
	}
	platform_run_events(t.p, vcpu, op_clock(NULL), TIMERS_ALL);
	for (unsigned i = 0; i < 8 && take_interrupt(vcpu); i++)
		;
}

/* ---- accesses ---- */

static void lapic_write(unsigned vcpu, unsigned off, uint32_t value)
{
	platform_mmio_write(t.p, vcpu, gpa(LAYOUT_LAPIC + off), 4, value);
}

static void config_write(unsigned reg, uint32_t value)
{
	platform_pio_write(t.p, 1, 0xcf8, 4, 0x80000000u | SLOT << 11 | reg);
	platform_pio_write(t.p, 1, 0xcfc, 4, value);
}

static void use_uart(unsigned vcpu, unsigned n)
{
	platform_pio_write(t.p, vcpu, VUART_PORT, 1, n % 64 ? 'x' : '\n');
	platform_pio_read(t.p, vcpu, VUART_PORT + 5, 1);
	platform_pio_read(t.p, vcpu, VUART_PORT, 1);
	platform_pio_write(t.p, vcpu, VUART_PORT + 1, 1, n & 3);
}

static void use_keyboard(unsigned vcpu, unsigned n)
{
	platform_pio_read(t.p, vcpu, 0x64, 1);
	platform_pio_read(t.p, vcpu, 0x60, 1);
	if (n % 16 == 0)
		platform_pio_write(t.p, vcpu, 0x60, 1, 0xf4);
}

static void use_clocks(unsigned vcpu, unsigned n)
{
	platform_pio_write(t.p, vcpu, 0x70, 1, 0x0c);
	platform_pio_read(t.p, vcpu, 0x71, 1);
	platform_pio_write(t.p, vcpu, 0x43, 1, 0x34);
	platform_pio_write(t.p, vcpu, 0x40, 1, 0x00);
	platform_pio_write(t.p, vcpu, 0x40, 1, 0x20);
	platform_pio_read(t.p, vcpu, 0x608, 4);
}

static void use_controllers(unsigned vcpu, unsigned n)
{
	uint64_t id;

	platform_pio_write(t.p, vcpu, 0x21, 1, n & 0xff);
	platform_pio_read(t.p, vcpu, 0x20, 1);
	/* Whichever thread selected it: a register of the I/O APIC, which is never missing. */
	platform_mmio_write(t.p, vcpu, gpa(LAYOUT_IOAPIC), 4, 1);
	id = platform_mmio_read(t.p, vcpu, gpa(LAYOUT_IOAPIC + 0x10), 4);
	must_be(id, VIOAPIC_VERSION | (VIOAPIC_PINS - 1) << 16, "the I/O APIC's version");
}

static void use_function(unsigned vcpu, unsigned n)
{
	uint64_t value = platform_mmio_read(t.p, vcpu, gpa(MEMORY_AT(n % PLACES) + 4 * (n % 16)), 4);

	if (value != 0xffffffff)
		must_be(value, REGISTER + 4 * (n % 16), "the function's register in memory");
	if (value == 0xffffffff)
		t.missed[vcpu]++;
	else
		t.found[vcpu]++;
	/* A byte: an access of four ports may be split, and its bytes find the function here and there. */
	value = platform_pio_read(t.p, vcpu, (uint16_t)(PORTS_AT(n % PLACES) + 7), 1);
	if (value != 0xff)
		must_be(value, (REGISTER + 7) & 0xff, "the function's register in ports");
}

static void move_function(unsigned n)
{
	config_write(PCI_BAR0, (uint32_t)MEMORY_AT(n % PLACES));
	config_write(PCI_BAR0 + 4, PORTS_AT(n / 3 % PLACES));
	if (n % 5 == 0)
		config_write(PCI_COMMAND, n % 10 ? PCI_COMMAND_IO | PCI_COMMAND_MEMORY : 0);
}

static void send(unsigned vcpu, unsigned n)
{
	lapic_write(vcpu, APIC_ICR_HIGH, (1 - vcpu) << 24);
	lapic_write(vcpu, APIC_ICR, n % 8 ? VECTOR_IPI : 0x100 | VECTOR_IPI /* lowest priority */);
	irq_msi(&t.p->interrupts, LAYOUT_LAPIC | vcpu << 12, VECTOR_PIN);
	if (n % 1024 == 0)
		lapic_write(vcpu, APIC_TIMER_INIT, 1000);
	if (vcpu == 0 && n % 512 == 0)
		lapic_write(vcpu, APIC_ICR, 0x4500); /* INIT */
}

static void lapic_on(unsigned vcpu)
{
	lapic_write(vcpu, APIC_SVR, 0x1ff);
	lapic_write(vcpu, APIC_LVT_TIMER, 0x20000 | 0x51);
	lapic_write(vcpu, APIC_LVT_ERROR, 0x52);
}

/* ---- threads ---- */

static void pause_for_test(void)
{
	const char *seconds = getenv("THREADS_SECONDS");
	const struct timespec length = { .tv_sec = seconds ? atoi(seconds) : 2 };

	nanosleep(&length, NULL);
}

struct part {
	unsigned vcpu;
	void (*step)(unsigned vcpu, unsigned n);
};

static void *run_vcpu(void *arg)
{
	const struct part *part = arg;

	for (unsigned n = 0; !atomic_load(&t.stop); n++) {
		if (n % 256 == 0)
			lapic_on(part->vcpu); /* again after an INIT */
		part->step(part->vcpu, n);
		go_round(part->vcpu);
	}
	return NULL;
}

static void *run_typist(void *arg)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	while (!atomic_load(&t.stop)) {
		platform_console_input(t.p);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void run_together(void (*step0)(unsigned, unsigned), void (*step1)(unsigned, unsigned))
{
	struct part part[VCPUS] = { { 0, step0 }, { 1, step1 } };
	pthread_t thread[VCPUS], typist;

	atomic_store(&t.stop, false);
	for (unsigned i = 0; i < VCPUS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, run_vcpu, &part[i]), 0);
	assert_int_equal(pthread_create(&typist, NULL, run_typist, NULL), 0);
	pause_for_test();
	atomic_store(&t.stop, true);
	for (unsigned i = 0; i < VCPUS; i++)
		pthread_join(thread[i], NULL);
	pthread_join(typist, NULL);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_false(t.p->devices.of[i] && spin_is_locked(t.p->devices.of[i]->lock));
	assert_false(spin_is_locked(&t.p->bus.lock));
}

/* ---- the VM ---- */

/* The bus moves a BAR with the lock held that an access holds, too: what gets here goes to where the BAR is. */
static uint64_t memory_read(void *dev, uint64_t off, unsigned size)
{
	must_be(t.dev.bar[MEMORY_BAR].mapped, true, "memory decoding");
	return REGISTER + off;
}
static uint64_t ports_read(void *dev, uint64_t off, unsigned size)
{
	must_be(t.dev.bar[PORT_BAR].mapped, true, "port decoding");
	return REGISTER + off;
}
static void function_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
}

static int setup(void **state)
{
	struct platform_params params = {
		.ops = &ops, .name = "test", .vcpus = VCPUS, .tsc_hz = TSC_HZ, .maxphyaddr = 40
	};

	memset(&t, 0, sizeof(t));
	assert_int_equal(layout_init(&params.settings.layout, 64 * MiB), 0);
	for (unsigned i = 0; i < VCPUS; i++)
		params.apic_page[i] = t.apic_page[i] = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	t.p = aligned_alloc(64, align_up(platform_bytes(), 64));
	memset(t.p, 0, platform_bytes());
	assert_int_equal(platform_init(t.p, &params), 0);
	t.dev.name = "function";
	t.dev.slot = SLOT;
	vpci_identify(&t.dev, 0x1234, 0x5678, 0xff0000, 0);
	t.dev.bar[MEMORY_BAR] = (struct vpci_bar){
		.kind = VPCI_BAR_MEM32, .size = PAGE_SIZE, .read = memory_read, .write = function_write
	};
	t.dev.bar[PORT_BAR] = (struct vpci_bar){
		.kind = VPCI_BAR_IO, .size = 16, .read = ports_read, .write = function_write
	};
	assert_int_equal(vpci_add(device_of(&t.p->devices, vpci), &t.dev), 0);
	for (unsigned i = 0; i < VCPUS; i++)
		lapic_on(i);
	return 0;
}

static int teardown(void **state)
{
	platform_fini(t.p);
	free(t.p);
	for (unsigned i = 0; i < VCPUS; i++)
		free(t.apic_page[i]);
	return 0;
}

/* ---- tests ---- */

static void different_devices_at_once(void **state)
{
	run_together(use_uart, use_clocks);
	assert_true(t.written > 0);
}

static void use_all(unsigned vcpu, unsigned n)
{
	use_uart(vcpu, n);
	use_keyboard(vcpu, n);
	use_clocks(vcpu, n);
	use_controllers(vcpu, n);
}

static void the_same_device_at_once(void **state)
{
	run_together(use_all, use_all);
}

static void look_at_function(unsigned vcpu, unsigned n)
{
	use_function(vcpu, n);
	use_controllers(vcpu, n);
}

static void move_and_look(unsigned vcpu, unsigned n)
{
	move_function(n);
	use_function(vcpu, n);
}

static void an_access_meets_a_bar_that_moves(void **state)
{
	run_together(look_at_function, move_and_look);
	assert_true(t.found[0] > 0 && t.missed[0] > 0);
}

static void interrupts_cross(void **state)
{
	run_together(send, send);
	assert_true(atomic_load(&t.arrived) > 0 && t.taken[0] > 0 && t.taken[1] > 0);
}

/* No IPI is lost that is waited for. */
static void answer(unsigned vcpu, unsigned n)
{
	uint64_t sent = atomic_load(&t.sent), arrived = atomic_load(&t.arrived);

	if (vcpu || sent != arrived)
		return;
	lapic_write(0, APIC_ICR_HIGH, 1 << 24);
	atomic_store(&t.sent, sent + 1);
	lapic_write(0, APIC_ICR, VECTOR_IPI);
}

static void an_ipi_gets_lost(void **state)
{
	run_together(answer, answer);
	go_round(1); /* the last may have been sent after vCPU 1 had stopped */
	assert_int_equal(t.sent, t.arrived);
	assert_true(t.sent > 100);
}

/* ---- the parts by themselves ---- */

#define FILLED 40u

static struct bus bus;
static struct bus_range fixed[FILLED], mover;

static void *search(void *arg)
{
	for (unsigned n = 0; !atomic_load(&t.stop); n++) {
		const struct bus_range *r = bus_search_mmio(&bus, (1 + n % FILLED) * 0x10000);

		must_be(r == &fixed[n % FILLED], true, "the range that stays");
	}
	return NULL;
}

static void *move(void *arg)
{
	for (unsigned n = 0; !atomic_load(&t.stop); n++) {
		must_be((uint64_t)bus_add_mmio(&bus, &mover, n % 2 ? 0x1000 : 0x10000000), 0, "bus_add_mmio");
		bus_remove_mmio(&bus, &mover);
	}
	return NULL;
}

static void run_pair(void *(*a)(void *), void *(*b)(void *))
{
	pthread_t thread[2];

	atomic_store(&t.stop, false);
	assert_int_equal(pthread_create(&thread[0], NULL, a, NULL), 0);
	assert_int_equal(pthread_create(&thread[1], NULL, b, NULL), 0);
	pause_for_test();
	atomic_store(&t.stop, true);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
}

static void a_range_beside_one_that_moves_is_missed(void **state)
{
	bus_init(&bus);
	mover = (struct bus_range){ .base = BUS_OFF, .size = 0x1000, .sizes = BUS_ANY };
	for (unsigned i = 0; i < FILLED; i++) {
		fixed[i] = (struct bus_range){ .base = BUS_OFF, .size = 0x1000, .sizes = BUS_ANY };
		assert_int_equal(bus_add_mmio(&bus, &fixed[i], (1 + i) * 0x10000), 0);
	}
	run_pair(search, move);
}

static struct timer_queue queue;
static struct vtimer timer;
static struct spinlock timer_lock;
static bool armed; /* under timer_lock */
static uint64_t fired;

static void timer_fires(struct vtimer *timer, uint64_t now)
{
	must_be(armed, true, "a timer that fires: armed");
	armed = false;
	fired++;
}

static void *arm_and_stop(void *arg)
{
	while (!atomic_load(&t.stop)) {
		spin_lock(&timer_lock);
		armed = true;
		timer_arm(&timer, 1);
		spin_unlock(&timer_lock);
		spin_lock(&timer_lock);
		armed = false;
		timer_stop(&timer);
		spin_unlock(&timer_lock);
	}
	return NULL;
}

static void *run_timers(void *arg)
{
	while (!atomic_load(&t.stop))
		if (atomic_load(&queue.next) <= 1)
			timers_run(&queue, 1, TIMERS_ALL);
	return NULL;
}

static void a_stopped_timer_fires(void **state)
{
	static const struct vclock clock = {
		.now = op_clock, .ops = &ops, .tsc_hz = TSC_HZ, .period_min = 1
	};

	timer_queue_init(&queue, &clock, 0);
	timer_add(&queue, &timer, &timer_lock, timer_fires);
	run_pair(arm_and_stop, run_timers);
	assert_true(fired > 0);
	assert_true(queue.next == timer.due);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(different_devices_at_once),
		T(the_same_device_at_once),
		T(an_access_meets_a_bar_that_moves),
		T(interrupts_cross),
		T(an_ipi_gets_lost),
		cmocka_unit_test(a_range_beside_one_that_moves_is_missed),
		cmocka_unit_test(a_stopped_timer_fires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
