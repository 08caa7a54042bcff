; SPDX-License-Identifier: MIT
;
; apic: the local APIC in all that its modes can do (SDM Vol. 3A chapter 10). The same tests run four times: registers
; in memory at their usual address, in memory at another, as MSRs (x2APIC mode), and in memory once more.
%include "multiboot.inc"
%include "idt.inc"

MSR_APIC_BASE	equ	0x1b
MSR_DEADLINE	equ	0x6e0
USUAL		equ	0xfee00000
MOVED		equ	0xfed40000
ENABLE		equ	1 << 11
X2APIC		equ	1 << 10
BSP		equ	1 << 8

ID		equ	0x20
VERSION		equ	0x30
TPR		equ	0x80
PPR		equ	0xa0
EOI		equ	0xb0
LDR		equ	0xd0
DFR		equ	0xe0
SVR		equ	0xf0
ISR		equ	0x100
IRR		equ	0x200
ESR		equ	0x280
ICR		equ	0x300
ICR_HIGH	equ	0x310
LVT_TIMER	equ	0x320
LVT_LINT0	equ	0x350
LVT_LINT1	equ	0x360
LVT_ERROR	equ	0x370
TIMER_INITIAL	equ	0x380
TIMER_CURRENT	equ	0x390
TIMER_DIVIDE	equ	0x3e0
SELF_IPI	equ	0x3f0

FIRST		equ	0x40		; vectors of this demo
LAST		equ	0x9f
LOW_VECTOR	equ	0x41
MIDDLE		equ	0x62
HIGH		equ	0x93
TICK		equ	0x51
ERROR		equ	0x71
FAR_OFF		equ	1000000000	; of the timer or the TSC: more than any test takes

; READ register: EAX = its value. WRITE register, value. Both keep all other registers.
%macro READ 1
	push	%1
	call	apic_read
%endmacro
%macro WRITE 2
	push	dword %2
	push	dword %1
	call	apic_write
%endmacro
; EQUAL value, "what": EAX must be it.
%macro EQUAL 2
	cmp	eax, %1
	CHECK	e, %2
%endmacro
; COUNTED vector, how often, "what": since the last FORGET.
%macro COUNTED 3
	mov	eax, [counts + (%1) * 4]
	EQUAL	%2, %3
%endmacro
%macro FORGET 0
	call	forget
%endmacro
; Lets what waits in.
%macro WINDOW 0
	sti
	nop
	nop
	cli
%endmacro
; BASE flags and address: writes IA32_APIC_BASE.
%macro BASE 1
	mov	ecx, MSR_APIC_BASE
	xor	edx, edx
	mov	eax, %1
	wrmsr
%endmacro
%macro BASE_FAULTS 3			; bits 63:32, bits 31:0, "what"
	mov	ecx, MSR_APIC_BASE
	mov	edx, %1
	mov	eax, %2
	EXPECT	13, wrmsr
	CHECK	e, %3
%endmacro

main32:	call	idt_init
	call	pic_init
	call	gates_init

	PRINT	"apic: xAPIC mode", 13, 10
	call	memory_mode
	call	all_tests
	BASE_FAULTS	0, USUAL | BSP | ENABLE | 1, "IA32_APIC_BASE bit 0 is reserved"
	BASE_FAULTS	0, USUAL | BSP | ENABLE | 1 << 9, "IA32_APIC_BASE bit 9 is reserved"
	BASE_FAULTS	0x80000000, USUAL | BSP | ENABLE, "IA32_APIC_BASE bit 63 is reserved"
	BASE_FAULTS	0, USUAL | BSP | X2APIC, "x2APIC mode without enable"
	BASE	USUAL | BSP | ENABLE	; the same once more changes nothing
	READ	SVR
	EQUAL	0x1ff, "the same base once more changes nothing"

	PRINT	"apic: moved", 13, 10
	BASE	MOVED | BSP | ENABLE
	mov	dword [page], MOVED
	READ	SVR
	EQUAL	0x1ff, "the registers are at the new address"
	cmp	dword [USUAL + SVR], -1
	CHECK	e, "nothing is at the old one"
	mov	dword [USUAL + TPR], 0x50
	READ	TPR
	EQUAL	0, "a write to the old one goes nowhere"
	call	all_tests

	PRINT	"apic: x2APIC mode", 13, 10
	BASE	USUAL | BSP | ENABLE
	WRITE	SVR, 0x1ff
	BASE	USUAL | BSP | ENABLE | X2APIC
	mov	byte [x2], 1
	mov	dword [page], USUAL
	cmp	dword [USUAL + VERSION], -1
	CHECK	e, "no registers are in memory"
	call	all_tests
	call	x2apic_range
	BASE_FAULTS	0, USUAL | BSP | ENABLE, "no way from x2APIC to xAPIC mode"

	PRINT	"apic: off and on", 13, 10
	BASE	USUAL | BSP
	mov	byte [x2], 0
	cmp	dword [USUAL + VERSION], -1
	CHECK	e, "switched off, it has no registers"
	mov	eax, 1
	cpuid
	bt	edx, 9
	CHECK	nc, "... and CPUID shows none"
	BASE_FAULTS	0, USUAL | BSP | ENABLE | X2APIC, "no way from off to x2APIC mode"
	BASE	USUAL | BSP | ENABLE
	mov	eax, 1
	cpuid
	bt	edx, 9
	CHECK	c, "switched on again, CPUID shows it"
	READ	SVR
	EQUAL	0xff, "... and its registers are as after a reset"
	WRITE	SVR, 0x1ff
	call	all_tests
	FINISH	"apic"

