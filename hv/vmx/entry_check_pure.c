/* SPDX-License-Identifier: MIT */
#include "hv/vmx/entry_check.h"

#include "hv/vmx/vmx.h"

#define REQUIRE(condition, words)                                                                            \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			return words;                                                                        \
	} while (0)

#define TYPE(a)	    ((a)&15)
#define S(a)	    ((a) >> 4 & 1)
#define DPL(a)	    ((a) >> 5 & 3)
#define PRESENT(a)  ((a) >> 7 & 1)
#define L(a)	    ((a) >> 13 & 1)
#define DB(a)	    ((a) >> 14 & 1)
#define G(a)	    ((a) >> 15 & 1)
#define UNUSABLE(a) ((a) >> 16 & 1)
#define RESERVED(a) ((a)&0xfffe0f00u)

static bool canonical(uint64_t a)
{
	return is_canonical(a, 48);
}

static bool virtual_8086(const struct entry_state *e)
{
	return e->s.regs.rflags & RFLAGS_VM;
}

/* 26.3.1.1 */
static const char *controls(const struct entry_state *e)
{
	uint64_t cr0 = e->s.cr0, cr4 = e->s.cr4, fixed0 = e->cr0_fixed0;

	if (e->unrestricted)
		fixed0 &= ~(CR0_PE | CR0_PG);
	REQUIRE((cr0 & fixed0) == fixed0, "CR0 lacks a bit that VMX operation fixes to 1");
	REQUIRE(!(cr0 & ~e->cr0_fixed1), "CR0 has a bit that VMX operation fixes to 0");
	REQUIRE(!(cr0 & CR0_PG) || cr0 & CR0_PE, "CR0.PG is set without CR0.PE");
	REQUIRE((cr4 & e->cr4_fixed0) == e->cr4_fixed0, "CR4 lacks a bit that VMX operation fixes to 1");
	REQUIRE(!(cr4 & ~e->cr4_fixed1), "CR4 has a bit that VMX operation fixes to 0");
	REQUIRE(!(cr4 & CR4_CET) || cr0 & CR0_WP, "CR4.CET is set without CR0.WP");
	REQUIRE(!e->ia32e || (cr0 & CR0_PG && cr4 & CR4_PAE), "IA-32e mode guest without CR0.PG and CR4.PAE");
	REQUIRE(e->ia32e || !(cr4 & CR4_PCIDE), "CR4.PCIDE outside IA-32e mode");
	REQUIRE(!(e->s.cr3 & BITS(63, e->maxphyaddr)), "CR3 has bits beyond the physical address width");
	REQUIRE(!(e->s.dr7 >> 32), "DR7 has bits 63:32 set");
	REQUIRE(canonical(e->sysenter_esp) && canonical(e->sysenter_eip),
		"IA32_SYSENTER_ESP or EIP is not canonical");
	for (unsigned i = 0; i < 64; i += 8) {
		uint64_t t = e->pat >> i & 0xff;

		REQUIRE(t == 0 || t == 1 || (t >= 4 && t <= 7), "IA32_PAT has an invalid memory type");
	}
	REQUIRE(!(e->s.efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)), "IA32_EFER has reserved bits");
	REQUIRE(!(e->s.efer & EFER_LMA) == !e->ia32e,
		"IA32_EFER.LMA differs from the IA-32e mode guest control");
	REQUIRE(!(cr0 & CR0_PG) || !(e->s.efer & EFER_LMA) == !(e->s.efer & EFER_LME),
		"IA32_EFER.LMA differs from LME with paging on");
	return NULL;
}

/* 26.3.1.2: what each of CS to GS must be, outside virtual-8086 mode. */
static const char *code_segment(const struct entry_state *e, const struct cpu_segment *cs)
{
	uint32_t a = cs->access, type = TYPE(a), ss_dpl = DPL(e->s.seg[SEG_SS].access);

	REQUIRE(!UNUSABLE(a), "CS is unusable");
	REQUIRE(!(cs->base >> 32), "CS base has bits 63:32 set");
	REQUIRE(type == 9 || type == 11 || type == 13 || type == 15 || (type == 3 && e->unrestricted),
		"CS is not an accessed code segment");
	REQUIRE(type != 3 || !DPL(a), "CS is a data segment (real mode) with DPL not 0");
	REQUIRE((type != 9 && type != 11) || DPL(a) == ss_dpl,
		"DPL of a non-conforming CS differs from SS's");
	REQUIRE((type != 13 && type != 15) || DPL(a) <= ss_dpl, "DPL of a conforming CS is above SS's");
	REQUIRE(S(a) && PRESENT(a), "CS is a system segment or not present");
	REQUIRE(!(e->ia32e && L(a) && DB(a)), "CS has both L and D");
	return NULL;
}

