/* SPDX-License-Identifier: MIT */
/*
 * Decoder and emulator with any bytes, registers, segments and memory. Whatever the guest does: no crash,
 * bounded work, no access outside of what was translated, and a fault or refusal changes nothing.
 *
 * Input: struct input, then the instruction's bytes; what is missing is 0.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/x86.h"
#include "tests/support/fakes/emu_machine.h"

#define PAGES	 4u
/* Of one call: two operands an element, two pages each, in pieces; retries of locked updates. */
#define WORK_MAX (EMU_CHUNK * 2 * 2 * 4)

struct input {
	uint8_t mode, known, flags, protected_mode;
	uint8_t page[PAGES];
	uint8_t gpr[GPRS]; /* see reg_of() */
	uint32_t rflags;
	uint16_t limit[2];
	uint8_t access[2];
	uint8_t io[4];
	uint16_t gpa;
	uint8_t disturb;
	uint8_t reserved[3];
};
_Static_assert(sizeof(struct input) == 44, "the kept corpus is made so");

/* Values near the memory, near the edges of address spaces, and small ones. */
static uint64_t reg_of(uint8_t b)
{
	static const uint64_t base[8] = { 0, 0x10000, 0x10ff8, 0x12ffc, 0x7ffffffffff8, 0xfffff000, ~0ull,
		0xffff };

	return base[b >> 5] + (b & 31);
}

static int pio(void *ctx, uint16_t port, bool in, unsigned size, uint32_t *value)
{
	uint8_t *calls = ctx;

	if (++*calls > EMU_CHUNK)
		abort();
	*value ^= port;
	return port == 13 ? -E_IO : 0;
}

/* A breakpoint on the memory's first page, on writes, and one on any access to the last bytes of the address space. */
static const struct breakpoints watched = { .dr = { 0x10ff8, ~0ull }, .dr7 = 0xfu | 9u << 16 | 0xbu << 20 };

static void setup(struct emu_machine *m, uint8_t *memory, const struct input *in)
{
	static const enum insn_mode modes[4] = { INSN_MODE_16, INSN_MODE_32, INSN_MODE_64, INSN_MODE_64 };

	machine_init(m, memory, 0x10000, PAGES);
	m->e.mode = modes[in->mode & 3];
	m->e.known = in->known & 3;
	m->e.gpa = gpa(MACHINE_GPA + in->gpa % (PAGES * PAGE_SIZE));
	m->e.linear_bits = in->flags & 1 ? 57 : 48;
	m->e.align_check = in->flags & 2;
	m->e.protected_mode = in->protected_mode & 1;
	m->e.umip = in->flags & 8;
	m->e.cpl = in->protected_mode >> 1 & 3;
	m->old_cpu = in->flags & 16;
	m->e.watch = in->flags & 32 ? &watched : NULL;
	m->disturb = in->disturb;
	for (unsigned k = 0; k < PAGES; k++)
		m->page[k] = in->page[k] & 15;
	for (unsigned k = 0; k < GPRS; k++)
		m->regs.gpr[k] = reg_of(in->gpr[k]);
	m->regs.rip = 0x11000;
	m->regs.rflags = in->rflags | RFLAGS_ONE;
	for (unsigned s = 0; s < SEGS; s++) {
		m->seg[s].access = in->access[s & 1] | 0xc000u;
		m->seg[s].limit = in->limit[s & 1] == 0xffff ? 0xffffffff : in->limit[s & 1] * 16u;
		m->seg[s].base = s & 2 ? 0 : 0x10000;
	}
}

static void check(const struct emu_machine *m, const struct cpu_regs *before, const uint8_t *memory,
	const uint8_t *was, bool disturbed, int rc)
{
	bool string = m->e.insn.op >= INSN_MOVS && m->e.insn.op <= INSN_OUTS;

	if (m->translations + m->ram_accesses + m->logged > WORK_MAX)
		abort();
	if (rc && m->regs.rip != before->rip)
		abort();
	if (rc == -E_NOSUP && !m->e.why)
		abort();
	if (rc == -E_FAULT && m->e.fault.vector > VEC_CP)
		abort();
	if (rc && !string && !disturbed &&
		(memcmp(before, &m->regs, sizeof(*before)) != 0 ||
			memcmp(memory, was, PAGES * PAGE_SIZE) != 0))
		abort();
	if (!rc && !m->e.branched && m->regs.rip - before->rip != m->e.insn.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t memory[PAGES * PAGE_SIZE], was[PAGES * PAGE_SIZE];
	static struct emu_machine m;
	static struct insn_cache cache; /* of all inputs */
	struct input in = { 0 };
	struct cpu_regs before;
	struct emu_string_io io;
	struct insn insn;
	uint8_t calls = 0;
	char text[128];
	int rc;

	memcpy(&in, data, size < sizeof(in) ? size : sizeof(in));
	data += size < sizeof(in) ? size : sizeof(in);
	size -= size < sizeof(in) ? size : sizeof(in);

	setup(&m, memory, &in);
	rc = insn_decode(data, size, m.e.mode, &insn);
	if (!rc && (insn.len == 0 || insn.len > INSN_MAX || insn.len > size || insn.op == INSN_NONE ||
			   insn.op >= INSN_OPS))
		abort();
	if (rc && (insn.len != 0 || insn.op != INSN_NONE || insn.why == INSN_WHY_NONE))
		abort();

	memcpy(was, memory, sizeof(was));
	before = m.regs;
	rc = in.flags & 4 ? emulate(&m.e, data, size) : emulate_cached(&m.e, &cache, data, size);
	check(&m, &before, memory, was, in.disturb, rc);
	emulate_describe(&m.e, data, size, text, sizeof(text));

	setup(&m, memory, &in);
	io = (struct emu_string_io){ .port = in.io[0],
		.size = (uint8_t)(1u << (in.io[1] & 3)),
		.addr_size = (uint8_t)(2u << (in.io[2] & 3)),
		.seg = in.io[3] & 7,
		.len = 1,
		.in = in.io[1] & 0x80,
		.rep = in.io[2] & 0x80,
		.pio = pio,
		.ctx = &calls };
	before = m.regs;
	rc = emulate_string_io(&m.e, &io);
	if (m.translations + m.ram_accesses + m.logged > WORK_MAX || (rc && m.regs.rip != before.rip))
		abort();
	return 0;
}
