/* SPDX-License-Identifier: MIT */
/*
 * VMX as the SDM defines it: controls, exit reasons, interruption information (Vol. 3C 24, 27; appendices A and C),
 * and the instructions. No policy.
 */
#pragma once

#include "lib/assert.h"
#include "lib/exit_reasons.h"
#include "lib/x86.h"

#define MSR_VMX_BASIC	   0x480
#define MSR_VMX_PIN	   0x481
#define MSR_VMX_PROC	   0x482
#define MSR_VMX_EXIT	   0x483
#define MSR_VMX_ENTRY	   0x484
#define MSR_VMX_MISC	   0x485
#define MSR_VMX_CR0_FIXED0 0x486
#define MSR_VMX_CR0_FIXED1 0x487
#define MSR_VMX_CR4_FIXED0 0x488
#define MSR_VMX_CR4_FIXED1 0x489
#define MSR_VMX_PROC2	   0x48b
#define MSR_VMX_EPT_VPID   0x48c
#define MSR_VMX_TRUE_PIN   0x48d
#define MSR_VMX_TRUE_PROC  0x48e
#define MSR_VMX_TRUE_EXIT  0x48f
#define MSR_VMX_TRUE_ENTRY 0x490

#define DEBUGCTL_LBR BIT(0)
#define DEBUGCTL_BTF BIT(1)

#define FEATURE_CONTROL_LOCK BIT(0)
#define FEATURE_CONTROL_VMX  BIT(2) /* outside SMX */

/* Pin-based (24.6.1) */
#define PIN_EXTERNAL_INTERRUPT BIT(0)
#define PIN_NMI		       BIT(3)
#define PIN_VIRTUAL_NMIS       BIT(5)
#define PIN_PREEMPTION_TIMER   BIT(6)

/* Primary processor-based (24.6.2) */
#define PROC_INTERRUPT_WINDOW BIT(2)
#define PROC_TSC_OFFSETTING   BIT(3)
#define PROC_HLT	      BIT(7)
#define PROC_INVLPG	      BIT(9)
#define PROC_MWAIT	      BIT(10)
#define PROC_RDPMC	      BIT(11)
#define PROC_RDTSC	      BIT(12)
#define PROC_CR3_LOAD	      BIT(15)
#define PROC_CR3_STORE	      BIT(16)
#define PROC_CR8_LOAD	      BIT(19)
#define PROC_CR8_STORE	      BIT(20)
#define PROC_TPR_SHADOW	      BIT(21)
#define PROC_NMI_WINDOW	      BIT(22)
#define PROC_MOV_DR	      BIT(23)
#define PROC_IO		      BIT(24) /* unconditional */
#define PROC_IO_BITMAPS	      BIT(25)
#define PROC_MSR_BITMAPS      BIT(28)
#define PROC_MONITOR	      BIT(29)
#define PROC_PAUSE	      BIT(30)
#define PROC_SECONDARY	      BIT(31)

/* Secondary processor-based (24.6.2) */
#define PROC2_APIC_ACCESS	 BIT(0)
#define PROC2_EPT		 BIT(1)
#define PROC2_DESCRIPTOR	 BIT(2)
#define PROC2_RDTSCP		 BIT(3)
#define PROC2_X2APIC		 BIT(4)
#define PROC2_VPID		 BIT(5)
#define PROC2_WBINVD		 BIT(6)
#define PROC2_UNRESTRICTED	 BIT(7)
#define PROC2_APIC_REGISTERS	 BIT(8)
#define PROC2_INTERRUPT_DELIVERY BIT(9)
#define PROC2_PAUSE_LOOP	 BIT(10)
#define PROC2_RDRAND		 BIT(11)
#define PROC2_INVPCID		 BIT(12)
#define PROC2_VMFUNC		 BIT(13)
#define PROC2_RDSEED		 BIT(16)
#define PROC2_PML		 BIT(17)
#define PROC2_XSAVES		 BIT(20)
#define PROC2_USER_WAIT		 BIT(26)

/* VM exit (24.7.1) */
#define EXIT_SAVE_DEBUG	     BIT(2)
#define EXIT_HOST_64	     BIT(9)
#define EXIT_ACK_INTERRUPT   BIT(15)
#define EXIT_SAVE_PAT	     BIT(18)
#define EXIT_LOAD_PAT	     BIT(19)
#define EXIT_SAVE_EFER	     BIT(20)
#define EXIT_LOAD_EFER	     BIT(21)
#define EXIT_SAVE_PREEMPTION BIT(22)

