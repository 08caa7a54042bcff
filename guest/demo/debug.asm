; SPDX-License-Identifier: MIT
;
; debug: the debug registers and the single-step flag. A debugger in the guest must see what it would see on a CPU of
; its own, also where an instruction leaves the guest and the hypervisor does it (SDM Vol. 3B chapter 17): at RAM, the
; CPU alone answers; at HOLE, at ports and at CPUID, RDMSR and MOV to CR, Lethe does.
;
;	DR0-DR3  addresses		DR7  which of them, on what (execute, write, I/O, access), how many bytes
;	DR6      why the last #DB came: B0-B3, BD (bit 13: DR7.GD), BS (bit 14: a single step)
%include "multiboot.inc"
%include "idt.inc"

HOLE	equ	0xfed50000		; no memory, no device
SCRATCH	equ	0x3ff			; the UART's scratch register
NOTHING	equ	0x1238			; a port where no device is
TF	equ	1 << 8
RF	equ	1 << 16
B0	equ	1
B1	equ	2
BD	equ	1 << 13
BS	equ	1 << 14
CAUSES	equ	B0 | B1 | 4 | 8 | BD | BS
LAPIC	equ	0xfee00000

; DR7: breakpoint n on R/W kind k with LEN l, global.
%define ON(n, k, l) (2 << (2 * (n)) | (k) << (16 + 4 * (n)) | (l) << (18 + 4 * (n)))
EXECUTE	equ	0
WRITE	equ	1
IO	equ	2
ACCESS	equ	3
BYTES_1	equ	0
BYTES_2	equ	1
BYTES_4	equ	3

; ARM address, DR7: breakpoint 0 lies at the address; nothing has been seen yet.
%macro ARM 2
	mov	eax, %1
	mov	dr0, eax
	mov	eax, %2
	mov	dr7, eax
	mov	dword [seen], 0
%endmacro

; DISARM clears DR7 and leaves ZF = 1 if there were %1 #DBs, the first with the causes %2.
%macro DISARM 2
	xor	eax, eax
	mov	dr7, eax
	mov	eax, [first_dr6]
	and	eax, CAUSES
	xor	eax, %2
	mov	ecx, [seen]
	xor	ecx, %1
	or	eax, ecx
%endmacro

; MISSED clears DR7 and leaves ZF = 1 if there was no #DB.
%macro MISSED 0
	xor	eax, eax
	mov	dr7, eax
	cmp	dword [seen], 0
%endmacro

; STEP instruction: with TF set. Ends when EIP stands behind it.
%macro STEP 1+
	mov	dword [seen], 0
	mov	dword [inside], 0
	mov	dword [insn], %%insn
	mov	dword [stop], %%behind
	pushfd
	or	dword [esp], TF
	popfd
%%insn:	%1
%%behind:
	nop
	nop
	mov	dword [stop], 0
%endmacro

; STEPS "what", traps on the instruction, instruction: of those with EIP still on it RF must be 1.
%macro STEPS 3+
	STEP	%3
	mov	eax, [seen]
	sub	eax, %2 + 1
	mov	ecx, [inside]
	sub	ecx, %2
	or	eax, ecx
	mov	ecx, [first_dr6]
	and	ecx, CAUSES
	xor	ecx, BS
	or	eax, ecx
	CHECK	z, %1
%endmacro

