/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/support/fakes/native_cpu.h"

#include <asm/prctl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CODE_SIZE   4096
#define CONTEXT	    2048 /* offset of struct context from the start of the code */
#define INSN_PADDED 16

struct context {
	struct native_state s;
	uint64_t host_rsp;
};

static uint8_t *code, *data, *slot; /* slot: for the instruction */

static void emit(uint8_t **at, const void *bytes, size_t n)
{
	memcpy(*at, bytes, n);
	*at += n;
}

/* An instruction whose operand is [rip + disp32], the context's byte `field`; reg goes to ModRM.reg and
 * REX.R. */
static void emit_field(uint8_t **at, bool rex_w, const char *opcode, unsigned reg, size_t field)
{
	uint8_t rex = (uint8_t)(0x40 | (rex_w ? 8 : 0) | (reg >= 8 ? 4 : 0)),
		modrm = (uint8_t)(5 | (reg & 7) << 3);
	int32_t disp;

	if (rex != 0x40)
		emit(at, &rex, 1);
	emit(at, opcode, strlen(opcode));
	emit(at, &modrm, 1);
	disp = (int32_t)(code + CONTEXT + field - (*at + 4));
	emit(at, &disp, 4);
}

#define FIELD(f) offsetof(struct context, f)

int native_init(void)
{
	uint8_t *map = mmap(NULL, CODE_SIZE + 4096 + NATIVE_DATA + 4096, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	uint8_t *at;

	if (map == MAP_FAILED)
		return -1;
	code = map;
	data = map + CODE_SIZE + 4096;
	if (mprotect(code, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) ||
		mprotect(data, NATIVE_DATA, PROT_READ | PROT_WRITE))
		return -1;
	at = code;
	emit(&at, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); /* push rbx, rbp, r12..r15 */
	emit_field(&at, true, "\x89", RSP, FIELD(host_rsp));	   /* mov [host_rsp], rsp */
	emit_field(&at, false, "\xff", 6, FIELD(s.rflags));	   /* push [rflags] */
	emit(&at, "\x9d", 1);					   /* popfq */
	for (unsigned n = 0; n < 16; n++)
		emit_field(&at, false, "\x0f\x10", n, FIELD(s.xmm[n])); /* movups xmm, [] */
	for (unsigned n = 0; n < GPRS; n++)
		emit_field(&at, true, "\x8b", n, FIELD(s.gpr[n])); /* mov reg, [] */
	slot = at;
	at += INSN_PADDED;
	for (unsigned n = 0; n < GPRS; n++)
		emit_field(&at, true, "\x89", n, FIELD(s.gpr[n]));
	for (unsigned n = 0; n < 16; n++)
		emit_field(&at, false, "\x0f\x11", n, FIELD(s.xmm[n]));
	emit_field(&at, true, "\x8b", RSP, FIELD(host_rsp));
	emit(&at, "\x9c", 1);				    /* pushfq */
	emit_field(&at, false, "\x8f", 0, FIELD(s.rflags)); /* pop [rflags] */
	emit(&at, "\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3",
		12); /* cld; pop r15..r12, rbp, rbx; ret */
	return 0;
}

uint8_t *native_data(void)
{
	return data;
}

uint64_t native_rip(void)
{
	return (uintptr_t)slot;
}

void native_set_gs(uint64_t base)
{
	syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}

void native_run(const uint8_t *insn, size_t n, struct native_state *s)
{
	struct context *c = (struct context *)(void *)(code + CONTEXT);

	memset(slot, 0x90, INSN_PADDED);
	memcpy(slot, insn, n);
	c->s = *s;
	((void (*)(void))(uintptr_t)code)();
	*s = c->s;
}
