/* SPDX-License-Identifier: MIT */
/*
 * How a memory operand is reached:
 *
 *	seg:offset --(limit, rights; canonical)--> linear --(the guest's paging)--> gpa --> RAM, or a device
 *	                                             |
 *	                                             +-- an operand may cross into a second page: two gpas
 *
 * emu_open() makes every check that can fault. Reads and writes after it cannot fault.
 */
#include "guest/emu/emu.h"

#include "lib/string.h"

#define SEG_TYPE_WRITABLE BIT(1) /* data; of code: readable */
#define SEG_TYPE_EXPANDS  BIT(2) /* data: down */
#define SEG_TYPE_CODE	  BIT(3)
#define SEG_DB		  BIT(14)
#define SEG_UNUSABLE	  BIT(16)

int emu_fault(struct emu *e, unsigned vector)
{
	e->fault = (struct emu_fault){ .vector = (uint8_t)vector,
		.has_error = vector != VEC_UD && vector != VEC_DE };
	return -E_FAULT;
}

int emu_refuse(struct emu *e, const char *why)
{
	e->why = why;
	return -E_NOSUP;
}

const struct cpu_segment *emu_segment(struct emu *e, unsigned seg)
{
	if (!(e->segs_known & (1u << seg))) {
		e->ops->segment(e, (enum seg)seg, &e->seg[seg]);
		e->segs_known |= 1u << seg;
	}
	return &e->seg[seg];
}

/* Faults of segmentation are #SS for the stack segment, else #GP, both with error code 0. */
static int segment_fault(struct emu *e, unsigned seg)
{
	return emu_fault(e, seg == SEG_SS ? VEC_SS : VEC_GP);
}

/* 64-bit mode: base 0 but for FS and GS, no limits (SDM Vol. 3A 3.4.4, 5.3.1). */
static int linear_64(struct emu *e, unsigned seg, uint64_t offset, unsigned size, uint64_t *out)
{
	uint64_t linear = offset;

	if (unlikely(seg >= SEG_FS))
		linear += emu_segment(e, seg)->base;
	if (unlikely(!is_canonical(linear, e->linear_bits) ||
		     !is_canonical(linear + size - 1, e->linear_bits)))
		return segment_fault(e, seg);
	*out = linear;
	return 0;
}

/*
 * Limits and types (SDM Vol. 3A 5.3, 5.4; Vol. 3B 20.1.1 for real mode). An operand that wraps from 4 GiB to
 * 0 is outside of every limit; the manual leaves it to the implementation.
 */
static int linear_32(
	struct emu *e, unsigned seg, uint64_t offset, unsigned size, unsigned access, uint64_t *out)
{
	const struct cpu_segment *s = emu_segment(e, seg);
	uint64_t last = offset + size - 1;
	bool down = false;

	if (e->protected_mode) {
		bool code = s->access & SEG_TYPE_CODE;

		if (s->access & SEG_UNUSABLE)
			return segment_fault(e, seg);
		if (access & EMU_WRITE && (code || !(s->access & SEG_TYPE_WRITABLE)))
			return segment_fault(e, seg);
		if (access & EMU_READ && code && !(s->access & SEG_TYPE_WRITABLE))
			return segment_fault(e, seg);
		down = !code && s->access & SEG_TYPE_EXPANDS;
	}
	if (down ? offset <= s->limit || last > (s->access & SEG_DB ? 0xffffffff : 0xffff) : last > s->limit)
		return segment_fault(e, seg);
	*out = (uint32_t)(s->base + offset);
	return 0;
}

static int translate(struct emu *e, struct emu_mem *m, unsigned size, unsigned access)
{
	uint64_t second = (m->linear | PAGE_MASK) + 1;
	int rc = e->ops->translate(e, gva(m->linear), access, &m->at[0]);

	if (rc || likely(m->first == size))
		return rc;
	return e->ops->translate(
		e, gva(e->mode == INSN_MODE_64 ? second : (uint32_t)second), access, &m->at[1]);
}

int emu_open(struct emu *e, struct emu_mem *m, unsigned seg, uint64_t offset, unsigned size, unsigned access,
	bool only)
{
	unsigned in_page;
	int rc;

	m->size = 0;
	rc = e->mode == INSN_MODE_64 ? linear_64(e, seg, offset, size, &m->linear)
				     : linear_32(e, seg, offset, size, access, &m->linear);
	if (unlikely(rc))
		return rc;
	if (unlikely(e->insn.flags & INSN_ALIGNED && m->linear & (size - 1)))
		return emu_fault(e, VEC_GP);
	in_page = PAGE_SIZE - (m->linear & PAGE_MASK);
	m->first = (uint8_t)min(size, in_page);
	m->device = 0;
	if (likely(only && (e->known & access) == access && !((e->gpa.v ^ m->linear) & PAGE_MASK) &&
		    size <= in_page)) {
		m->at[0] = e->gpa;
		m->device = 1;
	} else {
		rc = translate(e, m, size, access);
		if (rc)
			return rc;
	}
	/* #AC is the last of the faults (SDM Vol. 3A table 6-2); 16-byte operands have their own rules. */
	if (unlikely(e->align_check && size <= 8 && m->linear & (size - 1)))
		return emu_fault(e, VEC_AC);
	if (unlikely(e->watch))
		e->hits |= breakpoints_data(e->watch, m->linear, size, access & EMU_WRITE);
	m->size = (uint8_t)size;
	return 0;
}

