/* SPDX-License-Identifier: MIT */
/* The Intel MP table: found as the specification says, and of one mind with the MADT and the wiring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mm/space/guest_mem.h"
#include "tests/support/fakes/fake_vm.h"
#include "tests/support/fakes/guest_memory.h"
#include "tests/support/rig/guest_tables.h"

enum { PROCESSOR, BUS, IOAPIC, INPUT, LOCAL_INPUT, TYPES };

static struct fake_vm *f;
static const uint8_t *madt, *config;

static bool mailbox; /* how vCPUs start */

static void open_vm(unsigned vcpus)
{
	guest_memory_open(64 * MiB, vcpus);
	guest_memory_add(0, LAYOUT_VGA);
	if (mailbox)
		guest_memory_add(LAYOUT_WAKEUP, LAYOUT_IDENTITY);
	f = mailbox ? fake_vm_open_mailbox(vcpus, guest_memory.mmu) : fake_vm_open(vcpus, guest_memory.mmu);
}

static int teardown(void **state)
{
	mailbox = false;
	guest_memory_destroy_mmu();
	fake_vm_close(f);
	guest_memory_close();
	return 0;
}

/* Searches as MP 1.4, chapter 4 says: the EBDA's first KiB, then the ROM. NULL: nowhere. */
static const uint8_t *search(void)
{
	static uint8_t ebda[KiB];

	assert_int_equal(guest_read(guest_memory.mmu, gpa(LAYOUT_EBDA), ebda, sizeof(ebda)), 0);
	for (unsigned at = 0; at < sizeof(ebda); at += 16)
		if (!memcmp(ebda + at, "_MP_", 4) && !sum(ebda + at, 16))
			return ebda + at;
	for (uint64_t at = 0xf0000; at < 0x100000; at += 16)
		if (!memcmp(tables_at(at), "_MP_", 4) && !sum(tables_at(at), 16))
			return tables_at(at);
	return NULL;
}

static void read_tables(unsigned vcpus)
{
	const uint8_t *floating;

	open_vm(vcpus);
	madt = tables_madt(tables_write(f->p, guest_memory.mmu));
	floating = search();
	assert_non_null(floating);
	assert_int_equal(floating[8], 1);	    /* length in 16 bytes */
	assert_int_equal(floating[9], 4);	    /* version 1.4 */
	assert_int_equal(get(floating + 11, 5), 0); /* a configuration table; no IMCR */
	config = tables_at(get(floating + 4, 4));
	assert_memory_equal(config, "PCMP", 4);
	assert_int_equal(config[6], 4);
	assert_int_equal(sum(config, get(config + 4, 2)), 0);
	assert_int_equal(get(config + 36, 4), get(madt + 36, 4)); /* the local APICs' address */
}

static unsigned entry_size(const uint8_t *e)
{
	assert_in_range(e[0], 0, TYPES - 1);
	return e[0] == PROCESSOR ? 20 : 8;
}

/* The next entry of a type behind `after` (NULL: the first), or NULL. */
static const uint8_t *next_entry(unsigned type, const uint8_t *after)
{
	const uint8_t *e = after ? after + entry_size(after) : config + 44;

	for (; e < config + get(config + 4, 2); e += entry_size(e))
		if (e[0] == type)
			return e;
	return NULL;
}

static const uint8_t *next_of_madt(unsigned type, const uint8_t *after)
{
	const uint8_t *e = after ? after + after[1] : madt + 44;

	for (; e < madt + get(madt + 4, 4); e += e[1])
		if (e[0] == type)
			return e;
	return NULL;
}

static void entries_are_counted_and_sorted(void **state)
{
	unsigned n = 0, type = 0;
	const uint8_t *e, *end;

	read_tables(3);
	end = config + get(config + 4, 2);
	for (e = config + 44; e < end; e += entry_size(e), n++) {
		assert_in_range(e[0], type, TYPES - 1);
		type = e[0];
	}
	assert_ptr_equal(e, end);
	assert_int_equal(n, get(config + 34, 2));
}

static void processors_are_those_of_the_madt(unsigned vcpus)
{
	const uint8_t *mp = NULL, *acpi = NULL;
	unsigned n = 0;

	read_tables(vcpus);
	while ((mp = next_entry(PROCESSOR, mp))) {
		acpi = next_of_madt(0, acpi);
		assert_non_null(acpi);
		assert_int_equal(mp[1], acpi[3]);
		assert_int_equal(mp[3] & 1, get(acpi + 4, 4) & 1);
		assert_int_equal(!!(mp[3] & 2), n == 0); /* the boot processor */
		assert_int_equal(mp[2], (uint8_t)lapic_rd(f, 0, APIC_VERSION));
		assert_int_equal(get(mp + 4, 4), FAKE_SIGNATURE);
		assert_int_equal(get(mp + 8, 4), FAKE_FEATURES);
		n++;
	}
	assert_null(next_of_madt(0, acpi));
	assert_int_equal(n, vcpus);
}

static void one_processor_is_that_of_the_madt(void **state)
{
	processors_are_those_of_the_madt(1);
}

static void as_many_processors_as_there_can_be_are_those_of_the_madt(void **state)
{
	processors_are_those_of_the_madt(CPUS_MAX);
}

