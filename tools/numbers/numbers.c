/* SPDX-License-Identifier: MIT */
/*
 * The numbers that demo guests share with Lethe: compiled to assembly, each becomes a comment "#number NAME VALUE", of which
 * the Makefile makes NASM's "NAME equ VALUE" (build/gen/demo/numbers.inc).
 */
#include "guest/dev/vrom.h"
#include "lib/bits.h"
#include "lib/hypercalls.h"

#define NUMBER(name) __asm__ volatile("#number " #name " %c0" : : "i"(name))

void numbers(void);
void numbers(void)
{
	NUMBER(HYPERCALL_NOTHING);
	NUMBER(HYPERCALL_STATISTIC);
	NUMBER(HYPERCALL_COUNTER);
	NUMBER(STATISTIC_PAGES_FREED);
	NUMBER(STATISTIC_WAITING);
	NUMBER(STATISTIC_FAULTS);
	NUMBER(STATISTIC_BATCH_TICKS_MAX);
	NUMBER(STATISTIC_BATCH_PAGES_MAX);
	NUMBER(COUNTER_VMACCESSES);
	NUMBER(COUNTER_MSRACCESSES);

	NUMBER(VROM_SLOT);
	NUMBER(VROM_ID);
	NUMBER(VROM_STATUS);
	NUMBER(VROM_CONTROL);
	NUMBER(VROM_CHANGE_TICKS);
	NUMBER(VROM_LOG);
	NUMBER(VROM_LOG_TICKS);
	NUMBER(VROM_LOG_MORE);
	NUMBER(VROM_ID_VALUE);
	NUMBER(VROM_STATUS_RAM);
	NUMBER(VROM_STATUS_LOG);
	NUMBER(VROM_CONTROL_LOG);
}
