/* SPDX-License-Identifier: MIT */
/* Formatting into a buffer (lib/printf.h says which subset). */
#include "lib/printf.h"

#include "lib/string.h"

struct out {
	char *buf;
	size_t size, n; /* n counts on past the end, as snprintf does */
};

struct spec {
	bool left, zero, plus, space, alt, precise;
	int width, precision;
	unsigned bytes; /* of the integer argument */
};

static void put(struct out *o, char c)
{
	if (o->n + 1 < o->size)
		o->buf[o->n] = c;
	o->n++;
}

static void put_run(struct out *o, const char *text, size_t n)
{
	if (o->n + 1 < o->size)
		memcpy(o->buf + o->n, text, min(n, o->size - 1 - o->n));
	o->n += n;
}

static void pad(struct out *o, char c, int n)
{
	if (n <= 0)
		return;
	if (o->n + 1 < o->size)
		memset(o->buf + o->n, c, min((size_t)n, o->size - 1 - o->n));
	o->n += (size_t)n;
}

static void put_text(struct out *o, const struct spec *s, const char *text, size_t n)
{
	int fill = s->width - (int)n;

	if (!s->left)
		pad(o, ' ', fill);
	put_run(o, text, n);
	if (s->left)
		pad(o, ' ', fill);
}

static void put_number(
	struct out *o, const struct spec *s, uint64_t v, unsigned base, bool upper, const char *sign)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char tmp[24], *at = tmp + sizeof(tmp);
	int n, zeros, fill;

	if (base == 16)
		for (; v; v >>= 4)
			*--at = digits[v & 15];
	else
		for (; v; v /= base)
			*--at = digits[v % base];
	if (at == tmp + sizeof(tmp) && !(s->precise && !s->precision))
		*--at = '0';
	n = (int)(tmp + sizeof(tmp) - at);
	zeros = s->precise ? s->precision - n : 0;
	zeros = max(zeros, 0);
	fill = s->width - n - zeros - (int)strlen(sign);
	if (s->zero && !s->left && !s->precise && fill > 0) {
		zeros += fill;
		fill = 0;
	}
	if (!s->left)
		pad(o, ' ', fill);
	while (*sign)
		put(o, *sign++);
	pad(o, '0', zeros);
	put_run(o, at, (size_t)n);
	if (s->left)
		pad(o, ' ', fill);
}

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++)
		switch (*f) {
		case '-':
			s->left = true;
			break;
		case '0':
			s->zero = true;
			break;
		case '+':
			s->plus = true;
			break;
		case ' ':
			s->space = true;
			break;
		case '#':
			s->alt = true;
			break;
		default:
			return f;
		}
}

static const char *parse_digits(const char *f, int *n)
{
	for (*n = 0; *f >= '0' && *f <= '9'; f++)
		if (*n < 10000)
			*n = *n * 10 + (*f - '0');
	return f;
}

static const char *parse_length(const char *f, struct spec *s)
{
	s->bytes = 4;
	if (f[0] == 'h') {
		s->bytes = f[1] == 'h' ? 1 : 2;
		return f + (f[1] == 'h' ? 2 : 1);
	}
	if (f[0] == 'l' || f[0] == 'z' || f[0] == 'j' || f[0] == 't') {
		s->bytes = 8;
		return f + (f[0] == 'l' && f[1] == 'l' ? 2 : 1);
	}
	return f;
}

static uint64_t unsigned_arg(va_list *ap, unsigned bytes)
{
	uint64_t v = bytes == 8 ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned);

	return bytes == 1 ? (uint8_t)v : bytes == 2 ? (uint16_t)v : v;
}

static int64_t signed_arg(va_list *ap, unsigned bytes)
{
	int64_t v = bytes == 8 ? va_arg(*ap, int64_t) : va_arg(*ap, int);

	return bytes == 1 ? (int8_t)v : bytes == 2 ? (int16_t)v : v;
}

static void convert(struct out *o, struct spec *s, char c, va_list *ap)
{
	int64_t i;
	uint64_t u;
	const char *text;
	char one;

	switch (c) {
	case 'd':
	case 'i':
		i = signed_arg(ap, s->bytes);
		put_number(o, s, i < 0 ? 0 - (uint64_t)i : (uint64_t)i, 10, false,
			i < 0	   ? "-"
			: s->plus  ? "+"
			: s->space ? " "
				   : "");
		break;
	case 'u':
	case 'o':
		put_number(o, s, unsigned_arg(ap, s->bytes), c == 'u' ? 10 : 8, false, "");
		break;
	case 'x':
	case 'X':
		u = unsigned_arg(ap, s->bytes);
		put_number(o, s, u, 16, c == 'X', s->alt && u ? c == 'X' ? "0X" : "0x" : "");
		break;
	case 'p':
		put_number(o, s, (uintptr_t)va_arg(*ap, void *), 16, false, "0x");
		break;
	case 'c':
		one = (char)va_arg(*ap, int);
		put_text(o, s, &one, 1);
		break;
	case 's':
		text = va_arg(*ap, const char *);
		if (!text)
			text = "(null)";
		put_text(o, s, text, s->precise ? strnlen(text, (size_t)s->precision) : strlen(text));
		break;
	case '%':
		put(o, '%');
		break;
	default: /* unknown: show it, do not guess at its argument */
		put(o, '%');
		put(o, c);
	}
}

int fmt_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap0)
{
	struct out o = { buf, size, 0 };
	va_list ap;

	va_copy(ap, ap0);
	while (*fmt) {
		struct spec s = { 0 };

		if (*fmt != '%') {
			const char *run = fmt;

			while (*fmt && *fmt != '%')
				fmt++;
			put_run(&o, run, (size_t)(fmt - run));
			continue;
		}
		fmt = parse_flags(fmt + 1, &s);
		if (*fmt == '*') {
			s.width = va_arg(ap, int);
			if (s.width < 0) {
				s.left = true;
				s.width = -s.width;
			}
			fmt++;
		} else {
			fmt = parse_digits(fmt, &s.width);
		}
		if (*fmt == '.') {
			s.precise = true;
			if (*++fmt == '*') {
				s.precision = va_arg(ap, int);
				s.precise = s.precision >= 0;
				fmt++;
			} else {
				fmt = parse_digits(fmt, &s.precision);
			}
		}
		fmt = parse_length(fmt, &s);
		if (!*fmt)
			break;
		convert(&o, &s, *fmt++, &ap);
	}
	va_end(ap);
	if (size)
		buf[o.n < size ? o.n : size - 1] = 0;
	return (int)o.n;
}

size_t fmt_bytes(char *buf, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		buf[3 * i] = digits[bytes[i] >> 4];
		buf[3 * i + 1] = digits[bytes[i] & 15];
		buf[3 * i + 2] = ' ';
	}
	buf[3 * n] = 0;
	return 3 * n;
}

int fmt_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = fmt_vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
