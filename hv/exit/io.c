/* SPDX-License-Identifier: MIT */
/* Port I/O (SDM Vol. 3C table 27-5), with its string forms. */
#include "guest/emu/emulate.h"
#include "hv/exit/emulate.h"
#include "hv/exit/exit.h"
#include "lib/trace.h"

static int string_element(void *ctx, uint16_t port, bool in, unsigned size, uint32_t *value)
{
	struct vcpu *v = ctx;

	if (in)
		*value = platform_pio_read(v->vm->platform, v->index, port, size);
	else
		platform_pio_write(v->vm->platform, v->index, port, size, *value);
	return 0;
}

/* DR7 enables breakpoints: returns those that the port meets, as bits of DR6. */
static unsigned __attribute__((noinline, cold)) port_hits(const struct vcpu *v, uint16_t port, unsigned size)
{
	struct breakpoints b;

	if (!vcpu_breakpoints(v, &b))
		return 0;
	return breakpoints_io(&b, port, size, vmcs_read(&v->vmcs, VMCS_GUEST_CR4) & CR4_DE);
}

static void __attribute__((noinline)) string_io(struct vcpu *v, uint64_t q)
{
	uint64_t info = vmcs_read(&v->vmcs, VMCS_INSTR_INFO);
	struct emu_string_io io = {
		.port = (uint16_t)(q >> 16),
		.size = (uint8_t)((q & 7) + 1),
		.addr_size = (uint8_t)(2u << (info >> 7 & 7)),
		.seg = q & BIT(3) ? SEG_ES : (uint8_t)(info >> 15 & 7),
		.len = (uint8_t)vmcs_read(&v->vmcs, VMCS_INSTR_LENGTH),
		.in = q & BIT(3),
		.rep = q & BIT(5),
		.hits = (uint8_t)port_hits(v, (uint16_t)(q >> 16), (q & 7) + 1),
		.pio = string_element,
		.ctx = v,
	};

	emulate_string(v, &io);
}

void exit_io(struct vcpu *v)
{
	uint32_t q = (uint32_t)vmcs_read_sure(&v->vmcs, VMCS_QUALIFICATION);
	unsigned size = (q & 7) + 1;
	uint16_t port = (uint16_t)(q >> 16);

	if (unlikely(q & BIT(4))) {
		string_io(v, q);
		return;
	}
	if (q & BIT(3)) {
		uint32_t value = platform_pio_read(v->vm->platform, v->index, port, size);
		uint64_t *rax = &v->regs.gpr[RAX];

		/* A 32-bit result clears the upper half, smaller ones leave the rest alone. */
		*rax = size == 4   ? value
		       : size == 2 ? (*rax & ~0xffffull) | (uint16_t)value
				   : (*rax & ~0xffull) | (uint8_t)value;
		TRACE(TRACE_IO, "in %#lx size %lu = %#lx", port, size, value);
	} else {
		uint64_t value = v->regs.gpr[RAX] & BITS(8 * size - 1, 0);

		TRACE(TRACE_IO, "out %#lx size %lu = %#lx", port, size, value);
		platform_pio_write(v->vm->platform, v->index, port, size, (uint32_t)value);
	}
	vcpu_skip(v);
	if (unlikely(breakpoints_on(vmcs_read_sure(&v->vmcs, VMCS_GUEST_DR7))))
		vcpu_debug_trap(v, port_hits(v, port, size));
}
