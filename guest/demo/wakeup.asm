; SPDX-License-Identifier: MIT
;
; wakeup: how soon a guest runs when its interrupt comes, on a CPU that another guest computes on. Two VMs:
;
;	[vm wakeup]			sleeps with HLT, a millisecond each time, and looks how late it is when it wakes
;	[vm compute] cmdline = compute	never sleeps, for COMPUTE ticks
;
; A turn lasts ten milliseconds where no other vCPU wakes. A guest that had to wait for the end of the other's turn would be
; late by several milliseconds as a rule; this one must be back within one. It prints how late it was.
;
; The bound holds where an exit is short against a millisecond. Lethe nested in KVM inside Bochs takes 15,000 ticks for one, 0.3 ms
; of a machine of 50 MHz: there it holds with `cpu: ips=500000000`, with which an exit takes 0.03 ms (tests/nested does that).
%include "multiboot.inc"
%include "idt.inc"
%include "millisecond.inc"

ROUNDS		equ	50
COMPUTE		equ	200000000	; TSC ticks

main32:	mov	eax, [ebx + 16]		; the command line ends with the word that it was given
	cmp	byte [eax], 0
	je	sleeper
.last:	add	eax, 1
	cmp	byte [eax], 0
	jne	.last
	cmp	dword [eax - 4], 'pute'
	jne	sleeper

	rdtsc
	mov	edi, eax
.spin:	pause
	rdtsc
	sub	eax, edi
	cmp	eax, COMPUTE
	jb	.spin
	FINISH	"compute"

sleeper:
	call	sleep_init
	mov	ebx, ROUNDS
.round:	mov	eax, [millisecond]
	call	sleep
	sub	ebx, 1
	jnz	.round

	PRINT	"a millisecond: "
	mov	eax, [millisecond]
	call	print_dec
	PRINT	" TSC ticks; late by at most "
	mov	eax, [latest]
	call	print_dec
	PRINT	13, 10
	mov	eax, [latest]
	cmp	eax, [millisecond]
	jb	.in_time
	PRINT	"wakeup: nested in KVM inside Bochs this holds with `cpu: ips=500000000` only", 13, 10
.in_time:
	mov	eax, [latest]
	cmp	eax, [millisecond]
	CHECK	b, "never late by a millisecond"
	FINISH	"wakeup"
