; SPDX-License-Identifier: MIT
;
; init: what a second CPU is like after power-up and SIPI, and after INIT and SIPI (SDM Vol. 3A table 9-1). It notes its
; registers, changes them all, halts, and is started again. Then it is started with an NMI waiting for it. Needs 2 vCPUs.
%include "multiboot.inc"
%include "idt.inc"

LAPIC	equ	0xfee00000
ICR	equ	LAPIC + 0x300
ICR_TO	equ	LAPIC + 0x310
CODE16	equ	0x8000			; where the second CPU starts: SIPI vector 8
RECORD	equ	0x9000			; what it finds, 128 bytes a start
STARTS	equ	0x8f00
NMIS	equ	0x8f04

	struc	record
.eax	resd	1
.ebx	resd	1
.ecx	resd	1
.edx	resd	1
.esi	resd	1
.edi	resd	1
.ebp	resd	1
.esp	resd	1
.eflags	resd	1
.cr0	resd	1
.cr2	resd	1
.cr3	resd	1
.cr4	resd	1
.dr0	resd	1
.dr1	resd	1
.dr2	resd	1
.dr3	resd	1
.dr6	resd	1
.dr7	resd	1
.adjust	resd	1			; IA32_TSC_ADJUST
.eip	resd	1			; IA32_SYSENTER_EIP
.mtrr	resd	1			; IA32_MTRR_PHYSBASE7
.mxcsr	resd	1
.fcw	resw	1
.gdtr	resw	3
.idtr	resw	3
.segs	resw	5			; DS, ES, SS, FS, GS
.cs	resw	1
	endstruc

; IS offset, value, "what": of the start that EBP points to.
%macro IS 3
	cmp	dword [ebp + record.%1], %2
	CHECK	e, %3
%endmacro
%macro IS16 3
	cmp	word [ebp + record.%1], %2
	CHECK	e, %3
%endmacro

main32:	call	idt_init
	call	pic_init
	mov	dword [LAPIC + 0xf0], 0x1ff
	mov	dword [STARTS], 0
	mov	dword [NMIS], 0
	mov	esi, code16
	mov	edi, CODE16
	mov	ecx, code16_end - code16
	rep	movsb
	mov	dword [ICR_TO], 1 << 24

	PRINT	"init: after power-up", 13, 10
	mov	dword [ICR], 0x4608	; SIPI alone: after power-up it waits for that
	mov	ebx, 1
	call	await
	CHECK	e, "SIPI starts it"
	mov	ebp, RECORD
	call	table
	IS	cr0, 0x60000010, "CR0 = 60000010h"
	IS	adjust, 0, "TSC_ADJUST = 0"
	IS	mxcsr, 0x1f80, "MXCSR = 1F80h"
	IS16	fcw, 0x40, "FCW = 0040h"

	PRINT	"init: after INIT", 13, 10
	call	restart
	mov	ebx, 2
	call	await
	CHECK	e, "INIT and SIPI start it again"
	mov	ebp, RECORD + 128
	call	table
	IS	cr0, 0x10, "CR0.CD and CR0.NW stay, the others are reset"
	IS	adjust, 0x12345, "TSC_ADJUST stays"
	IS	eip, 0x777, "SYSENTER_EIP stays"
	IS	mtrr, 0xe0000006, "MTRRs stay"
	IS	mxcsr, 0x1fa0, "MXCSR stays"
	IS16	fcw, 0x27f, "FCW stays"

	PRINT	"init: with NMIs", 13, 10
	mov	dword [ICR], 0x4400	; it is in its NMI handler from now on
	call	delay
	mov	eax, [NMIS]
	cmp	eax, 1
	CHECK	e, "an NMI reaches it"
	mov	dword [ICR], 0x4400	; and this one waits
	call	delay
	mov	eax, [NMIS]
	cmp	eax, 1
	CHECK	e, "a second one waits for the first"
	call	restart
	mov	ebx, 3
	call	await
	CHECK	e, "INIT and SIPI start it again"
	mov	dword [ICR], 0x4608	; it does not wait for one now
	call	delay
	mov	eax, [STARTS]
	cmp	eax, 3
	CHECK	e, "a SIPI to a running CPU does nothing"
	mov	dword [ICR], 0x4400
	call	delay
	mov	eax, [NMIS]
	cmp	eax, 2
	CHECK	e, "NMIs are open again after INIT"
	FINISH	"init"

; Table 9-1, as far as power-up and INIT agree; EBP: the record.
table:	IS	eax, 0, "EAX = 0"
	IS	ebx, 0, "EBX = 0"
	IS	ecx, 0, "ECX = 0"
	IS	esi, 0, "ESI = 0"
	IS	edi, 0, "EDI = 0"
	IS	ebp, 0, "EBP = 0"
	IS	esp, 0, "ESP = 0"
	mov	eax, 1
	cpuid
	cmp	eax, [ebp + record.edx]
	CHECK	e, "EDX is the signature of CPUID leaf 1"
	IS	eflags, 2, "EFLAGS = 2"
	IS	cr2, 0, "CR2 = 0"
	IS	cr3, 0, "CR3 = 0"
	IS	cr4, 0, "CR4 = 0"
	IS	dr0, 0, "DR0 = 0"
	IS	dr1, 0, "DR1 = 0"
	IS	dr2, 0, "DR2 = 0"
	IS	dr3, 0, "DR3 = 0"
	IS	dr6, 0xffff0ff0, "DR6 = FFFF0FF0h"
	IS	dr7, 0x400, "DR7 = 400h"
	IS16	cs, 0x800, "CS is the SIPI's vector << 8"
	mov	eax, [ebp + record.segs]
	or	eax, [ebp + record.segs + 4]
	or	ax, [ebp + record.segs + 8]
	CHECK	z, "the other segments are 0"
	IS16	gdtr, 0xffff, "GDT limit = FFFFh"
	IS	gdtr + 2, 0, "GDT base = 0"
	IS16	idtr, 0xffff, "IDT limit = FFFFh"
	IS	idtr + 2, 0, "IDT base = 0"
	ret

