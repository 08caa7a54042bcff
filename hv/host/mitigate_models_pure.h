/* SPDX-License-Identifier: MIT */
/*
 * What Intel's list of affected processors says of a CPU model, for hv/host/mitigate_pure.c. ("Affected Processors: Guidance
 * for Security Issues on Intel Processors", the consolidated table by CPU model.)
 */
#pragma once

#include "hv/host/mitigate_pure.h"

#define PRONE_L1TF	 BIT(0) /* unless RDCL_NO */
#define PRONE_MDS	 BIT(1) /* unless MDS_NO */
#define PRONE_MMIO	 BIT(2) /* unless all three NO bits */
#define PRONE_RFDS	 BIT(3) /* unless RFDS_NO */
#define PRONE_GDS	 BIT(4) /* unless GDS_NO */
#define PRONE_SRBDS	 BIT(5)
#define PRONE_ITS	 BIT(6)	 /* also from a guest to root mode */
#define PRONE_ITS_NATIVE BIT(7)	 /* only within a mode */
#define PRONE_ITS_IBPB	 BIT(8)	 /* also from before an IBPB to after it, unless the microcode knows of ITS */
#define RSB_UNDERFLOWS	 BIT(9)	 /* what RSBA says, on models whose first microcode does not know that bit */
#define LONG_HISTORY	 BIT(10) /* too long for the sequence that overwrites it: BHI needs BHI_CTRL */
#define IN_ORDER	 BIT(11) /* does not speculate */
#define IS_ATOM		 BIT(12) /* has no core of the other kind; PBRSB does not concern it */

/*
 * Returns the traits of a CPU model. One that the table does not have is newer than the table, or not Intel's: then it is
 * prone to what its bits do not rule out of L1TF and MDS, which most models before 2019 were prone to.
 */
uint64_t speculation_traits(const struct mitigate_cpu *cpu);
