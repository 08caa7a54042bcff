/* SPDX-License-Identifier: MIT */
/*
 * What the CPU that runs the tests cannot show (test_emulate_native.c does the rest): faults and their order,
 * segments, other modes, devices, chunks of REP strings, locks that others disturb, the known gpa.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bits.h"
#include "lib/x86.h"
#include "tests/support/fakes/emu_machine.h"

#define LINEAR 0x10000ull
#define PAGES  8u

static struct emu_machine m;
static struct insn_cache cache;
static uint8_t memory[PAGES * PAGE_SIZE];

static void fresh(enum insn_mode mode)
{
	memset(memory, 0, sizeof(memory));
	machine_init(&m, memory, LINEAR, PAGES);
	m.e.mode = mode;
	m.regs.rip = 0x1000;
	if (mode == INSN_MODE_16)
		for (unsigned s = 0; s < SEGS; s++)
			m.seg[s].limit = 0xffff;
}

static void fresh_device(void)
{
	fresh(INSN_MODE_64);
	for (unsigned k = 0; k < PAGES; k++)
		m.page[k] |= PAGE_DEVICE;
}

static int run_bytes(const char *bytes, size_t n)
{
	uint8_t code[16] = { 0 };

	memcpy(code, bytes, n);
	return emulate_cached(&m.e, &cache, code, INSN_MAX); /* kept from test to test */
}
#define RUN(s) run_bytes(s, sizeof(s) - 1)

static uint64_t at(unsigned offset, unsigned n)
{
	uint64_t v = 0;

	memcpy(&v, memory + offset, n);
	return v;
}
static void put(unsigned offset, uint64_t v, unsigned n)
{
	memcpy(memory + offset, &v, n);
}

static void assert_fault(int rc, unsigned vector, uint32_t error)
{
	assert_int_equal(rc, -E_FAULT);
	assert_int_equal(m.e.fault.vector, vector);
	assert_int_equal(m.e.fault.has_error, vector != VEC_UD && vector != VEC_DE);
	assert_int_equal(m.e.fault.error, error);
	assert_int_equal(m.regs.rip, 0x1000);
}

static void assert_logged(unsigned k, uint64_t linear, unsigned n, bool write, uint64_t value)
{
	assert_true(k < m.logged);
	assert_int_equal(m.log[k].gpa, machine_gpa(&m, linear).v);
	assert_int_equal(m.log[k].n, n);
	assert_int_equal(m.log[k].write, write);
	assert_int_equal(m.log[k].value, value);
}

static void known(uint64_t linear, unsigned kinds)
{
	m.e.known = kinds;
	m.e.gpa = machine_gpa(&m, linear);
}

/* ---- the gpa of the VM exit ---- */

static void known_gpa_goes_to_the_device_without_translation(void **state)
{
	fresh_device();
	m.regs.gpr[RAX] = LINEAR + 0x300;
	m.regs.gpr[RCX] = 0x1122334455667788;
	known(LINEAR + 0x300, EMU_WRITE);
	assert_int_equal(RUN("\x89\x08"), 0); /* mov [rax], ecx */
	assert_int_equal(m.translations + m.ram_accesses + m.segments_asked, 0);
	assert_int_equal(m.logged, 1);
	assert_logged(0, LINEAR + 0x300, 4, true, 0x55667788);
	assert_int_equal(m.regs.rip, 0x1002);
	known(LINEAR + 0x300, EMU_READ);
	assert_int_equal(RUN("\x0f\xbe\x10"), 0); /* movsx edx, byte [rax] */
	assert_int_equal(m.regs.gpr[RDX], 0xffffff88);
	assert_int_equal(m.translations + m.ram_accesses, 0);
	known(LINEAR + 0x300, EMU_READ | EMU_WRITE);
	assert_int_equal(RUN("\x83\x08\x01"), 0); /* or dword [rax], 1: not the shortest path */
	assert_int_equal(m.translations + m.ram_accesses, 0);
	assert_logged(m.logged - 1, LINEAR + 0x300, 4, true, 0x55667789);
}

static void known_gpa_is_not_used_for_what_the_hardware_did_not_check(void **state)
{
	/* It allowed a read, the instruction (exchanged meanwhile) writes: the guest's paging decides. */
	fresh_device();
	m.page[0] &= ~PAGE_WRITE;
	m.regs.gpr[RAX] = LINEAR + 0x300;
	known(LINEAR + 0x300, EMU_READ);
	assert_fault(RUN("\x89\x08"), VEC_PF, PF_PRESENT | PF_WRITE);
	assert_int_equal(m.e.fault.cr2, LINEAR + 0x300);
	assert_fault(RUN("\x83\x08\x01"), VEC_PF, PF_PRESENT | PF_WRITE);
	assert_int_equal(m.logged, 0);

	/* Another place in the page than the operand's. */
	fresh_device();
	m.regs.gpr[RAX] = LINEAR + 0x300;
	known(LINEAR + PAGE_SIZE + 0x304, EMU_READ | EMU_WRITE);
	assert_int_equal(RUN("\x89\x08"), 0);
	assert_int_equal(m.translations, 1);
	assert_logged(0, LINEAR + 0x300, 4, true, 0);
	known(LINEAR + PAGE_SIZE + 0x300, EMU_READ | EMU_WRITE);

	/* The same offset, but before the base of GS is added. */
	m.seg[SEG_GS].base = 8;
	assert_int_equal(RUN("\x65\x89\x08"), 0);
	assert_logged(1, LINEAR + 0x308, 4, true, 0);

	/* An operand that crosses into the next page. */
	m.regs.gpr[RAX] = LINEAR + 0xffe;
	known(LINEAR + 0xffe, EMU_READ | EMU_WRITE);
	m.translations = 0;
	assert_int_equal(RUN("\x89\x08"), 0);
	assert_int_equal(m.translations, 2);

	/* PUSH [rax]: the gpa may be the stack's. Same page offset on purpose. */
	m.regs.gpr[RAX] = LINEAR + 0x300;
	m.regs.gpr[RSP] = LINEAR + PAGE_SIZE + 0x308;
	put(0x300, 0xabcd, 8);
	known(LINEAR + PAGE_SIZE + 0x300, EMU_READ | EMU_WRITE);
	assert_int_equal(RUN("\xff\x30"), 0);
	assert_int_equal(at(PAGE_SIZE + 0x300, 8), 0xabcd);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + PAGE_SIZE + 0x300);
}

/* ---- pages ---- */

static void both_pages_are_checked_before_either_is_touched(void **state)
{
	fresh_device();
	m.page[1] = 0;
	m.regs.gpr[RAX] = LINEAR + 0xffd;
	assert_fault(RUN("\x48\x89\x08"), VEC_PF, PF_WRITE); /* mov [rax], rcx */
	assert_int_equal(m.e.fault.cr2, LINEAR + PAGE_SIZE);
	assert_fault(RUN("\x48\x8b\x08"), VEC_PF, 0);
	assert_int_equal(m.logged, 0);
}

