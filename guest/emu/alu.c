/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic and flags. Every function works on operands zero-extended to 64 bits; `mask` is all ones in the
 * operand's width, `top` its highest bit.
 */
#include "guest/emu/alu.h"

#include "lib/assert.h"

/* Carries (of a sum) and borrows (of a difference) of every bit position follow from operands and result. */
static inline uint64_t carries(uint64_t a, uint64_t b, uint64_t r)
{
	return (a & b) | ((a | b) & ~r);
}
static inline uint64_t borrows(uint64_t a, uint64_t b, uint64_t r)
{
	return (~a & b) | ((~a | b) & r);
}

/* ZF, SF and PF (even parity of bits 7:0) of a result. */
static uint64_t flags_of(uint64_t r, uint64_t top)
{
	uint64_t f = 0;

	if (!r)
		f |= RFLAGS_ZF;
	if (r & top)
		f |= RFLAGS_SF;
	if (!__builtin_parity((uint8_t)r))
		f |= RFLAGS_PF;
	return f;
}

static inline void set_flags(uint64_t *rflags, uint64_t which, uint64_t to)
{
	*rflags = (*rflags & ~which) | to;
}

static uint64_t add(uint64_t a, uint64_t b, uint64_t carry, uint64_t mask, uint64_t *rflags, uint64_t which)
{
	uint64_t top = mask ^ (mask >> 1), r = (a + b + carry) & mask, f = flags_of(r, top);

	if (carries(a, b, r) & top)
		f |= RFLAGS_CF;
	if ((a ^ r) & (b ^ r) & top)
		f |= RFLAGS_OF;
	f |= (a ^ b ^ r) & RFLAGS_AF; /* AF is bit 4: the carry into bit 4 */
	set_flags(rflags, which, f & which);
	return r;
}

static uint64_t sub(uint64_t a, uint64_t b, uint64_t borrow, uint64_t mask, uint64_t *rflags, uint64_t which)
{
	uint64_t top = mask ^ (mask >> 1), r = (a - b - borrow) & mask, f = flags_of(r, top);

	if (borrows(a, b, r) & top)
		f |= RFLAGS_CF;
	if ((a ^ b) & (a ^ r) & top)
		f |= RFLAGS_OF;
	f |= (a ^ b ^ r) & RFLAGS_AF;
	set_flags(rflags, which, f & which);
	return r;
}

/* AND, OR, XOR, TEST: CF and OF become 0; AF is undefined, and 0 on every CPU seen. */
static uint64_t logic(uint64_t r, uint64_t mask, uint64_t *rflags)
{
	set_flags(rflags, ALU_FLAGS, flags_of(r, mask ^ (mask >> 1)));
	return r;
}

/*
 * Shifts and rotates. The count is taken modulo 32 (64 for 8 bytes), by RCL and RCR then modulo the width
 * plus 1 (CF takes part); with a count of 0 no flag changes. OF is defined for a count of 1 only, and is
 * computed for the others in the same way. The loops go bit by bit, at most 63 steps, as the SDM's pseudocode does.
 */
static uint64_t rotate(enum insn_op op, unsigned bits, uint64_t v, unsigned count, uint64_t *rflags)
{
	uint64_t mask = ~0ull >> (64 - bits), top = BIT(bits - 1);
	bool cf = *rflags & RFLAGS_CF, of, out;

	if (op == INSN_RCL || op == INSN_RCR)
		count %= bits + 1;
	else if (count)
		count = (count - 1) % bits + 1; /* a whole turn leaves the value and sets CF */
	if (!count)
		return v;
	while (count--) {
		if (op == INSN_ROL || op == INSN_RCL) {
			out = v & top;
			v = (v << 1 | (op == INSN_ROL ? out : cf)) & mask;
		} else {
			out = v & 1;
			v = v >> 1 | ((op == INSN_ROR ? out : cf) ? top : 0);
		}
		cf = out;
	}
	if (op == INSN_ROL || op == INSN_RCL)
		of = !!(v & top) ^ cf;
	else
		of = !!(v & top) ^ !!(v & top >> 1);
	set_flags(rflags, RFLAGS_CF | RFLAGS_OF, (cf ? RFLAGS_CF : 0) | (of ? RFLAGS_OF : 0));
	return v;
}

static uint64_t shift(enum insn_op op, unsigned bits, uint64_t v, unsigned count, uint64_t *rflags)
{
	uint64_t mask = ~0ull >> (64 - bits), top = BIT(bits - 1), first = v, last;
	bool of;

	if (!count)
		return v;
	/* `last`: before the last step, whose bit goes into CF. */
	switch (op) {
	case INSN_SHL:
		last = v << (count - 1);
		v = (last << 1) & mask;
		last &= top;
		of = !!(v & top) ^ !!last;
		break;
	case INSN_SHR:
		last = v >> (count - 1) & 1;
		v = count < 64 ? v >> (count - 1) >> 1 : 0;
		of = first & top;
		break;
	default: /* SAR */
		if (v & top)
			v |= ~mask;
		last = (uint64_t)((int64_t)v >> (count - 1)) & 1;
		v = (uint64_t)((int64_t)v >> (count - 1) >> 1) & mask;
		of = false;
	}
	set_flags(rflags, ALU_FLAGS, flags_of(v, top) | (last ? RFLAGS_CF : 0) | (of ? RFLAGS_OF : 0));
	return v;
}

