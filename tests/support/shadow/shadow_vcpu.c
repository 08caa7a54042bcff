/* SPDX-License-Identifier: MIT */
/* vCPUs: enter, access, fault, leave. */
#include <stdio.h>

#include "tests/support/fakes/cpu_id.h"
#include "tests/support/shadow/shadow_sim_internal.h"

void shadow_vcpu_leave(struct shadow_vcpu *v)
{
	test_cpu_id = v->cpu;
	mmu_exit(&v->v);
	v->in = v->kicked = false;
}

static __noreturn void no_pages(void)
{
	oracle_fail("no pages: %lu of %lu in use, %lu valid", shadow_sim.mmu->pool.used,
		shadow_sim.mmu->pool.limit, shadow_sim.mmu->count.valid);
}

/* What the map was before this vCPU enters, no vCPU reaches any more (rule 3). */
static int handshake(struct shadow_vcpu *v)
{
	uint64_t version = shadow_model_now(), pointer;
	int err = mmu_enter(&v->v, &pointer);

	if (err)
		return err;
	shadow_model_forget(version);
	shadow_hw_enter(&v->hw, &v->v, pointer);
	for (unsigned k = 0; k < MMU_ROOTS_KEPT; k++)
		if (v->v.kept[k].page && v->v.kept[k].gen != v->v.root.gen)
			oracle_fail("vCPU %u enters and keeps a root of another generation", v->v.index);
	return 0;
}

void shadow_vcpu_enter(struct shadow_vcpu *v)
{
	unsigned cpu = below(shadow_sim.calm ? 64 : 8) ? v->cpu : (unsigned)below(SHADOW_HW_CPUS);
	int err = -E_AGAIN;

	if (shadow_sim.cpu_taken[cpu])
		return;
	shadow_sim.cpu_taken[cpu] = v->on_cpu = true;
	shadow_seen.migrations += cpu != v->cpu;
	v->cpu = test_cpu_id = cpu;
	v->v.regs = v->guest;
	/* The handshake first, as the run loop does, or after having been served. */
	if (v->v.cpu == cpu && below(2))
		err = handshake(v);
	if (err) {
		mmu_cpu_quiescent(cpu);
		err = mmu_serve(&v->v);
		if (err == -E_NOMEM)
			no_pages();
		shadow_seen.blocked += err == -E_AGAIN;
		if (below(2))
			shadow_seen.reclaimed += mmu_reclaim(
				shadow_sim.mmu, 1 + (unsigned)below(20), 1 + (unsigned)below(600));
		if (!err)
			err = handshake(v);
	}
	v->in = !err;
	v->outside = err ? v->outside + 1 : 0;
	if (v->outside > 500)
		oracle_fail("vCPU %u never enters again", v->v.index);
}

/* ---- addresses ---- */

static uint64_t index_wide(void)
{
	return below(8) < 6 ? below(3) : shadow_model_index[below(MODEL_CELLS)];
}

static uint64_t index_narrow(void)
{
	return below(8) < 6 ? below(6) : shadow_model_index[below(MODEL_CELLS)] * 2 + below(2);
}

static uint64_t address(const struct shadow_vcpu *v)
{
	uint64_t at = 0;

	switch (v->mode) {
	case SHADOW_OFF:
		at = below(4)	? shadow_sim.table[below(shadow_sim.ntables)]
		     : below(4) ? below(RAM_PAGES)
				: BAR + below(4 * BAR_STEP);
		return at << PAGE_SHIFT;
	case SHADOW_32:
	case SHADOW_32_PSE:
		return index_narrow() << 22 | index_narrow() << 12;
	case SHADOW_PAE:
		return below(4) << 30 | index_wide() << 21 | index_wide() << 12;
	default:
		for (unsigned level = v->mode == SHADOW_5 ? 5 : 4; level; level--)
			at = at << 9 | index_wide();
		return sign_extend(at << PAGE_SHIFT, v->mode == SHADOW_5 ? 57 : 48);
	}
}

/* The same addresses lead through the same tables. */
static bool alike(enum shadow_mode a, enum shadow_mode b)
{
	return a == b || (a == SHADOW_32 && b == SHADOW_32_PSE) || (a == SHADOW_32_PSE && b == SHADOW_32);
}

static const struct shadow_hot *hot(const struct shadow_vcpu *v)
{
	const struct shadow_hot *h = &shadow_sim.hot[below(HOTS)];

	for (unsigned i = 0; i < HOTS; i++, h = &shadow_sim.hot[below(HOTS)])
		if (h->frame &&
			(!v || (alike(h->mode, v->mode) && (h->regs.cr3 == v->guest.cr3 || !below(8)))))
			return h;
	return NULL;
}

static void hot_add(const struct shadow_vcpu *v, uint64_t at)
{
	struct shadow_hot *h = &shadow_sim.hot[below(HOTS)];

	for (unsigned i = 0; i < HOTS; i++)
		if (shadow_sim.hot[i].at >> PAGE_SHIFT == v->access.at >> PAGE_SHIFT &&
			shadow_sim.hot[i].regs.cr3 == v->guest.cr3)
			h = &shadow_sim.hot[i];
	*h = (struct shadow_hot){ v->mode, v->guest, v->access.at, at >> PAGE_SHIFT };
}

