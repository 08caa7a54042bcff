/* SPDX-License-Identifier: MIT */
/* What is needed against speculation on CPUs of each kind, without and with the microcode that knows of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "hv/host/mitigate_pure.h"
#include "lib/bits.h"

/* CPUID.7.0:EDX. 2018: IBRS, IBPB, STIBP, L1D_FLUSH, SSBD; 2019: and MD_CLEAR; 2020: and SRBDS_CTRL. */
#define EDX_2018   (BIT(26) | BIT(27) | BIT(28) | BIT(31))
#define EDX_2019   (EDX_2018 | BIT(10))
#define EDX_2020   (EDX_2019 | BIT(9))
#define EDX_CAPS   BIT(29)
#define EDX_HYBRID BIT(15)
#define RTM	   BIT(11)
#define BHI_CTRL   BIT(4)
#define ATOM	   0x20
#define CORE	   0x40

/* IA32_ARCH_CAPABILITIES. */
#define RDCL_NO	   BIT(0)
#define IBRS_ALL   BIT(1)
#define RSBA	   BIT(2)
#define SKIP_L1DFL BIT(3)
#define MDS_NO	   BIT(5)
#define TSX_CTRL   BIT(7)
#define TAA_NO	   BIT(8)
#define MMIO_NO	   BITS(15, 13)
#define FB_CLEAR   BIT(17)
#define RRSBA	   BIT(19)
#define BHI_NO	   BIT(20)
#define PBRSB_NO   BIT(24)
#define GDS_CTRL   BIT(25)
#define GDS_NO	   BIT(26)
#define RFDS_NO	   BIT(27)
#define RFDS_CLEAR BIT(28)
#define ITS_NO	   BIT(62)

#define CLX_CAPS  (RDCL_NO | IBRS_ALL | SKIP_L1DFL | MDS_NO | TSX_CTRL)
#define COVE_CAPS (RDCL_NO | IBRS_ALL | SKIP_L1DFL | MDS_NO | TAA_NO)
#define NEW_CAPS  (COVE_CAPS | MMIO_NO | RRSBA | GDS_NO)

enum {
	OWN = 1,	      /* expected: a core may run one VM only */
	UNDER_HYPERVISOR = 2, /* input */
	OTHER_VENDOR = 4,     /* input */
};

struct row {
	const char *name;
	uint32_t signature;
	uint64_t edx, ebx, edx2, caps;
	uint8_t core_type;
	const char
		*verdicts; /* in the order of enum vulnerability: + done, ! microcode missing, - not needed */
	const char *measures;
	unsigned flags;
};

