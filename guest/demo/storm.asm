; SPDX-License-Identifier: MIT
;
; storm: a guest that does one thing as fast as it can, for ever. The word on its command line says what:
;
;	cpuid hypercall msr	an instruction that exits; msr writes one that there is not, which Lethe logs
;	port string		OUT, and REP OUTSB of 16 KiB, to a port that no device has
;	device copy		a read of the I/O APIC, and REP MOVSD from it
;	print newlines bytes	REP OUTSB to the UART: of lines, of newlines alone, of bytes that are not text
;	uart			REP OUTSD to the UART: a character and three of its other registers, with all values
;	alarm			the CMOS clock's alarm, at a time that never comes
;
;	timer			TSC deadlines after 500 to 16,000 ticks, and HLT until then
;	oneshot			the same with the count-down, and always 960 ticks
;	nmi			NMI messages to a second CPU that has never started
;	sipi init		SIPIs to one that spins; INIT and SIPI again and again
;	ipi deaf high		interrupt messages to one that halts: with interrupts on, off, and at the highest priority
;	text			the VGA's text memory, all characters and colours
;
; A second CPU is all others where the VM has more: messages go to all but the sender. For those:
;
;	sleepers fast		sleep for a quarter of a millisecond, for 500 ticks, again and again
;	spin pause		spin, with and without PAUSE
;	inside			halt in their NMI handlers while NMIs come
;	lowest			messages to the one with the lowest priority
;	base			the first one's local APIC goes off and on
;	stop			all end together, 30 ms later
;
; Without a word it asks how late its own timer comes while it does those of the first lines: at most 100 us and one
; exit (hv/clock.h). Beside `neighbour` the question is what is left for that one.
%include "multiboot.inc"
%include "idt.inc"
%include "millisecond.inc"

LAPIC_ICR	equ	0xfee00300
LAPIC_ICR_TO	equ	0xfee00310
OTHERS		equ	3 << 18		; all vCPUs but the sender
ICR_NMI		equ	OTHERS | 0x4400
ICR_INIT	equ	OTHERS | 0x4500
ICR_SIPI	equ	OTHERS | 0x4600
ICR_FIXED	equ	OTHERS | 0x4000
ICR_LOWEST	equ	0x4900		; logical destination
LAPIC_DIVIDE	equ	0xfee003e0
LAPIC_COUNT	equ	0xfee00380
IOAPIC		equ	0xfec00000
NOWHERE		equ	0x80		; a port
STRING		equ	16384		; bytes
CODE16		equ	0x8000		; where the others start
STACKS		equ	0x10000		; theirs, 256 bytes each
MESSAGE		equ	0x40		; the vector that it is sent
MSR_NONE	equ	0x4000fff0
ROUNDS		equ	16		; own timer: of each kind
EXIT		equ	10000		; TSC ticks: 200 us at Bochs's 50 MHz, the longest that an exit may take

; WORD "text", routine, second CPU's code or 0: a kind of storm.
%macro WORD 3
	[section .data]
%%text:	db	%1, 0
	__SECT__
	dd	%%text, %2, %3
%endmacro

main32:	call	idt_init
	call	pic_init
	mov	dword [LAPIC_SVR], 0x1ff
	mov	ebp, [ebx + 16]		; the file's name, then what lethe.conf says
.name:	cmp	byte [ebp], 0
	je	own
	add	ebp, 1
	cmp	byte [ebp - 1], ' '
	jne	.name
	mov	ebx, words
.word:	cmp	dword [ebx], 0
	je	unknown
	mov	esi, [ebx]
	mov	edi, ebp
.letter:
	cmpsb
	jne	.next
	cmp	byte [esi - 1], 0
	jne	.letter
	jmp	flood
.next:	add	ebx, 12
	jmp	.word
unknown:
	PRINT	"storm: FAILED: no such kind", 13, 10
	jmp	power_off

flood:	PRINT	"storm: begins", 13, 10
	cmp	dword [ebx + 8], 0
	je	.again
	mov	esi, [ebx + 8]
	call	start_second
.again:	call	[ebx + 4]
	jmp	.again

; Has the second CPU run the real-mode code at ESI, which becomes the target of the jump at code16.
start_second:
	sub	esi, code16 + 3
	mov	[code16 + 1], si
	mov	esi, code16
	mov	edi, CODE16
	mov	ecx, code16_end - code16
	rep	movsb
	mov	dword [MESSAGE * 4], CODE16 + message16 - code16
	mov	dword [LAPIC_ICR], ICR_SIPI | CODE16 >> 12
	ret

; ---- a guest's own timer while it floods ----

