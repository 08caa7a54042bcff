/* SPDX-License-Identifier: MIT */
/*
 * The guest on shadow page tables. Its vCPUs share page tables of 4 levels, which lie in RAM that all of them and the devices store
 * into; one table of level 1 lies in a place that comes and goes.
 *
 *	root 0 --> . --+			+--> TABLES tables: what their entries map, changes
 *		       +--> the directory ------+--> the window: maps the tables and the directory, to store into them
 *	root n --> . --+			+--> 2 large pages: the RAM
 *						+--> for each vCPU an entry that leads to one of the TABLES, by turns
 *
 * Each entry that changes has an owner, which says in guest memory what it is now, as with `told` of world.h:
 *
 *	owner of an entry				any vCPU
 *	said = 0					k = said
 *	stores the entry				INVLPG or CR3 load
 *	said = what the entry is now			an access; then said still the same and not 0?
 *							then it must have been as k says
 *
 * Whatever said is: entry i of a table maps no page but those whose number is i modulo ENTRIES_USED, and no RAM that was given back.
 */
#include "mm/shadow/shadow.h"

#include "lib/x86.h"
#include "mm/space/guest_mem.h"
#include "tests/support/fakes/cpu_id.h"
#include "tests/support/shadow/shadow_hw.h"
#include "tests/threads/world.h"

#define ENTRIES_USED 16u /* of each table, from WORD_ENTRY on */
#define LINK_BITS    (PTE_P | PTE_W | PTE_U)
/* Entry i of a table belongs to vCPU i % OWNERS, or to the device of the VM's number. */
#define OWNERS	     (VCPUS + 1)
#define ROOTS	     6u /* more than a vCPU keeps */

/* Entries of the directory. */
enum {
	TABLES = 4,
	IN_PLACE = TABLES - 1,
	WINDOW = TABLES,
	LARGE,
	MINE = LARGE + 2,
	DIRECTORY = MINE + VCPUS
};

/* gfns of the tables: TABLES and the directory, in the order of the window's entries; all among the pages that are stored into most. */
static const uint64_t seen_at[TABLES + 1] = { 3, 5, 7, HOME(1, 0), 9 };
static const uint64_t window_at = 14;

static uint64_t root_at(uint64_t n)
{
	return 10 + n * 16;
}

/* The table between root n and the directory. */
static uint64_t above_at(uint64_t n)
{
	return 12 + n * 16;
}

/* What said says of an entry; bits 63:32 are a number that never comes again. */
#define SAID_ANY      BIT(0)
#define SAID_P	      BIT(1)
#define SAID_W	      BIT(2)
#define SAID_A	      BIT(3) /* set by the owner already */
#define SAID_D	      BIT(10)
#define SAID_U	      BIT(7)
#define SAID_PLACE(s) ((unsigned)bits_get(s, 6, 4))
#define SAID_HOME(s)  ((unsigned)bits_get(s, 9, 8))
#define SAID_PAGE(s)  bits_get(s, 31, 16)
#define SAID_TABLE(s) ((unsigned)bits_get(s, 6, 4)) /* an entry of the directory */

#define ALL (SAID_P | SAID_W | SAID_U)

static bool is_large(unsigned dir)
{
	return dir == LARGE || dir == LARGE + 1;
}

static uint64_t said(unsigned place, unsigned home, uint64_t page, uint64_t flags)
{
	return SAID_ANY | flags | page << 16 | home << 8 | place << 4;
}

static struct tables {
	uint64_t leaf[TABLES][ENTRIES_USED], directory[DIRECTORY]; /* said; in effect guest memory */
	uint64_t sayings;
} tables[VMS];

