/* SPDX-License-Identifier: MIT */
/*
 * The console: see the drawing in console.h.
 *
 * Two locks: `out` guards the transmit ring, the UART's sending side and the terminal; `in` the input ring, the UART's
 * receiving side and the keyboard. The terminal's reports go from output to input, so the order is out, then in.
 *
 * A screenful takes milliseconds, longer than the UART's 16 bytes of FIFO last. So what waits for the screen is drawn in
 * slices, and after each the screen waits for a multiple of what the slice took: the rest is done by console_poll().
 */
#include "drivers/console/console.h"

#include "drivers/console/draw.h"
#include "drivers/console/input.h"
#include "drivers/console/kbd.h"
#include "drivers/console/line.h"
#include "drivers/console/serial.h"
#include "drivers/time.h"
#include "lib/atomic.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "lib/x86.h"
#include "mm/host/frames.h"
#include "mm/host/hostmap.h"

#define OUT_BYTES     16384	      /* power of two */
#define GUESTS_BYTES  (OUT_BYTES / 4) /* see console_room() */
/* A slice: a FIFO of 16 bytes lasts 1389 us, and no CPU is to stay in root mode longer than 200. */
#define DRAW_US	      30
#define ASKED_US      10 /* by a guest that asks for room */
/* At most so often, since each time interrupts a guest: in nested VMX that costs a millisecond. */
#define DRAW_EVERY_US 4000
#define DRAW_SHARE    16 /* the terminal may take one part in so many of the time, and the screen another */
#define PLAIN	      7	 /* colour of text, as vt_cell.color */

static struct uart uart;
static struct console_draw draw;
static bool keyboard, interrupts, panicking;

static struct spinlock out = SPINLOCK_INIT, in = SPINLOCK_INIT;
static uint8_t out_ring[OUT_BYTES];
static uint32_t out_head, out_tail; /* free running: head is written to, tail taken from */
static struct console_input input;
static struct console_line guest_line; /* what the guests have written of their line */
static bool waits = true;	       /* console_wait() */
static unsigned lost;		       /* bytes for which there was no room */
static bool undrawn;
static uint64_t draw_at; /* TSC */
/* Serial line and screen both have a terminal that answers questions; the one in use should, and only that one. */
static bool screen_answers;

void (*console_used)(void);

/* ---- locks ---- */

static bool used(bool locked)
{
	if (locked && console_used)
		console_used();
	return locked;
}

static void use(struct spinlock *l)
{
	spin_lock(l);
	used(true);
}

static bool try_use(struct spinlock *l)
{
	return used(spin_trylock(l));
}

/* ---- output; `out` is held ---- */

/* The terminal's work, or the screen's, until a slice is over or nothing is left of it. */
static void feed_slice(unsigned us)
{
	uint64_t start = rdtsc(), slice = ns_to_tsc(us * 1000ull);

	do
		draw_feed(&draw);
	while (draw_waits(&draw) && rdtsc() - start < slice);
}

/* Returns whether the screen has yet to show something. */
static bool paint_slice(void)
{
	uint64_t start = rdtsc(), slice = ns_to_tsc(DRAW_US * 1000ull);
	unsigned cells = 0;
	bool more;

	do
		more = fbcon_paint(&draw.screen, &cells);
	while (more && rdtsc() - start < slice);
	return more;
}

/*
 * Each of the two is due again when DRAW_SHARE times as long has passed as it took: the screen may be slow (a virtual
 * machine's can take milliseconds for a character), and what is printed does not wait for it.
 */
static void draw_slice(void)
{
	static uint64_t feed_at, paint_at;
	uint64_t start = rdtsc();
	bool feeds = draw_waits(&draw) && start >= feed_at, unpainted;

	if (feeds)
		feed_slice(DRAW_US);
	unpainted = feeds || paint_slice();
	*(feeds ? &feed_at : &paint_at) =
		start + max((rdtsc() - start) * DRAW_SHARE, ns_to_tsc(DRAW_EVERY_US * 1000ull));
	atomic_store_relaxed(&undrawn, unpainted || draw_waits(&draw));
	atomic_store_relaxed(
		&draw_at, min(draw_waits(&draw) ? feed_at : paint_at, unpainted ? paint_at : feed_at));
}

