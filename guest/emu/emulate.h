/* SPDX-License-Identifier: MIT */
/*
 * The emulator: executes one instruction whose memory operand the CPU itself cannot access: device registers,
 * or RAM that the hypervisor protects. It also executes INS and OUTS: the port is emulated, the memory is not.
 *
 *	VM exit, gpa ---+                                         +--> mmio_read, mmio_write (known gpa)
 *	bytes at RIP ---+--> insn_decode --> operands --> ALU ----+--> translate --> RAM, else MMIO
 *	registers ------+                                         +--> registers, RFLAGS, RIP; or a fault
 *
 * It uses only `struct emu` and its operations, which hv/ fills in and tests fake. It allocates nothing, keeps
 * nothing between calls, and its work is bounded: one call executes at most EMU_CHUNK elements of a REP string,
 * and fewer if ops->pause returns true between two elements.
 */
#pragma once

#include "guest/emu/breakpoint.h"
#include "guest/emu/insn_cache.h"

#define EMU_READ  (1u << 0)
#define EMU_WRITE (1u << 1)

#define EMU_CHUNK   4 /* elements of a REP string in one call: one may take a thousand instructions */
#define EMU_RETRIES 8 /* of a locked update while others change the memory; then the guest tries again */

#define EMU_PARTLY 1 /* emulate(): a REP string stands between two elements */

struct emu;

/* An exception to inject (SDM Vol. 3A 6.13). */
struct emu_fault {
	uint8_t vector; /* enum vector */
	bool has_error;
	uint32_t error;
	uint64_t cr2; /* of #PF */
};

enum emu_system { EMU_CR0, EMU_LDTR, EMU_TR };
enum emu_feature { EMU_HAS_TZCNT, EMU_HAS_LZCNT };

struct emu_ops {
	/*
	 * Translates a linear address with the guest's paging, CPL and rights (EMU_READ, EMU_WRITE; both: a
	 * read-modify-write, which faults as a write), and sets A and D as hardware does.
	 * 0, or -E_FAULT with e->fault describing the #PF. Other errors end the emulation with that error.
	 */
	int (*translate)(struct emu *e, gva_t at, unsigned access, gpa_t *out);
	/* RAM; the range does not cross a page. -E_FAULT: there is no RAM (or, writing, it is read-only):
	 * then the access is made as MMIO. n: 1..32. Other errors end the emulation. */
	int (*ram_read)(struct emu *e, gpa_t at, void *to, unsigned n);
	int (*ram_write)(struct emu *e, gpa_t at, const void *from, unsigned n);
	/* Atomically: writes n bytes (1, 2, 4, 8, 16) if they are *expected. 0; -E_AGAIN: they are not;
	 * -E_FAULT as above. May be NULL: then a locked update of RAM is refused. */
	int (*ram_cmpxchg)(struct emu *e, gpa_t at, const void *expected, const void *desired, unsigned n);
	/* Devices; n is 1, 2, 4 or 8, within a page, perhaps unaligned. A device access cannot fail. */
	uint64_t (*mmio_read)(struct emu *e, gpa_t at, unsigned n);
	void (*mmio_write)(struct emu *e, gpa_t at, unsigned n, uint64_t value);
	/* A segment register with base, limit and rights. Asked only when needed, once a call: never for CS,
	 * SS, DS and ES in 64-bit mode. */
	void (*segment)(struct emu *e, enum seg seg, struct cpu_segment *out);
	/* SMSW, SLDT, STR: what they store. */
	uint16_t (*system)(struct emu *e, enum emu_system which);
	/* True if the guest's CPU has a feature that changes what an encoding means. NULL: it has none. */
	bool (*has)(struct emu *e, enum emu_feature feature);
	/* True if a REP string has used up its time and must stop between two elements. NULL: never. */
	bool (*pause)(struct emu *e);
	/* The guest's XMM registers, 16 bytes. May be NULL: then SSE moves are refused. */
	void (*xmm_read)(struct emu *e, unsigned n, void *to);
	void (*xmm_write)(struct emu *e, unsigned n, const void *from);
	/* The guest's YMM registers, 32 bytes; a write clears what the CPU has above them. May be NULL, as above. False: the
	 * guest has not enabled them, and nothing is done (#UD). */
	bool (*ymm_read)(struct emu *e, unsigned n, void *to);
	bool (*ymm_write)(struct emu *e, unsigned n, const void *from);
};

