# SPDX-License-Identifier: MIT
# From sources to BOOTX64.EFI, and the demo guests.

$(O)/obj/%.o: %.c tools/make/flags.mk | $(GEN) setup-build
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

# A warning beyond, no error: what the image measured when this was written, and a quarter more, at least 512 KiB.
IMAGE_BOUND := 524288

$(O)/BOOTX64.EFI: $(O)/lethe.so tools/branches
	$(Q)tools/branches $<
	$(Q)objcopy --strip-all -j .text -j .rodata -j .rela -j .reloc -j .relro -j .data -j .bss -j .symbols -j .sbat \
		--output-target=efi-app-x86_64 $< $@
	@size=$$(stat -c %s $@); printf '  %-8s %s  %s bytes  %s\n' EFI $@ $$size $$(sha256sum $@ | cut -c1-16); \
		[ $$size -le $(IMAGE_BOUND) ] || echo "  warning: the image is larger than $(IMAGE_BOUND) bytes (tools/make/image.mk)" >&2

# Numbers that C and the demo guests share.
$(O)/gen/demo/numbers.inc: tools/numbers/numbers.c tools/make/flags.mk | setup-build
	$(call say,NUMBERS,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(COMMON) -ffreestanding -O1 -S -MMD -MP -MF $(@:.inc=.d) -MT $@ -o $(@:.inc=.s) $< && \
		sed -n 's/^[[:blank:]]*#number \([A-Z0-9_]*\) \(-*[0-9]*\)$$/\1 equ \2/p' $(@:.inc=.s) >$@

$(O)/demo/%.bin: guest/demo/%.asm $(wildcard guest/demo/*.inc) $(O)/gen/demo/numbers.inc | setup-build
	$(call say,NASM,$<)
	$(Q)mkdir -p $(@D) && $(NASM) -f bin -I guest/demo/ -I $(O)/gen/demo/ -o $@ $<

demos: $(DEMOS)
