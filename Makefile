# SPDX-License-Identifier: MIT
#
# make help says what there is. Sources are found by wildcard: adding a file needs no edit here.
# The same files of lib, mm, drivers and guest are compiled twice: freestanding into BOOTX64.EFI, and hosted
# into tests, fuzzers and benchmarks.

O	?= build
V	?= 0
CC	:= gcc
NASM	:= nasm
HOSTCC	?= clang
SHELL	:= /bin/sh
Q	:= $(if $(filter 1,$V),,@)
say	= @$(if $(filter 1,$V),true,printf '  %-8s %s\n' $(1) $(2))

# The rooms, ground floor first: a file uses what lies in its own folder and in those before it (make check).
ROOMS	:= lib mm mm/host mm/map mm/mmu drivers/acpi drivers drivers/console \
	guest/emu guest/conf guest/dev guest/acpi guest/load hv/host hv/vmx hv/vm hv/exit hv boot
# The same without their sub-rooms: each is an archive for the tests, and has tests of its own.
first	= $(if $(1),$(firstword $(1)) $(call first,$(filter-out $(firstword $(1)),$(1))))
HOUSES	:= $(call first,$(foreach r,$(ROOMS),$(firstword $(subst /, ,$(r)))))
HOSTED	:= lib mm drivers guest
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

# As many jobs as there are CPUs, unless make was told how many.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

# Times and paths must not get into the image: the same commit gives the same bytes.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1)
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unversioned)

WARN	:= -Wall -Wextra -Werror -Wno-unused-parameter -Wstrict-prototypes -Wmissing-prototypes -Wvla
COMMON	:= -std=gnu11 -g -I. -I$(O)/gen -ffile-prefix-map=$(CURDIR)=. $(WARN)
# MEASURE=1 counts VMREADs, VMWRITEs and where time goes (hv/vmx/measure.h); for make bench, into an O= of its own.
MEASURE	?=
# DEBUG=1: asserts at each access that the VMCS meant is the current one, and can plant the MMU's faults (mm/mutant.h).
DEBUG	?=
# Speed where every exit passes, size elsewhere: the image is to fit in 512 KiB.
HOT	:= mm/mmu/ept mm/mmu/fault mm/mmu/reclaim mm/mmu/pay mm/map/walker mm/map/guest% hv/run hv/clock hv/exit/exit hv/exit/misc hv/exit/io hv/exit/msr hv/exit/ept hv/vm/guest_msr hv/exit/emulate hv/vm/vcpu hv/vm/events guest/dev/platform guest/dev/vvga_screen guest/dev/bus drivers/console/console drivers/console/line hv/vm/vm_ops guest/emu/emulate guest/emu/mem
OPT	= $(if $(filter $(HOT),$(basename $<)),-O2,-Oz)
CFLAGS	= $(COMMON) $(OPT) -ffunction-sections -fdata-sections -ffreestanding -fpie -fvisibility=hidden -fshort-wchar -mno-red-zone -mgeneral-regs-only \
	-fno-omit-frame-pointer -fno-stack-protector -fno-strict-aliasing -fno-asynchronous-unwind-tables \
	-fcf-protection=none $(BRANCHES) -fno-tree-loop-distribute-patterns -falign-functions=1 -falign-loops=1 -falign-jumps=1 $(LTO) $(if $(MEASURE),-DMEASURE) $(if $(DEBUG),-DLETHE_DEBUG=1) \
	$(if $(filter boot/%,$<),-fomit-frame-pointer,-mpreferred-stack-boundary=3)
# No indirect branch and no return but those of the thunks (hv/host/thunks.asm), and so no jump table.
BRANCHES := -mindirect-branch=thunk-extern -mindirect-branch-register -mfunction-return=thunk-extern -fno-jump-tables
EFIINC	:= -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -DGNU_EFI_USE_MS_ABI -maccumulate-outgoing-args
# The rooms are optimised together at link time: that is 3 % of the image. Not the functions that the compiler itself
# calls (lib/libc.c): it must find them.
LTO	= $(if $(filter lib/libc.c,$<),,-flto)
LDFLAGS	:= -Oz -flto=auto -flto-partition=one -fuse-linker-plugin -fpie -ffreestanding -mgeneral-regs-only -mno-red-zone $(BRANCHES) -nostdlib -shared \
	-Wl,-Bsymbolic,-zpack-relative-relocs,-znoexecstack,-zdefs,--gc-sections,--build-id=none,--no-warn-rwx-segments
