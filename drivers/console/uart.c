/* SPDX-License-Identifier: MIT */
/*
 * The 16550 UART (National Semiconductor PC16550D data sheet). Registers, as offsets from the port:
 *
 *	0  RBR/THR data (DLAB: DLL)	1  IER (DLAB: DLM)	2  IIR/FCR
 *	3  LCR line control		4  MCR modem control	5  LSR line status
 *	6  MSR modem status		7  SCR scratch
 *
 * A port where nothing listens reads all ones, so that every status bit looks set; a port where something else
 * listens may never set any. Hence the probing, and the bound on every wait.
 */
#include "drivers/console/uart.h"

#include "lib/atomic.h"
#include "lib/x86.h"

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR, DLL = DATA, DLM = IER };

#define IER_RX BIT(0)
#define IER_TX BIT(1)

#define IIR_NONE  BIT(0)     /* 0 means that an interrupt is pending */
#define IIR_CAUSE BITS(3, 1) /* 0 modem status, 1 transmitter, 2 and 6 data, 3 line status */
#define IIR_FIFO  BITS(7, 6)

#define FCR_ENABLE   BIT(0)
#define FCR_CLEAR_RX BIT(1)
#define FCR_CLEAR_TX BIT(2)
#define FCR_RX_AT_8  BIT(7) /* receive interrupt at 8 bytes, or when the line pauses for four characters */

#define LCR_8N1	 0x03
#define LCR_DLAB BIT(7)

#define MCR_DTR	 BIT(0)
#define MCR_RTS	 BIT(1)
#define MCR_OUT2 BIT(3) /* on a PC: lets the interrupt through to the controller */
#define MCR_LOOP BIT(4)

#define LSR_DR	  BIT(0)
#define LSR_ERROR BITS(4, 2) /* parity, framing, break: of the byte that is next */
#define LSR_THRE  BIT(5)     /* holding register (FIFO) empty */
#define LSR_TEMT  BIT(6)     /* shift register empty too */

/*
 * A character at 115200 baud takes 87 us: a hundred reads of a real port, but thousands of instructions in an
 * emulator that runs ahead of its clock. Thirty characters' worth of the larger.
 */
#define POLLS_MAX 100000u

static uint8_t reg_read(const struct uart *u, unsigned r)
{
	unsigned at = r * u->at.stride;

	if (u->at.port)
		return in8((uint16_t)(u->at.port + at));
	return u->at.stride == 4 ? (uint8_t) * (volatile uint32_t *)(u->at.regs + at) : u->at.regs[at];
}

static void reg_write(const struct uart *u, unsigned r, uint8_t v)
{
	unsigned at = r * u->at.stride;

	if (u->at.port)
		out8((uint16_t)(u->at.port + at), v);
	else if (u->at.stride == 4)
		*(volatile uint32_t *)(u->at.regs + at) = v;
	else
		u->at.regs[at] = v;
}

static bool wait_lsr(const struct uart *u, uint8_t bit)
{
	for (unsigned i = 0; i < POLLS_MAX; i++) {
		if (reg_read(u, LSR) & bit)
			return true;
		cpu_relax();
	}
	return false;
}

static bool scratch_works(const struct uart *u)
{
	static const uint8_t pattern[] = { 0x5a, 0xa5 };

	for (unsigned i = 0; i < ARRAY_SIZE(pattern); i++) {
		reg_write(u, SCR, pattern[i]);
		if (reg_read(u, SCR) != pattern[i])
			return false;
	}
	return true;
}

/* A byte sent in loopback comes back, and nothing of it reaches the line. */
static bool loopback_works(const struct uart *u)
{
	bool same;

	reg_write(u, MCR, MCR_LOOP | MCR_DTR | MCR_RTS);
	reg_write(u, DATA, 0xae);
	same = wait_lsr(u, LSR_DR) && reg_read(u, DATA) == 0xae;
	reg_write(u, MCR, 0);
	return same;
}