restart:
	mov	dword [ICR], 0x4500	; INIT
	call	delay
	mov	dword [ICR], 0x4608
	ret
delay:	rdtsc
	lea	edi, [eax + 1000000]
.wait:	pause
	rdtsc
	sub	eax, edi
	js	.wait
	ret
; Until it has started EBX times, for a while. ZF = 1 if it has; then it has also noted everything.
await:	mov	ecx, 40
.wait:	call	delay
	cmp	[STARTS], ebx
	je	.end
	loop	.wait
	cmp	[STARTS], ebx
.end:	ret

; ---- the second CPU, in real mode at CODE16 ----
	bits	16
; In real mode a memory operand needs DS, which is 0, and nothing else: the first instructions change no register.
%define AT(label) (CODE16 + label - code16)
code16:	mov	[AT(found) + record.eax], eax
	mov	[AT(found) + record.ebx], ebx
	mov	[AT(found) + record.ecx], ecx
	mov	[AT(found) + record.edx], edx
	mov	[AT(found) + record.esi], esi
	mov	[AT(found) + record.edi], edi
	mov	[AT(found) + record.ebp], ebp
	mov	[AT(found) + record.esp], esp
	mov	[AT(found) + record.segs], ds
	mov	[AT(found) + record.segs + 2], es
	mov	[AT(found) + record.segs + 4], ss
	mov	[AT(found) + record.segs + 6], fs
	mov	[AT(found) + record.segs + 8], gs
	mov	[AT(found) + record.cs], cs
	mov	esp, 0x7000
	pushfd
	pop	dword [AT(found) + record.eflags]
	sgdt	[AT(found) + record.gdtr]
	sidt	[AT(found) + record.idtr]
%macro NOTE 2
	mov	eax, %2
	mov	[AT(found) + record.%1], eax
%endmacro
	NOTE	cr0, cr0
	NOTE	cr2, cr2
	NOTE	cr3, cr3
	NOTE	cr4, cr4
	NOTE	dr0, dr0
	NOTE	dr1, dr1
	NOTE	dr2, dr2
	NOTE	dr3, dr3
	NOTE	dr6, dr6
	NOTE	dr7, dr7
%macro NOTE_MSR 2
	mov	ecx, %2
	rdmsr
	mov	[AT(found) + record.%1], eax
%endmacro
	NOTE_MSR adjust, 0x3b
	NOTE_MSR eip, 0x176
	NOTE_MSR mtrr, 0x20e
	fnstcw	[AT(found) + record.fcw]
	mov	eax, 1 << 9		; OSFXSR, for MXCSR
	mov	cr4, eax
	stmxcsr	[AT(found) + record.mxcsr]

	; To its place, by the number of the start.
	mov	di, [STARTS]
	shl	di, 7
	add	di, RECORD
	mov	si, AT(found)
	mov	cx, record_size
	cld
	rep movsb

	; Everything is changed.
	mov	eax, 0x1111
	mov	dr0, eax
	mov	dr1, eax
	mov	dr2, eax
	mov	dr3, eax
	mov	cr2, eax
	mov	eax, 0xffff4ff5
	mov	dr6, eax
	mov	eax, 0x401
	mov	dr7, eax
	mov	eax, 0x12000
	mov	cr3, eax
	mov	eax, 0x12		; MP, ET; the caches on
	mov	cr0, eax
%macro SET_MSR 2
	mov	ecx, %1
	mov	eax, %2
	xor	edx, edx
	wrmsr
%endmacro
	SET_MSR	0x3b, 0x12345
	SET_MSR	0x176, 0x777
	SET_MSR	0x20e, 0xe0000006
	mov	word [AT(scratch)], 0x27f
	fldcw	[AT(scratch)]
	mov	dword [AT(scratch)], 0x1fa0
	ldmxcsr	[AT(scratch)]
	mov	word [2 * 4], AT(nmi)
	mov	word [2 * 4 + 2], 0
	lgdt	[AT(tables)]
	mov	ax, 0x1234
	mov	es, ax
	mov	fs, ax
	mov	gs, ax
	mov	eax, -1
	mov	ebx, eax
	mov	ecx, eax
	mov	edx, eax
	mov	esi, eax
	mov	edi, eax
	mov	ebp, eax
	lock inc dword [STARTS]
.halt:	hlt
	jmp	.halt
nmi:	lock inc dword [NMIS]
.stay:	jmp	.stay
	align	4
scratch	dd	0
tables	dw	0x17
	dd	0x12340
found:	times record_size db 0
code16_end:
	bits	32
