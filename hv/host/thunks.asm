; SPDX-License-Identifier: MIT
;
; Thunks: every indirect branch of the image is a direct one to __x86_indirect_thunk_REG, which goes on to the address
; in REG, and every return is a direct branch to __x86_return_thunk. The compiler makes them so (-mindirect-branch and
; -mfunction-return=thunk-extern); assembly does by hand. At start, hv/host/thunks.c replaces the code of the thunks for branches,
; and makes returns of the branches to __x86_return_thunk where the CPU does not need it. tools/branches checks the linked
; image for others.
;
; A slot is a cache line; the thunk begins in its upper half, since on CPUs prone to indirect target selection a branch or
; return whose last byte lies in the lower half may go to another branch's target (Intel's document on ITS).

bits 64
default rel

THUNK_BYTES equ 32
SLOT_BYTES equ 64

; What stands in a thunk.
%macro PLAIN 1
	jmp	%1
%endmacro
%macro LFENCED 1
	lfence
	jmp	%1
%endmacro
; RET goes to the register's address; its prediction, which CALL has made, leads into the loop (Intel's document
; "Retpoline").
%macro RETPOLINE 1
	call	%%load
%%spin:	pause
	lfence
	jmp	%%spin
%%load:	mov	[rsp], %1
	ret
%endmacro

; CODE form, register: what stands in the register's thunk. The INT3 behind a branch stops speculation past it, too.
%macro CODE 2
%%from:	%1	%2
	times THUNK_BYTES - ($ - %%from) int3
%endmacro

; SLOT form, register
%macro SLOT 2
	times SLOT_BYTES - THUNK_BYTES int3
global __x86_indirect_thunk_%2:function hidden
__x86_indirect_thunk_%2:
	CODE	%1, %2
%endmacro

; EACH macro, form: the macro for each register that a branch can go by, in the same order everywhere.
%macro EACH 2
	%1 %2, rax
	%1 %2, rcx
	%1 %2, rdx
	%1 %2, rbx
	%1 %2, rbp
	%1 %2, rsi
	%1 %2, rdi
	%1 %2, r8
	%1 %2, r9
	%1 %2, r10
	%1 %2, r11
	%1 %2, r12
	%1 %2, r13
	%1 %2, r14
	%1 %2, r15
%endmacro

section .text align=64
global thunks:data hidden
thunks:
	EACH	SLOT, PLAIN
	times SLOT_BYTES - THUNK_BYTES int3
global __x86_return_thunk:function hidden
__x86_return_thunk:
	ret
	times THUNK_BYTES - 1 int3

section .rodata
global thunks_plain:data hidden
thunks_plain:
	EACH	CODE, PLAIN
global thunks_lfence:data hidden
thunks_lfence:
	EACH	CODE, LFENCED
global thunks_retpoline:data hidden
thunks_retpoline:
	EACH	CODE, RETPOLINE

section .note.GNU-stack noalloc noexec nowrite progbits
