/* SPDX-License-Identifier: MIT */
/*
 * Emulation of one instruction: fetches it through the guest's page tables, lends the emulator the guest's memory,
 * devices and registers, and turns its verdict into a step, an exception, or the end of the VM.
 */
#include "hv/exit/emulate.h"

#include "hv/exit/exit.h"
#include "hv/vm/events.h"
#include "hv/vm/vmcs_setup.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/space/guest_mem.h"
#include "mm/space/walker.h"

struct emulation {
	struct emu emu; /* first: ops get a pointer to it */
	struct vcpu *v;
	uint64_t rflags;		/* before the instruction */
	struct breakpoints breakpoints; /* emu.watch, if it is set */
};

static struct vcpu *vcpu_of(struct emu *e)
{
	return ((struct emulation *)e)->v;
}

static int op_translate(struct emu *e, gva_t at, unsigned access, gpa_t *out)
{
	struct vcpu *v = vcpu_of(e);
	uint32_t error;
	int err = guest_walk(
		v->vm->mmu, &v->mmu.regs, at, access & EMU_WRITE ? MMU_WRITE : MMU_READ, out, &error);

	if (err == -E_FAULT)
		e->fault = (struct emu_fault){
			.vector = VEC_PF, .has_error = true, .error = error, .cr2 = at.v
		};
	return err;
}

/* Behind the local APIC's address lies the APIC-access page, a slot to the MMU, but no RAM to the guest. */
static bool is_apic(const struct vcpu *v, gpa_t at)
{
	return v->vmcs.proc2 & PROC2_APIC_ACCESS && (at.v & ~PAGE_MASK) == LAYOUT_LAPIC;
}

static int op_ram_read(struct emu *e, gpa_t at, void *to, unsigned n)
{
	if (unlikely(is_apic(vcpu_of(e), at)))
		return -E_FAULT;
	return guest_read(vcpu_of(e)->vm->mmu, at, to, n);
}

static int op_ram_write(struct emu *e, gpa_t at, const void *from, unsigned n)
{
	if (unlikely(is_apic(vcpu_of(e), at)))
		return -E_FAULT;
	return guest_write(vcpu_of(e)->vm->mmu, at, from, n);
}

static int op_ram_cmpxchg(struct emu *e, gpa_t at, const void *expected, const void *desired, unsigned n)
{
	uint64_t old = 0, new = 0;
	int err;

	if (unlikely(is_apic(vcpu_of(e), at)))
		return -E_FAULT;
	if (n > 8) { /* CMPXCHG16B: the accessor's atomics end at 8 bytes */
		e->why = "a locked 16-byte update";
		return -E_NOSUP;
	}
	memcpy(&old, expected, n);
	memcpy(&new, desired, n);
	if (unlikely(n < 4 || at.v & (n - 1))) {
		/* No atomic of ours does this. Read-only RAM needs none; of RAM that can be written there was no exit:
		 * the map has changed meanwhile, and the CPU does it alone now. Which is it? No 32 bits are all of
		 * these 64: nothing is exchanged. */
		old = ~0ull;
		err = guest_cmpxchg(vcpu_of(e)->vm->mmu, gpa(align_down(at.v, 4)), &old, 0, 4);
		return err == -E_FAULT ? err : -E_AGAIN;
	}
	return guest_cmpxchg(vcpu_of(e)->vm->mmu, at, &old, new, n);
}

static uint64_t op_mmio_read(struct emu *e, gpa_t at, unsigned n)
{
	struct vcpu *v = vcpu_of(e);
	uint64_t value = platform_mmio_read(v->vm->platform, v->index, at, n);

	TRACE(TRACE_IO, "mmio read %#lx size %lu = %#lx", at.v, n, value);
	return value;
}

static void op_mmio_write(struct emu *e, gpa_t at, unsigned n, uint64_t value)
{
	struct vcpu *v = vcpu_of(e);

	TRACE(TRACE_IO, "mmio write %#lx size %lu = %#lx", at.v, n, value);
	platform_mmio_write(v->vm->platform, v->index, at, n, value);
}

