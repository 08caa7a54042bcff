/* SPDX-License-Identifier: MIT */
#include "tests/support/sim/oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/host/frames.h"
#include "mm/host/mtrr.h"
#include "mm/map/backing.h"
#include "mm/mmu/ept.h"
#include "tests/support/fakes/cpu_id.h"

#define POISON_FRAME 0x000b6b6b6b6b6000ull

static _Thread_local uint64_t seed0, state;
static _Thread_local const uint8_t *bytes, *bytes_end;
struct hw_cpu hw_cpu[HW_CPUS];
void (*hw_kick)(struct mmu_vcpu *v);

void oracle_seed(uint64_t seed)
{
	seed0 = seed;
	state = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
}

void oracle_bytes(const uint8_t *data, size_t size)
{
	bytes = data;
	bytes_end = size ? data + size : data;
}

bool oracle_bytes_left(void)
{
	return bytes_end - bytes >= 2;
}

/* xorshift64* */
uint64_t oracle_random(void)
{
	if (oracle_bytes_left()) {
		bytes += 2;
		return bytes[-2] | (uint64_t)bytes[-1] << 8;
	}
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1dull) >> 11;
}

void oracle_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("oracle (seed %lu): ", seed0);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
	abort();
}

/* ---- hardware ---- */

static bool covers(const struct hw_cached *c, uint64_t ep4ta, uint64_t gfn)
{
	return c->ep4ta == ep4ta && gfn - c->first < c->pages;
}

static void cache(struct hw_cached *set, unsigned n, const struct hw_cached *what)
{
	struct hw_cached *to = &set[below(n)];

	for (unsigned i = 0; i < n; i++)
		if (!set[i].ep4ta || (set[i].ep4ta == what->ep4ta && set[i].first == what->first &&
					     set[i].pages == what->pages))
			to = &set[i];
	*to = *what;
}

static void drop(struct hw_cached *set, unsigned n, uint64_t ep4ta, bool one, uint64_t gfn)
{
	for (unsigned i = 0; i < n; i++)
		if (!ep4ta || (one ? covers(&set[i], ep4ta, gfn) : set[i].ep4ta == ep4ta))
			set[i].ep4ta = 0;
}

static void invept_single(uint64_t eptp)
{
	struct hw_cpu *c = &hw_cpu[this_cpu_id()];

	drop(c->tlb, ORACLE_TLB, eptp & EPT_ADDR, false, 0);
	drop(c->psc, ORACLE_PSC, eptp & EPT_ADDR, false, 0);
	c->invepts++;
}

static void invvpid_single(uint16_t vpid)
{
	hw_cpu[this_cpu_id()].linear[vpid] = 0;
	hw_cpu[this_cpu_id()].invvpids++;
}

struct hw_pml hw_pml[ORACLE_PMLS];

void hw_load(unsigned cpu, const struct mmu_vcpu *v)
{
	hw_cpu[cpu].pml = &hw_pml[v->index % ORACLE_PMLS];
}

static void pml_set(struct mmu_vcpu *v, bool on)
{
	struct hw_pml *p = &hw_pml[v->index % ORACLE_PMLS];

	if (on && p->on && p->index != MMU_PML_EMPTY)
		oracle_fail("vCPU %u enters with a buffer that was not emptied", v->index);
	p->on = on;
	p->index = MMU_PML_EMPTY;
}

static void pml_drain(struct mmu_vcpu *v)
{
	struct hw_pml *p = &hw_pml[v->index % ORACLE_PMLS];

	mmu_pml_drain(v, p->buffer, p->index);
	p->index = MMU_PML_EMPTY;
}

static void kick(struct mmu_vcpu *v)
{
	if (hw_kick)
		hw_kick(v);
}

const struct mmu_cpu_ops hw_ops = {
	.kick = kick,
	.invept_single = invept_single,
	.invvpid_single = invvpid_single,
	.pml_set = pml_set,
	.pml_drain = pml_drain,
};