/* clang-format off */
static const struct row rows[] = {
	/*                                     v2 BHI RSB PBRSB RSBA ITS L1TF MDS TAA MMIO RFDS GDS SRBDS */
	{ "Nehalem as it was sold", 0x106a5, 0, 0, 0, 0, 0, "!-+---+!-----", "retpoline fill read", OWN },
	{ "Nehalem", 0x106a5, EDX_2018, 0, 0, 0, 0, "+-+---+!-----", "retpoline fill ibpb l1d", OWN },
	{ "Lynnfield", 0x106e5, EDX_2019, 0, 0, 0, 0, "+-+---++-----", "retpoline fill ibpb l1d verw", OWN },
	{ "Nehalem-EX", 0x206e6, 0, 0, 0, 0, 0, "!-+---+!-----", "retpoline fill read", OWN },
	{ "Arrandale", 0x20655, EDX_2019, 0, 0, 0, 0, "+-+---++-----", "retpoline fill ibpb l1d verw", OWN },
	{ "Westmere-EP", 0x206c2, EDX_2018, 0, 0, 0, 0, "+-+---+!-----", "retpoline fill ibpb l1d", OWN },
	{ "Westmere-EX", 0x206f2, 0, 0, 0, 0, 0, "!-+---+!-----", "retpoline fill read", OWN },
	{ "Sandy Bridge", 0x206a7, EDX_2019, 0, 0, 0, 0, "+-+---++-----", "retpoline fill ibpb l1d verw", OWN },
	{ "Sandy Bridge-EP", 0x206d7, EDX_2019, 0, 0, 0, 0, "+-+---++-----", "retpoline fill ibpb l1d verw", OWN },
	{ "Ivy Bridge of 2019", 0x306a9, EDX_2019, 0, 0, 0, 0, "+-+---++----!", "retpoline fill ibpb l1d verw", OWN },
	{ "Ivy Bridge", 0x306a9, EDX_2020, 0, 0, 0, 0, "+-+---++----+", "retpoline fill ibpb l1d verw rngds", OWN },
	{ "Ivy Bridge-EP", 0x306e4, EDX_2019, 0, 0, 0, 0, "+-+---++-----", "retpoline fill ibpb l1d verw", OWN },
	{ "Haswell as it was sold", 0x306c3, 0, RTM, 0, 0, 0, "!-+---+!!---!", "retpoline fill read", OWN },
	{ "Haswell", 0x306c3, EDX_2020, 0, 0, 0, 0, "+-+---++----+", "retpoline fill ibpb l1d verw rngds", OWN },
	{ "Haswell with TSX", 0x306c3, EDX_2020, RTM, 0, 0, 0, "+-+---+++---+", "retpoline fill ibpb l1d verw rngds", OWN },
	{ "Haswell-EP", 0x306f2, EDX_2019, 0, 0, 0, 0, "+-+---++-+---", "retpoline fill ibpb l1d verw", OWN },
	{ "Broadwell", 0x306d4, EDX_2020, 0, 0, 0, 0, "+-+---++----+", "retpoline fill ibpb l1d verw rngds", OWN },
	{ "Broadwell-EP", 0x406f1, EDX_2019, RTM, 0, 0, 0, "+-+---++++---", "retpoline fill ibpb l1d verw", OWN },
	{ "Broadwell-DE", 0x50663, EDX_2019, RTM, 0, 0, 0, "+-+---++++---", "retpoline fill ibpb l1d verw", OWN },
	{ "Skylake as it was sold", 0x506e3, 0, RTM, 0, 0, 0, "!-+-!-+!!!-!!", "retpoline fill read", OWN },
	{ "Skylake", 0x506e3, EDX_2020 | EDX_CAPS | BIT(11), RTM, 0, RSBA | GDS_CTRL, 0, "+-+-+-++-+-++",
		"ibrs fill ibpb l1d verw gds rngds", OWN },
	{ "Skylake-U", 0x406e3, EDX_2020, 0, 0, 0, 0, "+-+-+-++-+-!+", "ibrs fill ibpb l1d verw rngds", OWN },
	{ "Skylake-SP as it was sold", 0x50654, 0, RTM, 0, 0, 0, "!-+-!-+!!!-!-", "retpoline fill read", OWN },
	{ "Skylake-SP", 0x50654, EDX_2019 | EDX_CAPS, RTM, 0, RSBA | FB_CLEAR | GDS_CTRL, 0, "+-+-+-++++-+-",
		"ibrs fill ibpb l1d verw gds", OWN },
	{ "Kaby Lake", 0x906e9, EDX_2020 | EDX_CAPS, 0, 0, RSBA | GDS_CTRL, 0, "+-+-+-++-+-++",
		"ibrs fill ibpb l1d verw gds rngds", OWN },
	{ "Coffee Lake of 2019", 0x906ea, EDX_2019, RTM, 0, 0, 0, "+-+-+-++++-!!", "ibrs fill ibpb l1d verw", OWN },
	{ "Coffee Lake Refresh", 0x906ed, EDX_2020 | EDX_CAPS, RTM, 0, CLX_CAPS | FB_CLEAR | GDS_CTRL, 0, "++-+-+--++-+-",
		"eibrs its ret one bhb ibpb verw tsx gds", 0 },
	{ "Whiskey Lake", 0x806eb, EDX_2020 | EDX_CAPS, 0, 0, RDCL_NO | RSBA | SKIP_L1DFL | GDS_CTRL, 0, "+-+-+--+-+-++",
		"ibrs fill ibpb verw gds rngds", OWN },
	{ "Comet Lake-U, stepping 12", 0x806ec, EDX_2020 | EDX_CAPS, 0, 0, CLX_CAPS | FB_CLEAR | GDS_CTRL, 0,
		"++-+-+---+-+-", "eibrs its ret one bhb ibpb verw gds", 0 },
	{ "Cascade Lake as it was sold", 0x50657, EDX_2018 | EDX_CAPS, RTM, 0, RDCL_NO | IBRS_ALL | SKIP_L1DFL | MDS_NO, 0,
		"++-+-+--!!-!-", "eibrs its ret one bhb ibpb", OWN },
	{ "Cascade Lake of spring 2019", 0x50657, EDX_2019 | EDX_CAPS, RTM, 0, RDCL_NO | IBRS_ALL | SKIP_L1DFL | MDS_NO, 0,
		"++-+-+--!!-!-", "eibrs its ret one bhb ibpb", OWN },
	{ "Cascade Lake", 0x50657, EDX_2019 | EDX_CAPS, RTM, 0, CLX_CAPS | FB_CLEAR | RRSBA | GDS_CTRL, 0, "++-+-+--++-+-",
		"eibrs its ret one bhb ibpb verw tsx gds", 0 },
	{ "Cooper Lake", 0x5065b, EDX_2019 | EDX_CAPS, RTM, 0, CLX_CAPS | TAA_NO | FB_CLEAR | GDS_CTRL, 0, "++-+-+---+-+-",
		"eibrs its ret one bhb ibpb verw gds", 0 },
	{ "Comet Lake", 0xa0655, EDX_2019 | EDX_CAPS, 0, 0, CLX_CAPS | FB_CLEAR | GDS_CTRL, 0, "++-+-+---+-+-",
		"eibrs its ret one bhb ibpb verw gds", 0 },
	{ "Comet Lake-U", 0xa0661, EDX_2019 | EDX_CAPS, 0, 0, CLX_CAPS | FB_CLEAR | GDS_CTRL, 0, "++-+-+---+-+-",
		"eibrs its ret one bhb ibpb verw gds", 0 },
	{ "Ice Lake-U without IA32_ARCH_CAPABILITIES", 0x706e5, 0, 0, 0, 0, 0, "!-+------!-!-", "retpoline fill", OWN },
	{ "Ice Lake-U", 0x706e5, EDX_2019 | EDX_CAPS, 0, 0, COVE_CAPS | FB_CLEAR | GDS_CTRL, 0, "++-+-----+-+-",
		"eibrs one bhb ibpb verw gds", 0 },
	{ "Ice Lake-SP", 0x606a6, EDX_2019 | EDX_CAPS, RTM, 0, COVE_CAPS | FB_CLEAR | GDS_CTRL, 0, "++-+-----+-+-",
		"eibrs one bhb ibpb verw gds", 0 },
	{ "Rocket Lake", 0xa0671, EDX_2019 | EDX_CAPS, 0, 0, COVE_CAPS | FB_CLEAR | GDS_CTRL, 0, "++-+-----+-+-",
		"eibrs one bhb ibpb verw gds", 0 },
	{ "Tiger Lake as it was sold", 0x806c1, EDX_2019 | EDX_CAPS, 0, 0, COVE_CAPS, 0, "++-+-------!-", "eibrs one bhb ibpb", OWN },
	{ "Tiger Lake", 0x806c1, EDX_2019 | EDX_CAPS, 0, 0, COVE_CAPS | MMIO_NO | GDS_CTRL, 0, "++-+-------+-",
		"eibrs one bhb ibpb gds", 0 },
	{ "Alder Lake, Core", 0x90672, EDX_2019 | EDX_CAPS | EDX_HYBRID, 0, BHI_CTRL, NEW_CAPS, CORE, "++-+---------",
		"eibrs bhi one ibpb", 0 },
	{ "Alder Lake, Atom", 0x90672, EDX_2019 | EDX_CAPS | EDX_HYBRID, 0, BHI_CTRL, NEW_CAPS | PBRSB_NO | RFDS_CLEAR, ATOM,
		"++--------+--", "eibrs bhi ibpb verw", 0 },
	{ "Alder Lake, Atom, of 2022", 0x90672, EDX_2019 | EDX_CAPS | EDX_HYBRID, 0, BHI_CTRL, NEW_CAPS, ATOM,
		"++--------!--", "eibrs bhi ibpb", 0 },
	{ "Alder Lake without Atom cores", 0x90675, EDX_2019 | EDX_CAPS, 0, BHI_CTRL, NEW_CAPS, 0, "++-+---------",
		"eibrs bhi one ibpb", 0 },
	{ "Alder Lake without Core cores", 0x906a4, EDX_2019 | EDX_CAPS, 0, BHI_CTRL, NEW_CAPS | RFDS_CLEAR, ATOM,
		"++--------+--", "eibrs bhi ibpb verw", 0 },
	{ "Alder Lake as a hypervisor shows it", 0x90672, EDX_2019 | EDX_CAPS, 0, 0, NEW_CAPS, 0, "+!-+------!--",
		"eibrs one ibpb", UNDER_HYPERVISOR },
	{ "Raptor Lake, Core", 0xb06a2, EDX_2019 | EDX_CAPS | EDX_HYBRID, 0, BHI_CTRL, NEW_CAPS | PBRSB_NO | RFDS_NO, CORE,
		"++-----------", "eibrs bhi ibpb", 0 },
	{ "Gracemont (Alder Lake-N)", 0xb06e0, EDX_2019 | EDX_CAPS, 0, BHI_CTRL, NEW_CAPS | RFDS_CLEAR, 0, "++--------+--",
		"eibrs bhi ibpb verw", 0 },
	{ "Sapphire Rapids", 0x806f8, EDX_2019 | EDX_CAPS, RTM, BHI_CTRL, NEW_CAPS | PBRSB_NO, 0, "++-----------",
		"eibrs bhi ibpb", 0 },
	{ "Sapphire Rapids as it was sold", 0x806f6, EDX_2019 | EDX_CAPS, RTM, 0, NEW_CAPS, 0, "+!-+---------",
		"eibrs one ibpb", 0 },
	{ "Emerald Rapids", 0xc06f2, EDX_2019 | EDX_CAPS, RTM, BHI_CTRL, NEW_CAPS | PBRSB_NO | ITS_NO, 0, "++-----------",
		"eibrs bhi ibpb", 0 },
	{ "Emerald Rapids of 2024", 0xc06f2, EDX_2019 | EDX_CAPS, RTM, BHI_CTRL, NEW_CAPS, 0, "++-+---------",
		"eibrs bhi one ibpb", 0 },
	{ "Granite Rapids", 0xa06d1, EDX_2019 | EDX_CAPS, RTM, BHI_CTRL, NEW_CAPS | PBRSB_NO | RFDS_NO | ITS_NO, 0,
		"++-----------", "eibrs bhi ibpb", 0 },
	{ "Lunar Lake, Core", 0xb06d1, EDX_2019 | EDX_CAPS | EDX_HYBRID, 0, BHI_CTRL, NEW_CAPS | RFDS_NO, CORE,
		"++-+---------", "eibrs bhi one ibpb", 0 },
	{ "Meteor Lake", 0xa06a4, EDX_2019 | EDX_CAPS | EDX_HYBRID, 0, BHI_CTRL, NEW_CAPS | PBRSB_NO | RFDS_NO, CORE,
		"++-----------", "eibrs bhi ibpb", 0 },
	{ "Arrow Lake", 0xc0662, EDX_2019 | EDX_CAPS | EDX_HYBRID, 0, BHI_CTRL, NEW_CAPS | PBRSB_NO | RFDS_NO | BHI_NO, ATOM,
		"+------------", "eibrs ibpb", 0 },
	{ "Bonnell", 0x106ca, 0, 0, 0, 0, 0, "-------------", "", 0 },
	{ "Silvermont", 0x50678, EDX_2019, 0, 0, 0, 0, "+-+----+-----", "retpoline fill ibpb verw", OWN },
	{ "Airmont of 2019", 0x70650, EDX_2019, 0, 0, 0, 0, "+-+----+-----", "retpoline fill ibpb verw", OWN },
	{ "Goldmont", 0x506c9, EDX_2018, 0, 0, 0, 0, "+-+-------!--", "retpoline fill ibpb", 0 },
	{ "Goldmont Plus", 0x706a8, EDX_2019 | EDX_CAPS, 0, 0, RDCL_NO | IBRS_ALL | MDS_NO | TAA_NO | RFDS_CLEAR, 0,
		"++--------+--", "eibrs bhb ibpb verw", 0 },
	{ "Tremont (Elkhart Lake)", 0x90661, EDX_2019 | EDX_CAPS, 0, 0, COVE_CAPS | FB_CLEAR | RFDS_CLEAR, 0, "++-------++--",
		"eibrs bhb ibpb verw", 0 },
	{ "Tremont (Jasper Lake) of 2021", 0x906c0, EDX_2018 | EDX_CAPS, 0, 0, COVE_CAPS, 0, "++-------!!--", "eibrs bhb ibpb", 0 },
	{ "a model that is not listed, without bits", 0x1006f0, 0, 0, 0, 0, 0, "!-+---+!-----", "retpoline fill read", OWN },
	{ "a model that is not listed", 0x1006f0, EDX_2019 | EDX_CAPS, 0, BHI_CTRL, NEW_CAPS | PBRSB_NO, 0, "++-----------",
		"eibrs bhi ibpb", 0 },
	{ "Sapphire Rapids beside CPUs that need RFDS_CLEAR", 0x806f8, EDX_2019 | EDX_CAPS, 0, BHI_CTRL,
		NEW_CAPS | PBRSB_NO | RFDS_CLEAR, 0, "++--------+--", "eibrs bhi ibpb verw", UNDER_HYPERVISOR },
	{ "another vendor's of Nehalem's numbers", 0x106a5, EDX_2019 | EDX_CAPS, 0, 0, RDCL_NO | MDS_NO, 0, "+-+----------",
		"retpoline fill ibpb", OTHER_VENDOR },
	{ "Sapphire Rapids under a hypervisor that hides IBRS", 0x806f8, EDX_CAPS, 0, 0, NEW_CAPS, 0, "!-+----------",
		"retpoline fill", UNDER_HYPERVISOR },
	{ "Skylake-SP under a hypervisor that flushes", 0x50654, EDX_2019 | EDX_CAPS, 0, 0, RSBA | SKIP_L1DFL | FB_CLEAR, 0,
		"+-+-+--+-+-!-", "ibrs fill ibpb verw", OWN | UNDER_HYPERVISOR },
};
/* clang-format on */

