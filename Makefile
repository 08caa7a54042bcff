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
# mm/map holds the slots, which the MMU only looks up. What changes them, and what reaches guest memory, needs the MMU: mm/space.
ROOMS	:= lib mm mm/host mm/map mm/mmu mm/space mm/shadow drivers/acpi drivers drivers/console \
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

include tools/make/flags.mk

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
	@echo '  make check       formatting, citations, quoted code, the order of the rooms (includes, symbols), clang-tidy, cppcheck'
	@echo '  make check-fast  formatting, citations, quoted code, the order of the rooms by their includes: seconds'
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

include tools/make/image.mk

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

# ---- tests ----
include tools/make/hosted.mk

bench: setup-test all $(BENCHES)
	$(Q)failed=; for b in $(BENCHES) tests/bench/boot tests/bench/boot_mmu tests/bench/boot_shadow tests/bench/boot_storm; do \
		case $$b in tests/*) $$b --out $(O);; *) $$b;; esac || failed=1; done; [ -z "$$failed" ]
	$(Q)tests/nested/run --out $(O) --only '^(linux|bench|kvm-bench)$$'

boot-tests: setup-test all
	$(Q)tests/boot/run --out $(O)

test-nested: setup-nested all
	$(Q)tests/nested/run --out $(O) --all

TESTED	:= all $(UNITBIN) $(THREADBIN) $(FUZZERS) $(BENCHES)
TESTS	= tests/run --out $(O) --units '$(UNITBIN) $(THREADBIN)' --benches '$(BENCHES)' --fuzzers '$(FUZZERS)'
test: setup-guests $(TESTED)
	$(Q)$(TESTS) --fuzz-seconds $(FUZZ_SECONDS)

# Longer than make test: what it has and why is in tests/README.md.
FUZZ_ALL_SECONDS ?= 60
test-all: setup-guests $(TESTED)
	$(Q)$(TESTS) --all --fuzz-seconds $(FUZZ_ALL_SECONDS) --soak $(SOAK_STEPS) $(SOAK_SECONDS)

# ---- hygiene ----
CHECKED := $(sort $(wildcard $(addsuffix /*.[ch],$(ROOMS)) $(addprefix tests/,$(addsuffix /*.[ch],support/* threads fuzz bench nested unit/*)) tools/*/*.[ch]))
# Two rooms use lib and themselves, though others stand before them: the decoder and the parser of lethe.conf.
ROOM_RULES := --only guest/emu=lib --only guest/conf=lib $(ROOMS)
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