own:	call	measure_millisecond
	mov	eax, own_tick
	mov	[idt + 0x30 * 8], ax
	shr	eax, 16
	mov	[idt + 0x30 * 8 + 6], ax
	mov	eax, [millisecond]	; 100 us
	xor	edx, edx
	mov	ecx, 10
	div	ecx
	add	eax, EXIT
	mov	[most], eax
	mov	ebx, words
.word:	mov	dword [latest], 0
	mov	ebp, ROUNDS
.round:	call	once
	sub	ebp, 1
	jnz	.round
	PRINT	13, 10			; the end of what `print` has left
	mov	esi, [ebx]
	call	puts
	PRINT	" own "
	mov	eax, [latest]
	call	print_dec
	PRINT	13, 10
	cmp	eax, [most]
	CHECK	be, "   late by at most 100 us and an exit"
	add	ebx, 12
	cmp	ebx, others
	jb	.word
	FINISH	"storm"

; Floods until its timer has come.
once:	mov	eax, [millisecond]
	shr	eax, 1
	imul	edx, ebp, 97		; each time a little longer, so that it meets the flood elsewhere
	add	eax, edx
	mov	dword [TIMER_IRQS], 0
	mov	ecx, eax
	rdtsc
	add	eax, ecx
	adc	edx, 0
	mov	[due], eax
	mov	ecx, MSR_TSC_DEADLINE
	wrmsr
	sti
.flood:	call	[ebx + 4]
	cmp	dword [TIMER_IRQS], 0
	je	.flood
	cli
	ret

; The timer's handler: here because an instruction that repeats is interrupted in its middle.
own_tick:
	push	eax
	push	edx
	rdtsc
	sub	eax, [due]
	cmp	eax, [latest]
	jb	.not_later
	mov	[latest], eax
.not_later:
	inc	dword [TIMER_IRQS]
	mov	dword [LAPIC_EOI], 0
	pop	edx
	pop	eax
	iretd

; ---- kinds: one round each. They may change all registers but EBX, EBP and ESP. ----

cpuid_:	push	ebx
	xor	eax, eax
	cpuid
	pop	ebx
	ret

hypercall:
	xor	eax, eax
	vmcall
	ret

; Where there is no such MSR, the fault is stepped over.
msr:	mov	ecx, MSR_NONE
	EXPECT	13, wrmsr
	ret

port:	out	NOWHERE, al
	ret

string:	mov	edx, NOWHERE
	mov	esi, main32
	mov	ecx, STRING
	rep	outsb
	ret

device:	mov	eax, [IOAPIC + 0x10]
	ret

copy:	mov	esi, IOAPIC
	mov	edi, copied
	mov	ecx, 1024
	rep	movsd
	ret

print:	mov	esi, lines
out:	mov	edx, COM1
	mov	ecx, LINES
	rep	outsb
	ret

newlines:
	mov	esi, only_newlines
	jmp	out

bytes:	mov	esi, no_text
	jmp	out

uart:	mov	edx, COM1
	mov	esi, values
	mov	ecx, VALUES / 4
	rep	outsd
	ret

timer:	mov	dword [LAPIC_LVT_TIMER], 2 << 17 | 0x30
	mfence
	cli
	mov	esi, [later]
	add	esi, 500
	and	esi, 0x3fff
	mov	[later], esi
	rdtsc
	add	eax, esi
	adc	edx, 0
	mov	ecx, MSR_TSC_DEADLINE
	wrmsr
	sti
	hlt
	ret

; As timer, but the timer counts down from 240, which is 960 ticks: it comes when the CPU has just gone to another.
oneshot:
	cli
	mov	dword [LAPIC_LVT_TIMER], 0x30
	mov	dword [LAPIC_DIVIDE], 0xb
	mov	dword [LAPIC_COUNT], 240
	sti
	hlt
	ret

nmi:	mov	dword [LAPIC_ICR], ICR_NMI
	ret

init:	mov	dword [LAPIC_ICR], ICR_INIT
sipi:	mov	dword [LAPIC_ICR], ICR_SIPI | CODE16 >> 12
	ret

ipi:	mov	dword [LAPIC_ICR], ICR_FIXED | MESSAGE
	ret

; To the vCPU of all that has the lowest priority.
lowest:	mov	dword [LAPIC_ICR_TO], 0xff << 24
	mov	dword [LAPIC_ICR], ICR_LOWEST | MESSAGE
	ret

spin:	jmp	$

pause_:	pause
	ret

; The local APIC off and on again: its registers are no longer where the others' are.
base:	mov	ecx, 0x1b
	rdmsr
	btc	eax, 11
	wrmsr
	ret

; All vCPUs end at once, some time after they have started.
stop:	mov	ecx, 1500000		; 30 ms at 50 MHz
	rdtsc
	mov	edi, eax