static void crossing_operand_is_made_of_pieces_that_devices_know(void **state)
{
	fresh_device();
	m.regs.gpr[RAX] = LINEAR + 0xffd;
	m.regs.gpr[RCX] = 0x8877665544332211;
	assert_int_equal(RUN("\x48\x89\x08"), 0);
	assert_int_equal(m.logged, 4); /* 3 bytes here, 5 there */
	assert_logged(0, LINEAR + 0xffd, 2, true, 0x2211);
	assert_logged(1, LINEAR + 0xfff, 1, true, 0x33);
	assert_logged(2, LINEAR + 0x1000, 4, true, 0x77665544);
	assert_logged(3, LINEAR + 0x1004, 1, true, 0x88);
	assert_int_equal(RUN("\x48\x8b\x10"), 0); /* mov rdx, [rax] */
	assert_int_equal(m.regs.gpr[RDX], 0x8877665544332211);
}

static void an_operand_half_in_ram_half_in_a_device_is_split(void **state)
{
	fresh(INSN_MODE_64);
	m.page[1] |= PAGE_DEVICE;
	m.regs.gpr[RAX] = LINEAR + 0xffe;
	m.regs.gpr[RCX] = 0x44332211;
	assert_int_equal(RUN("\x89\x08"), 0);
	assert_int_equal(m.logged, 1);
	assert_logged(0, LINEAR + 0x1000, 2, true, 0x4433);
	assert_int_equal(at(0xffe, 4), 0x44332211);
	assert_int_equal(RUN("\x83\x00\x01"), 0); /* add dword [rax], 1 */
	assert_int_equal(at(0xffe, 4), 0x44332212);
}

static void write_fault_comes_before_the_read_of_a_read_modify_write(void **state)
{
	static const char *const code[] = { "\x83\x08\x01", "\xff\x00", "\x87\x08", "\x0f\xb1\x08",
		"\x0f\xab\x08", "\x0f\xc1\x08", "\x0f\xc7\x08", "\xf0\x83\x08\x01" };

	for (unsigned k = 0; k < ARRAY_SIZE(code); k++) {
		fresh_device();
		m.page[0] &= ~PAGE_WRITE;
		m.regs.gpr[RAX] = LINEAR + 0x40;
		assert_fault(run_bytes(code[k], strlen(code[k])), VEC_PF, PF_PRESENT | PF_WRITE);
		assert_int_equal(m.logged, 0);
	}
	/* CMP, TEST and BT only look. */
	fresh_device();
	m.page[0] &= ~PAGE_WRITE;
	m.regs.gpr[RAX] = LINEAR + 0x40;
	assert_int_equal(RUN("\x39\x08"), 0);
	assert_int_equal(RUN("\x85\x08"), 0);
	assert_int_equal(RUN("\x0f\xba\x20\x03"), 0);
	assert_int_equal(m.logged, 3);
}

static void write_to_rom_goes_to_the_platform_and_reads_do_not(void **state)
{
	fresh(INSN_MODE_64);
	m.page[0] |= PAGE_ROM;
	put(0x10, 0x41, 4);
	m.regs.gpr[RAX] = LINEAR + 0x10;
	known(LINEAR + 0x10, EMU_WRITE);	  /* as for a write to a read-only slot */
	assert_int_equal(RUN("\x83\x08\x02"), 0); /* or dword [rax], 2 */
	assert_int_equal(m.logged, 1);
	assert_logged(0, LINEAR + 0x10, 4, true, 0x43);
	assert_int_equal(RUN("\xf0\x83\x08\x04"), 0); /* lock or: the exchange is refused by ROM, too */
	assert_int_equal(m.logged, 2);
}

/* ---- addresses ---- */

static void non_canonical_address_is_gp_or_for_the_stack_ss(void **state)
{
	fresh(INSN_MODE_64);
	m.regs.gpr[RAX] = m.regs.gpr[RBP] = m.regs.gpr[R13] = 0x800000000000;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);	  /* mov ecx, [rax] */
	assert_fault(RUN("\x8b\x4d\x00"), VEC_SS, 0);	  /* mov ecx, [rbp] */
	assert_fault(RUN("\x41\x8b\x4d\x00"), VEC_GP, 0); /* mov ecx, [r13] */
	m.regs.gpr[RAX] = 0x7ffffffffffd;		  /* its last byte is not canonical */
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
	assert_int_equal(m.translations, 0);
	m.e.linear_bits = 57;
	assert_fault(RUN("\x8b\x08"), VEC_PF, 0);
	m.regs.gpr[RAX] = 0xff00000000000000;
	assert_fault(RUN("\x8b\x08"), VEC_PF, 0);
	m.regs.gpr[RAX] = 0xfe00000000000000;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
}

static void fs_and_gs_have_a_base_in_64_bit_mode_and_the_others_none(void **state)
{
	fresh(INSN_MODE_64);
	put(0x100, 0x1234, 4);
	for (unsigned s = 0; s < SEGS; s++)
		m.seg[s].base = 0x555000;
	m.seg[SEG_GS].base = LINEAR;
	m.regs.gpr[RAX] = 0x100;
	assert_int_equal(RUN("\x65\x8b\x08"), 0); /* mov ecx, gs:[rax] */
	assert_int_equal(m.regs.gpr[RCX], 0x1234);
	assert_int_equal(m.segments_asked, 1);
	m.regs.gpr[RAX] = LINEAR + 0x100;
	assert_int_equal(RUN("\x2e\x8b\x10"), 0); /* mov edx, cs:[rax]: ignored */
	assert_int_equal(m.regs.gpr[RDX], 0x1234);
	assert_int_equal(m.segments_asked, 1);
}

static void segment_limits_hold_in_32_bit_mode(void **state)
{
	fresh(INSN_MODE_32);
	m.seg[SEG_DS].base = LINEAR;
	m.seg[SEG_DS].limit = 0x103;
	m.seg[SEG_SS] = m.seg[SEG_DS];
	put(0x100, 0xcafe, 4);
	m.regs.gpr[RAX] = m.regs.gpr[RBP] = 0x100;
	assert_int_equal(RUN("\x8b\x08"), 0);
	assert_int_equal(m.regs.gpr[RCX], 0xcafe);
	m.regs.rip = 0x1000;
	m.regs.gpr[RAX] = m.regs.gpr[RBP] = 0x101;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
	assert_fault(RUN("\x8b\x4d\x00"), VEC_SS, 0);
	m.regs.gpr[RAX] = 0xfffffffe; /* wraps */
	m.seg[SEG_DS].limit = 0xffffffff;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
	/* The linear address is 32 bits wide: base + offset wraps. */
	m.seg[SEG_DS].base = 0xffff0000;
	m.regs.gpr[RAX] = (uint32_t)(LINEAR + 0x100 - 0xffff0000ull);
	assert_int_equal(RUN("\x8b\x08"), 0);
	assert_int_equal(m.regs.gpr[RCX], 0xcafe);
}

static void segment_types_hold_in_protected_mode_only(void **state)
{
	fresh(INSN_MODE_32);
	m.regs.gpr[RAX] = LINEAR;
	m.seg[SEG_DS].access = 0xc091; /* read-only data */
	assert_fault(RUN("\x89\x08"), VEC_GP, 0);
	assert_int_equal(RUN("\x8b\x08"), 0);
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x2e\x89\x08"), VEC_GP, 0); /* mov cs:[eax], ecx */
	assert_int_equal(RUN("\x2e\x8b\x08"), 0);
	m.regs.rip = 0x1000;
	m.seg[SEG_CS].access = 0xc099; /* execute-only */
	assert_fault(RUN("\x2e\x8b\x08"), VEC_GP, 0);
	m.seg[SEG_ES].access = 0x1c093; /* unusable */
	assert_fault(RUN("\x26\x8b\x08"), VEC_GP, 0);
	m.e.protected_mode = false;
	assert_int_equal(RUN("\x89\x08"), 0);
	assert_int_equal(RUN("\x2e\x89\x08"), 0);
	assert_int_equal(RUN("\x26\x8b\x08"), 0);
}