static uint64_t bit_test(enum insn_op op, unsigned bits, uint64_t v, uint64_t number, uint64_t *rflags)
{
	uint64_t bit = BIT(number & (bits - 1));

	set_flags(rflags, RFLAGS_CF, v & bit ? RFLAGS_CF : 0);
	switch (op) {
	case INSN_BTS:
		return v | bit;
	case INSN_BTR:
		return v & ~bit;
	case INSN_BTC:
		return v ^ bit;
	default:
		return v;
	}
}

/* CF and OF say whether the product needs more than its lower half; the others are undefined, and stay. */
static void product_flags(bool wide, uint64_t *rflags)
{
	set_flags(rflags, RFLAGS_CF | RFLAGS_OF, wide ? RFLAGS_CF | RFLAGS_OF : 0);
}

void alu_multiply(enum insn_op op, unsigned size, uint64_t a, uint64_t b, uint64_t *high, uint64_t *low,
	uint64_t *rflags)
{
	uint64_t mask = alu_mask(size);
	unsigned bits = 8 * size;
	unsigned __int128 product;

	a &= mask;
	b &= mask;
	if (op == INSN_MUL)
		product = (unsigned __int128)a * b;
	else
		product = (unsigned __int128)((__int128)(int64_t)sign_extend(a, bits) *
					      (int64_t)sign_extend(b, bits));
	*low = (uint64_t)product & mask;
	*high = (uint64_t)(product >> bits) & mask;
	product_flags(*high != (op == INSN_MUL || !(*low >> (bits - 1)) ? 0 : mask), rflags);
}

/* high:low / divisor for high < divisor. By shifting and subtracting: the compiler's 128-bit division is a library's. */
static void divide(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *quotient, uint64_t *rest)
{
	uint64_t q = 0;

	for (unsigned bit = 0; bit < 64; bit++) {
		bool over = high >> 63;

		high = high << 1 | low >> 63;
		low <<= 1;
		q <<= 1;
		if (over || high >= divisor) {
			high -= divisor;
			q |= 1;
		}
	}
	*quotient = q;
	*rest = high;
}

bool alu_divide(enum insn_op op, unsigned size, uint64_t high, uint64_t low, uint64_t divisor,
	uint64_t *quotient, uint64_t *rest)
{
	uint64_t mask = alu_mask(size), top = mask ^ (mask >> 1);
	bool by_negative = op == INSN_IDIV && divisor & top, negative = op == INSN_IDIV && high & top;
	uint64_t q, r;

	high &= mask;
	low &= mask;
	divisor &= mask;
	if (by_negative)
		divisor = -divisor & mask;
	if (negative) {
		low = -low & mask;
		high = (~high + !low) & mask;
	}
	if (high >= divisor) /* a divisor of 0, too */
		return false;
	if (size < 8)
		divide(0, high << 8 * size | low, divisor, &q, &r);
	else
		divide(high, low, divisor, &q, &r);
	if (op == INSN_IDIV && q > (negative != by_negative ? top : top - 1))
		return false;
	*quotient = (negative != by_negative ? -q : q) & mask;
	*rest = (negative ? -r : r) & mask;
	return true;
}

uint64_t alu_shift_double(
	enum insn_op op, unsigned size, uint64_t first, uint64_t fill, uint64_t count, uint64_t *rflags)
{
	uint64_t mask = alu_mask(size), top = mask ^ (mask >> 1), v = first & mask;
	unsigned bits = 8 * size;
	bool out = false;

	count &= size == 8 ? 63 : 31;
	if (!count)
		return v;
	fill &= mask;
	while (count--) { /* bit by bit, as rotate() */
		if (op == INSN_SHLD) {
			out = v & top;
			v = (v << 1 | fill >> (bits - 1)) & mask;
			fill = fill << 1 & mask;
		} else {
			out = v & 1;
			v = v >> 1 | (fill & 1 ? top : 0);
			fill >>= 1;
		}
	}
	set_flags(rflags, ALU_FLAGS,
		flags_of(v, top) | (out ? RFLAGS_CF : 0) | ((first ^ v) & top ? RFLAGS_OF : 0));
	return v;
}

