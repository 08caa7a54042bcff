/* SPDX-License-Identifier: MIT */
/*
 * Emulates one instruction: decodes it, calls the file that executes it, steps RIP over it. All instructions
 * work in the same order, so that a fault changes nothing:
 *
 * 1. open the operands: all that can fault
 * 2. read them, compute, write the result
 * 3. change registers and flags, and RIP last
 */
#include "guest/emu/emulate.h"

#include "guest/emu/alu.h"
#include "guest/emu/operand.h"
#include "lib/printf.h"

static __attribute__((noinline)) int exec(struct emu *e)
{
	switch (e->insn.op) {
	case INSN_MOV:
	case INSN_MOVZX:
	case INSN_MOVSX:
	case INSN_MOVBE:
		return emu_exec_mov(e);
	case INSN_ADD ... INSN_CRC32:
	case INSN_XCHG:
	case INSN_XADD:
		return emu_exec_alu(e);
	case INSN_CMPXCHG:
		return emu_exec_cmpxchg(e);
	case INSN_CMPXCHG8B:
		return emu_exec_cmpxchg8b(e);
	case INSN_SETCC:
		return emu_exec_setcc(e);
	case INSN_CMOVCC:
		return emu_exec_cmovcc(e);
	case INSN_SHLD:
	case INSN_SHRD:
		return emu_exec_shift_double(e);
	case INSN_MUL ... INSN_IDIV:
		return emu_exec_wide(e);
	case INSN_PUSH ... INSN_LEAVE:
		return emu_exec_stack(e);
	case INSN_CALL ... INSN_JMP:
		return emu_exec_branch(e);
	case INSN_SMSW ... INSN_STR:
		return emu_exec_system(e);
	case INSN_MOVS ... INSN_OUTS:
		return emu_string(e);
	case INSN_XMM_LOAD ... INSN_XMM_STORE_HIGH:
		return emu_exec_xmm(e);
	case INSN_CLFLUSH:
		return emu_exec_clflush(e);
	default:
		return emu_refuse(e, insn_why_text(INSN_WHY_UNKNOWN));
	}
}

static int refused(struct emu *e, int err)
{
	if (err == -E_INVAL)
		return emu_fault(e, e->insn.why == INSN_WHY_TOO_LONG ? VEC_GP : VEC_UD);
	e->why = insn_why_text(e->insn.why);
	return err;
}

/*
 * The common case: MOV, MOVZX or MOVSX between a register and a device in 64-bit mode, at the gpa of the VM
 * exit. Hardware has checked that address; the page offset shows that it is the address of this operand.
 * Returns false, with nothing done, in any other case.
 */
static bool mov_at_known_gpa(struct emu *e)
{
	const struct insn *i = &e->insn;
	bool load = i->form == INSN_REG_RM;
	uint64_t at, v;

	if (!(i->flags & INSN_PLAIN) || e->align_check || e->watch ||
		!(e->known & (load ? EMU_READ : EMU_WRITE)))
		return false;
	at = emu_address_64(e);
	if ((at ^ e->gpa.v) & PAGE_MASK || (at & PAGE_MASK) > PAGE_SIZE - i->mem_size)
		return false;
	if (!load) {
		e->ops->mmio_write(e, e->gpa, i->size, emu_other(e) & alu_mask(i->size));
		return true;
	}
	v = e->ops->mmio_read(e, e->gpa, i->mem_size) & alu_mask(i->mem_size);
	emu_set_op_reg(e, i->reg, i->op == INSN_MOVSX ? emu_sign_extended(v, i->mem_size) : v);
	return true;
}

int emulate_cached(struct emu *e, struct insn_cache *cache, const uint8_t *bytes, size_t n)
{
	int rc = cache ? insn_decode_cached(cache, e->regs->rip, bytes, n, e->mode, &e->insn)
		       : insn_decode(bytes, n, e->mode, &e->insn);

	e->branched = false;
	e->hits = 0;
	if (unlikely(rc))
		return refused(e, rc);
	if (unlikely(!(e->insn.flags & INSN_MEM)))
		return emu_refuse(e, insn_why_text(INSN_WHY_REGISTER));
	if (!mov_at_known_gpa(e)) {
		e->why = NULL;
		e->segs_known = 0;
		rc = exec(e);
		if (rc)
			return rc;
		if (e->branched) {
			e->regs->rflags &= ~RFLAGS_RF;
			return 0;
		}
	}
	emu_finish(e, e->insn.len);
	return 0;
}

int emulate(struct emu *e, const uint8_t *bytes, size_t n)
{
	return emulate_cached(e, NULL, bytes, n);
}

int emulate_describe(const struct emu *e, const uint8_t *bytes, size_t n, char *buf, size_t size)
{
	size_t shown = e->insn.len ? e->insn.len : INSN_MAX;
	bool decoded = e->insn.op != INSN_NONE;
	char hex[3 * INSN_MAX + 1];

	fmt_bytes(hex, bytes, min(n, shown));
	return fmt_snprintf(buf, size, "%s(%s): %s", hex, decoded ? insn_op_name(e->insn.op) : "not decoded",
		e->why ? e->why : "an operation of the machine below failed");
}