static struct mitigate_cpu cpu_of(const struct row *r)
{
	return (struct mitigate_cpu){
		.intel = !(r->flags & OTHER_VENDOR),
		.hypervisor = r->flags & UNDER_HYPERVISOR,
		.signature = r->signature,
		.ebx7 = (uint32_t)r->ebx,
		.edx7 = (uint32_t)r->edx,
		.edx7_2 = (uint32_t)r->edx2,
		.core_type = r->core_type,
		.arch_capabilities = r->caps,
	};
}

static void measures_text(const struct mitigate_measures *m, char *text, size_t size)
{
	static const char *const thunks[] = { "", " lfence", " retpoline", " its" };

	snprintf(text, size, "%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s", m->spec_ctrl & SPEC_CTRL_IBRS ? " eibrs" : "",
		m->spec_ctrl & SPEC_CTRL_BHI_DIS_S ? " bhi" : "", thunks[m->thunk],
		m->return_thunk ? " ret" : "", m->ibrs_at_exit ? " ibrs" : "", m->rsb_fill ? " fill" : "",
		m->rsb_one ? " one" : "", m->bhb_clear ? " bhb" : "", m->ibpb ? " ibpb" : "",
		m->l1d_flush ? " l1d" : "", m->l1d_read ? " read" : "", m->verw ? " verw" : "",
		m->tsx_off ? " tsx" : "", m->gds_lock ? " gds" : "", m->rngds ? " rngds" : "");
}

