/* SPDX-License-Identifier: MIT */
/* The 16550A against its datasheet, and the console behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/trace.h"
#include "tests/support/rig/device_rig.h"

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static bool irq4(void)
{
	return DEV(f, vpic)->chip[0].lines & 0x10;
}

static void type(const char *text)
{
	f->in = text;
	platform_console_input(f->p);
}

static void looks_like_a_16550a(void **state)
{
	outb(f, SCR, 0x5a);
	assert_int_equal(inb(f, SCR), 0x5a);
	outb(f, IER, 0xff);
	assert_int_equal(inb(f, IER), 0x0f);
	outb(f, IER, 0);
	assert_int_equal(inb(f, IIR), 0x01);
	outb(f, IIR, 0x01);
	assert_int_equal(inb(f, IIR), 0xc1);
	outb(f, IIR, 0x00);
	assert_int_equal(inb(f, IIR), 0x01);
	assert_int_equal(inb(f, LSR), 0x60);
	assert_int_equal(inb(f, MSR), 0xb0);
}

static void divisor_latch(void **state)
{
	outb(f, LCR, 0x83);
	outb(f, DATA, 0x34);
	outb(f, IER, 0x12);
	assert_int_equal(inb(f, DATA), 0x34);
	assert_int_equal(inb(f, IER), 0x12);
	outb(f, LCR, 0x03);
	assert_int_equal(inb(f, IER), 0);
	assert_int_equal(f->out_n, 0);
}

static void output_is_gathered_to_lines(void **state)
{
	for (const char *c = "hello\n"; *c; c++) {
		assert_int_equal(inb(f, LSR) & 0x20, 0x20);
		outb(f, DATA, (uint8_t)*c);
	}
	assert_string_equal(f->out, "hello\n");
	assert_int_equal(f->writes, 1);
	outb(f, DATA, '$');
	assert_int_equal(f->writes, 1);
	fake_vm_advance(f, 3 * MSEC); /* a prompt does not wait long */
	assert_string_equal(f->out, "hello\n$");
}

static void a_line_is_whole_while_events_are_traced(void **state)
{
	trace_live = 1u << TRACE_EXITS;
	outb(f, DATA, 'h');
	fake_vm_advance(f, 500 * MSEC); /* the events of one character take the serial line so long */
	outb(f, DATA, 'i');
	fake_vm_advance(f, 500 * MSEC);
	assert_int_equal(f->writes, 0);
	outb(f, DATA, '\n');
	assert_string_equal(f->out, "hi\n");
	assert_int_equal(f->writes, 1);
	outb(f, DATA, '$');
	fake_vm_advance(f, 2001 * MSEC); /* a prompt is seen all the same */
	assert_string_equal(f->out, "hi\n$");
	trace_live = 0;
}

static void a_long_line_comes_in_pieces(void **state)
{
	for (unsigned i = 0; i < 1000; i++)
		outb(f, DATA, 'x');
	assert_in_range(f->out_n, 700, 999);
	assert_true(platform_console_finish(f->p));
	assert_int_equal(f->out_n, 1000);
}

/* What the machine does not take in one go goes out bit by bit, in its order, while the guest runs. */
static void output_that_is_long_work_goes_out_in_pieces(void **state)
{
	char sent[220];

	f->console_full = true;
	for (unsigned i = 0; i < sizeof(sent); i++) {
		sent[i] = i % 3 ? (char)('a' + i % 26) : '\n';
		outb(f, DATA, (uint8_t)sent[i]);
	}
	f->console_full = false;
	f->console_piece = 7;
	f->writes = 0;
	fake_vm_advance(f, 2 * MSEC);
	assert_int_equal(f->writes, 1);
	fake_vm_advance(f, MSEC / 2);
	assert_int_equal(f->writes, 3);
	assert_int_equal(inb(f, LSR) & 0x20, 0x20);
	outb(f, DATA, '!');
	for (unsigned i = 0; i < 40; i++)
		fake_vm_advance(f, MSEC / 4);
	assert_int_equal(f->out_n, sizeof(sent) + 1);
	assert_memory_equal(f->out, sent, sizeof(sent));
	assert_int_equal(f->out[sizeof(sent)], '!');
}

/* An exit that has taken long leaves it to the timer, and the guest that waits for room gets it in the same time. */
static void a_long_exit_hands_nothing_on(void **state)
{
	f->late = true;
	for (unsigned i = 0; i < 10; i++)
		outb(f, DATA, '\n');
	assert_int_equal(f->writes, 0);
	fake_vm_advance(f, MSEC / 2);
	assert_int_equal(f->out_n, 10);
	for (unsigned i = 0; i < 300; i++)
		outb(f, DATA, 'x');
	assert_int_equal(inb(f, LSR) & 0x20, 0);
	assert_int_equal(f->out_n, 10);
	fake_vm_advance(f, MSEC / 2);
	assert_int_equal(inb(f, LSR) & 0x20, 0x20);
	assert_int_equal(f->out_n, 310);
	/* Nor does the next line put it off. */
	for (unsigned i = 0; i < 20; i++) {
		outb(f, DATA, '\n');
		fake_vm_advance(f, MSEC / 20);
	}
	assert_in_range(f->out_n, 320, 330);
}

