/* SPDX-License-Identifier: MIT */
#include "hv/host/mitigate_pure.h"

#include "hv/host/mitigate_models_pure.h"
#include "lib/bits.h"
#include "lib/printf.h"
#include "lib/string.h"

/* ---- what CPUID and IA32_ARCH_CAPABILITIES say ---- */

/* CPUID.7.0:EBX, EDX and CPUID.7.2:EDX. */
#define EBX7_RTM	      BIT(11)
#define EDX7_SRBDS_CTRL	      BIT(9)
#define EDX7_MD_CLEAR	      BIT(10)
#define EDX7_RTM_ALWAYS_ABORT BIT(11)
#define EDX7_HYBRID	      BIT(15)
#define EDX7_IBRS_IBPB	      BIT(26)
#define EDX7_L1D_FLUSH	      BIT(28)
#define EDX7_2_BHI_CTRL	      BIT(4)

#define CAP_MMIO_ALL_NO (CAP_SBDR_SSDP_NO | CAP_FBSDP_NO | CAP_PSDP_NO)

#define CORE_TYPE_ATOM 0x20
#define CORE_TYPE_CORE 0x40

/* ---- the decisions ---- */

struct decision {
	const struct mitigate_cpu *cpu;
	uint64_t traits;
	bool eibrs; /* enhanced IBRS: predictions of guests do not reach root mode while IBRS is 1 */
	struct mitigations *out;
};

static void not_needed(struct decision *d, enum vulnerability v, const char *why)
{
	d->out->of[v].verdict = MITIGATE_NOT_NEEDED;
	d->out->of[v].how = why;
}

static void done(struct decision *d, enum vulnerability v, const char *how)
{
	d->out->of[v].verdict = MITIGATE_DONE;
	d->out->of[v].how = how;
}

static void missing(struct decision *d, enum vulnerability v, const char *what)
{
	d->out->of[v].verdict = MITIGATE_MICROCODE_MISSING;
	d->out->of[v].how = what;
}

static bool has(const struct decision *d, uint64_t caps)
{
	return (d->cpu->arch_capabilities & caps) == caps;
}

#define WHY_MODEL    "not this CPU model"
#define WHY_IN_ORDER "the CPU does not speculate"

/*
 * Indirect branches of root mode must not follow what guests taught the predictor. In this order: enhanced IBRS, which
 * stays on; IBRS, written after each exit, where a retpoline does not help because its RET may be predicted as an indirect
 * branch; retpoline.
 */
static void decide_spectre_v2(struct decision *d)
{
	struct mitigate_measures *m = &d->out->measures;
	bool ibrs = d->cpu->edx7 & EDX7_IBRS_IBPB;

	m->ibpb = ibrs;
	if (d->eibrs) {
		m->spec_ctrl |= SPEC_CTRL_IBRS;
		done(d, VULN_SPECTRE_V2, "enhanced IBRS always on, IBPB at VM switches");
	} else if (ibrs && (d->traits & RSB_UNDERFLOWS || has(d, CAP_RSBA))) {
		m->ibrs_at_exit = true;
		done(d, VULN_SPECTRE_V2, "IBRS after exits, IBPB at VM switches");
	} else {
		m->thunk = THUNK_RETPOLINE;
		if (ibrs)
			done(d, VULN_SPECTRE_V2, "retpolines, IBPB at VM switches");
		else
			missing(d, VULN_SPECTRE_V2, "IBPB; retpolines are used");
	}
}

static void decide_bhi(struct decision *d)
{
	if (has(d, CAP_BHI_NO)) {
		not_needed(d, VULN_BHI, "BHI_NO");
	} else if (!d->eibrs) {
		not_needed(d, VULN_BHI, "only with enhanced IBRS");
	} else if (d->cpu->edx7_2 & EDX7_2_BHI_CTRL) {
		d->out->measures.spec_ctrl |= SPEC_CTRL_BHI_DIS_S;
		done(d, VULN_BHI, "BHI_DIS_S always on");
	} else if (d->traits & LONG_HISTORY) {
		missing(d, VULN_BHI, "BHI_DIS_S");
	} else {
		d->out->measures.bhb_clear = true;
		done(d, VULN_BHI, "branch history overwritten after exits");
	}
}

/* An Atom core: of a model that has no others, or Gracemont beside Core cores. A hypervisor may move its CPUs from one kind to
 * the other. */
