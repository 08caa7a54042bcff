/* SPDX-License-Identifier: MIT */
/* The trace ring: a fixed array per CPU, written without locks by its own CPU only. */
#include "lib/trace.h"

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
	return fmt_snprintf(
		buf, size, "%s vm %u vcpu %u: %s", subject_names[r->subject], r->vm, r->vcpu, what);
}

void trace_record(enum trace_subject s, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	unsigned cpu = this_cpu_id();
	struct ring *ring = rings[cpu];
	struct trace_record *r;

	if (!ring)
		return;
	r = &ring->record[ring->n++ % TRACE_RECORDS];
	*r = (struct trace_record){ rdtsc(), what, a, b, c, (uint16_t)s, trace_context[cpu].vm,
		trace_context[cpu].vcpu };
	if (unlikely(trace_live & 1u << s)) {
		char line[192];

		format(r, line, sizeof(line));
		log_info("trace %lu %s", r->tsc, line);
	}
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

int trace_parse(const char *words, uint32_t *mask, const char **bad)
{
	*mask = 0;
	for (;;) {
		unsigned s;
		size_t n = 0;

		while (*words == ' ' || *words == ',' || *words == '\t')
			words++;
		if (!*words)
			return 0;
		while (words[n] && words[n] != ',' && words[n] != ' ' && words[n] != '\t')
			n++;
		for (s = 0; s < TRACE_SUBJECTS; s++)
			if (strlen(subject_names[s]) == n && !strncmp(subject_names[s], words, n))
				break;
		if (s == TRACE_SUBJECTS) {
			*bad = words;
			return -E_INVAL;
		}
		*mask |= 1u << s;
		words += n;
	}
}
