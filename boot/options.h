/* SPDX-License-Identifier: MIT */
/*
 * Load options: words behind Lethe's name in the UEFI shell, or given to the boot manager (efibootmgr -u):
 *
 *	conf=FILE		 this file instead of lethe.conf
 *	kernel=FILE initrd=FILE	 no lethe.conf: one VM with this kernel (and initrd)
 *	cmdline=TEXT...		 its command line: the rest of the line
 *	report			 write lethe-report.txt and go back to the firmware
 *	nowait			 do not wait for a key before going back
 */
#pragma once

#include "guest/conf/conf.h"

struct options {
	char conf[CONF_PATH_MAX], kernel[CONF_PATH_MAX], initrd[CONF_PATH_MAX]; /* "": not given */
	char cmdline[CONF_CMDLINE_MAX];
	bool has_cmdline, report, nowait;
	char wrong[96]; /* what was wrong with the first option that was, "" if none */
};

/* units: the LoadOptions as the firmware gives them: UCS-2, not always ended by a 0, sometimes no text at all
 * (boot managers keep binary marks there: then there are no options). */
void options_parse(const uint16_t *units, size_t n, struct options *o);
