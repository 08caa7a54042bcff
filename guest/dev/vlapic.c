/* SPDX-License-Identifier: MIT */
/* The registers of the local APIC: reset, reads and writes by offset, local vector table. */
#include "guest/dev/irq.h"

#include "guest/dev/layout.h"
#include "guest/dev/platform.h"
#include "lib/bits.h"
#include "lib/string.h"

#define VERSION (0x14u | 5u << 16 /* six LVT entries */ | 1u << 24 /* EOI broadcast can be suppressed */)

/* The register at an offset: bits that may be written, and where it exists. */
#define X  1u /* in xAPIC mode */
#define X2 2u /* in x2APIC mode */
struct reg_rule {
	uint8_t readable, writable; /* X | X2 */
	uint32_t bits; /* that a write may set; others raise #GP in x2APIC mode, are dropped in xAPIC mode */
};
static const struct reg_rule rules[64] = {
	[APIC_ID >> 4] = { X | X2, 0, 0 },
	[APIC_VERSION >> 4] = { X | X2, 0, 0 },
	[APIC_TPR >> 4] = { X | X2, X | X2, 0xff },
	[APIC_APR >> 4] = { X, 0, 0 },
	[APIC_PPR >> 4] = { X | X2, 0, 0 },
	[APIC_EOI >> 4] = { 0, X | X2, 0 },
	[APIC_RRD >> 4] = { X, 0, 0 },
	[APIC_LDR >> 4] = { X | X2, X, 0xff000000 },
	[APIC_DFR >> 4] = { X, X, 0xf0000000 },
	[APIC_SVR >> 4] = { X | X2, X | X2, 0x13ff },
	[APIC_ISR >> 4 ...(APIC_ESR >> 4) - 1] = { X | X2, 0, 0 },
	[APIC_ESR >> 4] = { X | X2, X | X2, 0 },
	[APIC_ICR >> 4] = { X | X2, X | X2, 0xffffffff },
	[APIC_ICR_HIGH >> 4] = { X, X, 0xff000000 },
	[APIC_LVT_TIMER >> 4] = { X | X2, X | X2, 0x700ff },
	[APIC_LVT_THERMAL >> 4] = { X | X2, X | X2, 0x107ff },
	[APIC_LVT_PERF >> 4] = { X | X2, X | X2, 0x107ff },
	[APIC_LVT_LINT0 >> 4] = { X | X2, X | X2, 0x1a7ff },
	[APIC_LVT_LINT1 >> 4] = { X | X2, X | X2, 0x1a7ff },
	[APIC_LVT_ERROR >> 4] = { X | X2, X | X2, 0x100ff },
	[APIC_TIMER_INIT >> 4] = { X | X2, X | X2, 0xffffffff },
	[APIC_TIMER_NOW >> 4] = { X | X2, 0, 0 },
	[APIC_TIMER_DIV >> 4] = { X | X2, X | X2, 0x0b },
	[APIC_SELF_IPI >> 4] = { 0, X2, 0xff },
};

/* Read-only bits among those that can be written: dropped in both modes. */
static uint32_t lapic_status_bits(unsigned off)
{
	if (off == APIC_LVT_LINT0 || off == APIC_LVT_LINT1)
		return LVT_STATUS | LVT_REMOTE_IRR;
	return off >= APIC_LVT_TIMER && off <= APIC_LVT_ERROR ? LVT_STATUS : 0;
}

/* Returns the register at this offset; NULL: there is none that may be accessed so in this mode. */
static const struct reg_rule *lapic_accessible(unsigned off, bool x2apic, bool write)
{
	const struct reg_rule *r = off & 15 || off >> 4 >= ARRAY_SIZE(rules) ? NULL : &rules[off >> 4];

	return r && (write ? r->writable : r->readable) & (x2apic ? X2 : X) ? r : NULL;
}

bool vlapic_has(unsigned off, bool x2apic, bool write)
{
	return lapic_accessible(off, x2apic, write) != NULL;
}

/* A refused access: xAPIC mode notes it in the ESR, x2APIC mode raises #GP instead (SDM Vol. 3A 10.5.3). */
static bool lapic_refuse(struct vlapic *l)
{
	if (!vlapic_x2(l))
		vlapic_error(l, ESR_REGISTER);
	return false;
}

static void lapic_refresh_lint0(struct vlapic *l)
{
	uint32_t lvt = vlapic_get(l, APIC_LVT_LINT0);
	bool takes;

	/* With the APIC off in IA32_APIC_BASE the pin is the CPU's INTR, which a PC wires on the boot CPU. */
	if (!(l->base & APIC_BASE_ENABLE))
		takes = l->index == 0;
	else
		takes = !(lvt & LVT_MASKED) && bits_get(lvt, 10, 8) == DELIVER_EXTINT;
	atomic_store(&l->takes_extint, takes);
}

