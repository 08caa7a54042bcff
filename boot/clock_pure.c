/* SPDX-License-Identifier: MIT */
#include "boot/clock.h"

uint64_t calendar_to_unix(const struct calendar *c)
{
	/* Years that begin in March have the leap day at their end, and months of 30.6 days. */
	unsigned y = c->month <= 2 ? c->year - 1 : c->year, m = (c->month + 9) % 12;
	uint64_t days;
	int64_t seconds;

	if (c->year < 1970 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 || c->day > 31 ||
		c->hour > 23 || c->minute > 59 || c->second > 59)
		return 0;
	days = 365ull * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + c->day - 1;
	days -= 719468; /* from 0000-03-01 to 1970-01-01 */
	seconds = (int64_t)(days * 86400 + c->hour * 3600ull + c->minute * 60ull + c->second);
	if (c->zone >= -1440 && c->zone <= 1440)
		seconds += c->zone * 60; /* LocalTime = UTC - TimeZone */
	return seconds > 0 ? (uint64_t)seconds : 0;
}