static void verdicts_and_measures_of_each_cpu(void **state)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *r = &rows[i];
		struct mitigate_cpu cpu = cpu_of(r);
		struct mitigations m;
		char verdicts[VULNS + 1] = { 0 }, measures[128];

		mitigate_decide(&cpu, &m);
		for (unsigned v = 0; v < VULNS; v++)
			verdicts[v] = "-+!"[m.of[v].verdict];
		measures_text(&m.measures, measures, sizeof(measures));
		if (strcmp(verdicts, r->verdicts) != 0 ||
			strcmp(measures[0] ? measures + 1 : "", r->measures) != 0 ||
			m.core_of_its_own != !!(r->flags & OWN)) {
			print_error("%s (%x):\n  got  \"%s\", \"%s\"%s\n  want \"%s\", \"%s\"%s\n", r->name,
				r->signature, verdicts, measures[0] ? measures + 1 : "",
				m.core_of_its_own ? ", OWN" : "", r->verdicts, r->measures,
				r->flags & OWN ? ", OWN" : "");
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

/* The log names each vulnerability exactly once, with how. */
static void each_mitigation_is_reported_once(void **state)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct mitigate_cpu cpu = cpu_of(&rows[i]);
		struct mitigations m;
		unsigned n = 0;
		char text[512];

		mitigate_decide(&cpu, &m);
		for (unsigned verdict = 0; verdict <= MITIGATE_MICROCODE_MISSING; verdict++) {
			n += mitigate_describe(&m, verdict, text, sizeof(text));
			assert_true(strlen(text) < 440); /* a line of the log has 512 bytes */
		}
		assert_int_equal(n, VULNS);
		for (unsigned v = 0; v < VULNS; v++)
			assert_non_null(m.of[v].how);
	}
}

