/* SPDX-License-Identifier: MIT */
/*
 * The decoder: prefixes, opcode, ModRM and SIB, displacement, immediate, in the order of the bytes. What the
 * opcodes mean stands in insn_table.c. This is on the path of every MMIO exit: no loops but the one over
 * prefixes, nothing copied.
 */
#include "guest/emu/insn_table.h"

struct decoder {
	const uint8_t *at, *end; /* end: of the bytes given, or of the 15 that an instruction may have */
	enum insn_mode mode;
	uint8_t rex, seg, rep;			   /* the prefix bytes; 0: none. seg: enum seg, or NO_SEG */
	bool opsize66, addr67, lock, cut_by_limit; /* cut_by_limit: end is the 15th byte, not the caller's */
	bool vex, wide;				   /* wide: VEX.L */
};

#define NO_SEG 0xff
#define REX_W  BIT(3)
#define REX_R  BIT(2)
#define REX_X  BIT(1)
#define REX_B  BIT(0)

static int refuse(struct insn *out, enum insn_why why, int err)
{
	out->len = 0;
	out->op = INSN_NONE;
	out->why = (uint8_t)why;
	return err;
}

static int ran_out(const struct decoder *d, struct insn *out)
{
	return d->cut_by_limit ? refuse(out, INSN_WHY_TOO_LONG, -E_INVAL)
			       : refuse(out, INSN_WHY_SHORT, -E_RANGE);
}

static inline bool has(const struct decoder *d, size_t n)
{
	return likely((size_t)(d->end - d->at) >= n);
}

/* Little-endian, sign-extended; n is 1, 2, 4 or 8 and was checked. */
static inline int64_t take(struct decoder *d, unsigned n)
{
	const uint8_t *p = d->at;
	int16_t v2;
	int32_t v4;
	int64_t v8;

	d->at += n;
	switch (n) {
	case 1:
		return (int8_t)*p;
	case 2:
		__builtin_memcpy(&v2, p, 2);
		return v2;
	case 4:
		__builtin_memcpy(&v4, p, 4);
		return v4;
	default:
		__builtin_memcpy(&v8, p, 8);
		return v8;
	}
}

static void legacy_prefix(struct decoder *d, uint8_t byte)
{
	switch (byte) {
	case 0x66:
		d->opsize66 = true;
		break;
	case 0x67:
		d->addr67 = true;
		break;
	case 0xf0:
		d->lock = true;
		break;
	case 0xf2: /* of several, the last counts */
	case 0xf3:
		d->rep = byte;
		break;
	case 0x64:
	case 0x65:
		d->seg = byte == 0x64 ? SEG_FS : SEG_GS;
		break;
	default: /* 26, 2E, 36, 3E; 64-bit mode ignores them (SDM Vol. 2A 2.1.1, Vol. 1 3.3.7.1) */
		if (d->mode != INSN_MODE_64)
			d->seg = (byte >> 3) & 3;
	}
}