static const char *stack_segment(const struct entry_state *e, const struct cpu_segment *ss)
{
	uint32_t a = ss->access;

	REQUIRE(e->unrestricted || (ss->selector & 3) == (e->s.seg[SEG_CS].selector & 3),
		"RPL of SS differs from CS's");
	REQUIRE(e->unrestricted || DPL(a) == (ss->selector & 3u), "DPL of SS differs from its RPL");
	REQUIRE(!(TYPE(e->s.seg[SEG_CS].access) == 3 || !(e->s.cr0 & CR0_PE)) || !DPL(a),
		"DPL of SS is not 0 in real mode");
	if (UNUSABLE(a))
		return NULL;
	REQUIRE(TYPE(a) == 3 || TYPE(a) == 7, "SS is not an accessed, writable data segment");
	REQUIRE(S(a) && PRESENT(a), "SS is a system segment or not present");
	REQUIRE(!(ss->base >> 32), "SS base has bits 63:32 set");
	return NULL;
}

static const char *data_segment(const struct entry_state *e, unsigned n, const struct cpu_segment *s)
{
	uint32_t a = s->access;

	REQUIRE(n < SEG_FS || canonical(s->base), "FS or GS base is not canonical");
	if (UNUSABLE(a))
		return NULL;
	REQUIRE(TYPE(a) & 1, "a data segment is not accessed");
	REQUIRE(!(TYPE(a) & 8) || TYPE(a) & 2, "a data segment register holds execute-only code");
	REQUIRE(S(a) && PRESENT(a), "a data segment is a system segment or not present");
	REQUIRE(e->unrestricted || TYPE(a) >= 12 || DPL(a) >= (s->selector & 3u),
		"DPL of a data segment is below its RPL");
	REQUIRE(n >= SEG_FS || !(s->base >> 32), "DS or ES base has bits 63:32 set");
	return NULL;
}

static const char *limit_and_reserved(const struct cpu_segment *s)
{
	if (UNUSABLE(s->access))
		return NULL;
	REQUIRE(!RESERVED(s->access), "a segment's access rights have reserved bits");
	REQUIRE((s->limit & 0xfff) == 0xfff || !G(s->access),
		"a segment with G has a limit not ending in FFFH");
	REQUIRE(!(s->limit >> 20) || G(s->access), "a segment without G has a limit above FFFFFH");
	return NULL;
}

static const char *segments_8086(const struct entry_state *e)
{
	for (unsigned i = 0; i < SEGS; i++) {
		const struct cpu_segment *s = &e->s.seg[i];

		REQUIRE(s->base == (uint64_t)s->selector << 4,
			"virtual-8086 mode: a base is not selector x 16");
		REQUIRE(s->limit == 0xffff, "virtual-8086 mode: a limit is not FFFFH");
		REQUIRE(s->access == 0xf3, "virtual-8086 mode: access rights are not F3H");
	}
	return NULL;
}

static const char *segments(const struct entry_state *e)
{
	const struct cpu_segment *tr = &e->s.tr, *ldtr = &e->s.ldtr;
	const char *bad = NULL;

	if (virtual_8086(e)) {
		bad = segments_8086(e);
	} else {
		bad = code_segment(e, &e->s.seg[SEG_CS]);
		if (!bad)
			bad = stack_segment(e, &e->s.seg[SEG_SS]);
		for (unsigned i = 0; i < SEGS && !bad; i++) {
			if (i != SEG_CS && i != SEG_SS)
				bad = data_segment(e, i, &e->s.seg[i]);
			if (!bad)
				bad = limit_and_reserved(&e->s.seg[i]);
		}
	}
	if (bad)
		return bad;
	REQUIRE(!(tr->selector & 4), "TR points into the LDT");
	REQUIRE(!UNUSABLE(tr->access) && !S(tr->access) && PRESENT(tr->access),
		"TR is unusable, not present or no system segment");
	REQUIRE(TYPE(tr->access) == 11 || (TYPE(tr->access) == 3 && !e->ia32e), "TR is not a busy TSS");
	REQUIRE(canonical(tr->base), "TR base is not canonical");
	bad = limit_and_reserved(tr);
	if (bad)
		return bad;
	if (UNUSABLE(ldtr->access))
		return NULL;
	REQUIRE(!(ldtr->selector & 4) && TYPE(ldtr->access) == 2 && !S(ldtr->access) && PRESENT(ldtr->access),
		"LDTR is not a present LDT of the GDT");
	REQUIRE(canonical(ldtr->base), "LDTR base is not canonical");
	return limit_and_reserved(ldtr);
}

