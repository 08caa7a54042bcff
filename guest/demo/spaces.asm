; SPDX-License-Identifier: MIT
;
; spaces: what a guest pays for its own paging, measured by the guest: loads of CR3, edits of page tables, INVLPG, page
; faults. Give it memory = 64M. Each figure is one line, `bench NAME VALUE ticks` (bench.asm says what is subtracted);
; tests/bench/boot_shadow starts this guest under each kind of second stage and puts its name in front:
;
;	mov_cr3_ticks_E		a load of CR3, by turns of two address spaces, with E stores into a page table of the other one
;				between two loads: the stores and the load
;	mov_cr3_used_ticks_E	the same with what the other one's next use takes, which touches each page whose entry was
;				stored into
;	invlpg_touch_ticks	INVLPG of a page, and a read of it
;	invlpg_touch_edited_ticks	a store into the page's entry, which makes it another page, INVLPG, and a read of it
;	fault_ticks		the first store to a page that the guest's tables map, with A and D set; mean of TABLES page tables
;				full of them, in the order of their addresses, so what it takes to come to new tables is in it.
;				The pages have been used before, at other addresses: a second stage has them
;	fault_table_ticks	of these, the first page of each table
;	fault_clear_ticks	the same with A and D clear: the store sets them
;	fault_sparse_ticks	the same, A and D set, with one page in SPARSE touched
;	mov_cr3_vmaccesses	under a hypervisor built with MEASURE=1: VMCS accesses of one load of CR3; in `accesses`
;
; The page tables that are edited have 512 entries, all valid, with A and D set, and each of their pages has been used
; since its entry was stored into, but for the E that come next: after each load the guest touches the pages whose
; entries it has changed. So the tables are in full use whenever CR3 is loaded. E = 16 edits stand for a small fork or munmap.
;
; Each address space has the first 4 GiB one to one, in pages of 2 MiB, by one directory that they share (as kernels do),
; and its own tables for the pages at WINDOW:
;
;	pml4		[0] -> pdpt -> pd (long.inc)	[1] -> pdpt_a -> pd_a -> tables_a: pages of 4 KiB
;	pml4_b		[0] -> pdpt			[1] -> pdpt_b -> pd_b -> table_b
%include "multiboot.inc"
%include "numbers.inc"

PAGE	equ	4096
TABLES	equ	4			; page tables for each kind of first touch
SPARSE	equ	8
WINDOW	equ	1 << 39
TOUCHED	equ	WINDOW + (2 << 20)	; three times TABLES page tables follow
FRAMES_A equ	16 << 20
FRAMES_B equ	20 << 20
OTHER	equ	2 << 20			; flips a page between one of two frames
FRAMES_TOUCHED equ 32 << 20
CR0_WP	equ	1 << 16
PTE_A	equ	1 << 5
PTE_D	equ	1 << 6
USED	equ	PTE_PW | PTE_A | PTE_D
STRIDE	equ	37			; odd, so that all entries have their turn

main32:	jmp	enter_long

%include "long.inc"
	bits	64
%include "measure.inc"

; FILL table, tables, first frame and flags: as many page tables, one behind the other, full of pages in a row.
%macro FILL 3
	mov	edi, %1
	mov	eax, %3
	mov	ecx, %2 * 512
	call	fill
%endmacro

; R8D = the next entry to be edited, R9 = the page table that is not in use, R10 = its CR3; R11 and RCX: of the one in use.
; The edits are plain stores.
%macro EDIT 1
%rep %1
	mov	rax, [r9 + r8 * 8]
	xor	eax, OTHER
	mov	[r9 + r8 * 8], rax
	add	r8d, STRIDE
	and	r8d, 511
%endrep
%endmacro

; Touches what the last EDIT has made another page, or some page.
%macro TOUCH 1
	mov	edx, r8d
%if %1 == 0
	mov	eax, [rbx]
%endif
%rep %1
	sub	edx, STRIDE
	and	edx, 511
	mov	edi, edx
	shl	edi, 12
	mov	eax, [rbx + rdi]
%endrep
%endmacro

%macro SWAP 0
	xchg	r9, r11
	xchg	r10, rcx
%endmacro

%macro SWITCH 1
	EDIT	%1
	mov	cr3, r10
%endmacro

%macro SWITCH_AND_USE 1
	SWITCH	%1
	TOUCH	%1
%endmacro

%macro AFTER 1
	SWAP
	TOUCH	%1
%endmacro

; MOV_CR3 edits, "edits"
%macro MOV_CR3 2
	call	begin
	MEASURE	{"mov_cr3_ticks_", %2}, no_input, {SWITCH %1}, {AFTER %1}
	call	begin
	MEASURE	{"mov_cr3_used_ticks_", %2}, no_input, {SWITCH_AND_USE %1}, SWAP
%endmacro

%macro next_page 0
	mov	rdi, r8
	shl	rdi, 12
	add	rdi, rbx
	add	r8d, STRIDE
	and	r8d, 511
%endmacro
%macro invalidate_and_touch 0
	invlpg	[rdi]
	mov	eax, [rdi]
%endmacro
; The entry is that of next_page: EDIT counts on, and the order of pages and entries stays the same.
%macro edit_and_touch 0
	sub	r8d, STRIDE
	and	r8d, 511
	EDIT	1
	invlpg	[rdi]
	mov	eax, [rdi]