static void set_line(const struct uart *u, uint32_t divisor)
{
	if (!u->at.keep_rate) {
		reg_write(u, LCR, LCR_DLAB);
		reg_write(u, DLL, (uint8_t)divisor);
		reg_write(u, DLM, (uint8_t)(divisor >> 8));
	}
	reg_write(u, LCR, LCR_8N1);
}

int uart_isa_irq(const struct uart *u)
{
	switch (u->present ? u->at.port : 0) {
	case UART_COM1:
	case UART_COM3:
		return 4;
	case UART_COM2:
	case UART_COM4:
		return 3;
	default:
		return -1;
	}
}

int uart_init(struct uart *u, const struct uart_place *at, uint32_t baud)
{
	uint32_t divisor;
	bool fifo;

	*u = (struct uart){ 0 };
	if (!baud || baud > 115200 || 115200 % baud)
		return -E_INVAL;
	divisor = 115200 / baud;
	u->at = *at;
	if ((!at->port && !at->regs) || reg_read(u, LSR) == 0xff || !scratch_works(u))
		goto absent;

	/* What the firmware printed last is still on its way out. */
	wait_lsr(u, LSR_TEMT);
	reg_write(u, IER, 0);
	set_line(u, divisor);
	reg_write(u, IIR_FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX | FCR_RX_AT_8);
	fifo = (reg_read(u, IIR_FCR) & IIR_FIFO) == IIR_FIFO;
	/* Some virtual machines' UARTs leave the loopback out, but have a FIFO; nothing else reads like that. */
	if (!loopback_works(u) && !fifo)
		goto absent;

	reg_write(u, IIR_FCR, fifo ? FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX | FCR_RX_AT_8 : 0);
	reg_write(u, MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	u->fifo = fifo ? 16 : 1;
	u->present = true;
	return 0;
absent:
	return -E_NOENT;
}

bool uart_put(struct uart *u, uint8_t byte)
{
	if (!u->present)
		return false;
	/* Once it was stuck, only look: a console must not cost a tenth of a second for every lost byte. */
	if (u->stuck ? !(reg_read(u, LSR) & LSR_THRE) : !wait_lsr(u, LSR_THRE)) {
		u->stuck = true;
		return false;
	}
	u->stuck = false;
	reg_write(u, DATA, byte);
	return true;
}

size_t uart_send_some(struct uart *u, const uint8_t *bytes, size_t n)
{
	if (!u->present || !n || !(reg_read(u, LSR) & LSR_THRE))
		return 0;
	/* THRE says that the whole FIFO is empty. */
	n = min(n, (size_t)u->fifo);
	for (size_t i = 0; i < n; i++)
		reg_write(u, DATA, bytes[i]);
	return n;
}

void uart_drain(struct uart *u)
{
	if (u->present && !u->stuck)
		wait_lsr(u, LSR_TEMT);
}

int uart_get(struct uart *u)
{
	if (!u->present)
		return -1;
	/* At most a FIFO of bytes that arrived damaged. */
	for (unsigned i = 0; i < 16; i++) {
		uint8_t lsr = reg_read(u, LSR), byte;

		if (!(lsr & LSR_DR))
			return -1;
		byte = reg_read(u, DATA);
		if (!(lsr & LSR_ERROR))
			return byte;
	}
	return -1;
}

void uart_interrupts(struct uart *u, bool rx, bool tx)
{
	uint8_t ier = (uint8_t)((rx ? IER_RX : 0) | (tx ? IER_TX : 0));

	/* Writing it again would raise a transmitter interrupt anew on some chips: only changes are written. */
	if (!u->present || ier == u->ier)
		return;
	u->ier = ier;
	reg_write(u, IER, ier);
}

bool uart_ack(struct uart *u)
{
	bool mine = false;

	/* Four causes, each told once; but received data stays pending until it is read, so no loop until "none". */
	for (unsigned i = 0; u->present && i < 4; i++) {
		uint8_t iir = reg_read(u, IIR_FCR);

		if (iir & IIR_NONE)
			break;
		mine = true;
		if (!(iir & IIR_CAUSE))
			reg_read(u, MSR);
		/* Reading the IIR was all that the transmitter asked for. */
	}
	return mine;
}