static void the_last_output_comes_in_pieces(void **state)
{
	unsigned calls = 0;

	f->console_full = true;
	for (unsigned i = 0; i < 200; i++)
		outb(f, DATA, 'x');
	f->console_piece = 7;
	while (!platform_console_finish(f->p))
		assert_in_range(++calls, 1, 29);
	assert_int_equal(calls, 28);
	assert_int_equal(f->out_n, 200);
}

/* The machine's line is slow: the guest is told, and nothing is written until there is room. */
static void a_full_console_shows_not_ready(void **state)
{
	unsigned sent = 0;

	f->console_full = true;
	while (inb(f, LSR) & 0x20 && sent < 10000) {
		outb(f, DATA, 'x');
		sent++;
	}
	assert_in_range(sent, 100, 256);
	assert_int_equal(f->out_n, 0);
	assert_int_equal(inb(f, LSR) & 0x60, 0);
	outb(f, MCR, 0x08);
	outb(f, IER, 0x02);
	assert_false(irq4()); /* not empty: no interrupt yet */
	for (unsigned i = 0; i < 1000; i++)
		outb(f, DATA, 'y'); /* blindly: lost, but for what still fits */
	fake_vm_advance(f, 20 * MSEC);
	assert_int_equal(f->out_n, 0);
	assert_false(irq4());
	f->console_full = false;
	fake_vm_advance(f, 5 * MSEC);
	assert_true(irq4()); /* empty now */
	assert_int_equal(inb(f, LSR) & 0x60, 0x60);
	assert_in_range(f->out_n, sent, CONSOLE_BYTES);
}

static void thr_empty_interrupt(void **state)
{
	outb(f, MCR, 0x08);
	outb(f, IER, 0x02); /* empty already: at once */
	assert_true(irq4());
	assert_int_equal(inb(f, IIR), 0x02);
	assert_false(irq4()); /* reading IIR took it back */
	assert_int_equal(inb(f, IIR), 0x01);
	outb(f, DATA, 'a');
	assert_true(irq4());
	outb(f, IER, 0);
	assert_false(irq4());
	outb(f, IER, 2);
	assert_true(irq4());
}

static void interrupts_need_out2(void **state)
{
	outb(f, IER, 0x02);
	assert_false(irq4());
	outb(f, MCR, 0x08);
	assert_true(irq4());
}

static void received_data_interrupt(void **state)
{
	outb(f, MCR, 0x08);
	outb(f, IER, 0x01);
	outb(f, MCR, 0x08);
	type("ab");
	assert_true(irq4());
	assert_int_equal(inb(f, IIR), 0x04);
	assert_int_equal(inb(f, LSR) & 1, 1);
	assert_int_equal(inb(f, DATA), 'a');
	assert_true(irq4()); /* no FIFO: the second follows when the first is gone */
	assert_int_equal(inb(f, DATA), 'b');
	assert_false(irq4());
	assert_int_equal(inb(f, LSR) & 1, 0);
}

static void fifo_trigger_and_timeout(void **state)
{
	outb(f, MCR, 0x08);
	outb(f, IIR, 0x81); /* trigger at 8 */
	outb(f, LCR, 0x03);
	outb(f, IER, 0x01);
	outb(f, MCR, 0x08);
	type("1234567");
	assert_false(irq4());
	fake_vm_advance(f, 300 * USEC);
	assert_false(irq4());
	fake_vm_advance(f, 100 * USEC); /* four characters of 10 bits at 115200: 347 us */
	assert_true(irq4());
	assert_int_equal(inb(f, IIR), 0xcc);
	assert_int_equal(inb(f, DATA), '1');
	assert_false(irq4()); /* a read starts the time anew */
	type("89");
	assert_true(irq4());
	assert_int_equal(inb(f, IIR), 0xc4);
}

static void nothing_typed_is_lost(void **state)
{
	char text[101], got[101] = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < 100; i++)
		text[i] = (char)('!' + i % 90);
	text[100] = 0;
	outb(f, IIR, 0x01);
	outb(f, IER, 0x01);
	outb(f, MCR, 0x08);
	type(text);
	while (inb(f, LSR) & 1)
		got[n++] = (char)inb(f, DATA);
	assert_string_equal(got, text);
	assert_int_equal(inb(f, LSR) & 2, 0);
}