static void expect_text(const struct mitigations *m, enum mitigate_verdict verdict, const char *want)
{
	char text[512];

	mitigate_describe(m, verdict, text, sizeof(text));
	assert_string_equal(text, want);
}

static void mitigations_are_reported_as_text(void **state)
{
	struct mitigate_cpu cpu = { .intel = true, .signature = 0x50654, .edx7 = EDX_2018 };
	struct mitigations m;
	char few[20];

	mitigate_decide(&cpu, &m);
	expect_text(&m, MITIGATE_DONE,
		"Spectre v2 (IBRS after exits, IBPB at VM switches), RSB (return predictions replaced after exits), RSBA (IBRS after exits), L1TF (L1D flush at VM switches)");
	expect_text(
		&m, MITIGATE_MICROCODE_MISSING, "MDS (MD_CLEAR), MMIO stale data (FB_CLEAR), GDS (GDS_CTRL)");
	expect_text(&m, MITIGATE_NOT_NEEDED,
		"BHI, PBRSB (only with enhanced IBRS), ITS, RFDS, SRBDS (not this CPU model), TAA (no TSX)");
	assert_int_equal(mitigate_describe(&m, MITIGATE_DONE, few, sizeof(few)), 4);
	assert_string_equal(few, "Spectre v2 (IBRS af");
}

