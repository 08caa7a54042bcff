/* SPDX-License-Identifier: MIT */
/* Real-mode vectors: puts them into guest memory, and answers the traps among them. */
#include "guest/dev/vectors.h"

#include "guest/dev/machine.h"
#include "lib/log.h"
#include "lib/x86.h"
#include "mm/space/guest_mem.h"

static const uint8_t rom[] = {
#include "rom/vectors.inc"
};

#define SEGMENT	 0xf000u
#define TRAPS_AT (LAYOUT_VECTORS + 256 * 2)
#define RESET_AT 0xffff0ul /* where the CPU begins after a reset, as real mode reaches it */

_Static_assert(LAYOUT_VECTORS >> 16 == SEGMENT >> 12, "the handlers lie in the segment that the table names");
_Static_assert(sizeof(rom) <= PAGE_SIZE, "the handlers fit");

#define INT_MEMORY_SIZE 0x12
#define INT_KEYBOARD	0x16
#define INT_NO_BOOT	0x18 /* ROM BASIC once; since then: the disk would not boot */
#define INT_BOOT	0x19
#define KEY_WAITS	0x01 /* AH of 16h: is there a key? 11h: the same for larger keyboards */
#define KEY_WAITS_MORE	0x11
#define UNSUPPORTED	0x86 /* AH of 15h, as of all services here: no such function */
#define OPCODE_INT	0xcd

int vectors_trap(uint64_t at)
{
	uint64_t off = at - TRAPS_AT;

	return off < 8 * VECTORS_TRAPS && off % 8 == 0 ? (int)(off / 8) : -1;
}

/* True the first time, as long as lines are left. */
static bool vectors_is_news(struct vectors *v, uint32_t key)
{
	if (v->lines == VECTORS_LOG_LINES)
		return false;
	for (unsigned i = 0; i < v->lines; i++)
		if (v->logged[i] == key)
			return false;
	v->logged[v->lines++] = key;
	return true;
}

static void vectors_service(struct platform *p, unsigned vector, struct vectors_frame *f)
{
	bool news = vectors_is_news(&p->vectors, (uint32_t)vector << 16 | f->ax);
	const char *more = p->vectors.lines == VECTORS_LOG_LINES ? "; further calls are not logged" : "";
	uint16_t ax = f->ax;

	if (vector == INT_MEMORY_SIZE) {
		f->ax = LAYOUT_EBDA / KiB;
		if (news)
			log_info("vm %s: BIOS call int 12h AX=%04X: answered, AX = %u KiB%s", p->name, ax,
				f->ax, more);
	} else if (vector == INT_KEYBOARD && (ax >> 8 == KEY_WAITS || ax >> 8 == KEY_WAITS_MORE)) {
		f->flags |= RFLAGS_ZF;
		if (news)
			log_info("vm %s: BIOS call int 16h AX=%04X: answered, ZF = 1, no key waits%s",
				p->name, ax, more);
	} else {
		f->flags |= RFLAGS_CF;
		f->ax = (uint16_t)(UNSUPPORTED << 8 | (ax & 0xff));
		if (news)
			log_info(
				"vm %s: BIOS call int %02xh AX=%04X: this guest has no BIOS; returns CF = 1, AH = 86h%s",
				p->name, vector, ax, more);
	}
}

/*
 * 08h, 0Ch, 0Dh with nothing in service in the 8259: an exception, INT nn, or an IRQ whose handler has sent EOI and then
 * jumped here. IRET is right for the last two. An exception comes again at once, from the same place with the same stack,
 * and the only exits between are the three that the handler makes itself.
 */
static bool vectors_is_exception(struct vectors *v, unsigned vector, const struct vectors_frame *f)
{
	struct vectors_frame last = v->last;

	v->last = *f;
	if (f->before[0] == OPCODE_INT && f->before[1] == vector)
		return false;
	return f->exits == last.exits + 3 && f->cs == last.cs && f->ip == last.ip && f->ss == last.ss &&
	       f->sp == last.sp;
}

enum vectors_verdict vectors_call(struct platform *p, unsigned vector, struct vectors_frame *f)
{
	enum vectors_verdict verdict = VECTORS_RETURN;

	if (vector < 0x08)
		return VECTORS_FAULT;
	if (vector == INT_NO_BOOT || vector == INT_BOOT)
		return VECTORS_BOOT;
	spin_lock(&p->vectors.lock);
	if (vector >= 0x10) {
		p->vectors.calls++;
		vectors_service(p, vector, f);
	} else if (vectors_is_exception(&p->vectors, vector, f)) {
		verdict = VECTORS_FAULT;
	}
	spin_unlock(&p->vectors.lock);
	return verdict;
}

unsigned vectors_calls(struct platform *p)
{
	return atomic_load_relaxed(&p->vectors.calls);
}

int vectors_write(struct platform *p)
{
	static const struct {
		uint8_t jump_far;
		uint16_t offset, segment;
	} __packed reset = { 0xea, (uint16_t)(TRAPS_AT + 8 * VECTORS_TRAPS), SEGMENT };
	int err = guest_write_rom(p->mmu, gpa(LAYOUT_VECTORS), rom, sizeof(rom));

	for (unsigned i = 0; !err && i < 256; i++) {
		const uint16_t entry[2] = { (uint16_t)(rom[2 * i] | rom[2 * i + 1] << 8), SEGMENT };

		err = guest_write(p->mmu, gpa(4 * i), entry, sizeof(entry));
	}
	return err ? err : guest_write_rom(p->mmu, gpa(RESET_AT), &reset, sizeof(reset));
}
