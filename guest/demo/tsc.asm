; SPDX-License-Identifier: MIT
;
; tsc: the time-stamp counter, by which most kernels tell the time (SDM Vol. 3B 17.17): it never goes back, whether it is
; read by RDTSC, RDTSCP or RDMSR; IA32_TSC_ADJUST moves it; a write of it moves IA32_TSC_ADJUST.
%include "multiboot.inc"
%include "idt.inc"

MSR_TSC		equ	0x10
MSR_ADJUST	equ	0x3b
MSR_AUX		equ	0xc0000103

; NOT_BEFORE "what": EDX:EAX is not below what was read last, which it becomes.
%macro NOT_BEFORE 1
	call	not_before
	CHECK	ae, %1
%endmacro
%macro WRITE_MSR 3
	mov	ecx, %1
	mov	edx, %2
	mov	eax, %3
	wrmsr
%endmacro

main32:	call	idt_init
	call	pic_init

	mov	ebx, 10000
	xor	edi, edi
.again:	rdtsc
	call	not_before
	adc	edi, 0
	mov	ecx, MSR_TSC
	test	ebx, 7
	jnz	.next
	rdmsr
	call	not_before
	adc	edi, 0
.next:	dec	ebx
	jnz	.again
	test	edi, edi
	CHECK	z, "it never goes back, by RDTSC and RDMSR"
	mov	eax, 0x80000001
	cpuid
	bt	edx, 27
	jnc	.adjust
	WRITE_MSR MSR_AUX, 0, 0x1234567
	rdtscp
	cmp	ecx, 0x1234567
	CHECK	e, "RDTSCP shows IA32_TSC_AUX"
	NOT_BEFORE "RDTSCP counts on"

.adjust:
	mov	eax, 7
	xor	ecx, ecx
	cpuid
	bt	ebx, 1
	CHECK	c, "CPUID shows IA32_TSC_ADJUST"
	mov	ecx, MSR_ADJUST
	rdmsr
	or	eax, edx
	CHECK	z, "it is 0 at first"
	rdtsc
	call	not_before
	WRITE_MSR MSR_ADJUST, 0x10, 0
	rdtsc
	sub	edx, 0x10
	NOT_BEFORE "it moves the counter on"
	cmp	edx, 1
	CHECK	b, "... by what was written"
	WRITE_MSR MSR_ADJUST, 0, 0
	rdtsc
	NOT_BEFORE "and back"
	cmp	edx, 0x10
	CHECK	b, "... all of it"

	WRITE_MSR MSR_TSC, 0x100, 0
	rdtsc
	cmp	edx, 0x100
	CHECK	e, "a write of the counter sets it"
	mov	ecx, MSR_ADJUST
	rdmsr
	or	eax, edx
	CHECK	nz, "... and IA32_TSC_ADJUST follows"
	WRITE_MSR MSR_ADJUST, 0, 0
	rdtsc
	NOT_BEFORE "IA32_TSC_ADJUST = 0: the old count"
	cmp	edx, 0x100
	CHECK	b, "... and not the one that was written"
	FINISH	"tsc"

; CF = 1 if EDX:EAX is below what was read last.
not_before:
	push	eax
	push	edx
	sub	eax, [last]
	sbb	edx, [last + 4]
	pop	edx
	pop	eax
	mov	[last], eax
	mov	[last + 4], edx
	ret

section .data
	align	4
last	dd	0, 0
section .text
