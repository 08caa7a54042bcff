; SPDX-License-Identifier: MIT
;
; neighbour: what a guest gets of a CPU that it shares with one that floods (storm.asm). One figure a line:
;
;	late N ticks	it sleeps a millisecond, computes for a quarter of one, and so on: how late was it woken, at most?
;	share N		it computes only: how many thousandths of the time does it have the CPU?
;
; With a word on its command line it is one of many, and nothing is expected of the figures.
;
; It reads the TSC all the time. Two readings are less than GAP ticks apart, or the guest did not have the CPU in between:
; then those ticks are lost, whether another guest had them or Lethe. (A step takes 11 ticks in Bochs, up to 50 with two CPUs,
; whose time goes on by what both have done; 40 or so on a real CPU. The shortest exit takes 150, or a thousand.)
%include "multiboot.inc"
%include "idt.inc"
%include "millisecond.inc"

ROUNDS		equ	60
WINDOW		equ	200		; milliseconds: twenty turns
LEAST_SHARE	equ	450
GAP		equ	128		; TSC ticks

main32:	mov	eax, [ebx + 16]		; the file's name, then what lethe.conf says
.name:	mov	cl, [eax]
	inc	eax
	cmp	cl, ' '
	ja	.name
	mov	[crowd], cl		; a blank, or 0
	call	sleep_init

	mov	ebx, ROUNDS
.round:	mov	eax, [millisecond]
	call	sleep
	mov	eax, [millisecond]
	shr	eax, 2
	call	compute
	sub	ebx, 1
	jnz	.round

	mov	eax, [millisecond]
	imul	eax, WINDOW
	call	compute

	PRINT	"late "
	mov	eax, [latest]
	call	print_dec
	PRINT	" ticks", 13, 10, "share "
	mov	eax, 1000
	mul	dword [had]
	div	dword [passed]
	mov	ebx, eax
	call	print_dec
	PRINT	13, 10
	mov	eax, [latest]
	cmp	byte [crowd], 0
	jne	.end
	cmp	eax, [millisecond]
	CHECK	be, "never late by more than a millisecond"
	cmp	ebx, LEAST_SHARE
	CHECK	ae, "at least 450 thousandths of the CPU"
.end:	FINISH	"neighbour"

; Reads the TSC until EAX ticks have passed. [passed]: how many it was in the end; [had]: the sum of the steps below GAP.
; Changes EAX, ECX, EDX, ESI, EDI, EBP.
compute:
	mov	ecx, eax
	xor	ebp, ebp
	rdtsc
	mov	edi, eax
	mov	esi, eax
.step:	rdtsc
	mov	edx, eax
	sub	edx, esi
	mov	esi, eax
	cmp	edx, GAP
	jae	.lost
	add	ebp, edx
.lost:	sub	eax, edi
	cmp	eax, ecx
	jb	.step
	mov	[passed], eax
	mov	[had], ebp
	ret

section .data
passed		dd	0
crowd		db	0
had		dd	0
