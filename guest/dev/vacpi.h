/* SPDX-License-Identifier: MIT */
/*
 * ACPI fixed hardware (ACPI 6.x chapter 4.8): PM1 event and control registers, PM timer; SCI on IRQ 9. There is no
 * legacy mode to leave: SCI_EN always reads 1.
 */
#pragma once

#include "guest/dev/device.h"

#define VACPI_PM1_EVENT	  0x600
#define VACPI_PM1_CONTROL 0x604
#define VACPI_PM_TIMER	  0x608
#define VACPI_PORTS	  12
#define VACPI_SCI	  9
#define VACPI_S5	  5 /* SLP_TYP that \_S5 names */
#define VACPI_RESET_PORT  0xcf9
#define VACPI_RESET_VALUE 0x06

struct vacpi {
	struct device dev;
	struct bus_range ports;
	struct irq_line sci;
	struct rate rate;
	uint16_t status, enable, control;
	uint8_t said;	    /* sleep types that the log has refused, a bit each: a guest may ask for ever */
	uint64_t seen_wrap; /* number of the timer's carries up to which TMR_STS was computed */
	struct vtimer timer;
};

void vacpi_power_button(struct vacpi *v);