/* The state of a vCPU's guest: its last access, and what was said when it flushed an address last. */
static struct guest {
	struct shadow_hw_access access;
	uint32_t error;
	unsigned dir, i;		   /* the address */
	unsigned flushed_dir, flushed_i;   /* of the last that it flushed */
	unsigned changed_table, changed_i; /* the entry of a table that it changed last */
	bool flush;			   /* it is to flush that entry's address soon */
	bool calm;			   /* it changes nothing, and uses few addresses */
	uint64_t k; /* what its entry must be, if said stays the same; 0: not to be relied on */
	struct reach reach;
	/* What a write stores. say: where `saying` is said when the store is done; NULL: nothing is to be said. */
	uint64_t value, *say, saying;
	struct {
		uint64_t directory, leaf;
	} known[DIRECTORY][ENTRIES_USED];
} guests[VMS][VCPUS];

static uint64_t address(unsigned dir, uint64_t i)
{
	uint64_t at = WORD_ENTRY;

	at = at << 9 | WORD_ENTRY;
	at = at << 9 | (WORD_ENTRY + dir);
	return (at << 9 | i) << PAGE_SHIFT;
}

static uint64_t entry_of(uint64_t s)
{
	uint64_t e = HOME(SAID_PLACE(s), SAID_HOME(s)) + SAID_PAGE(s);

	if (!(s & SAID_P))
		return 0;
	return e << PAGE_SHIFT | PTE_P | (s & SAID_U ? PTE_U : 0) | (s & SAID_W ? PTE_W : 0) |
	       (s & SAID_A ? PTE_A : 0) | (s & SAID_D ? PTE_D : 0);
}

/* What entry i of a table, of which `was` is said, is to be from now on: it leads elsewhere, or has other rights only. */
static uint64_t leaf_random(struct vm *vm, uint64_t i, uint64_t was)
{
	unsigned place = below(3) ? (unsigned)below(PLACES) : 0;
	uint64_t flags = (below(16) ? SAID_P : 0) | (below(6) ? SAID_W : 0) | (below(6) ? SAID_U : 0) |
			 (below(2) ? SAID_A : 0) | (below(2) ? SAID_D : 0);
	uint64_t told = atomic_load(&vm->place[place].told);
	unsigned home = !place ? 0 : below(4) ? (unsigned)bits_get(told, 3, 2) : (unsigned)below(HOMES);

	if (was && below(2))
		return said(SAID_PLACE(was), SAID_HOME(was), SAID_PAGE(was), flags);
	return said(place, home, i + (below(4) ? 0 : ENTRIES_USED * below(32)), flags);
}

/* Makes ready to change an entry of a table: nothing is said of it until it is stored. */
static void leaf_change(struct vm *vm, unsigned owner, unsigned *table, unsigned *i, struct guest *g)
{
	struct tables *t = &tables[vm->number];

	*table = (unsigned)below(TABLES);
	*i = owner + OWNERS * (unsigned)below(ENTRIES_USED / OWNERS);
	g->saying = leaf_random(vm, *i, t->leaf[*table][*i]) | atomic_fetch_add(&t->sayings, BIT(32));
	g->value = entry_of(g->saying);
	/* The place may go, and what is in it. */
	g->say = *table == IN_PLACE ? NULL : &t->leaf[*table][*i];
	if (g->say)
		atomic_store(g->say, 0);
}

static void stored(struct guest *g)
{
	if (g->say)
		atomic_store(g->say, g->saying);
	g->say = NULL;
}

void shadow_device_store(struct vm *vm)
{
	struct guest g = { .say = NULL };
	unsigned table, i;
	int err;

	leaf_change(vm, VCPUS, &table, &i, &g);
	err = guest_write(vm->mmu, gpa((seen_at[table] << PAGE_SHIFT) + 8 * (WORD_ENTRY + i)), &g.value, 8);
	if (err && table != IN_PLACE)
		oracle_fail("a store into a table of VM %u: %d", vm->number, err);
	stored(&g);
	count(stored, 1);
}

/* ---- what is known of an address ---- */

/* What is said of the entries on the way to address (dir, i) now. */
static void said_now(const struct vm *vm, unsigned dir, unsigned i, uint64_t *directory, uint64_t *leaf)
{
	struct tables *t = &tables[vm->number];

	*directory = atomic_load(&t->directory[dir]);
	*leaf = !*directory ? 0 : atomic_load(&t->leaf[SAID_TABLE(*directory)][i]);
}

