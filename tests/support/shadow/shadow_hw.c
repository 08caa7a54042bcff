/* SPDX-License-Identifier: MIT */
#include "tests/support/shadow/shadow_hw.h"

#include <string.h>

#include "lib/atomic.h"
#include "lib/x86.h"
#include "mm/host/frames.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/sim/oracle.h"

#define POISON_FRAME 0x000b6b6b6b6b6000ull

/* What a CPU has cached: a leaf in its TLB; in its paging-structure cache an entry that links a table. */
struct cached {
	uint64_t first, pages; /* numbers of pages, without the sign extension of the address */
	uint64_t address;      /* of the page, or of the table */
	uint64_t all, any;     /* of the entries on the way: PTE_U and PTE_W in every one, PTE_NX in some */
	uint16_t vpid;	       /* 0: empty */
	uint8_t level;	       /* of the entry */
	bool dirty;	       /* D was set when it was cached */
};

static struct {
	struct cached tlb[SHADOW_HW_TLB], psc[SHADOW_HW_PSC];
} cpus[SHADOW_HW_CPUS + 1];

static struct {
	uint64_t ram, bytes;
	unsigned maxphyaddr;
} machine;

_Thread_local struct shadow_hw_seen shadow_hw_seen;

static void kick(struct mmu_vcpu *v)
{
	if (hw_kick)
		hw_kick(v);
}

static void invvpid_single(uint16_t vpid)
{
	unsigned c = this_cpu_id();

	shadow_hw_seen.invvpids++;
	for (unsigned i = 0; i < SHADOW_HW_TLB; i++)
		if (cpus[c].tlb[i].vpid == vpid)
			cpus[c].tlb[i].vpid = 0;
	for (unsigned i = 0; i < SHADOW_HW_PSC; i++)
		if (cpus[c].psc[i].vpid == vpid)
			cpus[c].psc[i].vpid = 0;
}

static void invept_single(uint64_t eptp)
{
	oracle_fail("INVEPT of %#lx on a CPU without EPT", eptp);
}

const struct mmu_cpu_ops shadow_hw_ops = {
	.kick = kick,
	.invept_single = invept_single,
	.invvpid_single = invvpid_single,
};

void shadow_hw_reset(hpa_t ram, uint64_t bytes, unsigned maxphyaddr)
{
	memset(cpus, 0, sizeof(cpus));
	machine.ram = ram.v;
	machine.bytes = bytes;
	machine.maxphyaddr = maxphyaddr;
}

static bool in_ram(uint64_t address)
{
	return address - machine.ram < machine.bytes;
}

static uint64_t *word_at(uint64_t address, const char *what)
{
	if (!in_ram(address))
		oracle_fail("%s lies at %#lx, which is no RAM", what, address);
	return (uint64_t *)hpa_to_virt(hpa(address));
}

/* Bits that no entry may have (SDM Vol. 3A 4.4.2, 4.5.4); NXE is set. */
static uint64_t reserved(const struct shadow_hw_regs *r, unsigned level, uint64_t e)
{
	uint64_t bits = machine.maxphyaddr < 52 ? BITS(51, machine.maxphyaddr) : 0;

	if (!r->lma)
		bits |= BITS(62, 52);
	/* This CPU has no pages of 1 GiB: the oldest with VMX have none. */
	if (level >= 3)
		bits |= PTE_PS;
	if (level == 2 && (e & PTE_PS))
		bits |= BITS(20, 13);
	return bits;
}

void shadow_hw_enter(struct shadow_hw_regs *r, const struct mmu_vcpu *v, uint64_t pointer)
{
	bool paging = v->regs.cr0 & CR0_PG;

	*r = (struct shadow_hw_regs){ .cr3 = pointer,
		.vpid = v->vpid,
		.lma = v->regs.efer & EFER_LMA,
		.la57 = v->regs.cr4 & CR4_LA57,
		.smep = paging && (v->regs.cr4 & CR4_SMEP),
		.smap = paging && (v->regs.cr4 & CR4_SMAP) };
	if (!in_ram(pointer & PTE_ADDR) || pointer >> machine.maxphyaddr)
		oracle_fail("CR3 would be %#lx", pointer);
	if (r->lma)
		return;
	if (pointer >> 32)
		oracle_fail("CR3 would be %#lx, outside IA-32e mode", pointer);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t e = atomic_load(word_at(pointer & BITS(31, 5), "the root") + i);

		/* SDM Vol. 3C 26.3.1.6. */
		if ((e & PTE_P) && (e & (BITS(2, 1) | BITS(8, 5) | BITS(63, machine.maxphyaddr))))
			oracle_fail("PDPTE %u is %#lx: the VM entry fails", i, e);
		r->pdpte[i] = e;
	}
}

