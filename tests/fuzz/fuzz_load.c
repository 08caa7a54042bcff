/* SPDX-License-Identifier: MIT */
/*
 * Image loaders on arbitrary files. The first sixteen bytes of the input choose the configuration:
 *
 *	0 format, 1 memory, 2 entry mode, 3 what else is given, 4-7 load address, 8-9 size of the initrd or module
 *
 * and the rest is the kernel. Whatever the file says: no write leaves the guest's RAM (the rig ends the program), the
 * entry and the stack lie in RAM, the selectors are in the GDT, and a refusal is one sentence.
 */
#include "lib/regs.h"
#include "lib/x86.h"
#include "tests/support/rig/load_rig.h"

#define HEAD 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void configure(const uint8_t *head)
{
	static const uint64_t memory[] = { 2 * MiB, 16 * MiB, 64 * MiB, 3 * GiB, 5 * GiB };
	static const unsigned mode[] = { 16, 32, 64 };
	static uint8_t other[65536];
	uint32_t address;
	uint16_t bytes;

	rig_open(memory[head[1] % ARRAY_SIZE(memory)]);
	rig.conf.format = (enum conf_format)(head[0] % 4);
	rig.conf.entry_mode = mode[head[2] % ARRAY_SIZE(mode)];
	memcpy(&address, head + 4, 4);
	rig.conf.load_address = (uint64_t)address << (head[3] >> 6) * 12;
	memcpy(&bytes, head + 8, 2);
	if (head[3] & 1)
		rig.p.initrd = (struct load_file){ "initrd", other, bytes };
	for (unsigned i = 0; i < (head[3] >> 1 & 7); i++)
		rig.p.module[i] = (struct load_file){ "module", other, bytes };
	if (head[3] & 16)
		memset(rig.conf.cmdline, 'a', head[9] * 8);
	if (head[3] & 32)
		strcpy(rig.conf.module[0].args, "some arguments");
}

static void check_refusal(int err)
{
	size_t n = strlen(rig.why);

	if (err > 0 || n == 0 || n >= sizeof(rig.why) || !strstr(rig.why, ": ") || strchr(rig.why, '\n'))
		abort();
}

/* A selector can be loaded again: its descriptor lies in the GDT, in RAM, and is present code or data. */
static void check_selector(const struct vcpu_state *s, unsigned i)
{
	uint64_t d;

	if (s->seg[i].selector + 7u > s->gdtr.limit)
		abort();
	d = rig_u64(s->gdtr.base + s->seg[i].selector);
	if ((d >> 40 & 0x98) != (i == SEG_CS ? 0x98 : 0x90))
		abort();
}

static void check_start(void)
{
	const struct vcpu_state *s = &rig.start;
	uint64_t entry = s->regs.rip + s->seg[SEG_CS].base;

	rig_at(entry, 1);
	if (s->cr0 & CR0_PE)
		for (unsigned i = 0; i < SEGS; i++)
			check_selector(s, i);
	if (s->regs.gpr[RSP])
		rig_at(s->regs.gpr[RSP] - 1, 1);
	if (s->cr0 & CR0_PG && rig_translate(s->cr3, entry) != entry)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *kernel; /* of exact size, so that the sanitizer sees a byte read beyond */
	int err;

	if (size < HEAD)
		return 0;
	configure(data);
	kernel = malloc(size - HEAD);
	if (size > HEAD)
		memcpy(kernel, data + HEAD, size - HEAD);
	rig.p.kernel = (struct load_file){ "kernel", kernel, size - HEAD };
	err = rig_load();
	if (err)
		check_refusal(err);
	else
		check_start();
	free(kernel);
	rig_close();
	return 0;
}
