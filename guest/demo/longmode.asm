; SPDX-License-Identifier: MIT
;
; longmode: a guest that turns on 64-bit paging itself and uses it: 2 MiB pages, a 4 KiB page, a page that must not
; be executed. Two translations are at work at each access: the guest's own tables, then Lethe's second stage (EPT).
; The guest's page faults stay inside the guest.
%include "multiboot.inc"

WINDOW	equ	0x40000000		; 1 GiB: no RAM there; the guest maps pages of its own choice
PTE_NX	equ	1 << 63
RET_BYTE equ	0xc3

main32:	jmp	enter_long

%include "long.inc"

	bits	64
main64:	mov	eax, DATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	PRINT	"in 64-bit mode", 13, 10

	; A gate for #PF, sixteen bytes in 64-bit mode (SDM Vol. 3A 6.14.1).
	mov	eax, page_fault
	mov	[idt + 14 * 16], ax
	mov	word [idt + 14 * 16 + 2], CODE64
	mov	word [idt + 14 * 16 + 4], 0x8e00
	shr	eax, 16
	mov	[idt + 14 * 16 + 6], ax
	lidt	[idt_pointer]

	mov	eax, 0x40000000
	cpuid
	PRINT	"hypervisor: "
	mov	[signature], ebx
	mov	[signature + 4], ecx
	mov	[signature + 8], edx
	mov	esi, signature
	call	puts
	PRINT	13, 10

	; The same 2 MiB page at a second address: pd[512] maps WINDOW.
	mov	qword [pd + 512 * 8], PTE_PS | PTE_PW
	invlpg	[WINDOW]
	mov	rax, 0x1122334455667788
	mov	[target], rax
	cmp	[WINDOW + target], rax
	CHECK	e, "a 2 MiB page maps RAM twice"

	; The next 2 MiB split into 4 KiB pages, of which the first is `target`'s page and the second is not there.
	mov	qword [pt], target_page + PTE_PW
	mov	qword [pd + 513 * 8], pt + PTE_PW
	cmp	[WINDOW + (2 << 20) + (target - target_page)], rax
	CHECK	e, "a 4 KiB page maps RAM"
	mov	qword [resume], .absent
	mov	al, [abs WINDOW + (2 << 20) + 4096]
.absent:
	cmp	qword [last_error], 0	; a read of what is not present
	CHECK	e, "an absent 4 KiB page faults"

	; Code in a page without execute rights: data may be read, an instruction fetch faults with bit 4.
	mov	byte [target], RET_BYTE
	mov	rbx, PTE_NX
	or	[pt], rbx
	invlpg	[WINDOW + (2 << 20)]
	cmp	byte [WINDOW + (2 << 20) + (target - target_page)], RET_BYTE
	CHECK	e, "an NX page can be read"
	mov	qword [last_error], -1
	mov	qword [resume], .nx
	mov	[resume_stack], rsp
	mov	eax, WINDOW + (2 << 20) + (target - target_page)
	call	rax
.nx:	mov	rsp, [resume_stack]
	cmp	qword [last_error], 0x11 ; present, fetch
	CHECK	e, "an NX page cannot be executed"
	btr	qword [pt], 63
	invlpg	[WINDOW + (2 << 20)]
	mov	eax, WINDOW + (2 << 20) + (target - target_page)
	call	rax			; comes back at once
	PRINT	"ok: without NX it can", 13, 10
	FINISH	"longmode"

; Notes the error code and goes on where the test says. The frame: error code, RIP, CS, RFLAGS, RSP, SS.
page_fault:
	pop	qword [last_error]
	push	rax
	mov	rax, [resume]
	mov	[rsp + 8], rax
	pop	rax
	iretq

section .data
	align	8
last_error	dq -1
resume		dq 0
resume_stack	dq 0
signature	dq 0, 0
idt_pointer	dw 15 * 16 - 1
		dq idt

section .bss
alignb	4096
pt:	resq	512
target_page:
	resb	256
target:	resq	1
alignb	4096
idt:	resb	15 * 16

	bits	32			; kit.inc means the same in both modes; 32-bit encodings are the common ones
