/* SPDX-License-Identifier: MIT */
/*
 * lethe.conf: cuts the file into lines, the lines into sections and keys, and checks what a VM must have. A
 * mistake never ends the reading: all of them are reported, each with file, line and what was expected.
 *
 *	bytes -> lines (UTF-8, no control characters) -> [section] | key = value | # comment
 *	                                                    |            |
 *	                                              open_section    conf_key (keys.c)
 *	                                                    |
 *	                                    close_section: a VM has a kernel, ...
 */
#include "guest/conf/parser.h"

#include "guest/conf/rom_size.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "lib/utf8.h"

#define FLAT_ADDRESS   0x100000u
#define BOOT_SECTOR    0x7c00u	 /* where a PC's firmware puts the first sector of a disk */
#define REAL_MODE_END  0x100000u /* real mode reaches 1 MiB */
#define DEFAULT_MEMORY (512 * MiB)

enum section { SECTION_NONE, SECTION_SKIP, SECTION_HYPERVISOR, SECTION_VM };

static void vm_defaults(struct conf_vm *vm)
{
	*vm = (struct conf_vm){
		.memory = DEFAULT_MEMORY,
		.vcpus = 1,
		.rom_bytes = VROM_ROM_DEFAULT,
		.bar_bytes = VROM_BAR_MIN,
		.load_address = FLAT_ADDRESS,
		.entry_mode = 32,
	};
}

void conf_defaults(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	c->console_serial = c->console_screen = true;
	c->log_level = LOG_INFO;
	c->mitigations = MITIGATIONS_AUTO;
}

void conf_default_vm(struct conf *out, const char *kernel, const char *initrd)
{
	struct conf_vm *vm = &out->vm[0];

	conf_defaults(out);
	str_copy(out->source, sizeof(out->source), "(no lethe.conf)");
	out->nvms = 1;
	vm_defaults(vm);
	str_copy(vm->name, sizeof(vm->name), "guest");
	str_copy(vm->kernel, sizeof(vm->kernel), kernel);
	str_copy(vm->initrd, sizeof(vm->initrd), initrd);
	str_copy(vm->cmdline, sizeof(vm->cmdline), "console=ttyS0");
}

/* ---- lines ---- */

static bool line_is_text(struct conf_parser *p, const char *text, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		unsigned char c = (unsigned char)text[i];
		uint32_t character;

		len = utf8_decode(text + i, n - i, &character);
		if (!len) {
			conf_error(p, "byte 0x%02x in column %zu: expected UTF-8 text", c, i + 1);
			return false;
		}
		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			conf_error(p, "control character 0x%02x in column %zu: expected text", c, i + 1);
			return false;
		}
	}
	return true;
}

static void trim(const char **text, size_t *n)
{
	while (*n && (**text == ' ' || **text == '\t')) {
		++*text;
		--*n;
	}
	while (*n && ((*text)[*n - 1] == ' ' || (*text)[*n - 1] == '\t'))
		--*n;
}

/* Copies n bytes and a NUL; false if they do not fit. */
static bool copy_text(char *to, size_t size, const char *text, size_t n)
{
	bool fits = n < size;

	n = min(n, size - 1);
	memcpy(to, text, n);
	to[n] = 0;
	return fits;
}

/* ---- sections ---- */

static bool name_is_good(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_' || c == '.'))
			return false;
	}
	return n && n < CONF_NAME_MAX;
}

static enum section open_vm(struct conf_parser *p, const char *name, size_t n)
{
	struct conf *c = p->out;
	struct conf_vm *vm;

	if (c->nvms == CONF_VMS_MAX) {
		conf_error(p, "[vm]: expected at most %u VMs", CONF_VMS_MAX);
		return SECTION_SKIP;
	}
	vm = p->vm = &c->vm[c->nvms++];
	vm_defaults(vm);
	vm->line = p->line;
	if (!name_is_good(name, n)) {
		conf_shorten(p->shown, sizeof(p->shown), name, n);
		conf_error(p, "[vm %s]: expected a name of 1 to 31 letters, digits, '-', '_', '.'", p->shown);
		return SECTION_VM;
	}
	copy_text(vm->name, sizeof(vm->name), name, n);
	for (struct conf_vm *other = c->vm; other < vm; other++)
		if (!strcmp(other->name, vm->name))
			conf_error(p, "[vm %s]: there is one in line %u: expected another name", vm->name,
				other->line);
	return SECTION_VM;
}

/* text: the whole line, "[...]". */
static enum section open_section(struct conf_parser *p, const char *text, size_t n, bool *had_hypervisor)
{
	const char *inner = text + 1;
	size_t len = n - 1;

