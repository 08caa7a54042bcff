/* SPDX-License-Identifier: MIT */
/* What a guest was doing when it had to end: registers, the code at RIP, the exit. */
#include "guest/dev/vectors.h"
#include "hv/exit/exit.h"
#include "hv/vm/dump_pure.h"
#include "hv/vm/vmcs_setup.h"
#include "hv/vmx/vmx_cpu.h"
#include "lib/log.h"
#include "lib/printf.h"

static void dump_segments(const struct vcpu_state *s)
{
	static const char *const names[] = { "es", "cs", "ss", "ds", "fs", "gs" };

	for (unsigned i = 0; i < SEGS; i++)
		log_error("  %s %04x base %016lx limit %08x access %05x", names[i], s->seg[i].selector,
			s->seg[i].base, s->seg[i].limit, s->seg[i].access);
	log_error("  gdt %016lx limit %04x  idt %016lx limit %04x  ldt %04x  tr %04x", s->gdtr.base,
		s->gdtr.limit, s->idtr.base, s->idtr.limit, s->ldtr.selector, s->tr.selector);
}

static void dump_code(struct vcpu *v, const struct vcpu_state *s)
{
	uint64_t at = s->regs.rip + (vcpu_long_mode(v) ? 0 : s->seg[SEG_CS].base);
	uint8_t bytes[16];
	char text[sizeof(bytes) * 3 + 1] = "";
	uint32_t error;
	gpa_t where;
	int n = 0;

	vcpu_paging_regs(v);
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		if (guest_walk(v->vm->mmu, &v->mmu.regs, gva(at + i), MMU_EXEC, &where, &error) ||
			guest_read(v->vm->mmu, where, bytes + i, 1))
			break;
		n += fmt_snprintf(text + n, sizeof(text) - (size_t)n, " %02x", bytes[i]);
	}
	log_error("  code at rip:%s", n ? text : " cannot be read");
}

static void dump_advice(struct vcpu *v, const struct vcpu_state *s)
{
	const struct dump_facts f = { .image_may_want_bios = v->vm->image_may_want_bios,
		.boot_vcpu = v->index == 0,
		.cr0 = s->cr0,
		.bios_calls = vectors_calls(v->vm->platform) };

	if (dump_hints_at_bios(&f))
		log_error(
			"  this image may want a BIOS, which it does not have here (it has called one %u times; README: What runs without firmware)",
			f.bios_calls);
}

void dump_vcpu(struct vcpu *v, const char *why)
{
	struct vcpu_state s;
	const uint64_t *g;
	uint64_t reason = vmcs_read(&v->vmcs, VMCS_EXIT_REASON);
	char text[320];

	/* One dump a VM: several vCPUs may fail at the same time. */
	if (atomic_xchg(&v->vm->dumped, true))
		return;
	platform_console_flush(v->vm->platform); /* the guest's last words come first */
	vmcs_get_state(v, &s);
	g = s.regs.gpr;
	log_error("vm %s vcpu %u: %s", v->vm->name, v->index, why);
	log_error("  exit %lu (%s) qualification %#lx guest-physical %#lx", reason & 0xffff,
		exit_name((unsigned)reason), vmcs_read(&v->vmcs, VMCS_QUALIFICATION),
		vmx.ept ? vmcs_read(&v->vmcs, VMCS_GUEST_PHYSICAL) : 0);
	log_error("  rip %016lx rflags %08lx  cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx efer %04lx",
		s.regs.rip, s.regs.rflags, s.cr0, s.cr2, s.cr3, s.cr4, s.efer);
	log_error("  rax %016lx rcx %016lx rdx %016lx rbx %016lx", g[RAX], g[RCX], g[RDX], g[RBX]);
	log_error("  rsp %016lx rbp %016lx rsi %016lx rdi %016lx", g[RSP], g[RBP], g[RSI], g[RDI]);
	log_error("  r8  %016lx r9  %016lx r10 %016lx r11 %016lx", g[R8], g[R9], g[R10], g[R11]);
	log_error("  r12 %016lx r13 %016lx r14 %016lx r15 %016lx", g[R12], g[R13], g[R14], g[R15]);
	exits_describe(v, text, sizeof(text));
	log_error("  last exits: %s", text);
	dump_segments(&s);
	dump_code(v, &s);
	dump_advice(v, &s);
}
