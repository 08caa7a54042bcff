; SPDX-License-Identifier: MIT
;
; escapes: a terminal is driven by the guest in front, and by no other. Two VMs:
;
;	[vm front]			shows each byte that it receives. At the first it asks the terminal where its cursor is, and
;					shows the answer. At `q` it asks again and powers off without reading.
;	[vm back] cmdline = back	sends escape sequences; once it is in front it shows the byte that it receives, which must be
;					no answer to a question of the other
;
; Shows: what a VM in the background sends is shown as text (hv/vm/background_pure.h); the terminal's answers go to the VM that
; asked (drivers/console/input.h).
%include "multiboot.inc"

ROUNDS	equ	6
PAUSE_TICKS equ	25000000	; TSC ticks between two rounds
ESC	equ	27

main32:	mov	eax, [ebx + 16]
	cmp	byte [eax], 0
	je	front
.last:	add	eax, 1
	cmp	byte [eax], 0
	jne	.last
	cmp	dword [eax - 4], 'back'
	je	back

front:	PRINT	"front: ready", 13, 10
	call	getc
	call	show
	PRINT	ESC, "[6n"
.answer:
	call	getc
	call	show
	cmp	al, 'R'			; the report's last byte: ESC [ row ; column R
	jne	.answer
	PRINT	"front: answered", 13, 10
.typed:	call	getc
	call	show
	cmp	al, 'q'
	jne	.typed
	PRINT	"front: done", 13, 10, ESC, "[6n", 10	; no byte is sent, so none is fetched, behind the last one
	jmp	power_off

back:	mov	ebp, ROUNDS
.round:	rdtsc
	mov	edi, eax
.wait:	pause
	rdtsc
	sub	eax, edi
	cmp	eax, PAUSE_TICKS
	jb	.wait
	; Clear the screen, move, ask for the cursor and the kind of terminal, set a title, ENQ, CSI in one byte and in UTF-8.
	PRINT	ESC, "[2J", ESC, "[5;17H", ESC, "[6n", ESC, "[c", ESC, "]0;title", 7, 5, 0x9b, "6n", 0xc2, 0x9b, "6n", 13, 10
	; Go to the line above and overwrite it; go back over what stands before the text.
	PRINT	ESC, "[1A", 13, ESC, "[2Klethe: forged line", 10
	PRINT	"a", 8, 8, 8, 8, 8, 8, 8, 8, "lethe: forged by backspaces", 10
	PRINT	9, ESC, "[31mred ", 0xc3, 0xa9, 10
	sub	ebp, 1
	jnz	.round
	PRINT	"rounds over", 13, 10
	call	getc
	call	show
	cmp	al, 'x'
	CHECK	e, "received what was typed"
	FINISH	"back"

; Waits for a byte in AL.
getc:	push	edx
	mov	edx, LSR
.poll:	in	al, dx
	test	al, 1
	jz	.poll
	mov	edx, COM1
	in	al, dx
	pop	edx
	ret

; Prints AL as a line of its own.
show:	push	eax
	PRINT	"got "
	movzx	eax, byte [esp]
	call	print_hex
	PRINT	13, 10
	pop	eax
	ret
