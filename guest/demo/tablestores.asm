; SPDX-License-Identifier: MIT
;
; tablestores: changes its page tables by every kind of store. On shadow page tables a store into a table is emulated, or, where
; the emulator cannot do it, done by the guest itself; after INVLPG the new translation holds in either case, as on any CPU.
;
;	directory --> low memory, linear = physical, in 4 MiB pages
;	    |-- VIEW ---------> table:   VIEW is page `a` or page `b`; the next page is one of them, too
;	    '-- VIEW + 4 MiB -> table2:  right behind `table` in memory
;
; With "root" on its command line it ends in a store that no emulator does, into the directory by which all its own addresses are
; translated.
%include "multiboot.inc"

VIEW	equ	0x40000000
CR4_PSE	equ	1 << 4
CR4_OSFXSR equ	1 << 9

; VIEW, or another page, must be page `a` or `b`: each holds its own letter.
%macro VIEW_IS 3			; address, letter, "by what"
	mov	edi, %1
	invlpg	[edi]
	cmp	byte [edi], %2
	CHECK	e, %3
%endmacro
%macro TO_A 0
	mov	dword [table], a + 3
	VIEW_IS	VIEW, 'a', "back by MOV"
%endmacro

main32:	mov	[info], ebx
	mov	edi, directory
	mov	eax, 0x83
.low:	mov	[edi], eax
	add	edi, 4
	add	eax, 4 << 20
	jnc	.low
	mov	dword [directory + (VIEW >> 22) * 4], table + 3
	mov	dword [directory + (VIEW >> 22) * 4 + 4], table2 + 3
	mov	dword [table], a + 3
	mov	dword [table + 4], a + 3
	mov	dword [table + 4092], a + 3
	mov	dword [table2], a + 3
	mov	byte [a], 'a'
	mov	byte [b], 'b'

	mov	eax, cr4
	or	eax, CR4_PSE | CR4_OSFXSR
	mov	cr4, eax
	mov	eax, directory
	mov	cr3, eax
	mov	eax, cr0
	and	eax, ~(1 << 2)		; no EM: x87 and SSE
	or	eax, 1 << 31 | 1 << 1
	mov	cr0, eax
	jmp	.on
.on:	PRINT	"tablestores: paging is on", 13, 10
	fninit
	VIEW_IS	VIEW, 'a', "the first translation"

	mov	dword [table], b + 3
	VIEW_IS	VIEW, 'b', "MOV of 4 bytes"
	TO_A
	mov	ax, [pte_b + 1]
	mov	[table + 1], ax
	VIEW_IS	VIEW, 'b', "MOV of 2 bytes, misaligned"
	TO_A
	mov	eax, [table]		; with the flags A and D that the CPU has set
	mov	ecx, b + 3
	lock	cmpxchg [table], ecx
	VIEW_IS	VIEW, 'b', "LOCK CMPXCHG"
	TO_A
	mov	ax, [pte_b + 1]
	xchg	[table + 1], ax		; locked by itself
	cmp	ax, [pte_a + 1]
	CHECK	e, "XCHG of 2 bytes, misaligned, returns the old ones"
	VIEW_IS	VIEW, 'b', "XCHG of 2 bytes, misaligned"
	TO_A
	mov	eax, b - a
	lock	xadd [table], eax
	VIEW_IS	VIEW, 'b', "LOCK XADD"
	TO_A
	mov	eax, [table]
	mov	edx, [table + 4]
	mov	ebx, b + 3
	mov	ecx, b + 3
	lock	cmpxchg8b [table]
	VIEW_IS	VIEW, 'b', "LOCK CMPXCHG8B, the lower half"
	VIEW_IS	VIEW + 4096, 'b', "... and the upper one"
	TO_A
	fild	qword [pair]
	fistp	qword [table]
	VIEW_IS	VIEW, 'b', "FISTP of 8 bytes, the lower half"
	VIEW_IS	VIEW + 4096, 'a', "... and the upper one"
	TO_A
	movups	xmm0, [pair]
	movups	[table], xmm0
	VIEW_IS	VIEW, 'b', "MOVUPS"
	TO_A
	mov	ebx, esp
	mov	esp, table + 4
	push	dword b + 3
	mov	esp, ebx
	VIEW_IS	VIEW, 'b', "PUSH"
	TO_A
	mov	edi, table
	mov	ecx, 1024
	mov	eax, b + 3
	rep	stosd
	VIEW_IS	VIEW, 'b', "REP STOSD, the first"
	VIEW_IS	VIEW + 500 * 4096, 'b', "... and another"
	TO_A

	; Over the end of a table: the upper half of its last entry, the lower half of the first one of the next.
	mov	dword [table + 4092], a + 3
	VIEW_IS	VIEW + 1023 * 4096, 'a', "the last entry of a table"
	VIEW_IS	VIEW + 1024 * 4096, 'a', "the first one of the next"
	mov	eax, [pte_a]
	shl	eax, 16
	mov	ax, [pte_b + 2]
	mov	[table + 4094], eax
	mov	ax, [pte_b]
	mov	[table + 4092], ax
	VIEW_IS	VIEW + 1023 * 4096, 'b', "a store over the end of a table"
	mov	eax, [pte_b]
	rol	eax, 16			; the upper half of the one, the lower half of the other
	xchg	[table2 - 2], eax	; locked, over two pages: 2 bytes of each
	VIEW_IS	VIEW + 1024 * 4096, 'b', "a locked store over the end of a table"

	; A table that maps itself: the store goes through the entries that it changes.
	mov	dword [table + 20], table + 3
	mov	edi, VIEW + 5 * 4096
	invlpg	[edi]
	mov	dword [edi], a + 3
	VIEW_IS	VIEW, 'a', "MOV through a table that maps itself"
	mov	edi, VIEW + 5 * 4096
	fild	qword [pair]
	fistp	qword [edi]
	VIEW_IS	VIEW, 'b', "FISTP through a table that maps itself"
	TO_A

	; The delivery of an interrupt pushes EFLAGS, CS and EIP into the table.
	lidt	[idt_pointer]
	mov	eax, .handler
	mov	[idt + 0x40 * 8], ax
	mov	word [idt + 0x40 * 8 + 2], CODE
	and	eax, 0xffff0000
	or	eax, 0x8e00
	mov	[idt + 0x40 * 8 + 4], eax
	mov	ebx, esp
	mov	esp, table + 40
	int	0x40
.back:	mov	esp, ebx
	cmp	dword [table + 28], .back
	CHECK	e, "INT pushes into a table"
	VIEW_IS	VIEW, 'a', "... which is a table still"

	; With "root": the directory itself.
	mov	esi, [info]
	mov	esi, [esi + 16]		; the command line: "tablestores.bin root"
.word:	lodsb
	test	al, al
	jz	.end
	cmp	al, ' '
	jne	.word
	fild	qword [directory]
	fistp	qword [directory]
	PRINT	"the store into the directory is done", 13, 10
.end:	FINISH	"tablestores"

.handler:
	jmp	.back

section .data
	align	16
pair:				; as two entries of a table, or four
pte_b:	dd	b + 3
pte_a:	dd	a + 3
	dd	a + 3, a + 3
info:	dd	0
idt_pointer:
	dw	0x41 * 8 - 1
	dd	idt

section .bss
	alignb	4096
directory:
	resb	4096
table:	resb	4096
table2:	resb	4096
a:	resb	4096
b:	resb	4096
idt:	resb	4096
