; SPDX-License-Identifier: MIT
;
; hello: the smallest guest that says something. It prints what the boot loader told it, and powers off.
;
; Shows: what a multiboot kernel finds at its entry; that OUT to the UART's port leaves the guest (a VM exit), that
; Lethe's virtual UART takes the byte, and that the guest notices nothing of it.
%include "multiboot.inc"

INFO_MEMORY	equ	1 << 0		; flags of the multiboot information
INFO_CMDLINE	equ	1 << 2
INFO_LOADER	equ	1 << 9

main32:	mov	ebp, ebx
	cmp	eax, 0x2badb002
	CHECK	e, "entered by a multiboot loader"
	PRINT	"hello from a guest", 13, 10

	test	dword [ebp], INFO_LOADER
	jz	.memory
	PRINT	"loader: "
	mov	esi, [ebp + 64]
	call	puts
	PRINT	13, 10
.memory:
	test	dword [ebp], INFO_MEMORY
	jz	.cmdline
	PRINT	"KiB above 1 MiB: "
	mov	eax, [ebp + 8]
	call	print_dec
	PRINT	13, 10
.cmdline:
	test	dword [ebp], INFO_CMDLINE
	jz	.end
	PRINT	"command line: "
	mov	esi, [ebp + 16]
	call	puts
	PRINT	13, 10
.end:	FINISH	"hello"