static bool is_atom(const struct decision *d)
{
	return d->traits & IS_ATOM ||
	       (d->traits & PRONE_RFDS && d->cpu->core_type == CORE_TYPE_ATOM && !d->cpu->hypervisor);
}

/* With enhanced IBRS on the CPU keeps guests' return predictions out of root mode, but for one (PBRSB). */
static void decide_returns(struct decision *d)
{
	if (d->eibrs) {
		not_needed(d, VULN_RSB, "enhanced IBRS");
	} else {
		d->out->measures.rsb_fill = true;
		done(d, VULN_RSB, "return predictions replaced after exits");
	}
	if (!d->eibrs) {
		not_needed(d, VULN_PBRSB, "only with enhanced IBRS");
	} else if (has(d, CAP_PBRSB_NO) || is_atom(d)) {
		not_needed(d, VULN_PBRSB, has(d, CAP_PBRSB_NO) ? "PBRSB_NO" : WHY_MODEL);
	} else {
		d->out->measures.rsb_one = true;
		done(d, VULN_PBRSB, "a CALL and LFENCE after exits");
	}
	if (d->eibrs)
		not_needed(d, VULN_RSBA, "enhanced IBRS");
	else if (!(d->traits & RSB_UNDERFLOWS) && !has(d, CAP_RSBA))
		not_needed(d, VULN_RSBA, WHY_MODEL);
	else if (d->out->measures.ibrs_at_exit)
		done(d, VULN_RSBA, "IBRS after exits");
	else
		missing(d, VULN_RSBA, "IBRS");
}

/* ITS spoils enhanced IBRS: in the lower half of a cache line, root mode's indirect branches, and its RETs beyond the return
 * predictions, can be predicted from a guest's branches. CPUs with BHI_CTRL are later ones. On most of these models IBPB,
 * too, leaves such predictions behind unless the microcode is of 2025 or later; no bit says whether it is. */
static void decide_its(struct decision *d)
{
	if (has(d, CAP_ITS_NO) || d->cpu->edx7_2 & EDX7_2_BHI_CTRL) {
		d->out->its_no = true;
		not_needed(d, VULN_ITS, has(d, CAP_ITS_NO) ? "ITS_NO" : WHY_MODEL);
	} else if (d->traits & PRONE_ITS && d->eibrs) {
		d->out->measures.thunk = THUNK_ITS;
		d->out->measures.return_thunk = true;
		done(d, VULN_ITS,
			"branches and returns in upper halves of cache lines; IBPB by microcode of 2025");
	} else if (d->traits & PRONE_ITS) {
		not_needed(d, VULN_ITS, "only with enhanced IBRS");
	} else if (d->traits & PRONE_ITS_IBPB) {
		not_needed(d, VULN_ITS, "only within a guest; IBPB by microcode of 2025");
	} else {
		not_needed(d, VULN_ITS, d->traits & PRONE_ITS_NATIVE ? "only within a guest" : WHY_MODEL);
	}
}

static void decide_l1tf(struct decision *d)
{
	if (has(d, CAP_RDCL_NO)) {
		not_needed(d, VULN_L1TF, "RDCL_NO");
	} else if (!(d->traits & PRONE_L1TF)) {
		not_needed(d, VULN_L1TF, WHY_MODEL);
	} else if (has(d, CAP_SKIP_L1DFL)) {
		d->out->core_of_its_own = true;
		not_needed(d, VULN_L1TF, "the hypervisor below flushes");
	} else {
		d->out->core_of_its_own = true;
		d->out->measures.l1d_flush = d->cpu->edx7 & EDX7_L1D_FLUSH;
		d->out->measures.l1d_read = !d->out->measures.l1d_flush;
		if (d->out->measures.l1d_flush)
			done(d, VULN_L1TF, "L1D flush at VM switches");
		else
			done(d, VULN_L1TF, "L1D overwritten by reads at VM switches");
	}
}

/* The vulnerability is dealt with by VERW where `clears` (the microcode has VERW overwrite the buffers in question). */
static void decide_verw(struct decision *d, enum vulnerability v, bool clears, const char *needs)
{
	if (clears) {
		d->out->measures.verw = true;
		done(d, v, "VERW at VM switches");
	} else {
		missing(d, v, needs);
	}
}

static bool md_clear(const struct decision *d)
{
	return d->cpu->edx7 & EDX7_MD_CLEAR;
}

