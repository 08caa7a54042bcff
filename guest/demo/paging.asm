; SPDX-License-Identifier: MIT
;
; paging: every mode of paging, every right, every kind of access, against what SDM Vol. 3A chapter 4 says.
;
; A model of the CPU (paging_model.inc) computes from the tables in memory what an access comes to: the page, or the
; exception with its error code and CR2, and which accessed and dirty flags it leaves. Then the CPU does it, and the
; two are compared. It asks nothing of what runs it but COM1: it passes on the bare machine, too.
;
;	paging_modes.inc	the modes, the tables for the guest itself, invalidation
;	paging_model.inc	the model
;	paging_ops.inc		the kinds of access
;	paging_trap.inc		how one is tried
;	paging_check.inc	how it is compared; paging_report.inc prints it
;	paging_matrix.inc	rights at each level
;	paging_bits.inc		reserved bits, large pages, PDPTEs
;	paging_kinds.inc	kinds of access
;	paging_tlb.inc		tables that change
;	paging_pcid.inc		process-context identifiers
;	paging_self.inc		tables that map themselves, that are data, that are code
;	paging_rest.inc		devices, the CPU's own accesses, REP, from mode to mode
;	paging_random.inc	random edits and accesses, and the hash of memory
;	paging_stores.inc	every kind of store into a table
%include "multiboot.inc"
%include "paging_trap.inc"
%include "paging_model.inc"
%include "paging_modes.inc"
%include "paging_ops.inc"
%include "paging_check.inc"
%include "paging_report.inc"
%include "paging_matrix.inc"
%include "paging_bits.inc"
%include "paging_kinds.inc"
%include "paging_tlb.inc"
%include "paging_pcid.inc"
%include "paging_stores.inc"
%include "paging_self.inc"
%include "paging_rest.inc"
%include "paging_random.inc"

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

	mov	dword [m_wp], 1
	mov	dword [m_pse], 1
	call	ioapic_init
	SECTION	"no paging: kinds of access"
	call	no_paging
	SECTION	"2-level: rights at each level"
	mov	esi, in_2level
	call	matrix_single
	SECTION	"2-level: rights at all levels"
	call	matrix_all
	SECTION	"2-level: kinds of access"
	call	kinds_of
	SECTION	"2-level: bits of entries, with PSE and without"
	call	bits_of
	SECTION	"2-level: pages of 4 MiB"
	mov	esi, large_2level
	mov	ecx, 2
	mov	eax, ARENA
	call	large_page
	SECTION	"2-level: tables that change"
	mov	esi, in_2level
	call	changes_of
	SECTION	"2-level: stores into tables"
	call	stores_of
	SECTION	"2-level: tables that map themselves"
	call	self_of
	SECTION	"2-level: devices"
	mov	esi, device_2level
	mov	ecx, 1
	mov	eax, IOAPIC
	call	devices_at
	mov	esi, device_2level
	mov	ecx, 2
	call	devices_at
	mov	esi, device_2level
	call	local_apic
	mov	esi, in_2level
	SECTION	"2-level: accesses by the CPU itself"
	call	implicit_of
	SECTION	"2-level: string instructions that fault midway"
	mov	esi, in_2level
	call	strings_of
	mov	esi, in_2level
	SECTION	"2-level: accessed and dirty flags"
	call	flags_of_use
	SECTION	"2-level: registers that change"
	call	registers
	SECTION	"2-level: global pages, INVLPG of large pages"
	call	globals
	mov	esi, large_2level
	mov	ecx, 2
	mov	eax, ARENA
	call	large_invlpg
	SECTION	"PAE: rights at each level"
	mov	esi, in_pae
	call	matrix_single
	SECTION	"PAE: rights at all levels"
	call	matrix_all
	SECTION	"PAE: kinds of access"
	call	kinds_of
	SECTION	"PAE: bits of entries"
	call	bits_of
	SECTION	"PAE: the four entries of CR3"
	call	pdptes
	SECTION	"PAE: pages of 2 MiB"
	mov	esi, large_pae
	mov	ecx, 2
	mov	eax, ARENA
	call	large_page
	SECTION	"PAE: tables that change"
	mov	esi, in_pae
	call	changes_of
	SECTION	"PAE: stores into tables"
	call	stores_of
	SECTION	"PAE: tables that map themselves"
	call	self_of
	SECTION	"PAE: devices"
	mov	esi, device_pae
	mov	ecx, 1
	mov	eax, IOAPIC
	call	devices_at
	mov	esi, device_pae
	mov	ecx, 2
	call	devices_at
	mov	esi, device_pae
	call	local_apic
	mov	esi, in_pae
	SECTION	"PAE: accesses by the CPU itself"
	call	implicit_of
	SECTION	"PAE: string instructions that fault midway"
	mov	esi, in_pae
	call	strings_of
	mov	esi, in_pae
	SECTION	"PAE: accessed and dirty flags"
	call	flags_of_use
	SECTION	"PAE: registers that change"
	call	registers
	SECTION	"PAE: global pages, INVLPG of large pages"
	call	globals
	mov	esi, large_pae
	mov	ecx, 2
	mov	eax, ARENA
	call	large_invlpg
	cmp	dword [c_long], 0
	je	.done
	SECTION	"4-level: rights at each level, below 4 GiB"
	mov	esi, in_4level_low
	call	matrix_single
	SECTION	"4-level: rights at each level"
	mov	esi, in_4level
	call	matrix_single
	SECTION	"4-level: rights at each level, upper half"
	mov	esi, in_4level_top
	call	matrix_single
	SECTION	"4-level: rights at all levels"
	mov	esi, in_4level
	call	matrix_all
	SECTION	"4-level: kinds of access"
	call	kinds_of
	SECTION	"4-level: kinds of access, below 4 GiB"
	mov	esi, in_4level_low
	call	kinds_of
	SECTION	"4-level: addresses that are not canonical"
	mov	esi, in_4level
	call	not_canonical
	SECTION	"4-level: bits of entries"
	call	bits_of
	SECTION	"4-level: pages of 2 MiB"
	mov	esi, large_4level
	mov	ecx, 2
	mov	eax, ARENA
	call	large_page
	SECTION	"4-level: pages of 1 GiB"
	mov	ecx, 3
	xor	eax, eax
	call	large_page
	SECTION	"4-level: tables that change"
	mov	esi, in_4level
	call	changes_of
	cmp	dword [c_pcid], 0
	jne	.pcid
	SKIP	"process-context identifiers"
	jmp	.stores