main32:	call	idt_init
	call	pic_init
	mov	dword [on_exception], debugged
	cld

	; ---- single steps ----
	STEPS	"a step over NOP", 0, nop
	xor	eax, eax
	STEPS	"a step over CPUID", 0, cpuid
	mov	edx, SCRATCH
	STEPS	"a step over OUT", 0, {out dx, al}
	STEPS	"a step over IN", 0, {in al, dx}
	STEPS	"a step over a store to a hole", 0, {mov [HOLE], eax}
	mov	ecx, 0x10
	STEPS	"a step over RDMSR", 0, rdmsr
	mov	eax, cr0
	STEPS	"a step over MOV to CR0", 0, {mov cr0, eax}
	STEPS	"a step over WBINVD", 0, wbinvd
	mov	eax, ss
	STEPS	"MOV SS and the CPUID behind it are one step", 0, {db 0x8e, 0xd0, 0x0f, 0xa2}

	; A REP string is stepped by its iterations.
	mov	ecx, 3
	mov	edi, buffer
	STEPS	"REP STOSD to RAM: a trap an iteration", 2, rep stosd
	mov	ecx, 3
	mov	edi, HOLE
	STEPS	"REP STOSD to a hole: a trap an iteration", 2, rep stosd
	mov	ecx, 3
	mov	esi, HOLE
	mov	edi, buffer
	STEPS	"REP MOVSD from a hole: a trap an iteration", 2, rep movsd
	mov	ecx, 3
	mov	esi, HOLE
	mov	eax, -1
	mov	edi, HOLE
	STEPS	"REPE SCASD of a hole: a trap an iteration", 2, repe scasd
	mov	ecx, 3
	mov	esi, buffer
	mov	edx, 0x80
	STEPS	"REP OUTSB: a trap an iteration", 2, rep outsb
	mov	ecx, 3
	mov	edi, buffer
	mov	edx, SCRATCH
	STEPS	"REP INSB: a trap an iteration", 2, rep insb
	xor	ecx, ecx
	mov	edi, HOLE
	STEPS	"REP STOSD of nothing: one trap", 0, rep stosd
	xor	ecx, ecx
	STEPS	"REP OUTSB of nothing: one trap", 0, rep outsb

	; The trap comes before an interrupt that the instruction lets in: IRQ 0 waits in the 8259, OUT unmasks it.
	mov	al, 0x30		; channel 0, mode 0: once, 1000 ticks of the PIT
	out	0x43, al
	mov	al, 1000 & 255
	out	0x40, al
	mov	al, 1000 >> 8
	out	0x40, al
	mov	al, 0x0a		; the 8259's requests are what port 20h shows
	out	0x20, al
.pit:	in	al, 0x20
	test	al, 1
	jz	.pit
	mov	dword [irq_count], 0
	mov	dword [irqs_at_trap], -1
	mov	al, 0xfe
	sti
	STEP	out 0x21, al
	cli
	mov	al, 0xff
	out	0x21, al
	mov	eax, [seen]
	sub	eax, 1
	or	eax, [irqs_at_trap]
	mov	ecx, [irq_count]
	sub	ecx, 1
	or	eax, ecx
	CHECK	z, "a single step comes before the interrupt that its instruction lets in"

	; HLT under TF ends by its own trap.
	STEPS	"a step over HLT ends it", 0, hlt

	; ---- breakpoints on data ----
	ARM	buffer, ON(0, WRITE, BYTES_4)
	mov	eax, [buffer]
	mov	[buffer + 2], al
	nop
	DISARM	1, B0
	CHECK	z, "RAM: a write within the four bytes hits, a read does not"
	ARM	HOLE + 4, ON(0, WRITE, BYTES_4)
	mov	eax, [HOLE + 4]
	mov	[HOLE + 6], al
	nop
	DISARM	1, B0
	CHECK	z, "hole: a write within the four bytes hits, a read does not"
	ARM	HOLE + 4, ON(0, ACCESS, BYTES_4)
	mov	eax, [HOLE + 1]
