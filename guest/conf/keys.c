/* SPDX-License-Identifier: MIT */
/* The keys of lethe.conf: a function for each kind of value; the tables are made of guest/conf/keys.inc. */
#include "guest/conf/parser.h"

#include "guest/conf/rom_size.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "lib/trace.h"

struct key {
	const char *name;
	void (*set)(struct conf_parser *p, const char *key, const char *value);
	bool repeats;
};

/* "SOURCE:LINE: key = value: expected ..." */
static void expected(struct conf_parser *p, const char *key, const char *what)
{
	conf_error(p, "%s = %s: expected %s", key, p->shown, what);
}

/* The index of value in names[0..n), or -1 after a complaint that says `what`. */
static int choice(struct conf_parser *p, const char *key, const char *value, const char *const *names, int n,
	const char *what)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(names[i], value))
			return i;
	expected(p, key, what);
	return -1;
}

static void set_bool(struct conf_parser *p, const char *key, const char *value, bool *out)
{
	static const char *const names[] = { "off", "on" };
	int i = choice(p, key, value, names, 2, "on or off");

	if (i >= 0)
		*out = i;
}

/* A whole number in [low, high]; false after a complaint. */
static bool number(struct conf_parser *p, const char *key, const char *value, uint64_t low, uint64_t high,
	const char *what, uint64_t *out)
{
	uint64_t v;

	if (str_to_u64(value, &v) || v < low || v > high) {
		expected(p, key, what);
		return false;
	}
	*out = v;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ---- [hypervisor] ---- */

static void set_console(struct conf_parser *p, const char *key, const char *value)
{
	bool serial = false, screen = false;

	do {
		size_t n = 0;

		while (is_blank(*value))
			value++;
		while (value[n] && value[n] != ',' && !is_blank(value[n]))
			n++;
		if (n == 6 && !strncmp(value, "serial", n))
			serial = true;
		else if (n == 6 && !strncmp(value, "screen", n))
			screen = true;
		else
			n = 0;
		for (value += n; is_blank(*value);)
			value++;
		if (!n || (*value && *value != ',')) {
			expected(p, key, "serial, screen or both with a comma between");
			return;
		}
	} while (*value++);
	p->out->console_serial = serial;
	p->out->console_screen = screen;
}

static void set_log(struct conf_parser *p, const char *key, const char *value)
{
	static const char *const names[] = {
		[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"
	};
	int i = choice(p, key, value, names, ARRAY_SIZE(names), "error, warn, info or debug");

	if (i >= 0)
		p->out->log_level = i;
}

static void set_trace(struct conf_parser *p, const char *key, const char *value)
{
	const char *wrong;

	p->out->trace_off = !strcmp(value, "off");
	if (p->out->trace_off)
		return;
	wrong = trace_parse(value, &p->out->trace);
	if (wrong)
		expected(p, key, wrong);
}

static void set_mitigations(struct conf_parser *p, const char *key, const char *value)
{
	static const char *const names[] = {
		[MITIGATIONS_OFF] = "off", [MITIGATIONS_AUTO] = "auto", [MITIGATIONS_ALL] = "all"
	};
	int i = choice(p, key, value, names, ARRAY_SIZE(names), "auto, all or off");

	if (i >= 0)
		p->out->mitigations = (enum conf_mitigations)i;
}

static void set_smt(struct conf_parser *p, const char *key, const char *value)
{
	static const char *const names[] = { [CONF_SMT_AUTO] = "auto",
		[CONF_SMT_SAME_VM] = "same-vm",
		[CONF_SMT_OFF] = "off",
		[CONF_SMT_ON] = "on" };
	int i = choice(p, key, value, names, ARRAY_SIZE(names), "auto, same-vm, off or on");

	if (i >= 0)
		p->out->smt = (enum conf_smt)i;
}

static void set_keep(struct conf_parser *p, const char *key, const char *value)
{
	set_bool(p, key, value, &p->out->keep);
}

/* ---- [vm NAME] ---- */

static void set_path(struct conf_parser *p, const char *key, const char *value, char *out)
{
	if (!*value)
		expected(p, key, "the name of a file");
	else if (!str_copy(out, CONF_PATH_MAX, value))
		expected(p, key, "a path of at most 127 bytes");
}

static void set_kernel(struct conf_parser *p, const char *key, const char *value)
{
	set_path(p, key, value, p->vm->kernel);
}

static void set_initrd(struct conf_parser *p, const char *key, const char *value)
{
	set_path(p, key, value, p->vm->initrd);
}

static void set_module(struct conf_parser *p, const char *key, const char *value)
{
	struct conf_module *m = &p->vm->module[p->vm->nmodules];
	char path[CONF_PATH_MAX];
	size_t n = 0;

	while (value[n] && !is_blank(value[n]))
		n++;
	if (!n) {
		expected(p, key, "the name of a file, then the module's arguments");
		return;
	}
	if (p->vm->nmodules == CONF_MODULES_MAX) {
		expected(p, key, "at most 8 modules in one VM");
		return;
	}
	if (n >= sizeof(path)) {
		expected(p, key, "a path of at most 127 bytes");
		return;
	}
	memcpy(path, value, n);
	path[n] = 0;
	for (value += n; is_blank(*value);)
		value++;
	if (!str_copy(m->args, sizeof(m->args), value)) {
		expected(p, key, "arguments of at most 255 bytes");
		return;
	}
	str_copy(m->path, sizeof(m->path), path);
	p->vm->nmodules++;
}

static void set_format(struct conf_parser *p, const char *key, const char *value)
{
	static const char *const names[] = { [FORMAT_AUTO] = "auto",
		[FORMAT_LINUX] = "linux",
		[FORMAT_MULTIBOOT] = "multiboot",
		[FORMAT_FLAT] = "flat" };
	int i = choice(p, key, value, names, ARRAY_SIZE(names), "auto, linux, multiboot or flat");

	if (i >= 0)
		p->vm->format = (enum conf_format)i;
}

static void set_cmdline(struct conf_parser *p, const char *key, const char *value)
{
	/* key_line() has seen to it that the value fits. */
	str_copy(p->vm->cmdline, sizeof(p->vm->cmdline), value);
}

static void set_memory(struct conf_parser *p, const char *key, const char *value)
{
	uint64_t v;

	if (!number(p, key, value, 0, UINT64_MAX, "a size such as 512M or 2G", &v))
		return;
	if (v < CONF_MEMORY_MIN)
		expected(p, key, "at least 2M");
	else if (v > CONF_MEMORY_MAX)
		expected(p, key, "at most 65536G");
	else if (!is_aligned(v, PAGE_SIZE))
		expected(p, key, "a multiple of 4K");
	else
		p->vm->memory = v;
}

static void set_vcpus(struct conf_parser *p, const char *key, const char *value)
{
	uint64_t v;

	if (number(p, key, value, 1, CONF_VCPUS_MAX, "a number from 1 to 64", &v))
		p->vm->vcpus = (unsigned)v;
}

/* One decimal CPU number below CPUS_MAX at *at, which moves behind it; -1 if there is none. */
static int cpu_number(const char **at)
{
	int v = -1;

	for (; **at >= '0' && **at <= '9'; ++*at) {
		v = max(v, 0) * 10 + (**at - '0');
		if (v >= CPUS_MAX)
			return -1;
	}
	return v;
}

static void set_cpus(struct conf_parser *p, const char *key, const char *value)
{
	uint64_t cpus = 0;

	do {
		int first, last;

		while (is_blank(*value))
			value++;
		first = last = cpu_number(&value);
		if (first >= 0 && *value == '-') {
			value++;
			last = cpu_number(&value);
		}
		while (is_blank(*value))
			value++;
		if (first < 0 || last < first || (*value && *value != ',')) {
			expected(p, key, "physical CPUs from 0 to 63 such as 0, 2-3");
			return;
		}
		cpus |= BITS(last, first);
	} while (*value++);
	p->vm->cpus = cpus;
	p->vm->cpus_line = p->line;
}

static void set_mmu(struct conf_parser *p, const char *key, const char *value)
{
	static const char *const names[] = {
		[CONF_MMU_AUTO] = "auto", [CONF_MMU_EPT] = "ept", [CONF_MMU_SHADOW] = "shadow"
	};
	int i = choice(p, key, value, names, ARRAY_SIZE(names), "auto, ept or shadow");

	if (i >= 0)
		p->vm->mmu = (enum conf_mmu)i;
}

static void set_removal(struct conf_parser *p, const char *key, const char *value)
{
	static const char *const names[] = { [CONF_REMOVAL_AUTO] = "auto",
		[CONF_REMOVAL_BULK] = "bulk",
		[CONF_REMOVAL_TARGETED] = "targeted" };
	int i = choice(p, key, value, names, ARRAY_SIZE(names), "auto, bulk or targeted");

	if (i >= 0)
		p->vm->removal = (enum conf_removal)i;
}

static void set_reclaim(struct conf_parser *p, const char *key, const char *value)
{
	static const char *const names[] = { "batched", "eager" };
	int i = choice(p, key, value, names, ARRAY_SIZE(names), "batched or eager");

	if (i >= 0)
		p->vm->eager = i;
}

static void set_large_pages(struct conf_parser *p, const char *key, const char *value)
{
	bool large = true;

	set_bool(p, key, value, &large);
	p->vm->small_pages = !large;
}

static void set_devices(struct conf_parser *p, const char *key, const char *value)
{
	static const char *const names[] = { "none", "rom" };
	int i = choice(p, key, value, names, ARRAY_SIZE(names), "rom or none");

	if (i >= 0)
		p->vm->test_device = i;
}

/* The size of a BAR. */
static void set_bar(struct conf_parser *p, const char *key, const char *value, uint64_t low, uint64_t high,
	const char *what, uint64_t *out)
{
	uint64_t v;

	if (!number(p, key, value, low, high, what, &v))
		return;
	if (is_pow2(v))
		*out = v;
	else
		expected(p, key, what);
}

static void set_rom_size(struct conf_parser *p, const char *key, const char *value)
{
	set_bar(p, key, value, VROM_ROM_MIN, VROM_ROM_MAX, "a power of two from 4K to 16M",
		&p->vm->rom_bytes);
}

static void set_bar_size(struct conf_parser *p, const char *key, const char *value)
{
	set_bar(p, key, value, VROM_BAR_MIN, VROM_BAR_MAX, "a power of two from 2M to 64G",
		&p->vm->bar_bytes);
}

static void set_debug_exit(struct conf_parser *p, const char *key, const char *value)
{
	set_bool(p, key, value, &p->vm->debug_exit);
}

static void set_load_address(struct conf_parser *p, const char *key, const char *value)
{
	number(p, key, value, 0, UINT32_MAX, "an address below 4G such as 0x100000", &p->vm->load_address);
}

static void set_entry_mode(struct conf_parser *p, const char *key, const char *value)
{
	uint64_t v;

	if (!number(p, key, value, 16, 64, "16, 32 or 64", &v))
		return;
	if (v == 16 || v == 32 || v == 64)
		p->vm->entry_mode = (unsigned)v;
	else
		expected(p, key, "16, 32 or 64");
}

/* ---- the tables ---- */

static const struct key hypervisor_keys[] = {
#define HYPERVISOR_KEY(name, set, repeats, values, initial, meaning) { name, set, repeats },
#define VM_KEY(...)
#include "guest/conf/keys.inc"
#undef HYPERVISOR_KEY
#undef VM_KEY
};

static const struct key vm_keys[] = {
#define HYPERVISOR_KEY(...)
#define VM_KEY(name, set, repeats, values, initial, meaning) { name, set, repeats },
#include "guest/conf/keys.inc"
};

_Static_assert(ARRAY_SIZE(vm_keys) <= 32, "conf_parser.seen has a bit for each");

bool conf_vm_seen(const struct conf_parser *p, const char *key)
{
	for (unsigned i = 0; i < ARRAY_SIZE(vm_keys); i++)
		if (!strcmp(vm_keys[i].name, key))
			return p->seen & 1u << i;
	return false;
}

static void unknown_key(struct conf_parser *p, const char *key, const struct key *keys, unsigned n)
{
	char names[256] = "";

	for (unsigned i = 0; i < n; i++) {
		size_t at = strlen(names);

		fmt_snprintf(names + at, sizeof(names) - at, "%s%s",
			!i	    ? ""
			: i + 1 < n ? ", "
				    : " or ",
			keys[i].name);
	}
	conf_error(p, "%s: unknown key: expected %s", key, names);
}

void conf_key(struct conf_parser *p, const char *key, const char *value)
{
	const struct key *keys = p->vm ? vm_keys : hypervisor_keys;
	unsigned n = p->vm ? ARRAY_SIZE(vm_keys) : ARRAY_SIZE(hypervisor_keys);

	for (unsigned i = 0; i < n; i++) {
		if (strcmp(keys[i].name, key) != 0)
			continue;
		if (p->seen & 1u << i && !keys[i].repeats)
			conf_error(p, "%s: given twice: expected it once in a section", key);
		else
			keys[i].set(p, key, value);
		p->seen |= 1u << i;
		return;
	}
	unknown_key(p, key, keys, n);
}
