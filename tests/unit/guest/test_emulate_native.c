/* SPDX-License-Identifier: MIT */
/*
 * The emulator against the CPU that runs the test: random instructions of 64-bit mode with random operands
 * are executed by both, and must leave the same registers, the same flags (as far as the SDM defines them),
 * the same memory and the same XMM registers. Addresses, too, are the CPU's to judge: registers are chosen
 * such that the operand lies in the test's memory, in every form that ModRM and SIB have.
 *
 * EMU_CASES and EMU_SEED in the environment choose another number of cases and another seed.
 */
#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/emu/alu.h"
#include "lib/bits.h"
#include "lib/x86.h"
#include "tests/support/fakes/emu_machine.h"
#include "tests/support/fakes/native_cpu.h"

#define GS_BASE 0x12348ull
#define PAGES	(NATIVE_DATA / 4096)

static uint64_t seed;
static uint8_t memory[NATIVE_DATA]; /* the emulator's; the CPU works on native_data() */
static uint64_t runs[INSN_OPS];
static struct insn_cache cache;

static uint64_t rnd(void) /* splitmix64 */
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Numbers where carries, signs and overflows happen. */
static uint64_t rnd_value(void)
{
	static const uint64_t edges[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, ~0ull };
	uint64_t r = rnd();

	return r & 1 ? edges[(r >> 8) % ARRAY_SIZE(edges)] : rnd();
}

struct test_case {
	uint8_t bytes[24];
	unsigned modrm_at; /* 0: none */
	uint8_t opcode;
	uint8_t map; /* 0, 0x0f, 0x38 */
	struct insn in;
};

static const uint8_t opcodes1[] = { 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8f,
	0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xc0, 0xc1, 0xc6,
	0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6, 0xf7, 0xfe, 0xff, 0x63, 0x50, 0x54, 0x55, 0x58, 0x5c, 0x5f, 0x68,
	0x69, 0x6a, 0x6b, 0x9c, 0x9c, 0xc8, 0xc8, 0xc9, 0xc9 };
static const uint8_t opcodes0f[] = { 0xa3, 0xab, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xba, 0xbb, 0xbe, 0xbf, 0xc0,
	0xc1, 0xc3, 0xc7, 0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x28, 0x29, 0x2b, 0x6e, 0x6f, 0x7e, 0x7f, 0xae,
	0xd6, 0xe7, 0xf0, 0xa0, 0xa8, 0xa4, 0xa5, 0xac, 0xad, 0xaf, 0xb8, 0xbc, 0xbd, 0xbc, 0xbd };
static const uint8_t opcodes0f38[] = { 0x2a, 0xf0, 0xf1, 0xf0, 0xf1, 0xf9 };

static bool host_has(unsigned leaf, unsigned reg, unsigned bit)
{
	unsigned r[4] = { 0 };

	return __get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3]) && r[reg] & (1u << bit);
}

/* Instructions that not every host has. */
static bool host_can(const struct test_case *t)
{
	if (t->map == 0x38 && t->opcode == 0xf9)
		return host_has(7, 2, 27); /* MOVDIRI */
	if (t->in.op == INSN_CRC32)
		return host_has(1, 2, 20);
	if (t->in.op == INSN_POPCNT)
		return host_has(1, 2, 23);
	if (t->map == 0x38 && t->opcode >= 0xf0)
		return host_has(1, 2, 22); /* MOVBE */
	if (t->map == 0x38)
		return host_has(1, 2, 19); /* MOVNTDQA: SSE4.1 */
	if (t->in.op == INSN_CLFLUSH)
		return host_has(7, 1, 23) && host_has(7, 1, 24); /* CLFLUSHOPT, CLWB */
	if (t->in.op == INSN_CMPXCHG8B && t->in.size == 16)
		return host_has(1, 2, 13);
	return true;
}