static void a_guest_that_polls_lsr_receives(void **state)
{
	unsigned n = 0;

	f->in = "x";
	while (!(inb(f, LSR) & 1) && n < 1000)
		n++;
	assert_in_range(n, 0, 40);
	assert_int_equal(inb(f, DATA), 'x');
}

/* ---- which device gets what is typed ---- */

static bool keyboard_has(char c)
{
	bool has;

	assert_int_equal(c, 'a'); /* whose make code is 1Eh */
	has = (inb(f, 0x64) & 1) && inb(f, 0x60) == 0x1e;
	while (inb(f, 0x64) & 1)
		inb(f, 0x60);
	return has;
}

/* Without polling: what lies in the receiver. */
static unsigned received(void)
{
	return DEV(f, vuart)->count;
}

static void without_a_driver_the_keyboard_receives(void **state)
{
	type("a");
	assert_true(keyboard_has('a'));
	assert_int_equal(received(), 0);
}

static void a_receive_interrupt_without_out2_receives_nothing(void **state)
{
	outb(f, IER, 0x01);
	type("a");
	assert_true(keyboard_has('a'));
	assert_int_equal(received(), 0);
}

static void out2_without_a_receive_interrupt_receives_nothing(void **state)
{
	outb(f, MCR, 0x08);
	outb(f, IER, 0x0e);
	type("a");
	assert_true(keyboard_has('a'));
	assert_int_equal(received(), 0);
}

static void out2_and_receive_interrupt_receive_in_either_order(void **state)
{
	outb(f, 0x64, 0xad); /* no keyboard: what is typed waits */
	type("xy");
	outb(f, IIR, 0x01);
	assert_int_equal(received(), 0);
	outb(f, MCR, 0x08);
	assert_int_equal(received(), 0);
	outb(f, IER, 0x01);
	assert_int_equal(received(), 2);
	outb(f, IIR, 0x03);
	outb(f, IER, 0x00);
	outb(f, MCR, 0x00);
	fake_vm_advance(f, SEC);
	type("xy");
	assert_int_equal(received(), 0);
	outb(f, IER, 0x01);
	assert_int_equal(received(), 0);
	outb(f, MCR, 0x08);
	assert_int_equal(received(), 2);
}

static void polling_lsr_receives_for_a_while(void **state)
{
	for (unsigned i = 0; i < 20; i++)
		inb(f, LSR);
	fake_vm_advance(f, SEC);
	type("x");
	assert_int_equal(received(), 1);
	assert_int_equal(inb(f, DATA), 'x');
	fake_vm_advance(f, 3 * SEC); /* it has stopped polling */
	type("a");
	assert_true(keyboard_has('a'));
	assert_int_equal(received(), 0);
}

static void a_guest_that_polls_lsr_slowly_receives(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		inb(f, LSR);
		fake_vm_advance(f, SEC);
	}
	type("x");
	assert_int_equal(received(), 1);
}

static void reading_rbr_is_polling(void **state)
{
	assert_int_equal(inb(f, DATA), 0);
	type("x");
	assert_int_equal(received(), 1);
	inb(f, DATA);
	fake_vm_advance(f, 3 * SEC);
	outb(f, LCR, 0x80);
	inb(f, DATA); /* the divisor's */
	outb(f, LCR, 0x03);
	type("a");
	assert_true(keyboard_has('a'));
}

static void waiting_for_thre_is_no_polling(void **state)
{
	for (unsigned i = 0; i < 100; i++) {
		inb(f, LSR);
		inb(f, LSR);
		outb(f, DATA, '.');
		inb(f, LSR);
	}
	type("a");
	assert_true(keyboard_has('a'));
	assert_int_equal(received(), 0);
}

static void in_loopback_mode_nothing_is_received(void **state)
{
	outb(f, IER, 0x01);
	outb(f, MCR, 0x18);
	for (unsigned i = 0; i < 20; i++)
		inb(f, LSR);
	inb(f, DATA);
	type("a");
	assert_true(keyboard_has('a'));
	assert_int_equal(received(), 0);
	outb(f, 0x64, 0xad);
	type("x");
	assert_int_equal(received(), 0);
	outb(f, MCR, 0x08); /* out of it again: what waited arrives */
	assert_int_equal(received(), 1);
}

static void without_fifo_the_second_byte_waits_for_the_first(void **state)
{
	outb(f, IER, 0x01);
	outb(f, MCR, 0x08);
	type("xy");
	assert_int_equal(received(), 1);
	assert_false(inb(f, 0x64) & 1); /* and does not go to the keyboard */
	assert_int_equal(inb(f, DATA), 'x');
	assert_int_equal(inb(f, DATA), 'y');
	assert_int_equal(inb(f, LSR) & 2, 0);
}