.read:	nop
	DISARM	1, B0
	CHECK	z, "hole: a read that reaches the first byte hits"
	cmp	dword [first_eip], .read
	CHECK	e, "   and is a trap: EIP is behind it"
	test	dword [first_flags], RF
	CHECK	z, "   with RF = 0"
	ARM	HOLE + 4, ON(0, ACCESS, BYTES_4)
	mov	eax, [HOLE + 8]
	mov	eax, [HOLE]
	mov	al, [HOLE + 3]
	nop
	MISSED
	CHECK	z, "hole: beside the four bytes nothing hits"
	ARM	HOLE + 4, ON(0, WRITE, BYTES_1)
	or	dword [HOLE + 4], 1
	nop
	DISARM	1, B0
	CHECK	z, "hole: a read-modify-write is a write"
	ARM	HOLE + 4, ON(0, WRITE, BYTES_1)
	mov	eax, HOLE
	mov	dr1, eax
	mov	eax, ON(0, WRITE, BYTES_4) | ON(1, ACCESS, BYTES_2)
	mov	dr7, eax
	mov	[HOLE + 1], eax
	nop
	DISARM	1, B0 | B1
	CHECK	z, "hole: one store meets two breakpoints, there is one #DB"
	ARM	HOLE + 4, ON(0, WRITE, BYTES_4)
	mov	edi, HOLE
	mov	ecx, 4
	rep stosd
	nop
	DISARM	1, B0
	CHECK	z, "hole: REP STOSD meets a breakpoint once"
	cmp	dword [first_ecx], 2
	CHECK	e, "   after the second of four iterations"
	test	dword [first_flags], RF
	CHECK	nz, "   with RF = 1, for it goes on"
	ARM	buffer + 4, ON(0, WRITE, BYTES_4)
	mov	edi, buffer
	mov	esi, HOLE
	mov	ecx, 4
	rep movsd
	nop
	DISARM	1, B0
	CHECK	z, "REP MOVSD from a hole: the breakpoint lies in RAM"
	ARM	buffer, ON(0, WRITE, BYTES_1)
	mov	edi, buffer
	mov	edx, SCRATCH
	insb
	nop
	DISARM	1, B0
	CHECK	z, "INSB: the breakpoint lies in RAM"
	ARM	HOLE, ON(0, WRITE, BYTES_4) & ~0xff
	mov	[HOLE], eax
	nop
	MISSED
	CHECK	z, "hole: a breakpoint that is off does not hit"

	; A hit and a single step at once are one #DB with both causes.
	ARM	HOLE, ON(0, WRITE, BYTES_4)
	STEP	mov [HOLE], eax
	DISARM	1, B0 | BS
	CHECK	z, "hole: a hit and a single step are one #DB"

	; MOV SS holds the trap back for one instruction, which here leaves the guest.
	mov	[stack_selector], ss
	ARM	stack_selector, ON(0, ACCESS, BYTES_2)
	mov	ss, [stack_selector]
.held:	cpuid
.cpuid:	nop
	DISARM	1, B0
	CHECK	z, "MOV SS meets a breakpoint"
	cmp	dword [first_eip], .cpuid
	CHECK	e, "   which waits for the CPUID behind it"

	; ---- breakpoints on ports ----
	mov	eax, cr4
	or	eax, 1 << 3		; DE
	mov	cr4, eax
	mov	edx, SCRATCH
	ARM	SCRATCH, ON(0, IO, BYTES_1)
	out	dx, al
.out:	nop
	DISARM	1, B0
	CHECK	z, "OUT meets an I/O breakpoint"
	cmp	dword [first_eip], .out
	CHECK	e, "   and EIP is behind it"
	ARM	SCRATCH, ON(0, IO, BYTES_1)
	in	al, dx
	nop
	DISARM	1, B0
	CHECK	z, "IN meets an I/O breakpoint"
	ARM	NOTHING + 2, ON(0, IO, BYTES_2)
	mov	edx, NOTHING
	in	eax, dx
	nop
	DISARM	1, B0
	CHECK	z, "IN of four bytes meets a breakpoint on the last two"
	ARM	NOTHING + 4, ON(0, IO, BYTES_4)
	in	eax, dx
	nop
	MISSED
	CHECK	z, "IN beside it does not"
	ARM	0x80, ON(0, IO, BYTES_1)
	mov	edx, 0x80
	mov	esi, buffer
	mov	ecx, 3
	rep outsb
	nop
	DISARM	3, B0
	CHECK	z, "REP OUTSB meets an I/O breakpoint in each iteration"
	cmp	dword [first_ecx], 2
	CHECK	e, "   the first after the first"
	ARM	HOLE, ON(0, IO, BYTES_4)
	mov	[HOLE], eax
	nop
	MISSED
	CHECK	z, "a store does not meet an I/O breakpoint"
	mov	eax, cr4
	and	eax, ~(1 << 3)
	mov	cr4, eax

	; ---- breakpoints on instructions ----
	mov	dword [set_rf], RF
	ARM	.b1, ON(0, EXECUTE, BYTES_1)
.b1:	mov	eax, [HOLE]
	DISARM	1, B0
	CHECK	z, "a breakpoint on a load from a hole hits once"
	cmp	dword [first_eip], .b1
	CHECK	e, "   before the load"
	ARM	.b2, ON(0, EXECUTE, BYTES_1)
	xor	eax, eax
.b2:	cpuid
	DISARM	1, B0
	CHECK	z, "a breakpoint on CPUID hits once"
	mov	ecx, 100
	mov	edi, HOLE
	ARM	.b3, ON(0, EXECUTE, BYTES_1)
.b3:	rep stosd
	DISARM	1, B0
	CHECK	z, "a breakpoint on REP STOSD to a hole hits once in 100 iterations"
	mov	ecx, 100
	mov	edx, 0x80
	mov	esi, buffer
	ARM	.b4, ON(0, EXECUTE, BYTES_1)
