; SPDX-License-Identifier: MIT
;
; The interrupt vectors of a guest in real mode: what stands where a BIOS would be. guest/dev/vectors.c copies it to
; 0xf8000 and points the vector table at 0 to it; hv/ carries the traps out.
;
;	00h-07h		exceptions: trap; Lethe ends the VM
;	08h-0fh		IRQ 0-7: EOI. Where nothing is in service, 08h, 0ch and 0dh are #DF, #SS and #GP: trap
;	10h-1ah		BIOS services: trap; Lethe answers in AX, CF and ZF, which go to the caller
;	70h-77h		IRQ 8-15: EOI to both 8259s
;	the others	IRET
;
; A trap is a VMCALL, which exits in every mode, at one of TRAPS fixed addresses: its address alone says that it is one
; and which. No register or port is taken from guests for it, and a guest that jumps here gets what INT would give it.
	bits	16
	org	0x8000			; in segment F000h

TRAPS	equ	0x1b			; vectors 00h-1ah
PIC0	equ	0x20
PIC1	equ	0xa0
READ_ISR equ	0x0b			; OCW3: the next read of the port gives the in-service register
EOI	equ	0x20			; OCW2: non-specific

; The offset of each vector's handler; the segment is F000h.
%assign v 0
%rep 256
%if (v = 0x08) || (v = 0x0c) || (v = 0x0d)
	dw	irq_or_exception_ %+ v
%elif (v >= 0x08) && (v <= 0x0f)
	dw	irq_master
%elif v < TRAPS
	dw	traps + 8 * v
%elif (v >= 0x70) && (v <= 0x77)
	dw	irq_slave
%else
	dw	return
%endif
%assign v v + 1
%endrep

; One every 8 bytes.
traps:
%rep TRAPS
	align	8
	vmcall
	jmp	answered
%endrep

; Where FFFF:0 jumps to: the reset line of port 92h.
	align	8
reset:	mov	al, 1
	out	0x92, al
.stop:	hlt
	jmp	.stop

; Lethe has set CF and ZF to what the caller is to see: they go into the FLAGS that IRET will pop.
answered:
	push	bp
	mov	bp, sp			; [bp] BP, [bp + 2] IP, [bp + 4] CS, [bp + 6] FLAGS
	push	ax
	lahf				; AH: SF ZF - AF - PF - CF
	and	ah, 0x41
	and	byte [bp + 6], ~0x41 & 0xff
	or	[bp + 6], ah
	pop	ax
	pop	bp
return:	iret

%macro IRQ_OR_EXCEPTION 1
irq_or_exception_%1:
	push	ax
	mov	al, READ_ISR
	out	PIC0, al
	in	al, PIC0
	test	al, 1 << (%1 - 8)
	jnz	end_irq
	pop	ax
	jmp	traps + 8 * %1
%endmacro
	IRQ_OR_EXCEPTION 8
	IRQ_OR_EXCEPTION 12
	IRQ_OR_EXCEPTION 13

; A line that went away before it was acknowledged leaves nothing in service, and needs no EOI.
irq_slave:
	push	ax
	mov	al, READ_ISR
	out	PIC1, al
	in	al, PIC1
	test	al, al
	jz	irq_end_master
	mov	al, EOI
	out	PIC1, al
	jmp	irq_end_master
irq_master:
	push	ax
irq_end_master:
	mov	al, READ_ISR
	out	PIC0, al
	in	al, PIC0
	test	al, al
	jz	end_none
end_irq:
	mov	al, EOI
	out	PIC0, al
end_none:
	pop	ax
	iret
