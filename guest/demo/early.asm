; SPDX-License-Identifier: MIT
;
; early: a multiboot kernel that takes what GRUB gives and the specification does not promise. It pushes before it has
; a stack of its own and reloads selectors before it has a GDT of its own, as kernels do that were tried with GRUB only.
;
; Shows: the state in which Lethe starts a multiboot kernel (guest/load/load.h, load_start_multiboot).
	bits	32
	org	0x100000

FLAGS	equ	1 << 16
LOADER_CODE equ	0x08
LOADER_DATA equ	0x10
LOADER_ESP equ	0x7ff00

%include "kit.inc"

section .text
	align	4
header:
	dd	0x1badb002, FLAGS, -(0x1badb002 + FLAGS) & 0xffffffff
	dd	header, $$, 0, bss_end, start	; kit.inc's code lies before the header

start:	push	ebx
	push	eax
	pushfd
	popfd
	mov	ecx, cs
	cmp	ecx, LOADER_CODE
	CHECK	e, "CS is 08h"
	mov	ecx, ds
	mov	edx, ss
	cmp	ecx, edx
	CHECK	e, "DS and SS are the same"
	cmp	ecx, LOADER_DATA
	CHECK	e, "DS is 10h"
	lea	ecx, [esp + 8]
	cmp	ecx, LOADER_ESP
	CHECK	e, "the stack begins at 7ff00h"

	; Each of these reads a descriptor from the loader's GDT.
	mov	ecx, LOADER_DATA
	mov	ds, ecx
	mov	es, ecx
	mov	fs, ecx
	mov	gs, ecx
	mov	ss, ecx
	jmp	LOADER_CODE:.reloaded
.reloaded:
	PRINT	"ok: the selectors can be loaded again", 13, 10
	pop	eax
	pop	ebx
	cmp	eax, 0x2badb002
	CHECK	e, "what was pushed comes back"
	FINISH	"early"

section .data
section .bss align=4096
section .stack nobits follows=.bss align=16
bss_end:
