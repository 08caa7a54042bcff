/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's local APIC (SDM Vol. 3A chapter 10).
 *
 *	         any CPU                       |        the vCPU's own run loop
 *	I/O APIC, ICR, MSI --post--> pir ------+--sync--> IRR --ack--> ISR --EOI-->
 *	         8259 ----------> vpic.out ----+--ExtINT-->
 *
 * The architectural registers live in `page`, in the hardware's layout, since it may be the VMCS's virtual-APIC
 * page: then the CPU itself reads and changes TPR, PPR, IRR and ISR, and the guest writes other registers there.
 *
 * A local APIC has no lock. Only the vCPU's own run loop writes registers, and all fields that are not marked. Other CPUs
 * read registers (is this the destination?), set bits of `pir` and `errors`, and ask for INIT: all by atomics.
 */
#pragma once

#include "guest/dev/timer.h"
#include "lib/atomic.h"

struct interrupts;

/* Register offsets (SDM Vol. 3A table 10-1). */
#define APIC_ID		 0x020
#define APIC_VERSION	 0x030
#define APIC_TPR	 0x080
#define APIC_APR	 0x090
#define APIC_PPR	 0x0a0
#define APIC_EOI	 0x0b0
#define APIC_RRD	 0x0c0
#define APIC_LDR	 0x0d0
#define APIC_DFR	 0x0e0
#define APIC_SVR	 0x0f0
#define APIC_ISR	 0x100 /* 8 registers, 16 bytes apart; so are TMR and IRR */
#define APIC_TMR	 0x180
#define APIC_IRR	 0x200
#define APIC_ESR	 0x280
#define APIC_ICR	 0x300
#define APIC_ICR_HIGH	 0x310
#define APIC_LVT_TIMER	 0x320
#define APIC_LVT_THERMAL 0x330
#define APIC_LVT_PERF	 0x340
#define APIC_LVT_LINT0	 0x350
#define APIC_LVT_LINT1	 0x360
#define APIC_LVT_ERROR	 0x370
#define APIC_TIMER_INIT	 0x380
#define APIC_TIMER_NOW	 0x390
#define APIC_TIMER_DIV	 0x3e0
#define APIC_SELF_IPI	 0x3f0 /* x2APIC only */

#define ICR_DELIVERY_STATUS (1u << 12) /* read-only */

#define LVT_STATUS	 (1u << 12) /* delivery status; read-only, as is remote IRR */
#define LVT_REMOTE_IRR	 (1u << 14)
#define LVT_MASKED	 (1u << 16)
#define SVR_ENABLED	 (1u << 8)
#define SVR_NO_BROADCAST (1u << 12) /* EOI broadcast suppression */

#define ESR_SEND_VECTOR	   (1u << 5)
#define ESR_RECEIVE_VECTOR (1u << 6)
#define ESR_REGISTER	   (1u << 7)

#define APIC_BASE_BSP	 (1u << 8)
#define APIC_BASE_X2APIC (1u << 10)
#define APIC_BASE_ENABLE (1u << 11)

enum apic_delivery {
	DELIVER_FIXED,
	DELIVER_LOWEST,
	DELIVER_SMI,
	DELIVER_NMI = 4,
	DELIVER_INIT,
	DELIVER_SIPI,
	DELIVER_EXTINT
};

struct vlapic {
	struct interrupts *irqs;
	unsigned index; /* of the vCPU; also its APIC ID after reset */
	void *page;
	uint64_t base; /* IA32_APIC_BASE; atomic */

	/* What others posted; atomic. `posted` is set last and cleared first, so that a bit set meanwhile is never lost. */
	uint32_t posted;
	uint32_t init_pending;
	uint32_t pir[8], pir_level[8]; /* pir_level: 1 if the bit in pir came from a level-triggered source */

	int irrv, isrv;	     /* highest vector in IRR, in ISR; -1: none. Unused while `apicv` is set. */
	bool apicv;	     /* the CPU delivers by itself: IRR and ISR change behind our back */
	bool takes_extint;   /* LINT0 lets the 8259 through; atomic */
	bool extint_offered; /* the last sync answered with the 8259's vector */
	bool stale;	     /* with apicv: IRR or ISR differ from what the CPU's RVI and SVI say */
	uint32_t errors;     /* collected for the next write of ESR; atomic */
	uint32_t lvt_timer, divide; /* as last taken over: APICv has changed the page when we hear of it */

	/* vlapic_timer.c */
	struct vtimer timer;
	uint64_t start;	     /* guest TSC when the count was loaded */
	uint64_t count;	     /* as loaded at `start`; 0: stopped */
	uint64_t deadline;   /* IA32_TSC_DEADLINE as the guest wrote it; 0: disarmed */
	uint64_t tsc_adjust; /* the guest's TSC is the platform's clock plus this */
};