static void draw_some(void)
{
	if (undrawn && rdtsc() >= draw_at)
		draw_slice();
}

static void send_all(void)
{
	for (; out_tail != out_head; out_tail++)
		uart_put(&uart, out_ring[out_tail % OUT_BYTES]);
}

/* While something is traced live, all is sent at once and the transmitter raises no interrupt: it would be a VM exit, the
 * exit a line, and the line more interrupts than it took. */
static void send_some(void)
{
	if (unlikely(atomic_load_relaxed(&trace_live)))
		send_all();
	while (out_tail != out_head) {
		uint32_t at = out_tail % OUT_BYTES;
		size_t sent = uart_send_some(&uart, out_ring + at, min(out_head - out_tail, OUT_BYTES - at));

		out_tail += (uint32_t)sent;
		if (!sent)
			break;
	}
	if (interrupts)
		uart_interrupts(&uart, true, out_tail != out_head);
}

static void put_serial(const char *text, size_t n)
{
	while (uart.present && n) {
		uint32_t at = out_head % OUT_BYTES, room = OUT_BYTES - (out_head - out_tail);
		uint32_t some = (uint32_t)min(n, (size_t)min(room, OUT_BYTES - at));

		if (!room && waits) {
			/* The line sets the pace from here on. A byte that it cannot take in time is lost. */
			uart_put(&uart, out_ring[out_tail++ % OUT_BYTES]);
			continue;
		}
		if (!room) {
			lost += (unsigned)n;
			return;
		}
		memcpy(out_ring + at, text, some);
		out_head += some;
		text += some;
		n -= some;
	}
}

static void put_screen(uint8_t tag, const char *text, size_t n)
{
	draw_put(&draw, tag, text, n);
	atomic_store_relaxed(&undrawn, draw.screen.pixels);
}

static void put_lines(const char *text, size_t n, void (*to)(const char *text, size_t n))
{
	while (n) {
		size_t line = 0;

		while (line < n && text[line] != '\n')
			line++;
		if (line)
			to(text, line);
		if (line == n)
			return;
		to("\r\n", 2);
		text += line + 1;
		n -= line + 1;
	}
}

static uint8_t line_color;

static void put_screen_colored(const char *text, size_t n)
{
	put_screen(DRAW_COLOR(line_color), text, n);
}

/* A line of the log on the screen: errors are red, warnings yellow, the others as text is, whatever the guest's pen. The
 * serial line stays plain, for it is what logs and scripts read. */
static void put_log_on_screen(const char *text, size_t n)
{
	static const uint8_t color[] = {
		[LOG_ERROR] = 9, [LOG_WARN] = 11, [LOG_INFO] = PLAIN, [LOG_DEBUG] = PLAIN
	};

	line_color = color[log_line_level(text, n)];
	if (draw.screen.pixels)
		put_lines(text, n, put_screen_colored);
}

static void say_lost(void)
{
	char text[96];
	unsigned n = lost;

	lost = 0;
	fmt_snprintf(text, sizeof(text),
		"\r\nlethe: warning: %u bytes of output lost: the serial line is slow\r\n", n);
	put_serial(text, strlen(text));
}

static void move_output(void)
{
	send_some();
	if (unlikely(lost) && out_head - out_tail <= GUESTS_BYTES)
		say_lost();
	/* A CPU that runs VMs and writes does not draw, too: console_poll() does, in a stretch of its own. */
	if (waits)
		draw_some();
}

static void end_guest_line(void)
{
	const char *end = console_line_end(&guest_line);

	put_serial(end, strlen(end));
	put_screen(DRAW_NO_VM, end, strlen(end));
}

static void write_log(struct log_sink *sink, const char *text, size_t n)
{
	(void)sink;
	if (panicking) { /* log_raw() */
		console_panic_write(text, n);
		return;
	}
	use(&out);
	end_guest_line();
	put_lines(text, n, put_serial);
	put_log_on_screen(text, n);
	move_output();
	spin_unlock(&out);
}

