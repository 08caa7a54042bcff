; SPDX-License-Identifier: MIT
;
; slots: what it costs when the guest's memory map changes, measured by the guest. It needs Lethe's test device
; (guest/dev/vrom.h), with a BAR so wide that there can be a table for each of its 2 MiB, and small pages, so that there
; is one:
;
;	devices = rom		bar-size = 32G		large-pages = off	memory = 128M		rom-size = 1M
;
; For 0, 1,000 and 10,000 such tables live it switches the ROM on, reads it, and off again. Lines that begin with
; `slots:` are for tests/bench/boot_mmu, which starts this guest once for each way of removing slots:
;
;	delete_call_N	ticks inside slot_delete(), as the device tells them
;	delete_out_N	ticks of the guest's OUT that switches the ROM off, less what an OUT takes that changes nothing
;	reclaim_pages, reclaim_ticks	tables given back afterwards, and all that this took of the guest's time
;	bar_call	as delete_call, of the BAR under which 10,000 tables hang
;	worst_tables, worst_directories, worst_pages	the most that delete_call is for the BAR, with 1 to WORST tables
;			live, with a table in each of 1 to WIDTH GiB; for the ROM, with 1 to WORST of its pages mapped
;	refault		what a pass over 64 MiB of RAM takes more after the ROM was switched off than before
;	storm_ticks, storm_pause, storm_faults	work (touching 2,048 pages and 1,024 tables) with the ROM read in between,
;			64 rounds: all of it, the longest time between two instructions, the faults
;	quiet_ticks	the same work without the ROM
;
; With bar-size = 64M, whose writes the device can log:
;
;	dirty_pages, dirty_ticks	pages logged of 10,240 written, and what it took to read and clear the log
%include "multiboot.inc"
%include "numbers.inc"
%include "rom.inc"

WIDTH	equ	20			; GiB of the window that are mapped
WORST	equ	128
LOG_PAGES equ	10240
SET	equ	32 << 20		; 64 MiB of RAM from here are the working set
SET_BYTES equ	64 << 20
PAGE	equ	4096
ROUNDS	equ	64

main32:	jmp	enter_long

%include "long.inc"
	bits	64

; SAY "name": one line, `slots: name EAX`.
%macro SAY 1
	PRINT	"slots: ", %1, " "
	call	print_dec
	PRINT	13, 10
%endmacro

; SWEEP base, step, pages, register, on, off: EAX = the most ticks that it took to delete the slot at `base` by writing
; `off` to a register of configuration space, with 1, 2, ... `pages` of its pages used, `step` bytes apart.
%macro SWEEP 6
	xor	r12d, r12d
	mov	r8d, 1
%%next:	call	drain
	CONFIG	%4, %5
	mov	rdi, %1
	mov	esi, %2
	call	touch_at
	CONFIG	%4, %6
	mov	eax, [registers]
	mov	eax, [rax + VROM_CHANGE_TICKS]
	cmp	eax, r12d
	cmova	r12d, eax
	inc	r8d
	cmp	r8d, %3
	jbe	%%next
	CONFIG	%4, %5
	mov	eax, r12d
%endmacro