struct emu {
	/* In: from the caller. */
	const struct emu_ops *ops;
	struct cpu_regs *regs; /* all of them, rip and rflags too; written back here */
	enum insn_mode mode;   /* of CS: L, else D; 16 in real and virtual-8086 mode */
	/*
	 * The access that caused the VM exit, if known. `known`: the kinds of access (EMU_READ, EMU_WRITE) that
	 * the guest's own paging allowed, at `gpa`, where a device lies. An instruction with one memory operand
	 * in that page is then not translated again. 0: translate.
	 * An EPT violation reports the kind. A misconfiguration does not: pass both kinds, but at CPL 3 pass 0,
	 * since another thread may have replaced the instruction by one whose kind of access the guest's paging
	 * does not allow.
	 */
	unsigned known;
	gpa_t gpa;
	uint8_t linear_bits; /* of a canonical address: 48, or 57 with CR4.LA57 */
	uint8_t cpl;
	bool umip;			 /* CR4.UMIP */
	bool protected_mode;		 /* CR0.PE, and not virtual-8086: segment types count */
	bool align_check;		 /* CR0.AM, RFLAGS.AC and CPL 3: unaligned is #AC */
	const struct breakpoints *watch; /* the guest's, if DR7 enables any; else NULL */

	/* Out. */
	bool branched; /* it was a CALL, RET or JMP; only if it is done */
	/* Bits B3 to B0 of DR6: watch[] that the accesses met; only if it is done (0, EMU_PARTLY). */
	unsigned hits;
	struct emu_fault fault; /* if -E_FAULT */
	const char *why;	/* if -E_NOSUP: what is not supported, in words */
	struct insn insn;	/* as decoded; insn.op is INSN_NONE if it could not be */

	/* The emulator's own. */
	unsigned segs_known; /* bit s: seg[s] was asked for */
	struct cpu_segment seg[SEGS];
};

/*
 * Emulates the instruction at bytes[0..n), which were fetched from CS:RIP (n >= 15, or as many as there are
 * before a page that cannot be fetched).
 *
 * 0          done: registers, RFLAGS (RF cleared) and RIP are the next instruction's. The caller ends STI and
 *            MOV SS blocking, and raises the debug trap if TF was set or breakpoints were met
 * EMU_PARTLY a REP string between two elements: after a chunk, or earlier if ops->pause says so; after one element if
 *            TF is set or a breakpoint was met. RIP is the same, RF is set (SDM Vol. 3B 17.3.1.1). The caller ends
 *            blocking and raises the trap as after a whole instruction, and enters the guest, which goes on with it
 * -E_AGAIN   not done, nothing changed (others kept changing the memory of a locked update): enter the guest, which
 *            executes the instruction again
 * -E_FAULT   inject e->fault at this RIP. Nothing changed but by the finished elements of a REP string
 * -E_RANGE   the instruction needs more bytes: the fetch of the next page faults
 * -E_NOSUP   e->why, see emulate_describe(); nothing changed
 * others     from ops
 * Locks: none of its own; ops are called one at a time. (SDM Vol. 2; Vol. 1 chapter 7; Vol. 3A 5.3, 6.15.)
 */
int emulate(struct emu *e, const uint8_t *bytes, size_t n);
/* The same with a cache of decoded instructions, one a vCPU (NULL: none). It saves most of the decoding: 140
 * instructions instead of 330 for a MOV at a known gpa. */
int emulate_cached(struct emu *e, struct insn_cache *cache, const uint8_t *bytes, size_t n);

/* Reads a memory operand of n bytes (at most 32) at seg:offset, with the checks that an instruction's own read has. Uses of `e`
 * what emulate_string_io() uses. 0; -E_FAULT: inject e->fault; others from ops. */
int emulate_operand_read(struct emu *e, enum seg seg, uint64_t offset, void *to, unsigned n);

/* For the dump: "0f 0b (not decoded): not an ...". Returns what fmt_snprintf returns. */
int emulate_describe(const struct emu *e, const uint8_t *bytes, size_t n, char *buf, size_t size);

/* INS or OUTS as a VM exit describes it (SDM Vol. 3C tables 27-5, 27-8), or as insn_decode() does. */
struct emu_string_io {
	uint16_t port;
	uint8_t size;	   /* of an element: 1, 2, 4 */
	uint8_t addr_size; /* 2, 4, 8 */
	uint8_t seg;	   /* enum seg: of OUTS; INS always uses ES */
	uint8_t len;	   /* of the instruction, to step over it */
	bool in;	   /* INS */
	bool rep;
	uint8_t hits; /* I/O breakpoints that the port meets, as bits of DR6 */
	/* One element: INS into *value, OUTS from it. An error ends the call with it, before this element. */
	int (*pio)(void *ctx, uint16_t port, bool in, unsigned size, uint32_t *value);
	void *ctx;
};

/* Does up to EMU_CHUNK elements of it. Uses of `e` ops, regs, mode, linear_bits, protected_mode, align_check and
 * watch. Returns as emulate() does, or what pio returned. The destination of INS is checked before the
 * port is read. */
int emulate_string_io(struct emu *e, const struct emu_string_io *io);