/* CRC-32C (SDM Vol. 2A, CRC32), bit by bit: its polynomial 11EDC6F41H with the bits reversed. */
uint32_t alu_crc32(uint32_t crc, uint64_t value, unsigned bytes)
{
	for (unsigned k = 0; k < bytes; k++) {
		crc ^= (uint8_t)(value >> 8 * k);
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

/* BSF, BSR: a source of 0 sets ZF; the other flags are undefined. TZCNT, LZCNT of 0 return the width and set CF. */
static uint64_t bit_scan(enum insn_op op, unsigned bits, uint64_t first, uint64_t v, uint64_t *rflags)
{
	uint64_t from_low = v ? (uint64_t)__builtin_ctzll(v) : bits,
		 top = v ? 63 - (uint64_t)__builtin_clzll(v) : 0, n;

	switch (op) {
	case INSN_BSF:
	case INSN_BSR:
		set_flags(rflags, RFLAGS_ZF, v ? 0 : RFLAGS_ZF);
		return !v ? first : op == INSN_BSF ? from_low : top;
	case INSN_TZCNT:
		n = from_low;
		break;
	default: /* LZCNT */
		n = v ? bits - 1 - top : bits;
	}
	set_flags(rflags, RFLAGS_CF | RFLAGS_ZF, (v ? 0 : RFLAGS_CF) | (n ? 0 : RFLAGS_ZF));
	return n;
}

/* Counts the ones; each step clears the lowest one (Kernighan). A source of 0 sets ZF; the other flags become 0. */
static uint64_t ones(uint64_t v, uint64_t *rflags)
{
	uint64_t n = 0;

	set_flags(rflags, ALU_FLAGS, v ? 0 : RFLAGS_ZF);
	for (; v; v &= v - 1)
		n++;
	return n;
}

uint64_t alu(enum insn_op op, unsigned size, uint64_t first, uint64_t second, uint64_t *rflags)
{
	uint64_t mask = alu_mask(size), carry = *rflags & RFLAGS_CF; /* CF is bit 0 */
	unsigned bits = 8 * size, count = second & (size == 8 ? 63 : 31);

	second &= mask;
	switch (op) {
	case INSN_MOV:
	case INSN_XCHG:
		return second;
	case INSN_ADD:
	case INSN_XADD:
		return add(first, second, 0, mask, rflags, ALU_FLAGS);
	case INSN_ADC:
		return add(first, second, carry, mask, rflags, ALU_FLAGS);
	case INSN_SUB:
		return sub(first, second, 0, mask, rflags, ALU_FLAGS);
	case INSN_SBB:
		return sub(first, second, carry, mask, rflags, ALU_FLAGS);
	case INSN_CMP:
		sub(first, second, 0, mask, rflags, ALU_FLAGS);
		return first;
	case INSN_OR:
		return logic(first | second, mask, rflags);
	case INSN_AND:
		return logic(first & second, mask, rflags);
	case INSN_XOR:
		return logic(first ^ second, mask, rflags);
	case INSN_TEST:
		logic(first & second, mask, rflags);
		return first;
	case INSN_INC:
		return add(first, 1, 0, mask, rflags, ALU_FLAGS & ~RFLAGS_CF);
	case INSN_DEC:
		return sub(first, 1, 0, mask, rflags, ALU_FLAGS & ~RFLAGS_CF);
	case INSN_NOT:
		return ~first & mask;
	case INSN_NEG:
		return sub(0, first, 0, mask, rflags, ALU_FLAGS);
	case INSN_ROL:
	case INSN_ROR:
	case INSN_RCL:
	case INSN_RCR:
		return rotate(op, bits, first, count, rflags);
	case INSN_SHL:
	case INSN_SHR:
	case INSN_SAR:
		return shift(op, bits, first, count, rflags);
	case INSN_BT:
	case INSN_BTS:
	case INSN_BTR:
	case INSN_BTC:
		return bit_test(op, bits, first, second, rflags);
	case INSN_IMUL: {
		uint64_t high, low;

		alu_multiply(op, size, first, second, &high, &low, rflags);
		return low;
	}
	case INSN_BSF:
	case INSN_BSR:
	case INSN_TZCNT:
	case INSN_LZCNT:
		return bit_scan(op, bits, first, second, rflags);
	case INSN_POPCNT:
		return ones(second, rflags);
	default:
		panic("alu: operation %d has no arithmetic", op);
	}
}

bool alu_condition(unsigned cond, uint64_t rflags)
{
	bool cf = rflags & RFLAGS_CF, zf = rflags & RFLAGS_ZF, sf = rflags & RFLAGS_SF,
	     of = rflags & RFLAGS_OF, yes;

	switch (cond >> 1) {
	case 0:
		yes = of;
		break;
	case 1:
		yes = cf;
		break;
	case 2:
		yes = zf;
		break;
	case 3:
		yes = cf || zf;
		break;
	case 4:
		yes = sf;
		break;
	case 5:
		yes = rflags & RFLAGS_PF;
		break;
	case 6:
		yes = sf != of;
		break;
	default:
		yes = zf || sf != of;
	}
	return yes ^ (cond & 1);
}
