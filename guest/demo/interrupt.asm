; SPDX-License-Identifier: MIT
;
; interrupt: time reaches the CPU. First the PC's old way (8254 timer -> 8259 PIC -> CPU), then the newer one (the
; timer in the local APIC itself). The guest sleeps with HLT between ticks and counts them.
%include "multiboot.inc"
%include "idt.inc"

LAPIC		equ	0xfee00000
LAPIC_SVR	equ	LAPIC + 0xf0	; spurious vector; bit 8 switches the APIC on
LAPIC_LVT_TIMER	equ	LAPIC + 0x320	; bits 18:17: 0 once, 1 periodic, 2 TSC deadline
LAPIC_INITIAL	equ	LAPIC + 0x380
LAPIC_CURRENT	equ	LAPIC + 0x390
LAPIC_DIVIDE	equ	LAPIC + 0x3e0
MSR_TSC_DEADLINE equ	0x6e0
PIT_100HZ	equ	11932
TICKS		equ	10

main32:	call	idt_init
	call	pic_init

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
	mov	[pit_tsc], eax
	PRINT	"PIT: 10 ticks of 10 ms took "
	call	print_dec
	PRINT	" TSC ticks", 13, 10

	; A masked line is remembered but does not interrupt.
	mov	al, 0xff
	out	0x21, al
	mov	ebx, [irq_count]
	sti
	mov	ecx, 100000
.spin:	pause
	loop	.spin
	cli
	cmp	ebx, [irq_count]
	CHECK	e, "a masked line does not interrupt"

	; How fast does the local APIC's timer count? Measured over five more PIT ticks.
	mov	dword [LAPIC_SVR], 0x1ff
	mov	dword [LAPIC_DIVIDE], 3	; by 16
	mov	dword [LAPIC_LVT_TIMER], 1 << 16
	mov	al, ~1 & 0xff
	out	0x21, al
	mov	ebx, [irq_count]
	lea	ecx, [ebx + 2]		; the first may be the remembered one
	SLEEP_UNTIL irq_count, ecx
	mov	dword [LAPIC_INITIAL], -1
	lea	ecx, [ebx + 7]
	SLEEP_UNTIL irq_count, ecx
	mov	eax, -1
	sub	eax, [LAPIC_CURRENT]
	mov	edx, 0
	mov	ecx, 5
	div	ecx
	mov	ebx, eax
	mov	al, 0xff
	out	0x21, al
	mov	eax, ebx
	PRINT	"LAPIC timer: "
	call	print_dec
	PRINT	" counts in 10 ms", 13, 10
	test	eax, eax
	CHECK	nz, "the local APIC's timer counts"

	mov	dword [LAPIC_LVT_TIMER], 1 << 17 | 0x30
	mov	[LAPIC_INITIAL], ebx
	SLEEP_UNTIL irq_count + 16 * 4, TICKS
	mov	dword [LAPIC_LVT_TIMER], 1 << 16
	PRINT	"LAPIC: 10 ticks", 13, 10

	; The third way: not a count but a time. The timer fires when the TSC has reached the value in an MSR.
	mov	eax, 1
	cpuid
	bt	ecx, 24
	jnc	.end
	mov	dword [irq_count + 16 * 4], 0
	mov	dword [LAPIC_LVT_TIMER], 1 << 18 | 0x30
	mfence				; the MMIO write comes before the WRMSR (SDM Vol. 3A 10.5.4.1)
	rdtsc
	add	eax, [pit_tsc]		; ten PIT ticks from now
	adc	edx, 0
	mov	esi, eax
	mov	edi, edx
	mov	ecx, MSR_TSC_DEADLINE
	wrmsr
	SLEEP_UNTIL irq_count + 16 * 4, 1
	rdtsc
	sub	eax, esi
	sbb	edx, edi
	CHECK	ns, "the deadline had passed when the interrupt came"
	mov	ecx, MSR_TSC_DEADLINE
	rdmsr
	or	eax, edx
	CHECK	z, "and the timer is disarmed"
.end:	FINISH	"interrupt"

section .data
pit_tsc	dd	0