main64:	mov	eax, DATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax

	MAP_WINDOW WIDTH

	mov	edx, 0xcf8
	mov	eax, BAR0
	out	dx, eax
	mov	edx, 0xcfc
	in	eax, dx
	and	eax, -16
	mov	[registers], eax
	cmp	dword [rax + VROM_ID], VROM_ID_VALUE
	jne	.absent
	CONFIG	RAM_LOW, 0
	CONFIG	RAM_HIGH, WINDOW >> 32
	mov	eax, [registers]
	test	dword [rax + VROM_STATUS], VROM_STATUS_RAM
	jz	.narrow
	mov	dword [rax + VROM_CONTROL], VROM_CONTROL_LOG
	test	dword [rax + VROM_STATUS], VROM_STATUS_LOG
	jnz	dirty

	mov	r8d, 0
	call	delete
	SAY	"delete_call_0"
	mov	eax, r10d
	SAY	"delete_out_0"
	mov	r8d, 1000
	call	delete
	SAY	"delete_call_1000"
	mov	eax, r10d
	SAY	"delete_out_1000"
	call	say_reclaim
	mov	r8d, 10000
	call	delete
	SAY	"delete_call_10000"
	mov	eax, r10d
	SAY	"delete_out_10000"
	call	say_reclaim
	mov	ebx, STATISTIC_BATCH_TICKS_MAX
	call	stat
	SAY	"batch_ticks_max"
	mov	ebx, STATISTIC_BATCH_PAGES_MAX
	call	stat
	SAY	"batch_pages_max"

	call	drain
	mov	r8d, 10000
	call	touch
	CONFIG	RAM_HIGH, -1		; beyond what is decoded: the BAR goes, the registers stay
	mov	eax, [registers]
	mov	eax, [rax + VROM_CHANGE_TICKS]
	SAY	"bar_call"
	CONFIG	RAM_HIGH, WINDOW >> 32
	SWEEP	WINDOW, STEP, WORST, RAM_HIGH, WINDOW >> 32, -1
	SAY	"worst_tables"
	SWEEP	WINDOW, 1 << 30, WIDTH, RAM_HIGH, WINDOW >> 32, -1
	SAY	"worst_directories"
	SWEEP	ROM, PAGE, WORST, ROM_BAR, ROM | 1, ROM
	SAY	"worst_pages"
	CONFIG	ROM_BAR, ROM

	call	refault
	SAY	"refault"
	call	storm
	PRINT	"slots: done", 13, 10
	jmp	power_off

.absent:
	PRINT	"slots: FAILED: no test device: devices = rom", 13, 10
	jmp	power_off
.narrow:
	PRINT	"slots: FAILED: the BAR is not there: bar-size = 32G", 13, 10
	jmp	power_off

; Where tables are not forgotten, or are freed at once, there is nothing to say.
say_reclaim:
	test	r14d, r14d
	jz	.none
	mov	eax, r14d
	SAY	"reclaim_pages"
	mov	eax, r13d
	SAY	"reclaim_ticks"
.none:	ret

; The device logs: writes pages twice, reads the log after each time. The second time no table is new.
dirty:	mov	ecx, 2
.again:	mov	rdi, WINDOW
	mov	ebx, LOG_PAGES
.page:	mov	byte [rdi], 1
	add	rdi, PAGE
	dec	ebx
	jnz	.page
	mov	eax, [registers]
	xor	r8d, r8d
.piece:	mov	edx, [rax + VROM_LOG]
	mov	ebx, edx
	and	ebx, ~VROM_LOG_MORE
	add	r8d, ebx
	test	edx, VROM_LOG_MORE
	jnz	.piece
	mov	r9d, [rax + VROM_LOG_TICKS]
	dec	ecx
	jnz	.again
	mov	eax, r8d
	SAY	"dirty_pages"
	mov	eax, r9d
	SAY	"dirty_ticks"
	PRINT	"slots: done", 13, 10
	jmp	power_off

; EAX = one of the MMU's statistics, EBX.
stat:	mov	eax, HYPERCALL_STATISTIC
	vmcall
	ret

; Until all that was forgotten has been given back: each exit gives back some of it.
drain:	mov	ecx, 1 << 20
.next:	mov	ebx, STATISTIC_WAITING
	call	stat
	test	eax, eax
	jz	.done
	dec	ecx
	jnz	.next
	PRINT	"slots: FAILED: forgotten tables are not given back", 13, 10
	jmp	power_off
.done:	ret

; R8D pages of the window, each under a table of its own.
touch:	mov	rdi, WINDOW
	mov	esi, STEP
; ... of what begins at RDI, each ESI bytes after the one before.
touch_at:
	mov	ecx, r8d
	jecxz	.done
.next:	mov	al, [rdi]
	add	rdi, rsi
	dec	ecx
	jnz	.next
.done:	ret

; Writes EDI to the ROM's BAR, which must be selected; EAX = ticks.
timed_out:
	lfence
	rdtsc
	mov	r12d, eax
	mov	edx, 0xcfc
	mov	eax, edi
	out	dx, eax
	lfence
	rdtsc
	sub	eax, r12d
	ret