/* A register of the page. Relaxed atomics: other vCPUs read while the owner, or the CPU's APICv, writes. */
static inline uint32_t *vlapic_at(const struct vlapic *l, unsigned off)
{
	return (uint32_t *)((char *)l->page + off);
}
static inline uint32_t vlapic_get(const struct vlapic *l, unsigned off)
{
	return atomic_load_relaxed(vlapic_at(l, off));
}
static inline void vlapic_put(struct vlapic *l, unsigned off, uint32_t v)
{
	atomic_store_relaxed(vlapic_at(l, off), v);
}
static inline bool vlapic_x2(const struct vlapic *l)
{
	return atomic_load_relaxed(&l->base) & APIC_BASE_X2APIC;
}
/* Accepts fixed interrupts: enabled in IA32_APIC_BASE and in SVR. */
static inline bool vlapic_enabled(const struct vlapic *l)
{
	return (atomic_load_relaxed(&l->base) & APIC_BASE_ENABLE) && (vlapic_get(l, APIC_SVR) & SVR_ENABLED);
}

void vlapic_init(
	struct vlapic *l, struct interrupts *irqs, unsigned index, void *page, struct timer_queue *timers);
/* Power-up; the boot vCPU's is then set to virtual-wire mode as firmware does. */
void vlapic_reset(struct vlapic *l);

/* True if the mode has a register at this offset that can be read, or written (SDM Vol. 3A tables 10-1, 10-6). */
bool vlapic_has(unsigned off, bool x2apic, bool write);
/* Guest accesses by register offset (16-byte steps), from MMIO or an MSR alike. Own vCPU only. False: no such
 * register, or (write) a reserved bit that x2APIC mode checks. */
bool vlapic_read(struct vlapic *l, unsigned off, uint64_t *value);
bool vlapic_write(struct vlapic *l, unsigned off, uint64_t value);
bool vlapic_write_base(struct vlapic *l, uint64_t value); /* IA32_APIC_BASE; false: #GP */
/* The guest wrote the register in the page itself (APICv). */
void vlapic_written(struct vlapic *l, unsigned off);
void vlapic_error(struct vlapic *l, uint32_t esr_bit);
/* An INIT arrives, from any CPU: the APIC forgets what was posted, stops its timer and resets its registers when the
 * vCPU syncs. */
void vlapic_init_signal(struct vlapic *l);
void vlapic_reset_registers(struct vlapic *l);

/* Sets a vector pending. Any CPU. False: the APIC is off and drops it. */
bool vlapic_post(struct vlapic *l, uint8_t vector, bool level);
/* An LVT entry fires (timer, error). */
void vlapic_local(struct vlapic *l, unsigned lvt);
/* The 8259's INTR changed and this vCPU's LINT0 is not ExtINT: fixed and NMI modes of the pin. */
void vlapic_lint0(struct vlapic *l, bool rising);

/* vlapic_irq.c: own vCPU only. */
void vlapic_merge(struct vlapic *l); /* takes in what other CPUs have posted */
int vlapic_sync(struct vlapic *l);
int vlapic_ack(struct vlapic *l, int vector);
unsigned vlapic_tpr_threshold(struct vlapic *l);
int vlapic_sync_apicv(struct vlapic *l, bool *extint, uint64_t eoi_exit[4]);
/* With APICv: puts an edge-triggered vector of the vCPU's own making straight into IRR, as the CPU itself would, and returns
 * true; the caller has the CPU raise RVI. False: it must be posted. */
bool vlapic_take(struct vlapic *l, uint8_t vector);
void vlapic_eoi(struct vlapic *l);
void vlapic_eoi_level(struct vlapic *l, uint8_t vector); /* what follows for the I/O APIC */
bool vlapic_waiting(struct vlapic *l);
uint8_t vlapic_ppr(const struct vlapic *l); /* computed from TPR and ISR */

/* vlapic_timer.c */
void vlapic_timer_init(struct vlapic *l, struct timer_queue *timers);
void vlapic_timer_reset(struct vlapic *l);
void vlapic_timer_start(struct vlapic *l, uint32_t count); /* a write of the initial count */
void vlapic_timer_divide(struct vlapic *l, uint32_t dcr);
void vlapic_timer_lvt(struct vlapic *l, uint32_t lvt); /* the LVT entry changed */
uint32_t vlapic_timer_current(const struct vlapic *l);
uint64_t vlapic_timer_deadline(const struct vlapic *l);
/* True if it is over: the timer's LVT entry fires now, which is left to the caller. */
bool vlapic_timer_set_deadline(struct vlapic *l, uint64_t tsc);
void vlapic_timer_tsc_adjust(struct vlapic *l, uint64_t adjust);

/* vlapic_icr.c: interrupt messages and the vCPUs that they address. */
struct apic_msg {
	uint32_t dest;
	bool logical;
	bool wide; /* dest has 32 bits (an x2APIC's ICR); otherwise 8 */
	enum apic_delivery delivery;
	uint8_t vector;
	bool level;
};
/* True if this write of an x2APIC's ICR is a fixed interrupt to the vCPU itself by shorthand, and no error. */
bool icr_is_self(uint64_t icr);
/* ICR written. False: reserved bits (x2APIC: #GP). */
bool vlapic_icr(struct vlapic *l, uint64_t icr);
void vlapic_self_ipi(struct vlapic *l, uint8_t vector);
