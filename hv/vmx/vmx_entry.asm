; SPDX-License-Identifier: MIT
;
; VM entry and exit. The general registers other than RSP are the software's to switch (SDM Vol. 3C 26.3.2.3); all else
; that differs between guest and root is in the VMCS, or is switched lazily with the vCPU (hv/vm/guest_cpu.c).

bits 64
default rel
section .text

extern __x86_return_thunk	; hv/host/thunks.asm

; Offsets in struct cpu_regs (lib/regs.h).
%define RAX_ 0
%define RCX_ 8
%define RDX_ 16
%define RBX_ 24
%define RBP_ 40
%define RSI_ 48
%define RDI_ 56
%define R8_  64
%define R9_  72
%define R10_ 80
%define R11_ 88
%define R12_ 96
%define R13_ 104
%define R14_ 112
%define R15_ 120
%define VMCS_HOST_RSP 0x6c14

; vmx_enter: rdi: struct cpu_regs *, rsi: uint64_t *host_rsp, dl: launched. Called by the inline function in hv/run.c.
; Enters the guest of the current VMCS and returns with CF clear after the next VM exit, the guest's registers in *rdi.
; If the entry fails before any state was loaded (VMfailInvalid, VMfailValid) it returns with CF set.
; Keeps RSP, RBP and RBX only. *host_rsp caches the VMCS's HOST_RSP field, which rarely changes.
global vmx_enter:function hidden
vmx_enter:
	push	rbp
	push	rbx
	push	rdi
	cmp	[rsi], rsp
	je	.rsp_known
	mov	eax, VMCS_HOST_RSP
	vmwrite	rax, rsp
	mov	[rsi], rsp
.rsp_known:
	test	dl, dl			; ZF survives the MOVs: decides between VMLAUNCH and VMRESUME
	mov	rax, [rdi + RAX_]
	mov	rcx, [rdi + RCX_]
	mov	rdx, [rdi + RDX_]
	mov	rbx, [rdi + RBX_]
	mov	rbp, [rdi + RBP_]
	mov	rsi, [rdi + RSI_]
	mov	r8, [rdi + R8_]
	mov	r9, [rdi + R9_]
	mov	r10, [rdi + R10_]
	mov	r11, [rdi + R11_]
	mov	r12, [rdi + R12_]
	mov	r13, [rdi + R13_]
	mov	r14, [rdi + R14_]
	mov	r15, [rdi + R15_]
	mov	rdi, [rdi + RDI_]
	jz	.launch
	vmresume
	jmp	.failed
.launch:
	vmlaunch
.failed:
	pop	rdi
	pop	rbx
	pop	rbp
	stc
	jmp	strict near __x86_return_thunk

%macro SAVE_GUEST 0		; RSP is HOST_RSP: [rsp] is `regs`
	push	rdi
	mov	rdi, [rsp + 8]
	mov	[rdi + RAX_], rax
	mov	[rdi + RCX_], rcx
	mov	[rdi + RDX_], rdx
	mov	[rdi + RBX_], rbx
	mov	[rdi + RBP_], rbp
	mov	[rdi + RSI_], rsi
	mov	[rdi + R8_], r8
	mov	[rdi + R9_], r9
	mov	[rdi + R10_], r10
	mov	[rdi + R11_], r11
	mov	[rdi + R12_], r12
	mov	[rdi + R13_], r13
	mov	[rdi + R14_], r14
	mov	[rdi + R15_], r15
	pop	qword [rdi + RDI_]
%endmacro

%macro RETURN_ENTERED 0
	pop	rdi
	pop	rbx
	pop	rbp
	clc
	jmp	strict near __x86_return_thunk
%endmacro

; The VMCS's HOST_RIP where the CPU needs no guard.
align 16
global vmx_exit:function hidden
vmx_exit:
	SAVE_GUEST
	RETURN_ENTERED

; The VMCS's HOST_RIP where gs:EXIT_GUARDS is not 0 (hv/host/mitigate.c): what the guest left in the branch predictors is made
; harmless before the first RET and the first indirect branch. A conditional jump here may be predicted wrongly and its guard
; be passed over, but only until the LFENCE, which waits until all jumps before it are decided.
%define EXIT_GUARDS 12		; in struct cpu
%define GUARD_FILL 1
%define GUARD_HISTORY 4
%define RETURNS 32		; entries of the largest return stack buffer
%define BRANCHES 128		; more taken branches than the history holds on CPUs without BHI_CTRL

%macro CALL_NEXT 0		; a return prediction that leads to INT3, where speculation ends
	call	%%next
	int3
%%next:
%endmacro

align 16
global vmx_exit_guarded:function hidden
vmx_exit_guarded:
	SAVE_GUEST
	test	byte [gs:abs EXIT_GUARDS], GUARD_FILL
	jz	.filled
%rep RETURNS
	CALL_NEXT
%endrep
	add	rsp, 8 * RETURNS
.filled:
	test	byte [gs:abs EXIT_GUARDS], GUARD_HISTORY
	jz	.history_done
	mov	ecx, BRANCHES / 2
.again:
	jmp	.taken
	int3
.taken:
	dec	ecx
	jnz	.again
.history_done:
	CALL_NEXT		; retires before the LFENCE ends (PBRSB)
	add	rsp, 8
	lfence
	RETURN_ENTERED

section .note.GNU-stack noalloc noexec nowrite progbits
