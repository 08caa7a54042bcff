/* SPDX-License-Identifier: MIT */
/*
 * The i8042 keyboard controller and the keyboard behind it (IBM PS/2 technical reference; Intel 8042).
 *
 *	port 60		data, either way
 *	port 64		read: status; write: commands to the controller
 *
 * Laptops have none of these chips, but an embedded controller or system-management code that plays them, more or
 * less well. So what does not answer is noted and gone past, and every wait ends.
 */
#include "drivers/console/kbd.h"

#include "lib/atomic.h"
#include "lib/log.h"
#include "lib/x86.h"

enum { DATA = 0x60, STATUS = 0x64, COMMAND = 0x64 };

#define STATUS_OUT_FULL BIT(0) /* a byte for us */
#define STATUS_IN_FULL	BIT(1) /* the controller has not taken our last byte */
#define STATUS_AUX	BIT(5) /* the byte is the mouse's */

enum { /* to the controller */
	CC_READ_CONFIG = 0x20,
	CC_WRITE_CONFIG = 0x60,
	CC_AUX_OFF = 0xa7,
	CC_SELF_TEST = 0xaa,
	CC_KBD_OFF = 0xad,
	CC_KBD_ON = 0xae,
};

#define CONFIG_KBD_IRQ	 BIT(0)
#define CONFIG_AUX_IRQ	 BIT(1)
#define CONFIG_SYSTEM	 BIT(2)
#define CONFIG_KBD_OFF	 BIT(4)
#define CONFIG_AUX_OFF	 BIT(5)
#define CONFIG_TRANSLATE BIT(6)

enum { /* to the keyboard, and its answers */
	KC_LEDS = 0xed,
	KC_SCANCODE_SET = 0xf0,
	KC_SCAN_ON = 0xf4,
	KC_DEFAULTS_OFF = 0xf5,
	ANSWER_ACK = 0xfa,
	ANSWER_RESEND = 0xfe,
};

/* A read of the POST port takes about a microsecond on a PC; in an emulator its clock advances meanwhile. */
#define WAIT_POLLS 100000u

static bool present;
static uint8_t config;
static struct kbd_decoder decoder;
static uint8_t pending[KBD_BYTES_MAX]; /* bytes of the last key not yet handed out */
static unsigned npending, next_pending;
static uint8_t leds_shown;
static enum { LED_IDLE, LED_COMMAND_SENT, LED_VALUE_SENT } led_state;

static bool wait_status(uint8_t mask, uint8_t want)
{
	for (unsigned i = 0; i < WAIT_POLLS; i++) {
		if ((in8(STATUS) & mask) == want)
			return true;
		in8(0x80);
	}
	return false;
}

static bool controller_write(uint16_t port, uint8_t v)
{
	if (!wait_status(STATUS_IN_FULL, 0))
		return false;
	out8(port, v);
	return true;
}

static int controller_read(void)
{
	return wait_status(STATUS_OUT_FULL, STATUS_OUT_FULL) ? in8(DATA) : -1;
}

static bool write_config(uint8_t v)
{
	return controller_write(COMMAND, CC_WRITE_CONFIG) && controller_write(DATA, v);
}

/* A byte to the keyboard, sent again if it asks for that. */
static bool keyboard_write(uint8_t v)
{
	for (unsigned tries = 0; tries < 3; tries++) {
		int answer = -1;

		if (!controller_write(DATA, v))
			return false;
		/* Keys that were typed meanwhile may come before the answer. */
		for (unsigned i = 0; i < 16 && answer != ANSWER_ACK && answer != ANSWER_RESEND; i++) {
			answer = controller_read();
			if (answer < 0)
				return false;
		}
		if (answer == ANSWER_ACK)
			return true;
	}
	return false;
}

static void discard(void)
{
	for (unsigned i = 0; i < 64 && in8(STATUS) & STATUS_OUT_FULL; i++)
		in8(DATA);
}

