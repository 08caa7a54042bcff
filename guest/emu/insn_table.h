/* SPDX-License-Identifier: MIT */
/*
 * The decoder's opcode tables: one four-byte entry an opcode. Private to the decoder, insn*.c.
 *
 *	map1[opcode]   --+--> an instruction
 *	map0f[opcode]    |
 *	map0f38[opcode]  +--> GROUP  row --> groups[row][ModRM.reg]
 *	                 +--> PREFIX row --> prefixed[row][none, 66, F3, F2]   (may lead to a GROUP)
 */
#pragma once

#include "guest/emu/insn.h"
#include "lib/bits.h"

/* How the operands are encoded. */
enum insn_enc {
	ENC_UNKNOWN, /* 0: not in the tables */
	/* With ModRM; those without an immediate first, in the order of enum insn_form. */
	ENC_RM_REG,
	ENC_REG_RM,
	ENC_RM_CL,
	ENC_RM_REG_CL,
	ENC_RM,
	ENC_RM_ONE,
	ENC_RM_IMM8, /* sign-extended */
	ENC_RM_REG_IMM8,
	ENC_REG_RM_IMM8,
	ENC_RM_IMMZ, /* 2 or 4 bytes, sign-extended */
	ENC_REG_RM_IMMZ,
	/* Without. */
	ENC_LOAD_OFFS, /* A0, A1 */
	ENC_STORE_OFFS,
	ENC_STRING,
	ENC_STACK,	/* nothing follows the opcode */
	ENC_STACK_REG,	/* opcode bits 2:0 with REX.B: the register */
	ENC_STACK_SEG,	/* opcode bits 5:3: the segment register */
	ENC_STACK_IMM8, /* sign-extended */
	ENC_STACK_IMMZ,
	ENC_STACK_IMM16, /* zero-extended */
	ENC_ENTER,	 /* 2 bytes and 1 */
	ENC_PLAIN_LAST = ENC_RM,
	ENC_MODRM_IMM8_LAST = ENC_REG_RM_IMM8,
	ENC_MODRM_LAST = ENC_REG_RM_IMMZ,
	ENC_INSN_LAST = ENC_ENTER,  /* up to here it is an instruction; the others lead on */
	ENC_LEGACY = ENC_ENTER + 1, /* a legacy prefix */
	ENC_REX,		    /* 40..4F: a prefix in 64-bit mode */
	ENC_ESCAPE,		    /* 0F */
	ENC_VEX,		    /* C4, C5, 62: `op` is why the others are refused */
	ENC_GROUP,
	ENC_PREFIX,
	ENC_REFUSE, /* known, not done: `op` is the reason */
};

/* Operand size: one of these. */
#define OPC_Z	      0u /* 2, 4, 8 by mode, 66 and REX.W */
#define OPC_BYTE      1u
#define OPC_STACK     2u /* in 64-bit mode 8, with 66 2 */
#define OPC_DQ	      3u /* 4, with REX.W 8; 66 does not count */
#define OPC_DQX2      4u /* 8, with REX.W 16 */
#define OPC_IO	      5u /* as OPC_Z, but never 8 */
#define OPC_NEAR      6u /* near branches: in 64-bit mode 8, whatever the prefixes */
#define OPC_SIZES     7u
/* Any of these. */
#define OPC_SIZE_BITS 7u
#define OPC_LOCK      BIT(3) /* may have LOCK (SDM Vol. 2A, LOCK) */
#define OPC_MEM	      BIT(4) /* the register form is #UD */
#define OPC_REGNO     BIT(5) /* the register form is another instruction, refused */
#define OPC_ALIGN     BIT(6) /* memory must be aligned */
#define OPC_NOT64     BIT(7) /* not in 64-bit mode */
#define OPC_ONLY64    BIT(8)
/* Size of the memory operand where it is not the operand size (bits 11:9: log2, plus 1). */
#define OPC_M(log2)   (((log2) + 1u) << 9)
#define OPC_MSIZE(fl) (((fl) >> 9) & 7u)

struct insn_opcode {
	uint8_t op;  /* enum insn_op; GROUP, PREFIX: row; VEX, REFUSE: enum insn_why */
	uint8_t enc; /* enum insn_enc */
	uint16_t flags;
};

extern const struct insn_opcode insn_map1[256], insn_map0f[256], insn_map0f38[256];
extern const struct insn_opcode insn_groups[][8];
extern const struct insn_opcode insn_prefixed[][4];