static struct log_sink log_sink = { .write = write_log, .flush = console_flush };

void console_write(uint8_t vm, const char *text, size_t n)
{
	use(&out);
	console_line_feed(&guest_line, text, n);
	put_serial(text, n);
	put_screen(vm, text, n);
	move_output();
	spin_unlock(&out);
}

void console_write_line(const char *text, size_t n)
{
	use(&out);
	end_guest_line();
	put_serial(text, n);
	put_serial("\r\n", 2);
	put_screen(DRAW_COLOR(PLAIN), text, n);
	put_screen(DRAW_COLOR(PLAIN), "\r\n", 2);
	move_output();
	spin_unlock(&out);
}

static bool room_for_guests(void)
{
	return atomic_load_relaxed(&out_head) - atomic_load_relaxed(&out_tail) <= GUESTS_BYTES &&
	       draw_room(&draw);
}

bool console_room(bool drive)
{
	bool room = room_for_guests();

	/* If another CPU is at it already, that is as good. */
	if (room || !drive || !try_use(&out))
		return room;
	send_some();
	if (!draw_room(&draw))
		feed_slice(ASKED_US);
	room = room_for_guests();
	spin_unlock(&out);
	return room;
}

void console_wait(bool wait)
{
	waits = wait;
}

uint64_t console_draw_due(void)
{
	return atomic_load_relaxed(&undrawn) ? atomic_load_relaxed(&draw_at) : UINT64_MAX;
}

void console_flush(void)
{
	use(&out);
	send_all();
	uart_drain(&uart);
	draw_flush(&draw);
	atomic_store_relaxed(&undrawn, false);
	spin_unlock(&out);
}

static void put_now(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		uart_put(&uart, (uint8_t)text[i]);
	fbcon_write(&draw.screen, text, n);
}

void console_panic_write(const char *text, size_t n)
{
	/* The CPU that holds the locks may be the one that panics, so none is taken. At worst the line before is garbled. */
	send_all();
	draw_flush(&draw);
	if (!panicking) {
		panicking = true;
		/* Out of any sequence and scroll region; red. */
		fbcon_write(&draw.screen, "\030\033[!p\033[91m\r\n", 12);
	}
	put_lines(text, n, put_now);
	uart_drain(&uart);
	fbcon_flush(&draw.screen);
}

/* ---- input; `in` is held ---- */

static void move_input(void)
{
	int c;

	/* Bounded by the ring: a UART that always says "data" must not keep the CPU here. */
	for (unsigned i = 0; i < CONSOLE_INPUT_BYTES && (c = uart_get(&uart)) >= 0; i++) {
		console_input_put(&input, (uint8_t)c, CONSOLE_TYPED);
		screen_answers = false;
	}
	if (!keyboard)
		return;
	kbd_app_cursor(draw.screen.vt.app_cursor);
	for (unsigned i = 0; i < CONSOLE_INPUT_BYTES && (c = kbd_poll()) >= 0; i++) {
		console_input_put(&input, (uint8_t)c, CONSOLE_TYPED);
		screen_answers = true;
	}
}

/* The screen's terminal was asked something, by the VM that draw.asker says. Called with `out` held. */
static void answer(void *ctx, const char *text, size_t n)
{
	(void)ctx;
	if (!screen_answers || draw.asker == DRAW_NO_VM)
		return;
	spin_lock(&in);
	for (size_t i = 0; i < n; i++)
		console_input_put(&input, (uint8_t)text[i], draw.asker);
	spin_unlock(&in);
}

int console_read(uint8_t vm)
{
	int c;

	use(&in);
	c = console_input_take(&input, vm);
	if (c < 0) {
		move_input();
		c = console_input_take(&input, vm);
	}
	spin_unlock(&in);
	return c;
}

bool console_poll(void)
{
	bool waiting;

	/* If another CPU is at it already, that is as good. */
	if (try_use(&out)) {
		move_output();
		draw_some();
		spin_unlock(&out);
	}
	use(&in);
	move_input();
	waiting = console_input_waits(&input);
	spin_unlock(&in);
	return waiting;
}

/* ---- start-up ---- */

