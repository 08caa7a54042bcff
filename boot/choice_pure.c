/* SPDX-License-Identifier: MIT */
/* Chooses the kernel where no option and no lethe.conf names one. */
#include "boot/choice.h"

#include "lib/string.h"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What follows the prefix, whose case does not matter (FAT keeps none), or NULL. */
static const char *after(const char *name, const char *prefix)
{
	for (; *prefix; name++, prefix++)
		if (lower(*name) != lower(*prefix))
			return NULL;
	return name;
}

static const char *after_any(const char *name, const char *const *prefixes, unsigned n)
{
	const char *rest = NULL;

	for (unsigned i = 0; i < n && !rest; i++)
		rest = after(name, prefixes[i]);
	return rest;
}

static const char *kernel_rest(const char *name)
{
	static const char *const prefixes[] = { "vmlinuz", "bzImage", "kernel" };

	return after_any(name, prefixes, ARRAY_SIZE(prefixes));
}

static const char *initrd_rest(const char *name)
{
	static const char *const prefixes[] = { "initrd.img", "initramfs.img", "initrd", "initramfs" };

	return after_any(name, prefixes, ARRAY_SIZE(prefixes));
}

static size_t digits(const char *s)
{
	size_t n = 0;

	while (is_digit(s[n]))
		n++;
	return n;
}

int choice_compare(const char *a, const char *b)
{
	while (*a && *b) {
		if (is_digit(*a) && is_digit(*b)) {
			size_t na, nb;
			int order;

			while (*a == '0')
				a++;
			while (*b == '0')
				b++;
			na = digits(a);
			nb = digits(b);
			if (na != nb)
				return na < nb ? -1 : 1;
			order = strncmp(a, b, na);
			if (order)
				return order;
			a += na;
			b += nb;
			continue;
		}
		if (lower(*a) != lower(*b))
			return (unsigned char)lower(*a) - (unsigned char)lower(*b);
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

/* Is this initrd named after that version: initrd.img-6.1.0, initramfs-6.1.0.img? */
static bool has_version(const char *initrd_tail, const char *version)
{
	const char *rest = after(initrd_tail, version);

	return *version && rest &&
	       (!*rest || !strcmp(rest, ".img") || !strcmp(rest, ".gz") || !strcmp(rest, ".cpio"));
}

static bool has_no_version(const char *initrd_tail)
{
	return !*initrd_tail || *initrd_tail == '.';
}

void choice_see(struct choice *c, int pass, const char *name)
{
	const char *rest = pass == 1 ? kernel_rest(name) : initrd_rest(name);

	if (!rest || strnlen(name, CONF_PATH_MAX) >= CONF_PATH_MAX)
		return;
	if (pass == 1) {
		c->kernels++;
		if (!c->kernel[0] || choice_compare(kernel_rest(c->kernel), rest) < 0)
			str_copy(c->kernel, sizeof(c->kernel), name);
	} else if (c->kernel[0] &&
		   (has_version(rest, kernel_rest(c->kernel)) || (!c->initrd[0] && has_no_version(rest)))) {
		str_copy(c->initrd, sizeof(c->initrd), name);
	}
}
