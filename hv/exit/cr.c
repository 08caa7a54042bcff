/* SPDX-License-Identifier: MIT */
/* Control-register accesses (SDM Vol. 3C table 27-3). */
#include "hv/exit/exit.h"
#include "hv/vm/events.h"
#include "hv/vm/guest_cr.h"

enum { TO_CR, FROM_CR, CLTS, LMSW };

static uint64_t read_gpr(struct vcpu *v, unsigned n)
{
	uint64_t value = n == RSP ? vmcs_read(&v->vmcs, VMCS_GUEST_RSP) : v->regs.gpr[n];

	return vcpu_long_mode(v) ? value : (uint32_t)value;
}

static void write_gpr(struct vcpu *v, unsigned n, uint64_t value)
{
	if (!vcpu_long_mode(v))
		value = (uint32_t)value;
	if (n == RSP)
		vmcs_write(&v->vmcs, VMCS_GUEST_RSP, value);
	else
		v->regs.gpr[n] = value;
}

static int to_cr(struct vcpu *v, unsigned cr, uint64_t value)
{
	switch (cr) {
	case 0:
		return cr0_write(v, value);
	case 3:
		return cr3_write(v, value);
	case 4:
		return cr4_write(v, value);
	case 8:
		if (value >> 4)
			return -E_INVAL;
		platform_cr8_write(v->vm->platform, v->index, value);
		vcpu_request(v, REQ_EVENTS);
		return 0;
	}
	return -E_INVAL;
}

void exit_cr_access(struct vcpu *v)
{
	uint64_t q = vmcs_read(&v->vmcs, VMCS_QUALIFICATION), cr0;
	unsigned cr = q & 15, gpr = q >> 8 & 15;
	int err = 0;

	switch (q >> 4 & 3) {
	case TO_CR:
		err = to_cr(v, cr, read_gpr(v, gpr));
		break;
	case FROM_CR:
		write_gpr(v, gpr, cr == 8 ? platform_cr8_read(v->vm->platform, v->index) : cr3_read(v));
		break;
	case CLTS:
		err = cr0_write(v, cr0_read(v) & ~CR0_TS);
		break;
	case LMSW: /* the low four bits; PE can be set but not cleared */
		cr0 = cr0_read(v);
		err = cr0_write(v, (cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) |
					   (q >> 16 & (CR0_PE | CR0_MP | CR0_EM | CR0_TS)));
		break;
	}
	if (!err)
		vcpu_skip(v);
	else if (err == -E_INVAL)
		inject_exception_error(v, VEC_GP, 0);
}
