/* SPDX-License-Identifier: MIT */
/*
 * The opcode maps (SDM Vol. 2D appendix A, tables ), as far as they touch memory in a way that
 * guests use on devices. What is not here is ENC_UNKNOWN: refused.
 */
#include "guest/emu/insn_table.h"

/* clang-format off */
#define I(op, enc, ...) { INSN_##op, ENC_##enc, (uint16_t)(0 __VA_ARGS__) }
#define GROUP(row)	{ GRP_##row, ENC_GROUP, 0 }
#define PREFIX(row)	{ PFX_##row, ENC_PREFIX, 0 }
#define REFUSE(why)	{ INSN_WHY_##why, ENC_REFUSE, 0 }
#define BYTE		| OPC_BYTE
#define LOCK		| OPC_LOCK
#define STACK		| OPC_STACK
#define NEAR		| OPC_NEAR
#define NOT64		| OPC_NOT64
#define DQ		| OPC_DQ
#define DQX2		| OPC_DQX2
#define MEM		| OPC_MEM
#define ALIGN		| OPC_ALIGN
#define IO		| OPC_IO
#define REGNO		| OPC_REGNO
#define M8		| OPC_M(0)
#define M16		| OPC_M(1)
#define M32		| OPC_M(2)
#define M64		| OPC_M(3)
#define M128		| OPC_M(4)

enum group {
	GRP_1_BYTE, GRP_1_IMMZ, GRP_1_IMM8, GRP_1A, GRP_2_BYTE_IMM, GRP_2_IMM, GRP_2_BYTE_1, GRP_2_1,
	GRP_2_BYTE_CL, GRP_2_CL, GRP_3_BYTE, GRP_3, GRP_4, GRP_5, GRP_6, GRP_7, GRP_8, GRP_9, GRP_11_BYTE,
	GRP_11, GRP_15, GRP_15_66, GROUPS
};
enum prefix_row {
	PFX_MOVUPS, PFX_MOVUPS_ST, PFX_MOVLPS, PFX_MOVLPS_ST, PFX_MOVHPS, PFX_MOVHPS_ST, PFX_MOVAPS,
	PFX_MOVAPS_ST, PFX_MOVNTPS, PFX_MOVD, PFX_MOVD_ST, PFX_MOVDQ, PFX_MOVDQ_ST, PFX_MOVNTI, PFX_MOVQ_ST,
	PFX_MOVNTDQ, PFX_LDDQU, PFX_CLFLUSH, PFX_MOVNTDQA, PFX_MOVBE, PFX_MOVBE_ST, PFX_MOVDIRI, PFX_BSF,
	PFX_BSR, PFX_POPCNT, PREFIXED
};

/* The eight arithmetic instructions have four memory forms each, at the row's start. */
#define ALU(at, op, lock)                                                             \
	[(at)] = I(op, RM_REG, BYTE lock), [(at) + 1] = I(op, RM_REG, lock),           \
	[(at) + 2] = I(op, REG_RM, BYTE), [(at) + 3] = I(op, REG_RM)
#define LEGACY { 0, ENC_LEGACY, 0 }

