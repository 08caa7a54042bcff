; SPDX-License-Identifier: MIT
;
; exceptions: what the CPU pushes when it raises one, and that the hypervisor's injected ones look the same (SDM Vol. 3A
; chapter 6). A fault's EIP is the instruction's own and RF is 1 in what it pushes; a trap's EIP is the next one's and RF
; is 0 (Vol. 3B 17.3.1.1). Then limits of segments, which Lethe checks itself where it does the instruction.
;
; Not here, since no instruction provokes them on this machine: #DF alone, #MF and #XM without an FPU set up, #MC, #VE.
%include "multiboot.inc"
%include "idt.inc"

HOLE	equ	0xfed50000		; no memory, no device
RF	equ	1 << 16
FAULT	equ	RF
TRAP	equ	0
SMALL	equ	0x20			; selectors of gdt2: data, up to 0fffh
DOWN	equ	0x28			; data that expands down: 1000h and above
ABSENT	equ	0x30			; data, not present
RONLY	equ	0x38			; data, read-only
TSS	equ	0x40			; an available 32-bit TSS

; RAISES "what", vector, error code, FAULT or TRAP, instruction
%macro RAISES 5+
	mov	dword [resume_at], %%behind
	mov	dword [last_vector], -1
%%insn:	%5
%%behind:
	mov	edi, [last_vector]
	sub	edi, %2
	mov	ecx, [last_error]
	sub	ecx, %3
	or	edi, ecx
	mov	ecx, [flags]
	and	ecx, RF
	xor	ecx, %4
	or	edi, ecx
	mov	ecx, [eip]
%if %4 = FAULT
	sub	ecx, %%insn
%else
	sub	ecx, %%behind
%endif
	or	edi, ecx
	CHECK	z, %1
%endmacro

; WORKS "what", instruction: raises nothing.
%macro WORKS 2+
	mov	dword [resume_at], %%behind
	mov	dword [last_vector], -1
	%2
%%behind:
	cmp	dword [last_vector], -1
	CHECK	e, %1
%endmacro

main32:	call	idt_init
	call	pic_init
	mov	dword [on_exception], noted
	mov	eax, tss
	mov	[gdt2 + TSS + 2], ax
	shr	eax, 16
	mov	[gdt2 + TSS + 4], al
	lgdt	[gdt2_pointer]

	; ---- the CPU's own ----
	xor	edx, edx
	xor	ebx, ebx
	RAISES	"#DE by DIV", 0, 0, FAULT, {div ebx}
	RAISES	"#BP by INT3", 3, 0, TRAP, {int3}
	mov	eax, 0x7fffffff
	add	eax, 1
	RAISES	"#OF by INTO", 4, 0, TRAP, {into}
	mov	eax, 9
	RAISES	"#BR by BOUND", 5, 0, FAULT, {bound eax, [bounds]}
	RAISES	"#UD by UD2", 6, 0, FAULT, {ud2}
	mov	eax, cr0
	or	eax, 1 << 3		; TS
	mov	cr0, eax
	RAISES	"#NM by an x87 instruction with CR0.TS", 7, 0, FAULT, {fld1}
	clts
	mov	eax, ABSENT
	RAISES	"#NP by a segment that is not present", 11, ABSENT, FAULT, {mov ds, eax}
	RAISES	"#SS by a stack that is not present", 12, ABSENT, FAULT, {mov ss, eax}
	mov	eax, 0x78
	RAISES	"#GP by a selector beyond the GDT", 13, 0x78, FAULT, {mov ds, eax}
	RAISES	"#GP by INT beyond the IDT", 13, 0x40 * 8 + 2, FAULT, {int 0x40}

	; ---- Lethe's: each of these leaves the guest ----
	mov	ecx, 0x12345678
	RAISES	"#GP by RDMSR", 13, 0, FAULT, rdmsr
	mov	ecx, 0x12345678
	RAISES	"#GP by WRMSR", 13, 0, FAULT, wrmsr
	mov	eax, 1 << 13
	RAISES	"#GP by MOV to CR4", 13, 0, FAULT, {mov cr4, eax}
	mov	eax, cr0
	or	eax, 1 << 29
	and	eax, ~(1 << 30)
	RAISES	"#GP by MOV to CR0", 13, 0, FAULT, {mov cr0, eax}
	mov	ecx, 99
	RAISES	"#GP by RDPMC", 13, 0, FAULT, rdpmc
	RAISES	"#UD by VMXOFF", 6, 0, FAULT, vmxoff
	RAISES	"#UD by MONITOR", 6, 0, FAULT, monitor
	mov	dword [HOLE], 0		; reads as ones all the same
	mov	eax, 5
	xor	edx, edx
	WORKS	"DIV by a hole, which reads as ones", {div dword [HOLE]}
	mov	edx, -1
	RAISES	"#DE by DIV by a hole", 0, 0, FAULT, {div dword [HOLE]}
	mov	eax, SMALL
	mov	es, eax
	mov	edi, 0x1000
	mov	edx, 0x3ff
	RAISES	"#GP by INSB beyond the limit of ES", 13, 0, FAULT, {db 0x6c}
	mov	edi, 0xffe
	mov	ecx, 3
	mov	dword [resume_at], .ins
	mov	dword [last_vector], -1
	rep insb