memory_mode:
	mov	byte [x2], 0
	mov	dword [page], USUAL
	WRITE	SVR, 0x1ff
	ret

all_tests:
	WRITE	SVR, 0x1ff
	WRITE	TPR, 0
	call	identity
	call	messages
	call	priorities
	call	errors
	call	local_vectors
	call	timer
	ret

; ---- the ID and version registers ----
identity:
	READ	ID
	EQUAL	0, "ID is 0"
	READ	VERSION
	and	eax, 0xff00ff
	EQUAL	0x50014, "version 14h, six LVT entries"
	cmp	byte [x2], 0
	jne	.x2
	WRITE	LDR, 0x01ffffff
	READ	LDR
	EQUAL	0x01000000, "LDR keeps bits 31:24"
	WRITE	DFR, 0
	READ	DFR
	EQUAL	0x0fffffff, "DFR: cluster model"
	WRITE	DFR, 0xf0000000
	READ	DFR
	EQUAL	-1, "DFR: flat model"
	WRITE	VERSION, 0
	READ	VERSION
	and	eax, 0xff
	EQUAL	0x14, "the version cannot be written"
	ret
.x2:	READ	LDR
	EQUAL	1, "LDR follows from the ID"
	ret

; ---- ICR ----
messages:
	FORGET
	WRITE	ICR, 0x40000 | LOW_VECTOR
	READ	IRR + LOW_VECTOR / 32 * 16
	EQUAL	1 << (LOW_VECTOR % 32), "a message to itself waits in IRR while IF = 0"
	WINDOW
	COUNTED	LOW_VECTOR, 1, "... and comes in with IF = 1"
	READ	IRR + LOW_VECTOR / 32 * 16
	EQUAL	0, "... when IRR has it no more"
	mov	eax, [isr_inside]
	EQUAL	1 << (LOW_VECTOR % 32), "its handler saw it in ISR"
	mov	eax, [ppr_inside]
	EQUAL	LOW_VECTOR & 0xf0, "its handler saw PPR at its class"
	READ	ISR + LOW_VECTOR / 32 * 16
	EQUAL	0, "EOI takes it out of ISR"
	WRITE	EOI, 0
	FORGET
	WRITE	ICR_HIGH, 0
	WRITE	ICR, MIDDLE
	WINDOW
	COUNTED	MIDDLE, 1, "by physical destination"
	FORGET
	mov	dword [icr_high], 1
	cmp	byte [x2], 0
	jne	.logical
	shl	dword [icr_high], 24
.logical:
	WRITE	ICR_HIGH, [icr_high]
	WRITE	ICR, 1 << 11 | MIDDLE
	WINDOW
	COUNTED	MIDDLE, 1, "by logical destination"
	FORGET
	WRITE	ICR_HIGH, -1
	WRITE	ICR, MIDDLE
	WINDOW
	COUNTED	MIDDLE, 1, "by broadcast"
	WRITE	ICR_HIGH, 0
	WRITE	ICR, 0x80000 | LOW_VECTOR
	WINDOW
	COUNTED	LOW_VECTOR, 1, "by the shorthand for all"
	WRITE	ICR, 0xc0000 | HIGH
	WINDOW
	COUNTED	HIGH, 0, "the shorthand for all others leaves it out"
	WRITE	ICR, 1 << 8 | HIGH
	WINDOW
	COUNTED	HIGH, 1, "lowest priority among one"
	cmp	byte [x2], 0
	je	.end
	FORGET
	WRITE	SELF_IPI, HIGH
	WINDOW
	COUNTED	HIGH, 1, "SELF IPI"