static void expand_down_segments_begin_above_their_limit(void **state)
{
	fresh(INSN_MODE_32);
	m.seg[SEG_DS].access = 0xc097;
	m.seg[SEG_DS].limit = LINEAR + 0xff;
	m.regs.gpr[RAX] = LINEAR + 0xff;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
	m.regs.gpr[RAX] = LINEAR + 0x100;
	assert_int_equal(RUN("\x8b\x08"), 0);
	m.seg[SEG_DS].access = 0x8097; /* B clear: up to 64 KiB */
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0);
}

static void sixteen_bit_addresses_wrap_and_bp_means_the_stack_segment(void **state)
{
	fresh(INSN_MODE_16);
	m.e.protected_mode = false;
	m.seg[SEG_DS].base = LINEAR;
	m.seg[SEG_SS].base = LINEAR + 0x2000;
	put(0x10, 0x1111, 2);
	put(0x2010, 0x2222, 2);
	m.regs.gpr[RBX] = 0xdead8000;
	m.regs.gpr[RBP] = 0xbeef8000;
	m.regs.gpr[RSI] = 0x8010;
	assert_int_equal(RUN("\x8b\x08"), 0); /* mov cx, [bx + si] */
	assert_int_equal(m.regs.gpr[RCX], 0x1111);
	assert_int_equal(RUN("\x8b\x0a"), 0); /* mov cx, [bp + si] */
	assert_int_equal(m.regs.gpr[RCX], 0x2222);
	m.regs.gpr[RBX] = 0xffff;
	m.regs.gpr[RSI] = 0;
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x8b\x08"), VEC_GP, 0); /* the second byte is beyond the limit, it does not wrap */
	assert_int_equal(RUN("\xa1\x10\x00"), 0); /* mov ax, [0x10] */
	assert_int_equal(m.regs.gpr[RAX], 0x1111);
}

static void eip_wraps_at_4_gib_and_rip_does_not(void **state)
{
	fresh(INSN_MODE_32);
	m.regs.gpr[RAX] = LINEAR;
	m.regs.rip = 0xffffffff;
	assert_int_equal(RUN("\x8b\x08"), 0);
	assert_int_equal(m.regs.rip, 1);
	m.e.mode = INSN_MODE_64;
	m.regs.rip = 0xffffffff;
	assert_int_equal(RUN("\x8b\x08"), 0);
	assert_int_equal(m.regs.rip, 0x100000001);
}

static void unaligned_is_ac_where_asked_and_after_the_page_fault(void **state)
{
	fresh_device();
	m.e.align_check = true;
	m.regs.gpr[RAX] = LINEAR + 2;
	known(LINEAR + 2, EMU_READ | EMU_WRITE);
	assert_fault(RUN("\x8b\x08"), VEC_AC, 0);
	assert_fault(RUN("\x83\x08\x01"), VEC_AC, 0);
	assert_int_equal(m.logged, 0);
	assert_int_equal(RUN("\x66\x8b\x08"), 0);
	m.regs.rip = 0x1000;
	m.e.known = 0;
	m.page[0] = 0;
	assert_fault(RUN("\x8b\x08"), VEC_PF, 0);
}

/* ---- what is refused ---- */

