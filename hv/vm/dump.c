/* SPDX-License-Identifier: MIT */
#include "hv/vm/dump.h"

#include "guest/dev/vectors.h"
#include "hv/vm/dump_pure.h"
#include "hv/vm/vm.h"
#include "hv/vm/vmcs_setup.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/space/guest_mem.h"
#include "mm/space/walker.h"

/* ---- taken ---- */

/* Reads the code at RIP. Returns the number of bytes that could be read. */
static unsigned read_code(struct vcpu *v, const struct vcpu_state *s, uint8_t code[DUMP_CODE])
{
	uint64_t at = s->regs.rip + (vcpu_long_mode(v) ? 0 : s->seg[SEG_CS].base);
	uint32_t error;
	gpa_t where;

	vcpu_paging_regs(v);
	for (unsigned n = 0, some; n < DUMP_CODE; n += some, at += some) {
		some = (unsigned)min((uint64_t)DUMP_CODE - n, PAGE_SIZE - (at & PAGE_MASK));
		if (guest_walk(v->vm->mmu, &v->mmu.regs, gva(at), MMU_EXEC, &where, &error) ||
			guest_read(v->vm->mmu, where, code + n, some))
			return n;
	}
	return DUMP_CODE;
}

/* How the tables that the CPU walks translate what the exit is about: a guest-physical address with EPT, on shadow page tables the
 * address that the guest used. */
static void walk_tables(struct vcpu *v, struct dump *d)
{
	uint64_t reason = d->reason & 0xffff;

	if (!d->shadow) {
		d->physical = vmx.ept ? vmcs_read(&v->vmcs, VMCS_GUEST_PHYSICAL) : 0;
		if (reason == EXIT_EPT_VIOLATION || reason == EXIT_EPT_MISCONFIG)
			d->nsteps = mmu_walk(&v->mmu, gpa(d->physical), d->step);
	} else if (reason == EXIT_EXCEPTION_NMI) {
		d->physical = v->mmu.fault_at.v;
		d->nsteps = mmu_walk(&v->mmu, gpa(d->qualification), d->step);
	}
}

void dump_vtake(struct vcpu *v, const char *why, va_list ap)
{
	struct dump *d = &v->vm->dump;

	if (atomic_xchg(&d->claimed, true))
		return;
	fmt_vsnprintf(d->text, sizeof(d->text), why, ap);
	vmcs_get_state(v, &d->state);
	d->reason = vmcs_read(&v->vmcs, VMCS_EXIT_REASON);
	d->qualification = vmcs_read(&v->vmcs, VMCS_QUALIFICATION);
	d->shadow = v->vm->policy.mmu.shadow;
	walk_tables(v, d);
	d->ncode = read_code(v, &d->state, d->code);
	d->vcpu = v;
}

void dump_take(struct vcpu *v, const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	dump_vtake(v, why, ap);
	va_end(ap);
}

/* ---- logged ---- */

static void dump_why(struct dump *d, unsigned i)
{
	log_error("vm %s vcpu %u: %s", d->vcpu->vm->name, d->vcpu->index, d->text);
}

static void dump_exit(struct dump *d, unsigned i)
{
	log_error("  exit %lu (%s) qualification %#lx guest-physical %#lx", d->reason & 0xffff,
		exit_name((unsigned)d->reason), d->qualification, d->physical);
}

static void dump_control(struct dump *d, unsigned i)
{
	const struct vcpu_state *s = &d->state;

	log_error("  rip %016lx rflags %08lx  cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx efer %04lx",
		s->regs.rip, s->regs.rflags, s->cr0, s->cr2, s->cr3, s->cr4, s->efer);
}

/* Four general registers. */
static void dump_gpr(struct dump *d, unsigned i)
{
	static const char *const names[GPRS] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15" };
	const uint64_t *g = d->state.regs.gpr + 4 * i;
	const char *const *name = names + 4 * i;

	log_error("  %s %016lx %s %016lx %s %016lx %s %016lx", name[0], g[0], name[1], g[1], name[2], g[2],
		name[3], g[3]);
}

/* Logs nothing: a step of its own, because it takes as long as a line. */
static void dump_describe_exits(struct dump *d, unsigned i)
{
	vcpu_describe_exits(d->vcpu, d->text, sizeof(d->text));
}

static void dump_exits(struct dump *d, unsigned i)
{
	log_error("  last exits: %s", d->text);
}

static void dump_step(struct dump *d, unsigned i)
{
	static const char *const kinds[] = { [MMU_STEP_EMPTY] = "nothing",
		[MMU_STEP_TABLE] = "a table",
		[MMU_STEP_LEAF] = "a page",
		[MMU_STEP_MMIO] = "device memory" };
	const struct mmu_step *s = &d->step[i];

	if (i < d->nsteps)
		log_error("  %s level %u entry %3u: %016lx %s%s", d->shadow ? "shadow" : "EPT", s->level,
			s->index, s->entry, kinds[s->kind], s->below ? ", with tables below it" : "");
}

static void dump_segment(struct dump *d, unsigned i)
{
	static const char *const names[] = { "es", "cs", "ss", "ds", "fs", "gs" };
	const struct cpu_segment *s = &d->state.seg[i];

	log_error("  %s %04x base %016lx limit %08x access %05x", names[i], s->selector, s->base, s->limit,
		s->access);
}

static void dump_tables(struct dump *d, unsigned i)
{
	const struct vcpu_state *s = &d->state;

	log_error("  gdt %016lx limit %04x  idt %016lx limit %04x  ldt %04x  tr %04x", s->gdtr.base,
		s->gdtr.limit, s->idtr.base, s->idtr.limit, s->ldtr.selector, s->tr.selector);
}

static void dump_code(struct dump *d, unsigned i)
{
	char text[DUMP_CODE * 3 + 1];
	size_t n = fmt_bytes(text, d->code, d->ncode);

	if (n)
		text[n - 1] = 0;
	log_error("  code at rip: %s", n ? text : "cannot be read");
}

static void dump_advice(struct dump *d, unsigned i)
{
	const struct vm *vm = d->vcpu->vm;
	const struct dump_facts f = { .image_may_want_bios = vm->image_may_want_bios,
		.boot_vcpu = d->vcpu->index == 0,
		.cr0 = d->state.cr0,
		.bios_calls = vectors_calls(vm->platform) };

	if (dump_hints_at_bios(&f))
		log_error(
			"  this image may want a BIOS, which it does not have here (it has called one %u times; README: What runs without firmware)",
			f.bios_calls);
}

/* The dump from top to bottom: each row prints so many lines, its line i by print(d, i). */
static const struct {
	unsigned lines;
	void (*print)(struct dump *d, unsigned i);
} rows[] = {
	{ 1, dump_why },
	{ 1, dump_exit },
	{ 1, dump_control },
	{ GPRS / 4, dump_gpr },
	{ 1, dump_describe_exits },
	{ 1, dump_exits },
	{ LEVELS_MOST, dump_step },
	{ SEGS, dump_segment },
	{ 1, dump_tables },
	{ 1, dump_code },
	{ 1, dump_advice },
};

bool dump_log_line(struct vm *vm)
{
	struct dump *d = &vm->dump;
	unsigned i = d->logged++;

	if (!d->vcpu)
		return false;
	for (unsigned row = 0; row < ARRAY_SIZE(rows); i -= rows[row++].lines)
		if (i < rows[row].lines) {
			rows[row].print(d, i);
			return true;
		}
	return false;
}
