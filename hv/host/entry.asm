; SPDX-License-Identifier: MIT
;
; What cannot be C: exception and interrupt stubs, changing stacks, MSR accesses that may fault.
; (VM entry and exit: vmx_entry.asm. The start of other CPUs: trampoline.asm.)

bits 64
default rel
section .text

extern trap_entry
extern __x86_indirect_thunk_rax	; hv/host/thunks.asm
extern __x86_return_thunk

; A stub per vector: brings every vector to the same frame (struct trap_frame in hv/host/trap.h):
;	r15 ... rax, vector, error code, rip, cs, rflags, rsp, ss
; All are of one length, so that the n-th is found by its number.
STUB_BYTES equ 9
%assign n 0
stubs:
%rep 256
%if n = 8 || (n >= 10 && n <= 14) || n = 17 || n = 21 || n = 29 || n = 30
	nop				; the CPU has pushed an error code
	nop
%else
	push	strict byte 0		; no error code: keep the frame's shape
%endif
	push	strict byte n - 128	; fits a byte; trap_common adds 128
	jmp	strict near trap_common
%assign n n+1
%if $ - stubs != n * STUB_BYTES
%error "a stub is not of STUB_BYTES"
%endif
%endrep

trap_common:
	add	qword [rsp], 128
	push	rax
	push	rcx
	push	rdx
	push	rbx
	push	rbp
	push	rsi
	push	rdi
	push	r8
	push	r9
	push	r10
	push	r11
	push	r12
	push	r13
	push	r14
	push	r15
	cld
	mov	rdi, rsp
	mov	rbp, rsp		; the frame chain goes on below, by the saved rbp
	and	rsp, -16
	call	trap_entry
	mov	rsp, rbp
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	r11
	pop	r10
	pop	r9
	pop	r8
	pop	rdi
	pop	rsi
	pop	rbp
	pop	rbx
	pop	rdx
	pop	rcx
	pop	rax
	add	rsp, 16
	iretq

; uint64_t trap_stub_address(unsigned n)
global trap_stub_address:function hidden
trap_stub_address:
	imul	eax, edi, STUB_BYTES
	lea	rdx, [stubs]
	add	rax, rdx
	jmp	strict near __x86_return_thunk

; void call_on_stack(void (*fn)(void *), void *arg, uint64_t stack_top): never returns
global call_on_stack:function hidden
call_on_stack:
	mov	rsp, rdx
	xor	ebp, ebp		; the backtrace ends here
	mov	rax, rdi
	mov	rdi, rsi
	call	__x86_indirect_thunk_rax
	ud2

; void load_segments(void): after LGDT. CS by a far return; GS is left alone, its base is the CPU's.
global load_segments:function hidden
load_segments:
	pop	rax
	push	qword 0x08		; SEL_CODE
	push	rax
	mov	eax, 0x10		; SEL_DATA
	mov	ss, eax
	xor	eax, eax
	mov	ds, eax
	mov	es, eax
	mov	fs, eax
	retfq

; bool rdmsr_safe(uint32_t msr, uint64_t *out)
global rdmsr_safe:function hidden
rdmsr_safe:
	mov	ecx, edi
msr_read_at:
	rdmsr
	shl	rdx, 32
	or	rax, rdx
	mov	[rsi], rax
	mov	eax, 1
	jmp	strict near __x86_return_thunk
; bool wrmsr_safe(uint32_t msr, uint64_t v)
global wrmsr_safe:function hidden
wrmsr_safe:
	mov	ecx, edi
	mov	eax, esi
	mov	rdx, rsi
	shr	rdx, 32
msr_write_at:
	wrmsr
	mov	eax, 1
	jmp	strict near __x86_return_thunk
msr_failed:
	xor	eax, eax
	jmp	strict near __x86_return_thunk

; uint64_t trap_fixup(uint64_t rip): where to go on if the instruction there faults, 0 if that is not foreseen.
global trap_fixup:function hidden
trap_fixup:
	xor	eax, eax
	lea	rdx, [msr_read_at]
	cmp	rdi, rdx
	je	.yes
	lea	rdx, [msr_write_at]
	cmp	rdi, rdx
	jne	.no
.yes:
	lea	rax, [msr_failed]
.no:
	jmp	strict near __x86_return_thunk

section .note.GNU-stack noalloc noexec nowrite progbits