static void refusals_name_the_instruction_and_the_reason(void **state)
{
	static const uint8_t ud2[] = { 0x0f, 0x0b };
	char text[128];

	fresh(INSN_MODE_64);
	assert_fault(RUN("\xf0\x8b\x08"), VEC_UD, 0); /* lock mov */
	assert_fault(RUN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"), VEC_GP, 0);
	assert_int_equal(emulate(&m.e, (const uint8_t *)"\x8b", 1), -E_RANGE);
	assert_int_equal(RUN("\x8b\xc8"), -E_NOSUP); /* mov ecx, eax */
	assert_string_equal(m.e.why, "no memory operand");
	assert_int_equal(RUN("\x6c"), -E_NOSUP);	     /* insb */
	assert_int_equal(RUN("\xc5\xfd\xfe\x00"), -E_NOSUP); /* vpaddd ymm0, ymm0, [rax] */
	assert_non_null(strstr(m.e.why, "VEX"));
	assert_int_equal(emulate(&m.e, ud2, sizeof(ud2)), -E_NOSUP);
	emulate_describe(&m.e, ud2, sizeof(ud2), text, sizeof(text));
	assert_string_equal(text, "0f 0b (not decoded): not an instruction that Lethe emulates");
	assert_int_equal(m.regs.rip, 0x1000);
}

static void locked_update_of_ram_is_atomic_or_tries_again(void **state)
{
	fresh(INSN_MODE_64);
	m.regs.gpr[RAX] = LINEAR + 0x20;
	m.regs.gpr[RCX] = 0x100;
	put(0x20, 0x1000, 4);
	m.disturb = 3;
	assert_int_equal(RUN("\xf0\x0f\xc1\x08"), 0); /* lock xadd [rax], ecx */
	assert_int_equal(at(0x20, 4), 0x1103);	      /* neither addition is lost */
	assert_int_equal(m.regs.gpr[RCX], 0x1003);
	m.disturb = 1000;
	m.regs.rip = 0x1000;
	m.regs.rflags = RFLAGS_ONE | RFLAGS_CF;
	assert_int_equal(RUN("\xf0\x83\x28\x01"), -E_AGAIN); /* lock sub */
	assert_int_equal(m.disturb, 1000 - EMU_RETRIES);
	assert_int_equal(at(0x20, 4), 0x1103 + EMU_RETRIES);
	assert_int_equal(m.regs.rip, 0x1000);
	assert_int_equal(m.regs.rflags, RFLAGS_ONE | RFLAGS_CF);
	m.disturb = 1;
	assert_int_equal(RUN("\x87\x08"), 0); /* xchg is locked without the prefix */
	assert_int_equal(m.disturb, 0);
	m.disturb = 1;
	assert_int_equal(RUN("\x01\x08"), 0); /* add is not */
	assert_int_equal(m.disturb, 1);
}

static void lock_that_cannot_be_kept_is_refused(void **state)
{
	struct emu_ops no_lock;

	fresh(INSN_MODE_64);
	m.regs.gpr[RAX] = LINEAR + 0xffe;
	assert_int_equal(RUN("\xf0\x83\x00\x01"), -E_NOSUP);
	assert_non_null(strstr(m.e.why, "page boundary"));
	assert_int_equal(at(0xffe, 4), 0);
	no_lock = *m.e.ops;
	no_lock.ram_cmpxchg = NULL;
	m.e.ops = &no_lock;
	m.regs.gpr[RAX] = LINEAR;
	assert_int_equal(RUN("\xf0\x83\x00\x01"), -E_NOSUP);
	assert_int_equal(RUN("\x83\x00\x01"), 0);
	m.page[0] |= PAGE_DEVICE;
	assert_int_equal(RUN("\xf0\x83\x00\x01"), 0);
}

static void cmpxchg16b_must_be_aligned(void **state)
{
	fresh(INSN_MODE_64);
	m.regs.gpr[RSI] = LINEAR + 8;
	assert_fault(RUN("\x48\x0f\xc7\x0e"), VEC_GP, 0);
	assert_int_equal(RUN("\x0f\xc7\x0e"), 0); /* cmpxchg8b need not be */
	m.regs.gpr[RSI] = LINEAR + 16;
	m.regs.gpr[RBX] = 5;
	m.regs.gpr[RCX] = 6;
	assert_int_equal(RUN("\xf0\x48\x0f\xc7\x0e"), 0);
	assert_int_equal(at(16, 8), 5);
	assert_int_equal(at(24, 8), 6);
}

static void failed_cmpxchg_still_writes_to_the_device(void **state)
{
	fresh_device();
	put(0, 7, 4);
	m.regs.gpr[RDI] = LINEAR;
	m.regs.gpr[RAX] = 8;
	m.regs.gpr[RCX] = 9;
	assert_int_equal(RUN("\x0f\xb1\x0f"), 0);
	assert_int_equal(m.logged, 2);
	assert_logged(1, LINEAR, 4, true, 7);
	assert_int_equal(m.regs.gpr[RAX], 7);
}

/* ---- SSE moves ---- */

static void sse_moves_reach_devices_in_two_halves(void **state)
{
	struct emu_ops no_xmm;

	fresh_device();
	for (unsigned k = 0; k < 16; k++)
		m.xmm[9][k] = (uint8_t)k;
	m.regs.gpr[RAX] = LINEAR + 0x40;
	assert_int_equal(RUN("\x66\x44\x0f\x7f\x08"), 0); /* movdqa [rax], xmm9 */
	assert_int_equal(m.logged, 2);
	assert_logged(0, LINEAR + 0x40, 8, true, 0x0706050403020100);
	assert_logged(1, LINEAR + 0x48, 8, true, 0x0f0e0d0c0b0a0908);
	m.regs.gpr[RAX] = LINEAR + 0x48;
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x66\x44\x0f\x7f\x08"), VEC_GP, 0); /* not aligned */
	assert_int_equal(RUN("\xf3\x44\x0f\x7f\x08"), 0);     /* movdqu */
	no_xmm = *m.e.ops;
	no_xmm.xmm_read = NULL;
	m.e.ops = &no_xmm;
	assert_int_equal(RUN("\xf3\x44\x0f\x7f\x08"), -E_NOSUP);
	assert_non_null(strstr(m.e.why, "XMM"));
}

static void avx_moves_reach_devices_and_clear_what_is_above(void **state)
{
	struct emu_ops no_ymm;

	fresh_device();
	memset(m.xmm, 0xaa, sizeof(m.xmm));
	memset(m.ymm_high, 0xbb, sizeof(m.ymm_high));
	m.regs.gpr[RAX] = LINEAR + 0x40;
	assert_int_equal(RUN("\xc5\x7d\x7f\x08"), 0); /* vmovdqa [rax], ymm9 */
	assert_int_equal(m.logged, 4);
	assert_logged(0, LINEAR + 0x40, 8, true, 0xaaaaaaaaaaaaaaaa);
	assert_logged(3, LINEAR + 0x58, 8, true, 0xbbbbbbbbbbbbbbbb);
	assert_int_equal(RUN("\xc5\xfe\x6f\x08"), 0); /* vmovdqu ymm1, [rax] */
	assert_memory_equal(m.ymm_high[1], m.ymm_high[9], 16);
	assert_int_equal(RUN("\xc5\xfa\x6f\x08"), 0); /* vmovdqu xmm1, [rax] */
	assert_memory_equal(m.xmm[1], m.xmm[9], 16);
	assert_int_equal(m.ymm_high[1][0] | m.ymm_high[1][15], 0);
	assert_int_equal(RUN("\xf3\x0f\x6f\x10"), 0); /* movdqu xmm2, [rax]: leaves it */
	assert_int_equal(m.ymm_high[2][0], 0xbb);
	assert_int_equal(RUN("\xc5\xf9\x6e\x18"), 0); /* vmovd xmm3, [rax] */
	assert_int_equal(m.xmm[3][3] | m.xmm[3][4] << 8, 0xaa);
	assert_int_equal(RUN("\xc5\xf9\x17\x18"), 0); /* vmovhpd [rax], xmm3 */
	assert_logged(m.logged - 1, LINEAR + 0x40, 8, true, 0);
	m.regs.gpr[RAX] = LINEAR + 0x50;
	m.regs.rip = 0x1000;
	assert_fault(RUN("\xc5\x7d\x7f\x08"), VEC_GP, 0); /* aligned to 16, not to 32 */
	m.regs.gpr[RAX] = LINEAR + 0xff0;		  /* over two pages */
	assert_int_equal(RUN("\xc5\x7e\x7f\x08"), 0);
	m.logged = 0;
	m.regs.rip = 0x1000;
	m.no_avx = true;
	assert_fault(RUN("\xc5\xfe\x6f\x08"), VEC_UD, 0);
	assert_int_equal(m.logged, 0);
	no_ymm = *m.e.ops;
	no_ymm.ymm_write = NULL;
	m.e.ops = &no_ymm;
	assert_int_equal(RUN("\xc5\xfe\x6f\x08"), -E_NOSUP);
	assert_non_null(strstr(m.e.why, "YMM"));
}

/* ---- stack ---- */

static void push_and_pop_use_the_stack_of_their_mode(void **state)
{
	fresh(INSN_MODE_32);
	put(0x100, 0x11223344, 4);
	m.regs.gpr[RAX] = LINEAR + 0x100;
	m.regs.gpr[RSP] = LINEAR + 0x204;
	assert_int_equal(RUN("\xff\x30"), 0); /* push dword [eax] */
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x200);
	assert_int_equal(at(0x200, 4), 0x11223344);
	assert_int_equal(RUN("\x8f\x40\x10"), 0); /* pop dword [eax + 16] */
	assert_int_equal(at(0x110, 4), 0x11223344);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x204);
	/* pop [esp]: to where esp points afterwards */
	put(0x204, 0x55, 4);
	assert_int_equal(RUN("\x8f\x04\x24"), 0);
	assert_int_equal(at(0x208, 4), 0x55);
	/* A 16-bit stack: SP wraps, the rest of ESP stays. */
	m.seg[SEG_SS].access = 0x8093;
	m.seg[SEG_SS].base = LINEAR - 0xf000;
	m.regs.gpr[RSP] = 0x7fff0000;
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\xff\x30"), 0);
	assert_int_equal(m.regs.gpr[RSP], 0x7ffffffc);
	assert_int_equal(at(0xffc, 4), 0x11223344);
	/* A fault leaves RSP. */
	m.page[0] &= ~PAGE_WRITE;
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x8f\x00"), VEC_PF, PF_PRESENT | PF_WRITE);
	assert_int_equal(m.regs.gpr[RSP], 0x7ffffffc);
}

/* ---- the stack in device memory, and branches through it ---- */

