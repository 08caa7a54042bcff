/* SPDX-License-Identifier: MIT */
/* Calendar time to seconds, for the guests' clocks. Pure (boot/clock_pure.c). */
#pragma once

#include "lib/types.h"

struct calendar {					 /* as EFI_TIME has it (UEFI 8.3) */
	unsigned year, month, day, hour, minute, second; /* month and day from 1 */
	int zone; /* minutes east of UTC is negative, as UEFI counts; CALENDAR_NO_ZONE: local time, taken as UTC */
};
#define CALENDAR_NO_ZONE 2047

/* Seconds since 1970-01-01 00:00 UTC, or 0 if a field is out of range or the year is before 1970. */
uint64_t calendar_to_unix(const struct calendar *c);