	p->seen = 0;
	p->vm = NULL;
	if (text[n - 1] != ']') {
		conf_shorten(p->shown, sizeof(p->shown), text, n);
		conf_error(p, "%s: expected ']' at the end of the line", p->shown);
		return SECTION_SKIP;
	}
	len--;
	trim(&inner, &len);
	if (len == 10 && !strncmp(inner, "hypervisor", len)) {
		if (*had_hypervisor)
			conf_error(p, "[hypervisor]: given twice: expected one such section");
		*had_hypervisor = true;
		return SECTION_HYPERVISOR;
	}
	if (len >= 2 && !strncmp(inner, "vm", 2) && (len == 2 || inner[2] == ' ' || inner[2] == '\t')) {
		inner += 2;
		len -= 2;
		trim(&inner, &len);
		return open_vm(p, inner, len);
	}
	conf_shorten(p->shown, sizeof(p->shown), inner, len);
	conf_error(p, "[%s]: unknown section: expected [hypervisor] or [vm NAME]", p->shown);
	return SECTION_SKIP;
}

/* What only the whole section can tell. Reported at the line of its header. */
static void close_section(struct conf_parser *p, enum section section)
{
	struct conf_vm *vm = p->vm;
	unsigned line = p->line;
	bool placed;

	if (section != SECTION_VM)
		return;
	p->line = vm->line;
	placed = conf_vm_seen(p, "load-address");
	if (!conf_vm_seen(p, "kernel"))
		conf_error(p, "[vm %s]: no kernel: expected kernel = FILE", vm->name);
	if (vm->entry_mode == 16 && !placed)
		vm->load_address = BOOT_SECTOR;
	if (vm->entry_mode == 16 && vm->load_address >= REAL_MODE_END)
		conf_error(p, "[vm %s]: expected a load-address below 1M with entry-mode = 16", vm->name);
	if (vm->format != FORMAT_AUTO && vm->format != FORMAT_FLAT &&
		(placed || conf_vm_seen(p, "entry-mode")))
		conf_error(
			p, "[vm %s]: expected load-address and entry-mode only with format = flat", vm->name);
	if (!vm->test_device && (conf_vm_seen(p, "rom-size") || conf_vm_seen(p, "bar-size")))
		conf_error(p, "[vm %s]: expected rom-size and bar-size only with devices = rom", vm->name);
	if (vm->load_address >= vm->memory)
		conf_error(p, "[vm %s]: expected a load-address within the VM's memory", vm->name);
	p->line = line;
}

/* ---- the file ---- */

static void key_line(struct conf_parser *p, enum section section, const char *text, size_t n)
{
	char key[32], value[CONF_CMDLINE_MAX];
	const char *k = text, *v;
	size_t klen = 0, vlen;

	while (klen < n && text[klen] != '=')
		klen++;
	conf_shorten(p->shown, sizeof(p->shown), text, n);
	if (klen == n) {
		conf_error(p, "%s: expected [SECTION] or KEY = VALUE", p->shown);
		return;
	}
	v = text + klen + 1;
	vlen = n - klen - 1;
	trim(&k, &klen);
	trim(&v, &vlen);
	if (!klen) {
		conf_error(p, "%s: expected a key before '='", p->shown);
		return;
	}
	conf_shorten(key, sizeof(key), k, klen);
	if (section == SECTION_NONE) {
		conf_error(p, "%s: expected [hypervisor] or [vm NAME] before the first key", key);
		return;
	}
	if (!copy_text(value, sizeof(value), v, vlen)) {
		conf_error(p, "%s: the value has %zu bytes: expected at most %u", key, vlen,
			CONF_CMDLINE_MAX - 1);
		return;
	}
	conf_shorten(p->shown, sizeof(p->shown), v, vlen);
	conf_key(p, key, value);
}

static void parse_lines(struct conf_parser *p, const char *text, size_t n)
{
	enum section section = SECTION_NONE;
	bool had_hypervisor = false;

	while (n) {
		const char *line = text;
		size_t len = 0, whole;

		while (len < n && text[len] != '\n')
			len++;
		whole = min(len + 1, n);
		text += whole;
		n -= whole;
		p->line++;
		if (len && line[len - 1] == '\r')
			len--;
		if (!line_is_text(p, line, len))
			continue;
		trim(&line, &len);
		if (!len || *line == '#')
			continue;
		if (*line == '[') {
			close_section(p, section);
			section = open_section(p, line, len, &had_hypervisor);
		} else if (section != SECTION_SKIP) {
			key_line(p, section, line, len);
		}
	}
	close_section(p, section);
}

int conf_parse(const char *source, const char *text, size_t n, struct conf *out, struct conf_errors *errors)
{
	struct conf_parser p = { .source = source, .out = out, .errors = errors };
	const unsigned char *bytes = (const unsigned char *)text;

	errors->n = 0;
	conf_defaults(out);
	str_copy(out->source, sizeof(out->source), source);
	if (n >= 3 && bytes[0] == 0xef && bytes[1] == 0xbb && bytes[2] == 0xbf) {
		text += 3;
		n -= 3;
	} else if (n >= 2 &&
		   ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] == 0xfe && bytes[1] == 0xff))) {
		p.line = 1;
		conf_error(&p, "this file is UTF-16: expected UTF-8; save it so");
		return -E_INVAL;
	}
	parse_lines(&p, text, n);
	if (!out->nvms && !errors->n) {
		p.line = max(p.line, 1u);
		conf_error(&p, "no VM: expected at least one section [vm NAME]");
	}
	return errors->n ? -E_INVAL : 0;
}