/* SDM Vol. 2A table 2-1. BP makes SS the default segment. */
static int modrm_16(struct decoder *d, uint8_t modrm, struct insn *out, unsigned *disp_size)
{
	static const uint8_t base[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
	static const uint8_t index[8] = { RSI, RDI, RSI, RDI, INSN_NOREG, INSN_NOREG, INSN_NOREG,
		INSN_NOREG };
	unsigned mod = modrm >> 6, rm = modrm & 7;

	if (mod == 0 && rm == 6) {
		*disp_size = 2;
		return 0;
	}
	out->base = base[rm];
	out->index = index[rm];
	*disp_size = mod; /* 0, 1 or 2 bytes */
	return 0;
}

/* SDM Vol. 2A tables 2-2, 2-3 and 2-5; in 64-bit mode 2.2.1.6 (RIP-relative). */
static int modrm_32(struct decoder *d, uint8_t modrm, struct insn *out, unsigned *disp_size)
{
	unsigned mod = modrm >> 6, rm = modrm & 7;

	*disp_size = mod == 2 ? 4 : mod;
	if (rm == 4) {
		uint8_t sib;
		unsigned index;

		if (!has(d, 1))
			return ran_out(d, out);
		sib = *d->at++;
		index = ((sib >> 3) & 7) | ((d->rex & REX_X) ? 8 : 0);
		if (index != RSP) {
			out->index = (uint8_t)index;
			out->scale = sib >> 6;
		}
		rm = sib & 7;
		if (rm == 5 && mod == 0) {
			*disp_size = 4;
			return 0;
		}
	} else if (rm == 5 && mod == 0) {
		if (d->mode == INSN_MODE_64)
			out->base = INSN_RIP;
		*disp_size = 4;
		return 0;
	}
	out->base = (uint8_t)(rm | ((d->rex & REX_B) ? 8 : 0));
	return 0;
}

static int modrm_operands(struct decoder *d, struct insn *out)
{
	uint8_t modrm = *d->at++;
	unsigned disp_size;
	int rc;

	out->reg = (uint8_t)(((modrm >> 3) & 7) | ((d->rex & REX_R) ? 8 : 0));
	if (modrm >> 6 == 3) {
		out->rm = (uint8_t)((modrm & 7) | ((d->rex & REX_B) ? 8 : 0));
		return 0;
	}
	out->flags |= INSN_MEM;
	rc = out->addr_size == 2 ? modrm_16(d, modrm, out, &disp_size) : modrm_32(d, modrm, out, &disp_size);
	if (unlikely(rc))
		return rc;
	if (disp_size) {
		if (!has(d, disp_size))
			return ran_out(d, out);
		out->disp = take(d, disp_size);
	}
	if (d->seg == NO_SEG)
		out->seg = out->base == RBP || out->base == RSP ? SEG_SS : SEG_DS;
	return 0;
}

_Static_assert(ENC_RM - ENC_RM_REG == INSN_RM - INSN_RM_REG && ENC_RM == ENC_PLAIN_LAST, "the same order");

/* Rows: 16-, 32-, 64-bit mode (mode >> 5). */
static const uint8_t operand_size[3][OPC_SIZES][4] = {
	/* none, 66, REX.W, REX.W 66 (SDM Vol. 1 tables 3-3, 3-4) */
	{ [OPC_Z] = { 2, 4 },
		[OPC_BYTE] = { 1, 1 },
		[OPC_STACK] = { 2, 4 },
		[OPC_DQ] = { 4, 4 },
		[OPC_DQX2] = { 8, 8 },
		[OPC_IO] = { 2, 4 },
		[OPC_NEAR] = { 2, 4 } },
	{ [OPC_Z] = { 4, 2 },
		[OPC_BYTE] = { 1, 1 },
		[OPC_STACK] = { 4, 2 },
		[OPC_DQ] = { 4, 4 },
		[OPC_DQX2] = { 8, 8 },
		[OPC_IO] = { 4, 2 },
		[OPC_NEAR] = { 4, 2 } },
	{ [OPC_Z] = { 4, 2, 8, 8 },
		[OPC_BYTE] = { 1, 1, 1, 1 },
		[OPC_STACK] = { 8, 2, 8, 8 },
		[OPC_DQ] = { 4, 4, 8, 8 },
		[OPC_DQX2] = { 8, 8, 16, 16 },
		[OPC_IO] = { 4, 2, 4, 4 },
		[OPC_NEAR] = { 8, 8, 8, 8 } },
};
static const uint8_t address_size[3][2] = { { 2, 4 }, { 4, 2 }, { 8, 4 } }; /* without and with 67 */

/*
 * C4 and C5 in 64-bit mode, and elsewhere if what follows cannot be LES or LDS (SDM Vol. 2A 2.3.5):
 *
 *	C5  ~R   ~vvvv L pp  opcode			map 0F
 *	C4  ~R ~X ~B map  W ~vvvv L pp  opcode		map: 1 0F, 2 0F 38, 3 0F 3A
 *
 * pp stands for the prefixes 66, F3, F2, in the order of insn_prefixed. Of these the emulator knows the moves that it knows
 * without VEX, too: those between memory and one register (vvvv is 1111b then). *o becomes their entry.
 */
static int resolve_vex(struct decoder *d, struct insn_opcode *o, struct insn *out)
{
	static const struct insn_opcode none;
	bool three_bytes = d->at[-1] == 0xc4, scalar;
	uint8_t byte, opcode, map = 1;

	if (!has(d, 2u + three_bytes))
		return ran_out(d, out);
	byte = *d->at++;
	d->rex = byte & 0x80 ? 0 : REX_R;
	if (three_bytes) {
		map = byte & 0x1f;
		d->rex |= (byte & 0x40 ? 0 : REX_X) | (byte & 0x20 ? 0 : REX_B);
		byte = *d->at++;
		d->rex |= byte & 0x80 ? REX_W : 0;
	}
	if (d->mode != INSN_MODE_64)
		d->rex = 0; /* B and W do not count there */
	opcode = *d->at++;
	*o = map == 1 ? insn_map0f[opcode] : map == 2 ? insn_map0f38[opcode] : none;
	if (o->enc == ENC_PREFIX)
		*o = insn_prefixed[o->op][byte & 3];
	if ((o->enc != ENC_RM_REG && o->enc != ENC_REG_RM) || (byte & 0x78) != 0x78 ||
		(o->op != INSN_XMM_LOAD && o->op != INSN_XMM_STORE && o->op != INSN_XMM_STORE_HIGH))
		return refuse(out, INSN_WHY_VEX, -E_NOSUP);
	d->vex = true;
	d->opsize66 = (byte & 3) == 1;
	/* L doubles the moves of a whole register, is ignored by VMOVSS and VMOVSD, and #UD elsewhere. */
	scalar = map == 1 && (opcode & 0xfe) == 0x10 && byte & 2;
	d->wide = byte & 4 && !scalar;
	if (d->wide && OPC_MSIZE(o->flags) != OPC_MSIZE(OPC_M(4)))
		return refuse(out, INSN_WHY_VEX, -E_NOSUP);
	return 0;
}

/* C4, C5, 62: VEX and EVEX in 64-bit mode, and elsewhere if what follows cannot be LES, LDS, BOUND. */
static int resolve_vex_or_evex(struct decoder *d, uint8_t why, struct insn_opcode *o, struct insn *out)
{
	if (!has(d, 1))
		return ran_out(d, out);
	if (d->mode != INSN_MODE_64 && *d->at >> 6 != 3)
		why = INSN_WHY_UNKNOWN;
	else if (why == INSN_WHY_VEX && (d->opsize66 || d->rep || d->lock || d->rex))
		return refuse(out, why, -E_INVAL); /* none of these goes before VEX */
	else if (why == INSN_WHY_VEX)
		return resolve_vex(d, o, out);
	return refuse(out, why, -E_NOSUP);
}

/* Follows the tables from an entry of a map to the instruction, through prefix rows and groups. */
static int resolve(struct decoder *d, struct insn_opcode *o, struct insn *out)
{
	if (o->enc == ENC_VEX)
		return resolve_vex_or_evex(d, o->op, o, out);
	if (o->enc == ENC_PREFIX)
		*o = insn_prefixed[o->op][d->rep == 0xf3 ? 2 : d->rep ? 3 : d->opsize66];
	if (o->enc == ENC_GROUP) {
		if (!has(d, 1))
			return ran_out(d, out);
		*o = insn_groups[o->op][(*d->at >> 3) & 7];
	}
	if (o->enc == ENC_REFUSE)
		return refuse(out, o->op, -E_NOSUP);
	if (o->enc == ENC_UNKNOWN || o->enc > ENC_INSN_LAST)
		return refuse(out, INSN_WHY_UNKNOWN, -E_NOSUP);
	return 0;
}

static int string_operands(const struct decoder *d, struct insn *out)
{
	out->form = INSN_STRING;
	out->flags |= INSN_MEM;
	switch (out->op) {
	case INSN_STOS:
	case INSN_SCAS:
	case INSN_INS:
		out->seg = SEG_ES; /* no override reaches the rDI side (SDM Vol. 1 3.7.4) */
		break;
	default:
		if (d->seg == NO_SEG)
			out->seg = SEG_DS;
	}
	if (d->rep == 0xf2 && (out->op == INSN_CMPS || out->op == INSN_SCAS))
		out->flags |= INSN_REPNE;
	else if (d->rep)
		out->flags |= INSN_REP;
	return 0;
}

/* A0..A3: the offset stands where a displacement would, RAX is implied. */
static int offset_operands(struct decoder *d, bool load, struct insn *out)
{
	out->form = load ? INSN_REG_RM : INSN_RM_REG;
	out->flags |= INSN_MEM;
	if (d->seg == NO_SEG)
		out->seg = SEG_DS;
	if (!has(d, out->addr_size))
		return ran_out(d, out);
	out->disp = take(d, out->addr_size);
	if (out->addr_size < 8)
		out->disp &= (int64_t)(BIT(8 * out->addr_size) - 1);
	return 0;
}

/* The stack is the memory operand. `opcode` is its last byte. */
static int stack_operands(struct decoder *d, unsigned enc, uint8_t opcode, struct insn *out)
{
	unsigned imm_size = 0;

	out->form = INSN_STACK;
	out->flags |= INSN_MEM;
	out->seg = SEG_SS;
	switch (enc) {
	case ENC_STACK_REG:
		out->form = INSN_STACK_REG;
		out->rm = (uint8_t)((opcode & 7) | ((d->rex & REX_B) ? 8 : 0));
		return 0;
	case ENC_STACK_SEG:
		out->reg = opcode >> 3 & 7;
		return 0;
	case ENC_STACK_IMM8:
		imm_size = 1;
		break;
	case ENC_STACK_IMMZ:
		imm_size = out->size == 2 ? 2 : 4;
		break;
	case ENC_STACK_IMM16:
	case ENC_ENTER:
		imm_size = 2;
	}
	if (!imm_size)
		return 0;
	if (!has(d, imm_size + (enc == ENC_ENTER)))
		return ran_out(d, out);
	out->imm = (uint64_t)take(d, imm_size);
	if (imm_size == 2 && enc != ENC_STACK_IMMZ)
		out->imm = (uint16_t)out->imm;
	if (enc == ENC_ENTER)
		out->cond = (uint8_t)take(d, 1) & 31;
	return 0;
}

static __attribute__((noinline)) int implicit_operands(
	struct decoder *d, unsigned enc, uint8_t opcode, struct insn *out)
{
	if (enc == ENC_STRING)
		return string_operands(d, out);
	if (enc == ENC_LOAD_OFFS || enc == ENC_STORE_OFFS)
		return offset_operands(d, enc == ENC_LOAD_OFFS, out);
	return stack_operands(d, enc, opcode, out);
}

static const uint8_t imm_form[] = {
	[ENC_RM_IMM8] = INSN_RM_IMM,
	[ENC_RM_REG_IMM8] = INSN_RM_REG_IMM,
	[ENC_REG_RM_IMM8] = INSN_REG_RM_IMM,
	[ENC_RM_IMMZ] = INSN_RM_IMM,
	[ENC_REG_RM_IMMZ] = INSN_REG_RM_IMM,
};

/* What follows the opcode (ModRM, displacement, immediate), as the table's encoding says. */
static inline int operands(struct decoder *d, unsigned enc, uint8_t opcode, struct insn *out)
{
	unsigned imm_size;
	int rc;

	if (likely(enc <= ENC_MODRM_LAST)) {
		if (!has(d, 1))
			return ran_out(d, out);
		rc = modrm_operands(d, out);
		if (unlikely(rc))
			return rc;
		if (enc <= ENC_PLAIN_LAST) {
			out->form = (uint8_t)(enc - ENC_RM_REG + INSN_RM_REG);
			return 0;
		}
	} else {
		return implicit_operands(d, enc, opcode, out);
	}
	if (enc == ENC_RM_ONE) {
		out->form = INSN_RM_IMM;
		out->imm = 1;
		return 0;
	}
	out->form = imm_form[enc];
	imm_size = enc <= ENC_MODRM_IMM8_LAST ? 1 : out->size == 2 ? 2 : 4;
	if (!has(d, imm_size))
		return ran_out(d, out);
	out->imm = (uint64_t)take(d, imm_size);
	return 0;
}

int insn_decode(const uint8_t *bytes, size_t n, enum insn_mode mode, struct insn *out)
{
	struct decoder d = { .at = bytes,
		.end = bytes + (n < INSN_MAX ? n : INSN_MAX),
		.mode = mode,
		.seg = NO_SEG,
		.cut_by_limit = n >= INSN_MAX };
	struct insn_opcode o;
	uint8_t byte;
	int rc;

	*out = (struct insn){ .base = INSN_NOREG, .index = INSN_NOREG, .mode = (uint8_t)mode };
	for (;;) {
		if (!has(&d, 1))
			return ran_out(&d, out);
		byte = *d.at++;
		o = insn_map1[byte];
		if (o.enc == ENC_REX && mode == INSN_MODE_64) {
			d.rex = byte;
		} else if (o.enc == ENC_LEGACY) {
			d.rex = 0; /* a REX that is not last is ignored (SDM Vol. 2A 2.2.1) */
			legacy_prefix(&d, byte);
		} else {
			break;
		}
	}
	if (o.enc == ENC_ESCAPE) {
		if (!has(&d, 1))
			return ran_out(&d, out);
		byte = *d.at++;
		o = insn_map0f[byte];
		if (byte == 0x38) {
			if (!has(&d, 1))
				return ran_out(&d, out);
			o = insn_map0f38[*d.at++];
		}
	}
	if (unlikely(o.flags & (mode == INSN_MODE_64 ? OPC_NOT64 : OPC_ONLY64)))
		return refuse(out, INSN_WHY_UNKNOWN, -E_NOSUP);
	if (o.enc - 1u >= ENC_INSN_LAST) { /* also ENC_UNKNOWN, which is 0 */
		rc = resolve(&d, &o, out);
		if (rc)
			return rc;
	}

	out->op = o.op;
	out->flags = (d.rex ? INSN_REX : 0) | (o.flags & OPC_ALIGN ? INSN_ALIGNED : 0);
	out->size = operand_size[mode >> 5][o.flags & OPC_SIZE_BITS][(d.rex & REX_W) >> 2 | d.opsize66];
	out->mem_size = OPC_MSIZE(o.flags) ? (uint8_t)(1u << (OPC_MSIZE(o.flags) - 1)) : out->size;
	out->addr_size = address_size[mode >> 5][d.addr67];
	out->seg = d.seg;
	out->cond = byte & 15;
	rc = operands(&d, o.enc, byte, out);
	if (unlikely(rc))
		return rc;
	out->len = (uint8_t)(d.at - bytes);
	if (unlikely(!(out->flags & INSN_MEM)) && o.flags & (OPC_MEM | OPC_REGNO))
		return refuse(out, INSN_WHY_REGISTER, o.flags & OPC_MEM ? -E_INVAL : -E_NOSUP);
	if (unlikely(d.vex)) {
		out->flags |= INSN_VEX;
		out->mem_size = (uint8_t)(out->mem_size << d.wide);
	}
	if (unlikely(d.lock)) {
		if (!(o.flags & OPC_LOCK) || !(out->flags & INSN_MEM))
			return refuse(out, INSN_WHY_LOCK, -E_INVAL);
		out->flags |= INSN_LOCK;
	}
	if (mode == INSN_MODE_64 && out->op <= INSN_MOVSX && out->addr_size == 8 && out->seg < SEG_FS &&
		out->flags & INSN_MEM)
		out->flags |= INSN_PLAIN;
	return 0;
}
