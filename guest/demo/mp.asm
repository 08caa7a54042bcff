; SPDX-License-Identifier: MIT
;
; mp: finds the other CPUs as xv6 does, by the Intel MP table, and starts them. Needs 2 vCPUs or more.
;
; Shows: the search for the floating pointer structure (MP specification 1.4, chapter 4), the entries of the
; configuration table, and INIT-SIPI-SIPI. A kernel that knows no ACPI finds its CPUs so.
%include "multiboot.inc"

LAPIC_ID	equ	0x20		; registers of the local APIC
LAPIC_SVR	equ	0xf0
LAPIC_ICR	equ	0x300
LAPIC_ICR_HIGH	equ	0x310
INIT_ASSERT	equ	0x0000c500	; level, assert, INIT
INIT_DEASSERT	equ	0x00008500
STARTUP		equ	0x00000600
CODE_AT		equ	0x7000		; where the other CPUs begin: xv6's entryother
IOAPIC		equ	0xfec00000

MP_LENGTH	equ	4		; of the configuration table
MP_LAPIC	equ	36
MP_ENTRIES	equ	44

main32:	; The EBDA's first KiB, else the last KiB of base memory; then the ROM.
	movzx	esi, word [0x40e]
	shl	esi, 4
	mov	ecx, 1024
	test	esi, esi
	jnz	.first
	movzx	esi, word [0x413]
	shl	esi, 10
	sub	esi, 1024
.first:	call	search
	je	.found
	mov	esi, 0xf0000
	mov	ecx, 0x10000
	call	search
.found:	mov	ebx, [esi + 4]		; the configuration table
	CHECK	e, "the floating pointer structure is found"
	cmp	byte [failed], 0
	jne	.end
	cmp	dword [ebx], 'PCMP'
	CHECK	e, "it leads to the configuration table"
	mov	esi, ebx
	movzx	ecx, word [ebx + MP_LENGTH]
	call	sum
	CHECK	e, "whose bytes add up to 0"
	mov	eax, [ebx + MP_LAPIC]
	mov	[lapic], eax

	lea	esi, [ebx + MP_ENTRIES]
	movzx	edi, word [ebx + MP_LENGTH]
	add	edi, ebx
.entry:	cmp	esi, edi
	jae	.counted
	cmp	byte [esi], 2
	ja	.short			; an interrupt source
	je	.ioapic
	cmp	byte [esi], 0
	jne	.short			; a bus
	mov	eax, [processors]
	mov	cl, [esi + 1]
	mov	[ids + eax], cl
	inc	dword [processors]
	add	esi, 20
	jmp	.entry
.ioapic:
	movzx	eax, byte [esi + 1]
	mov	[ioapic_id], eax
.short:	add	esi, 8
	jmp	.entry

.counted:
	PRINT	"processors: "
	mov	eax, [processors]
	call	print_dec
	PRINT	13, 10
	cmp	dword [processors], 2
	CHECK	ae, "there are others to start"
	mov	dword [IOAPIC], 0	; its ID register
	mov	eax, [IOAPIC + 0x10]
	shr	eax, 24
	cmp	eax, [ioapic_id]
	CHECK	e, "the I/O APIC has the ID that the table says"

	; The others begin in real mode at CODE_AT.
	mov	esi, other
	mov	edi, CODE_AT
	mov	ecx, other_end - other
	rep	movsb
	mov	edi, [lapic]
	mov	dword [edi + LAPIC_SVR], 0x1ff
	mov	ebp, 1			; [ids] is the boot processor
.start:	cmp	ebp, [processors]
	jae	.started
	movzx	eax, byte [ids + ebp]
	call	start_other
	mov	ecx, 100000000
.wait:	cmp	[CODE_AT + other_alive - other], ebp
	je	.alive
	pause
	dec	ecx
	jnz	.wait
.alive:	cmp	[CODE_AT + other_alive - other], ebp
	CHECK	e, "another CPU runs"
	inc	ebp
	jmp	.start
.started:
.end:	FINISH	"mp"

; A floating pointer structure in ECX bytes at ESI: ZF = 1 and ESI at it.
search:	cmp	dword [esi], '_MP_'
	jne	.next
	push	ecx
	mov	ecx, 16
	call	sum
	pop	ecx
	je	.end
.next:	add	esi, 16
	sub	ecx, 16
	jnz	search
	test	esp, esp		; ZF = 0
.end:	ret

; ZF = 1 if ECX bytes at ESI add up to 0.
sum:	push	esi
	xor	edx, edx
.byte:	add	dl, [esi]
	inc	esi
	loop	.byte
	pop	esi
	test	dl, dl
	ret

; INIT, then STARTUP twice, to the CPU with the APIC ID in EAX (SDM Vol. 3A 8.4.4.1).
start_other:
	shl	eax, 24
	mov	[edi + LAPIC_ICR_HIGH], eax
	mov	dword [edi + LAPIC_ICR], INIT_ASSERT
	call	pause_a_while
	mov	dword [edi + LAPIC_ICR], INIT_DEASSERT
	call	pause_a_while
	mov	[edi + LAPIC_ICR_HIGH], eax
	mov	dword [edi + LAPIC_ICR], STARTUP | CODE_AT >> 12
	call	pause_a_while
	mov	[edi + LAPIC_ICR_HIGH], eax
	mov	dword [edi + LAPIC_ICR], STARTUP | CODE_AT >> 12
	ret

pause_a_while:
	mov	ecx, 2000
.again:	pause
	loop	.again
	ret

; What the others execute, in real mode at CODE_AT: each counts itself once, and stops.
	bits	16
other:	cli
	mov	ax, cs
	mov	ds, ax
	lock inc dword [other_alive - other]
.stop:	hlt
	jmp	.stop
	align	4
other_alive	dd 0
other_end:
	bits	32

section .data
	align	4
lapic		dd 0
processors	dd 0
ioapic_id	dd -1
ids		times 256 db 0
