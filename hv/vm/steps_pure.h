/* SPDX-License-Identifier: MIT */
/*
 * What is made in steps and undone in pieces: a table says for each step how it is made, and how it is given back.
 *
 *	step		0	1	2	3
 *	steps_make	make	make	make	fails		*made = 3 + 1: what of step 3 was made is given back, too
 *	steps_unmake				<-- unmake, a piece a call, until step 0 is undone
 *
 * Pure (hv/vm/steps_pure.c).
 */
#pragma once

#include "lib/types.h"

struct step {
	const char *what; /* for people: "its RAM" */
	/* 0, or a negative error; then what it has made so far stays for unmake. */
	int (*make)(void *of);
	/* Gives a piece back that takes no longer than hv/clock.h allows; true: nothing of the step is left. It must cope with a step
	 * that was never made, or made in part. NULL: there is nothing to give back. */
	bool (*unmake)(void *of);
};

/* Makes n steps in order, and stops at the first that fails. Returns 0 or its error; *made: how many have begun. */
int steps_make(const struct step *s, unsigned n, void *of, unsigned *made);
/* Undoes a piece of the last of the *made steps, and names the step in *what. True: no step is left. */
bool steps_unmake(const struct step *s, unsigned *made, void *of, const char **what);
