/* SPDX-License-Identifier: MIT */
/* Keys of a US keyboard: from ASCII and terminal sequences, between scan code sets. */
#include "guest/dev/vkbd_keys.h"

/*
 * The characters of the four rows, unshifted and shifted, each at the set 1 code that its key has:
 * index 0 is code 0x02 (the 1 key).
 */
static const char plain[] = "1234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./";
static const char shifted[] = "!@#$%^&*()_+\0\0QWERTYUIOP{}\0\0ASDFGHJKL:\"~\0|ZXCVBNM<>?";
#define FIRST 0x02
_Static_assert(
	sizeof(plain) == sizeof(shifted) && sizeof(plain) - 1 == 0x36 - FIRST, "one character for each key");

struct vkbd_key vkbd_key_of(uint8_t byte)
{
	struct vkbd_key key = { 0 };

	if (byte == 0x1b)
		return (struct vkbd_key){ .code = 0x01 };
	if (byte == ' ')
		return (struct vkbd_key){ .code = 0x39 };
	if (byte == 0x7f) /* what terminals send for Backspace */
		byte = '\b';
	else if (byte == '\n')
		byte = '\r';
	else if (byte == 0)
		return (struct vkbd_key){ .code = 0x03, .shift = true, .ctrl = true }; /* ^@ */
	if (byte < ' ' && byte != '\b' && byte != '\t' && byte != '\r') {
		key.ctrl = true;
		byte |= byte < 0x1b ? 0x60 : 0x40; /* ^A is ctrl-a, ^\ is ctrl-backslash */
	}
	for (unsigned i = 0; i < sizeof(plain) - 1; i++) {
		if ((uint8_t)plain[i] == byte || (uint8_t)shifted[i] == byte) {
			key.code = (uint16_t)(FIRST + i);
			key.shift = (uint8_t)plain[i] != byte;
			return key;
		}
	}
	return (struct vkbd_key){ 0 };
}

/* ESC [ letter, or ESC O letter. */
static uint16_t key_of_letter(uint8_t c)
{
	switch (c) {
	case 'A':
		return 0xe048; /* up */
	case 'B':
		return 0xe050; /* down */
	case 'C':
		return 0xe04d; /* right */
	case 'D':
		return 0xe04b; /* left */
	case 'H':
		return 0xe047; /* home */
	case 'F':
		return 0xe04f; /* end */
	case 'P':
	case 'Q':
	case 'R':
	case 'S':
		return (uint16_t)(0x3b + (c - 'P')); /* F1..F4 */
	default:
		return 0;
	}
}

/* ESC [ number ~ */
static uint16_t key_of_number(unsigned n)
{
	static const uint16_t codes[] = {
		[1] = 0xe047,
		[2] = 0xe052,
		[3] = 0xe053,
		[4] = 0xe04f,
		[5] = 0xe049,
		[6] = 0xe051, /* home, insert, ... */
		[11] = 0x3b,
		[12] = 0x3c,
		[13] = 0x3d,
		[14] = 0x3e,
		[15] = 0x3f, /* F1..F5 */
		[17] = 0x40,
		[18] = 0x41,
		[19] = 0x42,
		[20] = 0x43,
		[21] = 0x44, /* F6..F10 */
		[23] = 0x57,
		[24] = 0x58, /* F11, F12 */
	};

	return n < ARRAY_SIZE(codes) ? codes[n] : 0;
}

enum vkbd_sequence vkbd_sequence(const uint8_t *bytes, unsigned n, struct vkbd_key *key)
{
	unsigned number = 0;
	uint8_t last = bytes[n - 1];

	*key = (struct vkbd_key){ 0 };
	if (n < 2)
		return SEQUENCE_MORE;
	if (bytes[1] != '[' && bytes[1] != 'O')
		return SEQUENCE_NONE;
	if (n == 2)
		return SEQUENCE_MORE;
	for (unsigned i = 2; i < n - 1; i++)
		number = number * 10 + (bytes[i] - '0'); /* only digits get this far */
	if (last >= '0' && last <= '9' && bytes[1] == '[' && n <= 4)
		return SEQUENCE_MORE;
	if (last == '~' && n > 3)
		key->code = key_of_number(number);
	else if (n == 3)
		key->code = key_of_letter(last);
	return key->code ? SEQUENCE_KEY : SEQUENCE_NONE;
}

/* From set 2 (index) to set 1, as every i8042 does it; codes from 0x85 on pass unchanged. */
static const uint8_t translation[0x85] = {
	0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29,
	0x59, /* 00 */
	0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03,
	0x5b, /* 10 */
	0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06,
	0x5d, /* 20 */
	0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09,
	0x5f, /* 30 */
	0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c,
	0x61, /* 40 */
	0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63,
	0x76, /* 50 */
	0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f,
	0x6f, /* 60 */
	0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46,
	0x54,			      /* 70 */
	0x80, 0x81, 0x82, 0x41, 0x54, /* 80 */
};

uint8_t vkbd_set1(uint8_t code)
{
	return code < sizeof(translation) ? translation[code] : code;
}

uint8_t vkbd_set2(uint8_t code)
{
	for (unsigned i = 0; i < sizeof(translation); i++)
		if (translation[i] == code)
			return (uint8_t)i;
	return 0;
}
