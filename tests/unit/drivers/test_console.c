/* SPDX-License-Identifier: MIT */
/* The console as a whole, on a UART that is written here: what goes over the line, and which interrupts are asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "drivers/console/console.h"
#include "drivers/console/input.h"
#include "drivers/console/line.h"
#include "drivers/console/uart.h"
#include "lib/log.h"
#include "lib/trace.h"

/* ---- a UART that takes 16 bytes at a time, and as many as one likes if it is polled ---- */

static char line[65536];
static size_t used, room;
static unsigned tx_asked; /* how often its transmitter interrupt was switched on */

int uart_init(struct uart *u, const struct uart_place *at, uint32_t baud)
{
	*u = (struct uart){ .at = *at, .present = true, .fifo = 16 };
	return 0;
}

int uart_isa_irq(const struct uart *u)
{
	return 4;
}

bool uart_put(struct uart *u, uint8_t byte)
{
	assert_true(used < sizeof(line) - 1);
	line[used++] = (char)byte;
	line[used] = 0;
	return true;
}

size_t uart_send_some(struct uart *u, const uint8_t *bytes, size_t n)
{
	n = n < room ? n : room;
	room -= n;
	for (size_t i = 0; i < n; i++)
		uart_put(u, bytes[i]);
	return n;
}

void uart_drain(struct uart *u)
{
}

int uart_get(struct uart *u)
{
	return -1;
}

void uart_interrupts(struct uart *u, bool rx, bool tx)
{
	tx_asked += tx;
}

bool uart_ack(struct uart *u)
{
	return false;
}

/* ---- tests ---- */

static void guest(const char *text)
{
	console_write(0, text, strlen(text));
}

/* A fresh line, with a FIFO that takes `fifo` bytes. */
static int start(size_t fifo)
{
	static bool begun;

	if (!begun) {
		console_init_serial(true);
		console_enable_interrupts();
	}
	begun = true;
	guest("\n");
	console_flush();
	used = 0;
	line[0] = 0;
	room = fifo;
	tx_asked = 0;
	return 0;
}

static void log_line_behind_a_begun_line(void **state)
{
	start(sizeof(line));
	guest("ok: ent");
	log_info("here");
	guest("ered\r\n");
	log_info("there");
	assert_string_equal(line, "ok: ent\r\nlethe: here\r\nered\r\nlethe: there\r\n");
}

static void log_line_behind_a_whole_line(void **state)
{
	start(sizeof(line));
	guest("whole\n\r");
	log_warn("one");
	log_info("two");
	assert_string_equal(line, "whole\n\rlethe: warning: one\r\nlethe: two\r\n");
}

