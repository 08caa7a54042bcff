; SPDX-License-Identifier: MIT
;
; The .sbat section (UEFI Secure Boot Advanced Targeting, the shim's SBAT.md): by these generations a signed program can be
; revoked. shim refuses programs without it. Fields: component, its generation, vendor, package, version, address.
; The generation of "lethe" goes up when a fault is mended by which a signed Lethe lets others go round Secure Boot.

section .sbat progbits alloc noexec nowrite align=1
	db	"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md", 10
	db	"lethe,1,Lethe,lethe,1,see README.md", 10

section .note.GNU-stack noalloc noexec nowrite progbits
