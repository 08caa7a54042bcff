/* SPDX-License-Identifier: MIT */
/* The platform's face to the vCPU: local APIC MSRs, TPR by CR8, interrupt delivery. */
#include "guest/dev/machine.h"

#include "lib/x86.h"

/* IA32_X2APIC MSRs: register offset >> 4 (SDM Vol. 3A table 10-6). */
static bool x2apic_offset(const struct vlapic *l, uint32_t msr, unsigned *off)
{
	if (!vlapic_x2(l) || msr < MSR_X2APIC || msr > MSR_X2APIC + 0xff)
		return false;
	*off = (msr - MSR_X2APIC) << 4;
	return true;
}

bool platform_x2apic_register(uint32_t msr, bool write)
{
	return vlapic_has((msr - MSR_X2APIC) << 4, true, write);
}

int __attribute__((noinline))
platform_apic_rdmsr(struct platform *p, unsigned vcpu, uint32_t msr, uint64_t *value)
{
	struct vlapic *l = &p->interrupts.lapic[vcpu];
	unsigned off;

	if (msr == MSR_APIC_BASE)
		*value = l->base;
	else if (msr == MSR_TSC_DEADLINE)
		*value = vlapic_timer_deadline(l);
	else if (!x2apic_offset(l, msr, &off) || !vlapic_read(l, off, value))
		return -E_INVAL;
	return 0;
}

/* Returns the vector if this write of ICR is an interrupt to the vCPU itself that went straight into IRR, without a
 * lock; else 0. */
static int icr_to_self(struct vlapic *l, uint64_t icr)
{
	if (!vlapic_x2(l) || !icr_is_self(icr) || !vlapic_take(l, (uint8_t)icr))
		return 0;
	vlapic_put(l, APIC_ICR, (uint32_t)icr & ~ICR_DELIVERY_STATUS);
	vlapic_put(l, APIC_ICR + 4, (uint32_t)(icr >> 32));
	return (uint8_t)icr;
}

/* Returns the timer's vector if the deadline has passed and the interrupt went straight into IRR; else 0: it is posted,
 * or the timer is armed. */
static int deadline_over(struct vlapic *l, uint64_t tsc)
{
	uint32_t lvt = vlapic_get(l, APIC_LVT_TIMER);

	if (!vlapic_timer_set_deadline(l, tsc))
		return 0;
	if (!(lvt & LVT_MASKED) && vlapic_take(l, (uint8_t)lvt))
		return (uint8_t)lvt;
	vlapic_local(l, APIC_LVT_TIMER);
	return 0;
}

/* Apart from platform_apic_wrmsr(), so that a self IPI does not save registers that only this needs. */
static int __attribute__((noinline)) apic_wrmsr(struct vlapic *l, uint32_t msr, uint64_t value)
{
	unsigned off;

	if (msr == MSR_TSC_DEADLINE)
		return deadline_over(l, value);
	if (msr == MSR_APIC_BASE)
		return vlapic_write_base(l, value) ? 0 : -E_INVAL;
	return x2apic_offset(l, msr, &off) && vlapic_write(l, off, value) ? 0 : -E_INVAL;
}

int platform_apic_wrmsr(struct platform *p, unsigned vcpu, uint32_t msr, uint64_t value)
{
	struct vlapic *l = &p->interrupts.lapic[vcpu];
	int vector = msr == MSR_X2APIC_ICR ? icr_to_self(l, value) : 0;

	return vector ? vector : apic_wrmsr(l, msr, value);
}

void platform_tsc_adjust(struct platform *p, unsigned vcpu, uint64_t adjust)
{
	vlapic_timer_tsc_adjust(&p->interrupts.lapic[vcpu], adjust);
}

uint64_t platform_apic_page(struct platform *p, unsigned vcpu)
{
	return atomic_load_relaxed(&p->interrupts.lapic[vcpu].base) & BITS(51, 12);
}

enum apic_mode platform_apic_mode(struct platform *p, unsigned vcpu)
{
	const struct vlapic *l = &p->interrupts.lapic[vcpu];

	if (!(atomic_load_relaxed(&l->base) & APIC_BASE_ENABLE))
		return APIC_OFF;
	return vlapic_x2(l) ? APIC_X2APIC : APIC_XAPIC;
}

uint64_t platform_cr8_read(struct platform *p, unsigned vcpu)
{
	return vlapic_get(&p->interrupts.lapic[vcpu], APIC_TPR) >> 4;
}

void platform_cr8_write(struct platform *p, unsigned vcpu, uint64_t value)
{
	vlapic_put(&p->interrupts.lapic[vcpu], APIC_TPR, (uint32_t)(value & 15) << 4);
}

int platform_irq_sync(struct platform *p, unsigned vcpu)
{
	return vlapic_sync(&p->interrupts.lapic[vcpu]);
}

void platform_apic_init(struct platform *p, unsigned vcpu)
{
	vlapic_merge(&p->interrupts.lapic[vcpu]);
}

int platform_irq_ack(struct platform *p, unsigned vcpu, int vector)
{
	vector = vlapic_ack(&p->interrupts.lapic[vcpu], vector);
	if (vector >= 0)
		atomic_store_relaxed(&p->irqs[vcpu], p->irqs[vcpu] + 1);
	return vector;
}

unsigned platform_irq_tpr_threshold(struct platform *p, unsigned vcpu)
{
	return vlapic_tpr_threshold(&p->interrupts.lapic[vcpu]);
}

int platform_irq_sync_apicv(struct platform *p, unsigned vcpu, bool *extint, uint64_t eoi_exit[4])
{
	return vlapic_sync_apicv(&p->interrupts.lapic[vcpu], extint, eoi_exit);
}

void platform_apicv_eoi(struct platform *p, unsigned vcpu, uint8_t vector)
{
	vlapic_eoi_level(&p->interrupts.lapic[vcpu], vector);
}

void platform_apicv_write(struct platform *p, unsigned vcpu, unsigned offset)
{
	vlapic_written(&p->interrupts.lapic[vcpu], offset);
}

bool platform_irq_waiting(struct platform *p, unsigned vcpu)
{
	return vlapic_waiting(&p->interrupts.lapic[vcpu]);
}

uint8_t platform_irq_ppr(const struct platform *p, unsigned vcpu)
{
	return vlapic_ppr(&p->interrupts.lapic[vcpu]);
}