const struct insn_opcode insn_map1[256] = {
	ALU(0x00, ADD, LOCK),
	ALU(0x08, OR, LOCK),
	ALU(0x10, ADC, LOCK),
	ALU(0x18, SBB, LOCK),
	ALU(0x20, AND, LOCK),
	ALU(0x28, SUB, LOCK),
	ALU(0x30, XOR, LOCK),
	ALU(0x38, CMP, ),
	[0x06] = I(PUSH_SEG, STACK_SEG, STACK NOT64),
	[0x0e] = I(PUSH_SEG, STACK_SEG, STACK NOT64),
	[0x0f] = { 0, ENC_ESCAPE, 0 },
	[0x16] = I(PUSH_SEG, STACK_SEG, STACK NOT64),
	[0x1e] = I(PUSH_SEG, STACK_SEG, STACK NOT64),
	[0x26] = LEGACY,
	[0x2e] = LEGACY,
	[0x36] = LEGACY,
	[0x3e] = LEGACY,
	[0x40 ... 0x4f] = { 0, ENC_REX, 0 },
	[0x50 ... 0x57] = I(PUSH, STACK_REG, STACK),
	[0x58 ... 0x5f] = I(POP, STACK_REG, STACK),
	[0x60] = I(PUSHA, STACK, STACK NOT64),
	[0x61] = I(POPA, STACK, STACK NOT64),
	[0x62] = { INSN_WHY_EVEX, ENC_VEX, 0 },
	[0x63] = I(MOVSX, REG_RM, M32 | OPC_ONLY64),
	[0x64 ... 0x67] = LEGACY,
	[0x68] = I(PUSH, STACK_IMMZ, STACK),
	[0x69] = I(IMUL, REG_RM_IMMZ),
	[0x6a] = I(PUSH, STACK_IMM8, STACK),
	[0x6b] = I(IMUL, REG_RM_IMM8),
	[0x6c] = I(INS, STRING, BYTE),
	[0x6d] = I(INS, STRING, IO),
	[0x6e] = I(OUTS, STRING, BYTE),
	[0x6f] = I(OUTS, STRING, IO),
	[0x80] = GROUP(1_BYTE),
	[0x81] = GROUP(1_IMMZ),
	[0x82] = { GRP_1_BYTE, ENC_GROUP, OPC_NOT64 },
	[0x83] = GROUP(1_IMM8),
	[0x84] = I(TEST, RM_REG, BYTE),
	[0x85] = I(TEST, RM_REG),
	[0x86] = I(XCHG, RM_REG, BYTE LOCK),
	[0x87] = I(XCHG, RM_REG, LOCK),
	[0x88] = I(MOV, RM_REG, BYTE),
	[0x89] = I(MOV, RM_REG),
	[0x8a] = I(MOV, REG_RM, BYTE),
	[0x8b] = I(MOV, REG_RM),
	[0x8f] = GROUP(1A),
	[0x9c] = I(PUSHF, STACK, STACK),
	[0x9d] = I(POPF, STACK, STACK),
	[0xa0] = I(MOV, LOAD_OFFS, BYTE),
	[0xa1] = I(MOV, LOAD_OFFS),
	[0xa2] = I(MOV, STORE_OFFS, BYTE),
	[0xa3] = I(MOV, STORE_OFFS),
	[0xa4] = I(MOVS, STRING, BYTE),
	[0xa5] = I(MOVS, STRING),
	[0xa6] = I(CMPS, STRING, BYTE),
	[0xa7] = I(CMPS, STRING),
	[0xaa] = I(STOS, STRING, BYTE),
	[0xab] = I(STOS, STRING),
	[0xac] = I(LODS, STRING, BYTE),
	[0xad] = I(LODS, STRING),
	[0xae] = I(SCAS, STRING, BYTE),
	[0xaf] = I(SCAS, STRING),
	[0xc0] = GROUP(2_BYTE_IMM),
	[0xc1] = GROUP(2_IMM),
	[0xc2] = I(RET, STACK_IMM16, NEAR),
	[0xc3] = I(RET, STACK, NEAR),
	[0xc4] = { INSN_WHY_VEX, ENC_VEX, 0 },
	[0xc5] = { INSN_WHY_VEX, ENC_VEX, 0 },
	[0xc6] = GROUP(11_BYTE),
	[0xc7] = GROUP(11),
	[0xc8] = I(ENTER, ENTER, STACK),
	[0xc9] = I(LEAVE, STACK, STACK),
	[0xd0] = GROUP(2_BYTE_1),
	[0xd1] = GROUP(2_1),
	[0xd2] = GROUP(2_BYTE_CL),
	[0xd3] = GROUP(2_CL),
	[0xe8] = I(CALL, STACK_IMMZ, NEAR),
	[0xf0] = LEGACY,
	[0xf2] = LEGACY,
	[0xf3] = LEGACY,
	[0xf6] = GROUP(3_BYTE),
	[0xf7] = GROUP(3),
	[0xfe] = GROUP(4),
	[0xff] = GROUP(5),
};

