; SPDX-License-Identifier: MIT
;
; trampoline: goes back to real mode to ask the BIOS, as Xen's boot code and other kernels do, and lives with the answer
; that there is none. Then the same in protected mode again.
;
; Shows: the real-mode vectors of Lethe's platform (guest/dev/vectors.h): BIOS calls return CF = 1 and AH = 86h, exceptions
; and interrupts have handlers. What is said of each call stands in Lethe's log.
%include "multiboot.inc"

REAL_AT	equ	0x8000			; where the real-mode code is copied to
CODE16	equ	0x08			; selectors of its GDT
DATA16	equ	0x10
RESULTS	equ	0x9000			; words that real mode leaves for us, in the order of the calls
PIT	equ	0x40

main32:	mov	esi, real
	mov	edi, REAL_AT
	mov	ecx, real_end - real
	rep	movsb
	mov	edi, RESULTS
	mov	ecx, 64
	xor	eax, eax
	rep	stosd
	mov	[saved_esp], esp
	lgdt	[gdt16_pointer]
	lidt	[idt_real]		; the vector table at 0
	jmp	CODE16:REAL_AT

; Back in protected mode, with the segments of multiboot.inc.
returned:
	mov	eax, DATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	mov	fs, eax
	mov	gs, eax
	mov	esp, [saved_esp]

	; Each call left AX, then FLAGS as they were behind INT.
%macro ANSWER 4				; number, AX, CF and ZF in FLAGS, text
	mov	eax, [RESULTS + 4 * (%1)]
	and	eax, 0x0041ffff
	cmp	eax, (%3) << 16 | (%2)
	CHECK	e, %4
%endmacro
	ANSWER	0, 0x8620, 1, "int 15h E820 says that there is no BIOS"
	ANSWER	1, 0x8601, 1, "int 15h E801 does"
	ANSWER	2, 0x8600, 1, "int 15h 88 does"
	ANSWER	3, 0x8600, 1, "int 10h 4F00 does"
	ANSWER	4, 0x8600, 1, "int 13h 42 does"
	ANSWER	5, 639, 0, "int 12h tells the memory below the EBDA"
	ANSWER	6, 0x0100, 0x40, "int 16h 01: no key waits"
	ANSWER	7, 0x8602, 1, "int 1Ah does not leave ZF as it was"
%assign n 8
%rep 8
	mov	eax, [RESULTS + 4 * n]
	xor	eax, 0x08d51234		; all arithmetic flags, as they were before INT
	test	eax, 0x08d5ffff
	jne	.changed
%assign n n + 1
%endrep
.changed:
	CHECK	e, "vectors of interrupts and unused ones leave AX and FLAGS alone"
	cmp	dword [RESULTS + 4 * 16], 3
	CHECK	e, "ticks of IRQ 0 come one after the other: each is ended"
	cmp	dword [RESULTS + 4 * 17], 3
	CHECK	e, "so do those of IRQ 8, behind the slave"
	FINISH	"trampoline"

	bits	16
real:	mov	ax, DATA16
	mov	ds, ax
	mov	es, ax
	mov	ss, ax
	mov	fs, ax
	mov	gs, ax
	mov	eax, cr0
	and	al, ~1
	mov	cr0, eax
	jmp	0:REAL_AT + .mode - real
.mode:	xor	ax, ax
	mov	ds, ax
	mov	es, ax
	mov	ss, ax
	mov	sp, REAL_AT
	mov	di, RESULTS

%macro CALL 3				; vector, AX, whether CF is 1 before
%if %3
	stc
%else
	cmp	ax, 0x7777		; CF and ZF are 0 before: AX is none of the values below
	clc
%endif
	mov	ax, %2
	int	%1
	stosw
	pushf
	pop	ax
	stosw
%endmacro
	CALL	0x15, 0xe820, 0
	CALL	0x15, 0xe801, 0
	CALL	0x15, 0x8800, 1
	CALL	0x10, 0x4f00, 0
	CALL	0x13, 0x4200, 0
	CALL	0x12, 0x0000, 0
	CALL	0x16, 0x0100, 0
	CALL	0x1a, 0x0002, 0

	; All of CF PF AF ZF SF OF are 1 before these.
%macro QUIET 1
	push	word 0x08d7
	popf
	mov	ax, 0x1234
	int	%1
	stosw
	pushf
	pop	ax
	stosw
%endmacro
	QUIET	0x08
	QUIET	0x0c
	QUIET	0x0d
	QUIET	0x0f
	QUIET	0x1c
	QUIET	0x70
	QUIET	0x77
	QUIET	0x80

	; Three ticks of the 8254, with all but IRQ 0 masked. HLT ends by an interrupt only.
	mov	al, 0x34		; counter 0, rate
	out	PIT + 3, al
	mov	al, 0
	out	PIT, al
	mov	al, 0x10
	out	PIT, al
	mov	al, 0xfe
	out	0x21, al
	mov	cx, 3
.tick:	sti
	hlt
	cli
	inc	word [RESULTS + 4 * 16]
	loop	.tick

	; Three of the CMOS clock, by way of the slave. Register C must be read for the next.
	mov	al, 0xfb
	out	0x21, al
	mov	al, 0xfe
	out	0xa1, al
	mov	al, 0x0b
	out	0x70, al
	mov	al, 0x42		; periodic interrupt, 24 hours
	out	0x71, al
	mov	cx, 3
.period:
	mov	al, 0x0c
	out	0x70, al
	in	al, 0x71
	sti
	hlt
	cli
	inc	word [RESULTS + 4 * 17]
	loop	.period
	mov	al, 0xff
	out	0x21, al
	out	0xa1, al

	o32 lgdt [cs:REAL_AT + .gdt_pointer - real]
	mov	eax, cr0
	or	al, 1
	mov	cr0, eax
	jmp	dword CODE:returned
	align	4
.gdt_pointer:
	dw	gdt_pointer - gdt - 1
	dd	gdt
real_end:
	bits	32

section .data
	align	8
gdt16:	dq	0
	dq	0x00009b000000ffff	; 0x08: 16-bit code, 64 KiB
	dq	0x000093000000ffff	; 0x10: data, 64 KiB
gdt16_pointer:
	dw	gdt16_pointer - gdt16 - 1
	dd	gdt16
idt_real:
	dw	0x3ff
	dd	0
saved_esp dd	0
