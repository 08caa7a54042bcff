/* SPDX-License-Identifier: MIT */
/* The VM's console: gathers output, and gives what is typed to the device that the guest listens to. */
#include "guest/dev/vconsole.h"

#include "guest/dev/platform.h"
#include "lib/assert.h"
#include "lib/atomic.h"
#include "lib/string.h"
#include "lib/trace.h"

/* How long a begun line waits for more. While events are traced live, each of a line's characters is some events and so
 * some lines of the log, which would come between them: then it waits for its end. */
#define FLUSH_AFTER_MS	2
#define FLUSH_TRACED_MS 2000
#define PIECES_HZ	4000 /* of what goes out in more than one piece: the guest runs in between */

static unsigned gathered(const struct console *c)
{
	return c->head - c->tail;
}

/* So many ticks from now, or when it is due anyway, whichever is first: who asks again and again does not put it off. */
static void vconsole_flush_within(struct console *c, uint64_t ticks)
{
	uint64_t due = tsc_after(vclock_now(c->clock), ticks);

	if (due < c->flush.due)
		timer_arm(&c->flush, due);
}

static void vconsole_flush_soon(struct console *c)
{
	vconsole_flush_within(c, c->clock->tsc_hz / PIECES_HZ);
}

/* So much after the first byte that waits has come, or after the console had no room. */
static void vconsole_flush_later(struct console *c)
{
	vconsole_flush_within(
		c, vclock_ms(c->clock, atomic_load_relaxed(&trace_live) ? FLUSH_TRACED_MS : FLUSH_AFTER_MS));
}

static void vconsole_tell(const struct console *c)
{
	for (unsigned i = 0; i < c->ends; i++)
		if (c->end[i].may_send)
			c->end[i].may_send(c->end[i].dev);
}

bool vconsole_flush(struct console *c)
{
	unsigned at = c->tail % CONSOLE_BYTES, n = min(gathered(c), CONSOLE_BYTES - at);

	if (!n)
		return true;
	c->tail += (unsigned)c->clock->ops->console_write(c->clock->vm, c->out + at, n);
	if (gathered(c))
		vconsole_flush_soon(c);
	else
		timer_stop(&c->flush);
	if (!vconsole_is_full(c))
		vconsole_tell(c);
	return !gathered(c);
}

static void vconsole_flush_if_room(struct console *c)
{
	if (c->clock->ops->console_room(c->clock->vm))
		vconsole_flush(c);
	else
		vconsole_flush_later(c);
}

/* In an exit of the guest's: what printed may be a long string instruction. */
static void vconsole_flush_if_time(struct console *c)
{
	if (c->clock->ops->has_time(c->clock->vm))
		vconsole_flush_if_room(c);
	else
		vconsole_flush_soon(c);
}

void vconsole_put(struct console *c, char byte)
{
	if (gathered(c) == CONSOLE_BYTES)
		return;
	c->out[c->head++ % CONSOLE_BYTES] = byte;
	if (byte == '\n' || gathered(c) % CONSOLE_LINE == 0)
		vconsole_flush_if_time(c);
	else if (c->flush.due == TIMER_OFF)
		vconsole_flush_later(c);
}

bool vconsole_is_full(const struct console *c)
{
	return gathered(c) > CONSOLE_GATHERED_MOST;
}

bool vconsole_has_room(struct console *c)
{
	if (vconsole_is_full(c))
		vconsole_flush_if_time(c);
	return !vconsole_is_full(c);
}

void vconsole_write(struct console *c, const char *text, size_t n)
{
	ASSERT(n <= CONSOLE_BYTES - gathered(c));
	for (size_t at, some, left = n; left; left -= some, text += some) {
		at = c->head % CONSOLE_BYTES;
		some = min(left, CONSOLE_BYTES - at);
		memcpy(c->out + at, text, some);
		c->head += (unsigned)some;
	}
	if (n)
		vconsole_flush_soon(c);
}

/* The end that gets the next typed byte: the first that listens. NULL: none does, or that one has no room; the byte stays with
 * hv/ until it can be taken. */
static const struct console_end *console_target(const struct console *c)
{
	for (unsigned i = 0; i < c->ends; i++) {
		const struct console_end *e = &c->end[i];

		if (e->listens(e->dev))
			return e->room(e->dev) ? e : NULL;
	}
	return NULL;
}

void vconsole_pump(struct console *c)
{
	/* Bounded by the room in FIFO and queue. */
	for (;;) {
		const struct console_end *to = console_target(c);
		int byte = to ? c->clock->ops->console_read(c->clock->vm) : -1;

		if (byte < 0)
			return;
		to->receive(to->dev, (uint8_t)byte);
	}
}

static void vconsole_flush_fires(struct vtimer *t, uint64_t now)
{
	struct console *c = container_of(t, struct console, flush);

	if (gathered(c))
		vconsole_flush_if_room(c);
}

static void vconsole_poll_fires(struct vtimer *t, uint64_t now)
{
	struct console *c = container_of(t, struct console, poll);

	vconsole_pump(c);
	timer_arm(t, tsc_after(now, vclock_ms(c->clock, c->poll_ms)));
}

void vconsole_reset(struct console *c)
{
	if (c->poll_ms)
		timer_arm(&c->poll, tsc_after(vclock_now(c->clock), vclock_ms(c->clock, c->poll_ms)));
}

void vconsole_init(
	struct console *c, const struct vclock *clock, struct timer_queue *timers, unsigned poll_ms)
{
	c->clock = clock;
	c->poll_ms = poll_ms;
	timer_add(timers, &c->flush, &c->lock, vconsole_flush_fires);
	c->flush.long_work = true;
	timer_add(timers, &c->poll, &c->lock, vconsole_poll_fires);
}

void vconsole_connect(struct console *c, struct console_end end)
{
	ASSERT(c->ends < CONSOLE_ENDS);
	c->end[c->ends++] = end;
}
