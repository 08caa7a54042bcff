; SPDX-License-Identifier: MIT
;
; mailbox: starts the other CPUs by ACPI's wakeup mailbox, which a VM has where its vCPUs cannot begin in real mode. Needs 4
; vCPUs on a CPU without unrestricted guest.
;
; Shows: the way to the mailbox, RSDP -> XSDT -> MADT -> Multiprocessor Wakeup Structure (ACPI 6.4, 5.2.12.19); the state in which
; a CPU begins; and that the mailbox obeys nothing else: no other command, no CPU that is not there, none that has started.
; A word on the command line has the last CPU begin where nothing can run: canonical, unmapped, hole.
%include "bzimage.inc"

MADT_WAKEUP	equ	0x10
COMMAND		equ	0		; of the mailbox
APIC_ID		equ	4
VECTOR		equ	8
FIRMWARE	equ	2048		; its second half
WAKEUP		equ	1
LAPIC		equ	0xfee00000
LAPIC_VERSION	equ	0x30
LAPIC_SVR	equ	0xf0
LAPIC_ICR	equ	0x300
LAPIC_ICR_HIGH	equ	0x310
INIT		equ	0x0000c500	; level, assert
STARTUP		equ	0x00000607
MSR_EFER	equ	0xc0000080
PATIENCE	equ	20000		; turns of a loop in which a CPU that was started would have begun

main64:	mov	r15, rsi
	mov	rsi, [r15 + ZERO_RSDP]
	mov	rsi, [rsi + 24]		; the XSDT
	mov	ecx, [rsi + 4]
	add	rcx, rsi
	add	rsi, 36
.table:	mov	rbx, [rsi]
	cmp	dword [rbx], 'APIC'
	je	.madt
	add	rsi, 8
	cmp	rsi, rcx
	jb	.table
.madt:	mov	ecx, [rbx + 4]
	add	rcx, rbx
	add	rbx, 44
	xor	ebp, ebp		; the mailbox
.entry:	cmp	rbx, rcx
	jae	.read
	cmp	byte [rbx], MADT_WAKEUP
	jne	.cpu
	cmp	dword [rbx], 16 << 8 | MADT_WAKEUP ; and version 0
	jne	.next
	mov	rbp, [rbx + 8]
.cpu:	cmp	byte [rbx], 0
	jne	.next
	inc	dword [processors]
.next:	movzx	eax, byte [rbx + 1]
	add	rbx, rax
	jmp	.entry
.read:	cmp	dword [processors], 4
	CHECK	e, "the MADT names four CPUs"
	test	ebp, ebp
	CHECK	nz, "and the mailbox"
	test	ebp, ebp
	jz	.end
	test	ebp, 4095
	CHECK	z, "it is aligned to a page"
	cmp	word [rbp + COMMAND], 0
	CHECK	e, "there is no command in it"

	; What no CPU obeys stays as it is written, whatever else is in the mailbox.
	mov	rax, other
	mov	[rbp + VECTOR], rax
	mov	ebx, refused
.bad:	mov	eax, [rbx + 4]
	mov	[rbp + APIC_ID], eax
	mov	ax, [rbx]
	mov	[rbp + COMMAND], ax
	cmp	[rbp + COMMAND], ax
	jne	.obeyed
	add	ebx, 8
	cmp	ebx, refused_end
	jb	.bad
.obeyed:
	cmp	ebx, refused_end
	CHECK	e, "commands that mean nothing, to CPUs that are not there or run, stay"
	mov	word [rbp + COMMAND], 0

	; Stores of each size across the page, which is not to have a CPU begin either.
	lea	rdi, [rbp + 16]
	lea	rcx, [rbp + 4096 - 8]
.store:	mov	qword [rdi], -1
	mov	dword [rdi + 1], 0x01010101
	mov	word [rdi + 3], 1
	mov	byte [rdi], 1
	add	rdi, 41
	cmp	rdi, rcx
	jbe	.store
	cmp	byte [rbp + 16], 1
	CHECK	e, "the OS's half keeps what is stored"
	xor	eax, eax
	lea	rdi, [rbp + FIRMWARE]