/* The address is flushed after this. */
static void learn(const struct vcpu *v, struct guest *g, unsigned dir, unsigned i)
{
	said_now(v->vm, dir, i, &g->known[dir][i].directory, &g->known[dir][i].leaf);
}

/* What the entry for the address must be: known, and still so; or 0. */
static uint64_t relied_on(const struct vcpu *v, const struct guest *g)
{
	uint64_t directory, leaf;

	if (g->dir == WINDOW)
		return g->i == IN_PLACE ? said(1, 0, 0, ALL) : said(0, 0, seen_at[g->i], ALL);
	if (is_large(g->dir))
		return said(0, 0, (g->dir - LARGE) * 512 + g->i, ALL);
	said_now(v->vm, g->dir, g->i, &directory, &leaf);
	return directory == g->known[g->dir][g->i].directory && leaf == g->known[g->dir][g->i].leaf ? leaf
												    : 0;
}

/* ---- in the guest ---- */

/* The next access: to data, or a store into an entry of its own. */
static void choose(struct vcpu *v, struct guest *g)
{
	static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_EXEC, MMU_WRITE };
	struct tables *t = &tables[v->vm->number];
	unsigned word = WORD_VCPU + v->number, table;

	g->say = NULL;
	g->access = (struct shadow_hw_access){ .kind = kinds[below(ARRAY_SIZE(kinds))], .user = below(2) };
	g->value = 0;
	switch (g->calm ? 15 : below(16)) {
	case 0 ... 1:
		leaf_change(v->vm, v->number, &g->changed_table, &g->changed_i, g);
		g->flush = true;
		word = WORD_ENTRY + g->changed_i;
		g->i = g->changed_table;
		g->dir = WINDOW;
		g->access.kind = MMU_WRITE;
		break;
	case 2:
		if (below(4))
			goto data;
		table = (unsigned)below(TABLES);
		g->dir = WINDOW;
		g->i = TABLES;
		g->access.kind = MMU_WRITE;
		word = WORD_ENTRY + MINE + v->number;
		g->value = seen_at[table] << PAGE_SHIFT | LINK_BITS;
		g->say = &t->directory[MINE + v->number];
		g->saying = said(table, 0, 0, SAID_P) | atomic_fetch_add(&t->sayings, BIT(32));
		atomic_store(g->say, 0);
		break;
	case 3:
		g->dir = LARGE + (unsigned)below(2);
		g->i = (unsigned)below(below(4) ? 16 : 512);
		break;
	default:
	data:
		g->dir = below(2) ? (unsigned)below(TABLES) : MINE + (unsigned)below(VCPUS);
		g->i = (unsigned)below(g->calm ? 4 : ENTRIES_USED);
		if (!below(4)) {
			g->dir = g->flushed_dir;
			g->i = g->flushed_i;
		}
	}
	if (g->access.kind == MMU_WRITE && word < WORD_ENTRY)
		g->value = ++v->stores;
	g->access.at = address(g->dir, g->i + (is_large(g->dir) ? 0 : WORD_ENTRY));
	g->access.at += 8 * word;
}

/* The access begins: what must it come to? */
static void begin(struct vcpu *v, struct guest *g)
{
	g->k = relied_on(v, g);
	g->reach = (struct reach){ SAID_PLACE(g->k), SAID_HOME(g->k), g->access.kind, SAID_PAGE(g->k), 0 };
	g->reach.told = atomic_load(&v->vm->place[g->reach.place].told);
}

/* Does its entry allow the access, if it is still as it must be? */
static bool allowed(const struct guest *g)
{
	return g->k & SAID_P && (g->access.kind != MMU_WRITE || g->k & SAID_W) &&
	       (!g->access.user || g->k & SAID_U);
}

static bool still(const struct vcpu *v, const struct guest *g)
{
	return g->k && relied_on(v, g) == g->k;
}

