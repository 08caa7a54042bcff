/* SPDX-License-Identifier: MIT */
/* The PS/2 keyboard: its commands, its queue, and the keys that typed bytes stand for (vkbd_keys.c). */
#include "guest/dev/vkbc.h"
#include "guest/dev/vkbd_keys.h"

#include "lib/string.h"

#define ACK	     0xfa
#define RESEND	     0xfe
#define SELF_TEST_OK 0xaa
#define ECHO	     0xee
#define BREAK2	     0xf0 /* set 2: the next code is a release */
#define EXTENDED     0xe0

#define ESCAPE_MS 30 /* an ESC that nothing follows is the key */

static void kbd_put(struct vkbd *k, uint8_t byte)
{
	if (k->count < VKBD_QUEUE)
		k->queue[(k->head + k->count++) % VKBD_QUEUE] = byte;
}

bool vkbd_pop(struct vkbd *k, uint8_t *byte)
{
	if (!k->count)
		return false;
	*byte = k->last = k->queue[k->head];
	k->head = (k->head + 1) % VKBD_QUEUE;
	k->count--;
	return true;
}

bool vkbd_room(const struct vkbd *k)
{
	/* An abandoned escape sequence turns into as many keys as it has bytes. */
	return VKBD_QUEUE - k->count >= (sizeof(k->escape) + 1) * VKBD_KEY_BYTES / 2;
}

/* key: code of set 1, with 0xe000 for the extended ones. */
static void kbd_put_key(struct vkbd *k, uint16_t key, bool release)
{
	uint8_t code = (uint8_t)key;

	if (key >> 8)
		kbd_put(k, EXTENDED);
	if (k->set == 1) {
		kbd_put(k, release ? code | 0x80 : code);
		return;
	}
	if (release)
		kbd_put(k, BREAK2);
	kbd_put(k, vkbd_set2(code));
}

static void kbd_stroke(struct vkbd *k, struct vkbd_key key)
{
	if (!key.code || !k->scanning)
		return;
	if (key.ctrl)
		kbd_put_key(k, KEY_CTRL, false);
	if (key.shift)
		kbd_put_key(k, KEY_SHIFT, false);
	kbd_put_key(k, key.code, false);
	kbd_put_key(k, key.code, true);
	if (key.shift)
		kbd_put_key(k, KEY_SHIFT, true);
	if (key.ctrl)
		kbd_put_key(k, KEY_CTRL, true);
}

/* The bytes of an escape sequence that stands for no key are typed one by one. */
static void kbd_give_up_escape(struct vkbd *k)
{
	unsigned n = k->escapes;

	k->escapes = 0;
	timer_stop(&k->timer);
	for (unsigned i = 0; i < n; i++)
		kbd_stroke(k, vkbd_key_of(k->escape[i]));
}

static void kbd_escape_byte(struct vkbd *k, uint8_t byte)
{
	struct vkbd_key key;

	k->escape[k->escapes++] = byte;
	if (k->escapes == 1) {
		timer_arm(
			&k->timer, tsc_after(device_now(k->kbc), vclock_ms(k->kbc->board->clock, ESCAPE_MS)));
		return;
	}
	switch (vkbd_sequence(k->escape, k->escapes, &key)) {
	case SEQUENCE_KEY:
		k->escapes = 0;
		timer_stop(&k->timer);
		kbd_stroke(k, key);
		break;
	case SEQUENCE_NONE:
		kbd_give_up_escape(k);
		break;
	case SEQUENCE_MORE:
		if (k->escapes == sizeof(k->escape))
			kbd_give_up_escape(k);
		break;
	}
}

void vkbd_type(struct vkbd *k, uint8_t byte)
{
	if (k->escapes || byte == 0x1b)
		kbd_escape_byte(k, byte);
	else
		kbd_stroke(k, vkbd_key_of(byte));
}

static void kbd_fire(struct vtimer *t, uint64_t now)
{
	struct vkbd *k = container_of(t, struct vkbd, timer);

	kbd_give_up_escape(k);
	vkbc_refill(container_of(k, struct vkbc, kbd));
}

static void kbd_defaults(struct vkbd *k)
{
	k->set = 2;
	k->command = 0;
	k->head = k->count = k->escapes = 0;
	timer_stop(&k->timer);
}

/* The byte after ED, F0 or F3. */
static void kbd_parameter(struct vkbd *k, uint8_t command, uint8_t byte)
{
	if (command == 0xf0 && byte > 2) { /* set 3 is one that no system of this century uses */
		kbd_put(k, RESEND);
		return;
	}
	kbd_put(k, ACK);
	if (command == 0xf0 && byte == 0)
		kbd_put(k, k->set);
	else if (command == 0xf0)
		k->set = byte;
}

void vkbd_command(struct vkbd *k, uint8_t byte)
{
	uint8_t waiting = k->command;

	k->command = 0;
	if (waiting && byte < 0x80) {
		kbd_parameter(k, waiting, byte);
		return;
	}
	switch (byte) {
	case 0xed: /* LEDs */
	case 0xf0: /* scan code set */
	case 0xf3: /* typematic rate */
		k->command = byte;
		kbd_put(k, ACK);
		break;
	case 0xee:
		kbd_put(k, ECHO);
		break;
	case 0xf2: /* identify */
		kbd_put(k, ACK);
		kbd_put(k, 0xab);
		kbd_put(k, 0x83);
		break;
	case 0xf4: /* enable scanning; forgets what waits */
		k->head = k->count = 0;
		k->scanning = true;
		kbd_put(k, ACK);
		break;
	case 0xf5: /* defaults, and stop scanning */
	case 0xf6: /* defaults */
		kbd_defaults(k);
		k->scanning = byte == 0xf6;
		kbd_put(k, ACK);
		break;
	case 0xf7: /* how keys repeat: all of them as they do already */
	case 0xf8:
	case 0xf9:
	case 0xfa:
		kbd_put(k, ACK);
		break;
	case 0xfe:
		kbd_put(k, k->last);
		break;
	case 0xff:
		vkbd_reset(k);
		kbd_put(k, ACK);
		kbd_put(k, SELF_TEST_OK);
		break;
	default:
		kbd_put(k, RESEND);
		break;
	}
}

void vkbd_reset(struct vkbd *k)
{
	kbd_defaults(k);
	k->last = 0;
	k->scanning = true;
}

void vkbd_attach(struct vkbd *k, struct device *kbc)
{
	k->kbc = kbc;
	device_timer(kbc, &k->timer, kbd_fire);
}