static void lapic_refresh_id(struct vlapic *l)
{
	if (vlapic_x2(l)) {
		vlapic_put(l, APIC_ID, l->index);
		vlapic_put(l, APIC_LDR, (l->index >> 4) << 16 | 1u << (l->index & 15));
	} else {
		vlapic_put(l, APIC_ID, l->index << 24);
	}
}

void vlapic_reset_registers(struct vlapic *l)
{
	for (unsigned off = 0; off <= APIC_SELF_IPI; off += 16)
		vlapic_put(l, off, 0);
	vlapic_put(l, APIC_ICR + 4, 0); /* the upper half of x2APIC's */
	vlapic_put(l, APIC_VERSION, VERSION);
	vlapic_put(l, APIC_DFR, 0xffffffff);
	vlapic_put(l, APIC_SVR, 0xff);
	for (unsigned off = APIC_LVT_TIMER; off <= APIC_LVT_ERROR; off += 16)
		vlapic_put(l, off, LVT_MASKED);
	lapic_refresh_id(l);
	lapic_refresh_lint0(l);
	l->irrv = l->isrv = -1;
	l->lvt_timer = LVT_MASKED;
	l->divide = 0;
	atomic_store_relaxed(&l->errors, 0);
	l->extint_offered = false;
	l->stale = true;
}

static void lapic_forget_posted(struct vlapic *l)
{
	for (unsigned i = 0; i < 8; i++)
		atomic_store(&l->pir[i], 0);
}

void vlapic_init_signal(struct vlapic *l)
{
	atomic_store(&l->init_pending, 1);
	atomic_store(&l->posted, 1);
}

void vlapic_reset(struct vlapic *l)
{
	atomic_store_relaxed(&l->base, LAYOUT_LAPIC | APIC_BASE_ENABLE | (l->index == 0 ? APIC_BASE_BSP : 0));
	vlapic_timer_reset(l);
	lapic_forget_posted(l);
	atomic_store(&l->init_pending, 0);
	vlapic_reset_registers(l);
	if (l->index == 0) {
		/* Virtual-wire mode, as firmware hands a PC over (MultiProcessor Specification 3.6.2.2). */
		vlapic_put(l, APIC_SVR, SVR_ENABLED | 0x0f);
		vlapic_put(l, APIC_LVT_LINT0, DELIVER_EXTINT << 8);
		vlapic_put(l, APIC_LVT_LINT1, DELIVER_NMI << 8);
		lapic_refresh_lint0(l);
	}
}

void vlapic_init(
	struct vlapic *l, struct interrupts *irqs, unsigned index, void *page, struct timer_queue *timers)
{
	l->irqs = irqs;
	l->index = index;
	l->page = page;
	vlapic_timer_init(l, timers);
}

static void vlapic_wake(struct vlapic *l)
{
	l->irqs->ops->wake(l->irqs->vm, l->index);
}

void vlapic_error(struct vlapic *l, uint32_t esr_bit)
{
	/* A recorded error is not reported again: otherwise an illegal error vector would recurse without end. */
	if (atomic_fetch_or(&l->errors, esr_bit) & esr_bit)
		return;
	vlapic_local(l, APIC_LVT_ERROR);
}

bool vlapic_post(struct vlapic *l, uint8_t vector, bool level)
{
	uint32_t bit = 1u << (vector & 31);

	if (!vlapic_enabled(l))
		return false;
	if (vector < 16) {
		vlapic_error(l, ESR_RECEIVE_VECTOR);
		return true;
	}
	if (level)
		atomic_fetch_or(&l->pir_level[vector >> 5], bit);
	else
		atomic_fetch_and(&l->pir_level[vector >> 5], ~bit);
	atomic_fetch_or(&l->pir[vector >> 5], bit);
	/* After pir: the vCPU clears `posted` first and reads pir then. */
	atomic_store(&l->posted, 1);
	l->irqs->ops->interrupt(l->irqs->vm, l->index, vector);
	return true;
}

void vlapic_local(struct vlapic *l, unsigned lvt)
{
	uint32_t entry = vlapic_get(l, lvt);

	if (!(entry & LVT_MASKED))
		vlapic_post(l, (uint8_t)entry, false);
}

void vlapic_lint0(struct vlapic *l, bool rising)
{
	uint32_t lvt = vlapic_get(l, APIC_LVT_LINT0);

	if (!rising || (lvt & LVT_MASKED) || !vlapic_enabled(l))
		return;
	switch (bits_get(lvt, 10, 8)) {
	case DELIVER_FIXED:
		vlapic_post(l, (uint8_t)lvt, lvt & BIT(15));
		break;
	case DELIVER_NMI:
		l->irqs->ops->nmi(l->irqs->vm, l->index);
		break;
	}
}