static void escape_sequence_is_ended_before_a_log_line(void **state)
{
	struct console_line l = { 0 };
	static const char *const pieces[][3] = {
		/* what the guest writes, in two pieces; what ends it */
		{ "\033[1;3", "", "\030" },
		{ "\033[1;3", "1m", "" },
		{ "\033", "c", "" },
		{ "\033", "", "\030" },
		{ "\033]0;title", "", "\030" },
		{ "\033]0;title", "\a", "" },
		{ "\033]0;title\033", "\\", "" },
		{ "\033(", "B", "" },
		{ "text\033[", "", "\030\r\n" },
		{ "text\r", "", "\r\n" },
		{ "text\n", "\033[0m", "" },
		{ "\r", "\b\a", "" },
		{ "\t", "", "\r\n" },
		{ "\xc3", "", "\r\n" },
		{ "\033[12", "\030x", "\r\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		console_line_feed(&l, pieces[i][0], strlen(pieces[i][0]));
		console_line_feed(&l, pieces[i][1], strlen(pieces[i][1]));
		assert_string_equal(console_line_end(&l), pieces[i][2]);
		assert_string_equal(console_line_end(&l), "");
	}
}

static void background_line_behind_a_begun_line(void **state)
{
	start(sizeof(line));
	guest("$ ");
	console_write_line("[b] one", 7);
	console_write_line("[b] two", 7);
	guest("ls\033[3");
	console_write_line("[b] three", 9);
	guest("end\r\n");
	assert_string_equal(line, "$ \r\n[b] one\r\n[b] two\r\nls\033[3\030\r\n[b] three\r\nend\r\n");
}

static void answer_for_another_vm(void **state)
{
	static struct console_input in;

	console_input_put(&in, 'k', CONSOLE_TYPED);
	console_input_put(&in, 27, 1);
	console_input_put(&in, '[', 1);
	assert_int_equal(console_input_take(&in, 1), 'k');
	assert_int_equal(console_input_take(&in, 1), 27);
	console_input_put(&in, 'q', CONSOLE_TYPED);
	assert_int_equal(console_input_take(&in, 2), 'q');
	assert_int_equal(console_input_take(&in, 1), -1);
	assert_false(console_input_waits(&in));
	console_input_put(&in, 27, 0);
	assert_true(console_input_waits(&in));
	assert_int_equal(console_input_take(&in, 1), -1);
	assert_int_equal(console_input_take(&in, 0), -1);
}

static void full_input_ring_keeps_what_came_first(void **state)
{
	static struct console_input in = { .head = UINT32_MAX - 5, .tail = UINT32_MAX - 5 };

	for (unsigned i = 0; i < CONSOLE_INPUT_BYTES + 10; i++)
		console_input_put(&in, (uint8_t)(i * 7), CONSOLE_TYPED);
	for (unsigned i = 0; i < CONSOLE_INPUT_BYTES; i++)
		assert_int_equal(console_input_take(&in, 0), (uint8_t)(i * 7));
	assert_int_equal(console_input_take(&in, 0), -1);
}

static void output_waits_for_the_transmitter_interrupt(void **state)
{
	start(4);
	log_info("more than four bytes");
	assert_string_equal(line, "leth");
	assert_int_equal(tx_asked, 1);
	console_flush();
	assert_string_equal(line, "lethe: more than four bytes\r\n");
}

static void live_trace_raises_no_transmitter_interrupt(void **state)
{
	struct trace_conf c;

	assert_null(trace_parse("exits:2", &c));
	start(4);
	trace_set(&c, false);
	guest("begun");
	TRACE(TRACE_EXITS, "%s at %#lx", exit_name(EXIT_EXTERNAL_INTERRUPT), 0x1000, 0);
	assert_int_equal(tx_asked, 0);
	assert_non_null(strstr(line, "begun\r\nlethe: trace "));
	assert_string_equal(strstr(line, "exits"), "exits vm 0 vcpu 0: external interrupt at 0x1000\r\n");
	TRACE(TRACE_EXITS, "%s at %#lx", exit_name(EXIT_EXTERNAL_INTERRUPT), 0x2000, 0);
	console_flush();
	used = 0;
	log_info("the last line is shown: interrupts again");
	assert_int_equal(tx_asked, 2); /* by the line that said so, and by this one */
	trace_set(&(struct trace_conf){ 0 }, false);
}

/* ---- console_used: other VMs' bytes were handled (hv/host/mitigate.h) ---- */

static unsigned uses;

static void count_use(void)
{
	uses++;
}

static void write_for_guest(void)
{
	guest("text");
}

static void write_line(void)
{
	console_write_line("line", 4);
}

static void write_to_log(void)
{
	log_info("line");
}

static void read_for_guest(void)
{
	(void)console_read(0);
}

static void poll(void)
{
	(void)console_poll();
}

static void send_to_make_room(void)
{
	assert_false(console_room(true));
}

static void use_without_report(void **state)
{
	static void (*const each[])(void) = { write_for_guest, write_line, write_to_log, read_for_guest, poll,
		console_interrupt, send_to_make_room, console_flush };
	static char much[8192];

	start(0);
	memset(much, 'm', sizeof(much));
	console_write(0, much, sizeof(much));
	console_used = count_use;
	for (size_t i = 0; i < ARRAY_SIZE(each); i++) {
		uses = 0;
		each[i]();
		if (!uses)
			fail_msg("use %zu was not reported", i);
	}
	uses = 0;
	assert_true(console_room(false)); /* looks at how much is in the ring, and no further */
	assert_int_equal(uses, 0);
	console_used = NULL;
	write_for_guest();
	assert_int_equal(uses, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_line_behind_a_begun_line),
		cmocka_unit_test(log_line_behind_a_whole_line),
		cmocka_unit_test(escape_sequence_is_ended_before_a_log_line),
		cmocka_unit_test(background_line_behind_a_begun_line),
		cmocka_unit_test(answer_for_another_vm),
		cmocka_unit_test(full_input_ring_keeps_what_came_first),
		cmocka_unit_test(output_waits_for_the_transmitter_interrupt),
		cmocka_unit_test(live_trace_raises_no_transmitter_interrupt),
		cmocka_unit_test(use_without_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