/* 26.3.1.3, 26.3.1.4 */
static const char *tables_and_flags(const struct entry_state *e)
{
	uint64_t rip = e->s.regs.rip, rflags = e->s.regs.rflags;
	bool code64 = e->ia32e && L(e->s.seg[SEG_CS].access);

	REQUIRE(canonical(e->s.gdtr.base) && canonical(e->s.idtr.base), "GDTR or IDTR base is not canonical");
	REQUIRE(!(e->gdtr_limit >> 16) && !(e->idtr_limit >> 16), "GDTR or IDTR limit has bits 31:16 set");
	REQUIRE(code64 || !(rip >> 32), "RIP has bits 63:32 set outside 64-bit mode");
	/* Bit 47 is not looked at: an instruction may end where the canonical addresses do. */
	REQUIRE(!code64 || !(rip >> 48) || !(~rip >> 48), "RIP is not canonical");
	REQUIRE(!(rflags & ~(uint64_t)(BITS(21, 0))) && !(rflags & (BIT(15) | BIT(5) | BIT(3))) &&
			rflags & RFLAGS_ONE,
		"RFLAGS has reserved bits wrong");
	REQUIRE(!(rflags & RFLAGS_VM) || (!e->ia32e && e->s.cr0 & CR0_PE),
		"RFLAGS.VM in IA-32e or real mode");
	REQUIRE(!(e->event_info & INTR_VALID && (e->event_info & INTR_TYPE) == INTR_EXTERNAL) ||
			rflags & RFLAGS_IF,
		"an external interrupt is injected with RFLAGS.IF clear");
	return NULL;
}

/* 26.3.1.5 */
static const char *non_register(const struct entry_state *e)
{
	uint32_t i = e->interruptibility, type = e->event_info & INTR_TYPE;
	bool event = e->event_info & INTR_VALID;

	REQUIRE(e->activity <= ACTIVITY_WAIT_SIPI, "the activity state is not one that exists");
	REQUIRE(e->activity != ACTIVITY_HLT || !DPL(e->s.seg[SEG_SS].access),
		"activity HLT with DPL of SS not 0");
	REQUIRE(e->activity == ACTIVITY_ACTIVE || !(i & (BLOCK_STI | BLOCK_MOV_SS)),
		"activity is not active with blocking by STI or MOV SS");
	REQUIRE(!(i >> 5), "the interruptibility state has reserved bits");
	REQUIRE((i & (BLOCK_STI | BLOCK_MOV_SS)) != (BLOCK_STI | BLOCK_MOV_SS),
		"blocking by STI and by MOV SS at once");
	REQUIRE(!(i & BLOCK_STI) || e->s.regs.rflags & RFLAGS_IF, "blocking by STI with RFLAGS.IF clear");
	REQUIRE(!event || type != INTR_EXTERNAL || !(i & (BLOCK_STI | BLOCK_MOV_SS)),
		"an external interrupt is injected while STI or MOV SS block it");
	REQUIRE(!event || type != INTR_NMI || !(i & BLOCK_MOV_SS),
		"an NMI is injected while MOV SS blocks it");
	REQUIRE(!event || type != INTR_NMI || !e->virtual_nmis || !(i & BLOCK_NMI),
		"an NMI is injected while NMIs are blocked");
	REQUIRE(!(i & BLOCK_SMI), "blocking by SMI outside SMM");
	REQUIRE(!(e->pending_debug & ~(uint64_t)(BITS(3, 0) | BIT(12) | BIT(14) | BIT(16))),
		"the pending debug exceptions have reserved bits");
	if (i & (BLOCK_STI | BLOCK_MOV_SS) || e->activity == ACTIVITY_HLT) {
		bool tf = e->s.regs.rflags & RFLAGS_TF && !(e->debugctl & BIT(1));

		REQUIRE(!!(e->pending_debug & BIT(14)) == tf,
			"pending debug exception BS does not agree with RFLAGS.TF");
	}
	REQUIRE(e->link == ~0ull, "the VMCS link pointer is not all ones");
	return NULL;
}

bool entry_has_pdptes(const struct entry_state *e)
{
	return e->s.cr0 & CR0_PG && e->s.cr4 & CR4_PAE && !e->ia32e;
}

/* 26.3.1.6 */
static const char *pdptes(const struct entry_state *e)
{
	if (!entry_has_pdptes(e))
		return NULL;
	for (unsigned i = 0; i < 4; i++)
		REQUIRE(!(e->pdpte[i] & PTE_P) ||
				!(e->pdpte[i] & (BITS(63, e->maxphyaddr) | BITS(8, 5) | BITS(2, 1))),
			"a PDPTE has reserved bits");
	return NULL;
}

const char *entry_check_rules(const struct entry_state *e)
{
	const char *bad = controls(e);

	if (!bad)
		bad = segments(e);
	if (!bad)
		bad = tables_and_flags(e);
	if (!bad)
		bad = non_register(e);
	if (!bad)
		bad = pdptes(e);
	return bad;
}
