# SPDX-License-Identifier: MIT
# What the compilers and the linker are told, one flag a line with its reason.

WARN	:= -Wall -Wextra -Werror
# A handler has the parameters of its table, needed or not.
WARN	+= -Wno-unused-parameter
# f() declares nothing about its arguments; a function that two files share has a header.
WARN	+= -Wstrict-prototypes -Wmissing-prototypes
# A guest must not choose how much stack is used.
WARN	+= -Wvla

# ---- everything that is compiled ----
COMMON	:= -std=gnu11
COMMON	+= -g
# Headers are named from the top of the tree, generated ones from there.
COMMON	+= -I. -I$(O)/gen
# The same commit gives the same bytes wherever it is built.
COMMON	+= -ffile-prefix-map=$(CURDIR)=.
COMMON	+= $(WARN)

# ---- the image ----
# Size, but for the files that every exit or fault passes: that takes 15 to 30 % off each exit.
HOT	:=
HOT	+= hv/run			# the run loop: each exit begins and ends here
HOT	+= hv/clock			# the timer is looked at before each entry
HOT	+= hv/exit/exit			# dispatch, by the exit reason
HOT	+= hv/exit/misc			# CPUID, VMCALL, HLT
HOT	+= hv/exit/io			# IN and OUT
HOT	+= hv/exit/msr			# RDMSR and WRMSR
HOT	+= hv/exit/ept			# violations and misconfigurations
HOT	+= hv/exit/emulate		# MMIO: fetches and emulates an instruction
HOT	+= hv/vm/guest_msr		# what the MSRs of a guest are
HOT	+= hv/vm/vcpu			# registers, requests, wake-up
HOT	+= hv/vm/events			# interrupts and exceptions at each entry
HOT	+= hv/vm/vm_ops			# how devices reach a vCPU
HOT	+= hv/vm/background_pure	# each byte of a VM in the background that prints
HOT	+= hv/host/mitigate		# reads over the L1D at each switch of VMs
HOT	+= mm/mmu/ept			# builds EPT entries
HOT	+= mm/mmu/fault			# each EPT violation
HOT	+= mm/shadow/% mm/mmu/indirect% mm/mmu/records mm/mmu/chain mm/mmu/hash mm/map/slots	# page faults of a guest on shadow tables
HOT	+= mm/mmu/reclaim mm/mmu/pay	# obsolete pages, after exits
HOT	+= mm/space/walker		# walks the guest's tables for each emulated instruction
HOT	+= mm/space/guest%		# copies from and to guest memory
HOT	+= guest/dev/platform guest/dev/bus	# finds the device of a port or an address
HOT	+= guest/dev/platform_apic guest/dev/vlapic_irq	# every interrupt of a vCPU to itself, and what it takes before an entry
HOT	+= guest/dev/vlapic guest/dev/vlapic_icr	# a message to all 64 vCPUs of a VM is one exit
HOT	+= guest/dev/vvga_screen	# compares the text screen with what is shown, 20 times a second
HOT	+= guest/emu/emulate guest/emu/mem	# the emulator's way to memory
HOT	+= lib/printf lib/log		# a line of the log is a stretch in root mode
HOT	+= drivers/console/console drivers/console/line	# a byte of each guest that prints
HOT	+= drivers/console/fbcon	# paints: a piece is a stretch in root mode
OPT	= $(if $(filter $(HOT),$(basename $<)),-O2,-Os)

CFLAGS	= $(COMMON) $(OPT)
# No C library, no start files, nothing that only an operating system gives.
CFLAGS	+= -ffreestanding
# Firmware puts the image anywhere.
CFLAGS	+= -fpie -fvisibility=hidden
# What is not used is left out by --gc-sections.
CFLAGS	+= -ffunction-sections -fdata-sections
# L"..." is UEFI's CHAR16.
CFLAGS	+= -fshort-wchar
# Interrupts use the stack right below RSP; the guest's vector registers stay in the CPU while Lethe runs.
CFLAGS	+= -mno-red-zone -mgeneral-regs-only
# Backtraces follow RBP; no unwind tables, which nothing reads.
CFLAGS	+= -fno-omit-frame-pointer -fno-asynchronous-unwind-tables
# There is no canary in TLS; stacks have guard pages.
CFLAGS	+= -fno-stack-protector
# Tables and descriptors are read as words and as structures.
CFLAGS	+= -fno-strict-aliasing
# No memset() out of the loops of lib/libc.c's own memset(), which would call itself.
CFLAGS	+= -fno-tree-loop-distribute-patterns
# CR4.CET is off in root mode.
CFLAGS	+= -fcf-protection=none
# No indirect branch and no return but those of the thunks (hv/host/thunks.asm), and so no jump table: tools/branches checks
# the image.
BRANCHES := -mindirect-branch=thunk-extern -mindirect-branch-register -mfunction-return=thunk-extern -fno-jump-tables
CFLAGS	+= $(BRANCHES)
# The rooms are optimised together at link time: calls across files are inlined. Not the functions that the compiler itself
# calls (lib/libc.c): it must find them.
CFLAGS	+= $(if $(filter lib/libc.c,$<),,-flto)
# MEASURE=1 counts VMREADs, VMWRITEs and where time goes (hv/vmx/measure.h); for make bench, into an O= of its own.
MEASURE	?=
CFLAGS	+= $(if $(MEASURE),-DMEASURE)
# DEBUG=1: asserts at each access that the VMCS meant is the current one, rehearses the making of the first VM with each allocation
# failing in turn (hv/vm/vm_rehearse.h), and can plant the MMU's faults (mm/mutant.h).
DEBUG	?=
CFLAGS	+= $(if $(DEBUG),-DLETHE_DEBUG=1)
# UEFI's headers and calling convention, in boot/ only. GNU-EFI wants the stack arguments of such calls in one block.
EFIINC	:= -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -DGNU_EFI_USE_MS_ABI -maccumulate-outgoing-args

# The link compiles once more (-flto), so it is told what changes code.
LDFLAGS	:= -Os -flto=auto -fuse-linker-plugin -fpie -ffreestanding -mgeneral-regs-only -mno-red-zone $(BRANCHES)
# One partition: the same bytes for any number of CPUs that build.
LDFLAGS	+= -flto-partition=one
# A shared object without libraries, from which objcopy makes the PE file; names bind within it, and all are there.
LDFLAGS	+= -nostdlib -shared -Wl,-Bsymbolic,-zdefs,-znoexecstack
LDFLAGS	+= -Wl,--gc-sections,--build-id=none
# ld warns of its one segment with all rights, which is of no use here: the PE file's sections have rights of their own.
LDFLAGS	+= -Wl,--no-warn-rwx-segments

# ---- hosted: tests, fuzzers, benchmarks ----
HOSTFLAGS := $(COMMON) -fno-strict-aliasing -pthread
# lib/string.h's, so that a sanitizer sees them called.
HOSTFLAGS += -fno-builtin-memcpy
SAN	:= -O1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer
# Packed tables of firmware are read in place.
SAN	+= -fno-sanitize=alignment
TSAN	:= -O1 -fsanitize=thread -fno-omit-frame-pointer
