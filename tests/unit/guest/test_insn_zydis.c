/* SPDX-License-Identifier: MIT */
/*
 * The decoder against another one, Zydis, over random and structured bytes in all three modes. For every case:
 *
 *	we accept, the oracle says invalid      failure
 *	both accept				length, operation, sizes, memory operand, registers,
 *						immediate and prefixes must be the same, and no shorter
 *						input may be accepted
 *	we refuse, the oracle accepts           allowed only for the kinds listed in may_refuse()
 *
 * INSN_CASES and INSN_SEED in the environment choose another number of cases and another seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>
#include <cmocka.h>

#include "guest/emu/insn.h"
#include "lib/bits.h"

static uint64_t seed;
static ZydisDecoder decoders[3];
static const enum insn_mode modes[3] = { INSN_MODE_16, INSN_MODE_32, INSN_MODE_64 };
static uint64_t accepted, refused;
static uint64_t seen[INSN_OPS];

static uint64_t rnd(void) /* splitmix64 */
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Our operation for each mnemonic of Zydis; INSN_NONE: none. */
#define AS(name, op) [ZYDIS_MNEMONIC_##name] = INSN_##op,
#define SAME(name)   AS(name, name)
/* clang-format off */
static const uint8_t op_of[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
	SAME(MOV) SAME(MOVZX) SAME(MOVSX) SAME(MOVBE) SAME(ADD) SAME(OR) SAME(ADC) SAME(SBB) SAME(AND)
	SAME(SUB) SAME(XOR) SAME(CMP) SAME(TEST) SAME(INC) SAME(DEC) SAME(NOT) SAME(NEG) SAME(ROL)
	SAME(ROR) SAME(RCL) SAME(RCR) SAME(SHL) SAME(SHR) SAME(SAR) SAME(BT) SAME(BTS) SAME(BTR) SAME(BTC)
	SAME(XCHG) SAME(XADD) SAME(CMPXCHG) SAME(CMPXCHG8B) SAME(PUSH) SAME(POP) SAME(CLFLUSH)
	SAME(IMUL) SAME(BSF) SAME(BSR) SAME(TZCNT) SAME(LZCNT) SAME(POPCNT) SAME(CRC32) SAME(SHLD) SAME(SHRD)
	SAME(MUL) SAME(DIV) SAME(IDIV) SAME(ENTER) SAME(LEAVE) SAME(CALL) SAME(RET) SAME(JMP) SAME(SMSW)
	SAME(SLDT) SAME(STR) AS(PUSHA, PUSHA) AS(PUSHAD, PUSHA) AS(POPA, POPA) AS(POPAD, POPA) AS(PUSHF, PUSHF)
	AS(PUSHFD, PUSHF) AS(PUSHFQ, PUSHF) AS(POPF, POPF) AS(POPFD, POPF) AS(POPFQ, POPF)
	AS(MOVSXD, MOVSX) AS(MOVNTI, MOV) AS(MOVDIRI, MOV) AS(CMPXCHG16B, CMPXCHG8B)
	AS(CLFLUSHOPT, CLFLUSH) AS(CLWB, CLFLUSH) AS(MOVSB, MOVS) AS(MOVSW, MOVS) AS(MOVSQ, MOVS)
	AS(CMPSB, CMPS) AS(CMPSW, CMPS) AS(CMPSQ, CMPS) AS(STOSB, STOS) AS(STOSW, STOS) AS(STOSD, STOS)
	AS(STOSQ, STOS) AS(LODSB, LODS) AS(LODSW, LODS) AS(LODSD, LODS) AS(LODSQ, LODS) AS(SCASB, SCAS)
	AS(SCASW, SCAS) AS(SCASD, SCAS) AS(SCASQ, SCAS) AS(INSB, INS) AS(INSW, INS) AS(INSD, INS)
	AS(OUTSB, OUTS) AS(OUTSW, OUTS) AS(OUTSD, OUTS) AS(SETO, SETCC) AS(SETNO, SETCC) AS(SETB, SETCC)
	AS(SETNB, SETCC) AS(SETZ, SETCC) AS(SETNZ, SETCC) AS(SETBE, SETCC) AS(SETNBE, SETCC)
	AS(SETS, SETCC) AS(SETNS, SETCC) AS(SETP, SETCC) AS(SETNP, SETCC) AS(SETL, SETCC) AS(SETNL, SETCC)
	AS(SETLE, SETCC) AS(SETNLE, SETCC) AS(CMOVO, CMOVCC) AS(CMOVNO, CMOVCC) AS(CMOVB, CMOVCC)
	AS(CMOVNB, CMOVCC) AS(CMOVZ, CMOVCC) AS(CMOVNZ, CMOVCC) AS(CMOVBE, CMOVCC) AS(CMOVNBE, CMOVCC)
	AS(CMOVS, CMOVCC) AS(CMOVNS, CMOVCC) AS(CMOVP, CMOVCC) AS(CMOVNP, CMOVCC) AS(CMOVL, CMOVCC)
	AS(CMOVNL, CMOVCC) AS(CMOVLE, CMOVCC) AS(CMOVNLE, CMOVCC)
};
/* clang-format on */

