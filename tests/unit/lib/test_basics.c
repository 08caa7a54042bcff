/* SPDX-License-Identifier: MIT */
/* Numbers out of text, bounded copies, bits, lists, the ticket lock, the log and the trace ring. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/calendar.h"
#include "lib/heap.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "lib/utf8.h"

static void numbers(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "512M", 0, 512 * MiB },
		{ "0x10K", 0, 16 * KiB },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "1g", 0, GiB },
		{ "18446744073709551616", -E_RANGE, 0 },
		{ "16777216T", -E_RANGE, 0 },
		{ "", -E_INVAL, 0 },
		{ "M", -E_INVAL, 0 },
		{ "0x", -E_INVAL, 0 },
		{ "12Q", -E_INVAL, 0 },
		{ "12MB", -E_INVAL, 0 },
		{ "-1", -E_INVAL, 0 },
		{ " 1", -E_INVAL, 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t v = 0;

		assert_int_equal(str_to_u64(cases[i].text, &v), cases[i].err);
		assert_int_equal(v, cases[i].value);
	}
}

static void each_day_converts_and_back(void **state)
{
	static const unsigned lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned year = 1970, month = 1, day = 1;

	for (uint64_t days = 0; year < 2500; days++) {
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
		unsigned y, m, d;

		assert_int_equal(calendar_days(year, month, day), days);
		calendar_date(days, &y, &m, &d);
		assert_true(y == year && m == month && d == day);
		if (++day > lengths[month - 1] + (month == 2 && leap)) {
			day = 1;
			if (++month > 12) {
				month = 1;
				year++;
			}
		}
	}
}

static void utf8_sequences_are_decoded_or_refused(void **state)
{
	static const struct {
		const char *text;
		size_t n, length;
		uint32_t character;
	} cases[] = {
		{ "a", 1, 1, 'a' },
		{ "", 1, 1, 0 },
		{ "\xc2\x80", 2, 2, 0x80 },
		{ "\xdf\xbf", 2, 2, 0x7ff },
		{ "\xe0\xa0\x80", 3, 3, 0x800 },
		{ "\xed\x9f\xbf", 3, 3, 0xd7ff },
		{ "\xee\x80\x80", 3, 3, 0xe000 },
		{ "\xef\xbf\xbf", 3, 3, 0xffff },
		{ "\xf0\x90\x80\x80", 4, 4, 0x10000 },
		{ "\xf4\x8f\xbf\xbf", 4, 4, 0x10ffff },
		/* a continuation alone; overlong; surrogates; beyond; cut; broken */
		{ "\x80", 1, 0, 0 },
		{ "\xc0\x80", 2, 0, 0 },
		{ "\xc1\xbf", 2, 0, 0 },
		{ "\xe0\x9f\xbf", 3, 0, 0 },
		{ "\xf0\x8f\xbf\xbf", 4, 0, 0 },
		{ "\xed\xa0\x80", 3, 0, 0 },
		{ "\xed\xbf\xbf", 3, 0, 0 },
		{ "\xf4\x90\x80\x80", 4, 0, 0 },
		{ "\xf5\x80\x80\x80", 4, 0, 0 },
		{ "\xf8\x80\x80\x80\x80", 5, 0, 0 },
		{ "\xff", 1, 0, 0 },
		{ "\xe2\x82\xac", 2, 0, 0 },
		{ "\xe2\x28\xa1", 3, 0, 0 },
		{ "\xf0\x90\x28\xbc", 4, 0, 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t character = 0;

		assert_int_equal(utf8_decode(cases[i].text, cases[i].n, &character), cases[i].length);
		if (cases[i].length)
			assert_int_equal(character, cases[i].character);
	}
}

static void canonical_addresses(void **state)
{
	assert_true(is_canonical(0x7fffffffffff, 48) && is_canonical(0xffff800000000000, 48));
	assert_false(is_canonical(0x800000000000, 48) || is_canonical(0xffff7fffffffffff, 48));
	assert_true(is_canonical(0x800000000000, 57) && is_canonical(0xff00000000000000, 57));
	assert_false(is_canonical(0x100000000000000, 57) || is_canonical(BIT(63), 57));
	assert_true(sign_extend(0x80, 8) == ~0x7full && sign_extend(0x7f, 8) == 0x7f &&
		    sign_extend(~0ull, 64) == ~0ull);
}

static void copies_end_with_nul(void **state)
{
	char buf[4] = "zzz";

	assert_true(str_copy(buf, sizeof(buf), "abc"));
	assert_string_equal(buf, "abc");
	assert_false(str_copy(buf, sizeof(buf), "abcd"));
	assert_string_equal(buf, "abc");
	assert_false(str_copy(buf, 0, "x"));
}

