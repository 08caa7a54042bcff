/* SPDX-License-Identifier: MIT */
/*
 * Scancodes, set 1: a key's number when it goes down, the same with bit 7 when it comes up. Keys that came after the
 * first PC's 84 have the prefix E0; Pause alone has E1. (IBM PS/2 technical reference; what is sent for a key is what
 * xterm and the VT220 send.)
 */
#include "drivers/console/kbd.h"

enum {
	SC_ESC = 0x01,
	SC_BACKSPACE = 0x0e,
	SC_TAB = 0x0f,
	SC_ENTER = 0x1c,
	SC_CTRL = 0x1d,
	SC_SHIFT_L = 0x2a,
	SC_SLASH = 0x35,
	SC_SHIFT_R = 0x36,
	SC_KP_STAR = 0x37,
	SC_ALT = 0x38,
	SC_SPACE = 0x39,
	SC_CAPS = 0x3a,
	SC_F1 = 0x3b,
	SC_F10 = 0x44,
	SC_NUM = 0x45,
	SC_SCROLL = 0x46,
	SC_KP_HOME = 0x47, /* ...0x53: the keypad, and with E0 the keys between */
	SC_KP_MINUS = 0x4a,
	SC_KP_PLUS = 0x4e,
	SC_KP_DEL = 0x53,
	SC_102ND = 0x56,
	SC_F11 = 0x57,
	SC_F12 = 0x58,
	SC_RELEASE = 0x80,
};

/* US layout, by scancode: without and with shift; 0: no character. */
static const char plain[0x3a] = "\0\0331234567890-=\177\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[0x3a] = "\0\033!@#$%^&*()_+\177\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";

/* 0x47 to 0x53 with num lock. */
static const char keypad[] = "789-456+1230.";
/* And without: a letter for ESC [ x, a digit for ESC [ n ~. */
static const char keypad_keys[] = "1A5-D\0C+4B623";

/* ESC [ n ~ of F5 to F12; F1 to F4 are ESC O P to ESC O S. */
static const uint8_t function_number[] = { 15, 17, 18, 19, 20, 21, 23, 24 };

void kbd_decoder_init(struct kbd_decoder *d)
{
	*d = (struct kbd_decoder){ .num = true };
}

uint8_t kbd_leds(const struct kbd_decoder *d)
{
	return (uint8_t)(d->scroll | d->num << 1 | d->caps << 2);
}

/* xterm's modifier parameter: 1 + shift 1 + alt 2 + ctrl 4; 1 is not sent. */
static unsigned modifiers(const struct kbd_decoder *d)
{
	return 1u + (d->shift_l || d->shift_r) + 2u * (d->alt_l || d->alt_r) + 4u * (d->ctrl_l || d->ctrl_r);
}

/* ESC [ A, ESC [ 1 ; 5 A, or in application mode ESC O A. */
static unsigned letter_key(const struct kbd_decoder *d, char letter, bool ss3, uint8_t *out)
{
	unsigned n = 0, m = modifiers(d);

	out[n++] = '\033';
	out[n++] = m == 1 && ss3 ? 'O' : '[';
	if (m != 1) {
		out[n++] = '1';
		out[n++] = ';';
		out[n++] = (uint8_t)('0' + m);
	}
	out[n++] = (uint8_t)letter;
	return n;
}

/* ESC [ 5 ~, ESC [ 15 ; 2 ~ */
static unsigned number_key(const struct kbd_decoder *d, unsigned number, uint8_t *out)
{
	unsigned n = 0, m = modifiers(d);

	out[n++] = '\033';
	out[n++] = '[';
	if (number >= 10)
		out[n++] = (uint8_t)('0' + number / 10);
	out[n++] = (uint8_t)('0' + number % 10);
	if (m != 1) {
		out[n++] = ';';
		out[n++] = (uint8_t)('0' + m);
	}
	out[n++] = '~';
	return n;
}

/* A character with alt is the character after ESC; with ctrl it becomes a control. */
static unsigned character(const struct kbd_decoder *d, uint8_t c, uint8_t *out)
{
	unsigned n = 0;

	if (d->ctrl_l || d->ctrl_r) {
		if (c == ' ' || c == '2')
			c = 0;
		else if (c >= '3' && c <= '7')
			c = (uint8_t)(c - '3' + 0x1b);
		else if (c == '/' || c == '-')
			c = 0x1f;
		else if (c == '8' || c == '?')
			c = 0x7f;
		else if (c >= '@' && c <= '~')
			c &= 0x1f;
		else if (c == 0x7f)
			c = 0x08;
	}
	if (d->alt_l || d->alt_r)
		out[n++] = '\033';
	out[n++] = c;
	return n;
}

