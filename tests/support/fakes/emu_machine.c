/* SPDX-License-Identifier: MIT */
#include "tests/support/fakes/emu_machine.h"

#include <stdlib.h>
#include <string.h>

#include "lib/x86.h"

static struct emu_machine *of(struct emu *e)
{
	return container_of(e, struct emu_machine, e);
}

gpa_t machine_gpa(const struct emu_machine *m, uint64_t linear)
{
	uint64_t page = (linear - m->linear) / PAGE_SIZE;

	return gpa(MACHINE_GPA + (m->pages - 1 - page) * PAGE_SIZE + (linear & PAGE_MASK));
}

static int translate(struct emu *e, gva_t at, unsigned access, gpa_t *out)
{
	struct emu_machine *m = of(e);
	uint64_t page = (at.v - m->linear) / PAGE_SIZE;
	unsigned flags = at.v >= m->linear && page < m->pages ? m->page[page] : 0;

	m->translations++;
	if (!(flags & PAGE_PRESENT) || (access & EMU_WRITE && !(flags & PAGE_WRITE))) {
		e->fault = (struct emu_fault){ .vector = VEC_PF,
			.has_error = true,
			.error = (uint32_t)((flags & PAGE_PRESENT ? PF_PRESENT : 0) |
					    (access & EMU_WRITE ? PF_WRITE : 0)),
			.cr2 = at.v };
		return -E_FAULT;
	}
	*out = machine_gpa(m, at.v);
	return 0;
}

/* The bytes behind a gpa; an access that leaves the machine or a page is the emulator's mistake. */
static uint8_t *behind(struct emu_machine *m, gpa_t at, unsigned n, unsigned *flags)
{
	uint64_t page = (at.v - MACHINE_GPA) / PAGE_SIZE;

	if (at.v < MACHINE_GPA || page >= m->pages || n == 0 || n > 32 || (at.v & PAGE_MASK) + n > PAGE_SIZE)
		abort();
	page = m->pages - 1 - page;
	*flags = m->page[page];
	return m->mem + page * PAGE_SIZE + (at.v & PAGE_MASK);
}

static int ram_read(struct emu *e, gpa_t at, void *to, unsigned n)
{
	unsigned flags;
	uint8_t *p = behind(of(e), at, n, &flags);

	of(e)->ram_accesses++;
	if (flags & PAGE_DEVICE)
		return -E_FAULT;
	memcpy(to, p, n);
	return 0;
}

static int ram_write(struct emu *e, gpa_t at, const void *from, unsigned n)
{
	unsigned flags;
	uint8_t *p = behind(of(e), at, n, &flags);

	of(e)->ram_accesses++;
	if (flags & (PAGE_DEVICE | PAGE_ROM))
		return -E_FAULT;
	memcpy(p, from, n);
	return 0;
}

static int ram_cmpxchg(struct emu *e, gpa_t at, const void *expected, const void *desired, unsigned n)
{
	struct emu_machine *m = of(e);
	unsigned flags;
	uint8_t *p = behind(m, at, n, &flags);

	m->ram_accesses++;
	if (flags & (PAGE_DEVICE | PAGE_ROM))
		return -E_FAULT;
	if (m->disturb) {
		m->disturb--;
		p[0]++;
	}
	if (memcmp(p, expected, n) != 0)
		return -E_AGAIN;
	memcpy(p, desired, n);
	return 0;
}

static void record(struct emu_machine *m, gpa_t at, unsigned n, uint64_t value, bool write)
{
	if (n != 1 && n != 2 && n != 4 && n != 8)
		abort();
	if (m->logged < MACHINE_LOG)
		m->log[m->logged] = (struct machine_access){ at.v, value, n, write };
	m->logged++;
}

static uint64_t mmio_read(struct emu *e, gpa_t at, unsigned n)
{
	unsigned flags;
	uint64_t v = 0;

	memcpy(&v, behind(of(e), at, n, &flags), n);
	record(of(e), at, n, v, false);
	return v;
}

static void mmio_write(struct emu *e, gpa_t at, unsigned n, uint64_t value)
{
	unsigned flags;

	memcpy(behind(of(e), at, n, &flags), &value, n);
	record(of(e), at, n, value, true);
}

static void segment(struct emu *e, enum seg seg, struct cpu_segment *out)
{
	of(e)->segments_asked++;
	*out = of(e)->seg[seg];
}

static uint16_t system_register(struct emu *e, enum emu_system which)
{
	return (uint16_t)(0x1100 + which);
}

static bool has(struct emu *e, enum emu_feature feature)
{
	return !of(e)->old_cpu;
}

static void xmm_read(struct emu *e, unsigned n, void *to)
{
	memcpy(to, of(e)->xmm[n], 16);
}

static void xmm_write(struct emu *e, unsigned n, const void *from)
{
	memcpy(of(e)->xmm[n], from, 16);
}

static bool ymm_read(struct emu *e, unsigned n, void *to)
{
	if (of(e)->no_avx)
		return false;
	memcpy(to, of(e)->xmm[n], 16);
	memcpy((uint8_t *)to + 16, of(e)->ymm_high[n], 16);
	return true;
}

static bool ymm_write(struct emu *e, unsigned n, const void *from)
{
	if (of(e)->no_avx)
		return false;
	memcpy(of(e)->xmm[n], from, 16);
	memcpy(of(e)->ymm_high[n], (const uint8_t *)from + 16, 16);
	return true;
}

static bool pause_string(struct emu *e)
{
	return of(e)->hurried;
}

static const struct emu_ops machine_ops = {
	.pause = pause_string,
	.translate = translate,
	.ram_read = ram_read,
	.ram_write = ram_write,
	.ram_cmpxchg = ram_cmpxchg,
	.mmio_read = mmio_read,
	.mmio_write = mmio_write,
	.segment = segment,
	.system = system_register,
	.has = has,
	.xmm_read = xmm_read,
	.xmm_write = xmm_write,
	.ymm_read = ymm_read,
	.ymm_write = ymm_write,
};

void machine_init(struct emu_machine *m, uint8_t *mem, uint64_t linear, unsigned pages)
{
	memset(m, 0, sizeof(*m));
	m->mem = mem;
	m->linear = linear;
	m->pages = pages;
	for (unsigned k = 0; k < pages; k++)
		m->page[k] = PAGE_PRESENT | PAGE_WRITE;
	for (unsigned s = 0; s < SEGS; s++) /* present, data, writable, accessed, D/B, G */
		m->seg[s] =
			(struct cpu_segment){ .limit = 0xffffffff, .access = s == SEG_CS ? 0xc09b : 0xc093 };
	m->e.ops = &machine_ops;
	m->e.regs = &m->regs;
	m->e.mode = INSN_MODE_64;
	m->e.linear_bits = 48;
	m->e.protected_mode = true;
	m->regs.rflags = RFLAGS_ONE;
}
