; SPDX-License-Identifier: MIT
;
; Where the other CPUs start: copied to a page below 1 MiB, entered in real mode at page:0000 by SIPI, straight into
; 64-bit mode (SDM Vol. 3A 9.8.5: PAE, CR3, LME, then PE and PG at once). CR3 must lie below 4 GiB until then, so the
; page after this one holds a copy of the root table.

section .rodata
default rel

bits 16
global trampoline_start:data hidden
trampoline_start:
	cli
	cld
	mov	ax, cs
	mov	ds, ax
	o32 lgdt [gdt_pointer - trampoline_start]
	mov	eax, cr4
	or	eax, (1 << 5) | (1 << 7)	; PAE, PGE
	or	eax, [levels - trampoline_start]; LA57, if the tables have five levels
	mov	cr4, eax
	mov	eax, [low_root - trampoline_start]
	mov	cr3, eax
	mov	ecx, 0xc0000080			; IA32_EFER
	xor	edx, edx
	mov	eax, (1 << 8) | (1 << 11)	; LME, NXE
	wrmsr
	mov	eax, cr0
	and	eax, ~((1 << 29) | (1 << 30))	; caches on
	or	eax, (1 << 31) | (1 << 16) | 1	; PG, WP, PE
	mov	cr0, eax
	jmp	dword far [far_pointer - trampoline_start]

bits 64
long_mode:
	mov	eax, 0x10
	mov	ss, eax
	xor	eax, eax
	mov	ds, eax
	mov	es, eax
	mov	fs, eax
	mov	gs, eax
	mov	rax, [root]
	mov	rsp, [stack]
	mov	rdi, [argument]
	mov	rdx, [entry]
	xor	ebp, ebp
	mov	cr3, rax
	call	rdx
	ud2

align 8
gdt:
	dq	0
	; Accessed already: once paging is on, this page cannot be written (hostmap_identity_exec).
	dq	0x00af9b000000ffff	; 0x08: code, 64-bit
	dq	0x00cf93000000ffff	; 0x10: data
gdt_pointer:
	dw	gdt_pointer - gdt - 1
gdt_base: dd	0			; hv/host/smp.c fills in these: physical addresses below 4 GiB
far_pointer:
	dd	0			; of long_mode
	dw	0x08
align 8
low_root: dq	0			; the copy of the root
root:	dq	0			; the root itself
stack:	dq	0
argument: dq	0
entry:	dq	0
levels:	dd	0			; CR4.LA57 or 0

trampoline_end:

; Offsets for hv/host/smp.c (struct trampoline_offsets).
align 4
global trampoline_at:data hidden
trampoline_at:
	dd	gdt - trampoline_start, gdt_base - trampoline_start, far_pointer - trampoline_start
	dd	long_mode - trampoline_start, low_root - trampoline_start, root - trampoline_start
	dd	stack - trampoline_start, argument - trampoline_start, entry - trampoline_start
	dd	levels - trampoline_start, trampoline_end - trampoline_start

section .note.GNU-stack noalloc noexec nowrite progbits
