/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of this CPU, in xAPIC (memory) or x2APIC (MSR) mode (SDM Vol. 3A 10). Every function acts on the
 * CPU that calls it; no locks; interrupts off.
 */
#pragma once

#include "lib/bits.h"
#include "lib/types.h"

/* Maps the registers (xAPIC) and decides on the mode for all CPUs: x2APIC if firmware left it on, or if want_x2apic
 * (an APIC ID above 254 needs it) and the CPU has it; it cannot be left again. Where the CPU has none, CPUs with such IDs are
 * out of reach. First CPU, hostmap active. 0; -E_NOSUP: no local APIC; -E_NOMEM. */
int lapic_init(bool want_x2apic);
/*
 * Each CPU, the first one too: same mode as the first; masks every LVT entry (timer first: the firmware's may be
 * ticking) but those that raise SMIs, which the others get as the first has them; ends whatever interrupt the firmware
 * left in service, drops what can be dropped, enables with the spurious vector. LINT1 is left as NMI input. 0 or -E_IO
 * (globally disabled: clearing that bit is for good).
 */
int lapic_init_cpu(uint8_t spurious_vector);

/* Is this LVT or I/O APIC entry (low half: both have the delivery mode in 10:8 and the mask in 16) one by which firmware gets
 * system-management interrupts? Then it stays as it is: the thermal sensor's keeps laptops from overheating. */
static inline bool lapic_entry_is_smi(uint32_t low)
{
	return bits_get(low, 10, 8) == 2 && !(low & BIT(16));
}

bool lapic_x2apic(void);
uint32_t lapic_id(void);
void lapic_eoi(void);

/* Inter-processor interrupts to one CPU by its APIC ID. They return once the local APIC has accepted the command
 * (bounded). 0, -E_TIMEOUT, or -E_RANGE (ID above 254 in xAPIC mode). */
int lapic_ipi(uint32_t apic_id, uint8_t vector);
int lapic_nmi(uint32_t apic_id);
/* Start-up (SDM Vol. 3A 8.4.4.1): INIT, 10 ms, SIPI, 200 us, SIPI. `page`: the trampoline, below 1 MiB.
 * Needs time_init(). 0 or an error of lapic_ipi; says nothing about whether the CPU runs. */
int lapic_start_cpu(uint32_t apic_id, hpa_t page);
/* INIT alone: it stops, wherever it is, and waits for a SIPI. Needs time_init(). 0 or an error of lapic_ipi. */
int lapic_hold_cpu(uint32_t apic_id);
/* False: lapic_init() was not called yet, so no interrupt can be sent. */
bool lapic_usable(void);

/*
 * CPUs whose TSC-deadline timer may fire at a wrong time until a microcode update mends it (Haswell to Kaby
 * Lake; Intel's specification updates). Pure (lapic_pure.c). signature: CPUID.1:EAX.
 *
 * The least revision with which it is right; 0: it is right with any.
 */
uint32_t lapic_deadline_microcode(uint32_t signature);
/* True: not to be used with this revision. Revision 0 (no update at all) counts as right: the firmware of every CPU of the
 * list loads one, so this is an emulator of one that does not show a hypervisor's CPUID bit. */
bool lapic_deadline_wrong(uint32_t signature, uint32_t revision);

/* The host's timer. Calibrated against the TSC by lapic_timer_init() (first CPU; after time_init()). */
void lapic_timer_init(void);
/* Each CPU: the vector it raises. */
void lapic_timer_init_cpu(uint8_t vector);
/* One interrupt when the TSC reaches `deadline` (soon, if that is past); replaces an earlier one. Where the CPU has no
 * TSC-deadline timer that is right it may come early, by rounding or because the counter has only 32 bits: the
 * handler looks at the clock. */
void lapic_timer_at(uint64_t deadline);
