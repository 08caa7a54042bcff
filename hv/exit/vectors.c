/* SPDX-License-Identifier: MIT */
/* Traps of the real-mode vectors (guest/dev/vectors.h): BIOS calls are answered, exceptions without a handler end the VM. */
#include "hv/exit/vectors.h"

#include "guest/dev/vectors.h"
#include "hv/exit/exit.h"
#include "hv/vm/events.h"
#include "hv/vm/guest_cr.h"
#include "hv/vm/vmcs_setup.h"
#include "hv/vmx/vmx_cpu.h"
#include "mm/space/guest_mem.h"

#define FRAME_WORDS 3 /* IP, CS, FLAGS: what INT pushes in real mode */

/* A byte of a real-mode segment, whose offsets wrap at 64 KiB; 0 where no RAM is. Paging is off. */
static uint8_t real_byte(struct vcpu *v, const struct cpu_segment *s, unsigned offset)
{
	uint8_t byte = 0;

	guest_read(v->vm->mmu, gpa((uint32_t)(s->base + (uint16_t)offset)), &byte, 1);
	return byte;
}

static uint16_t real_word(struct vcpu *v, const struct cpu_segment *s, unsigned offset)
{
	return (uint16_t)(real_byte(v, s, offset) | real_byte(v, s, offset + 1) << 8);
}

static const char *vector_name(unsigned vector)
{
	static const char *const names[] = { "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
		"#DF", [0x0c] = "#SS", [0x0d] = "#GP" };

	return vector < ARRAY_SIZE(names) && names[vector] ? names[vector] : "";
}

/* Puts the vCPU back to where the vector interrupted it, so that the dump shows that. */
static void uninterrupt(struct vcpu *v, const struct vectors_frame *f)
{
	struct cpu_segment cs;

	vmcs_get_segment(&v->vmcs, SEG_CS, &cs);
	cs.selector = f->cs;
	cs.base = (uint64_t)f->cs << 4;
	vmcs_set_segment(&v->vmcs, SEG_CS, &cs);
	vmcs_write(&v->vmcs, VMCS_GUEST_RIP, f->ip);
	vmcs_write(&v->vmcs, VMCS_GUEST_RFLAGS, f->flags | RFLAGS_ONE);
	vmcs_write(&v->vmcs, VMCS_GUEST_RSP, (uint16_t)(f->sp + 2 * FRAME_WORDS));
}

static void vectors_carry_out(struct vcpu *v, unsigned vector)
{
	struct cpu_segment ss, from = { 0 };
	struct vectors_frame f = { .ax = (uint16_t)v->regs.gpr[RAX],
		.sp = (uint16_t)vmcs_read(&v->vmcs, VMCS_GUEST_RSP),
		.exits = v->exits };

	vmcs_get_segment(&v->vmcs, SEG_SS, &ss);
	f.ss = ss.selector;
	f.ip = real_word(v, &ss, f.sp);
	f.cs = real_word(v, &ss, f.sp + 2u);
	f.flags = real_word(v, &ss, f.sp + 4u);
	from.base = (uint64_t)f.cs << 4;
	f.before[0] = real_byte(v, &from, f.ip - 2u);
	f.before[1] = real_byte(v, &from, f.ip - 1u);
	switch (vectors_call(v->vm->platform, vector, &f)) {
	case VECTORS_RETURN:
		v->regs.gpr[RAX] = (v->regs.gpr[RAX] & ~0xffffull) | f.ax;
		vmcs_write(&v->vmcs, VMCS_GUEST_RFLAGS,
			(vmcs_read(&v->vmcs, VMCS_GUEST_RFLAGS) & ~(RFLAGS_CF | RFLAGS_ZF)) |
				(f.flags & (RFLAGS_CF | RFLAGS_ZF)));
		vcpu_skip(v);
		break;
	case VECTORS_FAULT:
		uninterrupt(v, &f);
		vm_unsupported(v,
			"vector %02xh (%s) in real mode at %04x:%04x, which the guest has no handler for",
			vector, vector_name(vector), f.cs, f.ip);
		break;
	case VECTORS_BOOT:
		uninterrupt(v, &f);
		vm_unsupported(v,
			"int %02xh at %04x:%04x gives the machine back to a BIOS (%s), which this guest does not have",
			vector, f.cs, f.ip, vector == 0x18 ? "it cannot boot" : "it is to boot from a disk");
		break;
	}
}

bool exit_vectors(struct vcpu *v)
{
	int vector;

	if (cr0_read(v) & CR0_PE)
		return false;
	vector = vectors_trap((uint32_t)(vmcs_read(&v->vmcs, VMCS_SEG_BASE(SEG_CS)) + vcpu_rip(v)));
	if (vector < 0)
		return false;
	vectors_carry_out(v, (unsigned)vector);
	return true;
}