/* SSE moves: the operation depends on the direction, and of MOVSD and CMPSD there is a string, too. */
static enum insn_op sse_op_of(ZydisMnemonic m, bool store)
{
	switch (m) {
	case ZYDIS_MNEMONIC_MOVSD:
	case ZYDIS_MNEMONIC_VMOVSD:
	case ZYDIS_MNEMONIC_MOVSS:
	case ZYDIS_MNEMONIC_VMOVSS:
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_VMOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_VMOVUPD:
	case ZYDIS_MNEMONIC_MOVAPS:
	case ZYDIS_MNEMONIC_VMOVAPS:
	case ZYDIS_MNEMONIC_MOVAPD:
	case ZYDIS_MNEMONIC_VMOVAPD:
	case ZYDIS_MNEMONIC_MOVDQA:
	case ZYDIS_MNEMONIC_VMOVDQA:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_VMOVDQU:
	case ZYDIS_MNEMONIC_MOVD:
	case ZYDIS_MNEMONIC_VMOVD:
	case ZYDIS_MNEMONIC_MOVQ:
	case ZYDIS_MNEMONIC_VMOVQ:
		return store ? INSN_XMM_STORE : INSN_XMM_LOAD;
	case ZYDIS_MNEMONIC_LDDQU:
	case ZYDIS_MNEMONIC_VLDDQU:
	case ZYDIS_MNEMONIC_MOVNTDQA:
	case ZYDIS_MNEMONIC_VMOVNTDQA:
		return INSN_XMM_LOAD;
	case ZYDIS_MNEMONIC_MOVNTPS:
	case ZYDIS_MNEMONIC_VMOVNTPS:
	case ZYDIS_MNEMONIC_MOVNTPD:
	case ZYDIS_MNEMONIC_VMOVNTPD:
	case ZYDIS_MNEMONIC_MOVNTDQ:
	case ZYDIS_MNEMONIC_VMOVNTDQ:
		return INSN_XMM_STORE;
	case ZYDIS_MNEMONIC_VMOVLPS:
	case ZYDIS_MNEMONIC_VMOVLPD:
	case ZYDIS_MNEMONIC_MOVLPS:
	case ZYDIS_MNEMONIC_MOVLPD:
		return store ? INSN_XMM_STORE : INSN_XMM_LOAD_LOW;
	case ZYDIS_MNEMONIC_VMOVHPS:
	case ZYDIS_MNEMONIC_VMOVHPD:
	case ZYDIS_MNEMONIC_MOVHPS:
	case ZYDIS_MNEMONIC_MOVHPD:
		return store ? INSN_XMM_STORE_HIGH : INSN_XMM_LOAD_HIGH;
	default:
		return INSN_NONE;
	}
}

