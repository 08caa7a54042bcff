/* SPDX-License-Identifier: MIT */
/*
 * The interrupt vectors of a guest in real mode. There is no BIOS in a guest. If a guest calls one, or faults without a
 * handler of its own, Lethe answers the call or ends the VM with a message; otherwise the guest would execute zeros.
 *
 *	0x00000   vector table: F000:offset of the 256 handlers
 *	0xf8000   guest/dev/rom/vectors.asm: the offsets (256 words), 27 traps of 8 bytes each, the handlers
 *	0xffff0   jump to the handler that resets the machine, for guests that jump to FFFF:0
 *
 *	INT 15h -> trap 15h -> VMCALL exit -> hv/exit/vectors.c -> vectors_call() -> AX, CF, ZF -> IRET
 */
#pragma once

#include "lib/spinlock.h"
#include "lib/types.h"

#define VECTORS_TRAPS	  27 /* vectors 00h..1ah */
#define VECTORS_LOG_LINES 32 /* in a VM's life */

struct platform;

/* A trap: what the guest had when it came to this vector. */
struct vectors_frame {
	uint16_t ax;
	/* What IRET will pop: where the handler returns to. CF and ZF may be changed. */
	uint16_t ip, cs, flags;
	uint16_t sp, ss;   /* where that lies */
	uint8_t before[2]; /* the two bytes before cs:ip */
	uint64_t exits;	   /* VM exits of this vCPU so far */
};

enum vectors_verdict {
	/* frame.ax, and CF and ZF of frame.flags, are the answer; the handler goes on behind its VMCALL. */
	VECTORS_RETURN,
	VECTORS_FAULT, /* an exception that the guest has no handler for: the VM ends */
	VECTORS_BOOT,  /* the guest gives the machine back to a BIOS (18h, 19h): the VM ends */
};

/* What a platform remembers. */
struct vectors {
	struct spinlock lock;
	unsigned calls; /* of services, also those that are not logged */
	unsigned lines;
	uint32_t logged[VECTORS_LOG_LINES]; /* vector << 16 | AX */
	struct vectors_frame last;	    /* at 08h, 0ch, 0dh with nothing in service */
};

/* The vector whose trap lies at this guest-physical address; -1: none does. */
int vectors_trap(uint64_t at);
/* Decides about a trap, and logs BIOS calls: once for each vector and AX, VECTORS_LOG_LINES in all. Takes vectors.lock. */
enum vectors_verdict vectors_call(struct platform *p, unsigned vector, struct vectors_frame *f);
/* How many BIOS services the guest has asked for. */
unsigned vectors_calls(struct platform *p);
/* Writes the vector table and the handlers. 0 or what guest_write says. */
int vectors_write(struct platform *p);