void hw_reset(void)
{
	memset(hw_cpu, 0, sizeof(hw_cpu));
	memset(hw_pml, 0, sizeof(hw_pml));
}

static uint64_t *entry_at(uint64_t table, uint64_t gfn, unsigned level)
{
	return (uint64_t *)hpa_to_virt(hpa(table)) + level_index(gfn, level);
}

static bool pml_full(const struct hw_pml *p)
{
	return p && p->on && p->index > MMU_PML_EMPTY;
}

/* D was set for gfn. */
static void pml_log(struct hw_pml *p, uint64_t gfn)
{
	if (!p || !p->on)
		return;
	p->buffer[p->index--] = gfn << PAGE_SHIFT;
	p->logged++;
}

/* Sets flags in the entry at `at` as a CPU does: by a locked access that finds it as it was when it was read, or
 * begins anew. */
static bool set_flags(uint64_t *at, uint64_t *e, uint64_t flags)
{
	uint64_t was = *e;

	if ((was & flags) == flags)
		return true;
	if (!atomic_cmpxchg(at, &was, was | flags))
		return false;
	*e |= flags;
	return true;
}

/* Walks from `table`, of level `level`. Another CPU may be changing what is read here at any time. */
static enum hw_result walk(unsigned cpu, uint64_t eptp, uint64_t table, unsigned level, uint64_t gfn,
	unsigned access, uint64_t *entry, unsigned *leaf_level)
{
	bool ad = eptp & EPTP_AD;

	for (;;) {
		uint64_t *at = entry_at(table, gfn, level), e = atomic_load(at);
		uint64_t n = level_pages(level);
		struct hw_cached c = { eptp & EPT_ADDR, align_down(gfn, n), n, 0, level };

		if ((e & EPT_ADDR) == POISON_FRAME)
			oracle_fail("CPU %u walks a freed table for gfn %#lx at level %u", cpu, gfn, level);
		if (ept_is_mmio(e)) {
			/* The address of a not-present entry may be read speculatively (L1TF): it must be no RAM. */
			if ((e & EPT_ADDR) < BIT(38))
				oracle_fail("MMIO entry %#lx has an address in RAM", e);
			return HW_MISCONFIG;
		}
		if (!ept_present(e)) {
			if (e)
				oracle_fail("entry %#lx of level %u is neither present nor 0", e, level);
			return HW_VIOLATION;
		}
		if (ad && !set_flags(at, &e, EPT_A))
			continue;
		if (ept_is_leaf(e, level)) {
			if (level > 1 && (e & EPT_ADDR & (n * PAGE_SIZE - 1)))
				oracle_fail("leaf %#lx of level %u is not aligned", e, level);
			if (access & ~e)
				return HW_VIOLATION;
			if (ad && (access & MMU_WRITE) && !(e & EPT_D)) {
				/* 28.3.6: the exit comes before the flag is set. */
				if (pml_full(hw_cpu[cpu].pml))
					return HW_PML_FULL;
				if (!set_flags(at, &e, EPT_D))
					continue;
				pml_log(hw_cpu[cpu].pml, gfn);
			}
			*entry = c.entry = e;
			*leaf_level = level;
			cache(hw_cpu[cpu].tlb, ORACLE_TLB, &c);
			return HW_HIT;
		}
		if ((e & EPT_RWX) != EPT_RWX || bits_get(e, 7, 3))
			oracle_fail("entry %#lx of level %u is misconfigured", e, level);
		table = e & EPT_ADDR;
		c.entry = e;
		c.level = --level;
		cache(hw_cpu[cpu].psc, ORACLE_PSC, &c);
	}
}

