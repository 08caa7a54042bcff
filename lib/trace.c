/* SPDX-License-Identifier: MIT */
/* The trace ring: a fixed array per CPU, written without locks by its own CPU only. */
#include "lib/trace.h"

#include "lib/atomic.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "lib/x86.h"

static const char *const subject_names[TRACE_SUBJECTS] = {
	[TRACE_EXITS] = "exits",
	[TRACE_MMU] = "mmu",
	[TRACE_IRQ] = "irq",
	[TRACE_IO] = "io",
	[TRACE_BOOT] = "boot",
};

struct ring {
	struct trace_record record[TRACE_RECORDS];
	uint64_t n; /* ever written */
};

static struct ring *rings[CPUS_MAX];
uint32_t trace_mask = TRACE_DEFAULT, trace_live;
struct trace_context trace_context[CPUS_MAX];
static struct trace_conf wanted;
static uint32_t shown[TRACE_SUBJECTS]; /* lines so far (atomic) */

void trace_set(const struct trace_conf *conf, bool off)
{
	wanted = *conf;
	memset(shown, 0, sizeof(shown));
	trace_live = conf->live;
	trace_mask = off ? 0 : TRACE_DEFAULT | conf->live;
}

static bool every_reason(const struct trace_conf *c)
{
	return !c->reasons[0] && !c->reasons[1];
}

bool trace_wants_exit(unsigned reason)
{
	return every_reason(&wanted) ||
	       (reason < EXIT_REASONS && wanted.reasons[reason / 64] & BIT(reason % 64));
}

size_t trace_ring_bytes(void)
{
	return sizeof(struct ring);
}

void trace_attach(unsigned cpu, void *memory)
{
	memset(memory, 0, sizeof(struct ring));
	rings[cpu] = memory;
}

static int format(const struct trace_record *r, char *buf, size_t size)
{
	char what[128];

	fmt_snprintf(what, sizeof(what), r->what, r->a, r->b, r->c);
	if (r->subject == TRACE_BOOT) /* no vCPU's doing */
		return fmt_snprintf(buf, size, "%s: %s", subject_names[r->subject], what);
	return fmt_snprintf(
		buf, size, "%s vm %u vcpu %u: %s", subject_names[r->subject], r->vm, r->vcpu, what);
}

/* Shows an event; the last line of a subject says that it is the last. */
static void show(const struct trace_record *r)
{
	uint32_t most = wanted.lines[r->subject], n = atomic_fetch_add(&shown[r->subject], 1);
	const char *name = subject_names[r->subject];
	char line[192];

	if (most != TRACE_ALL && n >= most)
		return; /* another CPU has shown the last line meanwhile */
	format(r, line, sizeof(line));
	log_always("trace %lu %s", r->tsc, line);
	if (most == TRACE_ALL || n + 1 < most)
		return;
	atomic_fetch_and(&trace_live, ~(1u << r->subject));
	log_always("trace: no more of %s is shown after %u lines (`trace = %s:all` shows everything)", name,
		most, name);
}

__hot void trace_record(enum trace_subject s, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	unsigned cpu = this_cpu_id();
	struct ring *ring = rings[cpu];
	struct trace_record r = { rdtsc(), what, a, b, c, (uint16_t)s, trace_context[cpu].vm,
		trace_context[cpu].vcpu };

	if (ring)
		ring->record[ring->n++ % TRACE_RECORDS] = r;
	if (unlikely(atomic_load_relaxed(&trace_live) & 1u << s))
		show(&r);
}

void trace_dump(unsigned most)
{
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		struct ring *ring = rings[cpu];
		uint64_t have, i;

		if (!ring || !ring->n)
			continue;
		have = min(min(ring->n, (uint64_t)TRACE_RECORDS), (uint64_t)most);
		for (i = ring->n - have; i < ring->n; i++) {
			const struct trace_record *r = &ring->record[i % TRACE_RECORDS];
			char line[224];
			int n = fmt_snprintf(line, sizeof(line), "  cpu %u %lu ", cpu, r->tsc);

			n += format(r, line + n, sizeof(line) - (size_t)n - 1);
			if (n > (int)sizeof(line) - 2)
				n = (int)sizeof(line) - 2;
			line[n++] = '\n';
			log_raw(line, (size_t)n);
		}
	}
}

/* ---- lethe.conf: SUBJECT[:REASON+REASON...][:LINES], ... ---- */

static bool ends_word(char c)
{
	return !c || c == ',' || c == ':' || c == '+' || c == ' ' || c == '\t';
}

/* The length of the word at `at`: up to a separator or the end. */
static size_t word_length(const char *at)
{
	size_t n = 0;

	while (!ends_word(at[n]))
		n++;
	return n;
}

static bool word_is(const char *at, size_t n, const char *name)
{
	return strlen(name) == n && !strncmp(at, name, n);
}

static int subject_of(const char *at, size_t n)
{
	for (int s = 0; s < TRACE_SUBJECTS; s++)
		if (word_is(at, n, subject_names[s]))
			return s;
	return -E_NOENT;
}

/* A decimal number from 1 to 999,999,999, or "all". False: it is neither. */
static bool lines_of(const char *at, size_t n, uint32_t *lines)
{
	uint32_t v = 0;

	if (word_is(at, n, "all")) {
		*lines = TRACE_ALL;
		return true;
	}
	if (n > 9)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
		v = v * 10 + (uint32_t)(at[i] - '0');
	}
	*lines = v;
	return v;
}

/* The reasons at *at, with '+' between them; *at moves behind them. False: one is unknown. */
static bool reasons_of(const char **at, struct trace_conf *out)
{
	for (;; ++*at) {
		size_t n = word_length(*at);
		int reason = exit_reason_of(*at, n);

		if (reason < 0)
			return false;
		out->reasons[reason / 64] |= BIT(reason % 64);
		*at += n;
		if (**at != '+')
			return true;
	}
}

/* What stands behind the colons of a subject. */
static const char *qualifiers_of(const char **at, int subject, struct trace_conf *out)
{
	while (**at == ':') {
		size_t n = word_length(++*at);

		if (lines_of(*at, n, &out->lines[subject])) {
			*at += n;
			if (**at == ':' || **at == '+')
				return "the number of lines last, as in exits:cpuid+io:100";
		} else if (subject != TRACE_EXITS) {
			return "a number of lines behind the colon, such as mmu:100, or mmu:all";
		} else if (!reasons_of(at, out)) {
			return "exit reasons such as cpuid, io, rdmsr, hlt, interrupt, ept-violation (README.md has all), or a number of lines: exits:cpuid+io:100";
		}
	}
	return NULL;
}

const char *trace_parse(const char *words, struct trace_conf *out)
{
	static const char subjects[] = "off, or a list of exits, mmu, irq, io, boot";

	*out = (struct trace_conf){ 0 };
	for (;;) {
		const char *wrong;
		size_t n;
		int s;

		while (*words == ' ' || *words == ',' || *words == '\t')
			words++;
		if (!*words)
			return out->live ? NULL : subjects;
		n = word_length(words);
		s = subject_of(words, n);
		if (s < 0)
			return subjects;
		words += n;
		out->live |= 1u << s;
		out->lines[s] = TRACE_LINES;
		wrong = qualifiers_of(&words, s, out);
		if (wrong)
			return wrong;
		if (*words == '+')
			return subjects;
	}
}