static void processors_that_no_sipi_starts_are_left_out(void **state)
{
	const uint8_t *boot;

	mailbox = true;
	read_tables(4);
	boot = next_entry(PROCESSOR, NULL);
	assert_non_null(boot);
	assert_int_equal(boot[3], 3); /* enabled, the boot processor */
	assert_null(next_entry(PROCESSOR, boot));
	assert_non_null(next_of_madt(0, next_of_madt(0, NULL)));
}

static void the_io_apic_is_that_of_the_madt(void **state)
{
	const uint8_t *mp, *acpi;

	read_tables(2);
	mp = next_entry(IOAPIC, NULL);
	acpi = next_of_madt(1, NULL);
	assert_non_null(mp);
	assert_int_equal(mp[1], acpi[2]);
	assert_int_equal(mp[1], ioapic_rd(f, 0) >> 24); /* xv6 compares the two */
	assert_int_equal(mp[2], (uint8_t)ioapic_rd(f, 1));
	assert_int_equal(mp[3], 1);
	assert_int_equal(get(mp + 4, 4), get(acpi + 4, 4));
	assert_null(next_entry(IOAPIC, mp));
}

/* The bus whose name begins so; fails if there is none. */
static unsigned bus_id(const char *name)
{
	const uint8_t *e = NULL;

	while ((e = next_entry(BUS, e)))
		if (!memcmp(e + 2, name, strlen(name)))
			return e[1];
	fail_msg("no bus %s", name);
	return 0;
}

/* The interrupt source of this bus and number; NULL if there is none. Fails if there are two. */
static const uint8_t *source(unsigned bus, unsigned irq)
{
	const uint8_t *e = NULL, *found = NULL;

	while ((e = next_entry(INPUT, e)))
		if (e[4] == bus && e[5] == irq) {
			assert_null(found);
			assert_int_equal(e[1], 0); /* INT */
			assert_int_equal(e[6], next_entry(IOAPIC, NULL)[1]);
			found = e;
		}
	return found;
}

static void isa_interrupts_follow_the_overrides(void **state)
{
	read_tables(2);
	for (unsigned irq = 0; irq < 16; irq++) {
		const uint8_t *mp = source(bus_id("ISA   "), irq), *acpi = NULL;
		unsigned pin = irq, flags = 0;

		while ((acpi = next_of_madt(2, acpi)))
			if (acpi[3] == irq) {
				pin = (unsigned)get(acpi + 4, 4);
				flags = (unsigned)get(acpi + 8, 2);
			}
		if (irq == 2) {
			assert_null(mp); /* the cascade */
			continue;
		}
		assert_non_null(mp);
		assert_int_equal(mp[7], pin);
		assert_int_equal(get(mp + 2, 2), flags); /* the two encode polarity and trigger alike */
		/* ... and it is so: the line arrives at that pin. */
		DEV(f, vioapic)->lines = 0;
		fake_irq(f, irq, true);
		assert_int_equal(DEV(f, vioapic)->lines, BIT(pin));
	}
}

static void pci_interrupts_arrive_where_the_table_says(void **state)
{
	read_tables(2);
	assert_int_equal(bus_id("PCI   "), 0); /* its own number */
	for (unsigned slot = 1; slot < VPCI_SLOTS; slot++)
		for (unsigned pin = 0; pin < 4; pin++) {
			struct vpci_dev dev = { .name = "test", .slot = slot };
			const uint8_t *mp = source(0, slot << 2 | pin);

			assert_non_null(mp);
			assert_int_equal(get(mp + 2, 2), 0);
			vpci_identify(&dev, 0x1234, 1, 0xff0000, 1);
			dev.config[PCI_INTERRUPT_PIN] = dev.initial[PCI_INTERRUPT_PIN] = (uint8_t)(pin + 1);
			assert_int_equal(vpci_add(DEV(f, vpci), &dev), 0);
			vpci_intx(&dev, true);
			assert_int_equal(DEV(f, vioapic)->lines, BIT(mp[7]));
			vpci_intx(&dev, false);
			assert_int_equal(DEV(f, vioapic)->lines, 0);
			DEV(f, vpci)->slot[slot] = NULL;
		}
}

static void local_inputs_are_those_of_the_madt(void **state)
{
	const uint8_t *e = NULL, *nmi;
	bool intr = false, nmis = false;

	read_tables(2);
	nmi = next_of_madt(4, NULL);
	while ((e = next_entry(LOCAL_INPUT, e))) {
		if (e[1] == 3) { /* ExtINT: where the reset state has it */
			intr = true;
			assert_int_equal(e[6], 0);
			assert_int_equal(e[7], 0);
			assert_int_equal(lapic_rd(f, 0, APIC_LVT_LINT0) >> 8 & 7, 7);
			assert_int_equal(lapic_rd(f, 0, APIC_LVT_LINT0) >> 16 & 1, 0);
		} else {
			nmis = true;
			assert_int_equal(e[1], 1);
			assert_int_equal(e[6], nmi[2]); /* all */
			assert_int_equal(e[7], nmi[5]);
		}
		assert_int_equal(e[4], bus_id("ISA   "));
	}
	assert_true(intr && nmis);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(entries_are_counted_and_sorted),
		T(one_processor_is_that_of_the_madt),
		T(as_many_processors_as_there_can_be_are_those_of_the_madt),
		T(processors_that_no_sipi_starts_are_left_out),
		T(the_io_apic_is_that_of_the_madt),
		T(isa_interrupts_follow_the_overrides),
		T(pci_interrupts_arrive_where_the_table_says),
		T(local_inputs_are_those_of_the_madt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
