/* SPDX-License-Identifier: MIT */
/*
 * The 16550A: registers, FIFOs and the interrupt priority chain. The transmitter is as fast as the console: a character
 * written is gone at once, so THR is empty and FIFO mode makes no difference on that side, until the console has no room.
 */
#include "guest/dev/vuart.h"

#include "lib/string.h"

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR }; /* with LCR.DLAB 0 and 1 are the divisor */

#define IER_ERBFI BIT(0) /* received data */
#define IER_ETBEI BIT(1) /* transmitter holding register empty */
#define IER_ELSI  BIT(2) /* line status */
#define IER_EDSSI BIT(3) /* modem status */

#define IIR_NONE    0x01
#define IIR_MODEM   0x00
#define IIR_THRE    0x02
#define IIR_DATA    0x04
#define IIR_LINE    0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS   0xc0

#define FCR_ENABLE   BIT(0)
#define FCR_RESET_RX BIT(1)
#define FCR_TRIGGER  BITS(7, 6)

#define LCR_STOP   BIT(2)
#define LCR_PARITY BIT(3)
#define LCR_BREAK  BIT(6)
#define LCR_DLAB   BIT(7)

#define MCR_OUT2 BIT(3) /* gates the interrupt line in a PC */
#define MCR_LOOP BIT(4)

#define LSR_DR	  BIT(0)
#define LSR_OE	  BIT(1)
#define LSR_BI	  BIT(4)
#define LSR_THRE  BIT(5)
#define LSR_TEMT  BIT(6)
#define LSR_ERROR BIT(7)

#define MSR_CTS	  BIT(4)
#define MSR_DSR	  BIT(5)
#define MSR_RI	  BIT(6)
#define MSR_DCD	  BIT(7)
#define MSR_DELTA BITS(3, 0)

#define CLOCK_HZ      1843200ul
#define POLLED_AFTER  16 /* reads of LSR without a character sent: the guest waits for input, not for THRE */
#define POLLED_FOR_MS 2000 /* after its last poll a guest still counts as one that polls */
/* A driver that prints by polling turns the interrupts off meanwhile, and on again: Linux's console, for each line. */
#define PAUSED_FOR_MS 50

static bool uart_fifos(const struct vuart *u)
{
	return u->fcr & FCR_ENABLE;
}

static unsigned uart_trigger(const struct vuart *u)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return uart_fifos(u) ? level[u->fcr >> 6] : 1;
}

static uint8_t uart_interrupt(const struct vuart *u)
{
	if ((u->ier & IER_ELSI) && u->line_errors)
		return IIR_LINE;
	if ((u->ier & IER_ERBFI) && u->count >= uart_trigger(u))
		return IIR_DATA;
	if ((u->ier & IER_ERBFI) && u->timeout)
		return IIR_TIMEOUT;
	if ((u->ier & IER_ETBEI) && u->thre_pending)
		return IIR_THRE;
	if ((u->ier & IER_EDSSI) && (u->msr & MSR_DELTA))
		return IIR_MODEM;
	return IIR_NONE;
}

static bool uart_takes_interrupts(const struct vuart *u)
{
	return (u->ier & IER_ERBFI) && (u->mcr & MCR_OUT2);
}

/* The guest counts as listening for so long from now on, if not for longer. */
static void uart_listens_for(struct vuart *u, uint64_t ms)
{
	u->listens_until = max(u->listens_until,
		tsc_after(device_now(&u->dev), mul_div(u->dev.board->clock->tsc_hz, ms, 1000)));
}

bool vuart_listens(const void *uart)
{
	const struct vuart *u = uart;

	return !(u->mcr & MCR_LOOP) && (uart_takes_interrupts(u) || device_now(&u->dev) < u->listens_until);
}

/* The guest looked for a character by reading LSR, and there was none. */
static void uart_polled(struct vuart *u)
{
	if (++u->idle_polls < POLLED_AFTER)
		return;
	uart_listens_for(u, POLLED_FOR_MS);
	if (u->idle_polls % POLLED_AFTER == 0)
		vconsole_pump(u->dev.board->console);
}

static void uart_update(struct vuart *u)
{
	bool irq = uart_interrupt(u) != IIR_NONE && (u->mcr & MCR_OUT2) && !(u->mcr & MCR_LOOP);

	if (irq == u->irq)
		return;
	u->irq = irq;
	irq_line_set(&u->line, irq);
}