static void random_bytes(struct test_case *t)
{
	static const uint8_t legacy[] = { 0x66, 0x66, 0x67, 0xf0, 0xf0, 0xf2, 0xf3, 0x2e, 0x3e, 0x65 };
	uint64_t r = rnd();
	unsigned at = 0;

	for (unsigned k = 0; k < sizeof(t->bytes); k++)
		t->bytes[k] = (uint8_t)rnd();
	for (unsigned k = r % 8 < 5 ? 0 : r % 8 - 4; k; k--)
		t->bytes[at++] = legacy[rnd() % sizeof(legacy)];
	if (r & 0x100)
		t->bytes[at++] = 0x40 | ((r >> 9) & 15);
	r >>= 16;
	if (r % 2) {
		t->bytes[at++] = 0x0f;
		if (r % 32 == 1) {
			t->bytes[at++] = t->map = 0x38;
			t->opcode = opcodes0f38[(r >> 8) % sizeof(opcodes0f38)];
		} else {
			t->map = 0x0f;
			t->opcode = opcodes0f[(r >> 8) % sizeof(opcodes0f)];
			if (r % 32 == 3) /* SETcc, CMOVcc */
				t->opcode = (r & 0x100 ? 0x40 : 0x90) | ((r >> 9) & 15);
		}
	} else {
		t->map = 0;
		t->opcode = opcodes1[(r >> 8) % sizeof(opcodes1)];
		if (r % 4 == 0)
			t->opcode = ((r >> 9) & 0x38) | ((r >> 16) & 3);
	}
	t->bytes[at++] = t->opcode;
	t->modrm_at = at;
}

static bool is_string(unsigned op)
{
	return op >= INSN_MOVS && op <= INSN_OUTS;
}

static bool by_bit_number(const struct insn *in)
{
	return in->op >= INSN_BT && in->op <= INSN_BTC && in->form == INSN_RM_REG;
}

/* Not in user mode, or not in a row of instructions. The other test_emulate files have them. */
static bool native_cannot(unsigned op)
{
	return op == INSN_INS || op == INSN_OUTS || op == INSN_POPF || (op >= INSN_CALL && op <= INSN_STR) ||
	       op == INSN_PUSHA || op == INSN_POPA;
}

static bool on_stack(const struct insn *in)
{
	return in->form == INSN_STACK || in->form == INSN_STACK_REG;
}

static unsigned shift_count(const struct insn *in, const uint64_t *gpr)
{
	unsigned count =
		in->form == INSN_RM_CL || in->form == INSN_RM_REG_CL ? gpr[RCX] & 0xff : in->imm & 0xff;

	return count & (in->size == 8 ? 63 : 31);
}

static uint64_t inverse(uint64_t odd) /* modulo 2^64 */
{
	uint64_t x = odd;

	for (int k = 0; k < 6; k++)
		x *= 2 - odd * x;
	return x;
}

/* Chooses registers, or else the displacement, so that the operand lies at `want`. False: this form cannot.
 * */
static bool aim(struct test_case *t, uint64_t *gpr, uint64_t want)
{
	struct insn *in = &t->in;
	uint64_t rest = want - (in->seg == SEG_GS ? GS_BASE : 0), junk = in->addr_size == 4 ? rnd() << 32 : 0;
	unsigned at;

	if (in->base < GPRS && in->index < GPRS && in->base == in->index) {
		uint64_t factor = 1 + (1ull << in->scale);

		rest -= (uint64_t)in->disp;
		if (factor == 2 && rest & 1)
			return false;
		gpr[in->base] = factor == 2 ? rest / 2 : rest * inverse(factor);
		gpr[in->base] += junk;
		return true;
	}
	if (in->base < GPRS) {
		if (in->index < GPRS)
			rest -= gpr[in->index] << in->scale;
		gpr[in->base] = rest - (uint64_t)in->disp + junk;
		return true;
	}
	if (in->base == INSN_NOREG && in->index < GPRS) {
		rest -= (uint64_t)in->disp;
		if (rest & ((1u << in->scale) - 1))
			return false;
		gpr[in->index] = (uint64_t)((int64_t)rest >> in->scale) + (in->scale ? 0 : junk);
		return true;
	}
	/* [disp32], [rip + disp32], or A0..A3. */
	at = t->modrm_at;
	if (t->map == 0 && t->opcode >= 0xa0 && t->opcode <= 0xa3) {
		memcpy(t->bytes + at, &rest, in->addr_size);
	} else {
		if (in->base == INSN_RIP)
			rest -= native_rip() + in->len;
		at += (t->bytes[at] & 7) == 4 ? 2 : 1;
		memcpy(t->bytes + at, &rest, 4);
	}
	return true;
}