struct oracle {
	ZydisDecodedInstruction i;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	const ZydisDecodedOperand *mem, *reg, *imm; /* the explicit (or, of strings, any) ones; NULL: none */
	bool string;
};

static bool ask_oracle(const uint8_t *bytes, size_t n, unsigned mode, struct oracle *z)
{
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoders[mode], bytes, n, &z->i, z->o)))
		return false;
	z->string = z->i.meta.category == ZYDIS_CATEGORY_STRINGOP ||
		    z->i.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
	z->mem = z->reg = z->imm = NULL;
	for (unsigned k = 0; k < z->i.operand_count; k++) {
		const ZydisDecodedOperand *o = &z->o[k];

		if (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && !z->string)
			continue;
		if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.type == ZYDIS_MEMOP_TYPE_MEM) {
			/* Of two, the rSI side. */
			if (!z->mem || o->mem.base == ZYDIS_REGISTER_RSI ||
				o->mem.base == ZYDIS_REGISTER_ESI || o->mem.base == ZYDIS_REGISTER_SI)
				z->mem = o;
		} else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER &&
			   o->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
			if (!z->reg)
				z->reg = o;
		} else if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
			z->imm = o;
		}
	}
	return true;
}

/* What the decoder may leave out: what has no memory operand to emulate, and what guests don't do to devices.
 * */