/* ---- caches ---- */

static uint64_t page_number(const struct shadow_hw_regs *r, uint64_t at)
{
	return bits_get(at, r->lma ? (r->la57 ? 56 : 47) : 31, PAGE_SHIFT);
}

static bool covers(const struct cached *c, const struct shadow_hw_regs *r, uint64_t page)
{
	return c->vpid == r->vpid && page - c->first < c->pages;
}

static void cache(struct cached *set, unsigned n, const struct cached *what)
{
	struct cached *to = &set[below(n)];

	for (unsigned i = 0; i < n; i++)
		if (!set[i].vpid || (set[i].vpid == what->vpid && set[i].first == what->first &&
					    set[i].pages == what->pages))
			to = &set[i];
	*to = *what;
}

/* A page fault drops what was cached for its address (SDM Vol. 3A 4.10.4.1). */
static void drop(unsigned cpu, const struct shadow_hw_regs *r, uint64_t page)
{
	for (unsigned i = 0; i < SHADOW_HW_TLB; i++)
		if (covers(&cpus[cpu].tlb[i], r, page))
			cpus[cpu].tlb[i].vpid = 0;
	for (unsigned i = 0; i < SHADOW_HW_PSC; i++)
		if (covers(&cpus[cpu].psc[i], r, page))
			cpus[cpu].psc[i].vpid = 0;
}

/* ---- walks ---- */

/* SDM Vol. 3A 4.6.1, with CR0.WP set. */
static bool allowed(
	const struct shadow_hw_regs *r, const struct shadow_hw_access *a, uint64_t all, uint64_t any)
{
	bool write = a->kind & MMU_WRITE, fetch = a->kind & MMU_EXEC;

	if ((write && !(all & PTE_W)) || (fetch && (any & PTE_NX)))
		return false;
	if (a->user)
		return all & PTE_U;
	if (!(all & PTE_U))
		return true;
	return fetch ? !r->smep : !r->smap || a->ac;
}

/* Sets flags in an entry that is still what was read of it. False: it is not. */
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

static void check_absent(uint64_t e, unsigned level)
{
	/* The CPU may read through it speculatively all the same (L1 terminal fault): no RAM may be there. */
	uint64_t address = e & BITS(machine.maxphyaddr - 1, PAGE_SHIFT);

	if (e && in_ram(address))
		oracle_fail("entry %#lx of level %u faults, and its address is RAM", e, level);
}

static bool fault(const struct shadow_hw_access *a, uint64_t why, struct shadow_hw_result *out)
{
	out->error = (uint32_t)(why | (a->kind & MMU_WRITE ? PF_WRITE : 0) | (a->user ? PF_USER : 0) |
				(a->kind & MMU_EXEC ? PF_FETCH : 0));
	return false;
}

/* Down from the table at w->address, whose entries are of level w->level. */
static bool walk(unsigned cpu, const struct shadow_hw_regs *r, const struct shadow_hw_access *a,
	struct cached *w, struct shadow_hw_result *out)
{
	uint64_t page = page_number(r, a->at);

	for (;;) {
		unsigned level = w->level;
		uint64_t *at = word_at(w->address, "a table") + (page >> 9 * (level - 1) & 511);
		uint64_t e = atomic_load(at), all, any;
		bool leaf = level == 1 || (level == 2 && (e & PTE_PS));

		if ((e & PTE_ADDR) == POISON_FRAME)
			oracle_fail("CPU %u walks a freed table for %#lx at level %u", cpu, a->at, level);
		if (!(e & PTE_P) || (e & reserved(r, level, e))) {
			check_absent(e, level);
			return fault(a, e & PTE_P ? PF_PRESENT | PF_RSVD : 0, out);
		}
		if (!set_flags(at, &e, PTE_A))
			continue;
		all = w->all & e;
		any = w->any | e;
		if (leaf && !allowed(r, a, all, any))
			return fault(a, PF_PRESENT, out);
		if (leaf && (a->kind & MMU_WRITE) && !set_flags(at, &e, PTE_D))
			continue;
		w->vpid = r->vpid;
		w->all = all;
		w->any = any;
		w->pages = 1ull << 9 * (level - 1);
		w->first = align_down(page, w->pages);
		w->address = e & PTE_ADDR & ~(level == 2 && leaf ? PTE_PATLARGE : 0);
		if (leaf) {
			w->dirty = e & PTE_D;
			cache(cpus[cpu].tlb, SHADOW_HW_TLB, w);
			shadow_hw_seen.large += level > 1;
			out->address = w->address + (a->at & (w->pages * PAGE_SIZE - 1));
			return true;
		}
		cache(cpus[cpu].psc, SHADOW_HW_PSC, w);
		w->level--;
	}
}