/* VM entry (24.8.1) */
#define ENTRY_LOAD_DEBUG BIT(2)
#define ENTRY_IA32E	 BIT(9)
#define ENTRY_LOAD_PAT	 BIT(14)
#define ENTRY_LOAD_EFER	 BIT(15)

/* IA32_VMX_EPT_VPID_CAP (A.10) */
#define EPTCAP_EXEC_ONLY   BIT(0)
#define EPTCAP_4LEVEL	   BIT(6)
#define EPTCAP_5LEVEL	   BIT(7)
#define EPTCAP_UC	   BIT(8)
#define EPTCAP_WB	   BIT(14)
#define EPTCAP_2M	   BIT(16)
#define EPTCAP_1G	   BIT(17)
#define EPTCAP_INVEPT	   BIT(20)
#define EPTCAP_AD	   BIT(21)
#define EPTCAP_INVEPT_ONE  BIT(25)
#define EPTCAP_INVEPT_ALL  BIT(26)
#define EPTCAP_INVVPID	   BIT(32)
#define EPTCAP_INVVPID_ONE BIT(41)
#define EPTCAP_INVVPID_ALL BIT(42)

/* Interruption information: VM-entry (24.8.3), VM-exit (24.9.2) and IDT-vectoring (24.9.3) */
#define INTR_VECTOR	 BITS(7, 0)
#define INTR_TYPE	 BITS(10, 8)
#define INTR_EXTERNAL	 (0u << 8)
#define INTR_NMI	 (2u << 8)
#define INTR_HARDWARE	 (3u << 8) /* exception */
#define INTR_SOFTWARE	 (4u << 8) /* INT n */
#define INTR_PRIVILEGED	 (5u << 8) /* INT1 */
#define INTR_SOFT_EXC	 (6u << 8) /* INT3, INTO */
#define INTR_ERROR_CODE	 BIT(11)
#define INTR_NMI_UNBLOCK BIT(12) /* exit: IRET had unblocked NMIs */
#define INTR_VALID	 BIT(31)

/* Interruptibility (24.4.2) */
#define BLOCK_STI    BIT(0)
#define BLOCK_MOV_SS BIT(1)
#define BLOCK_SMI    BIT(2)
#define BLOCK_NMI    BIT(3)

/* Pending debug exceptions (24.4.2); bits 3:0 are B3 to B0 */
#define PENDING_ENABLED BIT(12) /* a data or I/O breakpoint was met and is enabled */
#define PENDING_BS	BIT(14)

enum activity { ACTIVITY_ACTIVE, ACTIVITY_HLT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_SIPI };

#define EXIT_ENTRY_FAILED BIT(31) /* in the exit reason field */

static inline bool vmxon(hpa_t region)
{
	bool bad;

	__asm__ volatile("vmxon %1" : "=@ccna"(bad) : "m"(region.v) : "memory");
	return !bad;
}
static inline void vmxoff(void)
{
	__asm__ volatile("vmxoff" ::: "cc", "memory");
}
static inline bool vmclear(hpa_t vmcs)
{
	bool bad;

	__asm__ volatile("vmclear %1" : "=@ccna"(bad) : "m"(vmcs.v) : "memory");
	return !bad;
}
static inline bool vmptrld(hpa_t vmcs)
{
	bool bad;

	__asm__ volatile("vmptrld %1" : "=@ccna"(bad) : "m"(vmcs.v) : "memory");
	return !bad;
}
enum { INV_SINGLE = 1, INV_ALL = 2 }; /* types of INVEPT and INVVPID (30.3) that Lethe uses */
static inline bool invept(uint64_t type, uint64_t eptp)
{
	uint64_t descriptor[2] = { eptp, 0 };
	bool bad;

	__asm__ volatile("invept %1, %2" : "=@ccna"(bad) : "m"(descriptor), "r"(type) : "memory");
	return !bad;
}
static inline bool invvpid(uint64_t type, uint16_t vpid)
{
	uint64_t descriptor[2] = { vpid, 0 };
	bool bad;

	__asm__ volatile("invvpid %1, %2" : "=@ccna"(bad) : "m"(descriptor), "r"(type) : "memory");
	return !bad;
}
