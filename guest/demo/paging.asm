; SPDX-License-Identifier: MIT
;
; paging: every mode of paging, every right, every kind of access, compared with SDM Vol. 3A chapter 4.
;
; A model of the CPU (paging_model.inc) computes the outcome of an access from the tables in memory: the page, or the
; exception with its error code and CR2; the accessed and dirty flags afterwards. Then the CPU does the access, and the two
; are compared. The guest needs COM1, the local APIC and the I/O APIC, so it runs on the bare machine as well.
;
;	paging_modes.inc	the modes, the tables for the guest itself, invalidation
;	paging_model.inc	the model
;	paging_ops.inc		the kinds of access
;	paging_trap.inc		how one is tried
;	paging_predict.inc	what the model expects of one
;	paging_check.inc	how it is compared; paging_report.inc prints it
;	paging_matrix.inc	rights at each level
;	paging_bits.inc		reserved bits, large pages, PDPTEs
;	paging_kinds.inc	kinds of access
;	paging_tlb.inc		tables that change
;	paging_pcid.inc		process-context identifiers
;	paging_self.inc		tables that map themselves, that are data, that are code
;	paging_devices.inc	devices behind odd mappings
;	paging_rest.inc		the CPU's own accesses, REP, from mode to mode
;	paging_random.inc	random numbers, addresses and entries
;	paging_steps.inc	random edits and accesses, and the hash of memory
;	paging_store.inc	a store into a table; paging_stores.inc has every kind of it
%include "multiboot.inc"
%include "paging_trap.inc"
%include "paging_model.inc"
%include "paging_modes.inc"
%include "paging_ops.inc"
%include "paging_predict.inc"
%include "paging_check.inc"
%include "paging_report.inc"
%include "paging_matrix.inc"
%include "paging_bits.inc"
%include "paging_kinds.inc"
%include "paging_tlb.inc"
%include "paging_pcid.inc"
%include "paging_store.inc"
%include "paging_stores.inc"
%include "paging_self.inc"
%include "paging_devices.inc"
%include "paging_rest.inc"
%include "paging_random.inc"
%include "paging_steps.inc"

main32:	call	features
	call	home_init
	call	arena_init
	call	idt_init
	mov	eax, UDATA
	mov	ds, eax
	mov	es, eax
	call	wanted
	mov	cr0, ebx
	mov	[r_cr0], ebx
	mov	cr4, ecx
	mov	[r_cr4], ecx
	call	load_efer
	call	load_tables
	xor	eax, eax
	lldt	ax
	movq	mm0, [wide]
	movups	xmm0, [wide]
	PRINT	"paging: begins", 13, 10
%ifdef TICKS				; nasm -dTICKS: how long it takes
	rdtsc
	mov	[began], eax
%endif
	call	ioapic_init
	SECTION	"no paging: kinds of access"
	call	no_paging
	mov	dword [m_wp], 1
	mov	dword [m_pse], 1

	; What every mode has. Below 4 GiB: where 32-bit code or a base of 32 bits is needed.
%macro MODE 5				; words, scenario, the same below 4 GiB, with large pages, with devices
	mov	esi, %2
	SECTION	%1, ": rights at each level"
	call	matrix_single
	SECTION	%1, ": rights at all levels"
	call	matrix_all
	SECTION	%1, ": kinds of access"
	call	kinds_of
	SECTION	%1, ": bits of entries"
	call	bits_of
	SECTION	%1, ": large pages"
	mov	esi, %4
	mov	ecx, 2
	mov	eax, ARENA
	call	large_page
	call	large_invlpg
	SECTION	%1, ": tables that change"
	mov	esi, %2
	call	changes_of
	SECTION	%1, ": stores into tables"
	call	stores_of
	SECTION	%1, ": tables that map themselves"
	call	self_of
	SECTION	%1, ": accessed and dirty flags"
	call	flags_of_use
	SECTION	%1, ": registers that change"
	call	registers
	SECTION	%1, ": global pages"
	call	globals
	SECTION	%1, ": devices"
	mov	esi, %5
	mov	ecx, 1
	mov	eax, IOAPIC
	call	devices_at
	mov	ecx, 2
	call	devices_at
	call	local_apic
	SECTION	%1, ": string instructions that fault midway"
	mov	esi, %3
	call	strings_of
%endmacro
	; And what those of 64-bit mode have beside.
%macro LONG_MODE 6			; words, upper half, scenario, the same below 4 GiB, with large pages, with devices
	SECTION	%1, ": rights at each level, upper half"
	mov	esi, %2
	call	matrix_single
	SECTION	%1, ": kinds of access, below 4 GiB"
	mov	esi, %4
	call	kinds_of
	SECTION	%1, ": addresses that are not canonical"
	mov	esi, %3
	call	not_canonical
	cmp	dword [c_1g], 0
	je	%%end
	SECTION	%1, ": pages of 1 GiB"
	mov	esi, %5
	mov	ecx, 3
	xor	eax, eax
	call	large_page
	mov	esi, %6
	mov	eax, IOAPIC & 0xc0000000
	call	devices_at