/* From the root, or from what the paging-structure cache has. */
static bool walk_from_top(unsigned cpu, const struct shadow_hw_regs *r, const struct shadow_hw_access *a,
	struct shadow_hw_result *out)
{
	uint64_t page = page_number(r, a->at);
	struct cached w = {
		.address = r->cr3 & PTE_ADDR, .all = PTE_U | PTE_W, .level = r->lma ? (r->la57 ? 5 : 4) : 2
	};

	shadow_hw_seen.walks++;
	if (!r->lma) {
		w.address = r->pdpte[page >> 18] & PTE_ADDR;
		if (!(r->pdpte[page >> 18] & PTE_P))
			return fault(a, 0, out);
	}
	for (unsigned i = 0; i < SHADOW_HW_PSC; i++) {
		const struct cached *c = &cpus[cpu].psc[i];

		if (!covers(c, r, page) || !below(4) || c->level > w.level)
			continue;
		w = *c;
		w.level--;
		shadow_hw_seen.psc++;
	}
	return walk(cpu, r, a, &w, out);
}

/* True: *out is what the TLB says, *hit or a fault. */
static bool from_tlb(unsigned cpu, const struct shadow_hw_regs *r, const struct shadow_hw_access *a,
	struct shadow_hw_result *out, bool *hit)
{
	for (unsigned i = 0; i < SHADOW_HW_TLB; i++) {
		const struct cached *c = &cpus[cpu].tlb[i];

		if (!covers(c, r, page_number(r, a->at)) || !below(6))
			continue;
		/* A write through an entry whose D was clear goes to memory for D. */
		if ((a->kind & MMU_WRITE) && !c->dirty && (c->all & PTE_W))
			continue;
		*hit = allowed(r, a, c->all, c->any);
		if (!*hit) {
			if (below(2))
				continue;
			fault(a, PF_PRESENT, out);
			return true;
		}
		shadow_hw_seen.tlb++;
		out->address = c->address + (a->at & (c->pages * PAGE_SIZE - 1));
		return true;
	}
	return false;
}

bool shadow_hw_access(unsigned cpu, const struct shadow_hw_regs *r, const struct shadow_hw_access *a,
	struct shadow_hw_result *out)
{
	bool hit;

	if (!from_tlb(cpu, r, a, out, &hit))
		hit = walk_from_top(cpu, r, a, out);
	if (!hit) {
		drop(cpu, r, page_number(r, a->at));
		shadow_hw_seen.faults++;
	} else if (!in_ram(out->address)) {
		oracle_fail("CPU %u reaches %#lx at %#lx, which is no RAM", cpu, out->address, a->at);
	}
	return hit;
}

void shadow_hw_guess(unsigned cpu, const struct shadow_hw_regs *r, uint64_t at)
{
	struct shadow_hw_access a = { .at = at, .kind = MMU_READ, .user = below(2), .ac = true };
	struct shadow_hw_result none;

	shadow_hw_seen.guesses++;
	walk_from_top(cpu, r, &a, &none);
}

uint64_t shadow_hw_peek(const struct shadow_hw_regs *r, uint64_t at, unsigned *level)
{
	uint64_t page = page_number(r, at), table = r->cr3 & PTE_ADDR;

	*level = r->lma ? (r->la57 ? 5 : 4) : 2;
	if (!r->lma) {
		if (!(r->pdpte[page >> 18] & PTE_P))
			return 0;
		table = r->pdpte[page >> 18] & PTE_ADDR;
	}
	for (;; --*level) {
		uint64_t e = word_at(table, "a table")[page >> 9 * (*level - 1) & 511];

		if (!(e & PTE_P) || *level == 1 || (e & PTE_PS) || (e & reserved(r, *level, e)))
			return e;
		table = e & PTE_ADDR;
	}
}