static unsigned alignment(const struct insn *in)
{
	if (in->flags & INSN_ALIGNED || (in->op == INSN_CMPXCHG8B && in->size == 16))
		return 16;
	/* A locked access across a cache line may be trapped by the host's kernel. */
	return in->flags & INSN_LOCK || in->op == INSN_XCHG ? in->mem_size : 1;
}

/* Makes one case; false: try another. *target: where its operand lies (of strings: where RSI points). */
static bool make_case(struct test_case *t, struct native_state *s, uint64_t *target)
{
	struct insn *in = &t->in;
	uint64_t base = (uintptr_t)native_data(), want;
	unsigned align;

	random_bytes(t);
	if (insn_decode(t->bytes, INSN_MAX, INSN_MODE_64, in) || !(in->flags & INSN_MEM) ||
		in->seg == SEG_FS || native_cannot(in->op) || !host_can(t))
		return false;
	for (unsigned n = 0; n < GPRS; n++)
		s->gpr[n] = rnd_value();
	for (unsigned n = 0; n < 16; n++)
		for (unsigned k = 0; k < 16; k += 8) {
			uint64_t v = rnd();

			memcpy(&s->xmm[n][k], &v, 8);
		}
	s->rflags =
		RFLAGS_ONE | RFLAGS_IF |
		(rnd() & (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF | RFLAGS_DF));
	/* In the middle, with room for bit numbers and strings; often at the page's edge. */
	want = base + 5000 + rnd() % (NATIVE_DATA - 10000);
	if (rnd() % 4 == 0)
		want = base + 8192 - rnd() % 20;
	align = alignment(in);
	want &= ~(uint64_t)(align - 1);
	*target = want;
	if (in->op == INSN_DIV || in->op == INSN_IDIV) /* seldom #DE, then */
		s->gpr[RDX] = rnd() & 1 ? 0 : -(s->gpr[RAX] >> 63);
	if (on_stack(in)) {
		s->gpr[RSP] = base + 1000 + rnd() % (NATIVE_DATA - 2000);
		if (in->op == INSN_LEAVE)
			s->gpr[RBP] = base + 1000 + rnd() % (NATIVE_DATA - 2000);
		if (in->op == INSN_ENTER) { /* few bytes, no nesting */
			t->bytes[t->modrm_at + 1] = t->bytes[t->modrm_at + 2] = 0;
			insn_decode(t->bytes, INSN_MAX, INSN_MODE_64, in);
		}
		return true;
	}
	if (is_string(in->op)) {
		uint64_t junk = in->addr_size == 4 ? rnd() << 32 : 0, count = rnd() % 150;

		s->gpr[RSI] = (want - (in->seg == SEG_GS ? GS_BASE : 0)) + junk;
		s->gpr[RDI] = base + 5000 + rnd() % (NATIVE_DATA - 10000) + junk;
		/* With a 32-bit count of 0 CPUs differ in what they do to the upper halves. */
		s->gpr[RCX] = count + (count ? junk : 0);
		return true;
	}
	if (by_bit_number(in)) {
		uint64_t number = (uint64_t)((int64_t)(rnd() % 60000) - 30000);

		if (in->reg == in->base || in->reg == in->index)
			return false;
		s->gpr[in->reg] = in->size == 8	  ? number
				  : in->size == 4 ? (uint32_t)number | rnd() << 32
						  : (uint16_t)number | rnd() << 16;
	}
	if (!aim(t, s->gpr, want))
		return false;
	if (in->op == INSN_PUSH || in->op == INSN_POP) {
		if (in->base != RSP)
			s->gpr[RSP] = base + 1000 + rnd() % (NATIVE_DATA - 2000);
		else if (s->gpr[RSP] < base + 1000 || s->gpr[RSP] > base + NATIVE_DATA - 1000)
			return false;
	}
	insn_decode(t->bytes, INSN_MAX, INSN_MODE_64, in); /* with the displacement aimed */
	/* Beyond the width of 2 bytes the result is undefined. */
	return (in->op != INSN_SHLD && in->op != INSN_SHRD) || shift_count(in, s->gpr) <= 8u * in->size;
}

