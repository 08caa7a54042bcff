; SPDX-License-Identifier: MIT
;
; exec_mmio: jumps to where no memory is. Data accesses to such an address go to a device model, one instruction
; at a time; an instruction fetch cannot. Lethe ends this guest with a dump that says so; the other VMs go on.
%include "multiboot.inc"

main32:	PRINT	"exec_mmio: jumping to the I/O APIC", 13, 10
	mov	eax, 0xfec00000
	jmp	eax