bool vlapic_read(struct vlapic *l, unsigned off, uint64_t *value)
{
	*value = 0;
	if (!lapic_accessible(off, vlapic_x2(l), false))
		return lapic_refuse(l);
	switch (off) {
	case APIC_PPR:
	case APIC_APR: /* arbitration has no bus to arbitrate for: the processor priority is what counts */
		*value = vlapic_ppr(l);
		break;
	case APIC_TIMER_NOW:
		*value = vlapic_timer_current(l);
		break;
	case APIC_ICR:
		*value = vlapic_get(l, APIC_ICR);
		if (vlapic_x2(l))
			*value |= (uint64_t)vlapic_get(l, APIC_ICR + 4) << 32;
		break;
	default:
		*value = vlapic_get(l, off);
		break;
	}
	return true;
}

static void lapic_write_svr(struct vlapic *l, uint32_t v)
{
	vlapic_put(l, APIC_SVR, v);
	if (v & SVR_ENABLED)
		return;
	/* Software-disabled: every LVT entry is masked (SDM 10.4.7.2). */
	for (unsigned off = APIC_LVT_TIMER; off <= APIC_LVT_ERROR; off += 16)
		vlapic_put(l, off, vlapic_get(l, off) | LVT_MASKED);
	vlapic_timer_lvt(l, vlapic_get(l, APIC_LVT_TIMER));
	lapic_refresh_lint0(l);
}

static void lapic_write_lvt(struct vlapic *l, unsigned off, uint32_t v)
{
	if (!(vlapic_get(l, APIC_SVR) & SVR_ENABLED))
		v |= LVT_MASKED;
	vlapic_put(l, off, v);
	if (off == APIC_LVT_TIMER)
		vlapic_timer_lvt(l, v);
	else if (off == APIC_LVT_LINT0)
		lapic_refresh_lint0(l);
}

bool vlapic_write(struct vlapic *l, unsigned off, uint64_t value)
{
	const struct reg_rule *r = lapic_accessible(off, vlapic_x2(l), true);
	uint32_t v = (uint32_t)value;

	if (!r)
		return lapic_refuse(l);
	if (off == APIC_ICR)
		return vlapic_icr(l, value);
	if (vlapic_x2(l) && value & ~(uint64_t)(r->bits | lapic_status_bits(off)))
		return false;
	v &= r->bits;
	/* What was held back may be deliverable now. */
	if (off == APIC_EOI || off == APIC_TPR || off == APIC_SVR || off == APIC_LVT_LINT0)
		vlapic_wake(l);
	switch (off) {
	case APIC_EOI:
		vlapic_eoi(l);
		break;
	case APIC_DFR:
		vlapic_put(l, off, v | 0x0fffffff);
		break;
	case APIC_SVR:
		lapic_write_svr(l, v);
		break;
	case APIC_ESR: /* a write shows what was collected since the last one */
		vlapic_put(l, off, atomic_xchg(&l->errors, 0));
		break;
	case APIC_TIMER_INIT:
		vlapic_put(l, off, v);
		vlapic_timer_start(l, v);
		break;
	case APIC_TIMER_DIV:
		vlapic_put(l, off, v);
		vlapic_timer_divide(l, v);
		break;
	case APIC_SELF_IPI:
		vlapic_self_ipi(l, (uint8_t)v);
		break;
	default:
		if (off >= APIC_LVT_TIMER && off <= APIC_LVT_ERROR)
			lapic_write_lvt(l, off, v);
		else
			vlapic_put(l, off, v);
		break;
	}
	return true;
}

void vlapic_written(struct vlapic *l, unsigned off)
{
	uint64_t value;

	off &= 0xff0;
	value = vlapic_get(l, off);
	if (off == APIC_ICR && vlapic_x2(l))
		value |= (uint64_t)vlapic_get(l, APIC_ICR + 4) << 32;
	/* The guest's write went into the page unchecked: restore the bits that it may not change. */
	if (off == APIC_ID)
		lapic_refresh_id(l);
	else
		vlapic_write(l, off, value);
}

bool vlapic_write_base(struct vlapic *l, uint64_t value)
{
	const uint64_t mode = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
	uint64_t was = l->base & mode, is = value & mode;

	if (value & (BITS(63, l->irqs->maxphyaddr) | BIT(9) | BITS(7, 0)))
		return false;
	/* Only these ways lead from one mode to another (SDM figure 10-27). */
	if (is == APIC_BASE_X2APIC || (was == mode && is == APIC_BASE_ENABLE) || (was == 0 && is == mode))
		return false;
	atomic_store_relaxed(&l->base, (value & ~(uint64_t)APIC_BASE_BSP) | (l->base & APIC_BASE_BSP));
	if (is == was)
		return true;
	vlapic_wake(l);
	if (is == 0 || was == 0) {
		vlapic_timer_reset(l);
		lapic_forget_posted(l);
		vlapic_reset_registers(l);
	} else {
		lapic_refresh_id(l);
		vlapic_put(l, APIC_ICR + 4, 0);
	}
	return true;
}