.end:	ret

; ---- TPR, PPR, order ----
priorities:
	FORGET
	WRITE	TPR, LOW_VECTOR
	READ	PPR
	EQUAL	LOW_VECTOR, "PPR is TPR with nothing in service"
	WRITE	ICR, 0x40000 | LOW_VECTOR
	WINDOW
	COUNTED	LOW_VECTOR, 0, "TPR holds back its own class"
	WRITE	ICR, 0x40000 | MIDDLE
	WINDOW
	COUNTED	MIDDLE, 1, "... but no higher one"
	WRITE	TPR, 0
	WINDOW
	COUNTED	LOW_VECTOR, 1, "TPR = 0 lets it in"
	FORGET
	WRITE	ICR, 0x40000 | LOW_VECTOR
	WRITE	ICR, 0x40000 | HIGH
	WRITE	ICR, 0x40000 | MIDDLE
	WINDOW
	mov	eax, [order]
	EQUAL	LOW_VECTOR << 16 | MIDDLE << 8 | HIGH, "three come in by priority"
	FORGET
	WRITE	ICR, 0x40000 | LOW_VECTOR
	WRITE	ICR, 0x40000 | LOW_VECTOR
	WINDOW
	COUNTED	LOW_VECTOR, 1, "twice before it comes in is once"
	ret

; ---- ESR ----
errors:	FORGET
	WRITE	ESR, 0
	WRITE	ESR, 0
	WRITE	LVT_ERROR, ERROR
	WRITE	ICR, 0x40000 | 5
	WRITE	ESR, 0
	READ	ESR
	EQUAL	0x20, "a message with vector 5 is an error: ESR bit 5"
	WINDOW
	COUNTED	ERROR, 1, "... with an interrupt through the error LVT"
	WRITE	ESR, 0
	READ	ESR
	EQUAL	0, "a write of ESR clears it"
	WRITE	LVT_ERROR, 1 << 16 | ERROR
	cmp	byte [x2], 0
	jne	.x2
	mov	ecx, [page]
	mov	eax, [ecx + 0x3f0]
	WRITE	ESR, 0
	READ	ESR
	EQUAL	0x80, "a register that does not exist: ESR bit 7"
	WRITE	ESR, 0
	ret
.x2:	mov	ecx, 0x839 + 1
	EXPECT	13, rdmsr
	CHECK	e, "a register that does not exist raises #GP"
	WRITE	ESR, 0
	READ	ESR
	EQUAL	0, "... and leaves ESR alone"
	ret

; ---- LVT ----
local_vectors:
	cmp	byte [x2], 0
	jne	.x2
%macro LVT_MASK 3
	WRITE	%1, -1
	READ	%1
	and	eax, ~(1 << 12)
	EQUAL	%2, %3
	WRITE	%1, 1 << 16
%endmacro
	LVT_MASK	LVT_LINT0, 0x1a7ff, "LINT0's bits"
	LVT_MASK	LVT_LINT1, 0x1a7ff, "LINT1's bits"
	LVT_MASK	LVT_ERROR, 0x100ff, "the error LVT's bits"
	LVT_MASK	LVT_TIMER, 0x700ff, "the timer LVT's bits"
.x2:	WRITE	LVT_ERROR, ERROR
	WRITE	SVR, 0xff
	READ	LVT_ERROR
	EQUAL	1 << 16 | ERROR, "switched off by SVR, each LVT is masked"
	WRITE	LVT_ERROR, ERROR
	READ	LVT_ERROR
	EQUAL	1 << 16 | ERROR, "... and stays so"
	WRITE	SVR, 0x1ff
	ret

; ---- the timer ----
; WAIT_FOR vector, count: until its interrupts are so many, for 4 million TSC ticks at most.
%macro WAIT_FOR 2
	mov	ebx, %1
	mov	ecx, %2
	call	wait_for
