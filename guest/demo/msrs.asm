; SPDX-License-Identifier: MIT
;
; msrs: model-specific registers. Each number of the two ranges that CPUs use is read; those of the architecture must be
; there, those of what guests do not have must not, and what a CPU refuses to take must raise #GP.
%include "multiboot.inc"
%include "idt.inc"

; EXISTS number / ABSENT number: RDMSR of it.
%macro EXISTS 1-*
%rep %0
	mov	ebp, %1
	call	exists
	%rotate 1
%endrep
%endmacro
%macro ABSENT 1-*
%rep %0
	mov	ebp, %1
	call	absent
	%rotate 1
%endrep
%endmacro
; TAKES and REFUSES number, bits 63:32, bits 31:0, "what". What is taken is put back.
%macro TAKES 4
	mov	ebp, %1
	mov	edx, %2
	mov	eax, %3
	call	takes
	CHECK	e, %4
%endmacro
%macro REFUSES 4
	mov	ecx, %1
	mov	edx, %2
	mov	eax, %3
	EXPECT	13, wrmsr
	CHECK	e, %4
%endmacro

main32:	call	idt_init
	call	pic_init

	xor	ebp, ebp
	mov	edi, 0x2000
	call	range
	PRINT	" of MSRs 0 to 1FFFh can be read", 13, 10
	mov	ebp, 0xc0000000
	mov	edi, 0xc0002000
	call	range
	PRINT	" of MSRs C0000000h to C0001FFFh can be read", 13, 10

	EXISTS	0x10, 0x17, 0x1b, 0x3a, 0x3b, 0x8b, 0xfe, 0x174, 0x175, 0x176, 0x179, 0x17a, 0x1a0, 0x1d9
	EXISTS	0x200, 0x20f, 0x250, 0x258, 0x259, 0x268, 0x26f, 0x277, 0x2ff, 0x6e0
	EXISTS	0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102
	cmp	dword [wrong], 0
	CHECK	z, "the architecture's are there"
	; Performance counters, machine-check banks, VMX, x2APIC outside of its mode, and numbers of nothing.
	ABSENT	0xc1, 0x186, 0x210, 0x24f, 0x270, 0x280, 0x345, 0x38f, 0x400, 0x480, 0x491, 0x802, 0x83f, 0x1fff
	ABSENT	0xc0000085, 0xc0001fff, 0x12345678, 0x40000000
	cmp	dword [wrong], 0
	CHECK	z, "those of what guests do not have are not"

	; The first address bit that CPUID does not announce.
	mov	eax, 0x80000008
	cpuid
	movzx	ecx, al
	sub	ecx, 32
	mov	ebx, 1
	shl	ebx, cl
	mov	edi, ebx
	shr	edi, 1			; and the last that it does
	REFUSES	0x1b, ebx, 0xfee00900, "APIC_BASE: address bits above MAXPHYADDR"
	REFUSES	0x1b, 0, 0xfee00901, "APIC_BASE: reserved bits"
	TAKES	0x1b, 0, 0xfee00900, "APIC_BASE: the same once more"
	REFUSES	0x200, ebx, 6, "MTRR_PHYSBASE0: address bits above MAXPHYADDR"
	REFUSES	0x200, 0, 2, "MTRR_PHYSBASE0: type 2"
	REFUSES	0x200, 0, 7, "MTRR_PHYSBASE0: type 7"
	REFUSES	0x200, 0, 0x106, "MTRR_PHYSBASE0: bit 8"
	REFUSES	0x201, ebx, 0x800, "MTRR_PHYSMASK0: address bits above MAXPHYADDR"
	REFUSES	0x201, 0, 0x400, "MTRR_PHYSMASK0: bit 10"
	TAKES	0x20e, edi, 0xe0000006, "MTRR_PHYSBASE7: all that it has"
	TAKES	0x20f, edi, 0xe0000800, "MTRR_PHYSMASK7: all that it has"
	REFUSES	0x250, 0x02000000, 0, "MTRR_FIX64K: type 2 in its last byte"
	REFUSES	0x2ff, 0, 0x102, "MTRR_DEF_TYPE: bit 8"
	REFUSES	0x2ff, 0, 3, "MTRR_DEF_TYPE: type 3"
	REFUSES	0xfe, 0, 0, "MTRRCAP: read-only"
	mov	ecx, 0x2ff
	rdmsr
	cmp	eax, 0xc06
	CHECK	e, "MTRRs are on, write-back by default, as firmware leaves them"
	REFUSES	0x277, 0, 2, "PAT: type 2"
	REFUSES	0x277, 0x08000000, 0, "PAT: type 8 in its last byte"
	TAKES	0x277, 0x00070106, 0x00070106, "PAT: another order"
	REFUSES	0xc0000080, 0, 2, "EFER: reserved bits"
	REFUSES	0xc0000080, 1, 0, "EFER: bit 32"
	TAKES	0xc0000080, 0, 0x801, "EFER: SCE and NXE"
	REFUSES	0x1d9, 0x80000000, 0, "DEBUGCTL: bit 63"
	TAKES	0x1d9, 0, 2, "DEBUGCTL: BTF"
	REFUSES	0x3a, 0, 5, "FEATURE_CONTROL: locked"
