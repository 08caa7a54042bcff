; SPDX-License-Identifier: MIT
;
; bench: what a VM exit costs, measured by the guest. Each figure is one line,
;
;	bench NAME VALUE ticks
;
; where VALUE is the mean number of TSC ticks of N such instructions, less what the same loop takes without the
; instruction. In Bochs with one CPU a tick is one instruction, so the figure is the length of the hypervisor's
; path. It runs in 64-bit mode, as a kernel would: an access to a device's memory then makes Lethe walk page tables.
;
; Second-stage faults need RAM that can only be mapped by 4 KiB pages: the part of RAM behind its last multiple of
; 2 MiB. Give this guest such a tail: memory = 65M has 256 pages of it.
;
; Under a hypervisor built with MEASURE=1 (hv/vmx/measure.h) it also tells, in units of `accesses`, how often one CPUID exit
; reads or writes the VMCS and MSRs. Ticks mean little there: counting takes time.
%include "multiboot.inc"
%include "numbers.inc"

MSR	equ	0x1a0			; IA32_MISC_ENABLE
PIC	equ	0x21			; the 8259's mask: a device in the hypervisor, the shortest path to one
PMTIMER	equ	0x608
IOAPIC	equ	0xfec00000		; register select; the window to the register lies 0x10 above
LAPIC	equ	0xfee00000
SVR	equ	0xf0			; the local APIC's registers
EOI	equ	0xb0
ICR	equ	0x300
MSR_APIC_BASE equ 0x1b
APIC_BASE_X2APIC equ 1 << 10
MSR_EOI	equ	0x80b
MSR_ICR	equ	0x830
MSR_LVT_TIMER equ 0x832
MSR_TSC_DEADLINE equ 0x6e0
SVR_ENABLED equ	1 << 8
ICR_SELF equ	1 << 18 | 1 << 14	; to itself; asserted
LVT_DEADLINE equ 2 << 17
IPI_VECTOR equ	0xb0
TIMER_VECTOR equ 0xb1
PAGE	equ	4096

main32:	mov	[info], ebx
	jmp	enter_long

%include "long.inc"
	bits	64
%include "measure.inc"

; What the instructions want in registers.
%macro zero_eax 0
	xor	eax, eax
	xor	ecx, ecx
%endmacro
%macro msr_in_ecx 0
	mov	ecx, MSR
%endmacro
%macro timer_in_edx 0
	mov	edx, PMTIMER
%endmacro
%macro ioapic_in_rbx 0
	mov	ebx, IOAPIC
%endmacro
%macro lapic_in_rbx 0
	mov	ebx, LAPIC
%endmacro

main64:	mov	eax, DATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax

	MEASURE	"exit_cpuid_ticks", zero_eax, cpuid
	MEASURE	"exit_vmcall_ticks", zero_eax, vmcall
	MEASURE	"exit_rdmsr_ticks", msr_in_ecx, rdmsr
	MEASURE	"exit_pio_ticks", no_input, {in al, PIC}
	MEASURE	"exit_pio_pmtimer_ticks", timer_in_edx, {in eax, dx}
	mov	ebx, IOAPIC
	mov	dword [rbx], 0x10	; the window now shows a redirection entry
	MEASURE	"exit_mmio_ticks", ioapic_in_rbx, {mov eax, [rbx + 0x10]}
	MEASURE	"exit_mmio_write_ticks", ioapic_in_rbx, {mov [rbx], eax}
	MEASURE	"mmio_lapic_read_ticks", lapic_in_rbx, {mov eax, [rbx + 0x20]} ; with APICv no exit at all
	call	accesses
	call	faults
	call	interrupts		; last: in x2APIC mode the local APIC's page is gone
	PRINT	"bench: done", 13, 10
	jmp	power_off

; ACCESSES "name", counter: of a CPUID; what the hypercalls themselves count is taken off.
%macro ACCESSES 2
	COUNTED	%2, no_input
	mov	r14d, esi
	COUNTED	%2, zero_eax_cpuid
	sub	esi, r14d
	mov	r14d, esi
	PRINT	"bench ", %1, " "
	mov	eax, r14d
	call	print_dec
	PRINT	" accesses", 13, 10
%endmacro

%macro zero_eax_cpuid 0
	zero_eax
	cpuid
%endmacro

accesses:
	xor	ecx, ecx
	call	counter
	test	rax, rax
	js	.none			; not built to count
	ACCESSES "exit_cpuid_vmaccesses", COUNTER_VMACCESSES
	ACCESSES "exit_cpuid_msraccesses", COUNTER_MSRACCESSES
.none:	ret

