/* SPDX-License-Identifier: MIT */
/*
 * The delivery side of the local APIC, run by the vCPU's own loop: what was posted becomes IRR, an acknowledged
 * vector moves to ISR, EOI takes it out (SDM Vol. 3A 10.8).
 */
#include "guest/dev/irq.h"

#include "lib/bits.h"

static int lapic_highest(const struct vlapic *l, unsigned bitmap)
{
	for (int i = 7; i >= 0; i--) {
		uint32_t word = vlapic_get(l, bitmap + 16 * (unsigned)i);

		if (word)
			return 32 * i + (int)bit_highest(word);
	}
	return -1;
}

static void lapic_set_bit(struct vlapic *l, unsigned bitmap, int vector)
{
	unsigned off = bitmap + 16 * ((unsigned)vector >> 5);

	vlapic_put(l, off, vlapic_get(l, off) | 1u << (vector & 31));
}

static void lapic_clear_bit(struct vlapic *l, unsigned bitmap, int vector)
{
	unsigned off = bitmap + 16 * ((unsigned)vector >> 5);

	vlapic_put(l, off, vlapic_get(l, off) & ~(1u << (vector & 31)));
}

static bool lapic_test_bit(const struct vlapic *l, unsigned bitmap, int vector)
{
	return vlapic_get(l, bitmap + 16 * ((unsigned)vector >> 5)) >> (vector & 31) & 1;
}

static uint8_t lapic_ppr(uint8_t tpr, int isrv)
{
	uint8_t serving = isrv < 0 ? 0 : (uint8_t)(isrv & 0xf0);

	return (tpr & 0xf0) >= serving ? tpr : serving;
}

/* A few instructions where nothing is in service: a message to the lowest priority asks that of each vCPU in one exit. */
static bool lapic_serves(const struct vlapic *l)
{
	uint32_t any = 0;

	for (unsigned i = 0; i < 8; i++)
		any |= vlapic_get(l, APIC_ISR + 16 * i);
	return any;
}

uint8_t vlapic_ppr(const struct vlapic *l)
{
	return lapic_ppr((uint8_t)vlapic_get(l, APIC_TPR), lapic_serves(l) ? lapic_highest(l, APIC_ISR) : -1);
}

void vlapic_merge(struct vlapic *l)
{
	if (likely(!atomic_load(&l->posted)))
		return;
	/* An exchange, not a store: it is a full fence, so that the loads of pir below come after it. Otherwise a bit
	 * that is set in between would wait for the next post. */
	atomic_xchg(&l->posted, 0);
	l->stale = true;
	if (unlikely(atomic_load(&l->init_pending))) {
		atomic_store(&l->init_pending, 0);
		for (unsigned i = 0; i < 8; i++)
			atomic_store(&l->pir[i], 0);
		vlapic_timer_reset(l);
		vlapic_reset_registers(l);
		return;
	}
	for (unsigned i = 0; i < 8; i++) {
		unsigned irr = APIC_IRR + 16 * i, tmr = APIC_TMR + 16 * i;
		uint32_t got, level;

		if (!atomic_load(&l->pir[i]))
			continue;
		got = atomic_xchg(&l->pir[i], 0);
		level = atomic_load(&l->pir_level[i]);
		vlapic_put(l, irr, vlapic_get(l, irr) | got);
		vlapic_put(l, tmr, (vlapic_get(l, tmr) & ~got) | (level & got));
		if (got)
			l->irrv = max(l->irrv, (int)(32 * i + bit_highest(got)));
	}
}

/* From virtual-interrupt delivery back to delivery by Lethe (in x2APIC mode the CPU may lack it): the state is read
 * from the page. */
static void lapic_leave_apicv(struct vlapic *l)
{
	l->apicv = false;
	l->irrv = lapic_highest(l, APIC_IRR);
	l->isrv = lapic_highest(l, APIC_ISR);
}