const struct insn_opcode insn_map0f[256] = {
	[0x00] = GROUP(6),
	[0x01] = GROUP(7),
	[0x10] = PREFIX(MOVUPS),
	[0x11] = PREFIX(MOVUPS_ST),
	[0x12] = PREFIX(MOVLPS),
	[0x13] = PREFIX(MOVLPS_ST),
	[0x16] = PREFIX(MOVHPS),
	[0x17] = PREFIX(MOVHPS_ST),
	[0x28] = PREFIX(MOVAPS),
	[0x29] = PREFIX(MOVAPS_ST),
	[0x2b] = PREFIX(MOVNTPS),
	[0x40 ... 0x4f] = I(CMOVCC, REG_RM),
	[0x6e] = PREFIX(MOVD),
	[0x6f] = PREFIX(MOVDQ),
	[0x7e] = PREFIX(MOVD_ST),
	[0x7f] = PREFIX(MOVDQ_ST),
	[0x90 ... 0x9f] = I(SETCC, RM, BYTE),
	[0xa0] = I(PUSH_SEG, STACK_SEG, STACK),
	[0xa3] = I(BT, RM_REG),
	[0xa4] = I(SHLD, RM_REG_IMM8),
	[0xa5] = I(SHLD, RM_REG_CL),
	[0xa8] = I(PUSH_SEG, STACK_SEG, STACK),
	[0xab] = I(BTS, RM_REG, LOCK),
	[0xac] = I(SHRD, RM_REG_IMM8),
	[0xad] = I(SHRD, RM_REG_CL),
	[0xae] = PREFIX(CLFLUSH),
	[0xaf] = I(IMUL, REG_RM),
	[0xb0] = I(CMPXCHG, RM_REG, BYTE LOCK),
	[0xb1] = I(CMPXCHG, RM_REG, LOCK),
	[0xb3] = I(BTR, RM_REG, LOCK),
	[0xb6] = I(MOVZX, REG_RM, M8),
	[0xb7] = I(MOVZX, REG_RM, M16),
	[0xb8] = PREFIX(POPCNT),
	[0xba] = GROUP(8),
	[0xbb] = I(BTC, RM_REG, LOCK),
	[0xbc] = PREFIX(BSF),
	[0xbd] = PREFIX(BSR),
	[0xbe] = I(MOVSX, REG_RM, M8),
	[0xbf] = I(MOVSX, REG_RM, M16),
	[0xc0] = I(XADD, RM_REG, BYTE LOCK),
	[0xc1] = I(XADD, RM_REG, LOCK),
	[0xc3] = PREFIX(MOVNTI),
	[0xc7] = GROUP(9),
	[0xd6] = PREFIX(MOVQ_ST),
	[0xe7] = PREFIX(MOVNTDQ),
	[0xf0] = PREFIX(LDDQU),
};

const struct insn_opcode insn_map0f38[256] = {
	[0x2a] = PREFIX(MOVNTDQA),
	[0xf0] = PREFIX(MOVBE),
	[0xf1] = PREFIX(MOVBE_ST),
	[0xf9] = PREFIX(MOVDIRI),
};

#define SHIFTS(enc, b)                                                                                     \
	{ I(ROL, enc, b), I(ROR, enc, b), I(RCL, enc, b), I(RCR, enc, b), I(SHL, enc, b), I(SHR, enc, b), \
	  I(SHL, enc, b), I(SAR, enc, b) }
#define ALUS(enc, b)                                                                                  \
	{ I(ADD, enc, b LOCK), I(OR, enc, b LOCK), I(ADC, enc, b LOCK), I(SBB, enc, b LOCK),         \
	  I(AND, enc, b LOCK), I(SUB, enc, b LOCK), I(XOR, enc, b LOCK), I(CMP, enc, b) }