void console_init_serial(bool want_serial)
{
	static bool registered;

	if (want_serial)
		uart_init(&uart, &(struct uart_place){ .port = UART_COM1, .stride = 1 }, UART_BAUD);
	if (!registered)
		log_add_sink(&log_sink);
	registered = true;
}

static void show_log_so_far(void)
{
	static char tail[4096];
	const char *text = tail;
	size_t n = log_tail(tail, sizeof(tail));

	spin_lock(&out);
	for (size_t line; n; text += line, n -= line) {
		for (line = 0; line < n && text[line] != '\n';)
			line++;
		line += line < n;
		put_log_on_screen(text, line);
	}
	draw_flush(&draw);
	spin_unlock(&out);
}

static int init_screen(const struct framebuffer *fb)
{
	uint16_t cols, rows;
	uint32_t scale;
	void *pixels;
	pfn_t memory;

	if (fb->format == FB_NONE || !fbcon_geometry(fb->width, fb->height, &scale, &cols, &rows))
		return -E_NOENT;
	if (fb->reported < fb->size)
		log_warn(
			"firmware says that the screen's memory has %lu bytes; the picture has %lu, and is mapped whole",
			fb->reported, fb->size);
	pixels = hostmap_mmio(fb->base, min(fb->size, (uint64_t)fb->stride * fb->height * 4), MT_WC);
	if (!pixels ||
		frames_alloc_run((fbcon_memory(cols, rows) + PAGE_MASK) / PAGE_SIZE, OWNER_LETHE, &memory))
		return -E_NOMEM;
	draw.asker = DRAW_NO_VM;
	return fbcon_init(&draw.screen, fb, pixels, pfn_to_virt(memory));
}

/* The serial console is another one than at first: it gets what the log has so far, too. */
static void show_log_on_line(void)
{
	static char tail[4096];
	size_t n = log_tail(tail, sizeof(tail));

	spin_lock(&out);
	put_lines(tail, n, put_serial);
	send_all();
	spin_unlock(&out);
}

void console_init(bool want_serial, bool want_screen, const struct framebuffer *fb, const struct acpi *acpi)
{
	const struct fbcon *screen = &draw.screen;
	char text[80];
	int err;

	if (want_serial) {
		uart_drain(&uart);
		if (serial_find(&uart, acpi))
			show_log_on_line();
	}
	screen_answers = !uart.present;
	if (want_screen) {
		err = init_screen(fb);
		if (!err) {
			draw.screen.vt.reply = answer;
			show_log_so_far();
		} else if (err != -E_NOENT) {
			log_warn("no console on the screen: %s", err_name(err));
		}
		err = kbd_init();
		keyboard = !err;
		if (err)
			log_warn(
				"no PS/2 keyboard: type on the serial port, or switch on \"legacy USB support\" in the firmware's set-up (%s)",
				err_name(err));
	}
	if (uart.present)
		log_info("console: %s", serial_describe(&uart, text, sizeof(text)));
	else if (want_serial)
		log_info("console: no serial port answers");
	if (screen->pixels)
		log_info("console: screen %ux%u, %u columns, %u rows%s", screen->width, screen->height,
			screen->vt.cols, screen->vt.rows, keyboard ? ", keyboard" : "");
}

unsigned console_isa_irqs(uint8_t irq[2])
{
	unsigned n = 0;

	if (uart_isa_irq(&uart) >= 0)
		irq[n++] = (uint8_t)uart_isa_irq(&uart);
	if (keyboard)
		irq[n++] = KBD_IRQ;
	return n;
}

void console_enable_interrupts(void)
{
	spin_lock(&out);
	spin_lock(&in);
	interrupts = true;
	uart_interrupts(&uart, true, out_tail != out_head);
	if (keyboard)
		kbd_interrupts(true);
	spin_unlock(&in);
	spin_unlock(&out);
}

void console_interrupt(void)
{
	/* ISA interrupts are edges: leave no cause pending, or there is no next one. */
	for (unsigned i = 0; i < 8; i++) {
		bool more = uart_ack(&uart);

		console_poll();
		if (!more)
			return;
	}
}
