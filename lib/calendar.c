/* SPDX-License-Identifier: MIT */
#include "lib/calendar.h"

/* Years here begin in March, so that the leap day is the last: month m (0: March) begins (153 m + 2) / 5 days after that.
 * 400 years have 146097 days. */
#define ERA_DAYS   146097
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

uint64_t calendar_days(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;

	return (uint64_t)y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - EPOCH_DAYS;
}

void calendar_date(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	uint64_t z = days + EPOCH_DAYS, era = z / ERA_DAYS, of_era = z % ERA_DAYS;
	uint64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;

	*day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
	*month = (unsigned)(m < 10 ? m + 3 : m - 9);
	*year = (unsigned)(era * 400 + y + (*month <= 2));
}
