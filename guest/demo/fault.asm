; SPDX-License-Identifier: MIT
;
; fault: a guest's exceptions are its own affair. #DE, #UD and #PF go from the CPU to the guest's handler and back
; without a VM exit: Lethe never sees them. Only when the guest cannot even handle a double fault (a "triple
; fault") does the CPU give up on the guest, and Lethe ends it.
%include "multiboot.inc"
%include "idt.inc"

PTE	equ	0x83			; present, writable, PS: a 4 MiB page
GONE	equ	0x00c00000		; the address that is not mapped at first
CR4_PSE	equ	1 << 4
CR0_PG	equ	1 << 31

main32:	call	idt_init

	xor	edx, edx
	mov	eax, 1
	xor	ecx, ecx
	EXPECT	0, div ecx
	CHECK	e, "division by zero raises #DE"
	EXPECT	6, ud2
	CHECK	e, "an undefined instruction raises #UD"

	; 32-bit paging with 4 MiB pages: one directory maps [0, 4 GiB) one to one, but for one entry.
	mov	edi, directory
	mov	eax, PTE
.entry:	mov	[edi], eax
	add	edi, 4
	add	eax, 4 << 20
	jnc	.entry
	mov	dword [directory + (GONE >> 22) * 4], 0
	mov	eax, cr4
	or	eax, CR4_PSE
	mov	cr4, eax
	mov	eax, directory
	mov	cr3, eax
	mov	eax, cr0
	or	eax, CR0_PG
	mov	cr0, eax
	PRINT	"paging is on", 13, 10

	; The handler maps the page; the instruction runs again as if nothing had been.
	mov	dword [on_exception], map_page
	mov	dword [GONE + 0x123 * 4], 0xcafe
	cmp	dword [GONE + 0x123 * 4], 0xcafe
	CHECK	e, "the faulting store was repeated"
	cmp	dword [faults], 1
	CHECK	e, "one page fault was handled"
	cmp	dword [fault_address], GONE + 0x123 * 4
	CHECK	e, "CR2 held the address"
	cmp	dword [fault_error], 2
	CHECK	e, "the error code said: a write, not present"

	; An IDT of no size: INT3 finds no gate (#GP), #GP finds none (#DF), #DF finds none: triple fault.
	PRINT	"fault: now a triple fault", 13, 10
	lidt	[no_idt]
	int3

map_page:
	cmp	dword [ebp + FRAME_VECTOR], 14
	jne	expected
	inc	dword [faults]
	mov	eax, [ebp + FRAME_ERROR]
	mov	[fault_error], eax
	mov	eax, cr2
	mov	[fault_address], eax
	mov	ecx, eax
	shr	ecx, 22
	and	eax, 0xffc00000
	or	eax, PTE
	mov	[directory + ecx * 4], eax
	ret				; nothing was cached for it: an absent entry never is (SDM Vol. 3A 4.10.2.3)

section .data
faults		dd 0
fault_address	dd 0
fault_error	dd 0
no_idt		dw 0
		dd 0

section .bss
alignb	4096
directory:
	resd	1024
