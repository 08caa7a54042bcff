/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder: from up to 15 bytes at RIP to what the instruction does to memory. It decodes the
 * instructions that guests use on device memory and on pages that must be emulated. Others are refused, with a
 * reason (enum insn_why). (SDM Vol. 2A chapter 2: formats; Vol. 2D appendix A: opcode maps.)
 *
 *	[legacy prefixes] [REX] opcode [ModRM [SIB] [disp]] [imm]
 *	 66 67 F0 F2 F3         1 byte,      how the memory operand
 *	 and the segments       0F xx,       is addressed, and the
 *	 in any order           0F 38 xx     register beside it
 *
 * A pure function without state: it reads the bytes given, and nothing of the guest.
 */
#pragma once

#include "lib/regs.h"

#define INSN_MAX 15 /* bytes; a longer instruction is #GP(0) (SDM Vol. 2A 2.3.11) */

enum insn_mode { INSN_MODE_16 = 16, INSN_MODE_32 = 32, INSN_MODE_64 = 64 };

/* What is done. The two operands, and which of them is written, follow from `form`. */
enum insn_op {
	INSN_NONE,
	INSN_MOV,   /* also MOVNTI, MOVDIRI: no caches to tell about */
	INSN_MOVZX, /* memory operand of mem_size into a register of size */
	INSN_MOVSX, /* also MOVSXD */
	INSN_MOVBE,
	/* In the order of ModRM.reg in 80..83, and of opcode bits 5:3. */
	INSN_ADD,
	INSN_OR,
	INSN_ADC,
	INSN_SBB,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,
	INSN_TEST,
	INSN_INC,
	INSN_DEC,
	INSN_NOT,
	INSN_NEG,
	/* In the order of ModRM.reg in C0, C1, D0..D3. */
	INSN_ROL,
	INSN_ROR,
	INSN_RCL,
	INSN_RCR,
	INSN_SHL,
	INSN_SHR,
	INSN_SAR,
	INSN_BT,
	INSN_BTS,
	INSN_BTR,
	INSN_BTC,
	INSN_IMUL, /* of two or three operands */
	INSN_BSF,
	INSN_BSR,
	INSN_TZCNT, /* BSF on a CPU without it */
	INSN_LZCNT, /* BSR on a CPU without it */
	INSN_POPCNT,
	INSN_CRC32,
	INSN_XCHG,
	INSN_XADD,
	INSN_CMPXCHG,
	INSN_CMPXCHG8B, /* of 8 or, CMPXCHG16B, 16 bytes */
	INSN_SHLD,
	INSN_SHRD,
	/* RDX:RAX (AX for bytes) with the memory operand. In the order of ModRM.reg in F6, F7. */
	INSN_MUL,
	INSN_IMUL_WIDE,
	INSN_DIV,
	INSN_IDIV,
	INSN_SETCC,
	INSN_CMOVCC,
	INSN_PUSH, /* form INSN_RM; INSN_STACK_REG: a register; INSN_STACK: the immediate */
	INSN_POP,
	INSN_PUSH_SEG, /* the selector of segment register `reg` */
	INSN_PUSHA,
	INSN_POPA,
	INSN_PUSHF,
	INSN_POPF,
	INSN_ENTER, /* imm: bytes; cond: nesting level */
	INSN_LEAVE,
	/* Near branches. */
	INSN_CALL, /* form INSN_RM; INSN_STACK: relative by the immediate */
	INSN_RET,  /* imm: bytes to drop */
	INSN_JMP,
	/* 16 bits into memory. */
	INSN_SMSW,
	INSN_SLDT,
	INSN_STR,
	INSN_MOVS,
	INSN_CMPS,
	INSN_STOS,
	INSN_LODS,
	INSN_SCAS,
	INSN_INS,
	INSN_OUTS,
	/* Moves between memory and an XMM register (its number in `reg`); with INSN_VEX its YMM register. */
	INSN_XMM_LOAD,	     /* the rest of the register becomes 0 */
	INSN_XMM_LOAD_LOW,   /* bits 63:0, the rest stays */
	INSN_XMM_LOAD_HIGH,  /* bits 127:64, the rest stays */
	INSN_XMM_STORE,	     /* from bit 0 on */
	INSN_XMM_STORE_HIGH, /* bits 127:64 */
	INSN_CLFLUSH,	     /* also CLFLUSHOPT, CLWB: the address is checked, nothing is read */
	INSN_OPS
};

