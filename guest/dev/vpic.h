/* SPDX-License-Identifier: MIT */
/*
 * The pair of 8259A interrupt controllers of a PC (Intel 8259A datasheet; ELCR: PIIX/ICH datasheets).
 *
 *	IRQ 0,1,3..7 ---> master --INTR--> `out` ---> vCPUs whose LINT0 takes ExtINT
 *	IRQ 8..15 --> slave --IR2--^
 */
#pragma once

#include "guest/dev/device.h"

struct vpic_chip {
	uint8_t irr, imr, isr;
	uint8_t lines;	/* level of the inputs now */
	uint8_t elcr;	/* 1: level-triggered */
	uint8_t base;	/* ICW2: vector of IR0 */
	uint8_t lowest; /* IR that has the lowest priority (7 unless rotated) */
	uint8_t icw;	/* next initialisation word expected: 2, 3, 4; 0: none */
	bool icw4_wanted, level_all, cascade, auto_eoi, rotate_auto, special_mask, nested_special, read_isr,
		poll;
};

struct vpic {
	struct device dev;
	struct bus_range ports[3];
	struct vpic_chip chip[2];
	int out; /* vector that the CPU would be given, -1: INTR is low. Atomic: vCPUs read it without the lock. */
};

/* With interrupts.lock held. */
void vpic_set(struct vpic *v, unsigned irq, bool level); /* irq 0..15 but 2 */
/* The acknowledge cycle (two INTA pulses). The vector; IR7's if the request went away meanwhile. */
uint8_t vpic_ack(struct vpic *v);
