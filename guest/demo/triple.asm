; SPDX-License-Identifier: MIT
;
; triple: a fault without a handler at the first opportunity. Without an IDT the #UD cannot be delivered, nor the
; #GP about that, nor the double fault: the CPU of a PC would reset; here the guest ends (SDM Vol. 3A 6.15, #DF).
%include "multiboot.inc"

main32:	PRINT	"triple: no handler for what comes now", 13, 10
	lidt	[nothing]
	ud2

section .data
nothing	dw	0
	dd	0
