/* SPDX-License-Identifier: MIT */
/*
 * The basic reasons of VM exits (SDM Vol. 3D appendix C), their names for messages, and the words for them in lethe.conf
 * (`trace = exits:cpuid+io`). hv/exit/exit.c has the handlers; the words are here so that lethe.conf can be read without hv/.
 */
#pragma once

#include "lib/types.h"

enum exit_reason {
	EXIT_EXCEPTION_NMI = 0,
	EXIT_EXTERNAL_INTERRUPT = 1,
	EXIT_TRIPLE_FAULT = 2,
	EXIT_INIT = 3,
	EXIT_SIPI = 4,
	EXIT_INTERRUPT_WINDOW = 7,
	EXIT_NMI_WINDOW = 8,
	EXIT_TASK_SWITCH = 9,
	EXIT_CPUID = 10,
	EXIT_GETSEC = 11,
	EXIT_HLT = 12,
	EXIT_INVD = 13,
	EXIT_INVLPG = 14,
	EXIT_RDPMC = 15,
	EXIT_RDTSC = 16,
	EXIT_RSM = 17,
	EXIT_VMCALL = 18,
	EXIT_VMCLEAR = 19, /* ... VMXON = 27 */
	EXIT_VMXON = 27,
	EXIT_CR_ACCESS = 28,
	EXIT_MOV_DR = 29,
	EXIT_IO = 30,
	EXIT_RDMSR = 31,
	EXIT_WRMSR = 32,
	EXIT_BAD_GUEST_STATE = 33,
	EXIT_BAD_MSR_LOAD = 34,
	EXIT_MWAIT = 36,
	EXIT_MTF = 37,
	EXIT_MONITOR = 39,
	EXIT_PAUSE = 40,
	EXIT_MACHINE_CHECK = 41,
	EXIT_TPR_BELOW = 43,
	EXIT_APIC_ACCESS = 44,
	EXIT_EOI = 45,
	EXIT_GDTR_IDTR = 46,
	EXIT_LDTR_TR = 47,
	EXIT_EPT_VIOLATION = 48,
	EXIT_EPT_MISCONFIG = 49,
	EXIT_INVEPT = 50,
	EXIT_RDTSCP = 51,
	EXIT_PREEMPTION_TIMER = 52,
	EXIT_INVVPID = 53,
	EXIT_WBINVD = 54,
	EXIT_XSETBV = 55,
	EXIT_APIC_WRITE = 56,
	EXIT_RDRAND = 57,
	EXIT_INVPCID = 58,
	EXIT_VMFUNC = 59,
	EXIT_ENCLS = 60,
	EXIT_RDSEED = 61,
	EXIT_PML_FULL = 62,
	EXIT_XSAVES = 63,
	EXIT_XRSTORS = 64,
	EXIT_UMWAIT = 67,
	EXIT_TPAUSE = 68,
	EXIT_REASONS = 76
};

/* Returns the name of a basic exit reason (the low 16 bits count), or "unknown" for one that Lethe never enables. */
const char *exit_name(unsigned reason);
/* Returns the exit reason whose word in lethe.conf is the n bytes at `word` ("cpuid", "ept-violation"), or -E_NOENT. */
int exit_reason_of(const char *word, size_t n);
