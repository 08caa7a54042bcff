/* SPDX-License-Identifier: MIT */
/*
 * What speculation could carry from one VM to another or from Lethe to a VM on a CPU, and what is done against it.
 * Pure (hv/host/mitigate_pure.c), so that tests can put any CPU's signature before it; hv/host/mitigate.c carries it out.
 *
 * Sources: Intel's "CPUID Enumeration and Architectural MSRs" and its list of affected processors by CPU model, its
 * guidance for each vulnerability, SDM Vol. 4 table 2-2 (IA32_SPEC_CTRL 48H, IA32_PRED_CMD 49H,
 * IA32_ARCH_CAPABILITIES 10AH, IA32_FLUSH_CMD 10BH, IA32_TSX_CTRL 122H, IA32_MCU_OPT_CTRL 123H).
 */
#pragma once

#include "lib/bits.h"
#include "lib/types.h"

/* In the order of the log. */
enum vulnerability {
	VULN_SPECTRE_V2, /* branch target injection */
	VULN_BHI,	 /* branch history injection */
	VULN_RSB,	 /* return predictions that a guest left behind */
	VULN_PBRSB,	 /* ... one of which survives the VM exit in spite of enhanced IBRS */
	VULN_RSBA,	 /* returns beyond those are predicted as indirect branches are */
	VULN_ITS,	 /* indirect target selection */
	VULN_L1TF,	 /* L1 terminal fault */
	VULN_MDS,	 /* microarchitectural data sampling */
	VULN_TAA,	 /* TSX asynchronous abort */
	VULN_MMIO,	 /* processor MMIO stale data */
	VULN_RFDS,	 /* register file data sampling */
	VULN_GDS,	 /* gather data sampling */
	VULN_SRBDS,	 /* special register buffer data sampling: what RDRAND gave to another core */
	VULNS
};

/* What is read on a CPU. */
struct mitigate_cpu {
	bool intel;	    /* the vendor is GenuineIntel: else its model says nothing */
	bool hypervisor;    /* CPUID.1:ECX[31]: another hypervisor is below, and says what the CPU has */
	uint32_t signature; /* CPUID.1:EAX */
	uint32_t ebx7, edx7, edx7_2; /* CPUID.7.0:EBX, EDX, CPUID.7.2:EDX; 0 where there is no such leaf */
	uint8_t core_type;	     /* CPUID.1AH:EAX[31:24] on hybrid CPUs: 20H Atom, 40H Core; else 0 */
	uint64_t arch_capabilities;  /* IA32_ARCH_CAPABILITIES; 0 where there is none */
};

/* How an indirect branch is made. */
enum thunk_form {
	THUNK_PLAIN,	 /* as it is */
	THUNK_LFENCE,	 /* LFENCE before it */
	THUNK_RETPOLINE, /* by RET, with a return prediction that leads nowhere */
	THUNK_ITS,	 /* as it is, with its last byte in the upper half of a cache line (32 bytes) */
};

enum mitigate_verdict { MITIGATE_NOT_NEEDED, MITIGATE_DONE, MITIGATE_MICROCODE_MISSING };

/* What is to be done on a CPU; all zero: nothing. */
struct mitigate_measures {
	enum thunk_form thunk;
	bool return_thunk;  /* all returns by one RET, whose last byte is in the upper half of a cache line */
	uint64_t spec_ctrl; /* bits of IA32_SPEC_CTRL that are always 1, in root mode and in guests */
	bool ibrs_at_exit; /* IA32_SPEC_CTRL.IBRS is set after each exit, and is the guest's again at entry */
	bool rsb_fill;	   /* after each exit all return predictions are replaced by harmless ones */
	bool rsb_one;	   /* after each exit a CALL retires before the first RET */
	bool bhb_clear;	   /* after each exit the branch history is overwritten */
	bool ibpb;	   /* at VM switches: IA32_PRED_CMD */
	bool l1d_flush;	   /* ... and wherever else another VM's data was handled: IA32_FLUSH_CMD */
	bool l1d_read;	   /* ... in its place, where there is no such register: 64 KiB are read */
	bool verw;	   /* ... VERW, which overwrites the CPU's buffers */
	bool tsx_off;	   /* IA32_TSX_CTRL */
	bool gds_lock;	   /* IA32_MCU_OPT_CTRL: GDS_MITG_DIS off, and locked */
	bool rngds;	   /* ... RNGDS_MITG_DIS off */
};

struct mitigations {
	struct {
		enum mitigate_verdict verdict;
		const char *how; /* why it is not needed; what is done; what the microcode lacks */
	} of[VULNS];
	struct mitigate_measures measures;
	bool its_no; /* ITS does not concern the CPU, within a guest either */
	/* An SMT sibling can read what a VM leaves in the core: a core may run one VM only. */
	bool core_of_its_own;
};

/* Bits of IA32_SPEC_CTRL. */
#define SPEC_CTRL_IBRS	    BIT(0)
#define SPEC_CTRL_BHI_DIS_S BIT(10)
#define PRED_CMD_IBPB	    BIT(0) /* of IA32_PRED_CMD */
#define FLUSH_CMD_L1D	    BIT(0) /* of IA32_FLUSH_CMD */

/* Bits of IA32_ARCH_CAPABILITIES. */
#define CAP_RDCL_NO	 BIT(0)
#define CAP_IBRS_ALL	 BIT(1)
#define CAP_RSBA	 BIT(2)
#define CAP_SKIP_L1DFL	 BIT(3)
#define CAP_MDS_NO	 BIT(5)
#define CAP_TSX_CTRL	 BIT(7)
#define CAP_TAA_NO	 BIT(8)
#define CAP_SBDR_SSDP_NO BIT(13)
#define CAP_FBSDP_NO	 BIT(14)
#define CAP_PSDP_NO	 BIT(15)
#define CAP_FB_CLEAR	 BIT(17)
#define CAP_BHI_NO	 BIT(20)
#define CAP_PBRSB_NO	 BIT(24)
#define CAP_GDS_CTRL	 BIT(25)
#define CAP_GDS_NO	 BIT(26)
#define CAP_RFDS_NO	 BIT(27)
#define CAP_RFDS_CLEAR	 BIT(28)
#define CAP_ITS_NO	 BIT(62)

/* Decides for one CPU. */
void mitigate_decide(const struct mitigate_cpu *cpu, struct mitigations *out);
/* Adds to the measures all others that the CPU has the means for, whether it needs them or not; the verdicts stay. out: as
 * mitigate_decide() left it. */
void mitigate_add_all(const struct mitigate_cpu *cpu, struct mitigations *out);
/* Writes the vulnerabilities with this verdict as "NAME, NAME (how), NAME (how)", cut to size bytes with the NUL. Returns how
 * many there are. */
unsigned mitigate_describe(
	const struct mitigations *m, enum mitigate_verdict verdict, char *text, size_t size);
/* True if the verdicts are the same, and so the measures. */
bool mitigations_equal(const struct mitigations *a, const struct mitigations *b);

/* Returns the bits of IA32_SPEC_CTRL that a guest may set on a CPU with this CPUID.7.0:EDX: IBRS and STIBP (a CPU with one
 * of them ignores the other), SSBD. 0: there is no such MSR. */
uint64_t guest_spec_ctrl_bits(uint32_t edx7);