HOSTFLAGS := $(COMMON) -fno-strict-aliasing -fno-builtin-memcpy -pthread
SAN	:= -O1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-sanitize=alignment -fno-omit-frame-pointer

folders	= $(filter $(1) $(1)/%,$(ROOMS))
srcs	= $(sort $(wildcard $(addsuffix /*.c,$(folders))))
asms	= $(sort $(wildcard $(addsuffix /*.asm,$(folders))))
objs	= $(patsubst %.c,$(O)/obj/%.o,$(call srcs,$(1))) $(patsubst %.asm,$(O)/obj/%.asm.o,$(call asms,$(1)))
# What a hosted program has from elsewhere: its C library, the tests' CPUs.
hosted_srcs = $(filter-out lib/libc.c lib/cpu_id.c,$(call srcs,$(1)))

OBJS	:= $(foreach r,$(HOUSES),$(call objs,$(r)))
ASLS	:= $(sort $(wildcard guest/acpi/*.asl))
GEN	:= $(patsubst guest/acpi/%.asl,$(O)/gen/acpi/%.hex,$(ASLS)) $(O)/gen/rom/vectors.inc $(O)/gen/font.inc
DEMOS	:= $(patsubst guest/demo/%.asm,$(O)/demo/%.bin,$(sort $(wildcard guest/demo/*.asm)))

all: $(O)/BOOTX64.EFI demos

help:
	@echo 'Lethe, a minimal type-1 hypervisor. Each target installs what it needs first, as root by apt. Targets:'
	@echo '  make             build/BOOTX64.EFI and the demo guests (demos: only those)'
	@echo '  make run         boot a Linux guest to a shell (Ctrl-] x ends it)'
	@echo '  make image       build/lethe.img: a GPT disk image to write to a USB stick as it is'
	@echo '                   (SIGN_KEY=FILE SIGN_CERT=FILE: signed for Secure Boot)'
	@echo '  make test        unit tests, fuzzers, models and boot tests, in 45 minutes at most on two CPUs; the last line is'
	@echo '                   N passed, N failed, N skipped (tests/README.md: what is in which)'
	@echo '  make test-all    everything, in 4 hours at most: each CPU model, FUZZ_ALL_SECONDS=$(FUZZ_ALL_SECONDS), soak'
	@echo '  make unit        only the unit tests on this host (unit-ROOM: of one room; unit-threads: with ThreadSanitizer)'
	@echo '  make soak        the MMU against its oracle: SOAK_STEPS=$(SOAK_STEPS) for each of 4 seeds and each configuration; then'
	@echo '                   under real threads, SOAK_SECONDS=$(SOAK_SECONDS) for each pair of VMs: a quarter of an hour'
	@echo '  make fuzz        only the fuzzers, FUZZ_SECONDS=$(FUZZ_SECONDS) each'
	@echo '  make fuzz-keep   the same, one at a time; what they reach is kept as the corpus that they start from'
	@echo '  make boot-tests  only the boot tests'
	@echo '  make test-nested Lethe nested in QEMU/KVM, which runs in Bochs where this host has no VT-x for it'
	@echo '  make bench       the figures, one line each: bench NAME VALUE UNIT'
	@echo '  make check       formatting, citations, the order of the rooms (includes, symbols), clang-tidy, cppcheck'
	@echo '  make check-fast  formatting, citations, the order of the rooms by their includes: seconds'
	@echo '  make clean       remove what was built, but not what set-up made (build/setup)'
	@echo '  make distclean   remove that, too; what was fetched stays for other clones (tools/setup clean removes it)'
	@echo '  make help        this'
	@echo 'V=1 shows the commands, O=DIR builds elsewhere, DEBUG=1 O=DIR builds with more assertions. tools/run --help: every way to start Lethe.'

# ---- set-up: installs what is missing, or says what to install ----
# Each rule that needs a tool has its set-up as an order-only prerequisite, so that nothing is compiled before its compiler
# is there, with -j too, whatever target was asked for. They are phony and explicit: a target of a pattern rule would be an
# intermediate file, which make (.SECONDARY) does not make at all.
SETUPS	:= $(addprefix setup-,build unit run nested test check guests sign)
$(SETUPS): setup-%:
	$(Q)tools/setup $*
setup-unit setup-run setup-check: | setup-build
setup-nested: | setup-run
setup-test: | setup-unit setup-run
setup-guests: | setup-test

# ---- the image ----
$(O)/obj/%.o: %.c Makefile | $(GEN) setup-build
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) $(if $(filter boot/%,$<),$(EFIINC)) -MMD -MP -c -o $@ $<

$(O)/obj/%.asm.o: %.asm | setup-build
	$(call say,NASM,$<)
	$(Q)mkdir -p $(@D) && $(NASM) -f elf64 -g -F dwarf -I ./ -MD $(@:.o=.d) -o $@ $<

# Written anew only when it changes, so that a new commit rebuilds one file.
$(O)/gen/version.h: FORCE
	$(Q)mkdir -p $(@D) && echo '#define LETHE_VERSION "$(VERSION)"' | cmp -s - $@ || echo '#define LETHE_VERSION "$(VERSION)"' >$@
$(O)/obj/hv/main.o $(O)/obj/boot/main.o $(O)/obj/boot/refuse.o: $(O)/gen/version.h

$(O)/gen/acpi/%.hex: guest/acpi/%.asl | setup-build
	$(call say,IASL,$<)
	$(Q)mkdir -p $(@D) && iasl -oa -ve -tc -p $(@:.hex=) $< >$(@:.hex=.log) 2>&1 || { cat $(@:.hex=.log); exit 1; }

# Code that the guest finds in its ROM, as the bytes of a C array.
$(O)/gen/rom/%.inc: guest/dev/rom/%.asm | setup-build
	$(call say,NASM,$<)
	$(Q)mkdir -p $(@D) && $(NASM) -f bin -o $(@:.inc=.bin) $< && \
		od -An -v -tu1 $(@:.inc=.bin) | sed 's/[0-9][0-9]*/&,/g' >$@

$(O)/gen/font.inc: drivers/console/font.txt tools/font
	$(call say,FONT,$<)
	$(Q)mkdir -p $(@D) && tools/font $< >$@

# The symbol table for backtraces and the list of returns (hv/host/thunks.c) are made from a first link and lie last in the
# image, so that adding them moves nothing that they name.
LINK	= $(CC) $(LDFLAGS) -Wl,-T,boot/lethe.lds $(shell $(CC) -print-file-name=crt0-efi-x86_64.o) $(OBJS) $(1) \
	-L/usr/lib -lgnuefi -lefi -o $@

$(O)/empty-symbols.o: tools/symbols tools/returns | setup-build
	$(Q)mkdir -p $(@D) && tools/symbols </dev/null >$(@:.o=.s) && tools/returns </dev/null >>$(@:.o=.s) && $(CC) -c -o $@ $(@:.o=.s)

$(O)/lethe.1.so: $(OBJS) $(O)/empty-symbols.o boot/lethe.lds
	$(call say,LD,$@)
	$(Q)$(call LINK,$(O)/empty-symbols.o)

$(O)/symbols.o: $(O)/lethe.1.so tools/symbols tools/returns
	$(Q)nm -n $< | tools/symbols >$(@:.o=.s) && objdump -d --no-show-raw-insn $< | tools/returns >>$(@:.o=.s) && $(CC) -c -o $@ $(@:.o=.s)

$(O)/lethe.so: $(OBJS) $(O)/symbols.o boot/lethe.lds
	$(call say,LD,$@)
	$(Q)$(call LINK,$(O)/symbols.o)

$(O)/BOOTX64.EFI: $(O)/lethe.so tools/branches
	$(Q)tools/branches $<
	$(Q)objcopy --strip-all -j .text -j .rodata -j .reloc -j .relro -j .data -j .bss -j .symbols -j .sbat \
		--output-target=efi-app-x86_64 $< $@
	@printf '  %-8s %s  %s bytes  %s\n' EFI $@ $$(stat -c %s $@) $$(sha256sum $@ | cut -c1-16)

$(O)/demo/%.bin: guest/demo/%.asm $(wildcard guest/demo/*.inc) | setup-build
	$(call say,NASM,$<)
	$(Q)mkdir -p $(@D) && $(NASM) -f bin -I guest/demo/ -o $@ $<

demos: $(DEMOS)

# SIGN_KEY= and SIGN_CERT=: files in PEM form, with which the program in the image is signed for Secure Boot.
SIGN_KEY ?=
SIGN_CERT ?=
ifneq ($(SIGN_KEY)$(SIGN_CERT),)
ifeq ($(and $(SIGN_KEY),$(SIGN_CERT)),)
$(error SIGN_KEY= and SIGN_CERT= go together: a private key and its certificate, as PEM files)
endif
image: setup-sign
endif
image: setup-run all
	$(Q)$(if $(SIGN_KEY),tools/sign $(SIGN_KEY) $(SIGN_CERT) $(O)/BOOTX64.EFI $(O)/signed/BOOTX64.EFI)
	$(Q)tools/image --out $(O)/lethe.img --efi $(O)$(if $(SIGN_KEY),/signed)/BOOTX64.EFI --demo

run: setup-run all
	$(Q)tools/run --efi $(O)/BOOTX64.EFI

# ---- hosted objects: one set with sanitizers (tests, fuzzers), one without (benchmarks) ----
$(O)/host/%.o: %.c | $(GEN) setup-unit
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(HOSTFLAGS) $(SAN) -DLETHE_DEBUG=1 -MMD -MP -c -o $@ $<
$(O)/bench/obj/%.o: %.c | $(GEN) setup-unit
	$(Q)mkdir -p $(@D) && $(CC) $(HOSTFLAGS) -O2 -MMD -MP -c -o $@ $<

# Each room in an archive of its own: a test links the rooms above its own line and no more.
define host_archive
$(O)/host/$(1).a: $(patsubst %.c,$(O)/host/%.o,$(call hosted_srcs,$(1)))
	$$(Q)rm -f $$@ && ar qcs $$@ $$^
$(O)/bench/$(1).a: $(patsubst %.c,$(O)/bench/obj/%.o,$(call hosted_srcs,$(1)))
	$$(Q)rm -f $$@ && ar qcs $$@ $$^
endef
$(foreach r,$(HOSTED),$(eval $(call host_archive,$(r))))
$(O)/host/boot.a: $(patsubst %.c,$(O)/host/%.o,$(filter %_pure.c,$(call srcs,boot)))
	$(Q)rm -f $@ && ar qcs $@ $^
$(O)/host/hv.a: $(patsubst %.c,$(O)/host/%.o,$(filter %_pure.c,$(call srcs,hv)))
	$(Q)rm -f $@ && ar qcs $@ $^

rooms_lib     := lib
rooms_mm      := mm lib
rooms_drivers := drivers mm lib
rooms_guest   := guest mm lib
rooms_hv      := hv guest mm lib
rooms_boot    := boot hv guest drivers mm lib
archives      = $(foreach r,$(rooms_$(2)),$(O)/$(1)/$(r).a)

# An archive: a test of lib/ must not need what another room's support needs.
SUPPORT := $(O)/host/support.a
$(SUPPORT): $(patsubst %.c,$(O)/host/%.o,$(sort $(wildcard tests/support/*/*.c)))
	$(Q)rm -f $@ && ar qcs $@ $^
UNITS	:= $(sort $(wildcard tests/unit/*/*.c))
UNITBIN	:= $(patsubst tests/unit/%.c,$(O)/unit/%,$(UNITS))
FUZZERS	:= $(patsubst tests/fuzz/fuzz_%.c,$(O)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
BENCHES	:= $(patsubst tests/bench/%.c,$(O)/bench/bin/%,$(sort $(wildcard tests/bench/*.c)))
FUZZ_SECONDS ?= 5

define unit_rules
$(O)/unit/$(1)/%: $(O)/host/tests/unit/$(1)/%.o $(SUPPORT) $(call archives,host,$(1))
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D) && $(HOSTCC) $(SAN) -pthread -o $$@ $$< -Wl,--start-group $(SUPPORT) $(call archives,host,$(1)) -Wl,--end-group \
		-lcmocka -Wl,--as-needed -lZydis -lcapstone
unit-$(1): $(filter $(O)/unit/$(1)/%,$(UNITBIN))
	$$(Q)tests/unit/run $$^
obj-$(1): $(call objs,$(1))
endef
$(foreach r,$(HOUSES),$(eval $(call unit_rules,$(r))))

# Tests with real threads: lib and mm once more, with ThreadSanitizer. THREADS_SECONDS=n makes them longer.
TSAN	:= -O1 -fsanitize=thread -fno-omit-frame-pointer
THREADBIN := $(patsubst tests/threads/%.c,$(O)/unit/threads/%,$(sort $(wildcard tests/threads/test_*.c)))
TSANOBJS := $(patsubst %.c,$(O)/tsan/%.o,$(call hosted_srcs,lib) $(call hosted_srcs,mm) \
	$(addprefix tests/support/,rig/arena.c fakes/cpu_id.c sim/oracle.c) $(filter-out tests/threads/test_%,$(wildcard tests/threads/*.c)))
$(O)/tsan/%.o: %.c | $(GEN) setup-unit
	$(call say,TSAN,$<)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(HOSTFLAGS) $(TSAN) -DLETHE_DEBUG=1 -include tests/threads/relax.h -MMD -MP -c -o $@ $<
$(O)/unit/threads/%: $(O)/tsan/tests/threads/%.o $(TSANOBJS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(TSAN) -pthread -o $@ $^ -lcmocka
unit-threads: $(THREADBIN)
	$(Q)tests/unit/run $^

unit: $(UNITBIN) $(THREADBIN)
	$(Q)tests/unit/run $^

# The MMU against its oracle for long (SOAK_STEPS for each of 4 seeds and each configuration), then with threads. It
# prints the seeds, and how far it is.
SOAK_STEPS ?= 1000000
SOAK_SECONDS ?= 60
soak: $(O)/unit/mm/test_oracle $(O)/unit/mm/test_indirect $(THREADBIN)
	$(Q)tests/soak/run $(SOAK_STEPS) $(SOAK_SECONDS) $^

ALLHOST := $(foreach r,guest drivers mm lib,$(O)/host/$(r).a)
$(O)/fuzz/%: $(O)/host/tests/fuzz/fuzz_%.o $(SUPPORT) $(ALLHOST)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(HOSTCC) $(SAN) -fsanitize=fuzzer -pthread -o $@ $< -Wl,--start-group $(SUPPORT) $(ALLHOST) -Wl,--end-group -lcmocka
fuzz: $(FUZZERS)
	$(Q)tests/fuzz/run $(FUZZ_SECONDS) $(FUZZERS)
fuzz-keep: $(FUZZERS)
	$(Q)tests/fuzz/keep $(FUZZ_SECONDS) $(FUZZERS)

BENCHSUPPORT := $(O)/bench/support.a
$(BENCHSUPPORT): $(patsubst %.c,$(O)/bench/obj/%.o,$(sort $(wildcard tests/support/*/*.c)))
	$(Q)rm -f $@ && ar qcs $@ $^