%macro CANONICAL 2
	REFUSES	%1, 0x8000, 0, %2
	REFUSES	%1, 0xffff0000, 0, %2
	TAKES	%1, 0x7fff, 0xfffff000, %2
	TAKES	%1, 0xffff8000, 0x1000, %2
%endmacro
	CANONICAL 0x175, "SYSENTER_ESP: canonical addresses only"
	CANONICAL 0x176, "SYSENTER_EIP: canonical addresses only"
	CANONICAL 0xc0000082, "LSTAR: canonical addresses only"
	CANONICAL 0xc0000083, "CSTAR: canonical addresses only"
	CANONICAL 0xc0000102, "KERNEL_GS_BASE: canonical addresses only"
	REFUSES	0xc0000100, 0x8000, 0, "FS_BASE: canonical addresses only"
	REFUSES	0xc0000101, 0x8000, 0, "GS_BASE: canonical addresses only"
	mov	eax, 0x80000001
	cpuid
	bt	edx, 27
	jnc	.misc
	TAKES	0xc0000103, 0, 0x1234567, "TSC_AUX"
.misc:	TAKES	0x1a0, 0, 0x811809, "MISC_ENABLE: fast strings, thermal control, SpeedStep, xTPR"
	TAKES	0x1a0, 0, 0x1800, "MISC_ENABLE: and without"

	; What the guest writes is what it reads, whatever of it is in force besides.
	xor	eax, eax
	cpuid
	cmp	eax, 7
	jb	.no_spec_ctrl
	mov	eax, 7
	xor	ecx, ecx
	cpuid
	mov	[features], edx
	bt	edx, 26
	jnc	.no_spec_ctrl
	TAKES	0x48, 0, 3, "SPEC_CTRL: IBRS and STIBP"
	TAKES	0x48, 0, 0, "SPEC_CTRL: without"
	REFUSES	0x48, 0, 0x400, "SPEC_CTRL: BHI_DIS_S, which CPUID does not show"
	REFUSES	0x48, 1, 0, "SPEC_CTRL: bit 32"
	REFUSES	0x49, 0, 2, "PRED_CMD: bit 1"
	mov	ecx, 0x49
	xor	edx, edx
	mov	eax, 1
	EXPECT	-1, wrmsr
	CHECK	e, "PRED_CMD: IBPB"
	jmp	.arch_capabilities
.no_spec_ctrl:
	ABSENT	0x48
	cmp	dword [wrong], 0
	CHECK	z, "no SPEC_CTRL where CPUID shows none"
.arch_capabilities:
	bt	dword [features], 29
	jnc	.mce
	mov	ecx, 0x10a
	rdmsr
	test	eax, 1 << 7 | 1 << 10 | 1 << 18 | 1 << 25
	CHECK	z, "ARCH_CAPABILITIES: promises no MSR that is not there"
.mce:
	; CR4.MCE is the hypervisor's, but the guest's is its own.
	mov	eax, cr4
	test	eax, 1 << 6
	CHECK	z, "CR4.MCE is off at first"
	or	eax, 1 << 6
	mov	cr4, eax
	mov	eax, cr4
	test	eax, 1 << 6
	CHECK	nz, "CR4.MCE is on when it has been switched on"
	and	eax, ~(1 << 6)
	mov	cr4, eax
	mov	eax, cr4
	test	eax, 1 << 6
	CHECK	z, "... and off again"
	FINISH	"msrs"

; Reads the MSRs from EBP up to EDI; prints how many there are.
range:	xor	ebx, ebx
.msr:	mov	ecx, ebp
	EXPECT	13, rdmsr
	je	.next
	inc	ebx
.next:	inc	ebp
	cmp	ebp, edi
	jne	.msr
	mov	eax, ebx
	jmp	print_dec

exists:	mov	ecx, ebp
	EXPECT	13, rdmsr
	je	say_wrong
	ret
absent:	mov	ecx, ebp
	EXPECT	13, rdmsr
	jne	say_wrong
	ret
say_wrong:
	inc	dword [wrong]
	PRINT	"FAILED: MSR "
	mov	eax, ebp
	call	print_hex
	PRINT	13, 10
	ret

; ZF = 1 if WRMSR of EDX:EAX to EBP does not fault and RDMSR shows it. Keeps EBX and EDI.
takes:	mov	[wanted], eax
	mov	[wanted + 4], edx
	mov	ecx, ebp
	rdmsr
	mov	[before], eax
	mov	[before + 4], edx
	mov	eax, [wanted]
	mov	edx, [wanted + 4]
	EXPECT	-1, wrmsr
	jne	.end
	rdmsr
	xor	eax, [wanted]
	xor	edx, [wanted + 4]
	or	eax, edx
	mov	[differs], eax
	mov	eax, [before]
	mov	edx, [before + 4]
	wrmsr
	cmp	dword [differs], 0
.end:	ret

section .data
	align	4
wrong	dd	0
wanted	dd	0, 0
before	dd	0, 0
differs	dd	0
features dd	0			; CPUID.7:EDX
section .text
