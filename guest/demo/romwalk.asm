; SPDX-License-Identifier: MIT
;
; romwalk: page tables in read-only memory. The option ROM area at 0xc0000 reads as all ones, and a page-table entry of
; all ones is a good one: present, writable, accessed, dirty, page 0xfffff000. So the area serves as 32 page tables that
; the guest never wrote. On a CPU with EPT's A and D flags each walk through them counts as a write to read-only memory;
; Lethe switches the flags off for this VM then, and the guest notices nothing.
%include "multiboot.inc"

ROMS	equ	0xc0000
VIEW	equ	0x40000000		; linear; the page tables in ROM map 4 MiB each from here on
TABLES	equ	32
CR4_PSE	equ	1 << 4
PDE_A	equ	1 << 5

main32:	mov	edi, directory		; linear = physical, in 4 MiB pages
	mov	eax, 0x83
.low:	mov	[edi], eax
	add	edi, 4
	add	eax, 4 << 20
	jnc	.low
	mov	edi, directory + (VIEW >> 22) * 4
	mov	eax, ROMS | 3		; neither accessed nor dirty: this table lies in RAM, the CPU may set them
	mov	ecx, TABLES
.rom:	mov	[edi], eax
	add	edi, 4
	add	eax, 4096
	loop	.rom

	mov	eax, cr4
	or	eax, CR4_PSE
	mov	cr4, eax
	mov	eax, directory
	mov	cr3, eax
	mov	eax, cr0
	or	eax, 1 << 31
	mov	cr0, eax
	jmp	.on
.on:	PRINT	"romwalk: paging is on", 13, 10

	; Nothing lies at 0xfffff000: it reads as all ones. A page of each table, and many of the first.
	mov	esi, VIEW
	mov	ecx, TABLES
	mov	edx, -1
.each:	and	edx, [esi]
	add	esi, 4 << 20
	loop	.each
	cmp	edx, -1
	CHECK	e, "a page of each table in ROM is reached"
	mov	esi, VIEW
	mov	ecx, 1024
	mov	edx, -1
.pages:	and	edx, [esi]
	add	esi, 4096
	loop	.pages
	cmp	edx, -1
	CHECK	e, "all pages of a table in ROM are reached"
	test	byte [directory + (VIEW >> 22) * 4], PDE_A
	CHECK	nz, "the CPU sets the accessed flag in a table in RAM"
	cmp	dword [ROMS], -1
	CHECK	e, "the ROM is what it was"
	FINISH	"romwalk"

section .bss
	alignb	4096
directory:
	resb	4096
