; SPDX-License-Identifier: MIT
;
; unknown_insn: touches a device's memory with an instruction that Lethe's decoder does not know (x87: FILD). On RAM
; the CPU runs it without a VM exit; on a device Lethe would have to emulate it. It ends the guest with
; a dump that shows the instruction's bytes.
%include "multiboot.inc"

main32:	fninit
	fild	dword [ram]		; on RAM: no exit, no decoder
	fistp	dword [ram]
	cmp	dword [ram], 1234
	CHECK	e, "FILD works on RAM"
	PRINT	"unknown_insn: FILD from the I/O APIC", 13, 10
	fild	dword [0xfec00000]
	PRINT	"FAILED: still here", 13, 10
	jmp	power_off

section .data
ram	dd	1234