.pcid:	SECTION	"4-level: process-context identifiers"
	call	pcid
.stores:
	SECTION	"4-level: stores into tables"
	call	stores_of
	SECTION	"4-level: tables that map themselves"
	call	self_of
	SECTION	"4-level: devices"
	mov	esi, device_4level
	mov	ecx, 1
	mov	eax, IOAPIC
	call	devices_at
	mov	esi, device_4level
	mov	ecx, 2
	call	devices_at
	cmp	dword [c_1g], 0
	je	.no_1g_4level
	mov	esi, device_4level
	mov	ecx, 3
	mov	eax, IOAPIC & 0xc0000000
	call	devices_at
.no_1g_4level:
	mov	esi, device_4level
	call	local_apic
	mov	esi, in_4level
	SECTION	"4-level: accesses by the CPU itself"
	call	implicit_of
	SECTION	"4-level: string instructions that fault midway"
	mov	esi, in_4level_low
	call	strings_of
	mov	esi, in_4level
	SECTION	"4-level: accessed and dirty flags"
	call	flags_of_use
	SECTION	"4-level: registers that change"
	call	registers
	SECTION	"4-level: global pages, INVLPG of large pages"
	call	globals
	mov	esi, large_4level
	mov	ecx, 2
	mov	eax, ARENA
	call	large_invlpg
	cmp	dword [c_la57], 0
	jne	.five
	SKIP	"5-level paging"
	jmp	.done
.five:	SECTION	"5-level: rights at each level"
	mov	esi, in_5level
	call	matrix_single
	SECTION	"5-level: rights at each level, upper half"
	mov	esi, in_5level_top
	call	matrix_single
	SECTION	"5-level: kinds of access"
	call	kinds_of
	SECTION	"5-level: addresses that are not canonical"
	call	not_canonical
	SECTION	"5-level: bits of entries"
	call	bits_of
	SECTION	"5-level: pages of 2 MiB and 1 GiB"
	mov	esi, large_5level
	mov	ecx, 2
	mov	eax, ARENA
	call	large_page
	mov	ecx, 3
	xor	eax, eax
	call	large_page
	SECTION	"5-level: tables that change"
	mov	esi, in_5level
	call	changes_of
	SECTION	"5-level: tables that map themselves"
	call	self_of
	SECTION	"5-level: devices"
	mov	esi, device_5level
	mov	ecx, 1
	mov	eax, IOAPIC
	call	devices_at
	mov	esi, device_5level
	mov	ecx, 2
	call	devices_at
	cmp	dword [c_1g], 0
	je	.no_1g_5level
	mov	esi, device_5level
	mov	ecx, 3
	mov	eax, IOAPIC & 0xc0000000
	call	devices_at
.no_1g_5level:
	mov	esi, device_5level
	call	local_apic
	mov	esi, in_5level
	SECTION	"5-level: accesses by the CPU itself"
	call	implicit_of
	SECTION	"5-level: string instructions that fault midway"
	mov	esi, in_5level_low
	call	strings_of
	mov	esi, in_5level
	SECTION	"5-level: accessed and dirty flags"
	call	flags_of_use
	SECTION	"5-level: registers that change"
	call	registers
	SECTION	"5-level: global pages, INVLPG of large pages"
	call	globals
	mov	esi, large_5level
	mov	ecx, 2
	mov	eax, ARENA
	call	large_invlpg
.done:	SECTION	"from mode to mode"
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

; What cannot go on: the verdict, and the end.
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