%endmacro

; FIRST_TOUCH address, step: R13 = the sum of ticks, R14 = the least, R15 = how many, R11 = sum of the first one in each table.
%macro FIRST_TOUCH 2
	mov	rbx, %1
	mov	rdi, %1 + (TABLES << 21)
	mov	esi, %2
	call	first_touch
%endmacro

main64:	mov	eax, DATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	mov	rax, cr0
	or	eax, CR0_WP		; as in every kernel
	mov	cr0, rax

	FILL	table_a, 1, FRAMES_A | USED
	FILL	table_b, 1, FRAMES_B | USED
	FILL	table_used, TABLES, FRAMES_TOUCHED | USED
	FILL	table_clear, TABLES, FRAMES_TOUCHED + (TABLES << 21) | PTE_PW
	FILL	table_sparse, TABLES, FRAMES_TOUCHED + (TABLES << 22) | USED
	mov	edi, pd_a
	mov	eax, table_a + USED
	mov	ecx, 1 + 3 * TABLES
	call	fill_some
	mov	dword [pd_b], table_b + USED
	mov	dword [pdpt_a], pd_a + USED
	mov	dword [pdpt_b], pd_b + USED
	mov	dword [pml4 + 8], pdpt_a + USED
	mov	dword [pml4_b], pdpt + USED
	mov	dword [pml4_b + 8], pdpt_b + USED

	mov	edi, FRAMES_TOUCHED
.frame:	mov	byte [rdi], 1
	add	edi, PAGE
	cmp	edi, FRAMES_TOUCHED + 3 * (TABLES << 21)
	jb	.frame
	TIMED	no_input, {mov byte [stack_top - 16384], 1}
	mov	rbp, r14
	FIRST_TOUCH TOUCHED, PAGE
	PRINT	"bench fault_ticks "
	call	report
	mov	r13, r11
	mov	r15d, TABLES
	PRINT	"bench fault_table_ticks "
	call	report
	FIRST_TOUCH TOUCHED + (TABLES << 21), PAGE
	PRINT	"bench fault_clear_ticks "
	call	report
	FIRST_TOUCH TOUCHED + (TABLES << 22), PAGE * SPARSE
	PRINT	"bench fault_sparse_ticks "
	call	report

	MOV_CR3	0, "0"
	MOV_CR3	1, "1"
	MOV_CR3	16, "16"

	call	begin
	MEASURE	"invlpg_touch_ticks", next_page, {invalidate_and_touch}
	call	begin
	xchg	r9, r11			; the table in use is edited
	MEASURE	"invlpg_touch_edited_ticks", next_page, {edit_and_touch}

	call	accesses
	PRINT	"spaces: done", 13, 10
	jmp	power_off

; ECX entries from EDI on: EAX and the pages that follow.
fill_some:
.next:	mov	[rdi], rax
	add	rdi, 8
	add	eax, PAGE
	dec	ecx
	jnz	.next
	ret
fill:	jmp	fill_some

; All pages of both windows are used, the first address space is in use, and the registers are as EDIT wants them.
begin:	mov	rbx, WINDOW
	mov	r9d, table_b
	mov	r10d, pml4_b
	mov	r11d, table_a
	mov	ecx, pml4
	xor	r8d, r8d
	mov	cr3, r10
	call	.use
	mov	cr3, rcx
.use:	xor	edi, edi
.next:	mov	eax, [rbx + rdi]
	add	edi, PAGE
	cmp	edi, 512 * PAGE
	jb	.next
	ret

; RBX = address, RDI = end, RSI = step (FIRST_TOUCH).
first_touch:
	xor	r13d, r13d
	mov	r14, -1
	xor	r15d, r15d
	xor	r11d, r11d
.next:	lfence
	rdtsc
	mov	r12d, eax
	mov	byte [rbx], 1
	lfence
	rdtsc
	sub	eax, r12d
	add	r13, rax
	cmp	rax, r14
	cmovb	r14, rax
	test	ebx, (2 << 20) - 1
	jnz	.within
	add	r11, rax
.within:
	add	r15, 1
	add	rbx, rsi
	cmp	rbx, rdi
	jb	.next
	ret

accesses:
	xor	ecx, ecx
	call	counter
	test	rax, rax
	js	.none			; not built to count
	mov	edi, pml4
	COUNTED	COUNTER_VMACCESSES, no_input
	mov	r14d, esi
	COUNTED	COUNTER_VMACCESSES, {mov cr3, rdi}
	sub	esi, r14d
	mov	r14d, esi
	PRINT	"bench mov_cr3_vmaccesses "
	mov	eax, r14d
	call	print_dec
	PRINT	" accesses", 13, 10
.none:	ret

section .bss
alignb	PAGE
pml4_b:	resq	512
pdpt_a:	resq	512
pdpt_b:	resq	512
pd_a:	resq	512
pd_b:	resq	512
table_b: resq	512
; One behind the other, as pd_a links them.
table_a: resq	512
table_used: resq TABLES * 512
table_clear: resq TABLES * 512
table_sparse: resq TABLES * 512

	bits	32			; as kit.inc
