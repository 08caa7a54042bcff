; SPDX-License-Identifier: MIT
;
; debt: tables that were forgotten are given back although the guest does not exit. It needs Lethe's test device
; (guest/dev/vrom.h) and a table for each 2 MiB:
;
;	devices = rom	bar-size = 4G	rom-size = 1M	large-pages = off	removal = bulk	memory = 64M
;
; It makes TABLES tables, switches the device's ROM off, so that all of them are forgotten, and spins without a VM exit of its
; own. Then it asks how many still wait. The command line says how many milliseconds it spins: more than
; TABLES / 16, which is what the guest's own CPU must manage (docs/contract.md, rule 5), or fewer, where another CPU idles.
%include "multiboot.inc"
%include "numbers.inc"
%include "rom.inc"
%include "idt.inc"
%include "millisecond.inc"

TABLES	equ	1600
WIDTH	equ	4			; GiB of the window that are mapped

main32:	mov	eax, [ebx + 16]		; the command line: path, space, decimal number
	xor	ecx, ecx
.next:	movzx	edx, byte [eax]
	add	eax, 1
	test	edx, edx
	jz	.parsed
	cmp	edx, ' '
	jne	.digit
	xor	ecx, ecx
	jmp	.next
.digit:	imul	ecx, ecx, 10
	lea	ecx, [ecx + edx - '0']
	jmp	.next
.parsed:
	mov	[length], ecx
	call	idt_init
	call	pic_init
	call	measure_millisecond
	cli
	jmp	enter_long

%include "long.inc"
	bits	64

main64:	mov	eax, DATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax

	; Pages of 2 MiB for the window; the directories for the first 4 GiB are long.inc's.
	mov	rax, WINDOW | PTE_PS | PTE_PW
	mov	edi, directories
	mov	ecx, WIDTH * 512
.page:	mov	[rdi], rax
	add	rdi, 8
	add	rax, STEP
	dec	ecx
	jnz	.page
	mov	eax, directories + PTE_PW
	mov	edi, pdpt + (WINDOW >> 30) * 8
	mov	ecx, WIDTH
.map:	mov	[rdi], rax
	add	rdi, 8
	add	rax, 4096
	dec	ecx
	jnz	.map

	CONFIG	RAM_LOW, 0
	CONFIG	RAM_HIGH, WINDOW >> 32
	CONFIG	ROM_BAR, ROM | 1
	mov	eax, [abs qword ROM]
	mov	rdi, WINDOW
	mov	ecx, TABLES
.touch:	mov	al, [rdi]
	add	rdi, STEP
	dec	ecx
	jnz	.touch

	mov	edi, [length]
	imul	edi, [millisecond]
	CONFIG	ROM_BAR, ROM
	call	waiting
	mov	ebp, eax
	rdtsc
	mov	ebx, eax
.spin:	rdtsc
	sub	eax, ebx
	cmp	eax, edi
	jb	.spin
	call	waiting

	push	rax
	mov	eax, ebp
	call	print_dec
	PRINT	" tables waited, after "
	mov	eax, [length]
	call	print_dec
	PRINT	" ms without an exit it is "
	pop	rax
	call	print_dec
	PRINT	13, 10
	mov	r12d, eax
	cmp	ebp, TABLES - 100
	CHECK	ae, "many tables are forgotten"
	cmp	r12d, 1			; a root that the vCPU had loaded may wait
	CHECK	be, "they are given back"
	FINISH	"debt"

; EAX = pages that wait to be given back.
waiting:
	push	rbx
	mov	eax, HYPERCALL_STATISTIC
	mov	ebx, STATISTIC_WAITING
	vmcall
	pop	rbx
	ret

section .data
length	dd	0

section .bss
alignb	4096
directories resq WIDTH * 512

	bits	32			; as kit.inc