static void near_branches_go_through_device_memory(void **state)
{
	fresh_device();
	m.regs.gpr[RSP] = LINEAR + 0x800;
	assert_int_equal(RUN("\xe8\xfb\x0f\x00\x00"), 0); /* call 0x2000 */
	assert_int_equal(m.regs.rip, 0x2000);
	assert_true(m.e.branched);
	assert_logged(0, LINEAR + 0x7f8, 8, true, 0x1005);
	m.regs.rflags |= RFLAGS_RF;
	assert_int_equal(RUN("\xc2\x10\x00"), 0); /* ret 16 */
	assert_int_equal(m.regs.rip, 0x1005);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x810);
	assert_int_equal(m.regs.rflags & RFLAGS_RF, 0);
	put(0x300, 0x7654, 8);
	m.regs.gpr[RAX] = LINEAR + 0x300;
	assert_int_equal(RUN("\x66\xff\x10"), 0); /* call [rax]: 66 means nothing there */
	assert_int_equal(m.regs.rip, 0x7654);
	assert_int_equal(at(0x808, 8), 0x1008);
	assert_int_equal(RUN("\xff\x20"), 0); /* jmp [rax] */
	assert_int_equal(m.regs.rip, 0x7654);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x808);
	assert_int_equal(RUN("\x90"), -E_NOSUP);
	assert_false(m.e.branched);
}

static void call_does_not_take_the_known_gpa_of_its_pointer_for_its_stack(void **state)
{
	fresh_device();
	put(0x1308, 0x5000, 8);
	m.regs.gpr[RAX] = LINEAR + 0x1308;
	m.regs.gpr[RSP] = LINEAR + 0x310; /* pushes at the same offset in another page */
	known(LINEAR + 0x1308, EMU_READ | EMU_WRITE);
	assert_int_equal(RUN("\xff\x10"), 0);
	assert_int_equal(at(0x308, 8), 0x1002);
	assert_int_equal(at(0x1308, 8), 0x5000);
}

static void a_branch_that_may_not_go_there_changes_nothing(void **state)
{
	fresh_device();
	put(0x300, 0x800000000000, 8); /* not canonical */
	m.regs.gpr[RAX] = LINEAR + 0x300;
	m.regs.gpr[RSP] = LINEAR + 0x300;
	assert_fault(RUN("\xff\x10"), VEC_GP, 0);
	assert_fault(RUN("\xff\x20"), VEC_GP, 0);
	assert_fault(RUN("\xc3"), VEC_GP, 0);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x300);
	fresh(INSN_MODE_32);
	m.seg[SEG_CS].limit = 0xfff;
	put(0x300, 0x1000, 4);
	m.regs.gpr[RAX] = m.regs.gpr[RSP] = LINEAR + 0x300;
	assert_fault(RUN("\xff\x10"), VEC_GP, 0);
	assert_fault(RUN("\xc3"), VEC_GP, 0);
	assert_fault(RUN("\xe8\x00\x10\x00\x00"), VEC_GP, 0);
	m.seg[SEG_CS].limit = 0x1000;
	assert_int_equal(RUN("\xc3"), 0);
	assert_int_equal(m.regs.rip, 0x1000);
	fresh(INSN_MODE_16); /* a relative branch wraps at 64 KiB */
	m.regs.gpr[RSP] = 0xabcd0000 | (LINEAR & 0xffff) | 0x200;
	m.seg[SEG_SS].base = LINEAR;
	m.seg[SEG_SS].access = 0x93; /* SS.B = 0: SP counts alone */
	assert_int_equal(RUN("\xe8\x00\xf0"), 0);
	assert_int_equal(m.regs.rip, 0x0003);
	assert_int_equal(m.regs.gpr[RSP], 0xabcd01fe);
	assert_int_equal(at(0x1fe, 2), 0x1003);
}

static void pusha_and_popa_move_eight_or_none(void **state)
{
	fresh(INSN_MODE_32);
	for (unsigned r = 0; r < 8; r++)
		m.regs.gpr[r] = 0x11111111u * r;
	m.regs.gpr[RSP] = LINEAR + 0x1010;
	m.page[0] = 0;
	assert_fault(RUN("\x60"), VEC_PF, PF_WRITE);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0x1010);
	assert_int_equal(at(0x100c, 4), 0);
	m.page[0] = PAGE_PRESENT | PAGE_WRITE | PAGE_DEVICE;
	assert_int_equal(RUN("\x60"), 0);
	assert_int_equal(m.regs.gpr[RSP], LINEAR + 0xff0);
	assert_int_equal(at(0xff0 + 4 * 7, 4), 0); /* EAX is highest */
	assert_int_equal(at(0xff0 + 4 * (7 - RSP), 4), LINEAR + 0x1010);
	assert_int_equal(at(0xff0, 4), 0x77777777);
	for (unsigned r = 0; r < 8; r++)
		if (r != RSP)
			m.regs.gpr[r] = 0;
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\x61"), 0);
	for (unsigned r = 0; r < 8; r++)
		assert_int_equal(m.regs.gpr[r], r == RSP ? LINEAR + 0x1010 : 0x11111111u * r);
}

static void popf_changes_what_its_privilege_allows(void **state)
{
	const uint64_t all = 0x3f7fd7; /* with VM, VIF, VIP, RF */

	for (unsigned cpl = 0; cpl < 4; cpl += 3)
		for (unsigned iopl = 0; iopl < 4; iopl += 3) {
			uint64_t may = 0x244dd5 | (cpl <= iopl ? RFLAGS_IF : 0) | (cpl ? 0 : RFLAGS_IOPL);

			fresh_device();
			m.e.cpl = (uint8_t)cpl;
			m.regs.gpr[RSP] = LINEAR + 0x100;
			put(0x100, all, 8);
			m.regs.rflags = RFLAGS_ONE | iopl << 12;
			assert_int_equal(RUN("\x9d"), 0);
			assert_int_equal(m.regs.rflags, RFLAGS_ONE | (iopl << 12 & ~may) | (all & may));
			m.regs.rip = 0x1000;
			m.regs.rflags = RFLAGS_ONE | iopl << 12;
			assert_int_equal(RUN("\x66\x9d"), 0); /* 16 bits do not reach AC and ID */
			assert_int_equal(m.regs.rflags & (RFLAGS_AC | RFLAGS_ID), 0);
		}
	fresh(INSN_MODE_16);
	m.e.protected_mode = false;
	m.regs.rflags |= RFLAGS_VM;
	assert_int_equal(RUN("\x9d"), -E_NOSUP);
	assert_int_equal(RUN("\x9c"), -E_NOSUP);
}

static void stores_of_system_registers_are_16_bits_and_heed_umip(void **state)
{
	fresh_device();
	put(0x300, ~0ull, 8);
	m.regs.gpr[RAX] = LINEAR + 0x300;
	assert_int_equal(RUN("\x48\x0f\x01\x20"), 0); /* smsw [rax] */
	assert_logged(0, LINEAR + 0x300, 2, true, 0x1100 + EMU_CR0);
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\x0f\x00\x00"), 0); /* sldt */
	assert_logged(1, LINEAR + 0x300, 2, true, 0x1100 + EMU_LDTR);
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\x0f\x00\x08"), 0); /* str */
	assert_logged(2, LINEAR + 0x300, 2, true, 0x1100 + EMU_TR);
	m.regs.rip = 0x1000;
	m.e.umip = true;
	m.e.cpl = 3;
	assert_fault(RUN("\x0f\x01\x20"), VEC_GP, 0);
	m.e.cpl = 0;
	m.e.protected_mode = false;
	assert_fault(RUN("\x0f\x00\x08"), VEC_UD, 0);
}

/* ---- arithmetic that the native test leaves out ---- */

