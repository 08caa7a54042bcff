/* SPDX-License-Identifier: MIT */
/* Days of the Gregorian calendar. */
#pragma once

#include "lib/types.h"

/* Returns the days from 1970-01-01 to a day, which is not before it. month and day count from 1. */
uint64_t calendar_days(unsigned year, unsigned month, unsigned day);
/* The day that lies so many days behind 1970-01-01. */
void calendar_date(uint64_t days, unsigned *year, unsigned *month, unsigned *day);