static void decide_mds(struct decision *d)
{
	if (has(d, CAP_MDS_NO)) {
		not_needed(d, VULN_MDS, "MDS_NO");
	} else if (!(d->traits & PRONE_MDS)) {
		not_needed(d, VULN_MDS, WHY_MODEL);
	} else {
		d->out->core_of_its_own = true;
		decide_verw(d, VULN_MDS, md_clear(d), "MD_CLEAR");
	}
}

/* Guests are not shown TSX (hv/vm/guest_cpuid.c), so it can be switched off under them. */
static void decide_taa(struct decision *d)
{
	if (has(d, CAP_TAA_NO)) {
		not_needed(d, VULN_TAA, "TAA_NO");
	} else if (!(d->cpu->ebx7 & EBX7_RTM) || d->cpu->edx7 & EDX7_RTM_ALWAYS_ABORT) {
		not_needed(d, VULN_TAA, "no TSX");
	} else if (has(d, CAP_TSX_CTRL)) {
		d->out->measures.tsx_off = true;
		done(d, VULN_TAA, "TSX off");
	} else {
		d->out->core_of_its_own = true;
		/* With MDS_NO, VERW clears for TAA's sake only if the microcode has TSX_CTRL, too. */
		decide_verw(d, VULN_TAA, md_clear(d) && !has(d, CAP_MDS_NO), "TSX_CTRL");
	}
}

static void decide_mmio(struct decision *d)
{
	if (has(d, CAP_MMIO_ALL_NO))
		not_needed(d, VULN_MMIO, "SBDR_SSDP_NO, FBSDP_NO, PSDP_NO");
	else if (!(d->traits & PRONE_MMIO))
		not_needed(d, VULN_MMIO, WHY_MODEL);
	else
		decide_verw(d, VULN_MMIO,
			has(d, CAP_FB_CLEAR) ||
				(md_clear(d) && d->cpu->edx7 & EDX7_L1D_FLUSH && !has(d, CAP_MDS_NO)),
			"FB_CLEAR");
}

/*
 * On hybrid CPUs only the Atom cores. The models that can be hybrid and are not have cores of one kind, which CPUID.1AH names;
 * without that leaf they are Core cores. A hypervisor may hide that a CPU is hybrid, and shows RFDS_CLEAR on other models,
 * too, if its guests may come to a CPU that needs it.
 */
static void decide_rfds(struct decision *d)
{
	bool may_be_core = d->traits & PRONE_RFDS && !(d->traits & IS_ATOM);
	bool core = d->cpu->core_type == CORE_TYPE_CORE ||
		    (!d->cpu->core_type && !(d->cpu->edx7 & EDX7_HYBRID) && !d->cpu->hypervisor);

	if (has(d, CAP_RFDS_NO))
		not_needed(d, VULN_RFDS, "RFDS_NO");
	else if (!(d->traits & PRONE_RFDS) && !has(d, CAP_RFDS_CLEAR))
		not_needed(d, VULN_RFDS, WHY_MODEL);
	else if (may_be_core && core)
		not_needed(d, VULN_RFDS, "no Atom core");
	else
		decide_verw(d, VULN_RFDS, has(d, CAP_RFDS_CLEAR), "RFDS_CLEAR");
}

static void decide_gds(struct decision *d)
{
	if (has(d, CAP_GDS_NO)) {
		not_needed(d, VULN_GDS, "GDS_NO");
	} else if (!(d->traits & PRONE_GDS)) {
		not_needed(d, VULN_GDS, WHY_MODEL);
	} else if (has(d, CAP_GDS_CTRL)) {
		d->out->measures.gds_lock = true;
		done(d, VULN_GDS, "by the microcode, locked");
	} else {
		d->out->core_of_its_own = true;
		missing(d, VULN_GDS, "GDS_CTRL");
	}
}

/* A CPU with MDS_NO and without TSX has no way to the buffer (Intel's guidance on SRBDS) but device memory, which guests
 * are not given. */
static void decide_srbds(struct decision *d)
{
	bool tsx = d->cpu->ebx7 & EBX7_RTM && !has(d, CAP_TAA_NO);

	if (!(d->traits & PRONE_SRBDS)) {
		not_needed(d, VULN_SRBDS, WHY_MODEL);
	} else if (has(d, CAP_MDS_NO) && (!tsx || d->out->measures.tsx_off)) {
		not_needed(d, VULN_SRBDS, "MDS_NO");
	} else if (d->cpu->edx7 & EDX7_SRBDS_CTRL) {
		d->out->measures.rngds = true;
		done(d, VULN_SRBDS, "by the microcode");
	} else {
		missing(d, VULN_SRBDS, "SRBDS_CTRL");
	}
}

