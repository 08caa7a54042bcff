; SPDX-License-Identifier: MIT
;
; hostile: a guest that tries to break the hypervisor below it, with everything that software at CPL 0 can do. Most of
; it must be answered as a CPU would answer (often with #GP or #UD, which are counted); then it says that it survived.
; A word on the command line chooses an end instead that no guest can survive. It must end this VM alone:
;
;	gate  the IDT lies where no memory is		push  the stack does
;	desc  the GDT does				walk  the page tables do
;	real  a fault within a fault in real mode, whose stack lies there
;	init  an INIT message to the boot processor	task  a task switch by hardware
%include "multiboot.inc"
%include "idt.inc"

HOLE	equ	0xf0000000		; no memory, no device
LAPIC	equ	0xfee00000
ICR	equ	LAPIC + 0x300
ICR_TO	equ	LAPIC + 0x310		; bits 31:24: destination
RAM_END	equ	16 << 20		; of a guest with 16 MiB

; TRY instruction: it may raise an exception or not. Either way the demo goes on behind it. EBP is 0 if it did.
%macro TRY 1+
	mov	dword [resume_at], %%after
	mov	ebp, 1
	%1
%%after:
%endmacro

; FLIP bits, read into EAX, write of EAX: flips one bit after the other, and back.
%macro FLIP 3
	xor	edi, edi
%%bit:	%2
	mov	esi, eax
	btc	eax, edi
	TRY	%3
	mov	eax, esi
	TRY	%3
	inc	edi
	cmp	edi, %1
	jb	%%bit
%endmacro

section .text
main32:	mov	dword [on_exception], tolerate
	call	idt_init
	call	pic_init
	mov	eax, timer_tick		; its own handler for the local APIC's timer
	mov	[idt + 0x30 * 8], ax
	shr	eax, 16
	mov	[idt + 0x30 * 8 + 6], ax
	lgdt	[gdt2_pointer]
	bt	dword [ebx], 2		; is there a command line?
	jnc	survive
	mov	esi, [ebx + 16]
.scan:	cmp	byte [esi], 0
	je	survive
	mov	edi, words
.word:	mov	eax, [edi]
	cmp	eax, [esi]
	je	.found
	add	edi, 8
	cmp	edi, words_end
	jb	.word
	inc	esi
	jmp	.scan
.found:	PRINT	"hostile: the end it is asked for", 13, 10
	jmp	[edi + 4]

survive:
	call	instructions
	PRINT	"hostile: instructions", 13, 10
	call	registers
	PRINT	"hostile: control registers", 13, 10
	call	msrs
	PRINT	"hostile: MSRs", 13, 10
	call	leaves
	call	ports
	PRINT	"hostile: ports", 13, 10
	call	memory
	PRINT	"hostile: device memory", 13, 10
	call	messages
	call	strings
	PRINT	"hostile: interrupts and strings", 13, 10
	mov	dword [rounds], 50
modes:	jmp	enter_long		; ends at main64, which comes back to after_long
after_long:
	dec	dword [rounds]
	jnz	modes
	PRINT	"hostile: survived, exceptions: "
	mov	eax, [faults]
	call	print_dec
	PRINT	", NMIs: "
	mov	eax, [nmis]
	call	print_dec
	PRINT	", timer interrupts: "
	mov	eax, [ticks]
	call	print_dec
	PRINT	13, 10
	jmp	power_off

; Every exception goes on behind the last TRY; NMIs, which this guest sends itself, where they came from.
tolerate:
	cmp	dword [ebp + FRAME_VECTOR], 2
	je	.nmi
	inc	dword [faults]
	cmp	dword [faults], 1 << 20	; not for ever
	ja	power_off
	mov	ecx, [resume_at]
	mov	[ebp + FRAME_EIP], ecx
	mov	dword [ebp + 8], 0	; EBP of the PUSHAD frame
	and	dword [ebp + FRAME_EIP + 8], ~(1 << 8) ; no further single steps
	ret
.nmi:	inc	dword [nmis]
	ret

; A pseudo-random number in EAX (the usual multiplier); changes nothing else.
random:	imul	eax, [seed], 1664525
	add	eax, 1013904223
	mov	[seed], eax
	rol	eax, 16
	ret

; All of VMX, SMX, SMM, SGX: guests have none of it. VMCALL is there, with numbers that mean nothing.
instructions:
	mov	edi, 64
.call:	call	random
	mov	ebx, eax
	call	random
	mov	ecx, edi
	TRY	vmcall
	dec	edi
	jnz	.call
	mov	eax, buffer
	xor	ecx, ecx
	TRY	vmclear [buffer]
	TRY	vmptrld [buffer]
	TRY	vmptrst [buffer]
	TRY	vmread [buffer], eax
	TRY	vmwrite eax, [buffer]
	TRY	vmlaunch
	TRY	vmresume
	TRY	vmxon [buffer]
	TRY	vmxoff
	TRY	invept ecx, [buffer]
	TRY	invvpid ecx, [buffer]
	TRY	invpcid ecx, [buffer]
	TRY	vmfunc
	TRY	getsec
	TRY	rsm
	TRY	monitor
	TRY	mwait
	TRY	rdpmc
	TRY	invd
	TRY	wbinvd
	TRY	db 0x0f, 0x01, 0xcf	; ENCLS
	TRY	db 0xf1			; INT1
	TRY	int	3
	TRY	ud2
	TRY	pause
	pushfd				; a single step over an instruction that exits
	or	dword [esp], 1 << 8
	TRY	popfd
	cpuid
	ret

; Every bit of every control register. CR0.PE stays (the word `real` is about that); paging goes on and off over an
; identity map.
registers:
	mov	edi, pd32
	mov	eax, 1 << 7 | 3		; 4 MiB, writable, present
.map:	mov	[edi], eax
	add	edi, 4
	add	eax, 4 << 20
	jnc	.map
	mov	eax, cr4
	bts	eax, 4			; PSE
	mov	cr4, eax
	FLIP	32, {mov eax, cr3}, {mov cr3, eax}
	mov	eax, pd32
	mov	cr3, eax
	mov	edi, 1
.cr0:	mov	eax, cr0
	mov	esi, eax
	btc	eax, edi
	TRY	mov	cr0, eax
	TRY	mov	cr0, esi
	inc	edi
	cmp	edi, 32
	jb	.cr0
	FLIP	32, {mov eax, cr4}, {mov cr4, eax}
	FLIP	32, {mov eax, dr6}, {mov dr6, eax}
	FLIP	13, {mov eax, dr7}, {mov dr7, eax}
	mov	eax, 1 << 13		; DR7.GD: the next MOV traps
	TRY	mov	dr7, eax
	TRY	mov	dr7, eax
	xor	eax, eax
	TRY	mov	dr7, eax

	mov	eax, cr0		; PAE paging: four entries in registers, with reserved bits, then without
	btr	eax, 31
	mov	ebx, eax
	mov	eax, cr4
	bts	eax, 5
	mov	cr4, eax
	mov	ecx, pdpte
	mov	cr3, ecx
	mov	dword [pdpte], -1
	mov	eax, ebx
	bts	eax, 31
	TRY	mov	cr0, eax
	mov	dword [pdpte], 0
	mov	ecx, HOLE		; entries that read as all ones
	mov	cr3, ecx
	mov	eax, cr4
	btr	eax, 5
	mov	cr4, eax

	mov	eax, cr4		; XCR0, where there is one
	bts	eax, 18
	TRY	mov	cr4, eax
	test	ebp, ebp
	jz	.no_xcr0
	xor	edi, edi
.xcr0:	xor	ecx, ecx
	TRY	xgetbv
	push	edx
	push	eax
	btc	dword [esp], edi
	mov	eax, [esp]
	mov	edx, [esp + 4]
	TRY	xsetbv
	btc	dword [esp], edi
	pop	eax
	pop	edx
	TRY	xsetbv
	mov	ecx, edi		; and registers that do not exist
	inc	ecx
	TRY	xsetbv
	inc	edi
	cmp	edi, 64
	jb	.xcr0
.no_xcr0:
	ret

%include "long.inc"
%include "hostile_devices.inc"
%include "hostile_ends.inc"