static void bit_ranges(void **state)
{
	assert_int_equal(BITS(51, 12), 0x000ffffffffff000);
	assert_int_equal(BITS(63, 0), UINT64_MAX);
	assert_int_equal(BITS(0, 0), 1);
	assert_int_equal(bits_get(0xabcd, 11, 4), 0xbc);
	assert_true(range_within(UINT64_MAX, 0, UINT64_MAX));
	assert_false(range_within(UINT64_MAX, 2, UINT64_MAX));
	assert_false(range_within(2, UINT64_MAX, 100));
	assert_true(ranges_overlap(0, 2, 1, 1));
	assert_false(ranges_overlap(0, 1, 1, 1));
	assert_false(ranges_overlap(0, 0, 0, 9));
}

struct element {
	int n;
	struct list link;
};

static void list_order(void **state)
{
	struct list head = LIST_INIT(head);
	struct element e[4];
	int sum = 0;

	for (int i = 0; i < 4; i++) {
		e[i].n = i;
		list_add_tail(&head, &e[i].link);
	}
	list_move_head(&head, &e[3].link);
	assert_int_equal(list_first(&head, struct element, link)->n, 3);
	assert_int_equal(list_last(&head, struct element, link)->n, 2);
	list_for_each_safe (x, &head, struct element, link) {
		sum = sum * 10 + x->n;
		list_del(&x->link);
		list_del(&x->link); /* twice is harmless */
	}
	assert_int_equal(sum, 3012);
	assert_true(list_empty(&head));
}

static struct spinlock lock = SPINLOCK_INIT;
static unsigned counter;

static void *count(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		spin_lock(&lock);
		counter++;
		spin_unlock(&lock);
	}
	return NULL;
}

static void lock_excludes(void **state)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, count, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(counter, 60000);
	assert_true(spin_trylock(&lock));
	assert_false(spin_trylock(&lock));
	assert_true(spin_is_locked(&lock));
	spin_unlock(&lock);
	assert_false(spin_is_locked(&lock));
}

static char seen[1024];

static void to_seen(struct log_sink *sink, const char *text, size_t n)
{
	strncat(seen, text, n);
}

static unsigned flushes;

static void count_flush(void)
{
	flushes++;
}

static struct log_sink sink = { .write = to_seen, .flush = count_flush };

static void log_lines(void **state)
{
	char tail[8];

	log_add_sink(&sink);
	log_info("one %d", 1);
	log_error("two\n");
	log_debug("not at this level");
	assert_string_equal(seen, "lethe: one 1\nlethe: error: two\n");
	assert_int_equal(log_tail(tail, sizeof(tail)), 7);
	assert_string_equal(tail, "r: two\n");
	log_flush();
	assert_int_equal(flushes, 1);
}

static void log_levels_by_line(void **state)
{
	assert_int_equal(log_line_level("lethe: error: x\n", 16), LOG_ERROR);
	assert_int_equal(log_line_level("lethe: warning: x\n", 18), LOG_WARN);
	assert_int_equal(log_line_level("lethe: vm error: x\n", 19), LOG_INFO);
	assert_int_equal(log_line_level("lethe: err", 10), LOG_INFO);
	assert_int_equal(log_line_level("", 0), LOG_INFO);
}

static void trace_words(void **state)
{
	struct trace_conf c;

	assert_null(trace_parse("exits, mmu", &c));
	assert_int_equal(c.live, 1u << TRACE_EXITS | 1u << TRACE_MMU);
	assert_int_equal(c.lines[TRACE_EXITS], TRACE_LINES);
	assert_int_equal(c.reasons[0] | c.reasons[1], 0);
	assert_null(trace_parse("exits:cpuid+ept-violation:100,io:all", &c));
	assert_int_equal(c.live, 1u << TRACE_EXITS | 1u << TRACE_IO);
	assert_int_equal(c.lines[TRACE_EXITS], 100);
	assert_int_equal(c.lines[TRACE_IO], TRACE_ALL);
	assert_int_equal(c.reasons[0], 1ull << EXIT_CPUID | 1ull << EXIT_EPT_VIOLATION);
	assert_null(trace_parse("exits:7 boot", &c));
	assert_int_equal(c.lines[TRACE_EXITS], 7);
	assert_int_equal(c.live, 1u << TRACE_EXITS | 1u << TRACE_BOOT);
}

static void trace_words_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "", "off, or a list" },
		{ " , ", "off, or a list" },
		{ "exits, nonsense", "off, or a list" },
		{ "exit", "off, or a list" },
		{ "mmu+io", "off, or a list" },
		{ "exits:", "exit reasons such as" },
		{ "exits:cpuidd", "exit reasons such as" },
		{ "exits:cpuid+", "exit reasons such as" },
		{ "exits:0", "exit reasons such as" },
		{ "exits:1000000000", "exit reasons such as" },
		{ "exits:100:cpuid", "the number of lines last" },
		{ "exits:100+5", "the number of lines last" },
		{ "mmu:cpuid", "a number of lines" },
		{ "mmu:", "a number of lines" },
		{ "irq:0", "a number of lines" },
	};
	struct trace_conf c;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *wrong = trace_parse(bad[i][0], &c);

		assert_non_null(wrong);
		assert_ptr_equal(strstr(wrong, bad[i][1]), wrong);
	}
}

