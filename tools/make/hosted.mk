# SPDX-License-Identifier: MIT
# Programs for this host: unit tests, threads, fuzzers, soak, benchmarks.

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

# Tests with real threads: lib, mm and the virtual devices once more, with ThreadSanitizer. THREADS_SECONDS=n makes them longer.
THREADBIN := $(patsubst tests/threads/%.c,$(O)/unit/threads/%,$(sort $(wildcard tests/threads/test_*.c)))
TSANOBJS := $(patsubst %.c,$(O)/tsan/%.o,$(call hosted_srcs,lib) $(call hosted_srcs,mm) $(wildcard guest/dev/*.c) \
	$(addprefix tests/support/,rig/arena.c fakes/cpu_id.c sim/oracle.c shadow/shadow_hw.c) $(filter-out tests/threads/test_%,$(wildcard tests/threads/*.c)))
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