enum hw_result hw_access(
	unsigned cpu, uint64_t eptp, uint64_t gfn, unsigned access, uint64_t *entry, unsigned *level)
{
	struct hw_cpu *c = &hw_cpu[cpu];
	uint64_t tag = eptp & EPT_ADDR, table = tag;
	unsigned from = (unsigned)bits_get(eptp, 5, 3) + 1;
	enum hw_result r;

	/* SDM Vol. 3C 28.4.3: the CPU may use any of what it has cached, or walk. */
	for (unsigned i = 0; i < ORACLE_TLB; i++) {
		if (!covers(&c->tlb[i], tag, gfn) || !below(6) || (access & ~c->tlb[i].entry))
			continue;
		/* A write through an entry whose D was clear when it was cached goes to memory for D. */
		if ((eptp & EPTP_AD) && (access & MMU_WRITE) && !(c->tlb[i].entry & EPT_D))
			continue;
		*entry = c->tlb[i].entry;
		*level = c->tlb[i].level;
		return HW_HIT;
	}
	for (unsigned i = 0; i < ORACLE_PSC; i++) {
		if (!covers(&c->psc[i], tag, gfn) || !below(4) || c->psc[i].level >= from)
			continue;
		table = c->psc[i].entry & EPT_ADDR;
		from = c->psc[i].level;
	}
	r = walk(cpu, eptp, table, from, gfn, access, entry, level);
	/* 28.4.3.1: a violation drops what was cached for the address. (A misconfiguration need not.) */
	if (r == HW_VIOLATION)
		drop(c->tlb, ORACLE_TLB, tag, true, gfn);
	if (r == HW_VIOLATION)
		drop(c->psc, ORACLE_PSC, tag, true, gfn);
	return r;
}

bool hw_peek(uint64_t eptp, uint64_t gfn, uint64_t *entry, unsigned *level)
{
	uint64_t table = eptp & EPT_ADDR;

	for (unsigned l = (unsigned)bits_get(eptp, 5, 3) + 1;; l--) {
		uint64_t e = *entry_at(table, gfn, l);

		*entry = e;
		*level = l;
		if (!ept_present(e))
			return false;
		if (ept_is_leaf(e, l))
			return true;
		table = e & EPT_ADDR;
	}
}

/* ---- the model ---- */

struct model_slot *model_now(struct model *m)
{
	return m->at[m->version % ORACLE_VERSIONS];
}

struct model_slot *model_change(struct model *m)
{
	struct model_slot *old = model_now(m);

	m->version++;
	memcpy(model_now(m), old, sizeof(m->at[0]));
	if (m->version - m->oldest >= ORACLE_VERSIONS)
		m->oldest = m->version - ORACLE_VERSIONS + 1;
	return model_now(m);
}

void model_forget(struct model *m, uint64_t v)
{
	if (v > m->oldest)
		m->oldest = v;
}

struct model_slot *model_find(struct model *m, uint64_t version, uint64_t gfn)
{
	struct model_slot *s = m->at[version % ORACLE_VERSIONS];

	for (unsigned i = 0; i < ORACLE_SLOTS; i++)
		if (s[i].used && gfn - s[i].base < s[i].pages)
			return &s[i];
	return NULL;
}

bool model_allows(struct model *m, uint64_t gfn, unsigned access, uint64_t pfn)
{
	for (uint64_t v = m->oldest; v <= m->version; v++) {
		struct model_slot *s = model_find(m, v, gfn);

		if (s && !((access & MMU_WRITE) && (s->flags & SLOT_READONLY)) &&
			backing_pfn(s->backing, s->backing_page + gfn - s->base).v == pfn)
			return true;
	}
	return false;
}

static uint64_t rdmsr_all_wb(uint32_t msr)
{
	return msr == MSR_MTRR_DEF_TYPE ? BIT(11) | MT_WB : 0;
}

void oracle_mtrr_wb(void)
{
	mtrr_read(rdmsr_all_wb, 40);
}

unsigned oracle_debug(uint64_t seed)
{
	return seed & 1 ? MMU_DEBUG_ALL & ~MMU_DEBUG_POISON : MMU_DEBUG_ALL;
}

void oracle_begin(uint64_t seed, void (*kick)(struct mmu_vcpu *v), unsigned debug)
{
	oracle_seed(seed);
	oracle_mtrr_wb();
	hw_reset();
	hw_kick = kick;
	mmu_debug = debug;
	memset(mmu_host_cpu, 0, sizeof(mmu_host_cpu));
}