/* Where an entry lies through which `at` is reached; 0: nowhere. */
static uint64_t entry_of(const struct paging_regs *r, uint64_t at)
{
	struct guest_walk w;
	unsigned level;

	if (!(r->cr0 & CR0_PG) ||
		guest_walk_record(shadow_sim.mmu, r, gva(at), MMU_READ | WALK_PEEK, &w) == -E_RANGE)
		return 0;
	level = w.leaf + (below(2) ? (unsigned)below(w.top - w.leaf + 1) : 0);
	return w.step[level - 1].at.v == WALK_LATCHED ? 0 : w.step[level - 1].at.v;
}

uint64_t shadow_vcpu_hot_entry(void)
{
	const struct shadow_hot *h =
		shadow_sim.depth && shadow_sim.now.frame && below(2) ? &shadow_sim.now : hot(NULL);

	return h ? entry_of(&h->regs, h->at) : 0;
}

uint64_t shadow_vcpu_address(const struct shadow_vcpu *v)
{
	const struct shadow_hot *h = below(3) ? hot(v) : NULL;
	uint64_t at = h ? align_down(h->at, PAGE_SIZE) : address(v);

	/* A neighbour, at some level. */
	if (h && v->mode != SHADOW_OFF && !below(4)) {
		unsigned bits = v->mode <= SHADOW_32_PSE ? 10 : 9, levels = bits == 10		    ? 2
									    : v->mode == SHADOW_PAE ? 3
												    : 4;
		unsigned shift = PAGE_SHIFT + bits * (unsigned)below(levels);
		uint64_t i = bits == 10 ? index_narrow() : index_wide();

		at = (at & ~((BIT(bits) - 1) << shift)) | i << shift;
		at = v->mode < SHADOW_4 ? (uint32_t)at : sign_extend(at, v->mode == SHADOW_5 ? 57 : 48);
	}
	return at | shadow_model_index[below(MODEL_CELLS)] * 8u | (below(4) ? 0 : 4);
}

/* An address by which v stores into the entry at this gpa, if it has used one. */
static bool entry_address(const struct shadow_vcpu *v, uint64_t entry, uint64_t *at)
{
	uint64_t frame = entry ? shadow_model_frame(entry >> PAGE_SHIFT) : 0;

	for (unsigned i = 0; frame && i < HOTS; i++) {
		const struct shadow_hot *h = &shadow_sim.hot[i];

		if (h->frame != frame || h->mode != v->mode || h->regs.cr3 != v->guest.cr3)
			continue;
		*at = align_down(h->at, PAGE_SIZE) | (entry & PAGE_MASK);
		return true;
	}
	return false;
}

/* ---- accesses ---- */

static void random_access(struct shadow_vcpu *v)
{
	static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_WRITE, MMU_EXEC };
	bool ac = below(2);

	v->access = (struct shadow_hw_access){ .at = shadow_vcpu_address(v), .kind = kinds[below(4)] };
	if (v->access.kind == MMU_WRITE && below(2))
		entry_address(v, shadow_vcpu_hot_entry(), &v->access.at);
	v->cpl = below(2) ? 3 : 0;
	/* (At CPL 0 with AC set, nothing tells an implicit access from an explicit one when it faults.) */
	v->implicit = v->access.kind != MMU_EXEC && (v->cpl == 3 || !ac) && !below(16);
	v->guest.rflags = RFLAGS_ONE | (ac ? RFLAGS_AC : 0);
	v->access.user = v->cpl == 3 && !v->implicit;
	v->access.ac = ac && !v->implicit;
}

static struct model_question question(const struct shadow_vcpu *v, struct paging_regs *r);

/* A store into the entry that is to be edited. */
static bool edit(struct shadow_vcpu *v)
{
	uint64_t at;

	if (!entry_address(v, entry_of(&v->guest, v->edited), &at))
		return false;
	random_access(v);
	v->access.at = at;
	v->access.kind = MMU_WRITE;
	return true;
}

/* Mostly one that is allowed. */
static void choose_access(struct shadow_vcpu *v)
{
	v->stuck = 0;
	if (v->stage == 2) {
		v->stage = edit(v);
		if (v->stage)
			return;
	}
	for (unsigned tries = 0; tries < 40; tries++) {
		struct paging_regs r;
		struct model_question q;
		struct guest_walk w;

		random_access(v);
		q = question(v, &r);
		if (!guest_walk_record(shadow_sim.mmu, &r, gva(q.at), q.access | WALK_PEEK, &w) || !below(30))
			return;
	}
}

static struct model_question question(const struct shadow_vcpu *v, struct paging_regs *r)
{
	*r = v->guest;
	r->cpl = v->cpl;
	return (struct model_question){
		.regs = r, .at = v->access.at, .access = v->access.kind | (v->implicit ? WALK_IMPLICIT : 0)
	};
}