/* Its entry, in RAM that stays, must be as it is said, with the flags that this access has set. */
static void check_entry(const struct vcpu *v, const struct guest *g, uint64_t e)
{
	uint64_t flags = PTE_A | (g->access.kind == MMU_WRITE ? PTE_D : 0);

	if (((e ^ entry_of(g->k)) & ~(uint64_t)(PTE_A | PTE_D)) || (e & flags) != flags)
		oracle_fail("vCPU %u.%u at %#lx, access %u: its entry is %#lx, said is %#lx", v->vm->number,
			v->number, g->access.at, g->access.kind, e, g->k);
}

static void hit(struct vcpu *v, struct guest *g, uint64_t at)
{
	uint64_t *w = words(pfn(at >> PAGE_SHIFT)), is, *entry = NULL;
	unsigned number;

	if (g->access.kind == MMU_WRITE) {
		atomic_store(&w[(at & PAGE_MASK) / 8], g->value);
		stored(g);
	}
	is = atomic_load_relaxed(&w[STAMP]);
	number = (unsigned)bits_get(is, 51, 48);
	stamp_check(v->vm, number, is, 0, "a vCPU");
	if (number >= PLACES ||
		(!is_large(g->dir) && g->dir != WINDOW && bits_get(is, 47, 32) % ENTRIES_USED != g->i))
		oracle_fail("vCPU %u.%u at %#lx reaches RAM stamped %lx", v->vm->number, v->number,
			g->access.at, is);
	if (g->k && (g->dir < TABLES || g->dir >= MINE)) {
		unsigned table = SAID_TABLE(g->known[g->dir][g->i].directory);

		entry = words(backing_pfn(v->vm->place[0].backing, seen_at[table])) + WORD_ENTRY + g->i;
		is = atomic_load(entry);
	}
	if (!still(v, g)) {
		count(hits, 1);
		return;
	}
	if (!allowed(g))
		oracle_fail("vCPU %u.%u at %#lx, access %u, is let; said is %#lx", v->vm->number, v->number,
			g->access.at, g->access.kind, g->k);
	if (entry)
		check_entry(v, g, is);
	reach_check(v, &g->reach, w);
}

enum why shadow_guest(struct vcpu *v, uint64_t pointer, bool again, unsigned slice)
{
	struct guest *g = &guests[v->vm->number][v->number];
	unsigned cpu = this_cpu_id();
	struct shadow_hw_result out;
	struct shadow_hw_regs regs;

	shadow_hw_enter(&regs, &v->v, pointer);
	for (unsigned n = 0; n < slice; n++, again = false) {
		if (interrupted(v))
			return WHY_KICK;
		if (!below(200))
			return WHY_CHANGE;
		if (!again && !below(g->flush ? 4 : g->calm ? 400 : 40))
			return WHY_FLUSH;
		if (!below(16))
			shadow_hw_guess(cpu, &regs,
				address((unsigned)below(DIRECTORY), WORD_ENTRY + below(ENTRIES_USED)));
		if (!again)
			choose(v, g);
		begin(v, g);
		if (!shadow_hw_access(cpu, &regs, &g->access, &out)) {
			g->error = out.error;
			return WHY_FAULT;
		}
		hit(v, g, out.address);
	}
	return WHY_TIMER;
}

/* ---- exits ---- */

static void flush(struct vcpu *v, struct guest *g)
{
	g->calm = !below(12);
	if (below(4)) {
		g->flushed_dir = g->flush   ? g->changed_table
				 : below(2) ? (unsigned)below(TABLES)
					    : MINE + (unsigned)below(VCPUS);
		g->flushed_i = g->flush ? g->changed_i : (unsigned)below(ENTRIES_USED);
		g->flush = false;
		learn(v, g, g->flushed_dir, g->flushed_i);
		shadow_invlpg(&v->v, gva(address(g->flushed_dir, WORD_ENTRY + g->flushed_i)));
		return;
	}
	for (unsigned dir = 0; dir < DIRECTORY; dir++)
		for (unsigned i = 0; i < ENTRIES_USED; i++)
			learn(v, g, dir, i);
	v->v.regs.cr3 = root_at(below(ROOTS)) << PAGE_SHIFT;
	shadow_load(&v->v);
}