static void divisions_fault_where_the_quotient_does_not_fit(void **state)
{
	/* Every dividend of 16 bits (a step apart) by every byte, against C's own division. */
	for (unsigned n = 0; n < 0x10000; n += 7)
		for (unsigned d = 0; d < 256; d++) {
			int sn = (int16_t)n, sd = (int)(d ^ 0x80) - 0x80;
			bool fits = d && n / d < 256, sfits = sd && sn / sd >= -128 && sn / sd <= 127;

			fresh_device();
			memory[0x300] = (uint8_t)d;
			m.regs.gpr[RBX] = LINEAR + 0x300;
			m.regs.gpr[RAX] = 0xff0000 | n;
			if (fits) {
				assert_int_equal(RUN("\xf6\x33"), 0); /* div byte [rbx] */
				assert_int_equal(m.regs.gpr[RAX], 0xff0000 | n % d << 8 | n / d);
			} else {
				assert_fault(RUN("\xf6\x33"), VEC_DE, 0);
			}
			m.regs.rip = 0x1000;
			m.regs.gpr[RAX] = n;
			if (sfits) {
				assert_int_equal(RUN("\xf6\x3b"), 0); /* idiv */
				assert_int_equal(
					m.regs.gpr[RAX], (uint8_t)(sn % sd) << 8 | (uint8_t)(sn / sd));
			} else {
				assert_fault(RUN("\xf6\x3b"), VEC_DE, 0);
			}
		}
	/* The edges of 64 bits: -2^63 / 1 fits, 2^63 / 1 does not, -2^127 / -1 even less. */
	fresh_device();
	put(0x300, 1, 8);
	m.regs.gpr[RBX] = LINEAR + 0x300;
	m.regs.gpr[RAX] = 1ull << 63;
	m.regs.gpr[RDX] = ~0ull;
	assert_int_equal(RUN("\x48\xf7\x3b"), 0);
	assert_int_equal(m.regs.gpr[RAX], 1ull << 63);
	assert_int_equal(m.regs.gpr[RDX], 0);
	m.regs.rip = 0x1000;
	assert_fault(RUN("\x48\xf7\x3b"), VEC_DE, 0);
	put(0x300, ~0ull, 8);
	m.regs.gpr[RAX] = 0;
	m.regs.gpr[RDX] = 1ull << 63;
	assert_fault(RUN("\x48\xf7\x3b"), VEC_DE, 0);
	assert_fault(RUN("\x48\xf7\x7b\x08"), VEC_DE, 0); /* by 0 */
}

static void tzcnt_and_lzcnt_are_bit_scans_to_an_old_cpu(void **state)
{
	fresh_device();
	put(0x300, 0x10, 4);
	m.regs.gpr[RBX] = LINEAR + 0x300;
	m.old_cpu = true;
	assert_int_equal(RUN("\xf3\x0f\xbd\x03"), 0);
	assert_int_equal(m.regs.gpr[RAX], 4);
	m.old_cpu = false;
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\xf3\x0f\xbd\x03"), 0);
	assert_int_equal(m.regs.gpr[RAX], 27);
	m.old_cpu = true;
	put(0x300, 0, 4);
	m.regs.rip = 0x1000;
	m.regs.gpr[RAX] = 0x123456789abcdef0;
	assert_int_equal(RUN("\xf3\x0f\xbc\x03"), 0); /* a scan of nothing leaves the register */
	assert_int_equal(m.regs.gpr[RAX], 0x123456789abcdef0);
	assert_int_equal(m.regs.rflags & RFLAGS_ZF, RFLAGS_ZF);
}

/* ---- strings ---- */

static void rep_string_stops_after_its_chunk_and_goes_on(void **state)
{
	fresh(INSN_MODE_64);
	for (unsigned k = 0; k < 200; k++)
		memory[k] = (uint8_t)(k + 1);
	m.page[2] |= PAGE_DEVICE;
	m.regs.gpr[RSI] = LINEAR;
	m.regs.gpr[RDI] = LINEAR + 0x2000;
	m.regs.gpr[RCX] = EMU_CHUNK + 4;
	assert_int_equal(RUN("\xf3\xa4"), EMU_PARTLY);
	assert_int_equal(m.regs.gpr[RCX], 4);
	assert_int_equal(m.regs.gpr[RSI], LINEAR + EMU_CHUNK);
	assert_int_equal(m.regs.gpr[RDI], LINEAR + 0x2000 + EMU_CHUNK);
	assert_int_equal(m.regs.rip, 0x1000);
	assert_int_equal(m.regs.rflags & RFLAGS_RF, RFLAGS_RF); /* no breakpoint at RIP in the middle */
	assert_int_equal(m.translations, 2);			/* one a page, not one an element */
	assert_int_equal(RUN("\xf3\xa4"), 0);
	assert_int_equal(m.regs.gpr[RCX], 0);
	assert_int_equal(m.regs.rip, 0x1002);
	assert_int_equal(m.regs.rflags & RFLAGS_RF, 0);
	assert_memory_equal(memory, memory + 0x2000, EMU_CHUNK + 4);
	assert_int_equal(memory[0x2000 + EMU_CHUNK + 4], 0);
	assert_int_equal(m.logged, EMU_CHUNK + 4);
}

static void rep_string_that_is_hurried_does_one_element_at_a_time(void **state)
{
	fresh(INSN_MODE_64);
	m.hurried = true;
	memory[0] = 7;
	memory[1] = 8;
	m.regs.gpr[RSI] = LINEAR;
	m.regs.gpr[RDI] = LINEAR + 0x2000;
	m.regs.gpr[RCX] = 2;
	assert_int_equal(RUN("\xf3\xa4"), EMU_PARTLY);
	assert_int_equal(m.regs.gpr[RCX], 1);
	assert_int_equal(memory[0x2000], 7);
	assert_int_equal(memory[0x2001], 0);
	assert_int_equal(RUN("\xf3\xa4"), 0);
	assert_int_equal(memory[0x2001], 8);
}

static void exactly_one_chunk_is_finished_at_once(void **state)
{
	fresh(INSN_MODE_64);
	m.regs.gpr[RDI] = LINEAR;
	m.regs.gpr[RCX] = EMU_CHUNK;
	assert_int_equal(RUN("\xf3\xaa"), 0);
	assert_int_equal(m.regs.rip, 0x1002);
	m.regs.gpr[RCX] = 0; /* nothing to do: nothing is touched */
	m.regs.gpr[RDI] = 0x800000000000;
	assert_int_equal(RUN("\xf3\xaa"), 0);
}

static int no_port(void *ctx, uint16_t number, bool in, unsigned size, uint32_t *value)
{
	*value = 0;
	return 0;
}

static void single_step_sees_each_element(void **state)
{
	fresh(INSN_MODE_64);
	m.regs.rflags |= RFLAGS_TF;
	m.regs.gpr[RDI] = LINEAR;
	m.regs.gpr[RCX] = 3;
	assert_int_equal(RUN("\xf3\xaa"), EMU_PARTLY);
	assert_int_equal(RUN("\xf3\xaa"), EMU_PARTLY);
	assert_int_equal(m.regs.gpr[RCX], 1);
	assert_int_equal(RUN("\xf3\xaa"), 0);
}

/* Breakpoint 1 on the four bytes of a device at offset 0x308, when they are written. */
static const struct breakpoints on_write = { .dr = { 0, LINEAR + 0x308 }, .dr7 = 1u << 3 | 0xdu << 20 };