int emu_open_next(
	struct emu *e, struct emu_mem *m, unsigned seg, uint64_t offset, unsigned size, unsigned access)
{
	uint64_t linear;
	int rc;

	if (m->size != size || m->first != size || e->watch)
		return emu_open(e, m, seg, offset, size, access, false);
	rc = e->mode == INSN_MODE_64 ? linear_64(e, seg, offset, size, &linear)
				     : linear_32(e, seg, offset, size, access, &linear);
	if (rc)
		return rc;
	if ((linear ^ m->linear) >> PAGE_SHIFT || (linear & PAGE_MASK) + size > PAGE_SIZE ||
		(e->align_check && linear & (size - 1)))
		return emu_open(e, m, seg, offset, size, access, false);
	m->linear = linear;
	m->at[0].v = (m->at[0].v & ~PAGE_MASK) | (linear & PAGE_MASK);
	return 0;
}

/* Devices take accesses of 1, 2, 4 and 8 bytes. Other sizes are split into such pieces, the largest first. */
static unsigned piece(unsigned n)
{
	return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

static void device_read(struct emu *e, gpa_t at, uint8_t *to, unsigned n)
{
	while (n) {
		unsigned k = piece(n);
		uint64_t v = e->ops->mmio_read(e, at, k);

		memcpy(to, &v, k);
		at.v += k;
		to += k;
		n -= k;
	}
}

static void device_write(struct emu *e, gpa_t at, const uint8_t *from, unsigned n)
{
	while (n) {
		unsigned k = piece(n);
		uint64_t v = 0;

		memcpy(&v, from, k);
		e->ops->mmio_write(e, at, k, v);
		at.v += k;
		from += k;
		n -= k;
	}
}

static int part_read(struct emu *e, struct emu_mem *m, unsigned part, uint8_t *to, unsigned n)
{
	if (!(m->device & (1u << part))) {
		int rc = e->ops->ram_read(e, m->at[part], to, n);

		if (rc != -E_FAULT)
			return rc;
		m->device |= (uint8_t)(1u << part);
	}
	device_read(e, m->at[part], to, n);
	return 0;
}

static int part_write(struct emu *e, struct emu_mem *m, unsigned part, const uint8_t *from, unsigned n)
{
	if (!(m->device & (1u << part))) {
		int rc = e->ops->ram_write(e, m->at[part], from, n);

		if (rc != -E_FAULT)
			return rc;
		m->device |= (uint8_t)(1u << part);
	}
	device_write(e, m->at[part], from, n);
	return 0;
}

int emu_read(struct emu *e, struct emu_mem *m, void *to)
{
	int rc = part_read(e, m, 0, to, m->first);

	if (rc || m->first == m->size)
		return rc;
	return part_read(e, m, 1, (uint8_t *)to + m->first, m->size - m->first);
}

int emu_write(struct emu *e, struct emu_mem *m, const void *from)
{
	int rc = part_write(e, m, 0, from, m->first);

	if (rc || m->first == m->size)
		return rc;
	return part_write(e, m, 1, (const uint8_t *)from + m->first, m->size - m->first);
}

int emu_read_value(struct emu *e, struct emu_mem *m, uint64_t *value)
{
	if (likely(m->device && m->first == m->size)) {
		*value = e->ops->mmio_read(e, m->at[0], m->size) & (~0ull >> (64 - 8 * m->size));
		return 0;
	}
	*value = 0;
	return emu_read(e, m, value);
}

int emu_write_value(struct emu *e, struct emu_mem *m, uint64_t value)
{
	if (likely(m->device && m->first == m->size)) {
		e->ops->mmio_write(e, m->at[0], m->size, value & (~0ull >> (64 - 8 * m->size)));
		return 0;
	}
	return emu_write(e, m, &value);
}

int emu_update(struct emu *e, struct emu_mem *m, const void *expected, const void *desired, bool locked)
{
	uint64_t value;
	int rc;

	if (likely(m->device && m->size <= 8)) {
		__builtin_memcpy(&value, desired, 8);
		return emu_write_value(e, m, value);
	}
	if (!locked || m->device)
		return emu_write(e, m, desired);
	if (m->first != m->size)
		return emu_refuse(e, "a locked access to RAM across a page boundary");
	if (!e->ops->ram_cmpxchg)
		return emu_refuse(e, "a locked access to RAM");
	rc = e->ops->ram_cmpxchg(e, m->at[0], expected, desired, m->size);
	if (rc != -E_FAULT)
		return rc;
	device_write(e, m->at[0], desired, m->size); /* read-only RAM: the platform sees the write */
	return 0;
}

int emulate_operand_read(struct emu *e, enum seg seg, uint64_t offset, void *to, unsigned n)
{
	struct emu_mem m;
	int rc;

	e->known = 0;
	e->segs_known = 0;
	e->hits = 0;
	e->why = NULL;
	e->insn = (struct insn){ .op = INSN_NONE };
	rc = emu_open(e, &m, seg, offset, n, EMU_READ, false);
	return rc ? rc : emu_read(e, &m, to);
}