.wait:	rdtsc
	sub	eax, edi
	cmp	eax, ecx
	jb	.wait
	lidt	[nothing]
	int3

; 23:xx, where xx is no BCD number below 60.
alarm:	mov	ax, 0x200b		; register B: the alarm interrupts
	call	cmos
	mov	ax, 0x2305
	call	cmos
	mov	ax, 0xbf03
cmos:	out	0x70, al
	mov	al, ah
	out	0x71, al
	ret

text:	mov	edi, 0xb8000
	mov	ecx, 2000
	mov	eax, [later]
	add	dword [later], 0x0711
.cell:	stosw
	add	eax, 0x1301
	loop	.cell
	ret

; ---- what the second CPU does, in real mode at CODE16 ----
	bits	16
%macro APIC16 0
	mov	bx, %%back - code16
	jmp	apic16
%%back:
%endmacro
code16:	jmp	near spin16		; to one of the following
spin16:	cli
	jmp	$

halt16:	APIC16
.again:	sti
	hlt
	jmp	.again

; Sleeps for a quarter of a millisecond and a little more for each vCPU (at 50 MHz), then for less and less.
sleep16:
	mov	esi, 12500
	jmp	timer16

fast16:	mov	esi, 500
timer16:
	APIC16
	mov	ecx, 0x832		; LVT timer
	mov	eax, 2 << 17 | MESSAGE
	xor	edx, edx
	wrmsr
.again:	rdtsc
	add	eax, esi
	adc	edx, 0
	mov	ecx, MSR_TSC_DEADLINE
	wrmsr
	sti
	hlt
	cli
	jmp	.again

pause16:
	cli
.again:	pause
	jmp	.again

; Halts in its NMI handler, where no NMI reaches it any more.
inside16:
	APIC16
	mov	dword [2 * 4], CODE16 + deaf16.again - code16
	jmp	halt16.again

deaf16:	APIC16
.again:	cli
	hlt
	jmp	.again

high16:	APIC16
	mov	ecx, 0x808		; TPR
	mov	eax, 0xf0
	wrmsr
	jmp	halt16.again

; Its local APIC in x2APIC mode, whose registers real mode can reach; a stack of its own. BX: where to go on.
apic16:	xor	ax, ax
	mov	ds, ax
	mov	ecx, 0x1b
	rdmsr
	or	ax, 1 << 10 | 1 << 11
	wrmsr
	mov	ecx, 0x802		; ID
	rdmsr
	shl	ax, 4
	add	ax, STACKS >> 4
	mov	ss, ax
	mov	sp, 256
	mov	ecx, 0x80f		; spurious vector; the APIC on
	mov	eax, 0x1ff
	xor	edx, edx
	wrmsr
	jmp	bx

message16:
	mov	ecx, 0x80b		; EOI
	xor	eax, eax
	xor	edx, edx
	wrmsr
	iret
code16_end:
	bits	32

	align	4
words:	WORD	"cpuid", cpuid_, 0
	WORD	"hypercall", hypercall, 0
	WORD	"msr", msr, 0
	WORD	"port", port, 0
	WORD	"string", string, 0
	WORD	"device", device, 0
	WORD	"copy", copy, 0
	WORD	"print", print, 0
	WORD	"newlines", newlines, 0
	WORD	"bytes", bytes, 0
	WORD	"uart", uart, 0
	WORD	"alarm", alarm, 0
others:	WORD	"timer", timer, 0
	WORD	"oneshot", oneshot, 0
	WORD	"sipi", sipi, spin16
	WORD	"init", init, spin16
	WORD	"ipi", ipi, halt16
	WORD	"deaf", ipi, deaf16
	WORD	"high", ipi, high16
	WORD	"nmi", nmi, 0
	WORD	"text", text, 0
	WORD	"sleepers", spin, sleep16
	WORD	"fast", timer, fast16
	WORD	"spin", spin, spin16
	WORD	"pause", pause_, pause16
	WORD	"inside", nmi, inside16
	WORD	"lowest", lowest, halt16
	WORD	"base", base, spin16
	WORD	"stop", stop, halt16
	dd	0

section .data
	align	4
nothing	dw	0
	dd	0
most	dd	0
due	dd	0
later	dd	0
lines	times 128 db "a line of 64 characters, which a guest prints again and again", 13, 10
LINES	equ	$ - lines
only_newlines:
	times LINES db 10
no_text:times LINES db 0x80
VALUES	equ	4096
values:
%assign	value	1
%rep	VALUES
	db	value >> 16 & 0xff
%assign	value	(value * 1103515245 + 12345) & 0x7fffffff
%endrep

section .bss
copied:	resb	4096