ALLBENCH := $(foreach r,guest drivers mm lib,$(O)/bench/$(r).a)
$(O)/bench/bin/%: $(O)/bench/obj/tests/bench/%.o $(BENCHSUPPORT) $(ALLBENCH)
	$(Q)mkdir -p $(@D) && $(CC) -O2 -pthread -o $@ $< -Wl,--start-group $(BENCHSUPPORT) $(ALLBENCH) -Wl,--end-group -lcmocka

bench: setup-test all $(BENCHES)
	$(Q)failed=; for b in $(BENCHES) tests/bench/boot tests/bench/boot_mmu tests/bench/boot_storm; do \
		case $$b in tests/*) $$b --out $(O);; *) $$b;; esac || failed=1; done; [ -z "$$failed" ]
	$(Q)tests/nested/run --out $(O) --only '^(linux|bench|kvm-bench)$$'

boot-tests: setup-test all
	$(Q)tests/boot/run --out $(O)

test-nested: setup-nested all
	$(Q)tests/nested/run --out $(O) --all

TESTED	:= all $(UNITBIN) $(THREADBIN) $(FUZZERS)
TESTS	= tests/run --out $(O) --units '$(UNITBIN) $(THREADBIN)' --fuzzers '$(FUZZERS)'
test: setup-guests $(TESTED)
	$(Q)$(TESTS) --fuzz-seconds $(FUZZ_SECONDS)

# Longer than make test: what it has and why is in tests/README.md.
FUZZ_ALL_SECONDS ?= 60
test-all: setup-guests $(TESTED)
	$(Q)$(TESTS) --all --fuzz-seconds $(FUZZ_ALL_SECONDS) --soak $(SOAK_STEPS) $(SOAK_SECONDS)

# ---- hygiene ----
CHECKED := $(sort $(wildcard $(addsuffix /*.[ch],$(ROOMS)) $(addprefix tests/,$(addsuffix /*.[ch],support/* threads fuzz bench nested unit/*)) tools/*/*.[ch]))
# What still goes upward, FILE=ROOM. An entry that nothing needs any more fails the check.
UPWARD	:= \
	hv/exit/irq.c=hv \
	hv/host/cpu.c=hv/vm hv/host/cpu.h=hv/vm hv/host/mitigate.c=hv/vmx hv/host/mitigate.c=hv/vm hv/host/panic.c=hv/exit \
	hv/host/smp.c=hv/vmx hv/host/smp.c=hv hv/host/trap.c=hv \
	hv/vm/dump.c=hv/exit hv/vm/events.c=hv/exit hv/vm/guest_msr.c=hv/exit hv/vm/measure.c=hv/exit hv/vm/vcpu.c=hv \
	hv/vm/vm.c=hv/exit hv/vm/vm.c=hv \
	hv/vmx/entry_check.c=hv/exit hv/vmx/entry_check.c=hv/vm hv/vmx/vmx.h=hv/vm \
	mm/map/dirty.c=mm/mmu mm/map/dirty.h=mm/mmu mm/map/guest_entry.h=mm/mmu mm/map/guest_mem.c=mm/mmu \
	mm/map/slots.c=mm/mmu mm/map/slots_change.c=mm/mmu
# Two rooms use lib and themselves, though others stand before them: the decoder and the parser of lethe.conf.
ROOM_RULES := --only guest/emu=lib --only guest/conf=lib $(addprefix --upward ,$(UPWARD)) $(ROOMS)
check: setup-check $(GEN) $(OBJS)
	$(Q)ROOM_RULES='$(ROOM_RULES)' tools/check $(O) $(CHECKED)
check-fast: setup-check
	$(Q)ROOM_RULES='$(ROOM_RULES)' tools/check --fast $(O) $(CHECKED)

clean:
	$(Q)find $(O) -mindepth 1 -maxdepth 1 ! -name setup -exec rm -rf {} + 2>/dev/null || true
distclean:
	$(Q)rm -rf $(O)

-include $(shell find $(O) -path $(O)/setup -prune -o -type f -name '*.d' -print 2>/dev/null)
FORCE:
.PHONY: FORCE $(SETUPS) all help demos image run unit soak fuzz fuzz-keep bench boot-tests test-nested test test-all check check-fast clean distclean $(addprefix unit-,$(HOUSES)) unit-threads $(addprefix obj-,$(HOUSES))