/* Four character times without anything moving, and what lies in the FIFO is announced (datasheet, "FIFO Interrupt
 * Mode Operation"). */
static void uart_restart_timeout(struct vuart *u)
{
	unsigned bits = 1 + 5 + (u->lcr & 3) + !!(u->lcr & LCR_PARITY) + 1 + !!(u->lcr & LCR_STOP);
	uint64_t divisor = u->divisor ? u->divisor : 1;

	u->timeout = false;
	if (uart_fifos(u) && u->count && (u->ier & IER_ERBFI))
		timer_arm(&u->timer,
			tsc_after(device_now(&u->dev),
				mul_div(u->dev.board->clock->tsc_hz, 4ull * bits * 16 * divisor, CLOCK_HZ)));
	else
		timer_stop(&u->timer);
}

static void uart_fire(struct vtimer *t, uint64_t now)
{
	struct vuart *u = container_of(t, struct vuart, timer);

	u->timeout = u->count != 0;
	uart_update(u);
}

static void uart_push(struct vuart *u, uint8_t c)
{
	unsigned depth = uart_fifos(u) ? VUART_FIFO : 1;

	if (u->count == depth) {
		u->line_errors |= LSR_OE;
		if (!uart_fifos(u)) /* a full FIFO keeps what it has; a single register is overwritten */
			u->fifo[u->head] = c;
	} else {
		u->fifo[(u->head + u->count++) % VUART_FIFO] = c;
	}
	uart_restart_timeout(u);
}

static uint8_t uart_pop(struct vuart *u)
{
	uint8_t c;

	if (!u->count) {
		uart_listens_for(u, POLLED_FOR_MS);
		vconsole_pump(u->dev.board->console);
	}
	if (!u->count)
		return 0;
	c = u->fifo[u->head];
	u->head = (u->head + 1) % VUART_FIFO;
	u->count--;
	uart_restart_timeout(u);
	/* More bytes may have been typed than there was room for. */
	if (!u->count)
		vconsole_pump(u->dev.board->console);
	return c;
}

/* True if the transmitter is empty: then a guest may send a FIFO of characters. */
static bool uart_ready(struct vuart *u)
{
	u->full = !(u->mcr & MCR_LOOP) && !vconsole_has_room(u->dev.board->console);
	return !u->full;
}

static void uart_transmit(struct vuart *u, uint8_t c)
{
	u->idle_polls = 0;
	if (u->mcr & MCR_LOOP)
		uart_push(u, c);
	else
		vconsole_put(u->dev.board->console, (char)c);
	u->thre_pending = !u->full && uart_ready(u);
}

void vuart_may_send(void *uart)
{
	struct vuart *u = uart;

	if (!u->full)
		return;
	u->full = false;
	u->thre_pending = true;
	uart_update(u);
}

static void uart_clear_receiver(struct vuart *u)
{
	u->head = u->count = 0;
	uart_restart_timeout(u);
}

static void uart_write_fcr(struct vuart *u, uint8_t value)
{
	/* Switching between FIFO and character mode empties both sides. */
	if ((value ^ u->fcr) & FCR_ENABLE)
		uart_clear_receiver(u);
	u->fcr = value & FCR_ENABLE ? value & (FCR_TRIGGER | FCR_ENABLE) : 0;
	if (value & FCR_RESET_RX)
		uart_clear_receiver(u);
}

/* The modem lines are those of a terminal that is there; in loopback the outputs of MCR come back. */
static void uart_modem_lines(struct vuart *u)
{
	uint8_t was = u->msr, is = MSR_CTS | MSR_DSR | MSR_DCD;

	if (u->mcr & MCR_LOOP) /* DTR, RTS, OUT1, OUT2 -> DSR, CTS, RI, DCD */
		is = (uint8_t)((u->mcr & 1) << 5 | (u->mcr & 2) << 3 | (u->mcr & 4) << 4 | (u->mcr & 8) << 4);
	/* Deltas: CTS, DSR, DCD by any change, RI by its trailing edge. */
	u->msr = (uint8_t)(is | (was & MSR_DELTA) | ((was ^ is) >> 4 & 0x0b) | (was >> 4 & ~is >> 4 & 0x04));
}