/* Every other comparison of CMPXCHG should succeed. */
static void help_cmpxchg(const struct test_case *t, struct native_state *s, uint64_t target)
{
	const struct insn *in = &t->in;
	const uint8_t *p = memory + (target - (uintptr_t)native_data());
	bool address_reg = in->base == RAX || in->index == RAX || in->base == RDX || in->index == RDX;

	if (address_reg || rnd() & 1)
		return;
	if (in->op == INSN_CMPXCHG) {
		memcpy(&s->gpr[RAX], p, in->size);
	} else if (in->op == INSN_CMPXCHG8B) {
		memcpy(&s->gpr[RAX], p, in->size / 2);
		memcpy(&s->gpr[RDX], p + in->size / 2, in->size / 2);
	}
}

/* The flags that the SDM leaves undefined. `flags` and the count are those before. */
static uint64_t undefined_flags(const struct insn *in, const struct native_state *before)
{
	unsigned count = shift_count(in, before->gpr);

	switch (in->op) {
	case INSN_MUL:
	case INSN_IMUL_WIDE:
	case INSN_IMUL:
		return RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF;
	case INSN_DIV:
	case INSN_IDIV:
		return ALU_FLAGS;
	case INSN_BSF:
	case INSN_BSR:
		return ALU_FLAGS & ~RFLAGS_ZF;
	case INSN_TZCNT:
	case INSN_LZCNT:
		return RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF;
	case INSN_SHLD:
	case INSN_SHRD:
		return !count ? 0 : RFLAGS_AF | (count > 1 ? RFLAGS_OF : 0);
	case INSN_AND:
	case INSN_OR:
	case INSN_XOR:
	case INSN_TEST:
		return RFLAGS_AF;
	case INSN_ROL:
	case INSN_ROR:
	case INSN_RCL:
	case INSN_RCR:
		return count > 1 ? RFLAGS_OF : 0;
	case INSN_SHL:
	case INSN_SHR:
	case INSN_SAR:
		if (!count)
			return 0;
		return RFLAGS_AF | (count > 1 ? RFLAGS_OF : 0) |
		       (in->op != INSN_SAR && count >= 8u * in->size ? RFLAGS_CF : 0);
	case INSN_BT:
	case INSN_BTS:
	case INSN_BTR:
	case INSN_BTC:
		return RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF;
	default:
		return 0;
	}
}

static void complain(const struct test_case *t, const struct native_state *before, const char *what,
	uint64_t cpu, uint64_t ours)
{
	char hex[64] = "";

	for (unsigned k = 0; k < t->in.len; k++)
		snprintf(hex + 3 * k, sizeof(hex) - 3 * k, "%02x ", t->bytes[k]);
	fail_msg(
		"%s(%s, size %d): %s: the CPU %#llx, ours %#llx\n  before: rax %#llx rcx %#llx rdx %#llx rflags %#llx",
		hex, insn_op_name(t->in.op), t->in.size, what, (unsigned long long)cpu,
		(unsigned long long)ours, (unsigned long long)before->gpr[RAX],
		(unsigned long long)before->gpr[RCX], (unsigned long long)before->gpr[RDX],
		(unsigned long long)before->rflags);
}