int vlapic_sync(struct vlapic *l)
{
	int extint;

	if (unlikely(l->apicv))
		lapic_leave_apicv(l);
	vlapic_merge(l);
	l->extint_offered = false;
	if (l->takes_extint) {
		extint = irq_intr_vector(l->irqs);
		if (extint >= 0) {
			l->extint_offered = true;
			return extint;
		}
	}
	if (l->irrv < 0 || (l->irrv & 0xf0) <= (lapic_ppr((uint8_t)vlapic_get(l, APIC_TPR), l->isrv) & 0xf0))
		return -1;
	return l->irrv;
}

int vlapic_ack(struct vlapic *l, int vector)
{
	if (l->extint_offered) {
		l->extint_offered = false;
		return irq_ack_intr(l->irqs);
	}
	if (vector < 0 || vector != l->irrv)
		return -1;
	lapic_clear_bit(l, APIC_IRR, vector);
	lapic_set_bit(l, APIC_ISR, vector);
	l->isrv = vector;
	l->irrv = lapic_highest(l, APIC_IRR);
	return vector;
}

unsigned vlapic_tpr_threshold(struct vlapic *l)
{
	if (l->irrv < 0 || (l->irrv & 0xf0) <= (max(l->isrv, 0) & 0xf0))
		return 0;
	return (unsigned)l->irrv >> 4;
}

int vlapic_sync_apicv(struct vlapic *l, bool *extint, uint64_t eoi_exit[4])
{
	int status = -1;

	vlapic_merge(l);
	/* vlapic_waiting(), which is called first while a vCPU halts, may have merged what hv/ must be told of here. */
	if (unlikely(!l->apicv) || l->stale) {
		l->apicv = true;
		l->stale = false;
		for (unsigned i = 0; i < 4; i++)
			eoi_exit[i] = vlapic_get(l, APIC_TMR + 32 * i) |
				      (uint64_t)vlapic_get(l, APIC_TMR + 32 * i + 16) << 32;
		status = max(lapic_highest(l, APIC_ISR), 0) << 8 | max(lapic_highest(l, APIC_IRR), 0);
	}
	l->extint_offered = l->takes_extint && irq_intr_vector(l->irqs) >= 0;
	*extint = l->extint_offered;
	return status;
}

bool vlapic_take(struct vlapic *l, uint8_t vector)
{
	/* A vector that is in TMR is in the EOI-exit bitmap, too, which must follow. */
	if (!l->apicv || vector < 16 || !vlapic_enabled(l) || lapic_test_bit(l, APIC_TMR, vector))
		return false;
	lapic_set_bit(l, APIC_IRR, vector);
	return true;
}

void vlapic_eoi_level(struct vlapic *l, uint8_t vector)
{
	uint32_t lint0 = vlapic_get(l, APIC_LVT_LINT0);

	if (!(vlapic_get(l, APIC_SVR) & SVR_NO_BROADCAST))
		irq_eoi(l->irqs, vector);
	/* LINT0 as a level-triggered fixed interrupt: the 8259 may still ask. */
	if (!(lint0 & LVT_MASKED) && bits_get(lint0, 10, 8) == DELIVER_FIXED && (lint0 & BIT(15)) &&
		(uint8_t)lint0 == vector)
		vlapic_lint0(l, irq_intr_vector(l->irqs) >= 0);
}

void vlapic_eoi(struct vlapic *l)
{
	int vector = l->apicv ? lapic_highest(l, APIC_ISR) : l->isrv;

	if (vector < 0)
		return; /* an EOI for nothing in service, or after a spurious interrupt, has no effect */
	lapic_clear_bit(l, APIC_ISR, vector);
	l->isrv = lapic_highest(l, APIC_ISR);
	l->stale = true;
	if (lapic_test_bit(l, APIC_TMR, vector))
		vlapic_eoi_level(l, (uint8_t)vector);
}

bool vlapic_waiting(struct vlapic *l)
{
	int irrv;

	vlapic_merge(l);
	if (l->takes_extint && irq_intr_vector(l->irqs) >= 0)
		return true;
	irrv = l->apicv ? lapic_highest(l, APIC_IRR) : l->irrv;
	if (irrv < 0)
		return false;
	return (irrv & 0xf0) >
	       (lapic_ppr((uint8_t)vlapic_get(l, APIC_TPR), l->apicv ? lapic_highest(l, APIC_ISR) : l->isrv) &
		       0xf0);
}