%%end:
%endmacro
	MODE	"2-level", in_2level, in_2level, large_2level, device_2level
	SECTION	"2-level: accesses by the CPU itself"
	call	implicit_of
	MODE	"PAE", in_pae, in_pae, large_pae, device_pae
	SECTION	"PAE: accesses by the CPU itself"
	call	implicit_of
	SECTION	"PAE: the four entries of CR3"
	call	pdptes
	cmp	dword [c_long], 0
	je	.switch
	MODE	"4-level", in_4level, in_4level_low, large_4level, device_4level
	LONG_MODE "4-level", in_4level_top, in_4level, in_4level_low, large_4level, device_4level
	SECTION	"4-level: accesses by the CPU itself"
	mov	esi, in_4level
	call	implicit_of
	cmp	dword [c_pcid], 0
	jne	.pcid
	SKIP	"process-context identifiers"
	jmp	.five
.pcid:	SECTION	"4-level: process-context identifiers"
	call	pcid
.five:	cmp	dword [c_la57], 0
	jne	.la57
	SKIP	"5-level paging"
	jmp	.switch
.la57:	MODE	"5-level", in_5level, in_5level_low, large_5level, device_5level
	LONG_MODE "5-level", in_5level_top, in_5level, in_5level_low, large_5level, device_5level
	; Below 4 GiB: Bochs 3.1 refuses a VM entry whose LDTR has a base that needs 57 bits.
	SECTION	"5-level: accesses by the CPU itself"
	mov	esi, in_5level_low
	call	implicit_of

.switch:
	SECTION	"from mode to mode"
	call	switches
	SECTION	"2-level: random edits and accesses"
	mov	esi, in_2level
	call	random_of
	SECTION	"PAE: random edits and accesses"
	mov	esi, in_pae
	call	random_of
	cmp	dword [c_long], 0
	je	.hash
	SECTION	"4-level: random edits and accesses"
	mov	esi, in_4level
	call	random_of
	cmp	dword [c_la57], 0
	je	.hash
	SECTION	"5-level: random edits and accesses"
	mov	esi, in_5level
	call	random_of
.hash:	call	section_end
	call	hash
	call	hash_print

paging_end:
	xor	eax, eax
	call	enter_mode
	call	section_end
%ifdef TICKS
	rdtsc
	sub	eax, [began]
	PRINT	"ticks: "
	call	print_dec
	call	crlf
%endif
	mov	eax, [failures]
	test	eax, eax
	jnz	.failed
	PRINT	"paging: all "
	mov	eax, [checks]
	call	print_dec
	PRINT	" checks passed", 13, 10
	jmp	power_off
.failed:
	PRINT	"paging: FAILED: "
	call	print_dec
	PRINT	" of "
	mov	eax, [checks]
	call	print_dec
	PRINT	" checks", 13, 10
	jmp	power_off

; Ends a run that cannot go on.
paging_abort:
	mov	esp, stack_top
	inc	dword [failures]
	jmp	paging_end

; What the CPU has.
features:
	pushad
	mov	eax, 1
	cpuid
	bt	edx, 17
	call	.bit
	mov	[c_pse36], eax
	bt	ecx, 17
	call	.bit
	mov	[c_pcid], eax
	bt	ecx, 13
	call	.bit
	mov	[c_cx16], eax
	xor	eax, eax
	cpuid
	cmp	eax, 7
	jb	.extended
	mov	eax, 7
	xor	ecx, ecx
	cpuid
	bt	ebx, 7
	call	.bit
	mov	[c_smep], eax
	bt	ebx, 20
	call	.bit
	mov	[c_smap], eax
	bt	ebx, 10
	call	.bit
	mov	[c_invpcid], eax
	bt	ecx, 16
	call	.bit
	mov	[c_la57], eax
.extended:
	mov	eax, 0x80000001
	cpuid
	bt	edx, 20
	call	.bit
	mov	[c_nx], eax
	bt	edx, 26
	call	.bit
	mov	[c_1g], eax
	bt	edx, 29
	call	.bit
	mov	[c_long], eax
	mov	eax, 0x80000008
	cpuid
	and	eax, 0xff
	sub	eax, 32
	mov	[c_maxphy], eax
	popad
	ret
.bit:	setc	al
	movzx	eax, al
	ret

section .bss
alignb	4
c_nx		resd	1
c_smep		resd	1
c_smap		resd	1
c_pcid		resd	1
c_cx16		resd	1
c_invpcid	resd	1
c_long		resd	1
c_la57		resd	1
began		resd	1
section .text