static uint64_t uart_read(void *dev, uint64_t off, unsigned size)
{
	struct vuart *u = dev;
	uint8_t value = 0;

	switch (off) {
	case RBR_THR:
		value = u->lcr & LCR_DLAB ? (uint8_t)u->divisor : uart_pop(u);
		break;
	case IER:
		value = u->lcr & LCR_DLAB ? (uint8_t)(u->divisor >> 8) : u->ier;
		break;
	case IIR_FCR:
		value = uart_interrupt(u);
		if (value == IIR_THRE)
			u->thre_pending = false;
		value |= uart_fifos(u) ? IIR_FIFOS : 0;
		break;
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		value = (uart_ready(u) ? LSR_THRE | LSR_TEMT : 0) | u->line_errors |
			(uart_fifos(u) && (u->line_errors & LSR_BI) ? LSR_ERROR : 0);
		if (!u->count)
			uart_polled(u);
		if (u->count)
			value |= LSR_DR;
		if (!u->line_errors)
			return value;
		u->line_errors = 0;
		break;
	case MSR:
		value = u->msr;
		u->msr &= (uint8_t)~MSR_DELTA;
		break;
	case SCR:
		return u->scr;
	}
	uart_update(u);
	return value;
}

static void uart_write(void *dev, uint64_t off, unsigned size, uint64_t v)
{
	struct vuart *u = dev;
	uint8_t value = (uint8_t)v, before;
	bool listened = vuart_listens(u), interrupts = uart_takes_interrupts(u);

	switch (off) {
	case RBR_THR:
		if (u->lcr & LCR_DLAB)
			u->divisor = (uint16_t)((u->divisor & 0xff00) | value);
		else
			uart_transmit(u, value);
		break;
	case IER:
		if (u->lcr & LCR_DLAB) {
			u->divisor = (uint16_t)((u->divisor & 0x00ff) | value << 8);
			break;
		}
		before = u->ier;
		u->ier = value & 0x0f;
		/* Enabled while the register is empty, the interrupt comes at once. */
		if (~before & u->ier & IER_ETBEI)
			u->thre_pending = uart_ready(u);
		if (~before & u->ier & IER_ERBFI)
			uart_restart_timeout(u);
		break;
	case IIR_FCR:
		uart_write_fcr(u, value);
		break;
	case LCR:
		if ((u->mcr & MCR_LOOP) && (~u->lcr & value & LCR_BREAK)) {
			uart_push(u, 0);
			u->line_errors |= LSR_BI;
		}
		u->lcr = value;
		break;
	case MCR:
		u->mcr = value & 0x1f;
		uart_modem_lines(u);
		break;
	case SCR:
		u->scr = value;
		break;
	default: /* LSR and MSR: factory test only */
		break;
	}
	if (interrupts && !uart_takes_interrupts(u))
		uart_listens_for(u, PAUSED_FOR_MS);
	if (!listened && vuart_listens(u))
		vconsole_pump(u->dev.board->console);
	uart_update(u);
}

bool vuart_room(const void *uart)
{
	const struct vuart *u = uart;

	return !(u->mcr & MCR_LOOP) && u->count < (uart_fifos(u) ? VUART_FIFO : 1);
}

void vuart_receive(void *uart, uint8_t c)
{
	struct vuart *u = uart;

	uart_push(u, c);
	uart_update(u);
}

static void vuart_reset(struct device *d)
{
	struct vuart *u = (struct vuart *)d;

	u->ier = u->fcr = u->lcr = u->mcr = u->scr = u->line_errors = 0;
	u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
	u->divisor = 1; /* 115200 */
	u->thre_pending = u->timeout = u->full = false;
	u->head = u->count = u->idle_polls = 0;
	u->listens_until = 0;
	timer_stop(&u->timer);
	uart_update(u);
}

static int vuart_attach(struct device *d)
{
	struct vuart *u = (struct vuart *)d;

	device_timer(d, &u->timer, uart_fire);
	device_ports(d, &u->ports, VUART_PORT, 8, BUS_1, uart_read, uart_write);
	return 0;
}

const struct device_kind vuart_kind = {
	.name = "16550A UART",
	.size = sizeof(struct vuart),
	.lock = LOCK_CONSOLE,
	.attach = vuart_attach,
	.reset = vuart_reset,
};