static bool may_refuse(const struct oracle *z)
{
	static const ZydisMnemonic list[] = { ZYDIS_MNEMONIC_LDS, ZYDIS_MNEMONIC_LES, ZYDIS_MNEMONIC_LSS,
		ZYDIS_MNEMONIC_LFS, ZYDIS_MNEMONIC_LGS, ZYDIS_MNEMONIC_BOUND, ZYDIS_MNEMONIC_ARPL,
		ZYDIS_MNEMONIC_LAR, ZYDIS_MNEMONIC_LSL, ZYDIS_MNEMONIC_VERR, ZYDIS_MNEMONIC_VERW,
		ZYDIS_MNEMONIC_LLDT, ZYDIS_MNEMONIC_LTR, ZYDIS_MNEMONIC_LGDT, ZYDIS_MNEMONIC_SGDT,
		ZYDIS_MNEMONIC_LIDT, ZYDIS_MNEMONIC_SIDT, ZYDIS_MNEMONIC_LMSW, ZYDIS_MNEMONIC_INVLPG,
		ZYDIS_MNEMONIC_NOP, ZYDIS_MNEMONIC_UD0, ZYDIS_MNEMONIC_UD1 };

	if (!z->mem)
		return true;
	if ((z->i.mnemonic == ZYDIS_MNEMONIC_CALL || z->i.mnemonic == ZYDIS_MNEMONIC_JMP) &&
		z->i.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return true;
	if (z->i.mnemonic == ZYDIS_MNEMONIC_MOV && z->reg->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG &&
		ZydisRegisterGetClass(z->reg->reg.value) == ZYDIS_REGCLASS_SEGMENT)
		return true;
	for (size_t k = 0; k < ARRAY_SIZE(list); k++)
		if (list[k] == z->i.mnemonic)
			return true;
	/* Other instruction sets, but those of which the decoder knows a part only in that part. */
	switch (z->i.meta.isa_ext) {
	case ZYDIS_ISA_EXT_BASE:
	case ZYDIS_ISA_EXT_LONGMODE:
	case ZYDIS_ISA_EXT_MOVBE:
	case ZYDIS_ISA_EXT_CLFSH:
	case ZYDIS_ISA_EXT_CLFLUSHOPT:
	case ZYDIS_ISA_EXT_CLWB:
		return false;
	case ZYDIS_ISA_EXT_MOVDIR:
		return z->i.mnemonic != ZYDIS_MNEMONIC_MOVDIRI;
	case ZYDIS_ISA_EXT_SSE:
	case ZYDIS_ISA_EXT_SSE2:
	case ZYDIS_ISA_EXT_SSE3:
	case ZYDIS_ISA_EXT_SSE4:
		if (z->i.mnemonic == ZYDIS_MNEMONIC_MOVNTI)
			return false;
		for (unsigned k = 0; k < z->i.operand_count; k++)
			if (z->o[k].type == ZYDIS_OPERAND_TYPE_REGISTER &&
				ZydisRegisterGetClass(z->o[k].reg.value) == ZYDIS_REGCLASS_MMX)
				return true;
		return sse_op_of(z->i.mnemonic, false) == INSN_NONE;
	case ZYDIS_ISA_EXT_AVX:
	case ZYDIS_ISA_EXT_AVX2:
		/* Moves between memory and one register. */
		return z->i.operand_count_visible != 2 ||
		       sse_op_of(z->i.mnemonic, z->o[0].type == ZYDIS_OPERAND_TYPE_MEMORY) == INSN_NONE;
	default:
		return true;
	}
}

static void complain(const uint8_t *bytes, size_t n, unsigned mode, const struct insn *in,
	const struct oracle *z, const char *what)
{
	char hex[64] = "", text[128] = "(invalid)";
	ZydisFormatter f;

	for (size_t k = 0; k < n && k < 20; k++)
		snprintf(hex + 3 * k, sizeof(hex) - 3 * k, "%02x ", bytes[k]);
	ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
	if (z)
		ZydisFormatterFormatInstruction(
			&f, &z->i, z->o, z->i.operand_count_visible, text, sizeof(text), 0x1000, NULL);
	fail_msg(
		"%s: mode %d: %s\n  oracle: len %d %s\n  ours: len %d %s size %d mem %d addr %d seg %d reg %d base %d index %d scale %d disp %#llx imm %#llx flags %#x why %s",
		what, modes[mode], hex, z ? z->i.length : 0, text, in->len, insn_op_name(in->op), in->size,
		in->mem_size, in->addr_size, in->seg, in->reg, in->base, in->index, in->scale,
		(unsigned long long)in->disp, (unsigned long long)in->imm, in->flags, insn_why_text(in->why));
}

static int reg_number(ZydisRegister r)
{
	switch (r) {
	case ZYDIS_REGISTER_NONE:
		return INSN_NOREG;
	case ZYDIS_REGISTER_RIP:
	case ZYDIS_REGISTER_EIP:
		return INSN_RIP;
	case ZYDIS_REGISTER_SPL:
	case ZYDIS_REGISTER_BPL:
	case ZYDIS_REGISTER_SIL:
	case ZYDIS_REGISTER_DIL:
		return 4 + r - ZYDIS_REGISTER_SPL;
	case ZYDIS_REGISTER_AH:
	case ZYDIS_REGISTER_CH:
	case ZYDIS_REGISTER_DH:
	case ZYDIS_REGISTER_BH:
		return 4 + r - ZYDIS_REGISTER_AH;
	default:
		if (r >= ZYDIS_REGISTER_R8B && r <= ZYDIS_REGISTER_R15B)
			return 8 + r - ZYDIS_REGISTER_R8B;
		return ZydisRegisterGetId(r);
	}
}

static bool same_memory(const struct insn *in, const struct oracle *z)
{
	const ZydisDecodedOperandMem *m = &z->mem->mem;
	uint64_t mask = in->addr_size == 8 ? ~0ull : BIT(8 * in->addr_size) - 1;

	/* Before a CALL or JMP through memory Zydis takes 3E for NOTRACK alone; it is DS as well (SDM Vol. 2A 2.1.1). */
	if ((int)ZydisRegisterGetId(m->segment) != (int)in->seg &&
		!(z->i.attributes & ZYDIS_ATTRIB_HAS_NOTRACK))
		return false;
	if (z->string)
		return true;
	/*
	 * Zydis 4.0 takes SIB base 101 with mod 00 and REX.B for R13 and drops the displacement, if the
	 * address size is 32. SDM Vol. 2A table 2-3 has no base there, whatever REX.B is, and the CPU agrees
	 * (test_emulate_native.c executes it).
	 */
	if (in->addr_size == 4 && in->base == INSN_NOREG && m->base == ZYDIS_REGISTER_R13D)
		return true;
	if (reg_number(m->base) != in->base || reg_number(m->index) != in->index)
		return false;
	if (in->index != INSN_NOREG && m->scale != 1 << in->scale)
		return false;
	return !(((uint64_t)m->disp.value ^ (uint64_t)in->disp) & mask);
}

/* Sign-extended ones must be the same over the operand's width; of counts and bit numbers, as encoded. */
static uint64_t imm_bits(const struct insn *in, const struct oracle *z)
{
	unsigned bits = z->imm->imm.is_signed ? 8u * in->size : z->i.raw.imm[0].size;

	return bits >= 64 ? ~0ull : BIT(bits) - 1;
}

/* The same for what has no memory operand but the stack. */
static const char *stack_difference(const struct insn *in, const struct oracle *z)
{
	unsigned size = z->i.operand_width / 8u;

	/* Near branches have 64 bits in 64-bit mode, and Zydis says so, too. */
	if (in->size != size)
		return "operand size";
	if (in->form == INSN_STACK_REG && (!z->reg || reg_number(z->reg->reg.value) != in->rm))
		return "register";
	if (in->op == INSN_PUSH_SEG &&
		(!z->reg || (int)ZydisRegisterGetId(z->reg->reg.value) != (int)in->reg))
		return "segment register";
	if (in->op == INSN_ENTER)
		return z->o[0].imm.value.u != in->imm || (z->o[1].imm.value.u & 31) != in->cond ? "immediates"
												: NULL;
	if (z->imm && (z->imm->imm.value.u ^ in->imm) & (BIT(8 * min(size, 4u)) - 1))
		return "value of the immediate";
	return NULL;
}

/* Both accept: NULL, or what differs. */
static const char *difference(const struct insn *in, const struct oracle *z)
{
	bool store = z->o[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
	enum insn_op op = z->string && z->i.mnemonic == ZYDIS_MNEMONIC_MOVSD   ? INSN_MOVS
			  : z->string && z->i.mnemonic == ZYDIS_MNEMONIC_CMPSD ? INSN_CMPS
									       : op_of[z->i.mnemonic];
	bool rep = z->i.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE);
	bool repne = z->i.attributes & ZYDIS_ATTRIB_HAS_REPNE;
	unsigned addr = z->i.address_width / 8u;

	if (op == INSN_NONE)
		op = sse_op_of(z->i.mnemonic, store);
	if (op == INSN_PUSH && z->reg && ZydisRegisterGetClass(z->reg->reg.value) == ZYDIS_REGCLASS_SEGMENT)
		op = INSN_PUSH_SEG;
	if (op == INSN_IMUL && in->form == INSN_RM)
		op = INSN_IMUL_WIDE;
	if (in->len != z->i.length)
		return "length";
	if (in->op != op)
		return "operation";
	if (in->form == INSN_STACK || in->form == INSN_STACK_REG)
		return stack_difference(in, z);
	if (in->addr_size != addr)
		return "address size";
	if (!!(in->flags & INSN_MEM) != !!z->mem)
		return "memory or register";
	if (z->mem && in->mem_size != z->mem->size / 8 && in->op != INSN_CLFLUSH)
		return "size of the memory operand";
	if (z->mem && !same_memory(in, z))
		return "memory operand";
	if (!!(in->flags & INSN_LOCK) != !!(z->i.attributes & ZYDIS_ATTRIB_HAS_LOCK))
		return "LOCK";
	if (z->string)
		return in->op == INSN_CMPS || in->op == INSN_SCAS
			       ? /* elsewhere F2 does what F3 does */
			       (in->flags & (INSN_REP | INSN_REPNE)) != (rep		? INSN_REP
										: repne ? INSN_REPNE
											: 0)
				       ? "REP"
				       : NULL
			       : (in->flags & (INSN_REP | INSN_REPNE)) != (rep || repne ? INSN_REP : 0)
					 ? "REP"
					 : NULL;
	if (z->imm && in->form != INSN_RM_IMM && in->form != INSN_RM_REG_IMM && in->form != INSN_REG_RM_IMM)
		return "immediate";
	if (z->imm && z->i.raw.imm[0].size && ((z->imm->imm.value.u ^ in->imm) & imm_bits(in, z)))
		return "value of the immediate";
	if (in->form == INSN_RM_REG || in->form == INSN_REG_RM || in->form == INSN_RM_REG_IMM ||
		in->form == INSN_REG_RM_IMM || in->form == INSN_RM_REG_CL) {
		const ZydisDecodedOperand *r = &z->o[in->form != INSN_REG_RM && in->form != INSN_REG_RM_IMM];

		if (r->type != ZYDIS_OPERAND_TYPE_REGISTER)
			return "form";
		if (reg_number(r->reg.value) != in->reg)
			return "register";
		if (!!(in->flags & INSN_VEX) != (z->i.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX))
			return "VEX";
		if (ZydisRegisterGetClass(r->reg.value) != ZYDIS_REGCLASS_XMM &&
			ZydisRegisterGetClass(r->reg.value) != ZYDIS_REGCLASS_YMM &&
			r->size / 8 != in->size && in->op != INSN_CRC32) /* its size is the source's */
			return "operand size";
		if (in->size == 1 && r->reg.value >= ZYDIS_REGISTER_SPL &&
			r->reg.value <= ZYDIS_REGISTER_DIL && !(in->flags & INSN_REX))
			return "byte register";
		if (in->size == 1 && r->reg.value >= ZYDIS_REGISTER_AH && r->reg.value <= ZYDIS_REGISTER_BH &&
			in->flags & INSN_REX)
			return "high byte register";
	}
	if (!z->mem &&
		reg_number(z->o[in->form == INSN_REG_RM || in->form == INSN_REG_RM_IMM].reg.value) != in->rm)
		return "second register";
	return NULL;
}

static void check(const uint8_t *bytes, unsigned mode)
{
	struct insn in, shorter;
	struct oracle z;
	int rc = insn_decode(bytes, INSN_MAX, modes[mode], &in);
	bool ok = ask_oracle(bytes, INSN_MAX, mode, &z);
	const char *what;

	if (rc) {
		if (rc != -E_NOSUP && rc != -E_INVAL)
			complain(bytes, 15, mode, &in, ok ? &z : NULL, "error with 15 bytes given");
		refused++;
		if (ok && (rc == -E_INVAL || !may_refuse(&z)))
			complain(bytes, 15, mode, &in, &z, "refused");
		return;
	}
	if (!ok)
		complain(bytes, 15, mode, &in, NULL, "accepted what is invalid");
	what = difference(&in, &z);
	if (what)
		complain(bytes, 15, mode, &in, &z, what);
	accepted++;
	seen[in.op]++;
	if (accepted % 16 == 0) {
		size_t n = rnd() % in.len;

		if (insn_decode(bytes, n, modes[mode], &shorter) != -E_RANGE || shorter.why != INSN_WHY_SHORT)
			complain(bytes, n, mode, &in, &z, "a cut instruction must ask for more bytes");
		if (insn_decode(bytes, in.len, modes[mode], &shorter) ||
			memcmp(&shorter, &in, sizeof(in)) != 0)
			complain(bytes, in.len, mode, &in, &z, "its own bytes must be enough");
	}
}

/* Prefixes as real code has them and as it has not, an opcode that is likely known, all addressing forms. */
static void structured(uint8_t *b)
{
	static const uint8_t legacy[] = { 0x66, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64,
		0x65 };
	uint64_t r = rnd();
	unsigned at = 0;

	for (unsigned k = r % 8 < 4 ? 0 : r % 8 - 3; k; k--)
		b[at++] = legacy[rnd() % sizeof(legacy)];
	if (r & 0x100)
		b[at++] = 0x40 | ((r >> 9) & 15);
	if (r & 0x2000) {
		b[at++] = 0x0f;
		if ((r & 0xfc000) == 0) {
			static const uint8_t op[] = { 0x2a, 0xf0, 0xf1, 0xf9 };

			b[at++] = 0x38;
			b[at++] = op[(r >> 20) & 3];
		}
	}
	if (r & 0x40000000) /* a small displacement is more likely than a random one of 4 bytes */
		b[at + 2] = b[at + 3] = b[at + 4] = 0;
}

static void compare_many(unsigned kind)
{
	const char *env = getenv("INSN_CASES");
	uint64_t cases = env ? strtoull(env, NULL, 0) : 1200000;

	for (uint64_t k = 0; k < cases; k++) {
		uint64_t raw[2] = { rnd(), rnd() };
		uint8_t bytes[16];

		memcpy(bytes, raw, 16);
		if (kind)
			structured(bytes);
		check(bytes, (unsigned)(k % 3));
	}
}

static void random_bytes_agree_with_zydis(void **state)
{
	compare_many(0);
}

static void structured_bytes_agree_with_zydis(void **state)
{
	compare_many(1);
}

/* Each opcode of each map with each ModRM byte under the prefixes that change its meaning: nothing left to
 * luck. */
static void every_opcode_and_modrm_agrees_with_zydis(void **state)
{
	static const char *const prefixes[] = { "", "\x66", "\xf2", "\xf3", "\x48", "\xf0", "\x67",
		"\x66\xf2", "\x66\x48", "\x44", "\x41", "\x66\xf3" };
	static const char *const maps[] = { "", "\x0f", "\x0f\x38" };

	for (unsigned m = 0; m < 3; m++)
		for (unsigned p = 0; p < ARRAY_SIZE(prefixes); p++)
			for (unsigned op = 0; op < 256; op++)
				for (unsigned modrm = 0; modrm < 256; modrm += m == 2 ? 5 : 1) {
					uint8_t b[24] = { 0 };
					size_t at = strlen(prefixes[p]);
					uint64_t r = rnd();

					memcpy(b, prefixes[p], at);
					memcpy(b + at, maps[m], strlen(maps[m]));
					at += strlen(maps[m]);
					b[at++] = (uint8_t)op;
					b[at++] = (uint8_t)modrm;
					memcpy(b + at, &r, 8);
					check(b, (modrm + op) % 3);
				}
	for (unsigned op = INSN_NONE + 1; op < INSN_OPS; op++)
		if (!seen[op])
			fail_msg("no case was an accepted %s", insn_op_name(op));
	printf("decoder: %llu accepted, %llu refused\n", (unsigned long long)accepted,
		(unsigned long long)refused);
}

/* C5 with each byte behind it, C4 with each last byte of its prefix and the maps that the decoder knows. */
static void every_vex_opcode_agrees_with_zydis(void **state)
{
	for (unsigned k = 0; k < 1u << 18; k++) {
		uint64_t r = rnd();
		uint8_t vvvv = r & 2 ? 0x78 : 0; /* 1111b: no third operand */
		uint8_t two[24] = { 0xc5, (uint8_t)k | vvvv, (uint8_t)(k >> 8) };
		uint8_t three[24] = { 0xc4, (uint8_t)((r >> 8 & 0xe0) | (1 + (r & 1))), (uint8_t)k | vvvv,
			(uint8_t)(k >> 8) };

		memcpy(two + 3, &r, 8);
		memcpy(three + 4, &r, 8);
		check(two, (unsigned)(k % 3));
		check(three, (unsigned)(k % 3));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bytes_agree_with_zydis),
		cmocka_unit_test(structured_bytes_agree_with_zydis),
		cmocka_unit_test(every_vex_opcode_agrees_with_zydis),
		cmocka_unit_test(every_opcode_and_modrm_agrees_with_zydis),
	};
	const char *env = getenv("INSN_SEED");

	seed = env ? strtoull(env, NULL, 0) : 1;
	printf("seed %llu\n", (unsigned long long)seed);
	ZydisDecoderInit(&decoders[0], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&decoders[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&decoders[2], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