.ins:	cmp	dword [last_vector], 13
	CHECK	e, "#GP by REP INSB that runs over the limit of ES"
	cmp	dword [count], 1
	CHECK	e, "   after two of three iterations"
	mov	eax, DATA
	mov	es, eax
	mov	eax, SMALL
	mov	fs, eax
	mov	esi, 0x1000
	mov	edx, 0x80
	RAISES	"#GP by FS OUTSB beyond the limit", 13, 0, FAULT, {fs outsb}
	mov	esi, 0xffd
	RAISES	"#GP by FS OUTSD over the limit", 13, 0, FAULT, {fs outsd}
	mov	esi, 0xffc
	WORKS	"FS OUTSD up to the limit", {fs outsd}
	mov	eax, DOWN
	mov	fs, eax
	mov	esi, 0xfff
	RAISES	"#GP by FS OUTSB below an expand-down segment", 13, 0, FAULT, {fs outsb}
	mov	esi, 0x1000
	WORKS	"FS OUTSB at its first byte", {fs outsb}
	mov	eax, RONLY
	mov	es, eax
	mov	edi, buffer
	mov	edx, 0x3ff
	RAISES	"#GP by INSB into a read-only segment", 13, 0, FAULT, {db 0x6c}
	mov	eax, DATA
	mov	es, eax

	; ---- the stack in a hole: writes are lost, reads are ones ----
	mov	[saved], esp
	mov	esp, HOLE + 0x800
	push	eax
	push	dword [HOLE]
	pushad
	pushfd
	sub	esp, HOLE + 0x800 - 4 - 4 - 32 - 4
	mov	eax, esp
	mov	esp, HOLE + 0x800
	pop	ebx
	pop	dword [buffer]
	mov	ecx, esp
	mov	esp, [saved]
	test	eax, eax
	CHECK	z, "PUSH, PUSHAD and PUSHFD to a hole move ESP"
	cmp	ecx, HOLE + 0x808
	CHECK	e, "POP from a hole moves ESP"
	and	ebx, [buffer]
	cmp	ebx, -1
	CHECK	e, "   and reads ones"
	mov	esp, HOLE + 0x800
	call	.called
.called:
	mov	eax, esp
	mov	esp, [saved]
	cmp	eax, HOLE + 0x7fc
	CHECK	e, "CALL with its stack in a hole arrives"

	; ---- task state ----
	mov	eax, TSS
	WORKS	"LTR of an available TSS", {ltr ax}
	test	byte [gdt2 + TSS + 5], 2
	CHECK	nz, "   makes it busy"
	RAISES	"#GP by LTR of a busy TSS", 13, TSS, FAULT, {ltr ax}
	mov	eax, DATA
	RAISES	"#GP by LTR of a data segment", 13, DATA, FAULT, {ltr ax}
	str	eax
	cmp	eax, TSS
	CHECK	e, "STR gives the selector back"
	mov	dword [buffer], -1
	str	[buffer]
	cmp	dword [buffer], 0xffff0000 | TSS
	CHECK	e, "   16 bits of it in memory"
	WORKS	"STR to a hole", {str [HOLE]}
	WORKS	"SMSW to a hole", {smsw [HOLE]}
	FINISH	"exceptions"

; Notes what was pushed, and goes on behind the instruction.
noted:	mov	eax, [ebp + FRAME_EIP]
	mov	[eip], eax
	mov	eax, [ebp + FRAME_EIP + 8]
	mov	[flags], eax
	mov	eax, [ebp + 24]		; ECX of PUSHAD's frame
	mov	[count], eax
	jmp	expected

section .data
	align	8
gdt2:	dq	0
	dq	0x00cf9b000000ffff	; as in multiboot.inc
	dq	0x00cf93000000ffff
	dq	0x00af9b000000ffff
	dq	0x0040930000000fff	; SMALL
	dq	0x0040970000000fff	; DOWN
	dq	0x00cf13000000ffff	; ABSENT
	dq	0x00cf91000000ffff	; RONLY
	dq	0x0000890000000067	; TSS
gdt2_pointer:
	dw	gdt2_pointer - gdt2 - 1
	dd	gdt2
eip	dd 0
flags	dd 0
count	dd 0
saved	dd 0
bounds	dd 0, 8
section .bss
alignb	8
tss:	resb	104
buffer:	resd	1
section .text