/* Which operands, first the one that is written. `rm` is the memory operand (or the register `rm`). */
enum insn_form {
	INSN_RM_REG,
	INSN_REG_RM,
	INSN_RM_CL,
	INSN_RM_REG_CL, /* and CL */
	INSN_RM,
	INSN_RM_IMM,
	INSN_RM_REG_IMM, /* and the immediate */
	INSN_REG_RM_IMM,
	INSN_STRING,	/* implicit: [seg:rSI], [ES:rDI] */
	INSN_STACK,	/* implicit: the stack */
	INSN_STACK_REG, /* the stack and the register `rm` */
};

/* struct insn.flags */
#define INSN_MEM     (1u << 0) /* rm is memory, else a register */
#define INSN_REX     (1u << 1) /* with REX, byte registers 4..7 are SPL..DIL; without, AH..BH */
#define INSN_LOCK    (1u << 2)
#define INSN_REP     (1u << 3) /* strings: F3, or F2 where that means the same */
#define INSN_REPNE   (1u << 4) /* CMPS and SCAS: F2 */
#define INSN_ALIGNED (1u << 5) /* #GP(0) unless aligned to mem_size */
/* 64-bit MOV, MOVZX, MOVSX with memory at a 64-bit address without segment base. */
#define INSN_PLAIN   (1u << 6)
#define INSN_VEX     (1u << 7) /* the AVX form of an XMM move: mem_size may be 32 */

/* struct insn.base and .index besides enum gpr */
#define INSN_RIP   16 /* base only: RIP of the next instruction */
#define INSN_NOREG 17

/* Why a decode failed: insn_why_text() gives the words. */
enum insn_why {
	INSN_WHY_NONE,
	INSN_WHY_UNKNOWN,
	INSN_WHY_VEX,
	INSN_WHY_EVEX,
	INSN_WHY_XOP,
	INSN_WHY_MMX,
	INSN_WHY_SHORT,
	INSN_WHY_TOO_LONG,
	INSN_WHY_LOCK,
	INSN_WHY_REGISTER,
	INSN_WHYS
};

struct insn {
	uint64_t imm; /* sign-extended to 64 bits */
	int64_t disp; /* sign-extended; of A0..A3 the offset, zero-extended */
	uint8_t op;   /* enum insn_op */
	uint8_t form; /* enum insn_form */
	uint8_t len;  /* bytes */
	uint8_t flags;
	uint8_t size;	   /* bytes: of the operation; 1, 2, 4, 8, 16 */
	uint8_t mem_size;  /* bytes: of the memory operand (1 to 32), or of one string element */
	uint8_t addr_size; /* bytes: 2, 4, 8 */
	uint8_t seg;	   /* enum seg, override or default; strings: of the rSI side (ES if there is none) */
	uint8_t reg;	   /* enum gpr or XMM number: ModRM.reg with REX.R; of A0..A3 RAX */
	uint8_t rm;	   /* enum gpr, if rm is a register */
	uint8_t base, index;
	uint8_t scale; /* shift: 0..3 */
	uint8_t cond;  /* SETcc, CMOVcc: opcode bits 3:0; ENTER: the nesting level */
	uint8_t why;   /* enum insn_why, if refused */
	uint8_t mode;  /* enum insn_mode it was decoded for */
};
_Static_assert(sizeof(struct insn) == 32, "small: it is written on every MMIO exit");

/*
 * Decodes the instruction at bytes[0..n), n >= 15 for any instruction (more is not looked at).
 * 0: *out is the instruction. Otherwise out->why says more:
 * -E_RANGE  the bytes end before the instruction does: fetch more (never with n >= 15)
 * -E_INVAL  the CPU refuses it too: #UD, or, INSN_WHY_TOO_LONG, #GP(0)
 * -E_NOSUP  the CPU may know it, this decoder does not
 */
int insn_decode(const uint8_t *bytes, size_t n, enum insn_mode mode, struct insn *out);

/* Words for a dump; never NULL. */
const char *insn_why_text(unsigned why);
const char *insn_op_name(unsigned op);