/*
 * With EMU_TABLE: the gpa of the exit is no device's but RAM, where a page table of the guest's lies. (If the map has changed
 * since the exit, it is a device's after all.)
 */
static uint64_t op_table_read(struct emu *e, gpa_t at, unsigned n)
{
	uint64_t value = 0;

	return guest_read(vcpu_of(e)->vm->mmu, at, &value, n) ? op_mmio_read(e, at, n) : value;
}

static void op_table_write(struct emu *e, gpa_t at, unsigned n, uint64_t value)
{
	if (guest_write(vcpu_of(e)->vm->mmu, at, &value, n))
		op_mmio_write(e, at, n, value);
}

/* What the accessor's atomics cannot do is left to the CPU. */
static int op_table_cmpxchg(struct emu *e, gpa_t at, const void *expected, const void *desired, unsigned n)
{
	if (n < 4 || at.v & (n - 1)) {
		e->why = "a locked update of less than 4 bytes, or a misaligned one";
		return -E_NOSUP;
	}
	return op_ram_cmpxchg(e, at, expected, desired, n);
}

static void op_segment(struct emu *e, enum seg seg, struct cpu_segment *out)
{
	vmcs_get_segment(&vcpu_of(e)->vmcs, seg, out);
}

/* The guest's XMM registers are in the CPU: Lethe uses none. */
#define XMM_CASES(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13) m(14) m(15)

