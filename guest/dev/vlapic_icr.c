/* SPDX-License-Identifier: MIT */
/* Interrupt messages: the ICR, destinations, lowest priority (SDM Vol. 3A 10.6, 10.12.10). */
#include "guest/dev/irq.h"

#include "guest/dev/platform.h"
#include "lib/bits.h"
#include "lib/log.h"

#define ICR_LOGICAL	 BIT(11)
#define ICR_ASSERT	 BIT(14)
#define ICR_LEVEL	 BIT(15)
#define ICR_RESERVED	 (BITS(31, 20) | BITS(17, 16) | BIT(13))
#define SHORTHAND_NONE	 0
#define SHORTHAND_SELF	 1
#define SHORTHAND_ALL	 2
#define SHORTHAND_OTHERS 3

#define DFR_FLAT 0xf

static bool lapic_match_physical(const struct vlapic *l, const struct apic_msg *m)
{
	return m->dest == (m->wide ? 0xffffffffu : 0xffu) || m->dest == l->index;
}

static bool lapic_match_logical(const struct vlapic *l, const struct apic_msg *m)
{
	uint32_t ldr = vlapic_get(l, APIC_LDR);

	if (m->dest == (m->wide ? 0xffffffffu : 0xffu))
		return true;
	if (vlapic_x2(l)) /* cluster in bits 31:16, a bit for each of its 16 APICs */
		return m->dest >> 16 == ldr >> 16 && (m->dest & ldr & 0xffff);
	if (m->wide)
		return false;
	ldr >>= 24;
	if (vlapic_get(l, APIC_DFR) >> 28 == DFR_FLAT)
		return ldr & m->dest;
	/* Cluster model: cluster in bits 7:4, a bit for each of its four APICs. */
	return m->dest >> 4 == ldr >> 4 && (ldr & m->dest & 0xf);
}

/* Returns the set of vCPUs that m addresses. */
static uint64_t lapic_addressed(struct interrupts *s, const struct apic_msg *m)
{
	uint64_t set = 0;

	for (unsigned i = 0; i < s->vcpus; i++) {
		const struct vlapic *l = &s->lapic[i];

		if (!(atomic_load_relaxed(&l->base) & APIC_BASE_ENABLE))
			continue;
		if (m->logical ? lapic_match_logical(l, m) : lapic_match_physical(l, m))
			set |= BIT(i);
	}
	return set;
}

/* Returns the vCPU with the lowest priority of those that accept interrupts; of several such, they take turns. */
static uint64_t lapic_lowest(struct interrupts *s, uint64_t set)
{
	unsigned best = CPUS_MAX, best_ppr = 256, turn = atomic_load_relaxed(&s->lowest_turn);

	for (unsigned n = 0; n < s->vcpus; n++) {
		unsigned i = (turn + n) % s->vcpus, ppr;

		if (!(set & BIT(i)) || !vlapic_enabled(&s->lapic[i]))
			continue;
		ppr = vlapic_ppr(&s->lapic[i]);
		if (ppr < best_ppr) {
			best = i;
			best_ppr = ppr;
		}
	}
	if (best == CPUS_MAX)
		return 0;
	atomic_store_relaxed(&s->lowest_turn, best + 1);
	return BIT(best);
}

static bool lapic_deliver_one(struct interrupts *s, unsigned to, const struct apic_msg *m)
{
	switch (m->delivery) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		return vlapic_post(&s->lapic[to], m->vector, m->level);
	case DELIVER_NMI:
		s->ops->nmi(s->vm, to);
		return true;
	case DELIVER_INIT:
		vlapic_init_signal(&s->lapic[to]);
		s->ops->init(s->vm, to);
		return true;
	case DELIVER_SIPI:
		s->ops->sipi(s->vm, to, m->vector);
		return true;
	case DELIVER_SMI: /* there is no system management mode to enter */
	case DELIVER_EXTINT:
		break;
	}
	return false;
}

static bool lapic_deliver_set(struct interrupts *s, uint64_t set, const struct apic_msg *m)
{
	bool taken = false;

	if (m->delivery == DELIVER_LOWEST)
		set = lapic_lowest(s, set);
	if (m->delivery == DELIVER_FIXED)
		for (; set; set &= set - 1)
			taken |= vlapic_post(&s->lapic[bit_lowest(set)], m->vector, m->level);
	while (set) {
		unsigned i = bit_lowest(set);

		set &= set - 1;
		taken |= lapic_deliver_one(s, i, m);
	}
	return taken;
}

bool apic_send(struct interrupts *s, const struct apic_msg *m)
{
	if (m->delivery == DELIVER_EXTINT && !atomic_xchg(&s->extint_refused, true))
		log_warn("vm %s: ExtINT through the I/O APIC is not supported; use LINT0 of the local APIC",
			s->name);
	return lapic_deliver_set(s, lapic_addressed(s, m), m);
}

bool icr_is_self(uint64_t icr)
{
	return (icr & (ICR_RESERVED | BITS(19, 18) | BITS(10, 8))) == (uint64_t)SHORTHAND_SELF << 18 &&
	       (uint8_t)icr >= 16;
}

bool vlapic_icr(struct vlapic *l, uint64_t icr)
{
	struct interrupts *s = l->irqs;
	struct apic_msg m = {
		.logical = icr & ICR_LOGICAL,
		.wide = vlapic_x2(l),
		.delivery = (enum apic_delivery)bits_get(icr, 10, 8),
		.vector = (uint8_t)icr,
	};
	uint64_t everyone = s->vcpus == 64 ? ~0ull : BIT(s->vcpus) - 1, set;

	if (m.wide) {
		if (icr & ICR_RESERVED)
			return false;
		m.dest = (uint32_t)(icr >> 32);
		vlapic_put(l, APIC_ICR + 4, m.dest);
	} else {
		m.dest = vlapic_get(l, APIC_ICR_HIGH) >> 24;
	}
	/* The message leaves at once: delivery status (bit 12) is never seen set. */
	vlapic_put(l, APIC_ICR, (uint32_t)icr & ~(uint32_t)(ICR_RESERVED | ICR_DELIVERY_STATUS));

	if ((m.delivery == DELIVER_FIXED || m.delivery == DELIVER_LOWEST) && m.vector < 16) {
		vlapic_error(l, ESR_SEND_VECTOR);
		return true;
	}
	/* INIT level de-assert only synchronised arbitration IDs of old CPUs. */
	if (m.delivery == DELIVER_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
		return true;
	switch (bits_get(icr, 19, 18)) {
	case SHORTHAND_SELF:
		set = BIT(l->index);
		break;
	case SHORTHAND_ALL:
		set = everyone;
		break;
	case SHORTHAND_OTHERS:
		set = everyone & ~BIT(l->index);
		break;
	default:
		set = lapic_addressed(s, &m);
		break;
	}
	/* SDM table 10-4: with a shorthand that includes the sender only fixed interrupts are valid. */
	if ((bits_get(icr, 19, 18) == SHORTHAND_SELF || bits_get(icr, 19, 18) == SHORTHAND_ALL) &&
		m.delivery != DELIVER_FIXED)
		set &= ~BIT(l->index);
	lapic_deliver_set(s, set, &m);
	return true;
}

void vlapic_self_ipi(struct vlapic *l, uint8_t vector)
{
	if (vector < 16)
		vlapic_error(l, ESR_SEND_VECTOR);
	else
		vlapic_post(l, vector, false);
}