%endmacro
timer:	FORGET
	WRITE	TIMER_DIVIDE, 0xb	; by 1
	WRITE	LVT_TIMER, TICK		; once
	WRITE	TIMER_INITIAL, FAR_OFF
	READ	TIMER_CURRENT
	cmp	eax, FAR_OFF
	CHECK	be, "the current count begins at the initial one"
	test	eax, eax
	CHECK	nz, "... and is not at its end yet"
	mov	ebp, eax
	READ	TIMER_CURRENT
	cmp	eax, ebp
	CHECK	be, "... and counts down"
	WRITE	TIMER_INITIAL, 100000
	WAIT_FOR	TICK, 1
	COUNTED	TICK, 1, "one-shot: one interrupt"
	READ	TIMER_CURRENT
	EQUAL	0, "one-shot: the count stays at 0"
	FORGET
	WRITE	TIMER_DIVIDE, 0		; by 2
	WRITE	LVT_TIMER, 1 << 17 | TICK ; again and again
	WRITE	TIMER_INITIAL, 50000
	WAIT_FOR	TICK, 4
	mov	eax, [counts + TICK * 4]
	cmp	eax, 4
	CHECK	ae, "periodic: one interrupt after the other"
	WRITE	LVT_TIMER, 1 << 16 | 1 << 17 | TICK
	READ	TIMER_CURRENT
	test	eax, eax
	CHECK	nz, "masked, the count goes on"
	WRITE	TIMER_INITIAL, 0
	READ	TIMER_CURRENT
	EQUAL	0, "an initial count of 0 stops it"
	WINDOW				; for one that came before
	FORGET
	WRITE	LVT_TIMER, 2 << 17 | TICK ; deadline
	mov	ebx, 300000
	call	deadline
	WAIT_FOR	TICK, 1
	COUNTED	TICK, 1, "deadline: one interrupt"
	rdtsc
	sub	eax, [due]
	CHECK	ns, "... and not too soon"
	mov	ecx, MSR_DEADLINE
	rdmsr
	or	eax, edx
	CHECK	z, "... and the register is 0 again"
	FORGET
	mov	ebx, FAR_OFF
	call	deadline
	mov	ecx, MSR_DEADLINE
	xor	eax, eax
	xor	edx, edx
	wrmsr
	WAIT_FOR	TICK, 1
	COUNTED	TICK, 0, "a deadline of 0 disarms it"
	WRITE	LVT_TIMER, 1 << 16 | TICK
	ret
deadline:				; in EBX ticks
	rdtsc
	add	eax, ebx
	adc	edx, 0
	mov	[due], eax
	mov	ecx, MSR_DEADLINE
	wrmsr
	ret
wait_for:
	rdtsc
	lea	edi, [eax + 4000000]
.next:	WINDOW
	cmp	[counts + ebx * 4], ecx
	jae	.end
	rdtsc
	sub	eax, edi
	js	.next
.end:	ret

; ---- all MSRs of x2APIC mode ----
x2apic_range:
	xor	edi, edi		; wrong answers
	mov	ebp, 0x800
.msr:	mov	ecx, ebp
	EXPECT	13, rdmsr
	setne	bl			; 1: there is something to read
	lea	eax, [ebp - 0x800]
	bt	[x2_readable], eax
	setc	bh
	cmp	bl, bh
	je	.write
	inc	edi
	PRINT	"RDMSR of "
	mov	eax, ebp
	call	print_hex
	PRINT	" is wrong", 13, 10
.write:	lea	eax, [ebp - 0x800]
	bt	[x2_writable], eax
	jc	.next			; those are tried above
	mov	ecx, ebp
	xor	eax, eax
	xor	edx, edx
	EXPECT	13, wrmsr
	je	.next
	inc	edi
	PRINT	"WRMSR of "
	mov	eax, ebp
	call	print_hex
	PRINT	" is wrong", 13, 10
.next:	inc	ebp
	cmp	ebp, 0x900
	jb	.msr
	test	edi, edi
	CHECK	z, "x2APIC mode has its registers and no others"
	WRITE	ESR, 0
	READ	ESR
	EQUAL	0, "refused accesses do not show in ESR"
%macro REFUSES 4			; MSR, bits 63:32, bits 31:0, "what"
	mov	ecx, %1
	mov	edx, %2
	mov	eax, %3
	EXPECT	13, wrmsr
	CHECK	e, %4
%endmacro
	REFUSES	0x808, 0, 0x100, "TPR bit 8 is reserved"
	REFUSES	0x808, 1, 0, "TPR bit 32 is reserved"
	REFUSES	0x80b, 0, 1, "EOI takes 0 only"
	REFUSES	0x80b, 1, 0, "EOI takes 0 only, all 64 bits"
	REFUSES	0x80f, 0, 1 << 10, "SVR bit 10 is reserved"
	REFUSES	0x828, 0, 1, "ESR takes 0 only"
	REFUSES	0x830, 0, 1 << 20, "ICR bit 20 is reserved"
	REFUSES	0x832, 0, 1 << 19, "timer LVT bit 19 is reserved"
	REFUSES	0x838, 1, 0, "initial count bit 32 is reserved"
	REFUSES	0x83e, 0, 4, "divide bit 2 is reserved"
	REFUSES	0x83f, 0, 0x100 | HIGH, "SELF IPI bit 8 is reserved"
	REFUSES	0x83f, 1, HIGH, "SELF IPI bit 32 is reserved"
	ret

