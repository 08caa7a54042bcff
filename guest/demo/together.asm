; SPDX-License-Identifier: MIT
;
; together: a flat image, entered in real mode at 0:8000, whose vCPUs all end the VM at the same time, each by a triple fault:
;
;	kernel = together.bin
;	format = flat
;	entry-mode = 16
;	load-address = 0x8000
;	vcpus = 2			each on a CPU of its own
;
; Shows: however many vCPUs fail, the log gets one dump of a VM.
	bits	16
	org	0x8000

VCPUS		equ	2
MSR_APIC_BASE	equ	0x1b
MSR_X2APIC_SVR	equ	0x80f
MSR_X2APIC_ICR	equ	0x830
ALL_BUT_SELF	equ	3 << 18

	xor	ax, ax
	mov	ds, ax
	mov	ecx, MSR_APIC_BASE
	rdmsr
	test	ah, 1			; the boot processor?
	jz	wait_for_all
	or	ax, 3 << 10		; x2APIC: real mode cannot reach the registers in memory
	wrmsr
	xor	edx, edx
	mov	ecx, MSR_X2APIC_SVR
	mov	eax, 0x1ff
	wrmsr
	mov	ecx, MSR_X2APIC_ICR
	mov	eax, ALL_BUT_SELF | 0x4500	; INIT
	wrmsr
	mov	eax, ALL_BUT_SELF | 0x4608	; SIPI: start at 0x8000, too
	wrmsr

wait_for_all:
	lock inc byte [running]
.more:	pause
	cmp	byte [running], VCPUS
	jb	.more
	lidt	[nothing]
	int3

running	db	0
nothing	dw	0
	dd	0