.zero:	or	rax, [rdi]
	add	rdi, 8
	cmp	rdi, rcx
	jbe	.zero
	test	rax, rax
	CHECK	z, "the firmware's half does not"
	mov	edi, LAPIC
	mov	dword [rdi + LAPIC_SVR], 0x1ff
	mov	eax, 2
	call	sipi
	call	be_patient
	cmp	dword [alive], 0
	CHECK	e, "no CPU has begun so far, by SIPI either"

	; As it is meant to be.
	mov	eax, 1
	call	wake
	cmp	word [rbp + COMMAND], 0
	CHECK	e, "the command is acknowledged"
	mov	eax, 1
	call	wait_for
	CHECK	e, "CPU 1 runs"
	test	dword [seen_rflags], 1 << 9
	CHECK	z, "its interrupts are off"
	mov	eax, [seen_cr0]
	and	eax, 1 << 31 | 1
	cmp	eax, 1 << 31 | 1
	CHECK	e, "its paging is on"
	test	dword [seen_efer], 1 << 10
	CHECK	nz, "it is in long mode"
	test	dword [seen_efer], 1 << 11
	CHECK	nz, "its tables may have NX"
	cmp	dword [seen_lapic], 0
	CHECK	ne, "addresses up to 4 GiB are mapped"
	mov	eax, 1
	call	wake
	call	be_patient
	cmp	dword [rbp + COMMAND], WAKEUP
	CHECK	e, "a second command to it stays"
	cmp	dword [alive], 1
	CHECK	e, "and has no effect"

	; CPU 2 has had an INIT and a SIPI. Command and APIC ID come in one store.
	mov	rax, 2 << 32 | WAKEUP
	mov	[rbp + COMMAND], rax
	mov	eax, 2
	call	wait_for
	CHECK	e, "CPU 2 runs after an INIT, too"

	mov	esi, [r15 + ZERO_CMDLINE]
	mov	eax, [rsi]
	mov	rdx, 1 << 63
	cmp	eax, 'cano'
	je	.bad_vector
	mov	rdx, 1 << 45
	cmp	eax, 'unma'
	je	.bad_vector
	mov	edx, 0xd0000000
	cmp	eax, 'hole'
	jne	.end
.bad_vector:
	PRINT	"CPU 3 begins where nothing is", 13, 10
	mov	[rbp + VECTOR], rdx
	mov	eax, 3
	call	wake
	call	be_patient
	PRINT	"FAILED: this VM goes on", 13, 10
.end:	FINISH	"mailbox"

; Writes the command for the CPU with the APIC ID in EAX, in the order of the specification.
wake:	mov	[rbp + APIC_ID], eax
	mov	word [rbp + COMMAND], WAKEUP
	ret

; ZF = 1 when EAX CPUs have begun; 0 if they do not come.
wait_for:
	mov	ecx, PATIENCE * 100
.again:	pause
	cmp	[alive], eax
	je	.end
	dec	ecx
	jnz	.again
	cmp	[alive], eax
.end:	ret

be_patient:
	mov	ecx, PATIENCE
.again:	pause
	loop	.again
	ret

; INIT, then STARTUP, to the CPU with the APIC ID in EAX; RDI is the local APIC.
sipi:	shl	eax, 24
	mov	[rdi + LAPIC_ICR_HIGH], eax
	mov	dword [rdi + LAPIC_ICR], INIT
	call	be_patient
	mov	[rdi + LAPIC_ICR_HIGH], eax
	mov	dword [rdi + LAPIC_ICR], STARTUP
	ret

; What the others execute: each notes its state, counts itself once, and stops. It has no GDT, no IDT, and this stack is its own
; for a moment only: the next CPU is started when this one has been counted.
other:	mov	esp, other_stack
	pushfq
	pop	qword [seen_rflags]
	mov	rax, cr0
	mov	[seen_cr0], rax
	mov	ecx, MSR_EFER
	rdmsr
	mov	[seen_efer], eax
	mov	edx, LAPIC
	mov	eax, [rdx + LAPIC_VERSION]
	mov	[seen_lapic], eax
	lock inc dword [alive]
.stop:	cli
	hlt
	jmp	.stop

section .data
	align	8
; Command, APIC ID.
refused	dd	2, 1
	dd	0x8001, 1
	dd	0xffff, 1
	dd	0x0100, 1
	dd	WAKEUP, 0		; it runs
	dd	WAKEUP, 4
	dd	WAKEUP, 64
	dd	WAKEUP, 255
	dd	WAKEUP, 0x80000001
	dd	WAKEUP, 0xffffffff
refused_end:
processors	dd 0
alive		dd 0
seen_rflags	dq 0
seen_cr0	dq 0
seen_efer	dd 0
seen_lapic	dd 0
	times	256 db 0
other_stack:
