; SPDX-License-Identifier: MIT
;
; wakeup: how soon a guest runs when its interrupt comes, on a CPU that another guest computes on. Two VMs:
;
;	[vm wakeup]			sleeps with HLT, a millisecond each time, and looks how late it is when it wakes
;	[vm compute] cmdline = compute	never sleeps, for COMPUTE ticks
;
; A turn lasts ten milliseconds where no other vCPU wakes. A guest that had to wait for the end of the other's turn would be
; late by several milliseconds as a rule; this one must be back within one. It prints how late it was.
;
; The bound holds where an exit is short against a millisecond. Lethe nested in KVM inside Bochs takes 15,000 ticks for one, 0.3 ms
; of a machine of 50 MHz: there it holds with `cpu: ips=500000000`, with which an exit takes 0.03 ms (tests/nested does that).
%include "multiboot.inc"
%include "idt.inc"

LAPIC_SVR	equ	0xfee000f0	; spurious vector; bit 8 switches the APIC on
LAPIC_LVT_TIMER	equ	0xfee00320	; bits 18:17: 2 TSC deadline
MSR_TSC_DEADLINE equ	0x6e0
PIT_100HZ	equ	11932
TICKS		equ	10
ROUNDS		equ	50
COMPUTE		equ	200000000	; TSC ticks

; See interrupt.asm.
%macro SLEEP_UNTIL 2
%%next:	cli
	cmp	dword [%1], %2
	jae	%%done
	sti
	hlt
	jmp	%%next
%%done:
%endmacro

main32:	mov	eax, [ebx + 16]		; the command line ends with the word that it was given
	cmp	byte [eax], 0
	je	sleeper
.last:	add	eax, 1
	cmp	byte [eax], 0
	jne	.last
	cmp	dword [eax - 4], 'pute'
	jne	sleeper

	rdtsc
	mov	edi, eax
.spin:	pause
	rdtsc
	sub	eax, edi
	cmp	eax, COMPUTE
	jb	.spin
	FINISH	"compute"

sleeper:
	call	idt_init
	call	pic_init
	mov	eax, 1
	cpuid
	bt	ecx, 24
	CHECK	c, "the local APIC's timer knows TSC deadlines"

	; How many TSC ticks is a millisecond?
	mov	al, 0x34		; channel 0, low byte then high byte, mode 2: again and again
	out	0x43, al
	mov	al, PIT_100HZ & 255
	out	0x40, al
	mov	al, PIT_100HZ >> 8
	out	0x40, al
	mov	al, ~1 & 0xff
	out	0x21, al
	SLEEP_UNTIL irq_count, 1	; begin with a fresh period
	rdtsc
	mov	edi, eax
	SLEEP_UNTIL irq_count, 1 + TICKS
	rdtsc
	sub	eax, edi
	xor	edx, edx
	mov	ecx, 10 * TICKS
	div	ecx
	mov	[millisecond], eax
	mov	al, 0xff
	out	0x21, al

	mov	dword [LAPIC_SVR], 0x1ff
	mov	dword [LAPIC_LVT_TIMER], 2 << 17 | 0x30
	mfence				; the MMIO write comes before the WRMSR (SDM Vol. 3A 10.5.4.1)
	mov	ebx, ROUNDS
.round:	mov	dword [irq_count + 16 * 4], 0
	rdtsc
	add	eax, [millisecond]
	adc	edx, 0
	mov	edi, eax
	mov	ecx, MSR_TSC_DEADLINE
	wrmsr
	SLEEP_UNTIL irq_count + 16 * 4, 1
	rdtsc
	sub	eax, edi
	cmp	eax, [latest]
	jb	.not_later
	mov	[latest], eax
.not_later:
	sub	ebx, 1
	jnz	.round

	PRINT	"a millisecond: "
	mov	eax, [millisecond]
	call	print_dec
	PRINT	" TSC ticks; late by at most "
	mov	eax, [latest]
	call	print_dec
	PRINT	13, 10
	mov	eax, [latest]
	cmp	eax, [millisecond]
	jb	.in_time
	PRINT	"wakeup: nested in KVM inside Bochs this holds with `cpu: ips=500000000` only", 13, 10
.in_time:
	mov	eax, [latest]
	cmp	eax, [millisecond]
	CHECK	b, "never late by a millisecond"
	FINISH	"wakeup"

section .data
millisecond	dd	0
latest		dd	0