static void breakpoints_are_met_by_what_the_emulator_accesses(void **state)
{
	fresh_device();
	m.e.watch = &on_write;
	m.regs.gpr[RAX] = LINEAR + 0x308;
	known(LINEAR + 0x308, EMU_READ | EMU_WRITE);
	assert_int_equal(RUN("\x89\x08"), 0); /* mov [rax], ecx: not by the short way */
	assert_int_equal(m.e.hits, 2);
	assert_int_equal(RUN("\x8b\x08"), 0); /* mov ecx, [rax] */
	assert_int_equal(m.e.hits, 0);
	assert_int_equal(RUN("\x09\x48\x02"), 0); /* or [rax + 2], ecx */
	assert_int_equal(m.e.hits, 2);
	m.e.watch = NULL;
	assert_int_equal(RUN("\x89\x08"), 0);
	assert_int_equal(m.e.hits, 0);
}

static void rep_string_stops_where_it_meets_a_breakpoint(void **state)
{
	struct emu_string_io io = { .port = 1, .size = 1, .addr_size = 8, .len = 2, .in = true, .rep = true };

	fresh_device();
	m.e.watch = &on_write;
	m.regs.gpr[RDI] = LINEAR + 0x300;
	m.regs.gpr[RCX] = 5;
	assert_int_equal(RUN("\xf3\xab"), EMU_PARTLY); /* rep stosd */
	assert_int_equal(m.regs.gpr[RCX], 2);
	assert_int_equal(m.e.hits, 2);
	assert_int_equal(RUN("\xf3\xab"), 0);
	assert_int_equal(m.e.hits, 0);
	m.regs.gpr[RDI] = LINEAR + 0x308;
	m.regs.gpr[RCX] = 1;
	assert_int_equal(RUN("\xf3\xab"), 0); /* the last iteration is the instruction's end */
	assert_int_equal(m.e.hits, 2);
	io.pio = no_port;
	io.hits = 8;
	m.regs.rip = 0x1000;
	m.regs.gpr[RDI] = LINEAR + 0x306;
	m.regs.gpr[RCX] = 3;
	assert_int_equal(emulate_string_io(&m.e, &io), EMU_PARTLY);
	assert_int_equal(m.e.hits, 8); /* the port's */
	assert_int_equal(emulate_string_io(&m.e, &io), EMU_PARTLY);
	assert_int_equal(emulate_string_io(&m.e, &io), 0);
	assert_int_equal(m.e.hits, 8 | 2);
}

static void fault_in_the_middle_keeps_what_was_done(void **state)
{
	fresh_device();
	m.page[0] &= ~PAGE_DEVICE;
	m.page[3] = 0;
	m.regs.gpr[RSI] = LINEAR;
	m.regs.gpr[RDI] = LINEAR + 0x3000 - 10;
	m.regs.gpr[RCX] = 20;
	put(4, 0xbbaa, 2);
	assert_fault(RUN("\xf3\x66\xa5"), VEC_PF, PF_WRITE); /* rep movsw */
	assert_int_equal(m.e.fault.cr2, LINEAR + 0x3000);
	assert_int_equal(m.regs.gpr[RCX], 15);
	assert_int_equal(m.regs.gpr[RSI], LINEAR + 10);
	assert_int_equal(m.regs.gpr[RDI], LINEAR + 0x3000);
	assert_int_equal(m.logged, 5);
	assert_logged(2, LINEAR + 0x3000 - 6, 2, true, 0xbbaa);
}

static void strings_count_and_wrap_in_their_address_size(void **state)
{
	fresh(INSN_MODE_16);
	m.e.protected_mode = false;
	m.seg[SEG_ES].base = LINEAR - 0xfff0;
	m.seg[SEG_DS].base = LINEAR;
	m.regs.gpr[RAX] = 0x77;
	m.regs.gpr[RDI] = 0xabcd0000fff0;
	m.regs.gpr[RCX] = 0x12340010;
	assert_int_equal(RUN("\xf3\xaa"), 0);
	assert_int_equal(m.regs.gpr[RDI], 0xabcd00000000); /* DI wrapped, the rest stays */
	assert_int_equal(m.regs.gpr[RCX], 0x12340000);
	assert_int_equal(at(15, 2), 0x77);
	/* A word at FFFF is beyond the limit. */
	m.regs.gpr[RDI] = 0xffff;
	m.regs.rip = 0x1000;
	assert_fault(RUN("\xab"), VEC_GP, 0);
	/* 67: 32-bit registers, whose upper halves go. */
	fresh(INSN_MODE_64);
	m.regs.gpr[RDI] = 0xdeadull << 32 | LINEAR;
	m.regs.gpr[RCX] = 0xbeefull << 32 | 2;
	assert_int_equal(RUN("\xf3\x67\xaa"), 0);
	assert_int_equal(m.regs.gpr[RDI], LINEAR + 2);
	assert_int_equal(m.regs.gpr[RCX], 0);
}

/* ---- INS and OUTS ---- */

static struct {
	unsigned calls, fail_at;
	uint32_t last;
} port;

static int pio(void *ctx, uint16_t number, bool in, unsigned size, uint32_t *value)
{
	assert_ptr_equal(ctx, &port);
	assert_int_equal(number, 0x1f0);
	if (++port.calls == port.fail_at)
		return -E_IO;
	if (in)
		*value = 0xa0000000 + port.calls;
	else
		port.last = *value;
	return 0;
}

static struct emu_string_io string_io(bool in, unsigned size)
{
	memset(&port, 0, sizeof(port));
	return (struct emu_string_io){ .port = 0x1f0,
		.size = (uint8_t)size,
		.addr_size = 8,
		.seg = SEG_DS,
		.len = 2,
		.in = in,
		.rep = true,
		.pio = pio,
		.ctx = &port };
}

static void rep_outs_that_is_hurried_does_one_element_at_a_time(void **state)
{
	struct emu_string_io io = string_io(false, 1);

	fresh(INSN_MODE_64);
	m.hurried = true;
	m.regs.gpr[RSI] = LINEAR;
	m.regs.gpr[RCX] = 2;
	assert_int_equal(emulate_string_io(&m.e, &io), EMU_PARTLY);
	assert_int_equal(port.calls, 1);
	assert_int_equal(emulate_string_io(&m.e, &io), 0);
	assert_int_equal(port.calls, 2);
}

static void rep_ins_fills_memory_in_chunks(void **state)
{
	struct emu_string_io io = string_io(true, 2);

	fresh(INSN_MODE_64);
	m.regs.gpr[RDI] = LINEAR + 0xffe;
	m.regs.gpr[RCX] = EMU_CHUNK + 2;
	assert_int_equal(emulate_string_io(&m.e, &io), EMU_PARTLY);
	assert_int_equal(m.regs.gpr[RCX], 2);
	assert_int_equal(m.regs.rip, 0x1000);
	assert_int_equal(emulate_string_io(&m.e, &io), 0);
	assert_int_equal(m.regs.rip, 0x1002);
	assert_int_equal(port.calls, EMU_CHUNK + 2);
	assert_int_equal(at(0xffe, 2), 1);
	assert_int_equal(at(0x1000, 2), 2);
	assert_int_equal(at(0xffe + 2 * EMU_CHUNK + 2, 2), EMU_CHUNK + 2);
	assert_int_equal(m.regs.gpr[RDI], LINEAR + 0xffe + 2 * (EMU_CHUNK + 2));
}