const struct insn_opcode insn_groups[][8] = {
	[GRP_1_BYTE] = ALUS(RM_IMM8, BYTE),
	[GRP_1_IMMZ] = ALUS(RM_IMMZ, ),
	[GRP_1_IMM8] = ALUS(RM_IMM8, ),
	[GRP_1A] = { [0] = I(POP, RM, STACK), [1 ... 7] = REFUSE(XOP) },
	[GRP_2_BYTE_IMM] = SHIFTS(RM_IMM8, BYTE),
	[GRP_2_IMM] = SHIFTS(RM_IMM8, ),
	[GRP_2_BYTE_1] = SHIFTS(RM_ONE, BYTE),
	[GRP_2_1] = SHIFTS(RM_ONE, ),
	[GRP_2_BYTE_CL] = SHIFTS(RM_CL, BYTE),
	[GRP_2_CL] = SHIFTS(RM_CL, ),
	/* /1 does what /0 does (SDM Vol. 2D table A-6 leaves it out; every CPU has it). */
	[GRP_3_BYTE] = { [0 ... 1] = I(TEST, RM_IMM8, BYTE), [2] = I(NOT, RM, BYTE LOCK),
			 [3] = I(NEG, RM, BYTE LOCK), [4] = I(MUL, RM, BYTE), [5] = I(IMUL_WIDE, RM, BYTE),
			 [6] = I(DIV, RM, BYTE), [7] = I(IDIV, RM, BYTE) },
	[GRP_3] = { [0 ... 1] = I(TEST, RM_IMMZ), [2] = I(NOT, RM, LOCK), [3] = I(NEG, RM, LOCK),
		    [4] = I(MUL, RM), [5] = I(IMUL_WIDE, RM), [6] = I(DIV, RM), [7] = I(IDIV, RM) },
	[GRP_4] = { I(INC, RM, BYTE LOCK), I(DEC, RM, BYTE LOCK) },
	[GRP_5] = { [0] = I(INC, RM, LOCK), [1] = I(DEC, RM, LOCK), [2] = I(CALL, RM, NEAR),
		    [4] = I(JMP, RM, NEAR), [6] = I(PUSH, RM, STACK) },
	[GRP_6] = { [0] = I(SLDT, RM, M16), [1] = I(STR, RM, M16) },
	[GRP_7] = { [4] = I(SMSW, RM, M16) },
	[GRP_8] = { [4] = I(BT, RM_IMM8), [5] = I(BTS, RM_IMM8, LOCK), [6] = I(BTR, RM_IMM8, LOCK),
		    [7] = I(BTC, RM_IMM8, LOCK) },
	[GRP_9] = { [1] = I(CMPXCHG8B, RM, DQX2 LOCK MEM) },
	[GRP_11_BYTE] = { [0] = I(MOV, RM_IMM8, BYTE) },
	[GRP_11] = { [0] = I(MOV, RM_IMMZ) },
	[GRP_15] = { [7] = I(CLFLUSH, RM, M8 REGNO) },
	[GRP_15_66] = { [6] = I(CLFLUSH, RM, M8 REGNO), [7] = I(CLFLUSH, RM, M8 REGNO) },
};

/* The prefix that selects; 66 loses against F2 and F3. */
enum { NP, P66, PF3, PF2 };