static unsigned function_key(const struct kbd_decoder *d, unsigned number, uint8_t *out)
{
	if (number <= 4)
		return letter_key(d, (char)('P' + number - 1), true, out);
	return number_key(d, function_number[number - 5], out);
}

static unsigned keypad_key(const struct kbd_decoder *d, uint8_t sc, bool extended, uint8_t *out)
{
	unsigned i = sc - SC_KP_HOME;
	bool shift = d->shift_l || d->shift_r;
	char key = keypad_keys[i];

	if (!extended && (sc == SC_KP_MINUS || sc == SC_KP_PLUS || d->num != shift))
		return character(d, (uint8_t)keypad[i], out);
	if (!key || key == '-' || key == '+')
		return 0; /* the middle of the keypad; E0 4A and E0 4E are no keys */
	if (key >= 'A')
		return letter_key(d, key, d->app_cursor, out);
	return number_key(d, (unsigned)(key - '0'), out);
}

static unsigned press(struct kbd_decoder *d, uint8_t sc, bool extended, uint8_t *out)
{
	bool shift = d->shift_l || d->shift_r;
	char c;

	if (sc >= SC_KP_HOME && sc <= SC_KP_DEL)
		return keypad_key(d, sc, extended, out);
	/* Of the other keys with a prefix only these two send something. */
	if (extended && sc != SC_ENTER && sc != SC_SLASH)
		return 0;
	if (sc >= SC_F1 && sc <= SC_F10)
		return function_key(d, sc - SC_F1 + 1u, out);
	if (sc == SC_F11 || sc == SC_F12)
		return function_key(d, sc - SC_F11 + 11u, out);
	if (sc == SC_TAB && shift) {
		out[0] = '\033';
		out[1] = '[';
		out[2] = 'Z';
		return 3;
	}
	if (sc == SC_102ND)
		return character(d, shift ? '>' : '<', out);
	if (sc >= sizeof(plain))
		return 0;
	c = extended || !shift ? plain[sc] : shifted[sc];
	if (d->caps && plain[sc] >= 'a' && plain[sc] <= 'z')
		c = (char)(c ^ 0x20);
	return c ? character(d, (uint8_t)c, out) : 0;
}

/* True if the key is a modifier or a lock. */
static bool modifier(struct kbd_decoder *d, uint8_t sc, bool extended, bool down)
{
	bool *lock = sc == SC_CAPS ? &d->caps : sc == SC_NUM ? &d->num : &d->scroll;

	switch (sc) {
	case SC_SHIFT_L:
	case SC_SHIFT_R:
		/* With E0 it is none: the keyboard makes the keys between look like the keypad's. */
		if (!extended)
			*(sc == SC_SHIFT_L ? &d->shift_l : &d->shift_r) = down;
		return true;
	case SC_CTRL:
		*(extended ? &d->ctrl_r : &d->ctrl_l) = down;
		return true;
	case SC_ALT:
		*(extended ? &d->alt_r : &d->alt_l) = down;
		return true;
	case SC_CAPS:
	case SC_NUM:
	case SC_SCROLL:
		if (extended)
			return true; /* E0 46 is Break */
		if (down && d->lock_held != sc)
			*lock = !*lock;
		d->lock_held = down ? sc : 0;
		return true;
	}
	return false;
}

unsigned kbd_decode(struct kbd_decoder *d, uint8_t scancode, uint8_t out[KBD_BYTES_MAX])
{
	bool extended = d->prefix == 0xe0, down = !(scancode & SC_RELEASE);
	uint8_t key = scancode & 0x7f;

	if (d->skip) {
		d->skip--;
		return 0;
	}
	if (scancode == 0xe0) {
		d->prefix = scancode;
		return 0;
	}
	if (scancode == 0xe1) { /* Pause: E1 1D 45, then E1 9D C5 */
		d->skip = 2;
		return 0;
	}
	d->prefix = 0;
	if (modifier(d, key, extended, down) || !down)
		return 0;
	return press(d, key, extended, out);
}
