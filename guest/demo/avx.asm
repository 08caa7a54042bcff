; SPDX-License-Identifier: MIT
;
; avx: moves between device memory and YMM registers, which Lethe does: the guest's registers are in the CPU, and Lethe uses
; none of them. On a CPU without AVX it has nothing to show.
%include "multiboot.inc"

IOAPIC		equ	0xfec00000	; the index; the register that it selects is 10h behind it
HOLE		equ	0xd0000000	; no memory and no device: reads as all ones
CR4_OSFXSR	equ	1 << 9
CR4_OSXSAVE	equ	1 << 18

main32:	mov	eax, 1
	cpuid
	and	ecx, 1 << 28 | 1 << 26	; AVX, XSAVE
	cmp	ecx, 1 << 28 | 1 << 26
	je	.have
	PRINT	"avx: this CPU has none", 13, 10
	FINISH	"avx"
.have:	mov	eax, cr4
	or	eax, CR4_OSFXSR | CR4_OSXSAVE
	mov	cr4, eax
	xor	ecx, ecx
	xor	edx, edx
	mov	eax, 7			; x87, SSE, AVX
	xsetbv

	vcmptrueps ymm1, ymm0, ymm0	; all ones
	mov	eax, 1
	vmovd	xmm0, eax
	vmovd	[IOAPIC], xmm0		; the version
	vmovd	xmm1, [IOAPIC + 0x10]
	vmovups	[ram], ymm1
	mov	eax, [IOAPIC + 0x10]
	cmp	[ram], eax
	CHECK	e, "VMOVD reads and writes the I/O APIC"
	xor	eax, eax
	mov	ecx, 1
.above:	or	eax, [ram + ecx * 4]
	add	ecx, 1
	cmp	ecx, 8
	jb	.above
	test	eax, eax
	CHECK	z, "   and clears the register above it"

	vmovdqu	ymm2, [HOLE + 4]
	vmovups	[ram], ymm2
	mov	eax, -1
	xor	ecx, ecx
.ones:	and	eax, [ram + ecx * 4]
	add	ecx, 1
	cmp	ecx, 8
	jb	.ones
	cmp	eax, -1
	CHECK	e, "VMOVDQU reads 32 bytes of a hole"
	vmovdqu	xmm2, [HOLE]
	vmovups	[ram], ymm2
	cmp	dword [ram + 12], -1
	CHECK	e, "VMOVDQU reads 16 bytes of a hole"
	mov	eax, [ram + 16]
	or	eax, [ram + 28]
	CHECK	z, "   and clears the register above them"
	vmovntdq [HOLE], ymm2
	vmovaps	[HOLE + 32], ymm2
	FINISH	"avx"

section .bss
alignb	32
ram:	resb	32
