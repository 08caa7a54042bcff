; SPDX-License-Identifier: MIT
;
; exits: one instruction of each kind that a guest cannot run alone: the CPU leaves the guest (a VM exit) and the
; hypervisor answers in its place. The guest only sees the answers, and checks them.
%include "multiboot.inc"
%include "idt.inc"

SCRATCH	equ	0x3ff			; the UART's scratch register: a byte that keeps what it is given
NOTHING	equ	0x1238			; a port where no device is
HOLE	equ	0xa8000			; below the VGA's text memory: an address where no memory is
PIT	equ	1193182			; Hz

main32:	call	idt_init
	call	pic_init

	; CPUID exits always. Leaf 1 says "there is a hypervisor", leaf 0x40000000 which one.
	mov	eax, 1
	cpuid
	bt	ecx, 31
	CHECK	c, "CPUID shows a hypervisor"
	mov	eax, 0x40000000
	cpuid
	mov	[signature], ebx
	mov	[signature + 4], ecx
	mov	[signature + 8], edx
	PRINT	"signature: "
	mov	esi, signature
	call	puts
	PRINT	13, 10

	; A model-specific register that exists nowhere: #GP(0), as a CPU without it would raise.
	mov	ecx, 0x12345678
	EXPECT	13, rdmsr
	CHECK	e, "RDMSR of an unknown register raises #GP"
	mov	ecx, 0x12345678
	EXPECT	13, wrmsr
	CHECK	e, "WRMSR of an unknown register raises #GP"

	; VMCALL is the door to the hypervisor; call 0 does nothing.
	xor	eax, eax
	EXPECT	-1, vmcall
	CHECK	e, "VMCALL 0 returns"

	; String I/O: one instruction, many bytes, between memory and a port.
	mov	esi, sentence
	mov	ecx, sentence_end - sentence
	mov	edx, COM1
	rep outsb
	test	ecx, ecx
	CHECK	z, "REP OUTSB sends a string"
	mov	edx, SCRATCH
	mov	al, 0x5a
	out	dx, al
	mov	edi, buffer
	mov	ecx, 4
	rep insb
	cmp	dword [buffer], 0x5a5a5a5a
	CHECK	e, "REP INSB reads a port into memory"
	std				; and downward
	mov	edi, buffer + 7
	mov	ecx, 2
	rep insb
	cld
	cmp	dword [buffer + 4], 0x5a5a0000
	CHECK	e, "INSB counts down when DF is set"

	; Where nothing is, the bus floats: all ones, and writes are lost.
	mov	edx, NOTHING
	in	eax, dx
	cmp	eax, -1
	CHECK	e, "a port without device reads as ones"
	mov	dword [HOLE], 0
	cmp	dword [HOLE], -1
	CHECK	e, "an address hole reads as ones and drops writes"
	movzx	eax, word [HOLE + 0xffe]
	cmp	eax, 0xffff
	CHECK	e, "so with two bytes"

	; HLT gives the CPU back until an interrupt comes: here one tick of the PIT in 10 ms.
	mov	al, 0x30		; channel 0, low byte then high byte, mode 0: once
	out	0x43, al
	mov	al, (PIT / 100) & 255
	out	0x40, al
	mov	al, (PIT / 100) >> 8
	out	0x40, al
	mov	al, ~1 & 0xff		; let line 0 through
	out	0x21, al
	sti				; takes effect behind the next instruction: no tick slips in between
	hlt
	cli
	cmp	dword [irq_count], 1
	CHECK	e, "HLT ends with the timer's interrupt"

	wbinvd				; may exit; must not fault
	FINISH	"exits"

section .data
sentence:
	db	"sent by one instruction", 13, 10
sentence_end:
signature:
	dd	0, 0, 0, 0
buffer:	times 8	db 0