static void exit_words(void **state)
{
	assert_int_equal(exit_reason_of("cpuid", 5), EXIT_CPUID);
	assert_int_equal(exit_reason_of("cpuid+io", 5), EXIT_CPUID);
	assert_int_equal(exit_reason_of("cpui", 4), -E_NOENT);
	assert_int_equal(exit_reason_of("", 0), -E_NOENT);
	assert_string_equal(exit_name(EXIT_IO), "I/O instruction");
	assert_string_equal(exit_name(EXIT_REASONS), "unknown");
	assert_string_equal(
		exit_name(0x80000000u | EXIT_BAD_GUEST_STATE), "VM-entry failure: invalid guest state");
}

static void trace_shows_what_is_asked_for(void **state)
{
	struct trace_conf c;

	assert_null(trace_parse("exits:cpuid:3", &c));
	trace_set(&c, false);
	assert_true(trace_wants_exit(EXIT_CPUID));
	assert_false(trace_wants_exit(EXIT_IO));
	assert_false(trace_wants_exit(0xffff));
	seen[0] = 0;
	for (uint64_t i = 0; i < 5; i++)
		TRACE(TRACE_EXITS, "%s at %#lx", exit_name(EXIT_CPUID), 0x1000 + i, 0);
	TRACE(TRACE_MMU, "not asked for", 0, 0, 0);
	assert_non_null(strstr(seen, " exits vm 0 vcpu 0: CPUID at 0x1002\n"));
	assert_null(strstr(seen, "0x1003"));
	assert_null(strstr(seen, "not asked for"));
	assert_non_null(strstr(seen, "lethe: trace: no more of exits is shown after 3 lines"));
	assert_int_equal(trace_live, 0);	     /* the console goes back to interrupts */
	assert_true(trace_mask & 1u << TRACE_EXITS); /* for a panic they are still kept */
	trace_set(&c, true);
	assert_int_equal(trace_mask, 0);
	trace_set(&(struct trace_conf){ 0 }, false);
}

static void trace_keeps_the_newest(void **state)
{
	void *memory = malloc(trace_ring_bytes());

	trace_attach(0, memory);
	for (uint64_t i = 0; i < TRACE_RECORDS + 5; i++)
		TRACE(TRACE_MMU, "event %lu", i, 0, 0);
	seen[0] = 0;
	trace_dump(1);
	assert_non_null(strstr(seen, "mmu vm 0 vcpu 0: event 132\n"));
	assert_null(strstr(seen, "event 131"));
	free(memory);
}

#define HEAP_NODES 500

/* Checks what lib/heap.h promises of the tree below n; returns its number of nodes. */
static unsigned heap_nodes(const struct heap_node *n, const struct heap_node *parent)
{
	if (!n)
		return 0;
	assert_ptr_equal(n->parent, parent);
	assert_false(parent && heap_before(n, parent));
	assert_in_range(n->right ? n->right->dist : 0, 0, n->left ? n->left->dist : 0);
	assert_int_equal(n->dist, (n->right ? n->right->dist : 0) + 1);
	return heap_nodes(n->left, n) + heap_nodes(n->right, n) + 1;
}

/* Nodes come and go by chance, from wherever in the tree; the first is the smallest at all times. */
static void a_heap_gives_the_smallest_first(void **state)
{
	static struct heap_node node[HEAP_NODES];
	static bool in[HEAP_NODES];
	struct heap h = { 0 };
	unsigned n = 0, seed = 1;

	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (seed = seed * 1103515245 + 12345) >> 8 & 0xffff, least = HEAP_NODES;

		i %= step < 10000 ? HEAP_NODES : 8;
		if (in[i]) {
			heap_remove(&h, &node[i]);
		} else {
			node[i].key = step % 5 ? seed >> 24 : 7; /* many are equal */
			node[i].order = step;
			heap_insert(&h, &node[i]);
		}
		in[i] = !in[i];
		n += in[i] ? 1 : -1;
		for (unsigned k = 0; k < HEAP_NODES; k++)
			if (in[k] && (least == HEAP_NODES || heap_before(&node[k], &node[least])))
				least = k;
		assert_ptr_equal(h.first, least == HEAP_NODES ? NULL : &node[least]);
		assert_int_equal(heap_nodes(h.first, NULL), n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(each_day_converts_and_back),
		cmocka_unit_test(utf8_sequences_are_decoded_or_refused),
		cmocka_unit_test(canonical_addresses),
		cmocka_unit_test(copies_end_with_nul),
		cmocka_unit_test(bit_ranges),
		cmocka_unit_test(list_order),
		cmocka_unit_test(a_heap_gives_the_smallest_first),
		cmocka_unit_test(lock_excludes),
		cmocka_unit_test(log_lines),
		cmocka_unit_test(log_levels_by_line),
		cmocka_unit_test(trace_words),
		cmocka_unit_test(trace_words_refused),
		cmocka_unit_test(exit_words),
		cmocka_unit_test(trace_shows_what_is_asked_for),
		cmocka_unit_test(trace_keeps_the_newest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
