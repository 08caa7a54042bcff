/* SPDX-License-Identifier: MIT */
/* A rig for the tests of the local APIC: a VM of four vCPUs, and short names for what a vCPU does with its APIC. */
#pragma once

#include <cmocka.h>

#define RIG_VCPUS 4
#include "tests/support/rig/device_rig.h"

#define X2(off) (0x800 + ((off) >> 4))
#define BASE	0xfee00000ul

static inline int rdmsr_f(unsigned vcpu, uint32_t msr, uint64_t *v)
{
	return platform_apic_rdmsr(f->p, vcpu, msr, v);
}

static inline int wrmsr_f(unsigned vcpu, uint32_t msr, uint64_t v)
{
	return platform_apic_wrmsr(f->p, vcpu, msr, v);
}

/* Software-enables the APIC (SVR), with spurious vector FFh. */
static inline void enable(unsigned vcpu)
{
	lapic_wr(f, vcpu, APIC_SVR, 0x1ff);
}

static inline void enter_x2apic(unsigned vcpu)
{
	uint64_t base;

	assert_int_equal(rdmsr_f(vcpu, 0x1b, &base), 0);
	assert_int_equal(wrmsr_f(vcpu, 0x1b, base | 0x400), 0);
	assert_int_equal(wrmsr_f(vcpu, X2(APIC_SVR), 0x1ff), 0);
}

/* Sends an interrupt to the vCPU itself, by shorthand. */
static inline void self(unsigned vcpu, uint8_t vector)
{
	lapic_wr(f, vcpu, APIC_ICR, 0x40000 | vector);
}
