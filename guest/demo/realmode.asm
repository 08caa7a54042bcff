; SPDX-License-Identifier: MIT
;
; realmode: a flat image, entered in real mode at 0:7C00 as a BIOS enters a boot sector:
;
;	kernel = realmode.bin
;	format = flat
;	entry-mode = 16
;	load-address = 0x7c00
;
; Shows: 16-bit code under VMX (CPUs without "unrestricted guest" cannot run it directly), segments, and the way
; from there to protected mode. Needs no BIOS: it talks to the UART itself.
	bits	16
	org	0x7c00

COM1	equ	0x3f8
PM1_CNT	equ	0x604			; kit.inc explains power-off
CODE	equ	0x08
DATA	equ	0x10

	jmp	0:start			; whatever CS:IP stood for 0x7c00, now it is 0:start
start:	xor	ax, ax
	mov	ds, ax
	mov	es, ax
	mov	ss, ax
	mov	sp, 0x7c00
	mov	si, text_real
	call	puts16

	; In real mode an address is segment * 16 + offset: two ways to write the same byte.
	mov	ax, 0x1000
	mov	es, ax
	mov	byte [es:0x0010], 0x77	; 0x10010
	mov	ax, 0x1001
	mov	fs, ax
	cmp	byte [fs:0x0000], 0x77	; 0x10010 again
	jne	failed
	mov	si, text_segment
	call	puts16

	; A software interrupt through the real-mode vector table at 0.
	mov	word [0x80 * 4], handler
	mov	word [0x80 * 4 + 2], 0
	int	0x80
	cmp	dx, 0x1234
	jne	failed

	; To protected mode: a GDT, CR0.PE, and a far jump that loads CS anew.
	cli
	lgdt	[gdt_pointer]
	mov	eax, cr0
	or	al, 1
	mov	cr0, eax
	jmp	CODE:protected

handler:
	mov	si, text_int
	call	puts16
	mov	dx, 0x1234
	iret

failed:	mov	si, text_failed
	call	puts16
	jmp	$

puts16:	push	dx
.next:	lodsb
	test	al, al
	jz	.end
	mov	ah, al
	mov	dx, COM1 + 5
.wait:	in	al, dx
	test	al, 0x20
	jz	.wait
	mov	dx, COM1
	mov	al, ah
	out	dx, al
	jmp	.next
.end:	pop	dx
	ret

	bits	32
protected:
	mov	eax, DATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	mov	esp, 0x7c00
	mov	dword [0x100000], 0xfeed	; beyond what real mode reaches
	cmp	dword [0x100000], 0xfeed
	jne	.halt
	mov	esi, text_protected
.next:	lodsb
	test	al, al
	jz	.off
	mov	ah, al
	mov	edx, COM1 + 5
.wait:	in	al, dx
	test	al, 0x20
	jz	.wait
	mov	edx, COM1
	mov	al, ah
	out	dx, al
	jmp	.next
.off:	mov	edx, COM1 + 5
.drain:	in	al, dx
	test	al, 0x40
	jz	.drain
	mov	edx, PM1_CNT
	mov	eax, 5 << 10 | 1 << 13
	out	dx, ax
.halt:	hlt
	jmp	.halt

	align	8
gdt:	dq	0
	dq	0x00cf9b000000ffff
	dq	0x00cf93000000ffff
gdt_pointer:
	dw	gdt_pointer - gdt - 1
	dd	gdt

text_real	db "hello from real mode", 13, 10, 0
text_segment	db "ok: segments overlap", 13, 10, 0
text_int	db "ok: INT went through the vector table at 0", 13, 10, 0
text_failed	db "FAILED: realmode", 13, 10, 0
text_protected	db "ok: protected mode reaches 1 MiB", 13, 10, "realmode: done", 13, 10, 0