const struct insn_opcode insn_prefixed[][4] = {
	[PFX_MOVUPS] = { I(XMM_LOAD, REG_RM, M128 REGNO), I(XMM_LOAD, REG_RM, M128 REGNO),
			 I(XMM_LOAD, REG_RM, M32 REGNO), I(XMM_LOAD, REG_RM, M64 REGNO) },
	[PFX_MOVUPS_ST] = { I(XMM_STORE, RM_REG, M128 REGNO), I(XMM_STORE, RM_REG, M128 REGNO),
			    I(XMM_STORE, RM_REG, M32 REGNO), I(XMM_STORE, RM_REG, M64 REGNO) },
	[PFX_MOVLPS] = { [NP] = I(XMM_LOAD_LOW, REG_RM, M64 REGNO),
			 [P66] = I(XMM_LOAD_LOW, REG_RM, M64 MEM) },
	[PFX_MOVLPS_ST] = { [NP] = I(XMM_STORE, RM_REG, M64 MEM), [P66] = I(XMM_STORE, RM_REG, M64 MEM) },
	[PFX_MOVHPS] = { [NP] = I(XMM_LOAD_HIGH, REG_RM, M64 REGNO),
			 [P66] = I(XMM_LOAD_HIGH, REG_RM, M64 MEM) },
	[PFX_MOVHPS_ST] = { [NP] = I(XMM_STORE_HIGH, RM_REG, M64 MEM),
			    [P66] = I(XMM_STORE_HIGH, RM_REG, M64 MEM) },
	[PFX_MOVAPS] = { [NP ... P66] = I(XMM_LOAD, REG_RM, M128 ALIGN REGNO) },
	[PFX_MOVAPS_ST] = { [NP ... P66] = I(XMM_STORE, RM_REG, M128 ALIGN REGNO) },
	[PFX_MOVNTPS] = { [NP ... P66] = I(XMM_STORE, RM_REG, M128 ALIGN MEM) },
	[PFX_MOVD] = { [NP] = REFUSE(MMX), [P66] = I(XMM_LOAD, REG_RM, DQ REGNO) },
	[PFX_MOVD_ST] = { [NP] = REFUSE(MMX), [P66] = I(XMM_STORE, RM_REG, DQ REGNO),
			  [PF3] = I(XMM_LOAD, REG_RM, M64 REGNO) },
	[PFX_MOVDQ] = { [NP] = REFUSE(MMX), [P66] = I(XMM_LOAD, REG_RM, M128 ALIGN REGNO),
			[PF3] = I(XMM_LOAD, REG_RM, M128 REGNO) },
	[PFX_MOVDQ_ST] = { [NP] = REFUSE(MMX), [P66] = I(XMM_STORE, RM_REG, M128 ALIGN REGNO),
			   [PF3] = I(XMM_STORE, RM_REG, M128 REGNO) },
	[PFX_MOVNTI] = { [NP] = I(MOV, RM_REG, DQ MEM) },
	[PFX_MOVQ_ST] = { [P66] = I(XMM_STORE, RM_REG, M64 REGNO) },
	[PFX_MOVNTDQ] = { [NP] = REFUSE(MMX), [P66] = I(XMM_STORE, RM_REG, M128 ALIGN MEM) },
	[PFX_LDDQU] = { [PF2] = I(XMM_LOAD, REG_RM, M128 MEM) },
	[PFX_CLFLUSH] = { [NP] = GROUP(15), [P66] = GROUP(15_66) },
	[PFX_MOVNTDQA] = { [P66] = I(XMM_LOAD, REG_RM, M128 ALIGN MEM) },
	[PFX_MOVBE] = { [NP ... P66] = I(MOVBE, REG_RM, MEM), [PF2] = I(CRC32, REG_RM, DQ M8) },
	[PFX_MOVBE_ST] = { [NP ... P66] = I(MOVBE, RM_REG, MEM), [PF2] = I(CRC32, REG_RM) },
	[PFX_MOVDIRI] = { [NP] = I(MOV, RM_REG, DQ MEM) },
	[PFX_BSF] = { [NP ... P66] = I(BSF, REG_RM), [PF3] = I(TZCNT, REG_RM), [PF2] = I(BSF, REG_RM) },
	[PFX_BSR] = { [NP ... P66] = I(BSR, REG_RM), [PF3] = I(LZCNT, REG_RM), [PF2] = I(BSR, REG_RM) },
	[PFX_POPCNT] = { [PF3] = I(POPCNT, REG_RM) },
};
/* clang-format on */

_Static_assert(ARRAY_SIZE(insn_groups) == GROUPS, "a row a group");
_Static_assert(ARRAY_SIZE(insn_prefixed) == PREFIXED, "a row a name");
_Static_assert(INSN_CMP - INSN_ADD == 7 && INSN_SAR - INSN_ROL == 6, "named in the maps' order");