int kbd_init(void)
{
	int answer;

	present = false;
	led_state = LED_IDLE;
	npending = next_pending = 0;
	kbd_decoder_init(&decoder);
	if (in8(STATUS) == 0xff)
		return -E_NOENT;
	/* Quiet first, so that what is read next is the answer and no key. */
	if (!controller_write(COMMAND, CC_KBD_OFF) || !controller_write(COMMAND, CC_AUX_OFF))
		return -E_NOENT;
	discard();
	if (!controller_write(COMMAND, CC_READ_CONFIG))
		return -E_NOENT;
	answer = controller_read();
	if (answer < 0)
		return -E_NOENT;
	config = (uint8_t)((uint8_t)answer & ~(CONFIG_KBD_IRQ | CONFIG_AUX_IRQ | CONFIG_KBD_OFF));
	config |= CONFIG_SYSTEM | CONFIG_AUX_OFF | CONFIG_TRANSLATE;

	controller_write(COMMAND, CC_SELF_TEST);
	answer = controller_read();
	if (answer != 0x55)
		log_debug("keyboard controller: the self-test answers 0x%x, not 0x55", answer);
	/* The self-test may have put the configuration back: it is written after it. */
	if (!write_config(config) || !controller_write(COMMAND, CC_KBD_ON))
		return -E_IO;
	discard();

	if (!keyboard_write(KC_DEFAULTS_OFF))
		return -E_TIMEOUT;
	/* Set 2, which the controller translates to set 1. A keyboard that knows no other refuses, rightly. */
	if (!keyboard_write(KC_SCANCODE_SET) || !keyboard_write(2))
		log_debug("keyboard: it does not let its scancode set be chosen");
	if (!keyboard_write(KC_SCAN_ON))
		return -E_IO;
	leds_shown = 0xff;
	present = true;
	return 0;
}

void kbd_interrupts(bool on)
{
	if (!present)
		return;
	config = (uint8_t)(on ? config | CONFIG_KBD_IRQ : config & ~CONFIG_KBD_IRQ);
	write_config(config);
}

/* The LED command is two bytes with an acknowledgement each: sent on as those come in, so that nothing waits. */
static void leds_next(bool acknowledged)
{
	uint8_t want = kbd_leds(&decoder);

	if (in8(STATUS) & STATUS_IN_FULL)
		return;
	if (led_state == LED_IDLE && want != leds_shown) {
		out8(DATA, KC_LEDS);
		led_state = LED_COMMAND_SENT;
	} else if (led_state == LED_COMMAND_SENT && acknowledged) {
		out8(DATA, want);
		leds_shown = want;
		led_state = LED_VALUE_SENT;
	} else if (led_state == LED_VALUE_SENT && acknowledged) {
		led_state = LED_IDLE;
	}
}

void kbd_app_cursor(bool on)
{
	decoder.app_cursor = on;
}

int kbd_poll(void)
{
	if (!present)
		return -1;
	/* As many as the controller could hold; a stuck status bit must not keep us here. */
	for (unsigned i = 0; i < 16; i++) {
		uint8_t status, v;

		if (next_pending < npending)
			return pending[next_pending++];
		status = in8(STATUS);
		if (!(status & STATUS_OUT_FULL))
			break;
		v = in8(DATA);
		if (status & STATUS_AUX)
			continue;
		/* Neither answer is a scancode of set 1 while a command is under way. */
		if (led_state != LED_IDLE && (v == ANSWER_ACK || v == ANSWER_RESEND)) {
			if (v == ANSWER_RESEND)
				led_state = LED_VALUE_SENT; /* it has none: let it be */
			leds_shown = v == ANSWER_RESEND ? kbd_leds(&decoder) : leds_shown;
			leds_next(true);
			continue;
		}
		next_pending = 0;
		npending = kbd_decode(&decoder, v, pending);
	}
	leds_next(false);
	return -1;
}
