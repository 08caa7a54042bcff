/* SPDX-License-Identifier: MIT */
#include "hv/vm/steps_pure.h"

int steps_make(const struct step *s, unsigned n, void *of, unsigned *made)
{
	int err = 0;

	for (*made = 0; !err && *made < n; ++*made)
		err = s[*made].make(of);
	return err;
}

bool steps_unmake(const struct step *s, unsigned *made, void *of, const char **what)
{
	const struct step *last;

	if (!*made)
		return true;
	last = &s[*made - 1];
	*what = last->what;
	if (!last->unmake || last->unmake(of))
		--*made;
	return !*made;
}