static void run_case(struct test_case *t, struct native_state *s, uint64_t target)
{
	static const char *const names[GPRS] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
		"r9", "r10", "r11", "r12", "r13", "r14", "r15" };
	struct native_state before = *s;
	struct emu_machine m;
	uint64_t undefined = undefined_flags(&t->in, s);
	int rc;

	machine_init(&m, memory, (uintptr_t)native_data(), PAGES);
	for (unsigned k = 0; k < PAGES; k++)
		if (rnd() & 1)
			m.page[k] |= PAGE_DEVICE;
	memcpy(m.regs.gpr, s->gpr, sizeof(m.regs.gpr));
	memcpy(m.xmm, s->xmm, sizeof(m.xmm));
	m.regs.rip = native_rip();
	m.regs.rflags = s->rflags;
	m.seg[SEG_GS].base = GS_BASE;
	m.old_cpu = t->in.op == INSN_TZCNT ? !host_has(7, 1, 3) : !host_has(0x80000001, 2, 5);
	if (rnd() & 1 && !by_bit_number(&t->in) && !on_stack(&t->in)) { /* what the VM exit would tell */
		m.e.known = EMU_READ | EMU_WRITE;
		m.e.gpa = machine_gpa(&m, target);
	}
	do
		rc = runs[t->in.op] & 1 ? emulate(&m.e, t->bytes, INSN_MAX)
					: emulate_cached(&m.e, &cache, t->bytes, INSN_MAX);
	while (rc == EMU_PARTLY && m.logged < 2000);
	if (rc == -E_FAULT && m.e.fault.vector == VEC_DE)
		return; /* the native CPU would end the test; divisions_fault_where_the_quotient_does_not_fit has them */
	if (rc)
		complain(t, &before, "error", 0, (uint64_t)rc);

	native_run(t->bytes, t->in.len, s);
	for (unsigned n = 0; n < GPRS; n++)
		if (s->gpr[n] != m.regs.gpr[n])
			complain(t, &before, names[n], s->gpr[n], m.regs.gpr[n]);
	if ((s->rflags ^ m.regs.rflags) & ~(undefined | RFLAGS_RF))
		complain(t, &before, "rflags", s->rflags, m.regs.rflags);
	if (m.regs.rip != native_rip() + t->in.len)
		complain(t, &before, "rip", native_rip() + t->in.len, m.regs.rip);
	for (unsigned k = 0; memcmp(native_data(), memory, NATIVE_DATA) != 0 && k < NATIVE_DATA; k += 8)
		if (memcmp(native_data() + k, memory + k, 8) != 0) {
			uint64_t a, b;

			memcpy(&a, native_data() + k, 8);
			memcpy(&b, memory + k, 8);
			complain(t, &before, "memory", a, b);
		}
	for (unsigned n = 0; n < 16; n++)
		if (memcmp(s->xmm[n], m.xmm[n], 16) != 0)
			complain(t, &before, "xmm", n, n);
	runs[t->in.op]++;
}

static void random_instructions_do_what_the_cpu_does(void **state)
{
	const char *env = getenv("EMU_CASES");
	uint64_t cases = env ? strtoull(env, NULL, 0) : 500000, done = 0;
	struct test_case t;
	struct native_state s;
	uint64_t target;

	for (unsigned k = 0; k < NATIVE_DATA; k++)
		memory[k] = (uint8_t)(rnd() % 3);
	memcpy(native_data(), memory, NATIVE_DATA);
	for (uint64_t tries = 0; done < cases; tries++) {
		assert_true(tries < 100 * cases + 1000);
		if (!make_case(&t, &s, &target))
			continue;
		/* Of strings the memory stays dull: comparisons should go on for a while. */
		if (!is_string(t.in.op) || rnd() % 16 == 0) {
			uint64_t at = target - (uintptr_t)native_data(), v[2] = { rnd_value(), rnd_value() };

			memcpy(memory + at, v, 16);
			memcpy(native_data() + at, v, 16);
		} else if (rnd() % 8 == 0) {
			memset(memory, 1, NATIVE_DATA);
			memset(native_data(), 1, NATIVE_DATA);
		}
		help_cmpxchg(&t, &s, target);
		run_case(&t, &s, target);
		done++;
	}
	for (unsigned op = INSN_NONE + 1; op < INSN_OPS; op++)
		if (!native_cannot(op) && runs[op] < cases / 4000)
			fail_msg("only %llu cases were %s", (unsigned long long)runs[op], insn_op_name(op));
}

