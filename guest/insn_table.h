/* SPDX-License-Identifier: MIT */
/*
 * The decoder's opcode tables: one four-byte entry an opcode. Private to guest/insn*.c.
 *
 *	map1[opcode]   --+--> an instruction
 *	map0f[opcode]    |
 *	map0f38[opcode]  +--> GROUP  row --> groups[row][ModRM.reg]
 *	                 +--> PREFIX row --> prefixed[row][none, 66, F3, F2]   (may lead to a GROUP)
 */
#pragma once

#include "guest/insn.h"
#include "lib/bits.h"

/* How the operands are encoded. */
enum insn_enc {
	ENC_UNKNOWN, /* 0: not in the tables */
	ENC_RM_REG,
	ENC_REG_RM,
	ENC_RM_IMM8, /* sign-extended */
	ENC_RM_IMMZ, /* 2 or 4 bytes, sign-extended */
	ENC_RM_ONE,
	ENC_RM_CL,
	ENC_RM,
	ENC_LOAD_OFFS, /* A0, A1 */
	ENC_STORE_OFFS,
	ENC_STRING,
	ENC_MODRM_LAST = ENC_RM,     /* the encodings up to here have a ModRM byte */
	ENC_LEGACY = ENC_STRING + 1, /* a legacy prefix */
	ENC_REX,		     /* 40..4F: a prefix in 64-bit mode */
	ENC_ESCAPE,		     /* 0F */
	ENC_VEX,		     /* C4, C5, 62: `op` is the reason for refusing */
	ENC_GROUP,
	ENC_PREFIX,
	ENC_REFUSE, /* known, not done: `op` is the reason */
};

#define OPC_BYTE      BIT(0)  /* operands of one byte */
#define OPC_LOCK      BIT(1)  /* may have LOCK (SDM Vol. 2A, LOCK) */
#define OPC_STACK     BIT(2)  /* 64-bit operands by default in 64-bit mode */
#define OPC_DQ	      BIT(3)  /* 8 bytes with REX.W, else 4; 66 does not count */
#define OPC_DQX2      BIT(4)  /* 16 bytes with REX.W, else 8 */
#define OPC_MEM	      BIT(5)  /* the register form is #UD */
#define OPC_ALIGN     BIT(6)  /* memory must be aligned */
#define OPC_REGNO     BIT(7)  /* the register form is another instruction, refused */
#define OPC_NOT64     BIT(11) /* not in 64-bit mode */
#define OPC_ONLY64    BIT(12)
#define OPC_IO	      BIT(13) /* never more than 4 bytes */
/* Size of the memory operand where it is not the operand size (bits 10:8: log2, plus 1). */
#define OPC_M(log2)   (((log2) + 1u) << 8)
#define OPC_MSIZE(fl) (((fl) >> 8) & 7)

struct insn_opcode {
	uint8_t op; /* enum insn_op; GROUP, PREFIX: row; VEX, REFUSE: enum insn_why */
	uint8_t enc;
	uint16_t flags;
};

extern const struct insn_opcode insn_map1[256], insn_map0f[256], insn_map0f38[256];
extern const struct insn_opcode insn_groups[][8];
extern const struct insn_opcode insn_prefixed[][4];
