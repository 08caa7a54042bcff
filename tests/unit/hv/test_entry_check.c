/* SPDX-License-Identifier: MIT */
/* Each check of SDM Vol. 3C 26.3 names what breaks it, and a valid state passes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/vmx/entry_check.h"
#include "hv/vmx/vmx.h"

static struct entry_state valid64(void)
{
	struct entry_state e = { 0 };

	for (unsigned i = 0; i < SEGS; i++)
		e.s.seg[i] = (struct cpu_segment){ .selector = 0x10, .limit = ~0u, .access = 0xc093 };
	e.s.seg[SEG_CS] = (struct cpu_segment){ .selector = 0x08, .limit = ~0u, .access = 0xa09b };
	e.s.tr = (struct cpu_segment){ .selector = 0x18, .limit = 0x67, .access = 0x8b };
	e.s.ldtr = (struct cpu_segment){ .access = 0x10000 };
	e.s.cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_WP | CR0_ET;
	e.s.cr4 = CR4_PAE | CR4_VMXE;
	e.s.efer = EFER_LME | EFER_LMA;
	e.s.regs.rflags = RFLAGS_ONE;
	e.s.dr7 = 0x400;
	e.pat = 0x0007040600070406;
	e.link = ~0ull;
	e.cr0_fixed0 = CR0_PE | CR0_PG | CR0_NE;
	e.cr0_fixed1 = 0xffffffff;
	e.cr4_fixed0 = CR4_VMXE;
	e.cr4_fixed1 = 0x3767ff;
	e.maxphyaddr = 40;
	e.ia32e = e.unrestricted = e.ept = e.virtual_nmis = true;
	return e;
}

static struct entry_state valid16(void)
{
	struct entry_state e = valid64();

	e.ia32e = false;
	e.s.cr0 = CR0_NE | CR0_ET;
	e.s.cr4 = CR4_VMXE;
	e.s.efer = 0;
	for (unsigned i = 0; i < SEGS; i++)
		e.s.seg[i] = (struct cpu_segment){ .limit = 0xffff, .access = 0x93 };
	return e;
}

static void valid_states_pass(void **state)
{
	struct entry_state e = valid64();

	assert_null(entry_check_rules(&e));
	e = valid16();
	assert_null(entry_check_rules(&e));
	e = valid64();
	e.s.regs.rip = BIT(47); /* behind the last instruction of the lower half */
	assert_null(entry_check_rules(&e));
}

#define BREAKS(change, words)                                                                                \
	do {                                                                                                 \
		struct entry_state e = valid64();                                                            \
		const char *said;                                                                            \
		change;                                                                                      \
		said = entry_check_rules(&e);                                                                \
		if (!said || !strstr(said, words))                                                           \
			fail_msg("%s: said %s", #change, said ? said : "nothing");                           \
	} while (0)

static void broken_states_are_named(void **state)
{
	BREAKS(e.s.cr0 &= ~CR0_NE, "CR0 lacks");
	BREAKS(e.s.cr0 &= ~CR0_PE, "CR0.PG is set without");
	BREAKS(e.s.cr4 &= ~CR4_VMXE, "CR4 lacks");
	BREAKS(e.s.cr4 |= BIT(30), "CR4 has");
	BREAKS(e.s.cr4 &= ~CR4_PAE, "IA-32e mode guest without");
	BREAKS(e.s.cr3 = BIT(40), "CR3");
	BREAKS(e.s.dr7 |= BIT(32), "DR7");
	BREAKS(e.sysenter_eip = BIT(63), "SYSENTER");
	BREAKS(e.pat = 2, "PAT");
	BREAKS(e.s.efer |= BIT(1), "IA32_EFER has reserved");
	BREAKS(e.s.efer &= ~EFER_LMA, "LMA differs from the IA-32e");
	BREAKS(e.s.efer &= ~EFER_LME, "LMA differs from LME");
	BREAKS(e.s.seg[SEG_CS].access |= 0x10000, "CS is unusable");
	BREAKS(e.s.seg[SEG_CS].access = 0xa092, "not an accessed code");
	BREAKS(e.s.seg[SEG_CS].access |= BIT(14), "both L and D");
	BREAKS(e.s.seg[SEG_CS].base = BIT(32), "CS base");
	BREAKS(e.s.seg[SEG_SS].access = 0xc091, "SS is not");
	BREAKS(e.s.seg[SEG_DS].access = 0xc092, "not accessed");
	BREAKS(e.s.seg[SEG_FS].base = BIT(63), "FS or GS base");
	BREAKS(e.s.seg[SEG_ES].limit = 0xffffe, "ending in FFFH");
	BREAKS(e.s.seg[SEG_GS].access |= BIT(8), "reserved bits");
	BREAKS(e.s.tr.access = 0x89, "busy TSS");
	BREAKS(e.s.tr.selector |= 4, "TR points");
	BREAKS(e.s.ldtr = (struct cpu_segment){ .access = 0x83 }, "LDTR");
	BREAKS(e.s.gdtr.base = BIT(63), "GDTR or IDTR base");
	BREAKS(e.idtr_limit = 0x10000, "limit");
	BREAKS(e.s.regs.rip = BIT(63), "RIP is not canonical");
	BREAKS(e.s.regs.rflags = 0, "RFLAGS has reserved");
	BREAKS(e.s.regs.rflags |= RFLAGS_VM, "virtual-8086 mode");
	BREAKS(e.event_info = 0x20 | INTR_VALID, "RFLAGS.IF clear");
	BREAKS(e.activity = 4, "activity");
	BREAKS(e.interruptibility = BLOCK_STI, "RFLAGS.IF clear");
	BREAKS(e.interruptibility = BIT(7), "reserved bits");
	BREAKS(e.pending_debug = BIT(5), "pending debug");
	BREAKS(e.link = 0, "link pointer");
	BREAKS(e.unrestricted = false; e.s.seg[SEG_SS].selector = 3, "RPL of SS");
	BREAKS((e.ia32e = false, e.s.efer = 0, e.pdpte[2] = 3), "PDPTE");
	BREAKS((e.ia32e = e.ept = false, e.s.efer = 0, e.pdpte[2] = 3),
		"PDPTE"); /* in the table that CR3 names */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_states_pass),
		cmocka_unit_test(broken_states_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