/* The store is emulated, or left to the guest. True: left. */
static bool store_into_table(struct vcpu *v, struct guest *g)
{
	switch (below(16)) {
	case 0:
		shadow_unprotect(&v->v, v->v.fault_at);
		return true;
	case 1:
		/* By the directory each store is translated that goes to it. */
		if (v->v.fault_at.v >> PAGE_SHIFT != seen_at[TABLES])
			break;
		shadow_let_store(&v->v, v->v.fault_at);
		return true;
	}
	guest_write(v->vm->mmu, v->v.fault_at, &g->value, 8);
	stored(g);
	return false;
}

bool shadow_exit(struct vcpu *v, enum why why)
{
	struct guest *g = &guests[v->vm->number][v->number];
	enum mmu_verdict d;

	if (why == WHY_FLUSH)
		flush(v, g);
	if (why != WHY_FAULT)
		return false;
	count(faults, 1);
	v->v.regs.cpl = g->access.user ? 3 : 0;
	d = shadow_fault(&v->v, gva(g->access.at), g->error);
	switch (d) {
	case MMU_RESUME:
		return true;
	case MMU_INJECT:
		if (still(v, g) && allowed(g))
			oracle_fail("vCPU %u.%u at %#lx, access %u: a fault %#x; said is %#lx", v->vm->number,
				v->number, g->access.at, g->access.kind, v->v.inject, g->k);
		return false;
	default:
		if (!still(v, g))
			g->reach.told = 0;
		reach_verdict(v, &g->reach, d);
		return d == MMU_TABLE && store_into_table(v, g);
	}
}

/* ---- the beginning ---- */

static void entry_set(struct vm *vm, uint64_t table, unsigned i, uint64_t e)
{
	if (guest_write(vm->mmu, gpa((table << PAGE_SHIFT) + 8 * (WORD_ENTRY + i)), &e, 8))
		oracle_fail("no table at %#lx", table);
}

void shadow_start(struct vm *vm)
{
	struct tables *t = &tables[vm->number];

	*t = (struct tables){ .sayings = BIT(32) };
	for (unsigned n = 0; n < ROOTS; n++) {
		entry_set(vm, root_at(n), 0, above_at(n) << PAGE_SHIFT | LINK_BITS);
		entry_set(vm, above_at(n), 0, seen_at[TABLES] << PAGE_SHIFT | LINK_BITS);
	}
	for (unsigned n = 0; n < 2; n++)
		entry_set(vm, seen_at[TABLES], LARGE + n, n * 512ull << PAGE_SHIFT | LINK_BITS | PTE_PS);
	for (unsigned n = 0; n <= TABLES; n++)
		entry_set(vm, window_at, n, seen_at[n] << PAGE_SHIFT | LINK_BITS);
	entry_set(vm, seen_at[TABLES], WINDOW, window_at << PAGE_SHIFT | LINK_BITS);
	for (unsigned n = 0; n < TABLES + VCPUS; n++) {
		unsigned dir = n < TABLES ? n : MINE + n - TABLES, table = n % TABLES;

		entry_set(vm, seen_at[TABLES], dir, seen_at[table] << PAGE_SHIFT | LINK_BITS);
		t->directory[dir] = said(table, 0, 0, SAID_P);
	}
	for (unsigned table = 0; table < IN_PLACE; table++)
		for (unsigned i = 0; i < ENTRIES_USED; i++) {
			t->leaf[table][i] = leaf_random(vm, i, 0);
			entry_set(vm, seen_at[table], i, entry_of(t->leaf[table][i]));
		}
	for (unsigned n = 0; n < VCPUS; n++) {
		guests[vm->number][n] = (struct guest){ .dir = 0 };
		vm->vcpu[n].v.regs = (struct paging_regs){ .cr0 = CR0_PE | CR0_WP | CR0_PG,
			.cr3 = root_at(n % 2) << PAGE_SHIFT,
			.cr4 = CR4_PAE,
			.efer = EFER_NXE | EFER_LMA | EFER_LME,
			.rflags = RFLAGS_ONE };
	}
}