static void ins_checks_memory_before_it_reads_the_port(void **state)
{
	struct emu_string_io io = string_io(true, 4);

	fresh(INSN_MODE_64);
	m.page[1] &= ~PAGE_WRITE;
	m.regs.gpr[RDI] = LINEAR + 0xff8;
	m.regs.gpr[RCX] = 5;
	assert_fault(emulate_string_io(&m.e, &io), VEC_PF, PF_PRESENT | PF_WRITE);
	assert_int_equal(port.calls, 2);
	assert_int_equal(m.regs.gpr[RCX], 3);
	assert_int_equal(m.regs.gpr[RDI], LINEAR + 0x1000);
}

static void outs_reads_through_its_segment_and_backwards(void **state)
{
	struct emu_string_io io = string_io(false, 1);

	fresh(INSN_MODE_16);
	m.e.protected_mode = false;
	io.addr_size = 2;
	io.seg = SEG_FS;
	io.rep = false;
	m.seg[SEG_FS].base = LINEAR;
	put(0, 0x99, 1);
	m.regs.gpr[RSI] = 0x10000; /* SI = 0 */
	m.regs.gpr[RCX] = 0;	   /* no REP: not looked at */
	m.regs.rflags |= RFLAGS_DF;
	assert_int_equal(emulate_string_io(&m.e, &io), 0);
	assert_int_equal(port.last, 0x99);
	assert_int_equal(m.regs.gpr[RSI], 0x1ffff);
	m.seg[SEG_FS].limit = 0x7fff;
	m.regs.rip = 0x1000;
	assert_fault(emulate_string_io(&m.e, &io), VEC_GP, 0);
	assert_int_equal(port.calls, 1);
}

static void error_of_the_port_ends_string_io_before_that_element(void **state)
{
	struct emu_string_io io = string_io(false, 4);

	fresh(INSN_MODE_64);
	port.fail_at = 3;
	m.regs.gpr[RSI] = LINEAR;
	m.regs.gpr[RCX] = 10;
	assert_int_equal(emulate_string_io(&m.e, &io), -E_IO);
	assert_int_equal(m.regs.gpr[RCX], 8);
	assert_int_equal(m.regs.gpr[RSI], LINEAR + 8);
	io.size = 3;
	assert_int_equal(emulate_string_io(&m.e, &io), -E_INVAL);
	io.size = 4;
	io.seg = SEGS;
	assert_int_equal(emulate_string_io(&m.e, &io), -E_INVAL);
}

/* ---- the cache of decoded instructions ---- */

static void changed_code_and_changed_mode_are_decoded_anew(void **state)
{
	fresh(INSN_MODE_64);
	put(0, 0x1122334455667788, 8);
	m.regs.gpr[RAX] = LINEAR;
	for (unsigned k = 0; k < 3; k++) {
		m.regs.rip = 0x1000;
		assert_int_equal(RUN("\x48\x8b\x08"), 0); /* mov rcx, [rax] */
		assert_int_equal(m.regs.gpr[RCX], 0x1122334455667788);
		m.regs.rip = 0x1000;
		assert_int_equal(RUN("\x40\x8b\x08"), 0); /* mov ecx, [rax]: one bit of the code is another */
		assert_int_equal(m.regs.gpr[RCX], 0x55667788);
		m.regs.rip = 0x1000;
		m.e.mode = INSN_MODE_32;
		assert_int_equal(RUN("\x40\x8b\x08"), -E_NOSUP); /* inc eax, there */
		m.e.mode = INSN_MODE_64;
	}
	/* The 15th byte counts, too. */
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x8b\x08"), 0);
	m.regs.rip = 0x1000;
	assert_int_equal(RUN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x8b\x10"), 0);
	assert_int_equal(m.regs.gpr[RDX], 0x7788);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_gpa_goes_to_the_device_without_translation),
		cmocka_unit_test(known_gpa_is_not_used_for_what_the_hardware_did_not_check),
		cmocka_unit_test(both_pages_are_checked_before_either_is_touched),
		cmocka_unit_test(crossing_operand_is_made_of_pieces_that_devices_know),
		cmocka_unit_test(an_operand_half_in_ram_half_in_a_device_is_split),
		cmocka_unit_test(write_fault_comes_before_the_read_of_a_read_modify_write),
		cmocka_unit_test(write_to_rom_goes_to_the_platform_and_reads_do_not),
		cmocka_unit_test(non_canonical_address_is_gp_or_for_the_stack_ss),
		cmocka_unit_test(fs_and_gs_have_a_base_in_64_bit_mode_and_the_others_none),
		cmocka_unit_test(segment_limits_hold_in_32_bit_mode),
		cmocka_unit_test(segment_types_hold_in_protected_mode_only),
		cmocka_unit_test(expand_down_segments_begin_above_their_limit),
		cmocka_unit_test(sixteen_bit_addresses_wrap_and_bp_means_the_stack_segment),
		cmocka_unit_test(eip_wraps_at_4_gib_and_rip_does_not),
		cmocka_unit_test(unaligned_is_ac_where_asked_and_after_the_page_fault),
		cmocka_unit_test(refusals_name_the_instruction_and_the_reason),
		cmocka_unit_test(locked_update_of_ram_is_atomic_or_tries_again),
		cmocka_unit_test(lock_that_cannot_be_kept_is_refused),
		cmocka_unit_test(cmpxchg16b_must_be_aligned),
		cmocka_unit_test(failed_cmpxchg_still_writes_to_the_device),
		cmocka_unit_test(sse_moves_reach_devices_in_two_halves),
		cmocka_unit_test(avx_moves_reach_devices_and_clear_what_is_above),
		cmocka_unit_test(push_and_pop_use_the_stack_of_their_mode),
		cmocka_unit_test(near_branches_go_through_device_memory),
		cmocka_unit_test(call_does_not_take_the_known_gpa_of_its_pointer_for_its_stack),
		cmocka_unit_test(a_branch_that_may_not_go_there_changes_nothing),
		cmocka_unit_test(pusha_and_popa_move_eight_or_none),
		cmocka_unit_test(popf_changes_what_its_privilege_allows),
		cmocka_unit_test(stores_of_system_registers_are_16_bits_and_heed_umip),
		cmocka_unit_test(divisions_fault_where_the_quotient_does_not_fit),
		cmocka_unit_test(tzcnt_and_lzcnt_are_bit_scans_to_an_old_cpu),
		cmocka_unit_test(rep_string_stops_after_its_chunk_and_goes_on),
		cmocka_unit_test(rep_string_that_is_hurried_does_one_element_at_a_time),
		cmocka_unit_test(exactly_one_chunk_is_finished_at_once),
		cmocka_unit_test(single_step_sees_each_element),
		cmocka_unit_test(breakpoints_are_met_by_what_the_emulator_accesses),
		cmocka_unit_test(rep_string_stops_where_it_meets_a_breakpoint),
		cmocka_unit_test(fault_in_the_middle_keeps_what_was_done),
		cmocka_unit_test(strings_count_and_wrap_in_their_address_size),
		cmocka_unit_test(rep_outs_that_is_hurried_does_one_element_at_a_time),
		cmocka_unit_test(rep_ins_fills_memory_in_chunks),
		cmocka_unit_test(ins_checks_memory_before_it_reads_the_port),
		cmocka_unit_test(outs_reads_through_its_segment_and_backwards),
		cmocka_unit_test(error_of_the_port_ends_string_io_before_that_element),
		cmocka_unit_test(changed_code_and_changed_mode_are_decoded_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