/* Each count, each width, both values of CF: rotates through CF and shifts to beyond the width are easily
 * wrong. */
static void every_shift_count_does_what_the_cpu_does(void **state)
{
	uint64_t at = (uintptr_t)native_data() + 4096;

	for (unsigned op = 0; op < 8; op++)
		for (unsigned size = 1; size <= 8; size *= 2)
			for (unsigned count = 0; count < 256; count++) {
				struct test_case t = { .map = 0 };
				struct native_state s = { .rflags = RFLAGS_ONE | RFLAGS_IF };
				uint64_t v = rnd_value();
				unsigned n = 0;

				if (size == 2)
					t.bytes[n++] = 0x66;
				if (size == 8)
					t.bytes[n++] = 0x48;
				t.bytes[n++] = size == 1 ? 0xc0 : 0xc1;
				t.bytes[n++] = (uint8_t)(op << 3); /* [rax] */
				t.bytes[n++] = (uint8_t)count;
				assert_int_equal(insn_decode(t.bytes, INSN_MAX, INSN_MODE_64, &t.in), 0);
				s.gpr[RAX] = at;
				s.rflags |= rnd() & (RFLAGS_CF | RFLAGS_OF | RFLAGS_ZF | RFLAGS_SF |
							    RFLAGS_PF | RFLAGS_AF);
				memcpy(memory + 4096, &v, 8);
				memcpy(native_data() + 4096, &v, 8);
				run_case(&t, &s, at);
			}
}

/* All 256 values against 256 in one byte, with and without carry. */
static void every_byte_sum_and_difference_is_the_cpus(void **state)
{
	uint64_t at = (uintptr_t)native_data() + 4096;

	for (unsigned op = 0; op < 8; op++)
		for (unsigned a = 0; a < 256; a += 5)
			for (unsigned b = 0; b < 256; b += 3) {
				struct test_case t = { .bytes = { 0x80, (uint8_t)(op << 3), (uint8_t)b } };
				struct native_state s = { .rflags = RFLAGS_ONE | RFLAGS_IF |
								    (rnd() & RFLAGS_CF) };

				assert_int_equal(insn_decode(t.bytes, INSN_MAX, INSN_MODE_64, &t.in), 0);
				s.gpr[RAX] = at;
				memory[4096] = native_data()[4096] = (uint8_t)a;
				run_case(&t, &s, at);
			}
}

/*
 * 67 43 19 0c 25+: SIB base 101, mod 00, REX.B, 32-bit addresses: no base register, whatever REX.B says.
 * (Zydis 4.0 reads it as [r13d]; test_insn_zydis.c excuses it.)
 */
static void sib_without_base_ignores_rex_b(void **state)
{
	struct test_case t = { .bytes = { 0x67, 0x43, 0x19, 0x0c, 0xc5 } };
	struct native_state s = { .rflags = RFLAGS_ONE | RFLAGS_IF };
	uint64_t at = (uintptr_t)native_data() + 4096;
	uint32_t disp = (uint32_t)at;

	memcpy(t.bytes + 5, &disp, 4);
	assert_int_equal(insn_decode(t.bytes, INSN_MAX, INSN_MODE_64, &t.in), 0);
	assert_int_equal(t.in.len, 9);
	s.gpr[R13] = 64;
	s.gpr[RCX] = 0x11223344;
	run_case(&t, &s, at);
}

static int setup(void **state)
{
	if (native_init())
		return -1;
	native_set_gs(GS_BASE);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_instructions_do_what_the_cpu_does),
		cmocka_unit_test(every_shift_count_does_what_the_cpu_does),
		cmocka_unit_test(every_byte_sum_and_difference_is_the_cpus),
		cmocka_unit_test(sib_without_base_ignores_rex_b),
	};
	const char *env = getenv("EMU_SEED");

	seed = env ? strtoull(env, NULL, 0) : 1;
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, setup, NULL);
}
