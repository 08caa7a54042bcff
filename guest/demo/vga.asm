; SPDX-License-Identifier: MIT
;
; vga: the text screen of a PC is memory. Each of its 80 x 25 places at 0xb8000 is two bytes: a character and its
; colours. The guest just stores there, without a VM exit; Lethe looks at the memory from time to time and shows
; what changed on its own console. Hobby kernels print this way.
%include "multiboot.inc"
%include "idt.inc"

SCREEN	equ	0xb8000
COLUMNS	equ	80
CRTC	equ	0x3d4			; index; data one above
PIT_50HZ equ	23864

; AT row, column, colour, "text"
%macro AT 4
	[section .data]
%%text:	db	%4, 0
	__SECT__
	mov	esi, %%text
	mov	edi, SCREEN + (%1 * COLUMNS + %2) * 2
	mov	ah, %3
	call	write
%endmacro

main32:	call	idt_init
	call	pic_init

	mov	edi, SCREEN		; blanks, light grey on black
	mov	eax, 0x07200720
	mov	ecx, COLUMNS * 25 / 2
	rep stosd
	AT	0, 0, 0x0f, "hello on the screen"
	AT	2, 4, 0x1e, " yellow on blue "
	AT	3, 4, 0x4f, " white on red "
	AT	24, 0, 0x07, "last line"

	; The text cursor's place is a register of the CRT controller: 14 and 15, high and low.
	mov	ebx, 24 * COLUMNS + 10
	mov	edx, CRTC
	mov	al, 14
	mov	ah, bh
	out	dx, ax			; index and data in one 16-bit write
	mov	al, 15
	mov	ah, bl
	out	dx, ax
	mov	al, 15			; it can be read back
	out	dx, al
	inc	edx
	in	al, dx
	cmp	al, bl
	CHECK	e, "the cursor is where it was put"
	cmp	word [SCREEN], 0x0f68	; 'h', white
	CHECK	e, "text memory keeps what was stored"

	; Stay for half a second, so that the screen is seen before the machine goes off.
	mov	al, 0x34
	out	0x43, al
	mov	al, PIT_50HZ & 255
	out	0x40, al
	mov	al, PIT_50HZ >> 8
	out	0x40, al
	mov	al, ~1 & 0xff
	out	0x21, al
.wait:	sti
	hlt
	cli
	cmp	dword [irq_count], 25
	jb	.wait
	FINISH	"vga"

; Stores the string at ESI with colour AH from EDI on.
write:	lodsb
	test	al, al
	jz	.end
	stosw
	jmp	write
.end:	ret