.b4:	rep outsb
	DISARM	1, B0
	CHECK	z, "a breakpoint on REP OUTSB hits once in 100 iterations"
	ARM	.b5, ON(0, EXECUTE, BYTES_1)
	mov	ecx, 0x12345678
	mov	dword [retry_with], 0x10
.b5:	rdmsr
	DISARM	1, B0
	CHECK	z, "a breakpoint on RDMSR hits once, though RDMSR faults and is tried again"
	cmp	dword [faults], 1
	CHECK	e, "   and the #GP comes once"
	ARM	.b6, ON(0, EXECUTE, BYTES_1)
.b6:	cpuid				; RF must be 0 again behind each
	xor	ebx, ebx
	xchg	ebx, [twice]
	test	ebx, ebx
	jnz	.b6
	DISARM	2, B0
	CHECK	z, "a breakpoint on CPUID hits each time round"

	; ---- the registers themselves ----
	xor	eax, eax
	mov	dr6, eax
	mov	eax, 1 << 13		; GD
	mov	dr7, eax
	mov	dword [seen], 0
.gd:	mov	eax, dr0
	mov	eax, [first_dr6]
	and	eax, CAUSES
	cmp	eax, BD
	CHECK	e, "DR7.GD: MOV from DR0 is a #DB with BD"
	cmp	dword [first_eip], .gd
	CHECK	e, "   before it"
	mov	eax, dr7
	test	eax, 1 << 13
	CHECK	z, "   and GD is off in the handler and behind"
	xor	eax, eax
	mov	dr6, eax
	mov	eax, dr6
	cmp	eax, 0xffff0ff0
	CHECK	e, "DR6: what is reserved reads as ones"
	mov	eax, 0x300
	mov	dr7, eax
	mov	eax, dr7
	cmp	eax, 0x700
	CHECK	e, "DR7: bit 10 reads as one"
	mov	dword [set_rf], 0
	mov	dword [seen], 0
	mov	dword [first_dr6], 0
	db	0xf1			; INT1
	nop
	mov	eax, [first_dr6]
	and	eax, CAUSES
	CHECK	z, "INT1 is a #DB without a cause in DR6"
	cmp	dword [seen], 1
	CHECK	e, "   one"
	FINISH	"debug"

; Notes EIP, DR6, EFLAGS and ECX of the first #DB, counts the others, and stops stepping where STEP ends. A #GP is
; tried again with another ECX.
debugged:
	cmp	dword [ebp + FRAME_VECTOR], 13
	je	.gp
	cmp	dword [ebp + FRAME_VECTOR], 1
	jne	expected
	mov	edx, dr6
	xor	ecx, ecx
	mov	dr6, ecx
	cmp	dword [seen], 0
	jne	.later
	mov	[first_dr6], edx
	mov	eax, [ebp + FRAME_EIP]
	mov	[first_eip], eax
	mov	eax, [ebp + FRAME_EIP + 8]
	mov	[first_flags], eax
	mov	eax, [ebp + 24]		; ECX of PUSHAD's frame
	mov	[first_ecx], eax
	mov	eax, [irq_count]
	mov	[irqs_at_trap], eax
.later:	inc	dword [seen]
	mov	eax, [set_rf]
	or	[ebp + FRAME_EIP + 8], eax
	mov	eax, [ebp + FRAME_EIP]
	cmp	eax, [insn]
	jne	.behind
	test	dword [ebp + FRAME_EIP + 8], RF
	jz	.behind
	inc	dword [inside]
.behind:
	cmp	eax, [stop]
	jb	.ret
	and	dword [ebp + FRAME_EIP + 8], ~TF
.ret:	ret
.gp:	mov	eax, [retry_with]
	test	eax, eax
	jz	expected
	inc	dword [faults]
	mov	dword [retry_with], 0
	mov	[ebp + 24], eax
	ret

section .data
	align	4
seen		dd 0
inside		dd 0
insn		dd 0
stop		dd 0
first_dr6	dd 0
first_eip	dd 0
first_flags	dd 0
first_ecx	dd 0
irqs_at_trap	dd 0
set_rf		dd 0
retry_with	dd 0
faults		dd 0
twice		dd 1
stack_selector	dd 0
section .bss
alignb	4
buffer:	resb	64
section .text