void mitigate_decide(const struct mitigate_cpu *cpu, struct mitigations *out)
{
	struct decision d = { .cpu = cpu, .traits = speculation_traits(cpu), .out = out };

	memset(out, 0, sizeof(*out));
	d.eibrs = cpu->edx7 & EDX7_IBRS_IBPB && has(&d, CAP_IBRS_ALL);
	if (d.traits & IN_ORDER) {
		for (unsigned v = 0; v < VULNS; v++)
			not_needed(&d, v, WHY_IN_ORDER);
		return;
	}
	decide_spectre_v2(&d);
	decide_bhi(&d);
	decide_returns(&d);
	decide_its(&d);
	decide_l1tf(&d);
	decide_mds(&d);
	decide_taa(&d);
	decide_mmio(&d);
	decide_rfds(&d);
	decide_gds(&d);
	decide_srbds(&d);
}

void mitigate_add_all(const struct mitigate_cpu *cpu, struct mitigations *out)
{
	struct mitigate_measures *m = &out->measures;

	m->thunk = THUNK_RETPOLINE;
	m->return_thunk = true;
	m->rsb_fill = m->rsb_one = m->bhb_clear = m->verw = true;
	m->ibpb = m->ibrs_at_exit = cpu->edx7 & EDX7_IBRS_IBPB;
	m->l1d_flush = cpu->edx7 & EDX7_L1D_FLUSH;
	m->l1d_read = !m->l1d_flush;
	m->spec_ctrl &= ~(uint64_t)SPEC_CTRL_IBRS; /* written at each exit instead */
	m->tsx_off = cpu->arch_capabilities & CAP_TSX_CTRL;
	m->gds_lock = cpu->arch_capabilities & CAP_GDS_CTRL;
	m->rngds = cpu->edx7 & EDX7_SRBDS_CTRL;
	out->core_of_its_own = true;
}

/* ---- in words ---- */

static const char *vulnerability_name(enum vulnerability v)
{
	static const char *const names[VULNS] = {
		[VULN_SPECTRE_V2] = "Spectre v2",
		[VULN_BHI] = "BHI",
		[VULN_RSB] = "RSB",
		[VULN_PBRSB] = "PBRSB",
		[VULN_RSBA] = "RSBA",
		[VULN_ITS] = "ITS",
		[VULN_L1TF] = "L1TF",
		[VULN_MDS] = "MDS",
		[VULN_TAA] = "TAA",
		[VULN_MMIO] = "MMIO stale data",
		[VULN_RFDS] = "RFDS",
		[VULN_GDS] = "GDS",
		[VULN_SRBDS] = "SRBDS",
	};

	return names[v];
}

static bool same(const struct mitigations *m, unsigned v, unsigned w)
{
	return m->of[v].verdict == m->of[w].verdict && !strcmp(m->of[v].how, m->of[w].how);
}

static bool told_before(const struct mitigations *m, unsigned v)
{
	for (unsigned w = 0; w < v; w++)
		if (same(m, v, w))
			return true;
	return false;
}

unsigned mitigate_describe(
	const struct mitigations *m, enum mitigate_verdict verdict, char *text, size_t size)
{
	unsigned n = 0;
	size_t at = 0;

	text[0] = 0;
	for (unsigned v = 0; v < VULNS; v++) {
		if (m->of[v].verdict != verdict || told_before(m, v))
			continue;
		for (unsigned w = v; w < VULNS; w++)
			if (same(m, v, w))
				at += (size_t)fmt_snprintf(text + min(at, size), size - min(at, size), "%s%s",
					n++ ? ", " : "", vulnerability_name(w));
		at += (size_t)fmt_snprintf(text + min(at, size), size - min(at, size), " (%s)", m->of[v].how);
	}
	return n;
}

bool mitigations_equal(const struct mitigations *a, const struct mitigations *b)
{
	for (unsigned v = 0; v < VULNS; v++)
		if (a->of[v].verdict != b->of[v].verdict || strcmp(a->of[v].how, b->of[v].how) != 0)
			return false;
	return true;
}

uint64_t guest_spec_ctrl_bits(uint32_t edx7)
{
	return (edx7 & BITS(27, 26) ? BITS(1, 0) : 0) | (edx7 & BIT(31) ? BIT(2) : 0);
}
