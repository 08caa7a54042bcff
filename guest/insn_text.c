/* SPDX-License-Identifier: MIT */
/* The decoder's words, for dumps and tests. */
#include "guest/insn.h"

const char *insn_why_text(unsigned why)
{
	static const char *const text[INSN_WHYS] = {
		[INSN_WHY_NONE] = "decoded",
		[INSN_WHY_UNKNOWN] = "not an instruction that Lethe emulates",
		[INSN_WHY_VEX] = "a VEX (AVX) instruction; Lethe emulates SSE moves only",
		[INSN_WHY_EVEX] = "an EVEX (AVX-512) instruction; Lethe emulates SSE moves only",
		[INSN_WHY_XOP] = "an XOP instruction",
		[INSN_WHY_MMX] = "an MMX instruction; Lethe emulates SSE moves only",
		[INSN_WHY_SHORT] = "the bytes end before the instruction does",
		[INSN_WHY_TOO_LONG] = "longer than 15 bytes",
		[INSN_WHY_LOCK] = "LOCK where it may not be",
		[INSN_WHY_REGISTER] = "no memory operand",
	};

	return why < INSN_WHYS ? text[why] : "?";
}

const char *insn_op_name(unsigned op)
{
	static const char *const name[INSN_OPS] = {
		[INSN_NONE] = "none",
		[INSN_MOV] = "mov",
		[INSN_MOVZX] = "movzx",
		[INSN_MOVSX] = "movsx",
		[INSN_MOVBE] = "movbe",
		[INSN_ADD] = "add",
		[INSN_OR] = "or",
		[INSN_ADC] = "adc",
		[INSN_SBB] = "sbb",
		[INSN_AND] = "and",
		[INSN_SUB] = "sub",
		[INSN_XOR] = "xor",
		[INSN_CMP] = "cmp",
		[INSN_TEST] = "test",
		[INSN_INC] = "inc",
		[INSN_DEC] = "dec",
		[INSN_NOT] = "not",
		[INSN_NEG] = "neg",
		[INSN_ROL] = "rol",
		[INSN_ROR] = "ror",
		[INSN_RCL] = "rcl",
		[INSN_RCR] = "rcr",
		[INSN_SHL] = "shl",
		[INSN_SHR] = "shr",
		[INSN_SAR] = "sar",
		[INSN_BT] = "bt",
		[INSN_BTS] = "bts",
		[INSN_BTR] = "btr",
		[INSN_BTC] = "btc",
		[INSN_XCHG] = "xchg",
		[INSN_XADD] = "xadd",
		[INSN_CMPXCHG] = "cmpxchg",
		[INSN_CMPXCHG8B] = "cmpxchg8b/16b",
		[INSN_SETCC] = "setcc",
		[INSN_CMOVCC] = "cmovcc",
		[INSN_PUSH] = "push",
		[INSN_POP] = "pop",
		[INSN_MOVS] = "movs",
		[INSN_CMPS] = "cmps",
		[INSN_STOS] = "stos",
		[INSN_LODS] = "lods",
		[INSN_SCAS] = "scas",
		[INSN_INS] = "ins",
		[INSN_OUTS] = "outs",
		[INSN_XMM_LOAD] = "xmm load",
		[INSN_XMM_LOAD_LOW] = "xmm load low",
		[INSN_XMM_LOAD_HIGH] = "xmm load high",
		[INSN_XMM_STORE] = "xmm store",
		[INSN_XMM_STORE_HIGH] = "xmm store high",
		[INSN_CLFLUSH] = "clflush",
	};

	return op < INSN_OPS ? name[op] : "?";
}