static void op_xmm_read(struct emu *e, unsigned n, void *to)
{
#define READ(i)                                                                                              \
	case i:                                                                                              \
		__asm__ volatile("movups %%xmm" #i ", %0" : "=m"(*(uint8_t(*)[16])to));                      \
		break;
	switch (n) {
		XMM_CASES(READ)
	}
#undef READ
}

static void op_xmm_write(struct emu *e, unsigned n, const void *from)
{
#define WRITE(i)                                                                                             \
	case i:                                                                                              \
		__asm__ volatile("movups %0, %%xmm" #i : : "m"(*(const uint8_t(*)[16])from));                \
		break;
	switch (n) {
		XMM_CASES(WRITE)
	}
#undef WRITE
}

/* Without AVX state in the guest's XCR0, which is the CPU's while its vCPU has the CPU, the instructions below would fault
 * here, too. (The guest may have exchanged its instruction since it left.) */
static bool ymm_enabled(const struct vcpu *v)
{
	uint32_t low, high;

	if (!(vmcs_read(&v->vmcs, VMCS_GUEST_CR4) & CR4_OSXSAVE))
		return false;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & BITS(2, 1)) == BITS(2, 1); /* SSE and AVX */
}

static bool op_ymm_read(struct emu *e, unsigned n, void *to)
{
	if (!ymm_enabled(vcpu_of(e)))
		return false;
#define READ(i)                                                                                              \
	case i:                                                                                              \
		__asm__ volatile("vmovups %%ymm" #i ", %0" : "=m"(*(uint8_t(*)[32])to));                     \
		break;
	switch (n) {
		XMM_CASES(READ)
	}
#undef READ
	return true;
}

static bool op_ymm_write(struct emu *e, unsigned n, const void *from)
{
	if (!ymm_enabled(vcpu_of(e)))
		return false;
#define WRITE(i)                                                                                             \
	case i:                                                                                              \
		__asm__ volatile("vmovups %0, %%ymm" #i : : "m"(*(const uint8_t(*)[32])from));               \
		break;
	switch (n) {
		XMM_CASES(WRITE)
	}
#undef WRITE
	return true;
}

static uint16_t op_system(struct emu *e, enum emu_system which)
{
	struct vcpu *v = vcpu_of(e);

	switch (which) {
	case EMU_LDTR:
		return (uint16_t)vmcs_read(&v->vmcs, VMCS_GUEST_LDTR);
	case EMU_TR:
		return (uint16_t)vmcs_read(&v->vmcs, VMCS_GUEST_TR);
	default:
		return (uint16_t)v->mmu.regs.cr0;
	}
}

/* The guest's CPUID shows both as the host has them (hv/vm/guest_cpuid.c). */
static bool op_has(struct emu *e, enum emu_feature feature)
{
	if (feature == EMU_HAS_TZCNT)
		return cpuid_or_zero(7, 0).ebx & BIT(3);
	return cpuid_or_zero(0x80000001, 0).ecx & BIT(5);
}

/* An element on a device may cost a thousand instructions: a string goes on at the next exit when this CPU's clock is to be
 * looked at, or CLOCK_FRESH_US after its first element. */
static bool op_pause(struct emu *e)
{
	struct vcpu *v = vcpu_of(e);
	uint32_t now = rdtsc_low();

	if (v->string_exit != v->exits) {
		v->string_exit = v->exits;
		v->string_began = now;
	}
	return now - v->string_began >= v->cpu->fresh_ticks || vcpu_hurried(v);
}

/* clang-format off */
#define COMMON_OPS                                                                                           \
	.translate = op_translate, .ram_read = op_ram_read, .ram_write = op_ram_write,                       \
	.segment = op_segment, .system = op_system, .has = op_has, .pause = op_pause,                        \
	.xmm_read = op_xmm_read, .xmm_write = op_xmm_write, .ymm_read = op_ymm_read, .ymm_write = op_ymm_write
/* clang-format on */

static const struct emu_ops ops = {
	COMMON_OPS,
	.ram_cmpxchg = op_ram_cmpxchg,
	.mmio_read = op_mmio_read,
	.mmio_write = op_mmio_write,
};
static const struct emu_ops table_ops = {
	COMMON_OPS,
	.ram_cmpxchg = op_table_cmpxchg,
	.mmio_read = op_table_read,
	.mmio_write = op_table_write,
};

/* Fills in what does not depend on the instruction. Only the fields that the emulator reads are set. */
static void begin(struct vcpu *v, struct emulation *e, unsigned known, gpa_t at)
{
	const struct paging_regs *r = &v->mmu.regs;
	uint64_t cs = vmcs_read(&v->vmcs, VMCS_GUEST_CS_ACCESS);

	vcpu_sync_regs(v);
	vcpu_paging_regs(v);
	e->v = v;
	e->rflags = v->regs.rflags;
	e->emu.ops = &ops;
	e->emu.regs = &v->regs;
	e->emu.mode = r->efer & EFER_LMA && cs & BIT(13)	    ? INSN_MODE_64
		      : !(r->cr0 & CR0_PE) || r->rflags & RFLAGS_VM ? INSN_MODE_16
		      : cs & BIT(14)				    ? INSN_MODE_32
								    : INSN_MODE_16;
	e->emu.known = r->cpl == 3 && known == (EMU_READ | EMU_WRITE) ? 0 : known;
	e->emu.gpa = at;
	e->emu.cpl = (uint8_t)r->cpl;
	e->emu.umip = r->cr4 & CR4_UMIP;
	e->emu.linear_bits = r->cr4 & CR4_LA57 ? 57 : 48;
	e->emu.protected_mode = r->cr0 & CR0_PE && !(r->rflags & RFLAGS_VM);
	e->emu.align_check = r->cpl == 3 && r->cr0 & CR0_AM && r->rflags & RFLAGS_AC;
	e->emu.watch = NULL;
	if (unlikely(breakpoints_on(vmcs_read_sure(&v->vmcs, VMCS_GUEST_DR7))) &&
		vcpu_breakpoints(v, &e->breakpoints))
		e->emu.watch = &e->breakpoints;
	e->emu.segs_known = 0;
	e->emu.why = NULL;
}

/* Up to 15 bytes at CS:RIP, fewer if the next page cannot be fetched. Returns how many; 0: a page fault is injected or
 * the code is not in RAM (then the VM has been ended). */
static unsigned fetch(struct vcpu *v, struct emulation *e, uint8_t bytes[INSN_MAX])
{
	uint64_t at =
		v->regs.rip + (e->emu.mode == INSN_MODE_64 ? 0 : vmcs_read(&v->vmcs, VMCS_SEG_BASE(SEG_CS)));
	unsigned first = (unsigned)min((uint64_t)INSN_MAX, PAGE_SIZE - (at & PAGE_MASK)), done = 0;
	uint32_t error;
	gpa_t where;

	if (e->emu.mode != INSN_MODE_64)
		at = (uint32_t)at;
	for (unsigned n = first; done < INSN_MAX; n = INSN_MAX - done) {
		int err = guest_walk(v->vm->mmu, &v->mmu.regs, gva(at + done), MMU_EXEC, &where, &error);

		if (err == -E_FAULT && !done)
			inject_page_fault(v, at, error);
		else if (!err && !guest_read(v->vm->mmu, where, bytes + done, n)) {
			done += n;
			continue;
		} else if (!done)
			vm_unsupported(v, "it executes at linear address %#lx, where there is no RAM", at);
		break;
	}
	return done;
}

static void finish(struct vcpu *v, struct emulation *e, int err, const uint8_t *bytes, unsigned n)
{
	char text[160];

	switch (err) {
	case 0:
	case EMU_PARTLY:
		vcpu_write_regs(v);
		vcpu_step_done(v, e->rflags, e->emu.branched);
		if (unlikely(e->emu.hits))
			vcpu_debug_trap(v, e->emu.hits);
		break;
	case -E_AGAIN:
		break;
	case -E_FAULT:
		vcpu_write_regs(v);
		if (e->emu.fault.vector == VEC_PF)
			inject_page_fault(v, e->emu.fault.cr2, e->emu.fault.error);
		else if (e->emu.fault.has_error)
			inject_exception_error(v, e->emu.fault.vector, e->emu.fault.error);
		else
			inject_exception(v, e->emu.fault.vector);
		break;
	case -E_NOSUP:
		emulate_describe(&e->emu, bytes, n, text, sizeof(text));
		if (e->emu.ops == &table_ops)
			fault_leave_store(v, e->emu.gpa, text);
		else
			vm_unsupported(v,
				"an instruction on device memory at %#lx that Lethe cannot emulate: %s",
				e->emu.gpa.v, text);
		break;
	default:
		vm_unsupported(v, "emulation at %#lx failed: %s", e->emu.gpa.v, err_name(err));
	}
}

/* The instruction, of which there are n bytes, goes on in a page that cannot be fetched: that page's fault is the guest's. */
static void __attribute__((noinline, cold))
fetch_failed(struct vcpu *v, const struct emulation *e, unsigned n)
{
	uint64_t next = v->regs.rip + n +
			(e->emu.mode == INSN_MODE_64 ? 0 : vmcs_read(&v->vmcs, VMCS_SEG_BASE(SEG_CS)));
	uint32_t error;
	gpa_t where;

	if (guest_walk(v->vm->mmu, &v->mmu.regs, gva(next), MMU_EXEC, &where, &error) == -E_FAULT)
		inject_page_fault(v, next, error);
	else
		vm_unsupported(v, "an instruction runs on into address %#lx, where there is no RAM", next);
}

void emulate_at(struct vcpu *v, unsigned known, gpa_t at)
{
	struct emulation e;
	uint8_t bytes[INSN_MAX];
	unsigned n;
	int err;

	begin(v, &e, known & (EMU_READ | EMU_WRITE), at);
	if (unlikely(known & EMU_TABLE))
		e.emu.ops = &table_ops;
	n = fetch(v, &e, bytes);
	if (!n)
		return;
	err = emulate_cached(&e.emu, &v->insns, bytes, n);
	if (err == -E_RANGE && n < INSN_MAX)
		fetch_failed(v, &e, n);
	else
		finish(v, &e, err, bytes, n);
}

bool emulate_operand(struct vcpu *v, enum seg seg, uint64_t offset, void *to, unsigned n)
{
	struct emulation e;
	int err;

	begin(v, &e, 0, gpa(0));
	err = emulate_operand_read(&e.emu, seg, offset, to, n);
	if (err)
		finish(v, &e, err, NULL, 0);
	return !err;
}

void emulate_string(struct vcpu *v, const struct emu_string_io *io)
{
	struct emulation e;
	int err;

	begin(v, &e, 0, gpa(0));
	err = emulate_string_io(&e.emu, io);
	finish(v, &e, err, NULL, 0);
}
