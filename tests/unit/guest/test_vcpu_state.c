/* SPDX-License-Identifier: MIT */
/* The states that vCPUs start in, against SDM Vol. 3A table 9-1 (power-up, INIT) and 8.4.3 (SIPI), register by register. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "guest/load/vcpu_state.h"

#define SIGNATURE 0x50654

/* A state in which every register differs from what the table says. */
static void disturb(struct vcpu_state *s)
{
	memset(s, 0x5a, sizeof(*s));
}

static void check_segment(const struct cpu_segment *s, unsigned type)
{
	assert_int_equal(s->selector, 0);
	assert_int_equal(s->base, 0);
	assert_int_equal(s->limit, 0xffff);
	assert_int_equal(s->access, type);
}

/* What power-up and INIT have in common, which is nearly all. The table calls CS "read/write", too; as CPUs do (and VM
 * entry wants without unrestricted guest) it is a code segment. */
static void check_table_9_1(const struct vcpu_state *s)
{
	assert_int_equal(s->regs.rflags, 0x2);
	assert_int_equal(s->regs.rip, 0xfff0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(s->regs.gpr[i], i == RDX ? SIGNATURE : 0);
	assert_int_equal(s->cr2, 0);
	assert_int_equal(s->cr3, 0);
	assert_int_equal(s->cr4, 0);
	assert_int_equal(s->efer, 0);
	assert_int_equal(s->seg[SEG_CS].selector, 0xf000);
	assert_int_equal(s->seg[SEG_CS].base, 0xffff0000);
	assert_int_equal(s->seg[SEG_CS].limit, 0xffff);
	assert_int_equal(s->seg[SEG_CS].access, 0x9b);
	for (unsigned i = 0; i < SEGS; i++)
		if (i != SEG_CS)
			check_segment(&s->seg[i], 0x93);
	check_segment(&s->ldtr, 0x82);
	check_segment(&s->tr, 0x8b);
	assert_int_equal(s->gdtr.base, 0);
	assert_int_equal(s->gdtr.limit, 0xffff);
	assert_int_equal(s->idtr.base, 0);
	assert_int_equal(s->idtr.limit, 0xffff);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(s->dr[i], 0);
	assert_int_equal(s->dr6, 0xffff0ff0);
	assert_int_equal(s->dr7, 0x400);
}

static void state_after_power_up(void **state)
{
	struct vcpu_state s;

	disturb(&s);
	vcpu_state_power_up(&s, SIGNATURE);
	check_table_9_1(&s);
	assert_int_equal(s.cr0, 0x60000010);
}

/* Note 2 of the table: CD and NW are unchanged, bit 4 is set, all other bits are cleared. */
static void state_after_init(void **state)
{
	static const uint64_t kept[] = { 0, CR0_CD, CR0_CD | CR0_NW };

	for (unsigned i = 0; i < 3; i++) {
		struct vcpu_state s;

		disturb(&s);
		s.cr0 = CR0_PE | CR0_MP | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_PG | kept[i];
		vcpu_state_init(&s, SIGNATURE);
		check_table_9_1(&s);
		assert_int_equal(s.cr0, CR0_ET | kept[i]);
	}
}

/* Only CS and EIP: what INIT has left stays. */
static void state_after_sipi(void **state)
{
	struct vcpu_state s, before;

	disturb(&s);
	s.cr0 = 0;
	vcpu_state_init(&s, SIGNATURE);
	before = s;
	vcpu_state_sipi(&s, 0x9a);
	assert_int_equal(s.seg[SEG_CS].selector, 0x9a00);
	assert_int_equal(s.seg[SEG_CS].base, 0x9a000);
	assert_int_equal(s.regs.rip, 0);
	before.seg[SEG_CS].selector = 0x9a00;
	before.seg[SEG_CS].base = 0x9a000;
	before.regs.rip = 0;
	assert_memory_equal(&s, &before, sizeof(s));
}

/* Boot protocols: flat segments, debug registers as after power-up. */
static void states_of_boot_protocols(void **state)
{
	struct vcpu_state s;

	vcpu_state_flat32(&s, 0x100000);
	assert_int_equal(s.cr0 & (CR0_PE | CR0_PG), CR0_PE);
	assert_int_equal(s.seg[SEG_CS].access, 0xc09b);
	assert_int_equal(s.seg[SEG_SS].access, 0xc093);
	assert_int_equal(s.dr6, 0xffff0ff0);
	assert_int_equal(s.dr7, 0x400);
	vcpu_state_flat64(&s, 0x1000200, 0x9000);
	assert_int_equal(s.seg[SEG_CS].access, 0xa09b);
	assert_int_equal(s.efer, EFER_LME | EFER_LMA);
	assert_int_equal(s.cr4 & CR4_PAE, CR4_PAE);
	assert_int_equal(s.cr3, 0x9000);
}

static void state_after_the_wakeup_mailbox(void **state)
{
	struct vcpu_state s;

	disturb(&s);
	vcpu_state_wakeup(&s, 0x9a000, 0x8000);
	assert_int_equal(s.regs.rip, 0x9a000);
	assert_int_equal(s.regs.rflags, RFLAGS_ONE); /* interrupts are off */
	assert_int_equal(s.cr0 & (CR0_PE | CR0_PG | CR0_CD | CR0_NW), CR0_PE | CR0_PG);
	assert_int_equal(s.cr3, 0x8000);
	assert_int_equal(s.cr4, CR4_PAE);
	assert_int_equal(s.efer, EFER_LME | EFER_LMA | EFER_NXE);
	assert_int_equal(s.seg[SEG_CS].access, 0xa09b);
	for (unsigned i = 0; i < SEGS; i++) {
		assert_int_equal(s.seg[i].base, 0);
		assert_int_equal(s.seg[i].limit, UINT32_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_after_power_up),
		cmocka_unit_test(state_after_init),
		cmocka_unit_test(state_after_sipi),
		cmocka_unit_test(states_of_boot_protocols),
		cmocka_unit_test(state_after_the_wakeup_mailbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