static void a_driver_that_prints_by_polling_does_not_lose_what_is_typed(void **state)
{
	outb(f, IIR, 0x01);
	outb(f, IER, 0x05);
	outb(f, MCR, 0x08);
	outb(f, IER, 0x00); /* Linux's console: interrupts off, a line, and on again */
	for (unsigned i = 0; i < 80; i++) {
		inb(f, LSR);
		outb(f, DATA, '.');
		fake_vm_advance(f, 100 * USEC);
	}
	type("x");
	assert_int_equal(received(), 1);
	outb(f, IER, 0x05);
	fake_vm_advance(f, 10 * MSEC);
	assert_true(irq4());
	assert_int_equal(inb(f, DATA), 'x');
}

static void loopback(void **state)
{
	outb(f, MCR, 0x10);
	assert_int_equal(inb(f, MSR) & 0xf0, 0);
	assert_int_equal(inb(f, MSR) & 0x0f, 0);
	outb(f, MCR, 0x1a); /* RTS and OUT2 -> CTS and DCD */
	assert_int_equal(inb(f, MSR), 0x99);
	assert_int_equal(inb(f, MSR), 0x90);
	outb(f, DATA, 0x77);
	assert_int_equal(f->out_n, 0);
	assert_int_equal(inb(f, LSR) & 1, 1);
	assert_int_equal(inb(f, DATA), 0x77);
	outb(f, MCR, 0x14);
	inb(f, MSR);
	outb(f, MCR, 0x10);
	assert_int_equal(inb(f, MSR) & 0x04, 0x04); /* trailing edge of RI */
}

static void overrun_and_line_status_interrupt(void **state)
{
	outb(f, MCR, 0x18);
	outb(f, DATA, 1);
	outb(f, DATA, 2);
	assert_int_equal(inb(f, LSR) & 0x03, 0x03);
	assert_int_equal(inb(f, LSR) & 0x02, 0); /* cleared by the read */
	assert_int_equal(inb(f, DATA), 2);
	outb(f, LCR, 0x40);
	assert_int_equal(inb(f, LSR) & 0x11, 0x11); /* break */
	outb(f, IER, 0x04);
	outb(f, DATA, 1);
	outb(f, DATA, 2);
	assert_int_equal(inb(f, IIR), 0x06);
}

static void modem_status_interrupt(void **state)
{
	outb(f, MCR, 0x18);
	inb(f, MSR);
	outb(f, IER, 0x08);
	assert_int_equal(inb(f, IIR), 0x01);
	outb(f, MCR, 0x19);
	assert_int_equal(inb(f, IIR), 0x00);
	assert_int_equal(inb(f, MSR) & 0x0f, 0x02);
	assert_int_equal(inb(f, IIR), 0x01);
}

static void word_access_is_two_bytes(void **state)
{
	platform_pio_write(f->p, 0, LCR, 2, 0x0803); /* LCR and MCR */
	assert_int_equal(inb(f, LCR), 0x03);
	assert_int_equal(inb(f, MCR), 0x08);
	assert_int_equal(platform_pio_read(f->p, 0, LCR, 2), 0x0803);
	assert_int_equal(platform_pio_read(f->p, 0, SCR, 4) >> 8, 0xffffff); /* beyond lies nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(looks_like_a_16550a),
		T(divisor_latch),
		T(output_is_gathered_to_lines),
		T(a_line_is_whole_while_events_are_traced),
		T(a_long_line_comes_in_pieces),
		T(output_that_is_long_work_goes_out_in_pieces),
		T(a_long_exit_hands_nothing_on),
		T(the_last_output_comes_in_pieces),
		T(a_full_console_shows_not_ready),
		T(thr_empty_interrupt),
		T(interrupts_need_out2),
		T(received_data_interrupt),
		T(fifo_trigger_and_timeout),
		T(nothing_typed_is_lost),
		T(a_guest_that_polls_lsr_receives),
		T(without_a_driver_the_keyboard_receives),
		T(a_receive_interrupt_without_out2_receives_nothing),
		T(out2_without_a_receive_interrupt_receives_nothing),
		T(out2_and_receive_interrupt_receive_in_either_order),
		T(polling_lsr_receives_for_a_while),
		T(a_guest_that_polls_lsr_slowly_receives),
		T(reading_rbr_is_polling),
		T(waiting_for_thre_is_no_polling),
		T(in_loopback_mode_nothing_is_received),
		T(without_fifo_the_second_byte_waits_for_the_first),
		T(a_driver_that_prints_by_polling_does_not_lose_what_is_typed),
		T(loopback),
		T(overrun_and_line_status_interrupt),
		T(modem_status_interrupt),
		T(word_access_is_two_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