static __noreturn void wrong(const struct shadow_vcpu *v, const struct model_question *q, const char *what)
{
	unsigned level;
	uint64_t e = v->in ? shadow_hw_peek(&v->hw, v->access.at, &level) : 0;

	shadow_model_explain(q->regs, q->at);
	oracle_fail(
		"vCPU %u on CPU %u, mode %u, at %#lx, access %#x: %s (%#lx), since %lu, now %lu; shadow entry %#lx",
		v->v.index, v->cpu, v->mode, q->at, q->access, what, q->value, q->since, shadow_model_now(),
		e);
}

static void check_hit(struct shadow_vcpu *v, uint64_t at)
{
	struct paging_regs r;
	struct model_question q = question(v, &r);

	shadow_seen.hits[v->mode]++;
	shadow_model_scan();
	q.since = shadow_vcpu_since(v, q.at);
	q.want = MODEL_FRAME;
	q.value = at >> PAGE_SHIFT;
	if (!shadow_model_allows(&q))
		wrong(v, &q, "it reaches a frame that its tables never gave");
	q.flags = true;
	if (!shadow_model_allows(&q))
		wrong(v, &q, "A or D flags are missing");
	hot_add(v, at);
	if (!v->stage && !below(4)) {
		v->stage = 2;
		v->edited = v->access.at;
	}
	if (q.access & MMU_WRITE) {
		shadow_slots_written(at >> PAGE_SHIFT);
		shadow_tables_store(at);
	}
}

static void expect(const struct shadow_vcpu *v, struct model_question *q, enum model_want want,
	uint64_t value, const char *what)
{
	q->want = want;
	q->value = value;
	q->flags = want == MODEL_GPA;
	if (!shadow_model_allows(q))
		wrong(v, q, what);
}

static void check_verdict(struct shadow_vcpu *v, enum mmu_verdict d, struct model_question *q)
{
	uint64_t at = v->v.fault_at.v, gfn = at >> PAGE_SHIFT;

	v->again = d == MMU_RESUME;
	switch (d) {
	case MMU_RESUME:
		if (++v->stuck > 300)
			wrong(v, q, "it faults for ever");
		return;
	case MMU_INJECT:
		shadow_seen.injected++;
		expect(v, q, MODEL_FAULT, v->v.inject, "it gets a fault that its tables do not give");
		return;
	case MMU_TABLE:
		if (!(q->access & MMU_WRITE))
			wrong(v, q, "a read is taken for a store into a table");
		expect(v, q, MODEL_GPA, at, "a store into a table is at another place");
		v->again = !shadow_tables_emulate(v);
		return;
	case MMU_ROM:
		shadow_seen.rom++;
		if (!(q->access & MMU_WRITE) || !shadow_model_rom(gfn, q->since))
			wrong(v, q, "it is no store into ROM");
		expect(v, q, MODEL_GPA, at, "a store into ROM is at another place");
		shadow_model_told(gfn);
		return;
	case MMU_MMIO:
	case MMU_EXEC_MMIO:
		*(d == MMU_MMIO ? &shadow_seen.mmio : &shadow_seen.exec_mmio) += 1;
		if (!shadow_model_hole(gfn, q->since) || (d == MMU_EXEC_MMIO) != (q->access == MMU_EXEC))
			wrong(v, q, "it is no access to a hole");
		expect(v, q, MODEL_GPA, at, "a device access is at another place");
		shadow_model_told(gfn);
		return;
	default:
		no_pages();
	}
}

void shadow_vcpu_access(struct shadow_vcpu *v)
{
	struct shadow_hw_result out;
	struct paging_regs r;
	struct model_question q;
	enum mmu_verdict d;

	test_cpu_id = v->cpu;
	if (v->kicked && below(2)) {
		shadow_vcpu_leave(v);
		return;
	}
	if (!below(16)) {
		shadow_hw_guess(v->cpu, &v->hw, address(v));
		return;
	}
	if (!v->again && v->stage == 1) {
		shadow_vcpu_leave(v);
		shadow_regs_invlpg(v, v->edited);
		random_access(v);
		v->access.at = v->edited;
		v->stage = 0;
		v->again = true;
		return;
	}
	if (!v->again || !below(16))
		choose_access(v);
	v->again = false;
	if (shadow_hw_access(v->cpu, &v->hw, &v->access, &out)) {
		check_hit(v, out.address);
		return;
	}
	shadow_vcpu_leave(v);
	shadow_seen.faults++;
	shadow_model_scan();
	q = question(v, &r);
	q.since = shadow_model_now();
	v->v.regs = r;
	if (q.access & MMU_WRITE)
		shadow_model_write_begin(&q);
	shadow_sim.now = (struct shadow_hot){ v->mode, r, v->access.at, 1 };
	d = shadow_fault(&v->v, gva(v->access.at), out.error);
	shadow_sim.now.frame = 0;
	shadow_model_scan();
	if (d == MMU_TABLE || d == MMU_RESUME)
		hot_add(v, shadow_model_frame(v->v.fault_at.v >> PAGE_SHIFT) << PAGE_SHIFT);
	check_verdict(v, d, &q);
	if (q.access & MMU_WRITE)
		shadow_model_write_end();
}
