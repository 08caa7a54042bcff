; SPDX-License-Identifier: MIT
;
; faults: how long each of many faults takes, without and with debt that is being paid. It needs Lethe's test device
; (guest/dev/vrom.h) and small pages:
;
;	devices = rom	bar-size = 32G	rom-size = 1M	large-pages = off	removal = bulk	memory = 64M
;
; It touches COUNT neighbouring pages, each for the first time, and counts how often that took how many ticks. First there is no
; debt; then TABLES tables were forgotten just before, and some still wait at the end. For tests/bench/boot_mmu it prints lines
; `faults: WORD TICKS`, WORD being none or debt, and _p50, _p99, _p999, _p9999 or _max.
%include "multiboot.inc"
%include "numbers.inc"
%include "rom.inc"

COUNT	equ	100000
TABLES	equ	10000
MOST	equ	65536			; longer ones are counted as if they took so long
WIDTH	equ	21			; GiB of the window that are mapped
BEYOND	equ	WINDOW + (1 << 30)	; tables are made from here on, pages are touched below
PAGE	equ	4096

main32:	jmp	enter_long

%include "long.inc"
	bits	64

; QUANTILE "name", how many faults took longer.
%macro QUANTILE 2
	mov	ecx, %2
	call	quantile
	PRINT	"faults: "
	mov	esi, [name]
	call	puts
	PRINT	%1, " "
	call	print_dec
	PRINT	13, 10
%endmacro

main64:	mov	eax, DATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax

	MAP_WINDOW WIDTH
	CONFIG	RAM_LOW, 0
	CONFIG	RAM_HIGH, WINDOW >> 32

	; All memory that tables will take is Lethe's from now on.
	call	make_tables
	call	forget
	call	drain

	mov	dword [name], none
	call	measure

	call	forget
	call	drain
	call	make_tables
	call	forget
	mov	dword [name], debt
	call	measure
	call	waiting
	test	eax, eax
	CHECK	nz, "debt waited until the end"
	FINISH	"faults"

make_tables:
	mov	rdi, BEYOND
	mov	ecx, TABLES
.next:	mov	al, [rdi]
	add	rdi, STEP
	dec	ecx
	jnz	.next
	ret

; The ROM goes: all tables are forgotten.
forget:	CONFIG	ROM_BAR, ROM | 1
	mov	eax, [abs qword ROM]
	CONFIG	ROM_BAR, ROM
	ret

; EAX = pages that wait to be given back.
waiting:
	mov	eax, HYPERCALL_STATISTIC
	mov	ebx, STATISTIC_WAITING
	vmcall
	ret

drain:	call	waiting
	test	eax, eax
	jnz	drain
	ret

; The faults, and their quantiles.
measure:
	mov	edi, histogram
	xor	eax, eax
	mov	ecx, MOST + 1
	rep	stosd
	; What every fault needs is mapped again.
	mov	al, [abs qword BEYOND]
	mov	r8, WINDOW
	mov	r9d, COUNT
.next:	rdtsc
	mov	r10d, eax
	mov	al, [r8]
	rdtsc
	sub	eax, r10d
	mov	ecx, MOST
	cmp	eax, ecx
	cmova	eax, ecx
	inc	dword [histogram + rax * 4]
	add	r8, PAGE
	dec	r9d
	jnz	.next
	QUANTILE "_p50", COUNT / 2
	QUANTILE "_p99", COUNT / 100
	QUANTILE "_p999", COUNT / 1000
	QUANTILE "_p9999", COUNT / 10000
	QUANTILE "_max", 0
	ret

; EAX = the ticks that all faults but ECX took at most.
quantile:
	mov	eax, MOST
.next:	sub	ecx, [histogram + rax * 4]
	js	.found
	dec	eax
	jns	.next
.found:	ret

section .data
name	dd	0
none	db	"none", 0
debt	db	"debt", 0

section .bss
alignb	4096
histogram resd	MOST + 1

	bits	32			; as kit.inc