; Touches each page of the tail once; the first only brings the tables down to 4 KiB into being.
faults:	mov	eax, [info]
	mov	ebx, [rax + 8]		; mem_upper: KiB above 1 MiB
	add	ebx, 1024
	shl	rbx, 10
	mov	r8, rbx			; end of RAM
	and	rbx, -(2 << 20)
	TIMED	no_input, no_input	; what the loop below takes on a page that is there
	mov	rbp, r14
	xor	r13d, r13d
	mov	r14, -1
	xor	r15d, r15d
	cmp	rbx, r8
	je	.none
	mov	byte [rbx], 1
.next:	add	rbx, PAGE
	cmp	rbx, r8
	jae	.done
	lfence
	rdtsc
	mov	r12d, eax
	mov	byte [rbx], 1
	lfence
	rdtsc
	sub	eax, r12d
	add	r13, rax
	cmp	rax, r14
	cmovb	r14, rax
	add	r15, 1
	jmp	.next
.done:	test	r15, r15
	jz	.none
	PRINT	"bench ept_fault_4k_ticks "
	jmp	report
.none:	PRINT	"bench: no RAM behind the last 2 MiB: give memory = 65M", 13, 10
	ret

%macro ipi_in_eax 0
	mov	ebx, LAPIC
	mov	eax, ICR_SELF | IPI_VECTOR
%endmacro
%macro ipi_in_edx_eax 0
	mov	ecx, MSR_ICR
	mov	eax, ICR_SELF | IPI_VECTOR
	xor	edx, edx
%endmacro
%macro now_in_edx_eax 0
	mov	ecx, MSR_TSC_DEADLINE
	rdtsc
%endmacro

; With the interrupt held back by the TPR: what sends it, and letting it go.
%macro SELF_IPI_TPR 1-2
	mov	r10d, 15
	mov	cr8, r10
	%1	%2
	xor	r10d, r10d
	mov	cr8, r10
%endmacro

%macro self_ipi_xapic 0
	SELF_IPI_TPR mov, {[rbx + ICR], eax}
%endmacro
%macro self_ipi_x2apic 0
	SELF_IPI_TPR wrmsr
%endmacro

; What it takes from an interrupt's cause to its handler's end, of which the handler itself is six instructions. The TPR
; holds the vCPU's IPI to itself back and lets it go, as in kvm-unit-tests' self_ipi_tpr, with the ICR in memory and as
; an MSR; the deadline is the time at which it is written.
interrupts:
	mov	al, 0xff		; nothing else is to come
	out	PIC, al
	mov	edi, IPI_VECTOR
	lea	rax, [on_interrupt]
	call	set_gate
	mov	edi, TIMER_VECTOR
	lea	rax, [on_interrupt]
	call	set_gate
	lidt	[idt_pointer]
	mov	ebx, LAPIC
	mov	dword [rbx + SVR], SVR_ENABLED | 0xff
	sti
	MEASURE	"self_ipi_xapic_ticks", ipi_in_eax, self_ipi_xapic
	mov	eax, 1
	cpuid
	mov	edi, ecx
	bt	edi, 21
	jnc	.no_x2apic
	mov	ecx, MSR_APIC_BASE
	rdmsr
	or	eax, APIC_BASE_X2APIC
	wrmsr
	mov	byte [eoi_x2apic], 1
	MEASURE	"self_ipi_ticks", ipi_in_edx_eax, self_ipi_x2apic
	bt	edi, 24
	jnc	.no_deadline
	mov	ecx, MSR_LVT_TIMER
	mov	eax, LVT_DEADLINE | TIMER_VECTOR
	xor	edx, edx
	wrmsr
	MEASURE	"tscdeadline_immed_ticks", now_in_edx_eax, wrmsr
.no_deadline:
	cli
	cmp	dword [interrupts_seen], 3 * (WARM + N)
	je	.done
	PRINT	"bench: interrupts were lost: "
	mov	eax, [interrupts_seen]
	call	print_dec
	PRINT	" came", 13, 10
.done:	ret
.no_x2apic:
	cli
	PRINT	"bench: no x2APIC", 13, 10
	ret

on_interrupt:
	inc	dword [interrupts_seen]
	push	rax
	cmp	byte [eoi_x2apic], 0
	jne	.x2apic
	mov	eax, LAPIC
	mov	dword [rax + EOI], 0
	pop	rax
	iretq
.x2apic:
	push	rcx
	push	rdx
	mov	ecx, MSR_EOI
	xor	eax, eax
	xor	edx, edx
	wrmsr
	pop	rdx
	pop	rcx
	pop	rax
	iretq

; RAX = handler of vector EDI.
set_gate:
	shl	edi, 4
	add	edi, idt
	mov	[rdi], ax
	mov	word [rdi + 2], CODE64
	mov	word [rdi + 4], 0x8e00	; present, interrupt gate
	shr	rax, 16
	mov	[rdi + 6], eax		; the handler lies below 4 GiB
	ret

section .data
info	dd	0
interrupts_seen	dd 0
eoi_x2apic	db 0
idt_pointer	dw 256 * 16 - 1
		dq idt

section .bss
alignb	16
idt:	resb	256 * 16