; ---- registers by mode ----
apic_read:				; [esp + 4]: register; pops it
	push	ecx
	mov	ecx, [esp + 8]
	cmp	byte [x2], 0
	jne	.x2
	add	ecx, [page]
	mov	eax, [ecx]
	pop	ecx
	ret	4
.x2:	push	edx
	shr	ecx, 4
	add	ecx, 0x800
	rdmsr
	pop	edx
	pop	ecx
	ret	4

; [esp + 4]: register, [esp + 8]: value; pops both. In x2APIC mode the high half of ICR goes with the low one.
apic_write:
	push	eax
	push	ecx
	mov	ecx, [esp + 12]
	mov	eax, [esp + 16]
	cmp	byte [x2], 0
	jne	.x2
	add	ecx, [page]
	mov	[ecx], eax
	pop	ecx
	pop	eax
	ret	8
.x2:	push	edx
	xor	edx, edx
	cmp	ecx, ICR_HIGH
	je	.high
	cmp	ecx, ICR
	jne	.write
	mov	edx, [destination]
.write:	shr	ecx, 4
	add	ecx, 0x800
	wrmsr
.end:	pop	edx
	pop	ecx
	pop	eax
	ret	8
.high:	mov	[destination], eax
	jmp	.end

; ---- interrupts ----
forget:	push	eax
	push	ecx
	push	edi
	mov	edi, counts
	xor	eax, eax
	mov	ecx, 256
	cld
	rep stosd
	mov	[order], eax
	mov	[order_bits], eax
	pop	edi
	pop	ecx
	pop	eax
	ret

; A longer table than idt.inc's, whose gates it takes over.
gates_init:
	mov	esi, idt
	mov	edi, gates
	mov	ecx, VECTORS * 2
	rep movsd
	mov	edi, gates + FIRST * 8
	mov	eax, entries
	mov	ecx, LAST - FIRST + 1
.gate:	mov	[edi], ax
	mov	word [edi + 2], CODE
	mov	dword [edi + 4], 0x8e00
	mov	edx, eax
	shr	edx, 16
	mov	[edi + 6], dx
	add	eax, ENTRY_SIZE
	add	edi, 8
	loop	.gate
	lidt	[gates_pointer]
	ret

ENTRY_SIZE equ	16
	align	16
entries:
%assign v FIRST
%rep LAST - FIRST + 1
	align	ENTRY_SIZE
	push	dword v
	jmp	interrupt
%assign v v + 1
%endrep

interrupt:
	pushad
	mov	ebx, [esp + 32]
	inc	dword [counts + ebx * 4]
	mov	ecx, [order_bits]
	cmp	ecx, 32
	jae	.known
	mov	eax, ebx
	shl	eax, cl
	or	[order], eax
	add	dword [order_bits], 8
.known:	mov	ecx, ebx
	shr	ecx, 5
	shl	ecx, 4
	add	ecx, ISR
	READ	ecx
	mov	[isr_inside], eax
	READ	PPR
	mov	[ppr_inside], eax
	WRITE	EOI, 0
	popad
	add	esp, 4
	iretd

section .data
	align	4
; MSRs 800h to 8FFh, a bit each, as SDM Vol. 3A table 10-6 has them: 802, 803, 808, 80A, 80D, 80F to 828, 830, 832 to
; 839, 83E can be read; 808, 80B, 80F, 828, 830, 832 to 838, 83E, 83F written.
x2_readable	dd 0xffffa50c, 0x43fd01ff, 0, 0, 0, 0, 0, 0
x2_writable	dd 0x00008900, 0xc1fd0100, 0, 0, 0, 0, 0, 0
gates_pointer	dw 256 * 8 - 1
		dd gates
page		dd 0
destination	dd 0
icr_high	dd 0
due		dd 0
order		dd 0
order_bits	dd 0
isr_inside	dd 0
ppr_inside	dd 0
x2		db 0

section .bss
alignb	8
gates:	resb	256 * 8
counts:	resd	256
section .text
