/* SPDX-License-Identifier: MIT */
/* The VM's console: gathers output, and gives what is typed to the device that the guest listens to. */
#include "guest/dev/machine.h"

#include "lib/atomic.h"
#include "lib/string.h"
#include "lib/trace.h"

/* How long a begun line waits for more. While events are traced live, each of a line's characters is some events and so
 * some lines of the log, which would come between them: then it waits for its end. */
#define FLUSH_AFTER_MS	2
#define FLUSH_TRACED_MS 2000

static uint64_t ms(const struct console *c, uint64_t n)
{
	return mul_div(c->p->clock.tsc_hz, n, 1000);
}

static uint64_t flush_after(void)
{
	return atomic_load_relaxed(&trace_live) ? FLUSH_TRACED_MS : FLUSH_AFTER_MS;
}

void vconsole_flush(struct console *c)
{
	unsigned n = c->n;

	if (!n)
		return;
	c->n = 0;
	timer_stop(&c->flush);
	c->p->ops->console_write(c->p->vm, c->out, n);
	vuart_may_send(&c->p->uart);
}

static void flush_later(struct console *c)
{
	timer_arm(&c->flush, tsc_after(vclock_now(&c->p->clock), ms(c, flush_after())));
}

static void flush_if_room(struct console *c)
{
	if (c->p->ops->console_room(c->p->vm))
		vconsole_flush(c);
	else if (c->flush.due == TIMER_OFF)
		flush_later(c);
}

void vconsole_put(struct console *c, char byte)
{
	if (c->n == sizeof(c->out))
		return;
	c->out[c->n++] = byte;
	if (byte == '\n' || c->n == sizeof(c->out))
		flush_if_room(c);
	else if (c->n == 1)
		flush_later(c);
}

bool vconsole_has_room(struct console *c)
{
	if (c->n + VUART_FIFO > sizeof(c->out))
		flush_if_room(c);
	return c->n + VUART_FIFO <= sizeof(c->out);
}

void vconsole_write(struct console *c, const char *text, size_t n)
{
	if (!n)
		return; /* as from a screen that has not changed: nothing that a begun line would have to come before */
	vconsole_flush(c);
	c->p->ops->console_write(c->p->vm, text, n);
}

/* The device that the next typed byte goes to: the UART if the guest can get it there, else the keyboard. If that is
 * disabled, too, the byte stays with hv/ until one of them can take it. */
enum target { TO_NONE, TO_UART, TO_KEYBOARD };

static enum target console_target(const struct console *c)
{
	if (vuart_listens(&c->p->uart))
		return vuart_room(&c->p->uart) ? TO_UART : TO_NONE;
	return vkbc_listens(&c->p->kbc) && vkbd_room(&c->p->kbc.kbd) ? TO_KEYBOARD : TO_NONE;
}

void vconsole_pump(struct console *c)
{
	struct platform *p = c->p;

	/* Bounded by the room in FIFO and queue. */
	for (;;) {
		enum target target = console_target(c);
		int byte;

		if (target == TO_NONE)
			return;
		byte = p->ops->console_read(p->vm);
		if (byte < 0)
			return;
		if (target == TO_KEYBOARD) {
			vkbd_type(&p->kbc.kbd, (uint8_t)byte);
			vvga_hurry(&p->vga);
		} else {
			vuart_receive(&p->uart, (uint8_t)byte);
		}
	}
}

static void flush_fires(struct vtimer *t, uint64_t now)
{
	flush_if_room(container_of(t, struct console, flush));
}

static void poll_fires(struct vtimer *t, uint64_t now)
{
	struct console *c = container_of(t, struct console, poll);

	vconsole_pump(c);
	timer_arm(t, tsc_after(now, ms(c, c->p->console_poll_ms)));
}

void vconsole_reset(struct console *c)
{
	vconsole_flush(c);
	if (c->p->console_poll_ms)
		timer_arm(&c->poll, tsc_after(vclock_now(&c->p->clock), ms(c, c->p->console_poll_ms)));
}

void vconsole_init(struct console *c, struct platform *p)
{
	c->p = p;
	timer_add(&p->timers[0], &c->flush, flush_fires);
	timer_add(&p->timers[0], &c->poll, poll_fires);
}
