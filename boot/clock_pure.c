/* SPDX-License-Identifier: MIT */
#include "boot/clock.h"

#include "lib/calendar.h"

uint64_t calendar_to_unix(const struct calendar *c)
{
	int64_t seconds;

	if (c->year < 1970 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 || c->day > 31 ||
		c->hour > 23 || c->minute > 59 || c->second > 59)
		return 0;
	seconds = (int64_t)(calendar_days(c->year, c->month, c->day) * 86400 + c->hour * 3600ull +
			    c->minute * 60ull + c->second);
	if (c->zone >= -1440 && c->zone <= 1440)
		seconds += c->zone * 60; /* LocalTime = UTC - TimeZone */
	return seconds > 0 ? (uint64_t)seconds : 0;
}