/* `mitigations = all` never asks for a register that the CPU does not have. */
static void all_measures_that_the_cpu_has(void **state)
{
	struct mitigate_cpu cpu = { .intel = true, .signature = 0x106a5 };
	struct mitigations m;
	char text[128];

	mitigate_decide(&cpu, &m);
	mitigate_add_all(&cpu, &m);
	measures_text(&m.measures, text, sizeof(text));
	assert_string_equal(text, " retpoline ret fill one bhb read verw");
	assert_true(m.core_of_its_own);
	cpu = (struct mitigate_cpu){ .intel = true,
		.signature = 0x806f8,
		.edx7 = EDX_2020 | EDX_CAPS,
		.edx7_2 = BHI_CTRL,
		.arch_capabilities = NEW_CAPS | TSX_CTRL | GDS_CTRL };
	mitigate_decide(&cpu, &m);
	mitigate_add_all(&cpu, &m);
	measures_text(&m.measures, text, sizeof(text));
	assert_string_equal(text, " bhi retpoline ret ibrs fill one bhb ibpb l1d verw tsx gds rngds");
}

static void cpus_that_differ_have_unequal_mitigations(void **state)
{
	struct mitigate_cpu core = { .intel = true,
		.signature = 0x90672,
		.edx7 = EDX_2019 | EDX_CAPS | EDX_HYBRID,
		.edx7_2 = BHI_CTRL,
		.arch_capabilities = NEW_CAPS | RFDS_CLEAR,
		.core_type = CORE };
	struct mitigate_cpu atom = core;
	struct mitigations a, b;

	atom.core_type = ATOM;
	mitigate_decide(&core, &a);
	mitigate_decide(&core, &b);
	assert_true(mitigations_equal(&a, &b));
	mitigate_decide(&atom, &b);
	assert_false(mitigations_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_and_measures_of_each_cpu),
		cmocka_unit_test(each_mitigation_is_reported_once),
		cmocka_unit_test(mitigations_are_reported_as_text),
		cmocka_unit_test(all_measures_that_the_cpu_has),
		cmocka_unit_test(cpus_that_differ_have_unequal_mitigations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