; With R8D tables live: EAX = ticks of the call, R10D = of the OUT; R14D = tables given back thereafter, R13D = what
; that took.
delete:	call	drain
	call	touch
	CONFIG	ROM_BAR, ROM | 1
	mov	eax, [abs qword ROM]
	mov	edi, ROM | 1
	call	timed_out
	mov	r9d, eax
	mov	edi, ROM
	call	timed_out
	sub	eax, r9d
	mov	r10d, eax
	rdtsc
	mov	r13d, eax
	mov	ebx, STATISTIC_PAGES_FREED
	call	stat
	mov	r14d, eax
	mov	r15d, 1
.wait:	mov	ebx, STATISTIC_WAITING
	call	stat
	add	r15d, 1
	test	eax, eax
	jnz	.wait
	rdtsc
	sub	eax, r13d
	mov	r13d, eax
	mov	ebx, STATISTIC_PAGES_FREED
	call	stat
	sub	eax, r14d
	mov	r14d, eax
	; What as many calls take when there is nothing to give back.
	rdtsc
	mov	r11d, eax
.again:	mov	ebx, STATISTIC_WAITING
	call	stat
	test	eax, eax
	sub	r15d, 1
	jnz	.again
	rdtsc
	sub	eax, r11d
	sub	r13d, eax
	mov	eax, [registers]
	mov	eax, [rax + VROM_CHANGE_TICKS]
	ret

; EAX = ticks of a pass over the working set.
pass:	rdtsc
	mov	r12d, eax
	mov	ebx, SET
.next:	mov	byte [rbx], 1
	add	ebx, PAGE
	cmp	ebx, SET + SET_BYTES
	jb	.next
	rdtsc
	sub	eax, r12d
	ret

refault:
	call	pass
	call	pass
	mov	r9d, eax
	CONFIG	ROM_BAR, ROM | 1
	CONFIG	ROM_BAR, ROM
	call	drain
	call	pass
	sub	eax, r9d
	ret

; One tick of the clock: R12D the time, R13D the longest time between two so far.
%macro CLOCK 0
	rdtsc
	mov	r11d, eax
	sub	eax, r12d
	mov	r12d, r11d
	cmp	eax, r13d
	cmova	r13d, eax
%endmacro

; ROUNDS rounds of work, R15D: with the ROM read in between. EAX = ticks.
work:	rdtsc
	mov	[begun], eax
	mov	r12d, eax
	xor	r13d, r13d
	mov	r14d, ROUNDS
.round:	mov	ebx, SET
.page:	mov	byte [rbx], 1
	CLOCK
	add	ebx, PAGE
	cmp	ebx, SET + 2048 * PAGE
	jb	.page
	mov	rbx, WINDOW
	mov	ecx, 1024
.table:	mov	al, [rbx]
	CLOCK
	add	rbx, STEP
	dec	ecx
	jnz	.table
	test	r15d, r15d
	jz	.next
	CONFIG	ROM_BAR, ROM | 1
	CLOCK
	mov	esi, ROM
	mov	edi, copy
	mov	ecx, PAGE / 4
	rep	movsd
	CLOCK
	CONFIG	ROM_BAR, ROM
	CLOCK
.next:	dec	r14d
	jnz	.round
	rdtsc
	sub	eax, [begun]
	ret

storm:	call	drain
	xor	r15d, r15d
	call	work
	call	work			; now everything is mapped
	SAY	"quiet_ticks"
	call	drain
	mov	ebx, STATISTIC_FAULTS
	call	stat
	mov	[faults], eax
	mov	r15d, 1
	call	work
	SAY	"storm_ticks"
	mov	eax, r13d
	SAY	"storm_pause"
	mov	ebx, STATISTIC_FAULTS
	call	stat
	sub	eax, [faults]
	SAY	"storm_faults"
	ret

section .data
registers dq	0
begun	dd	0
faults	dd	0

section .bss
alignb	4096
copy:	resb	4096

	bits	32			; as kit.inc
